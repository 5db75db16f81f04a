"""Axes, and the cells that they span."""

import pytest

from attentio.errors import UsageError
from attentio.experiment.grid import cells_of, read_axes
from attentio.train.settings import effective_config


def test_axes_are_read() -> None:
    assert read_axes(["attention.score=dot, additive", "preset=tiny,small"]) == {
        "attention.score": ["dot", "additive"],
        "preset": ["tiny", "small"],
    }


@pytest.mark.parametrize(
    ("listed", "values"),
    [
        ("full,local-p:2,local-p:5", ["full", "local-p:2", "local-p:5"]),
        ("full,local-p:3,renormalize=true,local-m", ["full", "local-p:3,renormalize=true", "local-m"]),
        ("local-p:3, true, local-m:-1", ["local-p:3,true", "local-m:-1"]),
        ("mine:My:2,1e-3,mine:My,mine:Other:power=2", ["mine:My:2,1e-3", "mine:My", "mine:Other:power=2"]),
    ],
)
def test_after_a_comma_an_option_belongs_to_the_kind_before_it(listed: str, values: list[str]) -> None:
    for key in ("attention.window", "self_attention.window", "attention.score", "attention.normalize"):
        assert read_axes([f"{key}={listed}"]) == {key: values}


def test_numbers_of_other_axes_are_values() -> None:
    assert read_axes(["model.hidden_size=32,64"]) == {"model.hidden_size": ["32", "64"]}
    assert read_axes(["model.residual=true,false"]) == {"model.residual": ["true", "false"]}


def cells(*vary: str) -> list[tuple[str, str, str]]:
    made = cells_of(read_axes(vary), lambda _preset, overrides: effective_config(overrides=overrides))
    return [(cell.name, cell.folder, cell.config.attention.window) for cell in made]


def test_cells_and_folders_are_named_after_the_options() -> None:
    assert cells("attention.window=full,local-p:2,local-p:5,renormalize=true") == [
        ("full", "attention.window=full", "full"),
        ("local-p:2", "attention.window=local-p-2", "local-p:2"),
        (
            "local-p:5,renormalize=true",
            "attention.window=local-p-5,renormalize=true",
            "local-p:5,renormalize=true",
        ),
    ]


def test_two_names_of_one_kind_are_no_comparison() -> None:
    with pytest.raises(UsageError, match="local-p and local-p:10 are the same configuration"):
        cells("attention.window=local-p,local-p:10")
