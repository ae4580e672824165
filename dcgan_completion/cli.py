"""What commands share: parsers, one-line errors, signals, progress bars, TensorFlow's start."""

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
from dcgan_completion.version import VERSION

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Errors of the operating system that a user can mend.
USER_ERRNOS = (
    *DISK_FULL,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
)


class _HelpFormatter(argparse.RawDescriptionHelpFormatter, argparse.ArgumentDefaultsHelpFormatter):
    def _get_help_string(self, action: argparse.Action) -> str | None:
        # A default of None is resolved later, and stated in the help; switches are off by default.
        plain = action.default is None or action.default is False
        return action.help if plain else super()._get_help_string(action)


class ArgumentParser(argparse.ArgumentParser):
    """argparse with one-line errors, exact option names, `--traceback` and `--version`."""

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
            "--traceback", action="store_true", help="show the full traceback of an error"
        )
        version = f"dcgan-completion {VERSION}"
        self.add_argument(
            "--version", action="version", version=version, help="show the version and exit"
        )

    def parse_known_args(self, *arguments: Any, **named: Any) -> Any:
        """Parse as argparse does, but refuse an empty string as a file, folder or name."""
        parsed, rest = super().parse_known_args(*arguments, **named)
        for action in self._actions:
            values = getattr(parsed, action.dest, None)
            if action.type is None and "" in (values if isinstance(values, list) else [values]):
                name = " or ".join(action.option_strings) or action.metavar or action.dest
                self.error(f"argument {name}: is empty; give a value, or leave it out")
        return parsed, rest

    def error(self, message: str) -> None:
        """End the program with one line on stderr and status 2."""
        line = " ".join(message.split())
        self.exit(2, f"{self.prog}: error: {line} (--help lists the options)\n")


class CommandParser(ArgumentParser):
    """A parser with sub-commands, one of which is the default.

    Attributes:
      commands: the sub-commands' parsers by name.
    """

    def __init__(self, description: str | None, default: str) -> None:
        """Make a parser that inserts `default` where a command line starts with an option."""
        super().__init__(description)
        self.commands: dict[str, ArgumentParser] = {}
        self._default = default
        self._group = self.add_subparsers(
            title="sub-commands", dest="command", metavar="COMMAND", parser_class=ArgumentParser
        )

    def add_command(self, name: str, description: str) -> ArgumentParser:
        """Add a sub-command; the first line of its description is its line in the list."""
        summary = description.partition("\n")[0].rstrip(".")
        parser = self._group.add_parser(name, help=summary, description=description)
        self.commands[name] = parser
        return parser

    def parse_known_args(
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> Any:
        """Parse as argparse does, after inserting the default sub-command where none is named."""
        words = list(sys.argv[1:] if args is None else args)
        if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
            words.insert(0, self._default)
        return super().parse_known_args(words, namespace)


class _Terminated(BaseException):
    """SIGTERM as an exception, so that `finally` blocks run."""


def _terminate(*_: object) -> None:
    raise _Terminated


def _user_message(error: Exception) -> str | None:
    """Describe an error that a user can mend, in one line; None for bugs and closed pipes."""
    if isinstance(error, UserError):
        return " ".join(str(error).splitlines())
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        remedy = "free some disk space, or " if error.errno in DISK_FULL else ""
        message = f"{where}{error.strerror}; {remedy}choose another place"
        return message if error.errno in USER_ERRNOS else None
    # TensorFlow has errors of its own for a full disk.
    if any(os.strerror(number) in str(error) for number in DISK_FULL):
        return " ".join(str(error).split())[:300] + "; free some disk space"
    return None


class _CommandHandler(logging.Handler):
    """Shows the package's log to whoever runs a command: notes on stdout, warnings on stderr.

    Attributes:
      results_on_stdout: notes go to stderr, too, since stdout holds results for programs to read.
    """

    results_on_stdout = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write the message without tearing a progress bar apart."""
        error = self.results_on_stdout or record.levelno >= logging.WARNING
        (print_error if error else print_line)(record.getMessage())


_handler = _CommandHandler()


def _show_log() -> None:
    """Show the package's log; a library's user configures logging, a command does."""
    logger = logging.getLogger("dcgan_completion")
    logger.addHandler(_handler)  # once, however often it is called
    logger.setLevel(logging.INFO)
    logger.propagate = False  # some libraries give the root logger a handler
    _handler.results_on_stdout = False


def keep_stdout_for_results() -> None:
    """Send all notes of this command to stderr: programs read its stdout."""
    _handler.results_on_stdout = True


def run_main(main: Callable[[Sequence[str] | None], int | None]) -> int:
    """Run a command's `main` and turn its errors into exit statuses.

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
        message = _user_message(error)
        if message is None or "--traceback" in sys.argv:
            raise
        print(f"{os.path.basename(sys.argv[0])}: error: {message}", file=sys.stderr)
        return 2


class StopSignals:
    """Records SIGINT and SIGTERM instead of stopping; the second one stops at once.

    Attributes:
      received: number of the signal, 0 if there was none.
    """

    def __init__(self) -> None:
        self.received = 0
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._record)

    def _record(self, number: int, _frame: object) -> None:
        if self.received:  # the user insists
            raise KeyboardInterrupt
        self.received = number


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what native libraries print to stderr; show it if the block fails."""
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
    """Import TensorFlow, set up for speed and repeatability; call it before anything imports it.

    oneDNN is switched on where TensorFlow would leave it off (processors without AVX-512): a
    step then takes half the time. Operations run one at a time, each on all cores: if several
    run at once, identical runs differ in their last bits. The user's environment overrides both.
    TensorFlow's start-up messages, and its warnings for programmers (how often it compiles), are
    held back unless TF_CPP_MIN_LOG_LEVEL asks for them.
    """
    verbose = "TF_CPP_MIN_LOG_LEVEL" in os.environ
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with contextlib.nullcontext() if verbose else quiet_stderr():
        import tensorflow as tf

        if not verbose:
            tf.get_logger().setLevel("ERROR")
        if "TF_NUM_INTEROP_THREADS" not in os.environ:
            tf.config.threading.set_inter_op_parallelism_threads(1)
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)
        if "TF_CONFIG" not in os.environ:  # a cluster must be joined before devices are started
            tf.config.list_logical_devices()  # they are started here, messages and all


def progress_bar(**arguments: Any) -> tqdm.tqdm:
    """Make a tqdm bar on stderr: live on a terminal, an occasional line in a log file."""
    terminal = sys.stderr.isatty()
    return tqdm.tqdm(
        **arguments, dynamic_ncols=terminal, mininterval=0.1 if terminal else 15, smoothing=0.1
    )


@contextlib.contextmanager
def report_if_stopped(progress: Callable[[], str]) -> Iterator[None]:
    """Report the progress so far on stderr if the command is stopped within the block."""
    try:
        yield
    except (KeyboardInterrupt, _Terminated):
        print_error(f"stopped: {progress()}")
        raise


def print_line(message: str) -> None:
    """Print a line on stdout without tearing a progress bar apart."""
    tqdm.tqdm.write(message)


def print_error(message: str) -> None:
    """Print a line on stderr without tearing a progress bar apart."""
    tqdm.tqdm.write(" ".join(message.splitlines()), file=sys.stderr)
