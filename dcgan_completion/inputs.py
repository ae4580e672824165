"""The files that a command is given, and the names of what it writes for each."""

from __future__ import annotations

import os
from collections.abc import Sequence

from dcgan_completion import utils
from dcgan_completion.utils import UserError


def list_inputs(images: Sequence[str]) -> list[str]:
    """List the inputs: files as given, folders as the images below them, each once.

    Raises:
      UserError: a folder holds no image.
    """
    paths: dict[str, None] = {}
    for path in images:
        if os.path.isdir(path):
            found = utils.list_images(path)
            if not found:
                raise UserError(f"{path}: holds no images ({', '.join(utils.IMAGE_SUFFIXES)})")
            paths.update(dict.fromkeys(found))
        else:
            paths[path] = None
    return list(paths)


def output_names(paths: Sequence[str]) -> dict[str, str]:
    """Name the output of every input, without extension: its own, with a folder where needed.

    a/1.png and b/1.png become a-1 and b-1; 1.jpg and 1.png of one folder keep their extension.
    """
    extensions: dict[str, int] = {}
    for path in paths:
        stem = os.path.splitext(os.path.abspath(path))[0]
        extensions[stem] = extensions.get(stem, 0) + 1
    candidates = {}
    for path in paths:
        stem, extension = os.path.splitext(os.path.abspath(path))
        *folders, name = stem.strip(os.sep).split(os.sep)
        if extensions[stem] > 1:
            name = f"{name}-{extension[1:]}"
        prefixes = ["-".join([*folders[i:], name]) for i in range(len(folders), -1, -1)]
        candidates[path] = [*prefixes, f"{prefixes[-1]}-{utils.path_digits(path)}"]
    return utils.unique_names(candidates, taken=())


def names_of_shard(paths: Sequence[str], shard: tuple[int, int] | None) -> dict[str, str]:
    """Choose the images of a shard (I, N), with output names unique among all of `paths`.

    Raises:
      UserError: the shard is empty.
    """
    names = output_names(paths)
    part, parts = shard or (1, 1)
    chosen = list(names)[part - 1 :: parts]
    if not chosen:
        raise UserError(f"--shard {part}/{parts}: there are only {len(names)} images to divide")
    return {path: names[path] for path in chosen}
