"""Links read, drawn and scored."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentio.data.alignments import read_gold, read_lengths, read_links
from attentio.errors import DataError, UsageError
from attentio.metrics.alignment import (
    GoldLinks,
    LinkRule,
    alignment_error_rate,
    argmax_links,
    flipped,
    mutual_links,
    threshold_links,
)
from attentio.trace import AttentionTrace

links_of_a_sentence = st.frozensets(st.tuples(st.integers(0, 6), st.integers(0, 10)))


class TestErrorRate:
    def test_worked_by_hand(self) -> None:
        # A = {00, 11, 21}, S = {00, 12}, P = S and {11}: A and S share 00; A and P share 00 and 11.
        gold = GoldLinks(frozenset({(0, 0), (1, 2)}), frozenset({(0, 0), (1, 2), (1, 1)}))
        score = alignment_error_rate([frozenset({(0, 0), (1, 1), (2, 1)})], [gold])
        assert score.error_rate == pytest.approx(1 - (1 + 2) / (3 + 2))
        assert score.precision == pytest.approx(2 / 3)
        assert score.recall == pytest.approx(1 / 2)
        assert (score.links, score.sure, score.possible) == (3, 2, 3)

    def test_counts_are_summed_not_averaged(self) -> None:
        right = GoldLinks(frozenset({(0, 0)}), frozenset({(0, 0)}))
        wrong = GoldLinks(frozenset({(0, 1), (1, 0), (2, 2)}), frozenset({(0, 1), (1, 0), (2, 2)}))
        score = alignment_error_rate([frozenset({(0, 0)}), frozenset({(0, 0)})], [right, wrong])
        assert score.error_rate == pytest.approx(1 - 2 / 6)  # the mean of both sentences would be 1/2

    def test_possible_includes_sure_even_if_the_caller_forgot(self) -> None:
        gold = GoldLinks(frozenset({(0, 0)}), frozenset())
        assert alignment_error_rate([frozenset({(0, 0)})], [gold]).error_rate == 0

    def test_what_is_not_defined_is_none(self) -> None:
        score = alignment_error_rate([frozenset()], [GoldLinks(frozenset(), frozenset())])
        assert (score.precision, score.recall, score.error_rate) == (None, None, None)
        assert score.as_dict()["error_rate"] is None

    def test_numbers_of_sentences_must_agree(self) -> None:
        with pytest.raises(DataError, match="1 sentences with links stand against 0"):
            alignment_error_rate([frozenset()], [])
        with pytest.raises(DataError, match="no sentence"):
            alignment_error_rate([], [])

    @settings(max_examples=40)
    @given(links_of_a_sentence, links_of_a_sentence)
    def test_without_possible_links_it_is_one_minus_f1(self, found: frozenset, sure: frozenset) -> None:
        score = alignment_error_rate([found], [GoldLinks(sure, sure)])
        if found and sure and found & sure:
            assert score.precision is not None
            assert score.recall is not None
            f1 = 2 * score.precision * score.recall / (score.precision + score.recall)
            assert score.error_rate == pytest.approx(1 - f1)

    @pytest.mark.parametrize(("pair", "expected", "diagonal"), [("zhen", 13.31, 83.55), ("roen", 20.75, 71.31)])
    def test_known_systems_have_their_known_rates(
        self, shared_data: Path, pair: str, expected: float, diagonal: float
    ) -> None:
        folder = shared_data / "align"
        lengths = read_lengths(folder / f"{pair}.src-tgt")
        gold = read_gold(folder / f"{pair}.gold", index=1, lengths=lengths)
        system = read_links(folder / f"{pair}.awesome-align.out", index=0, lengths=lengths)
        assert round(100 * alignment_error_rate(system, gold).error_rate, 2) == expected
        baseline = [frozenset((min(i - 1, round(t * i / j)), t) for t in range(j)) for i, j in lengths]
        assert round(100 * alignment_error_rate(baseline, gold).error_rate, 2) == diagonal


class TestDrawing:
    # Rows are target words, columns source words.
    WEIGHTS = np.array([[0.1, 0.7, 0.2], [0.6, 0.1, 0.3], [0.3, 0.5, 0.2], [0.0, 0.0, 0.0]])

    def test_argmax_links_each_target_word_that_attends(self) -> None:
        assert argmax_links(self.WEIGHTS) == {(1, 0), (0, 1), (1, 2)}

    def test_threshold_is_reached_not_passed(self) -> None:
        assert threshold_links(self.WEIGHTS, 0.5) == {(1, 0), (0, 1), (1, 2)}
        assert threshold_links(self.WEIGHTS, 0.3) == {(1, 0), (0, 1), (2, 1), (0, 2), (1, 2)}

    def test_mutual_links_are_best_for_both_words(self) -> None:
        # Source word 1 prefers target 0 (0.7) to target 2 (0.5); source word 2 prefers target 1, which prefers 0.
        assert mutual_links(self.WEIGHTS) == {(1, 0), (0, 1)}

    def test_flipped_turns_a_model_of_the_other_direction(self) -> None:
        assert flipped(argmax_links(self.WEIGHTS.T)) == {(1, 0), (0, 1), (2, 1)}

    @pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
    def test_nothing_links_to_nothing(self, shape: tuple[int, int]) -> None:
        nothing = np.zeros(shape)
        assert argmax_links(nothing) == mutual_links(nothing) == threshold_links(nothing, 0.1) == frozenset()


class TestRule:
    """Which weights of a trace become links; two layers of two heads, words of one and two pieces."""

    WORDS = ([(0, 2), (3, 4)], [(0, 1), (2, 3)])

    @pytest.fixture
    def trace(self) -> AttentionTrace:
        # Source "ab c" in pieces a, b, c, end; target "x y" in pieces x, y, end. Rows are target pieces.
        left, right, last = [0.3, 0.5, 0.2, 0], [0.1, 0.0, 0.9, 0], [0, 0, 0, 1]
        weights = {
            "first": np.array([[right, left, last], [right, left, last]], dtype=np.float32),
            "second": np.array([[left, right, last], [right, right, last]], dtype=np.float32),
        }
        return AttentionTrace(
            source="ab c",
            target="x y",
            source_tokens=("a", "b", "c", "</s>"),
            target_tokens=("x", "y", "</s>"),
            source_spans=((0, 1), (1, 2), (3, 4), (4, 4)),
            target_spans=((0, 1), (2, 3), (3, 3)),
            weights=weights,
            token_log_probs=np.zeros(3, dtype=np.float32),
        )

    def test_the_last_layer_and_the_mean_over_heads_are_read(self, trace: AttentionTrace) -> None:
        # Mean of the second layer: x gives 0.45 to ab and 0.55 to c.
        assert LinkRule()(trace, *self.WORDS) == {(1, 0), (1, 1)}

    def test_another_layer_another_head(self, trace: AttentionTrace) -> None:
        assert LinkRule(layer="first")(trace, *self.WORDS) == {(1, 0), (0, 1)}
        assert LinkRule(head=0)(trace, *self.WORDS) == {(0, 0), (1, 1)}
        with pytest.raises(UsageError, match="Layers: first, second"):
            LinkRule(layer="third")(trace, *self.WORDS)
        with pytest.raises(UsageError, match="Heads: 0 to 1"):
            LinkRule(head=2)(trace, *self.WORDS)

    def test_thresholds(self, trace: AttentionTrace) -> None:
        assert LinkRule("threshold", layer="first")(trace, *self.WORDS) == {(1, 0), (0, 1), (1, 1)}
        assert LinkRule("threshold", 0.5, layer="first")(trace, *self.WORDS) == {(1, 0), (0, 1)}
        assert LinkRule("threshold").name == "threshold 0.2"
        assert LinkRule("threshold", 0.35).name == "threshold 0.35"

    def test_links_that_both_words_choose(self, trace: AttentionTrace) -> None:
        # In this head x and y both choose c, which chooses the first of them.
        assert LinkRule(head=1)(trace, *self.WORDS) == {(1, 0), (1, 1)}
        assert LinkRule("intersection", head=1)(trace, *self.WORDS) == {(1, 0)}

    def test_rules_are_checked_when_they_are_made(self) -> None:
        with pytest.raises(UsageError, match="argmax, threshold, intersection"):
            LinkRule("viterbi")
        with pytest.raises(UsageError, match="does nothing to intersection links"):
            LinkRule("intersection", 0.3)
        with pytest.raises(UsageError, match="every word"):
            LinkRule("threshold", 0.0)
