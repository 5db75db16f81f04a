"""What people and scripts rely on: verbs and options are frozen, and help comes at once."""

import ast
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import attentio
from attentio.cli import app
from attentio.train.settings import DEFAULT_PRESET

READING = ["--columns", "--delimiter", "--encoding", "--no-swap", "--source-language", "--swap", "--target-language"]
CORPUS = [*READING, "--dev", "--keep-going", "--links", "--max-length", "--script", "--src", "--test", "--tgt"]
SURFACE = {
    "align": ["<gold>", "<links>", "--gold-index", "--index", "--json", "--sentences"],
    "attention list": ["--json"],
    "attention show": ["<name>", "--html", "--json"],
    "compare": [
        *("<files>", *CORPUS, "--at-once", "--baseline", "--beam -b", "--budget", "--config", "--device", "--json"),
        *("--faithfulness", "--length-penalty", "--on", "--out", "--preset", "--quiet -q", "--resamples", "--seeds"),
        *("--sentence", "--set -o", "--test-sentences", "--vary", "--wide"),
    ],
    "config list": [],
    "config presets": ["--vocab"],
    "config show": ["--config", "--preset", "--set -o"],
    "data download": ["<source>", "<pair>", "--base-url", "--json", "--out", "--sha256"],
    "data prepare": [
        *("<files>", *CORPUS, "--config", "--json", "--out", "--preset", "--quiet -q", "--seed", "--set -o"),
    ],
    "data report": ["<files>", *CORPUS, "--json", "--list-dropped", "--seed", "--set -o"],
    "data sample": ["<corpus>", "--count -n", "--seed"],
    "demo": ["--max-time", "--out"],
    "doctor": ["<run>", "--json"],
    "evaluate": [
        *(
            "<run>",
            "<test>",
            *READING,
            "--beam -b",
            "--device",
            "--faithfulness",
            "--gold",
            "--gold-index",
            "--head",
            "--json",
            "--layer",
        ),
        *("--length-penalty", "--link-rule", "--min-chrf", "--precision", "--resamples", "--reverse", "--threshold"),
    ],
    "export": [
        *("<run>", "--beam -b", "--check", "--json", "--name", "--out", "--precision", "--sentences", "--to"),
        "--unchecked",
        "--with",
    ],
    "import": [
        *("<path>", "--before", "--json", "--out", "--source-language", "--source-spm", "--target-language"),
        "--target-spm",
    ],
    "serve": [
        *("<runs>", "--allow-host", "--batch-texts", "--batch-wait", "--beam -b", "--cache", "--cors-origin"),
        *("--deadline", "--device", "--glossary", "--host", "--keys", "--max-alternatives", "--max-body"),
        *("--max-characters", "--max-file", "--max-texts", "--memory", "--open", "--port", "--precision", "--proxy"),
        *("--queue", "--rate-limit", "--suggestions", "--threads", "--verbose -v"),
        "--engine",
    ],
    "plan": [
        *("<files>", *CORPUS, "--config", "--device", "--json", "--preset", "--seed", "--set -o", "--time"),
    ],
    "train": [
        *("<files>", *CORPUS, "--attention", "--config", "--device", "--dry-run", "--json", "--max-time", "--out"),
        *("--overwrite", "--preset", "--processes", "--quiet -q", "--seed", "--set -o", "--shard", "--start-from"),
    ],
    "translate": [
        *("<run>", "<files>", "--alignments", "--batch-tokens", "--beam -b", "--device", "--field", "--forbid"),
        *(
            "--format",
            "--glossary",
            "--json",
            "--length-penalty",
            "--max-length",
            "--memory",
            "--nbest",
            "--no-repeat",
            "--out",
        ),
        *("--part-lines", "--precision", "--prefix"),
        *("--require", "--sample", "--seed", "--split", "--no-split", "--temperature", "--top-k", "--top-p"),
        "--engine",
    ],
    "view": [
        *("<run>", "<sentences>", "--all-heads", "--beam -b", "--beside", "--device", "--font", "--head", "--html"),
        *("--json", "--layer", "--numbers", "--open", "--png", "--port", "--save", "--svg", "--tokens"),
    ],
}
# Former names, read with a note, and not shown.
FORMER = {"data download": ["-o"], "evaluate": ["--alignments"], "translate": ["-o"], "view": ["--pieces"]}


def verbs(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield name, command
        return
    for part, below in command.commands.items():
        yield from verbs(below, f"{name} {part}".strip())


def shown(command: Any, *, hidden: bool = False) -> list[str]:
    """The arguments, and each option with its short name. A flag that can be said no to has two names."""
    found = [f"<{parameter.name}>" for parameter in command.params if parameter.param_type_name == "argument"]
    for option in command.params:
        if option.param_type_name == "option" and bool(getattr(option, "hidden", False)) == hidden:
            found += [" ".join(sorted(option.opts)), *option.secondary_opts]
    return sorted(found if not hidden else [name for name in found if name.startswith("-")])


def test_verbs_and_options_are_these() -> None:
    """A change here is a change for every script: note it in CHANGELOG.md."""
    found = dict(verbs(typer.main.get_command(app)))
    assert {name: shown(command) for name, command in found.items()} == {
        name: sorted(names) for name, names in SURFACE.items()
    }
    hidden = {name: shown(command, hidden=True) for name, command in found.items()}
    assert {name: names for name, names in hidden.items() if names} == FORMER


OPTION = re.compile(r"(?<![\w-])(?<!var\()--[a-z][a-z0-9-]+")  # and no variable of CSS


def told_options(path: Path) -> Iterator[tuple[int, str]]:
    """Line and name of every option that a text of a module names, but not the module's own documentation."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for found in OPTION.finditer(node.value):
                yield node.lineno, found[0]


@pytest.mark.slow
def test_messages_name_only_options_that_exist() -> None:
    """A hint in the module of a verb names only what that verb takes."""
    command = typer.main.get_command(app)
    options = {name: {o for p in verb.params for o in (*p.opts, *p.secondary_opts)} for name, verb in verbs(command)}
    every = set().union(*options.values(), {o for p in command.params for o in p.opts}, {"--help"})
    source = Path(attentio.__file__).parent
    wrong = [
        f"{path.relative_to(source)}:{line} {option}"
        for path in sorted(source.rglob("*.py"))
        for line, option in told_options(path)
        if option not in every
    ]
    for name in options:
        path = source / "cli" / f"{name.split()[0].replace('import', 'import_')}.py"  # a word of Python
        own = set().union(*(options[other] for other in options if other.split()[0] == name.split()[0]))
        wrong += [f"{path.name}:{line} {option}" for line, option in hints(path) if option not in own]
    assert wrong == []


def hints(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "hint":
            for part in ast.walk(node.value):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield from ((part.lineno, option) for option in OPTION.findall(part.value))


def test_every_verb_and_option_says_what_it_is() -> None:
    for name, command in verbs(typer.main.get_command(app)):
        assert command.help, f"{name} has no help"
        for parameter in command.params:
            assert parameter.help, f"{name} {parameter.name} has no help"


def test_the_preset_is_by_default_the_default_one() -> None:
    """The verbs say it in words of their own, as importing the settings would slow down every `--help`."""
    found = dict(verbs(typer.main.get_command(app)))
    for name in ("train", "config show"):
        (preset,) = [parameter for parameter in found[name].params if parameter.name == "preset"]
        assert preset.default == DEFAULT_PRESET
    (preset,) = [parameter for parameter in found["compare"].params if parameter.name == "preset"]
    assert "Default: small." in str(getattr(preset, "help", ""))


@pytest.mark.slow
def test_help_imports_nothing_heavy() -> None:
    """torch alone takes seconds; so it must not be imported to say what a verb does, nor to list settings."""
    program = """
import sys
from attentio.cli import main
for arguments in sys.argv[1].split("|"):
    sys.argv = ["attentio", *arguments.split()]
    try:
        main()
    except SystemExit as end:
        assert not end.code, arguments
heavy = {"torch", "numpy", "sacrebleu", "sentencepiece", "safetensors", "opencc", "matplotlib", "tomli_w", "fastapi"}
found = heavy & sys.modules.keys()
assert not found, found
"""
    arguments = "|".join(["--help", "--version", *(f"{name} --help" for name in SURFACE)])
    result = subprocess.run([sys.executable, "-c", program, arguments], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_version(attentio: Callable[..., Any]) -> None:
    from attentio import __version__

    assert attentio("--version").out == f"attentio {__version__}\n"


@pytest.mark.parametrize("arguments", [["trian"], ["train", "--ouput", "x"], ["translate"], ["view", "x", "-b", "0"]])
def test_what_cannot_be_parsed_is_status_2(attentio: Callable[..., Any], arguments: list[str]) -> None:
    outcome = attentio(*arguments)
    assert outcome.status == 2
    assert outcome.out == ""
    assert "Traceback" not in outcome.err


def test_a_bug_is_one_line_and_a_file_to_report(
    attentio: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("attentio.train.settings.effective_config", lambda **_: 1 / 0)
    outcome = attentio("config", "show")
    assert outcome.status == 1
    (log,) = tmp_path.iterdir()
    assert outcome.err == f"error: internal: ZeroDivisionError: division by zero. Please report it with {log}\n"
    assert "Traceback" in log.read_text(encoding="utf-8")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has an allocator of its own")
def test_freed_memory_is_kept() -> None:
    """Blocks of eight megabytes, made and freed 50 times, take about the pages of one: 2,048."""
    program = """
import resource
from attentio.runtime.memory import keep_freed_memory
keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = faults()
for _ in range(50):
    bytes(bytearray(8 << 20))
print(faults() - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 10_000
