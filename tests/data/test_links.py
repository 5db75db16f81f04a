"""Known word links on their way from the grammar to a batch."""

from pathlib import Path

import numpy as np
import pytest

from attentio.data.batch import collate
from attentio.data.corpus import EncodedCorpus
from attentio.data.links import TokenLinks, token_links
from attentio.data.small_world import known_links, sampled
from attentio.data.tokenizer import Tokenizer, train_tokenizer


def test_words_become_all_their_pieces() -> None:
    # "the cats" read as the | cat | s, written as three pieces; word 1 is linked to words 0 and 1 of the target
    links = token_links(
        [(1, 0), (1, 1)], [(0, 3), (4, 8)], [(0, 2), (2, 3)], [(0, 3), (3, 7), (7, 8)], [(0, 1), (1, 2), (2, 3)]
    )
    assert set(links) == {(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)}


def test_a_batch_has_the_links_of_its_pairs(tmp_path: Path) -> None:
    links = TokenLinks.of_pairs([[(0, 1)], [], [(3, 2), (1, 0)]])
    links.save(tmp_path / "links.npz")
    for held in (links, TokenLinks.load(tmp_path / "links.npz")):
        assert held.batch(np.array([2, 1, 0])).tolist() == [[0, 0, 1], [0, 2, 3], [2, 1, 0]]
        assert held.batch(np.array([1])).shape == (0, 3)


@pytest.fixture(scope="module")
def world() -> tuple[EncodedCorpus, Tokenizer, Tokenizer, TokenLinks]:
    pairs = sampled(60)
    english = train_tokenizer("sentencepiece", [pair.source for pair in pairs], 400)
    chinese = train_tokenizer("char", [pair.target for pair in pairs])
    corpus = EncodedCorpus.from_lists(
        [*(english.encode(pair.source) for pair in pairs), english.encode("Not there.")],
        [*(chinese.encode(pair.target) for pair in pairs), chinese.encode("我。")],
    )
    return corpus, english, chinese, known_links(corpus, english, chinese, 60)


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


def test_other_pairs_have_no_links(world: tuple[EncodedCorpus, Tokenizer, Tokenizer, TokenLinks]) -> None:
    corpus, _, _, links = world
    assert (np.diff(links.offsets)[:-1] > 0).all()
    assert links.offsets[-1] == links.offsets[-2]
    assert len(corpus) == len(links.offsets) - 1


def test_the_other_direction_has_them_turned_round(
    world: tuple[EncodedCorpus, Tokenizer, Tokenizer, TokenLinks],
) -> None:
    corpus, english, chinese, links = world
    turned = known_links(EncodedCorpus(corpus.target, corpus.source), chinese, english, 60)
    for number in range(len(corpus)):
        there = links.batch(np.array([number]))[:, 1:].tolist()
        back = turned.batch(np.array([number]))[:, 1:].tolist()
        assert sorted(there) == sorted([s, t] for t, s in back)


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
