"""Words of a training text are known again, in any case. Others are not, and a file says the same."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attentio.text.known import KnownWords
from attentio.text.side import Side
from attentio.text.tokenizer import CharTokenizer
from attentio.text.words import words

TEXTS = ["The cat doesn't sleep.", "Ein Übermaß an 3 Straßen", "我爱猫", ""]


@given(st.lists(st.text(), max_size=5))
def test_every_word_of_the_text_is_known(texts: list[str]) -> None:
    known = KnownWords.of(texts)
    assert [known.unseen(text) for text in texts] == [[]] * len(texts)
    assert len(known) <= sum(len(words(text)) for text in texts)
    assert np.array_equal(KnownWords.from_bytes(known.to_bytes()).digests, known.digests)


def test_case_does_not_count_and_words_without_letters_are_left_out() -> None:
    known = KnownWords.of(TEXTS)
    assert known.unseen("DOESN'T the STRASSEN 99 !? 猫") == []
    assert known.unseen("The xylophone of the Cat, xylophone 狗") == ["xylophone", "of", "狗"]
    assert KnownWords.of([]).unseen("a b a") == ["a", "b"]


def test_of_two_texts_together() -> None:
    both = KnownWords.of(TEXTS[:1]) | KnownWords.of(TEXTS[1:])
    assert np.array_equal(both.digests, KnownWords.of(TEXTS).digests)


def test_a_damaged_file_is_an_error() -> None:
    with pytest.raises(ValueError, match="size"):
        KnownWords.from_bytes(b"12345")


def test_a_word_with_an_unseen_character_is_named_once() -> None:
    tokenizer = CharTokenizer(["<pad>", "<s>", "</s>", "<unk>", "a", "b", " "])
    assert Side(tokenizer, words=KnownWords.of(["ab b"])).unseen("ab ba bž") == ("ž", "ba")
    assert Side(tokenizer).unseen("ab ba bž") == ("ž",)
