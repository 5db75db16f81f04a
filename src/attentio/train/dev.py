"""How good a model in training is on the dev set, by measures that an empty or constant output cannot win."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from attentio.bundle import Bundle
from attentio.data.batch import BatchSampler, collate
from attentio.data.corpus import EncodedCorpus
from attentio.data.heldout import HeldOut
from attentio.data.prepare import PreparedData
from attentio.metrics.quality import corpus_chrf, same_output
from attentio.model.seq2seq import Seq2Seq
from attentio.search.batched import SearchConfig, search
from attentio.text.placeholders import Masked, mask, mask_pair, restore
from attentio.train.objective import cross_entropy

BATCH_TOKENS = 4096


class DevScores(NamedTuple):
    """One evaluation. Models are chosen by `strict`, and `chrf` is what is reported.

    loss: nats per target token. chrf: sacreBLEU's chrF2, 0 to 100, of greedy translations. strict: the same without
    effective order, so that orders without a match count. same: share that the commonest output has. sentences: how
    many these figures are of.
    """

    loss: float
    chrf: float
    strict: float
    same: float
    sentences: int


class DevSet:
    """Held-out sources and references, encoded once. A call with a model in evaluation mode gives its scores.

    reading: what reads and writes both languages. limit: sentences at most, evenly over all.
    """

    def __init__(self, held_out: HeldOut, reading: PreparedData | Bundle, *, limit: int) -> None:
        source, target, placeholders = reading.source.tokenizer, reading.target.tokenizer, reading.placeholders
        held_out = held_out.evenly(limit)
        sources, self.references = held_out.sources, held_out.references
        self.masked = [mask(text) if placeholders else Masked(text, {}) for text in sources]
        self.sources: Sequence[Sequence[int]] = [source.encode(each.text) for each in self.masked]
        self.target = target
        pairs = [(text, texts[0]) for text, texts in zip(sources, self.references, strict=True)]
        pairs = [mask_pair(*pair)[:2] for pair in pairs] if placeholders else pairs  # as in training
        self.pairs = EncodedCorpus.from_lists(
            [source.encode(text) for text, _ in pairs], [target.encode(text) for _, text in pairs]
        )
        lengths = self.pairs.source.lengths, self.pairs.target.lengths
        self.batches = [collate(self.pairs, rows) for rows in BatchSampler(*lengths, max_tokens=BATCH_TOKENS)]

    def __call__(self, model: Seq2Seq) -> DevScores:
        outputs = self.outputs(model)
        chrf, strict = (corpus_chrf(outputs, self.references, strict=strict) for strict in (False, True))
        return DevScores(self.loss(model), chrf, strict, same_output(outputs, self.references), len(outputs))

    def chrf(self, model: Seq2Seq) -> float:
        """Return sacreBLEU's chrF2 of greedy translations."""
        return corpus_chrf(self.outputs(model), self.references)

    @classmethod
    def mean(cls, sets: "Sequence[DevSet]") -> Callable[[Seq2Seq], DevScores]:
        """Return what gives the mean of the scores on several sets, each of which counts the same."""

        def scores(model: Seq2Seq) -> DevScores:
            found = [dev(model) for dev in sets]
            *means, sentences = (sum(column) / len(found) for column in zip(*found, strict=True))
            return DevScores(*means, sentences=int(sentences * len(found)))

        return scores

    def outputs(self, model: Seq2Seq) -> list[str]:
        """Return greedy translations of the sources, where it pays from several processes."""
        config = SearchConfig(workers=torch.get_num_threads())
        best = [hypotheses[0] for hypotheses in search(model, self.sources, config)]
        return [
            restore(self.target.decode(hypothesis.tokens), masked.kept, apart=True).text
            for hypothesis, masked in zip(best, self.masked, strict=True)
        ]

    @torch.inference_mode()
    def loss(self, model: Seq2Seq) -> float:
        """Return the mean cost of a token of the first references, in nats, without label smoothing."""
        device = next(model.parameters()).device
        costs = [cross_entropy(model, batch.to(device), label_smoothing=0).item() for batch in self.batches]
        weights = [batch.num_target_tokens for batch in self.batches]
        return sum(cost * weight for cost, weight in zip(costs, weights, strict=True)) / sum(weights)
