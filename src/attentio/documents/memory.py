"""Translation memories: pairs that people made. A known text gets their translation, and similar ones are offered."""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from attentio.documents.decoding import decode, xml_encoding
from attentio.documents.pairs import read_file, read_pairs
from attentio.documents.units import UnitReader
from attentio.errors import DataError, MissingExtra
from attentio.text.script import base_language
from attentio.text.sentences import split_sentences

if TYPE_CHECKING:  # files are read without torch
    from attentio.translator import Translation

SIMILAR = 0.7
"""Least similarity of a pair that is offered: 1 - edit distance, by the lengths of both (normalized Indel)."""
BLOCK = 1 << 20


class Match(NamedTuple):
    """A pair of a memory, and how similar its source is to the text: 1 is the same."""

    source: str
    text: str
    score: float


class Memory:
    """The pairs of a memory. Of several translations of a text the last counts.

    Spaces and Unicode forms of a text do not count, and case does.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs: dict[str, tuple[str, str]] = {}
        for source, target in pairs:
            self.add(source, target)

    @classmethod
    def read(cls, path: Path, source_language: str | None, target_language: str | None) -> Self:
        """Read a memory from TMX, or from TSV by any other suffix.

        Raises DataError where it is missing or damaged, or has no pair in these languages.
        """
        content = read_file(path)
        if path.suffix.lower() != ".tmx":
            return cls((pair.source, pair.target) for pair in read_pairs(content, str(path)))
        text = decode(content, str(path), declared=xml_encoding(content)).text
        wanted = base_language(source_language), base_language(target_language)
        blocks = (text[start : start + BLOCK] for start in range(0, len(text), BLOCK))
        found: list[tuple[str, str]] = []
        for unit in UnitReader(str(path)).units(blocks):
            texts = {base_language(tag): text for tag, text in reversed(unit.texts)}
            if wanted[0] in texts and wanted[1] in texts and texts[wanted[0]].strip() and texts[wanted[1]].strip():
                found.append((texts[wanted[0]], texts[wanted[1]]))
        if not found:
            raise DataError(f"{path} has no unit in {wanted[0]} and {wanted[1]}.", file=path)
        return cls(found)

    def __len__(self) -> int:
        return len(self._pairs)

    def add(self, source: str, target: str) -> None:
        self._pairs[_bare(source)] = (source.strip(), target.strip())

    def exact(self, text: str) -> str | None:
        """Return the translation of a text that is known, with the white space around it, or None."""
        found = self._pairs.get(_bare(text)) if text.strip() else None
        if found is None:
            return None
        return text[: len(text) - len(text.lstrip())] + found[1] + text[len(text.rstrip()) :]

    def similar(self, text: str, *, limit: int = 3) -> list[Match]:
        """Return the pairs that are most similar to a text, the best first. Raises MissingExtra without rapidfuzz."""
        try:
            from rapidfuzz import fuzz, process
        except ImportError as error:
            hint = "pip install 'attentio[documents]'"
            raise MissingExtra(f"similar texts of a memory need a package ({error}).", hint=hint) from error
        bare = _bare(text)
        if not bare:
            return []
        found: Sequence[Any] = process.extract(
            bare, self._pairs.keys(), scorer=fuzz.ratio, score_cutoff=100 * SIMILAR, limit=limit
        )
        return [Match(*self._pairs[key], round(score / 100, 4)) for key, score, _ in found]

    def translate(
        self,
        texts: Sequence[str],
        translate: "Callable[[Sequence[str]], Sequence[Translation]]",
        language: str | None = None,
    ) -> "list[Translation]":
        """Return the translation of each text: known texts and sentences from here, all others by one call.

        language: what the texts are in, so that they can be cut into sentences.
        """
        from attentio.translator import Translation

        known = {text: self.exact(text) for text in texts}
        cut = {text: split_sentences(text, language) for text, found in known.items() if found is None}
        # A text of which no sentence is known is translated as it is.
        mixed = {
            text: sentences
            for text, sentences in cut.items()
            if len(sentences.texts) > 1 and any(self.exact(each) is not None for each in sentences.texts)
        }
        rest = [text for text in cut if text not in mixed]
        rest += [each for sentences in mixed.values() for each in sentences.texts if self.exact(each) is None]
        wanted = list(dict.fromkeys(rest))
        answers = dict(zip(wanted, translate(wanted) if wanted else [], strict=True))

        def of(text: str) -> Translation:
            if (found := known.get(text) or self.exact(text)) is not None:
                return Translation(text, found, 0.0, ((found, 0.0),))
            if text not in mixed:
                return answers[text]
            parts = [of(each) for each in mixed[text].texts]
            joined = mixed[text].join([each.text for each in parts])
            score = sum(each.score for each in parts) / len(parts)
            return Translation(
                text,
                joined,
                score,
                ((joined, score),),
                tuple(dict.fromkeys(unit for each in parts for unit in each.unseen)),
                lost=tuple(lost for each in parts for lost in each.lost),
                cut=any(each.cut for each in parts),
                parts=tuple(leaf for each in parts for leaf in each.leaves()),
                around=tuple(each for part in parts for each in part.around),
                unforced=tuple(dict.fromkeys(term for part in parts for term in part.unforced)),
            )

        return [of(text) for text in texts]


def _bare(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())
