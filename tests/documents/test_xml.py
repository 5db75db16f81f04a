"""XLIFF and TMX: only what has no translation gets one, and everything else stays byte for byte. lxml reads along."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from attentio.documents import Translated, translate_document
from attentio.documents.xml import Element, Other, Text, parse
from attentio.errors import DataError, UsageError

Translate = Callable[..., Any]
XLIFF_1 = """<?xml version='1.0' encoding="utf-8"?>
<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2"><file original='a' source-language="en"
  datatype="plaintext"><body>
 <trans-unit id="1"><source>I <g id="b">love</g> you &amp; <x id="x"/>me</source></trans-unit>
 <trans-unit id="2">
   <source>Yes</source>
   <target state="new"/>
   <note>hello</note>
 </trans-unit>
 <trans-unit id="3" translate="no"><source>No</source></trans-unit>
 <trans-unit id="4"><source>Done</source><target>好了</target></trans-unit>
 <trans-unit id="5" approved="yes"><source>Done</source><target state='new'></target></trans-unit>
 <trans-unit id="6"><source>Go <bpt id="1">&lt;b></bpt>on<ept id="1">&lt;/b></ept></source>
  <target state='needs-translation'>x</target></trans-unit>
</body></file></xliff>
"""
XLIFF_2 = """<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.1" srcLang="en" trgLang="zh">
<file id="f"><unit id="u"><notes><note>hello</note></notes>
 <segment id="s1" state="initial"><source>I <pc id="1">love</pc> <mrk id="m" translate="no">hello</mrk> you</source>
 </segment>
 <ignorable><source> </source></ignorable>
 <segment><source>Yes</source><target>是</target></segment>
</unit><unit id="v" translate="no"><segment><source>No</source></segment></unit></file></xliff>"""
TMX = """\ufeff<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4"><header srclang="en-US" datatype="xml"/><body>
  <tu tuid="1"><!-- one -->
    <tuv xml:lang="en-US"><seg>I <bpt i="1">&lt;b></bpt>love<ept i="1">&lt;/b></ept> you</seg></tuv>
    <tuv xml:lang="de"><seg>Ich liebe dich</seg></tuv>
  </tu>
  <tu><tuv xml:lang="en"><seg>Yes</seg></tuv><tuv xml:lang='zh-CN'><seg>是</seg></tuv></tu>
  <tu><tuv xml:lang="fr"><seg>Oui</seg></tuv></tu>
</body></tmx>"""


def done(text: str, suffix: str, translate: Translate) -> Translated:
    return translate_document(
        text.encode(), suffix, translate, source_language="en", target_language="zh", name="a" + suffix
    )


def test_xliff_1(shout: Translate) -> None:
    found = done(XLIFF_1, ".xlf", shout)
    marked = 'state="needs-review-translation" state-qualifier="mt-suggestion">'
    expected = (
        XLIFF_1.replace('datatype="plaintext"', 'datatype="plaintext" target-language="zh"')
        .replace("/>me</source>", f'/>me</source><target {marked}I <g id="b">LOVE</g> YOU &amp; <x id="x"/>ME</target>')
        .replace('<target state="new"/>', f"<target {marked}YES</target>")
        .replace(
            "<target state='needs-translation'>x<",
            f'<target {marked}GO <bpt id="1">&lt;b></bpt>ON<ept id="1">&lt;/b></ept><',
        )
    )
    assert found.content.decode() == expected
    assert (found.segments, found.skipped, found.lost, found.notes) == (3, 3, (), ())
    etree.fromstring(found.content)


def test_xliff_2(shout: Translate) -> None:
    found = done(XLIFF_2, ".xliff", shout)
    target = '<target>I <pc id="1">LOVE</pc> <mrk id="m" translate="no">hello</mrk> YOU</target>'
    assert found.content.decode() == XLIFF_2.replace('state="initial"', 'state="translated"').replace(
        " you</source>", " you</source>" + target
    )
    assert (found.segments, found.skipped) == (1, 2)
    other = done(XLIFF_2.replace('trgLang="zh"', 'trgLang="de"'), ".xliff", shout)
    assert other.notes == ("a.xliff has trgLang 'de', and this model has 'zh'.",)


def test_tmx(shout: Translate) -> None:
    found = done(TMX, ".tmx", shout)
    variant = '<tuv xml:lang="zh"><seg>I <bpt i="1">&lt;b></bpt>LOVE<ept i="1">&lt;/b></ept> YOU</seg></tuv>'
    assert found.content.decode() == TMX.replace("dich</seg></tuv>", "dich</seg></tuv>\n    " + variant)
    assert (found.segments, found.skipped) == (1, 1)
    with pytest.raises(UsageError, match="names its languages"):
        translate_document(TMX.encode(), ".tmx", shout)


def test_what_is_filled_is_filled_once(shout: Translate) -> None:
    for text, suffix in ((XLIFF_1, ".xlf"), (XLIFF_2, ".xlf"), (TMX, ".tmx")):
        once = done(text, suffix, shout).content
        assert done(once.decode(), suffix, shout).content == once


BOMB = '<?xml version="1.0"?><!DOCTYPE tmx [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;">]><tmx>&b;</tmx>'
OUTSIDE = '<!DOCTYPE tmx [<!ENTITY a SYSTEM "file:///etc/passwd">]><tmx><seg>&a;</seg></tmx>'


@pytest.mark.parametrize(
    ("text", "suffix", "said"),
    [
        (BOMB, ".tmx", r"a\.tmx line 1: it declares the entity 'a', and such files are not read"),
        (OUTSIDE, ".xliff", "declares the entity 'a'"),
        (BOMB.replace("ENTITY", "ENTITY %"), ".tmx", "declares the entity|not well-formed"),
        ("<tmx>" * 300, ".tmx", "more than 200 elements in one another"),
        (TMX[:400], ".tmx", r"a\.tmx line 8: not well-formed XML"),
        ("", ".tmx", "not well-formed XML"),
        ("<html/>", ".tmx", r"is <html>, and a TMX file is <tmx>"),
        ("<html/>", ".xlf", r"is <html>, and XLIFF 1.2 or 2 is read"),
        ("<xliff version='3.0'/>", ".xlf", "is version '3' of XLIFF"),
        (TMX.replace('"en', '"fr').replace("'en", "'fr"), ".tmx", "has no unit in en"),
        ('<?xml version="1.0" encoding="latin-7"?><tmx/>', ".tmx", "is not latin-7"),
        ('<?xml version="1.0" encoding="zip"?><tmx/>', ".tmx", "is not zip"),
    ],
)
def test_damage_gives_one_line(shout: Translate, text: str, suffix: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        done(text, suffix, shout)
    assert "\n" not in str(caught.value)


trees = st.recursive(
    st.sampled_from(
        [
            "x",
            "é<![CDATA[<&]]>",
            "<![CDATA[]]>",
            "&amp;&#65;",
            "<!-- c -->",
            "<?pi x?>",
            "<e/>",
            "<e a='>'/>",
            "\r\n",
            "\U0001f600",
        ]
    ),
    lambda inner: st.lists(inner, max_size=4).map(lambda parts: f'<p:t  b="&lt;/>" >{"".join(parts)}</p:t >'),
)


@given(trees)
def test_everything_has_its_place(tree: str) -> None:
    """The tree agrees with that of lxml, and its parts put together are the file."""
    text = f"<r xmlns:p='u'>{tree}</r>"
    root = parse(text.encode(), "a").root
    theirs = etree.fromstring(text.encode())
    assert root.text == "".join(theirs.xpath(".//text()")).replace("\r\n", "\n")
    assert [(each.name, each.space) for each in root.walk()] == [
        (etree.QName(each).localname, etree.QName(each).namespace or "") for each in theirs.iter(etree.Element)
    ]
    for element in root.walk():
        tag = text[element.start : element.inner]
        assert tag.startswith("<")
        assert tag.endswith(">")
        assert element.end == element.inner or re.fullmatch(r"</[\w:]+ ?>", text[element.inner_end : element.end])
        place = element.inner
        for child in element.children:
            assert child.start == place
            assert isinstance(child, Element | Text | Other)
            place = child.end
        assert place == element.inner_end
