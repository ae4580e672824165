"""The readers of files over generated contents: what they return is right, or it is a UserError."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from helpers import ROOT, load_picture
from hypothesis import strategies as some
from PIL import Image

from dcgan_completion import checkpoints, runs, utils
from dcgan_completion.completion import input_images
from dcgan_completion.completion.output_folder import CompletionFolder
from dcgan_completion.devices import Precision
from dcgan_completion.encoders import ContextEncoder, count_encoder_weights
from dcgan_completion.evaluation import reference
from dcgan_completion.evaluation.embeddings import EmbeddingCache
from dcgan_completion.evaluation.results_folder import ResultsFolder
from dcgan_completion.faces import report
from dcgan_completion.masks import files
from dcgan_completion.model import DCGAN, count_weights
from dcgan_completion.photo_encoder import count_photo_encoder_weights
from dcgan_completion.resuming import earlier_precision
from dcgan_completion.settings import training as training_settings
from dcgan_completion.training import logs
from dcgan_completion.training import run as training_run
from dcgan_completion.utils import UserError

FACE = Image.fromarray(load_picture(ROOT / "tests" / "golden" / "faces" / "face-3-00000.png"))
CONFIG = json.loads((ROOT / "tests" / "golden" / "checkpoint" / "config.json").read_text())
ENCODER = {"image_size": 16, "channels": 3, "width": 4}
PHOTO_ENCODER = ENCODER | {"first_size": 16}


def inputs(few: int, many: int) -> pytest.MarkDecorator:
    """Parametrizes a test by how many inputs it generates: few, or many in make test-all."""
    slow = pytest.param(many, marks=pytest.mark.slow)
    return pytest.mark.parametrize("number", [few, slow])


def meet(check: Callable[..., None], number: int, **strategies: some.SearchStrategy[Any]) -> None:
    """Checks so many generated inputs, the same in every run."""
    same = hypothesis.settings(
        max_examples=number,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    same(hypothesis.given(**strategies)(check))()


def refusal_of(path: Path | str, error: UserError) -> str:
    """The text of an error, which names the file, or the folder it is in, in one short line."""
    text = str(error)
    assert str(path) in text
    assert len(text.splitlines()) == 1
    assert len(text) < 600 + 2 * len(str(path))
    return text


# --- contents ---


def encodings() -> dict[str, bytes]:
    """A face in all formats that are read, and in some that are not."""
    pictures = {
        "rgb": FACE,
        "alpha": FACE.convert("RGBA"),
        "palette": FACE.quantize(8),
        "sixteen": Image.fromarray(257 * np.asarray(FACE.convert("L")).astype(np.uint16)),
        "float": Image.fromarray(np.asarray(FACE.convert("L"), np.float32)),
        "cmyk": FACE.convert("CMYK"),
    }
    exif = Image.Exif()
    exif[274] = 6
    found = {}
    for name, picture in pictures.items():
        for kind in (*utils.FORMATS, "EPS", "ICO", "TGA"):
            file = io.BytesIO()
            try:
                picture.save(file, kind, exif=exif)
            except (OSError, ValueError, KeyError):
                continue
            found[f"{name} {kind}"] = file.getvalue()
    return found


ENCODED = encodings()


@some.composite
def damaged(draw: some.DrawFn, wholes: tuple[bytes, ...]) -> bytes:
    """One of some contents with bytes changed, cut out or put in; more of them at its head."""
    data = bytearray(draw(some.sampled_from(wholes)))
    for _ in range(draw(some.integers(0, 6))):
        last = draw(some.sampled_from([min(len(data), 64), len(data)]))
        place = draw(some.integers(0, last))
        length = draw(some.sampled_from([0, 1, 1, 2, 4, 30]))
        new = draw(some.binary(max_size=4) if length != 1 else some.binary(min_size=1, max_size=1))
        data[place : place + length] = new
    if draw(some.integers(0, 3)) == 0:
        del data[draw(some.integers(0, len(data))) :]
    return bytes(data)


JSON = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.integers(0, 200)
    | some.floats()
    | some.text(max_size=5)
    | some.sampled_from([16, 64, 1, 3, 10**30, -1, "auto", "bfloat16", "float32"]),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=3), inner),
    max_leaves=6,
)


@some.composite
def altered(draw: some.DrawFn, whole: dict[str, Any], depth: int = 2) -> Any:
    """A JSON object of which some values are others, or gone, at some depth, and keys added."""
    copy = json.loads(json.dumps(whole))
    for _ in range(draw(some.integers(1, 3))):
        place = copy
        for _ in range(draw(some.integers(0, depth - 1))):
            inner = [key for key, value in place.items() if isinstance(value, dict) and value]
            if inner:
                place = place[draw(some.sampled_from(inner))]
        keys = sorted(place) or ["x"]
        key = draw(some.sampled_from(keys) | some.text(max_size=3))
        if draw(some.booleans()):
            place[key] = draw(JSON)
        else:
            place.pop(key, None)
    return copy


# --- images ---


@inputs(200, 2500)
def test_images(number: int, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    texts = set()

    def check(data: bytes, channels: int) -> None:
        path.write_bytes(data)
        try:
            image = utils.load_image(path, channels)
        except UserError as error:
            texts.add(refusal_of(path, error))
        else:
            height, width, _ = image.shape
            assert image.shape == (height, width, channels)
            assert image.dtype == np.uint8
            assert 0 < height * width <= 10_000
            assert utils.crop_and_resize(image, 16).shape == (16, 16, channels)

    contents = damaged(tuple(ENCODED.values())) | some.binary(max_size=200)
    meet(check, number, data=contents, channels=some.sampled_from([1, 3]))
    assert len(texts) > 5


@inputs(60, 600)
def test_inputs_and_masks(number: int, tmp_path: Path) -> None:
    path = str(tmp_path / "a.png")
    pattern = Image.fromarray(np.kron(np.eye(4), np.full([4, 4], 255)).astype(np.uint8))
    for name, picture in (("gray", pattern), ("alpha", pattern.convert("RGBA"))):
        file = io.BytesIO()
        picture.save(file, "PNG")
        ENCODED[f"mask {name}"] = file.getvalue()

    def check(data: bytes) -> None:
        Path(path).write_bytes(data)
        try:
            input_images.check_image(path, 16, True)
            hole = files.read_square(path, 16)
        except UserError as error:
            refusal_of(path, error)
        else:
            assert (hole.shape, hole.dtype) == ((16, 16), bool)
            assert not hole.all()

    masks = tuple(value for name, value in ENCODED.items() if name.startswith("mask"))
    meet(check, number, data=damaged(masks) | damaged(tuple(ENCODED.values())))


# --- models and runs ---


@pytest.mark.parametrize("network", checkpoints.TRAINED_BY)
@inputs(150, 1500)
def test_a_models_config(number: int, network: str, tmp_path: Path) -> None:
    architecture, count = {
        "DCGAN": (CONFIG["architecture"], count_weights),
        "context encoder": (ENCODER, count_encoder_weights),
        "photo encoder": (PHOTO_ENCODER, count_photo_encoder_weights),
    }[network]
    for name in ("checkpoint", "ckpt-600.index", "ckpt-600.data-00000-of-00001"):
        (tmp_path / name).symlink_to(ROOT / "tests" / "golden" / "checkpoint" / name)
    path = tmp_path / "config.json"

    def check(text: str) -> None:
        path.write_text(text)
        try:
            _, config = checkpoints.find_checkpoint(str(tmp_path), network=network)
        except UserError as error:
            refusal_of(tmp_path, error)
        else:
            sizes = config["architecture"]
            assert all(type(value) is int and value > 0 for value in sizes.values())
            assert 4 * count(**sizes) <= 2**31
            assert sizes["image_size"] in (16, 32, 64, 128)

    whole = {"program": CONFIG["program"], "architecture": architecture}
    meet(check, number, text=(altered(whole) | JSON).map(json.dumps) | some.text())


def encoder_config(classes: training_settings.OptionClasses) -> dict[str, Any]:
    """What an encoder's config.json tells of its run, of the default settings."""
    options: dict[str, Any] = {"precision_used": "float32"}
    for settings in (classes.rules, classes.data, classes.precision, classes.run):
        options |= dataclasses.asdict(settings())
    identity = {name: options[name] for name in training_settings.IDENTITY}
    return {"options": options, "identity": identity, "data": CONFIG["data"]}


@pytest.mark.parametrize("network", checkpoints.TRAINED_BY)
@inputs(150, 1500)
def test_the_config_of_a_run_to_resume(number: int, network: str, tmp_path: Path) -> None:
    classes = training_settings.OPTIONS
    whole = {n: v for n, v in CONFIG.items() if n in ("options", "identity", "data")}
    whole["options"] = {
        name: value for name, value in CONFIG["options"].items() if not name.endswith("_dir")
    }
    whole["architecture"] = CONFIG["architecture"]
    if network != "DCGAN":
        classes, architecture = {
            "context encoder": (training_settings.ENCODER_OPTIONS, ENCODER),
            "photo encoder": (training_settings.PHOTO_ENCODER_OPTIONS, PHOTO_ENCODER),
        }[network]
        whole = encoder_config(classes) | {"architecture": architecture}
    resolved = 0

    def check(config: Any) -> None:
        nonlocal resolved
        config |= {"architecture": whole["architecture"]}
        try:
            training_run.check_config(config, "config.json", classes)
        except UserError as error:
            refusal_of("config.json", error)
            return
        options = config["options"] | config["identity"]
        rules = training_run.from_values(classes.rules, options)
        assert all(isinstance(v, str) for v in getattr(rules, "diffaugment", ()))
        assert type(getattr(rules, "warmup_steps", 1)) is int
        assert isinstance(rules.seed, int)
        assert rules.learning_rate > 0
        assert 0 <= rules.average_decay < 1
        precision = training_run.resolve_precision({}, config)
        assert precision.used in ("float32", "bfloat16")
        resolved += 1

    configs = altered(whole).filter(lambda c: isinstance(c, dict))
    meet(check, number, config=configs)
    assert resolved > number / 20


@inputs(60, 600)
def test_lists_of_checkpoints_and_sums(number: int, tmp_path: Path) -> None:
    golden = ROOT / "tests" / "golden" / "checkpoint"
    for name in ("ckpt-600.index", "ckpt-600.data-00000-of-00001"):
        (tmp_path / name).symlink_to(golden / name)
    state, sums = (golden / "checkpoint").read_bytes(), b"0" * 64 + b"  ckpt-600.index\n"

    def check(listed: bytes, summed: bytes) -> None:
        (tmp_path / "checkpoint").write_bytes(listed)
        (tmp_path / "SHA256SUMS").write_bytes(summed)
        try:
            if checkpoints.holds_checkpoint(str(tmp_path)):
                assert b"ckpt-600" in listed
            runs.check_sums(str(tmp_path))
        except UserError as error:
            refusal_of(tmp_path, error)

    climbing = b'model_checkpoint_path: "../ckpt-1"'
    meet(
        check,
        number,
        listed=damaged((state, climbing)) | some.binary(max_size=60),
        summed=damaged((sums, b"")),
    )


# --- earlier results ---


@inputs(100, 1000)
def test_the_reports_of_earlier_runs(
    number: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    landmarks = "outerEyesAndNose"
    whole = ",".join(report.COLUMNS) + "\r\n"
    for row in ("a.png,aligned,a.png,1", "b/c.png,no face,,0", '"d, e.png",unreadable,,0'):
        whole += f"{row},,,,64,{landmarks}\r\n"
    path = tmp_path / "report.csv"

    def check(data: bytes) -> None:
        path.write_bytes(data)
        try:
            rows = report.read_report(str(path), 64, landmarks)
        except UserError as error:
            refusal_of(path, error)
        else:
            assert all((row.size, row.landmarks) == (64, landmarks) for row in rows.values())
            assert all("/" not in row.output for row in rows.values())

    meet(check, number, data=damaged((whole.encode(),)) | some.binary(max_size=40))
    caplog.clear()
    check(whole.replace("no face", "no fate").encode())
    assert "1 damaged rows are lost" in caplog.text


@inputs(100, 1000)
def test_the_tables_of_earlier_runs(number: int, tmp_path: Path) -> None:
    columns = ["step", "epoch", "d_loss", "g_loss"]
    rows = "".join(f"{i},1,0.{i},1.5\r\n" for i in range(1, 9))
    path = tmp_path / "scalars.csv"

    def check(data: bytes) -> None:
        path.write_bytes(data)
        try:
            logs.keep_rows(str(path), columns, 6)
        except UserError as error:
            refusal_of(path, error)
        else:
            head, *kept = (line.split(",") for line in path.read_text("utf-8").splitlines())
            assert head == columns
            assert all(len(row) == 4 and 0 < int(row[0]) <= 6 for row in kept)
            logs.keep_rows(str(path), columns, 6)  # and once more

    whole = (",".join(columns) + "\r\n" + rows).encode()
    meet(check, number, data=damaged((whole, whole, b"")) | some.binary(max_size=40))


@inputs(60, 600)
def test_the_records_of_earlier_completions(number: int, tmp_path: Path) -> None:
    out = CompletionFolder(str(tmp_path))
    whole = {
        "program": runs.PROGRAM,
        "options": {"seed": 0, "precision": "auto", "precision_used": "float32"},
        "completion": {"finished": False},
    }
    table = "input,output,contextual,perceptual,total\r\na.png,a.png,1.5,2,3\r\nb,b.png,1,2,3\r\n"

    def check(text: str, data: bytes) -> None:
        (tmp_path / "config.json").write_text(text)
        (tmp_path / "results.csv").write_bytes(data)
        try:
            earlier = out.unfinished_options()
            if earlier is None:
                return
            asked = Precision("auto", "float32")
            before = earlier_precision(earlier, {"seed": 0}, asked)
            assert before is None or before.used in ("auto", "float32", "bfloat16")
            out.resume({})
        except UserError as error:
            refusal_of(tmp_path, error)
        else:
            assert all(isinstance(path, str) for path in out.done)

    meet(
        check,
        number,
        text=altered(whole).map(json.dumps) | some.just(json.dumps(whole)),
        data=damaged((table.encode(),)),
    )


@inputs(100, 1000)
def test_caches_and_results_of_evaluations(number: int, tmp_path: Path) -> None:
    cache, image = EmbeddingCache(str(tmp_path / "cache")), np.zeros([16, 16, 3], np.uint8)
    cache.put(image, np.arange(129, dtype=np.float32))
    (stored,) = (tmp_path / "cache").rglob("*.npy")
    metrics = {name: [1.0, None] for name in reference.MEASURED}
    figures, results = {"figures": metrics}, {"program": runs.PROGRAM, "finished": True}
    (tmp_path / "out").mkdir()

    def check(row: bytes, known: str, result: str) -> None:
        stored.write_bytes(row)
        found = cache.get(image)
        assert found is None or (found.shape == (129,) and np.isfinite(found).all())
        (tmp_path / "known.json").write_text(known)
        read = reference._read(str(tmp_path / "known.json"), 2)
        assert read is None or all(values.shape == (2,) for values in read.values())
        (tmp_path / "out" / "results.json").write_text(result)
        with pytest.raises(UserError) as caught:
            ResultsFolder(str(tmp_path / "out"), overwrite=False)
        refusal_of(tmp_path / "out", caught.value)

    meet(
        check,
        number,
        row=damaged((stored.read_bytes(), b"PK\x03\x04" + bytes(40))),
        known=(altered(figures) | JSON).map(json.dumps) | some.text(),
        result=(altered(results) | JSON).map(json.dumps) | some.text(),
    )


@inputs(40, 400)
def test_weights_are_counted_as_they_are_made(number: int) -> None:
    def check(image_size: int, channels: int, z_dim: int, gf_dim: int, df_dim: int) -> None:
        sizes = {
            "image_size": image_size,
            "channels": channels,
            "z_dim": z_dim,
            "gf_dim": gf_dim,
            "df_dim": df_dim,
        }
        model = DCGAN(**sizes)
        made = sum(int(np.prod(v.shape)) for net in (model.g, model.d) for v in net.values())
        assert count_weights(**sizes) == made

    width = some.integers(1, 5)
    meet(
        check,
        number,
        image_size=some.sampled_from([16, 32, 64, 128]),
        channels=some.sampled_from([1, 3]),
        z_dim=width,
        gf_dim=width,
        df_dim=width,
    )


@inputs(40, 400)
def test_an_encoders_weights_are_counted_as_they_are_made(number: int) -> None:
    def check(image_size: int, channels: int, width: int) -> None:
        sizes = {"image_size": image_size, "channels": channels, "width": width}
        made = sum(int(np.prod(v.shape)) for v in ContextEncoder(**sizes).e.values())
        assert count_encoder_weights(**sizes) == made

    meet(
        check,
        number,
        image_size=some.sampled_from([16, 32, 64, 128]),
        channels=some.sampled_from([1, 3]),
        width=some.integers(1, 9),
    )
