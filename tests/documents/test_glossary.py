"""Glossaries: the longest term counts, case and words as they are defined, and what is damaged is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attentio.documents import Glossary
from attentio.errors import DataError

TSV = """\ufeff# animals
cat\t猫
Cat\t卡特彼勒\ta company
black cat\t黑猫
cat food\t猫粮
\t
it's\t它是
猫\tcat
cat\t猫咪
cat\t猫
C++\tC加加
"""


@pytest.fixture(scope="module")
def glossary() -> Glossary:
    return Glossary.parse(TSV.replace("\t\n", "\n").encode(), "terms.tsv")


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("A cat and a black cat.", ["猫", "黑猫"]),
        ("The cat food of a cat, and cat foods.", ["猫粮", "猫"]),
        ("CAT, a Black Cat", ["猫", "黑猫"]),
        ("Cat sells a cat.", ["卡特彼勒", "猫"]),
        ("catalog, bobcat, cat's, cat-like, cats, cat_1", ["猫"]),
        ("我cat你 三只猫们", ["猫", "cat"]),
        ("C++ c++ C++11 It's", ["C加加", "它是"]),
        ("ca t", []),
    ],
)
def test_which_terms_are_found(glossary: Glossary, text: str, terms: list[str]) -> None:
    assert glossary(text) == terms
    for term in glossary.find(text):
        assert text[slice(*term.span)].lower() == term.source.lower()


def test_what_is_listed_twice_is_said(glossary: Glossary) -> None:
    assert glossary.notes == ("terms.tsv line 9: 'cat' is translated in line 2 already, as '猫'.",)
    assert len(glossary) == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cat 猫", "terms.tsv line 1: no tab"),
        ("# x\ncat\t \n", "terms.tsv line 2: an empty side"),
        ("\tx", "terms.tsv line 1: an empty side"),
    ],
)
def test_damage_gives_one_line(text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Glossary.parse(text.encode(), "terms.tsv")


words = st.text(st.sampled_from("abAB 我"), min_size=1, max_size=3).filter(str.strip).map(str.strip)


@given(st.lists(words, max_size=6, unique=True), st.text(st.sampled_from("abAB 我,"), max_size=15))
def test_found_as_by_trying_all_places(terms: list[str], text: str) -> None:
    """The plain definition: at each place the longest term that stands there alone."""
    glossary = Glossary([(term, term) for term in terms])
    assert hash(glossary) == hash(Glossary([(term, term) for term in terms]))
    found, place = [], 0
    while place < len(text):
        fitting = []
        for term in terms:
            end = place + len(term)
            same = text[place:end] == term or (term == term.lower() and text[place:end].lower() == term)
            inside = any(set(text[at - 1 : at + 1]) <= set("abAB") for at in (place, end) if 0 < at < len(text))
            if same and not inside:
                fitting.append(term)
        if fitting:
            best = max(fitting, key=lambda term: (len(term), not term.islower()))
            found.append((place, best))
            place += len(best)
        else:
            place += 1
    assert [(term.span[0], term.source) for term in glossary.find(text)] == found
