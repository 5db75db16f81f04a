"""What a search returns, how hypotheses are ranked, and the trail from which they are read off."""

from typing import NamedTuple

from torch import Tensor


class Hypothesis(NamedTuple):
    """One translation of one source.

    tokens: ids without bos, with eos when the model ended the sentence itself.
    log_probs: natural logarithm of each token's probability, as long as `tokens`.
    score: what hypotheses are ranked by (`ranking_score`).
    rows: for each token, the row of the decoder's batch that produced it: whoever watched the steps finds its part
    there.
    """

    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]
    score: float
    rows: tuple[int, ...]


class Trail:
    """The choices behind every row of the decoder's batch, step by step: a tree walked backwards.

    A choice is the decoder row it was made in, a token and its log-probability. Whole steps are kept as three lists:
    an object for each choice would keep the garbage collector busier than the processor.
    """

    def __init__(self) -> None:
        self.steps: list[tuple[list[int], list[int], list[float]]] = []

    def append(self, rows: Tensor, tokens: Tensor, log_probs: Tensor) -> None:
        """Says for each row of the next step's batch which choice led to it."""
        self.steps.append((rows.tolist(), tokens.tolist(), log_probs.tolist()))

    def read(
        self, row: int, token: int, log_prob: float, *, length_penalty: float, total: float | None = None
    ) -> Hypothesis:
        """The hypothesis that ends with this choice, made at the step after those appended.

        total: its log-probability, where the search has added it up already.
        """
        rows, tokens, log_probs = [row], [token], [log_prob]
        for from_rows, step_tokens, step_log_probs in reversed(self.steps):
            tokens.append(step_tokens[row])
            log_probs.append(step_log_probs[row])
            row = from_rows[row]
            rows.append(row)
        total = sum(reversed(log_probs)) if total is None else total
        score = ranking_score(total, len(rows), length_penalty)
        return Hypothesis(tuple(reversed(tokens)), tuple(reversed(log_probs)), score, tuple(reversed(rows)))


def ranking_score(log_prob: float, length: int, length_penalty: float) -> float:
    """log p / length^penalty: 0 ranks by probability, 1 by the mean log-probability of a token.

    Wu 2016, eq. 14, without its constant 5.
    """
    return log_prob / max(1, length) ** length_penalty


def enough_have_left(going: int, of: int) -> bool:
    """Whether the rows that are finished shall leave the batch: an eighth of it, since a move copies all that stay."""
    return going <= of - of / 8
