#!/usr/bin/env python3
"""Draw which part of the code imports which, read from the files themselves.

A box is a module on top, a room (a folder of modules) or a script; each stands above all that it
imports. Arrows have the colour of what they lead to. Those that follow from others are left out,
as are data/ and benchmarks/.

examples:
  ./docs/draw-architecture.py
  ./docs/draw-architecture.py --root ../another-checkout --out its-architecture.png
"""

from __future__ import annotations

import argparse
import ast
import colorsys
import dataclasses
import graphlib
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

import cli
import utils

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROOT = Path(__file__).resolve().parent.parent
SCRIPT_FOLDERS = ("data", "benchmarks", "docs")  # their files are not imported from elsewhere
# When an import happens: as the file is loaded, as a function of it is called, never (it is for
# type checkers alone).
LOADED, CALLED, TYPES = "loaded", "called", "types"

# --- reading the imports ---------------------------------------------------------------------


class Import(NamedTuple):
    """One import of a file; names are those of `find_files`, or of a package from elsewhere."""

    source: str
    target: str
    when: str


def find_rooms(root: Path) -> list[str]:
    """Folders on top whose modules are imported as theirs."""
    return sorted(path.parent.name for path in root.glob("*/__init__.py"))


def find_files(root: Path) -> dict[str, Path]:
    """The code's files by name: model, completion.masks, benchmarks/train, no tests.

    A room's __init__.py goes by the room's name.
    """
    files = {path.stem: path for path in sorted(root.glob("*.py"))}
    for room in find_rooms(root):
        for path in sorted((root / room).glob("*.py")):
            files[room if path.stem == "__init__" else f"{room}.{path.stem}"] = path
    for folder in SCRIPT_FOLDERS:
        files |= {f"{folder}/{path.stem}": path for path in sorted((root / folder).glob("*.py"))}
    return files


def is_script(path: Path) -> bool:
    """Whether a file is run, not imported: it asks for its __name__."""
    statements = ast.parse(path.read_text(encoding="utf-8")).body
    return any(isinstance(s, ast.If) and "__name__" in ast.unparse(s.test) for s in statements)


def _import_statements(
    tree: ast.AST, when: str = LOADED
) -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
    """All of them below a node of a syntax tree, each with when it is run."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, when
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _import_statements(ast.Module(node.body, []), TYPES)
            yield from _import_statements(ast.Module(node.orelse, []), when)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _import_statements(node, TYPES if when == TYPES else CALLED)
        else:
            yield from _import_statements(node, when)


def read_imports(root: Path) -> list[Import]:
    """All imports of all files; a relative one raises ValueError, since the code has none."""
    files = find_files(root)
    imports = []
    for source, path in files.items():
        folder = source.rpartition("/")[0]
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for statement, when in _import_statements(tree):
            if isinstance(statement, ast.Import):
                names = [alias.name for alias in statement.names]
            elif statement.level:
                raise ValueError(f"{path}:{statement.lineno}: a relative import")
            else:  # `from completion import masks` imports a module, `... import Mask` a name
                full = [f"{statement.module}.{alias.name}" for alias in statement.names]
                names = [name if name in files else statement.module for name in full]
            beside = {name: f"{folder}/{name}" for name in names}  # a script's folder comes first
            imports += [Import(source, beside[n] if beside[n] in files else n, when) for n in names]
    return imports


def arrows_of(
    files: Iterable[str], imports: Iterable[Import], when: Iterable[str] = (LOADED, CALLED)
) -> dict[str, set[str]]:
    """Which of some files each of them imports at those times."""
    arrows: dict[str, set[str]] = {name: set() for name in files}
    for source, target, time in imports:
        if time in when and source in arrows and target in arrows:
            arrows[source].add(target)
    return arrows


def unit(name: str) -> str:
    """The room of a file in one, else the file itself: what has a place of its own on the map."""
    return name.partition(".")[0]


def arrows_of_units(arrows: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The same arrows between rooms, modules on top and scripts; none inside a room."""
    units: dict[str, set[str]] = {unit(name): set() for name in arrows}
    for source, targets in arrows.items():
        units[unit(source)] |= {unit(target) for target in targets} - {unit(source)}
    return units


def reachable(arrows: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """All that each one imports, directly or through others; raises graphlib.CycleError."""
    found: dict[str, set[str]] = {}
    for name in graphlib.TopologicalSorter(arrows).static_order():
        found[name] = arrows[name].union(*(found[target] for target in arrows[name]))
    return found


def floors_of(arrows: Mapping[str, set[str]]) -> dict[str, int]:
    """0 for what imports nothing, else one above the highest that it imports."""
    floors: dict[str, int] = {}
    for name in graphlib.TopologicalSorter(arrows).static_order():
        floors[name] = max((floors[target] + 1 for target in arrows[name]), default=0)
    return floors


# --- drawing them ----------------------------------------------------------------------------

ROOMS = ("#cfe3f5", "#d5ecd4", "#fbe0c8", "#e6d9f0", "#f8d5da", "#d9eeee")  # a colour for each
MODULE, SCRIPT, INK = "#eef0f2", "#fdf3c4", "#3c4650"
LINE, GAP, BETWEEN = 0.21, 0.28, 0.68  # inches: a line of text; between boxes; between floors
HEAD = 0.1  # inches: length of the straight end of an arrow


@dataclasses.dataclass
class Box:
    """A room, module or script on its floor, or the place where a longer arrow passes a floor.

    Attributes:
      lines: its text, the first of which is its name; none where an arrow passes.
      colour: of the box.
      arrows: colour of the arrows that lead to it.
      x: of its middle, in inches.
      below: boxes one floor below to which arrows lead from it.
    """

    lines: list[str]
    colour: str
    arrows: tuple[float, float, float]
    x: float = 0.0
    below: list[Box] = dataclasses.field(default_factory=list)

    @property
    def width(self) -> float:
        """In inches."""
        return 0.3 + 0.085 * max(map(len, self.lines)) if self.lines else 0.1

    @property
    def height(self) -> float:
        """In inches."""
        return 0.17 + LINE * len(self.lines)


def _arrow_colour(number: int) -> tuple[float, float, float]:
    """RGB in 0..1; hues a golden section apart, so that no two of a few are alike."""
    return colorsys.hsv_to_rgb(0.6180339887 * number % 1, 0.8, 0.62)


def drawn_files(root: Path) -> dict[str, Path]:
    """The toolkit's own files of `find_files`: no setup.py, data/, benchmarks/, docs/."""
    return {n: p for n, p in find_files(root).items() if "/" not in n and n != "setup"}


def make_floors(root: Path) -> list[list[Box]]:
    """The boxes of a checkout floor by floor, from the ground; the scripts are above all else."""
    rooms, files = find_rooms(root), drawn_files(root)
    arrows = arrows_of_units(arrows_of(files, read_imports(root)))
    floors = floors_of(arrows)
    scripts = {n for n in arrows if n not in rooms and is_script(files[n])}
    floors |= dict.fromkeys(scripts, 1 + max(floors[n] for n in arrows if n not in scripts))
    boxes = {}
    for number, name in enumerate(sorted(set(arrows) - scripts) + sorted(scripts)):
        colour = SCRIPT if name in scripts else MODULE
        boxes[name] = Box([f"{name}.py"], colour, _arrow_colour(number))
        if name in rooms:
            inside = sorted(n.partition(".")[2] for n in files if n.startswith(f"{name}."))
            rows = np.array_split(inside, math.ceil(len(inside) / 3))
            boxes[name].lines = [f"{name}/", *map(", ".join, rows)]
            boxes[name].colour = ROOMS[rooms.index(name) % len(ROOMS)]
    house: list[list[Box]] = [[] for _ in range(1 + max(floors.values()))]
    for name, box in boxes.items():
        house[floors[name]].append(box)
    _connect(boxes, house, arrows, floors)
    return house


def _connect(
    boxes: Mapping[str, Box],
    house: list[list[Box]],
    arrows: Mapping[str, set[str]],
    floors: Mapping[str, int],
) -> None:
    """Leads the arrows that do not follow from others from floor to floor."""
    everything = reachable(arrows)
    passing: dict[tuple[str, int], Box] = {}  # arrows to the same target share their way
    for source in sorted(boxes):
        implied = set().union(*(everything[target] for target in arrows[source]))
        for target in sorted(arrows[source] - implied):
            above = boxes[source]
            for floor in range(floors[source] - 1, floors[target] - 1, -1):
                end = boxes[target]
                if floor > floors[target]:
                    if (target, floor) not in passing:
                        passing[target, floor] = Box([], INK, end.arrows)
                        house[floor].append(passing[target, floor])
                    end = passing[target, floor]
                if end not in above.below:
                    above.below.append(end)
                above = end


def _spread(wanted: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """The places nearest to those wanted, in their order, at which no two boxes touch.

    Least squares under that condition are an isotonic regression: pool adjacent violators.
    """
    offsets = np.cumsum(widths + GAP) - (widths + GAP) / 2
    pools: list[list[float]] = []
    for value in wanted - offsets:
        pools.append([value])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    return np.concatenate([np.full(len(pool), np.mean(pool)) for pool in pools]) + offsets


def arrange(house: list[list[Box]]) -> None:
    """Sets the boxes' x, each near the middle of those that it has arrows to and from."""
    near: dict[int, list[Box]] = {id(box): list(box.below) for floor in house for box in floor}
    for floor in house:
        for box in floor:
            for end in box.below:
                near[id(end)].append(box)
    for _ in range(100):
        for floor in (*house, *house[::-1]):
            wanted = {id(box): np.mean([n.x for n in near[id(box)]] or [box.x]) for box in floor}
            floor.sort(key=lambda box: wanted[id(box)])
            goals = np.array([wanted[id(box)] for box in floor])
            for box, x in zip(
                floor, _spread(goals, np.array([b.width for b in floor])), strict=True
            ):
                box.x = float(x)


def _draw_box(axes: Axes, box: Box, y: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    corner = (box.x - box.width / 2, y - box.height / 2)
    style = "round,pad=0,rounding_size=0.07"
    patch = FancyBboxPatch(corner, box.width, box.height, style, fc=box.colour, ec=INK, lw=0.8)
    axes.add_patch(patch)
    for i, text in enumerate(box.lines):
        place = y + LINE * ((len(box.lines) - 1) / 2 - i)
        axes.text(
            box.x,
            place,
            text,
            ha="center",
            va="center_baseline",
            size=8.5 if i else 10,
            weight="normal" if i else "bold",
            color=INK if i else "black",
        )


def _draw_arrow(axes: Axes, xs: tuple[float, float], ys: Sequence[float], end: Box) -> None:
    """From a box straight down to the end of its floor, in a curve to the next one, straight on."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Curve

    bend = 0.55 * (ys[1] - ys[2])
    steps = [
        (Curve.MOVETO, (xs[0], ys[0])),
        (Curve.LINETO, (xs[0], ys[1])),
        (Curve.CURVE4, (xs[0], ys[1] - bend)),
        (Curve.CURVE4, (xs[1], ys[2] + bend)),
        (Curve.CURVE4, (xs[1], ys[2])),
        (Curve.LINETO, (xs[1], ys[3])),
    ]
    curve = Curve([place for _, place in steps], [code for code, _ in steps])
    style = "-|>,head_length=4,head_width=2" if end.lines else "-"
    look = {"color": end.arrows, "lw": 1.1, "shrinkA": 0, "shrinkB": 0}
    axes.add_patch(FancyArrowPatch(path=curve, arrowstyle=style, **look))


def draw(house: list[list[Box]], path: str) -> None:
    """Draws the boxes and arrows as a PNG."""
    from matplotlib.figure import Figure

    heights = [max(box.height for box in floor) for floor in house]
    middles = [sum(heights[:i]) + BETWEEN * i + heights[i] / 2 for i in range(len(house))]
    left = min(box.x - box.width / 2 for floor in house for box in floor) - GAP
    right = max(box.x + box.width / 2 for floor in house for box in floor) + GAP
    top = middles[-1] + heights[-1] / 2 + GAP
    figure = Figure(figsize=(right - left, top + GAP))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(left, right), ylim=(-GAP, top))
    axes.axis("off")
    for number, floor in enumerate(house):
        for box in floor:
            if box.lines:
                _draw_box(axes, box, middles[number])
            # A passing arrow goes on in the middle of its floor.
            start = middles[number] - (box.height / 2 if box.lines else 0)
            ends = sorted(box.below, key=lambda end: end.x)
            for i, end in enumerate(ends):
                x = box.x + (0.7 * box.width * ((i + 0.5) / len(ends) - 0.5) if box.lines else 0)
                leave = middles[number] - heights[number] / 2
                arrive = middles[number - 1] + heights[number - 1] / 2 + HEAD
                goal = middles[number - 1] + (end.height / 2 if end.lines else 0)
                _draw_arrow(axes, (x, end.x), (start, leave, arrive, goal), end)
    with utils.replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130)


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = cli.ArgumentParser(__doc__)
    parser.add_argument("--root", metavar="DIR", type=Path, default=ROOT, help="a checkout")
    parser.add_argument(
        "--out", metavar="FILE", default=str(ROOT / "docs" / "architecture.png"), help="the PNG"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Draws the picture and prints numbers of modules, arrows and floors."""
    args = build_parser().parse_args(argv)
    utils.check_folder(str(args.root), "--root")
    utils.check_writable(str(Path(args.out).parent), "--out")
    house = make_floors(args.root)
    arrange(house)
    draw(house, args.out)
    files = drawn_files(args.root)
    modules = [n for n, p in files.items() if n not in find_rooms(args.root) and not is_script(p)]
    arrows = arrows_of(modules, read_imports(args.root))
    print(
        f"{len(modules)} modules, {sum('.' not in n for n in modules)} of them on top, "
        f"{sum(map(len, arrows.values()))} arrows between them; "
        f"{len(house)} floors of rooms, modules on top and scripts: {args.out}"
    )


if __name__ == "__main__":
    sys.exit(cli.run_main(main))
