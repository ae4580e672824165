"""Two replicas learn what one does from the same global batch."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
from helpers import ROOT, TINY, run_script
from training_runs import tensors

STEPS = 4

# Two logical devices must be made before TensorFlow starts, hence in a process of their own.
TWO_DEVICES = """
import sys
import numpy as np
import tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from model import DCGAN
from dcgan_completion.training.loop import distribute_batch
from dcgan_completion.settings.training import Rules
from dcgan_completion.training.trainer import DCGANTrainer

images = np.random.default_rng(0).integers(0, 256, [4, 8, 16, 16, 3], np.uint8)

def learn(strategy, **options):
    with strategy.scope():
        model = DCGAN(image_size=16, z_dim=8, gf_dim=4, df_dim=4, **options)
        trainer = DCGANTrainer(model, Rules(batch_size=8))
    for batch in images:
        if trainer.replicas > 1:
            batch = distribute_batch(strategy, batch, 0, 4)
        scalars, histograms = trainer.train_step(batch)
    trainer.estimate_statistics(3)
    values = {f"model/{k}": v.numpy() for net in (model.g, model.d) for k, v in net.items()}
    values |= {f"averaged/{k}": v.numpy() for k, v in trainer.ema.items()}
    for name, optimizer in (("d", trainer.d_optimizer), ("g", trainer.g_optimizer)):
        values |= {f"{name}/{i}": v.numpy() for i, v in enumerate(optimizer.variables)}
    values |= {name: float(value) for name, value in scalars.items()}
    values |= {name: np.sort(value.numpy()) for name, value in histograms.items()}
    return values

one = learn(tf.distribute.get_strategy())
mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
two = learn(mirrored, sync_batch_norm=True)
apart = learn(mirrored)
np.savez(sys.argv[1], **{f"one {k}": v for k, v in one.items()},
         **{f"two {k}": v for k, v in two.items()}, **{f"apart {k}": v for k, v in apart.items()})
"""


def test_two_devices_with_synchronised_statistics_equal_one(tmp_path: Path) -> None:
    path = tmp_path / "values.npz"
    subprocess.run([sys.executable, "-c", TWO_DEVICES, str(path)], cwd=ROOT, check=True)
    values = np.load(path)
    names = [name.removeprefix("one ") for name in values if name.startswith("one ")]
    assert {"model/conv1_kernel", "averaged/bn0_mean", "d/3", "g_loss", "D(x)"} <= set(names)
    for name in names:
        one, two = values[f"one {name}"], values[f"two {name}"]
        np.testing.assert_allclose(two, one, rtol=2e-3, atol=3e-5, err_msg=name)
    # Without synchronised statistics each half is normalised by itself, which shows.
    difference = values["apart model/conv1_kernel"] - values["one model/conv1_kernel"]
    assert np.abs(difference).max() > 1e-4


def free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def test_two_processes_equal_one_and_only_the_chief_writes(tmp_path: Path, faces16: Path) -> None:
    # 32 faces make an epoch of 4 steps of the global batch of 8.
    options = ("--dataset", faces16, *TINY, "--train-size", 8 * STEPS, "--epoch", 1)
    options += ("--precision", "float32", "--sync-batch-norm")
    run_script("train-dcgan.py", *options, cwd=tmp_path)
    (tmp_path / "cluster").mkdir()
    workers = [f"localhost:{port}" for port in free_ports(2)]
    processes = []
    for index in range(2):
        task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        folders = f"--checkpoint-dir model --sample-dir s{index} --log-dir l{index}".split()
        command = [sys.executable, ROOT / "train-dcgan.py", *options, *folders]
        processes.append(
            subprocess.Popen(
                list(map(str, command)),
                cwd=tmp_path / "cluster",
                env={**os.environ, "TF_CONFIG": json.dumps(task)},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    for process in processes:
        output, _ = process.communicate(timeout=240)
        assert process.returncode == 0, output
    assert sorted(path.name for path in (tmp_path / "cluster").iterdir()) == ["l0", "model", "s0"]
    one = tensors(tmp_path / "checkpoint" / f"ckpt-{STEPS}")
    two = tensors(tmp_path / "cluster" / "model" / f"ckpt-{STEPS}")
    assert set(one) == set(two)
    for name, value in one.items():
        np.testing.assert_allclose(two[name], value, rtol=2e-3, atol=3e-5, err_msg=name)
