"""Translating again what lacks something: parts to keep, and terms of a glossary.

A lost placeholder or a term is required of a second search. A kept part that is still lost stands in the translation
where everything between kept parts is translated by itself. This module is loaded only where a first translation lacks
something.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from attentio.errors import UsageError
from attentio.search import DEFAULT_BEAM
from attentio.search.batched import Asked, SearchConfig
from attentio.search.constraint import MOST_REQUIRED, AllOf, Constraint, ExactlyOnce, Phrases
from attentio.text.kept import cut_around, unkept
from attentio.text.placeholders import PLACEHOLDERS
from attentio.text.script import writes_spaces
from attentio.text.sentences import cut_long, join_parts
from attentio.translator import Part, Translation

if TYPE_CHECKING:
    from attentio.bundle import Bundle
    from attentio.exported import Exported

_ENDS = re.compile(r"\s*[.!?。！？…]+\Z")
Search = Callable[[Sequence[Part], SearchConfig, Asked], list[Translation]]


class Mender:
    """Mends the translations of sentences.

    search: translates parts. config, asked: how the first search was made. fits: whether the model can read a text.
    """

    def __init__(
        self,
        bundle: "Bundle | Exported",
        search: Search,
        config: SearchConfig,
        asked: Asked,
        fits: Callable[[str], bool],
    ) -> None:
        self._bundle = bundle
        self._search = search
        self._config, self._asked = config, asked
        self._again = config._replace(beam_size=max(config.beam_size, DEFAULT_BEAM), sample=None)
        self._fits = fits
        self._spaced = writes_spaces(bundle.target.language)

    def mend(
        self, parts: Sequence[Part], found: list[Translation], terms: Callable[[str], Sequence[str]] | None
    ) -> None:
        """Mend the translations of parts, in their list. terms: gives the phrases that a translation must hold."""
        self._restore(parts, found)
        cuts = self._to_cut(found)
        if terms is not None:
            self._force({index: part for index, part in enumerate(parts) if index not in cuts}, found, terms)
        if cuts:
            self._cut(cuts, found, terms)

    def _restore(self, parts: Sequence[Part], found: list[Translation]) -> None:
        """Search again, with each placeholder wanted exactly once, where a translation has lost some of them."""
        lacking = [index for index, translation in enumerate(found) if translation.lost]
        for index, other in self._searched_again({index: parts[index] for index in lacking}, ()):
            if len(other.lost) < len(found[index].lost):
                found[index] = _instead(other, found[index])

    def _to_cut(self, found: list[Translation]) -> dict[int, list[str]]:
        """Return the sentences that must be cut, cut. What may or cannot be mended is named in `lost`."""
        cuts: dict[int, list[str]] = {}
        for index, translation in enumerate(found):
            missing = _unkept(translation)
            if not missing:
                continue
            if self._may_lack(found[index], missing) or self._config.max_length or self._prefix(index):
                found[index] = replace(found[index], lost=tuple(missing))
            else:
                cuts[index] = cut_around(found[index].source)
        return cuts

    def _cut(
        self, cuts: dict[int, list[str]], found: list[Translation], terms: Callable[[str], Sequence[str]] | None
    ) -> None:
        """Translate what stands between kept parts of sentences."""
        texts = [text for cut in cuts.values() for text in cut[::2] if _has_letters(text)]
        between = [cut_long(text.strip(), self._fits) for text in texts]
        parts = [Part(text, {}, 0) for texts in between for text in texts]
        translations = self._search(parts, self._config, self._asked._replace(prefix=None, on_step=None))
        if terms is not None:
            self._force(dict(enumerate(parts)), translations, terms)
        done = iter(translations)
        groups = iter([[next(done) for _ in texts] for texts in between])
        for index, cut in cuts.items():
            leaves: list[Translation] = []
            text = ""
            for number, part in enumerate(cut):
                if number % 2 or not _has_letters(part):
                    text += part
                    leaves += [Translation(part, part, 0.0)] if part.strip() else []
                    continue
                group = next(groups)
                leaves += group
                written = join_parts([each.text for each in group])
                if not _ENDS.search(part.rstrip()):  # a model ends whatever it is given
                    written = _ENDS.sub("", written)
                text += part[: len(part) - len(part.lstrip())] + written + part[len(part.rstrip()) :]
            scores = [leaf.score for leaf in leaves if leaf.nbest]
            text, score = text.strip(), sum(scores) / max(1, len(scores))
            found[index] = replace(
                found[index],
                text=text,
                score=score,
                nbest=((text, score),),
                trace=None,
                lost=(),
                unseen=tuple(dict.fromkeys(unit for leaf in leaves for unit in leaf.unseen)),
                parts=tuple(leaves),
                around=tuple(cut[1::2]),
                unforced=tuple(dict.fromkeys(term for leaf in leaves for term in leaf.unforced)),
            )

    def _force(
        self, parts: Mapping[int, Part], found: list[Translation], terms: Callable[[str], Sequence[str]]
    ) -> None:
        """Search again where a translation lacks terms, with those required that the model can write.

        parts: by the number of the translation, those that are looked at.
        """
        wanted = {index: tuple(dict.fromkeys(terms(found[index].source))) for index in parts}
        groups: dict[tuple[tuple[str, ...], bool], dict[int, Part]] = {}
        for index, phrases in wanted.items():
            if self._lacking(found[index], phrases):
                can = tuple(phrase for phrase in phrases if self._can_write(phrase))[:MOST_REQUIRED]
                groups.setdefault((can, bool(parts[index].kept)), {})[index] = parts[index]
        for (phrases, _), group in groups.items():
            if not phrases:
                continue
            for index, other in self._searched_again(group, phrases):
                if not other.lost and len(_unkept(other)) <= len(_unkept(found[index])):
                    found[index] = _instead(other, found[index])
        for index, phrases in wanted.items():
            if lacking := self._lacking(found[index], phrases):
                found[index] = replace(found[index], unforced=lacking)

    def _may_lack(self, translation: Translation, missing: Sequence[str]) -> bool:
        """Return whether all that is missing are numbers that the model may write in another way."""
        unseen = set("".join(translation.unseen))
        return not self._bundle.placeholders and all(part[0].isdigit() and not set(part) & unseen for part in missing)

    def _prefix(self, index: int) -> Sequence[int]:
        return () if self._asked.prefix is None else self._asked.prefix[index]

    def _searched_again(self, parts: Mapping[int, Part], phrases: Sequence[str]) -> Iterable[tuple[int, Translation]]:
        """Return the translations, by the number of the part, that hold the phrases and what is kept.

        Those are missing of which nothing that is short enough holds it all.
        """
        if not parts:
            return []
        asked = self._asked.only(list(parts))
        constraint = self._requiring(phrases, [part.kept for part in parts.values()], asked.constraint)
        try:
            found = self._search(list(parts.values()), self._again, asked._replace(constraint=constraint, on_step=None))
        except UsageError:
            if len(parts) == 1:
                return []
            return [each for index, part in parts.items() for each in self._searched_again({index: part}, phrases)]
        return zip(parts, found, strict=True)

    def _requiring(
        self, phrases: Sequence[str], kept: Sequence[Collection[str]], besides: Constraint | None
    ) -> Constraint:
        """Return what asks for the phrases in all translations, and for what each keeps. All keep some, or none do."""
        tokenizer = self._bundle.target.tokenizer
        must: list[list[int]] = []
        closing: list[list[int]] = []
        for phrase in self._bundle.target.cleaner.lines(phrases):
            ends = tokenizer.symbols_after_word() if self._spaced else []
            begins = bool(ends) and phrase[0].isalnum()
            must.append(tokenizer.symbols_of(f" {phrase}" if begins else phrase))
            closing.append(ends if phrase[-1].isalnum() else [])
        found: list[Constraint] = [Phrases(tokenizer.symbols(), must, [], closing)] if must else []
        if any(kept):
            ids = {name: i for i, name in enumerate(tokenizer.tokens)}
            wanted = [[ids[placeholder] for placeholder in each] for each in kept]
            found.append(ExactlyOnce(wanted, [ids[placeholder] for placeholder in PLACEHOLDERS], tokenizer.vocab_size))
        return AllOf([*found, *([] if besides is None else [besides])])

    def _can_write(self, phrase: str) -> bool:
        try:
            return bool(self._bundle.target.tokenizer.symbols_of(self._bundle.target.cleaner(phrase)))
        except UsageError:
            return False

    def _lacking(self, translation: Translation, phrases: Sequence[str]) -> tuple[str, ...]:
        """Return the phrases that a translation does not hold. Spaces and case do not count: tokenizers change them.

        Where words have spaces between them, a phrase does not begin or end inside a word.
        """
        cleaned = self._bundle.target.cleaner.lines(phrases)
        return tuple(
            phrase
            for phrase, clean in zip(phrases, cleaned, strict=True)
            if not _pattern(clean, whole=self._spaced).search(translation.text.casefold())
        )


def _unkept(translation: Translation) -> list[str]:
    return unkept(translation.source, translation.text)


def _instead(other: Translation, translation: Translation) -> Translation:
    """Return the other translation with no more hypotheses than the first had."""
    return replace(other, nbest=other.nbest[: max(1, len(translation.nbest))])


@lru_cache(1_024)
def _pattern(phrase: str, *, whole: bool) -> re.Pattern[str]:
    """Return what finds a phrase in lower case, whatever its white space. whole: not inside a word."""
    phrase = "".join(phrase.split()).casefold()
    found = r"\s*".join(map(re.escape, phrase))
    before = r"(?<!\w)" if whole and phrase[:1].isalnum() else ""
    return re.compile(before + found + (r"(?!\w)" if whole and phrase[-1:].isalnum() else ""))


def _has_letters(text: str) -> bool:
    return any(map(str.isalpha, text))
