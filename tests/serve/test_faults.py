"""What clients do wrong, and what happens to a machine: no answer is lost, and no fault is the server's."""

import json
import socket
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

TEXT = "My sister bought two books yesterday."
DONE = "我姐姐昨天买了两本书。"
PAIR = {"source": "en", "target": "zh"}


def raw(url: str, content: bytes) -> bytes:
    """What comes back for bytes that may be no HTTP."""
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=20) as connection:
        try:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65_536), b""))
        except OSError:  # it did not want to read on
            return b""


def is_well(served: Any) -> bool:
    return served.client.post("/translate", json={"q": TEXT, **PAIR}).json() == {"translatedText": DONE}


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "I love you.\x00",
        "\x00",
        "\u202eI love you.\u202c שלום",
        "👩🏽\u200d💻 I love you. 🇩🇪",
        "﷽" * 40,
        "a" * 1_000,
        "I love you. " * 100,
        "\u0300" * 300,
        "<b>" * 200,
        "{{name}} " * 90,
        "\ue000\ue001 I love you.",
        "\ufeff\u2028I love you.\u2029\x85x",
    ],
)
def test_any_text_has_an_answer(served: Any, text: str) -> None:
    for form in ("text", "html"):
        answer = served.client.post("/translate", json={"q": text, **PAIR, "format": form})
        assert answer.status_code == 200, answer.text
        assert isinstance(answer.json()["translatedText"], str)


@pytest.mark.slow
@settings(max_examples=12)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=5), st.sampled_from(["text", "html"]))
def test_any_list_has_as_many_answers(served: Any, texts: list[str], form: str) -> None:
    answer = served.client.post("/translate", json={"q": texts, **PAIR, "format": form})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["translatedText"]) == len(texts)


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    ["/translate", "/detect", "/suggest", "/v2/translate", "/immersive", "/v1/chat/completions", "/api/v1/translate"],
)
def test_every_api_refuses_what_it_cannot_read(served: Any, path: str) -> None:
    kinds = {"Content-Type": "application/json"}
    bodies = [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[1]",
        b'"x"',
        b"{}",
        b"[" * 50_000,
        b'{"q": "\\ud800", "text": "\\ud800"}',
    ]
    for content in bodies:
        answer = served.client.post(path, content=content, headers=kinds)
        assert 400 <= answer.status_code < 500, (content[:20], answer.text)
        assert answer.json()
        assert "\ufffd" not in answer.text
    large = served.client.post(path, content=bytes(10 << 20), headers=kinds)
    assert large.status_code == 413
    long = json.dumps(
        {"q": "x" * 100_000, **PAIR, "text": ["x" * 100_000], "target_lang": "ZH", "text_list": ["x" * 100_000]}
    )
    answer = served.client.post(path, content=long, headers=kinds)
    assert 400 <= answer.status_code < 500
    assert len(answer.content) < 1_000
    assert is_well(served)


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(20_000)) + b"\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",  # a client that wants TLS
        b"POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /translate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\nx",
        b"GET /%00%ff/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /detect HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data\r\nContent-Length: 2\r\n\r\nxx",
        b"POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\nq=half",
    ],
    ids=["headers", "path", "tls", "negative", "huge", "two-lengths", "chunk", "dots", "multipart", "half"],
)
def test_what_is_no_request_gets_no_answer_or_a_refusal(served: Any, content: bytes) -> None:
    answer = raw(served.url, content)
    assert not answer or answer.startswith(b"HTTP/1.1 4"), answer[:100]
    assert b"root:" not in answer
    assert is_well(served)


@pytest.mark.slow
def test_a_thousand_clients_that_hang_up_leave_nothing_behind(served: Any) -> None:
    content = json.dumps({"q": TEXT, **PAIR}).encode()
    head = (
        b"POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    )
    port = int(served.url.rpartition(":")[2])
    for number in range(200):
        with closing(socket.create_connection(("127.0.0.1", port))) as connection:
            connection.sendall((head % len(content) + content)[: 20 * number])
    assert is_well(served)
    assert "attentio_waiting_texts 0.0" in served.client.get("/metrics").text


def test_a_slow_body_is_given_up(start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attentio.serve.frontier.BODY_SECONDS", 0.2)
    server = start()
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=20) as slow:
        slow.sendall(b"POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nq=")
        answer = b"".join(iter(lambda: slow.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"did not arrive in time" in answer


@pytest.mark.slow
def test_a_deadline_is_504_in_every_dialect(start: Callable[..., Any]) -> None:
    client = start(seconds=0.05, characters=100_000).client
    long = f"{TEXT} " * 800
    asked = [
        ("/translate", {"q": long, **PAIR}, "error"),
        ("/v2/translate", {"text": long, "target_lang": "ZH", "source_lang": "EN"}, "message"),
        ("/api/v1/translate", {"texts": [long], "source": "en", "target": "zh"}, "detail"),
    ]
    for path, body, field in asked:
        answer = client.post(path, json=body)
        assert answer.status_code == 504, answer.text[:100]
        assert answer.json()[field] == "the translation took longer than 0.05 seconds."


def test_a_full_queue_is_503_with_a_time_to_come_back(start: Callable[..., Any]) -> None:
    """A server whose queue holds one text refuses a list beside one that waits, and says so in /ready."""
    server = start(waiting=1, batch_wait=0.6)
    import threading

    first = threading.Thread(target=lambda: server.client.post("/translate", json={"q": TEXT, **PAIR}))
    first.start()
    while "attentio_waiting_texts 1.0" not in server.client.get("/metrics").text:
        pass
    assert server.client.get("/ready").status_code == 503
    answer = server.client.post("/translate", json={"q": [TEXT, TEXT], **PAIR})
    first.join()
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert server.client.get("/ready").status_code == 200
