"""Languages as clients name them: codes and their other spellings, English names, and which one a text is in.

Clients write `zh`, `zh-CN`, `zh_hans` or `ZH` for one language. One code stands for all of them here: the language
without its region. Only `zh-Hans`, `zh-Hant` and `pt-BR` keep theirs, as in LibreTranslate.
"""

from collections.abc import Collection, Sequence
from functools import cache
from threading import Lock
from typing import Any, NamedTuple

from attentio.text.script import guess_language, script_counts

_LISTED = """
af Afrikaans|am Amharic|ar Arabic|az Azerbaijani|be Belarusian|bg Bulgarian|bn Bengali|br Breton|bs Bosnian|ca Catalan
ceb Cebuano|cs Czech|cy Welsh|da Danish|de German|el Greek|en English|eo Esperanto|es Spanish|et Estonian|eu Basque
fa Persian|fi Finnish|fo Faroese|fr French|fy Frisian|ga Irish|gd Gaelic|gl Galician|gu Gujarati|ha Hausa|he Hebrew
hi Hindi|hr Croatian|hu Hungarian|hy Armenian|id Indonesian|ig Igbo|is Icelandic|it Italian|ja Japanese|jv Javanese
ka Georgian|kk Kazakh|km Khmer|kn Kannada|ko Korean|ku Kurdish|ky Kyrgyz|la Latin|lb Luxembourgish|lo Lao|lt Lithuanian
lv Latvian|mg Malagasy|mi Maori|mk Macedonian|ml Malayalam|mn Mongolian|mr Marathi|ms Malay|mt Maltese|my Burmese
nb Norwegian|ne Nepali|nl Dutch|nn Nynorsk|oc Occitan|pa Punjabi|pl Polish|ps Pashto|pt Portuguese
pt-BR Portuguese (Brazil)|ro Romanian|ru Russian|rw Kinyarwanda|si Sinhala|sk Slovak|sl Slovenian|so Somali|sq Albanian
sr Serbian|sv Swedish|sw Swahili|ta Tamil|te Telugu|tg Tajik|th Thai|tk Turkmen|tl Tagalog|tr Turkish|tt Tatar|ug Uyghur
uk Ukrainian|ur Urdu|uz Uzbek|vi Vietnamese|xh Xhosa|yi Yiddish|yo Yoruba|zh-Hans Chinese|zh-Hant Chinese (traditional)
zu Zulu
"""
_NAMES: dict[str, str] = {
    code: name for entry in _LISTED.strip().replace("\n", "|").split("|") for code, _, name in [entry.partition(" ")]
}
_SAME = {"no": "nb", "iw": "he", "in": "id", "fil": "tl", "cmn": "zh"}
_TRADITIONAL = {"hant", "tw", "hk", "mo"}
_ALSO = {"zh": ("yue", "wuu"), "nb": ("no",)}  # what the identifier takes for languages of their own
_CLEAR = {"zh": ("han",), "ja": ("kana", "han"), "ko": ("hangul",)}  # languages that are known by their script
LONGEST_SAMPLE = 2_000  # characters of a text that decide its language


def canonical(code: str) -> str:
    """Return the one spelling of a language code. What is no known code comes back in lower case."""
    base, *more = code.strip().replace("_", "-").lower().split("-")
    base = _SAME.get(base, base)
    if base == "zt" or (base == "zh" and _TRADITIONAL & set(more)):
        return "zh-Hant"
    if base == "zh":
        return "zh-Hans"
    if base == "pb" or (base == "pt" and "br" in more):
        return "pt-BR"
    return base


def match(code: str, known: Collection[str]) -> str | None:
    """Return which of the known canonical codes is meant, or None.

    A code without a region means any variant. Traditional characters are never given for simplified ones.
    """
    wanted = canonical(code)
    if wanted in known:
        return wanted
    base = wanted.partition("-")[0]
    if base != "zh" or code.strip().lower() == "zh":
        return next((each for each in known if each.partition("-")[0] == base), None)
    return None


def name_of(code: str) -> str:
    """Return the English name of a canonical code, or the code itself."""
    return _NAMES.get(code, code)


class Detected(NamedTuple):
    """A language that a text may be in. confidence: from 0 to 100."""

    language: str
    confidence: float


def prepare() -> None:
    """Load what `detect` needs, so that the first request does not wait for it."""
    _identifier()


def detect(text: str, known: Sequence[str]) -> list[Detected]:
    """Return the known languages, the likeliest first, with how likely each is among all languages.

    A text without letters is in no language. Then the first one comes first, with confidence 0.
    """
    text = text[:LONGEST_SAMPLE]
    if not any(map(str.isalpha, text)):
        return [Detected(code, 0.0) for code in known[:1]]
    clear, scripts = guess_language([text]), script_counts([text])
    shares = {str(language): float(share) for language, share in _identifier().rank(text)}
    found: list[Detected] = []
    for code in known:
        base = code.partition("-")[0]
        share = sum(shares.get(each, 0.0) for each in (base, *_ALSO.get(base, ())))
        if base in _CLEAR:
            share = 1.0 if clear == base else share * any(scripts[script] for script in _CLEAR[base])
        found.append(Detected(code, round(100 * min(share, 1.0), 1)))
    return sorted(found, key=lambda each: -each.confidence)


_LOADING = Lock()


def _identifier() -> Any:
    with _LOADING:  # a second thread waits for the first
        return _loaded_identifier()


@cache
def _loaded_identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # takes half a second

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
