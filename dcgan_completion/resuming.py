"""A run in a `ResumableFolder`: started or resumed by the same options, and finished."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from dcgan_completion import checkpoints, cli, runs
from dcgan_completion.devices import Precision
from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.output_folder import ResumableFolder
from dcgan_completion.photo_encoder import PhotoEncoder
from dcgan_completion.settings.options import PRECISIONS
from dcgan_completion.settings.photos import GRAIN, NONE
from dcgan_completion.settings.search import SearchSettings

logger = logging.getLogger(__name__)


class _Options(Protocol):
    """Settings whose options are recorded in config.json."""

    def options(self) -> dict[str, Any]: ...


def recorded_options(
    settings: _Options,
    search: SearchSettings,
    mask: _Options,
    checkpoint: str,
    encoder: ContextEncoder | None = None,
    photo_encoder: PhotoEncoder | None = None,
) -> dict[str, Any]:
    """Collect the options that decide on the results, as JSON gives them back.

    Encoders are among them by their hashes; the precision is not: it may be another one on another
    machine.
    """
    options = settings.options() | search.options() | mask.options() | {"checkpoint": checkpoint}
    for name, network in (("context_encoder", encoder), ("photo_encoder", photo_encoder)):
        options[name] = network and checkpoints.network_hash(network.architecture, network.e)
    del options["precision"]
    return json.loads(json.dumps(options))


def earlier_precision(
    earlier: Mapping[str, Any], options: Mapping[str, Any], precision: Precision
) -> Precision | None:
    """Read the precision of an unfinished run that has the same options; None if they differ.

    Precisions are the same if they were asked for by the same name (`auto` may be another one on
    another machine), or if the same one is used.

    Args:
      earlier: the run's options in config.json. An earlier version of the toolkit kept only the
        precision used; it is taken for that of `auto`.
      options: `recorded_options` of this command.
      precision: of this command.
    """
    # Runs of earlier versions had neither encoder.
    new: dict[str, Any] = {name: options.get(name) and 0.0 for name in ("guide", "mix")}
    new |= {"context_encoder": None, "photo_encoder": None}
    if "no_grain" in earlier:  # nor detail transfer
        new["detail"] = NONE if earlier["no_grain"] else GRAIN
    earlier = new | dict(earlier)
    asked = earlier.pop("precision", "auto")
    used = earlier.pop("precision_used", None)
    before = Precision("auto", asked) if used is None else Precision(asked, used)
    if before.asked not in PRECISIONS or before.used not in PRECISIONS:
        return None  # not written by this program
    same = precision.asked == before.asked or precision.used == before.used
    return before if same and earlier == options else None


@contextlib.contextmanager
def resumable_run(
    out: ResumableFolder,
    options: dict[str, Any],
    precision: Precision,
    inputs: Sequence[str],
    total: int,
    overwrite: bool,
) -> Iterator[Precision]:
    """Start the output folder, or resume an unfinished run by the same options; finish it.

    A block that is stopped says what is done by then, and the folder can be resumed.

    Args:
      out: the folder.
      options: `recorded_options`.
      precision: of this command.
      inputs: files that must not be lost.
      total: number of inputs, those that are done included.
      overwrite: replace an earlier run.

    Yields:
      The precision of the search.

    Raises:
      UserError: the folder holds something that must not be lost, or some of the inputs.
    """
    earlier = out.unfinished_options(overwrite)
    if earlier is None:
        out.check_inputs(inputs)
    else:
        before = earlier_precision(earlier, options, precision)
        if before is None:
            raise out.refusal("other options")
        precision = before.resumed(precision.asked)
    used = {"precision": precision.asked, "precision_used": precision.used}
    config = runs.record(options | used)
    config |= {"seed": options["seed"], out.KEY: {"finished": False}}
    if earlier is None:
        out.start(config)
    else:
        out.resume(config)
        logger.info("resuming in %s: %d %s are done", out.path, len(out.done), out.INPUTS)
    how = "the same command resumes" + (", without --overwrite" if overwrite else "")
    with cli.report_if_stopped(lambda: f"{len(out.done)} of {total} {out.INPUTS} are done; {how}"):
        yield precision
    runs.write_config(out.path, {**config, out.KEY: {"finished": True}})
