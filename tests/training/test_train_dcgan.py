"""train-dcgan.py as users run it; the --help of every script."""

from __future__ import annotations

import argparse
import csv
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, TINY, Run, assert_refused, contents, load_script, run_script
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from training import run

COLUMNS = ["step", "epoch", "d_loss", "d_loss_real", "d_loss_fake", "g_loss", "d_real", "d_fake"]


# --- helpers ---


def rows_of(log: Path) -> list[list[str]]:
    with open(log / "scalars.csv", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == COLUMNS
    return rows


def tensors(prefix: Path) -> dict[str, np.ndarray]:
    """All of a checkpoint but its own bookkeeping."""
    reader = tf.train.load_checkpoint(str(prefix))
    names = [n for n in reader.get_variable_to_shape_map() if n.endswith("VARIABLE_VALUE")]
    return {name: reader.get_tensor(name) for name in names if not name.startswith("save_counter")}


def newest(folder: Path) -> int:
    """The step of a folder's newest checkpoint."""
    return int(tf.train.latest_checkpoint(str(folder)).rpartition("ckpt-")[2])


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained model's folder."""
    return Path(shutil.copytree(trained, tmp_path / "copy"))


def train_here(run_any: Run, *arguments: object, cwd: Path) -> None:
    done = run_any("train-dcgan.py", *arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr


# --- --help of every script ---

SCRIPTS = (
    "train-dcgan.py",
    "complete.py",
    "evaluate.py",
    "align-dlib.py",
    "sample-dcgan.py",
    "simple-distributions.py",
    "data/draw-faces.py",
)

SLOW_IMPORTS = ("tensorflow", "keras", "dlib", "cv2", "matplotlib", "scipy", "skimage")

# Runs a script as `python script --help`, then tells which of the slow packages were imported.
HELP = f"""
import os, runpy, sys
script = sys.argv[1]
sys.path[0] = os.path.dirname(script)
sys.argv = [script, "--help"]
try:
    runpy.run_path(script, run_name="__main__")
except SystemExit as exit_:
    print("status", exit_.code, [name for name in {SLOW_IMPORTS} if name in sys.modules])
"""


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_imports_nothing_slow_and_shows_two_examples(script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELP, str(ROOT / script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    text, _, last = done.stdout.strip().rpartition("\n")
    assert last == "status 0 []"
    assert done.stderr == ""
    _, _, examples = text.partition("\nexamples:\n")
    lines = examples.replace("\\\n", " ").strip().splitlines()
    assert len(lines) == 2
    parser = load_script(script).build_parser()
    for line in lines:
        command, *arguments = shlex.split(line)
        assert command == f"./{script}"
        parser.parse_args(arguments)


# --- options ---


def parse(*arguments: object) -> argparse.Namespace:
    parser = load_script("train-dcgan.py").build_parser()
    return parser.parse_args(["--dataset", "data", *map(str, arguments)])


DEFAULTS = {
    "epoch": 25,
    "learning_rate": 0.0002,
    "beta1": 0.5,
    "train_size": "all",
    "batch_size": 64,
    "image_size": 64,
    "channels": 3,
    "z_dim": 100,
    "gf_dim": 64,
    "df_dim": 64,
    "g_updates": 2,
    "seed": 0,
    "dataset": ["data"],
    "checkpoint_dir": "checkpoint",
    "sample_dir": "samples",
    "log_dir": "logs",
    "sample_interval": 100,
    "checkpoint_interval": 500,
    "minutes": None,
    "traceback": False,
    "holdout": None,
    "flip": False,
    "diffaugment": [],
    "init_from": None,
    "d_learning_rate": None,
    "decay_epochs": 0.0,
    "label_smoothing": 0.0,
    "average_decay": 0.999,
    "precision": "auto",
    "deterministic": False,
    "sync_batch_norm": False,
    "keep": 5,
}


def test_options_have_the_references_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    args = parse()
    script = load_script("train-dcgan.py")
    fixed, changeable = script.ARCHITECTURE | script.IDENTITY, script.RULES | script.DATA
    assert run.resolve(args, fixed, changeable) is None
    assert args.precision_used in ("float32", "bfloat16")
    del args.precision_used
    assert vars(args) == DEFAULTS


SPELLINGS = {
    "--epoch": (7, "epoch"),
    "--learning_rate": (0.5, "learning_rate"),
    "--learning-rate": (0.5, "learning_rate"),
    "--beta1": (0.25, "beta1"),
    "--train_size": (9, "train_size"),
    "--train-size": ("all", "train_size"),
    "--batch_size": (8, "batch_size"),
    "--batch-size": (8, "batch_size"),
    "--image_size": (32, "image_size"),
    "--image-size": (128, "image_size"),
    "--checkpoint_dir": ("c", "checkpoint_dir"),
    "--checkpoint-dir": ("c", "checkpoint_dir"),
    "--sample_dir": ("s", "sample_dir"),
    "--sample-dir": ("s", "sample_dir"),
    "--log-dir": ("l", "log_dir"),
    "--z-dim": (10, "z_dim"),
    "--gf-dim": (11, "gf_dim"),
    "--df-dim": (12, "df_dim"),
    "--channels": (1, "channels"),
    "--g-updates": (1, "g_updates"),
    "--seed": (0, "seed"),
    "--sample-interval": (13, "sample_interval"),
    "--checkpoint-interval": (14, "checkpoint_interval"),
    "--minutes": (0.5, "minutes"),
    "--holdout": ("names.txt", "holdout"),
    "--diffaugment": ("color,cutout", "diffaugment"),
    "--init-from": ("c", "init_from"),
    "--d-learning-rate": (0.5, "d_learning_rate"),
    "--decay-epochs": (0.5, "decay_epochs"),
    "--label-smoothing": (0.1, "label_smoothing"),
    "--average-decay": (0.0, "average_decay"),
    "--precision": ("float32", "precision"),
    "--keep": (3, "keep"),
}


@pytest.mark.parametrize("flag", SPELLINGS)
def test_options_in_both_spellings(flag: str) -> None:
    value, name = SPELLINGS[flag]
    args = parse(flag, value)
    assert getattr(args, name) == (value.split(",") if flag == "--diffaugment" else value)
    others = {key for key, other in vars(args).items() if other != getattr(parse(), key)}
    assert others <= {name}


def test_several_datasets_are_taken() -> None:
    assert parse("--dataset", "a", "b").dataset == ["a", "b"]


def test_help_states_the_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("--help")
    _, _, text = capsys.readouterr().out.partition("\noptions:\n")
    text = " ".join(text.split())
    for name, default in DEFAULTS.items():
        if default or name in ("seed",):
            if name == "dataset":
                continue
            _, _, after = text.partition(f"--{name.replace('_', '-')}")
            assert f"(default: {default}" in after[:330], name


BAD_VALUES = {
    "--epoch": ("0", "-1", "2.5", "x"),
    "--learning_rate": ("0", "-0.1", "nan", "inf"),
    "--beta1": ("1", "-0.1"),
    "--decay-epochs": ("-1", "nan", "x"),
    "--train_size": ("0", "some"),
    "--batch_size": ("0",),
    "--image_size": ("48", "256", "8", "big"),
    "--channels": ("2", "4"),
    "--z-dim": ("0",),
    "--gf-dim": ("-4",),
    "--df-dim": ("0",),
    "--g-updates": ("0",),
    "--seed": ("-1", "1.5"),
    "--sample-interval": ("0",),
    "--checkpoint-interval": ("0",),
    "--minutes": ("0", "-1"),
    "--diffaugment": ("colour", "blur"),
    "--label-smoothing": ("1", "-0.1"),
    "--average-decay": ("1", "x"),
    "--precision": ("float16",),
    "--keep": ("0",),
}


@pytest.mark.parametrize(
    ("flag", "value"), [(flag, value) for flag, values in BAD_VALUES.items() for value in values]
)
def test_bad_values_are_refused(flag: str, value: str, run_any: Run, tmp_path: Path) -> None:
    done = run_any("train-dcgan.py", "--dataset", ".", f"{flag}={value}", cwd=tmp_path)
    assert_refused(done, flag, value)


def test_bad_command_lines_are_refused(run_any: Run, tmp_path: Path) -> None:
    assert_refused(run_script("train-dcgan.py", cwd=tmp_path, status=2), "--dataset")
    for arguments in (("--epoc", 3), ("--wrong", 3), ("--epoch",)):
        done = run_any("train-dcgan.py", "--dataset", ".", *arguments, cwd=tmp_path)
        assert_refused(done, str(arguments[0]))
    assert list(tmp_path.iterdir()) == []


# --- outputs ---


def test_the_outputs_have_their_names(trained: Path) -> None:
    found = sorted(contents(trained))
    events = [name for name in found if "events.out.tfevents" in name]
    runs = ["discriminator", "generated images", "generator", "real images", "training"]
    assert [name.rpartition("/")[0] for name in events] == [f"logs/{run}" for run in runs]
    data = [f"checkpoint/ckpt-{step}.data-00000-of-00001" for step in (0, 10)]
    index = [f"checkpoint/ckpt-{step}.index" for step in (0, 10)]
    rest = ["checkpoint/checkpoint", "checkpoint/config.json", "logs/scalars.csv"]
    rest += ["logs/losses.png", "logs/losses.pdf"]
    folders = ["checkpoint", "logs", "samples", *(f"logs/{run}" for run in runs)]
    assert found == sorted([*folders, *data, *index, *rest, *events, "samples/train_02_0005.png"])


def test_the_grid_holds_64_pictures(trained: Path) -> None:
    with Image.open(trained / "samples" / "train_02_0005.png") as grid:
        assert (grid.size, grid.mode) == ((8 * 16, 8 * 16), "RGB")
        pictures = np.asarray(grid).reshape(8, 16, 8, 16, 3).swapaxes(1, 2).reshape(64, -1)
    assert len(np.unique(pictures, axis=0)) > 32


def test_the_configuration_is_kept(trained: Path, faces16: Path) -> None:
    config = json.loads((trained / "checkpoint" / "config.json").read_text())
    architecture = {"image_size": 16, "channels": 3, "z_dim": 8, "gf_dim": 4, "df_dim": 4}
    assert config["architecture"] == architecture
    expected = DEFAULTS | architecture | {"dataset": [str(faces16)], "epoch": 2, "batch_size": 8}
    expected["precision_used"] = config["options"]["precision_used"]
    assert config["options"] == expected
    assert config["command"].startswith("train-dcgan.py --dataset ")
    assert config["packages"]["tensorflow"] == tf.__version__


def test_every_step_has_a_row(trained: Path) -> None:
    rows = rows_of(trained / "logs")
    assert [row[:2] for row in rows] == [[str(i), "1" if i <= 5 else "2"] for i in range(1, 11)]
    values = np.array(rows, float)[:, 2:]
    d_loss, d_loss_real, d_loss_fake, g_loss, d_real, d_fake = values.T
    np.testing.assert_allclose(d_loss, d_loss_real + d_loss_fake, rtol=1e-5)
    # Jensen: the mean of -log is at least -log of the mean; after so few steps hardly more.
    for loss, mean in ((d_loss_real, d_real), (d_loss_fake, 1 - d_fake)):
        assert (loss >= -np.log(mean) - 1e-5).all()
        np.testing.assert_allclose(loss, -np.log(mean), rtol=0.05)
    assert ((g_loss > 0) & (g_loss < 5)).all()


def load_events(folder: Path) -> dict[str, EventAccumulator]:
    """TensorBoard's runs below a folder of logs."""
    return {
        path.name: EventAccumulator(str(path), size_guidance={"tensors": 0}).Reload()
        for path in folder.iterdir()
        if path.is_dir()
    }


def numbers(events: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    return [(p.step, float(tf.make_ndarray(p.tensor_proto))) for p in events.Tensors(tag)]


def test_tensorboard_shows_the_losses_in_one_chart(trained: Path) -> None:
    rows = np.array(rows_of(trained / "logs"), float)
    runs = load_events(trained / "logs")
    columns = dict(zip(COLUMNS, rows.T, strict=True))
    kind, output = "loss of the discriminator by kind of image", "mean output of the discriminator"
    for run_name, tag, column in (
        ("discriminator", "loss", "d_loss"),
        ("generator", "loss", "g_loss"),
        ("real images", kind, "d_loss_real"),
        ("generated images", kind, "d_loss_fake"),
        ("real images", output, "d_real"),
        ("generated images", output, "d_fake"),
    ):
        points = numbers(runs[run_name], f"DCGAN/{tag}")
        assert [step for step, _ in points] == list(range(1, 11))
        np.testing.assert_allclose([v for _, v in points], columns[column], rtol=1e-5)


def test_tensorboard_reads_the_log(trained: Path) -> None:
    events = load_events(trained / "logs")["training"]
    kinds: dict[str, set[str]] = {}
    for tag in events.Tags()["tensors"]:
        plugin = events.SummaryMetadata(tag).plugin_data.plugin_name
        kinds.setdefault(plugin, set()).add(tag)
    assert kinds["histograms"] == {"DCGAN/z", "DCGAN/D(x)", "DCGAN/D(G(z))"}
    assert kinds["images"] == {"DCGAN/samples", "DCGAN/training images"}
    assert set(kinds) == {"histograms", "images", "text"}

    (picture,) = events.Tensors("DCGAN/samples")
    width, height, png = tf.make_ndarray(picture.tensor_proto)
    assert (picture.step, int(width), int(height)) == (10, 128, 128)
    assert (
        tf.io.decode_png(png).numpy().tolist()
        == np.asarray(Image.open(trained / "samples" / "train_02_0005.png")).tolist()
    )

    (tag,) = kinds["text"]
    text = tf.make_ndarray(events.Tensors(tag)[0].tensor_proto).item().decode()
    config = json.loads((trained / "checkpoint" / "config.json").read_text())
    assert json.loads(text.strip("`\n")).items() <= config.items()
    assert json.loads(text.strip("`\n"))["options"] == config["options"]
    assert events.Tags()["graph"]
    operations = {node.op for node in events.Graph().node}
    for function in events.Graph().library.function:
        operations |= {node.op for node in function.node_def}
    assert {"Conv2D", "MatMul", "Tanh"} <= operations


# --- resuming ---

# In the reference's spelling, and with intervals: neither may change what is learned.
STRAIGHT = (
    *("--epoch", 4, "--learning_rate", 0.0002, "--beta1", 0.5, "--train_size", "all"),
    *("--batch_size", 8, "--image_size", 16, "--z-dim", 8, "--gf-dim", 4, "--df-dim", 4),
    *("--checkpoint_dir", "out/model", "--sample_dir", "out/pictures", "--log-dir", "out/log"),
    *("--sample-interval", 3, "--checkpoint-interval", 6),
)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory, faces16: Path) -> Path:
    """The outputs of 4 epochs at a stretch, in folders of other names."""
    folder = tmp_path_factory.mktemp("straight")
    done = run_script("train-dcgan.py", "--dataset", faces16, *STRAIGHT, cwd=folder)
    assert [path.name for path in folder.iterdir()] == ["out"]
    assert "ckpt-20" in done.stdout
    for word in ("epoch 4/4", "20/20", "d_loss", "g_loss", "images/s"):
        assert word in done.stderr, done.stderr
    return folder / "out"


@pytest.fixture(scope="module")
def resumed(
    tmp_path_factory: pytest.TempPathFactory, trained: Path, faces16: Path
) -> Iterator[Path]:
    """The outputs of 2 epochs and then another 2."""
    folder = tmp_path_factory.mktemp("resumed") / "copy"
    shutil.copytree(trained, folder)
    # What a run leaves that dies between two checkpoints: rows that will be made again.
    with open(folder / "logs" / "scalars.csv", "a") as file:
        file.write("11,3,9,9,9,9,0.9,0.9\r\n12,3,9,9")
    writer = tf.summary.create_file_writer(str(folder / "logs" / "generator"))
    with writer.as_default(11):
        tf.summary.scalar("loss", 9.0)
    writer.close()
    done = run_script("train-dcgan.py", "--dataset", faces16, "--epoch", 4, cwd=folder)
    assert "ckpt-10" in done.stdout.splitlines()[0]
    return folder


def test_two_and_two_epochs_equal_four(straight: Path, resumed: Path) -> None:
    whole, parts = tensors(straight / "model" / "ckpt-20"), tensors(resumed / "checkpoint/ckpt-20")
    assert set(whole) == set(parts)
    # 16 weights and two averages of each, 6 statistics; the averaged generator's 9 weights and 4
    # statistics; the learning rate and the count of each optimizer; the step.
    assert len(whole) == 3 * 16 + 6 + 9 + 4 + 2 * 2 + 1
    for name, value in whole.items():
        np.testing.assert_array_equal(parts[name], value, err_msg=name)
    assert (resumed / "logs/scalars.csv").read_bytes() == (
        straight / "log/scalars.csv"
    ).read_bytes()
    last = "train_04_0005.png"
    grids = (straight / "pictures" / last, resumed / "samples" / last)
    assert grids[0].read_bytes() == grids[1].read_bytes()


def test_tensorboard_shows_each_step_once(straight: Path, resumed: Path) -> None:
    whole, parts = load_events(straight / "log"), load_events(resumed / "logs")
    assert [step for step, _ in numbers(parts["generator"], "DCGAN/loss")] == list(range(1, 21))
    for name in ("generator", "discriminator"):
        assert numbers(parts[name], "DCGAN/loss") == numbers(whole[name], "DCGAN/loss")


def test_pictures_and_checkpoints_come_at_their_intervals(straight: Path) -> None:
    pictures = ["01_0003", "02_0001", "02_0004", "03_0002", "03_0005", "04_0003", "04_0005"]
    found = sorted(path.name for path in (straight / "pictures").iterdir())
    assert found == [f"train_{name}.png" for name in pictures]
    steps = {int(path.stem.removeprefix("ckpt-")) for path in (straight / "model").glob("*.index")}
    assert steps == {0, 6, 12, 18, 20}


def test_a_finished_run_changes_nothing(run_any: Run, copy: Path, faces16: Path) -> None:
    before = contents(copy)
    done = run_any("train-dcgan.py", "--dataset", faces16, "--epoch", 2, cwd=copy)
    assert done.returncode == 0, done.stderr
    assert "--epoch" in done.stdout
    assert contents(copy) == before


def test_another_learning_rate_stays(run_any: Run, copy: Path, faces16: Path) -> None:
    def rates() -> list[float]:
        prefix = copy / "checkpoint" / f"ckpt-{newest(copy / 'checkpoint')}"
        return [float(v) for k, v in tensors(prefix).items() if "learning_rate" in k]

    assert rates() == [pytest.approx(2e-4)] * 2
    data = ("--dataset", faces16)
    train_here(run_any, *data, "--epoch", 3, "--learning_rate", 0.01, cwd=copy)
    assert rates() == [pytest.approx(0.01)] * 2
    train_here(run_any, *data, "--epoch", 4, cwd=copy)
    assert rates() == [pytest.approx(0.01)] * 2
    options = json.loads((copy / "checkpoint" / "config.json").read_text())["options"]
    assert options["learning_rate"] == 0.01


def test_the_networks_and_only_they_may_be_named_again(
    run_any: Run, copy: Path, faces16: Path
) -> None:
    train_here(run_any, "--dataset", faces16, *TINY, "--seed", 0, "--epoch", 3, cwd=copy)
    assert newest(copy / "checkpoint") == 15


# --- stopping ---


def lines_of(path: Path) -> int:
    return len(path.read_bytes().splitlines())


def wait_for_rows(process: subprocess.Popen[str], log: Path, more_than: int) -> None:
    deadline = time.monotonic() + 120
    while not (log / "scalars.csv").exists() or lines_of(log / "scalars.csv") <= more_than + 1:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_signals_save_a_checkpoint_and_the_run_resumes(faces16: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "train-dcgan.py"), "--dataset", str(faces16)]
    command += [*map(str, TINY), "--epoch", "100000", "--checkpoint-interval", "2"]
    rows = checkpoint = 0
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process = subprocess.Popen(
            command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            wait_for_rows(process, tmp_path / "logs", more_than=rows)
            process.send_signal(number)
            stdout, stderr = process.communicate(timeout=60)
        finally:
            process.kill()
        assert process.returncode == status, (stdout, stderr)
        assert "Traceback" not in stderr
        assert ("resuming from checkpoint/ckpt-" in stdout) == (checkpoint > 0)
        assert f"ckpt-{checkpoint}\n" in stdout or checkpoint == 0
        assert newest(tmp_path / "checkpoint") > checkpoint
        checkpoint = newest(tmp_path / "checkpoint")
        steps = [int(row[0]) for row in rows_of(tmp_path / "logs")]
        rows = len(steps)
        assert steps == list(range(1, checkpoint + 1))
        epoch, step = divmod(checkpoint - 1, 5)
        assert (tmp_path / "samples" / f"train_{epoch + 1:02d}_{step + 1:04d}.png").exists()


def test_minutes_end_a_run_with_a_checkpoint(run_any: Run, faces16: Path, tmp_path: Path) -> None:
    endless = ("--epoch", 100000, "--minutes", 0.02)
    train_here(run_any, "--dataset", faces16, *TINY, *endless, cwd=tmp_path)
    step = newest(tmp_path / "checkpoint")
    assert 1 <= step < 500000
    assert len(rows_of(tmp_path / "logs")) == step
    name = f"train_{(step - 1) // 5 + 1:02d}_{(step - 1) % 5 + 1:04d}.png"
    assert (tmp_path / "samples" / name).exists()


# --- other data, other options ---


def test_two_folders_gray_with_an_unreadable_file(
    run_any: Run, faces16: Path, tmp_path: Path
) -> None:
    (tmp_path / "more" / "deep").mkdir(parents=True)
    for i, path in enumerate(sorted(faces16.glob("*.png"))[:7]):
        shutil.copy(path, tmp_path / "more" / "deep" / f"copy-{i}.png")
    broken = tmp_path / "more" / "broken.jpg"
    broken.write_text("no image")
    data = ("--dataset", faces16, tmp_path / "more", *TINY)
    options = ("--channels", 1, "--seed", 3, "--g-updates", 1, "--epoch", 2)
    done = run_any("train-dcgan.py", *data, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # 48 files in 6 batches: every epoch comes to the broken one.
    assert "48 images, 6 steps an epoch" in done.stdout
    assert done.stderr.count(f"skipped: {broken}: ") == 1
    saved = tensors(tmp_path / "checkpoint" / "ckpt-12")
    iterations = {k.split("/")[0]: int(v) for k, v in saved.items() if "iteration" in k}
    assert iterations == {"optimizer_d": 12, "optimizer_g": 12}
    with Image.open(tmp_path / "samples" / "train_02_0006.png") as picture:
        assert (picture.size, picture.mode) == ((128, 128), "L")


# --- errors ---


def test_a_missing_dataset_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # TensorFlow's messages are held back unless the environment asks for them, as conftest does.
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    done = run_script("train-dcgan.py", "--dataset", "nowhere", cwd=tmp_path, status=2)
    assert_refused(done, "--dataset nowhere", "no such folder")
    assert list(tmp_path.iterdir()) == []


def refused(run_any: Run, *arguments: object, cwd: Path, words: tuple[str, ...] = ()) -> None:
    """The run is refused in one line, and leaves the folder as it was."""
    before = contents(cwd)
    assert_refused(run_any("train-dcgan.py", *arguments, cwd=cwd), *words)
    assert contents(cwd) == before


def test_other_unusable_datasets_are_refused(run_any: Run, faces16: Path, tmp_path: Path) -> None:
    (tmp_path / "empty" / "below").mkdir(parents=True)
    (tmp_path / "empty" / "notes.txt").write_text("no image")
    refused(run_any, "--dataset", "empty", cwd=tmp_path, words=("--dataset empty", "no images"))
    data = ("--dataset", faces16)
    refused(run_any, *data, "empty", *TINY, cwd=tmp_path, words=("--dataset empty",))
    refused(run_any, "--dataset", "empty/notes.txt", cwd=tmp_path, words=("not a folder",))
    # 40 faces: the default is a batch of 64.
    refused(run_any, *data, cwd=tmp_path, words=("40", "64", "--batch-size"))
    refused(run_any, *data, *TINY, "--train_size", 7, cwd=tmp_path, words=("7", "8"))
    gone = ("--holdout", "gone.txt")
    refused(run_any, *data, *TINY, *gone, cwd=tmp_path, words=("--holdout gone.txt", "No such"))


def write_unreadable(folder: Path, number: int) -> Path:
    folder.mkdir(exist_ok=True)
    for i in range(number):
        (folder / f"broken-{i}.png").write_text("no image")
    return folder


def refused_as_unreadable(run_any: Run, folder: Path, *arguments: object, cwd: Path) -> list[str]:
    """The run names unreadable files, each once, and is refused; returns the lines that do."""
    before = contents(cwd)
    done = run_any("train-dcgan.py", "--dataset", folder, *arguments, cwd=cwd)
    *skipped, last = done.stderr.splitlines()
    assert done.returncode == 2
    assert "fewer than a batch of 8" in last
    assert contents(cwd) == before
    assert len(skipped) == len(set(skipped))
    assert all(line.startswith(f"skipped: {folder}/broken-") for line in skipped), skipped
    return skipped


def test_a_folder_of_unreadable_images_is_refused(run_any: Run, tmp_path: Path) -> None:
    folder = write_unreadable(tmp_path / "broken", 12)
    # Up to the one that leaves too few.
    assert len(refused_as_unreadable(run_any, folder, *TINY, cwd=tmp_path)) >= 5


@pytest.mark.parametrize("seed", [0, 1])
def test_too_few_readable_images_are_refused_at_once(
    seed: int, run_any: Run, faces16: Path, tmp_path: Path
) -> None:
    # Whether or not the unreadable ones are in the first batch: of these seeds, one has them all.
    folder = write_unreadable(tmp_path / "data", 3)
    for path in sorted(faces16.glob("*.png"))[:7]:
        shutil.copy(path, folder)
    skipped = refused_as_unreadable(run_any, folder, *TINY, "--seed", seed, cwd=tmp_path)
    assert len(skipped) == 3


def test_a_run_is_not_resumed_on_other_images(
    run_any: Run, copy: Path, faces16: Path, tmp_path: Path
) -> None:
    others = tmp_path / "others"
    shutil.copytree(faces16, others)
    resumes = ("--epoch", 2)
    done = run_any("train-dcgan.py", "--dataset", others, *resumes, cwd=copy)
    assert done.returncode == 0, done.stderr  # the same images in another place
    (others / "face-0-00000.png").rename(others / "renamed.png")
    words = ("--dataset", "not the images", "--init-from")
    refused(run_any, "--dataset", others, *resumes, cwd=copy, words=words)


@pytest.mark.parametrize("flag", ["--checkpoint_dir", "--sample_dir", "--log-dir"])
def test_unwritable_outputs_are_refused(
    flag: str, run_any: Run, faces16: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("here first")
    kebab = flag.replace("_", "-")
    for path in ("file", "file/below", "file/far/below"):
        arguments = ("--dataset", faces16, *TINY, flag, path)
        refused(run_any, *arguments, cwd=tmp_path, words=(f"{kebab} {path}",))


CONTRADICTIONS = {
    "--image_size": (32, 16),
    "--channels": (1, 3),
    "--z-dim": (9, 8),
    "--gf-dim": (8, 4),
    "--df-dim": (8, 4),
    "--batch_size": (4, 8),
    "--seed": (1, 0),
}


@pytest.mark.parametrize("flag", CONTRADICTIONS)
def test_contradictions_name_both_values(
    flag: str, run_any: Run, trained: Path, faces16: Path
) -> None:
    wanted, stored = CONTRADICTIONS[flag]
    kebab = flag.replace("_", "-")
    words = (f"{kebab} {wanted}", f"{kebab} {stored}", "checkpoint/ckpt-10")
    arguments = ("--dataset", faces16, "--epoch", 3, flag, wanted)
    refused(run_any, *arguments, cwd=trained, words=words)


def test_another_programs_checkpoint_is_refused(
    run_any: Run, faces16: Path, tmp_path: Path
) -> None:
    data = ("--dataset", faces16, *TINY)
    tf.train.Checkpoint(x=tf.Variable(1.0)).save(str(tmp_path / "checkpoint" / "other"))
    refused(run_any, *data, cwd=tmp_path, words=("checkpoint", "another program"))
    config = tmp_path / "checkpoint" / "config.json"
    for text in ('{"model_type": "bert"}', '["of another program"]'):
        config.write_text(text)
        refused(
            run_any,
            *data,
            cwd=tmp_path,
            words=("checkpoint/config.json", "another program"),
        )
    config.write_text("{")
    refused(run_any, *data, cwd=tmp_path, words=("checkpoint/config.json", "JSON"))


def test_another_programs_folder_is_refused(run_any: Run, faces16: Path, tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "config.json").write_text('{"program": "other"}')
    words = ("checkpoint/config.json", "another program")
    refused(run_any, "--dataset", faces16, *TINY, cwd=tmp_path, words=words)


def test_a_checkpoint_of_other_networks_is_refused(run_any: Run, copy: Path, faces16: Path) -> None:
    path = copy / "checkpoint" / "config.json"
    config = json.loads(path.read_text())
    config["architecture"]["gf_dim"] = config["options"]["gf_dim"] = 8
    path.write_text(json.dumps(config))
    arguments = ("--dataset", faces16, "--epoch", 3)
    refused(run_any, *arguments, cwd=copy, words=("checkpoint/ckpt-10", "config.json"))


def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    run_any: Run, copy: Path, straight: Path, faces16: Path
) -> None:
    data = copy / "checkpoint" / "ckpt-10.data-00000-of-00001"
    os.truncate(data, data.stat().st_size // 2)
    done = run_any("train-dcgan.py", "--dataset", faces16, "--epoch", 4, cwd=copy)
    assert done.returncode == 0, done.stderr
    assert "checkpoint/ckpt-10 is damaged" in done.stderr
    assert "resuming from checkpoint/ckpt-0" in done.stdout
    whole, parts = tensors(straight / "model/ckpt-20"), tensors(copy / "checkpoint/ckpt-20")
    for name, value in whole.items():
        np.testing.assert_array_equal(parts[name], value, err_msg=name)


def test_a_checkpoint_copied_by_hand_is_resumed(run_any: Run, copy: Path, faces16: Path) -> None:
    (copy / "checkpoint" / "checkpoint").write_text('model_checkpoint_path: "ckpt-10"\n')
    done = run_any("train-dcgan.py", "--dataset", faces16, "--epoch", 3, cwd=copy)
    assert done.returncode == 0, done.stderr
    assert "resuming from checkpoint/ckpt-10" in done.stdout


def test_damaged_checkpoints_without_another_are_refused(
    run_any: Run, copy: Path, faces16: Path
) -> None:
    for step in (0, 10):
        data = copy / "checkpoint" / f"ckpt-{step}.data-00000-of-00001"
        os.truncate(data, data.stat().st_size // 2)
    arguments = ("--dataset", faces16, "--epoch", 3)
    refused(run_any, *arguments, cwd=copy, words=("checkpoint/ckpt-10", "damaged"))


def test_another_runs_pictures_and_logs_are_not_mixed(
    run_any: Run, faces16: Path, copy: Path
) -> None:
    shutil.rmtree(copy / "checkpoint")
    data = ("--dataset", faces16, *TINY)
    words = ("samples/train_02_0005.png", "another run", "--sample-dir")
    refused(run_any, *data, cwd=copy, words=words)
    shutil.rmtree(copy / "samples")
    words = ("logs/scalars.csv", "another run", "--log-dir")
    refused(run_any, *data, cwd=copy, words=words)
