"""Whether one system is better than another or merely luckier: paired tests over the sentences of one test set.

The tests speak of this test set and these two sets of translations. The luck of training (another seed, another order
of the data) is not in them, and is seen only by training more than once.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from attentio.errors import UsageError
from attentio.metrics.quality import RESAMPLES, References, Score, metrics, reference_streams, signature, written_in
from attentio.metrics.resample import bootstrap, corpus_score, interval, p_value, sentence_statistics, swapped

TRIALS = 10_000


@dataclass(frozen=True)
class Difference:
    """Two systems in one metric.

    difference: system minus baseline (for TER, fewer edits are better, so below 0 is better).
    low, high: 95 % of the bootstrap resamples of the difference lie between them.
    p_value: how often chance alone gives a difference at least this large, either way.
    signature: sacreBLEU's, with tokenisation, references, resamples (bs) and trials (ar), and seed.
    """

    metric: str
    baseline: Score
    system: Score
    difference: float
    low: float
    high: float
    p_value: float
    signature: str

    def as_dict(self) -> dict[str, object]:
        """The comparison as the stable object that `--json` prints."""
        return asdict(self)


def compare_systems(
    baseline: Sequence[str],
    system: Sequence[str],
    references: References,
    *,
    language: str | None = None,
    method: str = "randomization",
    only: Sequence[str] = ("BLEU", "chrF2", "chrF2++", "TER"),
    resamples: int = RESAMPLES,
    trials: int = TRIALS,
) -> list[Difference]:
    """Test whether `system` differs from `baseline` on the same sentences, in each metric of `only`.

    method: "randomization" exchanges the two systems' sentences at random, `trials` times (Riezler and Maxwell 2005);
        "bootstrap" draws sentences with replacement, `resamples` times, and asks how often the difference strays from
        its mean by as much as it is from 0 (Koehn 2004, made two-sided). Intervals are by bootstrap in either case.
    language: the target language, which chooses the tokenisation; None lets the script of the references choose.
    Raises DataError when numbers of lines differ, UsageError for an unknown method or metric.
    """
    if method not in ("randomization", "bootstrap"):
        raise UsageError(f"no paired test {method!r}.", hint="Choose randomization or bootstrap.")
    streams = reference_streams(baseline, references)
    reference_streams(system, references)
    available = metrics(language or written_in(references))
    if unknown := [name for name in only if name not in available]:
        raise UsageError(f"no metric {unknown[0]!r}.", hint=f"Choose from {', '.join(available)}.")
    differences: list[Difference] = []
    for name in only:
        metric = available[name]
        tables = (
            sentence_statistics(metric, baseline, streams),
            sentence_statistics(metric, system, streams),
        )
        scores = bootstrap(metric, tables, resamples)  # (2, resamples)
        resampled = scores[1] - scores[0]
        draws = {"bs": resamples}
        if method == "randomization":
            draws["ar"] = trials
            first, second = swapped(metric, *tables, trials)
            chance = second - first
        else:
            # sacreBLEU centres the absolute difference instead, which in effect tests one side.
            chance = resampled - resampled.mean()
        before, after = (
            Score(name, corpus_score(metric, table.sum(axis=0)), *interval(row), signature(metric, bs=resamples))
            for table, row in zip(tables, scores, strict=True)
        )
        difference = after.value - before.value
        low, high = interval(resampled)
        p = p_value(chance, difference)
        differences.append(Difference(name, before, after, difference, low, high, p, signature(metric, **draws)))
    return differences
