"""Everything that decides the next update, and how it is saved and taken up again.

Weights, optimizer, running average, the place in the data, the state of the random generators, and the planned number
of updates. A run that is killed at any moment and started again ends with the same weights, bit for bit.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from attentio.data.batch import BatchSampler
from attentio.data.corpus import EncodedCorpus
from attentio.errors import ModelError
from attentio.model.seq2seq import Seq2Seq, current_name
from attentio.runtime.choices import CHOSEN, STANDARD, Choices
from attentio.train.checkpoint import Checkpoint, prune_checkpoints, save_checkpoint, whole_checkpoints
from attentio.train.dev import DevScores
from attentio.train.distributed import ALONE, Ranks
from attentio.train.layout import Layout
from attentio.train.plan import StepPlan
from attentio.train.settings import TrainConfig
from attentio.train.step import TrainingStep

FEW_SENTENCES = 250  # of a dev set, up to which the last model is kept that is not clearly worse than another
LENGTH_MULTIPLE = 2  # of padded lengths: a CPU's matrix library prepares itself for every shape


@dataclass(frozen=True)
class Progress:
    """How far a run is. It is saved in every checkpoint."""

    step: int = 0
    seconds: float = 0.0  # training time, interruptions left out
    target_tokens: int = 0  # trained on so far, padding left out
    loss: float = math.nan  # running mean of the cost, nats per target token (train/objective.py)
    dev_chrf: float | None = None  # of the last evaluation
    dev_strict: float | None = None  # the same without effective order (train/dev.py)
    dev_loss: float | None = None  # nats per target token
    dev_same: float | None = None  # share of the commonest output
    best_chrf: float | None = None  # of the model that is kept
    best_strict: float | None = None
    best_same: float | None = None
    best_step: int = 0
    highest_strict: float | None = None  # of any model so far. None in checkpoints of earlier versions
    least_loss: float | None = None  # on dev, of any model so far
    stale_evaluations: int = 0  # since strict chrF or loss on dev was better than ever
    ended: str | None = None  # why the run is over

    def after(self, loss: float, target_tokens: int, seconds: float) -> "Progress":
        """Return the progress after one more update. The loss is kept as a mean over about the last 50 updates."""
        step = self.step + 1
        mean = loss if step == 1 else self.loss + (loss - self.loss) / min(step, 50)
        return replace(self, step=step, seconds=seconds, target_tokens=self.target_tokens + target_tokens, loss=mean)

    def judged(self, dev: DevScores) -> "Progress":
        """Return the progress after an evaluation: this update is the best one, or not.

        The best has the highest strict chrF. Of few sentences, chance has a larger part in that than further updates
        have. There the last is the best, unless it is worse than the highest by a share of 1 / sqrt(sentences).
        An evaluation is stale where neither strict chrF nor the loss is better than ever.
        """
        highest = self.best_strict if self.highest_strict is None else self.highest_strict
        risen = highest is None or dev.strict > highest
        chance = dev.sentences**-0.5 if 0 < dev.sentences <= FEW_SENTENCES else 0.0
        better = risen or dev.strict > (1 - chance) * (highest or 0.0)
        learns = risen or self.least_loss is None or dev.loss < self.least_loss
        judged = replace(
            self,
            dev_chrf=dev.chrf,
            dev_strict=dev.strict,
            dev_loss=dev.loss,
            dev_same=dev.same,
            least_loss=dev.loss if self.least_loss is None else min(self.least_loss, dev.loss),
            highest_strict=dev.strict if risen else highest,
            stale_evaluations=0 if learns else self.stale_evaluations + 1,
        )
        best = {"best_chrf": dev.chrf, "best_strict": dev.strict, "best_same": dev.same, "best_step": self.step}
        return replace(judged, **best) if better else judged


def progress_of(checkpoint: Checkpoint, checkpoints: Path) -> Progress:
    """Return how far a run was. Raises ModelError where the checkpoint, one of `checkpoints`, does not say it."""
    try:
        return Progress(**checkpoint.state["progress"])
    except (KeyError, TypeError) as error:
        raise _strange(checkpoints, error) from None


class TakenUp(NamedTuple):
    """Where a run goes on. refusal: why it does not go on to the end that is asked for, where it does not."""

    progress: Progress
    plan: StepPlan
    refusal: str | None = None


def take_up(checkpoint: Checkpoint, checkpoints: Path, settings: TrainConfig, *, steps_per_epoch: int) -> TakenUp:
    """Return how a run goes on from one of its checkpoints, also where the settings now ask for another end."""
    progress = progress_of(checkpoint, checkpoints)
    try:
        plan = StepPlan(**checkpoint.state["plan"])
        if plan.is_of(settings, steps_per_epoch=steps_per_epoch):
            return TakenUp(progress, plan)
        following = plan.going_on(settings, steps_per_epoch=steps_per_epoch, progress=progress)
    except (ArithmeticError, KeyError, TypeError) as error:
        raise _strange(checkpoints, error) from None
    if isinstance(following, str):
        return TakenUp(progress, plan, following)
    stale = 0 if following.began_at == progress.step else progress.stale_evaluations
    return TakenUp(replace(progress, ended=None, stale_evaluations=stale), following)


def kernels_of(checkpoint: Checkpoint) -> Choices:
    """Return which implementations computed it, the standard ones where an earlier version did not say."""
    held = checkpoint.state.get("kernels")
    return {str(kind): str(name) for kind, name in held.items()} if isinstance(held, dict) else STANDARD


def _strange(checkpoints: Path, error: Exception) -> ModelError:
    return ModelError(
        f"{checkpoints}: the newest one cannot be resumed from ({type(error).__name__}: {error}).",
        hint="Was it written by another version? Start again with --overwrite.",
        file=checkpoints,
    )


class RunningAverage:
    """Average the weights (Polyak averaging): what is evaluated and kept.

    average <- d average + (1 - d) weights, every `every` updates. d rises to `decay ** every` while it is young.
    """

    def __init__(self, model: Seq2Seq, decay: float, *, every: int = 4) -> None:
        self.decay = decay**every
        self.every = every
        self.model = deepcopy(model).eval() if decay else model
        self.weights: list[Tensor] = list(self.model.parameters())

    @torch.no_grad()
    def update(self, model: Seq2Seq, step: int) -> None:
        """Take in the weights after update number `step` (from 1)."""
        if self.model is model or step % self.every:
            return
        age = step // self.every
        decay = min(self.decay, age / (age + 9))
        torch._foreach_lerp_(self.weights, list(model.parameters()), 1 - decay)  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]


_SHORT = 8192  # numbers that torch adds up in one thread


@torch.no_grad()
def norm_of(gradients: Iterable[Tensor]) -> Tensor:
    """Return the norm of all gradients together, with the same bits for any number of threads.

    torch may add up a long row in one part for each thread. Here no row is long enough to be shared.
    """
    rows = [
        torch.linalg.vector_norm(gradient.reshape(-1, gradient.shape[-1]), dim=-1)
        for gradient in gradients
        if gradient.numel()
    ]
    return torch.linalg.vector_norm(
        torch.stack([torch.linalg.vector_norm(part) for part in torch.cat(rows).split(_SHORT)])
    )


@dataclass
class TrainingState:
    """A training between two updates."""

    model: Seq2Seq
    average: RunningAverage
    optimizer: torch.optim.AdamW
    sampler: BatchSampler
    plan: StepPlan
    progress: Progress
    parts: int = 1  # in which the gradient of a batch is computed
    saved_at: float = 0.0  # progress.seconds of the last checkpoint
    layout: Layout = ALONE.layout

    @classmethod
    def first(cls, model: Seq2Seq, corpus: EncodedCorpus, settings: TrainConfig, ranks: Ranks) -> Self:
        sampler = batches(corpus, settings, ranks)
        return cls(
            model,
            RunningAverage(model, settings.average_decay),
            adamw(model, settings),
            sampler,
            StepPlan.of(settings, steps_per_epoch=sampler.updates_per_epoch),
            Progress(),
        )

    def update(self, clip_norm: float) -> None:
        """Change the weights by the gradient that was added up, and forget it."""
        gradients = [self.layout.own(p.grad) for p in self.model.parameters() if p.grad is not None]
        norm = self.layout.joined_norm(norm_of(gradients))
        torch._foreach_mul_(gradients, (clip_norm / (norm + 1e-6)).clamp(max=1.0))  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update(self.model, self.progress.step + 1)

    def resume(self, checkpoints: Path, settings: TrainConfig, note: Callable[[str], None]) -> bool:
        """Take up the newest whole checkpoint, and return whether there is one. Damaged ones are noted.

        A run that reached another end than the settings ask for goes on.
        """
        newest = next(whole_checkpoints(checkpoints, note), None)
        if newest is None:
            return False
        tensors, state = newest
        try:
            self.start_with(tensors["weights"], tensors.get("average"))
            _load_optimizer(self.optimizer, self.model, tensors["optimizer"])
            torch.set_rng_state(tensors["random"]["cpu"])
            if (device := _device_of(self.model)).type == "cuda":
                torch.cuda.set_rng_state(tensors["random"]["cuda"], device)
            self.sampler.load_state_dict(state["sampler"])
            self.parts = int(state["parts"])
        except (ArithmeticError, AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise _strange(checkpoints, error) from None
        taken = take_up(newest, checkpoints, settings, steps_per_epoch=self.sampler.updates_per_epoch)
        self.progress, self.plan = taken.progress, taken.plan
        self.saved_at = self.progress.seconds
        return True

    def start_with(self, weights: Mapping[str, Tensor], average: Mapping[str, Tensor] | None = None) -> None:
        """Take weights over, as of `Seq2Seq.unique_state_dict`, and their running average where it is another."""
        self.model.load_unique_state_dict(weights)
        if self.average.model is not self.model:
            self.average.model.load_unique_state_dict(weights if average is None else average)

    def lay_out(self, layout: Layout, step: TrainingStep) -> nn.Module:
        """Lay the model and all that goes with it out over the ranks. Return the module whose passes train it."""
        self.layout = layout
        moments = _optimizer_tensors(self.optimizer, self.model)
        wrapped = layout.wrap(step, [] if self.average.model is self.model else [self.average.model])
        if layout.shares:
            self.average.weights = list(self.average.model.parameters())
            self.optimizer = adamw(self.model, step.settings)
            _load_optimizer(self.optimizer, self.model, moments, layout)
        return wrapped

    def save(self, checkpoints: Path, ranks: Ranks = ALONE) -> None:
        """Write a checkpoint, and remove all but the newest two. All ranks must save, and rank 0 writes."""
        self.saved_at = self.progress.seconds
        layout = ranks.layout
        if ranks.rank > 0 and not layout.shares:
            return
        moments: dict[str, Tensor] = {}
        for name, share in _optimizer_tensors(self.optimizer, self.model).items():
            whole = layout.joined(share)
            if ranks.rank == 0:
                moments[name] = whole
        with layout.whole(self.model), layout.whole(self.average.model):
            if ranks.rank > 0:
                return
            groups = {
                "weights": self.model.unique_state_dict(),
                "optimizer": moments,
                "random": {"cpu": torch.get_rng_state()},
            }
            if (device := _device_of(self.model)).type == "cuda":
                groups["random"]["cuda"] = torch.cuda.get_rng_state(device)
            if self.average.model is not self.model:
                groups["average"] = self.average.model.unique_state_dict()
            values = {
                "progress": asdict(self.progress),
                "sampler": self.sampler.state_dict(),
                "plan": asdict(self.plan),
                "parts": self.parts,
                "kernels": dict(CHOSEN),
            }
            save_checkpoint(checkpoints / f"step-{self.progress.step}", Checkpoint(groups, values))
            prune_checkpoints(checkpoints, keep=2)


def batches(corpus: EncodedCorpus, settings: TrainConfig, ranks: Ranks = ALONE) -> BatchSampler:
    return BatchSampler(
        corpus.source.lengths,
        corpus.target.lengths,
        max_tokens=settings.batch_tokens,
        max_sentences=settings.batch_sentences,
        seed=settings.seed,
        length_multiple=LENGTH_MULTIPLE,
        per_update=settings.accumulate,
        rank=ranks.rank,
        num_ranks=ranks.size,
    )


class _AdamW(torch.optim.AdamW):
    """Torch's own, without the wrappers that tell its compiler to keep out: they load that compiler, in a second."""

    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))
    zero_grad = inspect.unwrap(torch.optim.AdamW.zero_grad)


def adamw(model: Seq2Seq, settings: TrainConfig) -> torch.optim.AdamW:
    """Return AdamW (Loshchilov & Hutter 2019). Matrices decay, biases and other vectors do not."""
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


def _load_optimizer(
    optimizer: torch.optim.AdamW, model: Seq2Seq, tensors: Mapping[str, Tensor], layout: Layout = ALONE.layout
) -> None:
    parameters = dict(model.named_parameters())
    for name, tensor in tensors.items():
        parameter_name, key = name.rsplit("/", 1)
        parameter = parameters[current_name(parameter_name)]
        optimizer.state[parameter][key] = tensor if key == "step" else layout.cut(tensor, parameter)


def _device_of(model: Seq2Seq) -> torch.device:
    return next(model.parameters()).device
