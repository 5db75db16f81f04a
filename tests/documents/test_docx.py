"""Word documents: python-docx, which we did not write, makes them and reads them."""

import io
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls, qn
from hypothesis import given, settings
from hypothesis import strategies as st

from attentio.documents import translate_document
from attentio.errors import DataError

Translate = Callable[..., Any]


def saved(document: Any) -> bytes:
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def made() -> Any:
    document = docx.Document()
    document.add_heading("Title", 1)
    paragraph = document.add_paragraph("I ")
    paragraph.add_run("love").bold = True
    paragraph.add_run(" you")
    paragraph.add_run(" much")  # the same formatting: one text
    run = '<w:r><w:rPr><w:u w:val="single"/></w:rPr><w:t>here</w:t></w:r>'
    link = parse_xml(f'<w:hyperlink {nsdecls("w")} w:anchor="x">{run}</w:hyperlink>')
    paragraph._element.append(link)
    tabbed = document.add_paragraph()
    run = tabbed.add_run("Name\tValue")
    run.add_break()
    run.add_text("next")
    tabbed.add_run(" one").italic = True
    table = document.add_table(1, 2)
    table.cell(0, 0).text = "Cell"
    table.cell(0, 1).text = "42"
    document.sections[0].header.paragraphs[0].text = "Head"
    page = document.add_paragraph("Page ")
    marks = [f'<w:fldChar w:fldCharType="{kind}"/>' for kind in ("begin", "separate", "end")]
    for inner in (marks[0], "<w:instrText>PAGE</w:instrText>", marks[1], "<w:t>one</w:t>", marks[2]):
        page._element.append(parse_xml(f"<w:r {nsdecls('w')}>{inner}</w:r>"))
    page.add_run(" of many")
    box = "<w:txbxContent><w:p><w:r><w:t>Box</w:t></w:r></w:p></w:txbxContent>"
    box = f"<w:r {nsdecls('w')}><w:pict>{box}</w:pict></w:r>"
    boxed = document.add_paragraph("With ")
    boxed._element.append(parse_xml(box))
    boxed.add_run("picture")
    return document


def test_text_is_translated_and_formatting_kept(shout: Translate) -> None:
    content = saved(made())
    seen: list[str] = []

    def translate(texts: Sequence[str]) -> list[str]:
        seen.extend(texts)
        return shout(texts)

    done = translate_document(content, ".docx", translate)
    assert seen == [
        *("Title", "I <g1>love</g1> you much<g3>here</g3>", "Name", "Value", "next<g1> one</g1>", "Cell"),
        *("Page <g1/> of many", "With <g1/>picture", "Box", "Head"),
    ]
    document = docx.Document(io.BytesIO(done.content))
    assert [paragraph.text for paragraph in document.paragraphs] == [
        *("TITLE", "I LOVE YOU MUCHHERE", "NAME\tVALUE\nNEXT ONE", "PAGE one OF MANY", "WITH PICTURE"),
    ]
    runs = document.paragraphs[1].runs
    assert [(run.text, run.bold) for run in runs] == [("I ", None), ("LOVE", True), (" YOU MUCH", None)]
    assert [link.text for link in document.paragraphs[1].hyperlinks] == ["HERE"]
    assert [run.text for run in document.paragraphs[2].runs if run.italic] == [" ONE"]
    assert [cell.text for cell in document.tables[0].row_cells(0)] == ["CELL", "42"]
    assert document.sections[0].header.paragraphs[0].text == "HEAD"
    assert [element.text for element in document.element.body.iter(qn("w:instrText"))] == ["PAGE"]
    assert [element.text for element in document.element.body.iter(qn("w:t")) if "BOX" in element.text] == ["BOX"]
    assert document.paragraphs[0].style.name == "Heading 1"


def test_all_other_files_are_the_same(shout: Translate) -> None:
    content = saved(made())
    assert translate_document(content, ".docx", list).content == content
    before, after = (
        zipfile.ZipFile(io.BytesIO(each)) for each in (content, translate_document(content, ".docx", shout).content)
    )
    assert before.namelist() == after.namelist()
    changed = {name for name in before.namelist() if before.read(name) != after.read(name)}
    assert changed == {"word/document.xml", "word/header1.xml"}


def test_words_of_another_order_keep_their_formatting(into: Any) -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("plain words and ")
    paragraph.add_run("bold").bold = True
    paragraph.add_run(" and ")
    paragraph.add_run("italic").italic = True
    done = translate_document(saved(document), ".docx", into("<g3>I</g3> & <g1>B</g1> x"))
    runs = docx.Document(io.BytesIO(done.content)).paragraphs[0].runs
    assert [(run.text, run.bold, run.italic) for run in runs] == [
        *(("I", None, True), (" & ", None, None), ("B", True, None), (" x", None, None))
    ]
    lost = translate_document(saved(document), ".docx", into("nothing"))
    assert docx.Document(io.BytesIO(lost.content)).paragraphs[0].text == "nothing"
    assert [one.lost for one in lost.lost] == [("formatting",) * 4]


KINDS = st.tuples(st.sampled_from(["a", "Hello", " ", "\t", "b\tc", "\n", "é", ""]), st.sampled_from("bi -"))


@pytest.mark.slow
@given(st.lists(KINDS, max_size=9))
@settings(max_examples=25)
def test_any_runs(parts: list[tuple[str, str]]) -> None:
    """The text that python-docx reads is the translated text, whatever the runs."""
    document = docx.Document()
    paragraph = document.add_paragraph()
    for text, kind in parts:
        run = paragraph.add_run(text)
        run.bold, run.italic = kind == "b" or None, kind == "i" or None
    content = saved(document)
    done = translate_document(content, ".docx", lambda texts: [text.replace("Hello", "Servus") for text in texts])
    (read,) = docx.Document(io.BytesIO(done.content)).paragraphs
    assert read.text == "".join(text for text, _ in parts).replace("Hello", "Servus")
    bold = {character for run in read.runs if run.bold for character in run.text if character.isalpha()}
    assert bold == set("".join(text for text, kind in parts if kind == "b").replace("Hello", "Servus")) - set(" \t\n")


def zipped(**files: str | bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return stream.getvalue()


def changed(content: bytes) -> bytes:
    """The archive with three bytes of its first file changed."""
    place = content.index(b"document.xml") + 20
    return content[:place] + b"\xff\xff\xff" + content[place + 3 :]


BODY = f"<w:document {nsdecls('w')}><w:body><w:p><w:r><w:t>Hello</w:t></w:r></w:p></w:body></w:document>"
BOMB = '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><d>&b;&b;</d>'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"hello", "is no Word document: it is not a zip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", r"A \.doc of old Word must be saved as \.docx first"),
        (zipped(a="x"), r"has no word/document\.xml"),
        (zipped(word__document="x", **{"word/document.xml": BOMB}), r"a\.docx:word/document\.xml line 1: it declares"),
        (zipped(**{"word/document.xml": "<w:document>"}), r"a\.docx:word/document\.xml line 1: not well-formed"),
        (zipped(**{"word/document.xml": BODY, "x": b"\0" * (257 << 20)}), "unpacks to more than 256 MB"),
        (zipped(**{"word/document.xml": BODY})[:-30], "is not a zip archive"),
        (changed(zipped(**{"word/document.xml": BODY})), "is damaged: 'word/document.xml' cannot be unpacked"),
    ],
    ids=["text", "doc", "other", "entities", "cut-xml", "bomb", "cut-zip", "changed"],
)
def test_damage_gives_one_line(content: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        translate_document(content, ".docx", list, name="a.docx")
    assert "\n" not in str(caught.value)


def test_names_of_files_lead_nowhere(shout: Translate) -> None:
    """Names in the archive are copied and never opened."""
    content = zipped(**{"word/document.xml": BODY, "../../etc/passwd": "x", "/abs": "y"})
    done = translate_document(content, ".docx", shout)
    assert zipfile.ZipFile(io.BytesIO(done.content)).namelist() == ["word/document.xml", "../../etc/passwd", "/abs"]
