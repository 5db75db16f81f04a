"""The page that is served: what it answers, and that everything on it works by mouse and keyboard."""

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from attentio.trace import AttentionTrace
from attentio.translator import Translator
from attentio.view.embed import packed

pytest.importorskip("fastapi")
uvicorn = pytest.importorskip("uvicorn")
testclient = pytest.importorskip("starlette.testclient")

from attentio.serve.app import create_app, serve  # noqa: E402  (needs the extra)

Violations = Callable[[Any], list[str]]
TEXT = "My sister bought two books yesterday."


@pytest.fixture(scope="module")
def translator(tiny_run: Path) -> Translator:
    return Translator.load(tiny_run, device="cpu")


@pytest.fixture(scope="module")
def client(translator: Translator) -> Any:
    return testclient.TestClient(create_app({"one": translator, "two": translator}), base_url="http://127.0.0.1")


def ask(client: Any, path: str, **asked: object) -> Any:
    return client.post(path, json={"model": "one", "text": TEXT} | asked)


def test_the_weights_are_those_of_the_translator(client: Any, translator: Translator) -> None:
    (shown,) = ask(client, "/look").json()["hypotheses"]
    found = translator(TEXT)
    assert found.trace is not None
    assert (shown["text"], shown["score"]) == (found.text, found.score)
    assert shown["trace"] == json.loads(json.dumps(packed(found.trace, name="one")))


def test_hypotheses_masks_and_prefixes(client: Any) -> None:
    best, *others = ask(client, "/look", beam=3).json()["hypotheses"]
    assert len(others) == 2
    assert best["score"] >= others[0]["score"]
    prefix = [best["trace"]["target_tokens"][0], best["trace"]["candidates"][1][2][0]]
    (forced,) = ask(client, "/look", prefix=prefix).json()["hypotheses"]
    assert forced["trace"]["target_tokens"][:2] == prefix
    (plain,), (masked,) = (ask(client, "/look", masked=m).json()["hypotheses"] for m in ([], [1]))
    assert masked["trace"]["weights"] != plain["trace"]["weights"]


def test_erasure_is_the_translators(client: Any, translator: Translator) -> None:
    trace = translator(TEXT).trace
    assert trace is not None
    answer = ask(client, "/erase", prefix=trace.target_tokens).json()
    np.testing.assert_allclose(answer["erasure"], translator.erasure(trace), atol=1e-4)
    assert list(answer["correlation"]) == list(trace.layers)
    np.testing.assert_allclose(answer["gradient"], np.abs(translator.gradient_times_input(trace)), atol=1e-4)
    assert all(-1 <= rho <= 1 for rhos in answer["correlation"].values() for rho in rhos)


def test_a_text_is_cut_as_it_is_translated(client: Any, translator: Translator) -> None:
    text = "I love you. Version 2.0 is here. Where is my book?"
    parts = ask(client, "/parts", text=text).json()["parts"]
    sentences = ["I love you.", "Version 2.0 is here.", "Where is my book?"]
    assert [part["source"] for part in parts] == sentences == translator.sentences(text)
    assert [part["text"] for part in parts] == [one.text for one in translator.translate(sentences, split=False)]
    assert ask(client, "/parts").json() == {"parts": [{"source": TEXT, "text": ""}]}
    assert ask(client, "/parts", text=" ").json() == {"parts": []}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"model": "three"}, "no model 'three'"),
        ({"text": " "}, "empty"),
        ({"masked": [99]}, "counted from 0"),
        ({"prefix": ["no such token"]}, "has no token"),
    ],
)
def test_what_cannot_be_answered_is_said(client: Any, asked: dict[str, object], words: str) -> None:
    answer = ask(client, "/look", **asked)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize("asked", [{"text": "x" * 5001}, {"beam": 0}, {"masked": "all"}])
def test_what_makes_no_sense_is_refused(client: Any, asked: dict[str, object]) -> None:
    assert ask(client, "/look", **asked).status_code == 422


@pytest.mark.parametrize("text", ["\x00", "I \x00 love", "\u202e שלום", "👩🏽\u200d💻", "<script>"])
def test_strange_text_is_translated_or_refused(client: Any, text: str) -> None:
    assert ask(client, "/look", text=text).status_code in (200, 400)


def test_a_lone_surrogate_is_no_fault_of_ours(client: Any) -> None:
    content = json.dumps({"model": "one", "text": "a \ud800 b"})
    answer = client.post("/look", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert "body.text" in answer.json()["error"]["message"]


def test_other_sites_have_no_way_in(client: Any) -> None:
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
    plain = client.post(
        "/look", content=json.dumps({"model": "one", "text": TEXT}), headers={"Content-Type": "text/plain"}
    )
    assert plain.status_code == 422
    policy = client.get("/").headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy


def test_everything_the_page_loads_is_there(client: Any) -> None:
    page = client.get("/").text
    for address in re.findall(r'(?:src|href)="(?!data:)([^"]+)"', page):
        answer = client.get(f"/{address}")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].partition(";")[0] in ("text/javascript", "text/css")
    assert client.get("/static/page.html").status_code == 404
    assert client.get("/static/..%2f..%2fembed.py").status_code == 404


def test_where_it_serves_is_said(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uvicorn.Server, "run", lambda _, sockets: [socket.close() for socket in sockets])
    said: list[str] = []
    serve({"one": translator}, say=said.append)
    assert re.fullmatch(r"page http://127\.0\.0\.1:\d+/ \(Ctrl-C stops it\)\n", said[0])
    serve({"one": translator}, text="I love you.", beam=4, say=said.append)
    assert re.search(r"/#text=I\+love\+you\.&beam=4 \(", said[1])


@pytest.fixture(scope="module")
def address(translator: Translator) -> Iterator[str]:
    """Where the page is served, with two models."""
    config = uvicorn.Config(create_app({"one": translator, "two": translator}), port=0, log_level="error")
    socket = config.bind_socket()
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([socket],))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{socket.getsockname()[1]}/"
    server.should_exit = True
    thread.join()


@pytest.fixture
def opened(chromium: Any, address: str) -> Iterator[Callable[..., Any]]:
    """Fragment of the address -> the page. Errors of scripts, and requests of other places, fail the test."""
    pages: list[Any] = []
    noticed: list[str] = []
    ours = (address, "data:", f"blob:{address}")

    def show(fragment: str = "", width: int = 1000, scheme: str = "light") -> Any:
        page = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme, locale="en-US")
        pages.append(page)
        page.on("pageerror", lambda error: noticed.append(str(error)))
        page.on("request", lambda one: None if one.url.startswith(ours) else noticed.append(one.url))
        page.goto(f"{address}#{fragment}")
        page.wait_for_selector("#model option", state="attached")
        return page

    yield show
    for page in pages:
        page.close()
    assert noticed == []


def settled(page: Any) -> None:
    page.wait_for_selector("main[aria-busy='false']")


def target(page: Any) -> str:
    return page.evaluate("() => document.querySelector('#nbest input:checked').nextElementSibling.textContent")


@pytest.mark.slow
def test_translate_by_keyboard_force_a_token_and_let_it_go(opened: Callable[..., Any]) -> None:
    page = opened()
    page.get_by_label("Source text").focus()
    page.keyboard.type(TEXT)
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#nbest input")
    settled(page)
    assert page.locator("#nbest input").count() == 5
    best = target(page)
    page.get_by_label("Step 1 of").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#step-name").text_content().startswith("Step 2 of")
    other = page.locator("#candidates button:not(:has-text('✓')):not(:has-text('</s>'))").first
    token = other.text_content().split(" ")[0]
    other.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#release:not([hidden])")
    settled(page)
    prefix = json.loads(page.evaluate("() => new URLSearchParams(location.hash.slice(1)).get('prefix')"))
    assert prefix[1].removeprefix("▁") == token
    assert target(page) != best
    assert page.locator("#nbest mark").count() > 0
    again = opened(page.url.partition("#")[2])  # all of it stands in the address
    again.wait_for_selector("#nbest input")
    assert target(again) == target(page)
    page.get_by_role("button", name="Let the model choose again").press("Enter")
    page.wait_for_selector("#release", state="hidden")
    settled(page)
    assert target(page) == best


@pytest.mark.slow
def test_mask_a_token_and_edit_the_text(opened: Callable[..., Any], translator: Translator) -> None:
    page = opened(f"text={TEXT}&beam=4")
    page.wait_for_selector("#tokens button")
    assert page.locator("#nbest input").count() == 4
    page.locator("#beam").select_option("1")
    page.wait_for_selector("#nbest label:only-of-type")
    page.locator("#tokens button").nth(1).press("Enter")
    page.wait_for_selector("#tokens [aria-pressed='true']")
    settled(page)
    (masked,) = translator.hypotheses(TEXT, masked=[1])
    assert target(page) == masked.text
    assert page.locator("attention-map th[data-masked]").count() == 1
    assert "masked=1" in page.url
    page.get_by_label("Source text").fill("I love you.")
    page.get_by_role("button", name="Translate").click()
    page.wait_for_selector("#tokens [aria-pressed='true']", state="detached")
    settled(page)
    assert target(page) == translator("I love you.").text
    page.get_by_label("Source text").fill(" ")
    page.get_by_role("button", name="Translate").click()
    page.wait_for_selector("#result", state="hidden")


@pytest.mark.slow
def test_delete_and_edit_a_token(opened: Callable[..., Any], translator: Translator) -> None:
    page = opened(f"text={TEXT}&beam=1")
    page.wait_for_selector("#tokens button")
    first = target(page)
    page.get_by_label("deletes it").check()
    assert page.locator("#tokens [aria-pressed]").count() == 0
    page.locator("#tokens button", has_text="two").press("Enter")
    page.wait_for_function("() => !document.getElementById('text').value.includes('two')")
    settled(page)
    shorter = "My sister bought books yesterday."
    assert page.get_by_label("Source text").input_value() == shorter
    assert target(page) == translator(shorter).text
    assert page.evaluate("() => document.activeElement.textContent") in "books"  # the keyboard goes on from there
    assert target(page) == first or "Before" in page.locator("#changed").inner_text()
    page.get_by_label("edits it").check()
    page.locator("#tokens button", has_text="sister").press("Enter")
    assert page.get_by_label("In place of “sister”").input_value() == "sister"
    page.keyboard.press("Control+a")
    page.keyboard.type("brother")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.getElementById('text').value.includes('brother')")
    settled(page)
    assert target(page) == translator("My brother bought books yesterday.").text
    assert page.locator("#edit").is_hidden()
    again = opened(page.url.partition("#")[2])
    again.wait_for_selector("#nbest input")
    assert again.get_by_label("edits it").is_checked()
    assert target(again) == target(page)


@pytest.mark.slow
def test_a_text_of_several_sentences_has_a_map_for_each(opened: Callable[..., Any], translator: Translator) -> None:
    text = "I love you.  Where is my book? My sister bought two books."
    page = opened(f"text={text}&beam=1&beside=two")
    page.wait_for_selector("#parts input")
    settled(page)
    parts = translator.translate([text])[0].parts
    shown = page.locator("#parts label").all_text_contents()
    assert shown == [f"{part.source} → {part.text}" for part in parts]
    assert target(page) == parts[0].text
    page.locator("#parts input").first.focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_function("() => location.hash.includes('sentence=1')")
    settled(page)
    assert target(page) == parts[1].text
    assert page.locator("#maps thead th").nth(1).text_content() == "Where"
    assert page.locator("#changed").text_content() == ""
    page.get_by_label("deletes it").check()
    page.locator("#tokens button", has_text="my").click()
    page.wait_for_function("() => !document.getElementById('text').value.includes('my')")
    settled(page)
    assert page.get_by_label("Source text").input_value() == text.replace(" my", "")
    assert page.locator("#parts input").nth(1).is_checked()
    assert target(page) == translator("Where is book?").text
    page.get_by_role("button", name="Measure erasure").click()
    page.wait_for_selector("#erasure-map > div:nth-child(3) [role=grid]")
    page.get_by_label("Source text").fill("I love you.")
    page.get_by_role("button", name="Translate").click()
    page.wait_for_selector("#sentences", state="hidden")


@pytest.mark.slow
def test_models_side_by_side_share_a_cursor(opened: Callable[..., Any]) -> None:
    page = opened(f"text={TEXT}&beam=1")
    page.wait_for_selector("#nbest input")
    page.get_by_label("Beside it").select_option("two")
    page.wait_for_selector("#maps > div:nth-child(2) [role=grid]")
    page.locator("#maps > div:nth-child(1) td[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    lit = page.locator("#maps > div:nth-child(2) thead th[data-lit]")
    assert lit.all_text_contents() == ["sister"]


@pytest.mark.slow
def test_every_format_is_exported_and_opens(
    opened: Callable[..., Any], translator: Translator, chromium: Any, tmp_path: Path
) -> None:
    page = opened(f"text={TEXT}&beam=1")
    page.wait_for_selector("#maps [role=grid]")
    for ending, begins in (("PNG", b"\x89PNG"), ("SVG", b"<svg"), ("JSON", b"{")):
        with page.expect_download() as download:
            page.locator("#maps").get_by_role("button", name=f"Save as {ending}").click()
        download.value.save_as(tmp_path / f"map.{ending.lower()}")
        assert (tmp_path / f"map.{ending.lower()}").read_bytes().startswith(begins)
    found, trace = AttentionTrace.load(tmp_path / "map.json"), translator(TEXT).trace
    assert trace is not None
    for layer in trace.layers:
        np.testing.assert_array_equal(found.weights[layer], trace.weights[layer].astype(np.float16))
    image = chromium.new_page()
    image.goto((tmp_path / "map.svg").as_uri())
    assert image.locator("text").count() >= 8
    image.close()


@pytest.mark.slow
def test_erasure_stands_beside_attention(opened: Callable[..., Any], translator: Translator) -> None:
    page = opened(f"text={TEXT}&beam=1")
    page.wait_for_selector("#nbest input")
    page.get_by_role("button", name="Measure erasure").click()
    page.wait_for_selector("#erasure-map > div:nth-child(3) [role=grid]")
    assert "not by itself an explanation" in page.locator("main").text_content()
    trace = translator(TEXT).trace
    assert trace is not None
    cell = page.locator("#erasure-map > div:nth-child(1) td").first.get_attribute("aria-label")
    assert f", {translator.erasure(trace)[0, 0]:.2f}, rank" in cell
    second = page.locator("#erasure-map > div:nth-child(2) td").first.get_attribute("aria-label")
    assert f", {abs(translator.gradient_times_input(trace)[0, 0]):.2f}, rank" in second
    assert page.locator("#correlation tbody td").count() == 2 * len(trace.layers)


@pytest.mark.slow
def test_every_state_is_accessible(opened: Callable[..., Any], violations: Violations) -> None:
    """Each state at every width, and in both colors."""
    for width in (320, 768, 1440):
        page = opened("", width)

        def check(state: str, page: Any = page, width: int = width) -> None:
            for theme in ("light", "dark"):
                page.locator("#theme").select_option(theme)
                assert violations(page) == [], (width, state, theme)

        check("empty")
        page.evaluate("() => { location.hash = 'text=I love you.&beside=two&masked=1&beam=3'; }")
        page.wait_for_selector("#maps > div:nth-child(2) [role=grid]")
        settled(page)
        page.get_by_role("button", name="Measure erasure").click()
        page.wait_for_selector("#erasure-map > div:nth-child(3) [role=grid]")
        page.locator("#maps td[tabindex='0']").first.focus()
        page.keyboard.press("ArrowDown")
        check("compared, masked, erased, walked")
        page.get_by_label("Language").select_option("zh")
        assert page.get_by_role("button", name="测量擦除").is_visible()
        page.locator("#candidates button").last.click()
        page.wait_for_selector("#release:not([hidden])")
        settled(page)
        check("forced, in Chinese")
        page.evaluate(
            "() => { location.hash = 'text=I love you. Where is my book?&press=edit&sentence=1&language=en'; }"
        )
        page.wait_for_selector("#parts input")
        settled(page)
        page.locator("#tokens button").nth(1).click()
        page.wait_for_selector("#edit:not([hidden])")
        check("several sentences, a token being edited")
        page.get_by_label("deletes it").check()
        page.locator("#tokens button").nth(1).click()
        page.wait_for_function("() => !location.hash.includes('is+my')")
        settled(page)
        check("a token deleted")
        page.evaluate("() => { location.hash = 'text=I love you.&masked=99'; }")
        page.wait_for_selector("#fault:not([hidden])")
        check("refused")


@pytest.mark.slow
@pytest.mark.usefixtures("chromium")
def test_the_pictures_of_the_documentation_are_taken(tiny_run: Path, tmp_path: Path) -> None:
    script = Path(__file__).resolve().parents[2] / "docs" / "screenshots.py"
    subprocess.run([sys.executable, script, tiny_run, tiny_run / "model", "--out", tmp_path], check=True)
    shown = sorted(path.name for path in (script.parent / "images").glob("*.png") if "-light" in path.name)
    assert sorted(path.name for path in tmp_path.glob("*-light.png")) == shown
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())
