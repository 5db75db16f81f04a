"""Which installed fonts draw a text: found by what they cover, not by what they are called.

Matplotlib picks a font for each character from a list of families. This module makes that list. It installs and
downloads nothing. A font named by the user is made known to matplotlib's font manager.
"""

from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

from matplotlib import font_manager
from matplotlib.font_manager import FontEntry
from matplotlib.ft2font import FaceFlags, FT2Font

from attentio.errors import DataError
from attentio.text.script import script_counts
from attentio.view.figure import BASE_FONT

# Only an order of preference, so that one sans-serif family draws a whole sentence where several could.
_PREFERRED = {
    "han": "Noto Sans CJK SC,Noto Sans SC,Source Han Sans SC,Source Han Sans CN,PingFang SC,Hiragino Sans GB,"
    "Microsoft YaHei,SimHei,WenQuanYi Micro Hei,WenQuanYi Zen Hei,Noto Sans CJK TC,PingFang TC,Droid Sans Fallback",
    "kana": "Noto Sans CJK JP,Noto Sans JP,Source Han Sans JP,Hiragino Sans,Yu Gothic,Meiryo,IPAexGothic",
    "hangul": "Noto Sans CJK KR,Noto Sans KR,Source Han Sans KR,Apple SD Gothic Neo,Malgun Gothic,NanumGothic",
}
# These claim every character and draw boxes or nothing. Matplotlib brings the first itself.
_PLACEHOLDERS = ("Last Resort", ".LastResort", "LastResort", "Adobe Blank", "Unicode BMP Fallback")


def families(text: str, *, font: str | Path | None = None) -> tuple[list[str], str]:
    """Return the font families to draw a text with, in order, and the characters that none of them has.

    font: a font file to prefer to all others. Raises DataError when it is no font.
    """
    known = font_manager.fontManager
    first = [*([] if font is None else [_entry_of(Path(font))]), next(e for e in known.ttflist if e.name == BASE_FONT)]
    chosen: list[str] = []
    missing = {char for char in text if not char.isspace()}
    for entry in chain(first, candidates(text)):  # which looks for fonts only when asked
        if len(chosen) >= len(first) and not missing:
            break
        codes = coverage(entry.fname, entry.index)
        covered = {char for char in missing if ord(char) in codes}
        if covered or len(chosen) < len(first):
            if entry not in known.ttflist:
                known.addfont(entry.fname)
            chosen.append(entry.name)
            missing -= covered
    return chosen, "".join(sorted(missing))


def installed() -> list[FontEntry]:
    """Return upright fonts of ordinary weight that matplotlib knows, and those installed since it last looked."""
    known = list(font_manager.fontManager.ttflist)
    files = {entry.fname for entry in known}
    for path in sorted(set(font_manager.findSystemFonts()) - files):
        try:
            faces = FT2Font(path).num_faces  # a collection holds several
            known.extend(font_manager.ttfFontProperty(FT2Font(path, face_index=index)) for index in range(faces))
        except (RuntimeError, OSError, ValueError):
            continue  # not a font that can be drawn with
    return [
        entry
        for entry in known
        if entry.style == "normal"
        and str(entry.weight) in ("400", "normal", "regular")
        and not entry.name.startswith(_PLACEHOLDERS)
    ]


def candidates(text: str) -> Iterator[FontEntry]:
    """Yield the installed fonts, those meant for the scripts of the text first.

    Han characters look different in Chinese and Japanese: kana or Hangul in the text say which is meant.
    """
    counts = script_counts([text])
    scripts = sorted(_PREFERRED, key=lambda script: script == "han" or not counts[script])
    preferred = [family for script in scripts for family in _PREFERRED[script].split(",")]
    entries = installed()
    for family in preferred:
        yield from (entry for entry in entries if entry.name == family)
    yield from (entry for entry in entries if entry.name not in preferred)


@cache
def coverage(path: str, index: int) -> frozenset[int]:
    """Return the characters that one face of a font file can draw, none when it holds pictures instead of outlines."""
    try:
        face = FT2Font(path, face_index=index)
    except (RuntimeError, OSError, ValueError):
        return frozenset()
    return frozenset(face.get_charmap()) if FaceFlags.SCALABLE in face.face_flags else frozenset()


def _entry_of(path: Path) -> FontEntry:
    try:
        return font_manager.ttfFontProperty(FT2Font(str(path)))
    except FileNotFoundError:
        raise DataError(f"{path}: no such font file.", file=path) from None
    except (RuntimeError, OSError, ValueError):
        raise DataError(f"{path}: not a font file.", hint="Name a .ttf, .otf or .ttc file.", file=path) from None
