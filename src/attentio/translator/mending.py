"""Translating again what lacks something: parts to keep, and terms of a glossary.

A kept part stands in the translation where everything between kept parts is translated by itself. A term is required
of a second search. This module is loaded only where a first translation lacks something.
"""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from attentio.bundle import Bundle
from attentio.errors import UsageError
from attentio.search import DEFAULT_BEAM
from attentio.search.batched import Asked, SearchConfig
from attentio.search.constraint import MOST_REQUIRED, AllOf, Constraint, ExactlyOnce, Phrases
from attentio.text.kept import cut_around, unkept
from attentio.text.placeholders import PLACEHOLDERS
from attentio.text.sentences import cut_long, join_parts
from attentio.translator import Part, Translation

_ENDS = re.compile(r"\s*[.!?。！？…]+\Z")
Search = Callable[[Sequence[Part], SearchConfig, Asked], list[Translation]]


class Mender:
    """Mends the translations of sentences.

    search: translates parts. config, asked: how the first search was made. fits: whether the model can read a text.
    """

    def __init__(
        self, bundle: Bundle, search: Search, config: SearchConfig, asked: Asked, fits: Callable[[str], bool]
    ) -> None:
        self._bundle = bundle
        self._search = search
        self._config, self._asked = config, asked
        self._fits = fits

    def cut_around(self, found: list[Translation]) -> None:
        """Translate what stands between kept parts of a sentence, where the translation of the whole lost some.

        Where nothing can be done, `lost` says what is missing.
        """
        cuts: dict[int, list[str]] = {}
        for index, translation in enumerate(found):
            missing = unkept(translation.source, translation.text)
            if not missing:
                continue
            if self._may_lack(found[index], missing) or self._config.max_length or self._prefix(index):
                found[index] = replace(found[index], lost=tuple(missing))
            else:
                cuts[index] = cut_around(found[index].source)
        between = [
            cut_long(text.strip(), self._fits) for cut in cuts.values() for text in cut[::2] if _has_letters(text)
        ]
        asked = self._asked._replace(prefix=None, on_step=None)
        done = iter(self._search([Part(text, {}, 0) for texts in between for text in texts], self._config, asked))
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
                parts=tuple(leaves),
                around=tuple(cut[1::2]),
            )

    def force(self, parts: Sequence[Part], found: list[Translation], terms: Callable[[str], Sequence[str]]) -> None:
        """Search again where a translation lacks terms, with those required that the model can write."""
        wanted = {index: tuple(dict.fromkeys(terms(each.source))) for index, each in enumerate(found)}
        groups: dict[tuple[tuple[str, ...], int | None], list[int]] = {}
        for index, phrases in wanted.items():
            if self._lacking(found[index], phrases) and not found[index].around:
                can = tuple(phrase for phrase in phrases if self._can_write(phrase))[:MOST_REQUIRED]
                # Placeholders are wanted of one sentence alone.
                groups.setdefault((can, index if parts[index].kept else None), []).append(index)
        again = self._config._replace(beam_size=max(self._config.beam_size, DEFAULT_BEAM), sample=None)
        for (phrases, _), indices in groups.items():
            if not phrases:
                continue
            constraint = self._requiring(phrases, parts[indices[0]].kept)
            prefix = None if self._asked.prefix is None else [self._asked.prefix[index] for index in indices]
            asked = self._asked._replace(constraint=constraint, prefix=prefix, on_step=None)
            try:
                forced = self._search([parts[index] for index in indices], again, asked)
            except UsageError:
                continue  # no translation that is short enough holds them
            for index, other in zip(indices, forced, strict=True):
                if not other.lost:
                    found[index] = replace(other, nbest=other.nbest[: max(1, len(found[index].nbest))])
        for index, phrases in wanted.items():
            if lacking := self._lacking(found[index], phrases):
                found[index] = replace(found[index], unforced=lacking)

    def _may_lack(self, translation: Translation, missing: Sequence[str]) -> bool:
        """Return whether all that is missing are numbers that the model may write in another way."""
        unseen = set("".join(translation.unseen))
        return not self._bundle.placeholders and all(part[0].isdigit() and not set(part) & unseen for part in missing)

    def _prefix(self, index: int) -> Sequence[int]:
        return () if self._asked.prefix is None else self._asked.prefix[index]

    def _requiring(self, phrases: Sequence[str], kept: Collection[str]) -> Constraint:
        tokenizer = self._bundle.target.tokenizer
        must = [tokenizer.symbols_of(phrase) for phrase in self._bundle.target.cleaner.lines(phrases)]
        found: list[Constraint] = [Phrases(tokenizer.symbols(), must, [])]
        if kept:
            ids = {name: i for i, name in enumerate(tokenizer.tokens)}
            every = [ids[placeholder] for placeholder in PLACEHOLDERS]
            found.append(ExactlyOnce([ids[placeholder] for placeholder in kept], every, tokenizer.vocab_size))
        return AllOf([*found, *([] if self._asked.constraint is None else [self._asked.constraint])])

    def _can_write(self, phrase: str) -> bool:
        try:
            return bool(self._bundle.target.tokenizer.symbols_of(self._bundle.target.cleaner(phrase)))
        except UsageError:
            return False

    def _lacking(self, translation: Translation, phrases: Sequence[str]) -> tuple[str, ...]:
        """Return the phrases that a translation does not hold. Spaces and case do not count: tokenizers change them."""
        text = _bare(translation.text)
        cleaned = self._bundle.target.cleaner.lines(phrases)
        return tuple(phrase for phrase, clean in zip(phrases, cleaned, strict=True) if _bare(clean) not in text)


def _bare(text: str) -> str:
    return "".join(text.split()).casefold()


def _has_letters(text: str) -> bool:
    return any(map(str.isalpha, text))
