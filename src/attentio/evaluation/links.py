"""Links that a model's attention draws, scored against gold links: what `attentio evaluate` says about alignment.

The model is made to produce each given target (forced decoding). Its weights are merged to the words of the gold links.
A `LinkRule` turns weights into links.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from attentio.data.alignments import check_line_counts, read_gold
from attentio.data.heldout import read_links, read_tsv
from attentio.data.readers.lines import existing, read_lines, read_utf8
from attentio.data.settings import DataConfig
from attentio.data.source import read_pairs
from attentio.errors import DataError
from attentio.evaluation.faithfulness import SENTENCES
from attentio.metrics.alignment import GoldLinks, LinkRule, Links, alignment_error_rate, flipped
from attentio.text.words import place_words
from attentio.trace import AttentionTrace, Matrix
from attentio.translator import Translator


class GoldSentence(NamedTuple):
    """A sentence pair with its words as the gold links count them."""

    source: str
    target: str
    source_words: tuple[str, ...]
    target_words: tuple[str, ...]
    links: GoldLinks
    where: str

    def swapped(self) -> "GoldSentence":
        links = GoldLinks(flipped(self.links.sure), flipped(self.links.possible))
        return GoldSentence(self.target, self.source, self.target_words, self.source_words, links, self.where)


@dataclass(frozen=True)
class LinkScorer:
    """Scores the links that `translator` draws by `rule`, and with `reverse`, of the other direction, those of both."""

    translator: Translator
    rule: LinkRule = field(default_factory=LinkRule)
    reverse: Translator | None = None

    def score(self, sentences: Sequence[GoldSentence]) -> dict[str, Any]:
        """Return alignment error rate, precision and recall with the way they were made, as `--json` prints them."""
        found = _drawn(self.translator, self.rule, sentences)
        if self.reverse is not None:
            back = _drawn(self.reverse, self.rule, [sentence.swapped() for sentence in sentences])
            found = [there & flipped(other) for there, other in zip(found, back, strict=True)]
        score = alignment_error_rate(found, [sentence.links for sentence in sentences])
        layer = self.rule.layer or list(self.translator.model.decoder.cross_attention())[-1]
        head = "mean of heads" if self.rule.head is None else f"head {self.rule.head}"
        both = "" if self.reverse is None else ", intersected with the other direction"
        return {**score.as_dict(), "method": f"{self.rule.name}, {layer}, {head}{both}"}

    def score_explanations(self, sentences: Sequence[GoldSentence]) -> dict[str, dict[str, Any]]:
        """Return the scores of links drawn from attention, erasure and gradient times input, on the same sentences.

        Each target word is linked to its strongest source word. Attention is that of the last layer.
        """
        some, translator = sentences[:SENTENCES], self.translator
        gold = [sentence.links for sentence in some]
        facts: dict[str, Callable[[AttentionTrace], Matrix] | None] = {
            "attention": None,
            "erasure": lambda trace: translator.erasure(trace).clip(0),
            "gradient x input": lambda trace: np.abs(translator.gradient_times_input(trace)),
        }
        scores = {
            name: alignment_error_rate(_drawn(translator, LinkRule(), some, fact), gold) for name, fact in facts.items()
        }
        return {name: {**score.as_dict(), "sentences": len(some)} for name, score in scores.items()}


def gold_sentences(test: Path, gold: Path, *, index: int, config: DataConfig) -> list[GoldSentence]:
    """Return the sentences of a parallel file with the gold links of another, line by line.

    test: `source words ||| target words`, or a parallel file as training reads it. Words are what white
        space separates. A gold link joins a word of the first column to one of the second, also where `config.swap`
        makes the second one the source.
    Raises DataError where the files do not fit.
    """
    if "|||" in next(read_lines(existing(str(test)), config.encoding), ""):
        config = config.model_copy(update={"delimiter": "|||"})
    num_lines = sum(1 for _ in read_lines(test, config.encoding))
    check_line_counts(gold, sum(1 for _ in read_utf8(existing(str(gold)))), test, num_lines)
    pairs = {pair.line: (pair.source.split(), pair.target.split()) for pair in read_pairs(test, config)}
    if config.swap:
        pairs = {line: sides[::-1] for line, sides in pairs.items()}
    lengths = [(0, 0)] * num_lines
    for line, (left, right) in pairs.items():
        lengths[line - 1] = (len(left), len(right))
    links = read_gold(gold, index=index, lengths=lengths)
    found: list[GoldSentence] = []
    for line, (left, right) in pairs.items():
        texts, words = (" ".join(left), " ".join(right)), (tuple(left), tuple(right))
        found.append(GoldSentence(*texts, *words, links[line - 1], f"{test} line {line:,}"))
    return [sentence.swapped() for sentence in found] if config.swap else found


def held_out_sentences(stem: Path) -> list[GoldSentence]:
    """Return the pairs with known links that a preparation wrote."""
    pairs = read_tsv(stem.with_name(f"{stem.name}.tsv"))
    found: list[GoldSentence] = []
    for line, (texts, linked) in enumerate(zip(pairs, read_links(stem), strict=True), 1):
        links = GoldLinks(linked.links, linked.links)
        found.append(GoldSentence(*texts, linked.source_words, linked.target_words, links, f"{stem}.tsv line {line}"))
    return found


def _drawn(
    translator: Translator,
    rule: LinkRule,
    sentences: Sequence[GoldSentence],
    fact: Callable[[AttentionTrace], Matrix] | None = None,
) -> list[Links]:
    """Return the links of each sentence, none where a side has no words. fact: what to draw from, or attention."""
    found: list[Links] = [frozenset()] * len(sentences)
    places = [i for i, sentence in enumerate(sentences) if sentence.source_words and sentence.target_words]
    filled = [sentences[i] for i in places]
    traces = translator.align([sentence.source for sentence in filled], [sentence.target for sentence in filled])
    cleaners = translator.bundle.source.cleaner, translator.bundle.target.cleaner
    texts = [trace.source for trace in traces], [trace.target for trace in traces]
    sources = place_words([sentence.source_words for sentence in filled], texts[0], cleaners[0])
    targets = place_words([sentence.target_words for sentence in filled], texts[1], cleaners[1])
    for place, sentence, trace, source, target in zip(places, filled, traces, sources, targets, strict=True):
        if source is None or target is None:
            raise DataError(f"{sentence.where}: its words cannot be found again after cleaning.")
        if fact is not None:
            trace = replace(trace, weights={"fact": fact(trace)[None]}, encoder_self={}, decoder_self={})
        found[place] = rule(trace, source, target)
    return found
