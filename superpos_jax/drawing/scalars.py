"""The numbers of a result that any study has: one per cell, summarised over seeds."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from superpos_jax.results.registry import labels_of, shown_first
from superpos_jax.results.runs import axes, failed, runs, unfinished
from superpos_jax.text import NBSP, seed_axes

OUTCOME = ("verdict", "died_at", "run", "ended")
"""Numbers of a cell that say how its training went, not what it measured."""
PREFERRED = "test_loss"
"""What a figure shows where the study does not say."""
SPLITS = ("train_", "test_")
"""Prefixes of one quantity on several data sets."""
DECADE = 10.0
"""Positive values that span more are drawn on a logarithmic axis."""
POINTS = {"min": 0, "q25": 25, "median": 50, "q75": 75, "max": 100}
"""Percentiles by which numbers are summarised."""
EVEN, SPAN = 1.5, 3.0
"""Geometric values: ratios of neighbours differ by less, the largest is so many smallest ones."""


def scalars(dataset: xr.Dataset) -> tuple[str, ...]:
    """The names of all numbers that were measured of every cell, as `ordered` has them.

    Example:
        >>> variables = {name: ("T", [1.0, 2.0]) for name in ("accuracy", "train_loss", "verdict")}
        >>> scalars(xr.Dataset(variables))
        ('train_loss', 'accuracy')
    """
    names = [
        str(name)
        for name, array in dataset.data_vars.items()
        if set(array.dims) == set(axes(dataset)) and array.dtype.kind in "biuf"
    ]
    numbers = (n for n in names if n not in OUTCOME and not n.startswith("retry_"))
    return ordered(numbers, shown_first(dataset))


def histories(dataset: xr.Dataset) -> tuple[str, ...]:
    """The names of all numbers that were recorded along training, as `ordered` has them.

    Example:
        >>> history = {"verdict": ("T", [0]), "history_train_loss": (("T", "step"), [[2.0, 1.0]])}
        >>> histories(xr.Dataset(history))
        ('train_loss',)
    """
    numbers = (
        str(name).removeprefix("history_")
        for name, array in dataset.data_vars.items()
        if str(name).startswith("history_") and set(array.dims) == {*axes(dataset), "step"}
    )
    return ordered(numbers, shown_first(dataset))


def ordered(names: Iterable[str], first: Sequence[str] = ()) -> tuple[str, ...]:
    """Names of numbers: those that come `first`, then losses, then others.

    A quantity on the training data stands before that on test data.

    Example:
        >>> names = ["test_accuracy", "norm", "test_loss", "train_accuracy", "train_loss"]
        >>> ordered(names)
        ('train_loss', 'test_loss', 'train_accuracy', 'test_accuracy', 'norm')
        >>> ordered(names, ["norm"])[:2]
        ('norm', 'train_loss')
    """
    names = list(names)
    quantities = [quantity(name) for name in names]

    def place(name: str) -> tuple[int, bool, int, bool]:
        rank = first.index(name) if name in first else len(first)
        return (
            rank,
            not name.endswith("_loss"),
            quantities.index(quantity(name)),
            not is_train(name),
        )

    return tuple(sorted(names, key=place))


def is_train(name: str) -> bool:
    """Whether a number is of the training data."""
    return name.startswith(SPLITS[0])


def quantity(name: str) -> str:
    """What a number is, on whichever data.

    Example:
        >>> quantity("train_loss"), quantity("test_loss"), quantity("norm")
        ('loss', 'loss', 'norm')
    """
    return next((name.removeprefix(split) for split in SPLITS if name.startswith(split)), name)


def chosen(dataset: xr.Dataset, value: str | None) -> str:
    """The number that a figure shows: the named one, else the study's first, else the test loss.

    Where there is no test loss either it is the first that there is.

    Raises ValueError for an unknown name, or where there is no number.
    """
    names = scalars(dataset)
    if value is None and names:
        preferred = (*shown_first(dataset), PREFERRED, names[0])
        return next(name for name in preferred if name in names)
    if value not in names:
        raise ValueError(f"value = {value!r} is not measured; allowed: {', '.join(names)}")
    return value


def shown_axes(dataset: xr.Dataset, select: Mapping[str, Any]) -> list[str]:
    """The axes of which several values are shown: first those of numbers, of most values first.

    Then those of names (arms, choices), which have no order; then seeds.
    """
    swept = axes(dataset)
    lengths = {axis: np.size(select.get(axis, dataset[axis].values)) for axis in swept}
    several, seeds = [axis for axis in swept if lengths[axis] > 1], seed_axes(swept)
    return sorted(several, key=lambda a: (a in seeds, not is_numeric(dataset, a), -lengths[a]))


def line_axis(dataset: xr.Dataset, select: Mapping[str, Any], *taken: str | None) -> str | None:
    """The axis of the lines: names before numbers, no seed and none that is taken; or None."""
    seeds = seed_axes(axes(dataset))
    spare = [a for a in shown_axes(dataset, select) if a not in (*seeds, *taken)]
    return min(spare, key=lambda axis: is_numeric(dataset, axis), default=None)


def is_numeric(dataset: xr.Dataset, axis: str) -> bool:
    """Whether the values of an axis are numbers, which have an order."""
    return bool(np.issubdtype(dataset[axis].dtype, np.number))


def refuse_unknown(
    dataset: xr.Dataset, chosen: Iterable[str | None], select: Mapping[str, Any], *words: str
) -> None:
    """Refuse axes that are not swept.

    Arguments:
        dataset: the result.
        chosen: the axes that a figure is to show, None by default.
        select: axes and their values.
        words: what else the figure takes: `x`, `value`.

    Raises ValueError with the axes and words that are allowed.
    """
    swept = axes(dataset)
    for axis in (*chosen, *select):
        if axis is not None and axis not in swept:
            held = f"no swept axis {axis!r}; this result sweeps {', '.join(swept)}"
            raise ValueError(f"{held}; the figure takes {', '.join(f'{w}=' for w in words)} too")


def summary(dataset: xr.Dataset, value: str, keep: tuple[str, ...]) -> pd.DataFrame:
    """One row per point of the axes `keep`: a number summarised over the surviving seeds.

    Columns: keep, runs, died, unfinished (their numbers are those so far), mean, median, min, q25,
    q75, max; NaN where no run survives.
    """
    numbers = runs(dataset[value], keep).astype(float)
    died, training = failed(dataset, keep), unfinished(dataset, keep)
    columns = {
        "runs": np.full(died.shape[:-1], died.shape[-1]),
        "died": died.sum(axis=-1),
        "unfinished": training.sum(axis=-1),
        **spread(np.where(died, np.nan, numbers)),
    }
    points = itertools.product(*(dataset[axis].values for axis in keep))
    frame = pd.DataFrame(list(points), columns=list(keep))
    return frame.assign(**{name: values.ravel() for name, values in columns.items()})


def spread(numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Mean, median, quartiles and extremes of the finite numbers along the last axis.

    NaN where there is none.

    Example:
        >>> spread(np.array([[1.0, 2.0, np.nan, 6.0], [np.inf] * 4]))["median"]
        array([ 2., nan])
    """
    finite = np.isfinite(numbers)
    first = np.argsort(~finite, axis=-1, kind="stable")
    finite_first, counts = np.take_along_axis(numbers, first, axis=-1), finite.sum(axis=-1)
    summary = {name: np.full(counts.shape, np.nan) for name in ("mean", *POINTS)}
    for count in np.unique(counts[counts > 0]).tolist():
        at = counts == count
        values = finite_first[at][:, :count]
        summary["mean"][at] = values.mean(axis=-1)
        percentiles = np.percentile(values, list(POINTS.values()), axis=-1)
        for name, percentile in zip(POINTS, percentiles, strict=True):
            summary[name][at] = percentile
    return {name: values[()] for name, values in summary.items()}


def distinct(table: pd.DataFrame, column: str) -> np.ndarray:
    """The values of a column, each once, in the order of the rows."""
    return np.array(table[column].unique().tolist())


def is_log(values: np.ndarray) -> bool:
    """Whether finite values are positive and span more than a decade.

    Example:
        >>> is_log(np.array([1, 3, 30])), is_log(np.array([0, 3, 30])), is_log(np.array(["a"]))
        (True, False, False)
    """
    if not np.issubdtype(np.asarray(values).dtype, np.number):
        return False
    finite = np.asarray(values, float)
    finite = finite[np.isfinite(finite)]
    return bool(len(finite) and finite.min() > 0 and finite.max() > DECADE * finite.min())


def has_log_axis(values: np.ndarray) -> bool:
    """Whether the values of an axis span more than a decade, or are nearly geometric.

    A 0 before values of a decade or more, as of a penalty that is left out, does not make the axis
    linear.

    Example:
        >>> [has_log_axis(np.array(values)) for values in ([2, 4, 8, 16], [1, 2, 5], [2, 4, 6, 8])]
        [True, True, False]
        >>> has_log_axis(np.array([0, 1e-3, 1e-2, 0.1])), has_log_axis(np.arange(16))
        (True, False)
    """
    if not np.issubdtype(values.dtype, np.number):
        return False
    rising = np.unique(values.astype(float))
    if len(rising) > 2 and rising[0] == 0:
        is_wide = rising[-1] > (1 - 1e-6) * DECADE * rising[1]
        return bool(is_wide and _is_nearer_to_geometric(rising[1:], np.diff(rising)))
    if is_log(rising):
        return True
    if len(rising) < 3 or rising[0] <= 0 or rising[-1] < SPAN * rising[0]:
        return False
    return _is_nearer_to_geometric(rising, np.diff(rising), EVEN)


def _is_nearer_to_geometric(rising: np.ndarray, steps: np.ndarray, most: float = np.inf) -> bool:
    """Whether the ratios of values are more even than steps, and within a factor of `most`."""
    ratios = np.diff(np.log(rising))
    uneven = ratios.max() / ratios.min()
    return bool(uneven < most and uneven < steps.max() / steps.min())


def positions(values: np.ndarray) -> np.ndarray:
    """Where values lie on their axis: numbers at themselves, names at 0, 1, ...

    On a logarithmic axis 0 lies as far below the least other value as that below the next.

    Example:
        >>> positions(np.array([0, 0.01, 0.1])).round(6)
        array([0.001, 0.01 , 0.1  ])
    """
    if not np.issubdtype(values.dtype, np.number):
        return np.arange(len(values), dtype=float)
    places = values.astype(float)
    if 0 in places and has_log_axis(values):
        least, following = np.unique(places)[1:3]
        places[places == 0] = least**2 / following
    return places


def name_of(dataset: xr.Dataset, name: str) -> str:
    """What a reader calls an axis or a number."""
    return labels_of(dataset).axis(name)


def named_values(dataset: xr.Dataset, axis: str, values: np.ndarray) -> list[str]:
    """What a reader calls the values of an axis: their names, or numbers."""
    labels = labels_of(dataset)
    return [labels.called(axis, value) or in_words(value) for value in values.tolist()]


def in_words(value: Any) -> str:
    """A name as it is, a number with separators.

    Example:
        >>> in_words("adam"), in_words(20000), in_words(1e-7)
        ('adam', '20,000', '1e-07')
    """
    return value if isinstance(value, str) else f"{value:,.10g}"


def point(table: pd.DataFrame, row: pd.Series, *axes: str) -> str:
    """`T = 10, arm = wide`: where a row of a table is on those of its axes ("x", "by") it has."""
    shown = [table.attrs[axis] for axis in axes if table.attrs[axis] is not None]
    parts = [f"{table.attrs['names'][name]} = {in_words(row[name])}" for name in shown]
    return ", ".join(part.replace(" ", NBSP) for part in parts)


def only(dataset: xr.Dataset, part: xr.Dataset, taken: Mapping[str, Any]) -> str:
    """A sentence that names the axes of which one value is shown, and the value; empty if none is.

    Arguments:
        dataset: the whole result.
        part: what is shown of it.
        taken: the values at which axes were taken that the part does not have.

    Example:
        >>> only(xr.Dataset(), xr.Dataset(), {"lr": 0.1}).replace("\N{NO-BREAK SPACE}", " ")
        'Of other axes one value: lr = 0.1.'
    """
    chosen = {
        str(axis): part[axis].values[0].item()
        for axis, size in part.sizes.items()
        if size == 1 < dataset.sizes.get(axis, 1)
    }
    one = {**taken, **chosen}
    return f"Of other axes one value: {labels_of(dataset).describe(one)}." if one else ""
