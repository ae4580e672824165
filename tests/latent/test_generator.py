"""`Generator`: its samples are the command's, its arguments are checked, and it is quiet."""

from __future__ import annotations

import doctest
import logging
from pathlib import Path

import numpy as np
import pytest
from helpers import load_picture, run_script

from dcgan_completion import checkpoints
from dcgan_completion.latent import generator as module
from dcgan_completion.latent.generator import Generator
from dcgan_completion.model import DCGAN


@pytest.fixture(scope="module")
def shipped() -> Generator:
    return Generator.from_pretrained()


def test_samples_of_the_shipped_model_are_those_of_the_command(
    shipped: Generator, tmp_path: Path
) -> None:
    number = 70  # more than a batch
    run_script("sample-dcgan.py", "--n", number, "--seed", 5, "--out", "a.png", cwd=tmp_path)
    grid = load_picture(tmp_path / "a.png")
    rows, columns = (edge // 64 for edge in grid.shape[:2])
    expected = grid.reshape(rows, 64, columns, 64, 3).swapaxes(1, 2).reshape(-1, 64, 64, 3)
    found = shipped.sample(number, seed=5, return_type="numpy")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, expected[:number])
    pictures = shipped.sample(2, seed=5)
    assert [(picture.mode, picture.size) for picture in pictures] == 2 * [("RGB", (64, 64))]
    np.testing.assert_array_equal(np.stack(pictures), expected[:2])


def test_the_example_in_the_docstring_runs(shipped: Generator) -> None:
    failed, attempted = doctest.testmod(module)
    assert (failed, attempted) == (0, 6)


def test_it_is_the_model_at_a_path(vivid: Path, model: DCGAN) -> None:
    generator = Generator.from_pretrained(vivid)
    assert generator.prefix == str(vivid / "ckpt-11")
    assert (generator.image_size, generator.channels, generator.z_dim) == (16, 3, 8)
    z = np.random.default_rng(3).uniform(-1, 1, [5, 8])
    np.testing.assert_array_equal(generator.z(5, 3), z)
    images = generator.images(z, return_type="numpy", batch_size=5)
    np.testing.assert_array_equal(images, checkpoints.generate(model, z))
    other = Generator.from_pretrained(str(vivid / "ckpt-0")).images(z, return_type="numpy")
    assert (other != images).any()


def test_gray_images_have_mode_l() -> None:
    generator = Generator(DCGAN(image_size=16, channels=1, z_dim=4, gf_dim=2, df_dim=2), "nowhere")
    (picture,) = generator.sample(1)
    assert (picture.mode, picture.size) == ("L", (16, 16))
    assert generator.sample(2, return_type="numpy").shape == (2, 16, 16, 1)


def test_the_shipped_model_is_none_and_its_terms_are_logged(
    vivid: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "checkpoint").symlink_to(vivid)  # which the commands would take
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.getLogger("dcgan_completion"), "propagate", True)
    with caplog.at_level(logging.INFO):
        generator = Generator.from_pretrained()
    assert generator.prefix.startswith(checkpoints.SHIPPED)
    (record,) = caplog.records
    assert "non-commercial research" in record.getMessage()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"n": 0}, "n=0: "),
        ({"n": 1.5}, "n=1.5: "),
        ({"n": True}, "n=True: "),
        ({"n": 1, "seed": -1}, "seed=-1: "),
        ({"n": 1, "seed": "3"}, "seed='3': "),
        ({"n": 1, "batch_size": 0}, "batch_size=0: "),
        ({"n": 1, "return_type": "torch"}, "return_type='torch': "),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, text: str, model: DCGAN) -> None:
    with pytest.raises(ValueError, match=f"^{text}"):
        Generator(model, "").sample(**arguments)


@pytest.mark.parametrize(
    "z", [np.zeros(8), np.zeros([0, 8]), np.zeros([2, 7]), [["a"] * 8], np.full([1, 8], np.nan)]
)
def test_wrong_latents_are_named(z: object, model: DCGAN) -> None:
    with pytest.raises(ValueError, match=r"^z: "):
        Generator(model, "").images(z)


@pytest.mark.parametrize("path", ["nothing", "", 3])
def test_a_wrong_path_is_named(path: object) -> None:
    with pytest.raises(ValueError, match=r"^path"):
        Generator.from_pretrained(path)
