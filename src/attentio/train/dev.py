"""How good a model in training is on the dev set."""

from collections.abc import Sequence

from attentio.data.heldout import HeldOut
from attentio.metrics.quality import corpus_chrf
from attentio.model.seq2seq import Seq2Seq
from attentio.search.batched import SearchConfig, search
from attentio.text.tokenizer import Tokenizer


class DevSet:
    """Held-out sources, encoded once, and references. A call with a model gives the chrF of its greedy translations."""

    def __init__(self, held_out: HeldOut, source: Tokenizer, target: Tokenizer, *, limit: int) -> None:
        every = -(-len(held_out.sources) // limit)  # evenly over the set: its parts may differ
        self.sources: Sequence[Sequence[int]] = [source.encode(text) for text in held_out.sources[::every]]
        self.references = held_out.references[::every]
        self.target = target

    def __call__(self, model: Seq2Seq) -> float:
        """chrF, 0 to 100, of a model in evaluation mode."""
        best = [hypotheses[0] for hypotheses in search(model, self.sources, SearchConfig())]
        return corpus_chrf([self.target.decode(hypothesis.tokens) for hypothesis in best], self.references)
