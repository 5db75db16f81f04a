"""Every pair of settings of the recurrent family occurs in a model for which its laws hold, or is refused for a reason.

The whole product has millions of models; about a hundred contain every pair of values that can stand together.
"""

import random
from collections.abc import Iterator
from itertools import combinations, islice, product
from typing import Any

import pytest
import torch

from attentio.attention import NORMALIZERS, SCORES, WINDOWS
from attentio.errors import UsageError
from attentio.model.families import build_model
from attentio.model.lexicon import MOST
from attentio.model.seq2seq import Seq2Seq
from attentio.model.settings import AttentionConfig, RNNConfig

MODEL: dict[str, tuple[Any, ...]] = {
    "cell": ("lstm", "gru"),
    "query": ("current", "previous"),
    "attention_layer": ("top", "bottom"),
    "input_feeding": (False, True),
    "bidirectional": (True, False),
    "encoder_layers": (1, 2),
    "decoder_layers": (1, 2, 3),
    "residual": (False, True),
    "layer_norm": (False, True),
    "lexical_memory": (False, True),
    "lexicon": (0.0, 0.4),
    "tie_embeddings": (False, True),
}
ATTENTION: dict[str, tuple[Any, ...]] = {
    "score": tuple(SCORES),
    "normalize": tuple(NORMALIZERS),
    "window": (*WINDOWS, "local-p:renormalize=true"),
    "num_heads": (1, 3),
}
FACTORS = MODEL | ATTENTION
Settings = dict[str, Any]
Pair = frozenset[tuple[str, Any]]

LOCAL = ("sliding", "local-m", "local-p", "local-p:renormalize=true")
CHOOSE_OR_SUM = ("hard_reinforce", "hard_marginal", "hard_straight_through")
REMEMBER = ("location_aware", "coverage", "fertility_coverage")
# Pairs that no model has, each for a reason that `build_model` gives.
REFUSED: set[Pair] = {
    frozenset(pair.items())
    for pair in (
        {"query": "previous", "input_feeding": True},
        {"attention_layer": "bottom", "decoder_layers": 1},
        *({"normalize": kind, "window": window} for kind in ("monotonic", "mocha") for window in LOCAL),
        *({"normalize": kind, "window": "local-p"} for kind in CHOOSE_OR_SUM),
        *({"normalize": "mocha", "score": score} for score in REMEMBER),
        *({"normalize": "hard_marginal", "score": score} for score in REMEMBER),
        {"normalize": "hard_marginal", "num_heads": 3},
        {"normalize": "hard_marginal", "query": "previous"},
        {"normalize": "hard_marginal", "attention_layer": "bottom"},
        {"normalize": "hard_marginal", "input_feeding": True},
    )
}

SOURCE = torch.tensor([[5, 9, 4, 2, 0], [3, 8, 10, 6, 2], [7, 2, 0, 0, 0]])
LENGTHS = torch.tensor([4, 5, 2])
TARGET_IN = torch.tensor([[1, 7, 5, 12], [1, 4, 0, 0], [1, 11, 3, 0]])


def pairs_of(settings: Settings) -> Iterator[Pair]:
    return map(frozenset, combinations(settings.items(), 2))


def build(settings: Settings) -> Seq2Seq:
    """In double precision and with large weights: no law holds because everything is nearly zero."""
    torch.manual_seed(5)
    sizes = {"embedding_size": 5, "hidden_size": 6, "dropout": 0.0}
    model = RNNConfig.model_validate(sizes | {name: settings[name] for name in MODEL})
    attention = AttentionConfig.model_validate({name: settings[name] for name in ATTENTION})
    built = build_model(model, attention, 11, 13).double().eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.normal_(std=0.7)
    if built.lexicon is not None:
        tokens = torch.randint(4, 13, (11, MOST))
        built.lexicon.learn(tokens, tokens.roll(1, 1) * (torch.arange(MOST) % 2), torch.rand(11, MOST) / MOST)
    return built


def covering() -> Iterator[Settings]:
    """Models such that every pair of values not in `REFUSED` occurs in one of them: greedily, from a seed."""
    choose = random.Random(1)
    wanted = {
        frozenset(pair)
        for one, other in combinations(FACTORS, 2)
        for pair in product([(one, value) for value in FACTORS[one]], [(other, value) for value in FACTORS[other]])
    } - REFUSED
    order = sorted(wanted, key=lambda pair: sorted(map(str, pair)))
    choose.shuffle(order)
    for pair in order:
        if pair not in wanted:
            continue
        tries = ({name: choose.choice(FACTORS[name]) for name in FACTORS} | dict(pair) for _ in range(10_000))
        sound = (settings for settings in tries if deep(settings) and REFUSED.isdisjoint(pairs_of(settings)))
        best = max(islice(sound, 20), key=lambda settings: len(wanted.intersection(pairs_of(settings))))
        wanted.difference_update(pairs_of(best))
        yield best


def deep(settings: Settings) -> bool:
    """Whether there are layers for what stands between layers."""
    return not settings["residual"] or max(settings["encoder_layers"], settings["decoder_layers"]) > 1


COVERING = list(covering())


def named(settings: Settings | Pair) -> str:
    values = settings.values() if isinstance(settings, dict) else dict(sorted(settings)).values()
    return "-".join(map(str, values))


@pytest.mark.slow
@pytest.mark.parametrize("settings", COVERING, ids=named)
def test_laws(settings: Settings) -> None:
    """Step by step equals all at once; padding and neighbours change nothing; rows may be chosen and reordered."""
    with torch.inference_mode():
        model = build(settings)
        together = model(SOURCE, LENGTHS, TARGET_IN)
        assert together.isfinite().all()
        state = model.decoder.start(model.encode(SOURCE, LENGTHS))
        rows = torch.tensor([2, 0, 2, 1])
        for t in range(TARGET_IN.shape[1]):
            if t == 2:
                state = state.select(rows)
            tokens, wanted = TARGET_IN[:, t], together[:, t]
            logits, state, _ = model.decoder.step(tokens if t < 2 else tokens[rows], state)
            torch.testing.assert_close(logits, wanted if t < 2 else wanted[rows], rtol=0, atol=1e-5)
        _, state, _ = model.decoder.step(torch.tensor([4, 8, 9, 6]), state)  # rows 0 and 2 differ from here on
        tokens, swapped = torch.tensor([3, 5, 7, 11]), torch.tensor([2, 1, 0, 3])
        wanted, _, _ = model.decoder.step(tokens, state)
        found, _, _ = model.decoder.step(tokens[swapped], state.reorder(swapped))
        torch.testing.assert_close(found, wanted[swapped], rtol=0, atol=1e-5)
        for row, length in enumerate(LENGTHS.tolist()):
            alone = model(SOURCE[row : row + 1, :length], LENGTHS[row : row + 1], TARGET_IN[row : row + 1])
            torch.testing.assert_close(alone[0], together[row], rtol=0, atol=1e-5)
        littered = torch.where(torch.arange(5) < LENGTHS[:, None], SOURCE, 7)
        torch.testing.assert_close(model(littered, LENGTHS, TARGET_IN), together, rtol=0, atol=1e-5)


@pytest.mark.parametrize("pair", sorted(REFUSED, key=named), ids=named)
def test_pairs_left_out_are_refused(pair: Pair) -> None:
    """In an otherwise plain model, so that it is this pair that cannot be."""
    plain = {name: values[0] for name, values in FACTORS.items()}
    if dict(pair).get("attention_layer") == "bottom" and "decoder_layers" not in dict(pair):
        plain["decoder_layers"] = 2
    build(plain)
    with pytest.raises(UsageError):
        build(plain | dict(pair))


def test_every_setting_is_a_factor() -> None:
    no_factors = {"family", "embedding_size", "hidden_size", "dropout", "word_dropout"}
    assert set(MODEL) == RNNConfig.model_fields.keys() - no_factors
    assert set(ATTENTION) == AttentionConfig.model_fields.keys() - {"dropout"}
