"""One training step of the photo encoder: its losses, what it moves, and how it resumes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
from test_projected import ToyFeatures

from dcgan_completion.photo_encoder import PhotoEncoder
from dcgan_completion.settings.training import PhotoEncoderRules
from dcgan_completion.training import photo_encoder_trainer as trainers
from dcgan_completion.training.checkpointing import Checkpoints, load_initial_weights
from dcgan_completion.training.photo_encoder_trainer import (
    Discriminators,
    Heads,
    PhotoEncoderTrainer,
)

BATCH, SIZE, WIDTH = 3, 16, 4


def heads_of(seed: int, number: int = BATCH) -> np.ndarray:
    rng = np.random.default_rng(seed)
    heads = rng.integers(0, 256, [number, SIZE, SIZE, 4], np.uint8)
    heads[..., 3] = 255
    heads[:, :3] = 0  # beyond the photo
    return heads


def make_trainer(adversarial: float = 1.0) -> PhotoEncoderTrainer:
    rules = PhotoEncoderRules(batch_size=BATCH, warmup_steps=1, adversarial_weight=adversarial)
    model = PhotoEncoder(image_size=SIZE, width=WIDTH, first_size=SIZE)
    judges = Discriminators(ToyFeatures(), SIZE, 3, seed=0) if adversarial else None
    return PhotoEncoderTrainer(model, rules, heads_of(99, 2), judges)


def take_steps(trainer: PhotoEncoderTrainer, number: int) -> list[dict[str, float]]:
    taken = []
    for _ in range(number):
        step = int(trainer.step.numpy())
        inputs = trainer.draw_inputs(step, range(BATCH))
        scalars, _ = trainer.train_step(heads_of(step), *inputs)
        taken.append({name: float(value) for name, value in scalars.items()})
    return taken


# --- losses ---


@pytest.fixture
def batch() -> Heads:
    holes = np.zeros([BATCH, SIZE, SIZE, 1], bool)
    holes[:, :8] = True
    return Heads.of(tf.constant(heads_of(1)), tf.constant(holes))


def test_what_lies_beyond_the_photo_is_neither_hole_nor_known(batch: Heads) -> None:
    assert (batch.hole.numpy()[:, :3] == 0).all()
    assert (batch.hole.numpy()[:, 3:8] == 1).all()
    assert (batch.known.numpy()[:, 8:] == 1).all()
    np.testing.assert_array_equal(batch.hole + batch.known, np.float32(heads_of(1)[..., 3:] > 0))
    assert (batch.images.numpy()[:, :3] == 0).all()


def test_the_pixel_loss_is_minus_the_psnr_of_the_hole(batch: Heads) -> None:
    rng = np.random.default_rng(2)
    estimate = rng.uniform(-1, 1, batch.images.shape).astype(np.float32)
    squares = ((estimate - batch.images.numpy()) / 2) ** 2
    psnr = [10 * math.log10(1 / (one[3:8].mean() + 2.5e-5)) for one in squares]
    got = float(trainers.pixel_loss(tf.constant(estimate), batch, 0.0))
    assert got == pytest.approx(-np.mean(psnr), rel=1e-5)


def test_the_pairs_loss_of_independent_errors_is_that_of_their_mean(batch: Heads) -> None:
    """Noise of the samples adds nothing to the pair's loss, and its variance to their own."""
    rng = np.random.default_rng(3)
    images = batch.images.numpy()
    offset, spread = 0.2, 0.3
    pairs, owns = [], []
    for _ in range(200):
        noise = rng.normal(0, spread, [2, *images.shape])
        both = np.concatenate(images + offset + noise).astype(np.float32)
        pair, own = trainers.pair_losses(tf.constant(both), batch)
        pairs.append(float(pair))
        owns.append(float(own))
    share = offset**2 / (offset**2 + spread**2)  # the losses are relative to the whole error
    assert np.mean(pairs) == pytest.approx(share, abs=0.02)
    assert np.mean(owns) == pytest.approx(1 + trainers.KNOWN_WEIGHT, abs=0.05)


def test_pair_gradients_do_not_push_equal_samples_apart(batch: Heads) -> None:
    both = tf.Variable(tf.concat([batch.images + 0.1] * 2, 0))
    with tf.GradientTape() as tape:
        pair, _ = trainers.pair_losses(both, batch)
    one, other = np.split(tape.gradient(pair, both).numpy(), 2)
    np.testing.assert_allclose(one, other)
    assert (one[:, 3:8] > 0).all()
    assert (one[:, 8:] == 0).all()


# --- steps ---


def test_pixels_alone_are_learnt_without_discriminators() -> None:
    trainer = make_trainer(adversarial=0.0)
    scalars = take_steps(trainer, 2)
    assert set(scalars[0]) == {"psnr", "gradient_norm"}
    assert "discriminator" not in trainer.checkpoint_contents()


def test_a_step_moves_every_variable_of_all_networks() -> None:
    trainer = make_trainer()
    assert trainer.adversary is not None
    networks = [trainer.model.e, trainer.adversary.projected.d, trainer.adversary.patches.d]
    before = [{name: v.numpy() for name, v in network.items()} for network in networks]
    scalars = take_steps(trainer, 2)
    for network, old in zip(networks, before, strict=True):
        still = [n for n, v in network.items() if np.array_equal(v.numpy(), old[n])]
        # A logit's bias has no gradient where all cells are on the same side of both hinges.
        assert not [name for name in still if not name.endswith("logit_bias")]
    assert set(scalars[0]) == set(trainer.scalars.charts) - {
        "held_out_psnr",
        *(f"held_out_octave_{i}" for i in (1, 2, 3)),
    }


def test_completed_pictures_keep_their_known_pixels_for_the_judges() -> None:
    """What the network draws of known pixels reaches no discriminator."""
    trainer = make_trainer()
    judges, seen = trainer.adversary, []
    assert judges is not None
    original = judges.projected.features
    judges.projected.features = lambda pictures: seen.append(pictures) or original(pictures)
    heads, holes = heads_of(0), trainer.draw_inputs(0, range(BATCH))[0]
    with tf.GradientTape() as tape:
        trainer._adversarial_loss(tape, Heads.of(tf.constant(heads), tf.constant(holes)))
    completed, real = (np.asarray(one) for one in seen)
    known = ~holes | (heads[..., 3:] == 0)
    twice = np.concatenate([known, known])
    np.testing.assert_array_equal(
        np.where(twice, completed, 0), np.where(twice, np.concatenate([real, real]), 0)
    )
    assert np.abs(np.where(twice, 0, completed - np.concatenate([real, real]))).max() > 0.01


def test_hidden_pixels_reach_the_network_by_no_way(monkeypatch) -> None:
    """The first step's estimates are the same whatever the hole hides."""
    trainer = make_trainer()
    drawn = []
    original = PhotoEncoder.estimate

    def spy(self, images, mask, noise, **options):
        result = original(self, images, mask, noise, **options)
        drawn.append(result)
        return result

    monkeypatch.setattr(PhotoEncoder, "estimate", spy)
    holes = trainer.draw_inputs(0, range(BATCH))[0]
    for heads in (heads_of(0), np.where(holes, 255 - heads_of(0), heads_of(0))):
        heads[..., 3] = heads_of(0)[..., 3]
        with tf.GradientTape() as tape:
            trainer._adversarial_loss(tape, Heads.of(tf.constant(heads), tf.constant(holes)))
    np.testing.assert_array_equal(*drawn)


def test_it_resumes_to_the_bit(tmp_path) -> None:
    whole = make_trainer()
    take_steps(whole, 2)
    Checkpoints(whole, str(tmp_path)).save()
    expected = take_steps(whole, 2)
    resumed = make_trainer()
    for variable in resumed.model.encoder_variables:
        variable.assign_add(tf.ones_like(variable))  # what it starts from does not matter
    Checkpoints(resumed, str(tmp_path)).restore()
    assert int(resumed.step.numpy()) == 2
    assert take_steps(resumed, 2) == expected
    for name, variable in whole.ema.items():
        np.testing.assert_array_equal(variable, resumed.ema[name])


def test_validation_is_the_psnr_of_the_ema_and_its_energy() -> None:
    trainer = make_trainer()
    take_steps(trainer, 1)
    scalars = {name: float(value) for name, value in trainer.evaluate().items()}
    drawn = trainer._complete(2)
    heads = Heads.of(tf.constant(trainer._validation), tf.constant(trainer._holes))
    hole = heads.hole.numpy()
    errors = [
        ((((one - image) / 2) ** 2) * where).sum() / where.sum() / 3
        for one, image, where in zip(drawn, heads.images.numpy(), hole, strict=True)
    ]
    psnr = np.mean([-10 * math.log10(error + 2.5e-5) for error in errors])
    assert scalars["held_out_psnr"] == pytest.approx(psnr, rel=1e-4)
    assert all(scalars[f"held_out_octave_{i}"] > 0 for i in (1, 2, 3))


def test_samples_show_hole_completion_and_original() -> None:
    trainer = make_trainer()
    pictures = trainer.sample_pictures()
    assert pictures.shape == (2, SIZE, 3 * SIZE, 3)
    masked, drawn, original = np.split(pictures, 3, axis=2)
    np.testing.assert_array_equal(original, trainer._validation[..., :3])
    known = ~trainer._holes & (trainer._validation[..., 3:] > 0)
    np.testing.assert_array_equal(np.where(known, masked, 0), np.where(known, original, 0))
    np.testing.assert_array_equal(np.where(known, drawn, 0), np.where(known, original, 0))
    assert (masked[~known[..., 0]] == trainers.HOLE_LEVEL).all()


def test_a_larger_network_grows_from_a_smaller_ones_ema(tmp_path) -> None:
    small = make_trainer()
    take_steps(small, 2)
    Checkpoints(small, str(tmp_path)).save()
    (tmp_path / "config.json").write_text(
        '{"program": "dcgan-completion", "architecture": '
        f'{{"image_size": {SIZE}, "channels": 3, "width": {WIDTH}, "first_size": {SIZE}}}}}'
    )
    large = PhotoEncoder(image_size=2 * SIZE, width=WIDTH, first_size=SIZE)
    ema = {name: tf.Variable(variable) for name, variable in large.e.items()}
    load_initial_weights(large, ema, str(tmp_path), from_ema=True)
    for name, variable in small.ema.items():
        np.testing.assert_array_equal(large.e[name], variable)
        np.testing.assert_array_equal(ema[name], variable)
