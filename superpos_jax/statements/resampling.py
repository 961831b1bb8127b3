"""How sure a number is that was taken over seeds: what other choices of the seeds give.

Seeds are drawn with replacement, as many as there are, again and again (Efron, "Bootstrap methods",
1979).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

DRAWS = 200
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


def middle(values: np.ndarray) -> tuple[float, float]:
    """The middle 95 % of the numbers that choices gave, infinities among them; NaN without any.

    Example:
        >>> middle(np.array([1.0, 2.0, 3.0, np.inf, np.nan]))
        (1.0, inf)
    """
    defined = values[~np.isnan(values)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.percentile(defined, [2.5, 97.5], method="nearest")
    return float(low), float(high)


def enough(values: np.ndarray) -> bool:
    """Whether so many choices have the number that their middle says how sure it is.

    Example:
        >>> enough(np.array([1.0] * 9 + [np.nan])), enough(np.array([1.0, np.nan]))
        (True, False)
    """
    return bool((~np.isnan(values)).sum() >= DEFINED * max(1, len(values)))
