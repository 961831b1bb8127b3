"""How sure a number is that was taken over seeds: what other choices of the seeds give.

Seeds are drawn with replacement, as many as there are, again and again (Efron, "Bootstrap methods",
1979). The middle 95 % of what they give is too narrow for few seeds: that of four holds the true
mean in 80 % of all experiments. It is stretched as Student's t is wider than a normal distribution
(Hesterberg, "What teachers should know about the bootstrap", 2015), and then holds
it in 92 to 97 %.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import ndtri, stdtrit

DRAWS = 200
LEVEL = 0.95
DEFINED = 0.9
"""Share of the choices that must have the number."""


def choices(*counts: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Of each of some kinds of seeds as many indices as there are; the same ones every time.

    Example:
        >>> len(list(choices(4))), next(choices(4, 2))[1].shape
        (200, (2,))
    """
    rng = np.random.default_rng(0)
    for _ in range(DRAWS):
        yield tuple(rng.integers(count, size=count) for count in counts)


def interval(
    value: float, drawn: np.ndarray, seeds: int, *, positive: bool = False, of: int = 0
) -> tuple[float, float]:
    """The 95 % interval of a number; NaN where no choice of the seeds has it.

    The middle 95 % of the numbers that choices gave, its ends moved away from `value` by the factor
    t(seeds - 1) / z sqrt(seeds / (seeds - 1)): the second root is what the bootstrap loses, as it
    divides the variance by the number of seeds. Infinities stay.

    Args:
        value: of the seeds as they are.
        drawn: of each choice; NaN where it is not defined.
        seeds: how many there are, 2 at least.
        positive: the number cannot be negative: stretch its logarithm, as far as there is one.
        of: seeds of the number that it is compared with, for the interval of their difference; 0 if
            that is no measurement. Its spread over seeds is taken to be the same.

    Example:
        >>> ends = np.array([9.0, 9.5, 10.0, 10.5, 11.0])
        >>> [round(end, 1) for end in interval(10, ends, 4)]  # of four seeds
        [8.1, 11.9]
        >>> [round(end, 1) for end in interval(10, ends, 100)]
        [9.0, 11.0]
        >>> interval(1, np.array([1.0, 2.0, np.inf, np.nan]), 4)
        (1.0, inf)
    """
    defined = drawn[~np.isnan(drawn)]
    if not len(defined):
        return float("nan"), float("nan")
    ends = 100 * np.array([1 - LEVEL, 1 + LEVEL]) / 2
    low, high = np.percentile(defined, ends, method="nearest")
    low, high = min(low, value), max(high, value)
    factor = stdtrit(seeds - 1, ends[1] / 100) / ndtri(ends[1] / 100) * np.sqrt(seeds / (seeds - 1))
    factor *= np.sqrt(1 + seeds / of) if of else 1
    if positive and low > 0 and np.isfinite(value):
        return float(value * (low / value) ** factor), float(value * (high / value) ** factor)
    if not np.isfinite(value):
        return float(low), float(high)
    return float(value - factor * (value - low)), float(value + factor * (high - value))


def enough(values: np.ndarray) -> bool:
    """Whether so many choices have the number that their middle says how sure it is.

    Example:
        >>> enough(np.array([1.0] * 9 + [np.nan])), enough(np.array([1.0, np.nan]))
        (True, False)
    """
    return bool((~np.isnan(values)).sum() >= DEFINED * max(1, len(values)))
