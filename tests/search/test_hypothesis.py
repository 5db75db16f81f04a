"""The trail that hypotheses are read off, by hand."""

import pytest

from attentio.search.hypothesis import Choice, Trail, ranking_score


def test_a_trail_by_hand() -> None:
    # Step 1, one row: words 5 and 6. Step 2, two rows: row 0 came from the second choice, row 1 from the first.
    trail = Trail()
    first, second = Choice(0, 5, -1.0), Choice(0, 6, -2.0)
    trail.append([second, first])
    trail.append([Choice(1, 7, -0.5), Choice(0, 8, -0.25)])
    found = trail.read(Choice(1, 2, -0.125), total=-2.375, length_penalty=0.5)
    assert found.tokens == (6, 8, 2)
    assert found.log_probs == (-2.0, -0.25, -0.125)
    assert found.rows == (0, 0, 1)
    assert found.score == pytest.approx(-2.375 / 3**0.5)


def test_ranking_by_hand() -> None:
    assert ranking_score(-6.0, 3, 0.0) == -6.0
    assert ranking_score(-6.0, 3, 1.0) == -2.0
    assert ranking_score(-6.0, 4, 0.5) == -3.0
    assert ranking_score(0.0, 0, 1.0) == 0.0
