"""A run of complete.py: its options resolved, its masks, its batches into the output folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

import checkpoints
import cli
import utils
from completion import input_images as inputs
from completion import mask_files, masks
from completion.completer import Completer
from completion.settings import BELONGS, Settings
from training.logs import CompletionFolder
from utils import UserError

BATCH = 64  # searches at a time, where --batch-size leaves it open
# Options of some kinds of masks alone, with their defaults.
OF_MASKS = {
    "center_scale": (("center",), 0.25),
    "fraction": (("random",), 0.2),
    "mask": (("file",), None),
    "invert_mask": (("file",), False),
}


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def resolve(args: argparse.Namespace) -> Settings:
    """Fills the options left open; the settings of the search.

    Raises:
      UserError: an option contradicts the choice that it belongs to.
    """
    if args.mask is not None and args.mask_type is None:
        args.mask_type = "file"
    args.mask_type = args.mask_type or "center"
    allowed = {name: ("approach", choices) for name, choices in BELONGS.items()}
    allowed |= {name: ("mask_type", choices) for name, (choices, _) in OF_MASKS.items()}
    for name, (choice, values) in allowed.items():
        if getattr(args, name) is not None and getattr(args, choice) not in values:
            raise UserError(
                f"{_flag(name)} belongs to {_flag(choice)} {' or '.join(values)} and contradicts "
                f"{_flag(choice)} {getattr(args, choice)}; leave one of them out"
            )
    if args.mask_type == "file" and args.mask is None:
        raise UserError("--mask-type file: --mask PATH must name the mask, or a folder of masks")
    if args.dilate and args.mask_type in masks.NOTHING_STAYS:
        raise UserError(f"--dilate: there is no hole to grow in --mask-type {args.mask_type}")
    if args.feather and not args.dilate:
        raise UserError("--feather: ramps inside the pixels that --dilate adds; give --dilate, too")
    for name, (choices, default) in OF_MASKS.items():
        if args.mask_type in choices and getattr(args, name) is None:
            setattr(args, name, default)
    if args.out_interval is None:
        args.out_interval = 10 if args.approach == "auto" else 50
    if args.average is None and args.samples > 1:
        args.average = 1  # these are to choose from: the more they differ, the better
    names = Settings.__dataclass_fields__.keys() & vars(args).keys() - {"approach"}
    settings = Settings.of(args.approach, **{name: getattr(args, name) for name in names})
    for name in names:
        if args.approach in BELONGS.get(name, (args.approach,)):
            setattr(args, name, getattr(settings, name))
    return settings


def choose(args: argparse.Namespace, paths: Sequence[str]) -> dict[str, str]:
    """The images of this run's shard, with output names that are unique among all of them.

    Finds each one's mask file (`args.mask_of`), and fills --batch-size if it was left open.

    Raises:
      UserError: the shard is empty, an image has no mask, or a mask file is none.
    """
    names = inputs.output_names(paths)
    part, parts = args.shard or (1, 1)
    chosen = list(names)[part - 1 :: parts]
    if not chosen:
        raise UserError(f"--shard {part}/{parts}: there are only {len(names)} images to divide")
    args.mask_of = None
    if args.mask_type == "file":
        args.mask_of = mask_files.masks_for(args.mask, chosen, args.images)
    # Looked at before anything is written; random masks are other ones for each image.
    one_each = {args.mask_of[path]: path for path in chosen} if args.mask_of else {None: chosen[0]}
    for path in one_each.values():
        make_masks(args, [path], np.zeros([1, args.img_size, args.img_size, 1], np.uint8))
    args.batch_size = args.batch_size or min(max(1, BATCH // args.samples), len(chosen))
    return {path: names[path] for path in chosen}


def make_masks(
    args: argparse.Namespace, paths: Sequence[str], images: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """The masks of some images, float32 [N, S, S, 1] (lowres: [N, S/8, S/8, 1]).

    Returns:
      Them, dilated if that is asked for; with --feather the share of G(z) in each pixel.

    Raises:
      UserError: everything is missing in an image.
    """
    size = images.shape[1]
    if args.mask_type == "file":
        own = [args.mask_of[path] for path in paths]
        before = np.stack([mask_files.load_mask(p, size, args.invert_mask) for p in own])
    else:
        options = {name: getattr(args, name) for name in ("center_scale", "fraction")}
        given = {name: value for name, value in options.items() if value is not None}
        before = np.stack(
            [
                masks.make_mask(
                    args.mask_type, size, random=inputs.random_of(image, args.seed, 1), **given
                )
                for image in images
            ]
        )
    grown = masks.dilate(before, args.dilate) if args.dilate else before
    for path, mask in zip(paths, grown, strict=True):
        if not mask.any():
            raise UserError(
                f"{path}: nothing of it is known under this mask; lower --dilate or --fraction"
            )
    return grown, masks.feather_weights(before, grown) if args.feather else None


def check_out_dir(folder: CompletionFolder, options: dict[str, Any], overwrite: bool) -> bool:
    """Whether the output folder holds an unfinished completion by the same options, to go on with.

    Raises:
      UserError: it holds something that must not be lost.
    """
    earlier = checkpoints.read_config(folder.path)
    if earlier is None:
        if existing := folder.existing():
            raise UserError(
                f"--outDir {folder.path}: {existing[0]} is not of a completion; choose another "
                "folder"
            )
    elif "completion" not in earlier:
        raise UserError(f"--outDir {folder.path}: is the folder of a model; choose another one")
    elif not overwrite:
        if not earlier["completion"]["finished"] and earlier["options"] == options:
            return True
        what = "a finished completion" if earlier["completion"]["finished"] else "other options"
        raise UserError(
            f"--outDir {folder.path}: holds {what}; choose another folder, or replace it with "
            "--overwrite"
        )
    return False


def complete_images(
    args: argparse.Namespace,
    completer: Completer,
    names: dict[str, str],
    out: CompletionFolder,
    failed: list[str],
) -> int:
    """Completes images batch by batch into the output folder; returns how many.

    Raises:
      UserError: memory does not suffice.
    """
    model, size = completer.model, completer.batch_size
    paths = [path for path in names if path not in out.done]
    finished = len(out.done)
    total = args.n_iter * -(-len(names) // size)
    initial = args.n_iter * (finished // size)
    with cli.progress_bar(total=total, initial=initial, unit="iteration") as bar:
        batches = inputs.load_batches(paths, model.image_size, model.channels, size, failed)
        for number, (own, batch) in enumerate(batches, finished // size + 1):
            mask, feather = make_masks(args, own, batch)
            known = masks.visible(utils.to_signed(batch), mask, args.mask_type)
            out.start_batch(number, batch, utils.to_uint8(known))
            states = completer.states(
                batch, mask, args.mask_type, args.seed, args.out_interval, feather
            )
            try:
                for state in states:
                    out.write_state(state)
                    bar.set_description(f"batch {number}, loss {state.losses[0].mean():.1f}")
                    bar.update(len(state.history))
            except (tf.errors.ResourceExhaustedError, MemoryError) as error:
                raise UserError(
                    f"--batch-size {size}: memory does not suffice for so many images at a time; "
                    "lower it, or --samples or --average"
                ) from error
            out.finish_batch({path: names[path] for path in own}, batch, state)
            finished += len(own)
    return finished
