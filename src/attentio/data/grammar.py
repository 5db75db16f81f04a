"""The small world: a synchronous English–Chinese grammar whose word links are known by construction.

Each rule of `attentio.data.constructions` is one English and one Chinese template, written together; filling the slots
of both with the same phrases yields a sentence, its translation and the links between their words. This module holds
the engine (templates, phrases, agreement, contractions) and the public functions `sample`, `constructions` and
`vocabulary`. The words themselves live in `attentio.data.lexicon`. Everything in it was written for this project
and is free for any use (CC0).
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import accumulate
from random import Random
from typing import NamedTuple

from attentio.data import constructions as rules
from attentio.data import lexicon
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
        text = "".join(
            word if i == 0 or word in PUNCTUATION else " " + word for i, word in enumerate(self.source_words)
        )
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

    ``number`` is the agreement a verb takes with it (1s, 2, 3s, p), ``owner`` the English possessive that refers back
    to it, ``mark`` the place among the Chinese words where 了 or 过 goes.
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
    """One token of a template: a literal word, a verb agreeing with a slot (be.s), a slot, or the mark ~."""

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
    """One line per alternative of ``{a|b}``; ``{}`` repeats the alternative. At most one choice to a line."""
    choice = re.search(r"\{([^{}]+)\}", line)
    if choice is None:
        return [line]
    lines = [line.replace(choice.group(), word).replace("{}", word) for word in choice.group(1).split("|")]
    if any("{" in found for found in lines):
        raise UsageError(f"grammar rule {line!r}: more than one choice in braces")
    return lines


def parse_rules(text: str) -> dict[str, tuple[float, tuple[Template, ...]]]:
    """Read named groups of rules: an unindented line ``name [weight]``, then its rules, indented."""
    groups: dict[str, tuple[float, list[Template]]] = {}
    name = ""
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("--"):
            continue
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
def _sentences() -> dict[str, tuple[float, tuple[Template, ...]]]:
    return parse_rules(rules.SENTENCES)


@cache
def _phrases() -> dict[str, tuple[float, tuple[Template, ...]]]:
    return parse_rules(rules.PHRASES)


@cache
def _fellows(name: str, mode: str) -> tuple[Template, ...]:
    if name not in _phrases():
        raise UsageError(f"grammar: no phrase group {name!r}")
    found = tuple(rule for rule in _phrases()[name][1] if not rule.modes or not mode or mode in rule.modes)
    if not found:
        raise UsageError(f"grammar: no rule of {name!r} for mode {mode!r}")
    return found


_NOUNS = lexicon.read_nouns()
_ADJECTIVES = lexicon.read_adjectives()
_COLORS = [
    lexicon.Adjective(english, chinese, chinese + " 的") for english, chinese in lexicon.read_words(lexicon.COLORS)
]
_LISTS = {
    "country": lexicon.read_words(lexicon.COUNTRIES),
    "town": lexicon.read_words(lexicon.TOWNS),
    "nationality": lexicon.read_words(lexicon.NATIONALITIES),
    "language": lexicon.read_words(lexicon.LANGUAGES),
    "subjectmatter": lexicon.read_words(lexicon.SUBJECTS),
    "weekday": lexicon.read_words(lexicon.WEEKDAYS),
    "month": lexicon.read_words(lexicon.MONTHS),
    "season": lexicon.read_words(lexicon.SEASONS),
    "dayofmonth": lexicon.read_words(lexicon.DAYS_OF_MONTH),
    "count": lexicon.read_words(lexicon.COUNTS),
    "hour": lexicon.read_words(lexicon.HOURS),
    "amount": lexicon.read_words(lexicon.AMOUNTS),
    "name": lexicon.read_words(lexicon.NAMES),
}
# subject, object, possessive, agreement, Chinese
_PRONOUNS = {
    "my": ("I", "me", "1s", "我"),
    "your": ("you", "you", "2", "你"),
    "his": ("he", "him", "3s", "他"),
    "her": ("she", "her", "3s", "她"),
    "our": ("we", "us", "p", "我们"),
    "their": ("they", "them", "p", "他们"),
    "its": ("it", "it", "3s", "它"),
}
# Who is meant by "I" and "we" cannot be the object of the same clause.
_SAME = {"my": ("my", "our"), "our": ("my", "our")}
_NOBODY = Phrase((), (), frozenset(), "2", "your")
_BE = {"be": {"1s": "am", "3s": "is"}, "was": {"1s": "was", "3s": "was"}}
_PLURAL_BE = {"be": "are", "was": "were"}

# Which determiners an object takes in each mode, as (determiner, weight), for countable and for mass nouns.
# n: going on now, p: past, d: habit, w: wish, ability, command, x: denied, e: ever done, k: skill
_COUNT_DETERMINERS = {
    "n": (("a", 5), ("the", 2), ("own", 2), ("this", 1), ("num", 1)),
    "p": (("a", 5), ("the", 2), ("own", 2), ("this", 1), ("that", 1), ("num", 3)),
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
    "d": (("many", 1),),
    "w": (("many", 3), ("cup", 2), ("some", 1)),
    "x": (("many", 1),),
    "e": (("many", 1),),
    "k": (("many", 1),),
}
_OTHERWISE = (_COUNT_DETERMINERS["w"], _MASS_DETERMINERS["w"])
_DETERMINERS = frozenset(
    "a the this that these those own my your obj def many num some cup which howmany role lone sole bare plural".split()
)
# Classes of which one does not say "my" as a matter of course.
_UNOWNED = frozenset(("film", "food", "fruit", "drink", "song", "asked", "place", "animal", "wild", "write", "told"))
_COLORED = frozenset(("wear", "vehicle", "bike", "puton"))
_FEMALE = frozenset(row[0] for row in lexicon.lines(lexicon.NOUNS) if "her" in row) | {"woman", "girl", "nurse"}


class _Sampler:
    """Draws phrases; of two candidates it keeps the one used less so far, so that every word gets its turn."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._used: dict[str, int] = {}

    def chance(self) -> float:
        return self._random.random()

    def pick(self, group: str, names: Sequence[str], weights: Sequence[float]) -> int:
        if len(names) == 1:
            return 0
        sums = list(accumulate(weights))
        candidates = (self._draw(sums), self._draw(sums))
        used = self._used
        best = min(candidates, key=lambda i: used.get(group + names[i], 0) / weights[i])
        key = group + names[best]
        used[key] = used.get(key, 0) + 1
        return best

    def _draw(self, sums: Sequence[float]) -> int:
        point = self._random.random() * sums[-1]
        return next(i for i, upper in enumerate(sums) if point < upper)

    def sentence(self) -> tuple[str, Phrase]:
        names = constructions()
        weights = [_sentences()[name][0] for name in names]
        name = names[self.pick("construction ", names, weights)]
        fellows = _sentences()[name][1]
        rule = fellows[self.pick(name + " ", [r.text for r in fellows], [r.weight for r in fellows])]
        return name, self.compose(rule, Context("", _NOBODY))

    # Filling templates

    def compose(self, rule: Template, context: Context) -> Phrase:
        """Fill both sides of a rule; the first slot with an agreeing verb or named like a subject is its subject."""
        subject = context.subject
        filled: dict[str, Phrase] = {}
        for slot in sorted(rule.slots, key=lambda s: s.rstrip("0123456789") not in rules.SUBJECT_SLOTS):
            filled[slot] = self.expand(rule.aliases.get(slot, slot), Context(context.mode, subject))
            if slot.rstrip("0123456789") in rules.SUBJECT_SLOTS and subject is context.subject:
                subject = filled[slot]
        filled.setdefault("subject", context.subject)
        return assemble(rule, filled)

    def expand(self, slot: str, context: Context) -> Phrase:
        name, _, mode = slot.rstrip("0123456789").partition(":")
        context = Context(mode or context.mode, context.subject)
        head, *rest = name.split()
        if head in _DETERMINERS and rest:
            return self.noun_phrase(head, rest[0], context)
        if head == "adj":
            return self.adjective(rest[0])
        if head == "color":
            color = self.adjective_of(_COLORS, "color ")
            return Phrase((color.english,), (color.chinese,), frozenset({(0, 0)}))
        if head == "ones":
            return Phrase((context.subject.owner,), (), frozenset())
        if head in _LISTS:
            return self.listed(head, context)
        if head in ("pronoun", "other", "whose", "objectpronoun"):
            return self.pronoun(head, context)
        fellows = _fellows(head, context.mode)
        rule = fellows[self.pick(head + context.mode, [r.text for r in fellows], [r.weight for r in fellows])]
        return self.compose(rule, context)

    # Words

    def listed(self, head: str, context: Context) -> Phrase:
        rows = [row for row in _LISTS[head] if (row[0],) != context.subject.english]
        row = rows[self.pick(head, [row[0] for row in rows], [1] * len(rows))]
        words = tuple(row[0].split())
        owner = row[2] if head == "name" else "its"
        return Phrase(words, (row[1],), frozenset((i, 0) for i in range(len(words))), "3s", owner)

    def pronoun(self, head: str, context: Context) -> Phrase:
        """pronoun: any subject; other: he, she, they; objectpronoun: not the subject again; whose: a possessive."""
        owners = ["my", "your", "his", "her", "our", "their"]
        weights = [4.0, 3, 3, 3, 2, 2]
        if head == "other":
            owners, weights = owners[2:4] + owners[5:], [1, 1, 1]
        if head == "objectpronoun":
            taken = (*_SAME.get(context.subject.owner, (context.subject.owner,)),)
            owners, weights = zip(
                *((o, w) for o, w in zip(owners, weights, strict=True) if o not in taken), strict=True
            )
        owner = owners[self.pick(head, owners, weights)]
        subject, object_, number, chinese = _PRONOUNS[owner]
        if head == "whose":
            return Phrase((owner,), (chinese, "的"), frozenset({(0, 0), (0, 1)}))
        word = object_ if head == "objectpronoun" else subject
        return Phrase((word,), (chinese,), frozenset({(0, 0)}), number, owner)

    def adjective_of(self, words: Sequence[lexicon.Adjective], group: str) -> lexicon.Adjective:
        return words[self.pick(group, [word.english for word in words], [1] * len(words))]

    def adjective(self, kind: str) -> Phrase:
        word = self.adjective_of(_ADJECTIVES[kind], "adj ")
        return Phrase((word.english,), (word.chinese,), frozenset({(0, 0)}))

    def noun_phrase(self, determiner: str, kind: str, context: Context) -> Phrase:
        nouns = [noun for noun in _NOUNS[kind] if _fits(noun, determiner)]
        noun = nouns[self.pick("noun ", [n.singular + n.plural for n in nouns], [1] * len(nouns))]
        chosen = self.determiner(determiner, kind, noun, context)
        qualities = [word for word in _ADJECTIVES.get(kind, []) if word.attributive]
        if kind in _COLORED:
            qualities += _COLORS
        quality = None
        if qualities and chosen in ("a", "this", "that", "the", "own", "num") and self.chance() < 0.15:
            quality = self.adjective_of(qualities, "attribute ")
        before = self.determine(chosen, noun, context)
        if chosen == "the" and noun.unique:
            before = Phrase(("the",), (), frozenset())
        return name_it(before, quality, noun, chosen)

    def determiner(self, wanted: str, kind: str, noun: lexicon.Noun, context: Context) -> str:
        """The determiner itself, where the template named only a sort of determiner (any, def, obj, fond)."""
        mass = not noun.plural
        if wanted == "obj":
            table = (_MASS_DETERMINERS if mass else _COUNT_DETERMINERS).get(context.mode, _OTHERWISE[mass])
        elif wanted == "def":
            table = (("the", 2), ("this", 2), ("that", 2), ("own", 2))
        else:
            return wanted
        allowed = [
            (d, w)
            for d, w in table
            if not (d == "own" and kind in _UNOWNED)
            and not (d == "cup" and not noun.container)
            and not (d == "these" and mass)
            and not (mass and d in ("this", "that") and not noun.container)
        ]
        if not noun.singular:
            few = [(d, w) for d, w in allowed if d in ("own", "the", "many")]
            allowed = [*few, ("these", 1.0)] if wanted != "obj" or context.mode not in "dk" else few
        names = [d for d, _ in allowed]
        return names[self.pick("determiner " + wanted + context.mode, names, [w for _, w in allowed])]

    def determine(self, determiner: str, noun: lexicon.Noun, context: Context) -> Phrase:
        """The determiner with its measure word, linked."""
        unit = noun.measure or "些"
        if determiner in ("these", "those"):
            pair = (
                noun.plural and not noun.singular and noun.measure and not noun.container and noun.plural != "clothes"
            )
            many = noun.measure if pair else "些"
            return _linked((determiner,), ("这" if determiner == "these" else "那", many))
        match determiner:
            case "a":
                return _linked(("a",), ("一", unit))
            case "sole":
                return Phrase(("the",), (), frozenset())
            case "role":
                return Phrase(("a",), (), frozenset())
            case "the" if not noun.plural or not noun.singular:
                return Phrase(("the",), (), frozenset())
            case "the" | "that":
                return _linked((determiner,), ("那", unit))
            case "this":
                return _linked(("this",), ("这", unit))
            case "which":
                return _linked(("which",), ("哪", unit))
            case "howmany":
                return _linked(("how", "many"), ("几", unit) if noun.plural else ("多少",))
            case "some":
                return _linked(("some",), ("一些",))
            case "num":
                number = self.listed("count", context)
                return _linked(number.english, (*number.chinese, unit))
            case "cup":
                links = frozenset({(0, 0), (1, 1)})
                return Phrase(("a", noun.container, "of"), ("一", noun.measure), links)
            case "own" | "my" | "your":
                return self.possessive(determiner, noun, context)
            case _:
                return Phrase((), (), frozenset())

    def possessive(self, determiner: str, noun: lexicon.Noun, context: Context) -> Phrase:
        """My, Tom's, my father's; kin follows its owner without 的."""
        owner = "your" if determiner == "your" else context.subject.owner
        close = noun in _NOUNS["kin"] or noun in _NOUNS["folks"]
        if determiner == "my" or (determiner == "own" and self.chance() < 0.3 and not close):
            owners = ["my", "your", "his", "her", "our", "their"]
            other = self.chance()
            if other < 0.12:
                name = self.listed("name", context)
                return _linked((name.english[0] + "'s",), (name.chinese[0], "的"))
            if other < 0.22 and not close:
                kin = self.noun_phrase("own", "kin", context)
                english = (*kin.english[:-1], kin.english[-1] + "'s")
                return Phrase(english, (*kin.chinese, "的"), kin.links | {(len(english) - 1, len(kin.chinese))})
            owner = owners[self.pick("possessive", owners, [4, 3, 3, 3, 1, 1])]
        chinese = _PRONOUNS[owner][3]
        return _linked((owner,), (chinese,) if close else (chinese, "的"))


def _fits(noun: lexicon.Noun, determiner: str) -> bool:
    if determiner == "howmany":
        return bool(noun.plural)
    if determiner in ("this", "that"):
        return bool(noun.singular and (noun.plural or noun.container))
    if determiner in ("a", "num", "which", "role", "lone"):
        return bool(noun.singular and noun.plural)
    if determiner in ("these", "those", "plural"):
        return bool(noun.plural)
    if determiner in ("cup",):
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
    """Determiner, adjective and noun as one phrase with its number and the possessive that refers back to it."""
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
    _link_punctuation(english, chinese, links)
    number, owner = "3s", "its"
    if rule.owner:
        number, owner = _PRONOUNS[rule.owner][2], rule.owner
    elif rule.english[0].kind == "slot":
        number, owner = filled[rule.english[0].text].number, filled[rule.english[0].text].owner
    return Phrase(tuple(english), tuple(chinese), frozenset(links), number, owner, mark)


def _form(form: str, filled: dict[str, Phrase]) -> str:
    """The verb form a slot asks for: by name, or by agreement with another slot."""
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
    """The present form of a verb (or "was") after a subject of this number."""
    if verb in _BE:
        return _BE[verb].get(number, _PLURAL_BE[verb])
    return lexicon.inflect(verb, "s" if number == "3s" else "base")


def _link_punctuation(english: Sequence[str], chinese: Sequence[str], links: set[tuple[int, int]]) -> None:
    """Link punctuation in order: the last mark to the last mark, commas to commas where there are as many."""
    commas = [[i for i, word in enumerate(side) if word in (",", "，")] for side in (english, chinese)]
    if len(commas[0]) == len(commas[1]):
        links.update(zip(*commas, strict=True))
    stops = [
        [i for i, word in enumerate(side) if word in PUNCTUATION and word not in ",，"] for side in (english, chinese)
    ]
    if len(stops[0]) == len(stops[1]):
        links.update(zip(*stops, strict=True))
    if stops[0] and chinese[-1] == "？" and chinese[-2] in ("吗", "呢", "吧"):
        links.add((stops[0][-1], len(chinese) - 2))


# Contractions and spelling

_CONTRACTED = {
    ("do", "not"): "don't",
    ("does", "not"): "doesn't",
    ("did", "not"): "didn't",
    ("is", "not"): "isn't",
    ("are", "not"): "aren't",
    ("was", "not"): "wasn't",
    ("were", "not"): "weren't",
    ("have", "not"): "haven't",
    ("has", "not"): "hasn't",
    ("should", "not"): "shouldn't",
    ("will", "not"): "won't",
    ("can", "not"): "can't",
    ("I", "am"): "I'm",
    ("you", "are"): "you're",
    ("we", "are"): "we're",
    ("they", "are"): "they're",
    ("he", "is"): "he's",
    ("she", "is"): "she's",
    ("it", "is"): "it's",
    ("that", "is"): "that's",
    **{(p, "will"): f"{p}'ll" for p in ("I", "you", "he", "she", "we", "they", "it")},
    **{(p, "would"): f"{p}'d" for p in ("I", "you", "he", "she", "we", "they")},
}
_CONTRACTED_FIRST = {(w, "is"): f"{w}'s" for w in ("what", "where", "who", "how", "there", "when")}
_ALWAYS = {("let", "us"): "let's", ("can", "not"): "cannot"}


def contract(phrase: Phrase, formal: bool) -> Phrase:
    """Merge "do not" into "don't" and "I am" into "I'm"; in formal English only what is always merged."""
    words = phrase.english
    english: list[str] = []
    place: list[int] = []
    i = 0
    while i < len(words):
        pair = (words[i], words[i + 1]) if i + 1 < len(words) else ("", "")
        merged = _ALWAYS.get(pair) if formal else _CONTRACTED.get(pair) or _ALWAYS.get(pair)
        if not merged and not formal and i == 0:
            merged = _CONTRACTED_FIRST.get(pair)
        before_stop = i + 2 < len(words) and words[i + 2] in PUNCTUATION and pair[1] != "not"
        followed_by_not = not formal and i + 2 < len(words) and words[i + 2] == "not" and pair[1] not in ("am", "us")
        if merged and not before_stop and not followed_by_not:
            place += [len(english)] * 2
            english.append(merged)
            i += 2
        else:
            place.append(len(english))
            english.append(words[i])
            i += 1
    return phrase._replace(english=tuple(english), links=frozenset((place[i], j) for i, j in phrase.links))


def _spell(phrase: Phrase) -> Phrase:
    words = phrase.english
    spelled = (lexicon.article(words[i + 1]) if word == "a" else word for i, word in enumerate(words))
    return phrase._replace(english=tuple(spelled))


def sample(count: int, seed: int = 0) -> list[GrammarPair]:
    """Draw ``count`` pairs, no two with the same English sentence; the same call gives the same pairs everywhere.

    Raises `UsageError` where ``count`` is negative or more than the grammar can supply.
    """
    if count < 0:
        raise UsageError(f"grammar: cannot sample {count} sentences")
    sampler = _Sampler(seed)
    seen: set[tuple[str, ...]] = set()
    pairs: list[GrammarPair] = []
    misses = 0
    while len(pairs) < count:
        name, phrase = sampler.sentence()
        phrase = _spell(contract(phrase, formal=sampler.chance() < 0.2))
        if phrase.english in seen:
            misses += 1
            if misses > 20 * count + 1000:
                raise UsageError(f"grammar: found only {len(pairs)} distinct sentences of the {count} asked for")
            continue
        seen.add(phrase.english)
        pairs.append(GrammarPair(phrase.english, phrase.chinese, phrase.links, name))
    return pairs


def constructions() -> list[str]:
    """The names of all constructions, in the order in which they are written down."""
    return list(_sentences())


@cache
def _vocabulary() -> frozenset[str]:
    pairs = sample(15_000, 0)
    return frozenset(word.lower() for pair in pairs for word in pair.source_words if word not in PUNCTUATION)


def vocabulary() -> set[str]:
    """The English word forms, lower-cased, that occur in 15,000 sentences of the small world."""
    return set(_vocabulary())
