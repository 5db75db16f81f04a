"""Text in JavaScript is text in Python: tokens, places, cleaning, placeholders and words, on lines of all kinds."""

import io
import json
import random
from collections.abc import Callable, Iterable
from typing import Any, cast

import pytest
import sentencepiece

from attentio.bundle import Side
from attentio.corpora.small_world.grammar import sample
from attentio.errors import UsageError
from attentio.export.described import RANGES, cleaner, side, tokenizer
from attentio.export.described import sentencepiece as described_model
from attentio.text.clean import Cleaner
from attentio.text.learn import train_tokenizer
from attentio.text.numbered import NumberedTokenizer, SpaceTokenizer
from attentio.text.placeholders import mask, restore
from attentio.text.sentences import cut_long, split_sentences
from attentio.text.special import SPECIAL_TOKENS
from attentio.text.tokenizer import CharTokenizer, SentencePieceTokenizer, Tokenizer
from attentio.text.words import word_spans

Js = Callable[[str, object], Any]
ODD = (
    '😀👩🏽\u200d💻🇨🇳éÉñŁøßİıǅΣςσ龘𠀀ªº½²₂Ⅷ፩\u0301\u200d\u00a0\u3000\ufeff…—–“”‘’«»¿¡。，！？.,!?%$#@&*()[]{}<>/\\|~`^_+=-:;"\t'
    "ﬁＡ１٣ह्िاعربไทยкгΩ"
)
ATOMS = [
    "12",
    "3.5",
    "1,000",
    "10:30",
    "{name}",
    "%s",
    "&amp;",
    "<b>",
    "http://a.b/c?d=e.",
    "me@x.org",
    "don't",
    "什么",
]


def lines(count: int, seed: int) -> list[str]:
    """Sentences of the small world in both languages, most of them with strange characters in strange places."""
    draw = random.Random(seed)
    pairs = sample(count // 2, seed=seed)
    found: list[str] = []
    for sentence in [text for pair in pairs for text in (pair.source, pair.target)]:
        chars = list(sentence) if draw.random() < 0.8 else list("".join(draw.choices(ODD, k=draw.randrange(1, 25))))
        for _ in range(draw.randrange(5)):
            chars.insert(
                draw.randrange(len(chars) + 1), draw.choice(ODD) if draw.random() < 0.7 else draw.choice(ATOMS)
            )
        found.append("".join(chars))
    return found


def trained(texts: Iterable[str], size: int = 400, **settings: Any) -> SentencePieceTokenizer:
    model = io.BytesIO()
    cast(Any, sentencepiece.SentencePieceTrainer).train(
        sentence_iterator=iter(texts), model_writer=model, pad_id=0, bos_id=1, eos_id=2, unk_id=3, minloglevel=2,
        num_threads=1, hard_vocab_limit=False, vocab_size=size, **settings,
    )  # fmt: skip
    return SentencePieceTokenizer(model.getvalue())


def numbered(texts: Iterable[str], *, before: str = "", **settings: Any) -> NumberedTokenizer:
    """One as Marian has it: SentencePiece without our special tokens. A third of its tokens is in no vocabulary."""
    model = io.BytesIO()
    cast(Any, sentencepiece.SentencePieceTrainer).train(
        sentence_iterator=iter(texts), model_writer=model, minloglevel=2, num_threads=1, hard_vocab_limit=False,
        vocab_size=500, **settings,
    )  # fmt: skip
    processor = cast(Any, sentencepiece.SentencePieceProcessor)(model_proto=model.getvalue())
    cut = [processor.id_to_piece(i) for i in range(3, processor.get_piece_size())]
    tokens = [token for place, token in enumerate(cut) if place % 3 or token.startswith("<0x")]
    return NumberedTokenizer([*SPECIAL_TOKENS, ">>eng<<", "▁Möwe", *tokens, "😀"], model.getvalue(), before=before)


def tokenizers() -> dict[str, Tokenizer]:
    """Every kind, with and without what may vary in it."""
    pairs = sample(400, seed=3)
    english, chinese = [pair.source for pair in pairs], [pair.target for pair in pairs]
    return {
        "word": train_tokenizer("word", english, 150, placeholders=True),
        "char": train_tokenizer("char", chinese, 100, placeholders=True),
        "lowercase": train_tokenizer("sentencepiece", english, 500, lowercase=True, placeholders=True),
        "chinese": train_tokenizer("sentencepiece", chinese, 1000),
        "unigram": trained(
            english, model_type="unigram", byte_fallback=True, normalization_rule_name="identity",
            user_defined_symbols=["\ue000", "my", "he"],
        ),
        "rules": trained(english, model_type="unigram"),
        "folding": trained(
            english, model_type="bpe", normalization_rule_name="nmt_nfkc_cf", user_defined_symbols=["my", "he", "hea"]
        ),
        "spaces": trained(chinese, 1000, model_type="unigram", byte_fallback=True, normalization_rule_name="nfkc",
                          add_dummy_prefix=False, remove_extra_whitespaces=False),
        "space": SpaceTokenizer([*SPECIAL_TOKENS, *dict.fromkeys(" ".join(english[:50]).split())]),
        "numbered": numbered(english),
        "numbered, bytes": numbered(english, before=">>eng<<", model_type="bpe", byte_fallback=True),
    }  # fmt: skip


@pytest.mark.slow
def test_tokens_of_a_thousand_lines_are_those_of_python(js: Js) -> None:
    found = tokenizers()
    clean = Cleaner()
    texts = [*(clean(line) for line in lines(1000, 11)), ">>eng<< He sleeps.", ">>fra<< He", ">>eng<<"]
    body = """
    const { openTokenizer } = await load("tokenizer.js");
    return Object.fromEntries(Object.entries(given.tokenizers).map(([name, stored]) => {
      const one = openTokenizer(stored, given.ranges);
      return [name, given.texts.map((text) => {
        const ids = one.encode(text);
        return [ids, one.spans(text), one.unseen(text), one.decode(ids)];
      })];
    }));"""
    stored = {name: tokenizer(one) for name, one in found.items()}
    answers = js(body, {"tokenizers": stored, "ranges": RANGES, "texts": texts})
    for name, one in found.items():
        wanted = [[(ids := one.encode(text)), one.spans(text), one.unseen(text), one.decode(ids)] for text in texts]
        wrong = [
            (name, text, want, got)
            for text, want, got in zip(texts, json.loads(json.dumps(wanted)), answers[name], strict=True)
            if want != got
        ]
        assert wrong == []


@pytest.mark.slow
def test_cleaning_placeholders_and_words_are_those_of_python(js: Js) -> None:
    cleaners = [Cleaner(), Cleaner(han=True), Cleaner(han=True, script="simplified")]
    texts = lines(1000, 12)
    body = """
    const { Text } = await load("text.js");
    const text = new Text(given.ranges);
    return given.texts.map((line) => {
      const { text: masked, kept } = text.mask(line);
      const restored = text.restore(masked, kept);
      const cleaned = given.cleaners.map((one) => text.clean(line, one));
      const joined = text.restore(masked.replaceAll(" ", ""), kept, { apart: true });
      const both = [restored, joined].flatMap((one) => [one.text, one.starts, one.ends]);
      return [cleaned, masked, [...kept], both, text.words(line)];
    });"""
    answers = js(body, {"cleaners": [cleaner(one) for one in cleaners], "ranges": RANGES, "texts": texts})
    for line, answer in zip(texts, answers, strict=True):
        masked = mask(line)
        both = [
            *restore(masked.text, masked.kept),
            *restore(masked.text.replace(" ", ""), masked.kept, apart=True),
        ]
        wanted = [[one(line) for one in cleaners], masked.text, [*masked.kept.items()], both, word_spans(line)]
        assert json.loads(json.dumps(wanted)) == answer


SENTENCES = [
    "Mr. Smith went to Washington. He was 3.5 ft. tall.",
    "J. R. Smith came.\n\nReally?  Yes!",
    "我们走吧。“好的。”他说。",
    "a\r\n b\x0bc",
    " ",
    "",
]


def test_sentences_are_cut_and_joined(js: Js) -> None:
    body = """
    const { Text } = await load("text.js");
    const text = new Text(given.ranges);
    return given.texts.map((line) => {
      const found = text.sentences(line, "en");
      const joined = ["x", "好。"].map((one) => text.join(found, found.texts.map(() => one)));
      return [found.texts, found.spaces, ...joined];
    });"""
    for line, answer in zip(SENTENCES, js(body, {"ranges": RANGES, "texts": SENTENCES}), strict=True):
        found = split_sentences(line, "en")
        joined = [found.join([text] * len(found.texts)) for text in ("x", "好。")]
        assert answer == [found.texts, found.spaces, *joined]


def test_long_sentences_are_cut_where_python_cuts(js: Js) -> None:
    texts = ["one, two three; four five six seven", "一二三，四五六七八九十", "abcdefghij" * 3, "a b" * 9, "short"]
    texts += [
        "see http://a.b/c,d?e=f;g now",
        "%d, {some name} and 1,000,000,000",
        "x" * 9 + "<b a, b>" + "y" * 9,
        "a，b，",
    ]
    body = """
    const { Text, lengthOf } = await load("text.js");
    const text = new Text(given.ranges);
    return given.texts.map((line) => text.cut(line, (part) => lengthOf(part) <= 7));"""
    assert js(body, {"ranges": RANGES, "texts": texts}) == [
        cut_long(text, lambda part: len(part) <= 7) for text in texts
    ]


def test_a_table_of_characters_stands_for_a_script() -> None:
    assert cleaner(Cleaner()) == {"han": False, "script": None}
    script = cleaner(Cleaner(han=True, script="traditional"))["script"]
    table = dict(zip(script["from"], script["to"], strict=True))
    assert table["书"] == "書"
    assert "猫" not in cleaner(Cleaner(han=True, script="simplified"))["script"]["from"]


def test_a_side_is_described_as_json() -> None:
    letters = CharTokenizer(["<pad>", "<s>", "</s>", "<unk>", "a"])
    held = json.loads(json.dumps(side(Side(letters, language="en"))))
    assert held["tokenizer"] == {"kind": "char", "tokens": list(letters.tokens)}
    assert held["language"] == "en"


def test_a_rare_kind_of_sentencepiece_is_refused() -> None:
    model = trained([pair.source for pair in sample(300, seed=3)], model_type="char")
    with pytest.raises(UsageError, match="rare kind"):
        described_model(model.model)
