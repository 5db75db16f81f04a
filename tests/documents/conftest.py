"""Translators for tests of documents, which need no model."""

import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

import pytest

TAG = re.compile(r"(</?g+\d+/?>)")
Translate: TypeAlias = Callable[[Sequence[str]], list[str]]


@pytest.fixture
def shout() -> Translate:
    """Translates into upper case, and keeps tags."""

    def translate(texts: Sequence[str]) -> list[str]:
        return ["".join(part if TAG.fullmatch(part) else part.upper() for part in TAG.split(text)) for text in texts]

    return translate


@pytest.fixture
def into() -> Callable[..., Translate]:
    """Answers -> what gives them, whatever it is asked. `into.seen` holds what it was asked."""

    def make(*answers: str) -> Translate:
        def translate(texts: Sequence[str]) -> list[str]:
            make.seen.append(list(texts))  # type: ignore[attr-defined]
            return list(answers)

        return translate

    make.seen = []  # type: ignore[attr-defined]
    return make
