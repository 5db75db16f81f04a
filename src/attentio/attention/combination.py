"""Combinations: score, window and normalizer may be combined freely, but for these, which would mean nothing."""

from attentio.attention.normalize import Normalizer
from attentio.attention.score import Score
from attentio.attention.window import Window


def require_sense(score: Score, normalizer: Normalizer, window: Window, num_heads: int) -> None:
    """ValueError, with the reason, for a combination that makes no sense."""
    if normalizer.is_monotonic and window.is_moving:
        raise ValueError(
            "a monotonic normalizer finds its own way along the source; a window that moves on by itself would leave "
            "it behind: use window 'full'"
        )
    if normalizer.is_hard and window.scales_weights:
        raise ValueError(
            "a hard normalizer chooses one key, and a Gaussian after the choice would only shrink its value: use "
            "'local-p-renormalized', where the Gaussian has a say in the choice"
        )
    if normalizer.marginal and num_heads > 1:
        raise ValueError(
            f"the exact marginal sums over every choice of a key, which {num_heads} heads raise to the power of "
            f"{num_heads}: use one head, or 'hard_reinforce'"
        )
    if normalizer.marginal and score.history is not None:
        raise ValueError(
            "the exact marginal needs choices that later queries do not depend on, but this score remembers them: use "
            "'hard_reinforce', with rewards to go"
        )
    if normalizer.num_scores > 1 and score.history is not None:
        raise ValueError(
            "MoChA takes two scores of each pair, and it is not said which of them the remembered weights belong to: "
            "use a score without a history, or 'monotonic'"
        )
