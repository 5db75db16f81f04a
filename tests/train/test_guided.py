"""The objective that draws attention to known links."""

import pytest
import torch

from attentio.data.batch import Batch
from attentio.model.seq2seq import Seq2Seq, build_model
from attentio.model.settings import AttentionConfig, RNNConfig
from attentio.recorder import AttentionRecorder
from attentio.train.objective import cross_entropy, guided_cross_entropy

SOURCE = torch.tensor([[5, 7, 9, 2], [6, 2, 0, 0]])
LINKS = torch.tensor([[0, 0, 1], [0, 0, 2], [1, 1, 0]])  # row, target, source


def batch(links: torch.Tensor | None) -> Batch:
    target_out = torch.tensor([[4, 6, 2], [8, 2, 0]])
    return Batch(SOURCE, torch.tensor([4, 2]), torch.tensor([[1, 4, 6], [1, 8, 0]]), target_out, 5, links)


def build(query: str = "current", heads: int = 2) -> Seq2Seq:
    torch.manual_seed(5)
    config = RNNConfig.model_validate({"query": query, "embedding_size": 6, "hidden_size": 6, "dropout": 0.0})
    return build_model(config, AttentionConfig(num_heads=heads), 11, 13, backend="eager")


@pytest.mark.parametrize("query", ["current", "previous"])
def test_what_it_adds_is_the_mass_that_misses_the_links(query: str) -> None:
    model = build(query)
    plain = cross_entropy(model, batch(LINKS), label_smoothing=0.1)
    with AttentionRecorder(model.decoder) as recorder:
        model.decoder.features(batch(None).target_in, model.encode(SOURCE, torch.tensor([4, 2])))
    (weights,) = recorder.layers_weights()
    mean = weights.mean(dim=1)  # heads
    missed = -(mean[0, 0, 1] + mean[0, 0, 2]).log() - mean[1, 1, 0].log()
    guided = guided_cross_entropy(model, batch(LINKS), label_smoothing=0.1, guidance=0.3)
    torch.testing.assert_close(guided, plain + 0.3 * missed / 5)


def test_without_links_or_weight_it_is_the_cross_entropy() -> None:
    model = build()
    plain = cross_entropy(model, batch(None), label_smoothing=0.1)
    for links, guidance in ((None, 0.3), (LINKS[:0], 0.3), (LINKS, 0.0)):
        assert guided_cross_entropy(model, batch(links), label_smoothing=0.1, guidance=guidance).equal(plain)


def test_attention_follows_the_links() -> None:
    model = build()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        guided_cross_entropy(model, batch(LINKS), label_smoothing=0.0, guidance=1.0).backward()
        optimizer.step()
    with AttentionRecorder(model.decoder) as recorder:
        model(SOURCE, torch.tensor([4, 2]), batch(None).target_in)
    (weights,) = recorder.layers_weights()
    assert weights.mean(dim=1)[0, 0, 1:3].sum() > 0.9
    assert weights.mean(dim=1)[1, 1, 0] > 0.9
