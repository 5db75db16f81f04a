"""Catalogs of gettext: polib, which we did not write, reads what comes out."""

from collections.abc import Callable, Sequence
from typing import Any

import polib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attentio.documents import translate_document
from attentio.errors import DataError

Translate = Callable[..., Any]
PO = r"""# Title
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\n"
"Language: zh_CN\n"

#. comment
#: a.c:1
#, c-format
msgctxt "menu"
msgid "Open \"%s\"\n"
msgstr ""

msgid ""
"Two "
"lines\n"
"here"
msgstr ""
#, fuzzy
msgid "Old"
msgstr "旧"

msgid "Done"
msgstr "好了"

#,python-format
msgid "%d book"
msgid_plural "%d books"
msgstr[0] ""
msgstr[1] ""

msgid "%d cat"
msgid_plural "%d cats"
msgstr[0] ""

#, fuzzy
#~ msgid "Gone"
#~ msgstr "x"
"""


def test_what_has_no_translation_gets_one(shout: Translate) -> None:
    done = translate_document(PO.encode(), ".po", shout, target_language="zh", name="a.po")
    expected = (
        PO.replace("#, c-format\n", "#, fuzzy, c-format\n")
        .replace('\\n"\nmsgstr ""\n\nmsgid ""', '\\n"\nmsgstr "OPEN \\"%S\\"\\n"\n\n#, fuzzy\nmsgid ""')
        .replace('"here"\nmsgstr ""', '"here"\nmsgstr ""\n"TWO LINES\\n"\n"HERE"')
        .replace("#,python-format", "#, fuzzy, python-format")
        .replace('msgstr[0] ""\nmsgstr[1] ""', 'msgstr[0] "%D BOOK"\nmsgstr[1] "%D BOOKS"')
        .replace('msgid "%d cat"\n', '#, fuzzy\nmsgid "%d cat"\n')
        .replace('cats"\nmsgstr[0] ""', 'cats"\nmsgstr[0] "%D CATS"')
    )
    assert done.content.decode() == expected
    assert (done.segments, done.skipped, done.notes) == (5, 2, ())
    entries = polib.pofile(done.content.decode())
    assert [entry.msgid for entry in entries if entry.fuzzy and not entry.obsolete] == [
        'Open "%s"\n',
        "Two lines\nhere",
        "Old",
        "%d book",
        "%d cat",
    ]
    again = translate_document(done.content, ".po", shout, target_language="de", name="a.po")
    assert again.content == done.content
    assert again.notes == ("a.po is a catalog in 'zh_CN', and this model writes 'de'.",)


texts = st.text(st.sampled_from('aZ é\n\t\\"%我x4'), min_size=1, max_size=12)


@given(st.lists(texts, min_size=1, max_size=4, unique=True), st.booleans())
def test_polib_reads_what_was_written(messages: list[str], crlf: bool) -> None:
    catalog = polib.POFile(wrapwidth=8)
    catalog.metadata = {"Content-Type": "text/plain; charset=UTF-8"}
    catalog += [polib.POEntry(msgid=message, msgstr="") for message in messages]
    written = str(catalog).replace("\n", "\r\n" if crlf else "\n")
    with_letters = [message for message in messages if any(map(str.isalpha, message))]
    seen: list[str] = []

    def translate(found: Sequence[str]) -> list[str]:
        seen.extend(found)
        return [text + "!" for text in found]

    done = translate_document(written.encode(), ".po", translate)
    assert seen == [message.strip() for message in with_letters]
    read = {entry.msgid: entry.msgstr for entry in polib.pofile(done.content.decode().replace("\r\n", "\n"))}
    ends = {message: len(message.rstrip()) for message in with_letters}
    assert read == {
        message: f"{message[: ends[message]]}!{message[ends[message] :]}" if message in ends else ""
        for message in messages
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('msgid "a"\nmsgstr ""x', "a.po line 2: neither a comment nor"),
        ('msgid "a"\n\nmsgstr ""', "a.po line 2: the message before it has no msgstr"),
        ("hello", "a.po line 1: neither"),
        ('msgstr ""\n', "a.po line 2: the message before it has no msgid"),
        ('msgid "a"\nmsgid "b"\n', "a.po line 2: neither"),
        ('msgid "a', "line 1: neither"),
    ],
)
def test_damage_gives_one_line(text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        translate_document(text.encode(), ".po", list, name="a.po")
