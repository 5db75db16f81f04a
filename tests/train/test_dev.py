"""The dev set of a training: it reads and writes as the translator does."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from attentio.bundle import Bundle
from attentio.data.heldout import HeldOut
from attentio.runtime.processes import AVAILABLE, share_out
from attentio.search import batched
from attentio.search.hypothesis import Hypothesis
from attentio.text.learn import train_tokenizer
from attentio.text.placeholders import PLACEHOLDERS
from attentio.text.side import Side
from attentio.text.tokenizer import Tokenizer
from attentio.train import dev as module
from attentio.train.dev import DevSet


def reading(source: Tokenizer, target: Tokenizer, *, placeholders: bool = False) -> Any:
    """What a dev set looks at of a bundle or of prepared data."""
    return SimpleNamespace(source=Side(source), target=Side(target), placeholders=placeholders)


def test_what_must_be_kept_is_hidden_on_dev_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    held = HeldOut.from_pairs("dev", [("At 12:30 I have 3 cats.", "12:30我有三只猫。"), ("No.", "不。")])
    source = train_tokenizer("word", held.sources, placeholders=True)
    target = train_tokenizer("char", ["12:30我有三只猫。不"], placeholders=True)
    dev = DevSet(held, reading(source, target, placeholders=True), limit=10)
    first, second = PLACEHOLDERS[:2]
    assert source.decode(dev.sources[0]) == f"at {first} i have {second} cats."
    pairs = [(source.decode(dev.pairs.source[i].tolist()), target.decode(dev.pairs.target[i].tolist())) for i in (0, 1)]
    assert pairs == [(f"at {first} i have 3 cats.", f"{first}我有三只猫。"), ("no.", "不。")]  # as in training

    def searched(*_: Any) -> list[list[Hypothesis]]:
        written = tuple(target.encode(f"{first}我有{second}只猫。"))
        return [[Hypothesis(tokens, (0.0,) * len(tokens), 0.0, (0,) * len(tokens))] for tokens in (written, ())]

    monkeypatch.setattr(module, "search", searched)
    model: Any = None
    assert dev.outputs(model) == ["12:30我有3只猫。", ""]
    plain = DevSet(held, reading(source, target), limit=10)
    assert "12:30" in source.decode(plain.sources[0]) or source.special.unk in plain.sources[0]
    assert first not in source.decode(plain.sources[0])


@pytest.mark.slow
@pytest.mark.skipif(not AVAILABLE, reason="workers are copies of a process, on Linux")
def test_several_processes_find_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = Bundle.load("small-world")
    pairs = [(f"The cat sees {n} {thing}.", f"猫看见{n}。") for n in range(20) for thing in ("dogs", "books", "a", "b")]
    held = HeldOut.from_pairs("dev", pairs)
    dev = DevSet(held, bundle, limit=100)
    model = bundle.build().eval()
    monkeypatch.setattr(batched, "SENTENCES_A_WORKER", 20)
    processes: list[int] = []

    def shared(function: Any, items: Any, workers: int, **options: Any) -> Any:
        processes.append(workers)
        return share_out(function, items, workers, **options)

    monkeypatch.setattr("attentio.runtime.processes.share_out", shared)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = dev(model)
        assert processes == []
        torch.set_num_threads(2)
        assert dev(model) == alone
        assert processes == [2]
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(("limit", "used"), [(1, [0]), (4, [0, 1, 3, 5]), (6, [0, 1, 2, 3, 4, 5]), (300, [*range(7)])])
def test_as_many_sentences_are_used_as_asked_for(limit: int, used: list[int]) -> None:
    """7 sentences, evenly drawn."""
    held = HeldOut.from_pairs("dev", [(f"w{number}", f"v{number}") for number in range(7)])
    tokenizer = train_tokenizer("word", held.sources)
    dev = DevSet(held, reading(tokenizer, tokenizer), limit=limit)
    assert [tokenizer.decode(source) for source in dev.sources] == [f"w{number}" for number in used]
    assert dev.references == [[f"v{number}"] for number in used]
