"""Axes, and the cells that they span."""

from attentio.experiment.grid import read_axes


def test_axes_are_read() -> None:
    assert read_axes(["attention.score=dot, additive", "preset=tiny,small"]) == {
        "attention.score": ["dot", "additive"],
        "preset": ["tiny", "small"],
    }
