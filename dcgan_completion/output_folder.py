"""`ResumableFolder`: an output folder that is cleared, or gone on with, but never lost silently."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from dcgan_completion.runs import read_config, write_config
from dcgan_completion.utils import UserError, open_text, write_csv


class ResumableFolder:
    """The output folder of a command that goes on after the last input that it has finished.

    It holds config.json, a table with the path of an input first in every row, final/, and more.

    Attributes:
      path: of the folder.
    """

    FLAG: ClassVar[str]  # the option that names the folder
    WHAT: ClassVar[str]  # it holds, such as "completion"
    INPUTS: ClassVar[str]  # what they are, such as "images"
    KEY: ClassVar[str]  # of config.json: {"finished": bool}; other commands have others
    TABLE: ClassVar[str]
    COLUMNS: ClassVar[tuple[str, ...]]
    NUMBERS: ClassVar[tuple[str, ...]]  # columns of numbers
    RESULTS: ClassVar[tuple[str, ...]]  # names in the folder, TABLE and final among them

    def __init__(self, path: str) -> None:
        """Change nothing in the folder `path`, which may not exist yet."""
        self.path = path
        self._rows: list[Sequence[Any]] = []  # of the table

    @property
    def done(self) -> set[str]:
        """Paths of the inputs whose results are there."""
        return {row[0] for row in self._rows}

    def is_result(self, name: str) -> bool:
        """Tell whether the command may have written what has that name in the folder."""
        return name in self.RESULTS

    def existing(self) -> list[str]:
        """List what an earlier run left in the folder, but for config.json."""
        try:
            names = sorted(os.listdir(self.path))
        except FileNotFoundError:
            return []
        return [os.path.join(self.path, name) for name in names if self.is_result(name)]

    def holds(self, path: str) -> bool:
        """Tell whether a file is one of `existing`, or in one of those folders."""
        real = os.path.realpath(path)
        ours = [os.path.realpath(existing) for existing in self.existing()]
        return any(real == own or real.startswith(own + os.sep) for own in ours)

    def unfinished_options(self, overwrite: bool = False) -> dict[str, Any] | None:
        """Read the options of the unfinished run in the folder; None: a new one can start there.

        Args:
          overwrite: a run in the folder may be replaced, finished or not.

        Raises:
          UserError: the folder holds something that must not be lost.
        """
        config = read_config(self.path)
        if config is None:
            if existing := self.existing():
                raise UserError(
                    f"{self.FLAG} {self.path}: {existing[0]} is not of a {self.WHAT}; choose "
                    "another folder"
                )
            return None
        if self.KEY not in config:
            raise UserError(
                f"{self.FLAG} {self.path}: is the folder of a model or of another command; choose "
                "another one"
            )
        if overwrite:
            return None
        run, options = config[self.KEY], config.get("options")
        if not (isinstance(run, dict) and isinstance(options, dict)):
            raise self.refusal("a damaged config.json")
        if run.get("finished", True):
            raise self.refusal(f"a finished {self.WHAT}")
        return options

    def _read_rows(self) -> list[list[str]]:
        """Read the rows of the table, none if there is none yet.

        Raises:
          UserError: it is damaged. It is written whole or not at all, so that it was changed.
        """
        path = os.path.join(self.path, self.TABLE)
        if not os.path.lexists(path):
            return []
        rows: list[list[str]] = []
        try:
            with open_text(path, errors="surrogateescape") as file:
                head, *rows = csv.reader(file)
            whole = head == [*self.COLUMNS] and all(len(row) == len(head) for row in rows)
            for name in self.NUMBERS if whole else ():
                [float(row[head.index(name)]) for row in rows]
        except (ValueError, csv.Error):
            whole = False
        if not whole:
            raise self.refusal(f"a damaged {self.TABLE}")
        return rows

    def _add_rows(self, rows: Sequence[Sequence[Any]]) -> None:
        """Write the table with more rows: those of inputs that are finished now."""
        self._rows += rows
        write_csv(os.path.join(self.path, self.TABLE), self.COLUMNS, self._rows)

    def refusal(self, what: str) -> UserError:
        """Make the error to raise where the folder holds a run that cannot be resumed."""
        return UserError(
            f"{self.FLAG} {self.path}: holds {what}; choose another folder, or replace it with "
            "--overwrite"
        )

    def check_inputs(self, paths: Sequence[str]) -> None:
        """Raise UserError if an input would be lost when `start` clears the folder."""
        for path in paths:
            if self.holds(path):
                raise UserError(
                    f"{path}: lies in {self.FLAG} {self.path}, which is cleared; copy it first"
                )

    def start(self, config: Mapping[str, Any]) -> None:
        """Make the folder, clears it of an earlier run and writes config.json."""
        for path in self.existing():
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
        os.makedirs(os.path.join(self.path, "final"), exist_ok=True)
        write_config(self.path, dict(config))

    def resume(self, config: Mapping[str, Any]) -> None:
        """Resume after the last input that an earlier run has finished; write config.json.

        Raises:
          UserError: the table is damaged.
        """
        self._rows = [*self._read_rows()]
        write_config(self.path, dict(config))
