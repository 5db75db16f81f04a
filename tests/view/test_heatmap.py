"""Pictures: what they hold, not how pretty they are. Every warning of matplotlib is an error here."""

import re
import sys
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest

from attentio.errors import MissingExtra, UsageError
from attentio.view import font
from attentio.view.heatmap import draw

TEXTS = ("title", "desc", "text")


def panels(heatmap) -> list:
    return [axes for axes in heatmap.figure.axes if axes.images]


def names(axes, which: str) -> list[str]:
    labels = axes.get_xticklabels() if which == "x" else axes.get_yticklabels()
    return [item.get_text() for item in labels]


@pytest.fixture
def no_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(font, "installed", list)


def test_the_weights_drawn_are_the_weights_of_the_trace(make_trace) -> None:
    trace = make_trace("I like cats", "Ich mag Katzen", layers=2, heads=3)
    (axes,) = panels(draw(trace, layers=["layer1"], heads=[2]))
    np.testing.assert_array_equal(axes.images[0].get_array(), trace.weights["layer1"][2])
    assert axes.images[0].get_clim() == (0, 1)
    assert names(axes, "x") == ["I", "like", "cats", "</s>"]
    assert names(axes, "y") == ["Ich", "mag", "Katzen", "</s>"]
    assert axes.yaxis_inverted()


def test_target_words_go_down_from_the_top(make_trace, tmp_path: Path) -> None:
    weights = np.zeros((3, 3))
    weights[0, 2] = 1
    heatmap = draw(make_trace("a b", "c d", weights=weights))
    (axes,) = panels(heatmap)
    heatmap.save(tmp_path / "map.png")
    corner = axes.transData.transform((2, 0))
    assert corner[1] > axes.transData.transform((2, 2))[1]


def test_heads_side_by_side_and_layers_below_each_other(make_trace) -> None:
    trace = make_trace("a b", "c d e", layers=2, heads=3)
    drawn = panels(draw(trace, layers=trace.layers, heads=[0, 2]))
    assert [axes.get_title(loc="left") for axes in drawn] == [
        "layer0, head 0",
        "layer0, head 2",
        "layer1, head 0",
        "layer1, head 2",
    ]
    np.testing.assert_array_equal(drawn[3].images[0].get_array(), trace.weights["layer1"][2])
    boxes = [axes.get_position() for axes in drawn]
    assert boxes[0].x0 == boxes[2].x0 < boxes[1].x0
    assert boxes[0].y0 == boxes[1].y0 > boxes[2].y1


def test_sentences_stand_three_in_a_row_with_cells_of_one_size(make_trace) -> None:
    traces = [make_trace(" ".join("abcde"[:count]), "x y") for count in (1, 5, 3, 2)]
    heatmap = draw(traces)
    drawn = panels(heatmap)
    width, height = heatmap.figure.get_size_inches()
    sizes = {
        (
            round(axes.get_position().width * width / len(names(axes, "x")), 6),
            round(axes.get_position().height * height / len(names(axes, "y")), 6),
        )
        for axes in drawn
    }
    assert len(sizes) == 1
    assert drawn[3].get_position().y1 < drawn[0].get_position().y0
    for first, second in ((0, 1), (1, 2)):
        assert drawn[first].get_position().x1 < drawn[second].get_position().x0
    assert drawn[0].get_title(loc="left") == "a → x y"


def test_nothing_overlaps(make_trace) -> None:
    traces = [make_trace("unbelievably long words everywhere", "b"), make_trace("c", "incomprehensibilities abound")]
    figure = draw(traces).figure
    figure.canvas.draw()
    first, second = [axes.get_tightbbox() for axes in figure.axes if axes.images]
    assert first.x1 < second.x0
    assert first.y1 <= figure.bbox.y1 + 1


def test_han_stands_upright_and_latin_leans(make_trace) -> None:
    trace = make_trace("喜欢 cats", "a").merged([(0, 2), (3, 7)], [(0, 1)])
    (axes,) = panels(draw(trace))
    han, latin = axes.get_xticklabels()
    assert (han.get_text(), han.get_rotation()) == ("喜\n欢", 0)
    assert (latin.get_text(), latin.get_rotation()) == ("cats", 60)


@pytest.mark.slow
@pytest.mark.usefixtures("no_fonts")
def test_without_a_font_there_is_one_message_and_still_a_picture(make_trace, tmp_path: Path) -> None:
    heatmap = draw(make_trace("I like black cats here", "我喜欢这里的黑猫"))
    heatmap.save(tmp_path / "map.png")
    heatmap.save(tmp_path / "map.svg")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    assert heatmap.message is not None
    assert heatmap.message.startswith("no installed font draws 喜, 我, 欢, 猫, 的 and 3 more: install one")
    assert "\n" not in heatmap.message
    # The reader of the SVG may well have a font: it holds the text itself.
    assert ">我</text>" in re.sub(r"\s*\n\s*", "", (tmp_path / "map.svg").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_with_a_font_han_is_drawn_without_a_word(make_trace, tmp_path: Path) -> None:
    if font.families("我猫。")[1]:
        pytest.skip("no installed font draws Chinese (Debian: fonts-wqy-microhei)")
    heatmap = draw(make_trace("I like cats.", "我喜欢猫。"))
    assert heatmap.message is None
    heatmap.save(tmp_path / "map.png")


def test_an_svg_holds_text_a_title_and_a_description(make_trace, tmp_path: Path) -> None:
    draw(make_trace("I like cats", "Ich mag & nehme")).save(tmp_path / "map.svg")
    root = ElementTree.parse(tmp_path / "map.svg").getroot()
    found = {tag: [item.text for item in root.iter(f"{{http://www.w3.org/2000/svg}}{tag}")] for tag in TEXTS}
    assert found["title"] == ["Attention: I like cats → Ich mag & nehme"]
    assert "Rows are target words" in (found["desc"][0] or "")
    assert {"I", "like", "cats", "Ich", "mag", "&", "nehme"} <= set(found["text"])
    assert root.get("role") == "img"


@pytest.mark.slow
def test_the_same_picture_is_the_same_file_and_text_opens_no_formula(make_trace, tmp_path: Path) -> None:
    for number in range(2):
        heatmap = draw(make_trace("cost $x^$ or $5 and $6_{", "\\frac{1}{2}"), numbers=True)
        assert "$" in names(panels(heatmap)[0], "x")
        for kind in ("png", "svg"):
            heatmap.save(tmp_path / f"{number}.{kind}")
    for kind in ("png", "svg"):
        assert (tmp_path / f"0.{kind}").read_bytes() == (tmp_path / f"1.{kind}").read_bytes()


def test_settings_of_matplotlib_stay_as_they_were(make_trace, tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    draw(make_trace("a", "b")).save(tmp_path / "map.svg")
    assert dict(matplotlib.rcParams) == before


def test_numbers_are_percent(make_trace) -> None:
    trace = make_trace("a", "b", weights=[[0.25, 0.75], [0.0, 1.0]])
    (axes,) = panels(draw(trace, numbers=True))
    assert [text.get_text() for text in axes.texts] == ["25", "75", "0", "100"]
    assert not panels(draw(trace))[0].texts


@pytest.mark.slow
def test_no_words_and_very_many_words(make_trace, tmp_path: Path) -> None:
    draw(make_trace("a", "").words()).save(tmp_path / "empty.png")
    long = draw(make_trace(" ".join(["w"] * 150), "x y"))
    assert max(long.figure.get_size_inches()) < 45
    long.save(tmp_path / "long.svg")


def test_what_cannot_be_drawn_is_the_users_mistake(make_trace, tmp_path: Path) -> None:
    trace = make_trace("a", "b")
    with pytest.raises(UsageError, match="no attention to draw"):
        draw([])
    with pytest.raises(UsageError, match="no layer"):
        draw(trace, layers=["layer9"])
    with pytest.raises(UsageError, match=r"\.png or \.svg"):
        draw(trace).save(tmp_path / "map.gif")


@pytest.mark.parametrize("version", [None, (3, 10, 0)], ids=["absent", "too old"])
def test_without_matplotlib_the_extra_is_named(monkeypatch, version: tuple[int, ...] | None) -> None:
    if version is None:
        monkeypatch.setitem(sys.modules, "matplotlib", None)
    else:
        monkeypatch.setattr(matplotlib, "__version_info__", version)
    for name in ("figure", "heatmap"):
        monkeypatch.delitem(sys.modules, f"attentio.view.{name}")
    with pytest.raises(MissingExtra, match=r"attentio\[plot\]") as caught:
        import_module("attentio.view.heatmap")
    assert caught.value.exit_status == 6
