"""The package from outside: what it imports, what combinations it refuses, and that each option does something."""

import inspect
import pickle
import subprocess
import sys
from functools import partial

import pytest
import torch

from attentio.attention import NORMALIZERS, SCORES, WINDOWS, Attention, MultiHeadAttention, combine_windows
from attentio.attention.hard import HardStraightThrough
from attentio.attention.monotonic import Monotonic, MonotonicChunkwise
from attentio.attention.sparse import Entmax
from attentio.attention.window import Causal, LocalMonotonic, RelativeBias


def test_importing_it_imports_torch_and_nothing_of_the_rest():
    program = """
import sys
import torch
before = set(sys.modules)
import attentio.attention
new = {name for name in set(sys.modules) - before if not name.startswith(("attentio.attention", "torch"))}
standard = {name for name in new if name.split(".")[0] in sys.stdlib_module_names}
print(sorted(new - standard))
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout == "['attentio']\n"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"normalize": "monotonic", "window": "local-m"}, "would leave it behind"),
        ({"normalize": "mocha", "window": "sliding"}, "would leave it behind"),
        pytest.param(
            {"normalize": "monotonic", "window": combine_windows(Causal, LocalMonotonic)},
            "would leave it behind",
            id="both",
        ),
        ({"normalize": "hard_reinforce", "window": "local-p"}, "would only shrink its value"),
        ({"normalize": "hard_marginal", "num_heads": 2}, "2 heads raise to the power of 2"),
        ({"normalize": "hard_marginal", "score": "coverage"}, "later queries do not depend on"),
        ({"normalize": "mocha", "score": "location_aware"}, "not said which of them"),
        ({"num_heads": 3}, "query_size 8 cannot be cut into 3 equal heads"),
        ({"normalize": "hardmax"}, "normalize 'hardmax' is unknown; known are softmax, "),
        ({"window": "local"}, "window 'local' is unknown; known are full, "),
        ({"backend": "sdpa"}, "the score is not an inner product"),
        ({"backend": "cudnn"}, "backend 'cudnn' is unknown"),
        ({"backend": "chunked", "score": "dot"}, "the score is not additive"),
        ({"dropout": 1.5}, "dropout 1.5 must lie between 0 and 1"),
    ],
    ids=str,
)
def test_what_has_no_sense_is_refused_with_the_reason(options, reason):
    with pytest.raises(ValueError, match=reason):
        Attention(8, 8, **options)


def outcome(attention, training=False):
    """Context, weights, and the gradients of a sum, of one module with seeded parameters and draws."""
    torch.manual_seed(0)
    for parameter in attention.parameters():
        parameter.data = parameter.data + 0.3 * torch.randn(parameter.shape)
    query, keys = torch.randn(2, 5, 8), torch.randn(2, 7, 8, requires_grad=True)
    attention.train(training)
    attended = attention(query, attention.prepare(keys, None, torch.arange(7) < torch.tensor([[7], [3]])))
    attended.context.square().sum().backward()
    return [attended.context.detach(), keys.grad, *(p.grad for p in attention.parameters() if p.grad is not None)]


def acts(one, other):
    return len(one) != len(other) or any(
        a.shape != b.shape or not torch.allclose(a, b, atol=1e-6) for a, b in zip(one, other, strict=True)
    )


def made(training=False, **options):
    torch.manual_seed(1)
    return outcome(Attention(8, 8, **options), training)


@pytest.mark.parametrize(
    ("axis", "registry"),
    [("score", SCORES), ("normalize", NORMALIZERS), ("window", WINDOWS)],
    ids=["score", "normalize", "window"],
)
def test_no_two_names_are_the_same_kind(axis, registry):
    small = {"sliding": {"radius": 2}, "local-m": {"radius": 2}, "local-p": {"radius": 2}}
    outcomes = {}
    for name, kind in registry.items():
        chosen = partial(kind, **small[name]) if name in small else kind
        option = chosen() if axis == "normalize" else chosen
        outcomes[name] = [*made(training=True, **{axis: option}), *made(training=False, **{axis: option})]
    for one in outcomes:
        for other in outcomes:
            assert one == other or acts(outcomes[one], outcomes[other]), (one, other)


LOCAL_P = partial(WINDOWS["local-p"], radius=3)
OPTIONS = {
    "num_heads": ({}, {"num_heads": 2}),
    "cosine temperature": ({"score": "cosine"}, {"score": partial(SCORES["cosine"], temperature=2.0)}),
    "location_aware width": (
        {"score": partial(SCORES["location_aware"], width=3)},
        {"score": partial(SCORES["location_aware"], width=5)},
    ),
    "location_aware channels": (
        {"score": "location_aware"},
        {"score": partial(SCORES["location_aware"], channels=3)},
    ),
    "fertility_coverage max_fertility": (
        {"score": "fertility_coverage"},
        {"score": partial(SCORES["fertility_coverage"], max_fertility=4.0)},
    ),
    "location max_length": ({"score": "location"}, {"score": partial(SCORES["location"], max_length=9)}),
    "entmax alpha": ({"normalize": Entmax(1.2)}, {"normalize": Entmax(1.8)}),
    "mocha width": ({"normalize": MonotonicChunkwise(2)}, {"normalize": MonotonicChunkwise(3)}),
    "sliding radius": (
        {"window": partial(WINDOWS["sliding"], radius=1)},
        {"window": partial(WINDOWS["sliding"], radius=2)},
    ),
    "local-m radius": (
        {"window": partial(WINDOWS["local-m"], radius=1)},
        {"window": partial(WINDOWS["local-m"], radius=2)},
    ),
    "local-p radius": ({"window": LOCAL_P}, {"window": "local-p"}),
    "local-p renormalize": ({"window": LOCAL_P}, {"window": partial(LOCAL_P, renormalize=True)}),
    "relative max_distance": (
        {"window": partial(WINDOWS["relative"], max_distance=2)},
        {"window": partial(WINDOWS["relative"], max_distance=3)},
    ),
} | {
    f"{name} hidden_size": ({"score": name}, {"score": partial(SCORES[name], hidden_size=5)})
    for name in ("additive", "normed_additive", "location_aware", "coverage", "fertility_coverage")
}


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_acts(option):
    one, other = OPTIONS[option]
    assert acts(made(**one), made(**other))


OPTIONS_OF_TRAINING = {
    "dropout": ({}, {"dropout": 0.5}),
    "hard_straight_through temperature": (
        {"normalize": HardStraightThrough(1.0)},
        {"normalize": HardStraightThrough(0.3)},
    ),
    "monotonic noise": ({"normalize": Monotonic(noise=1.0)}, {"normalize": Monotonic(noise=0.0)}),
    "mocha noise": ({"normalize": MonotonicChunkwise(noise=1.0)}, {"normalize": MonotonicChunkwise(noise=0.0)}),
    "monotonic bias": ({"normalize": Monotonic(bias=-1.0)}, {"normalize": Monotonic(bias=1.0)}),
    "mocha bias": ({"normalize": MonotonicChunkwise(bias=-1.0)}, {"normalize": MonotonicChunkwise(bias=1.0)}),
}


@pytest.mark.parametrize("option", OPTIONS_OF_TRAINING)
def test_every_option_of_training_acts_in_training(option):
    one, other = OPTIONS_OF_TRAINING[option]
    assert acts(made(training=True, **one), made(training=True, **other))


def test_no_option_is_left_out():
    """Every option that a kind's constructor has, beyond the sizes."""
    kinds = SCORES | NORMALIZERS | WINDOWS
    sizes = {"self", "query_size", "key_size", "num_heads"}
    options = {
        f"{name} {option}"
        for name, kind in kinds.items()
        if not isinstance(kind, partial)  # has the options of what it is part of
        for option, parameter in inspect.signature(kind).parameters.items()
        if option not in sizes and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    assert options == (OPTIONS.keys() | OPTIONS_OF_TRAINING.keys()) - {"num_heads", "dropout"}


def test_value_size_is_that_of_the_keys_unless_said_otherwise():
    attention = Attention(8, 8, num_heads=2)
    memory = attention.prepare(torch.randn(2, 7, 8), torch.randn(2, 7, 8))
    assert attention(torch.randn(2, 5, 8), memory).context.shape == (2, 2, 5, 4)
    with pytest.raises(ValueError, match="value_size 9 cannot be cut into 2"):
        Attention(8, 8, 9, num_heads=2)


def test_modules_survive_saving_and_loading(tmp_path):
    for name in SCORES:
        attention = Attention(8, 8, score=name, window="local-p", num_heads=2)
        torch.save(attention.state_dict(), tmp_path / "weights.pt")
        other = Attention(8, 8, score=name, window="local-p", num_heads=2)
        other.load_state_dict(torch.load(tmp_path / "weights.pt"))
        for one, two in zip(attention.parameters(), other.parameters(), strict=True):
            assert one.equal(two)


def test_a_kind_is_the_same_after_pickling():
    query, keys = torch.randn(2, 5, 8), torch.randn(2, 7, 8)
    for axis, registry in (("score", SCORES), ("normalize", NORMALIZERS), ("window", WINDOWS)):
        for name in registry:
            attention = Attention(8, 8, **{axis: name}).eval()
            copied = pickle.loads(pickle.dumps(attention))
            expected = attention(query, attention.prepare(keys)).context
            assert copied(query, copied.prepare(keys)).context.equal(expected)
    combined = Attention(8, 8, window=combine_windows(Causal, RelativeBias))
    assert len(pickle.loads(pickle.dumps(combined)).window.windows) == 2


def test_multihead_takes_the_same_kinds():
    with pytest.raises(ValueError, match="would leave it behind"):
        MultiHeadAttention(8, 2, normalize="monotonic", window="local-m")
