"""Pages with tags and files, through every API that takes them."""

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from attentio.serve.files import FORMATS, KEPT_BYTES, KEPT_SECONDS, Shelf
from attentio.serve.problems import Problem

TEXT = "My sister bought two books yesterday."
DONE = "我姐姐昨天买了两本书。"
PAIR = {"source": "en", "target": "zh"}
PAGE = f'<p id="a">{TEXT}</p>\n<script>if (1 < 2) "no"</script><p title="x &amp; y">I love you. &lt;3</p>'


def send(client: Any, name: str, content: bytes, **given: str) -> Any:
    return client.post("/translate_file", files={"file": (name, content)}, data=PAIR | given)


def test_tags_are_kept_in_every_api(served: Any) -> None:
    found = served.client.post(
        "/translate", json={"q": [PAGE, TEXT], **PAIR, "format": "html", "alternatives": 2}
    ).json()
    page, plain = found["translatedText"]
    assert page.startswith(f'<p id="a">{DONE}</p>\n<script>if (1 < 2) "no"</script><p title="x &amp; y">我爱你。')
    assert page.endswith("</p>")
    assert plain == DONE
    assert found["alternatives"] == [[], []]
    deepl = served.client.post("/v2/translate", json={"text": PAGE, "target_lang": "ZH", "tag_handling": "html"}).json()
    assert deepl["translations"][0]["text"] == page
    assert (
        served.client.post("/translate", json={"q": "<br>", **PAIR, "format": "html"}).json()["translatedText"]
        == "<br>"
    )


def test_a_file_is_translated_and_fetched(served: Any) -> None:
    assert set(served.client.get("/frontend/settings").json()["supportedFilesFormat"]) == set(FORMATS)
    for source in ("en", "auto"):
        answer = send(served.client, "a.txt", f"{TEXT}\r\n\r\nI love you.\r\n".encode(), source=source)
        assert answer.status_code == 200, answer.text
        address = answer.json()["translatedFileUrl"]
        assert address.startswith(f"{served.url}/download_file/")
        assert address.endswith("_zh-Hans.txt")
        fetched = served.client.get(address)
        assert fetched.content.decode() == f"{DONE}\r\n\r\n我爱你。\r\n"
        assert fetched.headers["Content-Disposition"].startswith("attachment")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["../../etc/passwd.txt", "/etc/x.txt", "..\\x.TXT", "a\x00b.txt", 'q".txt', "é\u202e.txt"]
)
def test_a_name_is_only_asked_for_its_ending(served: Any, name: str) -> None:
    answer = send(served.client, name, TEXT.encode())
    assert answer.status_code == 200
    assert answer.json()["translatedFileUrl"].rpartition("/")[2].count(".") == 1


def test_files_that_are_none(served: Any) -> None:
    for name in ("a.exe", "txt", ""):
        answer = send(served.client, name, TEXT.encode())
        assert answer.status_code == 400
    assert send(served.client, "a.srt", b"\xff\xfe\x00\xd8").status_code == 400
    bomb = '<!DOCTYPE tmx [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><tmx version="1.4"><body/></tmx>'
    answer = send(served.client, "a.tmx", f'<?xml version="1.0"?>{bomb}'.encode())
    assert (answer.status_code, "declares the entity 'a'" in answer.json()["error"]) == (400, True)
    assert send(served.client, "a.docx", b"PK\x03\x04").status_code == 400
    missing = served.client.post("/translate_file", data=PAIR)
    assert (missing.status_code, missing.json()) == (400, {"error": "Invalid request: missing file parameter"})
    text = served.client.post("/translate_file", data=PAIR | {"file": "text"})
    assert text.status_code == 400
    for name in ("x", "..%2f..%2fetc%2fpasswd", "%00"):
        assert served.client.get(f"/download_file/{name}").status_code == 404


def zipped(**files: str | bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


ENTITIES = '<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
DOCUMENT = f"<w:document xmlns:w='{WORD}'><w:body><w:p><w:r><w:t>{TEXT}</w:t></w:r></w:p></w:body></w:document>"
LYING = zipped(**{"word/document.xml": DOCUMENT.replace("My", " " * 4_000_000)})
# Both headers say that the content is short.
for place in (LYING.index(b"PK\x03\x04") + 22, LYING.index(b"PK\x01\x02") + 24):
    LYING = LYING[:place] + (200).to_bytes(4, "little") + LYING[place + 4 :]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (zipped(**{"word/document.xml": f"{ENTITIES}<d>&b;</d>"}), "declares the entity 'a'"),
        (zipped(**{"word/document.xml": DOCUMENT, "x": b"\0" * (5 << 20)}), "unpacks to more than 4 MB"),
        (zipped(**{"word/document.xml": DOCUMENT, **{f"{n}": "" for n in range(10_001)}}), "too many"),
        (LYING, "'word/document.xml' cannot be unpacked"),
    ],
    ids=["entities", "zeros", "many", "lying"],
)
def test_bombs_in_word_documents_are_refused(
    served: Any, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str
) -> None:
    monkeypatch.setattr("attentio.documents.docx.LARGEST", 4 << 20)
    answer = send(served.client, "a.docx", content)
    assert (answer.status_code, said in answer.json()["error"]) == (400, True), answer.text
    good = send(served.client, "../a.docx", zipped(**{"word/document.xml": DOCUMENT, "../../etc/passwd": "x"}))
    fetched = served.client.get(good.json()["translatedFileUrl"]).content
    with zipfile.ZipFile(io.BytesIO(fetched)) as archive:
        assert DONE in archive.read("word/document.xml").decode()


@pytest.mark.slow
def test_a_long_file_goes_through_in_parts(start: Callable[..., Any]) -> None:
    client = start(texts=3, characters=len(TEXT), body=100).client
    answer = send(client, "a.txt", "\n\n".join([TEXT] * 7).encode())
    assert client.get(answer.json()["translatedFileUrl"]).text == "\n\n".join([DONE] * 7)


def test_files_are_kept_for_a_while_and_not_too_many() -> None:
    now = [0.0]
    shelf = Shelf(lambda: now[0])
    first = shelf.put(b"a", ".txt", "de")
    now[0] = KEPT_SECONDS
    second = shelf.put(b"b", ".html", "de")
    assert (shelf.get(first), shelf.get(second)) == ((b"a", "text/plain"), (b"b", "text/html"))
    now[0] += 1
    with pytest.raises(Problem):
        shelf.get(first)
    shelf.put(bytes(KEPT_BYTES), ".txt", "de")
    with pytest.raises(Problem):
        shelf.get(second)
