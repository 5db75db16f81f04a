"""bf16 arithmetic learns as float32 does."""

import pytest
import torch

from attentio.data.batch import Batch
from attentio.model.families import build_model
from attentio.model.settings import AttentionConfig, RNNConfig
from attentio.runtime.precision import arithmetic, has_fast_bf16, resolve_precision
from attentio.train.objective import cross_entropy

CPU = torch.device("cpu")


def test_names() -> None:
    assert resolve_precision("fp32", CPU) == "fp32"
    assert resolve_precision("bf16", CPU) == "bf16"
    assert resolve_precision("auto", CPU) == ("bf16" if has_fast_bf16(CPU) else "fp32")
    assert resolve_precision("auto", torch.device("mps")) == "fp32"


def test_bf16_casts_products_and_leaves_weights() -> None:
    layer = torch.nn.Linear(3, 5)
    with arithmetic("bf16", CPU):
        assert layer(torch.randn(2, 3)).dtype == torch.bfloat16
    with arithmetic("fp32", CPU):
        assert layer(torch.randn(2, 3)).dtype == torch.float32
    assert layer.weight.dtype == torch.float32


def loss_curve(precision: str, query: str, cell: str) -> list[float]:
    """Losses while learning to copy a word backwards. Without dropout, which drops other numbers in bf16."""
    torch.manual_seed(0)
    settings = RNNConfig.model_validate(
        {"embedding_size": 24, "hidden_size": 24, "dropout": 0.0, "query": query, "cell": cell}
    )
    model = build_model(settings, AttentionConfig(), 9, 9).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(1)
    losses: list[float] = []
    for _ in range(60):
        words = torch.randint(3, 9, (32, 3), generator=generator)
        end, begin = torch.full((32, 1), 2), torch.ones(32, 1, dtype=torch.int64)
        backwards = words.flip(1)
        batch = Batch(
            torch.cat([words, end], 1),
            torch.full((32,), 4),
            torch.cat([begin, backwards], 1),
            torch.cat([backwards, end], 1),
            128,
        )
        with arithmetic(precision, CPU):
            loss = cross_entropy(model, batch, label_smoothing=0.0)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


@pytest.mark.slow
@pytest.mark.skipif(not has_fast_bf16(CPU), reason="this processor has no fast bf16")
@pytest.mark.parametrize(("query", "cell"), [("current", "lstm"), ("previous", "gru")])
def test_the_loss_curves_agree(query: str, cell: str) -> None:
    full, half = (torch.tensor(loss_curve(name, query, cell)) for name in ("fp32", "bf16"))
    assert full[:3].mean() > 1.5
    assert full[-10:].mean() < 0.8 * full[:3].mean(), "the task is not learnt, so the curves say nothing"
    # All along they are two hundredths of a nat apart at most, smoothed over ten updates.
    smooth = torch.nn.AvgPool1d(10, 1)
    assert (smooth(full[None]) - smooth(half[None])).abs().max() < 0.02
