"""The widget of notebooks: what Python and the page tell each other. Chromium plays the notebook."""

import importlib
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from attentio.errors import MissingExtra, UsageError
from attentio.trace import AttentionTrace
from attentio.view.embed import packed, static

pytest.importorskip("anywidget")
from attentio.view.widget import AttentionWidget

# A notebook in small: the module is imported as anywidget does, and the model keeps values and calls back.
HOST = """async ([esm, values]) => {
  const called = {};
  const model = window.model = {
    sent: [], values,
    get: (name) => values[name],
    set(name, value) {
      const same = JSON.stringify(values[name]) === JSON.stringify(value);
      values[name] = value;
      if (!same) (called[`change:${name}`] ?? []).forEach((each) => each());
    },
    save_changes() { this.sent.push(structuredClone(values)); },
    on: (event, callback) => { (called[event] ??= []).push(callback); },
    off: (event, callback) => { called[event] = called[event].filter((each) => each !== callback); },
    listeners: () => Object.values(called).flat().length,
  };
  const address = URL.createObjectURL(new Blob([esm], {type: "text/javascript"}));
  const module = await import(address);
  const el = document.createElement("div");
  document.querySelector("main").append(el);
  window.end = module.default.render({model, el});
}"""


@pytest.fixture
def traces(make_trace: Callable[..., AttentionTrace]) -> list[AttentionTrace]:
    return [make_trace("I like cats", target, layers=2, heads=3) for target in ("我喜欢猫", "我爱猫")]


@pytest.fixture
def shown(chromium: Any) -> Callable[[AttentionWidget], Any]:
    """A widget -> the page that shows it. Errors of scripts fail the test."""
    noticed: list[str] = []
    pages: list[Any] = []

    def show(widget: AttentionWidget) -> Any:
        page = chromium.new_page(viewport={"width": 1000, "height": 800})
        pages.append(page)
        page.on("pageerror", lambda error: noticed.append(str(error)))
        page.set_content("<!doctype html><html lang=en><title>notebook</title><main><h1>A notebook</h1></main></html>")
        values = {name: getattr(widget, name) for name in ("maps", "state", "cell", "lang")}
        page.evaluate(HOST, [str(widget._esm), json.loads(json.dumps(values))])
        return page

    yield show
    for page in pages:
        page.close()
    assert noticed == []


def test_it_holds_the_element_unchanged_and_the_traces_as_pages_do(traces: list[AttentionTrace]) -> None:
    widget = AttentionWidget(*traces, names=["one", "two"])
    assert str(widget._esm).startswith(static("attention-map.js"))
    assert widget.maps == [packed(trace, name=name) for trace, name in zip(traces, ("one", "two"), strict=True)]
    assert {"maps", "state", "cell", "lang", "_esm"} <= set(widget.get_state())
    data, _ = widget._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == widget.model_id
    assert data["text/html"].count("<table>") == 2


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ({"kind": "weights", "layer": "layer1", "head": -1, "unit": "words"}, lambda t: t.words().matrix("layer1")),
        ({"kind": "weights", "layer": "layer0", "head": 2, "unit": "tokens"}, lambda t: t.matrix("layer0", 2)),
        ({"kind": "weights", "layer": "", "head": -1, "unit": "words"}, lambda t: t.words().matrix()),
        ({"kind": "weights", "layer": "", "head": 1, "unit": "tokens"}, lambda t: t.matrix(None, 1)),
    ],
)
def test_the_selected_cell_is_that_of_the_trace(
    traces: list[AttentionTrace], at: dict[str, Any], expected: Callable[[AttentionTrace], Any]
) -> None:
    widget = AttentionWidget(*traces)
    assert widget.selected is None
    widget.cell = {"map": 1, "row": 2, "column": 1, **at}
    assert widget.selected is not None
    assert widget.selected[:5] == (1, 2, 1, "猫", "like")
    assert widget.selected.weight == pytest.approx(expected(traces[1])[2, 1], rel=1e-6)


def test_cells_of_self_attention_have_the_words_of_their_side(tiny_trace: AttentionTrace) -> None:
    widget = AttentionWidget(tiny_trace)
    widget.cell = {"map": 0, "row": 1, "column": 0, "kind": "decoder_self", "layer": "d", "head": 0, "unit": "tokens"}
    assert widget.selected == (0, 1, 0, "</s>", "<s>", 0.25)
    widget.cell = {"map": 0, "row": 0, "column": 1, "kind": "encoder_self", "layer": "e", "head": 0, "unit": "tokens"}
    assert widget.selected == (0, 0, 1, "a", "</s>", 0.5)


@pytest.fixture
def tiny_trace() -> AttentionTrace:
    ends = [(0, 1), (1, 1)]
    return AttentionTrace(
        *("a", "猫", ["a", "</s>"], ["猫", "</s>"], ends, ends, {"x": [[[1, 0], [0, 1]]]}, [0, 0]),  # type: ignore[arg-type]
        encoder_self={"e": [[[0.5, 0.5], [1, 0]]]},  # type: ignore[list-item]
        decoder_self={"d": [[[1, 0, 0], [0.25, 0.75, 0]]]},  # type: ignore[list-item]
    )


def test_other_traces_begin_again(traces: list[AttentionTrace], tiny_trace: AttentionTrace) -> None:
    widget = AttentionWidget(traces[0], state={"layer": "layer0", "head": 1, "numbers": True})
    widget.cell = {"map": 0, "row": 0, "column": 0, "kind": "weights", "layer": "layer0", "head": 1, "unit": "words"}
    widget.show(tiny_trace)
    assert (widget.state, widget.cell, widget.selected) == ({"numbers": True}, {}, None)
    assert widget.maps[0]["source"] == "a"


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"view": "cube"}, "view = 'cube' is not known. Known: matrix, lines, heads."),
        ({"colour": 1}, "'colour' is not a field of the state. Fields: view, kind, "),
        ({"layer": "layer9"}, "no layer 'layer9' in these traces. Layers: layer0, layer1."),
        ({"head": 3}, "no head 3. Heads: 0 to 2"),
        ({"threshold": "0.1"}, "threshold = '0.1' has the wrong type."),
    ],
)
def test_a_state_that_no_map_has_is_refused(traces: list[AttentionTrace], state: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as first:
        AttentionWidget(*traces, state=state)
    widget = AttentionWidget(*traces)
    with pytest.raises(UsageError) as then:
        widget.state = state
    assert str(first.value).startswith(said)
    assert str(then.value) == str(first.value)
    assert widget.state == {}


def test_traces_and_names_must_fit(traces: list[AttentionTrace]) -> None:
    with pytest.raises(UsageError, match="a widget needs a trace"):
        AttentionWidget()
    for wrong in (None, "a translation"):
        with pytest.raises(UsageError, match="a widget shows traces, not"):
            AttentionWidget(wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="2 traces and 1 names"):
        AttentionWidget(*traces, names=["one"])


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "attentio.view.widget")
    with pytest.raises(MissingExtra, match=r"pip install 'attentio\[notebook\]'"):
        importlib.import_module("attentio.view.widget")


MAPS = "[...document.querySelectorAll('attention-map')]"


@pytest.mark.slow
def test_a_notebook_shows_the_same_numbers_and_python_hears_of_the_cursor(
    shown: Callable[[AttentionWidget], Any], traces: list[AttentionTrace], violations: Callable[[Any], list[str]]
) -> None:
    widget = AttentionWidget(*traces, names=["one", "two"], state={"numbers": True})
    page = shown(widget)
    cells = page.evaluate(
        f"() => {MAPS}.map(map => [...map.shadowRoot.querySelectorAll('tbody tr')].map("
        "row => [...row.querySelectorAll('td')].map(cell => cell.textContent)))"
    )
    for trace, found in zip(traces, cells, strict=True):
        matrix = trace.words().matrix("last")
        for row, texts in zip(matrix, found, strict=True):
            assert [float(text or 0) for text in texts] == pytest.approx(row.tolist(), abs=0.0051)
    assert [heading.text_content() for heading in page.locator("h2").all()] == ["one", "two"]
    assert violations(page) == []

    page.get_by_role("gridcell", name="target 爱, source cats").click()
    widget.cell = page.evaluate("() => model.sent.at(-1).cell")
    assert widget.selected is not None
    assert widget.selected[:5] == (1, 1, 2, "爱", "cats")
    assert widget.selected.weight == pytest.approx(traces[1].words().matrix("last")[1, 2])
    lit = page.evaluate(
        f"() => {MAPS}[0].shadowRoot.querySelectorAll('thead [data-lit]').length && "
        f"{MAPS}[0].shadowRoot.querySelector('thead [data-lit]').textContent"
    )
    assert lit == "cats"  # the other map follows


@pytest.mark.slow
def test_state_goes_both_ways(shown: Callable[[AttentionWidget], Any], traces: list[AttentionTrace]) -> None:
    widget = AttentionWidget(*traces)
    page = shown(widget)
    page.get_by_label("Layer").first.focus()
    page.get_by_label("Layer").first.select_option("layer0")
    sent = page.evaluate("() => model.sent.at(-1).state")
    widget.state = sent  # Python takes what the page sends
    assert (widget.state["layer"], widget.state["unit"]) == ("layer0", "words")
    assert page.evaluate(f"() => {MAPS}.map(map => map.state.layer)") == ["layer0", "layer0"]
    assert page.evaluate(f"() => {MAPS}[0].shadowRoot.activeElement.name") == "layer"  # focus stays where it was

    page.evaluate("() => model.set('state', {view: 'heads', layer: 'layer1'})")
    assert page.evaluate(f"() => {MAPS}.map(map => [map.state.view, map.state.layer])") == [["heads", "layer1"]] * 2
    page.evaluate("() => model.set('lang', 'zh')")
    assert page.get_by_label("视图").count() == 2
    page.evaluate(
        "() => { document.body.dataset.jpThemeLight = 'false'; model.set('maps', model.get('maps').slice(1)); }"
    )
    assert page.evaluate(f"() => {MAPS}.map(map => map.getAttribute('theme'))") == ["dark"]
    assert page.evaluate(f"() => {MAPS}[0].trace.target") == "我爱猫"
    page.evaluate("() => end()")
    assert page.evaluate("() => model.listeners()") == 0
