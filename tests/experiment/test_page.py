"""The page of a comparison: complete in itself, true to the figures, readable by everyone; and how it looks."""

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from attentio.experiment import plots
from attentio.experiment.page import SentenceMaps, page
from attentio.experiment.statistics import Comparison, Measured
from attentio.trace import AttentionTrace

MakeComparison = Callable[..., Comparison]
MakeTrace = Callable[..., AttentionTrace]
FACTS = {"Data": "cmn.txt: 2,683 training pairs, en to zh", "Budget": "3m for each training"}
TEMPLATE = files("attentio.experiment").joinpath("page.html.j2").read_text(encoding="utf-8")
EMPTY = {"meta", "link", "input", "br", "hr", "img"}


class Page(HTMLParser):
    """What a page holds: every start tag with its attributes, its text; and whether tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.items: list[str] = []  # texts of list items
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)
        if tag == "li":
            self.items.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.texts.append(data)
        if "li" in self.open:
            self.items[-1] += data

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def maps(make_trace: MakeTrace) -> list[SentenceMaps]:
    def trace(source: str, target: str) -> AttentionTrace:
        return make_trace(source, target).words()

    return [
        SentenceMaps("I love you.", {name: trace("I love you.", "我爱你。") for name in ("additive", "dot")}),
        SentenceMaps("我姐姐昨天买了两本书。", {"dot": trace("我姐姐昨天买了两本书。", "My sister bought two books.")}),
    ]


MADE: dict[str, str] = {}


@pytest.fixture
def html(make_comparison: MakeComparison, maps: list[SentenceMaps]) -> str:
    if not MADE:
        comparison = make_comparison(["additive", "dot", "cosine"], [0.0004, 0.05])
        MADE["html"] = page(comparison, ["attention.score"], FACTS, maps)
    return MADE["html"]


@pytest.fixture
def text_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no plots, which take most of the time."""
    monkeypatch.setattr(plots, "plots_of_quality", lambda *_: ())
    monkeypatch.setattr(plots, "plots_of_costs", lambda *_: ())


@pytest.mark.slow
def test_the_page_needs_nothing_else(html: str) -> None:
    """No script and nothing to fetch: all that could name another resource is absent."""
    made = Page(html)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in made.tags}
    for _, attributes in made.tags:
        assert not {"src", "srcset", "data", "action", "onload", "onclick"} & attributes.keys()
        for key in ("href", "xlink:href"):
            assert (attributes.get(key) or "#").startswith("#")
    names = re.compile(r'xmlns(:xlink)?="[^"]*"')
    assert not re.search(r"url\([^#]|@import|https?:|//|file:", names.sub("", html).replace("<!doctype", ""))


def test_tags_are_closed_and_names_refer_to_something(html: str) -> None:
    made = Page(html)
    ids = [attributes["id"] for _, attributes in made.tags if "id" in attributes]
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    for _, attributes in made.tags:
        for key in ("aria-labelledby", "href", "xlink:href"):
            if key in attributes:
                assert (attributes[key] or "").removeprefix("#") in ids
    assert set(re.findall(r"url\(#([^)]+)\)", html)) <= set(ids)
    for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        ElementTree.fromstring(svg)


def test_who_cannot_see_it_is_told(html: str) -> None:
    made = Page(html)
    assert dict(made.tags)["html"]["lang"] == "en"
    for text in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        svg = ElementTree.fromstring(text)
        title, told = (svg.find(f"{{http://www.w3.org/2000/svg}}{name}") for name in ("title", "desc"))
        assert svg.get("role") == "img"
        assert title is not None
        assert title.text
        assert told is not None
        assert "dot" in (told.text or "")
    for attributes in made.all("table"):
        assert attributes["aria-label"]
    assert all(attributes.get("scope") in ("col", "row") for attributes in made.all("th"))
    scrolling = [attributes for _, attributes in made.tags if attributes.get("tabindex") == "0"]
    assert len(scrolling) > 3
    assert all(attributes["role"] for attributes in scrolling)
    levels = [int(tag[1]) for tag, _ in made.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in pairwise(levels))
    assert len(made.all("input")) == 3  # one for each cell, inside a label: keyboard and pointer alike
    assert html.count("<label><input") == 3


def test_figures_are_those_of_the_comparison(html: str) -> None:
    text = Page(html).text
    assert "29.0 [27.8, 30.3]" in text
    assert "37.0 [35.8, 38.3]" in text  # BLEU of the third cell
    assert "20.0 18.0 to 22.0" in text  # AER
    assert "1,400,000 1,260,000 to 1,540,000" in text
    assert "3 ways to train on cmn.txt: 2,683 training pairs, en to zh. 3 seeds each" in text
    assert "chrF2|nrefs:1|bs:1000" in text
    assert "Holm over 4" in text


def test_plots_hold_text_and_follow_the_colors_of_the_page(html: str) -> None:
    plots = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(plots) == 6
    for plot in plots:
        assert not re.search(r"#[0-9a-f]{6}\b", plot)
        assert set(re.findall(r"var\((--[^)]*)\)", plot)) <= set(re.findall(r"(--[\w-]+):", html))
    assert all(f">{name}</text>" in plots[0] for name in ("additive", "dot", "cosine", "chrF, more is better"))
    assert "<title>dot: chrF 30.5 [29.3, 31.8]</title>" in plots[0]


@pytest.mark.slow
def test_the_same_comparison_is_the_same_page(make_comparison: MakeComparison, maps: list[SentenceMaps]) -> None:
    first, second = (page(make_comparison(["additive", "dot"], [0.3]), [], FACTS, maps) for _ in range(2))
    assert first == second


def test_without_matplotlib_there_are_tables_and_a_note(
    make_comparison: MakeComparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in ("attentio.view.figure", "attentio.experiment.plots"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    html = page(make_comparison(["a", "b"], [0.3]), [], {}, [])
    assert "<svg" not in html
    assert re.search(r"This page has no plots: pictures need matplotlib .* pip install", html)
    assert "29.0 [27.8, 30.3]" in Page(html).text


@pytest.mark.usefixtures("text_alone")
def test_no_more_is_claimed_than_was_shown(make_comparison: MakeComparison) -> None:
    shown = {p: Page(page(make_comparison(["a", "b"], [p]), ["x.y"], {}, [])) for p in (0.0499, 0.05, 0.9, None)}
    assert shown[0.0499].items[0].startswith("higherb: chrF +1.5 [+0.5, +2.5], p = 0.0499")
    for p in (0.05, 0.9, None):
        assert [item.partition(":")[0] for item in shown[p].items] == ["no difference shownb"]
    assert "not tested" in shown[None].items[0]
    assert "better" not in shown[0.9].text.replace("more is better", "").replace("which of two", "")


@pytest.mark.usefixtures("text_alone")
def test_what_is_too_weak_to_compare_is_called_so(make_comparison: MakeComparison) -> None:
    made = make_comparison(["a", "b"], [0.01])
    result = made.cells[1].tests["test"]
    weak = {name: replace(found, too_weak=True) for name, found in result.differences.items()}
    cells = (made.cells[0], replace(made.cells[1], tests={"test": replace(result, differences=weak)}))
    assert Page(page(replace(made, cells=cells), [], {}, [])).items[0].startswith("too weak to compareb: ")


@pytest.mark.usefixtures("text_alone")
def test_metrics_that_disagree(make_comparison: MakeComparison) -> None:
    made = make_comparison(["a", "b"], [0.01])
    result = made.cells[1].tests["test"]
    one = {**result.differences, "BLEU": replace(result.differences["BLEU"], corrected=0.4)}
    other = {**result.differences, "BLEU": replace(result.differences["BLEU"], difference=-1.0)}
    for differences, badge in ((one, "higher in chrF"), (other, "mixed")):
        cells = (made.cells[0], replace(made.cells[1], tests={"test": replace(result, differences=differences)}))
        assert Page(page(replace(made, cells=cells), [], {}, [])).items[0].startswith(f"{badge}b: ")


@pytest.mark.usefixtures("text_alone")
def test_one_seed_is_said_to_be_one(make_comparison: MakeComparison) -> None:
    html = page(make_comparison(["a", "b"], [0.01], seeds=1), [], {}, [])
    assert Page(html).items[0].startswith("higher, one seedb: ")
    text = Page(html).text
    assert "With one seed this says which of two trained models is better, not which setting" in text
    assert "1 seed each" in text


@pytest.mark.usefixtures("text_alone")
def test_failed_cells_say_why(make_comparison: MakeComparison) -> None:
    made = make_comparison(["a", "b", "c"], [0.3, 0.3])
    lost = Measured(4, "x", failure="out of memory <at once>")
    cells = (
        made.cells[0],
        replace(made.cells[1], runs=(*made.cells[1].runs, lost), also_differs=("model.dropout = 0.5, not 0.3",)),
        replace(made.cells[2], runs=(lost,), tests={}, parameters=None),
    )
    made = replace(made, cells=cells)
    text = Page(page(made, [], {}, [])).text
    assert "1 of 4 seeds failed: out of memory <at once>" in text
    assert "failedcout of memory <at once>" in text
    assert "also differs: model.dropout = 0.5, not 0.3" in text


@pytest.mark.slow
def test_nothing_to_plot(make_comparison: MakeComparison) -> None:
    """A baseline that failed, and runs without a log: the page stands without the plots it cannot draw."""
    made = make_comparison(["a", "b"], [0.3])
    runs = tuple(replace(run, curve=()) for run in made.cells[1].runs)
    tests = {"test": replace(made.cells[1].tests["test"], differences={})}
    cells = (replace(made.cells[0], tests={}, runs=()), replace(made.cells[1], runs=runs, tests=tests))
    text = Page(page(replace(made, cells=cells, comparisons=0), [], {}, [])).text
    assert "a has no result" in text
    assert "Quality against training time" not in text
    assert "Difference from" not in text


@pytest.mark.usefixtures("text_alone")
def test_faithfulness_of_every_map(make_comparison: MakeComparison) -> None:
    shown = Page(page(make_comparison(["additive", "dot"], [0.3], faithfulness=True), ["attention.score"], FACTS, []))
    assert "Does attention show what translations depend on?" in shown.text
    assert shown.text.count("random−0.02 [−0.12, 0.08]") == 2
    assert "attention0.60 [0.50, 0.70]0.60 [0.50, 0.70]" in shown.text
    assert "alignment error, %" in shown.text
    assert "25.0 20.0 to 30.0" in shown.text
    plain = Page(page(make_comparison(["additive", "dot"], [0.3]), ["attention.score"], FACTS, []))
    assert "depend on?" not in plain.text


@pytest.mark.slow
def test_several_test_sets(make_comparison: MakeComparison) -> None:
    text = Page(page(make_comparison(["a", "b"], [0.3], tests=("small-world", "hsk")), [], {}, [])).text
    assert "small-world: 150 sentences" in text
    assert "b (hsk): chrF" in text
    assert "Quality on hsk" in text


@pytest.mark.usefixtures("text_alone")
def test_sentences_that_were_left_out_are_counted(make_comparison: MakeComparison) -> None:
    made = replace(make_comparison(["a", "b"], [0.3]), left_out={"test": {"seen in training by a run": 12}})
    assert (
        "none of them has seen: 150, 12 left out (12 seen in training by a run)." in Page(page(made, [], {}, [])).text
    )


# Maps


def test_a_map_is_a_table_of_the_weights(html: str, maps: list[SentenceMaps]) -> None:
    tables = re.findall(r'<table[^>]*aria-label="Attention of additive:.*?</table>', html, re.DOTALL)
    heads = re.findall(r'<th scope="col"><span[^>]*>(.*?)</span></th>', tables[0])
    assert heads == ["I", "love", "you", "."]
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', tables[0])
    assert [name for name, _ in rows] == ["我", "爱", "你", "。"]
    weights = maps[0].traces["additive"].matrix()
    for (_, cells), row in zip(rows, weights, strict=True):
        found = re.findall(r'--w:([\d.]+)">(\d+)</td>', cells)
        assert [float(weight) for weight, _ in found] == pytest.approx(row.tolist(), abs=0.005)
        assert [int(percent) for _, percent in found] == [round(100 * weight) for weight in row.tolist()]


@pytest.mark.usefixtures("text_alone")
def test_cells_without_a_map_and_maps_without_words(make_comparison: MakeComparison, make_trace: MakeTrace) -> None:
    nothing = make_trace("Yes.", "").words()
    shown = [SentenceMaps("Yes.", {"b": nothing}), SentenceMaps("Too long.", {})]
    text = Page(page(make_comparison(["a", "b"], [0.3]), [], {}, shown)).text
    assert re.search(r"\(nothing\)\s*no words to attend to", text)
    assert "Too long." not in text


EVIL = "<script>alert(1)</script>\"'&\x1b\u202e"


@pytest.mark.slow
def test_text_stays_text(make_comparison: MakeComparison, make_trace: MakeTrace) -> None:
    """Names, sentences and facts from anywhere are shown, and are never markup."""
    shown = [SentenceMaps(EVIL, {EVIL: make_trace(EVIL, EVIL).words()})]
    made = replace(make_comparison([EVIL, "b"], [0.3]), sentences={EVIL: 1}, references={EVIL: 1})
    cells = tuple(replace(cell, tests={EVIL: cell.tests["test"]}, also_differs=(EVIL,)) for cell in made.cells)
    html = page(replace(made, cells=cells), [EVIL], {"Data": EVIL, EVIL: EVIL}, shown)
    parsed = Page(html)
    assert "script" not in {tag for tag, _ in parsed.tags}
    assert "<script>alert(1)</script>" in parsed.text
    assert not {"\x1b", "\u202e"} & set(parsed.text)


# Colors


def luminance(color: str) -> float:
    """Relative luminance of WCAG 2.2."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def themes() -> list[dict[str, str]]:
    return [
        dict(re.findall(r"--([\w-]+): ([#\d][^;]*);", block))
        for block in re.findall(r":root \{(.*?)\}", TEMPLATE, re.DOTALL)
    ]


@pytest.mark.parametrize("theme", themes(), ids=["light", "dark"])
def test_colors_can_be_told_from_the_paper(theme: dict[str, str]) -> None:
    for ground in ("paper", "card"):
        for text in ("ink", "soft", "accent"):
            assert contrast(theme[text], theme[ground]) >= 4.5, (text, ground)
        for number in range(8):
            assert contrast(theme[f"c{number}"], theme[ground]) >= 4.5, number
    for kind in ("up", "down"):
        assert contrast(theme[kind], theme[f"{kind}-bg"]) >= 4.5
    assert contrast(theme["soft"], theme["flat-bg"]) >= 4.5


def text_color(html: str) -> str:
    """The name of the color that the number in the only cell of a map has."""
    (name,) = re.findall(r'<td class="([\w]*)" style="--w', html)
    rules = re.findall(rf"td(?:\.{name})? \{{[^}}]*?(?<![-\w])color: var\(--([\w-]+)\)", html)
    return rules[-1]


@pytest.mark.slow
@pytest.mark.parametrize("weight", [0.01, 0.2, 0.5, 0.58, 0.581, 0.7, 0.825, 0.826, 1.0])
@pytest.mark.usefixtures("text_alone")
def test_numbers_can_be_read_on_every_shade(make_comparison: MakeComparison, weight: float) -> None:
    trace = AttentionTrace("a", "b", ("a",), ("b",), ((0, 1),), ((0, 1),), {"l": np.array([[[weight]]])}, np.zeros(1))
    made = make_comparison(["x"])
    cells = (replace(made.cells[0], runs=(), tests={}),)
    html = page(replace(made, cells=cells), [], {}, [SentenceMaps("a", {"x": trace})])
    for theme in themes():
        share = 0.05 + 0.95 * weight
        heat = [int(part) for part in theme["heat"].split()]
        card = [int(theme["card"][i : i + 2], 16) for i in (1, 3, 5)]
        shade = "#" + "".join(f"{round(share * h + (1 - share) * c):02x}" for h, c in zip(heat, card, strict=True))
        assert contrast(theme[text_color(html)], shade) >= 4.5


# In a browser


@pytest.fixture(scope="module")
def browser() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome", "chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("no Chromium is installed: how the page looks is not tested")


MEASURE = """
<body><iframe id="page" src="page.html" style="width:{width}px;height:900px;border:0"></iframe><pre id="found"></pre>
<script>
document.getElementById("page").addEventListener("load", () => {{
  const page = document.getElementById("page").contentDocument, root = page.documentElement;
  const widest = Math.max(...[...page.querySelectorAll("h1, p, li, dl, [role=region], [role=group]")]
    .map(element => element.getBoundingClientRect().right));
  const boxes = [...page.querySelectorAll("td[style]")].map(element => element.getBoundingClientRect());
  const mark = [...page.querySelectorAll("#time svg title")].find(title => title.textContent.startsWith("dot: "))
    .parentElement;
  const before = page.defaultView.getComputedStyle(mark).display;
  page.getElementById("show-1").click();
  const after = page.defaultView.getComputedStyle(mark).display;
  document.getElementById("found").textContent = JSON.stringify({{
    scroll: root.scrollWidth, client: root.clientWidth, widest, smallest: Math.min(...boxes.map(box => box.width)),
    height: Math.min(...[...page.querySelectorAll("svg")].map(svg => svg.getBoundingClientRect().height)),
    before, after,
  }});
}});
</script></body>
"""


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_it_fits_every_screen_and_boxes_hide_marks(browser: str, html: str, tmp_path: Path, width: int) -> None:
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    (tmp_path / "measure.html").write_text(MEASURE.format(width=width), encoding="utf-8")
    done = subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--dump-dom"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=20000", "--window-size=1400,1000"),
            f"file://{tmp_path / 'measure.html'}",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    (found,) = re.findall(r'<pre id="found">(.*?)</pre>', done.stdout)
    seen = json.loads(found)
    assert width - 20 <= seen["client"] <= width  # a scroll bar may take some
    assert seen["scroll"] <= seen["client"]
    assert seen["widest"] <= seen["client"]
    assert seen["smallest"] > 20
    assert seen["height"] > 60
    assert (seen["before"], seen["after"]) != ("none", "inline")
    assert seen["after"] == "none"
