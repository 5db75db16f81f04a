"""Text as the model will see it: one normal form and one script.

`Cleaner` mends one side: invisible characters, spaces, punctuation next to Han, script. A cleaner belongs to a run, and
what is translated later goes through the same one. NFKC is never applied: it turns full-width Chinese punctuation into
ASCII. Which pairs are left out of training is decided in `data`.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, Literal, Self, cast

from attentio.text.script import FULL_WIDTH, HAN, KANA

Script = Literal["simplified", "traditional", "keep"]

# C0 and C1 controls that are not white space, lone surrogates, and noncharacters.
_CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
# Zero-width space, word joiner, byte order mark, soft hyphen, direction marks. Joiners (U+200C, U+200D) carry meaning.
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufff9-\ufffb]")
_SPACE = re.compile("[\t\x0b\x0c\r\x1c-\x1f\x85\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
_SPACES = re.compile("  +")
_EDGES = re.compile("^ +| +$", re.MULTILINE)
_LATIN = "A-Za-z\u00c0-\u024f"
_APOSTROPHE = re.compile(f"(?<=[{_LATIN}])\u2019(?=[{_LATIN}])")
# What each kind of mending takes away or puts there, and whether text that is all ASCII may need it.
_MENDED = {
    "control": (_CONTROL, "", True),
    "invisible": (_INVISIBLE, "", False),
    "space": (_SPACE, " ", True),
    "apostrophe": (_APOSTROPHE, "'", False),
}
_HAN_LIKE = HAN + KANA
_PERIOD = re.compile(rf"(?<=[{_HAN_LIKE}]) *\.(?![\w.])")
_MARKS = re.compile(f"(?<=[{_HAN_LIKE}{FULL_WIDTH}])(?: *[,?!])+|[,?!](?: *[,?!])* *(?=[{_HAN_LIKE}])")
_WIDE = {ord(","): "，", ord("?"): "？", ord("!"): "！", ord(" "): None}
_HAN_SPACE = re.compile(f"(?<=[{_HAN_LIKE}]) +(?=[{_HAN_LIKE}])|(?<=[{FULL_WIDTH}]) +| +(?=[{FULL_WIDTH}])")
_HALF_WIDTH = re.compile("[ ,.?!]")
CONVERSIONS = {"simplified": "t2s", "traditional": "s2t"}


@dataclass(frozen=True)
class Cleaner:
    """The rules of one side. `han` turns on those for Chinese, and `script` is what Chinese is converted to."""

    han: bool = False
    script: Script = "keep"

    def __call__(self, text: str) -> str:
        """Return one cleaned text. Line ends inside it become spaces."""
        return self.lines([text])[0]

    def lines(self, lines: Sequence[str], mended: Counter[str] | None = None) -> list[str]:
        """Return all lines cleaned, each as if alone. Changed characters are counted in `mended`, by kind."""
        if not lines:
            return []
        # Thousands of lines are mended as one text: the work is done by compiled expressions, not by line.
        text = "\n".join(lines)
        if text.count("\n") != len(lines) - 1:
            text = "\n".join(line.replace("\n", " ") for line in lines)
        text = self._mend(text, mended if mended is not None else Counter())
        if self.han and self.script != "keep":
            text = convert(CONVERSIONS[self.script], text)
        return text.split("\n")

    def _mend(self, text: str, mended: Counter[str]) -> str:
        for kind, (pattern, new, ascii_too) in _MENDED.items():
            if ascii_too or not text.isascii():
                if kind == "apostrophe" and not unicodedata.is_normalized("NFC", text):
                    text = unicodedata.normalize("NFC", text)
                text, count = pattern.subn(new, text)
                if count:
                    mended[kind] += count
        if self.han:
            text = _mend_han(text)
        if "  " in text:
            text = _SPACES.sub(" ", text)
        if text[:1] == " " or text[-1:] == " " or "\n " in text or " \n" in text:
            text = _EDGES.sub("", text)
        return text

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, held: dict[str, Any]) -> Self:
        return cls(**held)


def _mend_han(text: str) -> str:
    """Return text with full-width punctuation and no spaces next to Han. Most lines need no change."""
    lines = text.split("\n")
    touched = [i for i, line in enumerate(lines) if _HALF_WIDTH.search(line)]
    part = "\n".join(lines[i] for i in touched)
    part = _PERIOD.sub("。", part)
    part = _MARKS.sub(lambda found: found[0].translate(_WIDE), part)
    part = _HAN_SPACE.sub("", part)
    for i, line in zip(touched, part.split("\n"), strict=True) if touched else ():
        lines[i] = line
    return "\n".join(lines)


@cache
def _opencc(name: str) -> Callable[[str], str]:
    import opencc  # takes a moment, and few texts need it

    return cast(Any, opencc).OpenCC(name).convert


def convert(name: str, text: str) -> str:
    """Return OpenCC's conversion of that name: "t2s" to simplified, "s2t" to traditional characters."""
    return text if text.isascii() else _opencc(name)(text)
