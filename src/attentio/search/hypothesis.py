"""What a search returns, how hypotheses are ranked, and the trail from which they are read off."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from attentio.runtime.arrays import Array


class Weights(NamedTuple):
    """What one hypothesis attended to, by the names of the model's attentions, without padding.

    T target tokens, S source tokens with the end of the sentence, H heads of that attention.

    source: (H, T, S) of the attention of the target to the source.
    encoder_self: (H, S, S) of the encoder's self-attention.
    decoder_self: (H, T, 1 + T) of the decoder's self-attention. Column 0 is the beginning of the sentence, column 1 + j
        is target token j. A token sees those before it, so the last column is zero.
    candidates, probabilities: (T, K), the likeliest tokens at each place, likeliest first.
    """

    source: Mapping[str, NDArray[np.float32]]
    encoder_self: Mapping[str, NDArray[np.float32]]
    decoder_self: Mapping[str, NDArray[np.float32]]
    candidates: NDArray[np.int64]
    probabilities: NDArray[np.float32]


class Hypothesis(NamedTuple):
    """One translation of one source.

    tokens: ids without bos, with eos when the model ended the sentence itself.
    log_probs: natural logarithm of each token's probability in the model, as long as `tokens`.
    score: what hypotheses are ranked by (`ranking_score`).
    rows: for each token, the row of the decoder's batch that produced it.
    weights: what it attended to, where that was asked for.
    """

    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]
    score: float
    rows: tuple[int, ...]
    weights: Weights | None = None


class Trail:
    """The choices behind every row of the decoder's batch, step by step: a tree walked backwards.

    A choice is the decoder row it was made in, a token and its log-probability. Whole steps are kept as three lists,
    because an object for each choice would keep the garbage collector busy.
    """

    def __init__(self) -> None:
        self.steps: list[tuple[list[int], list[int], list[float]]] = []

    def append(self, rows: Array, tokens: Array, log_probs: Array) -> None:
        """Note for each row of the next step's batch which choice led to it."""
        self.steps.append((rows.tolist(), tokens.tolist(), log_probs.tolist()))

    def read(self, row: int, token: int, log_prob: float, *, length_penalty: float) -> Hypothesis:
        """Return the hypothesis that ends with this choice, made at the step after those appended."""
        rows, tokens, log_probs = [row], [token], [log_prob]
        for from_rows, step_tokens, step_log_probs in reversed(self.steps):
            tokens.append(step_tokens[row])
            log_probs.append(step_log_probs[row])
            row = from_rows[row]
            rows.append(row)
        score = ranking_score(sum(reversed(log_probs)), len(rows), length_penalty)
        return Hypothesis(tuple(reversed(tokens)), tuple(reversed(log_probs)), score, tuple(reversed(rows)))


def ranking_score(log_prob: float, length: int, length_penalty: float) -> float:
    """Return log p / length^penalty (Wu 2016, eq. 14, without its constant 5).

    Penalty 0 ranks by probability, 1 by the mean log-probability of a token.
    """
    return log_prob / max(1, length) ** length_penalty


def should_compact(going: int, of: int) -> bool:
    """Return whether finished rows should leave the batch: an eighth of it, since a move copies all that stay."""
    return going <= of - of / 8
