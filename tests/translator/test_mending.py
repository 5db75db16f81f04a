"""What must be kept is kept, by any model, and terms are forced or named. 200 sentences of our own."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import torch

from attentio.bundle import Architecture, Bundle
from attentio.model.families import build_model
from attentio.runtime.tensors import arrays_on
from attentio.search.batched import Asked, SearchConfig
from attentio.text.kept import unkept
from attentio.text.learn import train_tokenizer
from attentio.text.placeholders import kept_spans
from attentio.text.script import stands_alone
from attentio.text.side import Side
from attentio.text.special import SPECIAL
from attentio.translator import Part, Translation, Translator
from attentio.translator.mending import Mender

PATTERNS = [
    "My sister has {0} books {7}.",
    "Hello, {1}! Your book is at {0}.",
    "Is the teacher at {2}, {1}?",
    "Write to {3} before {0}.",
    "<b>My brother</b> bought {0} apples {4}",
    'See <a href="{2}">my house</a>, {1}.',
    "{4} I love you {7}.",
    "{1} has {0} of {0} cats, and {5} dogs.",
    "The train comes at {6}, not at {0}.",
    "{2} {3} {1} {0} {4} {5} {6} <br/> and <i>more</i>",
]
FILLERS = [
    ["3", "1,000", "3.5%", "2026-11-27", "12:30"],
    ["{name}", "%s", "%(user)d", "${total}", "{{ first }}"],
    [
        "https://a.example/b?c=d&e=f#g",
        "www.example.org/x",
        "http://127.0.0.1:8000/",
        "ftp://c.example",
        "http://x.cn/%20",
    ],
    ["a.b+c@mail.example.org", "me@example.com", "x_y@example.co.uk", "n@d.example", "1@2.example"],
    [
        "\U0001f600",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\U0001f1e9\U0001f1ea",
        "3\ufe0f\u20e3",
        "\u2764\ufe0f",
    ],
    ["42", "7", "%d", "&amp;", "0.5"],
    ["9:15", "23:59", "10", "{time}", "%H:"],
    ["yesterday", "today", "now", "with my father", "very much"],
]
SENTENCES = [
    pattern.format(*(row[(number + shift * (number // 5)) % 5] for shift, row in enumerate(FILLERS, 1)))
    for pattern, number in product(PATTERNS, range(20))
]


def test_there_are_200_sentences_that_have_something_to_keep() -> None:
    assert len(set(SENTENCES)) == 200
    assert all(kept_spans(text) for text in SENTENCES)
    assert sum(len(kept_spans(text)) > 8 for text in SENTENCES) == 20  # more than there are placeholders


@pytest.fixture(scope="module")
def translator() -> Translator:
    """The model that comes with the package. It knows no placeholders and has seen no digit."""
    return Translator.load("small-world", device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("beam", [1, 5])
def test_200_of_200_sentences_keep_everything(translator: Translator, beam: int) -> None:
    found = translator.translate(SENTENCES, SearchConfig(beam))
    assert [text for text, each in zip(SENTENCES, found, strict=True) if unkept(text, each.text)] == []
    assert not any(each.lost for each in found)
    for text, each in zip(SENTENCES, found, strict=True):
        place = 0
        for start, end in kept_spans(text):  # in the order of the source
            place = each.text.index(text[start:end], place) + end - start
    assert all(any(map(stands_alone, each.text)) for each in found)  # and there is Chinese around it


@pytest.mark.slow
def test_what_is_kept_stands_between_translations(translator: Translator) -> None:
    text = "I love {name}. See https://a.example/b, my friend."
    (found,) = translator.translate([text], SearchConfig(2), trace=True)
    between = translator.translate(["I love", "See", ", my friend."], SearchConfig(2))
    assert [leaf.text for leaf in found.leaves()] == [
        *(between[0].text, "{name}", "."),
        *(between[1].text, "https://a.example/b", between[2].text),
    ]
    assert found.around == ("{name}", "https://a.example/b")
    assert [leaf.trace is not None for leaf in found.leaves()] == [True, False, False, True, False, True]


def test_what_is_only_kept_is_copied(translator: Translator) -> None:
    texts = ["https://a.example/" + "b" * 2_000, "12:30", "<br/>", f'{SENTENCES[0]} <a href="{"x" * 190}">', "{a}"]
    found = translator.translate(texts, prefix=["", "", "", "", "我"])
    assert [each.text for each in found][:3] == texts[:3]
    assert found[3].text.endswith(texts[3][-199:])
    assert found[4].text.startswith("我")


def test_a_limit_of_tokens_is_kept_and_the_loss_is_said(translator: Translator) -> None:
    (found,) = translator.translate(["My sister has 3 books."], SearchConfig(1, max_length=3))
    assert (found.lost, found.around) == (("3",), ())


@pytest.mark.parametrize("limit", [None, 4, 6])
def test_lost_placeholders_are_found_again_alone_and_in_company(limit: int | None) -> None:
    """Also where another sentence has more of them than its limit holds. The model is of random weights."""
    texts = ["I have 2 dogs.", "See 7 cats, {name}.", "1.5 a 22 b 33 c 44 d 55 e 66 f", "I bought 3 apples at 12:30."]
    tokenizer = train_tokenizer("char", texts, 40, placeholders=True)
    sections = {"model": {"family": "rnn", "hidden_size": 8, "embedding_size": 8}, "attention": {}}
    architecture = Architecture.model_validate(sections)
    torch.manual_seed(0)
    model = build_model(architecture.model, architecture.attention, tokenizer.vocab_size, tokenizer.vocab_size)
    side = Side(tokenizer)
    bundle = Bundle(architecture, model.unique_state_dict(), side, side, 64, longest_source=40, placeholders=True)
    translator, config = Translator(bundle, device="cpu"), SearchConfig(1, max_length=limit)
    found = translator.translate(texts, config)
    assert [(each.text, each.lost) for each in found] == [
        (each.text, each.lost) for text in texts for each in translator.translate([text], config)
    ]
    assert [bool(each.lost) for each in found] == [False, False, limit == 4, False]


@pytest.mark.slow
def test_terms_are_forced_where_they_are_missing(translator: Translator) -> None:
    texts = ["My sister has a cat.", "My sister has a dog.", "I love you."]
    plain = translator.translate(texts, SearchConfig(5))
    terms = {"My sister has a cat.": ["朋友"], "My sister has a dog.": ["狗"]}
    asked: list[str] = []

    def wanted(sentence: str) -> list[str]:
        asked.append(sentence)
        return terms.get(sentence, [])

    found = translator.translate(texts, SearchConfig(5), terms=wanted)
    assert asked == texts
    assert "朋友" not in plain[0].text
    assert "朋友" in found[0].text
    assert found[1:] == plain[1:]  # which has the term already
    assert not any(each.unforced for each in found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("my sister is here.", True),
        ("sister", True),
        ("sisters are here.", False),
        ("Is my (sister's) cat here?", False),
    ],
)
def test_a_term_is_a_word_where_words_have_spaces(translator: Translator, text: str, written: bool) -> None:
    """In English a term is no part of another word. It follows a space, which a bracket is not."""
    bundle = replace(translator.bundle, target=translator.bundle.source)
    constraints: list[Any] = []

    def search(parts: Sequence[Part], _: SearchConfig, asked: Asked) -> list[Translation]:
        constraints.append(asked.constraint)
        return [Translation(part.text, text, 0.0) for part in parts]

    found = [Translation("my", "nothing", 0.0)]
    Mender(bundle, search, SearchConfig(), Asked(), lambda _: True).mend(
        [Part("my", {}, 0)], found, lambda _: ["sister"]
    )
    (constraint,) = constraints
    state = constraint.start(1, arrays_on(torch.device("cpu")))
    for token in bundle.target.tokenizer.encode(text):
        state = constraint.advance(state, torch.tensor([0]), torch.tensor([token]))
    assert (constraint.missing(state)[0, SPECIAL.eos].item() == 0) == written
    assert found[0].unforced == (("sister",) if "sisters" in text else ())


@pytest.mark.slow
def test_terms_that_cannot_be_forced_are_said(translator: Translator) -> None:
    def wanted(sentence: str) -> list[str]:
        return ["龘", "朋友"] if "cat" in sentence else []

    found = translator.translate(["My sister has a cat. I love you.", "3 cats"], SearchConfig(5), terms=wanted)
    assert "朋友" in found[0].text
    assert found[0].unforced == ("龘",)
    assert found[1].text.startswith("3 ")
    assert "朋友" in found[1].text  # between what is kept
    assert found[1].unforced == ("龘",)
