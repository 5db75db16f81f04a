"""LibreTranslate's API, case by case: what its own server answers, and 400 where it answers 500."""

import json
from collections.abc import Callable
from typing import Any

import pytest

TEXT = "My sister bought two books yesterday."
DONE = "我姐姐昨天买了两本书。"
PAIR = {"source": "en", "target": "zh"}


def ask(served: Any, path: str = "/translate", **given: Any) -> tuple[int, Any]:
    answer = served.client.post(path, json=given)
    return answer.status_code, answer.json()


@pytest.mark.slow
@pytest.mark.parametrize(
    "how",
    [
        {"json": {"q": TEXT, **PAIR}},
        {"data": {"q": TEXT, **PAIR}},
        {"params": {"q": TEXT, **PAIR}},
        {"params": PAIR, "data": {"q": TEXT, "target": "not this"}},
        {"data": {"q": TEXT, **PAIR}, "files": {"nothing": b""}},  # multipart
        {"json": {"q": TEXT, **PAIR, "alternatives": -3, "secret": "x", "apiKey": "", "api_key": None}},
    ],
)
def test_every_form_of_body(served: Any, how: dict[str, Any]) -> None:
    answer = served.client.post("/translate", **how)
    assert (answer.status_code, answer.json()) == (200, {"translatedText": DONE})


def test_a_form_in_utf_8_that_is_not_escaped(served: Any) -> None:
    """As `curl -d q=…` sends it. Text in the language that is asked for comes back as it is."""
    kinds = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    for content in ("q=我爱你。&source=auto&target=zh", "q=%E6%88%91爱你。&source=auto&target=zh"):
        answer = served.client.post("/translate", content=content.encode(), headers=kinds)
        assert answer.json()["translatedText"] == "我爱你。"
    for wrong in (b"q=\xff&source=en&target=zh", b"q=%ff&source=en&target=zh", b"&q=1" * 2_000):
        answer = served.client.post("/translate", content=wrong, headers=kinds)
        assert (answer.status_code, "could not understand" in answer.json()["error"]) == (400, True)


@pytest.mark.slow
@pytest.mark.parametrize("code", ["zh", "ZH", "zh-CN", "zh-Hans", "zh_hans", "zh-hans-CN"])
def test_every_spelling_of_a_code(served: Any, code: str) -> None:
    assert ask(served, q=TEXT, source="EN-us", target=code)[1] == {"translatedText": DONE}


def test_lists_keep_their_order_and_length(served: Any) -> None:
    texts = [TEXT, "", "I love you.", " \n", "😀", TEXT]
    status, found = ask(served, q=texts, **PAIR)
    assert status == 200
    assert found["translatedText"] == [DONE, "", "我爱你。", " \n", "😀", DONE]
    repeated = served.client.post("/translate", data={"q": [TEXT, "I love you."], **PAIR})
    assert repeated.json() == {"translatedText": [DONE, "我爱你。"]}
    assert ask(served, q=[TEXT], **PAIR)[1] == {"translatedText": [DONE]}


def test_a_detected_language_is_said(served: Any) -> None:
    _, found = ask(served, q=TEXT, source="auto", target="zh")
    assert found["detectedLanguage"]["language"] == "en"
    assert found["detectedLanguage"]["confidence"] > 90
    _, found = ask(served, q=[TEXT, "no"], source="auto", target="zh", alternatives=1)
    assert [len(found[name]) for name in ("translatedText", "alternatives", "detectedLanguage")] == [2, 2, 2]
    assert found["detectedLanguage"][0] == found["detectedLanguage"][1]
    _, found = ask(served, q="😀", source="auto", target="zh")
    assert found == {"translatedText": "😀", "detectedLanguage": {"confidence": 0.0, "language": "en"}}


def test_alternatives_are_others_and_none_is_empty(served: Any) -> None:
    _, found = ask(served, q=TEXT, **PAIR, alternatives=4)
    assert 1 <= len(found["alternatives"]) <= 4
    assert {DONE, ""} & set(found["alternatives"]) == set()
    assert len(set(found["alternatives"])) == len(found["alternatives"])
    assert found["translatedText"] == DONE


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Invalid request: missing q parameter"),
        ({"q": ""}, "Invalid request: missing q parameter"),
        ({"q": []}, "Invalid request: missing q parameter"),
        ({"q": None}, "Invalid request: missing q parameter"),
        ({"q": 5}, "Invalid request: q parameter is not a text or a list of texts"),
        ({"q": [TEXT, 5]}, "Invalid request: q parameter is not a text or a list of texts"),
        ({"q": TEXT}, "Invalid request: missing source parameter"),
        ({"q": TEXT, "source": "en"}, "Invalid request: missing target parameter"),
        ({"q": TEXT, "source": ["en"], "target": "zh"}, "Invalid request: source parameter is not a language code"),
        ({"q": TEXT, "source": "en", "target": "xx"}, "xx is not supported"),
        ({"q": TEXT, "source": "xx", "target": "zh"}, "xx is not supported"),
        (
            {"q": TEXT, "source": "zh", "target": "en"},
            "English (en) is not available as a target language from Chinese (zh-Hans)",
        ),
        ({"q": TEXT, **PAIR, "target": "zh-TW"}, "zh-TW is not supported"),
        ({"q": TEXT, **PAIR, "format": "xml"}, "xml format is not supported"),
        ({"q": TEXT, **PAIR, "alternatives": "two"}, "Invalid request: alternatives parameter is not a number"),
        ({"q": TEXT, **PAIR, "alternatives": None}, "Invalid request: alternatives parameter is not a number"),
        ({"q": TEXT, **PAIR, "alternatives": 10}, "Invalid request: alternatives parameter must be <= 9"),
        ({"q": "x" * 5001, **PAIR}, "Invalid request: request (5001) exceeds text limit (5000)"),
        ({"q": ["x"] * 129, **PAIR}, "Invalid request: request (129) exceeds text limit (128)"),
        ({"q": "a \ud800 b", **PAIR}, "a text holds half of a surrogate pair, which is no character."),
    ],
)
def test_mistakes_are_400_and_said(served: Any, given: dict[str, Any], message: str) -> None:
    content = json.dumps(given)
    answer = served.client.post("/translate", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()) == (400, {"error": message})


@pytest.mark.parametrize("content", [b"{", b"\xff", b"[" * 100_000, b"1" * 5_000, b'{"q": NaN'])
def test_json_that_cannot_be_read(served: Any, content: bytes) -> None:
    answer = served.client.post("/translate", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert "could not understand" in answer.json()["error"]


def test_json_that_is_no_object_or_is_not_called_json(served: Any) -> None:
    assert ask(served, "/translate")[0] == 400
    answer = served.client.post("/translate", json=[TEXT])
    assert (answer.status_code, answer.json()) == (400, {"error": "Invalid JSON format"})
    content = json.dumps({"q": TEXT, **PAIR})
    answer = served.client.post("/translate", content=content, headers={"Content-Type": "text/plain"})
    assert answer.json() == {"error": "Invalid request: missing q parameter"}


def test_what_else_is_asked(served: Any) -> None:
    assert served.client.get("/health").json() == {"status": "ok"}
    languages = served.client.request("GET", "/languages", content=b"api_key=x").json()
    assert languages == [
        {"code": "en", "name": "English", "targets": ["zh-Hans"]},
        {"code": "zh-Hans", "name": "Chinese", "targets": []},
    ]
    wrong = served.client.get("/translate")
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "POST")
    assert served.client.put("/v2/glossaries/x").headers["Allow"] == "DELETE, GET"
    assert served.client.get("/nowhere").json() == {"error": "Not Found"}
    status, found = ask(served, "/suggest", q=TEXT, s=DONE, **PAIR)
    assert (status, found) == (403, {"error": "Suggestions are disabled on this server."})
    settings = served.client.get("/frontend/settings").json()
    assert settings["charLimit"] == 5000
    assert settings["language"]["source"] == {"code": "auto", "name": "Auto Detect"}


@pytest.mark.parametrize(
    ("text", "language", "least"),
    [(TEXT, "en", 90), ("我喜欢猫。", "zh-Hans", 90), ("Hi", "en", 0), ("123 😀", "en", 0), ("你", "zh-Hans", 90)],
)
def test_detection(served: Any, text: str, language: str, least: float) -> None:
    status, found = ask(served, "/detect", q=text)
    assert status == 200
    assert found[0]["language"] == language
    assert least <= found[0]["confidence"] <= 100
    assert found == sorted(found, key=lambda each: -each["confidence"])


def test_another_language_is_not_called_one_that_is_served(served: Any) -> None:
    _, found = ask(served, "/detect", q="Ich habe gestern zwei Bücher gekauft.")
    assert found[0]["confidence"] < 10


def test_line_ends_and_spaces_are_kept(served: Any) -> None:
    _, found = ask(served, q=f"  {TEXT}\r\n\n{TEXT}  ", **PAIR)
    assert found["translatedText"] == f"  {DONE}\n\n{DONE}  "


def test_cached_answers_are_the_same(start: Callable[..., Any]) -> None:
    cached = start(cache=2)
    for _ in range(2):
        assert ask(cached, q=[TEXT, "I love you.", TEXT], **PAIR)[1]["translatedText"] == [DONE, "我爱你。", DONE]
    assert "attentio_batch_texts_count 1.0" in cached.client.get("/metrics").text
