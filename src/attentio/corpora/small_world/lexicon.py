"""The words of the small world, read from `words.txt`, and how English words change their form.

A linguist can add words to that file without reading code. Classes say which words may stand together: a noun of class
``food`` is what ``<... food>`` in `rules.txt` may become. How phrases are built of words is in `grammar.py`.
"""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from attentio.errors import UsageError


class Noun(NamedTuple):
    """One noun: ``plural`` is empty for a mass noun, ``singular`` for a noun with a plural only."""

    singular: str
    plural: str
    chinese: str
    measure: str
    container: str
    unique: bool


class Adjective(NamedTuple):
    """One adjective: ``attributive`` is its Chinese form before a noun, empty where it does not stand there."""

    english: str
    chinese: str
    attributive: str


_VOWELS = ("a", "e", "i", "o", "u")


def read_sections(text: str) -> tuple[int, dict[str, list[str]]]:
    """Return the version of a data file and its lines by section.

    The first line is ``version = N``. A section begins with its name in brackets. Empty lines and lines that begin with
    ``#`` are left out. Raises UsageError where the version is missing or a section is repeated.
    """
    first, *lines = text.splitlines()
    version = re.fullmatch(r"version = (\d+)", first)
    if version is None:
        raise UsageError("small world: the first line of a data file is 'version = N'.")
    sections: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        heading = re.fullmatch(r"\[([a-z ]+)\]", line)
        if heading is not None:
            name = heading[1]
            if name in sections:
                raise UsageError(f"small world: section {name!r} stands there twice.")
            sections[name] = []
        elif line.strip() and not line.lstrip().startswith("#"):
            sections[name].append(line)
    return int(version[1]), sections


@cache
def read_file(name: str) -> tuple[int, dict[str, list[str]]]:
    """Return version and sections of one of the data files beside this module."""
    return read_sections(Path(__file__).with_name(name).read_text(encoding="utf-8"))


def rows(table: str) -> list[list[str]]:
    """Return the rows of a table of `words.txt`, split at spaces."""
    return [line.split() for line in read_file("words.txt")[1][table]]


def word_set(table: str) -> frozenset[str]:
    return frozenset(word for row in rows(table) for word in row)


_IRREGULAR_VERBS = {base: (past, participle) for base, past, participle in rows("irregular verbs")}
_IRREGULAR_ADJECTIVES = {base: (more, most) for base, more, most in rows("irregular adjectives")}
_DOUBLED = word_set("doubled")
_MORE = word_set("more")
_AN_BEFORE, _A_BEFORE = word_set("an before"), word_set("a before")
REPEATABLE = word_set("repeatable")
DETERMINERS = word_set("determiners")


# English inflection


def plural(noun: str) -> str:
    if noun.endswith(("s", "x", "sh", "ch")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in _VOWELS:
        return noun[:-1] + "ies"
    return noun + "s"


def inflect(verb: str, form: str) -> str:
    """Return one form of an English verb: base, s (third person singular), past, done (participle) or ing."""
    if form == "base":
        return verb
    if form == "s":
        irregular = {"be": "is", "have": "has", "do": "does", "go": "goes"}
        return irregular.get(verb) or plural(verb)
    if form in ("past", "done") and verb in _IRREGULAR_VERBS:
        return _IRREGULAR_VERBS[verb][form == "done"]
    stem = verb + verb[-1] if verb in _DOUBLED else verb
    if form == "ing":
        return stem[:-1] + "ing" if stem.endswith("e") and not stem.endswith(("ee", "be")) else stem + "ing"
    if stem.endswith("e"):
        return stem + "d"
    if stem.endswith("y") and stem[-2] not in _VOWELS:
        return stem[:-1] + "ied"
    return stem + "ed"


def compare(adjective: str, form: str) -> tuple[str, ...]:
    """Return the comparative (``er``) or superlative (``est``) of an English adjective, as one or two words."""
    if adjective in _IRREGULAR_ADJECTIVES:
        return (_IRREGULAR_ADJECTIVES[adjective][form == "est"],)
    if adjective in _MORE:
        return ("most" if form == "est" else "more", adjective)
    stem = adjective + adjective[-1] if adjective in _DOUBLED else adjective
    if stem.endswith("y") and stem[-2] not in _VOWELS:
        stem = stem[:-1] + "i"
    return (stem.removesuffix("e") + form,)


def article(following: str) -> str:
    """Return "a" or "an", by the word that follows."""
    vowel = following.lower().startswith(_VOWELS) and following not in _A_BEFORE
    return "an" if vowel or following in _AN_BEFORE else "a"


# Words by class


def read_nouns() -> dict[str, list[Noun]]:
    classes: dict[str, list[Noun]] = {}
    for english, chinese, measure, *tags in rows("nouns"):
        singular, _, given = english.partition("/")
        many = {"": plural(singular), "-": ""}.get(given, given)
        unit, _, container = measure.partition(":")
        for tag in tags:
            noun = Noun(singular.strip("-"), many, chinese, unit.strip("-"), container, tag.endswith("!"))
            classes.setdefault(tag.rstrip("!"), []).append(noun)
    return classes


def read_adjectives() -> dict[str, list[Adjective]]:
    classes: dict[str, list[Adjective]] = {}
    for english, chinese, before, *tags in rows("adjectives"):
        adjective = Adjective(english, chinese, {"-": "", "+的": chinese + " 的"}.get(before, before))
        for tag in tags:
            classes.setdefault(tag, []).append(adjective)
    return classes


def read_words(table: str) -> list[list[str]]:
    """Return the rows of a table of English and Chinese names. An underscore joins the words of one name."""
    return [[row[0].replace("_", " "), *row[1:]] for row in rows(table)]
