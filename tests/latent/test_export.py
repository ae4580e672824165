"""export.py: other programs compute the same with an exported model as the toolkit does."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from helpers import ROOT, Run, assert_refused, contents, load_picture, save_encoder

from dcgan_completion import checkpoints, utils
from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.export import formats as export_formats
from dcgan_completion.export import networks as export_networks
from dcgan_completion.export import run as export_run
from dcgan_completion.inpaint.estimator import Estimator
from dcgan_completion.masks.mask import Mask
from dcgan_completion.model import DCGAN
from dcgan_completion.photo_encoder import NOISE, PhotoEncoder
from dcgan_completion.settings.export import EXTRAS
from dcgan_completion.utils import UserError

SCRIPT = "export.py"
SHIPPED = ROOT / "data" / "pretrained"
EXAMPLE = ROOT / "docs" / "examples" / "complete-with-tensorflow.py"
Z_DIM = 8
CLOSE = {"": 1e-4, "-float16": 1e-2}  # in [-1, 1]
LEVELS = {"": 1, "-float16": 2}
# Of each network: the SavedModel's signature, its inputs, its output.
NETWORKS = {
    "generator": ("generate", ["z"], "images"),
    "discriminator": ("discriminate", ["images"], "logits"),
    "context-encoder": ("estimate", ["images", "mask"], "estimates"),
    "photo-encoder": ("draw_heads", ["images", "mask", "noise"], "heads"),
}

Arrays = dict[str, np.ndarray]


def needs(name: str) -> pytest.MarkDecorator:
    """Skips a test where a format's packages are not installed."""
    missing = [p for module, p in EXTRAS[name].items() if not importlib.util.find_spec(module)]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


FORMATS = ["savedmodel", *(pytest.param(name, marks=needs(name)) for name in EXTRAS)]


@pytest.fixture(scope="module")
def source(vivid: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `vivid` with an encoder whose estimates are means of two, with another one for
    photos, and a licence."""
    folder = Path(shutil.copytree(vivid, tmp_path_factory.mktemp("source") / "checkpoint"))
    own = save_encoder(ContextEncoder(image_size=16, width=4, seed=1), folder)
    config = json.loads((own / "config.json").read_text())
    (own / "config.json").write_text(json.dumps(config | {"options": {"flip": True}}))
    save_encoder(PhotoEncoder(image_size=16, width=4, first_size=16), folder, "photo-encoder")
    (folder / "LICENSE").write_text("not for sale")
    return folder


def inputs(size: int, z_dim: int, number: int) -> Arrays:
    """Latents, images in [-1, 1] and masks, 1 = known."""
    rng = np.random.default_rng(number)
    z = rng.uniform(-1, 1, [number, z_dim]).astype(np.float32)
    images = utils.to_signed(rng.integers(0, 256, [number, size, size, 3], np.uint8))
    return {
        "z": z,
        "images": images,
        "mask": np.float32(rng.uniform(size=images.shape) < 0.5)[..., :1],
        "noise": rng.standard_normal([number, NOISE]).astype(np.float32),
    }


def ours(folder: Path, values: Arrays) -> Arrays:
    """What the toolkit's own functions make of inputs, by network."""
    model, prefix = checkpoints.load_model(str(folder))
    encoder, _ = checkpoints.load_context_encoder(checkpoints.encoder_folder(prefix))
    assert encoder.symmetric
    drawing, _ = checkpoints.load_photo_encoder(str(folder / "photo-encoder"))
    images, mask = utils.to_uint8(values["images"]), Mask(values["mask"] == 0)
    return {
        "generator": model.generator(tf.constant(values["z"])).numpy(),
        "pixels": checkpoints.generate(model, values["z"]),
        "discriminator": model.discriminator(tf.constant(values["images"])).numpy(),
        "context-encoder": Estimator(encoder, batch_size=len(images)).estimate(images, mask),
        "photo-encoder": drawing.estimate(*map(values.get, NETWORKS["photo-encoder"][1])).numpy(),
    }


# --- what runs an export: network, file name's suffix, inputs -> its output ---


def call(folder: Path, name: str, **values: np.ndarray) -> Arrays:
    loaded = tf.saved_model.load(str(folder))  # holds the weights
    outputs = loaded.signatures[name](**{key: tf.constant(value) for key, value in values.items()})
    return {key: value.numpy() for key, value in outputs.items()}


def run_savedmodel(folder: Path, network: str, _kind: str, values: Arrays) -> np.ndarray:
    name, _, output = NETWORKS[network]
    return call(folder, name, **values)[output]


def run_tflite(folder: Path, network: str, kind: str, values: Arrays) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(folder / f"{network}{kind}.tflite"))
    details = {
        d["name"].split("_")[-1].split(":")[0]: d["index"] for d in interpreter.get_input_details()
    }
    assert set(details) == set(values)
    for key, value in values.items():
        interpreter.resize_tensor_input(details[key], value.shape)
    interpreter.allocate_tensors()
    for key, value in values.items():
        interpreter.set_tensor(details[key], value)
    interpreter.invoke()
    (output,) = interpreter.get_output_details()
    return interpreter.get_tensor(output["index"])


def run_onnx(folder: Path, network: str, _kind: str, values: Arrays) -> np.ndarray:
    import onnx
    import onnxruntime

    path = str(folder / f"{network}.onnx")
    onnx.checker.check_model(path, full_check=True)
    (opset,) = [o.version for o in onnx.load(path).opset_import if o.domain == ""]
    assert opset >= 17
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert all(x.shape[0] == "N" for x in (*session.get_inputs(), *session.get_outputs()))
    (found,) = session.run(None, values)
    return found


Runner = Callable[[Path, str, str, Arrays], np.ndarray]
RUNNERS: dict[str, tuple[Runner, tuple[str, ...], tuple[str, ...]]] = {
    "savedmodel": (run_savedmodel, tuple(NETWORKS), ("",)),
    "tflite": (run_tflite, ("generator", "context-encoder", "photo-encoder"), ("", "-float16")),
    "onnx": (run_onnx, tuple(NETWORKS), ("",)),
}


def check_export(name: str, source: Path, folder: Path, size: int, z_dim: int) -> None:
    """Compares all networks of an export with the toolkit's."""
    runner, networks, kinds = RUNNERS[name]
    for number in (1, 7):
        values = inputs(size, z_dim, number)
        wanted = ours(source, values)
        for network in networks:
            given = {key: values[key] for key in NETWORKS[network][1]}
            for kind in kinds:
                found = runner(folder, network, kind, given)
                assert found.shape == wanted[network].shape
                assert found.dtype == np.float32
                if network == "discriminator":
                    np.testing.assert_allclose(found, wanted[network], rtol=1e-4, atol=1e-4)
                    continue
                assert np.abs(found - wanted[network]).max() <= CLOSE[kind]
                levels = utils.to_uint8(found).astype(int) - utils.to_uint8(wanted[network])
                assert np.abs(levels).max() <= LEVELS[kind]
        if name == "savedmodel":
            pixels = call(folder, "generate", z=values["z"])["pixels"]
            assert pixels.dtype == np.uint8
            assert np.abs(pixels.astype(int) - wanted["pixels"]).max() <= 1


@pytest.mark.parametrize("name", FORMATS)
def test_an_export_computes_what_we_do_and_is_recorded(
    name: str, source: Path, run_here: Run, tmp_path: Path
) -> None:
    done = run_here("--format", name, "--checkpoint-dir", source, "model", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    folder = tmp_path / "model"
    check_export(name, source, folder, 16, Z_DIM)
    _, networks, kinds = RUNNERS[name]
    files = {f"{network}{kind}.{name}" for network in networks for kind in kinds}
    if name == "savedmodel":
        signatures = ("generate", "discriminate", "completion_loss", "estimate", "draw_heads")
        files = {f"signature {signature}" for signature in signatures}
    else:
        assert {path.name for path in folder.iterdir()} == files | {"LICENSE", "config.json"}
    text = (folder / "config.json").read_text()
    config = json.loads(text)
    assert (config["program"], config["format"]) == ("dcgan-completion", name)
    assert (config["checkpoint"], config["architecture"]["z_dim"]) == ("ckpt-11", Z_DIM)
    assert set(config["networks"]) == files
    assert str(tmp_path) not in text
    assert (folder / "LICENSE").read_text() == "not for sale"


# --- SavedModel ---


@pytest.fixture(scope="module")
def saved(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    export_run.export("savedmodel", str(source), str(folder))
    return folder


def test_its_completion_loss_is_the_papers(saved: Path) -> None:
    values = inputs(16, Z_DIM, 3)
    del values["noise"]
    made = np.float64(call(saved, "generate", z=values["z"])["images"])
    logits = np.float64(call(saved, "discriminate", images=np.float32(made))["logits"])
    contextual = np.sum(values["mask"] * np.abs(made - values["images"]), axis=(1, 2, 3))
    perceptual = np.log1p(np.exp(-logits))
    for lam in (0.0, 0.1, 7.0):
        found = call(saved, "completion_loss", **values, lam=np.float32(lam))
        np.testing.assert_allclose(found["contextual"], contextual, rtol=1e-4)
        np.testing.assert_allclose(found["perceptual"], perceptual, rtol=1e-3, atol=1e-5)
        total = contextual + lam * perceptual
        np.testing.assert_allclose(found["total"], total, rtol=1e-4)


def test_its_gradient_is_that_of_finite_differences(saved: Path) -> None:
    loaded = tf.saved_model.load(str(saved))
    loss = loaded.signatures["completion_loss"]
    z, images, mask, _ = inputs(16, Z_DIM, 2).values()
    rng = np.random.default_rng(5)
    # Far from the images, so that no |G(z) - image| changes its sign on the way.
    images = np.float32(np.where(images > 0, 1.5, -1.5))
    lam, step = tf.constant(2.0), 2e-4  # kinks of ReLU are farther apart

    def total(z: np.ndarray) -> np.ndarray:
        found = loss(z=tf.constant(np.float32(z)), images=images, mask=mask, lam=lam)
        return found["total"].numpy().astype(np.float64)

    gradient = loss(z=tf.constant(z), images=images, mask=mask, lam=lam)["gradient"].numpy()
    assert gradient.shape == z.shape
    for _ in range(4):
        direction = rng.normal(size=z.shape)
        slope = (total(z + step * direction) - total(z - step * direction)) / (2 * step)
        expected = np.sum(gradient * direction, axis=1)
        scale = np.linalg.norm(gradient, axis=1) * np.linalg.norm(direction, axis=1)
        assert (np.abs(slope - expected) < 0.02 * scale).all()


def test_a_signature_can_be_differentiated(saved: Path, model: DCGAN) -> None:
    loaded = tf.saved_model.load(str(saved))
    z, images, *_ = (tf.constant(value) for value in inputs(16, Z_DIM, 2).values())
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([z, images])
        distances = (loaded.signatures["generate"](z=z)["images"] - images) ** 2
        ours = (model.generator(z) - images) ** 2
        logits = loaded.signatures["discriminate"](images=images)["logits"]
        our_logits = model.discriminator(images)
    for found, wanted, by in ((distances, ours, z), (logits, our_logits, images)):
        gradients = tape.gradient(found, by), tape.gradient(wanted, by)
        np.testing.assert_allclose(*gradients, rtol=1e-3, atol=1e-3)


def test_the_example_completes_a_face_without_our_code(
    saved: Path, model: DCGAN, tmp_path: Path
) -> None:
    code = [line for line in EXAMPLE.read_text().splitlines() if line.strip()]
    body = [line for line in code if not line.startswith(('"""', "python ", "import", "from"))]
    assert len(body) <= 25
    z = np.random.default_rng(77).uniform(-1, 1, [1, Z_DIM])
    face = checkpoints.generate(model, z)[0]
    utils.save_image(tmp_path / "face.png", face)
    # -I: neither the script's folder nor this one is on the path.
    command = [sys.executable, "-I", EXAMPLE, saved, "face.png", "completed.png"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    completed = load_picture(tmp_path / "completed.png").astype(int)
    hole = np.zeros([16, 16], bool)
    hole[4:-4, 4:-4] = True
    np.testing.assert_array_equal(completed[~hole], face[~hole])
    losses = [float(line.split()[-1]) for line in done.stdout.splitlines()]
    assert losses[-1] < losses[0] / 2
    # Nearer to the face than another face is.
    other = checkpoints.generate(model, -z)[0].astype(int)
    error, others = (np.abs(image - face)[hole].mean() for image in (completed, other))
    assert error < others / 2


def test_without_an_encoder_there_is_no_estimate(
    vivid: Path, run_here: Run, tmp_path: Path
) -> None:
    done = run_here("--checkpoint-dir", vivid, "model", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    names = [line.split(":")[0] for line in done.stdout.splitlines()]
    signatures = ("generate", "discriminate", "completion_loss")
    assert names == [f"model/signature {name}" for name in signatures]
    assert set(tf.saved_model.load(str(tmp_path / "model")).signatures) == set(signatures)
    assert not (tmp_path / "model" / "LICENSE").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


# --- the shipped model ---


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_the_shipped_model_is_exported_with_its_terms(
    name: str, run_here: Run, tmp_path: Path
) -> None:
    done = run_here("--format", name, "model", cwd=tmp_path)  # nothing else is named
    assert done.returncode == 0, done.stderr
    assert "non-commercial research" in done.stdout
    assert (tmp_path / "model" / "LICENSE").read_bytes() == (SHIPPED / "LICENSE").read_bytes()
    check_export(name, SHIPPED, tmp_path / "model", 64, 100)


# --- what is refused ---


@pytest.mark.parametrize("name", EXTRAS)
def test_missing_packages_are_named_before_anything_is_written(
    name: str, run_here: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda module: None if module in EXTRAS[name] else find(module)
    )
    packages = EXTRAS[name].values()
    done = run_here("--format", name, "model", cwd=tmp_path)
    assert_refused(done, f"--format {name}", "requirements-extras.txt", *packages)
    assert contents(tmp_path) == {}


def test_each_mistake_is_one_line_and_leaves_nothing(
    source: Path, run_here: Run, tmp_path: Path
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    before = contents(tmp_path)
    for words, texts in {
        ("there", "--checkpoint-dir", source): ("there: exists", "choose another"),
        ("file", "--checkpoint-dir", source): ("file: exists",),
        ("dangling", "--checkpoint-dir", source): ("dangling: exists",),
        ("new", "--checkpoint-dir", "nothing"): ("--checkpoint-dir nothing", "no checkpoint"),
        ("new", "--format", "checkpoint", "--checkpoint-dir", "no"): ("no", "no checkpoint"),
        ("new", "--checkpoint-dir", source / "context-encoder"): ("not a DCGAN's",),
    }.items():
        assert_refused(run_here(*words, cwd=tmp_path), *texts)
    assert contents(tmp_path) == before


def test_an_encoder_for_other_images_is_refused(vivid: Path, run_here: Run, tmp_path: Path) -> None:
    shutil.copytree(vivid, tmp_path / "checkpoint")
    save_encoder(ContextEncoder(image_size=32, width=4), tmp_path / "checkpoint")
    before = contents(tmp_path)
    assert_refused(run_here("model", cwd=tmp_path), "context-encoder", "for images of 32 pixels")
    assert contents(tmp_path) == before


def test_an_export_that_computes_something_else_is_not_kept(
    vivid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(networks: list[export_networks.Network], folder: str) -> list:
        written = export_formats.write_savedmodel(networks, folder)
        first = written[0]

        def run(inputs: export_networks.Arrays) -> export_networks.Arrays:
            return {
                name: value + value.dtype.type(2e-4) for name, value in first.run(inputs).items()
            }

        return [first._replace(run=run), *written[1:]]

    monkeypatch.setitem(export_formats.WRITERS, "savedmodel", write)
    with pytest.raises(
        UserError, match=r"generate differs from the original by .*nothing was writ"
    ):
        export_run.export("savedmodel", str(vivid), str(tmp_path / "model"))
    assert contents(tmp_path) == {}


def test_differences_are_of_the_largest_value() -> None:
    a = np.array([[0.5, -0.25]], np.float32)
    for other, expected in (
        (a, 0),
        (a + np.float32(0.125), 0.125),
        (a[0], np.inf),
        (a.astype(np.float64), np.inf),
        (a * np.float32(np.nan), np.inf),
    ):
        assert export_networks.difference({"x": other}, {"x": a}) == expected
    assert export_networks.difference({}, {"x": a}) == np.inf
    large = {"x": np.float32([1000, 10])}
    assert export_networks.difference({"x": np.float32([1001, 10])}, large) == pytest.approx(1e-3)
    levels = np.array([7, 200], np.uint8)
    assert export_networks.difference({"x": levels + np.uint8(1)}, {"x": levels}) == 0
    assert export_networks.difference({"x": levels + np.uint8(3)}, {"x": levels}) > 0
