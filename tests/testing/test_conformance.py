"""Every kind obeys the laws, alone and in combinations that hold every pair of kinds, and broken kinds are found."""

import random
from functools import partial
from itertools import combinations, product

import pytest
import torch
from torch import nn

from attentio.attention import NORMALIZERS, SCORES, WINDOWS, Attention, Normalizer, RowNormalizer, Score
from attentio.attention.normalize import Normalized, Softmax
from attentio.attention.score import Dot, ScaledDot
from attentio.attention.window import LocalPredictive, Span, Window
from attentio.testing import conform
from attentio.testing.conformance import Combination

# Options with which a kind acts on seven keys.
SMALL = {
    "location": "location:12",
    "location_aware": "location_aware:width=3,channels=2",
    "mocha": "mocha:2",
    "sliding": "sliding:2",
    "local-m": "local-m:2",
    "local-p": "local-p:2",
}
AXES = {
    "score": [SMALL.get(name, name) for name in SCORES],
    "normalize": [SMALL.get(name, name) for name in NORMALIZERS],
    "window": [*(SMALL.get(name, name) for name in WINDOWS), "local-p:2,renormalize=true"],
    "num_heads": [4, 1],
}
ALONE = [{axis: kind} for axis, kinds in AXES.items() for kind in kinds]
MOVING = ("sliding", "local-m", "local-p")


def is_refused(score="additive", normalize="softmax", window="full", num_heads=1):
    remembers = score.startswith(("coverage", "fertility_coverage", "location_aware"))
    return (
        (normalize.startswith(("monotonic", "mocha")) and window.startswith(MOVING))
        or (normalize.startswith("hard") and window == "local-p:2")
        or (normalize == "hard_marginal" and (num_heads > 1 or remembers))
        or (normalize.startswith("mocha") and remembers)
    )


def covering():
    """Combinations that hold every pair of values that is not refused, found greedily from a seed."""
    choose = random.Random(0)
    pairs = [((one, x), (other, y)) for one, other in combinations(AXES, 2) for x, y in product(AXES[one], AXES[other])]
    wanted = {pair for pair in pairs if not is_refused(**dict(pair))}
    choose.shuffle(pairs)
    for pair in pairs:
        if pair in wanted:
            drawn = [{axis: choose.choice(kinds) for axis, kinds in AXES.items()} | dict(pair) for _ in range(100)]
            best = max(
                (kind for kind in drawn if not is_refused(**kind)),
                key=lambda kind: len(wanted.intersection(combinations(kind.items(), 2))),
            )
            wanted.difference_update(combinations(best.items(), 2))
            yield best


def one_of_each():
    """A few combinations that hold every kind once, and the first kind of an axis that has no more."""
    left = {axis: list(kinds) for axis, kinds in AXES.items()}
    while any(left.values()):
        kind = {}
        for axis, kinds in AXES.items():
            possible = [one for one in [*left[axis], *kinds] if not is_refused(**kind, **{axis: one})]
            kind[axis] = possible[0]
            left[axis] = [one for one in left[axis] if one != possible[0]]
        yield kind


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(one_of_each()), ids=lambda kind: " ".join(map(str, kind.values())))
def test_every_kind_obeys_every_law(kind):
    conform(**kind)


def test_every_kind_is_among_them():
    assert {axis: set(kinds) for axis, kinds in AXES.items()} == {
        axis: {kind[axis] for kind in one_of_each()} for axis in AXES
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(covering()), ids=lambda kind: " ".join(map(str, kind.values())))
def test_every_pair_of_kinds_obeys_every_law(kind):
    conform(**kind)


def test_every_other_combination_is_refused_with_advice():
    refused = [
        kind for values in product(*AXES.values()) if is_refused(**(kind := dict(zip(AXES, values, strict=True))))
    ]
    assert len(refused) > 100
    for kind in refused[::7]:
        with pytest.raises(ValueError, match=r"use .*'"):
            Combination(**kind).make()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALONE, ids=lambda kind: str(*kind.values()))
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch's own tracer does
def test_every_kind_compiles_without_a_graph_break(kind):
    kind = Combination(**kind)
    attention = kind.make()
    query, keys, values, mask = kind.operands()
    expected = attention(query, attention.prepare(keys, values, mask)).context

    def attend(query, keys, values, mask):
        return attention(query, attention.prepare(keys, values, mask)).context

    torch._dynamo.reset()
    compiled = torch.compile(attend, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(query, keys, values, mask), expected)


class Laplace(Score):
    """A user's own score, which obeys: minus the L1 distance."""

    def __init__(self, query_size, key_size, num_heads):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(num_heads, 1, 1))

    def prepare(self, keys):
        return keys

    def forward(self, query, keys):
        return -self.scale * (query.unsqueeze(3) - keys.unsqueeze(2)).abs().sum(-1)


def test_a_score_of_ones_own_conforms():
    conform(score=Laplace, num_heads=4)


class SoftmaxThenMask(RowNormalizer):
    """Masks after normalising: rows do not sum to 1."""

    def normalize_rows(self, scores, mask):
        return scores.softmax(-1) if mask is None else scores.softmax(-1) * mask


class SoftmaxOverQueries(RowNormalizer):
    def normalize_rows(self, scores, mask):
        return Softmax().normalize_rows(scores, mask).softmax(-2)


class MinusInfinity(RowNormalizer):
    """-inf and nothing else: an empty row is NaN."""

    def normalize_rows(self, scores, mask):
        return scores.softmax(-1) if mask is None else scores.masked_fill(~mask, -torch.inf).softmax(-1)


class MeanOfBatch(RowNormalizer):
    def normalize_rows(self, scores, mask):
        return Softmax().normalize_rows(scores - scores.mean(0, keepdim=True), mask)


class Signed(RowNormalizer):
    def normalize_rows(self, scores, mask):
        return 3 * Softmax().normalize_rows(scores, mask) - 2 * Softmax().normalize_rows(-scores, mask)


class HalfOfHalf(Normalizer):
    """Weights in the precision of the scores."""

    def start(self, memory):
        return None

    def forward(self, scores, mask, history=None):
        return Normalized(Softmax().normalize_rows(scores, mask))


class WrongGradient(RowNormalizer):
    def normalize_rows(self, scores, mask):
        return Softmax().normalize_rows(scores + 0.1 * (scores - scores.detach()), mask)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("normalize", "law"),
    [
        (SoftmaxThenMask, "weights are shares"),
        (SoftmaxOverQueries, "weights are shares"),
        (Signed, "weights are shares"),
        (MinusInfinity, "weights are shares|an empty row"),
        (MeanOfBatch, "sentences do not see each other"),
        (HalfOfHalf, "half precision is near"),
        (WrongGradient, "gradients are right"),
    ],
)
def test_a_normalizer_that_breaks_a_law_is_told_which(normalize, law):
    with pytest.raises(AssertionError, match=law):
        conform(score="dot", normalize=normalize)


class KeyPositionCounts(Dot):
    def prepare(self, keys):
        return keys * torch.linspace(0.5, 2, keys.size(2), dtype=keys.dtype)[:, None]


class QueryPositionCounts(Dot):
    def project(self, query):
        return query * torch.linspace(0.5, 2, query.size(2), dtype=query.dtype)[:, None]


class HeadsMixed(Dot):
    def project(self, query):
        return query.flip(1)


class RawKeyStays(ScaledDot):
    """Looks at how long the padding is."""

    def prepare(self, keys):
        return keys / keys.size(2)


@pytest.mark.parametrize(
    ("score", "law"),
    [
        (KeyPositionCounts, "padding changes nothing|keys may change places"),
        (QueryPositionCounts, "step by step equals all at once"),
        (HeadsMixed, "heads do not see each other"),
        (RawKeyStays, "padding changes nothing"),
    ],
)
def test_a_score_that_breaks_a_law_is_told_which(score, law):
    with pytest.raises(AssertionError, match=law):
        conform(score=score, num_heads=4)


class PaddedLength(LocalPredictive):
    """Predicts a share of the padded length."""

    def forward(self, query, memory, position):
        return super().forward(query, memory._replace(mask=None), position)


def test_a_window_that_breaks_a_law_is_told_which():
    with pytest.raises(AssertionError, match="padding changes nothing"):
        conform(window=partial(PaddedLength, radius=2))


class Forgetful(Window):
    def __init__(self, query_size, num_heads):
        super().__init__()

    def forward(self, query, memory, position):
        queries, keys = torch.arange(query.size(2)), torch.arange(memory.num_keys)  # as if always at the start
        return Span(bias=queries.outer(keys))


def test_windows_that_forget_their_position_are_found():
    with pytest.raises(AssertionError, match="step by step"):
        conform(window=Forgetful)


def test_a_combination_without_sense_is_refused_before_any_law():
    with pytest.raises(ValueError, match="finds its own way"):
        conform(normalize="monotonic", window="local-m")
    assert Attention(4, 4, normalize="monotonic")
