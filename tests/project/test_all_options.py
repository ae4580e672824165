"""Every option of every script, out of range, unknown, empty, repeated, contradictory."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from helpers import ROOT, Run, assert_refused, contents, load_script

from dcgan_completion.masks import drawing
from dcgan_completion.settings import evaluation as metrics_settings
from dcgan_completion.settings import options
from dcgan_completion.settings.masks import OF_MASK_TYPES
from dcgan_completion.settings.search import APPROACHES, OF_APPROACHES
from dcgan_completion.utils import UserError

# What a command line needs at least, by script, or script and sub-command.
LEAST = {
    "align-dlib.py": ["photos", "align", "outerEyesAndNose", "aligned"],
    "complete-photo.py": ["a.jpg"],
    "complete.py": ["a.png"],
    "data/copy-portraits.py": ["--out", "out"],
    "data/draw-faces.py": ["--out", "out"],
    "evaluate.py": ["faces"],
    "export.py": ["model"],
    "sample-dcgan.py grid": [],
    "sample-dcgan.py images": [],
    "sample-dcgan.py best": [],
    "sample-dcgan.py walk": [],
    "sample-dcgan.py sweep": [],
    "sample-dcgan.py arithmetic": ["0"],
    "sample-dcgan.py invert": ["a.jpg"],
    "sample-dcgan.py neighbours": ["--dataset", "faces"],
    "sample-dcgan.py describe": [],
    "serve.py": [],
    "simple-distributions.py": [],
    "train-context-encoder.py": ["--dataset", "faces"],
    "train-dcgan.py": ["--dataset", "faces"],
}
NEVER = ("x", "nan", "inf", "-1", "1e999", 5000 * "9")  # of no option that has a type
PERHAPS = ("1", "2", "0.5", "0.25", "0.3", "16", "32", "1/2", "2/2", "color", "cutout")
TOO_LARGE = {
    "align-dlib.py": ("--size", "--workers"),
    "complete-photo.py": ("--hmc-l",),
    "complete.py": ("--hmc-l",),
    "data/draw-faces.py": ("--size",),
    "evaluate.py": ("--workers", "--samples"),
    "sample-dcgan.py grid": ("--n", "--rows", "--columns"),
    "sample-dcgan.py images": ("--count",),
    "sample-dcgan.py best": ("--count", "--of"),
    "sample-dcgan.py walk": ("--frames", "--points", "--strip"),
    "sample-dcgan.py sweep": ("--steps", "--rows"),
    "sample-dcgan.py invert": ("--restarts",),
    "sample-dcgan.py neighbours": ("--n", "--count", "--workers"),
    "train-dcgan.py": ("--g-updates",),
}


def parser_of(script: str) -> argparse.ArgumentParser:
    """The parser of a script, or of a script's sub-command."""
    path, _, command = script.partition(" ")
    parser = load_script(path).build_parser()
    return parser.commands[command] if command else parser


def actions(script: str) -> list[argparse.Action]:
    """The options and arguments of a script that take a value."""
    return [a for a in parser_of(script)._actions if a.nargs != 0]


def cases(keep: str) -> list[tuple[str, str]]:
    """Each script with the names of those of its options of which `keep` is true."""
    return [
        (script, name)
        for script in LEAST
        for action in actions(script)
        for name in action.option_strings[:1] or [action.dest]
        if {
            "typed": action.type is not None,
            "chosen": action.choices is not None,
            "text": action.type is None and action.choices is None,
            "option": bool(action.option_strings) and not is_switch(action) and not adds(action),
        }[keep]
    ]


def is_switch(action: argparse.Action) -> bool:
    return isinstance(action, argparse.BooleanOptionalAction)


def adds(action: argparse.Action) -> bool:
    """Whether all values of an option count that is repeated."""
    return isinstance(action, argparse._AppendAction)


def words_of(script: str, name: str, value: str) -> list[str]:
    """A command line in which an option, or an argument, has that value."""
    if name.startswith("--"):
        return [*LEAST[script], f"{name}={value}"]
    least = list(LEAST[script]) or [value]
    places = [a.dest for a in actions(script) if not a.option_strings]
    least[places.index(name)] = value
    return least


def refusal(script: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The line in which a script's parser refuses a command line."""
    parser = parser_of(script)
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(words)
    assert caught.value.code == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert len(error.splitlines()) == 1
    assert "error: argument " in error
    assert "--help lists the options" in error
    return error


@pytest.mark.parametrize(("script", "name"), cases("typed"))
def test_values_of_the_wrong_type_are_refused(
    script: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in NEVER:
        error = refusal(script, words_of(script, name, value), capsys)
        assert name in error
        assert "is not" in error or "invalid" in error


@pytest.mark.parametrize("script", TOO_LARGE)
def test_what_no_memory_holds_is_refused(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in TOO_LARGE[script]:
        error = refusal(script, words_of(script, name, "100000000"), capsys)
        assert name in error
        assert "a whole number from 1 to" in error


@pytest.mark.parametrize(("script", "name"), cases("chosen"))
def test_unknown_choices_are_refused_with_those_there_are(
    script: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (action,) = (a for a in actions(script) if name in (a.dest, *a.option_strings))
    for value in ("", "other", str(next(iter(action.choices))) + "x"):
        error = refusal(script, words_of(script, name, value), capsys)
        assert name in error
        assert all(str(choice) in error for choice in action.choices) or action.type is int


@pytest.mark.parametrize(("script", "name"), cases("text"))
def test_an_empty_text_is_refused(
    script: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (action,) = (a for a in actions(script) if name in (a.dest, *a.option_strings))
    error = refusal(script, words_of(script, name, ""), capsys)
    assert (name if name.startswith("--") else str(action.metavar or name)) in error
    assert "is empty; give a value" in error


@pytest.mark.parametrize(("script", "name"), cases("option"))
def test_of_a_repeated_option_the_last_counts(script: str, name: str) -> None:
    parser = parser_of(script)
    (action,) = (a for a in actions(script) if name in a.option_strings)
    texts = []
    for text in map(str, action.choices or PERHAPS):
        try:
            value = parser._get_value(action, text)
        except argparse.ArgumentError:
            continue
        if action.choices is None or value in action.choices:
            texts.append(text)
    first, second = texts[:2]
    least = [] if name in LEAST[script] else LEAST[script]

    def value_of(*words: str) -> object:
        return getattr(parser.parse_args([*least, *words]), action.dest)

    assert value_of(name, first) != value_of(name, second)
    for spelling in action.option_strings:
        assert value_of(name, first, spelling, second) == value_of(name, second)
        assert value_of(name, second, spelling, first) == value_of(name, first)


@pytest.mark.parametrize("script", ["train-context-encoder.py", "train-dcgan.py"])
def test_of_a_switch_that_is_repeated_the_last_counts(script: str) -> None:
    parser = load_script(script).build_parser()
    for words, flip in ((["--flip", "--no-flip"], False), (["--no-flip", "--flip"], True)):
        assert parser.parse_args(["--dataset", "faces", *words]).flip is flip


# --- contradictions ---

CONTRADICTIONS = [
    (name, ["--approach", other], owners)
    for name, owners in OF_APPROACHES.items()
    for other in APPROACHES
    if other not in owners
] + [
    (name, ["--mask-type", other], owners)
    for name, owners in OF_MASK_TYPES.items()
    for other in (*drawing.MASK_TYPES, "file")
    if other not in owners
]


@pytest.mark.parametrize(("name", "other", "owners"), CONTRADICTIONS)
def test_options_of_another_search_or_mask_are_refused(
    name: str, other: list[str], owners: tuple[str, ...], tmp_path: Path
) -> None:
    script = load_script("complete.py")
    option = "--" + name.replace("_", "-")
    values = {"invert_mask": [], "distance": ["l2"]}
    values |= {key: ["1"] for key in ("hmc_l", "n_iter", "average")}
    value = values.get(name, ["0.25"])
    with pytest.raises(UserError) as caught:
        script.read_settings(["a.png", option, *value, *other])
    assert str(caught.value).startswith(f"{option} belongs to {other[0]} {' or '.join(owners)} ")
    assert str(caught.value).endswith(f"{' '.join(other)}; leave one of them out")


@pytest.mark.parametrize("task", metrics_settings.TASKS)
def test_options_of_other_evaluations_are_refused(task: str, tmp_path: Path) -> None:
    script = load_script("evaluate.py")
    parser = script.build_parser()
    asked = {
        "FOLDER": [str(tmp_path)],
        "--photos": ["--photos", str(tmp_path)],
        "--generator": ["--generator", "--real", str(tmp_path)],
    }[task]
    own = {field.name for field in options.option_fields(metrics_settings.TASKS[task])}
    for other in metrics_settings.TASKS.values():
        for field in {*metrics_settings.own_options(other)} - own - {"photos"}:
            option = "--" + field.replace("_", "-")
            (action,) = (a for a in parser._actions if option in a.option_strings)
            value = [] if action.nargs == 0 else [next(iter(action.choices or ["0.5"]))]
            if action.type is not None and field != "fraction":
                value = ["4"]
            words = f"^{option} belongs to .*, not to {task}; leave it out$"
            with pytest.raises(UserError, match=words):
                script.read_settings(parser.parse_args([*asked, option, *value]))


@pytest.mark.parametrize(
    "words",
    [[], ["a", "--generator"], ["a", "--photos", "b"], ["--photos", "b", "--generator"]],
)
def test_an_evaluation_has_one_task(words: list[str]) -> None:
    script = load_script("evaluate.py")
    with pytest.raises(UserError, match="name one of FOLDER"):
        script.read_settings(script.build_parser().parse_args(words))


# --- places where nothing can be written ---

MODEL = ROOT / "tests" / "golden" / "checkpoint"
FACES = ROOT / "tests" / "golden" / "faces"
ALIGN = ("align-dlib.py", FACES, "align", "outerEyesAndNose")
TRAIN = ("train-dcgan.py", "--dataset", FACES, "--image-size", 16, "--batch-size", 8)
ENCODE = ("train-context-encoder.py", *TRAIN[1:])
EVALUATE = ("evaluate.py", FACES, "--checkpoint-dir", MODEL)
PLACES = {
    "outputDir": (*ALIGN, "/proc/x"),
    "--out-dir": ("complete-photo.py", FACES, "--box", "1,1,4,4", "--out-dir", "/proc/x"),
    "--outDir": ("complete.py", FACES, "--checkpoint-dir", MODEL, "--outDir", "/proc/x"),
    "--checkpoint-dir": (*TRAIN, "--checkpoint-dir", "/proc/x"),
    "--sample-dir": (*TRAIN, "--sample-dir", "/proc/x"),
    "--log-dir": (*TRAIN, "--log-dir", "/proc/x"),
    "--checkpoint-dir of an encoder": (*ENCODE, "--checkpoint-dir", "/proc/x"),
    "--sample-dir of an encoder": (*ENCODE, "--sample-dir", "/proc/x"),
    "--log-dir of an encoder": (*ENCODE, "--log-dir", "/proc/x"),
    "--out": (*EVALUATE, "--out", "/proc/x"),
    "--cache": (*EVALUATE, "--cache", "/proc/x"),
    "--out of samples": ("sample-dcgan.py", "--checkpoint-dir", MODEL, "--out", "/proc/x.png"),
    "--individual": ("sample-dcgan.py", "--checkpoint-dir", MODEL, "--individual", "/proc/x"),
    "--out of plots": ("simple-distributions.py", "--out", "/proc/x"),
    "--out of portraits": ("data/copy-portraits.py", "--out", "/proc/x"),
    "--out of drawn faces": ("data/draw-faces.py", "--n", 1, "--out", "/proc/x"),
    "out": ("export.py", "--checkpoint-dir", MODEL, "/proc/x"),
}


@pytest.mark.parametrize("place", PLACES)
def test_places_where_nothing_can_be_written_are_refused(
    place: str, run_any: Run, tmp_path: Path
) -> None:
    if not Path("/proc/self").exists():
        pytest.skip("there is no /proc, where permissions alone say that it can be written")
    script, *words = PLACES[place]
    done = run_any(script, *words, cwd=tmp_path)
    assert_refused(done, f"{place.partition(' of ')[0]} /proc", "cannot be written", "choose")
    assert contents(tmp_path) == {}


# --- networks that no memory holds ---


@pytest.mark.parametrize(
    ("words", "option"),
    [(TRAIN, "--z-dim"), (TRAIN, "--gf-dim"), (TRAIN, "--df-dim"), (ENCODE, "--width")],
)
def test_networks_that_are_too_large_are_refused(
    words: tuple[object, ...], option: str, run_any: Run, tmp_path: Path
) -> None:
    for width in (10**6, 10**18):
        done = run_any(*words, option, width, cwd=tmp_path)
        assert_refused(done, f"{option} {width}", "2 GiB", "lower")
    assert contents(tmp_path) == {}
