"""Time detail transfer for faces of several widths, a quarter of each missing, on one thread.

The face is that of scikit-image's portrait of Eileen Collins (NASA, public domain), enlarged; the
estimate is the portrait itself at 64 pixels. The memory is what NumPy and OpenCV hold beside the
photo at the worst moment.

example:
  python -m benchmarks.detail_seconds --width 150 600 1500
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from dcgan_completion import cli, devices
from dcgan_completion.settings import options
from dcgan_completion.settings.photos import DETAILS, LANDMARKS

if TYPE_CHECKING:
    from dcgan_completion.photos.task import Task

WIDTHS = (150, 300, 600, 1500)
REPEATS = 3


def make(width: int) -> tuple[Task, np.ndarray]:
    """Make a task of a face, `width` pixels wide, and candidates for it."""
    from dcgan_completion.faces import detection
    from dcgan_completion.faces.aligner import FaceAligner
    from dcgan_completion.faces.placement import hole_in_photo
    from dcgan_completion.masks import drawing
    from dcgan_completion.masks.mask import Mask
    from dcgan_completion.photos.files import Photo
    from dcgan_completion.photos.portraits import eileen_collins
    from dcgan_completion.photos.task import make_task, width_of

    small, aligner = eileen_collins()[:260, 90:350], FaceAligner(LANDMARKS, 64)
    (face,) = detection.find_faces(aligner, np.ascontiguousarray(small))
    scale = width / width_of(face)
    pixels = cv2.resize(small, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    ratio = pixels.shape[1] / small.shape[1]
    face = detection.face_at((face.landmarks + 0.5) * ratio - 0.5, aligner)
    square = drawing.half(64, "left").copy()
    square[:16] = square[-16:] = False
    hole = hole_in_photo(square, face.matrix, pixels.shape[:2])
    task = make_task("portrait", Photo(pixels), Mask.of_plane(hole), ([1], [face]), 3)
    return task, task.squares.astype(np.float32)


def main(argv: Sequence[str] | None = None) -> None:
    parser = cli.ArgumentParser(__doc__, prog="python -m benchmarks.detail_seconds")
    widths = f"pixels (default: {' '.join(map(str, WIDTHS))})"
    parser.add_argument(
        "--width", nargs="+", type=options.positive_int, default=WIDTHS, help=widths
    )
    args = parser.parse_args(argv)
    from dcgan_completion.photos.repair import repair

    cv2.setNumThreads(1)
    print(f"{devices.processor()}, one thread, least of {REPEATS}: s, and MiB of peak memory\n")
    print(f"| face, pixels | missing, pixels | {' | '.join(DETAILS)} |")
    print(f"| --- | --- | {' | '.join('---' for _ in DETAILS)} |")
    for width in args.width:
        task, candidates = make(width)
        cells = []
        for name in DETAILS:
            seconds = []
            for _ in range(REPEATS):
                start = time.perf_counter()
                repair(task, candidates, "smooth", 0, name)
                seconds.append(time.perf_counter() - start)
            tracemalloc.start()
            repair(task, candidates, "smooth", 0, name)
            peak = tracemalloc.get_traced_memory()[1] / 2**20
            tracemalloc.stop()
            cells.append(f"{min(seconds):.2f} s, {peak:.0f} MiB")
        print(f"| {width} | {task.hole.sum()} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    sys.exit(cli.run_main(main))
