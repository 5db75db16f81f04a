"""By which settings runs are told apart."""

from typing import Any

from attentio.experiment.differing import grouped, varied, what_else
from attentio.train.settings import effective_config


def test_runs_are_grouped_by_all_but_their_seed() -> None:
    def config(seed: int, **attention: object) -> Any:
        return effective_config(preset="rnn-base", settings={"attention": attention, "train": {"seed": seed}})

    configs = [config(1), config(1, score="dot"), config(2), config(3, score="dot"), config(1, num_heads=2)]
    assert grouped(configs) == [[0, 2], [1, 3], [4]]


def test_what_tells_runs_apart() -> None:
    rows = [
        {"attention.score": "dot", "model.family": "rnn", "model.cell": "gru", "train.epochs": 3},
        {"attention.score": "dot", "model.family": "cnn", "train.epochs": 5},
    ]
    assert varied(rows, []) == ["model.family"]
    assert varied(rows, ["train.epochs"]) == ["train.epochs"]
    assert what_else(rows[1], rows[0], ["model.family"]) == ["train.epochs = 5, not 3"]
