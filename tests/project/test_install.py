"""pip install . gives commands, and adds one name to site-packages."""

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
from helpers import ROOT, copy_code

COMMANDS = (
    "align",
    "train",
    "train-context-encoder",
    "sample",
    "complete",
    "complete-photo",
    "serve",
    "evaluate",
    "export",
    "distributions",
)
ENCODER_FILES = ("ckpt-1.index", "ckpt-1.data-00000-of-00001", "SHA256SUMS", "config.json")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    # A copy, since setuptools leaves build/ and an egg-info behind.
    copy_code(source)
    for name in ("README.md", "LICENSE", "MANIFEST.in", "pyproject.toml"):
        shutil.copy(ROOT / name, source)
    (source / "tests").mkdir()
    (source / "tests" / "test_x.py").touch()
    encoder = source / "data" / "pretrained" / "context-encoder"
    encoder.mkdir(exist_ok=True)
    for name in ENCODER_FILES:  # whether or not one ships
        (encoder / name).touch()
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", folder, source]
    subprocess.run(command, check=True, timeout=300)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """A virtual environment with the wheel; what it depends on is this environment's."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=300)
    python = folder / "bin" / "python"
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    before = set(os.listdir(site))
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-deps", wheel], check=True, timeout=300
    )
    added = {name for name in set(os.listdir(site)) - before if not name.endswith(".dist-info")}
    assert added == {"dcgan_completion"}
    (Path(site) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def test_the_wheel_holds_one_folder_without_tests_or_setup(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"dcgan_completion"}
    files = {name.removeprefix("dcgan_completion/") for name in names}
    package = ROOT / "dcgan_completion"
    wanted = {str(path.relative_to(package)) for path in package.rglob("*.py")} - {"_checkout.py"}
    shipped = [path for path in (ROOT / "data" / "pretrained").rglob("*") if path.is_file()]
    wanted |= {str(path.relative_to(ROOT)) for path in shipped}
    wanted |= {f"data/pretrained/context-encoder/{name}" for name in ENCODER_FILES}
    assert wanted <= files
    assert not {"setup.py", "_checkout.py"} & files
    for name in ("model.py", "ops.py", "utils.py"):  # not the stand-ins
        assert zipfile.ZipFile(wheel).read(f"dcgan_completion/{name}") == (ROOT / name).read_bytes()
    assert not any("test" in name for name in files)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_answer_from_any_folder(command: str, environment: Path, tmp_path: Path) -> None:
    program = environment / f"dcgan-{command}"
    (tmp_path / "utils.py").write_text("raise SystemExit('the wrong utils')")
    done = subprocess.run([program, "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"usage: dcgan-{command}" in done.stdout


def test_installed_commands_do_the_main_job(
    environment: Path, tmp_path: Path, faces16: Path
) -> None:
    portraits = tmp_path / "portraits"
    subprocess.run(
        [sys.executable, ROOT / "data" / "copy-portraits.py", "--out", portraits], check=True
    )

    def run(command: str, *arguments: object) -> None:
        done = subprocess.run(
            [environment / f"dcgan-{command}", *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr

    run("align", portraits, "align", "innerEyesAndBottomLip", "aligned", "--size", 16)
    assert {path.name for path in (tmp_path / "aligned").iterdir()} == {
        "eileen_collins.png",
        "grace_hopper.png",
    }
    run("train", "--dataset", faces16, "--image-size", 16, "--batch-size", 8)
    run("complete", "aligned", "--nIter", 2)
    assert (tmp_path / "completions" / "final" / "grace_hopper.png").exists()


def test_the_shipped_model_is_installed_and_its_terms_with_it(
    environment: Path, wheel: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [environment / "dcgan-sample", "--n", "1"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "no model in ./checkpoint: using the shipped model" in done.stdout
    assert "non-commercial research" in done.stdout
    assert (tmp_path / "samples.png").exists()
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        text = archive.read(metadata).decode().partition("\n\n")[0]
        assert "License-File: data/pretrained/LICENSE" in text
        assert re.search(r"^License: .*data/pretrained: non-commercial", text, re.MULTILINE)
