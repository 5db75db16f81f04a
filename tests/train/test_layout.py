"""A model that lies whole on every rank, or in shares: the losses, the checkpoints and the weights are the same.

Two and four processes are started once, and each does all of `PLANS` with the others.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, multiprocessing, nn

from attentio.data.prepare import PreparedData, prepare
from attentio.data.settings import DataConfig
from attentio.errors import UsageError
from attentio.model.seq2seq import Seq2Seq
from attentio.train.checkpoint import load_checkpoint
from attentio.train.distributed import ALONE, ProcessGroup, Ranks
from attentio.train.layout import Layout, Replicated, Sharded
from attentio.train.loop import train
from attentio.train.reporter import Reporter
from attentio.train.run import run_training
from attentio.train.settings import RunConfig, effective_config
from attentio.train.state import Progress

STEPS = 7
MODELS: dict[str, dict[str, Any]] = {
    "rnn": {"family": "rnn", "embedding_size": 7, "hidden_size": 6},
    "cnn": {"family": "cnn", "embedding_size": 7, "hidden_size": 6},
    "transformer": {"family": "transformer", "hidden_size": 8, "feed_forward_size": 7},
}


class Plan(NamedTuple):
    """One training: model, settings, and after how many updates it is stopped and goes on in the same ranks."""

    model: str
    settings: Mapping[str, Any] = {}
    stops: tuple[int, ...] = ()


PLANS = {
    "rnn": Plan("rnn"),
    "cnn": Plan("cnn"),
    "transformer": Plan("transformer"),
    "accumulated": Plan("cnn", {"accumulate": 3, "clip_norm": 0.05}),
    "last weights": Plan("rnn", {"average_decay": 0.0}),
}
DROPPING = {"whole": Plan("cnn", {"dropout": 0.3}), "resumed": Plan("cnn", {"dropout": 0.3}, (2, 5))}


def carry_out(folder: Path, name: str, plan: Plan, ranks: Ranks, *, until: int = STEPS) -> list[float]:
    """Train as planned in `folder/name`, on from what is there. Return the losses. The weights are published there."""
    data = PreparedData.load(folder / "data")
    settings = {"max_steps": STEPS, "batch_tokens": 200, "warmup_steps": 3, "precision": "fp32", "device": "cpu"}
    dropout = plan.settings.get("dropout", 0.0)
    given = {key: value for key, value in plan.settings.items() if key != "dropout"}
    model = MODELS[plan.model] | {"dropout": dropout}
    config = RunConfig.model_validate({"model": model, "train": settings | given})
    found: list[float] = []
    (folder / name).mkdir(exist_ok=True)

    class Losses(Reporter):
        def update(self, progress: Progress, **_: object) -> None:
            found.append(progress.loss)

    def publish(model: Seq2Seq, _progress: Progress) -> None:
        torch.save({key: value.clone() for key, value in model.unique_state_dict().items()}, folder / name / "model")

    for stop in [*plan.stops, until]:
        train(
            config,
            data.train,
            data.vocab_sizes,
            folder / name / "checkpoints",
            evaluate=None,
            publish=publish,
            reporter=Losses(),
            stop=lambda stop=stop: ranks.rank == 0 and len(found) >= stop,
            ranks=ranks,
        )
        ranks.all_agree(True)  # rank 0 has saved
    return found


def work(rank: int, size: int, place: str) -> None:
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    folder = Path(place)
    dist.init_process_group("gloo", init_method=f"file://{place}/meeting", rank=rank, world_size=size)
    found: dict[str, list[float]] = {}
    for layout in (Replicated(), Sharded()):
        ranks = ProcessGroup(layout)
        kind = type(layout).__name__
        plans = PLANS if size == 2 else {"rnn": PLANS["rnn"]}
        for name, plan in (plans | (DROPPING if size == 2 else {})).items():
            found[f"{kind} {name}"] = carry_out(folder, f"{kind} {name}", plan, ranks)
        # What one process began, these ranks go on with.
        found[f"{kind} going on"] = carry_out(folder, f"begun {kind}", PLANS["cnn"], ranks, until=2)
    torch.save(found, folder / f"losses-{rank}")
    dist.destroy_process_group()
    os._exit(0)  # gloo's threads may abort where Python takes them down


def begin(folder: Path) -> None:
    prepare(DataConfig(train=["small-world"], small_world_pairs=80, dev=0, test=0), folder / "data", seed=1)
    for layout in (Replicated, Sharded):
        carry_out(folder, f"begun {layout.__name__}", PLANS["cnn"], ALONE, until=3)


def published(folder: Path, name: str) -> dict[str, Tensor]:
    return torch.load(folder / name / "model")


@pytest.mark.long
def test_whole_or_in_shares_two_ranks_learn_what_one_does(tmp_path: Path) -> None:
    begin(tmp_path)
    multiprocessing.spawn(work, (2, str(tmp_path)), nprocs=2)  # pyright: ignore[reportPrivateImportUsage]
    found, other = (torch.load(tmp_path / f"losses-{rank}") for rank in range(2))
    assert set(map(len, other.values())) == {0}  # rank 0 alone reports
    for name, plan in PLANS.items():
        alone = carry_out(tmp_path, name, plan, ALONE)
        wanted = published(tmp_path, name)
        for kind in ("Replicated", "Sharded"):
            assert len(alone) == STEPS
            assert found[f"{kind} {name}"] == pytest.approx(alone, abs=1e-4)
            weights = published(tmp_path, f"{kind} {name}")
            assert weights.keys() == wanted.keys()
            for key, weight in wanted.items():
                torch.testing.assert_close(weights[key], weight, atol=2e-3, rtol=1e-3)
    # With dropout, two interruptions change nothing: not a bit.
    for kind in ("Replicated", "Sharded"):
        whole, resumed = (published(tmp_path, f"{kind} {name}") for name in DROPPING)
        assert found[f"{kind} resumed"] == found[f"{kind} whole"]
        assert all(torch.equal(weight, resumed[key]) for key, weight in whole.items())
    # One process, then two, then one: as one process.
    alone = carry_out(tmp_path, "cnn again", PLANS["cnn"], ALONE)
    for kind in ("Replicated", "Sharded"):
        last = carry_out(tmp_path, f"begun {kind}", PLANS["cnn"], ALONE)
        assert [*found[f"{kind} going on"], *last] == pytest.approx(alone[3:], abs=1e-4)
        newest = load_checkpoint(tmp_path / f"begun {kind}" / "checkpoints" / f"step-{STEPS}")
        assert {name: len(group) for name, group in newest.tensors.items()} == {
            name: len(group)
            for name, group in load_checkpoint(tmp_path / "cnn" / "checkpoints" / f"step-{STEPS}").tensors.items()
        }


@pytest.mark.long
def test_four_ranks_learn_what_one_does(tmp_path: Path) -> None:
    begin(tmp_path)
    multiprocessing.spawn(work, (4, str(tmp_path)), nprocs=4)  # pyright: ignore[reportPrivateImportUsage]
    found = torch.load(tmp_path / "losses-0")
    alone = {name: carry_out(tmp_path, name, PLANS[name], ALONE) for name in ("rnn", "cnn")}
    for kind in ("Replicated", "Sharded"):
        assert found[f"{kind} rnn"] == pytest.approx(alone["rnn"], abs=1e-4)
        assert found[f"{kind} going on"] == pytest.approx(alone["cnn"][3:5], abs=1e-4)


def test_one_process_has_all_of_everything() -> None:
    layout, module = Layout(), nn.Linear(3, 5)
    assert layout.wrap(module, []) is module
    with layout.adding(module), layout.whole(module):
        assert layout.joined(module.weight) is module.weight
        assert torch.equal(layout.cut(module.weight, module.bias), module.weight)


def test_a_single_number_cannot_be_shared_out(tmp_path: Path) -> None:
    settings = {"data": {"train": ["small-world"]}, "attention": {"normalize": "monotonic"}}
    config = effective_config(preset="rnn-tiny", settings=settings)

    class Two(Ranks):
        layout = Sharded()

    with pytest.raises(UsageError, match=r"--shard cannot share out decoder\.attention.*'monotonic'"):
        run_training(config, tmp_path / "run", ranks=Two())
