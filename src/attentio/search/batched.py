"""Search over many sources: sorted by length, batched by a token budget, answered in the order asked."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from attentio.errors import UsageError
from attentio.search.attended import AttendedSteps
from attentio.search.decode import Cancelled, OnStep, Searched, SearchStep, decode, raise_if_cancelled
from attentio.search.hypothesis import Hypothesis
from attentio.search.strategy import Beam, Greedy, Sample, Strategy

if TYPE_CHECKING:  # loaded only where something is constrained
    from attentio.search.constraint import Constraint

SENTENCES_A_WORKER = 64  # fewer are done before a process is ready
BATCHES_A_WORKER = 3  # with more, all are busy to the end. With fewer, a sentence costs less


class SearchConfig(NamedTuple):
    """How to search.

    beam_size: number of hypotheses, 1 for greedy search.
    length_penalty: see `ranking_score`.
    max_tokens: a batch holds at most so many source positions times hypotheses.
    workers: number of worker processes (Linux, CPU only). 1 disables multiprocessing.
    sample: draw tokens instead. Then `beam_size` must be 1.
    max_length: tokens after which a translation is cut off. None: a generous limit by the source's length.
    no_repeat: no run of so many tokens stands in a translation twice. 0 allows all.
    stop_loops: a translator lets no run of tokens be written over and over (`search.loops`).
    """

    beam_size: int = 1
    length_penalty: float = 1.0
    max_tokens: int = 4096
    workers: int = 1
    sample: Sample | None = None
    max_length: int | None = None
    no_repeat: int = 0
    stop_loops: bool = True

    def strategy(self) -> Strategy:
        """Return the strategy. Raises UsageError for settings that do not go together."""
        if self.beam_size < 1:
            raise UsageError(f"a beam of {self.beam_size} makes no sense: it is at least 1.")
        if self.sample is not None:
            if self.beam_size > 1:
                raise UsageError("a beam and sampling do not go together: choose one of them.")
            return self.sample
        return Greedy() if self.beam_size == 1 else Beam(self.beam_size)


class Asked(NamedTuple):
    """What is asked of single searches beside their settings.

    prefix: for each source, the tokens its translation begins with. constraint: what may be written.
    weights: how many hypotheses of each source, the best first, bring the weights of every attention.
    on_step: is shown every step with the indices of the sources in its batch. It needs `workers` of 1.
    cancelled: is asked at every step, and ten times a second where worker processes search.
    """

    prefix: Sequence[Sequence[int]] | None = None
    constraint: "Constraint | None" = None
    weights: int = 0
    on_step: Callable[[list[int], SearchStep], None] | None = None
    cancelled: Cancelled | None = None

    def copies(self, index: int) -> bool:
        """Return whether nothing is asked of a source that would change a text without words."""
        is_free = self.constraint is None or not self.constraint.requires
        return is_free and not (self.prefix and self.prefix[index])

    def only(self, indices: Sequence[int]) -> "Asked":
        """Return what is asked of some of the sources."""
        prefix = None if self.prefix is None else [self.prefix[index] for index in indices]
        constraint = None if self.constraint is None else self.constraint.only(indices)
        if (on_step := self.on_step) is None:
            return self._replace(prefix=prefix, constraint=constraint)
        return self._replace(
            prefix=prefix,
            constraint=constraint,
            on_step=lambda places, step: on_step([indices[place] for place in places], step),
        )


def search(
    model: Searched, sources: Sequence[Sequence[int]], config: SearchConfig, asked: Asked | None = None
) -> list[list[Hypothesis]]:
    """Return the hypotheses of each source (token ids without eos), best first, in the order of `sources`."""
    answers: list[list[Hypothesis]] = [[] for _ in sources]
    for indices, found in search_batches(model, sources, config, asked):
        for index, hypotheses in zip(indices, found, strict=True):
            answers[index] = hypotheses
    return answers


def search_batches(
    model: Searched, sources: Sequence[Sequence[int]], config: SearchConfig, asked: Asked | None = None
) -> Iterator[tuple[list[int], list[list[Hypothesis]]]]:
    """Search as `search` does, and give out batch by batch: the indices of the sources, and their hypotheses."""
    asked, strategy = asked or Asked(), config.strategy()

    def answers(indices: list[int]) -> list[list[Hypothesis]]:
        return _search_batch(model, [sources[index] for index in indices], config, asked.only(indices), strategy)

    sizes = [len(source) + 1 for source in sources]
    workers = min(config.workers, len(sources) // SENTENCES_A_WORKER)
    if workers >= 2 and model.arrays.has_workers and asked.on_step is None:
        # Loaded only where there is something to share out.
        from attentio.runtime.processes import AVAILABLE, share_out

        if AVAILABLE:
            share = -(-sum(sizes) // (workers * BATCHES_A_WORKER))
            batches = list(batches_of(sizes, min(config.max_tokens // config.beam_size, share)))
            for number, found in share_out(
                answers, batches, workers, watch=partial(raise_if_cancelled, asked.cancelled)
            ):
                yield batches[number], found
            return
    for indices in batches_of(sizes, config.max_tokens // config.beam_size):
        yield indices, answers(indices)


def _search_batch(
    model: Searched, sources: list[Sequence[int]], config: SearchConfig, asked: Asked, strategy: Strategy
) -> list[list[Hypothesis]]:
    steps = AttendedSteps(model.decoder.cross_attention().keys()) if asked.weights else None
    watchers: list[OnStep] = [] if steps is None else [steps]
    if (on_step := asked.on_step) is not None:
        places = list(range(len(sources)))
        watchers.append(lambda step: on_step(places, step))
    found = decode(
        model,
        sources,
        strategy,
        prefix=asked.prefix,
        constraint=asked.constraint,
        max_lengths=None if config.max_length is None else [config.max_length] * len(sources),
        length_penalty=config.length_penalty,
        on_step=_all_of(watchers),
        cancelled=asked.cancelled,
    )
    if steps is None:
        return found
    seen, count = steps, asked.weights
    return [
        [
            *(best._replace(weights=seen.of(best, row, len(source) + 1)) for best in hypotheses[:count]),
            *hypotheses[count:],
        ]
        for row, (source, hypotheses) in enumerate(zip(sources, found, strict=True))
    ]


def _all_of(watchers: list[OnStep]) -> OnStep | None:
    if len(watchers) < 2:
        return watchers[0] if watchers else None

    def show(step: SearchStep) -> None:
        for watcher in watchers:
            watcher(step)

    return show


def batches_of(lengths: Sequence[int], max_tokens: int) -> Iterator[list[int]]:
    """Yield indices in batches of like length, longest first, each within `max_tokens` positions or one sentence."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):  # longest first: it sets the width
        if batch and (len(batch) + 1) * lengths[batch[0]] > max_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
