"""Search over many sources: sorted by length, batched by a token budget, answered in the order asked."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from attentio.model.seq2seq import Seq2Seq
from attentio.runtime.processes import AVAILABLE, share_out
from attentio.search.beam import beam_search
from attentio.search.greedy import EOS_ID, greedy_search
from attentio.search.hypothesis import Hypothesis

PAD_ID = 0
SENTENCES_A_WORKER = 64  # fewer are done before a process is ready
BATCHES_A_WORKER = 3  # more: all are busy to the end; fewer: less work for each sentence


class SearchConfig(NamedTuple):
    """How to search: `beam_size` 1 is greedy; a batch holds at most `max_tokens` source positions times hypotheses.

    workers: processes with a core and a batch each, where the model is on the CPU (of a Linux) and there is enough to
    do; 1 for none but this one, which is what a recorder of attention needs.
    """

    beam_size: int = 1
    length_penalty: float = 1.0
    max_tokens: int = 4096
    workers: int = 1


def search(model: Seq2Seq, sources: Sequence[Sequence[int]], config: SearchConfig) -> list[list[Hypothesis]]:
    """The hypotheses of each source (token ids without eos), best first, in the order of `sources`."""
    answers: list[list[Hypothesis]] = [[] for _ in sources]
    for indices, found in search_batches(model, sources, config):
        for index, hypotheses in zip(indices, found, strict=True):
            answers[index] = hypotheses
    return answers


def search_batches(
    model: Seq2Seq, sources: Sequence[Sequence[int]], config: SearchConfig
) -> Iterator[tuple[list[int], list[list[Hypothesis]]]]:
    """As `search`, batch by batch: the indices of the sources in a batch and their hypotheses."""
    device = next(model.parameters()).device

    def answers(indices: list[int]) -> list[list[Hypothesis]]:
        source, lengths = padded([sources[i] for i in indices], device)
        limits = [max_target_length(len(sources[i])) for i in indices]
        penalty = config.length_penalty
        if config.beam_size == 1:
            return [[best] for best in greedy_search(model, source, lengths, limits, length_penalty=penalty)]
        return beam_search(model, source, lengths, limits, beam_size=config.beam_size, length_penalty=penalty)

    sizes = [len(source) + 1 for source in sources]
    workers = min(config.workers, len(sources) // SENTENCES_A_WORKER)
    if workers < 2 or device.type != "cpu" or not AVAILABLE:
        for indices in batches_of(sizes, config.max_tokens // config.beam_size):
            yield indices, answers(indices)
        return
    share = -(-sum(sizes) // (workers * BATCHES_A_WORKER))
    batches = list(batches_of(sizes, min(config.max_tokens // config.beam_size, share)))
    for number, found in share_out(answers, batches, workers):
        yield batches[number], found


def max_target_length(source_length: int) -> int:
    """After how many tokens a translation is cut off: generous, so that only runaway ones are."""
    return 3 * source_length + 10


def padded(sentences: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids without eos -> (B, S) ids with eos, padded, and lengths (B,) with eos counted."""
    lengths = [len(sentence) + 1 for sentence in sentences]
    ids = np.full((len(sentences), max(lengths)), PAD_ID, dtype=np.int64)
    for row, sentence in zip(ids, sentences, strict=True):
        row[: len(sentence)] = sentence
        row[len(sentence)] = EOS_ID
    return torch.from_numpy(ids).to(device), torch.tensor(lengths, device=device)


def batches_of(lengths: Sequence[int], max_tokens: int) -> Iterator[list[int]]:
    """Indices in batches of like length, longest first, each within `max_tokens` positions or a single sentence."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):  # longest first: it sets the width
        if batch and (len(batch) + 1) * lengths[batch[0]] > max_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
