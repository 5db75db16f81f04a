"""Masks, each of which can be written down by hand."""

import torch

from attentio.attention.tensors import causal, combine, distances, padding


def test_padding_is_true_at_real_positions():
    assert padding(torch.tensor([3, 0, 2]), 3).tolist() == [[True] * 3, [False] * 3, [True, True, False]]


def test_causal_sees_itself_and_what_came_before():
    assert causal(2, 3).tolist() == [[True, False, False], [True, True, False]]
    assert causal(2, 4, offset=2).tolist() == [[True, True, True, False], [True, True, True, True]]


def test_distances_are_key_minus_query():
    assert distances(2, 3, offset=1).tolist() == [[-1, 0, 1], [-2, -1, 0]]


def test_combining_is_and_and_none_allows_everything():
    left, right = torch.tensor([True, True, False]), torch.tensor([True, False, False])
    assert combine(None, left, None, right).tolist() == [True, False, False]
    assert combine(None, left) is left
    assert combine() is None
