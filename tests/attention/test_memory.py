"""Memory: lengths, rows by index, and growing, with and without masks."""

import torch

from attentio.attention import Attention, Memory

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
