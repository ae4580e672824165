"""Compare the quality of completions with that of commit 30362c9, on faces that no report uses.

64 aligned faces with a hole in the centre, and 24 photos with holes over parts of their faces,
completed by auto and direct. Their names are in quality-faces.txt and quality-photos.txt: none is
among the faces and photos of docs/ and of the model card, nor is any other photo of the same
person of LFW. Takes some minutes.

examples:
  python -m benchmarks.quality FACES
  python -m benchmarks.quality FACES --code ../other-checkout --write quality.json
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dcgan_completion import cli
from dcgan_completion.utils import UserError

HERE = Path(__file__).resolve().parent
REFERENCE = HERE / "quality-30362c9.json"
METHODS = ("auto", "direct")
NO_FACES = 3  # exit status
# Of results.json: heading, digits after the decimal point.
METRICS = {
    "psnr": ("hole PSNR, dB", 2),
    "ssim": ("hole SSIM", 3),
    "identity": ("identity distance", 3),
    "sharpness": ("sharpness", 3),
    "seconds": ("s per image", 3),
}


def build_parser() -> argparse.ArgumentParser:
    parser = cli.ArgumentParser(__doc__, prog="python -m benchmarks.quality")
    parser.add_argument(
        "faces",
        nargs="?",
        metavar="FACES",
        help="holds lfw-raw-150 and congress-raw, as folders or as .tar archives of their contents",
    )
    parser.add_argument("--code", metavar="DIR", default=HERE.parent, help="checkout to measure")
    parser.add_argument("--write", metavar="FILE", help="write what was measured, as JSON")
    return parser


def gather(faces: Path, list_name: str, folder: Path) -> None:
    """Copy the listed photos into a folder, from folders or from archives."""
    inside = collections.defaultdict(list)
    for name in (HERE / list_name).read_text().split():
        archive, _, path = name.partition("/")
        inside[archive].append(path)
    folder.mkdir()
    for archive, paths in inside.items():
        for name, data in contents(faces / archive, paths):
            (folder / name).write_bytes(data)


def contents(archive: Path, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of files of an archive, unpacked or not."""
    try:
        if archive.is_dir():
            for path in paths:
                yield Path(path).name, (archive / path).read_bytes()
            return
        with tarfile.open(f"{archive}.tar") as packed:
            members = {os.path.normpath(member.name): member for member in packed}
            for path in paths:
                file = packed.extractfile(members[path])
                assert file is not None  # it is no folder
                yield Path(path).name, file.read()
    except (OSError, KeyError, tarfile.TarError) as error:
        raise UserError(
            f"FACES {archive.parent}: the photos of {archive.name} are missing ({error}); name the "
            "folder that holds it"
        ) from None


def run(script: Path, *words: object) -> dict[str, float]:
    """Run a script; return the seconds that it took, and the memory of its largest process."""
    start = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, str(script), *map(str, words)], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise UserError(f"{script}: has failed; see above")
    unit = 1 if sys.platform == "darwin" else 2**10
    return {"seconds": time.monotonic() - start, "peak_gib": usage.ru_maxrss * unit / 2**30}


def measure(code: Path, faces: Path) -> dict[str, Any]:
    """Evaluate the code of a checkout: means by hole and method, time, memory and machine."""
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        gather(faces, "quality-faces.txt", place / "raw")
        gather(faces, "quality-photos.txt", place / "photos")
        aligned = place / "aligned"
        run(code / "align-dlib.py", place / "raw", "align", "innerEyesAndBottomLip", aligned)
        shutil.rmtree(place / "raw")
        common = ["--approach", *METHODS, "--checkpoint-dir", code / "data" / "pretrained"]
        common += ["--cache", place / "cache"]
        # With a second seed there is a batch for which TensorFlow compiles nothing.
        tasks = {
            "faces": [aligned, "--mask-type", "center", "--seed", 0, 1],
            "photos": ["--photos", place / "photos"],
        }
        found: dict[str, Any] = {"holes": {}, "costs": {}}
        for name, words in tasks.items():
            out = place / f"{name}-results"
            cost = run(code / "evaluate.py", *words, *common, "--out", out)
            content = json.loads((out / "results.json").read_text())
            found |= {key: content[key] for key in ("git_commit", "processor", "packages")}
            found["precision"] = content["options"]["precision"]
            found["costs"][name] = cost | {"images": content["images"]}
            for block in content["masks"]:
                methods = {
                    method: {metric: block["methods"][method][metric]["mean"] for metric in METRICS}
                    for method in METHODS
                }
                found["holes"][f"{name}, {block['mask']}"] = methods
    return found


def print_table(now: dict[str, Any], before: dict[str, Any]) -> None:
    """Print both measurements side by side: now (before)."""
    from dcgan_completion.evaluation import tables

    rows = []
    for hole, methods in now["holes"].items():
        for method, values in methods.items():
            old = before["holes"][hole][method]
            cells = (f"{values[m]:.{d}f} ({old[m]:.{d}f})" for m, (_, d) in METRICS.items())
            rows.append([hole, method, *cells])
    heads = ["hole", "method", *(heading for heading, _ in METRICS.values())]
    print("In brackets: commit 30362c9.\n")
    print(tables.table(heads, rows), "\n", sep="")
    for name, cost in now["costs"].items():
        old = before["costs"][name]
        print(
            f"{cost['images']} {name}, start-up and measuring included: {cost['seconds']:.0f} s "
            f"({old['seconds']:.0f}), {cost['peak_gib']:.2f} GiB at the peak "
            f"({old['peak_gib']:.2f})"
        )
    print(f"processor: {now['processor']} ({before['processor']})")
    print(summary(now, before))


def summary(now: dict[str, Any], before: dict[str, Any]) -> str:
    """Say in a line what changed: the mean over all holes of each metric, by method."""
    parts = []
    for method in METHODS:
        means = []
        for found in (now, before):
            values = [methods[method] for methods in found["holes"].values()]
            means.append({m: sum(v[m] for v in values) / len(values) for m in METRICS})
        changes = (f"{m} {means[0][m]:.3f} ({means[1][m]:.3f})" for m in METRICS)
        parts.append(f"{method} {', '.join(changes)}")
    return f"quality, mean over holes: {'; '.join(parts)}"


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    if not args.faces:
        print(
            "quality: needs photos of faces that the repository may not hold; name the folder of "
            "their archives: make quality FACES=DIR",
            file=sys.stderr,
        )
        return NO_FACES
    found = measure(Path(args.code).resolve(), Path(args.faces))
    if args.write:
        Path(args.write).write_text(json.dumps(found, indent=1) + "\n")
    if REFERENCE.exists():
        print_table(found, json.loads(REFERENCE.read_text()))
    return 0


if __name__ == "__main__":
    sys.exit(cli.run_main(main))
