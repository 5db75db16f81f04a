"""Loops: what would repeat a run once too often is not written, and everything else is."""

import pytest
import torch

from attentio.runtime.tensors import arrays_on
from attentio.search.loops import LONGEST, NoLoops

NAMES = ["<pad>", "<s>", "</s>", "<unk>", *"abcdefghijklmnopqrstuvwxyz", "0", "."]


def banned_after(written: list[int]) -> set[int]:
    """What may not follow, by the constraint."""
    constraint = NoLoops(NAMES)
    state = constraint.start(1, arrays_on(torch.device("cpu")))
    for token in written:
        state = constraint.advance(state, torch.zeros(1, dtype=torch.int64), torch.tensor([token]))
    banned = constraint.banned(state, torch.zeros(1))
    return set() if banned is None else set(banned[0].nonzero().flatten().tolist())


def loops(written: list[int]) -> bool:
    """Whether a text ends in a run that stands there too often, by looking at it."""
    for size in range(1, LONGEST + 1):
        times = 3 if size <= 3 else 2
        if size == 1:
            times = 3 if NAMES[written[-1]].isalpha() else 8
        run = written[-size:]
        if size > 1 and len(set(run)) == 1:
            continue
        if len(run) == size and written[-size * (times + 1) :] == run * (times + 1):
            return True
    return False


@pytest.mark.parametrize("seed", range(4))
def test_banned_is_what_would_loop(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    for _ in range(30):
        period = torch.randint(4, 6 + seed, (int(torch.randint(1, 6, (1,), generator=random)),), generator=random)
        start = torch.randint(4, 8, (int(torch.randint(0, 5, (1,), generator=random)),), generator=random)
        written = [*start.tolist(), *(period.tolist() * 5)][: int(torch.randint(1, 25, (1,), generator=random))]
        if any(loops(written[:end]) for end in range(1, len(written) + 1)):
            continue  # no search would have written this
        assert banned_after(written) == {t for t in range(4, len(NAMES)) if loops([*written, t])}, written


def test_how_often_is_enough() -> None:
    a, b, zero = 4, 5, NAMES.index("0")
    assert banned_after([a, a]) == set()
    assert banned_after([a, a, a]) == {a}
    assert banned_after([zero] * 7) == set()
    assert banned_after([zero] * 8) == {zero}
    assert banned_after([a, b, a, b, a, b]) == set()
    assert banned_after([a, b, a, b, a, b, a]) == {b}
    assert banned_after([*range(4, 20), *range(4, 20), *range(4, 19)]) == {19}
    assert banned_after([*range(4, 21), *range(4, 21), *range(4, 20)]) == set()  # longer than is noticed
    assert banned_after([]) == set()
