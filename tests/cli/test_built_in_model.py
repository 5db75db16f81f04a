"""The model that comes with the package: small, good at what it knows, and made by a command of the Makefile."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attentio.bundle import BUILT_IN, Bundle
from attentio.corpora.small_world import grammar
from attentio.metrics.quality import evaluate
from attentio.search.batched import SearchConfig
from attentio.translator import Translator

MODEL = BUILT_IN / "small-world"
MAKEFILE = Path(__file__).parents[2] / "Makefile"
SENTENCES = {
    "My sister bought two books yesterday.": "我姐姐昨天买了两本书。",
    "Where is the station?": "车站在哪儿？",
    "He likes his cat.": "他喜欢他的猫。",
}


def bleu(translator: Translator, count: int) -> float:
    """BLEU on pairs of the small world that are drawn with another seed than the training pairs."""
    pairs = grammar.sample(count, seed=20261126)
    found = translator.translate([pair.source for pair in pairs], SearchConfig(5), split=False)
    texts = [translation.text for translation in found]
    return evaluate(texts, [[pair.target] for pair in pairs], language="zh", resamples=0).bleu.value


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator.load("small-world", device="cpu")


def test_it_is_small_and_opens_by_its_name(translator: Translator, tmp_path: Path, monkeypatch: Any) -> None:
    assert sum(path.stat().st_size for path in MODEL.iterdir()) <= 2_000_000
    assert (translator.source_language, translator.target_language) == ("en", "zh")
    Bundle.load(MODEL).save(tmp_path / "other")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small-world").mkdir()
    with pytest.raises(Exception, match="small-world is not a run folder"):  # a folder of the user's comes first
        Bundle.load("small-world")


@pytest.mark.slow
def test_it_translates(translator: Translator) -> None:
    found = translator.translate(list(SENTENCES), SearchConfig(5), trace=True)
    assert [translation.text for translation in found] == list(SENTENCES.values())
    assert bleu(translator, 100) > 90


def test_verbs_take_its_name(attentio: Callable[..., Any]) -> None:
    source = next(iter(SENTENCES))
    assert attentio("translate", "small-world", stdin=source + "\n").lines == [SENTENCES[source]]
    assert SENTENCES[source] in attentio("view", "small-world", source).out


@pytest.mark.long
def test_its_command_makes_one_as_good(translator: Translator, attentio: Callable[..., Any], tmp_path: Path) -> None:
    command = re.search(r"attentio train (small-world .*?) --out", MAKEFILE.read_text(encoding="utf-8"))
    assert command is not None
    outcome = attentio("train", *shlex.split(command[1]), "--out", tmp_path / "run")
    assert outcome.status == 0, outcome.err
    Bundle.load(tmp_path / "run").save(tmp_path / "model", int8=True)
    again = Translator.load(tmp_path / "model", device="cpu")
    assert bleu(again, 300) > bleu(translator, 300) - 3
