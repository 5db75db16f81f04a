"""The dev set of a training: it reads and writes as the translator does."""

from typing import Any

import pytest

from attentio.data.heldout import HeldOut
from attentio.search.hypothesis import Hypothesis
from attentio.text.learn import train_tokenizer
from attentio.text.placeholders import PLACEHOLDERS
from attentio.train import dev as module
from attentio.train.dev import DevSet


def test_what_must_be_kept_is_hidden_on_dev_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    held = HeldOut.from_pairs("dev", [("At 12:30 I have 3 cats.", "12:30我有三只猫。"), ("No.", "不。")])
    source = train_tokenizer("word", held.sources, placeholders=True)
    target = train_tokenizer("char", ["12:30我有三只猫。不"], placeholders=True)
    dev = DevSet(held, source, target, limit=10, placeholders=True)
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
    plain = DevSet(held, source, target, limit=10)
    assert "12:30" in source.decode(plain.sources[0]) or source.special.unk in plain.sources[0]
    assert first not in source.decode(plain.sources[0])
