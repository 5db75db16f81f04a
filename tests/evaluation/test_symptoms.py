"""Each symptom is found in figures made to have it, and not in those of a healthy run."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from attentio.data.findings import Finding
from attentio.evaluation import symptoms
from attentio.evaluation.symptoms import Head, Known, Spoken

SOURCES = [f"word{number} here now" for number in range(20)]
REFERENCES = [f"Wort{number} hier jetzt" for number in range(20)]
HEALTHY = Spoken(SOURCES, [*REFERENCES[:18], "Wort hier", "Worte hier jetzt"], REFERENCES)


def spoken(change: Callable[[int, str], str]) -> Spoken:
    return HEALTHY._replace(outputs=[change(i, text) for i, text in enumerate(REFERENCES)])


@pytest.mark.parametrize(
    ("symptom", "find", "sick", "evidence"),
    [
        (
            "same-output",
            symptoms.same_output,
            spoken(lambda i, t: "。" if i < 5 else t),
            {"share": 0.25, "sentences": 5},
        ),
        (
            "loops",
            symptoms.loops,
            spoken(lambda i, t: t + " ja nein doch so" * 2 * (i < 3)),
            {"outputs": 3, "references": 0, "share": 0.15},
        ),
        ("too-short", symptoms.length, spoken(lambda _, t: t[:9]), {"ratio": 0.545}),
        ("too-long", symptoms.length, spoken(lambda _, t: t + " und so weiter"), {"ratio": 1.848}),
        (
            "copied-sources",
            symptoms.copied_sources,
            spoken(lambda i, t: SOURCES[i].upper() + "!" if i < 3 else t),
            {"outputs": 3, "of": 20},
        ),
    ],
)
def test_outputs(
    symptom: str, find: Callable[[Spoken], Finding | None], sick: Spoken, evidence: dict[str, Any]
) -> None:
    assert find(HEALTHY) is None
    found = find(sick)
    assert found is not None
    assert found.symptom == symptom
    assert found.evidence == evidence
    assert found.examples
    assert "attentio" in found.remedy or "train" in found.remedy


def test_what_references_do_is_no_symptom() -> None:
    same = Spoken(SOURCES, ["Ja."] * 20, ["Ja."] * 20)
    assert symptoms.same_output(same) is None
    looping = ["no no no", "ha ha ha", "so so so", "ja ja ja"]
    assert symptoms.loops(Spoken(SOURCES[:4], looping, looping)) is None
    assert symptoms.copied_sources(Spoken(SOURCES, SOURCES, SOURCES)) is None


@pytest.mark.parametrize(
    ("text", "loops"),
    [
        ("very very good", False),
        ("very very very good", True),
        ("we go and we go", False),
        ("we go home, we go home, I say", True),
        ("哈哈哈", True),
        ("谢谢", False),
        ("100 000 000", False),
        ("... --- !!!", False),
        ("", False),
    ],
)
def test_what_a_loop_is(text: str, loops: bool) -> None:
    assert symptoms.repeats(text) is loops


def weights(matrix: list[list[float]], heads: int = 1) -> dict[str, Any]:
    return {"layer 1": np.array([matrix] * heads, dtype=np.float32)}


DIAGONAL = np.eye(5).tolist()


def test_figures_of_a_head_by_hand() -> None:
    """Five tokens: the row of the end is left out, and each of four rows looks at a token of its own."""
    (head,) = symptoms.measure_heads([weights(DIAGONAL), weights([[1.0]])])  # the second is too short to say anything
    assert head == Head("layer 1", 0.0, first=0.25, last=0.0, change=0.75, mass=1.0)
    (even,) = symptoms.measure_heads([weights([[0.2] * 5] * 5)])
    assert even == pytest.approx(Head("layer 1", 1.0, 0.2, 0.2, 0.0, 1.0), abs=1e-6) or even.entropy == pytest.approx(1)
    names = [head.name for head in symptoms.measure_heads([weights(DIAGONAL, heads=2)])]
    assert names == ["layer 1, head 0", "layer 1, head 1"]


@pytest.mark.parametrize(
    ("matrix", "symptom"),
    [
        (DIAGONAL, None),
        ([[0.2] * 5] * 5, "uniform-attention"),
        ([[0.0, 0.1, 0.0, 0.1, 0.8]] * 5, "attention-sink"),
        ([[0.9, 0.1, 0.0, 0.0, 0.0]] * 5, "attention-sink"),
        ([[0.1, 0.4, 0.4, 0.1, 0.0]] * 5, "dead-attention"),
        ([[0.0] * 5] * 5, "dead-attention"),
    ],
)
def test_attention(matrix: list[list[float]], symptom: str | None) -> None:
    found = symptoms.attention(symptoms.measure_heads([weights(matrix)]))
    assert [finding.symptom for finding in found] == ([] if symptom is None else [symptom])
    assert [[*finding.examples] for finding in found] == ([] if symptom is None else [["layer 1"]])


def test_one_head_of_many_is_no_finding() -> None:
    good, dead = Head("good", 0.5, 0.1, 0.1, 0.5, 1.0), Head("dead", 0.5, 0.1, 0.1, 0.0, 1.0)
    assert symptoms.attention([good] * 7 + [dead]) == []
    assert symptoms.attention([good] * 6 + [dead] * 2)[0].evidence["heads"] == 2


@pytest.mark.parametrize(
    ("steps", "warmup", "ended", "found"),
    [
        (90, 400, "all steps done", "did not end"),
        (400, 390, "time limit", "took most"),
        (900, 100, "all steps done", None),
        (90, 400, None, None),
    ],
)
def test_warm_up(steps: int, warmup: int, ended: str | None, found: str | None) -> None:
    finding = symptoms.warm_up(steps, warmup, ended)
    assert (finding is None) == (found is None)
    assert finding is None or (found or "") in finding.what


RISING = [5.0, 10.0, 15.0, 20.0, 24.0, 28.0, 31.0, 34.0, 36.0, 40.0]
FLAT = [5.0, 20.0, 30.0, 35.0, 38.0, 39.0, 40.0, 40.1, 40.2, 40.1]


@pytest.mark.parametrize(
    ("train", "held_out", "strict", "ended", "names"),
    [
        (Known(99, 0.1), Known(80, 0.5), FLAT, "no longer better on dev", []),
        (Known(45, 1.9), Known(40, 2.1), FLAT, "all steps done", []),
        (Known(97, 0.1), Known(28, 3.9), FLAT, "all steps done", ["overfitting"]),
        (Known(20, 2.1), Known(16, 2.4), FLAT, "time limit", ["underfitting"]),
        (Known(70, 0.8), Known(50, 1.4), RISING, "time limit", ["underfitting"]),
        (Known(70, 0.8), Known(50, 1.4), RISING, "no longer better on dev", []),
        (Known(20, 2.1), Known(16, 2.4), RISING, None, []),
    ],
)
def test_fitting(train: Known, held_out: Known, strict: list[float], ended: str | None, names: list[str]) -> None:
    found = [
        symptoms.overfitting(train, held_out, [4.0, 3.5, 3.9]),
        symptoms.underfitting(train, held_out, strict, ended),
    ]
    assert [finding.symptom for finding in found if finding is not None] == names


def test_held_out_sets() -> None:
    assert symptoms.small_held_out(50, (20.0, 30.0)) is None
    small = symptoms.small_held_out(20, (12.0, 41.0))
    assert small is not None
    assert "between 12 and 41" in small.what
    nothing = symptoms.small_held_out(0, None)
    assert nothing is not None
    assert "nothing was held out" in nothing.what


def test_held_out_text() -> None:
    held = [(f"source{i}", f"target{i}") for i in range(30)]
    train = ({"x", "y"}, {"z"})
    assert symptoms.held_out_text(held, train) == []
    (leak,) = symptoms.held_out_text(held, ({"source1", "source2"}, {"target2", "target3"}))
    assert (leak.symptom, leak.evidence) == ("leaking-held-out", {"pairs": 3, "of": 30})
    (before,) = symptoms.held_out_text(held, train, {"source1", "source2", "source3"})
    assert before.evidence["pairs"] == 3
    (twice,) = symptoms.held_out_text([*held, *held[:4]], train)
    assert (twice.symptom, twice.evidence) == ("duplicated-held-out", {"pairs": 4, "of": 34})


def test_tokens() -> None:
    references = [["a", "b", "c"], ["a", "b", "d"], ["a", "b", "e"], ["f", "g", "h"], ["f", "g"], ["f", "g"]]
    seen = dict.fromkeys("abcdefgh", 50)
    assert symptoms.tokens_not_written(references, references, seen) is None
    assert symptoms.tokens_not_written(references, [["a"], ["b"], ["g"]], seen) is None  # only f, of four
    found = symptoms.tokens_not_written(references, [["a"]], seen)
    assert found is not None
    assert found.evidence == {"tokens": 3, "of": 4}
    assert symptoms.tokens_not_written(references, [["a"]], seen | {"g": 1}) is None  # rare in training
    assert symptoms.untrained_tokens(references, seen) is None
    unknown = symptoms.untrained_tokens(references, seen | {"f": 0})
    assert unknown is not None
    assert unknown.evidence == {"tokens": 3, "of": 16}
