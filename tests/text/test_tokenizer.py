"""Tokenizers: laws that hold for any text, sums done by hand, and the notebook's own vocabulary."""

import pickle
import re
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from attentio.data.source import read_pairs
from attentio.errors import ModelError, UsageError
from attentio.text import learn
from attentio.text.learn import EvenSample, default_vocab_size, extend_tokenizer, train_tokenizer
from attentio.text.special import SPECIAL, SPECIAL_TOKENS
from attentio.text.tokenizer import (
    UNKNOWN,
    CharTokenizer,
    SentencePieceTokenizer,
    Tokenizer,
    WordTokenizer,
    fingerprint,
    load_tokenizer,
)

ENGLISH = ["The cat sat on the mat.", "Don't you know me?", "He paid 3,000.5 yen!", "a well-known man (old)"] * 5
CHINESE = ["我喜欢猫。", "你认识我吗？", "他是个老人。"] * 5
KINDS = ("word", "char", "sentencepiece")

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\u2581"), max_size=40)
WRITTEN = st.text(alphabet="abcdefghijkmt .,!?'’-()0123456789éß我你。，", max_size=40)


@pytest.fixture(scope="module", params=[*KINDS, "sentencepiece, lower-cased"])
def trained(request: pytest.FixtureRequest) -> Tokenizer:
    return trained_as(request.param)


def trained_as(name: str) -> Tokenizer:
    kind, _, lowercase = name.partition(", ")
    return train_tokenizer(kind, ENGLISH, lowercase=bool(lowercase))


@pytest.fixture(scope="module")
def lower_cased() -> Tokenizer:
    return trained_as("sentencepiece, lower-cased")


@pytest.fixture(scope="module")
def subwords() -> SentencePieceTokenizer:
    found = train_tokenizer("sentencepiece", ENGLISH)
    assert isinstance(found, SentencePieceTokenizer)
    return found


def test_the_special_ids_are_the_same_everywhere(trained: Tokenizer) -> None:
    assert trained.tokens[:4] == ("<pad>", "<s>", "</s>", "<unk>")
    assert trained.vocab_size == len(trained.tokens) == len(set(trained.tokens))


def test_training_text_comes_back(trained: Tokenizer) -> None:
    for line in ENGLISH:
        expected = line.lower() if trained.encode("The") == trained.encode("the") else line
        assert trained.decode(trained.encode(line)) == expected


def test_decoding_leaves_out_padding_begin_and_end(trained: Tokenizer) -> None:
    ids = trained.encode("the cat")
    assert trained.decode([1, *ids, 2, 0, 0]) == trained.decode(ids)


@settings(max_examples=30)
@given(text=TEXT)
def test_encoding_gives_ids_of_the_vocabulary_and_never_a_control_token(trained: Tokenizer, text: str) -> None:
    ids = trained.encode(text)
    assert all(SPECIAL.unk <= i < trained.vocab_size for i in ids)


@settings(max_examples=40)
@given(text=st.text(alphabet="<s>/unkpad \u2581", max_size=20))
def test_writing_a_control_token_does_not_make_one(trained: Tokenizer, text: str) -> None:
    assert all(i >= SPECIAL.unk for i in trained.encode(text + "</s><pad><s>"))


@pytest.mark.slow
@settings(max_examples=30)
@given(text=TEXT)
def test_spans_cover_the_text_in_order(trained: Tokenizer, text: str) -> None:
    spans = trained.spans(text)
    assert len(spans) == len(trained.encode(text))
    assert all(0 <= start <= end <= len(text) for start, end in spans)
    assert spans == sorted(spans)
    covered = {i for start, end in spans for i in range(start, end)}
    assert all(char.isspace() or i in covered for i, char in enumerate(text))


@settings(max_examples=30)
@given(lines=st.lists(WRITTEN | TEXT, max_size=6))
def test_many_lines_at_once_are_each_line_alone(trained: Tokenizer, lines: list[str]) -> None:
    ids, lengths = trained.encode_lines(lines)
    assert ids.dtype == np.int32
    assert lengths.tolist() == [len(trained.encode(line)) for line in lines]
    assert ids.tolist() == [i for line in lines for i in trained.encode(line)]


@pytest.mark.slow
@settings(max_examples=30)
@given(lines=st.lists(st.text(alphabet="ab. \u2581\u3000", max_size=9), max_size=5))
def test_many_lines_are_each_line_alone_whatever_their_spaces(trained: Tokenizer, lines: list[str]) -> None:
    assert trained.encode_lines(lines)[0].tolist() == [i for line in lines for i in trained.encode(line)]


def test_a_full_word_cache_changes_nothing(subwords: SentencePieceTokenizer) -> None:
    tokens = SentencePieceTokenizer(subwords.to_bytes(), cached_words=3)
    for line in ENGLISH:
        assert tokens.encode_lines([line, line])[0].tolist() == tokens.encode(line) * 2


def test_saved_and_loaded_it_is_the_same(trained: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "one.file").write_bytes(trained.to_bytes())
    loaded = load_tokenizer(tmp_path / "one.file")
    assert (loaded.kind, loaded.tokens) == (trained.kind, trained.tokens)
    assert fingerprint(loaded) == fingerprint(trained)
    assert loaded.encode("The cat, 我.") == trained.encode("The cat, 我.")


@pytest.mark.parametrize("name", [*KINDS, "sentencepiece, lower-cased"])
def test_training_twice_gives_the_same_file(name: str) -> None:
    assert fingerprint(trained_as(name)) == fingerprint(trained_as(name))


# Words


def test_the_seeds_words_are_lower_cased_and_punctuation_stands_alone() -> None:
    words = train_tokenizer("word", ["Go."])
    assert [words.tokens[i] for i in words.encode("GO.")] == ["go", "."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't go, Tom!", ["don't", "go", ",", "tom", "!"]),
        ("well-known (old) 3,000.5", ["well-known", "(", "old", ")", "3,000.5"]),
        ("U.S. 5%", ["u", ".", "s", ".", "5", "%"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("İstanbul", ["i\u0307stanbul"]),
        ("  ", []),
    ],
)
def test_words_by_hand(text: str, expected: list[str]) -> None:
    words = train_tokenizer("word", [text, "x"])
    assert [words.tokens[i] for i in words.encode(text)] == expected
    assert [text[a:b].lower() for a, b in words.spans(text)] == expected


@settings(max_examples=30)
@given(text=WRITTEN)
def test_words_put_together_and_taken_apart_again_are_the_same(text: str) -> None:
    words = train_tokenizer("word", [text, "x"])
    ids = words.encode(text)
    assert words.encode(words.decode(ids)) == ids


def test_unknown_words_become_one_token() -> None:
    words = train_tokenizer("word", ["a b"])
    assert words.encode("a zebra b") == [words.encode("a")[0], SPECIAL.unk, words.encode("b")[0]]
    assert words.decode(words.encode("a zebra b")) == f"a {UNKNOWN} b"
    assert words.unseen("a zebra, zebra!") == ["zebra", ",", "!"]


# Characters


def test_characters_most_frequent_first() -> None:
    chars = train_tokenizer("char", ["bab", "b a"])
    assert chars.tokens[4:] == (
        "b",
        "a",
        " ",
    )
    assert chars.encode("ab c") == [5, 4, 6, SPECIAL.unk]


def test_rare_characters_and_words_can_be_left_unknown() -> None:
    assert train_tokenizer("char", ["aab"], min_count=2).tokens[4:] == ("a",)
    assert train_tokenizer("word", ["a a b"], min_count=2).tokens[4:] == ("a",)
    assert train_tokenizer("char", ["aaabbc"], vocab_size=6).tokens[4:] == (
        "a",
        "b",
    )


@settings(max_examples=40)
@given(text=TEXT | st.text(alphabet="aAéÉßẞİıſΣςσДдDŽdžＡａ ", max_size=20))
def test_lower_cased_tokens_take_no_notice_of_case(lower_cased: Tokenizer, text: str) -> None:
    lower = "".join(char.lower() if len(char.lower()) == 1 else char for char in text)
    assert lower_cased.encode(text) == lower_cased.encode(lower)
    assert lower_cased.spans(text) == lower_cased.spans(lower)  # of the text as it stands there
    assert lower_cased.unseen(text) == list(dict.fromkeys(char for char in text if not known(lower_cased, char)))


def known(lower_cased: Tokenizer, char: str) -> bool:
    """Whether a character has a token of its own, and need not be spelled in bytes."""
    if char.isspace():
        return char == " "
    return not any(re.fullmatch("<0x..>", lower_cased.tokens[i]) for i in lower_cased.encode(char))


def test_lower_cased_tokens_have_no_capitals(lower_cased: Tokenizer) -> None:
    plain = trained_as("sentencepiece")
    learnt = [token for token in lower_cased.tokens[4:] if not re.fullmatch("<0x..>", token)]
    assert learnt == [token.lower() for token in learnt]
    assert any(token != token.lower() for token in plain.tokens[260:])
    assert plain.encode("The") != plain.encode("the")
    assert lower_cased.unseen("THE") == plain.unseen("the") == []
    assert plain.unseen("THE") == ["E"]


def test_unseen_characters_are_named_once(trained: Tokenizer) -> None:
    if trained.kind != "word":
        assert trained.unseen("cat 龘 龘 𠀀") == ["龘", "𠀀"]


@pytest.mark.slow
@given(text=WRITTEN | TEXT)
def test_an_extended_vocabulary_cuts_what_it_knew_as_before(trained: Tokenizer, text: str) -> None:
    extended = extend_tokenizer(trained, ["Žižek 我 Ω😀", "Ω naïve"])
    assert extended.tokens[: trained.vocab_size] == trained.tokens
    assert extended.vocab_size > trained.vocab_size
    if not set(trained.unseen(text)) - set(extended.unseen(text)):
        assert extended.encode(text) == trained.encode(text)
    assert set(extended.unseen(text)) <= set(trained.unseen(text))
    again: Tokenizer = pickle.loads(pickle.dumps(extended))
    assert (again.tokens, again.encode(text)) == (extended.tokens, extended.encode(text))


def test_new_tokens_are_what_is_new_most_frequent_first() -> None:
    words = extend_tokenizer(train_tokenizer("word", ENGLISH), ["a zebra saw the zebra", "a lynx saw it"], min_count=1)
    assert words.tokens[-4:] == ("saw", "zebra", "it", "lynx")
    characters = extend_tokenizer(train_tokenizer("char", CHINESE), ["狗猫狗", "鸟"])
    assert characters.tokens[-2:] == ("狗", "鸟")
    known = train_tokenizer("char", CHINESE)
    assert extend_tokenizer(known, CHINESE) is known
    assert extend_tokenizer(known, ["狗狗鸟"], min_count=2).tokens[-1] == "狗"


@pytest.mark.parametrize("lowercase", [False, True])
def test_a_new_character_of_sentencepiece_is_one_token_and_no_longer_bytes(lowercase: bool) -> None:
    before = train_tokenizer("sentencepiece", ENGLISH, lowercase=lowercase)
    after = extend_tokenizer(before, ["Žižek"])
    text = "the Ž cat"
    assert len(before.encode(text)) == len(after.encode(text)) + 1  # two bytes
    assert after.decode(after.encode(text)) == (text.lower() if lowercase else text)
    assert (4, 5) in after.spans(text)
    assert after.unseen(text) == []


def test_the_notebooks_vocabulary(shared_data: Path) -> None:
    """The first 100 lines of the notebook's file: characters and three specials make 149."""
    targets = [pair.target for pair in islice(read_pairs(shared_data / "cmn-2018.txt"), 100)]
    chars = train_tokenizer("char", targets)
    assert chars.vocab_size - len(SPECIAL_TOKENS) + 3 == 149


# SentencePiece


@settings(max_examples=40)
@given(text=WRITTEN | TEXT)
def test_nothing_is_lost_but_repeated_spaces(subwords: SentencePieceTokenizer, text: str) -> None:
    assert subwords.decode(subwords.encode(text)) == re.sub(" +", " ", text).strip(" ")


def test_a_character_never_seen_is_its_bytes_and_each_byte_covers_it(subwords: SentencePieceTokenizer) -> None:
    text = "cat 龘 x"
    tokens = [subwords.tokens[i] for i in subwords.encode(text)]
    first = tokens.index("<0xE9>")
    assert tokens[first : first + 3] == ["<0xE9>", "<0xBE>", "<0x98>"]
    assert subwords.spans(text)[first : first + 3] == [(4, 5)] * 3
    assert SPECIAL.unk not in subwords.encode(text)


def test_full_width_punctuation_is_left_alone() -> None:
    found = train_tokenizer("sentencepiece", CHINESE)
    assert found.decode(found.encode("你，我！（ＡＢＣ）")) == "你，我！（ＡＢＣ）"


def test_text_without_spaces_gets_no_leading_mark() -> None:
    chinese = train_tokenizer("sentencepiece", CHINESE)
    assert not chinese.tokens[chinese.encode("猫我")[0]].startswith("\u2581")
    assert train_tokenizer("sentencepiece", ENGLISH).spans("The cat")[0][0] == 0


def test_spans_leave_the_space_before_a_word_out(subwords: SentencePieceTokenizer) -> None:
    text = "The cat sat"
    assert {text[a:b] for a, b in subwords.spans(text)} == {"The", "cat", "sat"}


def test_the_size_is_chosen_from_the_data() -> None:
    assert [default_vocab_size(n) for n in (100, 20_000, 1_000_000)] == [4000, 4000, 8000]


def test_every_character_fits_however_many_there_are() -> None:
    lines = [chr(0x4E00 + i) + chr(0x4E00 + (7 * i) % 3000) for i in range(3000)]
    found = train_tokenizer("sentencepiece", lines)
    assert found.unseen("".join(lines)) == []
    assert found.vocab_size >= 3000


def test_too_small_a_vocabulary_says_how_large_it_must_be() -> None:
    with pytest.raises(UsageError, match=r"too small for 3 characters.*at least 264"):
        train_tokenizer("sentencepiece", ["abc"], vocab_size=100)
    with pytest.raises(UsageError, match="no room"):
        train_tokenizer("char", ["abc"], vocab_size=4)


def test_characters_outside_the_sample_still_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learn, "SAMPLE_LINES", 4)
    lines = ["a cat", "a mat", "a hat", "a bat"] * 8 + ["a rat", "Ω", "a cat"]
    sample = EvenSample(4)
    assert list(sample.watch(lines)) == lines
    assert "Ω" not in sample.lines
    assert train_tokenizer("sentencepiece", lines).unseen("Ω") == []


def test_a_sample_is_spread_evenly_and_bounded() -> None:
    sample = EvenSample(10)
    assert list(sample.watch(map(str, range(95)))) == [str(i) for i in range(95)]
    assert sample.lines == [str(i) for i in range(0, 95, 16)]
    assert sample.seen == 95


def test_an_ordinary_sentencepiece_model_is_refused() -> None:
    import io

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(ENGLISH), model_writer=model, vocab_size=60, hard_vocab_limit=False, minloglevel=2
    )
    with pytest.raises(ModelError, match="pad_id=0"):
        SentencePieceTokenizer(model.getvalue())


def test_it_can_be_sent_to_another_process(subwords: SentencePieceTokenizer) -> None:
    assert pickle.loads(pickle.dumps(subwords)).encode("The cat") == subwords.encode("The cat")


# Choosing, and what can go wrong


def test_auto_takes_characters_where_words_are_not_spaced() -> None:
    assert train_tokenizer("auto", CHINESE).kind == "char"
    assert train_tokenizer("auto", ["ฉันชอบแมว"] * 3).kind == "char"
    assert train_tokenizer("auto", ENGLISH).kind == "sentencepiece"
    assert train_tokenizer("auto", ["나는 고양이를 좋아해요."] * 3).kind == "sentencepiece"


def test_unknown_kinds_are_named() -> None:
    with pytest.raises(UsageError, match="One of: auto, word, char, sentencepiece"):
        train_tokenizer("bpe", ENGLISH)


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"kind": "char"}', b'{"kind": "char", "pieces": ["a"]}', b"\x0anonsense"]
)
def test_a_damaged_file_is_a_model_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(ModelError):
        load_tokenizer(tmp_path / "t")


def test_a_missing_file_is_a_model_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such tokenizer file"):
        load_tokenizer(tmp_path / "t")


def test_tokens_must_be_distinct_and_begin_with_the_special_ones() -> None:
    for tokens in (["a"], [*SPECIAL_TOKENS, "a", "a"]):
        with pytest.raises(ModelError):
            WordTokenizer(tokens)
    with pytest.raises(ModelError, match="not one character"):
        CharTokenizer([*SPECIAL_TOKENS, "ab"])


def test_counting_in_chunks_is_counting() -> None:
    lines = [*["abca", "𠀀a", ""] * 7_000, "c", "cc"]
    counts = Counter("".join(lines))
    assert train_tokenizer("char", lines).tokens[4:] == tuple(sorted(counts, key=lambda char: (-counts[char], char)))
