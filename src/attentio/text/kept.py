"""What a translation kept of its source, and a text cut at what must be kept. It is loaded where something was lost."""

import re
from collections import Counter
from itertools import pairwise

from attentio.text.placeholders import kept_spans


def unkept(source: str, text: str) -> list[str]:
    """Return the parts of `source` to keep that `text` has less often than `source`, each once.

    A number counts where no other digit is beside it.
    """
    counts = Counter(source[start:end] for start, end in kept_spans(source))
    return [part for part, count in counts.items() if _count(part, text) < count]


def _count(part: str, text: str) -> int:
    if not part[0].isdigit():
        return text.count(part)
    after = "(?![0-9])" if part[-1].isdigit() else ""  # "1%" ends by itself
    return len(re.findall(rf"(?<![0-9]){re.escape(part)}{after}", text))


def cut_around(text: str) -> list[str]:
    """Return a text in parts: every second one is to be kept. Those between may be empty."""
    places = [0, *(place for span in kept_spans(text) for place in span), len(text)]
    return [text[start:end] for start, end in pairwise(places)]
