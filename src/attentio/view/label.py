"""How tokens and sentences are written beside a map, whatever strange characters they hold.

Text comes from users and models. A label never carries what would steer a terminal or break a line. Fonts and colors
are the business of the views.
"""

import unicodedata

from rich.cells import cell_len, set_cell_size

# Joiners shape the letters of many scripts and are harmless. Other invisible characters are not.
_JOINERS = "\u200c\u200d"


def label(text: str) -> str:
    """Return the text on one line, with control and other invisible characters as �, and a lone space as ␣."""
    kinds = [" " if char in "\t\n\r" else unicodedata.category(char)[0] for char in text]
    shown = "".join(
        " " if kind in " Z" else "�" if kind == "C" and char not in _JOINERS else char
        for char, kind in zip(text, kinds, strict=True)
    )
    return "␣" if text and not shown.strip() else shown


def shortened(text: str, width: int) -> str:
    """Return a label of at most `width` columns of a terminal. A Han character takes two."""
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"


def stacks(text: str) -> bool:
    """Return whether a label reads just as well from top to bottom: all characters are full-width (Han, kana)."""
    return bool(text) and all(unicodedata.east_asian_width(char) in "WF" for char in text)
