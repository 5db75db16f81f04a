"""Our own API and the two small ones: what only they say."""

import json
from typing import Any

import numpy as np
import pytest

from attentio.search.batched import SearchConfig
from attentio.translator import Translator
from attentio.view.embed import packed

TEXT = "My sister bought two books yesterday."
DONE = "我姐姐昨天买了两本书。"


def ask(served: Any, path: str = "/api/v1/translate", **asked: Any) -> Any:
    return served.client.post(path, json=asked)


def test_hypotheses_links_and_traces_are_the_translators(served: Any, small_world: Translator) -> None:
    answer = ask(served, texts=[TEXT, f"{TEXT} I love you."], target="zh", nbest=3, alignments=True, trace=True).json()
    assert (answer["model"], answer["source"], answer["target"]) == ("small-world", "en", "zh-Hans")
    assert answer["confidence"] > 90
    one, two = answer["translations"]
    (alone,) = small_world.translate([TEXT], SearchConfig(5), trace=True)
    assert [each["text"] for each in one["nbest"]] == [text for text, _ in alone.nbest[:3]]
    np.testing.assert_allclose([each["score"] for each in one["nbest"]], [score for _, score in alone.nbest[:3]], 1e-4)
    assert one["target_tokens"] == list(DONE.replace("姐姐", "姐,姐").replace(",", ""))
    assert one["alignment"].split()[0] == "0-0"
    assert alone.trace is not None
    assert one["traces"][0].keys() == packed(alone.trace).keys()
    assert one["traces"][0]["target_tokens"] == list(alone.trace.target_tokens)
    assert (two["text"], two["sentences"], len(two["traces"])) == (f"{DONE}我爱你。", 2, 2)


def test_it_says_what_was_lost_and_never_seen(served: Any) -> None:
    (found,) = ask(served, texts=["I love 龘 and {name}."], source="en").json()["translations"]
    assert "{name}" in found["text"] + "".join(found["lost"])
    assert "龘" in found["unseen"]
    assert "traces" not in found


def test_a_model_by_its_name_and_text_that_is_translated_already(served: Any) -> None:
    assert ask(served, texts=[TEXT], model="small-world").json()["translations"][0]["text"] == DONE
    answer = ask(served, texts=[DONE], target="zh").json()
    assert (answer["model"], answer["source"], answer["translations"][0]["text"]) == ("", "zh-Hans", DONE)
    answer = ask(served, path="/immersive", target_lang="zh-CN", text_list=[TEXT, ""]).json()
    assert answer == {
        "translations": [{"detected_source_lang": "en", "text": DONE}, {"detected_source_lang": "en", "text": ""}]
    }


@pytest.mark.parametrize(
    ("asked", "status", "detail"),
    [
        ({"texts": [TEXT], "model": "none"}, 404, "there is no such model."),
        ({"texts": [TEXT], "model": "small-world", "target": "en"}, 400, "this model translates from en into zh-Hans."),
        ({"texts": [TEXT], "target": "de"}, 400, "de is not supported"),
        ({"texts": []}, 400, "texts: List should have at least 1 item after validation, not 0"),
        ({"texts": [TEXT], "beam": 0}, 400, "beam: Input should be greater than or equal to 1"),
        ({"texts": [TEXT], "beem": 3}, 400, "beem: Extra inputs are not permitted"),
    ],
)
def test_problems_have_the_form_of_rfc_9457(served: Any, asked: Any, status: int, detail: str) -> None:
    answer = ask(served, **asked)
    assert answer.headers["Content-Type"] == "application/problem+json"
    found = answer.json()
    assert (answer.status_code, found["status"], found["detail"]) == (status, status, detail)


def test_a_stream_of_events_holds_the_text(served: Any) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": TEXT}, {"type": "text", "text": " I love you."}]}]
    answer = ask(served, path="/v1/chat/completions", model="attentio/EN-zh_CN", messages=messages, stream=True)
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    events = [line.removeprefix("data: ") for line in answer.text.split("\n\n")]
    assert events[-2:] == ["[DONE]", ""]
    parts = [json.loads(event)["choices"][0]["delta"].get("content", "") for event in events[:-2]]
    assert "".join(parts) == f"{DONE}我爱你。"


def test_several_models_are_several_pairs(small_world: Translator) -> None:
    from attentio.serve.service import Service

    service = Service(
        {"a": small_world, "b": small_world, "c": small_world}, languages={"b": ("pt", "de"), "c": ("pt", "en")}
    )
    assert [str(pair) for pair in service.pairs] == ["en-zh-Hans", "pt-de", "pt-en"]
    assert service.targets("pt") == ["de", "en"]
    assert service.pair("PT_br", "de").model == "b"
    assert service.languages == ["en", "pt", "zh-Hans", "de"]
