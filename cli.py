"""What command lines share: options, errors in one line, signals, progress, TensorFlow's start."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import errno
import io
import math
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

try:
    import tqdm

    from utils import MAX_PIXELS, UserError
except ModuleNotFoundError as error:  # a newcomer's first mistake: outside the virtual environment
    sys.stderr.write(
        f"{os.path.basename(sys.argv[0])}: error: the package {error.name} is not installed for "
        f"{sys.executable}; source .venv/bin/activate, which make demo made, or pip install -r "
        "requirements.txt\n"
    )
    sys.exit(2)

PRECISIONS = ("auto", "float32", "bfloat16")  # see devices.Precision
FULL_DISK = tuple(os.strerror(e) for e in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
USERS_OS_ERRORS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
)


class _HelpFormatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    def _get_help_string(self, action: argparse.Action) -> str | None:
        # A default of None is resolved later; such options state it in their own words.
        return action.help if action.default is None else super()._get_help_string(action)


class ArgumentParser(argparse.ArgumentParser):
    """argparse with one-line errors, exact option names and `--traceback`."""

    def __init__(self, description: str | None, prog: str | None = None) -> None:
        summary, _, examples = (description or "").partition("\n\n")
        super().__init__(
            prog=prog,
            description=summary,
            epilog=examples,
            formatter_class=_HelpFormatter,
            allow_abbrev=False,
        )
        self.add_argument(
            "--traceback", action="store_true", help="show where in the code an error was found"
        )

    def parse_known_args(self, *arguments: Any, **named: Any) -> Any:
        """As argparse, but an empty text is no file, folder or name."""
        parsed, rest = super().parse_known_args(*arguments, **named)
        for action in self._actions:
            values = getattr(parsed, action.dest, None)
            if action.type is None and "" in (values if isinstance(values, list) else [values]):
                name = " or ".join(action.option_strings) or action.metavar or action.dest
                self.error(f"argument {name}: is empty; name something, or leave it out")
        return parsed, rest

    def error(self, message: str) -> None:
        """Ends the program with one line and status 2."""
        line = " ".join(message.split())
        self.exit(2, f"{self.prog}: error: {line} (--help lists the options)\n")


class CommandParser(ArgumentParser):
    """A parser with sub-commands, of which one is meant where the first word names none.

    Attributes:
      commands: the sub-commands' parsers by name.
    """

    def __init__(self, description: str | None, default: str) -> None:
        """`default` is put in front of a command line that is empty, or starts with an option."""
        super().__init__(description)
        self.commands: dict[str, ArgumentParser] = {}
        self._default = default
        self._group = self.add_subparsers(
            title="sub-commands", dest="command", metavar="COMMAND", parser_class=ArgumentParser
        )

    def add_command(self, name: str, description: str) -> ArgumentParser:
        """Adds a sub-command; the first line of its description is its line in the list."""
        summary = description.partition("\n")[0].rstrip(".")
        parser = self._group.add_parser(name, help=summary, description=description)
        self.commands[name] = parser
        return parser

    def parse_known_args(
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> Any:
        """As argparse, with the default's name where there is no other."""
        words = list(sys.argv[1:] if args is None else args)
        if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
            words.insert(0, self._default)
        return super().parse_known_args(words, namespace)


def option(help_text: str, *flags: str, default: Any = None, **arguments: Any) -> Any:
    """A field of a settings class, with all that its option on the command line needs.

    Args:
      help_text: what it does, with its unit; the default is added by `add_options`.
      flags: further spellings besides --kebab-case, such as the reference's.
      default: of the field; a callable, such as `list`, makes one for each instance.
      arguments: for `argparse.ArgumentParser.add_argument`.
    """
    metadata = {"flags": flags, "arguments": {"help": help_text, **arguments}}
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def same_option(settings: type, name: str, **changes: Any) -> Any:
    """The field of another settings class with that name, so that both have one definition.

    Args:
      settings: a dataclass with a field `name` that was made by `option`.
      name: of the field.
      changes: of its default, its help (`help_text`) and other arguments of `option`.
    """
    (field,) = (field for field in option_fields(settings) if field.name == name)
    arguments = {"default": field.default} | field.metadata["arguments"] | changes
    help_text = arguments.pop("help")
    return option(arguments.pop("help_text", help_text), *field.metadata["flags"], **arguments)


def max_pixels_option() -> Any:
    """The field max_pixels of every settings class that has one: see `utils.open_picture`."""
    return option(
        "pixels of an image, at most: a larger one is not read, and named",
        type=positive_int,
        metavar="N",
        default=MAX_PIXELS,
    )


def option_fields(settings: type) -> list[dataclasses.Field[Any]]:
    """The fields of a settings class that were made by `option`."""
    return [field for field in dataclasses.fields(settings) if "flags" in field.metadata]


def flag(name: str) -> str:
    """The option of a field: batch_size -> --batch-size."""
    return "--" + name.replace("_", "-")


def add_options(
    group: argparse._ActionsContainer,
    settings: type,
    default_text: Callable[[dataclasses.Field[Any]], str],
    names: Collection[str] | None = None,
) -> None:
    """Adds the options of a settings class to a parser.

    An option that the user leaves out is None in what the parser returns: the settings class has
    the default. Of one that is repeated, the last counts.

    Args:
      group: a parser, or a group of it.
      settings: a dataclass whose fields are made by `option`.
      default_text: what the help says of a field's default, such as "default: 64"; may be empty.
      names: of the fields to add; None for all.
    """
    for field in option_fields(settings):
        if names is None or field.name in names:
            arguments = dict(field.metadata["arguments"])
            if text := default_text(field):
                arguments["help"] += f" ({text})"
            flags = (flag(field.name), *field.metadata["flags"])
            group.add_argument(*flags, dest=field.name, default=None, **arguments)


def given_options(args: argparse.Namespace, settings: type) -> dict[str, Any]:
    """The values of a settings class' options that the user gave, by field."""
    values = {field.name: getattr(args, field.name, None) for field in option_fields(settings)}
    return {name: value for name, value in values.items() if value is not None}


def could_be_given(field: dataclasses.Field[Any], value: Any) -> bool:
    """Whether a value, such as one in a file, is one that a field's option can have.

    Args:
      field: made by `option`.
      value: as JSON holds it.
    """
    arguments = field.metadata["arguments"]
    if value is None:
        return field.default is None
    if isinstance(value, bool) or "action" in arguments:
        return isinstance(value, bool) and "action" in arguments
    if "nargs" in arguments:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    try:
        same = arguments.get("type", str)(text) == value
    except (ValueError, argparse.ArgumentTypeError):
        return False
    return same and value in arguments.get("choices", (value,))


def options_of(
    settings: Any, choice: str, of_choices: dict[str, tuple[str, ...]]
) -> dict[str, Any]:
    """A settings object's options; None for those that do not belong to what was chosen."""
    chosen = getattr(settings, choice)
    return {
        field.name: getattr(settings, field.name)
        if chosen in of_choices.get(field.name, (chosen,))
        else None
        for field in option_fields(settings)
    }


def check_belongs(
    name: str, choice: str, chosen: str, of_choices: dict[str, tuple[str, ...]]
) -> None:
    """Raises UserError if an option that was given belongs to other choices than `chosen`."""
    values = of_choices.get(name, (chosen,))
    if chosen not in values:
        raise UserError(
            f"{flag(name)} belongs to {flag(choice)} {' or '.join(values)} and contradicts "
            f"{flag(choice)} {chosen}; leave one of them out"
        )


def _number(
    convert: Callable[[str], float], valid: Callable[[float], bool], wanted: str
) -> Callable[[str], float]:
    """argparse type: a finite number that `valid` accepts; `wanted` names it in the error."""

    def parse(text: str) -> float:
        try:
            value = convert(text)
            fits = math.isfinite(value) and valid(value)
        except (ValueError, OverflowError):
            fits = False
        if not fits:
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
        return value

    return parse


open_fraction = _number(float, lambda v: 0 < v < 1, "a number between 0 and 1")
positive_int = _number(int, lambda v: v > 0, "a whole number above 0")
seed = _number(int, lambda v: 0 <= v < 2**32, "a whole number from 0 to 4294967295")
index = _number(int, lambda v: 0 <= v < 10**6, "a whole number from 0 to 999999")
# What is made at once, or side by side: more would only end in a lack of memory.
edge = _number(int, lambda v: 0 < v <= 4096, "a whole number from 1 to 4096")
picture_count = _number(int, lambda v: 0 < v <= 10**6, "a whole number from 1 to 1000000")
worker_count = _number(int, lambda v: 0 < v <= 1024, "a whole number from 1 to 1024")
update_count = _number(int, lambda v: 0 < v <= 1000, "a whole number from 1 to 1000")
positive_float = _number(float, lambda v: v > 0, "a number above 0")
non_negative_float = _number(float, lambda v: v >= 0, "a number from 0")
share = _number(float, lambda v: 0 < v <= 1, "a number above 0, 1 at most")
closed_fraction = _number(float, lambda v: 0 <= v <= 1, "a number from 0 to 1")
decay_rate = _number(float, lambda v: 0 <= v < 1, "a number from 0 to below 1")


def image_size(text: str) -> int:
    """argparse type: the edge of an image in pixels that a DCGAN can have."""
    if text not in ("16", "32", "64", "128"):
        raise argparse.ArgumentTypeError(f"{text!r} is not one of 16, 32, 64, 128")
    return int(text)


class _Terminated(BaseException):
    """SIGTERM, as an exception, so that `finally` blocks run."""


def _terminate(*_: object) -> None:
    raise _Terminated


def _message(error: Exception) -> str | None:
    """What a user can mend, in one line; None for all else, a closed pipe too."""
    if isinstance(error, UserError):
        return " ".join(str(error).splitlines())
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        message = f"{where}{error.strerror}; make room, or choose another place"
        return message if error.errno in USERS_OS_ERRORS else None
    if any(text in str(error) for text in FULL_DISK):  # TensorFlow has errors of its own for it
        return " ".join(str(error).split())[:300] + "; make room"
    return None


def run_main(main: Callable[[Sequence[str] | None], int | None]) -> int:
    """Runs a script's `main` and turns its errors into exit statuses.

    0 done, 1 a bug (traceback) or what `main` returns, 2 a UserError (one line on stderr)
    or a path that cannot be used, 130 SIGINT, 143 SIGTERM.
    """
    signal.signal(signal.SIGTERM, _terminate)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names in other encodings
    try:
        return main(None) or 0
    except KeyboardInterrupt:
        return 130
    except _Terminated:
        return 143
    except Exception as error:
        message = _message(error)
        if message is None or "--traceback" in sys.argv:
            raise
        print(f"{os.path.basename(sys.argv[0])}: error: {message}", file=sys.stderr)
        return 2


class StopSignals:
    """Takes note of SIGINT and SIGTERM, so that a step is finished and saved before the end.

    Attributes:
      received: number of the signal, 0 if there was none.
    """

    def __init__(self) -> None:
        self.received = 0
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: object) -> None:
        if self.received:  # the user insists
            raise KeyboardInterrupt
        self.received = number


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Holds back what native libraries print to stderr; shows it if the block fails."""
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(original, held.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)


def prepare_tensorflow() -> None:
    """Imports TensorFlow, set up for speed and repeatability; call it before all that imports it.

    oneDNN is switched on where TensorFlow would leave it off (processors without AVX-512): a
    step then takes half the time. One operation at a time, each on all cores: with several,
    identical runs differ in their last bits. Both only unless the user's environment decides.
    TensorFlow's start-up messages, and its warnings that are for programmers (how often it
    compiles), are held back unless TF_CPP_MIN_LOG_LEVEL asks for them.
    """
    talkative = "TF_CPP_MIN_LOG_LEVEL" in os.environ
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with contextlib.nullcontext() if talkative else quiet_stderr():
        import tensorflow as tf

        if not talkative:
            tf.get_logger().setLevel("ERROR")
        if "TF_NUM_INTEROP_THREADS" not in os.environ:
            tf.config.threading.set_inter_op_parallelism_threads(1)
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        if "TF_CONFIG" not in os.environ:  # a cluster must be joined before devices are started
            tf.config.list_logical_devices()  # they are started here, messages and all


def progress_bar(**arguments: Any) -> tqdm.tqdm:
    """A tqdm bar on stderr: live on a terminal, a line now and then in a log file."""
    terminal = sys.stderr.isatty()
    return tqdm.tqdm(
        **arguments, dynamic_ncols=terminal, mininterval=0.1 if terminal else 15, smoothing=0.1
    )


@contextlib.contextmanager
def told_when_stopped(message: Callable[[], str]) -> Iterator[None]:
    """Says on stderr what a command that is stopped in the block has done by then."""
    try:
        yield
    except (KeyboardInterrupt, _Terminated):
        say(f"stopped: {message()}")
        raise


def tell(message: str) -> None:
    """A line on stdout that does not tear a progress bar apart."""
    tqdm.tqdm.write(message)


def say(message: str) -> None:
    """A line on stderr that does not tear a progress bar apart."""
    tqdm.tqdm.write(" ".join(message.splitlines()), file=sys.stderr)
