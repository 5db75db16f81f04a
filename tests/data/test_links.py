"""Known word links on their way from words to the pieces of a batch."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentio.corpora.small_world.sampling import sampled
from attentio.data.batch import collate
from attentio.data.corpus import EncodedCorpus
from attentio.data.links import TokenLinks, span_links, token_links
from attentio.data.readers.built_in import known_links
from attentio.text.learn import train_tokenizer
from attentio.text.tokenizer import Tokenizer


def test_words_become_all_their_pieces() -> None:
    # "the cats" read as the | cat | s, written as three pieces; word 1 is linked to words 0 and 1 of the target
    links = span_links([(1, 0), (1, 1)], [(0, 3), (4, 8)], [(0, 2), (2, 3)])
    assert links.tolist() == [[4, 8, 0, 2], [4, 8, 2, 3]]
    found = token_links(links, [(0, 3), (3, 7), (7, 8)], [(0, 1), (1, 2), (2, 3)])
    assert found == [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]


def test_a_piece_of_two_words_is_linked_once() -> None:
    """Twice would count its weight twice."""
    links = span_links([(0, 0), (1, 0)], [(0, 1), (1, 2)], [(0, 2)])
    assert token_links(links, [(0, 2)], [(0, 2)]) == [(0, 0)]


def test_what_has_no_characters_has_no_pieces() -> None:
    links = span_links([(0, 0), (1, 0)], [(3, 3), (4, 6)], [(0, 1)])
    assert token_links(links, [(0, 3), (3, 3), (3, 4), (4, 6)], [(0, 1)]) == [(3, 0)]
    assert token_links(span_links([], [], []), [(0, 3)], [(0, 1)]) == []


@st.composite
def cut(draw: st.DrawFn, most: int = 12) -> list[tuple[int, int]]:
    """Spans in order that may leave characters out and repeat a place, as pieces of an unknown character do."""
    edges = sorted(draw(st.lists(st.integers(0, most), min_size=2, max_size=12)))
    spans = list(zip(edges[::2], edges[1::2], strict=False))
    return sorted(spans + spans[: draw(st.integers(0, 1))])


@settings(max_examples=40)
@given(cut(), cut(), cut(), cut())
def test_pieces_are_those_that_share_a_character(
    source_words: list[tuple[int, int]],
    target_words: list[tuple[int, int]],
    source: list[tuple[int, int]],
    target: list[tuple[int, int]],
) -> None:
    word_links = [(0, len(target_words) - 1), (len(source_words) - 1, 0)]
    expected = {
        (s, t)
        for i, j in word_links
        for s, piece in enumerate(source)
        for t, other in enumerate(target)
        if set(range(*piece)) & set(range(*source_words[i])) and set(range(*other)) & set(range(*target_words[j]))
    }
    found = token_links(span_links(word_links, source_words, target_words), source, target)
    full = {(s, t) for s, t in found if source[s][0] < source[s][1] and target[t][0] < target[t][1]}
    assert full == expected
    assert len(found) == len(set(found))


def test_a_batch_has_the_links_of_its_pairs(tmp_path: Path) -> None:
    links = TokenLinks.of_pairs([[(0, 1)], [], [(3, 2), (1, 0)]])
    links.save(tmp_path / "links.npz")
    joined = TokenLinks.joined([TokenLinks.of_pairs(part) for part in ([[(0, 1)], []], [], [[(3, 2), (1, 0)]])])
    for held in (links, TokenLinks.load(tmp_path / "links.npz"), joined):
        assert held.batch(np.array([2, 1, 0])).tolist() == [[0, 0, 1], [0, 2, 3], [2, 1, 0]]
        assert held.batch(np.array([1])).shape == (0, 3)
    assert len(TokenLinks.joined([]).offsets) == 1


@pytest.fixture(scope="module")
def world() -> tuple[EncodedCorpus, Tokenizer, Tokenizer, TokenLinks]:
    """Sixty pairs of the small world and one without links."""
    pairs = sampled(60)
    english = train_tokenizer("sentencepiece", [pair.source for pair in pairs], 400)
    chinese = train_tokenizer("char", [pair.target for pair in pairs])
    corpus = EncodedCorpus.from_lists(
        [*(english.encode(pair.source) for pair in pairs), english.encode("Not there.")],
        [*(chinese.encode(pair.target) for pair in pairs), chinese.encode("我。")],
    )
    found = [
        token_links(
            span_links(pair.links, pair.source_spans, pair.target_spans),
            english.spans(pair.source),
            chinese.spans(pair.target),
        )
        for pair in pairs
    ]
    return corpus, english, chinese, TokenLinks.of_pairs([*found, []])


def test_linked_pieces_belong_to_linked_words(world: tuple[EncodedCorpus, Tokenizer, Tokenizer, TokenLinks]) -> None:
    corpus, english, chinese, links = world
    batch = collate(corpus, np.array([7]), links=links)
    assert batch.links is not None
    pair = sampled(60)[7]
    source, target = english.spans(pair.source), chinese.spans(pair.target)
    found = {
        (word, other)
        for _, t, s in batch.links.tolist()
        for word, (a, b) in enumerate(pair.source_spans)
        for other, (c, d) in enumerate(pair.target_spans)
        if source[s][0] < b and source[s][1] > a and target[t][0] < d and target[t][1] > c
    }
    assert found == pair.links


def test_words_of_the_small_world_are_spelt_as_in_its_text_in_either_direction() -> None:
    pair = sampled(60)[7]
    (there,) = known_links([8], [pair.source], [pair.target], 60)
    (back,) = known_links([8], [pair.target], [pair.source], 60)
    assert there.source_words[0][0].isupper()
    assert "".join(there.source_words) == pair.source.replace(" ", "")
    assert "".join(there.target_words) == pair.target
    assert there.links == pair.links
    assert back == there.swapped()
    assert back.links == {(j, i) for i, j in pair.links} != pair.links


def test_halves_of_a_batch_keep_their_links(world: tuple[EncodedCorpus, Tokenizer, Tokenizer, TokenLinks]) -> None:
    corpus, _, _, links = world
    whole = collate(corpus, np.array([3, 60, 7, 11, 2]), links=links)
    halves = whole.halves()
    assert [len(half.source) for half in halves] == [2, 3]
    assert sum(half.num_target_tokens for half in halves) == whole.num_target_tokens
    assert whole.links is not None
    joined: list[list[int]] = []
    for half, first in zip(halves, (0, 2), strict=True):
        assert half.links is not None
        joined += [[row + first, t, s] for row, t, s in half.links.tolist()]
    assert joined == whole.links.tolist()
    assert [half.links for half in collate(corpus, np.array([3, 7])).halves()] == [None, None]
