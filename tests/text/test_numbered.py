"""Tokenizers of other toolkits: the laws of every tokenizer, and numbers that are not SentencePiece's own."""

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import sentencepiece

from attentio.corpora.small_world.grammar import sample
from attentio.errors import ModelError
from attentio.text.numbered import NumberedTokenizer, SpaceTokenizer
from attentio.text.special import SPECIAL_TOKENS
from attentio.text.tokenizer import Tokenizer, load_tokenizer

TEXTS = [pair.source for pair in sample(80, seed=4)]


@pytest.fixture(scope="module")
def spm() -> bytes:
    model = io.BytesIO()
    cast(Any, sentencepiece.SentencePieceTrainer).train(
        sentence_iterator=iter(TEXTS), model_writer=model, vocab_size=420, hard_vocab_limit=False, byte_fallback=True,
        minloglevel=2, num_threads=1,
    )  # fmt: skip
    return model.getvalue()


@pytest.fixture(scope="module")
def numbered(spm: bytes) -> Callable[..., NumberedTokenizer]:
    processor = cast(Any, sentencepiece.SentencePieceProcessor)(model_proto=spm)
    names = [processor.id_to_piece(i) for i in range(3, processor.get_piece_size())]

    def make(**settings: Any) -> NumberedTokenizer:
        return NumberedTokenizer([*SPECIAL_TOKENS, ">>fra<<", *reversed(names)], spm, **settings)

    return make


def test_tokens_are_those_of_sentencepiece_under_other_numbers(
    numbered: Callable[..., NumberedTokenizer], spm: bytes
) -> None:
    tokenizer = numbered()
    processor = cast(Any, sentencepiece.SentencePieceProcessor)(model_proto=spm)
    for text in TEXTS:
        ids = tokenizer.encode(text)
        assert [tokenizer.tokens[i] for i in ids] == processor.encode(text, out_type=str)
        assert tokenizer.decode([1, *ids, 2, 0]) == text
        spans = tokenizer.spans(text)
        assert len(spans) == len(ids)
        assert "".join(text[start:end] for start, end in spans).replace(" ", "") == text.replace(" ", "")
    assert tokenizer.decode([3]) == "\ufffd"


def test_a_character_that_it_never_saw_is_its_bytes(numbered: Callable[..., NumberedTokenizer]) -> None:
    tokenizer = numbered()
    ids = tokenizer.encode("龘")
    assert tokenizer.decode(ids) == "龘"
    assert tokenizer.unseen("a龘") == ["龘"]
    assert set(tokenizer.spans("龘")[-3:]) == {(0, 1)}
    symbols = tokenizer.symbols()
    assert [symbol for i in ids[-3:] for symbol in symbols[i]] == tokenizer.symbols_of("龘") == [*"龘".encode()]


def test_a_token_before_every_text_or_before_one(numbered: Callable[..., NumberedTokenizer]) -> None:
    plain, french = numbered(), numbered(before=">>fra<<")
    assert french.encode("I sleep.") == [4, *plain.encode("I sleep.")]
    assert french.spans("I sleep.")[0] == (0, 0)
    assert plain.encode(">>fra<< I sleep.") == [4, *plain.encode("I sleep.")]
    assert plain.spans(">>fra<< I sleep.")[:2] == [(0, 7), (8, 9)]
    assert plain.encode(">>deu<< x")[0] != 4
    with pytest.raises(ModelError, match="the vocabulary has no token '>>deu<<'"):
        numbered(before=">>deu<<")


def test_words_between_spaces() -> None:
    tokenizer = SpaceTokenizer([*SPECIAL_TOKENS, "it", "'s", "￭."])
    assert tokenizer.encode("it  's late ￭.") == [4, 5, 3, 6]
    assert tokenizer.spans("it  's x") == [(0, 2), (4, 6), (7, 8)]
    assert tokenizer.decode([4, 5, 6, 3, 2]) == "it 's ￭. \ufffd"


def test_they_are_stored_and_sent(numbered: Callable[..., NumberedTokenizer], tmp_path: Path) -> None:
    found: list[Tokenizer] = [numbered(before=">>fra<<"), SpaceTokenizer([*SPECIAL_TOKENS, "a"])]
    for tokenizer in found:
        (tmp_path / "it").write_bytes(tokenizer.to_bytes())
        for again in (load_tokenizer(tmp_path / "it"), pickle.loads(pickle.dumps(tokenizer))):
            assert again.to_bytes() == tokenizer.to_bytes()
            assert again.encode("a b") == tokenizer.encode("a b")


@pytest.mark.parametrize("text", ['{"kind": "numbered", "pieces": []}', '{"kind": "other", "pieces": []}', "{"])
def test_what_is_no_tokenizer_is_said(text: str, tmp_path: Path) -> None:
    (tmp_path / "it").write_text(text, encoding="utf-8")
    with pytest.raises(ModelError):
        load_tokenizer(tmp_path / "it")


def test_a_token_that_its_model_does_not_know_has_a_space_before_it(spm: bytes) -> None:
    tokenizer = NumberedTokenizer([*SPECIAL_TOKENS, "▁gull"], spm)
    assert tokenizer.decode([4, 4]) == "gull gull"
