"""Options as fields of settings classes: defined once, added to parsers, read back, checked."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import math
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

from dcgan_completion.utils import MAX_PIXELS, UserError

PRECISIONS = ("auto", "float32", "bfloat16")  # see devices.Precision


def option(help_text: str, *flags: str, default: Any = None, **arguments: Any) -> Any:
    """Make a field of a settings class that is also an option of the command line.

    Args:
      help_text: says what it does, with its unit; the default is added by `add_options`.
      flags: further spellings besides --kebab-case, such as the reference's.
      default: of the field; a callable, such as `list`, makes one for each instance.
      arguments: for `argparse.ArgumentParser.add_argument`.
    """
    metadata = {"flags": flags, "arguments": {"help": help_text, **arguments}}
    if callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def same_option(settings: type, name: str, **changes: Any) -> Any:
    """Make a field like `name` of another settings class, so that both have one definition.

    Args:
      settings: a dataclass with a field `name` that was made by `option`.
      name: of the field.
      changes: other values of the arguments of `option`.
    """
    (field,) = (field for field in option_fields(settings) if field.name == name)
    arguments = {"default": field.default} | field.metadata["arguments"] | changes
    help_text = arguments.pop("help")
    return option(arguments.pop("help_text", help_text), *field.metadata["flags"], **arguments)


def max_pixels_option() -> Any:
    """Make the field max_pixels of every settings class that has one: see `utils.open_picture`."""
    return option(
        "skip images of more than N pixels, and report them",
        type=positive_int,
        metavar="N",
        default=MAX_PIXELS,
    )


def option_fields(settings: type) -> list[dataclasses.Field[Any]]:
    """List the fields of a settings class that were made by `option`."""
    return [field for field in dataclasses.fields(settings) if "flags" in field.metadata]


def flag(name: str) -> str:
    """Return the option of a field: batch_size -> --batch-size."""
    return "--" + name.replace("_", "-")


@contextlib.contextmanager
def naming_arguments() -> Iterator[None]:
    """Name arguments in the text of a UserError where it names options.

    The limit of an image's pixels is no argument of a call, but the process's.
    """
    try:
        yield
    except UserError as error:
        text = str(error).replace("--max-pixels", "the limit (dcgan_completion.utils.limit_pixels)")
        text = re.sub(r"--([a-z][a-z-]*)", lambda m: m[1].replace("-", "_"), text)
        raise UserError(text) from error


def add_options(
    group: argparse._ActionsContainer,
    settings: type,
    default_text: Callable[[dataclasses.Field[Any]], str],
    names: Collection[str] | None = None,
) -> None:
    """Add the options of a settings class to a parser.

    The parser returns None for an option that is left out: the settings class has the default. If
    an option is repeated, the last value counts.

    Args:
      group: a parser, or a group of it.
      settings: a dataclass whose fields are made by `option`.
      default_text: describes a field's default for the help, such as "default: 64", or is empty.
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
    """Return the values of a settings class' options that the user gave, by field."""
    values = {field.name: getattr(args, field.name, None) for field in option_fields(settings)}
    return {name: value for name, value in values.items() if value is not None}


def could_be_given(field: dataclasses.Field[Any], value: Any) -> bool:
    """Return whether a value, such as one from a file, is valid for a field made by `option`."""
    arguments = field.metadata["arguments"]
    if value is None:
        return field.default is None
    if isinstance(value, bool) or "action" in arguments:
        return isinstance(value, bool) and "action" in arguments
    value = list(value) if isinstance(value, tuple) else value
    if "nargs" in arguments:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    try:
        same = arguments.get("type", str)(text) == value
    except (ValueError, argparse.ArgumentTypeError):
        return False
    return same and value in arguments.get("choices", (value,))


def check_values(settings: Any) -> None:
    """Raise ValueError if a field of a settings object has a value that its option refuses."""
    for field in option_fields(type(settings)):
        value = getattr(settings, field.name)
        if not could_be_given(field, value):
            raise ValueError(f"{field.name} {value!r}: not a value that {flag(field.name)} accepts")


def options_of(
    settings: Any, choice: str, of_choices: dict[str, tuple[str, ...]]
) -> dict[str, Any]:
    """Return a settings object's options; None for those that do not belong to its choice."""
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
    """Raise UserError if an option that was given belongs to other choices than `chosen`."""
    values = of_choices.get(name, (chosen,))
    if chosen not in values:
        raise UserError(
            f"{flag(name)} belongs to {flag(choice)} {' or '.join(values)} and contradicts "
            f"{flag(choice)} {chosen}; leave one of them out"
        )


def _number(
    convert: Callable[[str], float], valid: Callable[[float], bool], wanted: str
) -> Callable[[str], float]:
    """Make an argparse type: a finite number that `valid` accepts; errors call it `wanted`."""

    def parse(text: str) -> float:
        with contextlib.suppress(ValueError, OverflowError):
            value = convert(text)
            if math.isfinite(value) and valid(value):
                return value
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")

    return parse


open_fraction = _number(float, lambda v: 0 < v < 1, "a number between 0 and 1")
positive_int = _number(int, lambda v: v > 0, "a whole number above 0")
seed = _number(int, lambda v: 0 <= v < 2**32, "a whole number from 0 to 4294967295")
index = _number(int, lambda v: 0 <= v < 10**6, "a whole number from 0 to 999999")
# Things made at once, or side by side: more would only run out of memory.
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
    """Parse the edge of a DCGAN's images in pixels, as an argparse type."""
    if text not in ("16", "32", "64", "128"):
        raise argparse.ArgumentTypeError(f"{text!r} is not one of 16, 32, 64, 128")
    return int(text)


def plain_default(field: dataclasses.Field[Any]) -> str:
    """Describe a field's default for the help; "" for a switch, or without one."""
    default = field.default
    if isinstance(default, tuple):
        default = " ".join(map(str, default))
    hidden = default is None or default is False or default is dataclasses.MISSING or default == ""
    return "" if hidden else f"default: {default}"
