"""Forced decoding: no search but a given target. What the model thinks of it, and where it looks."""

from collections.abc import Iterator, Sequence

from attentio.search.attended import AttendedSteps
from attentio.search.batched import batches_of
from attentio.search.decode import Searched, decode
from attentio.search.hypothesis import Hypothesis
from attentio.text.special import SPECIAL


def forced_batches(
    model: Searched, sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]], *, max_tokens: int = 4096
) -> Iterator[tuple[list[int], list[Hypothesis]]]:
    """Yield batch by batch the indices of the pairs, and each target (ids without eos) as a hypothesis with weights.

    The score is the log-probability of the whole target.
    """
    for indices in batches_of([len(source) + 1 for source in sources], max_tokens):
        steps = AttendedSteps(model.decoder.cross_attention().keys())
        given = [(*targets[index], SPECIAL.eos) for index in indices]
        found = decode(
            model,
            [sources[index] for index in indices],
            prefix=given,
            max_lengths=[len(target) for target in given],
            length_penalty=0.0,
            on_step=steps,
        )
        yield (
            indices,
            [
                best._replace(weights=steps.of(best, row, len(sources[index]) + 1))
                for row, (index, (best,)) in enumerate(zip(indices, found, strict=True))
            ],
        )
