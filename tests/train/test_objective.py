"""The objective against torch's own cross-entropy."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from attentio.data.batch import Batch
from attentio.errors import UsageError
from attentio.model.families import build_model
from attentio.model.fast import loss as fast_loss
from attentio.model.seq2seq import Seq2Seq
from attentio.model.settings import AttentionConfig, RNNConfig
from attentio.train import objective
from attentio.train.objective import cross_entropy
from attentio.train.settings import RunConfig
from attentio.train.step import TrainingStep

B, S, T, V = 11, 5, 19, 13  # B * T is more than is handled at once


@pytest.fixture
def model() -> Seq2Seq:
    torch.manual_seed(3)
    settings = RNNConfig(embedding_size=5, hidden_size=6, dropout=0.0)
    return build_model(settings, AttentionConfig(), 7, V).double()


def batch_of(target_lengths: list[int], *, width: int | None = None) -> Batch:
    """Random pairs with targets of these lengths, end piece counted; the same tokens for any width."""
    generator = torch.Generator().manual_seed(5)
    count, width = len(target_lengths), width or max(target_lengths)
    source = torch.randint(3, 7, (count, S), generator=generator)
    tokens = torch.randint(3, V, (count, 40), generator=generator)[:, :width]
    lengths = torch.tensor(target_lengths)[:, None]
    place = torch.arange(width)
    out = torch.where(place < lengths - 1, tokens, 0)
    out[place == lengths - 1] = 2
    inputs = torch.cat([torch.ones(count, 1, dtype=torch.int64), out[:, :-1]], dim=1)
    return Batch(source, torch.full((count,), S), inputs, out, int(lengths.sum()))


def plain(model: Seq2Seq, batch: Batch, smoothing: float) -> Tensor:
    logits = model(batch.source, batch.source_lengths, batch.target_in)
    return F.cross_entropy(logits.flatten(0, 1), batch.target_out.flatten(), ignore_index=0, label_smoothing=smoothing)


LENGTHS = [19, 3, 7, 12, 1, 19, 18, 2, 9, 16, 5]


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
@pytest.mark.parametrize("lengths", [LENGTHS, [T] * B, [1]], ids=["ragged", "full", "one"])
def test_values_and_gradients_are_torchs(model: Seq2Seq, lengths: list[int], smoothing: float) -> None:
    batch = batch_of(lengths)
    parameters = list(model.parameters())
    loss, wanted = cross_entropy(model, batch, label_smoothing=smoothing), plain(model, batch, smoothing)
    torch.testing.assert_close(loss, wanted)
    # An upstream factor, as when a batch is computed in parts.
    found = torch.autograd.grad(3 * loss, parameters, allow_unused=True)
    expected = torch.autograd.grad(3 * wanted, parameters, allow_unused=True)
    for (name, _), mine, theirs in zip(model.named_parameters(), found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, msg=lambda text, name=name: f"{name}: {text}")


def test_padding_scores_nothing(model: Seq2Seq) -> None:
    narrow, wide = batch_of(LENGTHS), batch_of(LENGTHS, width=37)
    torch.testing.assert_close(
        cross_entropy(model, narrow, label_smoothing=0.1), cross_entropy(model, wide, label_smoothing=0.1)
    )


def test_rows_taken_together_make_no_difference(model: Seq2Seq, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = batch_of(LENGTHS)
    wanted = cross_entropy(model, batch, label_smoothing=0.1)
    monkeypatch.setattr(fast_loss, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(objective, "ROW_MULTIPLE", 5)
    torch.testing.assert_close(cross_entropy(model, batch, label_smoothing=0.1), wanted)


def test_by_hand(model: Seq2Seq) -> None:
    """A model that always gives the logits (0, ..., 0, log 4) to V = 13 tokens: p = 1/16 each, 4/16 for the last."""
    with torch.no_grad():
        model.decoder.output.zero_()
        model.decoder.bias.zero_()
        model.decoder.bias[12] = math.log(4)
    batch = Batch(torch.tensor([[3, 2]]), torch.tensor([2]), torch.tensor([[1, 12]]), torch.tensor([[12, 2]]), 2)
    right, wrong = math.log(16 / 4), math.log(16)
    assert cross_entropy(model, batch, label_smoothing=0.0).item() == pytest.approx((right + wrong) / 2)
    spread = (right + 12 * wrong) / 13
    smoothed = 0.9 * (right + wrong) / 2 + 0.1 * spread
    assert cross_entropy(model, batch, label_smoothing=0.1).item() == pytest.approx(smoothed)


def consistent(weight: float, **attention: str) -> RunConfig:
    return RunConfig.model_validate({"attention": attention, "train": {"consistency": weight, "label_smoothing": 0.1}})


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """KL(p || q) of each row."""
    return F.kl_div(log_q, log_p, log_target=True, reduction="none").sum(-1)


@pytest.mark.parametrize("rows", [128, 7])
def test_consistency_by_its_formula(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean cost of two passes, each with dropout of its own, and w (KL(p||q) + KL(q||p)) / 2 (Liang 2021)."""
    monkeypatch.setattr(fast_loss, "ROWS_AT_ONCE", rows)
    torch.manual_seed(3)
    settings = RNNConfig(embedding_size=5, hidden_size=6, dropout=0.3)
    model = build_model(settings, AttentionConfig(), 7, V).double()
    batch = batch_of(LENGTHS)
    real = batch.target_out != 0
    parameters = list(model.parameters())

    torch.manual_seed(4)
    loss = TrainingStep(model, consistent(0.7).train)(batch)
    found = torch.autograd.grad(loss.total, parameters, allow_unused=True)

    torch.manual_seed(4)
    twice = [tensor.repeat(2, *[1] * (tensor.dim() - 1)) for tensor in batch[:3]]
    passes = [logits[real] for logits in model(*twice).chunk(2)]
    costs = [F.cross_entropy(logits, batch.target_out[real], label_smoothing=0.1) for logits in passes]
    p, q = (logits.log_softmax(-1) for logits in passes)
    assert not p.isclose(q).all(), "the two passes have dropout of their own"
    mean_cost = (costs[0] + costs[1]) / 2
    wanted = mean_cost + 0.7 * (divergence(p, q) + divergence(q, p)).mean() / 2
    torch.testing.assert_close((loss.total, loss.cost), (wanted, mean_cost.detach()))
    torch.testing.assert_close(found, torch.autograd.grad(wanted, parameters, allow_unused=True))


def test_without_dropout_two_passes_agree(model: Seq2Seq) -> None:
    loss = TrainingStep(model, consistent(0.7).train)(batch_of(LENGTHS))
    torch.testing.assert_close(loss.total, cross_entropy(model, batch_of(LENGTHS), label_smoothing=0.1))


@pytest.mark.parametrize("normalize", ["hard_reinforce", "hard_marginal"])
def test_consistency_is_refused_where_a_token_has_no_one_distribution(normalize: str) -> None:
    with pytest.raises(UsageError, match=f"train.consistency.*{normalize}"):
        objective.check_objective(consistent(0.7, normalize=normalize))
    objective.check_objective(consistent(0.0, normalize=normalize))
