"""The trail that hypotheses are read off, by hand."""

import pytest
import torch

from attentio.search.hypothesis import Trail, ranking_score, should_compact


def test_a_trail_by_hand() -> None:
    # Step 1, one row: words 5 and 6. Step 2, two rows: row 0 came from the second choice, row 1 from the first.
    trail = Trail()
    trail.append(torch.tensor([0, 0]), torch.tensor([6, 5]), torch.tensor([-2.0, -1.0]))
    trail.append(torch.tensor([1, 0]), torch.tensor([7, 8]), torch.tensor([-0.5, -0.25]))
    found = trail.read(1, 2, -0.125, length_penalty=0.5)
    assert found.tokens == (6, 8, 2)
    assert found.log_probs == (-2.0, -0.25, -0.125)
    assert found.rows == (0, 0, 1)
    assert found.score == pytest.approx(-2.375 / 3**0.5)


def test_rows_leave_by_the_eighth() -> None:
    assert should_compact(0, 1)
    assert should_compact(7, 8)
    assert not should_compact(8, 8)
    assert not should_compact(57, 64)
    assert should_compact(56, 64)


def test_ranking_by_hand() -> None:
    assert ranking_score(-6.0, 3, 0.0) == -6.0
    assert ranking_score(-6.0, 3, 1.0) == -2.0
    assert ranking_score(-6.0, 4, 0.5) == -3.0
    assert ranking_score(0.0, 0, 1.0) == 0.0
