"""How good translated text is: BLEU, chrF, chrF++ and TER of a corpus, each with its signature and interval.

The metrics are sacreBLEU's. This module decides how to call them. It knows which tokenization a target language needs,
and how sentences with different numbers of references are handed over. Resampling lives in `significance`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypeAlias, cast

from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from attentio.errors import DataError
from attentio.metrics.significance import SEED, bootstrap, corpus_score, interval, sentence_statistics
from attentio.text.script import base_language, script_counts

References: TypeAlias = Sequence[str | Sequence[str]]
"""One reference, or a list of them, for each sentence."""

MOSTLY_THE_SAME = 0.5  # from this share of equal outputs on, a model gives one answer to everything
FEW_SENTENCES = 3  # no share of so few says anything
NEXT_TO_NOTHING = 2.0  # strict chrF that unrelated text reaches
RESAMPLES = 1000

_TWO_LETTERS = {"cmn": "zh", "zho": "zh", "chi": "zh", "yue": "zh", "wuu": "zh", "lzh": "zh", "jpn": "ja", "kor": "ko"}
# sacreBLEU's choice for ja and ko is MeCab, a native dictionary that is not installed here. Characters need nothing,
# and the signature says so. The others, too, are written without spaces between words.
_BY_CHARACTER = frozenset({"ja", "ko", "th", "lo", "km", "my", "bo", "dz"})
_UNSPACED = {"han": "zh", "hangul": "ko", "thai": "th", "lao": "lo", "khmer": "km", "burmese": "my", "tibetan": "bo"}


@dataclass(frozen=True)
class Score:
    """One metric of one corpus, with the way it was made.

    value: in the metric's own unit, 0 to 100 (TER counts edits per 100 reference words and may exceed 100).
    low, high: 95 % of the bootstrap resamples of the sentences lie between them. None when there was no bootstrap.
    signature: sacreBLEU's, with tokenization, number of references, resamples and seed.
    """

    metric: str
    value: float
    low: float | None
    high: float | None
    signature: str


@dataclass(frozen=True)
class Quality:
    """BLEU, chrF2, chrF2++ and TER of one corpus of `sentences` sentences."""

    sentences: int
    bleu: Score
    chrf: Score
    chrf_plus_plus: Score
    ter: Score

    def as_dict(self) -> dict[str, object]:
        """Return the result as the stable object that `--json` prints."""
        return asdict(self)


def evaluate(
    hypotheses: Sequence[str], references: References, *, language: str | None = None, resamples: int = RESAMPLES
) -> Quality:
    """Score translated sentences against their references.

    language: the target language as a code (zh, zh-Hant, cmn, en ...), which chooses the tokenization. None lets the
        script of the references choose.
    resamples: of the 95 % bootstrap intervals. 0 for no intervals.
    Raises DataError when there is nothing to score, numbers of lines differ, or a sentence has no reference.
    """
    streams = reference_streams(hypotheses, references)
    found = metrics(language or written_in(references))
    scores = [_scored(name, metric, hypotheses, streams, resamples) for name, metric in found.items()]
    return Quality(len(hypotheses), *scores)


def corpus_chrf(hypotheses: Sequence[str], references: References, *, strict: bool = False) -> float:
    """Return chrF2 of a corpus, 0 to 100, without interval or tokenization: the figure to watch while training.

    strict: without effective order. sacreBLEU leaves out lengths of which there is no n-gram, so that one right full
        stop for every sentence scores 13. Here they count as nearly 0.
    """
    return float(CHRF(eps_smoothing=strict).corpus_score(hypotheses, reference_streams(hypotheses, references)).score)


def same_output(hypotheses: Sequence[str], references: References) -> float:
    """Return the share of sentences that get the commonest output. 0 where so few sentences or references differ."""
    firsts = Counter(_row(row)[0] for row in references)
    share = Counter(hypotheses).most_common(1)[0][1] / len(hypotheses)
    ordinary = firsts.most_common(1)[0][1] / len(hypotheses)
    return share if len(firsts) > FEW_SENTENCES and share > 2 * ordinary else 0.0


def learning_warning(same: float, strict_chrf: float) -> str | None:
    """Return what to say where `same_output` is large or strict chrF next to nothing, or None."""
    if same >= MOSTLY_THE_SAME:
        return f"{same:.0%} of the sentences get the same output: this model has not learned to translate"
    if strict_chrf < NEXT_TO_NOTHING:
        return f"strict chrF is {strict_chrf:.1f}, next to nothing: this model has not learned to translate"
    return None


def metrics(language: str) -> Mapping[str, Metric]:
    """Return the four metrics for a target language. An empty code stands for one with spaces between words."""
    # TER counts words. Without this a Chinese sentence is a single one. The signature says so (norm, asian).
    ter = TER(normalized=True, asian_support=True) if _primary(language) in ("zh", "ja") else TER()
    bleu = BLEU(tokenize=tokenization(language), force=True)
    return {"BLEU": bleu, "chrF2": CHRF(), "chrF2++": CHRF(word_order=2), "TER": ter}


def tokenization(language: str) -> str:
    """Return the name of sacreBLEU's tokenization for BLEU in a target language: zh, char or 13a."""
    code = _primary(language)
    return "zh" if code == "zh" else "char" if code in _BY_CHARACTER else "13a"


def written_in(references: References) -> str:
    """Return a language code for a script without spaces between words if at least half the letters are of it.

    Kana, even a few (1 in 20 letters), tell Japanese from Chinese. Otherwise an empty code: the script parts words.
    """
    counts = script_counts(line for row in references[:1000] for line in _row(row))
    letters, japanese = counts.total(), counts["kana"] + counts["han"]
    if counts["kana"] * 20 >= letters > 0 and japanese * 2 >= letters:
        return "ja"
    return next((code for script, code in _UNSPACED.items() if counts[script] * 2 >= letters > 0), "")


def reference_streams(hypotheses: Sequence[str], references: References) -> list[list[str]]:
    """Return references as sacreBLEU takes them: a list for each rank, with None where a sentence has fewer.

    Raises DataError when there is nothing to score, numbers of lines differ, or a sentence has no reference.
    """
    if len(hypotheses) != len(references):
        # sacreBLEU would silently score the shorter of the two.
        raise DataError(f"{len(hypotheses):,} translations stand against {len(references):,} references.")
    if not hypotheses:
        raise DataError("there is no sentence to score.")
    rows = [_row(row) for row in references]
    if empty := [number for number, row in enumerate(rows, 1) if not row]:
        raise DataError(f"sentence {empty[0]:,} has no reference.", line=empty[0])
    streams = [[row[rank] if rank < len(row) else None for row in rows] for rank in range(max(map(len, rows)))]
    # sacreBLEU takes None for a missing reference, and says so, but its annotations do not.
    return cast("list[list[str]]", streams)


def _primary(language: str) -> str:
    code = base_language(language) or ""
    return _TWO_LETTERS.get(code, code)


def _row(row: str | Sequence[str]) -> Sequence[str]:
    return [row] if isinstance(row, str) else row


def signature(metric: Metric, **draws: int) -> str:
    """Return sacreBLEU's signature of a metric that has scored, with resamples (bs), trials (ar) and seed if any."""
    made = metric.get_signature()
    for key, number in {**draws, **({"seed": SEED} if draws else {})}.items():
        made.update(key, number)
    return made.format()


def _scored(name: str, metric: Metric, lines: Sequence[str], streams: list[list[str]], resamples: int) -> Score:
    table = sentence_statistics(metric, lines, streams)
    reach = interval(bootstrap(metric, [table], resamples)[0]) if resamples else (None, None)
    made = signature(metric, **({"bs": resamples} if resamples else {}))
    return Score(name, corpus_score(metric, table.sum(axis=0)), *reach, made)
