"""The one table of scripts: which writing system a text uses, and what language that suggests.

The ranges are the insides of regular-expression classes. They choose a tokenizer, notice swapped columns and pick
rules for Chinese. Languages are guessed from scripts and a handful of function words. No text is changed here.
"""

import re
from collections import Counter
from collections.abc import Iterable
from itertools import islice

HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
KANA = "\u3040-\u30ff\u31f0-\u31ff"
HANGUL = "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"
FULL_WIDTH = (
    "\u3001-\u3003\u3008-\u3011\u3014-\u301b\uff01-\uff0f\uff1a-\uff20\uff3b-\uff3d\uff5b-\uff64"  # punctuation
)
PUNCTUATION = (
    r"!-/:-@\[-`{-~"  # ASCII
    "\u00a1-\u00bf\u037e\u0387\u055a-\u055f\u0589\u05be\u05c0\u05c3\u060c\u061b\u061f\u066a-\u066d\u06d4\u0964\u0965\u0e2f"
    "\u2010-\u2027\u2030-\u205e\u3001-\u3003\u3008-\u3011\u3014-\u301f\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
)

_SCRIPTS = {
    "han": re.compile(f"[{HAN}]"),
    "kana": re.compile(f"[{KANA}]"),
    "hangul": re.compile(f"[{HANGUL}]"),
    "thai": re.compile("[\u0e00-\u0e7f]"),
    "lao": re.compile("[\u0e80-\u0eff]"),
    "burmese": re.compile("[\u1000-\u109f]"),
    "khmer": re.compile("[\u1780-\u17ff]"),
    "tibetan": re.compile("[\u0f00-\u0fff]"),
    "cyrillic": re.compile("[\u0400-\u052f]"),
    "greek": re.compile("[\u0370-\u03ff]"),
    "hebrew": re.compile("[\u0590-\u05ff]"),
    "arabic": re.compile("[\u0600-\u06ff]"),
    "devanagari": re.compile("[\u0900-\u097f]"),
    "latin": re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]"),
}
_ALONE = re.compile(f"[{HAN}{KANA}]")
_ENDS_WIDE = re.compile(f"[{HAN}{KANA}{FULL_WIDTH}]\\Z")
_UNSEGMENTED = ("han", "kana", "thai", "lao", "burmese", "khmer")
_LANGUAGE_OF_SCRIPT = {
    "han": "zh",
    "hangul": "ko",
    "thai": "th",
    "lao": "lo",
    "burmese": "my",
    "khmer": "km",
    "cyrillic": "ru",
    "greek": "el",
    "hebrew": "he",
    "arabic": "ar",
    "devanagari": "hi",
}
# Words that are frequent in one of these languages and rare in the others.
_FUNCTION_WORDS = {
    "en": "i the you is to and of are was have that this i'm don't what my it he she we they not with",
    "de": "ich das ist nicht der die und ein sie es zu wir mir auf",
    "fr": "je est le les vous des une pas et nous dans c'est qui pour",
    "es": "el los que es una por está no yo muy para usted mi lo",
    "it": "il è che di non sono della ho gli mi una per questo",
    "pt": "não você o um uma eu está isso muito ele ela são os",
    "nl": "het ik een niet van je dat zijn en wat hij heeft ze",
    "ro": "și este nu sunt ce mai pe să într din cu care au",
}
_SAMPLE = 2000


def script_counts(lines: Iterable[str]) -> Counter[str]:
    """Return how many letters of each script the lines hold."""
    text = "\n".join(lines)
    names = ("latin",) if text.isascii() else _SCRIPTS
    return +Counter({name: len(_SCRIPTS[name].findall(text)) for name in names})


def is_unsegmented(lines: Iterable[str]) -> bool:
    """Return whether most letters of a sample belong to scripts written without spaces: Han, kana, Thai and others."""
    counts = script_counts(islice(lines, _SAMPLE))
    return sum(counts[name] for name in _UNSEGMENTED) * 2 > counts.total()


def stands_alone(char: str) -> bool:
    """Return whether a character is Han or kana, and so a word by itself."""
    return bool(_ALONE.fullmatch(char))


def ends_without_space(text: str) -> bool:
    """Return whether no space is written after `text`: it ends in Han, kana or full-width punctuation."""
    return bool(_ENDS_WIDE.search(text))


def writes_spaces(language: str | None) -> bool:
    """Return whether words of a language have spaces between them. True where it is not known."""
    return base_language(language) not in {"ja", *(_LANGUAGE_OF_SCRIPT.get(script) for script in _UNSEGMENTED)} - {None}


def base_language(language: str | None) -> str | None:
    """Return the language of a tag without its region or script: "zh" for "zh-Hans"."""
    return language.replace("_", "-").split("-")[0].lower() if language else None


def guess_language(lines: Iterable[str]) -> str | None:
    """Return a two-letter guess from scripts and, for Latin text, function words. None where neither is clear."""
    sample = list(islice(lines, _SAMPLE))
    counts = script_counts(sample)
    japanese = counts["kana"] + counts["han"]
    if counts["kana"] * 10 > japanese and japanese * 2 > counts.total():
        return "ja"
    script, count = max(counts.items(), key=lambda item: item[1], default=("", 0))
    if count * 2 <= counts.total():
        return None
    return _LANGUAGE_OF_SCRIPT.get(script) or _guess_latin(sample)


def _guess_latin(sample: list[str]) -> str | None:
    words = Counter(re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", "\n".join(sample).lower()))
    scores = Counter({language: sum(words[w] for w in listed.split()) for language, listed in _FUNCTION_WORDS.items()})
    (best, first), (_, second) = scores.most_common(2)
    # A handful of lines must not decide: ask for at least one hit in twenty words and a clear lead.
    return best if first * 20 >= words.total() and first >= 1.5 * second and first >= 3 else None
