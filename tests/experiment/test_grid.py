"""Axes and the cells that they span, and what tells trained runs apart."""

from typing import Any

import pytest

from attentio.errors import UsageError
from attentio.experiment.grid import find_axes, group_runs, make_cells, other_differences, read_axes
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
    made = make_cells(vary, {"data": {"train": ["demo"]}})
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


def test_runs_are_grouped_by_all_but_their_seed() -> None:
    def config(seed: int, **attention: object) -> Any:
        return effective_config(preset="rnn-base", settings={"attention": attention, "train": {"seed": seed}})

    configs = [config(1), config(1, score="dot"), config(2), config(3, score="dot"), config(1, num_heads=2)]
    assert group_runs(configs) == [[0, 2], [1, 3], [4]]


def test_what_tells_runs_apart() -> None:
    rows = [
        {"attention.score": "dot", "model.family": "rnn", "model.cell": "gru", "train.epochs": 3},
        {"attention.score": "dot", "model.family": "cnn", "train.epochs": 5},
    ]
    assert find_axes(rows, []) == ["model.family"]
    assert find_axes(rows, ["train.epochs"]) == ["train.epochs"]
    assert other_differences(rows[1], rows[0], ["model.family"]) == ["train.epochs = 5, not 3"]
