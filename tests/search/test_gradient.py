"""Gradient times input, against what finite differences of the model itself say."""

import numpy as np
import pytest
import torch

from attentio.model.families import build_model
from attentio.model.lexicon import MOST
from attentio.model.seq2seq import Seq2Seq
from attentio.search.gradient import gradient_times_input
from attentio.text.special import SPECIAL
from attentio.train.settings import effective_config

SOURCE, TARGET = [7, 11, 5], [9, 6, 13, SPECIAL.eos]  # every token once: its row of the table is its place


def model_of(preset: str, *overrides: str) -> Seq2Seq:
    torch.manual_seed(3)
    config = effective_config(preset=preset, overrides=overrides)
    model = build_model(config.model, config.attention, 17, 19, self_attention=config.self_attention)
    if model.lexicon is not None:
        tokens = torch.arange(17 * MOST).view(17, MOST) % 19
        model.lexicon.learn(tokens, tokens.roll(1, 1) * (torch.arange(MOST) % 2), torch.rand(17, MOST) / MOST / 2)
    return model.double().eval()


def log_probs(model: Seq2Seq) -> torch.Tensor:
    """The plain way: (T,) of the given target."""
    source = torch.tensor([[*SOURCE, SPECIAL.eos]])
    target = torch.tensor([[SPECIAL.bos, *TARGET[:-1]]])
    with torch.no_grad():
        logits = model(source, torch.tensor([source.shape[1]]), target)
    return logits.log_softmax(-1)[0, torch.arange(len(TARGET)), torch.tensor(TARGET)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "overrides"),
    [
        ("cnn-tiny", ()),
        ("rnn-tiny", ()),
        ("rnn-tiny", ("model.query=previous", "attention.score=coverage")),
        ("transformer-tiny", ("attention.normalize=sparsemax",)),
        ("cnn-tiny", ("model.lexicon=0.4",)),
    ],
)
def test_it_is_how_log_probabilities_change_with_the_length_of_an_embedding(
    preset: str, overrides: tuple[str, ...]
) -> None:
    model, step = model_of(preset, *overrides), 1e-5
    found = gradient_times_input(model, SOURCE, TARGET)
    assert found.shape == (len(TARGET), len(SOURCE) + 1)
    table = model.get_parameter("encoder.embedding.table")
    for place, token in enumerate([*SOURCE, SPECIAL.eos]):
        row = table.data[token].clone()
        sides = []
        for factor in (1 + step, 1 - step):
            table.data[token] = row * factor
            sides.append(log_probs(model))
        table.data[token] = row
        slope = (sides[0] - sides[1]) / (2 * step)
        np.testing.assert_allclose(found[:, place], slope.numpy(), atol=1e-6)
    assert np.abs(found).max() > 1e-4


def test_many_target_tokens_are_computed_in_several_goes() -> None:
    model, target = model_of("cnn-tiny"), [5, 6, 7, 8, 9, 10] * 4
    whole = gradient_times_input(model, SOURCE, [*target, SPECIAL.eos])
    assert whole.shape == (25, 4)
    # A token is not explained by what follows it.
    np.testing.assert_allclose(whole[:7], gradient_times_input(model, SOURCE, [*target[:6], target[6]]), atol=1e-12)


def test_nothing_of_it_stays_with_the_model() -> None:
    model = model_of("cnn-tiny")
    before = log_probs(model)
    gradient_times_input(model, SOURCE, TARGET)
    assert torch.equal(log_probs(model), before)
    assert all(parameter.grad is None for parameter in model.parameters())
