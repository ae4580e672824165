"""Models on disk that are damaged, or made to harm: right values or one line; no code is run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT, Run, assert_refused, contents

from dcgan_completion import checkpoints, runs
from dcgan_completion.utils import UserError

GOLDEN = ROOT / "tests" / "golden" / "checkpoint"
FACES = ROOT / "tests" / "golden" / "faces"
PREFIX = "ckpt-600"
PARTS = ("checkpoint", f"{PREFIX}.index", f"{PREFIX}.data-00000-of-00001", "config.json")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "checkpoint"))


def values_of(folder: Path) -> list[np.ndarray]:
    networks, _ = checkpoints.load_model(str(folder))
    return [v.numpy() for v in (*networks.g.values(), *networks.d.values())]


def assert_one_line(error: UserError, folder: Path) -> None:
    assert len(str(error).splitlines()) == 1
    assert str(folder) in str(error)


# --- flipped bits ---


@pytest.mark.parametrize(
    "number",
    [40, pytest.param(1000, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("part", PARTS)
def test_flipped_bits_give_the_right_values_or_one_line(
    part: str, number: int, model: Path, random: np.random.Generator
) -> None:
    expected = values_of(GOLDEN)
    whole = (GOLDEN / part).read_bytes()
    places = random.permutation(len(whole))[:number]
    # The ends, too: of the index, that is its footer.
    places = {*places.tolist(), *range(4), *range(len(whole) - 4, len(whole))}
    refused = 0
    for place in sorted(places):
        data = bytearray(whole)
        data[place] ^= 1 << int(random.integers(8))
        (model / part).write_bytes(data)
        try:
            found = values_of(model)
        except UserError as error:
            assert_one_line(error, model)
            refused += 1
        else:
            for one, other in zip(expected, found, strict=True):
                np.testing.assert_array_equal(one, other)
    assert refused


@pytest.mark.parametrize("part", PARTS)
def test_with_sums_no_flipped_bit_passes(
    part: str, model: Path, random: np.random.Generator
) -> None:
    runs.write_sums(str(model))
    whole = (model / part).read_bytes()
    for place in random.permutation(len(whole))[:25].tolist():
        data = bytearray(whole)
        data[place] ^= 1 << int(random.integers(8))
        (model / part).write_bytes(data)
        with pytest.raises(UserError):
            checkpoints.load_model(str(model))
    (model / part).write_bytes(whole)
    checkpoints.load_model(str(model))


def test_cut_files_are_refused(model: Path) -> None:
    for part in PARTS[1:]:
        whole = (GOLDEN / part).read_bytes()
        for tenth in range(10):
            (model / part).write_bytes(whole[: len(whole) * tenth // 10])
            with pytest.raises(UserError):
                checkpoints.load_model(str(model))
        (model / part).write_bytes(whole)


# --- config.json ---

SIZES = {"image_size": 16, "channels": 3, "z_dim": 8, "gf_dim": 8, "df_dim": 8}
CONFIGS = {
    "nested deeply": (100_000 * '{"a":', "nested too deeply"),
    "nested lists": (100_000 * "[", "nested too deeply"),
    "not UTF-8": (b"\xff\xfe{}", "cannot be read as JSON"),
    "a long number": (5000 * "9", "cannot be read as JSON"),
    "a text": ("DCGAN", "its architecture must be a JSON object, not 'DCGAN'"),
    "a list": ([16, 3], "its architecture must be a JSON object"),
    "none": (None, "its architecture must be a JSON object, not None"),
    "empty": ({}, "its architecture has no image_size; it must be 16, 32, 64 or 128"),
    "huge": (SIZES | {"gf_dim": 10**9}, "more than 536870912 weights, 2 GiB; lower"),
    "without end": (SIZES | {"z_dim": 10**400}, "more than 536870912 weights, 2 GiB; lower"),
    "negative": (SIZES | {"df_dim": -8}, "df_dim is -8; it must be a whole number above 0"),
    "zero": (SIZES | {"z_dim": 0}, "z_dim is 0; it must be"),
    "textual": (SIZES | {"gf_dim": "8"}, "gf_dim is '8'; it must be"),
    "fractional": (SIZES | {"gf_dim": 8.5}, "gf_dim is 8.5; it must be"),
    "a float": (SIZES | {"z_dim": 8.0}, "z_dim is 8.0; it must be"),
    "true": (SIZES | {"channels": True}, "channels is True; it must be 1 or 3"),
    "no number": (SIZES | {"z_dim": float("nan")}, "z_dim is nan; it must be"),
    "another size": (SIZES | {"image_size": 17}, "image_size is 17; it must be 16, 32, 64 or 128"),
    "unknown": (SIZES | {"seed": 1}, "its architecture has an unknown 'seed'"),
    "missing": ({n: v for n, v in SIZES.items() if n != "z_dim"}, "has no z_dim; it must be"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_a_config_is_checked_whole(case: str, model: Path, run_any: Run) -> None:
    content, words = CONFIGS[case]
    if case in ("nested deeply", "nested lists", "not UTF-8", "a long number"):
        data = content if isinstance(content, bytes) else content.encode()
    else:
        config = json.loads((GOLDEN / "config.json").read_text())
        data = json.dumps(config | {"architecture": content}).encode()
    (model / "config.json").write_bytes(data)
    before = contents(model.parent)
    for script, *arguments in (
        ("sample-dcgan.py",),
        ("complete.py", FACES),
        ("train-dcgan.py", "--dataset", FACES),
        ("train-context-encoder.py", "--dataset", FACES),
        ("export.py", "exported", "--checkpoint-dir", "checkpoint"),
    ):
        done = run_any(script, *arguments, cwd=model.parent)
        assert_refused(done, "checkpoint/config.json: ", words)
    assert contents(model.parent) == before


WIDTHS = {"image_size": 16, "channels": 3, "width": 4}
ENCODERS = {
    "empty": ({}, "its architecture has no image_size; it must be 16, 32, 64 or 128"),
    "missing": ({"image_size": 16, "channels": 3}, "its architecture has no width; it must be"),
    "huge": (WIDTHS | {"width": 10**9}, "more than 536870912 weights, 2 GiB; lower width"),
    "without end": (WIDTHS | {"width": 10**400}, "more than 536870912 weights, 2 GiB; lower"),
    "textual": (WIDTHS | {"width": "4"}, "width is '4'; it must be"),
    "unknown": (WIDTHS | {"seed": 1}, "its architecture has an unknown 'seed'"),
    "of both networks": (WIDTHS | {"z_dim": 8}, "its architecture has an unknown 'z_dim'"),
}


@pytest.fixture
def encoder(model: Path) -> Path:
    """A folder with an encoder's config.json, to be damaged, in that of a DCGAN."""
    folder = Path(shutil.copytree(GOLDEN, model / "context-encoder"))
    rules = {"warmup_steps": 500, "learning_rate": 0.001, "precision_used": "float32"}
    config = {"architecture": WIDTHS, "options": rules}
    write_config(folder, json.loads((GOLDEN / "config.json").read_text()) | config)
    return folder


def write_config(folder: Path, config: object) -> None:
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("case", ENCODERS)
def test_an_encoders_config_is_checked_whole(case: str, encoder: Path, run_any: Run) -> None:
    architecture, words = ENCODERS[case]
    config = json.loads((encoder / "config.json").read_text())
    write_config(encoder, config | {"architecture": architecture})
    cwd = encoder.parent.parent
    before = contents(cwd)
    done = run_any("train-context-encoder.py", "--dataset", FACES, cwd=cwd)
    assert_refused(done, "checkpoint/context-encoder/config.json: ", words)
    with pytest.raises(UserError) as caught:
        checkpoints.load_context_encoder(str(encoder))
    assert words in str(caught.value)
    assert_one_line(caught.value, encoder)
    assert contents(cwd) == before


@pytest.mark.parametrize("damaged", [{"z_dim": None}, {"gf_dim": 10**9, "image_size": "16"}])
def test_a_damaged_dcgan_is_not_taken_for_an_encoder(
    damaged: dict[str, object], model: Path
) -> None:
    config = json.loads((GOLDEN / "config.json").read_text())
    write_config(model, config | {"architecture": damaged})
    with pytest.raises(UserError, match=r"is a DCGAN's, not a context encoder's"):
        checkpoints.load_context_encoder(str(model))
    with pytest.raises(UserError, match=r"config\.json: "):
        checkpoints.load_model(str(model))


# Of a run: where its config.json is damaged, and by which value (None: it is missing).
RESUMED = {
    "no options": (("options",), None),
    "options as a text": (("options",), "none"),
    "no identity": (("identity",), None),
    "identity without a seed": (("identity", "seed"), None),
    "a textual batch": (("identity", "batch_size"), "8"),
    "no batch": (("identity", "batch_size"), 0),
    "a negative seed": (("identity", "seed"), -1),
    "no data": (("data",), None),
    "data as a number": (("data",), 5),
    "a rate of nothing": (("options", "learning_rate"), 0),
    "a textual rate": (("options", "learning_rate"), "fast"),
    "a textual limit": (("options", "max_pixels"), "many"),
    "an unknown precision": (("options", "precision_used"), "float8"),
    "a flip that is no switch": (("options", "flip"), "yes"),
}
RESUMED_DCGANS = {"an unknown augmentation": (("options", "diffaugment"), ["blur"])}
RESUMED_ENCODERS = {
    "no warm-up": (("options", "warmup_steps"), 0),
    "a fractional warm-up": (("options", "warmup_steps"), 2.5),
}


@pytest.mark.parametrize(
    ("script", "case"),
    [("train-dcgan.py", case) for case in RESUMED | RESUMED_DCGANS]
    + [("train-context-encoder.py", case) for case in RESUMED | RESUMED_ENCODERS],
)
def test_the_config_of_a_run_to_resume_is_checked(
    script: str, case: str, encoder: Path, run_any: Run
) -> None:
    dcgan = encoder.parent
    folder = dcgan if script == "train-dcgan.py" else encoder
    (*outer, last), value = (RESUMED | RESUMED_DCGANS | RESUMED_ENCODERS)[case]
    config = json.loads((folder / "config.json").read_text())
    place = config
    for name in outer:
        place = place[name]
    place[last] = value
    if value is None:
        del place[last]
    write_config(folder, config)
    before = contents(dcgan.parent)
    done = run_any(script, "--dataset", FACES, cwd=dcgan.parent)
    path = (folder / "config.json").relative_to(dcgan.parent)
    assert_refused(done, f"{path}: ", last, "run to resume", "--init-from")
    assert contents(dcgan.parent) == before
    # Who only uses the model needs nothing of it.
    assert values_of(dcgan)


# --- folders that lead elsewhere ---

STATES = {
    "above": 'model_checkpoint_path: "../elsewhere/ckpt-600"',
    "absolute": 'model_checkpoint_path: "{}/elsewhere/ckpt-600"',
    "an older one": (
        'model_checkpoint_path: "ckpt-600"\nall_model_checkpoint_paths: "../elsewhere/ckpt-600"'
    ),
    "below": 'model_checkpoint_path: "below/ckpt-600"',
}


@pytest.mark.parametrize("case", STATES)
def test_a_list_of_checkpoints_that_leads_out_of_its_folder_is_refused(
    case: str, model: Path, run_any: Run
) -> None:
    for other in (model.parent / "elsewhere", model / "below"):
        shutil.copytree(GOLDEN, other)
    (model / "checkpoint").write_text(STATES[case].format(model.parent))
    before = contents(model.parent)
    for script, *arguments in (
        ("sample-dcgan.py",),
        ("train-dcgan.py", "--dataset", FACES),
        ("train-context-encoder.py", "--dataset", FACES),
    ):
        done = run_any(script, *arguments, cwd=model.parent)
        assert_refused(done, "checkpoint/checkpoint: names a checkpoint in another folder")
    assert contents(model.parent) == before


def test_a_list_of_checkpoints_in_absolute_paths_is_followed_into_its_own_folder(
    model: Path,
) -> None:
    (model / "checkpoint").write_text(f'model_checkpoint_path: "{model}/{PREFIX}"\n')
    assert checkpoints.find_checkpoint(str(model))[0] == str(model / PREFIX)


@pytest.mark.parametrize("content", [b"", b"junk", b"\xff\xfe", b'model_checkpoint_path: "'])
def test_a_damaged_list_of_checkpoints_is_not_taken_for_none(
    content: bytes, model: Path, run_any: Run
) -> None:
    (model / "checkpoint").write_bytes(content)
    before = contents(model.parent)
    done = run_any("train-dcgan.py", "--dataset", FACES, cwd=model.parent)
    assert_refused(done, "checkpoint/checkpoint: is damaged", "another folder")
    assert contents(model.parent) == before
    assert checkpoints.find_checkpoint(str(model / PREFIX))  # named itself


def test_damaged_sums_are_refused(model: Path) -> None:
    for text in ("\n", "no sums", f"{64 * '0'}  ../x", f"{64 * '0'}  a/b", f"{64 * '0'}  ", "\xff"):
        (model / "SHA256SUMS").write_bytes(text.encode("latin-1"))
        with pytest.raises(UserError, match="SHA256SUMS: is not a list"):
            checkpoints.load_model(str(model))


# --- nothing is executed ---

# A checkpoint of TensorFlow is a table of tensors and a graph of objects' names, and config.json
# is JSON: neither can hold code, as a pickle or a Keras model with a Lambda layer can. So a load
# may execute, compile, import or start nothing that was not there before: Python tells of all of
# it by audit events. They are looked at in a process of its own, since hooks cannot be removed.
AUDITED = """
import os, sys
from dcgan_completion import checkpoints
checkpoints.load_model(sys.argv[1])  # whatever TensorFlow imports late is imported now
os.chdir(sys.argv[2])
seen, opened = [], []
WATCHED = ("exec", "compile", "import", "marshal", "pickle", "ctypes", "os.system", "os.exec",
           "os.posix_spawn", "os.spawn", "os.fork", "subprocess", "socket", "code.__new__")
def hook(event, arguments):
    if event.startswith(WATCHED):
        seen.append((event, repr(arguments)[:300]))
    elif event == "open":
        opened.append(str(arguments[0]))
sys.addaudithook(hook)
checkpoints.load_model(sys.argv[2])
found = [(event, what) for event, what in seen if event != "exec" or sys.argv[2] in what]
for event, what in found:
    print(event, what)
print("opened", sorted({os.path.basename(p) for p in opened if os.path.dirname(p) == sys.argv[2]}))
"""


def test_nothing_in_a_models_folder_is_executed(model: Path) -> None:
    runs.write_sums(str(model))
    for name in ("__init__.py", "sitecustomize.py", "model.py", "numpy.py", "config.py"):
        (model / name).write_text("raise SystemExit('executed')\n")
    (model / "saved_model.pb").write_bytes(b"\x80\x04c__builtin__\nexit\n")
    (model / "weights.pkl").write_bytes(b"cbuiltins\nexit\n(tR.")
    done = subprocess.run(
        [sys.executable, "-c", AUDITED, str(GOLDEN), str(model)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    *executed, opened = done.stdout.splitlines()
    assert executed == []
    # TensorFlow reads the checkpoint itself in C++, of which Python does not tell.
    assert opened == f"opened {sorted(['SHA256SUMS', *PARTS])}"
