"""Student's t distribution, against SciPy's."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from attentio.metrics.significance import critical_t, two_sided_p

DEGREES = [0.5, 1, 1.7, 2, 3.3, 4, 8, 30, 117.2, 999, 1e5, 3e7]


@pytest.mark.slow
@pytest.mark.parametrize("df", DEGREES)
@pytest.mark.parametrize("t", [0, 1e-6, 0.1, 0.5, 1, 1.96, -2.5, 5, 12, 40])
def test_p_is_that_of_scipy(t: float, df: float) -> None:
    assert two_sided_p(t, df) == pytest.approx(2 * stats.t.sf(abs(t), df), rel=1e-5, abs=1e-14)


@given(st.floats(-50, 50), st.floats(0.3, 3000))
def test_p_is_that_of_scipy_anywhere(t: float, df: float) -> None:
    assert two_sided_p(t, df) == pytest.approx(2 * stats.t.sf(abs(t), df), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("df", DEGREES)
@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.5])
def test_the_critical_value_is_that_of_scipy(df: float, alpha: float) -> None:
    assert critical_t(df, alpha) == pytest.approx(stats.t.ppf(1 - alpha / 2, df), rel=1e-6)


def test_limits() -> None:
    assert two_sided_p(math.inf, 3) == 0
    assert two_sided_p(1.96, math.inf) == pytest.approx(0.05, abs=1e-4)
    with pytest.raises(ValueError, match="degrees of freedom"):
        two_sided_p(1, 0)
