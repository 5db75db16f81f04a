"""What a training will need, said before it starts."""

from collections import namedtuple
from pathlib import Path

import pytest
import torch

from attentio.errors import ResourceError
from attentio.model.families import build_model
from attentio.train import footprint as module
from attentio.train.footprint import available_memory, check_resources, describe, footprint
from attentio.train.settings import RunConfig

CONFIG = RunConfig.model_validate({"model": {"embedding_size": 5, "hidden_size": 6}, "train": {"device": "cpu"}})


def test_parameters_are_those_of_the_model_and_nothing_random_is_drawn() -> None:
    state = torch.get_rng_state()
    parameters, memory = footprint(CONFIG, 11, 13)
    assert torch.equal(torch.get_rng_state(), state)
    assert parameters == build_model(CONFIG.model, CONFIG.attention, 11, 13).num_parameters()
    assert memory > 4 * 5 * parameters
    assert f"{parameters:,} parameters" in describe(CONFIG, 11, 13)


@pytest.mark.parametrize("family", ["rnn", "cnn", "transformer"])
def test_every_family_is_counted_right(family: str) -> None:
    config = RunConfig.model_validate({"model": {"family": family, "hidden_size": 8}})
    built = build_model(config.model, config.attention, 11, 13, self_attention=config.self_attention)
    assert footprint(config, 11, 13)[0] == built.num_parameters()


def test_a_model_that_no_memory_holds_is_refused() -> None:
    wide = {"family": "transformer", "hidden_size": 8_000_000, "feed_forward_size": 8_000_000}
    with pytest.raises(ResourceError, match="too little memory: the model alone"):
        footprint(RunConfig.model_validate({"model": wide}), 11, 13)


def test_too_little_memory_is_said_before_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    check_resources(CONFIG, 11, 13, tmp_path)
    monkeypatch.setattr(module, "available_memory", lambda: 1000)
    with pytest.raises(ResourceError, match=r"too little memory: training needs about .* Try -o train\.batch_tokens"):
        check_resources(CONFIG, 11, 13, tmp_path)


def test_too_little_disk_is_said_before_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = namedtuple("usage", "total used free")(10**6, 10**6 - 10, 10)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ResourceError, match="disk too full") as caught:
        check_resources(CONFIG, 11, 13, tmp_path)
    assert caught.value.code == "E_DISK_FULL"


def test_memory_is_read_or_unknown() -> None:
    memory = available_memory()
    assert memory is None or memory > 10**6
