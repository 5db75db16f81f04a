"""The training loop, from a configuration and encoded pairs to the best model.

Everything that decides the next update is in the checkpoint: weights, optimiser, running average, the place in the
data, the state of the random generator, and the planned number of steps. Killed at any moment and started again, a run
ends with the same weights, bit for bit, as one that was left alone.
"""

import inspect
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from attentio.attention.kernels.backend import WITH_WEIGHTS
from attentio.data.batch import Batch, BatchSampler, SubwordRegularization, collate
from attentio.data.corpus import EncodedCorpus
from attentio.data.links import TokenLinks
from attentio.data.subword_regularization import TokenSplits
from attentio.errors import ResourceError
from attentio.model.families import build_model
from attentio.model.seq2seq import Seq2Seq, current_name
from attentio.runtime.device import is_out_of_memory, resolve_device
from attentio.runtime.precision import arithmetic, resolve_precision
from attentio.train.average import RunningAverage
from attentio.train.checkpoint import Checkpoint, latest_checkpoint, load_checkpoint, prune_checkpoints, save_checkpoint
from attentio.train.objective import check_objective, needs_weights, training_loss
from attentio.train.plan import StepPlan
from attentio.train.schedule import learning_rate
from attentio.train.settings import RunConfig, TrainConfig

MOST_PARTS = 2  # a batch that does not fit into memory is halved, once
LENGTH_MULTIPLE = 2  # of padded lengths: a CPU's matrix library prepares itself anew for every shape


@dataclass(frozen=True)
class Progress:
    """How far a run is; saved in every checkpoint."""

    step: int = 0
    seconds: float = 0.0  # training time, interruptions left out
    target_tokens: int = 0  # trained on so far, padding left out
    loss: float = math.nan  # running mean of the cost, nats per target token (train/objective.py)
    dev_chrf: float | None = None  # of the last evaluation
    best_chrf: float | None = None
    best_step: int = 0
    stale_evaluations: int = 0  # since the best one
    ended: str | None = None  # why the run is over


class Reporter(Protocol):
    """Where a run tells how it goes: a terminal, a log file, a test."""

    def update(self, progress: Progress, *, epoch: float, total_steps: int, tokens_per_second: float) -> None:
        """Called after every training step."""
        ...

    def evaluated(self, progress: Progress, *, epoch: float) -> None:
        """Called after every evaluation on dev."""
        ...

    def note(self, text: str) -> None:
        """Called when something out of the ordinary happened."""
        ...


def train(
    config: RunConfig,
    corpus: EncodedCorpus,
    vocab_sizes: tuple[int, int],
    checkpoints: Path,
    *,
    links: TokenLinks | None = None,
    splits: tuple[TokenSplits | None, TokenSplits | None] = (None, None),
    evaluate: Callable[[Seq2Seq], float] | None,
    publish: Callable[[Seq2Seq, Progress], None],
    reporter: Reporter,
    stop: Callable[[], bool] = lambda: False,
) -> Progress:
    """Trains until done or until `stop()`; goes on from the newest of `checkpoints` if there is one.

    `links` are known word links of the corpus, `splits` say how pieces of either side come apart.
    `evaluate` gives the dev chrF of a model, and every model better than those before it is handed to `publish`;
    without `evaluate`, the last one is. When `stop()` asks for an early halt the state is saved and `ended` is None.
    """
    check_objective(config)
    settings = config.train
    device = resolve_device(settings.device)
    precision = resolve_precision(settings.precision, device)
    torch.manual_seed(settings.seed)
    backend = WITH_WEIGHTS if needs_weights(config) else "auto"
    model = build_model(
        config.model, config.attention, *vocab_sizes, self_attention=config.self_attention, backend=backend
    ).to(device)
    average = RunningAverage(model, settings.average_decay)
    optimizer = _optimizer(model, settings)
    sampler = BatchSampler(
        corpus.source.lengths,
        corpus.target.lengths,
        max_tokens=settings.batch_tokens,
        max_sentences=settings.batch_sentences,
        seed=settings.seed,
        length_multiple=LENGTH_MULTIPLE,
    )
    plan = StepPlan.of(settings, steps_per_epoch=len(sampler))
    progress = Progress()
    parts = 1  # in which the gradient of a batch is computed

    if (newest := latest_checkpoint(checkpoints, reporter.note)) is not None:
        tensors, state, _ = load_checkpoint(newest)
        model.load_unique_state_dict(tensors["weights"])
        if average.model is not model:
            average.model.load_unique_state_dict(tensors["average"])
        _load_optimizer(optimizer, model, tensors["optimizer"])
        _set_random_state(tensors["random"], device)
        sampler.load_state_dict(state["sampler"])
        plan = StepPlan(**state["plan"])
        progress = Progress(**state["progress"])
        parts = state["parts"]
    evaluate_every = settings.evaluate_every or max(50, len(sampler))

    def backward(model: Seq2Seq, batch: Batch, parts: int) -> float:
        """Adds the gradient of the batch's mean loss, computed in `parts` parts; returns the mean cost."""
        total = 0.0
        for part in [batch] if parts == 1 else batch.halves():
            with arithmetic(precision, device):
                loss, cost = training_loss(model, part, config)
            share = part.num_target_tokens / batch.num_target_tokens
            (loss * share).backward()
            total += cost.item() * share
        return total

    def save() -> None:
        groups = {
            "weights": model.unique_state_dict(),
            "optimizer": _optimizer_tensors(optimizer, model),
            "random": _random_state(device),
        }
        if average.model is not model:
            groups["average"] = average.model.unique_state_dict()
        state = {
            "progress": asdict(progress),
            "sampler": sampler.state_dict(),
            "plan": asdict(plan),
            "parts": parts,
        }
        save_checkpoint(checkpoints / f"step-{progress.step}", Checkpoint(groups, state))
        prune_checkpoints(checkpoints, keep=2)

    saved_at = progress.seconds
    began = time.perf_counter() - progress.seconds  # everything counts: evaluating and saving, too
    batches = iter(sampler)
    while progress.ended is None and not stop():
        started = time.perf_counter()
        indices = next(batches, None)
        if indices is None:  # the epoch is over
            batches = iter(sampler)
            continue
        splitting = None
        if settings.split_pieces > 0:  # drawn from the number of the update alone, so that it is the same when resumed
            generator = np.random.default_rng([settings.seed, progress.step])
            splitting = SubwordRegularization(*splits, settings.split_pieces, generator)
        batch = collate(corpus, indices, length_multiple=LENGTH_MULTIPLE, links=links, splitting=splitting).to(device)
        rate = learning_rate(
            progress.step,
            kind=settings.schedule,
            peak=settings.learning_rate,
            warmup_steps=settings.warmup_steps,
            total_steps=plan.total_steps,
        )
        for group in optimizer.param_groups:
            group["lr"] = rate
        model.train()
        try:
            loss = backward(model, batch, parts)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            optimizer.zero_grad(set_to_none=True)
            parts *= 2
            if parts > MOST_PARTS:
                raise _out_of_memory(batch, device) from None
            reporter.note(f"out of memory: from here on each batch is computed in {parts} parts")
            try:
                loss = backward(model, batch, parts)
            except (RuntimeError, MemoryError) as again:
                raise (_out_of_memory(batch, device) if is_out_of_memory(again) else again) from None
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step = progress.step + 1
        average.update(model, step)

        now = time.perf_counter()
        progress = replace(
            progress,
            step=step,
            seconds=now - began,
            target_tokens=progress.target_tokens + batch.num_target_tokens,
            loss=_running_mean(progress.loss, loss, step),
        )
        epoch = step / len(sampler)
        plan = plan.after(step, progress.seconds)
        reporter.update(
            progress,
            epoch=epoch,
            total_steps=plan.total_steps,
            tokens_per_second=batch.num_target_tokens / (now - started),
        )

        over = plan.why_over(step, progress.seconds)
        if evaluate is not None and (step % evaluate_every == 0 or over is not None):
            chrf = evaluate(average.model.eval())
            better = progress.best_chrf is None or chrf > progress.best_chrf
            if better:
                progress = replace(progress, best_chrf=chrf, best_step=step, stale_evaluations=0)
                publish(average.model, progress)
            else:
                progress = replace(progress, stale_evaluations=progress.stale_evaluations + 1)
            progress = replace(progress, dev_chrf=chrf, seconds=time.perf_counter() - began)
            reporter.evaluated(progress, epoch=epoch)
            if 0 < settings.patience <= progress.stale_evaluations:
                over = over or "no better dev chrF"
        progress = replace(progress, ended=over)
        if over is not None and evaluate is None:
            publish(average.model, progress)
        if over is not None or plan.revised_at == step or progress.seconds - saved_at >= settings.save_every_seconds:
            save()
            saved_at = progress.seconds
    if progress.ended is None:
        save()
    return progress


def _random_state(device: torch.device) -> dict[str, Tensor]:
    """The generators that training draws from."""
    states = {"cpu": torch.get_rng_state()}
    return states | {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else states


def _set_random_state(states: Mapping[str, Tensor], device: torch.device) -> None:
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)


class _AdamW(torch.optim.AdamW):
    """Torch's own, without the wrappers that tell its compiler to keep out: they load that compiler, in a second."""

    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))
    zero_grad = inspect.unwrap(torch.optim.AdamW.zero_grad)


def _optimizer(model: Seq2Seq, settings: TrainConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019); matrices decay, biases and other vectors do not."""
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.dim() <= 1]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return _AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), fused=True)


def _optimizer_tensors(optimizer: torch.optim.AdamW, model: Seq2Seq) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state[parameter].items():
            tensors[f"{name}/{key}"] = value
    return tensors


def _load_optimizer(optimizer: torch.optim.AdamW, model: Seq2Seq, tensors: Mapping[str, Tensor]) -> None:
    parameters = dict(model.named_parameters())
    for name, tensor in tensors.items():
        parameter_name, key = name.rsplit("/", 1)
        parameter = parameters[current_name(parameter_name)]
        optimizer.state[parameter][key] = tensor if key == "step" else tensor.to(parameter.device)


def _out_of_memory(batch: Batch, device: torch.device) -> ResourceError:
    sentences, length = batch.target_in.shape
    return ResourceError(
        f"out of memory on {device} at a batch of {sentences} sentences of {length} tokens, also in parts.",
        hint="Try -o train.batch_tokens=1024, --max-length 128, --preset tiny or --device cpu.",
        code="E_OUT_OF_MEMORY",
    )


def _running_mean(mean: float, value: float, step: int) -> float:
    """An exponential mean over about the last 50 updates; a plain mean while there are fewer."""
    return value if step == 1 else mean + (value - mean) / min(step, 50)
