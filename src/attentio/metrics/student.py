"""Student's t distribution: how surprising a difference is when its uncertainty was estimated from few values.

Through the regularised incomplete beta function and its continued fraction (Abramowitz and Stegun 1964, 26.5.8 and
26.7.1); nothing beyond the standard library is needed.
"""

import math

_SMALLEST = 1e-300
_PRECISION = 1e-14


def two_sided_p(t: float, df: float) -> float:
    """The chance of a value at least as far from 0 as `t`, with `df` degrees of freedom; ValueError for df <= 0."""
    if not df > 0:
        raise ValueError(f"{df} degrees of freedom")
    if math.isinf(t):
        return 0.0
    if df > 1e7:  # the normal distribution, to more digits than anybody prints
        return math.erfc(abs(t) / math.sqrt(2))
    return _incomplete_beta(df / 2, 0.5, df / (df + t * t))


def critical_t(df: float, alpha: float = 0.05) -> float:
    """The t that chance exceeds, either way, in a share `alpha` of cases: 1.96 for large `df`, more for small."""
    low, high = 0.0, 1.0
    while two_sided_p(high, df) > alpha:
        low, high = high, high * 2
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if two_sided_p(middle, df) > alpha else (low, middle)
    return high


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """I_x(a, b), from the side where the continued fraction converges fast."""
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _incomplete_beta(b, a, 1.0 - x)
    front = a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(front) * _fraction(a, b, x) / a


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction 1 / (1 + d_1 / (1 + d_2 / ...)) of 26.5.8, forwards by Lentz's method."""
    value = above = _SMALLEST
    below = 0.0
    for term in range(10_000):
        half = term // 2
        if term == 0:
            part = 1.0
        elif term % 2:
            part = -(a + half) * (a + b + half) * x / ((a + term - 1) * (a + term))
        else:
            part = half * (b - half) * x / ((a + term - 1) * (a + term))
        below = 1.0 / _away_from_zero(1.0 + part * below)
        above = _away_from_zero(1.0 + part / above)
        value *= above * below
        if abs(above * below - 1.0) < _PRECISION:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _SMALLEST else _SMALLEST
