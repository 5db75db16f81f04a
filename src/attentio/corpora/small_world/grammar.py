"""The small world: a synchronous English–Chinese grammar whose word links are known by construction.

Each rule of `rules.txt` is one English and one Chinese template. Filling the slots of both with the same phrases gives
a sentence, its translation and the links between their words. This module holds the engine: templates, phrases,
agreement, contractions. The words come from `words.txt`, read by `lexicon.py`. Everything here was written for this
project and is free for any use (CC0).
"""

import re
from bisect import bisect
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from functools import cache
from itertools import accumulate, pairwise
from random import Random
from typing import NamedTuple

from attentio.corpora.small_world import lexicon
from attentio.errors import UsageError

PUNCTUATION = frozenset(".?!,。？！，")


class GrammarPair(NamedTuple):
    """A sentence pair of the small world with its word links, (source word, target word), counted from 0."""

    source_words: tuple[str, ...]
    target_words: tuple[str, ...]
    links: frozenset[tuple[int, int]]
    construction: str

    @property
    def source(self) -> str:
        """The English sentence as written: capital letter, spaces between words."""
        text = "".join(word if word in PUNCTUATION else " " + word for word in self.source_words).lstrip()
        return text[0].upper() + text[1:]

    @property
    def target(self) -> str:
        """The Chinese sentence as written: no spaces, full-width punctuation."""
        return "".join(self.target_words)

    @property
    def source_spans(self) -> tuple[tuple[int, int], ...]:
        """Where each English word stands in `source`, (start, end) in characters."""
        return _spans(self.source, self.source_words)

    @property
    def target_spans(self) -> tuple[tuple[int, int], ...]:
        """Where each Chinese word stands in `target`, (start, end) in characters."""
        return _spans(self.target, self.target_words)


def _spans(text: str, words: Sequence[str]) -> tuple[tuple[int, int], ...]:
    spans: list[tuple[int, int]] = []
    end = 0
    for word in words:
        start = end + (text[end : end + 1] == " ")
        end = start + len(word)
        spans.append((start, end))
    return tuple(spans)


class Phrase(NamedTuple):
    """English and Chinese words with links, and what a sentence around them must know.

    number: the agreement a verb takes with it (1s, 2, 3s, p). owner: the English possessive that refers back to it.
    mark: the place among the Chinese words where 了 or 过 goes.
    """

    english: tuple[str, ...]
    chinese: tuple[str, ...]
    links: frozenset[tuple[int, int]]
    number: str = "3s"
    owner: str = "its"
    mark: int | None = None


class Context(NamedTuple):
    """What an inner phrase must know of the sentence it stands in: how definite its objects are, and its subject."""

    mode: str
    subject: Phrase


class Part(NamedTuple):
    """One part of a template: a literal word, a verb agreeing with a slot (be.s), a slot, or the mark ~."""

    kind: str
    text: str
    form: str
    tags: tuple[str, ...]
    occurrence: int


class Template(NamedTuple):
    """A rule: its two sides, its weight among its fellows, and the modes it may be used in ("" = all)."""

    english: tuple[Part, ...]
    chinese: tuple[Part, ...]
    slots: tuple[str, ...]
    aliases: dict[str, str]
    weight: float
    modes: str
    owner: str
    text: str


_TOKEN = re.compile(r"<([^<>.+]+)(?:[.+]([^<>]+))?>((?:#[^\s#]+)*)|(\S+)")
_LINE = re.compile(r"(?:\[([a-z]*)(?:@([a-z]+))? ?([\d.]*)\] )?(.+) = (.+)")
_ALIAS = re.compile(r"<(\w+)=([^<>.+]+)")


def _parse_side(text: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    seen: dict[str, int] = {}
    for slot, form, slot_tags, literal in _TOKEN.findall(text):
        if slot:
            slot, _, place = slot.partition("@")
            seen[slot] = int(place or seen.get(slot, 0) + 1)
            parts.append(Part("slot", slot, form, tuple(slot_tags.split("#")[1:]), seen[slot]))
            continue
        word, *tags = literal.split("#")
        verb, dot, subject = word.partition(".")
        if word == "~":
            parts.append(Part("mark", "", "", (), 0))
        elif dot and verb and subject:
            parts.append(Part("agree", verb, subject, tuple(tags), 0))
        else:
            parts.append(Part("word", word, "", tuple(tags), 0))
    return tuple(parts)


def parse_rule(line: str) -> Template:
    """Read one rule, ``[modes weight] english = chinese``, and refuse one whose two sides do not fit together."""
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise UsageError(f"grammar rule {line!r}: expected 'english = chinese'")
    modes, owner, weight, left, right = match.groups()
    aliases = dict(_ALIAS.findall(left))
    left = _ALIAS.sub(r"<\1", left)
    english, chinese = _parse_side(left), _parse_side(right)
    slots = tuple(dict.fromkeys(part.text for part in english if part.kind == "slot"))
    missing = set(slots) ^ {part.text for part in chinese if part.kind == "slot"}
    if missing:
        raise UsageError(f"grammar rule {line!r}: slot on one side only: {sorted(missing)}")
    tags = [{tag for part in side for tag in part.tags} for side in (english, chinese)]
    lonely = {tag for tag in tags[0] ^ tags[1] if tag not in slots}
    if lonely:
        raise UsageError(f"grammar rule {line!r}: link tag on one side only: {sorted(lonely)}")
    subjects = {part.form for part in english if part.kind == "agree"} - {*slots, "subject"}
    if subjects:
        raise UsageError(f"grammar rule {line!r}: a verb agrees with a missing slot: {sorted(subjects)}")
    return Template(english, chinese, slots, aliases, float(weight or 1), modes or "", owner or "", line.strip())


def spell_out(line: str) -> list[str]:
    """Return one line for each alternative of ``{a|b}``. ``{}`` repeats it. A line has one choice at most."""
    choice = re.search(r"\{([^{}]+)\}", line)
    if choice is None:
        return [line]
    lines = [line.replace(choice.group(), word).replace("{}", word) for word in choice.group(1).split("|")]
    if any("{" in found for found in lines):
        raise UsageError(f"grammar rule {line!r}: more than one choice in braces")
    return lines


def parse_rules(lines: Iterable[str]) -> dict[str, tuple[float, tuple[Template, ...]]]:
    """Read named groups of rules: an unindented line ``name [weight]``, then its rules, indented."""
    groups: dict[str, tuple[float, list[Template]]] = {}
    name = ""
    for line in lines:
        if not line.startswith(" "):
            name, _, weight = line.partition(" ")
            if name in groups:
                raise UsageError(f"grammar group {name!r} is defined twice")
            groups[name] = (float(weight or 1), [])
        else:
            rules_ = [parse_rule(one) for one in spell_out(line)]
            groups[name][1].extend(rule._replace(weight=rule.weight / len(rules_)) for rule in rules_)
    return {name: (weight, tuple(templates)) for name, (weight, templates) in groups.items()}


@cache
def _rules(section: str) -> dict[str, tuple[float, tuple[Template, ...]]]:
    return parse_rules(lexicon.read_file("rules.txt")[1][section])


_NOUNS = lexicon.read_nouns()
_ADJECTIVES = lexicon.read_adjectives()
_COLORS = tuple(
    lexicon.Adjective(english, chinese, chinese + " 的") for english, chinese in lexicon.read_words("colors")
)
_LIST_NAMES = (
    *("country", "town", "nationality", "language", "subjectmatter", "weekday", "month", "season", "dayofmonth"),
    *("count", "hour", "tens", "amount", "name"),
)
_LISTS = {name: lexicon.read_words(name) for name in _LIST_NAMES}
_LISTS["few"] = _LISTS["count"][:3]
# subject, object, possessive, agreement, Chinese
_PRONOUNS = {
    "my": ("I", "me", "1s", "我"),
    "your": ("you", "you", "2", "你"),
    "his": ("he", "him", "3s", "他"),
    "her": ("she", "her", "3s", "她"),
    "our": ("we", "us", "p", "我们"),
    "their": ("they", "them", "p", "他们"),
}
_OWNERS = tuple(_PRONOUNS)
# The first slot of a rule with one of these names is the subject of the others.
_SUBJECT_SLOTS = ("s", "q", "pronoun", "other", "name", "t")
# Who is meant by "I" and "we" cannot be the object of the same clause.
_SAME = {"my": ("my", "our"), "our": ("my", "our")}
_NOBODY = Phrase((), (), frozenset(), "2", "your")
_BE = {"be": {"1s": "am", "3s": "is"}, "was": {"1s": "was", "3s": "was"}}
_PLURAL_BE = {"be": "are", "was": "were"}

# Which determiners an object takes in each mode, as (determiner, weight), for countable and for mass nouns.
#
# n: going on now, p: past, d: habit, w: wish, ability, command, x: denied, e: ever done, k: skill
_COUNT_DETERMINERS = {
    "n": (("a", 5), ("the", 2), ("own", 2), ("this", 1)),
    "p": (("a", 5), ("the", 2), ("own", 2), ("this", 1), ("that", 1), ("num", 5)),
    "d": (("many", 1),),
    "w": (("a", 5), ("the", 1), ("own", 1), ("this", 2), ("that", 1), ("num", 1)),
    "x": (("role", 4), ("the", 1), ("own", 1), ("this", 1), ("that", 1)),
    "e": (("this", 2), ("that", 1)),
    "b": (("a", 1),),
    "k": (("many", 1),),
}
_MASS_DETERMINERS = {
    "n": (("many", 3), ("cup", 1)),
    "p": (("many", 2), ("cup", 3), ("some", 1)),
    "w": (("many", 3), ("cup", 2), ("some", 1)),
    **dict.fromkeys("dxek", (("many", 1),)),
}
_OTHERWISE = (_COUNT_DETERMINERS["w"], _MASS_DETERMINERS["w"])
_DEFINITE = (("the", 2), ("this", 2), ("that", 2), ("own", 2))
_DETERMINERS = lexicon.DETERMINERS
# Determiners after which an adjective may stand. "def" opens a sentence that has an adjective already.
_QUALIFIED = frozenset(("obj", "a", "that", "the", "own", "num"))
# Classes of which one does not say "my" as a matter of course.
_UNOWNED = frozenset(("film", "food", "fruit", "drink", "song", "asked", "place", "animal", "wild", "write", "told"))
# Things of which one has two or three rather than nine.
_FEW = frozenset(("home", "vehicle", "device", "sibling", "pet", "furniture", "nature"))
_SPOUSES = {"wife": ("my", "his", "your"), "husband": ("my", "her", "your")}
_COLORED = frozenset(("wear", "vehicle", "bike", "puton"))
_FEMALE = frozenset(row[0] for row in lexicon.rows("nouns") if "her" in row) | {"woman", "girl", "nurse"}


class Choice(NamedTuple):
    """Alternatives by name, with their weights and running sums."""

    names: tuple[str, ...]
    weights: tuple[float, ...]
    sums: tuple[float, ...]


def _choice(group: str, names: Iterable[str], weights: Iterable[float] | None = None) -> Choice:
    names = tuple(f"{group} {name}" for name in names)
    weights = tuple(weights) if weights is not None else (1.0,) * len(names)
    return Choice(names, weights, tuple(accumulate(weights)))


@cache
def _construction_choice() -> Choice:
    return _choice("construction", constructions(), [weight for weight, _ in _rules("sentences").values()])


@cache
def _sentence_choice(name: str) -> tuple[tuple[Template, ...], Choice]:
    fellows = _rules("sentences")[name][1]
    return fellows, _choice(name, (rule.text for rule in fellows), (rule.weight for rule in fellows))


@cache
def _phrase_choice(name: str, mode: str) -> tuple[tuple[Template, ...], Choice]:
    """Return the rules of a group that may be used in a mode. A rule without modes may be used in all."""
    if name not in _rules("phrases"):
        raise UsageError(f"grammar: no phrase group {name!r}")
    fellows = tuple(rule for rule in _rules("phrases")[name][1] if not rule.modes or not mode or mode in rule.modes)
    if not fellows:
        raise UsageError(f"grammar: no rule of {name!r} for mode {mode!r}")
    return fellows, _choice(name + mode, (rule.text for rule in fellows), (rule.weight for rule in fellows))


@cache
def _noun_choice(kind: str, determiner: str) -> tuple[tuple[lexicon.Noun, ...], Choice]:
    nouns = tuple(noun for noun in _NOUNS[kind] if _fits(noun, determiner))
    if not nouns:
        raise UsageError(f"grammar: no noun of class {kind!r} goes with {determiner!r}")
    return nouns, _choice("noun", (noun.singular + noun.plural for noun in nouns))


@cache
def _adjective_choice(kind: str, attributive: bool) -> tuple[tuple[lexicon.Adjective, ...], Choice]:
    words = tuple(word for word in _ADJECTIVES.get(kind, ()) if word.attributive or not attributive)
    if attributive and kind in _COLORED:
        words += _COLORS
    return words, _choice("attribute" if attributive else "adjective", (word.english for word in words))


_COLOR_CHOICE = _choice("color", (word.english for word in _COLORS))
_LIST_CHOICES = {name: _choice(name, (row[0] for row in rows)) for name, rows in _LISTS.items()}
# One has two or three of a thing more often than nine.
_LIST_CHOICES["count"] = _choice("count", (row[0] for row in _LISTS["count"]), (5, 4, 3, 2, 1, 1, 1, 1, 1))
_PRONOUN_CHOICE = _choice("pronoun", _PRONOUNS, (4, 3, 3, 3, 2, 2))


@cache
def _determiner_choice(wanted: str, kind: str, mode: str, noun: lexicon.Noun) -> tuple[tuple[str, ...], Choice]:
    """Return the determiners that "obj" and "def" may become before this noun."""
    mass = not noun.plural
    if wanted == "def":
        table = _DEFINITE
    else:
        table = (_MASS_DETERMINERS if mass else _COUNT_DETERMINERS).get(mode, _OTHERWISE[mass])
    allowed = [
        (determiner, weight)
        for determiner, weight in table
        if not (determiner == "own" and kind in _UNOWNED)
        and not (determiner == "cup" and not noun.container)
        and not (determiner in ("this", "that") and mass and not noun.container)
    ]
    if not noun.singular:
        allowed = [(d, w) for d, w in allowed if d in ("own", "the", "many")]
        if wanted == "def" or mode not in ("d", "k"):
            allowed.append(("these", 1))
    names = tuple(determiner for determiner, _ in allowed)
    return names, _choice("determiner " + wanted + mode, names, (weight for _, weight in allowed))


class _Sampler:
    """Draws phrases. Of two candidates it keeps the one used less so far, so that every word gets its turn."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._used: dict[str, int] = {}

    def chance(self) -> float:
        return self._random.random()

    def pick(self, choice: Choice) -> int:
        if len(choice.names) == 1:
            return 0
        total, used = choice.sums[-1], self._used
        first = bisect(choice.sums, self._random.random() * total)
        second = bisect(choice.sums, self._random.random() * total)
        burden = [used.get(choice.names[i], 0) / choice.weights[i] for i in (first, second)]
        best = first if burden[0] <= burden[1] else second
        used[choice.names[best]] = used.get(choice.names[best], 0) + 1
        return best

    def sentence(self) -> tuple[str, Phrase]:
        """Return the name of a construction and a sentence of it, its English not yet contracted."""
        name = constructions()[self.pick(_construction_choice())]
        fellows, choice = _sentence_choice(name)
        return name, self.compose(fellows[self.pick(choice)], Context("", _NOBODY))

    def pair(self, seen: Container[tuple[str, ...]]) -> GrammarPair:
        """Return a whole pair whose English has not been seen."""
        for _ in range(1000):
            name, phrase = self.sentence()
            if not repeats_itself(phrase):
                phrase = link_punctuation(phrase)
                phrase = _spell(contract(phrase, formal=self.chance() < 0.2))
                if phrase.english not in seen:
                    return GrammarPair(phrase.english, phrase.chinese, phrase.links, name)
        raise UsageError("grammar: no new sentence in 1,000 trials: ask for fewer")

    # Filling templates

    def compose(self, rule: Template, context: Context) -> Phrase:
        """Fill both sides of a rule. The first slot named like a subject is the subject of the others."""
        subject = context.subject
        if rule.owner and not subject.english:
            subject = subject._replace(owner=rule.owner)
        known = subject
        filled: dict[str, Phrase] = {}
        for slot in sorted(rule.slots, key=lambda s: s.rstrip("0123456789") not in _SUBJECT_SLOTS):
            filled[slot] = self.expand(rule.aliases.get(slot, slot), Context(context.mode, subject))
            if subject is known and slot.rstrip("0123456789") in _SUBJECT_SLOTS:
                subject = filled[slot]
        filled["subject"] = context.subject
        return assemble(rule, filled)

    def expand(self, slot: str, context: Context) -> Phrase:
        name, _, mode = slot.rstrip("0123456789").partition(":")
        context = Context(mode or context.mode, context.subject)
        head, _, kind = name.partition(" ")
        if kind and head in _DETERMINERS:
            return self.noun_phrase(head, kind, context)
        if head == "adj":
            words, choice = _adjective_choice(kind, False)
            word = words[self.pick(choice)]
            return _linked((word.english,), (word.chinese,))
        if head == "color":
            word = _COLORS[self.pick(_COLOR_CHOICE)]
            return _linked((word.english,), (word.chinese,))
        if head == "ones":
            return Phrase((context.subject.owner,), (), frozenset())
        if head in _LISTS:
            return self.listed(head, context)
        if head in ("pronoun", "other", "whose", "objectpronoun"):
            return self.pronoun(head, context)
        fellows, choice = _phrase_choice(head, context.mode)
        return self.compose(fellows[self.pick(choice)], context)

    # Words

    def listed(self, head: str, context: Context) -> Phrase:
        """Return a word of a list (a name, a number, a weekday, …), but not the subject again."""
        row = _LISTS[head][self.pick(_LIST_CHOICES[head])]
        while (row[0],) == context.subject.english:
            row = _LISTS[head][self.pick(_LIST_CHOICES[head])]
        return _linked(tuple(row[0].split()), (row[1],))._replace(owner=row[2] if head == "name" else "its")

    def pronoun(self, head: str, context: Context) -> Phrase:
        """Return a pronoun: any subject, other (he, she, they), objectpronoun (me, you, …) or whose (my, your, …)."""
        taken = _SAME.get(context.subject.owner, (context.subject.owner,)) if head in ("other", "objectpronoun") else ()
        owner = _OWNERS[self.pick(_PRONOUN_CHOICE)]
        while owner in taken or (head == "other" and owner not in ("his", "her", "their")):
            owner = _OWNERS[self.pick(_PRONOUN_CHOICE)]
        subject, object_, number, chinese = _PRONOUNS[owner]
        if head == "whose":
            return _linked((owner,), (chinese, "的"))
        word = object_ if head == "objectpronoun" else subject
        return _linked((word,), (chinese,))._replace(number=number, owner=owner)

    def noun_phrase(self, determiner: str, kind: str, context: Context) -> Phrase:
        nouns, choice = _noun_choice(kind, determiner)
        noun = nouns[self.pick(choice)]
        wanted = determiner
        if determiner in ("obj", "def"):
            names, determiners = _determiner_choice(determiner, kind, context.mode, noun)
            determiner = names[self.pick(determiners)]
        qualities, attributes = _adjective_choice(kind, True)
        quality = None
        if qualities and {wanted, determiner} <= _QUALIFIED and self.chance() < 0.17:
            quality = qualities[self.pick(attributes)]
        return name_it(self.determine(determiner, kind, noun, context), quality, noun, determiner)

    def determine(self, determiner: str, kind: str, noun: lexicon.Noun, context: Context) -> Phrase:
        """Return the determiner with its measure word, linked."""
        if determiner in ("own", "my", "your"):
            return self.possessive(determiner, noun, context)
        if determiner == "num":
            number = self.listed("few" if kind in _FEW else "count", context)
            return _linked(number.english, (*number.chinese, noun.measure))
        return determined(determiner, noun)

    def possessive(self, determiner: str, noun: lexicon.Noun, context: Context) -> Phrase:
        """Return my, Tom's, my father's and the like. Kin follows its owner without 的."""
        owner = "your" if determiner == "your" else context.subject.owner
        close = noun in _NOUNS["kin"] or noun in _NOUNS["folks"]
        if determiner == "my" or (determiner == "own" and not close and self.chance() < 0.3):
            other = self.chance()
            if other < 0.12 and noun.singular not in _SPOUSES:
                name = self.listed("name", context)
                return _linked((name.english[0] + "'s",), (name.chinese[0], "的"))
            if other < 0.22 and not close:
                kin = self.noun_phrase("own", "kin", context)
                english = (*kin.english[:-1], kin.english[-1] + "'s")
                return Phrase(english, (*kin.chinese, "的"), kin.links | {(len(english) - 1, len(kin.chinese))})
            owner = _OWNERS[self.pick(_PRONOUN_CHOICE)]
        spouses = _SPOUSES.get(noun.singular, ())
        if spouses and owner not in spouses:
            owner = spouses[0]
        chinese = _PRONOUNS[owner][3]
        return _linked((owner,), (chinese,) if close else (chinese, "的"))


def determined(determiner: str, noun: lexicon.Noun) -> Phrase:
    """Return an article, demonstrative or question word with the measure word of the noun."""
    unit = noun.measure or "些"
    plain = Phrase((), (), frozenset())
    match determiner:
        case "a":
            return _linked(("a",), ("一", unit))
        case "this":
            return _linked(("this",), ("这", unit))
        case "the" if noun.unique or not noun.plural or not noun.singular:
            return plain._replace(english=("the",))
        case "the" | "that":
            return _linked((determiner,), ("那", unit))
        case "these" | "those":
            paired = not noun.singular and not noun.container
            return _linked((determiner,), ("这" if determiner == "these" else "那", unit if paired else "些"))
        case "sole":
            return plain._replace(english=("the",))
        case "role":
            return plain._replace(english=("a",))
        case "which":
            return _linked(("which",), ("哪", unit))
        case "howmany":
            return _linked(("how", "many"), ("几", unit))
        case "some":
            return _linked(("some",), ("一些",))
        case "cup":
            return Phrase(("a", noun.container, "of"), ("一", noun.measure), frozenset({(0, 0), (1, 1)}))
        case _:
            return plain


def _fits(noun: lexicon.Noun, determiner: str) -> bool:
    if determiner == "howmany":
        return bool(noun.plural)
    if determiner in ("this", "that"):
        return bool(noun.singular and (noun.plural or noun.container))
    if determiner in ("a", "num", "which", "role", "lone"):
        return bool(noun.singular and noun.plural)
    if determiner in ("these", "those", "plural"):
        return bool(noun.plural)
    if determiner == "cup":
        return bool(noun.container)
    return True


def _linked(english: tuple[str, ...], chinese: tuple[str, ...]) -> Phrase:
    return Phrase(english, chinese, frozenset((i, j) for i in range(len(english)) for j in range(len(chinese))))


def _joined(phrases: Iterable[Phrase]) -> Phrase:
    english: tuple[str, ...] = ()
    chinese: tuple[str, ...] = ()
    links: set[tuple[int, int]] = set()
    for phrase in phrases:
        links |= {(i + len(english), j + len(chinese)) for i, j in phrase.links}
        english += phrase.english
        chinese += phrase.chinese
    return Phrase(english, chinese, frozenset(links))


def name_it(before: Phrase, quality: lexicon.Adjective | None, noun: lexicon.Noun, determiner: str) -> Phrase:
    """Return determiner, adjective and noun as one phrase, with its number and the possessive that refers to it."""
    many = not noun.singular or (
        determiner in ("these", "those", "num", "howmany", "many", "plural") and bool(noun.plural)
    )
    words = tuple((noun.plural if many else noun.singular).split("_"))
    parts = [before]
    if quality:
        parts.append(_linked((quality.english,), tuple(quality.attributive.split())))
    parts.append(_linked(words, (noun.chinese,)))
    owner = "their" if many else "her" if noun.singular in _FEMALE else "his"
    return _joined(parts)._replace(number="p" if many else "3s", owner=owner)


# Assembling a rule


def assemble(rule: Template, filled: dict[str, Phrase]) -> Phrase:
    """Put phrases into both sides of a rule and work out agreement, inflection, aspect and links."""
    places: dict[tuple[str, int], int] = {}
    tagged: dict[str, list[int]] = {}
    english: list[str] = []
    links: set[tuple[int, int]] = set()
    inner: dict[tuple[str, int], frozenset[tuple[int, int]]] = {}
    for part in rule.english:
        start = len(english)
        if part.kind == "slot":
            phrase = filled[part.text]
            places[part.text, part.occurrence] = start
            words, moved = _inflected(phrase, _form(part.form, filled))
            inner[part.text, part.occurrence] = moved
            english.extend(words)
        elif part.kind == "agree":
            english.append(agree(part.text, filled[part.form].number))
        else:
            english.append(part.text)
        for tag in part.tags:
            tagged.setdefault(tag, []).extend(range(start, len(english)) if part.kind == "slot" else [start])
    chinese: list[str] = []
    mark: int | None = None
    for part in rule.chinese:
        start = len(chinese)
        ends: list[int] = [start]
        if part.kind == "mark":
            mark = start
            continue
        if part.kind == "slot":
            phrase = filled[part.text]
            key = (part.text, part.occurrence)
            offset = places.get(key)
            at = len(phrase.chinese) if phrase.mark is None else phrase.mark
            words = list(phrase.chinese)
            if part.form:
                words.insert(at, part.form)
            if offset is not None:
                for i, j in inner[key]:
                    links.add((offset + i, start + j + (bool(part.form) and j >= at)))
                if part.form:
                    links.add((offset, start + at))
            elif mark is None and phrase.mark is not None:
                mark = start + phrase.mark
            chinese.extend(words)
            ends = list(range(start, len(chinese)))
            if phrase.mark is not None and mark is None and not part.form:
                mark = start + phrase.mark
        else:
            chinese.append(part.text)
        for tag in part.tags:
            for i in tagged.get(tag, ()):
                links.update((i, j) for j in ends)
            for (slot, _), offset in places.items():
                if slot == tag:
                    links.update((offset, j) for j in ends)
    first_english, first_chinese = rule.english[0], next(p for p in rule.chinese if p.kind != "mark")
    if first_english.kind == first_chinese.kind == "word" and not first_english.tags and not first_chinese.tags:
        links.add((0, 0))
    number, owner = "3s", "its"
    if rule.owner:
        number, owner = _PRONOUNS[rule.owner][2], rule.owner
    elif rule.english[0].kind == "slot":
        number, owner = filled[rule.english[0].text].number, filled[rule.english[0].text].owner
    return Phrase(tuple(english), tuple(chinese), frozenset(links), number, owner, mark)


def _form(form: str, filled: dict[str, Phrase]) -> str:
    if form in filled:
        return "s" if filled[form].number == "3s" else "base"
    return form


def _inflected(phrase: Phrase, form: str) -> tuple[tuple[str, ...], frozenset[tuple[int, int]]]:
    if not form:
        return phrase.english, phrase.links
    head, *rest = phrase.english
    if form in ("er", "est"):
        words = lexicon.compare(head, form)
        extra = len(words) - 1
        links = {(i + extra, j) for i, j in phrase.links} | {(0, j) for i, j in phrase.links if i == 0}
        return (*words, *rest), frozenset(links)
    return (lexicon.inflect(head, form), *rest), phrase.links


def agree(verb: str, number: str) -> str:
    """Return the present form of a verb (or "was") after a subject of this number."""
    if verb in _BE:
        return _BE[verb].get(number, _PLURAL_BE[verb])
    return lexicon.inflect(verb, "s" if number == "3s" else "base")


def link_punctuation(phrase: Phrase) -> Phrase:
    """Link stop to stop, commas to commas where there are as many, and 吗, 吧 or 呢 to the stop it goes with."""
    english, chinese = phrase.english, phrase.chinese
    links = {(len(english) - 1, len(chinese) - 1)}
    commas = [[i for i, word in enumerate(side) if word in (",", "，")] for side in (english, chinese)]
    if len(commas[0]) == len(commas[1]):
        links.update(zip(*commas, strict=True))
    if chinese[-2] in ("吗", "呢", "吧") and all(j != len(chinese) - 2 for _, j in phrase.links):
        links.add((len(english) - 1, len(chinese) - 2))
    return phrase._replace(links=phrase.links | links)


# Contractions and spelling

_CONTRACTED = {
    **{(v, "not"): f"{v}n't" for v in ("do", "does", "did", "is", "are", "was", "were", "have", "has", "should")},
    ("will", "not"): "won't",
    ("can", "not"): "can't",
    ("I", "am"): "I'm",
    **{(p, "are"): f"{p}'re" for p in ("you", "we", "they")},
    **{(p, "is"): f"{p}'s" for p in ("he", "she", "it", "that")},
    **{(p, "will"): f"{p}'ll" for p in ("I", "you", "he", "she", "we", "they", "it")},
    **{(p, "would"): f"{p}'d" for p in ("I", "you", "he", "she", "we", "they")},
}
_CONTRACTED_FIRST = {(w, "is"): f"{w}'s" for w in ("what", "where", "who", "how", "there", "when")}
_SUBJECTS = frozenset(subject for subject, *_ in _PRONOUNS.values()) | {"it"}
_ALWAYS = {("let", "us"): "let's", ("can", "not"): "cannot"}
_MERGED = frozenset(second for _, second in (*_CONTRACTED, *_CONTRACTED_FIRST, *_ALWAYS))


def contract(phrase: Phrase, formal: bool) -> Phrase:
    """Merge "do not" into "don't" and "I am" into "I'm". Formal English merges only what is always merged."""
    words = phrase.english
    if not _MERGED.intersection(words):
        return phrase
    english: list[str] = []
    place: list[int] = []
    i = 0
    while i < len(words):
        pair = (words[i], words[i + 1]) if i + 1 < len(words) else ("", "")
        # "isn't he", never "is not he"
        inverted = pair[1] == "not" and not _SUBJECTS.isdisjoint(words[i + 2 : i + 3])
        merged = _ALWAYS.get(pair) if formal and not inverted else _CONTRACTED.get(pair) or _ALWAYS.get(pair)
        if not merged and not formal and i == 0:
            merged = _CONTRACTED_FIRST.get(pair)
        before_stop = i + 2 < len(words) and words[i + 2] in PUNCTUATION and pair[1] != "not"
        followed_by_not = not formal and i + 2 < len(words) and words[i + 2] == "not" and pair[1] not in ("am", "us")
        after_and = i > 0 and words[i - 1] == "and" and pair[1] != "not"  # "Tom and I will", not "Tom and I'll"
        if merged and not before_stop and not followed_by_not and not after_and:
            place += [len(english)] * 2
            english.append(merged)
            i += 2
        else:
            place.append(len(english))
            english.append(words[i])
            i += 1
    return phrase._replace(english=tuple(english), links=frozenset((place[i], j) for i, j in phrase.links))


def _spell(phrase: Phrase) -> Phrase:
    """Choose a or an. 不 before 有 becomes 没 (不有用 is 没用)."""
    words = phrase.english
    spelled = (lexicon.article(words[i + 1]) if word == "a" else word for i, word in enumerate(words))
    chinese = list(phrase.chinese)
    for j, (word, following) in enumerate(pairwise(phrase.chinese)):
        if word == "不" and following.startswith("有") and following != "有":
            chinese[j : j + 2] = ["没", following[1:]]
    return phrase._replace(english=tuple(spelled), chinese=tuple(chinese))


def version() -> str:
    """Return the versions of rules and words, such as "1.1": equal versions give equal samples."""
    return ".".join(str(lexicon.read_file(name)[0]) for name in ("rules.txt", "words.txt"))


def sample(count: int, seed: int = 0) -> list[GrammarPair]:
    """Draw ``count`` pairs, no two with the same English sentence. The same call gives the same pairs everywhere.

    Raises `UsageError` where ``count`` is negative or more than the grammar can supply.
    """
    if count < 0:
        raise UsageError(f"grammar: cannot sample {count} sentences")
    sampler = _Sampler(seed)
    seen: set[tuple[str, ...]] = set()
    met: Counter[str] = Counter()
    pairs: list[GrammarPair] = []
    while len(pairs) < count:
        # Every other sentence is the best of three candidates, the one with the rarest word: no word is left out.
        candidates = [sampler.pair(seen) for _ in range(1 + 2 * (len(pairs) % 2))]
        pair = min(candidates, key=lambda pair: min(met[word] for word in pair.source_words))
        seen.add(pair.source_words)
        met.update(pair.source_words)
        pairs.append(pair)
    return pairs


def repeats_itself(phrase: Phrase) -> bool:
    """Return whether a content word occurs twice ("dogs or dogs") or two equal Chinese words stand side by side."""
    words = [word for word in phrase.english if word not in lexicon.REPEATABLE]
    if len(set(words)) < len(words) and "and" in phrase.english:
        pairs = set(zip(phrase.english, phrase.english[2:], strict=False))
        words = [word for word in words if (word, word) not in pairs]
    return len(set(words)) < len(words) or any(
        a == b for side in (phrase.english, phrase.chinese) for a, b in pairwise(side)
    )


def constructions() -> list[str]:
    """Return the names of all constructions, in the order of `rules.txt`."""
    return list(_rules("sentences"))
