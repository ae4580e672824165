"""What command lines share: parsers, errors in one line, signals, progress, TensorFlow's start."""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tqdm

from dcgan_completion.utils import UserError

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


class _CommandHandler(logging.Handler):
    """What the package logs, for whoever runs a command: notes on stdout, warnings on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a line; a progress bar stays whole."""
        (say if record.levelno >= logging.WARNING else tell)(record.getMessage())


def _show_log() -> None:
    """Shows the package's log, once; a library's user configures logging, a command does."""
    logger = logging.getLogger("dcgan_completion")
    if not any(isinstance(handler, _CommandHandler) for handler in logger.handlers):
        logger.addHandler(_CommandHandler())
    logger.setLevel(logging.INFO)
    logger.propagate = False


def run_main(main: Callable[[Sequence[str] | None], int | None]) -> int:
    """Runs a script's `main` and turns its errors into exit statuses.

    0 done, 1 a bug (traceback) or what `main` returns, 2 a UserError (one line on stderr)
    or a path that cannot be used, 130 SIGINT, 143 SIGTERM.
    """
    _show_log()
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
