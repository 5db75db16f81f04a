"""A comparison in a terminal."""

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from attentio.experiment.statistics import Comparison
from attentio.experiment.table import print_comparison

MakeComparison = Callable[..., Comparison]


def printed(comparison: Comparison, width: int = 80, *, wide: bool = False) -> str:
    file = io.StringIO()
    print_comparison(comparison, wide=wide, console=Console(file=file, width=width, highlight=False))
    return file.getvalue()


def table(text: str) -> list[str]:
    lines = text.split("\n")
    start = next(i for i, line in enumerate(lines) if line.strip().startswith("cell"))
    return lines[start : lines.index("", start) if "" in lines[start:] else None]


@pytest.mark.parametrize("width", [80, 90, 100, 120, 200])
def test_as_many_columns_as_fit(make_comparison: MakeComparison, width: int) -> None:
    comparison = make_comparison(["additive", "dot, local-p"], [0.3])
    text = printed(comparison, width)
    rows = [line for line in text.split("\n") if line.startswith((" cell", " additive  ", " dot, local-p  ", " ──"))]
    assert len(rows) == 4
    assert max(map(cell_len, rows)) <= width
    assert "29.0 [27.8, 30.3]" in text
    assert ("monotonicity" in text) == (width >= 200)
    assert "0.30" in text


def test_all_columns_when_asked(make_comparison: MakeComparison) -> None:
    text = printed(make_comparison(["additive", "dot"], [0.3]), 60, wide=True)
    for heading in ("AER", "sent/s", "memory", "Δ BLEU", "entropy", "coverage", "monotonicity", "seconds"):
        assert heading in text
    assert "600M" in text
    assert "20.0" in text  # AER in percent


def test_names_are_never_cut(make_comparison: MakeComparison) -> None:
    name = "location_aware, local-p-renormalized, hard_straight_through"
    text = printed(make_comparison(["additive", name], [0.3]), 60)
    assert name in text


def test_what_is_said_of_a_difference(make_comparison: MakeComparison) -> None:
    text = printed(make_comparison(["additive", "dot", "cosine"], [0.0004, 0.05]))
    assert "dot against additive, higher: chrF2 +1.5 [+0.5, +2.5], p < 0.001" in text
    assert "cosine against additive, no difference shown: chrF2 +3.0 [+2.0, +4.0], p = 0.0500" in text
    assert "corrected for 4 comparisons (Holm)" in text
    assert "3 seeds for each cell" in text
    assert "One seed" not in text


def test_one_seed_is_said_to_be_one(make_comparison: MakeComparison) -> None:
    text = printed(make_comparison(["additive", "dot"], [0.01], seeds=1))
    assert "1 seed for each cell" in text
    assert "One seed says which of two models is better, not which attention" in text


def test_failures_and_what_else_differs(make_comparison: MakeComparison) -> None:
    made = make_comparison(["additive", "dot", "cosine"], [0.3, 0.3])
    cells = (made.cells[0], replace(made.cells[1], also_differs=("model.dropout = 0.5, not 0.3",)))
    text = printed(replace(made, cells=(*cells, replace(made.cells[2], tests={}))))
    assert "failed" in text
    assert "cosine: no result" in text
    assert "dot also differs: model.dropout = 0.5, not 0.3" in text


def test_several_test_sets(make_comparison: MakeComparison) -> None:
    text = printed(make_comparison(["additive", "dot"], [0.3], tests=("small-world", "hsk")))
    assert text.index("small-world: 150 sentences, 170 references") < text.index("hsk: 150 sentences")
    assert text.count("chrF2 ") >= 4


def test_sentences_that_were_left_out_are_counted(make_comparison: MakeComparison) -> None:
    made = make_comparison(["additive", "dot"], [0.3], tests=("mine", "hsk"))
    text = printed(replace(made, left_out={"mine": {"seen in training by a run": 1200, "too long": 3}, "hsk": {}}))
    reasons = "1,203 left out (1,200 seen in training by a run, 3 too long)"
    assert f"mine: 150 sentences, 170 references, {reasons}\n" in text
    assert "hsk: 150 sentences, 170 references\n" in text


def test_names_steer_no_terminal(make_comparison: MakeComparison) -> None:
    text = printed(make_comparison(["additive", "dot\x1b[31m[bold]"], [0.3]))
    assert "\x1b" not in text
    assert "[bold]" in text


def test_faithfulness_stands_beside_that_of_a_random_map(make_comparison: MakeComparison) -> None:
    assert "faithfulness" not in printed(make_comparison(["additive", "dot"], [0.3]))
    text = printed(make_comparison(["additive", "dot"], [0.3], faithfulness=True))
    assert "faithfulness of attention (last layer)" in text
    assert text.count("0.50 (−0.02)") == text.count("0.60 (−0.02)") == 4
    assert max(map(cell_len, text.split("\n")[:12])) <= 80
