"""What a search returns, how hypotheses are ranked, and the trail from which they are read off."""

from typing import NamedTuple


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


class Choice(NamedTuple):
    """One token chosen by a search: from decoder row `row`, with its log-probability."""

    row: int
    token: int
    log_prob: float


class Trail:
    """The choices behind every row of the decoder's batch, step by step: a tree walked backwards."""

    def __init__(self) -> None:
        self.steps: list[list[Choice]] = []

    def append(self, choices: list[Choice]) -> None:
        """Says for each row of the next step's batch which choice led to it."""
        self.steps.append(choices)

    def read(self, last: Choice, total: float, length_penalty: float) -> Hypothesis:
        """The hypothesis that ends with `last`, chosen at the step after those appended, of log-probability `total`."""
        path = [last]
        for choices in reversed(self.steps):
            path.append(choices[path[-1].row])
        path.reverse()
        return Hypothesis(
            tokens=tuple(choice.token for choice in path),
            log_probs=tuple(choice.log_prob for choice in path),
            score=ranking_score(total, len(path), length_penalty),
            rows=tuple(choice.row for choice in path),
        )


def ranking_score(log_prob: float, length: int, length_penalty: float) -> float:
    """log p / length^penalty: 0 ranks by probability, 1 by the mean log-probability of a token.

    Wu 2016, eq. 14, without its constant 5.
    """
    return log_prob / max(1, length) ** length_penalty
