"""What counts as what: thresholds, where a line crosses them, and what became of a run."""

from __future__ import annotations

import numpy as np

REGIMES = ("memorizing", "middle", "generalizing")
"""What a hidden space holds: data points, neither, or features; stored as the number here."""
STANDS_OUT = 0.1
"""Dimensionality above which a vector counts as having a direction of its own."""
CORNER = 0.25
"""Above which a feature has a corner of the pentagon to itself; in P1 the five have 0.31 each."""
LEARNED = 0.15
"""A model has learned features if its largest D_f is above this."""
FAILED = 0.01
"""Train loss above which a run has not solved its samples; predicting zero scores 1."""
NEAR, INNER = 0.3, 0.8
"""Shares of the longest hidden vector: below NEAR a vector is near the origin, from there to INNER
it is on a second radius."""
SHARE = 1e-3
"""A sample is held when its dimensionality is among this share of the largest ones."""
PEAK, FALL = 5.0, 2.0
"""A near miss rises above PEAK times m/T and ends at 1/FALL of its highest value, or less."""
FORGOTTEN = 0.5
"""A feature is forgotten if it ends below that share of its largest D_f along training."""
BUMP_FROM, BUMP = 0.1, 0.01
"""A bump over T is sought from T/n = BUMP_FROM on: below it single T have peaks of their own. It
stands BUMP above both ends, or more."""
LINEAR = 0.01
"""Losses that far from 1 are drawn on a linear scale."""


def squash(loss: np.ndarray | float) -> np.ndarray:
    """Stretch losses near 1: asinh((loss - 1) / 0.01), linear within 1 %, logarithmic beyond."""
    return np.asarray(np.arcsinh((np.asarray(loss, float) - 1.0) / LINEAR))


def unsquash(position: np.ndarray | float) -> np.ndarray:
    """The inverse of `squash`."""
    return np.asarray(1.0 + LINEAR * np.sinh(np.asarray(position, float)))


def pooled(values: np.ndarray, counts: np.ndarray) -> dict[str, float]:
    """Median, extremes and quartiles of the finite values that count; NaN where there is none.

    Example:
        >>> pooled(np.array([1.0, 5.0, 2.0, np.nan]), np.array([True, False, True, True]))["median"]
        1.5
    """
    alive = values[counts & np.isfinite(values)].astype(float)
    points = np.percentile(alive, [0, 25, 50, 75, 100]) if len(alive) else np.full(5, np.nan)
    return dict(zip(("min", "q25", "median", "q75", "max"), points.tolist(), strict=True))


def crossing(x: np.ndarray, y: np.ndarray) -> float:
    """The x, interpolated in log x, from which on y is positive for good.

    0 if y is positive at every x, infinity if it is not positive at the last, NaN if all y are NaN.
    Next to an infinite y the crossing lies halfway, in log x, between the two.

    Example:
        >>> crossing(np.array([1.0, 10.0, 100.0]), np.array([-2.0, -1.0, 1.0])).__round__(3)
        31.623
        >>> crossing(np.array([1.0, 10.0]), np.array([1.0, -1.0]))
        inf
    """
    defined = ~np.isnan(y)
    x, y = np.log(x[defined]), y[defined]
    if not len(y):
        return float("nan")
    low = np.flatnonzero(y <= 0)
    if not len(low):
        return 0.0
    last = int(low[-1])
    if last == len(y) - 1:
        return float("inf")
    below, above = float(y[last]), float(y[last + 1])
    share = below / (below - above) if np.isfinite(below - above) else 0.5
    return float(np.exp(x[last] + share * (x[last + 1] - x[last])))


def first_crossing(x: np.ndarray, y: np.ndarray) -> float:
    """The x at which y first becomes positive, for good or not; in the terms of `crossing`.

    Example:
        >>> first_crossing(np.array([1.0, 10.0, 100.0]), np.array([-1.0, 1.0, -1.0])).__round__(3)
        3.162
    """
    rises = np.flatnonzero(y > 0)
    upto = slice(rises[0] + 1 if len(rises) else None)
    return crossing(x[upto], y[upto])


def inner_maximum(loss: np.ndarray) -> tuple[int, float]:
    """Where a line is largest between its ends, and how far it lies above the higher of these.

    Example:
        >>> inner_maximum(np.array([1.0, 1.5, 1.25]))
        (1, 0.25)
    """
    top = 1 + int(np.argmax(loss[1:-1]))
    return top, float(loss[top] - max(loss[0], loss[-1]))


def regime(D_f: np.ndarray, D_X: np.ndarray, m: int) -> int:
    """Index into `REGIMES`: does the hidden space hold data points, features, or neither?

    memorizing: samples whose D_X is within a factor of 2 of m / T, the value of T vectors that
    share m dimensions evenly, together hold at least half of the m dimensions. generalizing:
    features with D_f above 0.1 together hold at least a quarter of them. middle: neither.

    Args:
        D_f: (n,), feature dimensionalities.
        D_X: (T,), sample dimensionalities of all training samples.
        m: hidden dimension.
    """
    space = min(m, len(D_X))
    share = D_X * len(D_X) / space
    if D_X[(share >= 0.5) & (share <= 2)].sum() >= space / 2:
        return REGIMES.index("memorizing")
    if D_f[D_f > STANDS_OUT].sum() >= m / 4:
        return REGIMES.index("generalizing")
    return REGIMES.index("middle")


def commonest(regimes: np.ndarray) -> int:
    """The regime of most runs, -1 without any.

    In a tie generalizing wins, then memorizing: a regime begins where half of the runs end in it.

    Example:
        >>> commonest(np.array([0, 1, 1, 0])), commonest(np.array([2, 1, 1, -1]))
        (0, 1)
    """
    order = [REGIMES.index(name) for name in ("generalizing", "memorizing", "middle")]
    counts = {regime: int((regimes == regime).sum()) for regime in order}
    return max(counts, key=counts.__getitem__) if any(counts.values()) else -1


def second_radius(length: np.ndarray) -> np.ndarray:
    """Which hidden vectors of a model lie on a second radius, between the origin and the circle.

    Args:
        length: (..., sample); NaN where there is none.

    Example:
        >>> second_radius(np.array([2.0, 1.9, 1.0, 0.1])).tolist()
        [False, False, True, False]
    """
    longest = np.where(np.isnan(length), 0.0, length).max(axis=-1, keepdims=True, initial=0.0)
    return (length >= NEAR * longest) & (length < INNER * longest)


def places(count: np.ndarray | int) -> np.ndarray:
    """How many of so many samples are the top 0.1 %, at least one.

    Example:
        >>> places(np.array([5, 1000, 2999, 3000]))
        array([1., 1., 2., 3.])
    """
    return np.asarray(np.maximum(1, np.floor(SHARE * np.asarray(count) + 1e-9)))


def ranked_on_top(rank: int, count: int) -> bool | None:
    """Whether a sample with `rank` larger ones among `count` is on top; None if `rank` is -1.

    Example:
        >>> ranked_on_top(2, 3000), ranked_on_top(3, 3000), ranked_on_top(-1, 3000)
        (True, False, None)
    """
    return bool(rank < places(count)) if rank >= 0 else None


def on_top(dimensionality: np.ndarray) -> np.ndarray:
    """(sample,): which are among the 0.1 % of samples with the largest D (at least the one).

    Example:
        >>> on_top(np.array([0.3, 0.1, 0.2]))
        array([ True, False, False])
    """
    finite = np.isfinite(dimensionality)
    larger = (dimensionality[None, finite] > dimensionality[:, None]).sum(axis=1)
    return finite & (dimensionality > 0) & (larger < places(finite.sum()))


def outcomes(history: np.ndarray, share: float, first_on_top: bool | None = None) -> np.ndarray:
    """(sample,): what became of each, from the D_X (step, sample) of a training; share: m/T.

    "memorized" (at the end above 0.1 or among the top 0.1 %), "near miss", "other"; "unknown"
    without a history. Which are on top is told among the samples of the history; of the first it
    may be known among all T.
    """
    if not len(history):
        return np.full(history.shape[1], "unknown")
    peak, end = history.max(axis=0), history[-1]
    near = (peak > PEAK * share) & (peak >= FALL * end)
    top = on_top(end)
    if first_on_top is not None:
        top[0] = first_on_top
    memorized = (end > STANDS_OUT) | top
    return np.where(memorized, "memorized", np.where(near, "near miss", "other"))


def fates(history: np.ndarray) -> np.ndarray:
    """(feature,): what became of each, from the D_f (step, feature) of a training.

    "kept", "forgotten" (it ended below half of its peak), "never" above 0.1.

    Example:
        >>> fates(np.array([[0.0, 0.3, 0.05], [0.2, 0.1, 0.05]])).tolist()
        ['kept', 'forgotten', 'never']
    """
    peak, end = history.max(axis=0, initial=0.0), history[-1:].sum(axis=0)
    return np.where(
        peak <= STANDS_OUT, "never", np.where(end < FORGOTTEN * peak, "forgotten", "kept")
    )


def margin(losses: np.ndarray, generalize: np.ndarray) -> float:
    """How far the lowest loss of generalizing trainings lies below that of the others.

    Infinite where one kind is missing, NaN where both are.
    """
    generalizing = float(losses[generalize].min(initial=np.inf))
    return float(losses[~generalize].min(initial=np.inf)) - generalizing
