"""A server that knows terms and translations: glossaries, a memory, and better translations that clients send."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from attentio.documents import Glossary, Memory

TEXT = "My sister bought two books yesterday."
DONE = "我姐姐昨天买了两本书。"
OTHER = "I love you."
PAIR = {"source": "en", "target": "zh"}


def ask(served: Any, q: Any, **more: Any) -> Any:
    return served.client.post("/translate", json={"q": q, **PAIR, **more}).json()["translatedText"]


def test_terms_stand_in_translations_and_what_could_not_be_had_is_said(start: Callable[..., Any]) -> None:
    served = start(glossary=Glossary([("books", "图书")]))
    found = served.client.post("/api/v1/translate", json={"texts": [TEXT, OTHER], "source": "en"}).json()[
        "translations"
    ]
    assert "图书" in found[0]["text"] + "".join(found[0]["unforced"])
    assert (found[1]["text"], found[1]["unforced"]) == ("我爱你。", [])


def test_a_glossary_of_one_key_is_not_anothers(start: Callable[..., Any], tmp_path: Path) -> None:
    from attentio.serve.guard import read_keys

    (tmp_path / "keys").write_text("the-first-key\nthe-second-key\n", encoding="utf-8")
    client = start(keys=read_keys(tmp_path / "keys")).client
    first, second = ({"Authorization": f"DeepL-Auth-Key the-{name}-key"} for name in ("first", "second"))
    asked = {"name": "mine", "source_lang": "en", "target_lang": "zh", "entries": "books\t图书"}
    made = client.post("/v2/glossaries", json=asked, headers=first)
    assert made.status_code == 201
    path = f"/v2/glossaries/{made.json()['glossary_id']}"
    assert client.get(path, headers=first).json() == made.json()
    assert client.get(path, headers=second).status_code == 404
    assert client.delete(path, headers=second).status_code == 404
    assert client.get("/v2/glossaries", headers=second).json() == {"glossaries": []}
    text = {"text": [TEXT], "target_lang": "ZH", "source_lang": "EN", "glossary_id": made.json()["glossary_id"]}
    assert client.post("/v2/translate", json=text, headers=first).status_code == 200
    assert client.post("/v2/translate", json=text, headers=second).status_code == 404
    assert client.post("/v2/translate", json=text | {"source_lang": ""}, headers=first).status_code == 400
    for entries in ("no tab", "", "a\t"):
        assert client.post("/v2/glossaries", json=asked | {"entries": entries}, headers=first).status_code == 400


def test_a_memory_comes_first_and_similar_pairs_are_offered(start: Callable[..., Any]) -> None:
    served = start(memory=Memory([(OTHER, "我很爱你。"), ("My brother bought two books yesterday.", "不是姐姐。")]))
    assert ask(served, [OTHER, f" {OTHER}\n", TEXT, f"{TEXT} {OTHER}"]) == [
        "我很爱你。",
        " 我很爱你。\n",
        DONE,
        f"{DONE}我很爱你。",
    ]
    asked = {"texts": [TEXT], "source": "en", "similar": True}
    (found,) = served.client.post("/api/v1/translate", json=asked).json()["translations"]
    assert found["text"] == DONE
    assert [each["text"] for each in found["memory"]] == ["不是姐姐。"]
    assert 0.8 < found["memory"][0]["score"] < 1
    asked = {"q": [TEXT, OTHER], **PAIR, "alternatives": 2}
    of_text, of_other = served.client.post("/translate", json=asked).json()["alternatives"]
    assert (of_text[0], len(of_text), DONE in of_text) == ("不是姐姐。", 2, False)
    assert of_other == []  # known: nothing is searched


def test_a_better_translation_is_kept_and_known_at_once(start: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "better.tsv"
    served = start(suggestions=path, memory=Memory([]), cache=9)
    assert served.client.get("/frontend/settings").json()["suggestions"] is True
    assert ask(served, OTHER) == "我爱你。"
    sent = {"q": OTHER, "s": "我很\t爱你。\n", **PAIR}
    assert served.client.post("/suggest", data=sent).json() == {"success": True}
    assert ask(served, OTHER) == "我很 爱你。"
    for wrong in ({"q": ""}, {"s": " "}, {"target": "xx"}, {"source": "zh", "target": "en"}, {"s": "x" * 6_000}):
        assert served.client.post("/suggest", data=sent | wrong).status_code == 400
    assert path.read_text(encoding="utf-8") == f"{OTHER}\t我很 爱你。\n"
