"""The prose is plain: short sentences, no semicolons, one word for one thing, one spelling.

The rules hold for README, the pages of docs, the other Markdown files and the English notebooks. In src they hold for
docstrings, comments, help texts and error messages. `python tests/test_prose.py [PATH …]` prints what breaks them, one
line each.
"""

import ast
import io
import json
import re
import statistics
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "attentio"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
ENGLISH = [page for page in PAGES if not page.name.endswith(".zh.md")]
LONGEST = 22
"""Words in the longest sentence that is allowed."""
USUAL = 16
"""Words in the median sentence of a page, at most."""

WORDS = {
    r"(?:sub-?word )?pieces?(?! of (?:work|paper))": "token",
    r"sub-words?": "subword",
    r"(?:\w+)isations?": "-ization",
    r"(?:normal|token|initial|optim|regular|recogn|serial)is(?:e|es|ed|er|ers|ing)": "-ize",
    r"(?:minim|maxim|random|organ|quant)is(?:e|es|ed|er|ers|ing)": "-ize",
    r"colou?rs?(?<!color)(?<!colors)": "color",
    r"behaviours?|neighbours?|neighbourhoods?|favours?|honours?|labours?": "-or",
    r"licences?": "license",
    r"catalogues?": "catalog",
    r"centres?": "center",
    r"grey": "gray",
    r"learnt|spelt|burnt": "learned, spelled",
    r"whilst|amongst": "while, among",
    r"analyse[sd]?": "analyze",
    r"(?:label|travel|model)l(?:ed|ing)": "-eled, -eling",
    r"anew": "again, new",
    r"nought|hitherto|thereof|whereof|therein|wherein": "a plain word",
}
"""Words that are not used here, and what stands in their place."""
_BANNED = {re.compile(rf"\b(?:{words})\b", re.IGNORECASE): better for words, better in WORDS.items()}
_NOT_IMPERATIVE = {"the", "a", "an", "whether", "what", "how", "which", "where", "as", "one", "all", "every", "each"}
_ENDS_IN_S = {"pass", "process", "guess", "compress", "express", "discuss", "focus", "bias", "address", "access"}


class Prose(NamedTuple):
    """A run of prose: where it begins, and its text without code."""

    place: str
    text: str


class Fault(NamedTuple):
    """A broken rule."""

    place: str
    rule: str
    text: str


def paragraphs(page: Path) -> Iterator[Prose]:
    """Yield the paragraphs, list items and table cells of a Markdown page, without code, links and generated parts."""
    yield from paragraphs_of(page.read_text(encoding="utf-8"), name_of(page))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


def paragraphs_of(text: str, name: str) -> Iterator[Prose]:
    lines = text.split("\n")
    gathered: list[str] = []
    begin, fenced, generated = 1, False, False
    for number, line in enumerate([*lines, ""], 1):
        stripped = line.strip()
        if stripped.startswith("```"):
            fenced = not fenced
            stripped = ""
        elif re.match(r"<!-- (options|settings|presets|exit codes|python)", stripped):
            generated = True
        elif stripped == "<!-- end -->":
            generated = False
            stripped = ""
        if fenced or generated:
            stripped = ""
        new = not stripped or re.match(r"([-*+]|\d+\.) |[|#>]|<!--", stripped)
        if new and gathered:
            yield Prose(f"{name}:{begin}", " ".join(gathered))
            gathered = []
        if stripped.startswith("|"):
            yield from (Prose(f"{name}:{number}", cell) for cell in re.split(r"(?<!\\)\|", stripped) if cell.strip())
        elif stripped and not stripped.startswith(("#", "<!--")):
            if not gathered:
                begin = number
            gathered.append(re.sub(r"^([-*+]|\d+\.) ", "", stripped))


def plain(text: str) -> str:
    """Return prose with code and formulas as one word each, and links as their text."""
    text = re.sub(r"``.+?``|`[^`]+`", "Code", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"https?://\S+", "Link", text)
    text = re.sub(r"\([A-Z0-9.][A-Z0-9 .,+*'-]*\)", "Shape", text)
    return re.sub(r"[*_]{1,2}(?=\S)|(?<=\S)[*_]{1,2}", "", text)


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a paragraph of plain prose."""
    text = re.sub(r"\b(e\.g|i\.e|eq|eqs|cf|vs|etc|al|No)\.", r"\1", text)
    ends = r"(?<=[.!?])[\"”)*]*\s+(?=[\"“(*]*[A-Z0-9`]|\w+(?:, \w+)*: )"
    yield from (part for part in re.split(ends, text) if part.strip())


def length(sentence: str) -> int:
    """Return the number of words. Numbers, signs and what stands in brackets after a word count as they are read."""
    return len(re.findall(r"[A-Za-zÀ-ÿ0-9][\w.,'’%/+-]*", sentence))


def faults(prose: Prose, limit: int = LONGEST) -> Iterator[Fault]:
    """Yield what a run of prose breaks."""
    text = plain(prose.text)
    if re.search(r"\w\s*;\s", text + " ") and not re.fullmatch(r"\s*&\w+;\s*", text):
        yield Fault(prose.place, "semicolon", text)
    for banned, better in _BANNED.items():
        if found := banned.search(text):
            yield Fault(prose.place, f"{found[0]!r}: say {better}", text)
    for sentence in sentences(text):
        if length(sentence) > limit:
            yield Fault(prose.place, f"{length(sentence)} words", sentence)


def docstrings(tree: ast.Module, name: str) -> Iterator[tuple[Prose, bool]]:
    """Yield the docstrings of a module, and whether each belongs to a function that does something."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                line = getattr(node, "lineno", 1)
                acts = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not any(
                    "property" in ast.unparse(mark) for mark in node.decorator_list
                )
                yield Prose(f"{name}:{line}", text), acts


def texts(tree: ast.Module, name: str) -> Iterator[Prose]:
    """Yield help texts, descriptions of settings and error messages. "What happened: what to do" counts as two."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        wanted = [word.value for word in node.keywords if word.arg in ("help", "description", "hint")]
        if called.endswith("Error") or called == "MissingExtra":
            wanted += node.args[:1]
        for value in wanted:
            shown = "".join(_written(value))
            if shown.strip():
                yield Prose(f"{name}:{node.lineno}", re.sub(r": (\w)", lambda found: ". " + found[1].upper(), shown))


def _written(value: ast.expr) -> Iterator[str]:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
    elif isinstance(value, ast.JoinedStr):
        for part in value.values:
            yield str(part.value) if isinstance(part, ast.Constant) else "X"
    elif isinstance(value, ast.BinOp):
        yield from _written(value.left)
        yield from _written(value.right)


def comments(source: str, name: str) -> Iterator[Prose]:
    """Yield comments, those on lines that follow one another as one."""
    gathered: list[str] = []
    begin = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT or re.match(r"#\s*(type:|noqa|pyright|fmt:|pragma|!)", token.string):
            continue
        alone = token.line.strip().startswith("#")
        if gathered and not (alone and token.start[0] == last + 1):
            yield Prose(f"{name}:{begin}", " ".join(gathered))
            gathered = []
        if not gathered:
            begin = token.start[0]
        gathered.append(re.sub(r"\s*(type: ignore|noqa).*", "", token.string.lstrip("# ")))
        last = token.start[0]
    if gathered:
        yield Prose(f"{name}:{begin}", " ".join(gathered))


def source_faults(path: Path) -> Iterator[Fault]:
    """Yield what the docstrings, comments, help texts and messages of a module break."""
    yield from faults_of_source(path.read_text(encoding="utf-8"), name_of(path))


def faults_of_source(source: str, name: str) -> Iterator[Fault]:
    tree = ast.parse(source)
    for prose, acts in docstrings(tree, name):
        first = re.match(r"[A-Za-z]+", prose.text)
        word = first[0].lower() if first else ""
        if acts and word and (word in _NOT_IMPERATIVE or (word.endswith("s") and word not in _ENDS_IN_S)):
            yield Fault(prose.place, "not an imperative", prose.text.split("\n")[0])
        for part in re.split(r"\n\s*\n|\n(?=\s*[-*] )|\n(?= {4})", prose.text):
            if not part.startswith("    ") and not re.match(r"\s*(>>>|\.\.\. )", part):
                yield from faults(Prose(prose.place, " ".join(part.split())))
    for prose in [*texts(tree, name), *comments(source, name)]:
        if not _is_shapes(prose.text):
            yield from faults(prose)


def _is_shapes(comment: str) -> bool:
    """Tell the margin of a reshape, "(B, T, S); (B, H)", from prose."""
    return bool(re.match(r"\(?[A-Z](, |\)| ->)", comment))


def rooms() -> list[str]:
    """Return the rooms of src: packages and modules beside one another."""
    return sorted(path.name for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists())


def written_for_readers() -> list[Path]:
    """Return the Python files outside src that readers are sent to."""
    return [*sorted((ROOT / "examples").glob("*.py")), *sorted((ROOT / "docs").rglob("*.py"))]


def report(found: list[Fault]) -> str:
    return "\n".join(f"{fault.place}: {fault.rule}: {fault.text[:200]}" for fault in found)


@pytest.mark.slow
@pytest.mark.parametrize("page", ENGLISH, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_pages_are_plain(page: Path) -> None:
    found = [fault for prose in paragraphs(page) for fault in faults(prose)]
    assert not found, report(found)
    lengths = [length(sentence) for prose in paragraphs(page) for sentence in sentences(plain(prose.text))]
    assert statistics.median(lengths) <= USUAL


@pytest.mark.slow
@pytest.mark.parametrize("room", rooms())
def test_rooms_are_plain(room: str) -> None:
    path = SOURCE / room
    modules = [path] if path.suffix == ".py" else sorted(path.rglob("*.py"))
    found = [fault for module in modules for fault in source_faults(module)]
    assert not found, report(found)


@pytest.mark.parametrize("path", written_for_readers(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_examples_are_plain(path: Path) -> None:
    found = list(source_faults(path))
    assert not found, report(found)


@pytest.mark.parametrize("path", sorted((ROOT / "examples").rglob("*.en.ipynb")), ids=lambda path: path.name)
def test_notebooks_are_plain(path: Path) -> None:
    cells = {"markdown": [""], "code": [""]}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        cells[cell["cell_type"]].append("".join(cell["source"]))
    prose = list(paragraphs_of("\n\n".join(cells["markdown"]), path.name))
    found = [fault for each in prose for fault in faults(each)]
    found += faults_of_source("\n\n".join(cells["code"]), path.name)
    assert not found, report(found)
    assert statistics.median(length(sentence) for each in prose for sentence in sentences(plain(each.text))) <= USUAL


def test_the_readme_is_short() -> None:
    for name in ("README.md", "README.zh.md"):
        assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= 90


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Fast; safe.", "semicolon"),
        ("The model reads pieces of words.", "'pieces'"),
        ("A normaliser makes shares of scores.", "'normaliser'"),
        ("It " + "very " * 22 + "often breaks.", "25 words"),
        ("A [link; with a mark](page.md) in it.", "semicolon"),
    ],
)
def test_what_breaks_a_rule_is_found(text: str, rule: str) -> None:
    assert next(faults(Prose("here", text))).rule.startswith(rule)


def test_code_and_names_break_no_rule() -> None:
    assert list(faults(Prose("here", "Set `train.split_pieces; x` to 0.1. See [it](a;b.md)."))) == []


def test_source_is_read_as_it_is_written(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        '"""Hold pieces."""\n\n\ndef keeps() -> None:  # one; two\n    """Keeps it."""\n    raise ValueError("a; b")\n'
    )
    assert sorted(fault.rule.split(":")[0] for fault in source_faults(module)) == [
        "'pieces'",
        "not an imperative",
        "semicolon",
        "semicolon",
    ]


if __name__ == "__main__":
    wanted = [Path(word).resolve() for word in sys.argv[1:]] or [*ENGLISH, SOURCE]
    for path in wanted:
        for one in [path] if path.is_file() else sorted([*path.rglob("*.md"), *path.rglob("*.py")]):
            found = [fault for prose in paragraphs(one) for fault in faults(prose)] if one.suffix == ".md" else []
            found += list(source_faults(one)) if one.suffix == ".py" else []
            if found:
                print(report(found))
