"""Languages by their codes, tags and names, as headers, keys and file names give them."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from attentio.text.script import base_language

_TAG = re.compile(r"([a-z]{2,3})(?:[-_](?:[a-z]{4}|[a-z]{2}|[0-9]{3}))*", re.IGNORECASE)


@cache
def _languages() -> dict[str, str]:
    text = Path(__file__).with_name("languages.txt").read_text(encoding="utf-8")
    rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return {name.replace("_", " "): row[0] for row in rows for name in row}


def known_language(name: str) -> str | None:
    """Return the code of a language given by code ("zh", "cmn"), tag ("zh-CN") or name ("Chinese", "中文").

    The code has two letters where the language has one. None where nothing is known by that name.
    """
    name = name.strip().lower()
    match = _TAG.fullmatch(name)
    return _languages().get(name) or (_languages().get(match[1]) if match else None)


def is_tag(name: str) -> bool:
    """Return whether a text is the code or tag of a known language."""
    match = _TAG.fullmatch(name.strip())
    return match is not None and match[1].lower() in _languages()


def place_of(language: str | None, names: Sequence[str]) -> int | None:
    """Return which of `names` is a language: by its whole tag, else without region and script, else by its name."""
    if language is None:
        return None
    tag, base, code = language.lower().replace("_", "-"), base_language(language), known_language(language)
    same = [i for i, name in enumerate(names) if name.lower().replace("_", "-") == tag]
    alike = [i for i, name in enumerate(names) if base_language(name) == base]
    named = [i for i, name in enumerate(names) if code and known_language(name) == code]
    return next(iter(same or alike or named), None)
