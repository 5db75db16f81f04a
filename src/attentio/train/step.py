"""A training step: the loss of a batch as one module, and its gradient, added up over batches and their parts.

`TrainingStep` holds the whole forward pass of training, so that wrappers which watch a module's `forward`
(DistributedDataParallel, FSDP) see all of it. What the loss consists of is in `objective.py`.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from attentio.data.batch import Batch
from attentio.errors import ResourceError
from attentio.model.seq2seq import Seq2Seq
from attentio.runtime.device import is_out_of_memory
from attentio.runtime.waiting import WATCH, one_thread
from attentio.train.objective import (
    OBJECTIVES,
    Loss,
    missed_links,
    reinforced,
    repeat_batch,
    repeated_looks,
)
from attentio.train.settings import TrainConfig


class TrainingStep(nn.Module):
    """Compute what training minimizes of one batch. Padding adds nothing.

    It is the mean cost of a target token. Where they are asked for, these are added:

    - `consistency` times how far two passes with different dropout disagree,
    - `guided_alignment` times what attention misses of the known links,
    - `coverage_loss` times how much attention returns to where it was.

    Hard kinds are judged there by the distribution that they choose from.
    """

    def __init__(self, model: Seq2Seq, settings: TrainConfig) -> None:
        super().__init__()
        self.model = model
        self.settings = settings

    def forward(self, batch: Batch) -> Loss:
        """Return the loss of a batch: means per target token."""
        settings, decoder = self.settings, self.model.decoder
        objective = next(iter(decoder.cross_attention().values())).normalize.objective
        costs_of, draws = OBJECTIVES[objective], objective == "reinforce"
        if settings.consistency > 0:
            batch = repeat_batch(batch, 2)
        encoded = self.model.encode(batch.source, batch.source_lengths)
        if draws:
            rows = torch.arange(len(batch.source), device=batch.source.device).repeat(settings.reinforce_samples)
            encoded, batch = encoded.select(rows), repeat_batch(batch, settings.reinforce_samples)
        costs, attended, predicted = costs_of(decoder, batch, encoded, settings)
        total = cost = costs.sum() / batch.num_target_tokens
        if settings.consistency > 0 and predicted is not None:
            total = total + settings.consistency * predicted.disagreement()
        if draws:
            total = reinforced(costs, decoder, attended, batch, settings.reinforce_samples, settings.entropy_bonus)
        if settings.guided_alignment > 0 and batch.links is not None and len(batch.links) > 0:
            total = total + settings.guided_alignment * missed_links(decoder, attended, batch)
        if settings.coverage_loss > 0:
            total = total + settings.coverage_loss * repeated_looks(decoder, attended, batch)
        return Loss(total, cost.detach())


def backward(
    step: nn.Module,
    weighted: Sequence[tuple[Batch, float]],
    parts: int,
    *,
    computing: Callable[[], AbstractContextManager[object]],
    adding: Callable[[nn.Module], AbstractContextManager[object]] = nullcontext,
) -> float:
    """Add up the gradients of the mean loss of each batch times its weight. Return the same sum of mean costs.

    parts: 1, or 2 to compute each batch in halves. adding: where the gradients of all passes but the last are computed.
    """
    passes = [
        (part, weight * part.num_target_tokens / batch.num_target_tokens)
        for batch, weight in weighted
        for part in ([batch] if parts == 1 else batch.halves())
    ]
    total = 0.0
    for number, (part, weight) in enumerate(passes, 1):
        with nullcontext() if number == len(passes) else adding(step):
            with computing():
                loss: Loss = step(part)
            (loss.total * weight).backward()
        total += loss.cost.item() * weight
    return total


def backward_in_parts(
    attempt: Callable[[int], float],
    clear: Callable[[], None],
    parts: int,
    batch: Batch,
    note: Callable[[str], None],
    *,
    most_parts: int,
) -> tuple[float, int]:
    """Return the cost that `attempt(parts)` gives, and in how many parts the batch fitted into memory.

    clear: forget the gradient of an attempt that failed. Raises ResourceError where `most_parts` do not fit either.
    """
    while True:
        try:
            return attempt(parts), parts
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            clear()
            parts *= 2
            if parts > most_parts:
                raise _out_of_memory(batch, in_parts=most_parts > 1) from None
            note(f"out of memory: from here on each batch is computed in {parts} parts")


class BusyThreads:
    """On a busy machine, lets one thread compute an update alone where two would wait for each other.

    It does so only if one thread gives the same gradients, bit for bit. That depends on the processor, and is tried on
    the first batch of a busy time. A result should not depend on how busy the machine was.
    """

    def __init__(self, device: torch.device, ranks: int) -> None:
        can = device.type == "cpu" and ranks == 1 and torch.get_num_threads() == 2
        self.same_bits: bool | None = None if can else False

    def at_work(
        self, attempt: Callable[[], object], parameters: Iterable[nn.Parameter], clear: Callable[[], None]
    ) -> AbstractContextManager[None]:
        """Return where to compute an update. attempt: adds up its gradients. clear: forgets them."""
        if self.same_bits is None and WATCH.mode.sleeping:
            self.same_bits = _gives_same_bits(attempt, list(parameters), clear)
        return WATCH.work(small=self.same_bits is True)


def _gives_same_bits(
    attempt: Callable[[], object], parameters: Sequence[nn.Parameter], clear: Callable[[], None]
) -> bool:
    """Return whether an attempt with one thread gives the gradients of one with all threads. It leaves none behind."""
    generator, found = torch.get_rng_state(), list[list[Tensor | None]]()
    try:
        for where in (nullcontext(), one_thread()):
            with where:
                attempt()
            found.append([parameter.grad for parameter in parameters])
            clear()
            torch.set_rng_state(generator)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return False
    finally:
        clear()
        torch.set_rng_state(generator)
    return all(
        a is b is None or (a is not None and b is not None and torch.equal(a, b)) for a, b in zip(*found, strict=True)
    )


def _out_of_memory(batch: Batch, *, in_parts: bool) -> ResourceError:
    sentences, length = batch.target_in.shape
    device = batch.source.device
    return ResourceError(
        f"out of memory on {device} at a batch of {sentences} sentences of {length} tokens"
        f"{', also in parts' if in_parts else ''}.",
        hint="Try -o train.batch_tokens=1024, --max-length 128, --preset tiny or --device cpu.",
        code="E_OUT_OF_MEMORY",
    )
