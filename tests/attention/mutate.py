"""Mutation: change a sign, an axis, a mask or a scale in the source, one at a time, and see whether a test fails.

    python tests/attention/mutate.py                 # every mutant of the package; exit status 1 if any survives
    python tests/attention/mutate.py sparse.py window.py
    python tests/attention/mutate.py --only "tau ="   # those whose line below has this in it
    python tests/attention/mutate.py --jobs 2        # as many at a time
    python tests/attention/mutate.py --list          # what would be changed

Each mutant runs in a fork of this process, which has imported everything slow once: first the tests of its own file,
and, if those pass, all of them, and the laws. A mutant that computes for too long counts as found: processor time, so
that a busy machine changes nothing. What changes nothing that a test could see is listed in `EQUIVALENT`, with the
reason; `test_mutate.py` sees to it that the list names nothing that is no longer there.
"""

import argparse
import ast
import os
import resource
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).resolve().parent
SOURCE = TESTS.parents[1] / "src" / "attentio" / "attention"
SECONDS = 60  # of processor time, for the tests of one file; all tests have five times as much

# The tests that should find a mutant of each file; those not found here are given to all tests.
OWN_TESTS = {
    "tensors.py": ["test_tensors.py", "test_window.py", "test_attention.py", "test_score.py"],
    "memory.py": ["test_memory.py"],
    "score.py": ["test_score.py", "test_history.py"],
    "history.py": ["test_history.py"],
    "normalize.py": ["test_sparse.py", "test_attention.py"],
    "sparse.py": ["test_sparse.py"],
    "hard.py": ["test_hard.py"],
    "objective.py": ["test_hard.py", "test_history.py"],
    "monotonic.py": ["test_monotonic.py"],
    "window.py": ["test_window.py"],
    "attention.py": ["test_attention.py", "kernels/test_backend.py", "test_package.py"],
    "kernels/backend.py": ["kernels/test_backend.py"],
    "kernels/chunked.py": ["kernels/test_backend.py"],
    "kind.py": ["test_registry.py"],
    "registry.py": ["test_registry.py"],
    "multihead.py": ["test_multihead.py"],
}
ALL_TESTS = sorted({name for names in OWN_TESTS.values() for name in names} | {"test_package.py"})
LAWS = ["../testing/test_conformance.py", "-k", "test_every_kind_obeys"]

# (file, statement as unparsed, mutation) -> why no test can tell.
EQUIVALENT: dict[tuple[str, str, str], str] = {
    (
        "registry.py",
        "close = difflib.get_close_matches(path.partition(':')[0], self, n=1)",
        "1 -> 2",
    ): "only the first is shown",
    (
        "attention.py",
        "keys = keys.masked_fill(padding, 0.0)",
        "0.0 -> 1.0",
    ): "what stands in the padding has no say, as long as it is finite",
    (
        "attention.py",
        "values = values if values is None else values.masked_fill(padding, 0.0)",
        "0.0 -> 1.0",
    ): "the same, times a weight of 0",
    (
        "attention.py",
        "if history is not None and score_history is not None:",
        "And -> Or",
    ): "a score with a history has a state, one without has none",
    (
        "attention.py",
        "if history is not None and score_history is not None:",
        "And -> Or (2)",
    ): "the same",
    (
        "multihead.py",
        "return (~forbidden, mask.masked_fill(forbidden, 0.0))",
        "0.0 -> 1.0",
    ): "what is added to a forbidden score has no say, as long as it is finite",
    (
        "multihead.py",
        "key, value = (operand.masked_fill(~real.unsqueeze(-1), 0.0) for operand in (key, value))",
        "0.0 -> 1.0",
    ): "what stands in the padding has no say, as long as it is finite",
    (
        "multihead.py",
        "if self.bias_k is not None and self.bias_v is not None:",
        "And -> Or",
    ): "both are there or neither",
    ("monotonic.py", "while stride < add.size(-1):", "Lt -> LtE"): "one doubling more adds zeros",
    (
        "sparse.py",
        "scaled = scaled - mask_scores(scaled, mask).detach().amax(-1, keepdim=True)",
        "detach dropped",
    ): "entmax does not change when all scores shift, so its gradient along a shift is zero",
    (
        "sparse.py",
        "hidden = scaled if mask is None else torch.where(mask, scaled, -2.0)",
        "2.0 -> 3.0",
    ): "tau is never below -1, so that whatever lies there gets 0",
    (
        "sparse.py",
        "return tau.gather(-1, (descending > tau).sum(-1, keepdim=True) - 1)",
        "Gt -> GtE",
    ): "a score equal to tau gets 0 anyway, and leaves tau where it is",
    (
        "sparse.py",
        "tau = mean - ((1 - spread) / count).clamp(min=0).sqrt()",
        "clamp dropped",
    ): "beyond the support it is NaN, which is not above tau either",
    (
        "sparse.py",
        "width = 1.0",
        "1.0 -> 2.0",
    ): "the step more tries tau = 0, at which nothing gets anything",
    (
        "sparse.py",
        "while width >= torch.finfo(x.dtype).eps:",
        "GtE -> Gt",
    ): "one halving less: what is left over is still below the precision, and divided away",
}

FLIPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
EDGES: dict[type[ast.AST], type[ast.AST]] = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
DROPPED = {"abs", "clamp", "cumsum", "detach", "exp", "flip", "log", "sigmoid", "sigmoid_", "softmax", "sqrt", "tanh"}


class Mutant(NamedTuple):
    file: str
    line: int
    code: str  # the statement, or its first line
    change: str  # with a number where the file has the same change of the same statement more than once
    source: Callable[[], str]  # the whole file, changed

    @property
    def name(self) -> tuple[str, str, str]:
        return self.file, self.code, self.change

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.change}: {self.code}"


def mutants(path: Path) -> Iterator[Mutant]:
    """Every mutant of a file."""
    text = path.read_text(encoding="utf-8")
    times = Counter[tuple[str, str]]()
    for place, (node, statement) in enumerate(_places(ast.parse(text))):
        code = ast.unparse(statement).split("\n")[0]
        for number, (change, _) in enumerate(_edits(node)):
            times[code, change] += 1
            nth = "" if times[code, change] == 1 else f" ({times[code, change]})"
            yield Mutant(path.name, node.lineno, code, change + nth, partial(_changed, text, place, number))


def _changed(text: str, place: int, number: int) -> str:
    tree = ast.parse(text)
    node, _ = list(_places(tree))[place]
    _, edit = list(_edits(node))[number]
    edit(node)
    return ast.unparse(ast.fix_missing_locations(tree))


def _places(tree: ast.AST) -> Iterator[tuple[ast.expr, ast.stmt]]:
    """Expressions inside functions, each with its statement; not annotations, defaults, docstrings or errors."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for statement in function.body:
                yield from _expressions(statement, statement)


def _expressions(node: ast.AST, statement: ast.stmt) -> Iterator[tuple[ast.expr, ast.stmt]]:
    if isinstance(node, ast.Raise | ast.FunctionDef | ast.Import | ast.ImportFrom):
        return
    if isinstance(node, ast.keyword) and node.arg == "strict":  # of zip: an assertion, not a computation
        return
    if isinstance(node, ast.AnnAssign):
        if node.value is not None:
            yield from _expressions(node.value, statement)
        return
    if isinstance(node, ast.stmt):
        statement = node
    if isinstance(node, ast.expr):
        yield node, statement
    for child in ast.iter_child_nodes(node):
        yield from _expressions(child, statement)


def _edits(node: ast.expr):
    """(what changes, function that changes a copy of the node in place)."""
    match node:
        case ast.BinOp(op=op) | ast.BoolOp(op=op) if type(op) in FLIPS:
            yield _named(op, FLIPS), lambda n: setattr(n, "op", FLIPS[type(n.op)]())
        case ast.Compare(ops=[op]):
            for table in (FLIPS, EDGES):
                if type(op) in table:
                    yield _named(op, table), lambda n, table=table: n.ops.__setitem__(0, table[type(n.ops[0])]())
        case ast.UnaryOp(op=ast.USub() | ast.Invert() | ast.Not()):
            yield f"{type(node.op).__name__} dropped", lambda n: _become(n, n.operand)
        case ast.Constant(value=bool()):
            yield f"{node.value} -> {not node.value}", lambda n: setattr(n, "value", not n.value)
        case ast.Constant(value=int() | float()):
            yield f"{node.value} -> {node.value + 1}", lambda n: setattr(n, "value", n.value + 1)
        case ast.Call(func=ast.Attribute(attr="where"), args=[_, _, _]):
            yield "where swapped", lambda n: n.args.__setitem__(slice(1, 3), n.args[:0:-1])
        case ast.Call(func=ast.Attribute(attr=name)) if name in DROPPED:
            yield f"{name} dropped", lambda n: _become(n, n.func.value)
        case _:
            return


def _named(op: ast.AST, table: dict[type[ast.AST], type[ast.AST]]) -> str:
    return f"{type(op).__name__} -> {table[type(op)].__name__}"


def _become(node: ast.expr, other: ast.expr) -> None:
    """Turns a node into another in place: its parent keeps pointing at it."""
    node.__class__ = other.__class__
    node.__dict__ = dict(other.__dict__)


def survivors(mutants: list[Mutant], jobs: int) -> Iterator[Mutant]:
    """Those on which all tests pass, found with so many forks at a time."""
    waiting = [(mutant, 0) for mutant in mutants]
    running: dict[int, tuple[Mutant, int]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant, stage = waiting.pop(0)
            if not stage:
                left = f"{len(mutants) - len(waiting)} of {len(mutants)}: {mutant}"
                print(left[:119].ljust(119), end="\r", file=sys.stderr, flush=True)
            running[_fork(mutant, stage)] = mutant, stage
        child, status = os.wait()
        mutant, stage = running.pop(child)
        if os.waitstatus_to_exitcode(status) != 0:
            continue
        if stage < 2:
            waiting.insert(0, (mutant, stage + 1))
        else:
            yield mutant


def _fork(mutant: Mutant, stage: int) -> int:
    tests = (OWN_TESTS[mutant.file], ALL_TESTS, LAWS)[stage]
    seconds = SECONDS if stage == 0 else 5 * SECONDS
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        _run(mutant, tests)
    return child


def _run(mutant: Mutant, tests: list[str]) -> None:
    """In the fork: the tests, with the mutant in the place of its file. Does not return."""
    import pytest

    import attentio

    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    for name in [name for name in sys.modules if name.startswith("attentio.attention")]:
        del sys.modules[name]
    del attentio.attention
    sys.meta_path.insert(0, _Finder(mutant))
    arguments = [str(TESTS / test) if test.endswith(".py") else test for test in tests]
    options = ["-x", "-q", "-p", "no:cacheprovider", "--timeout", "0", "--no-header", "--assert=plain"]
    os._exit(int(pytest.main([*arguments, *options, "-m", "not slow and not gpu"])))


class _Finder(MetaPathFinder):
    """Finds a mutant in the place of its file; all else is found as ever."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def find_spec(self, name, path, target=None):
        module = self.mutant.file.removesuffix(".py").replace("/", ".")
        if name != f"attentio.attention.{module}":
            return None
        file = str(SOURCE / self.mutant.file)
        return spec_from_file_location(name, file, loader=_Loader(name, file, self.mutant.source()))


class _Loader(SourceFileLoader):
    def __init__(self, name: str, file: str, source: str) -> None:
        super().__init__(name, file)
        self.source = source

    def get_code(self, fullname):
        return compile(self.source, self.path, "exec", dont_inherit=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", default=list(OWN_TESTS))
    parser.add_argument("--only", default="", metavar="TEXT", help="mutants that have this in their line of --list")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="how many run at a time")
    parser.add_argument("--list", action="store_true", help="only print the mutants")
    arguments = parser.parse_args()
    found = [mutant for name in arguments.files for mutant in mutants(SOURCE / name) if arguments.only in str(mutant)]
    if arguments.list:
        print(*found, sep="\n")
        return 0
    _import_what_is_slow()
    unchanged = Mutant("tensors.py", 0, "", "", partial((SOURCE / "tensors.py").read_text, encoding="utf-8"))
    if not list(survivors([unchanged], 1)):
        raise SystemExit("the tests fail without any change: mutants would prove nothing")
    count = 0
    doubtful = [mutant for mutant in found if mutant.name not in EQUIVALENT]
    for mutant in survivors(doubtful, arguments.jobs):
        count += 1
        print(f"survives: {mutant}", flush=True)
    print(f"{len(found)} mutants, {len(found) - len(doubtful)} equivalent, {count} survive")
    return 1 if count else 0


def _import_what_is_slow() -> None:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import entmax
    import hypothesis
    import keras
    import pytest
    import scipy.optimize
    import torch

    import attentio.attention

    torch.set_num_threads(1)
    _ = attentio, entmax, hypothesis, keras, pytest, scipy


if __name__ == "__main__":
    sys.exit(main())
