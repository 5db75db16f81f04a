"""Rules of the tests themselves: they test what is public, and they leave the style of pages free."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TESTS = sorted((ROOT / "tests").rglob("*.py"))
PRIVATE = re.compile(r"_[A-Za-z]\w*")
IMPORT = re.compile(r"from attentio[\w.]* import (\([^)]*\)|[^\n;]*)")  # also in programs that tests run
OF_OTHERS = {"_mean", "_repr_html_", "_repr_mimebundle_", "_esm"}  # of sacreBLEU's results, and what notebooks read
STYLE = re.compile(r"""class(?:Name)?=\\?["'][A-Za-z]""")


def private_names_of_source() -> set[str]:
    """Functions, classes, constants and attributes of the package that begin with an underscore."""
    found: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.add(node.name)
            elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
                found.add(node.id if isinstance(node, ast.Name) else node.attr)
    return {name for name in found if PRIVATE.fullmatch(name)} - OF_OTHERS


SOURCE = private_names_of_source()


def private_uses(text: str, private: set[str]) -> Iterator[tuple[int, str]]:
    """Line and name of each private name of the package that a test imports, reads or replaces."""
    for found in IMPORT.finditer(text):
        for name in re.findall(rf"\b{PRIVATE.pattern}", found[1]):
            yield text[: found.start()].count("\n") + 1, name
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Attribute(value=ast.Name(id="self" | "cls")):
                continue  # of the test's own classes
            case ast.Attribute(attr=name) if name in private:
                yield node.lineno, name
            case ast.Constant(value=str(value)) if value.rpartition(".")[2] in private:  # setattr, patch
                yield node.lineno, value
            case _:
                pass


def styles(text: str) -> Iterator[tuple[int, str]]:
    """Line and text of each string that names a class of a style sheet."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and STYLE.search(node.value):
            yield node.lineno, node.value


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["private", "style"])
def test_tests_look_at_what_is_public(rule: str) -> None:
    wrong: list[str] = []
    for path in TESTS:
        if path != Path(__file__):
            text = path.read_text(encoding="utf-8")
            found = private_uses(text, SOURCE) if rule == "private" else styles(text)
            wrong += [f"{path.relative_to(ROOT)}:{line}: {name}" for line, name in found]
    assert wrong == []


@pytest.mark.parametrize(
    "line",
    [
        "from attentio.a import _b",
        "program = 'from attentio.a import c, _b; _b()'",
        "from attentio import a\na._b()",
        "monkeypatch.setattr(a, '_b', None)",
        "patch('attentio.a._b')",
        "made.part._b = 1",
    ],
)
def test_what_is_private_is_noticed(line: str) -> None:
    assert len({name.rpartition(".")[2] for _, name in private_uses(line, {"_b"})}) == 1


@pytest.mark.parametrize("line", ["self._b = 1", "from torch import _b", "x._replace(a=1)", "f'{_b}'"])
def test_what_is_the_tests_own_is_not(line: str) -> None:
    assert list(private_uses(line, {"_b"})) == []


def test_a_class_of_a_style_sheet_is_noticed() -> None:
    assert list(styles("assert '<td class=\"wide\">' in html")) == [(1, '<td class="wide">')]
    assert list(styles("assert re.search('class=\"([a-z]+)\"', html)")) == []


def test_every_test_module_has_fast_tests() -> None:
    """So that `make test-fast` looks at every part."""
    without: list[str] = []
    for path in TESTS:
        tests = [
            node
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        ]
        ends = ("mark.slow", "mark.long")
        slow = [node for node in tests if any(ast.unparse(mark).endswith(ends) for mark in node.decorator_list)]
        if tests and len(slow) == len(tests):
            without.append(str(path.relative_to(ROOT)))
    assert without == []
