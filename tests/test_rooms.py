"""The order of the rooms: imports point only to what stands before."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src" / "attentio"

# The left wing translates. A room may import from those before it in the list.
LEFT = ["errors", "attention", "runtime", "text", "model", "search", "trace", "bundle", "exported", "engines"]
LEFT += ["translator", "documents", "metrics", "view", "serve", "foreign", "export"]
# The right wing learns: it may import from the whole left wing and from those above it.
RIGHT = ["corpora", "data", "train", "evaluation", "experiment", "testing", "cli"]
ROOMS: dict[str, set[str]] = {
    room: {*LEFT[:place], *([] if room in LEFT else RIGHT[: RIGHT.index(room)])}
    for place, room in [*enumerate(LEFT), *((len(LEFT), room) for room in RIGHT)]
}
ROOMS["attention"] = set()
ROOMS["trace"] = {"errors", "runtime", "text"}
ROOMS["view"] = {"errors", "text", "runtime", "trace", "metrics"}
ROOMS["metrics"] = {"errors", "text", "trace"}
ROOMS["__init__"] = {"trace", "translator", "train", "experiment"}  # names only, loaded when asked for
ROOMS["__main__"] = {"cli"}
NEVER = {"utils", "util", "helpers", "helper", "common", "misc", "tools", "shared"}


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every module imported, also inside functions and for types only: line and dotted name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            assert node.module is not None
            if node.module == "attentio":
                yield from ((node.lineno, f"attentio.{name.name}") for name in node.names)
            else:
                yield node.lineno, node.module


FILES = sorted(SOURCE.rglob("*.py"))


def test_imports_point_only_to_the_rooms_before() -> None:
    wrong: list[str] = []
    for path in FILES:
        room = room_of(path)
        assert room in ROOMS, f"{room}: a room without a place in the order"
        for line, name in imports(path):
            parts = name.split(".")
            if parts[0] == "attentio" and len(parts) > 1 and parts[1] not in {room, "__version__"} | ROOMS[room]:
                wrong.append(f"{path.relative_to(SOURCE)}:{line} imports {name}")
    assert wrong == []


def test_translating_loads_nothing_that_learns() -> None:
    """A server must not carry the trainer: counted are our modules that `import attentio.translator` loads."""
    code = "import sys, attentio.translator as _; print(*(n for n in sys.modules if n.split('.')[0] == 'attentio'))"
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    modules = shown.split()
    rooms = {name.split(".")[1] for name in modules if "." in name}
    assert "search" in rooms
    assert rooms & {*RIGHT, "serve", "export", "view", "metrics"} == set()
    files = [SOURCE.parent.joinpath(*name.split(".")) for name in modules]
    lines = sum(
        len((file / "__init__.py" if file.is_dir() else file.with_suffix(".py")).read_text("utf-8").splitlines())
        for file in files
    )
    assert lines <= 6_000


def test_the_order_has_no_circle() -> None:
    placed: set[str] = set()
    rooms = dict(ROOMS) | {"__init__": set()}
    while rooms:
        ready = [room for room, needs in rooms.items() if needs <= placed]
        assert ready, f"a circle among {sorted(rooms)}"
        placed |= set(ready)
        for room in ready:
            del rooms[room]


def outside(path: Path) -> set[str]:
    return {name.split(".")[0] for _, name in imports(path)}


def test_rooms_keep_their_outside_dependencies() -> None:
    for path in FILES:
        room, found = room_of(path), outside(path)
        if room in ("trace", "view", "errors", "config"):
            assert "torch" not in found, f"{path} knows torch"
        if room == "attention":
            assert not found & {"numpy", "pydantic", "typer", "rich"}, f"{path} knows more than torch"
        if room != "cli":
            assert "typer" not in found, f"{path} knows the command line"
    assert outside(SOURCE / "trace.py") - set(dir(ast)) <= {
        *("io", "json", "zipfile", "collections", "dataclasses", "importlib", "itertools", "pathlib", "typing"),
        *("numpy", "attentio"),
    }


def test_there_is_no_room_for_odds_and_ends() -> None:
    for path in FILES:
        assert not {part.removesuffix(".py") for part in path.relative_to(SOURCE).parts} & NEVER, path


def test_every_module_opens_with_what_lives_there() -> None:
    for path in FILES:
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{path} has no docstring"
