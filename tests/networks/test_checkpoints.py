"""A model on disk: how it is found, chosen and drawn with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from dcgan_completion import checkpoints, runs
from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.model import DCGAN
from dcgan_completion.utils import UserError


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained / "checkpoint", tmp_path / "checkpoint"))


def test_a_checkpoint_is_named_by_its_folder_or_its_files(folder: Path) -> None:
    for path in (folder, f"{folder}/", folder / "ckpt-10", folder / "ckpt-10.index"):
        prefix, config = checkpoints.find_checkpoint(str(path))
        assert Path(prefix) == folder / "ckpt-10"
        assert config["architecture"]["z_dim"] == 8
    prefix, _ = checkpoints.find_checkpoint(str(folder / "ckpt-0.data-00000-of-00001"))
    assert Path(prefix) == folder / "ckpt-0"


def test_a_checkpoint_in_the_current_folder_is_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert checkpoints.find_checkpoint("ckpt-0")[0] == "ckpt-0"
    assert Path(checkpoints.find_checkpoint(".")[0]).name == "ckpt-10"


def test_what_holds_no_checkpoint_is_named_with_its_option(folder: Path, tmp_path: Path) -> None:
    for path in (tmp_path / "gone", tmp_path, folder / "ckpt-3"):
        with pytest.raises(UserError, match=f"--init-from {path}: holds no checkpoint"):
            checkpoints.find_checkpoint(str(path), "--init-from")
    assert not checkpoints.holds_checkpoint(str(tmp_path))
    assert checkpoints.holds_checkpoint(str(folder))
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match=r"has no config\.json"):
        checkpoints.find_checkpoint(str(folder))


def test_a_checkpoint_whose_files_are_gone_is_none(folder: Path) -> None:
    for path in folder.glob("ckpt-10*"):
        path.unlink()
    assert not checkpoints.holds_checkpoint(str(folder))


def test_a_checkpoint_of_the_tutorials_time_is_of_another_program(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "DCGAN.model-1002"\n')
    (tmp_path / "DCGAN.model-1002").write_bytes(b"weights in one file, without an index")
    with pytest.raises(UserError, match="another program"):
        checkpoints.find_checkpoint(str(tmp_path))


def test_pictures_do_not_depend_on_how_many_are_drawn_at_a_time(
    random: np.random.Generator,
) -> None:
    model = DCGAN(image_size=16, z_dim=6, gf_dim=3, df_dim=4)
    z = random.uniform(-1, 1, [7, 6])
    whole = checkpoints.generate(model, z)
    assert whole.shape == (7, 16, 16, 3)
    assert whole.dtype == np.uint8
    for batch_size in (1, 3, 7):
        parts = checkpoints.generate(model, z, batch_size)
        # Sums in another order: a level, where one is rounded.
        assert np.abs(parts.astype(int) - whole.astype(int)).max() <= 1


# --- the context encoder inside, hashes ---


def test_an_encoder_is_found_inside_the_folder_that_was_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = (folder, f"{folder}/", folder / "ckpt-10", folder / "ckpt-10.index")
    assert [checkpoints.encoder_folder(str(path)) for path in names] == [None] * 4
    inside = folder / "context-encoder"
    inside.mkdir()
    for path in names:
        found = checkpoints.encoder_folder(str(path))
        assert found is not None
        assert Path(found) == inside
    monkeypatch.chdir(folder)
    for path in (".", "ckpt-10"):
        assert Path(checkpoints.encoder_folder(path) or "").resolve() == inside
    assert checkpoints.encoder_folder(str(inside)) is None
    # One that is there, but cannot be used, is no missing one.
    with pytest.raises(UserError, match=r"context-encoder: holds no checkpoint.*train-context"):
        checkpoints.load_context_encoder(str(inside))


def test_a_network_is_known_by_its_configuration(folder: Path, tmp_path: Path) -> None:
    assert checkpoints.network_at(str(folder)) == "DCGAN"
    assert checkpoints.network_at(str(folder / "ckpt-10")) == "DCGAN"
    assert checkpoints.network_at(str(tmp_path / "nothing")) == "DCGAN"
    encoder = ContextEncoder(image_size=16, width=2)
    runs.write_config(str(folder), {"architecture": encoder.architecture})
    assert checkpoints.network_at(str(folder)) == "context encoder"


def test_a_hash_is_of_the_architecture_and_every_weight() -> None:
    def hash_of(seed: int = 0, **changed: int) -> str:
        encoder = ContextEncoder(**{"image_size": 16, "width": 2} | changed, seed=seed)
        return checkpoints.network_hash(encoder.architecture, encoder.e)

    assert hash_of() == hash_of()
    assert len({hash_of(), hash_of(seed=1), hash_of(width=3), hash_of(channels=1)}) == 4
    encoder = ContextEncoder(image_size=16, width=2)
    seen = {hash_of()}
    for variable in encoder.e.values():
        place = (0,) * len(variable.shape)
        variable[place].assign(np.nextafter(variable[place].numpy(), np.float32(9)))
        seen.add(checkpoints.network_hash(encoder.architecture, encoder.e))
    assert len(seen) == len(encoder.e) + 1
    same = dict(reversed(encoder.e.items()))  # in another order
    assert checkpoints.network_hash(encoder.architecture, same) in seen
    other = encoder.architecture | {"width": 9}
    assert checkpoints.network_hash(other, encoder.e) not in seen


def test_a_hash_tells_networks_with_layers_of_one_name_apart() -> None:
    model = DCGAN(image_size=16, z_dim=6, gf_dim=3, df_dim=4)
    whole = checkpoints.network_hash(model.architecture, model.g, model.d)
    for network in (model.g, model.d):
        network["conv1_kernel"].assign(network["conv1_kernel"] + 1)
        changed = checkpoints.network_hash(model.architecture, model.g, model.d)
        assert changed != whole
        whole = changed


@pytest.mark.parametrize(
    ("options", "symmetric"), [({"flip": True}, True), ({"flip": False}, False), (None, False)]
)
def test_an_encoder_is_symmetric_if_it_has_seen_mirror_images(
    options: object, symmetric: bool, guided: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(guided / "context-encoder", tmp_path / "encoder"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"options": options}))
    assert checkpoints.load_context_encoder(str(folder))[0].symmetric is symmetric
