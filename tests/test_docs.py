"""The documentation is true: commands exist, marked blocks run, generated tables are current, links lead somewhere.

A block marked ```console run is run and must succeed; ```console same must also print what it shows; ```python run is
run. All blocks of a page share a folder: a parallel file `cmn.txt`, a `test.tsv`, an `input.txt`, a run `runs/mine`.
The commands of all other blocks run too, one by one: a training with `--dry-run`, a comparison as far as its grid.
"""

import importlib.util
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from unittest.mock import patch

import docx
import pytest
import typer

from attentio.cli import app
from attentio.experiment.grid import make_cells

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```(\w+)(?: (run|same))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)|<img src=\"([^\"]+)\"")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
Shell = Callable[[str, Path], tuple[int, str]]
FAST = ("docs/models.md", "docs/verbs/evaluate.md", "docs/verbs/view.md")  # pages whose blocks run in about a second


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


class Block(NamedTuple):
    """A fenced block: `mark` is "run", "same" or empty."""

    language: str
    mark: str
    text: str


def blocks(page: Path) -> list[Block]:
    return [Block(*found) for found in _BLOCK.findall(page.read_text(encoding="utf-8"))]


def steps(block: Block) -> Iterator[tuple[str, str]]:
    """Each command after a `$` with what the block shows of its output."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.replace("\\\n", " ").partition("\n")
        yield command, output


def commands(page: Path) -> list[str]:
    return [command for block in blocks(page) if block.language == "console" for command, _ in steps(block)]


def simple_commands(line: str) -> Iterator[list[str]]:
    """The words of each command of a shell line, redirections left out."""
    words: list[str] = []
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.wordchars += ",=[]:@+%…"
    tokens = iter(lexer)
    for token in tokens:
        if token in ("|", "||", "&&", ";", "&"):
            yield words
            words = []
        elif set(token) <= set("<>&"):
            next(tokens, None)
        else:
            words.append(token)
    if words:
        yield words


def check(words: list[str]) -> None:
    """Raises what the program itself would raise about its arguments."""
    command: Any = typer.main.get_command(app)
    words = words[1:]
    while words and hasattr(command, "commands"):
        if words[0].startswith("-"):
            return
        assert words[0] in command.commands, f"there is no verb {words[0]!r}"
        command, words = command.commands[words[0]], words[1:]
    if not hasattr(command, "commands") and words[-1:] not in (["--help"], ["-h"]):
        command.make_context("attentio", words)


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_exist_with_the_options_they_use(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for line in commands(page):
        for words in simple_commands(line.split("   #")[0]):
            if words[0] == "attentio":
                check(words)
            elif words[0] == "make":
                assert [word for word in words[1:] if "=" not in word and word not in targets] == []


def test_a_command_that_does_not_exist_is_noticed() -> None:
    for line in (
        "attentio fly RUN",
        "attentio view RUN 'Hi.' --gif map.gif",
        "attentio translate",
        "attentio data fetch",
    ):
        with pytest.raises(Exception, match=r"no verb|No such option|Missing parameter"):
            check(next(simple_commands(line)))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    links = [link or image for link, image in _LINK.findall(_COMMENT.sub("", page.read_text(encoding="utf-8")))]
    local = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_both_readmes_show_the_same_commands() -> None:
    assert commands(ROOT / "README.md") == commands(ROOT / "README.zh.md")


def test_every_error_code_is_explained() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    codes = set(re.findall(r'"(E_[A-Z_]+)"', sources))
    explained = set(re.findall(r"`(E_[A-Z_]+)`", (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")))
    assert len(codes) > 20
    assert codes == explained


def test_every_verb_has_a_page() -> None:
    command: Any = typer.main.get_command(app)
    pages = {path.stem for path in (ROOT / "docs" / "verbs").glob("*.md")}
    assert set(command.commands) - pages == set()


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_generated_tables_are_current(page: Path) -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    text = page.read_text(encoding="utf-8")
    assert generate.filled(text) == text, "run: make docs"


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[] if name_of(page) in FAST else [pytest.mark.slow], id=name_of(page))
        for page in PAGES
        if any(block.mark for block in blocks(page))
    ],
)
def test_marked_blocks_run(page: Path, tiny_run: Path, shell: Shell, tmp_path: Path) -> None:
    prepare_folder(tmp_path, tiny_run)
    for block in blocks(page):
        if block.mark and block.language == "python":
            assert shell(f"python -c {shlex.quote(block.text)}", tmp_path)[0] == 0
        elif block.mark:
            for command, shown in steps(block):
                status, output = shell(command, tmp_path)
                if block.mark == "same":
                    assert output == shown, command
                else:
                    assert status == 0, f"{command}\n{output}"


def prepare_folder(folder: Path, tiny_run: Path) -> None:
    """Put the files and runs there that commands of the documentation name."""
    from attentio.corpora.small_world.grammar import sample

    pairs = [f"{pair.source}\t{pair.target}\n" for pair in sample(220, seed=5)]
    (folder / "data").mkdir()
    for name in ("cmn.txt", "data/cmn.txt", "pairs.tsv", "special.tsv", "train.tsv"):
        (folder / name).write_text("".join(pairs[:200]), encoding="utf-8")
    for name in ("dev.tsv", "test.tsv"):
        (folder / name).write_text("".join(pairs[200:]), encoding="utf-8")
    for column, name in enumerate(("train.en", "train.zh")):
        sides = [pair.rstrip("\n").split("\t")[column] for pair in pairs]
        (folder / name).write_text("".join(f"{text}\n" for text in sides), encoding="utf-8")
    (folder / "input.txt").write_text("I love you.\n\nWhere is my book?\n", encoding="utf-8")
    (folder / "keys.txt").write_text("a-long-secret-key\n", encoding="utf-8")
    (folder / "page.html").write_text("<h1>My cat</h1><p>I <b>love</b> you.</p>\n", encoding="utf-8")
    (folder / "terms.tsv").write_text("# animals\ncat\t狗\n", encoding="utf-8")
    (folder / "memory.tsv").write_text("I love you.\t我很爱你。\n", encoding="utf-8")
    letter = docx.Document()
    letter.add_paragraph("I love you.")
    letter.save(str(folder / "letter.docx"))
    (folder / "mine.py").write_text(OWN_KIND, encoding="utf-8")
    shutil.copytree(tiny_run, folder / "runs" / "mine")


OWN_KIND = """
import torch
from attentio.attention import Score


class Manhattan(Score):
    def __init__(self, query_size, key_size, num_heads, *, start: float = 1.0):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(start))

    def prepare(self, keys):
        return keys

    def forward(self, query, keys):
        return -self.scale * (query.unsqueeze(3) - keys.unsqueeze(2)).abs().sum(-1)
"""
# What makes the command of a verb short.
SHORTER = {
    "train": ["--dry-run", "--out", "fresh"],
    "compare": ["--resamples", "100", "--quiet"],
    "serve": ["--port", "0"],
}
ELSEWHERE = {"demo": "tests/cli/test_demo.py", "data": "downloads: tests/corpora/test_tatoeba.py"}
SLOW = ("compare", "evaluate")  # and what needs Ray is tried in tests/cli/test_on_ray.py


def other_commands() -> Iterator[Any]:
    """Yield each `attentio` command of a block without a mark, once."""
    found: dict[str, tuple[Path, str]] = {}
    for page in PAGES:
        for block in blocks(page):
            if not block.mark and block.language in ("console", "sh"):
                lines = block.text.replace("\\\n", " ").replace("$ ", "").split("\n")
                for line in lines:
                    command = line.split("   #")[0].strip()
                    verb = next((word for word in command.split()[1:] if word in (*SHORTER, *SLOW, *VERBS)), None)
                    if command.startswith("attentio ") and verb not in ELSEWHERE and "--engine ray" not in command:
                        found.setdefault(command, (page, str(verb)))
    for command, (page, verb) in found.items():
        slow = (verb in SLOW and "--vary" not in command) or " demo " in command or "--on" in command
        yield pytest.param(command, verb, id=f"{page.stem}: {command}", marks=[pytest.mark.slow] if slow else [])


VERBS = tuple(getattr(typer.main.get_command(app), "commands"))  # noqa: B009  (typer gives no type for it)


@pytest.mark.slow
@pytest.mark.parametrize(("command", "verb"), list(other_commands()))
def test_commands_of_other_blocks_run(command: str, verb: str, tiny_run: Path, shell: Shell, tmp_path: Path) -> None:
    prepare_folder(tmp_path, tiny_run)
    for name in re.findall(r"(?<!--out )runs/([\w-]+)", command):
        if not (copy := tmp_path / "runs" / name).exists():  # what its name says of it stands in its settings
            shutil.copytree(tiny_run, copy)
            config = (copy / "config.toml").read_text(encoding="utf-8")
            config = re.sub(r'^score = ".*"$', f'score = "{name.partition("-")[0]}"', config, count=1, flags=re.M)
            (copy / "config.toml").write_text(re.sub(r"^seed = 1$", f"seed = {len(name)}", config, flags=re.M))
    shutil.copytree(tiny_run, tmp_path / "run")
    checked: list[int] = []

    def only_check(vary: Any, settings: Any, _out: Path, **more: Any) -> NoReturn:
        names = ("preset", "config_file", "overrides", "budget")
        checked.append(len(make_cells(vary, settings, **{name: more[name] for name in names})))
        raise SystemExit(0)

    with (
        patch("attentio.experiment.runner.run_comparison", only_check),
        patch("uvicorn.Server.run", lambda _, sockets: [socket.close() for socket in sockets]),  # it would serve on
    ):
        status, output = shell(" ".join([command, *SHORTER.get(verb, [])]), tmp_path)
    assert status == (7 if "--min-chrf" in command else 0), output
    assert bool(checked) == (verb == "compare" and "--vary" in command and "--on" not in command)
    assert all(cells > 1 for cells in checked)
