"""Subword regularization: text and links stay the same, and the draws are those asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attentio.data.batch import SubwordRegularization, collate
from attentio.data.corpus import EncodedCorpus, Side
from attentio.data.links import TokenLinks
from attentio.data.subword_regularization import Rows, TokenSplits
from attentio.text.learn import train_tokenizer
from attentio.text.special import SPECIAL
from attentio.text.tokenizer import SentencePieceTokenizer

TEXTS = [
    "The neighbours' children walked slowly to the station.",
    "Walking slowly, the children talked about yesterday.",
    "Yesterday the station was closed; nobody talked.",
    "Ünübersichtliche Wörter: größer, naïve 😀.",
] * 8


@pytest.fixture(scope="module")
def tokenizer() -> SentencePieceTokenizer:
    made = train_tokenizer("sentencepiece", TEXTS, 350)
    assert isinstance(made, SentencePieceTokenizer)
    return made


@pytest.fixture(scope="module")
def splits(tokenizer: SentencePieceTokenizer) -> TokenSplits:
    made = TokenSplits.of(tokenizer)
    assert made is not None
    return made


def side(rows: list[list[int]]) -> Side:
    flat = np.array([token for row in rows for token in row], dtype=np.int32)
    return Side(flat, np.cumsum([0, *map(len, rows)], dtype=np.int64))


def test_halves_are_pieces_that_make_up_the_whole(tokenizer: SentencePieceTokenizer, splits: TokenSplits) -> None:
    pieces = tokenizer.tokens
    divisible = np.flatnonzero(splits.count)
    assert len(divisible) > 10
    for piece in divisible:
        for first, second in splits.halves[piece, : splits.count[piece]]:
            assert pieces[first] + pieces[second] == pieces[piece]
    for piece in np.flatnonzero(splits.count == 0):  # all others have no such halves
        text = pieces[piece]
        if piece > 3 and not text.startswith("<0x"):
            assert not any(text[:cut] in pieces and text[cut:] in pieces for cut in range(1, len(text)))


def test_words_and_characters_do_not_come_apart() -> None:
    for kind in ("word", "char"):
        assert TokenSplits.of(train_tokenizer(kind, ["a b ab"])) is None


@given(
    texts=st.lists(st.text("childrenwalked stT.,ü😀", max_size=24), min_size=1, max_size=5),
    share=st.floats(0, 1),
    seed=st.integers(0, 999),
)
@settings(max_examples=60, deadline=None)
def test_the_text_stays(
    tokenizer: SentencePieceTokenizer, splits: TokenSplits, texts: list[str], share: float, seed: int
) -> None:
    rows = [tokenizer.encode(text) for text in texts]
    flat = np.array([token for row in rows for token in row], dtype=np.int32)
    before = Rows(flat, np.array(list(map(len, rows))))
    (tokens, lengths), places = splits(before, share, np.random.default_rng(seed))
    assert lengths.sum() == len(tokens) == len(flat) + places.split.sum()
    found = np.split(tokens, np.cumsum(lengths)[:-1])
    assert [tokenizer.decode(row) for row in found] == [tokenizer.decode(row) for row in rows]


def test_the_share_is_that_of_the_divisible_pieces(splits: TokenSplits) -> None:
    divisible = np.flatnonzero(splits.count)
    rows = Rows(np.tile(divisible, 400), np.full(400, len(divisible)))
    for share in (0.0, 0.1, 1.0):
        _, places = splits(rows, share, np.random.default_rng(1))
        assert places.split.mean() == pytest.approx(share, abs=0.02)
    most = divisible[splits.count[divisible].argmax()]
    many = Rows(np.full(4000, most), np.array([4000]))
    (tokens, _), _ = splits(many, 1.0, np.random.default_rng(1))
    firsts = tokens[::2]
    for first, _ in splits.halves[most, : splits.count[most]]:  # one place as often as another
        assert (firsts == first).mean() == pytest.approx(1 / splits.count[most], abs=0.04)


def test_links_stay_with_their_words(tokenizer: SentencePieceTokenizer, splits: TokenSplits) -> None:
    """What a link joins, piece by piece, is in the end the same text on both sides."""
    texts = TEXTS[:4]
    rows = [tokenizer.encode(text) for text in texts]
    back = [row[::-1] for row in rows]  # the target says it backwards
    corpus = EncodedCorpus(side(rows), side(back))
    links = TokenLinks.of_pairs([[(i, len(row) - 1 - i) for i in range(len(row))] for row in rows])
    indices = np.array([2, 0, 3])
    plain = collate(corpus, indices, links=links)
    split = collate(
        corpus,
        indices,
        links=links,
        splitting=SubwordRegularization(splits, splits, 0.6, np.random.default_rng(3)),
    )
    assert plain.links is not None
    assert split.links is not None
    assert split.source.shape[1] > plain.source.shape[1]
    assert split.num_target_tokens > plain.num_target_tokens
    pieces = tokenizer.tokens
    for row, index in enumerate(indices):
        length = int(split.source_lengths[row]) - 1
        assert split.source[row, length] == SPECIAL.eos
        of_row = split.links[split.links[:, 0] == row]
        assert set(of_row[:, 2].tolist()) == set(range(length)), "every source piece is linked, as before"
        joined = {int(source): "" for source in of_row[:, 2]}
        for _, target, source in sorted(of_row.tolist()):
            joined[source] += pieces[split.target_out[row, target]]
        # A source piece is linked with all of the target's text for the piece that it was part of.
        whole = [pieces[piece] for piece in rows[index]]
        position = 0
        for piece in whole:
            taken = ""
            while taken != piece:
                assert joined[position] == piece
                taken += pieces[split.source[row, position]]
                position += 1
        assert position == length


def test_without_a_share_or_splits_the_batch_is_as_it_was(
    tokenizer: SentencePieceTokenizer, splits: TokenSplits
) -> None:
    corpus = EncodedCorpus(*[side([tokenizer.encode(text) for text in TEXTS[:4]])] * 2)
    indices = np.arange(4)
    plain = collate(corpus, indices)
    for splitting in (
        SubwordRegularization(splits, splits, 0.0, np.random.default_rng(1)),
        SubwordRegularization(None, None, 1.0, np.random.default_rng(1)),
    ):
        same = collate(corpus, indices, splitting=splitting)
        assert all(one.equal(other) for one, other in zip(plain[:4], same[:4], strict=True))
