"""How tokens and sentences are written beside a map, whatever strange characters they hold.

Text comes from users and models, so a label never carries what would steer a terminal or break a line. Fonts and
colours are the business of the views.
"""

import unicodedata

# Joiners shape the letters of many scripts and are harmless; other invisible characters are not.
_JOINERS = "\u200c\u200d"


def label(text: str) -> str:
    """The text on one line, control and other invisible characters made visible as �, a lone space as ␣."""
    shown = "".join(_shown(char) for char in text)
    return "␣" if text and not shown.strip() else shown


def stacks(text: str) -> bool:
    """Whether a label is read just as well from top to bottom: all of its characters are full-width (Han, kana ...)."""
    return bool(text) and all(unicodedata.east_asian_width(char) in "WF" for char in text)


def _shown(char: str) -> str:
    category = unicodedata.category(char)
    if category[0] == "Z" or char in "\t\n\r":
        return " "
    return "�" if category[0] == "C" and char not in _JOINERS else char
