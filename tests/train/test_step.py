"""A training step as one module: what a wrapper sees, and that several processes compute what one does."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, multiprocessing

from attentio.data.batch import Batch
from attentio.data.prepare import PreparedData, prepare
from attentio.data.settings import DataConfig
from attentio.model.families import build_model
from attentio.model.seq2seq import Seq2Seq
from attentio.model.settings import AttentionConfig, RNNConfig, TransformerConfig
from attentio.train.distributed import ALONE, ProcessGroup, Ranks
from attentio.train.layout import Replicated
from attentio.train.loop import train
from attentio.train.settings import RunConfig, TrainConfig
from attentio.train.state import Progress, batches
from attentio.train.step import TrainingStep, backward

SETTINGS = TrainConfig.model_validate({"label_smoothing": 0.1, "coverage_loss": 0.3, "guided_alignment": 0.2})
MODELS = {
    "rnn": RNNConfig(embedding_size=6, hidden_size=8, dropout=0.0),
    "transformer": TransformerConfig(hidden_size=8, feed_forward_size=12, dropout=0.0),
}


def whole_batch() -> Batch:
    """Five pairs with different numbers of target tokens, so that shares are unequal."""
    generator = torch.Generator().manual_seed(3)
    lengths = torch.tensor([7, 3, 5, 2, 6])
    source = torch.randint(4, 11, (5, 7), generator=generator)
    target = torch.randint(4, 13, (5, 7), generator=generator)
    padding = torch.arange(7) >= lengths[:, None]
    source[padding] = target[padding] = 0
    before = torch.cat([torch.ones(5, 1, dtype=torch.int64), target[:, :-1]], dim=1).masked_fill(padding, 0)
    links = torch.tensor([[0, 1, 2], [2, 0, 0], [3, 1, 1], [4, 2, 3]])
    return Batch(source, lengths, before, target, int(lengths.sum()), links)


def share(batch: Batch, rank: int, size: int) -> Batch:
    rows = torch.arange(len(batch.source))[rank::size]
    assert batch.links is not None
    links = [[rows.tolist().index(row), t, s] for row, t, s in batch.links.tolist() if row in rows]
    tensors = (tensor[rows] for tensor in batch[:4])
    return Batch(*tensors, int((batch.target_out[rows] != 0).sum()), torch.tensor(links).reshape(-1, 3))


def model_of(name: str) -> Seq2Seq:
    torch.manual_seed(7)
    return build_model(MODELS[name], AttentionConfig(), 11, 13, backend="with-weights").train()


def gradients(name: str, batch: Batch, ranks: Any) -> tuple[dict[str, Tensor], float]:
    """The gradients of one update as the loop computes it, and the mean cost."""
    model = model_of(name)
    weight = ranks.size * batch.num_target_tokens / ranks.total(batch.num_target_tokens)
    cost = backward(
        ranks.layout.wrap(TrainingStep(model, SETTINGS), []), [(batch, weight)], 1, computing=torch.enable_grad
    )
    found = {key: parameter.grad for key, parameter in model.named_parameters()}
    return {key: value for key, value in found.items() if value is not None}, ranks.total(cost) / ranks.size


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    ranks = ProcessGroup(Replicated())
    assert (ranks.rank, ranks.size) == (rank, 2)
    assert ranks.broadcast(f"of rank {rank}") == "of rank 0"
    assert (ranks.all_agree(True), ranks.all_agree(rank == 0)) == (True, False)
    assert ranks.total(rank + 1) == 3
    for name in MODELS:
        found = gradients(name, share(whole_batch(), rank, 2), ranks)
        torch.save(found, f"{folder}/{name}-{rank}")
    torch.save(losses_of_a_run(Path(folder), f"rank-{rank}", ranks), f"{folder}/losses-{rank}")
    losses = losses_of_a_run(Path(folder), f"accumulating-{rank}", ranks, accumulate=3)[0]
    torch.save(losses, f"{folder}/accumulated-{rank}")
    dist.destroy_process_group()
    os._exit(0)  # gloo's threads may abort where Python takes them down


class Losses:
    """A reporter that keeps the loss of every update."""

    def __init__(self) -> None:
        self.found: list[float] = []

    def update(self, progress: Progress, **_: object) -> None:
        self.found.append(progress.loss)

    def evaluated(self, progress: Progress, **_: object) -> None: ...
    def note(self, text: str) -> None: ...


def losses_of_a_run(
    folder: Path, name: str, ranks: Ranks, *, accumulate: int = 1, max_steps: int = 12
) -> tuple[list[float], Progress, list[str]]:
    """The losses that are reported, the progress at the end, and what was published by this rank."""
    data = PreparedData.load(folder / "data")
    config = RunConfig.model_validate(
        {
            "model": {"family": "rnn", "embedding_size": 6, "hidden_size": 8, "dropout": 0.0},
            "train": {
                "max_steps": max_steps,
                "batch_tokens": 200,
                "accumulate": accumulate,
                "warmup_steps": 3,
                "precision": "fp32",
                "device": "cpu",
            },
        }
    )
    sizes = data.vocab_sizes
    published: list[str] = []
    reporter = Losses()
    (folder / name).mkdir()
    progress = train(
        config,
        data.train,
        sizes,
        folder / name,
        links=data.train_links,
        evaluate=None,
        publish=lambda *_: published.append(name),
        reporter=reporter,
        ranks=ranks,
    )
    return reporter.found, progress, published


@pytest.mark.slow
def test_two_processes_add_up_the_gradient_of_one(tmp_path: Path) -> None:
    prepare(DataConfig(train=["small-world"], small_world_pairs=80, dev=0, test=0), tmp_path / "data", seed=1)
    multiprocessing.spawn(work, (str(tmp_path),), nprocs=2)  # pyright: ignore[reportPrivateImportUsage]
    alone, progress, _ = losses_of_a_run(tmp_path, "alone", ALONE)
    first, second = (torch.load(tmp_path / f"losses-{rank}", weights_only=False) for rank in range(2))
    assert first[0] == pytest.approx(alone, abs=1e-4)
    assert len(alone) == 12
    assert (first[1].step, first[1].target_tokens) == (progress.step, progress.target_tokens)
    assert (second[0], first[2], second[2]) == ([], ["rank-0"], [])  # rank 0 alone reports and publishes
    accumulated = losses_of_a_run(tmp_path, "accumulating", ALONE, accumulate=3)[0]
    assert torch.load(tmp_path / "accumulated-0") == pytest.approx(accumulated, abs=1e-4)
    assert list((tmp_path / "rank-0").iterdir())
    assert not list((tmp_path / "rank-1").iterdir())
    for name in MODELS:
        wanted, cost = gradients(name, whole_batch(), ALONE)
        for rank in range(2):
            found, shared_cost = torch.load(tmp_path / f"{name}-{rank}")
            assert found.keys() == wanted.keys()
            assert shared_cost == pytest.approx(cost, abs=1e-6)
            for key, gradient in wanted.items():
                torch.testing.assert_close(found[key], gradient, atol=1e-6, rtol=1e-5)


def test_one_process_agrees_with_itself() -> None:
    assert (ALONE.rank, ALONE.size, ALONE.total(5), ALONE.broadcast("x")) == (0, 1, 5, "x")
    assert (ALONE.all_agree(True), ALONE.all_agree(False)) == (True, False)
    step = TrainingStep(model_of("rnn"), SETTINGS)
    assert ALONE.layout.wrap(step, []) is step


@pytest.mark.slow
def test_a_batch_in_parts_or_accumulated_has_the_same_gradient() -> None:
    found: list[dict[str, Tensor]] = []
    costs: list[float] = []
    whole = whole_batch()
    shares = [share(whole, rank, 3) for rank in range(3)]
    accumulated = [(part, part.num_target_tokens / whole.num_target_tokens) for part in shares]
    for weighted, parts in (([(whole, 1.0)], 1), ([(whole, 1.0)], 2), (accumulated, 1)):
        model = model_of("rnn")
        costs.append(backward(TrainingStep(model, SETTINGS), weighted, parts, computing=torch.enable_grad))
        found.append({key: p.grad for key, p in model.named_parameters() if p.grad is not None})
    assert costs == pytest.approx([costs[0]] * 3, abs=1e-5)
    for gradients_of_parts in found[1:]:
        assert found[0].keys() == gradients_of_parts.keys()
        for key, gradient in found[0].items():
            torch.testing.assert_close(gradients_of_parts[key], gradient, atol=1e-6, rtol=1e-4)


@pytest.mark.slow
def test_batches_are_accumulated_to_one_update(tmp_path: Path) -> None:
    """The last update of an epoch takes the batches that remain."""
    data = prepare(DataConfig(train=["small-world"], small_world_pairs=80, dev=0, test=0), tmp_path / "data", seed=1)
    few = len(batches(data.train, TrainConfig(batch_tokens=200)))
    assert few % 3
    alone, progress, _ = losses_of_a_run(tmp_path, "one", ALONE, max_steps=few)
    accumulated, other, _ = losses_of_a_run(tmp_path, "three", ALONE, accumulate=3, max_steps=-(-few // 3))
    assert (len(alone), len(accumulated)) == (few, -(-few // 3))
    assert other.target_tokens == progress.target_tokens  # an epoch
    assert accumulated[0] == pytest.approx(alone[0], rel=0.02)  # both of a model that has learned nothing
