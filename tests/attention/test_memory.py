"""Memory: lengths, rows by index, and growing, with and without masks."""

import pytest
import torch

from attentio.attention import Attention, GrowingMemory, Memory
from attentio.attention.memory import ROOM

B, H, S, D, V = 2, 3, 5, 4, 7


def memory(mask=None, num_keys=S):
    torch.manual_seed(num_keys)
    return Memory(torch.randn(B, H, num_keys, D), torch.randn(B, H, num_keys, V), mask)


def test_lengths_are_true_lengths():
    mask = torch.arange(S) < torch.tensor([[5], [2]])
    assert memory(mask).lengths().tolist() == [5, 2]
    assert memory().lengths().tolist() == [5, 5]
    assert memory().num_keys == S


def test_rows_by_index():
    mask = torch.arange(S) < torch.tensor([[5], [2]])
    picked = memory(mask).select(torch.tensor([1, 1, 0]))
    assert picked.keys.equal(memory().keys[[1, 1, 0]])
    assert picked.values.equal(memory().values[[1, 1, 0]])
    assert picked.lengths().tolist() == [2, 2, 5]
    assert memory().select(torch.tensor([0])).mask is None


def test_rows_are_repeated_side_by_side():
    mask = torch.arange(S) < torch.tensor([[5], [2]])
    twice = memory(mask).repeat(2)
    assert (twice.num_rows, twice.shared_by) == (4, 1)
    assert twice.keys.equal(memory().keys[[0, 0, 1, 1]])
    assert twice.lengths().tolist() == [5, 5, 2, 2]


def test_a_shared_memory_is_kept_once_and_moves_by_sentences():
    mask = torch.arange(S) < torch.tensor([[5], [2]])
    shared = memory(mask)._replace(sharable=True).repeat(3)
    assert (shared.num_rows, shared.shared_by) == (6, 3)
    assert shared.keys.equal(memory().keys)
    left = shared.select(torch.tensor([5, 3, 3]))
    assert (left.num_rows, left.shared_by) == (3, 3)
    assert left.keys.equal(memory().keys[1:])
    assert left.values.equal(memory().values[1:])
    assert left.lengths().tolist() == [2]
    assert shared.repeat(2).shared_by == 6


def test_growing_keeps_what_is_real():
    here, later = memory(), memory(num_keys=3)
    grown = here.extend(later)
    assert grown.mask is None
    assert grown.keys.equal(torch.cat([here.keys, later.keys], 2))
    assert grown.values.equal(torch.cat([here.values, later.values], 2))
    half = torch.tensor([[True] * 3, [True, False, False]])
    assert here.extend(later._replace(mask=half)).mask.tolist() == [[True] * 8, [True] * 6 + [False] * 2]
    assert later._replace(mask=half).extend(here).mask.tolist() == [
        [True] * 8,
        [True, False, False, True, True, True, True, True],
    ]


def test_in_use_it_is_laid_out_once():
    """Products over heads would copy a view at every step; in training there is but one product."""
    attention, keys = Attention(8, 8, score="dot", num_heads=2), torch.randn(2, 5, 8)
    learning, used = attention.train().prepare(keys), attention.eval().prepare(keys)
    for part, laid_out in ((learning.keys, False), (learning.values, False), (used.keys, True), (used.values, True)):
        assert part.is_contiguous() == laid_out
        assert (part.data_ptr() == keys.data_ptr()) == (not laid_out)
    assert torch.equal(learning.values, used.values)


def grown_from(first, *later):
    grown = GrowingMemory.of(first)
    for part in later:
        grown = grown.extend(part)
    return grown


def real(grown):
    return grown.memory.keys[:, :, : grown.length], grown.memory.values[:, :, : grown.length]


@pytest.fixture
def _what_is_not_set_is_nan():
    torch.set_deterministic_debug_mode("error")  # the other way to say it imports a compiler
    yield
    torch.set_deterministic_debug_mode("default")


@pytest.mark.usefixtures("_what_is_not_set_is_nan")
@torch.no_grad()
def test_a_growing_memory_holds_what_it_was_given():
    parts = [memory(), memory(num_keys=1), memory(num_keys=2), memory(num_keys=9)]
    grown = grown_from(*parts)
    plain = parts[0].extend(parts[1]).extend(parts[2]).extend(parts[3])
    assert grown.length == plain.num_keys == 17
    for found, expected in zip(real(grown), plain, strict=False):
        assert found.equal(expected)
    assert grown.memory.lengths().tolist() == [17, 17]
    assert grown.memory.num_keys % ROOM == 0
    assert not grown.memory.keys[:, :, 17:].any()
    assert not grown.memory.values[:, :, 17:].any()


@torch.no_grad()
def test_a_full_one_needs_no_mask():
    assert grown_from(memory(), memory(num_keys=ROOM - S)).memory.mask is None


@torch.no_grad()
def test_there_are_several_ways_on_from_one_memory():
    here = grown_from(memory(), memory(num_keys=1))
    before = [part.clone() for part in real(here)]
    ways = [memory(num_keys=2), memory(num_keys=1)]
    grown = [here.extend(way) for way in ways]
    assert grown[0].memory.keys.data_ptr() == here.memory.keys.data_ptr()  # there was room
    for way, found in zip(ways, grown, strict=True):
        assert found.memory.keys[:, :, S + 1 : found.length].equal(way.keys)
        assert found.memory.values[:, :, S + 1 : found.length].equal(way.values)
    assert all(found.equal(expected) for found, expected in zip(real(here), before, strict=True))
    assert here.memory.lengths().tolist() == [6, 6]


@torch.no_grad()
def test_rows_of_a_growing_memory_grow_by_themselves():
    here = grown_from(memory(), memory(num_keys=1))
    picked = here.select(torch.tensor([1, 1, 0]))
    more = Memory(torch.ones(3, H, 1, D), torch.ones(3, H, 1, V), None)
    grown = picked.extend(more)
    assert real(picked)[0].equal(real(here)[0][[1, 1, 0]])
    assert real(grown)[0].equal(torch.cat([real(here)[0][[1, 1, 0]], more.keys], 2))
    assert not here.memory.keys[:, :, here.length :].any()
    for one, longer in ((picked, grown), (here, here.extend(memory(num_keys=1)))):  # each in its own room
        assert longer.memory.keys.data_ptr() == one.memory.keys.data_ptr()


def test_room_is_left_behind_where_a_gradient_is_wanted():
    with torch.no_grad():
        here = grown_from(memory(), memory(num_keys=1))
    grown = here.extend(memory(num_keys=2))
    assert grown.length == grown.memory.num_keys == 8
    assert grown.memory.keys.equal(torch.cat([real(here)[0], memory(num_keys=2).keys], 2))
    assert grown.memory.values.equal(torch.cat([real(here)[1], memory(num_keys=2).values], 2))


def test_where_a_gradient_is_wanted_nothing_is_written_to():
    first, later = memory(), memory(num_keys=1)
    keys = first.keys.requires_grad_()
    grown, total = GrowingMemory.of(first), 0.0
    for part in (later, memory(num_keys=2)):
        grown = grown.extend(part)
        total += grown.memory.keys.square().sum()
    assert grown.memory.num_keys == 8
    total.backward()
    assert keys.grad.equal(4 * keys)
