"""The edge of memorization: which runs hold a repeated sample, and where half of them do."""

from __future__ import annotations

import numpy as np
import xarray as xr

from superpos_jax.results.runs import runs
from superpos_jax.statements.resampling import choices
from superpos_jax.studies.double_descent.criteria import crossing, places

FROM = 2.0
"""The boundary is fitted from this T/n on."""
POINTS = 3
"""A line is fitted to so many boundaries at least."""


def held(dataset: xr.Dataset, keep: tuple[str, ...], lost: np.ndarray) -> np.ndarray:
    """(*keep, run): 1 where the repeated sample is held, 0 where not, NaN where it is not known.

    It is held where it is among the 0.1 % of samples with the largest D, at least the one. The
    first of the axes to keep is T.
    """
    rank = runs(dataset["repeated_rank"], keep).astype(float)
    T = dataset["T"].values.reshape(-1, *[1] * (rank.ndim - 1))
    ranked = ~lost & (rank >= 0)
    return np.where(ranked, rank < places(T), np.nan)


def share(held: np.ndarray) -> np.ndarray:
    """The mean over the runs that are known, NaN where none is.

    Example:
        >>> share(np.array([[1.0, 0.0, np.nan], [np.nan, np.nan, np.nan]]))
        array([0.5, nan])
    """
    count = np.isfinite(held).sum(axis=-1)
    return np.where(count > 0, np.nansum(held, axis=-1) / np.maximum(count, 1), np.nan)


def boundary(R: np.ndarray, share: np.ndarray) -> float:
    """The R from which on a share is one half or more; 0 if it always is, infinity if it never is.

    Interpolated in log R. A share that is not monotone is taken midway between its largest value
    so far and its smallest from there on.

    Example:
        >>> boundary(np.array([1.0, 4.0, 8.0]), np.array([0.25, 0.75, 1.0]))
        2.0
        >>> boundary(np.array([1.0, 4.0, 8.0]), np.array([0.25, 0.5, 0.5]))
        4.0
    """
    R, share = R[np.isfinite(share)], share[np.isfinite(share)]
    rising = np.maximum.accumulate(share) + np.minimum.accumulate(share[::-1])[::-1]
    return crossing(R, np.where(rising == 1, np.finfo(float).tiny, rising / 2 - 0.5))


def resampled(held: np.ndarray, R: np.ndarray) -> np.ndarray:
    """(draw, T): boundaries of runs drawn with replacement; no draws of a single one.

    A draw takes the same runs in all cells.
    """
    count = held.shape[2]
    if count < 2:
        return np.empty((0, held.shape[0]))
    lines = (share(held[..., pick]) for (pick,) in choices(count))
    return np.array([[boundary(R, line) for line in draw] for draw in lines])


def power_law(x: np.ndarray, y: np.ndarray) -> tuple[float, float] | None:
    """Exponent a and factor c of y = c x^a by least squares in log y, None for too few points.

    None too if some y is 0 or infinite, that is, beyond what was swept: a line through the others
    would be bent.

    Example:
        >>> a, c = power_law(np.array([1.0, 2.0, 4.0]), np.array([3.0, 12.0, 48.0]))
        >>> round(a, 6), round(c, 6)
        (2.0, 3.0)
    """
    used = ~np.isnan(y)
    if used.sum() < POINTS or not np.all((y[used] > 0) & (y[used] < np.inf)):
        return None
    exponent, offset = np.polyfit(np.log(x[used]), np.log(y[used]), 1)
    return float(exponent), float(np.exp(offset))
