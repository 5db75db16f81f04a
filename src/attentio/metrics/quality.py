"""How good translated text is: BLEU, chrF, chrF++ and TER of a corpus, each with its signature and interval.

The metrics are sacreBLEU's. What is decided here is how to call them rightly: which tokenisation a target language
needs, and how references are handed over when sentences have differing numbers of them. The bootstrap lives in
`resample`, comparing two systems in `significance`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypeAlias, cast

from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from attentio.errors import DataError
from attentio.metrics.resample import SEED, bootstrap, corpus_score, interval, sentence_statistics

References: TypeAlias = Sequence[str | Sequence[str]]
"""One reference, or a list of them, for each sentence."""

RESAMPLES = 1000

_TWO_LETTERS = {"cmn": "zh", "zho": "zh", "chi": "zh", "yue": "zh", "wuu": "zh", "lzh": "zh", "jpn": "ja", "kor": "ko"}
# sacreBLEU's choice for ja and ko is MeCab, a native dictionary that is not installed here; characters need nothing
# and are what the signature then says. The others, too, are written without spaces between words.
_BY_CHARACTER = frozenset({"ja", "ko", "th", "lo", "km", "my", "bo", "dz"})
_SCRIPTS = {
    "ja": ((0x3041, 0x30FF),),
    "zh": ((0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF)),
    "ko": ((0xAC00, 0xD7AF),),
    "th": ((0x0E00, 0x0E7F),),
    "lo": ((0x0E80, 0x0EFF),),
    "km": ((0x1780, 0x17FF),),
    "my": ((0x1000, 0x109F),),
    "bo": ((0x0F00, 0x0FFF),),
}


@dataclass(frozen=True)
class Score:
    """One metric of one corpus, with the way it was made.

    value: in the metric's own unit, 0 to 100 (TER counts edits per 100 reference words and may exceed 100).
    low, high: 95 % of the bootstrap resamples of the sentences lie between them; None when there was no bootstrap.
    signature: sacreBLEU's, with tokenisation, number of references, resamples and seed.
    """

    metric: str
    value: float
    low: float | None
    high: float | None
    signature: str

    def as_dict(self) -> dict[str, object]:
        """The score as the stable object that `--json` prints."""
        return asdict(self)


@dataclass(frozen=True)
class Quality:
    """BLEU, chrF2, chrF2++ and TER of one corpus of `sentences` sentences."""

    sentences: int
    bleu: Score
    chrf: Score
    chrf_plus_plus: Score
    ter: Score

    def as_dict(self) -> dict[str, object]:
        """The result as the stable object that `--json` prints."""
        return asdict(self)


def evaluate(
    hypotheses: Sequence[str], references: References, *, language: str | None = None, resamples: int = RESAMPLES
) -> Quality:
    """Score translated sentences against their references.

    language: the target language as a code (zh, zh-Hant, cmn, en ...), which chooses the tokenisation; None lets the
        script of the references choose.
    resamples: of the 95 % bootstrap intervals; 0 for no intervals.
    Raises DataError when there is nothing to score, numbers of lines differ, or a sentence has no reference.
    """
    streams = reference_streams(hypotheses, references)
    scores = {
        name: _score(name, metric, hypotheses, streams, resamples)
        for name, metric in metrics(language or written_in(references)).items()
    }
    return Quality(len(hypotheses), scores["BLEU"], scores["chrF2"], scores["chrF2++"], scores["TER"])


def corpus_chrf(hypotheses: Sequence[str], references: References) -> float:
    """chrF2 of a corpus, 0 to 100, without interval or tokenisation: the figure to watch while training."""
    return float(CHRF().corpus_score(hypotheses, reference_streams(hypotheses, references)).score)


def metrics(language: str) -> Mapping[str, Metric]:
    """The four metrics, set up for a target language; an empty code stands for one that parts words by spaces."""
    # TER counts words; without this a Chinese sentence is a single one. The signature says so (norm, asian).
    ter = TER(normalized=True, asian_support=True) if _primary(language) in ("zh", "ja") else TER()
    return {
        "BLEU": BLEU(tokenize=tokenization(language), force=True),
        "chrF2": CHRF(),
        "chrF2++": CHRF(word_order=2),
        "TER": ter,
    }


def tokenization(language: str) -> str:
    """The name of sacreBLEU's tokenisation for BLEU in a target language: zh, char or 13a."""
    code = _primary(language)
    if code == "zh":
        return "zh"
    return "char" if code in _BY_CHARACTER else "13a"


def written_in(references: References) -> str:
    """A language code for a script whose words are not parted by spaces if at least half the letters are of it.

    Kana, even a few (1 in 20 letters), tell Japanese from Chinese. Otherwise an empty code: the script parts words.
    """
    text = "".join(line for row in references[:1000] for line in _row(row))
    letters = [ord(char) for char in text if char.isalpha()]
    counts = {
        code: sum(any(low <= letter <= high for low, high in ranges) for letter in letters)
        for code, ranges in _SCRIPTS.items()
    }
    if counts["ja"] * 20 >= len(letters) > 0 and (counts["ja"] + counts["zh"]) * 2 >= len(letters):
        return "ja"
    return next((code for code, count in counts.items() if count * 2 >= len(letters) > 0), "")


def reference_streams(hypotheses: Sequence[str], references: References) -> list[list[str]]:
    """References as sacreBLEU takes them: one list for each rank, filled up with None where a sentence has fewer.

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
    code = language.replace("_", "-").split("-")[0].lower()
    return _TWO_LETTERS.get(code, code)


def _row(row: str | Sequence[str]) -> Sequence[str]:
    return [row] if isinstance(row, str) else row


def _score(name: str, metric: Metric, hypotheses: Sequence[str], streams: list[list[str]], resamples: int) -> Score:
    table = sentence_statistics(metric, hypotheses, streams)
    value = corpus_score(metric, table.sum(axis=0))
    if not resamples:
        return Score(name, value, None, None, signature(metric))
    low, high = interval(bootstrap(metric, [table], resamples)[0])
    return Score(name, value, low, high, signature(metric, bs=resamples))


def signature(metric: Metric, **draws: int) -> str:
    """sacreBLEU's signature of a metric that has scored, with bs resamples, ar trials, and a seed if there are."""
    made = metric.get_signature()
    for key, number in draws.items():
        made.update(key, number)
    if draws:
        made.update("seed", SEED)
    return made.format()
