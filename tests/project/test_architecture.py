"""Who may import whom, read from the syntax trees by docs/draw-architecture.py.

import-linter cannot hold this: it takes packages alone (of model.py it says "'model' is a module,
not a package"), and a script with hyphens in its name cannot be named to it.
"""

from __future__ import annotations

import ast
import collections
import graphlib
import itertools
from pathlib import Path

import pytest
from helpers import ROOMS, ROOT, load_picture, load_script, run_script

architecture = load_script("docs/draw-architecture.py")
LOADED, CALLED, TYPES = architecture.LOADED, architecture.CALLED, architecture.TYPES
ALWAYS = (LOADED, CALLED, TYPES)
FILES = architecture.find_files(ROOT)
IMPORTS = architecture.read_imports(ROOT)
SCRIPTS = {name for name, path in FILES.items() if architecture.is_script(path)}
MODULES = [name for name in FILES if name not in SCRIPTS and "/" not in name and name != "setup"]

# What each module on top and each room may import of the others: design and docs/architecture.md.
SHARED = {"checkpoints", "cli", "context_encoder", "devices", "model", "runs", "utils"}
ALLOWED: dict[str, set[str]] = {
    "utils": set(),
    "ops": set(),
    "model": {"ops"},
    "context_encoder": {"ops"},
    "workers": {"utils"},
    "faces": {"utils", "workers"},
    "devices": {"utils"},
    "cli": {"utils"},
    "launcher": {"cli"},
    "runs": {"devices", "utils"},
    "checkpoints": {"context_encoder", "model", "runs", "utils"},
    "alignment": {"cli", "faces", "utils"},
    "training": SHARED,
    "completion": SHARED | {"faces"},
    "metrics": SHARED | {"faces", "workers", "completion", "photos"},
    "photos": SHARED | {"faces", "completion"},
    "serving": SHARED | {"faces", "workers", "completion", "photos"},
    "latent": SHARED | {"faces", "completion", "metrics"},
}
# What knows no network, whatever it imports.
WITHOUT_NETWORK = [
    "faces",
    "alignment.run",
    "completion.search_settings",
    "completion.settings",
    "completion.masks",
    "completion.mask_files",
    "completion.blending",
    "completion.latent_search",
    "completion.randomness",
    "latent.distributions",
    "latent.points",
    "latent.sheets",
    "latent.walks",
    "metrics.image_metrics",
    "metrics.embeddings",
    "metrics.statistics",
    "photos.files",
    "photos.holes",
    "photos.layers",
    "photos.repair",
    "serving.finder",
    "serving.pictures",
    "serving.server",
    "serving.store",
]
NETWORKS = {"context_encoder", "model", "ops", "checkpoints"}
# What writes results down, and neither makes nor measures them.
WRITERS = [
    "runs",
    "training.logs",
    "completion.output_folder",
    "metrics.tables",
    "photos.output_folder",
]
MAKERS = NETWORKS | {
    "training.trainer",
    "training.encoder_trainer",
    "completion.completer",
    "metrics.benchmark",
    "metrics.generator_scores",
}
# Imported when a command line is built: --help does not wait for TensorFlow.
LIGHT = ["cli", "utils", "faces", "photos.holes", "latent.distributions", "latent.points"]
LIGHT += [name for name in FILES if name.endswith("settings")]
SLOW = {"cv2", "dlib", "keras", "matplotlib", "scipy", "skimage", "tensorflow"}


# --- the code ---


@pytest.mark.parametrize("name", ALLOWED)
def test_a_unit_imports_only_what_is_below_it(name: str) -> None:
    units = architecture.arrows_of_units(architecture.arrows_of(MODULES, IMPORTS, ALWAYS))
    assert units[name] - ALLOWED[name] == set()


def test_nothing_is_on_top_without_a_place_on_the_map() -> None:
    assert {architecture.unit(name) for name in MODULES} == set(ALLOWED)
    assert set(architecture.find_rooms(ROOT)) == set(ROOMS)


def test_training_and_completion_never_import_each_other() -> None:
    found = architecture.reachable(architecture.arrows_of(MODULES, IMPORTS))
    for one, other in (("training", "completion"), ("completion", "training")):
        for name in MODULES:
            if architecture.unit(name) == one:
                assert {n for n in found[name] if architecture.unit(n) == other} == set(), name


@pytest.mark.parametrize("name", WITHOUT_NETWORK)
def test_what_knows_no_network_never_reaches_one(name: str) -> None:
    found = architecture.reachable(architecture.arrows_of(MODULES, IMPORTS))
    assert found[name] & NETWORKS == set()


@pytest.mark.parametrize("name", WRITERS)
def test_what_writes_results_down_does_not_make_them(name: str) -> None:
    found = architecture.reachable(architecture.arrows_of(MODULES, IMPORTS))
    assert found[name] & MAKERS == set()


@pytest.mark.parametrize("name", LIGHT)
def test_what_command_lines_are_built_from_is_imported_quickly(name: str) -> None:
    arrows = architecture.arrows_of(MODULES, IMPORTS, (LOADED,))
    loaded = {name} | architecture.reachable(arrows)[name]
    packages = {
        found.target.partition(".")[0]
        for found in IMPORTS
        if found.source in loaded and found.when == LOADED
    }
    assert packages & SLOW == set()


def test_nothing_but_scripts_imports_latent() -> None:
    arrows = architecture.arrows_of(FILES, IMPORTS, ALWAYS)
    importers = {name for name in FILES for n in arrows[name] if architecture.unit(n) == "latent"}
    assert {name for name in importers if architecture.unit(name) != "latent"} <= SCRIPTS


def test_no_module_imports_in_a_circle() -> None:
    # Imports for type checkers do not count: they are never run.
    graphlib.TopologicalSorter(architecture.arrows_of(MODULES, IMPORTS)).prepare()


def test_nothing_imports_a_script() -> None:
    arrows = architecture.arrows_of(FILES, IMPORTS, ALWAYS)
    assert {name: found for name in FILES if (found := arrows[name] & SCRIPTS)} == {}


def test_every_room_is_installed() -> None:
    tree = ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))
    (value,) = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ROOMS"
    ]
    assert set(ast.literal_eval(value)) == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_rooms_init_says_what_it_holds_and_no_more(room: str) -> None:
    tree = ast.parse((ROOT / room / "__init__.py").read_text(encoding="utf-8"))
    assert len(tree.body) == 1
    assert ast.get_docstring(tree)


def test_test_folders_are_no_packages_and_their_files_have_names_of_their_own() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("*.py")]
    assert "__init__.py" not in names
    assert [name for name, n in collections.Counter(names).items() if n > 1] == []
    assert not {"__init__.py", "conftest.py"} & {path.name for path in ROOT.glob("*.py")}


# --- the reader of imports ---

EXAMPLE = {
    "base.py": "import os\n",
    "room/__init__.py": '"""A room."""\n',
    "room/inner.py": """
from typing import TYPE_CHECKING
import tensorflow as tf
if TYPE_CHECKING:
    from room.outer import Thing
def later():
    import base
""",
    "room/outer.py": """
from room import inner
class Thing:
    def method(self):
        from base import os
        import room.inner
""",
    "run-it.py": """
import room.outer, base
def main(): ...
if __name__ == "__main__":
    main()
""",
    "benchmarks/measure.py": "import base\n",
    "benchmarks/speed.py": "import measure\nif __name__ == '__main__': ...\n",
    "tests/test_base.py": "import base\n",
}
FOUND = {
    ("base", "os", LOADED),
    ("room.inner", "typing", LOADED),
    ("room.inner", "tensorflow", LOADED),
    ("room.inner", "room.outer", TYPES),
    ("room.inner", "base", CALLED),
    ("room.outer", "room.inner", LOADED),
    ("room.outer", "base", CALLED),
    ("room.outer", "room.inner", CALLED),
    ("run-it", "room.outer", LOADED),
    ("run-it", "base", LOADED),
    ("benchmarks/measure", "base", LOADED),
    ("benchmarks/speed", "benchmarks/measure", LOADED),
}


@pytest.fixture
def example(tmp_path: Path) -> Path:
    for name, text in EXAMPLE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_imports_are_found_wherever_they_stand(example: Path) -> None:
    assert set(architecture.read_imports(example)) == FOUND
    (example / "base.py").write_text("def later():\n    from . import other\n")
    with pytest.raises(ValueError, match=r"base\.py:2: a relative import"):
        architecture.read_imports(example)


def test_scripts_and_rooms_are_told_from_modules(example: Path) -> None:
    files = architecture.find_files(example)
    scripts = {name for name, path in files.items() if architecture.is_script(path)}
    assert scripts == {"run-it", "benchmarks/speed"}
    assert architecture.find_rooms(example) == ["room"]


def test_floors_and_reach_follow_the_arrows() -> None:
    arrows = {"roof": {"wall", "floor"}, "wall": {"floor"}, "floor": set(), "shed": {"floor"}}
    assert architecture.floors_of(arrows) == {"roof": 2, "wall": 1, "floor": 0, "shed": 1}
    reach = {"roof": {"wall", "floor"}, "wall": {"floor"}, "floor": set(), "shed": {"floor"}}
    assert architecture.reachable(arrows) == reach
    with pytest.raises(graphlib.CycleError):
        architecture.reachable(arrows | {"floor": {"roof"}})


# --- the picture ---


def test_arrows_lead_down_and_boxes_do_not_touch(example: Path) -> None:
    house = architecture.make_floors(example)
    architecture.arrange(house)
    names = [[box.lines[0] for box in floor if box.lines] for floor in house]
    assert names == [["base.py"], ["room/"], ["run-it.py"]]
    for lower, upper in itertools.pairwise(house):
        for box in upper:
            assert box.below
            assert all(any(end is other for other in lower) for end in box.below)
    whole = architecture.make_floors(ROOT)
    architecture.arrange(whole)
    for floor in whole:
        for left, right in itertools.pairwise(floor):
            assert left.x + left.width / 2 < right.x - right.width / 2


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    done = run_script("docs/draw-architecture.py", "--out", "a.png", cwd=tmp_path)
    assert "a.png" in done.stdout
    assert f"{len(MODULES) - len(ROOMS)} modules" in done.stdout
    picture = load_picture(tmp_path / "a.png")
    assert picture.shape[0] > 500
    assert picture.shape[1] > 500
    assert (picture[..., :3] < 128).all(axis=-1).mean() > 0.002  # ink
