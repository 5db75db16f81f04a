"""A tiny translator with strong opinions, and an oracle that knows the probability of everything it could say."""

from collections.abc import Callable, Sequence

import pytest
import torch

from attentio.model.families import build_model
from attentio.model.seq2seq import Seq2Seq
from attentio.model.settings import AttentionConfig, RNNConfig

SOURCE_VOCAB, TARGET_VOCAB = 9, 6  # of the target's six, padding and bos are never said: eos and three words remain

Oracle = Callable[[Sequence[int], Sequence[Sequence[int]]], list[list[float]]]


def _opinionated(seed: int, settings: RNNConfig) -> Seq2Seq:
    torch.manual_seed(seed)
    model = build_model(settings, AttentionConfig(), SOURCE_VOCAB, TARGET_VOCAB).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.5)
        model.decoder.bias.uniform_(-1.5, 1.5)
    return model


@pytest.fixture(params=["current", "previous", "feeding"])
def tiny_model(request: pytest.FixtureRequest) -> Seq2Seq:
    """Random weights, large enough that words differ much in probability."""
    query = "current" if request.param == "feeding" else request.param
    feeding = request.param == "feeding"
    settings = RNNConfig(embedding_size=5, hidden_size=6, dropout=0.0, query=query, input_feeding=feeding)
    return _opinionated(7, settings)


@pytest.fixture
def make_model() -> Callable[[int], Seq2Seq]:
    """Another such model for every seed."""
    return lambda seed: _opinionated(seed, RNNConfig(embedding_size=5, hidden_size=6, dropout=0.0))


@pytest.fixture
def oracle() -> Callable[[Seq2Seq], Oracle]:
    """model -> (source, targets) -> log-probability of every token of every target, all from teacher forcing."""

    def of(model: Seq2Seq) -> Oracle:
        @torch.inference_mode()
        def log_probs(source: Sequence[int], targets: Sequence[Sequence[int]]) -> list[list[float]]:
            width = max(map(len, targets))
            inputs = torch.zeros(len(targets), width, dtype=torch.int64)
            inputs[:, 0] = 1
            for row, target in enumerate(targets):
                inputs[row, 1 : len(target)] = torch.tensor(target[:-1])
            ids = torch.tensor([[*source, 2]]).expand(len(targets), -1)
            logits = model(ids, torch.full((len(targets),), len(source) + 1), inputs)
            logits[..., :2] = -torch.inf
            found = logits.log_softmax(-1)
            return [
                [found[row, t, token].item() for t, token in enumerate(target)] for row, target in enumerate(targets)
            ]

        return log_probs

    return of
