"""Time the input of training: decoding alone, and the start on a very large folder.

examples:
  python -m benchmarks.input
  python -m benchmarks.input --dataset data/your-dataset/aligned --files 100000
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from dcgan_completion import cli, utils
from dcgan_completion.settings import options

ROOT = Path(__file__).resolve().parent.parent
ORIGINALS = 48  # files that the large folder's hard links point to
PER_FOLDER = 1000
GIB = 2**30


def build_parser() -> argparse.ArgumentParser:
    parser = cli.ArgumentParser(__doc__, prog="python -m benchmarks.input")
    parser.add_argument("--dataset", metavar="DIR", help="aligned images (default: drawn faces)")
    parser.add_argument("--batch-size", type=options.positive_int, default=64, help="images a step")
    parser.add_argument(
        "--files", type=options.positive_int, default=1_000_000, help="in the large folder"
    )
    parser.add_argument(
        "--steps",
        type=options.positive_int,
        default=200,
        help="on the large folder, small networks",
    )
    return parser


def link_files(sources: list[str], folder: Path, number: int) -> None:
    """Fill `folder` with `number` hard links to the sources in turn, a thousand a folder."""
    originals = folder / "originals"
    originals.mkdir()
    copies = []
    for i, source in enumerate(sources[:ORIGINALS]):
        copies.append(originals / f"{i}{Path(source).suffix}")
        copies[-1].write_bytes(Path(source).read_bytes())
    tree = folder / "tree"
    for i in range(number):
        place = tree / f"{i // PER_FOLDER:05d}"
        place.mkdir(parents=True, exist_ok=True)
        copy = copies[i % len(copies)]
        os.link(copy, place / f"{i:07d}{copy.suffix}")


def resident(pid: int) -> int:
    """Read a process' resident memory in bytes; 0 if it has ended."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            lines = [line for line in file if line.startswith("VmRSS:")]
    except OSError:
        return 0
    return int(lines[0].split()[1]) * 1024 if lines else 0


def train_on(tree: Path, folder: Path, batch_size: int, steps: int) -> dict[str, float]:
    """Run train-dcgan.py on the tree: seconds to the first step, and its memory over time."""
    places = {name: str(folder / name) for name in ("checkpoint", "sample", "log")}
    command = [sys.executable, str(ROOT / "train-dcgan.py"), "--dataset", str(tree)]
    command += ["--gf-dim", "8", "--df-dim", "8", "--batch-size", str(batch_size)]
    command += [f"--{name}-dir={place}" for name, place in places.items()]
    command += ["--sample-interval", "1", "--keep", "1"]
    first = folder / "sample" / "train_01_0001.png"
    last = folder / "sample" / f"train_01_{steps:04d}.png"
    start, peak, at_first = time.monotonic(), 0, None
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        while process.poll() is None and not last.exists():
            peak = max(peak, resident(process.pid))
            if at_first is None and first.exists():
                at_first = time.monotonic() - start, resident(process.pid)
            time.sleep(0.02)
        at_last = resident(process.pid)
        process.send_signal(signal.SIGTERM)
        if process.wait() != 128 + signal.SIGTERM or at_first is None:
            output.seek(0)
            sys.exit(f"train-dcgan.py has failed:\n{output.read().decode()}")
    return {
        "first_step_s": at_first[0],
        "gib_at_first_step": at_first[1] / GIB,
        "gib_at_last_step": at_last / GIB,
        "peak_gib": peak / GIB,
    }


def main(argv: Sequence[str] | None = None) -> None:
    args = build_parser().parse_args(argv)
    cli.prepare_tensorflow()
    from benchmarks import measure

    measure.print_machine()
    with tempfile.TemporaryDirectory() as temporary, measure.images_in(args.dataset) as images:
        streamed, kept = measure.input_rates(images, args.batch_size)
        print(f"\ninput alone: {streamed:.0f} images/s from disk, {kept:.0f} from memory")
        folder = Path(temporary)
        link_files(utils.list_images(images), folder, args.files)
        large = train_on(folder / "tree", folder, args.batch_size, args.steps)
    print(f"\n| {args.files} files, training of a small network | |\n| --- | --- |")
    print(f"| seconds from the command to the first step | {large['first_step_s']:.1f} |")
    print(f"| resident GiB then | {large['gib_at_first_step']:.2f} |")
    print(f"| resident GiB after {args.steps} steps | {large['gib_at_last_step']:.2f} |")
    print(f"| peak of resident GiB | {large['peak_gib']:.2f} |")
    result = {"input_images_per_s": streamed, "cached_images_per_s": kept, "files": args.files}
    print(json.dumps(result | large))


if __name__ == "__main__":
    sys.exit(cli.run_main(main))
