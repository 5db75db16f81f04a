"""Who may ask, how often and how much. What is secret appears nowhere."""

import base64
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attentio.errors import DataError, UsageError
from attentio.serve.app import listen
from attentio.serve.guard import read_keys, read_rate

TEXT = "My sister bought two books yesterday."
DONE = "我姐姐昨天买了两本书。"
PAIR = {"source": "en", "target": "zh"}
KEY = "a long key with ü"


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.txt"
    path.write_text(f"# of friends\n\n{KEY}\nanother-key\n", encoding="utf-8")
    return path


def basic(key: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"me:{key}".encode()).decode()}


@pytest.mark.slow
def test_a_key_comes_in_any_place_and_a_wrong_one_does_not(start: Callable[..., Any], keys: Path) -> None:
    client = start(keys=read_keys(keys)).client
    asked = {"q": TEXT, **PAIR}
    good = [
        {"json": asked | {"api_key": KEY}},
        {"json": asked | {"apiKey": KEY}},
        {"data": asked | {"api_key": KEY}},
        {"params": asked | {"api_key": KEY}},
        {"json": asked, "params": {"token": KEY}},
        {"json": asked, "headers": {"Authorization": "Bearer another-key"}},
        {"json": asked, "headers": {"Authorization": "DeepL-Auth-Key another-key"}},
        {"json": asked, "headers": basic(KEY)},
    ]
    for how in good:
        assert client.post("/translate", **how).json() == {"translatedText": DONE}, how
    wrong = [asked | {"api_key": key} for key in (KEY[:-1], KEY + "x", "another-key\n", KEY.upper())]
    for given in wrong:
        answer = client.post("/translate", json=given)
        assert (answer.status_code, answer.json()) == (403, {"error": "Invalid API key"})
    for given in (asked, asked | {"api_key": ""}, asked | {"api_key": ["x"]}):
        answer = client.post("/translate", json=given)
        assert answer.status_code == 400
        assert answer.json() == {"error": "Please contact the server operator to get an API key"}
    assert client.post("/translate", json=asked, headers={"Authorization": "Basic ="}).status_code == 400


@pytest.mark.slow
def test_each_dialect_refuses_in_its_own_words(start: Callable[..., Any], keys: Path) -> None:
    client = start(keys=read_keys(keys)).client
    message = [{"role": "user", "content": TEXT}]
    asked = [
        ("/v2/translate", {"text": [TEXT], "target_lang": "ZH"}, 403, {"message": "a key is needed."}),
        ("/immersive", {"target_lang": "zh", "text_list": [TEXT]}, 401, {"message": "a key is needed."}),
        ("/v1/chat/completions", {"model": "small-world", "messages": message}, 401, None),
        ("/api/v1/translate", {"texts": [TEXT], "target": "zh"}, 401, None),
        ("/look", {"model": "small-world", "text": TEXT}, 401, None),
    ]
    for path, given, status, body in asked:
        answer = client.post(path, json=given)
        assert answer.status_code == status, path
        assert body is None or answer.json() == body
        assert client.post(path, json=given, headers={"Authorization": "Bearer another-key"}).status_code == 200
    assert client.get("/v1/models").json()["error"]["code"] == "no_key"
    assert client.get("/").headers["WWW-Authenticate"].startswith("Basic")
    assert client.get("/", headers=basic(KEY)).status_code == 200
    for path in ("/models", "/v2/usage", "/v2/languages", "/metrics", "/static/page.js"):
        assert client.get(path).status_code in (401, 403)
    for path in ("/health", "/ready", "/languages", "/frontend/settings"):
        assert client.get(path).status_code == 200


@pytest.mark.parametrize(
    ("content", "words"),
    [("short\n", "line 1: a key has at least 8 characters"), ("# none\n", "holds no key"), (b"\xff", "cannot be read")],
)
def test_files_of_keys_that_are_none(tmp_path: Path, content: str | bytes, words: str) -> None:
    path = tmp_path / "keys.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError, match=words):
        read_keys(path)
    with pytest.raises(DataError, match="no such file"):
        read_keys(tmp_path / "none.txt")
    with pytest.raises(UsageError, match="60/minute"):
        read_rate("often")


def test_a_rate_counts_texts_and_says_when_to_come_back(start: Callable[..., Any], keys: Path) -> None:
    client = start(keys=read_keys(keys), rate="5/hour").client
    asked = {"q": [TEXT] * 3, **PAIR, "api_key": KEY}
    assert client.post("/translate", json=asked).status_code == 200
    refused = client.post("/translate", json=asked)
    assert (refused.status_code, refused.json()) == (429, {"error": "Slowdown: 5 per 1 hour"})
    assert 1 <= int(refused.headers["Retry-After"]) <= 3600
    assert refused.headers["RateLimit-Remaining"] == "2"
    assert client.post("/translate", json=asked | {"q": TEXT}).status_code == 200
    assert client.post("/translate", json=asked | {"api_key": "another-key"}).status_code == 200  # has its own count
    for _ in range(5):
        client.post("/translate", json=asked | {"api_key": "a wrong key"})
    guessed = client.post("/translate", json=asked | {"api_key": "a wrong key"})
    assert guessed.status_code == 429


def test_bodies_within_bounds(start: Callable[..., Any]) -> None:
    client = start(body=2_000).client
    large = json.dumps({"q": "x" * 3_000, **PAIR})
    answer = client.post("/translate", content=large)
    assert (answer.status_code, answer.json()["error"]) == (413, "the request is larger than 2,000 bytes.")
    chunked = client.post("/v2/translate", content=iter([large.encode()[:1_500], large.encode()[1_500:]]))
    assert (chunked.status_code, chunked.json()["message"]) == (413, "the request is larger than 2,000 bytes.")
    assert client.post("/translate", json={"q": TEXT, **PAIR}).status_code == 200


@pytest.mark.slow
def test_pages_of_other_sites(start: Callable[..., Any], served: Any) -> None:
    asked = {"q": TEXT, **PAIR}
    evil = {"Origin": "https://evil.example"}
    refused = served.client.post("/translate", data=asked, headers=evil)
    assert refused.status_code == 403
    assert "Access-Control-Allow-Origin" not in refused.headers
    for origin in (served.url, "chrome-extension://abc", "null"):
        assert served.client.post("/translate", data=asked, headers={"Origin": origin}).status_code == 200
    assert served.client.get("/languages", headers={"Host": "evil.example"}).status_code == 400
    friendly = start(origins=("https://friend.example",), allowed_hosts=("translate.example",)).client
    friend = {"Origin": "https://friend.example"}
    answer = friendly.post("/translate", data=asked, headers=friend)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://friend.example"
    preflight = friendly.options("/translate", headers=friend | {"Access-Control-Request-Method": "POST"})
    assert preflight.status_code == 200
    assert friendly.post("/translate", data=asked, headers=evil).status_code == 403
    assert friendly.get("/languages", headers={"Host": "translate.example"}).status_code == 200


def test_no_text_and_no_key_in_logs_and_metrics(
    start: Callable[..., Any], keys: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start(keys=read_keys(keys))
    secret = "Xylophone sentence"
    with caplog.at_level(logging.DEBUG):
        server.client.post("/translate", params={"q": secret, **PAIR, "api_key": KEY})
        server.client.post("/translate", params={"q": secret, **PAIR, "api_key": f"not {KEY}"})
        server.client.get(f"/{secret}", params={"token": KEY})
        monkeypatch.setattr("attentio.serve.service.Service.pair", lambda *_: int(secret))
        answer = server.client.post("/translate", params={"q": secret, **PAIR, "api_key": KEY})
    assert (answer.status_code, answer.json()) == (500, {"error": "an error of the server. Its log says where."})
    ours = "\n".join(
        record.getMessage() for record in caplog.records if record.name.startswith(("attentio", "uvicorn"))
    )
    assert "POST /translate 200" in ours
    assert re.search(r"internal: ValueError at .*test_safety\.py:\d+", ours)
    metrics = server.client.get("/metrics", params={"token": KEY}).text
    assert 'attentio_requests_total{endpoint="/translate",status="403"} 1.0' in metrics
    assert 'endpoint="other",status="404"' in metrics
    for text in (ours, metrics):
        for hidden in (secret, "Xylophone", KEY, "127.0.0.1"):
            assert hidden not in text


@pytest.mark.slow
def test_many_answers_at_once_are_those_given_alone(served: Any) -> None:
    """Texts of any length share batches, and each answer is the one that the text gets alone."""
    from attentio.corpora.small_world.grammar import sample

    texts = [pair.source for pair in sample(24, seed=3)] + ["I love you. " * 9]
    alone = [served.client.post("/translate", json={"q": text, **PAIR}).json()["translatedText"] for text in texts]
    found: dict[int, str] = {}

    def ask(index: int) -> None:
        found[index] = served.client.post("/translate", json={"q": texts[index], **PAIR}).json()["translatedText"]

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[index] for index in range(len(texts))] == alone


def test_a_port_that_is_taken_is_one_line() -> None:
    with listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} is taken"):
            listen("127.0.0.1", port)
    with pytest.raises(UsageError, match="no address 'nowhere"):
        listen("nowhere.invalid", 0)


@pytest.mark.slow
def test_a_client_that_hangs_up_stops_its_search(start: Callable[..., Any]) -> None:
    server = start(characters=200_000)
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as impatient:
        content = json.dumps({"q": f"{TEXT} " * 4_000, **PAIR}).encode()
        head = (
            "POST /translate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        impatient.sendall(head.encode() + content)
        while "attentio_waiting_texts 1.0" not in server.client.get("/metrics").text and time.monotonic() < began + 1:
            pass
    assert server.client.post("/translate", json={"q": TEXT, **PAIR}).json() == {"translatedText": DONE}
    assert 'endpoint="/translate",status="499"' in server.client.get("/metrics").text


def test_only_a_proxy_that_is_named_says_who_asks(start: Callable[..., Any]) -> None:
    for proxies, statuses in (((), [200, 429]), (("127.0.0.1",), [200, 200])):
        client = start(proxies=proxies, rate="1/hour").client
        asked = {"json": {"q": TEXT, **PAIR}}
        found = [client.post("/translate", headers={"X-Forwarded-For": f"9.9.9.{n}"}, **asked) for n in range(2)]
        assert [answer.status_code for answer in found] == statuses
