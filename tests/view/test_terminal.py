"""The map in the terminal: what it says, where it stands, how it folds."""

import io

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from attentio.errors import UsageError
from attentio.view.terminal import print_map

WEIGHTS = [[0.9, 0.06, 0.04, 0.0], [0.004, 0.5, 0.496, 0.0], [0.0, 0.0, 0.0, 1.0]]


def shown(trace, width: int = 80, **options) -> list[str]:
    """The lines of a map in a pipe."""
    console = Console(file=io.StringIO(), width=width, highlight=False)
    print_map(trace, console=console, **options)
    return console.file.getvalue().split("\n")[:-1]


def coloured(trace, monkeypatch, *, color_system="truecolor", width=80, no_color=False, **options) -> str:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    console = Console(
        file=io.StringIO(), width=width, force_terminal=True, color_system=color_system, no_color=no_color
    )
    print_map(trace, console=console, **options)
    return console.file.getvalue()


def test_in_a_pipe_it_is_percentages_aligned_by_width(make_trace) -> None:
    assert shown(make_trace("I run.", "我跑", weights=WEIGHTS)) == [
        "I run. → 我跑",
        "       I run   . </s>",
        "  我  90   6   4    ·",
        "  跑   ·  50  50    ·",
        "</s>   ·   ·   ·  100",
        "Numbers are percent of attention; a dot is half a percent or less.",
    ]


def test_han_labels_take_two_columns_each(make_trace) -> None:
    lines = shown(make_trace("我跑。", "I run", weights=WEIGHTS))
    assert lines[1] == "      我  跑  。 </s>"
    assert {cell_len(line) for line in lines[1:5]} == {21}


def test_wide_maps_fold_and_leave_nothing_out(make_trace) -> None:
    trace = make_trace(" ".join(f"w{number:02d}" for number in range(30)), "他 去 了")
    lines = shown(trace, width=40)
    assert all(cell_len(line) <= 40 for line in lines)
    headings = [line for line in lines if line.startswith("source ")]
    assert headings == [f"source {first} to {last} of 31" for first, last in ((1, 9), (10, 18), (19, 27), (28, 31))]
    words = [word for line in lines for word in line.split() if word.startswith("w") and word[1:].isdigit()]
    assert words[-30:] == [f"w{number:02d}" for number in range(30)]
    whole = shown(trace, width=400)
    for row in range(4):
        folded = [cell for heading in headings for cell in lines[lines.index(heading) + 2 + row].split()[1:]]
        assert folded == whole[2 + row].split()[1:]


@pytest.mark.parametrize("width", [1, 5, 12, 20])
def test_even_the_narrowest_terminal_goes_through_every_column(make_trace, width: int) -> None:
    lines = shown(make_trace("internationalisation is hard", "困难", weights=np.full((3, 4), 0.25)), width=width)
    assert max(map(cell_len, lines)) <= width
    assert sum(line.startswith("source"[:width]) for line in lines) >= (2 if width == 20 else 4)


def test_long_labels_are_cut_and_say_so(make_trace) -> None:
    lines = shown(make_trace("internationalisation is hard", "困难", weights=np.full((3, 4), 0.25)))
    assert lines[1].split() == ["internation…", "is", "hard", "</s>"]


def test_colours_shade_without_digits_unless_asked(make_trace, monkeypatch) -> None:
    trace = make_trace("I run.", "我跑", weights=WEIGHTS)
    shades = coloured(trace, monkeypatch)
    assert "48;2;" in shades
    rows = Text.from_ansi(shades).plain.split("\n")
    assert [row.split() for row in rows[2:6]] == [["我"], ["跑"], ["</s>"], ["attention", "0", "1"]]
    assert Text.from_ansi(coloured(trace, monkeypatch, numbers=True)).plain.split("\n")[2] == "  我  90   6   4    ·"


def test_brighter_is_more(make_trace, monkeypatch) -> None:
    row = [[0.0, 0.1, 0.3, 0.6]]
    trace = make_trace("a b c", "", weights=row)
    line = next(line for line in coloured(trace, monkeypatch).split("\n") if line.startswith("</s>"))
    shades = [tuple(map(int, part.split("m")[0].split(";"))) for part in line.split("48;2;")[1:]]
    brightness = [0.299 * red + 0.587 * green + 0.114 * blue for red, green, blue in shades]
    assert len(brightness) == 4
    assert brightness == sorted(brightness)
    assert brightness[3] > 2 * brightness[0]


@pytest.mark.parametrize("limits", [{"no_color": True}, {"color_system": "standard"}])
def test_without_colours_enough_it_is_digits(make_trace, monkeypatch, limits) -> None:
    written = coloured(make_trace("I run.", "我跑", weights=WEIGHTS), monkeypatch, **limits)
    assert "48;" not in written
    assert " 90   6   4" in written


def test_no_color_of_the_environment_is_honoured(make_trace, monkeypatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="truecolor")
    print_map(make_trace("I run.", "我跑", weights=WEIGHTS), console=console)
    assert " 90   6   4" in console.file.getvalue()


def test_text_is_never_markup_and_never_steers_the_terminal(make_trace) -> None:
    lines = shown(make_trace("[bold]x[/] \x1b[2J", ":smile: y"))
    assert "\x1b" not in "".join(lines)
    assert lines[0] == "[bold]x[/] �[2J → :smile: y"


def test_long_sentences_stand_below_each_other(make_trace) -> None:
    assert shown(make_trace("one two three four", "五 六 七 八"), width=24)[:2] == [
        "one two three four",
        "→ 五 六 七 八",
    ]


def test_layer_and_head(make_trace) -> None:
    trace = make_trace("a b", "c", layers=2, heads=3)
    lines = shown(trace, layer="layer1", head=2)
    expected = [str(round(100 * weight)) for weight in trace.weights["layer1"][2][0].tolist()]
    assert lines[2].split()[1:] == expected
    with pytest.raises(UsageError, match="no head 3"):
        shown(trace, head=3)


def test_no_words_is_said(make_trace) -> None:
    assert shown(make_trace("a", "").words()) == ["a → ", "(no words to attend to)"]
