"""The package from outside: what it imports, what combinations it refuses, and that each option does something."""

import contextlib
import pickle
import subprocess
import sys
from itertools import pairwise

import pytest
import torch

from attentio.attention import AXES, SCORES, Attention, MultiHeadAttention, combine_windows
from attentio.attention.registry import find
from attentio.attention.window import Causal, LocalMonotonic, RelativeBias


@pytest.mark.slow
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
        ({"normalize": "hard_marginal", "num_heads": 2}, "2 heads raise that number to the power of 2"),
        ({"normalize": "hard_marginal", "score": "coverage"}, "later queries do not depend on"),
        ({"normalize": "mocha", "score": "location_aware"}, "could belong to either of them"),
        ({"num_heads": 3}, "query_size 8 cannot be cut into 3 equal heads"),
        ({"normalize": "hardmax"}, "no kind 'hardmax'. Did you mean 'sparsemax'"),
        ({"window": "local"}, "no kind 'local'. Did you mean 'local-p'"),
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


@pytest.mark.slow
@pytest.mark.parametrize("axis", AXES)
def test_no_two_names_are_the_same_kind(axis):
    small = {"sliding": "sliding:2", "local-m": "local-m:2", "local-p": "local-p:2"}
    outcomes = {}
    for name in AXES[axis]:
        option = {axis: small.get(name, name)}
        outcomes[name] = [*made(training=True, **option), *made(training=False, **option)]
    for one in outcomes:
        for other in outcomes:
            assert one == other or acts(outcomes[one], outcomes[other]), (one, other)


OPTIONS = [(name, option) for kinds in AXES.values() for name, kind in kinds.items() for option in kind.options()]
VALUES = {bool: ("false", "true"), int: (1, 2, 3, 5, 9, 12), float: (-1, 0, 0.3, 1.2, 1.8, 2)}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "option"), OPTIONS)
def test_every_option_acts(name, option):
    axis, choice = find(name)

    def outcomes():
        for value in VALUES[choice.kind.options()[option].type]:
            with contextlib.suppress(ValueError):
                setting = str(axis.choose(f"{name}:{option}={value}"))
                yield [*made(training=True, **{axis.name: setting}), *made(**{axis.name: setting})]

    assert any(acts(one, other) for one, other in pairwise(outcomes()))


def test_heads_and_dropout_act():
    assert acts(made(), made(num_heads=2))
    assert acts(made(training=True), made(training=True, dropout=0.5))
    assert not acts(made(), made(dropout=0.5))


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
    for axis, kinds in AXES.items():
        for name in kinds:
            attention = Attention(8, 8, **{axis: name}).eval()
            copied = pickle.loads(pickle.dumps(attention))
            expected = attention(query, attention.prepare(keys)).context
            assert copied(query, copied.prepare(keys)).context.equal(expected)
    combined = Attention(8, 8, window=combine_windows(Causal, RelativeBias))
    assert len(pickle.loads(pickle.dumps(combined)).window.windows) == 2


def test_multihead_takes_the_same_kinds():
    with pytest.raises(ValueError, match="would leave it behind"):
        MultiHeadAttention(8, 2, normalize="monotonic", window="local-m")
