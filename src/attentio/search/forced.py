"""Forced decoding: no search but a given target, step by step: what the model thinks of it, and where it looks."""

from collections.abc import Iterator, Sequence

import torch

from attentio.model.seq2seq import Seq2Seq
from attentio.search.batched import batches_of, padded
from attentio.search.greedy import BOS_ID, EOS_ID
from attentio.search.hypothesis import Hypothesis


def forced_batches(
    model: Seq2Seq, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]], *, max_tokens: int = 4096
) -> Iterator[tuple[list[int], list[list[Hypothesis]]]]:
    """Batch by batch: the indices of the pairs, and each target (ids without eos) as its source's one hypothesis."""
    device = next(model.parameters()).device
    for indices in batches_of([len(source) + 1 for source in sources], max_tokens):
        source, lengths = padded([sources[i] for i in indices], device)
        target, target_lengths = padded([targets[i] for i in indices], device)
        log_probs = _log_probs(model, source, lengths, target)
        found: list[list[Hypothesis]] = []
        for row, (index, length) in enumerate(zip(indices, target_lengths.tolist(), strict=True)):
            scores = tuple(log_probs[row, :length].tolist())
            found.append([Hypothesis((*targets[index], EOS_ID), scores, sum(scores), (row,) * length)])
        yield indices, found


@torch.inference_mode()
def _log_probs(model: Seq2Seq, source: torch.Tensor, lengths: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """log p of each target token, (B, T), by the same steps a search takes."""
    state = model.decoder.start(model.encode(source, lengths))
    tokens = torch.full_like(target[:, 0], BOS_ID)
    found: list[torch.Tensor] = []
    for wanted in target.unbind(1):
        logits, state, _ = model.decoder.step(tokens, state)
        found.append(logits.float().log_softmax(dim=-1).gather(1, wanted[:, None]))
        tokens = wanted
    return torch.cat(found, dim=1)
