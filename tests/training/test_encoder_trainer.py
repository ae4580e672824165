"""One training step of the context encoder: what it moves, and whereto."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import oracles
import pytest
import tensorflow as tf
from helpers import ROOT
from training_runs import tensors

from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.masks import sampling
from dcgan_completion.model import DCGAN
from dcgan_completion.settings.training import EncoderRules
from dcgan_completion.training import augment, encoder_trainer
from dcgan_completion.training.checkpointing import Checkpoints
from dcgan_completion.training.dataset import ImageFolders
from dcgan_completion.training.encoder_trainer import ContextEncoderTrainer
from dcgan_completion.training.loop import train
from dcgan_completion.utils import UserError, to_signed

BATCH, SIZE = 5, 16
KINDS = ["center", "half", "pattern", "random", "strokes", "rectangle", "grid"]


@pytest.fixture
def images(random: np.random.Generator) -> np.ndarray:
    return random.integers(0, 256, [BATCH, SIZE, SIZE, 3], np.uint8)


def make_trainer(
    pictures: np.ndarray | None = None,
    validation: np.ndarray | None = None,
    dcgan: DCGAN | None = None,
    **options: object,
) -> ContextEncoderTrainer:
    if pictures is None:
        pictures = np.zeros([2, SIZE, SIZE, 3], np.uint8)
    rules = EncoderRules(**{"batch_size": BATCH, "warmup_steps": 1} | options)
    return ContextEncoderTrainer(
        ContextEncoder(image_size=SIZE, width=3), rules, pictures, validation, dcgan
    )


def drawn(seed: int, step: int) -> np.ndarray:
    """A step's masks as the network takes them: 1 = known."""
    return (~sampling.draw_masks(SIZE, seed, step, range(BATCH))).astype(np.float32)


def fixed(kind: str, number: int = BATCH) -> np.ndarray:
    """The masks to evaluate under, 1 = known."""
    return (~sampling.fixed_masks(kind, SIZE, number)).astype(np.float32)


def copies(variables: dict[str, tf.Variable]) -> dict[str, np.ndarray]:
    return {name: variable.numpy().astype(np.float64) for name, variable in variables.items()}


def take_steps(trainer: ContextEncoderTrainer, images: np.ndarray, number: int) -> list[float]:
    norms = []
    for _ in range(number):
        inputs = trainer.draw_inputs(int(trainer.step), range(len(images)))
        scalars, histograms = trainer.train_step(images, *inputs)
        assert histograms == {}
        norms.append(float(scalars["gradient_norm"]))
    return norms


# --- a step ---


def gradients_of(
    model: ContextEncoder, real: np.ndarray, mask: np.ndarray
) -> tuple[float, dict[str, np.ndarray]]:
    """The loss and its gradient as NumPy's values, which the tests of the network have checked."""
    with tf.GradientTape() as tape:
        loss = model.loss(model.estimate(tf.constant(real), tf.constant(mask)), real, mask)
    found = tape.gradient(loss, model.encoder_variables)
    return float(loss), {name: g.numpy() for name, g in zip(model.e, found, strict=True)}


@pytest.mark.parametrize("clip", [1e6, 0.5])
def test_steps_are_numpys_adam_on_the_clipped_gradient(
    clip: float, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder_trainer, "CLIP_NORM", clip)
    trainer = make_trainer(learning_rate=0.02, beta1=0.8, seed=4)
    plain = ContextEncoder(image_size=SIZE, width=3)
    starts = copies(plain.e)
    history: list[dict[str, np.ndarray]] = []
    real = (images / 127.5 - 1).astype(np.float32)
    for step in range(3):
        mask = drawn(4, step)
        loss, gradients = gradients_of(plain, real, mask)
        norm = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradients.values()))
        assert 0.5 < norm < 1e6
        history.append({name: g * min(1, clip / norm) for name, g in gradients.items()})
        for name, variable in plain.e.items():
            given = [gradients[name] for gradients in history]
            *_, value = oracles.adam(
                given, starts[name], 0.02, 0.8, 0.999, 1e-8, eps_on_corrected=False
            )
            variable.assign(value)
        scalars, _ = trainer.train_step(images, mask)
        assert float(scalars["psnr"]) == pytest.approx(-loss, rel=1e-4)
        assert float(scalars["gradient_norm"]) == pytest.approx(norm, rel=1e-3)
        assert int(trainer.step) == step + 1
    for name, variable in trainer.model.e.items():
        # A gradient near zero decides by its rounding on the sign of a first step.
        far = np.abs(variable.numpy() - plain.e[name].numpy()) > 1e-3
        assert far.mean() < 0.01, name
        assert np.abs(variable.numpy() - starts[name]).max() > 0.01, name


def test_the_defaults_are_those_of_the_measurements() -> None:
    trainer = make_trainer()
    optimizer = trainer.optimizer
    assert isinstance(optimizer, keras.optimizers.Adam)
    assert (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon) == (0.9, 0.999, 1e-8)
    rules = EncoderRules()
    assert (rules.learning_rate, rules.warmup_steps, rules.average_decay) == (1e-3, 500, 0.999)
    assert encoder_trainer.CLIP_NORM == 50


def test_images_are_mirrored_by_seed_and_step(images: np.ndarray) -> None:
    trainer, plain = make_trainer(flip=True, seed=6), make_trainer(seed=6)
    for step in range(2):
        seed = tf.constant([6, step], tf.int64)
        mirrored = augment.flip(images, augment.fold(seed, int(augment.Purpose.FLIP))).numpy()
        same = (mirrored == images).all(axis=(1, 2, 3))
        assert same.any()
        assert not same.all()
        mask = drawn(6, step)
        one, _ = trainer.train_step(images, mask)
        other, _ = plain.train_step(mirrored, mask)
        assert float(one["psnr"]) == float(other["psnr"])


def test_a_part_of_a_batch_is_mirrored_as_in_the_whole(images: np.ndarray) -> None:
    seed = tf.constant([3, 1], tf.int64)
    whole = augment.flip(images, seed).numpy()
    for first, last in ((0, 2), (2, 5), (4, 5)):
        part = augment.flip(images[first:last], seed, first, BATCH).numpy()
        np.testing.assert_array_equal(part, whole[first:last])


# --- against a discriminator ---


def make_dcgan() -> DCGAN:
    return DCGAN(image_size=SIZE, z_dim=4, gf_dim=3, df_dim=3, seed=8)


def test_a_joint_step_is_one_of_d_and_one_of_the_last_layers(images: np.ndarray) -> None:
    dcgan, weight = make_dcgan(), 3.0
    trainer = make_trainer(dcgan=dcgan, adversarial_weight=weight, learning_rate=0.01)
    plain, before, judge = ContextEncoder(image_size=SIZE, width=3), copies(dcgan.d), make_dcgan()
    real = tf.constant((images / 127.5 - 1).astype(np.float32))
    mask = drawn(0, 0)
    completed = mask * real + (1 - mask) * plain.estimate(real, mask)
    # D: cross-entropy, down which Adam's first step is as long as the rate against each sign.
    with tf.GradientTape() as tape:
        logits = [judge.discriminator(x, training=True) for x in (real, completed)]
        d_loss = tf.reduce_mean(tf.nn.softplus(-logits[0]) + tf.nn.softplus(logits[1]))
    gradients = tape.gradient(d_loss, judge.discriminator_variables)
    for variable, gradient in zip(judge.discriminator_variables, gradients, strict=True):
        variable.assign_sub(2e-4 * tf.sign(gradient) * tf.cast(tf.abs(gradient) > 1e-6, tf.float32))
    scalars, _ = trainer.train_step(images, mask)
    assert float(scalars["d_loss"]) == pytest.approx(float(d_loss), rel=1e-4)
    moved = 0
    for name, variable in judge.d.items():
        if variable.trainable:
            far = np.abs(variable.numpy() - dcgan.d[name].numpy()) > 1e-5
            assert far.mean() < 0.02, name
            moved += np.abs(dcgan.d[name].numpy() - before[name]).max() > 1e-4
    assert moved == len(judge.discriminator_variables)
    # The encoder: the joint loss under that D, whose statistics are the batch's.
    with tf.GradientTape() as tape:
        estimate = plain.estimate(real, mask)
        logits = dcgan.discriminator(mask * real + (1 - mask) * estimate, training=True)
        adversarial = tf.reduce_mean(tf.nn.softplus(-logits))
        loss = plain.loss(estimate, real, mask) + weight * adversarial
    assert float(scalars["adversarial_loss"]) == pytest.approx(float(adversarial), rel=1e-3)
    last = [name for name in plain.e if name.split("_")[0] in ("up1", "refine", "up0")]
    assert 0 < len(last) < len(plain.e)
    gradients = tape.gradient(loss, [plain.e[name] for name in last])
    norm = np.sqrt(sum((g.numpy().astype(np.float64) ** 2).sum() for g in gradients))
    assert float(scalars["gradient_norm"]) == pytest.approx(norm, rel=1e-2)
    for name, variable in trainer.model.e.items():
        changed = np.abs(variable.numpy() - plain.e[name].numpy()).max()
        assert (changed > 5e-3) == (name in last), name


def test_the_joint_training_goes_on_bit_for_bit(faces16: Path, tmp_path: Path) -> None:
    dataset = ImageFolders([str(faces16)], image_size=SIZE, batch_size=BATCH)

    def learn(sittings: list[int]) -> dict[str, np.ndarray]:
        folder = tmp_path / str(len(sittings))
        for last in sittings:
            trainer = make_trainer(dcgan=make_dcgan(), adversarial_weight=1.0)
            saver = Checkpoints(trainer, str(folder))
            if saver.latest:
                saver.restore()
            for _ in train(trainer, dataset, last):
                pass
            saver.save()
        return tensors(folder / f"ckpt-{last}")

    whole, parts = learn([9]), learn([4, 9])
    assert {name for name in whole if name.startswith("discriminator/")}
    for name, value in whole.items():
        if "save_counter" not in name:
            np.testing.assert_array_equal(parts[name], value, err_msg=name)


@pytest.mark.parametrize("dcgan", [None, DCGAN(image_size=32, gf_dim=2, df_dim=2)])
def test_without_a_fitting_discriminator_there_is_no_joint_training(dcgan: DCGAN | None) -> None:
    with pytest.raises(ValueError, match="adversarial_weight: needs a DCGAN"):
        make_trainer(dcgan=dcgan, adversarial_weight=1.0)


# --- rates, EMA ---


@pytest.mark.parametrize("start", [0, 9])
def test_the_learning_rate_is_a_function_of_the_step(start: int, faces16: Path) -> None:
    trainer = make_trainer(learning_rate=0.006, warmup_steps=3)
    dataset = ImageFolders([str(faces16)], image_size=SIZE, batch_size=BATCH)
    list(train(trainer, dataset, start, 0.5))  # a shorter run, whose rate fell, too
    rates = [float(trainer.optimizer.learning_rate) for _ in train(trainer, dataset, 16, 0.5)]
    # Epochs have 8 steps: 1/3, 2/3, full until 4 before the end, then 4/4, 3/4, 2/4, 1/4.
    expected = [0.002, 0.004, *[0.006] * 11, 0.0045, 0.003, 0.0015]
    assert rates == pytest.approx(expected[start:])


@pytest.mark.parametrize("decay", [0.0, 0.25])
def test_the_average_is_exponential_with_a_fast_start(decay: float, images: np.ndarray) -> None:
    trainer = make_trainer(average_decay=decay)
    expected = copies(trainer.model.e)
    for step in range(5):
        take_steps(trainer, images, 1)
        share = min(decay, (1 + step) / (10 + step))
        for name, variable in trainer.model.e.items():
            expected[name] = share * expected[name] + (1 - share) * variable.numpy()
    for name, variable in trainer.ema.items():
        np.testing.assert_allclose(variable, expected[name], rtol=1e-4, atol=1e-6, err_msg=name)


# --- the run ---


def test_two_parts_of_a_run_equal_the_whole_bit_for_bit(faces16: Path) -> None:
    dataset = ImageFolders([str(faces16)], image_size=SIZE, batch_size=BATCH)

    def learn(*lasts: int) -> list[np.ndarray]:
        trainer = make_trainer(flip=True, warmup_steps=4)
        for last in lasts:
            for _ in train(trainer, dataset, 20, 1.0):
                if int(trainer.step) == last:
                    break
        variables = (*trainer.model.e.values(), *trainer.ema.values())
        return [v.numpy() for v in (*variables, *trainer.optimizer.variables)]

    for whole, parts in zip(learn(20), learn(7, 10, 20), strict=True):
        np.testing.assert_array_equal(parts, whole)


def test_it_learns_to_fill_holes(faces16: Path) -> None:
    dataset = ImageFolders([str(faces16)], image_size=SIZE, batch_size=8)
    trainer = ContextEncoderTrainer(
        ContextEncoder(image_size=SIZE, width=8),
        EncoderRules(batch_size=8, warmup_steps=10),
        dataset.batch(0),
    )
    psnr = [float(result.scalars["psnr"]) for result in train(trainer, dataset, 150)]
    mean = np.stack([dataset.batch(step) for step in range(5)]).mean(axis=(0, 1)) / 255
    constant = -10 * np.log10(np.mean((dataset.batch(0) / 255 - mean) ** 2))
    # It starts with what is interpolated from the known pixels.
    assert np.mean(psnr[-20:]) > np.mean(psnr[:20]) + 4
    assert np.mean(psnr[-20:]) > constant + 1  # better than the mean face


def test_diverged_runs_are_stopped() -> None:
    monitor = make_trainer().monitor
    monitor.check(7, {"psnr": 20.0, "gradient_norm": 900.0}, None)
    for bad in ({"psnr": np.nan, "gradient_norm": 1.0}, {"psnr": 1.0, "gradient_norm": np.inf}):
        with pytest.raises(UserError, match=r"at step 7.*ckpt-5.*--init-from"):
            monitor.check(7, bad, "checkpoint/ckpt-5")


# --- what is looked at ---


def test_evaluation_is_the_psnr_of_the_holes(images: np.ndarray) -> None:
    trainer = make_trainer(validation=images)
    scalars = {name: float(value) for name, value in trainer.evaluate().items()}
    assert set(scalars) == {"held_out_psnr", *(f"held_out_{kind}_psnr" for kind in KINDS)}
    for kind in KINDS:
        mask = fixed(kind)
        estimate = trainer.model.estimate(to_signed(images), mask).numpy()
        hole = np.broadcast_to(mask == 0, images.shape)
        error = ((estimate + 1) / 2 - images / 255) ** 2
        psnr = [-10 * np.log10(e[h].mean()) for e, h in zip(error, hole, strict=True)]
        assert scalars[f"held_out_{kind}_psnr"] == pytest.approx(np.mean(psnr), abs=0.01)
    shares = [sampling.SHARES[kind] for kind in KINDS]
    parts = [scalars[f"held_out_{kind}_psnr"] for kind in KINDS]
    assert scalars["held_out_psnr"] == pytest.approx(np.average(parts, weights=shares), abs=1e-4)
    assert {name: float(value) for name, value in trainer.evaluate().items()} == scalars
    # By the EMA, which alone is changed here.
    for variable in trainer.ema.values():
        variable.assign(tf.zeros_like(variable))
    assert float(trainer.evaluate()["held_out_psnr"]) != scalars["held_out_psnr"]
    for nothing in (None, images[:0]):
        assert make_trainer(validation=nothing).evaluate() == {}


def test_samples_show_what_is_known_what_is_made_of_it_and_the_truth(images: np.ndarray) -> None:
    trainer = make_trainer(pictures=images)
    for variable in trainer.ema.values():
        variable.assign(tf.zeros_like(variable))
    trainer.ema["up0_bias"].assign([0, 0, 0, -99])  # nothing interpolated: estimates are gray
    pictures = trainer.sample_pictures()
    assert pictures.shape == (BATCH, SIZE, 3 * SIZE, 3)
    assert pictures.dtype == np.uint8
    masked, filled, truth = np.split(pictures, 3, axis=2)
    np.testing.assert_array_equal(truth, images)
    for i, kind in enumerate(KINDS[:BATCH]):
        hole = np.broadcast_to(fixed(kind)[i] == 0, images[i].shape)
        assert set(np.unique(masked[i][hole])) == {255}
        assert set(np.unique(filled[i][hole])) == {128}
        for shown in (masked[i], filled[i]):
            np.testing.assert_array_equal(shown[~hole], images[i][~hole])


# --- several devices ---

# Two logical devices must be made before TensorFlow starts, hence in a process of their own.
TWO_DEVICES = """
import sys
import numpy as np
import tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from dcgan_completion.encoders import ContextEncoder
from dcgan_completion.training import encoder_trainer
from dcgan_completion.training.dataset import ImageFolders
from dcgan_completion.training.loop import train
from dcgan_completion.settings.training import EncoderRules

encoder_trainer.CLIP_NORM = 20.0  # some of the gradients are longer
dataset = ImageFolders([sys.argv[2]], image_size=16, batch_size=8)

def learn(strategy):
    with strategy.scope():
        model = ContextEncoder(image_size=16, width=4)
        rules = EncoderRules(batch_size=8, warmup_steps=3, flip=True)
        held_out = dataset.batch(0)
        trainer = encoder_trainer.ContextEncoderTrainer(model, rules, held_out, held_out)
    *_, result = train(trainer, dataset, 5, 0.5)
    values = {f"model/{k}": v.numpy() for k, v in model.e.items()}
    values |= {f"averaged/{k}": v.numpy() for k, v in trainer.ema.items()}
    values |= {str(i): v.numpy() for i, v in enumerate(trainer.optimizer.variables)}
    return values | {k: float(v) for k, v in (*result.scalars.items(), *trainer.evaluate().items())}

one = learn(tf.distribute.get_strategy())
two = learn(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
np.savez(sys.argv[1], **{f"one {k}": v for k, v in one.items()},
         **{f"two {k}": v for k, v in two.items()})
"""


def test_two_devices_equal_one(tmp_path: Path, faces16: Path) -> None:
    path = tmp_path / "values.npz"
    command = [sys.executable, "-c", TWO_DEVICES, str(path), str(faces16)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=300)
    values = np.load(path)
    names = [name.removeprefix("one ") for name in values if name.startswith("one ")]
    assert {"model/refine_kernel", "averaged/middle_kernel", "psnr", "held_out_psnr"} <= set(names)
    for name in names:
        one, two = values[f"one {name}"], values[f"two {name}"]
        np.testing.assert_allclose(two, one, rtol=2e-3, atol=3e-4, err_msg=name)
