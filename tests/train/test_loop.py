"""The loop: stopping, resuming in one process, early stopping, batches that do not fit into memory."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from attentio.corpora.small_world.grammar import sample
from attentio.data.learned_links import learned_lexicon, learned_links
from attentio.data.links import TokenLinks
from attentio.data.prepare import PreparedData, prepare
from attentio.data.subword_regularization import MOST, TokenSplits
from attentio.errors import ResourceError
from attentio.model.families import build_model
from attentio.model.lexicon import MOST as KNOWN
from attentio.model.seq2seq import Seq2Seq
from attentio.train import loop, state
from attentio.train.dev import DevScores
from attentio.train.loop import train
from attentio.train.objective import Loss
from attentio.train.settings import RunConfig
from attentio.train.state import FEW_SENTENCES, Progress, adamw
from attentio.train.step import TrainingStep


@dataclass
class Notes:
    """A reporter that remembers."""

    steps: list[int] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    evaluations: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def update(self, progress: Progress, *, epoch: float, total_steps: int, tokens_per_second: float) -> None:
        self.steps.append(progress.step)

    def evaluated(self, progress: Progress, *, epoch: float) -> None:
        self.evaluations.append(progress.step)

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    folder = tmp_path_factory.mktemp("loop")
    path = folder / "pairs.tsv"
    path.write_text("".join(f"{pair.source}\t{pair.target}\n" for pair in sample(60, 5)), encoding="utf-8")
    config = RunConfig.model_validate({"data": {"train": [str(path)], "source_tokenizer": "word", "dev": 0, "test": 0}})
    return prepare(config.data, folder / "data", seed=1)


Run = Callable[..., tuple[Progress, dict[str, Tensor]]]


@pytest.fixture
def run(data: PreparedData, tmp_path: Path) -> Run:
    """Trains a very small model for twelve updates; gives the last progress and the last published weights."""

    def start(
        name: str,
        *,
        reporter: Notes | None = None,
        settings: dict[str, Any] | None = None,
        lexicon: float = 0.0,
        **options: Any,
    ) -> Any:
        settings = {"max_steps": 12, "batch_tokens": 300, "device": "cpu", "warmup_steps": 3} | (settings or {})
        model = {"embedding_size": 6, "hidden_size": 8, "dropout": 0.3, "lexicon": lexicon}
        config = RunConfig.model_validate({"model": model, "train": settings})
        sizes = data.vocab_sizes
        published: dict[str, Tensor] = {}

        def publish(model: Seq2Seq, _progress: Progress) -> None:
            published.update({name: tensor.clone() for name, tensor in model.unique_state_dict().items()})

        arguments: dict[str, Any] = {"evaluate": None, "publish": publish, "reporter": reporter or Notes()}
        progress = train(config, data.train, sizes, tmp_path / name, **(arguments | options))
        return progress, published

    return start


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def stop_after(reporter: Notes, steps: int) -> Callable[[], bool]:
    return lambda: len(reporter.steps) >= steps


@pytest.mark.slow
def test_stopped_and_resumed_it_is_the_same_run(run: Run) -> None:
    progress, whole = run("whole")
    assert (progress.step, progress.ended) == (12, "all steps done")
    for stops in ([5], [1, 7], [4, 4, 4]):
        name = "-".join(map(str, stops))
        published: dict[str, Tensor] = {}
        for steps in stops:
            reporter = Notes()
            published |= run(name, reporter=reporter, stop=stop_after(reporter, steps))[1]
        progress, last = run(name)
        assert progress.step == 12
        assert equal(whole, published | last)


@pytest.mark.slow
def test_pieces_come_apart_in_the_same_places_when_resumed(run: Run, data: PreparedData) -> None:
    size = data.source.tokenizer.vocab_size
    halves = np.tile(np.array([4, 5], dtype=np.int32), (size, MOST, 1))
    splits = TokenSplits(halves, np.where(np.arange(size) > 3, MOST, 0))
    options: dict[str, Any] = {"settings": {"subword_regularization": 0.3}, "splits": (splits, None)}
    _, whole = run("whole", **options)
    reporter = Notes()
    run("parts", reporter=reporter, stop=stop_after(reporter, 5), **options)
    _, resumed = run("parts", **options)
    assert equal(whole, resumed)
    assert not equal(whole, run("plain")[1])


@pytest.mark.slow
def test_a_lexicon_is_counted_from_links_and_changes_no_training(run: Run, data: PreparedData) -> None:
    links = learned_links(data.train)
    options: dict[str, Any] = {"links": links, "settings": {"guided_alignment": 0.0}}
    _, whole = run("whole", lexicon=0.4, **options)
    tokens, after, shares = map(torch.from_numpy, learned_lexicon(data.train, links, data.vocab_sizes[0], KNOWN))
    assert torch.equal(whole["lexicon.tokens"], tokens.flatten())
    assert torch.equal(whole["lexicon.after"], after.flatten())
    torch.testing.assert_close(whole["lexicon.shares"], shares.flatten() * 0.4)
    reporter = Notes()
    run("parts", lexicon=0.4, reporter=reporter, stop=stop_after(reporter, 5), **options)
    assert equal(whole, run("parts", lexicon=0.4, **options)[1])
    _, alone = run("alone", **options)
    assert equal(alone, {name: tensor for name, tensor in whole.items() if not name.startswith("lexicon.")})


def test_a_stopped_run_says_that_it_is_not_over(run: Run) -> None:
    reporter = Notes()
    progress, published = run("x", reporter=reporter, stop=stop_after(reporter, 4))
    assert (progress.step, progress.ended) == (4, None)
    assert published == {}


@pytest.mark.slow
def test_a_finished_run_is_left_alone(run: Run) -> None:
    run("x")
    reporter = Notes()
    progress, published = run("x", reporter=reporter)
    assert (progress.step, reporter.steps, published) == (12, [], {})


@pytest.mark.slow
def test_seeds_differ(run: Run) -> None:
    assert not equal(run("a")[1], run("b", settings={"seed": 2})[1])


@pytest.mark.slow
def test_the_best_by_dev_is_published_and_patience_ends_the_run(run: Run) -> None:
    scores = iter([3.0, 9.0, 5.0, 5.0, 9.0, 99.0])
    losses = iter([4.0, 3.0, 3.0, 3.5, 3.0, 9.0])
    seen: list[dict[str, Tensor]] = []
    reporter = Notes()

    def evaluate(model: Seq2Seq) -> DevScores:
        assert not model.training
        seen.append({name: tensor.clone() for name, tensor in model.unique_state_dict().items()})
        return DevScores(next(losses), 50.0, next(scores), 0.0, FEW_SENTENCES + 1)

    settings = {"evaluate_every": 2, "patience": 3}
    progress, published = run("x", reporter=reporter, evaluate=evaluate, settings=settings)
    assert reporter.evaluations == [2, 4, 6, 8, 10]
    assert (progress.best_strict, progress.best_step, progress.stale_evaluations) == (9.0, 4, 3)
    assert progress.ended == "no longer better on dev"
    assert equal(published, seen[1])


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([3.0, 9.0, 8.0, 8.5], 4),  # the last is no worse than chance allows
        ([3.0, 9.0, 8.0, 7.0], 3),
        ([3.0, 9.0, 7.3, 7.3, 5.9], 4),  # chance does not add up: 5.9 is far from 9.0
        ([9.0, 7.0, 7.1, 7.3], 4),
        ([0.0, 0.0], 1),  # nothing was learnt
    ],
)
def test_few_dev_sentences_choose_the_last_that_is_not_clearly_worse(scores: list[float], best: int) -> None:
    progress = Progress()
    for step, strict in enumerate(scores, 1):
        progress = replace(progress, step=step).judged(DevScores(1.0, 1.0, strict, 0.0, 25))
    assert (progress.best_step, progress.best_strict) == (best, scores[best - 1])
    assert progress.highest_strict == max(scores)


@pytest.mark.slow
def test_without_patience_it_goes_on(run: Run) -> None:
    settings = {"evaluate_every": 2, "patience": 0}
    scores = DevScores(1.0, 1.0, 1.0, 0.0, 1_000)
    assert run("x", evaluate=lambda _: scores, settings=settings)[0].ended == "all steps done"


@pytest.mark.slow
def test_checkpoints_come_when_due_and_no_more_than_two_stay(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[str] = []
    save = state.save_checkpoint

    def counted(folder: Path, checkpoint: Any) -> None:
        saved.append(folder.name)
        save(folder, checkpoint)
        assert len(list(folder.parent.iterdir())) <= 3

    monkeypatch.setattr(state, "save_checkpoint", counted)
    run("rarely", settings={"save_every_seconds": 1e9})
    assert saved == ["step-12"]
    saved.clear()
    run("always", settings={"save_every_seconds": 1e-9})
    assert saved == [f"step-{step}" for step in range(1, 13)]


@pytest.mark.slow
def test_a_time_limit_settles_the_plan_and_saves_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10**6))
    monkeypatch.setattr(loop.time, "perf_counter", lambda: next(clock) / 10)
    progress, _ = run("x", settings={"max_steps": None, "epochs": 10_000, "max_seconds": 20.0})
    assert progress.ended in ("planned steps done", "time limit")
    assert 10 < progress.step < 200
    assert progress.seconds < 22


def memory_for(sentences: int, monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception]) -> list[int]:
    """Batches of more sentences than this do not fit from now on; gives the sizes that were tried."""
    tried: list[int] = []
    whole = TrainingStep.forward

    def limited(step: TrainingStep, batch: Any) -> Loss:
        tried.append(len(batch.source))
        if len(batch.source) > sentences:
            torch.rand(3)  # what a failed attempt draws must not matter for resuming
            raise error()
        return whole(step, batch)

    monkeypatch.setattr(TrainingStep, "forward", limited)
    return tried


OUT_OF_MEMORY = [
    lambda: torch.OutOfMemoryError("CUDA out of memory"),
    lambda: RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    MemoryError,
]


@pytest.mark.slow
@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=["cuda", "cpu", "python"])
def test_a_batch_that_does_not_fit_is_halved_once_and_it_is_said(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception]
) -> None:
    reporter = Notes()
    tried: list[int] = []
    run("measure", reporter=reporter)
    largest = max(memory_probe(run, monkeypatch))
    tried = memory_for(largest - 1, monkeypatch, error)
    progress, _ = run("x", reporter=reporter)
    assert progress.step == 12
    assert reporter.notes == ["out of memory: from here on each batch is computed in 2 parts"]
    assert tried.count(largest) == 1, "the batch that did not fit was tried again"


def memory_probe(run: Run, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    with monkeypatch.context() as patch:
        sizes = memory_for(10**9, patch, MemoryError)
        run("probe")
    return sizes


@pytest.mark.slow
def test_halves_have_the_gradient_of_the_whole(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without dropout; the halves' gradients are added in another order, hence the tolerance."""
    settings = {"max_steps": 1, "average_decay": 0.0, "precision": "fp32"}
    monkeypatch.setattr("attentio.model.layers.Dropout.forward", lambda _self, x: x)
    _, whole = run("whole", settings=settings)
    memory_for(max(memory_probe(run, monkeypatch)) // 2 + 1, monkeypatch, MemoryError)
    _, halved = run("halved", settings=settings)
    for name, tensor in whole.items():
        torch.testing.assert_close(halved[name], tensor, rtol=1e-3, atol=2e-5)


@pytest.mark.slow
def test_resuming_after_halving_is_exact(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    largest = max(memory_probe(run, monkeypatch))
    memory_for(largest - 1, monkeypatch, MemoryError)
    _, whole = run("whole")
    for steps in (2, 5, 9):
        reporter = Notes()
        run(f"x{steps}", reporter=reporter, stop=stop_after(reporter, steps))
        assert equal(whole, run(f"x{steps}")[1])


def test_when_halves_do_not_fit_either_it_ends_with_advice(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    memory_for(0, monkeypatch, OUT_OF_MEMORY[0])
    with pytest.raises(ResourceError) as caught:
        run("x")
    assert caught.value.code == "E_OUT_OF_MEMORY"
    assert "also in parts" in caught.value.message
    assert "--device cpu" in str(caught.value.hint)


def test_other_errors_are_not_taken_for_memory(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    memory_for(0, monkeypatch, lambda: RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        run("x")


@pytest.mark.slow
def test_a_damaged_checkpoint_is_passed_over_aloud(run: Run, tmp_path: Path) -> None:
    _, whole = run("x", settings={"save_every_seconds": 1e-9})
    newest = tmp_path / "x" / "step-12" / "weights.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    reporter = Notes()
    _, again = run("x", reporter=reporter, settings={"save_every_seconds": 1e-9})
    assert reporter.steps == [12]
    assert "passed over a damaged checkpoint" in reporter.notes[0]
    assert equal(whole, again)


@pytest.mark.parametrize("guided", [0.0, 0.2])
@pytest.mark.parametrize("known", [True, False])
def test_only_known_links_forbid_fast_forms_of_attention(
    known: bool, guided: float, run: Run, data: PreparedData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guidance is on by default, and most corpora have no links."""
    asked: list[str] = []

    def build(*given: Any, backend: str, **others: Any) -> Seq2Seq:
        asked.append(backend)
        return build_model(*given, backend=backend, **others)

    monkeypatch.setattr(loop, "build_model", build)
    links = TokenLinks.of_pairs([[(0, 0)]] * len(data.train)) if known else None
    run("links", settings={"guided_alignment": guided, "max_steps": 1}, links=links)
    assert asked == ["with-weights" if known and guided else "auto"]


def test_the_optimizer_is_torchs_own() -> None:
    config = RunConfig.model_validate({"model": {"family": "rnn", "embedding_size": 5, "hidden_size": 6}})
    model = build_model(config.model, config.attention, 11, 13)
    other = copy.deepcopy(model)
    ours = adamw(model, config.train)
    groups = [{**group, "params": []} for group in ours.param_groups]
    places = {id(parameter): number for number, parameter in enumerate(model.parameters())}
    parameters = list(other.parameters())
    for group, whose in zip(groups, ours.param_groups, strict=True):
        group["params"] = [parameters[places[id(parameter)]] for parameter in whose["params"]]
    plain = torch.optim.AdamW(groups)
    for step in range(3):
        for optimizer, parameters in ((ours, list(model.parameters())), (plain, list(other.parameters()))):
            torch.manual_seed(step)
            for parameter in parameters:
                parameter.grad = torch.randn_like(parameter)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
        assert one.grad is None
