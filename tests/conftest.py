"""Fixtures shared by all tests."""

import collections
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TypeAlias
from unittest.mock import patch

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import settings

from attentio.text.words import word_spans
from attentio.trace import AttentionTrace

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported, and for every process that a test starts
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test depends on what this machine is fast at. Those of the choices themselves ask for it.
os.environ.setdefault("ATTENTIO_KERNELS", "standard")

# A shell that starts tests in the background lets them ignore these signals. Tests of interrupts need them.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, handler)

# On a busy machine any example of a property can take any time.
settings.register_profile("attentio", deadline=None)
settings.load_profile("attentio")


@pytest.fixture
def faults(request: pytest.FixtureRequest) -> Iterator[collections.Counter[str]]:
    """Counts the faults that a test brings about, by kind. The end of the test run says how many there were in all."""
    found = collections.Counter[str]()
    yield found
    request.node.user_properties.append(("faults", dict(found)))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many faults there were, and how many tests of them failed."""
    found, tests = collections.Counter[str](), set[str]()
    reports = [
        report for group in terminalreporter.stats.values() for report in group if isinstance(report, pytest.TestReport)
    ]
    for report in reports:
        for name, value in report.user_properties:
            if name == "faults" and report.when == "teardown":
                found.update(value)
                tests.add(report.nodeid)
    wrong = {report.nodeid for report in reports if report.failed} & tests
    if found:
        end = f"lost or wrong: {sorted(wrong)}" if wrong else "0 lost, 0 silently wrong"
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(found.items()))
        terminalreporter.write_line(f"{found.total():,} faults, {end}: {kinds}")


Shell: TypeAlias = Callable[[str, Path], tuple[int, str]]


@pytest.fixture(scope="session")
def shell() -> Shell:
    """Runs a line of shell in a folder: its status and all it printed.

    Commands between `&&` and `;` run one by one. A plain `attentio` command runs in this process, which saves imports.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    settings = {"PATH": path, "NO_COLOR": "1", "COLUMNS": "100", "PYTHONUTF8": "1"}

    def run(line: str, folder: Path) -> tuple[int, str]:
        status, printed = 0, ""
        for joint, command in re.findall(r"(^|&&|;)((?:'[^']*'|\"[^\"]*\"|[^;&'\"]|&(?!&))*)", line.strip()):
            if command.strip() and not (joint == "&&" and status):
                status, more = one(command.strip().replace("$?", str(status)), folder)
                printed += more
        return status, printed

    def one(command: str, folder: Path) -> tuple[int, str]:
        quoted = re.sub(r"'[^']*'|\"[^$`\"]*\"", "", command)
        if command.startswith(("attentio ", "python ")) and not re.search(r"[|&<>$`]", quoted):
            with patch.dict(os.environ, settings):
                return run_here(shlex.split(command), folder)
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return done.returncode, done.stdout.decode("utf-8")

    return run


def run_here(words: list[str], folder: Path) -> tuple[int, str]:
    """Run `attentio …`, `python FILE` or `python -c PROGRAM` in this process, with nothing to read."""
    from attentio.cli import main

    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    status: Any = 0
    with (
        chdir(folder),
        redirect_stdout(printed),
        redirect_stderr(printed),
        patch.object(sys, "argv", words),
        patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO())),
    ):
        try:
            if words[0] == "attentio":
                main()
            else:
                program = words[2] if words[1] == "-c" else Path(words[1]).read_text(encoding="utf-8")
                exec(program, {"__name__": "__main__"})
        except SystemExit as end:
            status = end.code or 0
        except Exception:  # of a program: `main` lets none out
            status = 1
            traceback.print_exc()
    printed.seek(0)
    return status, printed.read()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real corpora that stands beside the checkout; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real corpora are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """Name of a folder, what fills it -> the folder, filled once for all processes of this test run."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name: str, fill: Callable[[Path], None]) -> Path:
        folder = shared / f"made-{name}"
        with FileLock(f"{folder}.lock"):
            if not (folder / "done").exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                (folder / "done").touch()
        return folder

    return made


@pytest.fixture(scope="session")
def tiny_run(made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """A run folder after a few updates on 300 pairs of the small world: it translates, badly. Not to be changed."""

    def fill(folder: Path) -> None:
        from attentio.train.run import run_training
        from attentio.train.settings import effective_config

        settings = {
            "data": {"train": ["small-world"], "small_world_pairs": 300, "source_vocab_size": 2000},
            "train": {"max_steps": 20, "evaluate_pairs": 5, "warmup_steps": 5},
        }
        run_training(effective_config(preset="tiny", settings=settings), folder / "run")

    return made_once("tiny", fill) / "run"


@pytest.fixture(scope="session")
def exported_world(made_once: Callable[[str, Callable[[Path], None]], Path]) -> Path:
    """The built-in model as ONNX graphs, in 32 bits. Not to be changed."""
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)

    def fill(folder: Path) -> None:
        from attentio.bundle import Bundle
        from attentio.export import FORMATS
        from attentio.export.parity import ToExport, export

        bundle = Bundle.load("small-world")
        export(FORMATS["onnx"], folder / "world", [ToExport("it", bundle)], precision="fp32", unchecked=True)

    return made_once("exported", fill) / "world"


SMALL_TRANSFORMER: dict[str, Any] = {
    "family": "transformer",
    "hidden_size": 24,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "feed_forward_size": 22,
}


@pytest.fixture(scope="session")
def random_transformer() -> Callable[..., Any]:
    """Settings of model and attentions -> a model of random weights that all act."""
    import torch

    from attentio.bundle import Architecture, Bundle, Side
    from attentio.corpora.small_world.grammar import sample
    from attentio.model.families import build_model
    from attentio.text.learn import train_tokenizer

    pairs = sample(60, seed=5)
    sides = ("source", "target")
    tokenizers = [train_tokenizer("char", [getattr(pair, side) for pair in pairs], 40) for side in sides]

    def make(
        model: dict[str, Any] | None = None,
        attention: dict[str, Any] | None = None,
        own: dict[str, Any] | None = None,
        *,
        seed: int = 0,
        kinds: tuple[str, str] = ("char", "char"),
    ) -> Bundle:
        parts = {
            "model": SMALL_TRANSFORMER | (model or {}),
            "attention": {"score": "scaled_dot", "num_heads": 3} | (attention or {}),
            "self_attention": {"num_heads": 3} | (own or {}),
        }
        architecture = Architecture.model_validate(parts)
        source, target = (
            known if kind == "char" else train_tokenizer(kind, [getattr(pair, side) for pair in pairs], 700)
            for side, kind, known in zip(sides, kinds, tokenizers, strict=True)
        )
        if (model or {}).get("share_embeddings"):
            target = source
        torch.manual_seed(seed)
        built = build_model(
            architecture.model, architecture.attention, source.vocab_size, target.vocab_size,
            self_attention=architecture.self_attention,
        )  # fmt: skip
        with torch.no_grad():
            for parameter in built.parameters():  # also what starts at zero or one acts
                parameter += 0.2 * torch.randn_like(parameter)
            built.decoder.bias[2] += 4  # sentences end before their limit
            for side in (built.encoder, built.decoder):
                side.embedding.table[0] = 0  # type: ignore[operator, index, union-attr]
        weights = built.unique_state_dict()
        language = None if kinds[0] == "char" else "zh"
        return Bundle(architecture, weights, Side(source, language="en"), Side(target, language=language), 64)

    return make


# Where .ci/run puts packages that are too large, or too demanding, for the environment of the tests.
FOREIGN_PACKAGES = Path(sys.prefix) / "foreign"


@pytest.fixture(scope="session")
def foreign_packages() -> Callable[[str], Path]:
    """Name of a package -> the folder to add to `sys.path`. The test skips without it."""

    def find(name: str) -> Path:
        if not (FOREIGN_PACKAGES / name).is_dir():
            pytest.skip(f"{FOREIGN_PACKAGES / name} is not there: see .ci/run")
        return FOREIGN_PACKAGES

    return find


NODE_MODULES = Path(sys.prefix) / "npm" / "node_modules"  # where .ci/run puts what comes from npm


@pytest.fixture(scope="session")
def node_modules() -> Callable[[str], Path]:
    """Path in `node_modules` -> the file. The test skips without it."""

    def find(name: str) -> Path:
        path = NODE_MODULES / name
        if not path.exists():
            package = name.split("/")[0]
            pytest.skip(f"{path} is not there: npm install --no-save --prefix {NODE_MODULES.parent} {package}")
        return path

    return find


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A Chromium that Playwright drives. The test skips without it."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def violations(node_modules: Callable[[str], Path]) -> Callable[[Any], list[str]]:
    """A page -> what axe-core finds wrong with it, and whether it is wider than its window."""
    source = node_modules("axe-core/axe.min.js").read_text(encoding="utf-8")

    def check(page: Any) -> list[str]:
        if not page.evaluate("() => 'axe' in window"):
            page.evaluate(source)
        report = page.evaluate("async () => await axe.run()")
        found = [
            f"{one['id']}: {node['target']} {node['failureSummary']}"
            for one in report["violations"]
            for node in one["nodes"]
        ]
        wide = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return [*found, *(["wider than the window"] if wide > 0 else [])]

    return check


@pytest.fixture
def make_trace() -> Callable[..., AttentionTrace]:
    """A trace between the words of two texts and end-of-sentence, with random or given weights."""

    def make(source: str, target: str, *, layers: int = 1, heads: int = 1, weights: object = None) -> AttentionTrace:
        sides = []
        for text in (source, target):
            spans = [*word_spans(text), (len(text), len(text))]
            sides.append(((*(text[start:end] for start, end in spans[:-1]), "</s>"), spans))
        (source_tokens, source_spans), (target_tokens, target_spans) = sides
        random = np.random.default_rng(7)
        drawn = {
            f"layer{number}": random.dirichlet(np.ones(len(source_tokens)), size=(heads, len(target_tokens)))
            for number in range(layers)
        }
        return AttentionTrace(
            source,
            target,
            source_tokens,
            target_tokens,
            source_spans,
            target_spans,
            drawn if weights is None else {"layer0": np.asarray([weights])},
            np.zeros(len(target_tokens)),
        )

    return make
