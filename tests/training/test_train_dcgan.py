"""train-dcgan.py as users run it: what it writes, how it stops, what it trains on."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from helpers import ROOT, TINY, Run, contents
from PIL import Image
from training_runs import (
    COLUMNS,
    DEFAULTS,
    load_events,
    newest,
    numbers,
    rows_of,
    tensors,
    train_here,
)

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
    graph = events.Graph()
    functions = (node for function in graph.library.function for node in function.node_def)
    assert {"Conv2D", "MatMul", "Tanh"} <= {node.op for node in (*graph.node, *functions)}
    assert {"z", "generator", "discriminator"} <= {node.name.split("/")[0] for node in graph.node}


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


# --- other data ---


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
    assert "48 images, 6 steps per epoch" in done.stdout
    assert done.stderr.count(f"skipped: {broken}: ") == 1
    saved = tensors(tmp_path / "checkpoint" / "ckpt-12")
    iterations = {k.split("/")[0]: int(v) for k, v in saved.items() if "iteration" in k}
    assert iterations == {"optimizer_d": 12, "optimizer_g": 12}
    with Image.open(tmp_path / "samples" / "train_02_0006.png") as picture:
        assert (picture.size, picture.mode) == ((128, 128), "L")
