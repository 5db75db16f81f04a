"""The page in Firefox: it translates from disk by keyboard, as the model does, and axe finds no fault with it."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attentio.bundle import Bundle
from attentio.export.format import Named
from attentio.export.html import page
from attentio.search.batched import SearchConfig
from attentio.translator import Translator

TEXTS = [
    "My sister bought two books yesterday. Where is the station?",
    "He likes 3 cats, 12 dogs and 😀.",
    "龘 xyz 1,000, <b>",
]


@pytest.fixture
def shown(firefox: Any, tmp_path: Path) -> Any:
    (tmp_path / "page.html").write_text(page([Named("small-world", Bundle.load("small-world"))]), encoding="utf-8")
    firefox.open((tmp_path / "page.html").as_uri())
    firefox.wait("#submit:not([disabled])")
    return firefox


@pytest.mark.slow
def test_it_translates_by_keyboard_what_the_model_translates(shown: Any) -> None:
    translator = Translator(Bundle.load("small-world"), device="cpu")
    for text in TEXTS:
        shown.run("const box = document.querySelector('textarea'); box.value = ''; box.focus();")
        for character in text:
            shown.press(character)
        shown.press("Control", "Enter")
        (wanted,) = translator.translate([text], SearchConfig(5), trace=True)
        shown.run(
            "const start = Date.now(); while (document.querySelector('#translation').textContent !== arguments_[0] "
            "&& Date.now() < start + 30000) await new Promise((go) => setTimeout(go, 50));",
            wanted.text,
        )
        assert shown.run("return document.querySelector('#translation').textContent") == wanted.text
    label = shown.run(
        "const map = document.querySelector('attention-map'); const root = map.shadowRoot ?? map;"
        "return root.querySelector(\"td[tabindex='0']\").getAttribute('aria-label');"
    )
    best = wanted.parts[0]
    assert best.trace is not None
    assert f", {best.trace.words().matrix('last')[0, 0]:.2f}, rank" in label
    fetched = shown.run("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert [name for name in fetched if not name.startswith(("file:", "data:", "blob:"))] == []


@pytest.mark.slow
def test_axe_finds_no_fault(shown: Any, node_modules: Callable[[str], Path]) -> None:
    shown.run(
        "document.querySelector('textarea').value = 'Where is my book?'; document.querySelector('#submit').click();"
    )
    shown.wait("#nbest input")
    source = node_modules("axe-core/axe.min.js").read_text(encoding="utf-8")
    found = shown.run(
        f"{source}; const report = await window.axe.run(); "
        "return report.violations.flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.target}`))"
    )
    assert found == []


def test_commands_and_answers_have_their_length_before_them(marionette: type[Any]) -> None:
    ours, its = socket.socketpair()
    with ours, its:
        answers = [{"applicationType": "gecko"}, [1, 1, None, {}], [1, 2, None, {}], [1, 3, None, {"value": [7]}]]
        answers += [[1, 4, {"error": "no such element", "message": "where?"}, None]]
        its.sendall(b"".join(b"%d:%s" % (len(text), text) for text in (json.dumps(one).encode() for one in answers)))
        browser = marionette(ours)
        assert browser.run("return 7;") == 7
        with pytest.raises(RuntimeError, match=r"WebDriver:Navigate: no such element: where\?"):
            browser.open("about:blank")
        length, _, sent = its.recv(4096).partition(b":")
        assert json.loads(sent[: int(length)]) == [0, 1, "WebDriver:NewSession", {}]
