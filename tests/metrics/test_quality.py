"""How sacreBLEU is called: tokenisation by language, references, intervals."""

import json

import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from attentio.errors import DataError
from attentio.metrics.quality import (
    corpus_chrf,
    evaluate,
    learning_warning,
    reference_streams,
    same_output,
    tokenization,
    written_in,
)

ENGLISH = [
    ("the cat sat on the mat .", "the cat sat on a mat ."),
    ("there is a dog in the garden", "a dog is in the garden"),
    ("we went home early today", "we went home early today"),
]
CHINESE = [("我喜欢小猫。", "我很喜欢猫。"), ("他们在学校里。", "他们在学校。"), ("今天天气很好。", "今天天气很好。")]


def columns(pairs: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [left for left, _ in pairs], [right for _, right in pairs]


class TestTokenization:
    @pytest.mark.parametrize(
        ("language", "name"),
        [
            *((code, "zh") for code in ("zh", "ZH", "zh-Hant", "zh_CN", "cmn", "yue", "zho")),
            *((code, "char") for code in ("ja", "jpn", "ko", "kor", "th", "my")),
            *((code, "13a") for code in ("en", "de", "pt-BR", "hi", "ar", "")),
        ],
    )
    def test_by_language(self, language: str, name: str) -> None:
        assert tokenization(language) == name

    @pytest.mark.parametrize(
        ("lines", "language"),
        [
            (["我喜欢猫。"], "zh"),
            (["我在ABC大学。"], "zh"),
            (["The word 猫 means cat."], ""),
            (["私は猫が好きです。"], "ja"),
            (["ネコ"], "ja"),
            (["고양이를 좋아해요."], "ko"),
            (["ฉันชอบแมว"], "th"),
            (["I like cats.", "Ich mag Katzen."], ""),
            (["123 。"], ""),
            ([["我喜欢猫。", "I"], ["猫"]], "zh"),
        ],
    )
    def test_by_script(self, lines: list[str], language: str) -> None:
        assert written_in(lines) == language

    def test_the_signature_tells(self) -> None:
        hypotheses, references = columns(CHINESE)
        assert "|tok:zh|" in evaluate(hypotheses, references).bleu.signature
        assert "|tok:13a|" in evaluate(hypotheses, references, language="en", resamples=0).bleu.signature
        ter = evaluate(hypotheses, references, language="zh-Hans", resamples=0).ter
        assert "norm:yes" in ter.signature
        assert "asian:yes" in ter.signature


class TestScores:
    @pytest.mark.parametrize(("pairs", "language"), [(ENGLISH, "en"), (CHINESE, "zh")])
    def test_values_are_those_of_sacrebleu(self, pairs: list[tuple[str, str]], language: str) -> None:
        hypotheses, references = columns(pairs)
        quality = evaluate(hypotheses, references, language=language, resamples=0)
        asian = {"normalized": True, "asian_support": True} if language == "zh" else {}
        oracles = [
            (quality.bleu, BLEU(tokenize="zh" if language == "zh" else "13a")),
            (quality.chrf, CHRF()),
            (quality.chrf_plus_plus, CHRF(word_order=2)),
            (quality.ter, TER(**asian)),
        ]
        for score, oracle in oracles:
            assert score.value == pytest.approx(oracle.corpus_score(hypotheses, [references]).score)
            assert score.signature == oracle.get_signature().format()
            assert (score.low, score.high) == (None, None)

    def test_a_chinese_sentence_is_not_one_word_to_ter(self) -> None:
        # One of six characters is another: 1 edit per 6 words.
        assert evaluate(["我喜欢大狗。"], ["我喜欢大猫。"], resamples=0).ter.value == pytest.approx(100 / 6)

    def test_perfect_and_hopeless(self) -> None:
        lines = ["one two three four five", "six seven eight nine ten"]
        best = evaluate(lines, lines)
        assert (best.bleu.value, best.chrf.value, best.ter.value) == (pytest.approx(100), 100, 0)
        assert (best.ter.low, best.ter.high) == (0, 0)
        worst = evaluate(["x", ""], lines)
        assert (worst.bleu.value, worst.chrf.value) == (0, 0)
        assert worst.ter.value > 90

    def test_intervals_hold_the_value_and_repeat(self) -> None:
        hypotheses, references = columns(ENGLISH * 5)
        first, second = (evaluate(hypotheses, references, resamples=200) for _ in range(2))
        assert first == second
        for score in (first.bleu, first.chrf, first.chrf_plus_plus, first.ter):
            assert score.low is not None
            assert score.high is not None
            assert score.low < score.value < score.high
            assert "bs:200|seed:12345" in score.signature

    def test_as_dict_is_plain(self) -> None:
        result = json.loads(json.dumps(evaluate(["a b"], ["a b"], resamples=0).as_dict()))
        assert list(result) == ["sentences", "bleu", "chrf", "chrf_plus_plus", "ter"]
        assert result["chrf"].pop("signature").startswith("nrefs:1|")
        assert result["chrf"] == {"metric": "chrF2", "value": 100.0, "low": None, "high": None}

    def test_fast_chrf_is_chrf(self) -> None:
        hypotheses, references = columns(CHINESE)
        assert corpus_chrf(hypotheses, references) == pytest.approx(CHRF().corpus_score(hypotheses, [references]).score)


class TestReferences:
    def test_differing_numbers_are_filled_up_with_none(self) -> None:
        assert reference_streams(["a", "b", "c"], [["x", "y"], "z", ["u", "v", "w"]]) == [
            ["x", "z", "u"],
            ["y", None, "v"],
            [None, None, "w"],
        ]

    def test_a_further_reference_helps_only_its_sentence(self) -> None:
        # Filling up with "" instead of None would offer every sentence an empty reference and shorten the brevity
        # penalty; filling up with a copy would claim two references.
        hypotheses = ["the cat is here now", "a b"]
        quality = evaluate(hypotheses, [["a cat was there", "the cat is here now"], "a b c d e f g"], resamples=0)
        assert "nrefs:var" in quality.bleu.signature
        precisions_are_perfect_so_only_brevity_counts = BLEU(effective_order=False).corpus_score(
            hypotheses, [["the cat is here now", "a b c d e f g"]]
        )
        assert quality.bleu.value == pytest.approx(precisions_are_perfect_so_only_brevity_counts.score)
        assert quality.chrf.value < 100

    def test_order_of_references_does_not_matter(self) -> None:
        hypotheses = ["the cat is here", "dogs bark"]
        one = evaluate(hypotheses, [["a cat", "the cat was here"], ["dogs bark", "a dog barks"]], resamples=0)
        other = evaluate(hypotheses, [["the cat was here", "a cat"], ["a dog barks", "dogs bark"]], resamples=0)
        assert one == other
        assert "nrefs:2" in one.bleu.signature

    def test_what_cannot_be_scored_is_refused(self) -> None:
        with pytest.raises(DataError, match="2 translations stand against 1 references"):
            evaluate(["a", "b"], ["a"])
        with pytest.raises(DataError, match="no sentence to score"):
            evaluate([], [])
        with pytest.raises(DataError, match="sentence 2 has no reference") as caught:
            corpus_chrf(["a", "b"], ["a", []])
        assert caught.value.line == 2


def test_one_full_stop_for_every_sentence_wins_nothing_in_strict_chrf() -> None:
    references = ["我喜欢猫。", "他不在家。", "你好吗?", "今天很热。", "我们走吧。"]
    constant = ["。"] * 5
    words = ["我喜欢狗", "他在", "你", "热", "我们"]
    assert corpus_chrf(constant, references) > 10
    assert corpus_chrf(constant, references, strict=True) < 5 < corpus_chrf(words, references, strict=True)
    assert corpus_chrf(references, references, strict=True) == pytest.approx(100 * 5 / 6)  # none has six characters


def test_the_same_output_for_most_sentences_is_a_warning() -> None:
    references = ["a b", "c", "d e", "f", "g"]
    assert same_output(["x", "x", "x", "x", "y"], references) == 0.8
    assert "80% of the sentences get the same output" in str(learning_warning(0.8, 50))
    assert "next to nothing" in str(learning_warning(0.0, 1.9))
    assert learning_warning(0.3, 2.1) is None
    assert same_output(["x"] * 3, references[:3]) == 0  # too few to say anything
    assert same_output(["a"] * 5, ["a", "a", "a", "b", "c"]) == 0  # the references repeat themselves
