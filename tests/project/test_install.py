"""The package can be imported, and its commands run, however it was installed, or was not."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from helpers import COMMANDS, ROOT

from dcgan_completion.version import VERSION

PROGRAMS = [f"dcgan-{command.replace('_', '-')}" for command in COMMANDS.values()]
MODEL = "data/pretrained"
ABSENT = "module://no_such_kernel.backend"
# What a notebook does; the package's own modules come from the folder of the first argument.
LIBRARY = """
import os, sys
import dcgan_completion
from dcgan_completion import utils
from dcgan_completion.checkpoints import SHIPPED
from dcgan_completion.model import DCGAN
folder = os.path.realpath(sys.argv[1])
for module in (dcgan_completion, utils, sys.modules[DCGAN.__module__]):
    assert os.path.realpath(module.__file__).startswith(folder), module
assert DCGAN.__module__ == "dcgan_completion.model" and os.path.isdir(SHIPPED)
assert not {"model", "ops", "utils"} & set(sys.modules)
"""
# In a checkout the short names are the same modules, whichever name comes first.
SHORT_NAMES = """
import importlib, inspect, itertools, pickle, sys
FIRST = ("model", "utils", "dcgan_completion.model", "dcgan_completion.utils")
for names in itertools.permutations(FIRST):
    for name in [name for name in sys.modules if name.partition(".")[0] in (*FIRST, "ops")]:
        del sys.modules[name]
    for name in names:
        importlib.import_module(name)
    import dcgan_completion, model, ops, utils
    for module in (model, ops, utils):
        assert getattr(dcgan_completion, module.__name__.rpartition(".")[2]) is module, names
        assert module.__name__.startswith("dcgan_completion.")
    for thing in (model.DCGAN, ops.linear, utils.UserError):
        assert pickle.loads(pickle.dumps(thing)) is thing
        assert f" {thing.__name__}(" in inspect.getsource(thing)
"""


def pip(*arguments: object, python: Path | str = sys.executable) -> None:
    command = [sys.executable, "-m", "pip", "--python", python, *arguments]
    subprocess.run([*map(str, command), "--quiet", "--no-deps"], check=True, timeout=300)


def run(program: Path | str, *arguments: object, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(program), *map(str, arguments)],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def unpack(folder: Path) -> Path:
    """The checkout's tracked files, as from a zip file, which on Windows has no links."""
    changed = run("git", "stash", "create", cwd=ROOT).strip()
    archive = folder / "source.zip"
    run("git", "archive", "--format=zip", "-o", archive, changed or "HEAD", cwd=ROOT)
    zipfile.ZipFile(archive).extractall(folder / "source")
    return folder / "source"


def build_wheel(source: Path, folder: Path) -> Path:
    pip("wheel", "--no-build-isolation", "--wheel-dir", folder, source)
    return next(folder.glob("*.whl"))


def environment(folder: Path, *what: object) -> tuple[Path, set[str]]:
    """A virtual environment with what is installed; the dependencies are this environment's.

    Returns its folder of programs, and what was added to its site-packages.
    """
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(run(programs / "python", "-c", code, cwd=folder).strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    before = set(os.listdir(site))
    pip("install", "--no-build-isolation", *what, python=programs / "python")
    return programs, set(os.listdir(site)) - before


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("zip"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, source: Path) -> Path:
    return build_wheel(source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    programs, added = environment(tmp_path_factory.mktemp("environment"), wheel)
    assert added == {"dcgan_completion", f"dcgan_completion-{VERSION}.dist-info"}
    return programs


@pytest.fixture
def anywhere(tmp_path: Path) -> Path:
    """A folder in which a user has modules of the names of ours."""
    for name in ("model.py", "ops.py", "utils.py"):
        (tmp_path / name).write_text("raise SystemExit('the wrong module')")
    return tmp_path


def test_a_wheel_holds_the_package_the_model_and_its_terms(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        files = {name for name in archive.namelist() if ".dist-info/" not in name}
        for name in ("model.py", "ops.py", "utils.py"):  # not the stand-ins
            assert archive.read(f"dcgan_completion/{name}") == (ROOT / name).read_bytes()
        metadata = archive.read(f"dcgan_completion-{VERSION}.dist-info/METADATA").decode()
    tracked = run("git", "ls-files", "dcgan_completion", MODEL, cwd=ROOT).splitlines()
    wanted = {f"dcgan_completion/{name.removeprefix('dcgan_completion/')}" for name in tracked}
    assert files == wanted - {"dcgan_completion/_checkout.py"}
    assert "License-File: data/pretrained/LICENSE" in metadata
    assert re.search(r"^License: .*data/pretrained: non-commercial", metadata, re.MULTILINE)
    assert f"\nVersion: {VERSION}\n" in metadata


def test_documents_name_the_version() -> None:
    for name, line in (
        ("CITATION.cff", f"version: {VERSION}"),
        ("CHANGELOG.md", f"## [{VERSION}]"),
    ):
        assert f"\n{line}\n" in (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("program", PROGRAMS)
def test_commands_answer_from_any_folder(program: str, installed: Path, anywhere: Path) -> None:
    assert f"usage: {program}" in run(installed / program, "--help", cwd=anywhere)


def test_the_installed_package_draws_with_the_shipped_model(
    installed: Path, anywhere: Path
) -> None:
    run(installed / "python", "-I", "-c", LIBRARY, installed.parent, cwd=anywhere)
    # The backend of a notebook's kernel, which its `!` cells inherit.
    output = run(installed / "dcgan-sample", "--n", 1, cwd=anywhere, MPLBACKEND=ABSENT)
    assert "no model in ./checkpoint: using the shipped model" in output
    assert "non-commercial research" in output
    assert (anywhere / "samples.png").exists()


def test_a_checkouts_short_names_are_the_same_modules(source: Path) -> None:
    run(sys.executable, "-c", SHORT_NAMES, cwd=source)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wheel", "sdist", "lenient", "strict"])
def test_every_way_to_install(kind: str, tmp_path: Path, anywhere: Path) -> None:
    source = unpack(tmp_path)
    if kind == "wheel":
        what = [build_wheel(source, tmp_path)]
    elif kind == "sdist":
        run(sys.executable, "-m", "build", "--sdist", "--no-isolation", source, cwd=tmp_path)
        what = list((source / "dist").glob("*.tar.gz"))
    else:
        what = ["--config-settings", f"editable_mode={kind}", "--editable", source]
    home = source if "--editable" in what else tmp_path / "environment"
    programs, added = environment(tmp_path / "environment", *what)
    names = {name for name in added if not re.match(r"__editable__|__pycache__", name)}
    assert {name.partition("-")[0] for name in names} == {"dcgan_completion"}
    assert all(name.endswith(".dist-info") for name in names - {"dcgan_completion"})
    if home != source:
        shutil.rmtree(source)
    run(programs / "python", "-I", "-c", LIBRARY, home, cwd=anywhere)
    inline = "module://matplotlib_inline.backend_inline"
    for backend in (ABSENT, inline):
        run(programs / "dcgan-sample", "--n", 1, "--overwrite", cwd=anywhere, MPLBACKEND=backend)


@pytest.mark.slow
def test_installed_commands_do_the_main_job(installed: Path, anywhere: Path, faces16: Path) -> None:
    portraits = anywhere / "portraits"
    run(sys.executable, ROOT / "data" / "copy-portraits.py", "--out", portraits, cwd=ROOT)
    align = ("align", "innerEyesAndBottomLip", "aligned", "--size", 16)
    run(installed / "dcgan-align", portraits, *align, cwd=anywhere)
    names = {path.name for path in (anywhere / "aligned").iterdir()}
    assert names == {"eileen_collins.png", "grace_hopper.png"}
    options = ("--dataset", faces16, "--image-size", 16, "--batch-size", 8)
    run(installed / "dcgan-train", *options, cwd=anywhere)
    run(installed / "dcgan-complete", "aligned", "--nIter", 2, cwd=anywhere)
    assert (anywhere / "completions" / "final" / "grace_hopper.png").exists()
