"""Every kind obeys the laws: all scores, normalizers, windows, and one head or four; at once and step by step."""

from functools import partial

import pytest
import torch
from torch import nn

from attentio.attention import NORMALIZERS, SCORES, WINDOWS, Attention, Normalizer, RowNormalizer, Score
from attentio.attention.normalize import Normalized, Softmax
from attentio.attention.score import Dot, ScaledDot
from attentio.attention.window import LocalPredictive, Span, Window
from attentio.testing.conformance import Kind, conform

# Of a size that acts on seven keys; what is not named here has no size, or one that does.
SMALL_SCORES = SCORES | {
    "location": partial(SCORES["location"], max_length=12),
    "location_aware": partial(SCORES["location_aware"], width=3, channels=2),
}
SMALL_WINDOWS = WINDOWS | {
    name: partial(WINDOWS[name], radius=2) for name in ("sliding", "local-m", "local-p", "local-p-renormalized")
}


def has_no_sense(score, normalize, window, num_heads):
    remembers = score in ("coverage", "fertility_coverage", "location_aware")
    moves = window in ("sliding", "local-m", "local-p", "local-p-renormalized")
    return (
        (normalize in ("monotonic", "mocha") and moves)
        or (normalize.startswith("hard") and window == "local-p")
        or (normalize == "hard_marginal" and (num_heads > 1 or remembers))
        or (normalize == "mocha" and remembers)
    )


@pytest.mark.parametrize("score", SMALL_SCORES)
@pytest.mark.parametrize("normalize", NORMALIZERS)
@pytest.mark.parametrize("window", SMALL_WINDOWS)
@pytest.mark.parametrize("num_heads", [1, 4])
def test_every_kind_obeys_every_law_or_is_refused(score, normalize, window, num_heads):
    kind = {"score": SMALL_SCORES[score], "normalize": normalize, "window": SMALL_WINDOWS[window]}
    if has_no_sense(score, normalize, window, num_heads):
        with pytest.raises(ValueError, match=r"use .*'"):
            Kind(**kind, num_heads=num_heads).make()
    else:
        conform(**kind, num_heads=num_heads)


@pytest.mark.parametrize(
    "kind",
    [{"score": name} for name in SCORES]
    + [{"normalize": name} for name in NORMALIZERS]
    + [{"window": name} for name in WINDOWS],
    ids=lambda kind: next(iter(kind.values())),
)
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch's own tracer does
def test_every_kind_compiles_without_a_graph_break(kind):
    kind = Kind(**kind)
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
        conform(normalize=normalize)


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
