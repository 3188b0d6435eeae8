"""How widely usual values spread; a few outliers do not matter."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

SCALE = 1.4826
"""Makes the median absolute deviation of normally distributed values their standard deviation."""


def deviation(values: Sequence[float]) -> float:
    """The standard deviation, estimated from the median absolute deviation."""
    middle = median(values)
    return SCALE * median(abs(value - middle) for value in values)
