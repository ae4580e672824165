"""The output folder of a completion: pictures, losses and results of every batch."""

from __future__ import annotations

import csv
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from runs import read_config, write_config
from utils import (
    UserError,
    image_grid,
    open_text,
    replacing,
    save_gif,
    save_image,
    write_csv,
)

if TYPE_CHECKING:
    from completion.completer import Completion


class CompletionFolder:
    """The output folder of complete.py.

    The first batch's images lie in it, those of later batches in batch-0002 and so on, under the
    reference's names; final/, results.csv and config.json are about all images.
    """

    TABLE = "results.csv"
    PICTURES = ("before.png", "masked.png", "completion.gif", "hats_imgs", "completed", "logs")
    RESULTS = (TABLE, "final", "samples")
    FILES, LOSSES = ("input", "output"), ("contextual", "perceptual", "total")

    def __init__(self, path: str, *, searched: bool = True) -> None:
        """Changes nothing in the folder `path`, which may not exist yet.

        Args:
          path: of the folder.
          searched: whether images are completed by a search, which has losses and goes through
            several states.
        """
        self.path, self._searched = path, searched
        self._rows: list[Sequence[Any]] = []  # of results.csv
        # Of the current batch: its folder, its animation's frames, its losses, its known pixels.
        self._batch = path
        self._frames: list[str] = []
        self._losses: list[np.ndarray] = []
        self._masked = np.empty(0)

    @property
    def columns(self) -> tuple[str, ...]:
        """Of results.csv."""
        return self.FILES + (self.LOSSES if self._searched else ())

    @property
    def done(self) -> set[str]:
        """Paths of the inputs whose results are there."""
        return {row[0] for row in self._rows}

    def existing(self) -> list[str]:
        """Paths of what an earlier completion left in the folder, but for config.json."""
        try:
            names = sorted(os.listdir(self.path))
        except FileNotFoundError:
            return []
        known = (*self.PICTURES, *self.RESULTS)
        ours = [name for name in names if name in known or re.fullmatch(r"batch-\d{4,}", name)]
        return [os.path.join(self.path, name) for name in ours]

    def holds(self, path: str) -> bool:
        """Whether a file is one of `existing`, or in one of those folders."""
        real = os.path.realpath(path)
        ours = [os.path.realpath(existing) for existing in self.existing()]
        return any(real == own or real.startswith(own + os.sep) for own in ours)

    def unfinished_options(self, overwrite: bool = False) -> dict[str, Any] | None:
        """The options of the unfinished completion in the folder; None: a new one can start there.

        Args:
          overwrite: a completion in the folder may be replaced, finished or not.

        Raises:
          UserError: the folder holds something that must not be lost.
        """
        config = read_config(self.path)
        if config is None:
            if existing := self.existing():
                raise UserError(
                    f"--outDir {self.path}: {existing[0]} is not of a completion; choose another "
                    "folder"
                )
            return None
        if "completion" not in config:
            raise UserError(f"--outDir {self.path}: is the folder of a model; choose another one")
        if overwrite:
            return None
        completion, options = config["completion"], config.get("options")
        if not (isinstance(completion, dict) and isinstance(options, dict)):
            raise self.refusal("a damaged config.json")
        if completion.get("finished", True):
            raise self.refusal("a finished completion")
        return options

    def _read_rows(self) -> list[Sequence[Any]]:
        """The rows of results.csv, none if there is none yet.

        Raises:
          UserError: it is damaged. It is written whole or not at all, so that it was changed.
        """
        path = os.path.join(self.path, self.TABLE)
        if not os.path.lexists(path):
            return []
        try:
            with open_text(path, errors="surrogateescape") as file:
                head, *rows = csv.reader(file)
            np.array([row[2:] for row in rows], float)
        except (ValueError, csv.Error):
            raise self.refusal("a damaged results.csv") from None
        if head != [*self.columns] or any(len(row) != len(head) for row in rows):
            raise self.refusal("a damaged results.csv")
        return rows

    def refusal(self, what: str) -> UserError:
        """The error to raise where the folder holds a completion that cannot be resumed."""
        return UserError(
            f"--outDir {self.path}: holds {what}; choose another folder, or replace it with "
            "--overwrite"
        )

    def check_inputs(self, paths: Sequence[str]) -> None:
        """Raises UserError if an input would be lost when `start` clears the folder."""
        for path in paths:
            if self.holds(path):
                raise UserError(
                    f"{path}: lies in --outDir {self.path}, which is cleared; copy it first"
                )

    def start(self, config: Mapping[str, Any]) -> None:
        """Makes the folder, clears it of an earlier completion and writes config.json."""
        for path in self.existing():
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
        os.makedirs(os.path.join(self.path, "final"), exist_ok=True)
        write_config(self.path, config)

    def resume(self, config: Mapping[str, Any]) -> None:
        """Goes on after the last batch that an earlier run has finished; writes config.json.

        Raises:
          UserError: results.csv is damaged.
        """
        self._rows = self._read_rows()
        write_config(self.path, config)

    def start_batch(self, batch: int, before: np.ndarray, masked: np.ndarray) -> None:
        """Makes a batch's folders, and writes its images before completion.

        Args:
          batch: its number, from 1.
          before: the images as given, uint8 [N, S, S, C].
          masked: as far as they are known, uint8 [N, S, S, C].
        """
        self._batch = self.path if batch == 1 else os.path.join(self.path, f"batch-{batch:04d}")
        self._frames, self._losses, self._masked = [], [], masked
        for name in ("hats_imgs", "completed", "logs") if self._searched else ("",):
            os.makedirs(os.path.join(self._batch, name), exist_ok=True)
        save_image(os.path.join(self._batch, "before.png"), image_grid(before))
        save_image(os.path.join(self._batch, "masked.png"), image_grid(masked))

    def write_state(self, state: Completion) -> None:
        """Writes images of a state of the search; keeps its losses for `finish_batch`."""
        name = f"{state.iteration:04d}.png"
        save_image(os.path.join(self._batch, "hats_imgs", name), image_grid(state.generated))
        self._frames.append(os.path.join(self._batch, "completed", name))
        save_image(self._frames[-1], image_grid(state.completed))
        self._losses.append(state.history)

    def finish_batch(self, names: Mapping[str, str], before: np.ndarray, last: Completion) -> None:
        """Writes the results of a batch's search.

        Args:
          names: input path -> output name without extension, in the batch's order.
          before: the images as given, uint8 [N, S, S, C].
          last: their completion.
        """
        self._write_logs(names, last)
        if last.samples_completed.shape[1] > 1:
            for i, name in enumerate(names.values()):
                self._write_samples(name, before[i], self._masked[i], last.samples_completed[i])
        total, contextual, perceptual = last.losses
        losses = np.stack([contextual, perceptual, total], axis=1)
        self.finish_images(names, last.completed, [[f"{x:.6g}" for x in row] for row in losses])

    def finish_images(
        self,
        names: Mapping[str, str],
        completed: np.ndarray,
        losses: Sequence[Sequence[str]] | None = None,
    ) -> None:
        """Writes completed images, uint8 [N, S, S, C], and their rows of results.csv.

        Args:
          names: input path -> output name without extension, in the images' order.
          completed: the images.
          losses: the cells of LOSSES for each image; None without a search.
        """
        for i, (path, name) in enumerate(names.items()):
            save_image(os.path.join(self.path, "final", f"{name}.png"), completed[i])
            self._rows.append([path, f"{name}.png", *(losses[i] if losses else ())])
        write_csv(os.path.join(self.path, self.TABLE), self.columns, self._rows)

    def _write_logs(self, names: Mapping[str, str], last: Completion) -> None:
        """A batch's losses, latents and animation."""
        logs, outputs = os.path.join(self._batch, "logs"), list(names.values())
        history = np.concatenate(self._losses)
        rows = ([i, *(f"{loss:.6g}" for loss in row)] for i, row in enumerate(history))
        write_csv(os.path.join(logs, "losses.csv"), ["iteration", *outputs], rows)
        arrays = {"names": np.array(outputs), "inputs": np.array(list(names))}
        z, several = last.samples_z, last.samples_z.shape[1] > 1
        if z.shape[2] == 1:  # a sample is one search, not the mean of several
            z = z[:, :, 0]
        arrays["z"] = z[:, 0]
        if several:
            arrays |= {"samples_z": z, "samples_losses": last.samples_losses[0]}
        with replacing(os.path.join(logs, "z.npz")) as temporary, open(temporary, "wb") as file:
            np.savez(file, **arrays)
        save_gif(os.path.join(self._batch, "completion.gif"), self._frames)

    def _write_samples(
        self, name: str, before: np.ndarray, masked: np.ndarray, completed: np.ndarray
    ) -> None:
        """An image's completions, the best first: one file each, and all beside the image."""
        folder = os.path.join(self.path, "samples", name)
        os.makedirs(folder, exist_ok=True)
        for rank, sample in enumerate(completed, 1):
            save_image(os.path.join(folder, f"{rank}.png"), sample)
        sheet = image_grid(np.stack([before, masked, *completed]), columns=2 + len(completed))
        save_image(f"{folder}.png", sheet)
