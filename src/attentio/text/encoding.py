"""Which encoding bytes may be in: byte order marks, which are certain, and a guess that is only ever a suggestion.

For Chinese, Japanese and Korean and for accented letters among ASCII we count what is frequent. On single short lines
that is right more often than charset-normalizer, which is asked about everything else (figures in LOG.md).
"""

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# The characters that most text of a language is full of.
_FREQUENT = {
    "gb18030": "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过。，？！",
    "big5": "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過。，？！",
    "shift_jis": "のにはをたがでてとしれさあいるものこうだなかくりきょっん。、？",
    "euc_jp": "のにはをたがでてとしれさあいるものこうだなかくりきょっん。、？",
    "euc_kr": "이다는을가의에고를지하은로나사기어리아서도자한수것해",
}


def byte_order_mark(data: bytes) -> tuple[bytes, str | None]:
    """Return the mark that `data` begins with and the encoding it announces, or empty and None."""
    return next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", None))


def guess_encoding(data: bytes) -> str | None:
    """Return the likeliest encoding of bytes that are not UTF-8, as a suggestion, or None when nothing fits."""
    zeros = data.count(0)
    if zeros * 10 > len(data):
        return "utf-16-le" if data[1::2].count(0) > data[::2].count(0) else "utf-16-be"
    high = [byte > 0x7F for byte in data]
    alone = sum(b and not a and not c for a, b, c in zip([False, *high], high, [*high[1:], False], strict=False))
    if alone * 2 > sum(high):  # accented letters stand alone among ASCII, two-byte characters do not
        return "windows-1252"
    scores: dict[str, float] = {}
    for name, frequent in _FREQUENT.items():
        # A cut at the end may split a character. A wrong encoding fails much earlier and much more.
        text = data.decode(name, "replace")
        letters = [char for char in text if char > "\x7f"]
        if letters and text.count("\ufffd") * 20 < len(letters):
            scores[name] = sum(char in frequent for char in letters) / len(letters)
    best = max(scores, key=scores.__getitem__, default=None)
    if best is not None and scores[best] > 0.1:
        return best
    from charset_normalizer import from_bytes

    other = from_bytes(data).best()
    return other.encoding if other is not None else None
