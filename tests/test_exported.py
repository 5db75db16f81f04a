"""An exported model translates, shows and serves as the model does, without torch."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attentio.corpora.small_world.grammar import sample
from attentio.errors import AttentioError, MissingExtra, ModelError, UsageError
from attentio.exported import Exported, is_exported
from attentio.runtime.sealed import read_manifest, seal
from attentio.search.batched import SearchConfig
from attentio.search.strategy import Sample
from attentio.translator import Translation, Translator

TEXTS = [pair.source for pair in sample(60, seed=5)] + ["", "Zebra 😀 42!", "He sleeps. She reads a book."]

# What a program begins with that finds no torch. Nothing that torch brings along is there either.
WITHOUT_TORCH = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "safetensors", "sympy", "networkx"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])

sys.meta_path.insert(0, Missing())
"""
Ask = Callable[[Translator], list[Translation]]


@pytest.fixture(scope="module")
def both(exported_world: Path) -> tuple[Translator, Translator]:
    """The model, and what it became."""
    return Translator.load("small-world", device="cpu"), Translator.load(exported_world)


def same(found: Sequence[Translation], wanted: Sequence[Translation]) -> None:
    assert [each.text for each in found] == [each.text for each in wanted]
    assert [[text for text, _ in each.nbest] for each in found] == [[text for text, _ in each.nbest] for each in wanted]
    np.testing.assert_allclose([each.score for each in found], [each.score for each in wanted], atol=1e-5)
    for one, other in zip(found, wanted, strict=True):
        assert (one.trace is None) == (other.trace is None)
        if one.trace is not None and other.trace is not None:
            assert one.trace.target_tokens == other.trace.target_tokens
            assert [token for token, _ in one.trace.candidates[0]] == [token for token, _ in other.trace.candidates[0]]
            for kept in ("weights", "encoder_self", "decoder_self"):
                mine, theirs = getattr(one.trace, kept), getattr(other.trace, kept)
                assert mine.keys() == theirs.keys()
                for name in mine:
                    np.testing.assert_allclose(mine[name], theirs[name], atol=1e-5)


ASKED: dict[str, Ask] = {
    "greedy": lambda it: it.translate(TEXTS, trace=True),
    "beam": lambda it: it.translate(TEXTS[:20], SearchConfig(4), trace=True),
    "small batches": lambda it: it.translate(TEXTS[:20], SearchConfig(3, max_tokens=40)),
    "sampling": lambda it: it.translate(TEXTS[:20], SearchConfig(sample=Sample(1.5, top_k=9, top_p=0.9, seed=4))),
    "prefix": lambda it: it.translate(TEXTS[:9], SearchConfig(2), prefix="我"),
    "required": lambda it: it.translate(TEXTS[:5], SearchConfig(5), require=["书", "昨天"]),
    "forbidden": lambda it: it.translate(TEXTS[:9], SearchConfig(3), forbid=["我", "的"]),
    "no repeat": lambda it: it.translate(TEXTS[:9], SearchConfig(2, no_repeat=1, max_length=9)),
    "terms": lambda it: it.translate(TEXTS[:5], terms=lambda _: ["图书"]),
    "two processes": lambda it: it.translate(TEXTS * 3, SearchConfig(2, workers=2)),
    "hypotheses": lambda it: it.hypotheses(TEXTS[0], SearchConfig(3), masked=[1]),
}


@pytest.mark.slow
@pytest.mark.parametrize("asked", ASKED)
def test_every_search_gives_the_same(both: tuple[Translator, Translator], asked: str) -> None:
    model, exported = both
    same(ASKED[asked](exported), ASKED[asked](model))


def test_given_targets_and_erasure_give_the_same(both: tuple[Translator, Translator]) -> None:
    found, wanted = (it.align(["He sleeps.", "I love you."], ["他睡觉。", "你爱我。"]) for it in reversed(both))
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one.token_log_probs, other.token_log_probs, atol=1e-4)
    falls = [it.erasure(wanted[0]) for it in both]
    np.testing.assert_allclose(*falls, atol=1e-4)


def test_every_step_is_shown(both: tuple[Translator, Translator]) -> None:
    seen: tuple[list[Any], list[Any]] = [], []
    for it, kept in zip(both, seen, strict=True):
        it.translate(TEXTS[:2], SearchConfig(2), on_step=kept.append)
    assert [(each.index, each.text, each.finished) for each in seen[0]] == [
        (each.index, each.text, each.finished) for each in seen[1]
    ]


def test_what_graphs_cannot_is_said(both: tuple[Translator, Translator], exported_world: Path) -> None:
    trace = both[1]("He sleeps.").trace
    assert trace is not None
    with pytest.raises(UsageError, match="has no gradients: it is an exported model"):
        both[1].gradient_times_input(trace)
    for others, words in (({"device": "cuda"}, "runs on the CPU"), ({"precision": "bf16"}, "computes in fp32")):
        with pytest.raises(UsageError, match=words):
            Translator.load(exported_world, **others)


@pytest.fixture
def copy(exported_world: Path, tmp_path: Path) -> Path:
    return shutil.copytree(exported_world, tmp_path / "copy", ignore=shutil.ignore_patterns("done"))


def resealed(folder: Path, **others: Any) -> None:
    manifest = {name: value for name, value in read_manifest(folder).items() if name != "files"}
    seal(folder, manifest | others)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut": (lambda it: cut(it / "step.onnx"), "is truncated"),
    "missing": (lambda it: (it / "encoder.onnx").unlink(), "encoder.onnx: missing"),
    "altered": (lambda it: (it / "source.tokenizer").write_bytes((it / "target.tokenizer").read_bytes()), "source.tok"),
    "no manifest": (lambda it: (it / "manifest.json").unlink(), "manifest.json: no such file"),
    "newer": (lambda it: resealed(it, exported=99), "newer Attentio (format 99"),
    "foreign": (lambda it: resealed(it, exported=None), "is not that of an exported model"),
    "no sides": (lambda it: resealed(it, source=None), "cannot be understood"),
    "not a graph": (lambda it: ((it / "step.onnx").write_bytes(b"onnx"), resealed(it)), "cannot open it"),
    "other graphs": (
        lambda it: ((it / "step.onnx").write_bytes((it / "encoder.onnx").read_bytes()), resealed(it)),
        "is not a step of Attentio",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_is_refused_in_one_line(copy: Path, damage: str) -> None:
    change, words = DAMAGE[damage]
    change(copy)
    assert is_exported(copy)
    with pytest.raises(ModelError) as caught:
        Translator.load(copy)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_onnxruntime_it_says_what_to_install(exported_world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match="needs onnxruntime, which is not installed"):
        Translator.load(exported_world)


def test_a_verb_that_learns_refuses_it(exported_world: Path) -> None:
    from attentio.bundle import Bundle

    with pytest.raises(AttentioError, match="is an exported model"):
        Bundle.load(exported_world)
    assert Exported.load(exported_world).num_parameters == Bundle.load("small-world").num_parameters


@pytest.mark.slow
def test_verbs_run_without_torch(exported_world: Path, tmp_path: Path) -> None:
    """In processes that find no torch: translate, view and serve. Nothing is noted down in the home of who asks."""
    home = tmp_path / "home"
    home.mkdir()
    wanted = Translator.load("small-world", device="cpu").translate(["My sister bought two books."], SearchConfig(5))

    def run(*words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        program = f"{WITHOUT_TORCH}\nsys.argv = {['attentio', *words]!r}\nfrom attentio.cli import main\nmain()"
        return subprocess.run(
            [sys.executable, "-c", program],
            input=text,
            capture_output=True,
            encoding="utf-8",
            cwd=tmp_path,
            env={name: value for name, value in os.environ.items() if "XDG" not in name} | {"HOME": str(home)},
            check=False,
        )

    done = run("translate", str(exported_world), "--json", text="My sister bought two books.\n")
    assert done.returncode == 0, done.stderr
    assert not [*home.iterdir()]  # where ONNX Runtime keeps the number by which it reports to its maker
    assert json.loads(done.stdout)["text"] == wanted[0].text
    done = run("view", str(exported_world), "My sister bought two books.", "--html", "map.html")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(wanted[0].text)
    assert (tmp_path / "map.html").exists()
    done = run("translate", "small-world", text="Hello.\n")
    assert (done.returncode, done.stderr.count("\n")) == (6, 1)
    assert "small-world needs torch, which is not installed" in done.stderr
    done = run("attention", "list")
    assert (done.returncode, done.stderr.count("\n")) == (6, 1)
    assert "this needs torch, which is not installed" in done.stderr
    served = f"""{WITHOUT_TORCH}
from fastapi.testclient import TestClient
from attentio.serve.app import create_app
from attentio.translator import Translator

app = create_app({{"world": Translator.load({str(exported_world)!r})}})
with TestClient(app, base_url="http://localhost") as client:
    asked = {{"q": "My sister bought two books.", "source": "en", "target": "zh"}}
    print(client.post("/translate", json=asked).json()["translatedText"])
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", served], capture_output=True, encoding="utf-8", check=False)
    assert done.stdout.strip() == wanted[0].text, done.stderr
