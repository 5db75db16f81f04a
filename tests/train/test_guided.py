"""The penalties on attention: known links it misses, and what it comes back to."""

from typing import Any

import pytest
import torch
from torch import Tensor

from attentio.data.batch import Batch
from attentio.model.families import build_model
from attentio.model.seq2seq import Seq2Seq
from attentio.train.objective import cross_entropy, distributions
from attentio.train.settings import RunConfig
from attentio.train.step import TrainingStep

SOURCE, LENGTHS = torch.tensor([[5, 7, 9, 2], [6, 2, 0, 0]]), torch.tensor([4, 2])
LINKS = torch.tensor([[0, 0, 1], [0, 0, 2], [1, 1, 0]])  # row, target, source
RNN: dict[str, Any] = {"family": "rnn", "embedding_size": 6, "hidden_size": 6, "dropout": 0.0}
LAYERS = {"family": "transformer", "hidden_size": 8, "feed_forward_size": 8, "decoder_layers": 2, "dropout": 0.0}


def batch(links: Tensor | None = None) -> Batch:
    target_out = torch.tensor([[4, 6, 2], [8, 2, 0]])
    return Batch(SOURCE, LENGTHS, torch.tensor([[1, 4, 6], [1, 8, 0]]), target_out, 5, links)


def settings(model: dict[str, Any], normalize: str = "softmax", heads: int = 2, **train: float) -> RunConfig:
    attention = {"num_heads": heads, "normalize": normalize}
    return RunConfig.model_validate(
        {"model": model, "attention": attention, "train": {"guided_alignment": 0.0} | train}
    )


def build(config: RunConfig) -> Seq2Seq:
    torch.manual_seed(5)
    return build_model(config.model, config.attention, 11, 13)


def layers_weights(model: Seq2Seq) -> list[Tensor]:
    """(B, T, S) of each layer, mean of the heads."""
    return [weights.mean(dim=1) for weights in weights_of(model)]


def weights_of(model: Seq2Seq) -> list[Tensor]:
    """(B, H, T, S) of each layer that looks at the source."""
    _, attended = model.decoder.features(batch().target_in, model.encode(SOURCE, LENGTHS))
    return distributions(model.decoder, attended)


MODELS = pytest.mark.parametrize(
    "family", [RNN, RNN | {"query": "previous"}, LAYERS], ids=["current", "previous", "layers"]
)


@MODELS
def test_guidance_adds_the_mass_that_misses_the_links_in_the_last_layer(family: dict[str, Any]) -> None:
    config = settings(family, guided_alignment=0.3)
    model = build(config)
    plain = cross_entropy(model, batch(LINKS), label_smoothing=0.1)
    weights = layers_weights(model)[-1]
    missed = -(weights[0, 0, 1] + weights[0, 0, 2]).log() - weights[1, 1, 0].log()
    guided = TrainingStep(model, config.train)(batch(LINKS))
    torch.testing.assert_close(guided.total, plain + 0.3 * missed / 5)
    torch.testing.assert_close(guided.cost, plain.detach(), msg="what is reported leaves the guidance out")


def test_without_links_or_weight_it_is_the_cross_entropy() -> None:
    model = build(settings(RNN))
    plain = cross_entropy(model, batch(), label_smoothing=0.1)
    for links, guidance in ((None, 0.3), (LINKS[:0], 0.3), (LINKS, 0.0)):
        assert TrainingStep(model, settings(RNN, guided_alignment=guidance).train)(batch(links)).total.equal(plain)


@pytest.mark.slow
@pytest.mark.parametrize(
    "normalize",
    [
        "softmax",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("hard_reinforce", "hard_straight_through", "hard_marginal")
        ),
    ],
)
def test_attention_follows_the_links(normalize: str) -> None:
    config = settings(RNN, normalize, heads=1, guided_alignment=1.0, label_smoothing=0.0)
    model = build(config)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        TrainingStep(model, config.train)(batch(LINKS)).total.backward()
        optimizer.step()
    (weights,) = layers_weights(model.eval())
    assert weights[0, 0, 1:3].sum() > 0.9
    assert weights[1, 1, 0] > 0.9


@MODELS
def test_the_coverage_loss_by_its_formula(family: dict[str, Any]) -> None:
    """sum_j min(a_tj, sum of a_j before t) of each real token, mean of tokens, heads and layers (See 2017, eq. 12)."""
    config = settings(family, coverage_loss=0.7)
    model = build(config)
    layers = weights_of(model)
    found: list[Tensor] = []
    for weights in layers:  # (B, H, T, S)
        for row, length in ((0, 3), (1, 2)):
            for head in weights[row]:
                found += [
                    sum((torch.minimum(head[t, j], head[:t, j].sum()) for j in range(4)), start=torch.tensor(0.0))
                    for t in range(length)
                ]
    covered = torch.stack(found).sum() / (5 * 2 * len(layers))
    assert 0.01 < covered < 1
    plain = cross_entropy(model, batch(), label_smoothing=0.1)
    loss = TrainingStep(model, config.train)(batch())
    torch.testing.assert_close(loss.total, plain + 0.7 * covered)
    assert loss.cost.equal(plain.detach())


@pytest.mark.slow
@pytest.mark.parametrize("score", ["bilinear", "coverage"])
def test_the_coverage_loss_moves_attention_on(score: str) -> None:
    """A target that needs no source: without the loss nothing moves the weights, with it they do not come back."""
    again: dict[float, float] = {}
    for weight in (0.0, 2.0):
        torch.manual_seed(5)
        config = RunConfig.model_validate(
            {"model": RNN, "attention": {"score": score}, "train": {"coverage_loss": weight, "guided_alignment": 0.0}}
        )
        model = build_model(config.model, config.attention, 11, 13)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(60):
            optimizer.zero_grad()
            TrainingStep(model, config.train)(batch()).total.backward()
            optimizer.step()
        first, second, third = layers_weights(model.eval())[0][0]
        again[weight] = (torch.minimum(second, first) + torch.minimum(third, first + second)).sum().item()
    assert again[2.0] < 0.2 < 0.5 < again[0.0]
