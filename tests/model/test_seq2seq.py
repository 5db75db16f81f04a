"""Building a model from settings, and taking its tensors out and in."""

from collections.abc import Callable

import pytest
import torch

from attentio.errors import ModelError, UsageError
from attentio.model.families import build_model
from attentio.model.seq2seq import Seq2Seq
from attentio.model.settings import AttentionConfig, RNNConfig

Build = Callable[..., Seq2Seq]
SOURCE, LENGTHS, TARGET_IN = torch.tensor([[5, 9, 2]]), torch.tensor([3]), torch.tensor([[1, 7]])


def test_tied_embeddings_are_one_tensor(build: Build) -> None:
    tied, loose = build(tie_embeddings=True), build(tie_embeddings=False)
    assert tied.decoder.output is tied.decoder.embedding.table
    assert loose.num_parameters() - tied.num_parameters() == 13 * 5
    tied(SOURCE, LENGTHS, TARGET_IN)[0, 0, 4].backward()  # through the output row alone
    assert tied.decoder.embedding.table.grad is not None
    assert tied.decoder.embedding.table.grad[4].any()
    both = {"decoder.output", "decoder.embedding.table"}
    assert len(both & tied.unique_state_dict().keys()) == 1
    assert both <= loose.unique_state_dict().keys()


@pytest.mark.parametrize("tied", [True, False])
def test_tensors_taken_out_and_in_make_the_same_model(build: Build, tied: bool) -> None:
    first, second = build(tie_embeddings=tied), build(tie_embeddings=tied)
    with torch.no_grad():
        for parameter in first.parameters():
            parameter.normal_()
    wanted = first(SOURCE, LENGTHS, TARGET_IN)
    assert not torch.allclose(second(SOURCE, LENGTHS, TARGET_IN), wanted)
    second.load_unique_state_dict({name: tensor.clone() for name, tensor in first.unique_state_dict().items()})
    assert torch.equal(second(SOURCE, LENGTHS, TARGET_IN), wanted)
    if tied:
        assert second.decoder.output is second.decoder.embedding.table


def test_tensors_that_do_not_belong_are_named(build: Build) -> None:
    model = build()
    tensors = dict(model.unique_state_dict())
    missing = {name: tensor for name, tensor in tensors.items() if name != "decoder.bias"}
    with pytest.raises(ModelError, match=r"decoder\.bias is on one side only"):
        model.load_unique_state_dict(missing)
    with pytest.raises(ModelError, match="stranger is on one side only"):
        model.load_unique_state_dict(tensors | {"stranger": torch.zeros(1)})
    with pytest.raises(ModelError, match=r"decoder\.bias is \(12,\) in the file, \(13,\) in the model"):
        model.load_unique_state_dict(tensors | {"decoder.bias": torch.zeros(12)})


def test_refused_tensors_change_nothing(build: Build) -> None:
    model = build()
    before = {name: tensor.clone() for name, tensor in model.unique_state_dict().items()}
    wrong = {name: tensor + 1 for name, tensor in before.items()} | {"decoder.bias": torch.zeros(12)}
    with pytest.raises(ModelError):
        model.load_unique_state_dict(wrong)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.unique_state_dict().items())


@pytest.mark.parametrize(
    ("model", "attention", "reason"),
    [
        ({"hidden_size": 7}, {}, "must be even"),
        ({"hidden_size": 8}, {"num_heads": 3}, "divisible by attention.num_heads = 3"),
        ({"query": "previous", "input_feeding": True}, {}, "input_feeding needs model.query = 'current'"),
        ({}, {"normalize": "monotonic", "window": "local-m"}, "a monotonic normalizer finds its own way"),
    ],
)
def test_what_does_not_fit_together_is_said_with_the_reason(
    model: dict[str, object], attention: dict[str, object], reason: str
) -> None:
    with pytest.raises(UsageError) as caught:
        build_model(RNNConfig.model_validate(model), AttentionConfig.model_validate(attention), 11, 13)
    assert reason in str(caught.value)


def test_the_same_seed_builds_the_same_model(build: Build) -> None:
    first, second = build().unique_state_dict(), build().unique_state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
