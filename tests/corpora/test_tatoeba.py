"""Downloading, against a local server that breaks the connection, forgets, changes its file, or lies."""

import hashlib
import io
import socket
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from attentio.corpora.tatoeba import download, fetch_tatoeba
from attentio.errors import DataError, UsageError

TEXT = "".join(f"Sentence {i}.\t第{i}句。\tCC-BY\n" for i in range(9000)).encode()


def zipped(text: bytes = TEXT, name: str = "cmn.txt") -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("_about.txt", "about")
        archive.writestr(name, text)
    return held.getvalue()


class Server:
    """Serves `content` under any path but /missing…; `breaks` says after how many bytes each reply is cut off."""

    def __init__(self) -> None:
        self.content = zipped()
        self.breaks: list[int] = []
        self.ranges = True
        self.tag = '"one"'
        self.status: list[int] = []
        self.requests: list[dict[str, str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.reply(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def reply(self, request: BaseHTTPRequestHandler) -> None:
        self.requests.append({"path": request.path, **{k.lower(): v for k, v in request.headers.items()}})
        if "missing" in request.path:
            request.send_error(404)
            return
        if self.status:
            request.send_error(self.status.pop(0))
            return
        start = 0
        wanted = request.headers.get("Range")
        if wanted and self.ranges and request.headers.get("If-Range") in (None, self.tag):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(self.content):
            request.send_error(416)
            return
        body = self.content[start:]
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        request.send_header("Content-Length", str(len(body)))
        if self.tag:
            request.send_header("ETag", self.tag)
        request.end_headers()
        request.wfile.write(body[: self.breaks.pop(0)] if self.breaks else body)
        request.close_connection = True

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    held = Server()
    yield held
    held.close()


def asked(server: Server) -> list[str | None]:
    return [request.get("range") for request in server.requests]


def test_archive_text_and_checksum(server: Server, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    found = fetch_tatoeba("eng-cmn", tmp_path, base_url=server.url + "/", progress=lambda a, b: told.append((a, b)))
    assert found.text.read_bytes() == TEXT
    assert found.archive.read_bytes() == server.content
    assert found.sha256 == hashlib.sha256(server.content).hexdigest()
    assert (tmp_path / "cmn-eng.zip.sha256").read_text() == f"{found.sha256}  cmn-eng.zip\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cmn-eng.txt", "cmn-eng.zip", "cmn-eng.zip.sha256"]
    assert told[-1] == (len(server.content), len(server.content))
    assert told == sorted(told)
    assert server.requests[0]["path"] == "/cmn-eng.zip"
    assert server.requests[0]["user-agent"].startswith("attentio/")


@pytest.mark.parametrize("pair", ["cmn-eng", "zh-en", "en-zh", "ENG-CMN"])
def test_names_of_languages(server: Server, tmp_path: Path, pair: str) -> None:
    assert fetch_tatoeba(pair, tmp_path, base_url=server.url).archive.name == "cmn-eng.zip"


@pytest.mark.parametrize("pair", ["cmn", "deu-fra", "eng-eng", "eng-cmn-x", "eng-../x", ""])
def test_pairs_that_make_no_sense(tmp_path: Path, pair: str) -> None:
    with pytest.raises(UsageError, match="One of the two is English"):
        fetch_tatoeba(pair, tmp_path, base_url="http://127.0.0.1:9")


def test_a_broken_connection_is_taken_up_where_it_broke(server: Server, tmp_path: Path) -> None:
    server.breaks = [98_304, 49_152]
    download(server.url + "/x.zip", tmp_path / "x.zip")
    assert (tmp_path / "x.zip").read_bytes() == server.content
    first, *resumed = asked(server)
    assert first is None
    # What has not come to a whole block is asked for again.
    at = [int(text.removeprefix("bytes=").removesuffix("-")) for text in resumed if text]
    assert len(at) == 2
    assert 80_000 < at[0] <= 98_304
    assert at[0] + 30_000 < at[1] <= at[0] + 49_152


def test_the_next_run_goes_on_too(server: Server, tmp_path: Path) -> None:
    server.breaks = [40_960, 0, 0, 0, 0]
    with pytest.raises(DataError, match=r"The same command resumes after the [\d,]+ bytes that are here\.") as caught:
        download(server.url + "/x.zip", tmp_path / "x.zip")
    assert caught.value.code == "E_DATA_DOWNLOAD"
    assert not (tmp_path / "x.zip").exists()
    here = (tmp_path / "x.zip.part").stat().st_size
    assert f"{here:,} bytes" in str(caught.value)
    assert 30_000 < here <= 40_960
    server.requests.clear()
    download(server.url + "/x.zip", tmp_path / "x.zip")
    assert asked(server) == [f"bytes={here}-"]
    assert (tmp_path / "x.zip").read_bytes() == server.content


def test_a_file_that_changed_meanwhile_is_begun_again(server: Server, tmp_path: Path) -> None:
    server.breaks = [40_960, 0, 0, 0, 0]
    with pytest.raises(DataError):
        download(server.url + "/x.zip", tmp_path / "x.zip")
    server.content, server.tag = zipped(TEXT[::-1]), '"two"'
    download(server.url + "/x.zip", tmp_path / "x.zip")
    assert (tmp_path / "x.zip").read_bytes() == server.content


@pytest.mark.parametrize("tag", ["", 'W/"weak"'])
def test_without_a_sure_identity_it_begins_again(server: Server, tmp_path: Path, tag: str) -> None:
    server.tag = tag
    server.breaks = [40_960]
    download(server.url + "/x.zip", tmp_path / "x.zip")
    assert asked(server) == [None, None]
    assert (tmp_path / "x.zip").read_bytes() == server.content


def test_a_server_that_knows_no_ranges(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.breaks = [40_960]
    download(server.url + "/x.zip", tmp_path / "x.zip")
    assert (tmp_path / "x.zip").read_bytes() == server.content


def test_a_part_longer_than_the_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    server.breaks = [40_960, 0, 0, 0, 0]
    with pytest.raises(DataError):
        download(server.url + "/x.zip", tmp_path / "x.zip")
    server.content = server.content[:30_000]
    download(server.url + "/x.zip", tmp_path / "x.zip")
    assert (tmp_path / "x.zip").read_bytes() == server.content


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.status = [503, 429]
    download(server.url + "/x.zip", tmp_path / "x.zip")
    assert len(server.requests) == 3


def test_a_refusal_is_final(server: Server, tmp_path: Path) -> None:
    server.status = [403] * 9
    with pytest.raises(DataError, match="the server says 403 Forbidden"):
        download(server.url + "/x.zip", tmp_path / "x.zip")
    assert len(server.requests) == 1


def test_a_pair_the_publisher_has_not(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the publisher has no such pair") as caught:
        fetch_tatoeba("eng-missing", tmp_path, base_url=server.url)
    assert server.url in str(caught.value)


def test_nobody_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with pytest.raises(DataError, match="Is the network up"):
        download("http://127.0.0.1:9/x.zip", tmp_path / "x.zip")
    with pytest.raises(UsageError, match="no http address"):
        download("file:///etc/passwd", tmp_path / "x")


def test_what_is_there_and_whole_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        fetch_tatoeba("eng-cmn", tmp_path, base_url=server.url)
    assert len(server.requests) == 1
    (tmp_path / "cmn-eng.zip").write_bytes(b"rotten")
    assert fetch_tatoeba("eng-cmn", tmp_path, base_url=server.url).text.read_bytes() == TEXT
    assert len(server.requests) == 2


def test_a_known_checksum_is_held_to(server: Server, tmp_path: Path) -> None:
    right = hashlib.sha256(server.content).hexdigest()
    assert download(server.url + "/x.zip", tmp_path / "x.zip", sha256=right.upper()) == right
    with pytest.raises(DataError, match=f"has SHA-256 {right}, not 00") as caught:
        download(server.url + "/y.zip", tmp_path / "y.zip", sha256="00")
    assert caught.value.code == "E_DATA_CHECKSUM"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.zip", "x.zip.sha256"]


def test_the_archives_own_checksums_are_checked(server: Server, tmp_path: Path) -> None:
    at = server.content.index(b"Sentence 77.")
    server.content = server.content[:at] + b"?" + server.content[at + 1 :]
    with pytest.raises(DataError, match=r"wrong CRC in cmn\.txt"):
        fetch_tatoeba("eng-cmn", tmp_path, base_url=server.url)
    assert not (tmp_path / "cmn-eng.txt").exists()


@pytest.mark.parametrize("content", [b"<html>", zipped(name="other.txt")])
def test_an_archive_that_is_none_or_holds_something_else(server: Server, tmp_path: Path, content: bytes) -> None:
    server.content = content
    with pytest.raises(DataError, match=r"is damaged|holds no cmn"):
        fetch_tatoeba("eng-cmn", tmp_path, base_url=server.url)


def test_a_server_that_does_not_answer_is_said_in_plain_words(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, and nobody listens
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(DataError, match=rf"could not fetch {address}/cmn-eng\.zip: 127\.0\.0\.1 does not answer\."):
            fetch_tatoeba("eng-cmn", tmp_path, base_url=address)
