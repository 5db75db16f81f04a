"""HTML: everything but the text stays byte for byte, and inline tags come back around the right words."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from attentio.documents import translate_document, translate_html

Translate = Callable[..., Any]
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset=utf-8><title>Two &amp; three</title>
<style>p > b { content: "hello" }</style><script>if (a < b) { alert("hello </p>") }</script></head>
<body dir='ltr'><!-- hello -->
<p title="hello">I <B title="a>b">love</B> you &amp; me.<br>Line <i>two</i>
goes   on</p><ul><li>one<li translate=no>two<li>three</ul>
<pre>hello
 world</pre><p>Type <code>cp a b</code> now, <img src="a.png" alt="hello">please.</p><p>42 &mdash; !</p>
<p class=notranslate>hello</p></body></html>
"""


def test_only_text_is_translated(shout: Translate) -> None:
    done = translate_document(PAGE.encode(), ".html", shout)
    assert done.content.decode() == (
        PAGE.replace("Two &amp; three", "TWO &amp; THREE")
        .replace('I <B title="a>b">love</B> you &amp; me.', 'I <B title="a>b">LOVE</B> YOU &amp; ME.')
        .replace("Line <i>two</i>\ngoes   on", "LINE <i>TWO</i> GOES ON")
        .replace("<li>one", "<li>ONE")
        .replace("<li>three", "<li>THREE")
        .replace("Type <code>", "TYPE <code>")
        .replace("</code> now, ", "</code> NOW, ")
        .replace(">please.", ">PLEASE.")
    )
    assert (done.segments, done.skipped, done.lost) == (6, 2, ())


def test_one_call_sees_all_texts(into: Any) -> None:
    texts = ["I <g1>love</g1> you.", "Yes.", "No", "way"]
    translate_html(["<p>I <b>love</b> you.</p><p>Yes.</p>", "No <br> way"], into(*texts))
    assert into.seen == [texts]


@pytest.mark.parametrize(
    ("fragment", "answer", "expected", "lost"),
    [
        ("I <b>love</b> <i>you</i>.", "<g3>You</g3>, <g1>love</g1> I.", "<i>You</i>, <b>love</b> I.", ()),
        ("I <b>love</b> you.", "</g1>Love<g1> you", "<b>Love</b> you", ()),
        ("I <b>love</b> you.", "Love you & me", "<b>Love you &amp; me</b>", ("<b>", "</b>")),
        ("I <b>love</b> you.", "Love <g1>you", "<b>Love you</b>", ("</b>",)),
        ("A <b>b</b> c <i>d</i> e", "x", "x<b></b><i></i>", ("<b>", "</b>", "<i>", "</i>")),
        ("Say &lt;g1&gt; and <b>go</b> on", "<g1> <gg1>x</gg1> <", "&lt;g1&gt; <b>x</b> &lt;", ()),
        ("<b><i>All</i></b>", "x", "<b><i>x</i></b>", ()),
        ("A <b><i>lot</i></b> more", "<g1>x</g1> y", "<b><i>x</i></b> y", ()),
        ("a </b> x <i>b", "c <x1/>", "c &lt;x1/&gt;</b><i>", ("</b>", "<i>")),
    ],
)
def test_tags_come_back(into: Any, fragment: str, answer: str, expected: str, lost: tuple[str, ...]) -> None:
    (done,) = translate_html([fragment], into(answer))
    assert done.content.decode() == expected
    assert tuple(each for one in done.lost for each in one.lost) == lost


TAGS = [
    "<b>",
    "</b>",
    "<p>",
    "</p>",
    "<br>",
    "<a href='x>y'>",
    "</a>",
    "<i/>",
    "<",
    ">",
    "&amp;",
    "&lt;b&gt;",
    "&",
    " ",
]
TAGS += ["a", "Hello", "é", "\r\n", "\n", "<!-- c -->", "<script>", "</script>", "<![CDATA[x]]>", "<?x?>", "<pre>"]
TAGS += ["<a 'x", '<b title="', "'>", "<textarea>", "</textarea >", "<title>", "</TITLE>", "<b/>", "<a =b>", "<b/c=d>"]
TAGS += ["</pre>", "<li translate=no>", "<li>", "\u00a0", "</", "<code>", "</code>", "&#x41;", "<!x", "<!DOCTYPE html>"]
pages = st.lists(st.sampled_from(TAGS), max_size=25).map("".join)


@given(pages)
def test_unchanged_text_keeps_every_byte(page: str) -> None:
    assert translate_html([page], list)[0].content.decode() == page


@given(pages)
def test_a_parser_of_others_sees_the_same_elements(page: str) -> None:
    """Whatever the tag soup: translated, it has the tags it had, in the order it had."""
    done = translate_html([page], lambda texts: [text.replace("Hello", "Servus") for text in texts])[0].content.decode()
    assert [node.tag for node in LexborHTMLParser(done).root.traverse()] == [
        node.tag for node in LexborHTMLParser(page).root.traverse()
    ]  # type: ignore[union-attr]


def test_encodings(into: Any) -> None:
    page = '<meta charset="iso-8859-1"><p>Müller</p>'
    done = translate_document(page.encode("windows-1252"), ".htm", into("穆勒"))
    assert done.content == page.replace("Müller", "&#31302;&#21202;").encode("windows-1252")
    wide = "\ufeff<p>Hello</p>".encode("utf-16-le")
    assert translate_document(wide, ".html", into("你好")).content == "\ufeff<p>你好</p>".encode("utf-16-le")
