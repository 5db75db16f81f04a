"""From the bytes of a document to its text and back, in the same encoding and with the same byte order mark."""

import re
from typing import NamedTuple

from attentio.errors import DataError
from attentio.text.encoding import byte_order_mark, guess_encoding

_WIDE_XML = {b"<\0": "utf-16-le", b"\0<": "utf-16-be"}
_DECLARED = re.compile(rb"""<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]{1,40})["']""")
_META = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)
_HEAD = 2048  # bytes in which an encoding is declared


class Decoded(NamedTuple):
    """The text of a document, the mark before it, and its encoding."""

    text: str
    mark: bytes
    encoding: str

    def encoded(self, text: str, name: str, *, references: bool = False) -> bytes:
        """Return another text as the bytes of such a document.

        references: what the encoding does not have becomes a character reference, as XML and HTML allow.
        Raises DataError where a character has no place in the encoding.
        """
        try:
            return self.mark + text.encode(self.encoding, "xmlcharrefreplace" if references else "strict")
        except UnicodeEncodeError as error:
            raise DataError(
                f"{name} is in {self.encoding}, which has no {text[error.start]!r}.",
                hint=f"Convert the file first: iconv -f {self.encoding} -t UTF-8.",
                code="E_DATA_ENCODING",
            ) from None


def decode(content: bytes, name: str, *, declared: str | None = None) -> Decoded:
    """Return the text of a document: by its byte order mark, by what it declares, or as UTF-8.

    Raises DataError where it is in another encoding, with the likeliest one as a hint.
    """
    mark, marked = byte_order_mark(content)
    encoding = marked or declared or "utf-8"
    body = content[len(mark) :]
    try:
        text = body.decode(encoding)
        same = text.encode(encoding) == body
    except (UnicodeError, LookupError):
        likely = guess_encoding(body[:100_000])
        raise DataError(
            f"{name} is not {encoding}.",
            hint=f"Convert it: iconv -f {likely} -t UTF-8." if likely else "Convert it to UTF-8.",
            code="E_DATA_ENCODING",
        ) from None
    if not same:
        hint = f"Convert it first: iconv -f {encoding} -t UTF-8."
        raise DataError(f"{name} could not be written back in {encoding}.", hint=hint, code="E_DATA_ENCODING")
    return Decoded(text, mark, encoding)


def xml_encoding(content: bytes) -> str | None:
    """Return the encoding that an XML file without a byte order mark has by its declaration."""
    declared = _DECLARED.match(content[:_HEAD].lstrip())
    return _WIDE_XML.get(content[:2]) or (declared[1].decode("ascii") if declared else None)


def html_encoding(content: bytes) -> str | None:
    """Return the encoding that an HTML file declares in its head."""
    declared = _META.search(content[:_HEAD])
    name = declared[1].decode("ascii").lower() if declared else None
    # Browsers take these names for their larger sisters.
    return {"iso-8859-1": "windows-1252", "latin1": "windows-1252", "gb2312": "gb18030", "gbk": "gb18030"}.get(
        name or "", name
    )
