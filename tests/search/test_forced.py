"""Forced decoding gives what the model's own forward pass gives."""

import pytest
import torch

from attentio.model.seq2seq import Seq2Seq
from attentio.search.forced import forced_batches

SOURCES = [[4, 7, 3], [8], [], [5, 5, 6, 3, 4]]
TARGETS = [[3, 5], [], [4, 4, 4, 3, 5], [5]]


@pytest.mark.parametrize("max_tokens", [1, 9, 4096])
def test_log_probabilities_are_the_forward_pass(tiny_model: Seq2Seq, max_tokens: int) -> None:
    seen: list[int] = []
    for indices, groups in forced_batches(tiny_model, SOURCES, TARGETS, max_tokens=max_tokens):
        for row, (index, hypothesis) in enumerate(zip(indices, groups, strict=True)):
            seen.append(index)
            target = [*TARGETS[index], 2]
            source = torch.tensor([[*SOURCES[index], 2]])
            logits = tiny_model(source, torch.tensor([source.shape[1]]), torch.tensor([[1, *TARGETS[index]]]))
            logits[..., :2] = -torch.inf  # padding and begin are never written
            wanted = logits[0].log_softmax(-1)[range(len(target)), target]
            assert hypothesis.tokens == tuple(target)
            assert hypothesis.log_probs == pytest.approx(wanted.tolist(), abs=1e-5)
            assert len(hypothesis.rows) == len(target)
            assert hypothesis.rows[0] == row
            assert hypothesis.score == pytest.approx(sum(wanted.tolist()), abs=1e-4)
    assert sorted(seen) == [0, 1, 2, 3]
