"""The settings of a training: defaults, choices and help of the training commands' options.

Readable without TensorFlow: command lines are built from these classes. A resumed run keeps the
values of the architecture, the rules, `DataSettings` and `PrecisionSettings` that are not given
anew.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from dcgan_completion import cli
from dcgan_completion.settings import options

if TYPE_CHECKING:
    from dcgan_completion.devices import Precision

POLICIES = ("color", "translation", "cutout")  # see augment.differentiable
# Rules that a resumed run cannot change: with the architecture, they are what makes it that run.
IDENTITY = ("batch_size", "seed")
AUGMENTATION = ("flip", "diffaugment")  # the rules about images


def image_count(text: str) -> int | str:
    """argparse type: a number of images, or all of them."""
    return text if text == "all" else int(options.positive_int(text))


def policies(text: str) -> list[str]:
    """argparse type: augmentations, separated by commas."""
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in POLICIES:
            *others, last = POLICIES
            raise argparse.ArgumentTypeError(f"{name!r} is not {', '.join(others)} or {last}")
    return names


@dataclasses.dataclass(frozen=True)
class Architecture:
    """The networks: what `model.DCGAN` takes, and a checkpoint's config.json holds.

    Attributes:
      network: their name, as `checkpoints.find_checkpoint` takes it.
    """

    network: ClassVar[str] = "DCGAN"

    image_size: int = options.option(
        "edge of the images in pixels: 16, 32, 64 or 128",
        "--image_size",
        type=options.image_size,
        default=64,
    )
    channels: int = options.option("1 for gray, 3 for colour", type=int, choices=(1, 3), default=3)
    z_dim: int = options.option(
        "length of the latent z", "--z_dim", type=options.positive_int, default=100
    )
    gf_dim: int = options.option(
        "channels of G's last layer", "--gf_dim", type=options.positive_int, default=64
    )
    df_dim: int = options.option(
        "channels of D's first layer", "--df_dim", type=options.positive_int, default=64
    )


@dataclasses.dataclass(frozen=True)
class Rules:
    """How the networks are trained.

    Attributes:
      batch_size: images a step, over all devices together.
      seed: of all that is random.
      learning_rate, beta1: of Adam, for both networks.
      d_learning_rate: of Adam for D, where it differs (two time scales: Heusel et al. 2017,
        arXiv:1706.08500).
      decay_epochs: over so many epochs at the end of the run both rates fall linearly towards 0.
      g_updates: updates of G per update of D: 2 in the tutorial, 1 in the paper.
      flip: mirror half of the real images.
      diffaugment: of POLICIES.
      label_smoothing: one-sided, see DCGAN.discriminator_loss.
      average_decay: a step keeps this share of the averaged generator (0: the generator itself).
      fixed: more rules that a resumed run cannot change.
    """

    fixed: ClassVar[tuple[str, ...]] = ()

    batch_size: int = options.option(
        "images a step", "--batch_size", type=options.positive_int, default=64
    )
    seed: int = options.option("of weights, noise and order", type=options.seed, default=0)
    learning_rate: float = options.option(
        "Adam's step size", "--learning_rate", type=options.positive_float, default=0.0002
    )
    d_learning_rate: float | None = options.option(
        "D's learning rate, where it differs", type=options.positive_float
    )
    decay_epochs: float = options.option(
        "over the last N epochs the learning rates fall linearly to 0",
        type=options.non_negative_float,
        metavar="N",
        default=0.0,
    )
    beta1: float = options.option(
        "Adam's decay of the mean gradient", type=options.decay_rate, default=0.5
    )
    g_updates: int = options.option(
        "updates of G per update of D; paper: 1",
        "--g_updates",
        type=options.update_count,
        default=2,
    )
    flip: bool = options.option(
        "mirror half of the images", action=argparse.BooleanOptionalAction, default=False
    )
    diffaugment: Sequence[str] = options.option(
        "DiffAugment, for small data sets: of color,translation,cutout, separated by commas",
        type=policies,
        metavar="LIST",
        default=list,
    )
    label_smoothing: float = options.option(
        "D's target for real images is 1 minus this (0.1 counters discriminator saturation)",
        type=options.decay_rate,
        default=0.0,
    )
    average_decay: float = options.option(
        "share that a step keeps of the averaged generator, which samples come from; 0: the "
        "generator itself",
        type=options.decay_rate,
        default=0.999,
    )


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """The images.

    Attributes:
      dataset: folders.
      train_size: how many of their images to use, or `all`.
      holdout: path of a list of file names to leave out.
      max_pixels: of an image; one of more is not read.
    """

    dataset: Sequence[str] = options.option(
        "folders of png, jpg, jpeg, webp or bmp images, searched with all below them; each image "
        "is cropped to its central square and scaled",
        nargs="+",
        required=True,
        metavar="DIR",
        default=list,
    )
    train_size: int | str = options.option(
        "images to use, or all", "--train_size", type=image_count, default="all"
    )
    holdout: str | None = options.option(
        "list of file names, one a line, to leave out", metavar="FILE"
    )
    max_pixels: int = options.max_pixels_option()


@dataclasses.dataclass(frozen=True)
class PrecisionSettings:
    """What the user asks for; `devices.Precision` says what that is on this machine."""

    precision: str = options.option(
        "of the convolutions; auto: the faster one here", choices=options.PRECISIONS, default="auto"
    )


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """How a command trains: where it starts, when it ends, and how exactly it computes.

    Attributes:
      epoch: epochs in all, those before a resume included.
      minutes: stop after so many; None: only after the last epoch.
      init_from: path of a checkpoint whose weights a new run starts from.
    """

    epoch: int = options.option(
        "epochs in all, those before a resume included", type=options.positive_int, default=25
    )
    minutes: float | None = options.option(
        "stop, saved, after so many", type=options.positive_float
    )
    init_from: str | None = options.option(
        "start from its weights, at step 0", metavar="CHECKPOINT"
    )
    deterministic: bool = options.option(
        "on GPUs: repeatable to the bit, and slower", action="store_true", default=False
    )


@dataclasses.dataclass(frozen=True)
class DCGANRunSettings(RunSettings):
    """How a DCGAN is trained: it has batch statistics."""

    sync_batch_norm: bool = options.option(
        "on several devices: normalise by the statistics of the global batch; slower",
        action="store_true",
        default=False,
    )


@dataclasses.dataclass(frozen=True)
class OutputSettings:
    """The folders of a run, and how often it writes into them."""

    checkpoint_dir: str = options.option("for the model", "--checkpoint_dir", default="checkpoint")
    sample_dir: str = options.option("for sample grids", "--sample_dir", default="samples")
    log_dir: str = options.option("for scalars.csv and TensorBoard", "--log_dir", default="logs")
    sample_interval: int = options.option(
        "steps between sample grids", type=options.positive_int, default=100
    )
    checkpoint_interval: int = options.option(
        "steps between checkpoints", type=options.positive_int, default=500
    )
    keep: int = options.option("checkpoints to keep", type=options.positive_int, default=5)

    @property
    def model_dir(self) -> str:
        """The folder of the run's checkpoints and its config.json."""
        return self.checkpoint_dir


# --- the context encoder's ---


def _like(settings: type, name: str, default: Any = dataclasses.MISSING, also: str = "") -> Any:
    """A field like that of another settings class, with another default, or more help."""
    (field,) = [field for field in options.option_fields(settings) if field.name == name]
    if default is dataclasses.MISSING:
        default = field.default
    arguments = dict(field.metadata["arguments"])
    text = arguments.pop("help") + also
    return options.option(text, *field.metadata["flags"], default=default, **arguments)


@dataclasses.dataclass(frozen=True)
class EncoderArchitecture:
    """The network: what `ContextEncoder` takes, and a checkpoint's config.json holds."""

    network: ClassVar[str] = "context encoder"

    image_size: int = _like(Architecture, "image_size", also="; as the DCGAN's, if there is one")
    channels: int = _like(Architecture, "channels", also="; as the DCGAN's, if there is one")
    width: int = options.option(
        "channels of the largest feature maps", type=options.positive_int, default=48
    )


@dataclasses.dataclass(frozen=True)
class EncoderRules:
    """How the network is trained.

    Attributes:
      warmup_steps: over so many steps at the start of a run the learning rate rises linearly.
      adversarial_weight: what the adversarial loss counts beside the reconstruction's dB.
      average_decay: a step keeps this share of the averaged weights (0: the weights themselves).
      others: as in `Rules`.
    """

    fixed: ClassVar[tuple[str, ...]] = ("adversarial_weight",)

    batch_size: int = _like(Rules, "batch_size")
    seed: int = options.option("of weights, masks and order", type=options.seed, default=0)
    learning_rate: float = _like(Rules, "learning_rate", 0.001)
    warmup_steps: int = options.option(
        "over the first N steps the learning rate rises linearly",
        type=options.positive_int,
        metavar="N",
        default=500,
    )
    decay_epochs: float = _like(Rules, "decay_epochs", 10.0)
    beta1: float = _like(Rules, "beta1", 0.9)
    flip: bool = _like(Rules, "flip")
    adversarial_weight: float = options.option(
        "above 0: makes estimates sharper, after a training without it (--init-from). The last "
        "layers alone are trained, also against the discriminator of the DCGAN in "
        "--checkpoint-dir, whose loss counts so many dB",
        type=options.non_negative_float,
        default=0.0,
    )
    average_decay: float = options.option(
        "share that a step keeps of the averaged weights, which estimates come from; 0: the "
        "weights themselves",
        type=options.decay_rate,
        default=0.999,
    )


@dataclasses.dataclass(frozen=True)
class EncoderOutputSettings(OutputSettings):
    """The folders of a run, apart from those of the DCGAN's, and how often it writes into them."""

    checkpoint_dir: str = options.option(
        "of the DCGAN; the encoder is written to its folder context-encoder",
        "--checkpoint_dir",
        default="checkpoint",
    )
    sample_dir: str = _like(OutputSettings, "sample_dir", "samples/context-encoder")
    log_dir: str = _like(OutputSettings, "log_dir", "logs/context-encoder")

    @property
    def model_dir(self) -> str:
        """The folder of the run's checkpoints and its config.json, inside the DCGAN's."""
        from dcgan_completion.checkpoints import ENCODER_FOLDER

        return os.path.join(self.checkpoint_dir, ENCODER_FOLDER)


# --- all of them ---


class OptionClasses(NamedTuple):
    """The settings classes of a command."""

    architecture: type[Architecture | EncoderArchitecture]
    rules: type[Rules | EncoderRules]
    data: type[DataSettings]
    precision: type[PrecisionSettings]
    run: type[RunSettings]
    output: type[OutputSettings]


OPTIONS = OptionClasses(
    Architecture, Rules, DataSettings, PrecisionSettings, DCGANRunSettings, OutputSettings
)
ENCODER_OPTIONS = OptionClasses(
    EncoderArchitecture,
    EncoderRules,
    DataSettings,
    PrecisionSettings,
    RunSettings,
    EncoderOutputSettings,
)


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """All settings of a training, none left open; made by `run.settle`."""

    architecture: Architecture | EncoderArchitecture
    rules: Rules | EncoderRules
    data: DataSettings
    precision: Precision
    run: RunSettings
    output: OutputSettings

    def options(self) -> dict[str, Any]:
        """All by the names of their options, for config.json, and `precision_used`."""
        parts = (self.architecture, self.rules, self.data, self.run, self.output)
        options: dict[str, Any] = {}
        for part in parts:
            options |= dataclasses.asdict(part)
        return options | {"precision": self.precision.asked, "precision_used": self.precision.used}


def default_text(field: dataclasses.Field[Any]) -> str:
    """What the help says of a field's default; empty where there is none to tell."""
    told = field.default or field.name in IDENTITY
    return f"default: {field.default}" if told and field.default is not dataclasses.MISSING else ""


def resumed_default_text(field: dataclasses.Field[Any]) -> str:
    """`default_text` of a field whose value a resumed run keeps."""
    text = default_text(field)
    return f"{text}, or as in the run that is resumed" if text else ""


def build_parser(description: str | None, classes: OptionClasses) -> argparse.ArgumentParser:
    """A training command's options: the reference's under their own and a kebab-case spelling."""
    parser = cli.ArgumentParser(description)
    images = parser.add_argument_group("images")
    networks = parser.add_argument_group("networks")
    training = parser.add_argument_group("training")
    output = parser.add_argument_group("output")
    kept, plain = resumed_default_text, default_text
    elsewhere = (*AUGMENTATION, "seed", "init_from")

    def others(settings: type) -> list[str]:
        return [f.name for f in options.option_fields(settings) if f.name not in elsewhere]

    options.add_options(images, classes.data, kept)
    options.add_options(images, classes.rules, kept, AUGMENTATION)
    options.add_options(networks, classes.architecture, kept)
    options.add_options(networks, classes.rules, kept, ["seed"])
    options.add_options(networks, classes.run, plain, ["init_from"])
    options.add_options(training, classes.rules, kept, others(classes.rules))
    options.add_options(training, classes.precision, kept)
    options.add_options(training, classes.run, plain, others(classes.run))
    options.add_options(output, classes.output, plain)
    return parser


def given_options(args: argparse.Namespace, classes: OptionClasses) -> dict[str, Any]:
    """The values that the user gave, by the names of their fields."""
    given: dict[str, Any] = {}
    for settings in classes:
        given |= options.given_options(args, settings)
    return given
