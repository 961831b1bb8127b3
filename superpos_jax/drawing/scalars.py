"""The numbers of a result that any study has: one a cell, summarised over seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from superpos_jax.results.registry import labels_of
from superpos_jax.results.runs import axes, dead, runs, unfinished
from superpos_jax.text import seed_axes

OUTCOME = ("verdict", "died_at", "run")
"""Numbers of a cell that say how its training went, not what it measured."""
PREFERRED = "test_loss"
DECADE = 10.0
"""Positive values that span more are drawn on a logarithmic axis."""


def scalars(dataset: xr.Dataset) -> tuple[str, ...]:
    """The names of all numbers that were measured of every cell, losses first.

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
    names = [name for name in names if name not in OUTCOME and not name.startswith("retry_")]
    return tuple(sorted(names, key=lambda name: not name.endswith("_loss")))


def histories(dataset: xr.Dataset) -> tuple[str, ...]:
    """The names of all numbers that were recorded along training, losses first.

    Example:
        >>> history = {"verdict": ("T", [0]), "history_train_loss": (("T", "step"), [[2.0, 1.0]])}
        >>> histories(xr.Dataset(history))
        ('train_loss',)
    """
    names = [
        str(name).removeprefix("history_")
        for name, array in dataset.data_vars.items()
        if str(name).startswith("history_") and set(array.dims) == {*axes(dataset), "step"}
    ]
    return tuple(sorted(names, key=lambda name: not name.endswith("_loss")))


def chosen(dataset: xr.Dataset, value: str | None) -> str:
    """The number that a figure shows: the named one, else the test loss, else the first loss.

    Raises ValueError for an unknown name, or where there is no number.
    """
    names = scalars(dataset)
    if value is None and names:
        return PREFERRED if PREFERRED in names else names[0]
    if value not in names:
        raise ValueError(f"value = {value!r} is not measured; allowed: {', '.join(names)}")
    return value


def shown_axes(dataset: xr.Dataset, select: Mapping[str, Any]) -> list[str]:
    """The axes of which several values are shown, those first that are no seeds."""
    swept = axes(dataset)
    several = [a for a in swept if np.size(select.get(a, dataset[a].values)) > 1]
    seeds = seed_axes(swept)
    return sorted(several, key=lambda axis: axis in seeds)


def summary(dataset: xr.Dataset, value: str, keep: tuple[str, ...]) -> pd.DataFrame:
    """One row a point of the axes `keep`: a number summarised over the surviving seeds.

    Columns: keep, runs, died, unfinished (their numbers are those so far), mean, median, min, q25,
    q75, max; NaN where no run survives.
    """
    numbers = runs(dataset[value], keep).astype(float)
    died, training = dead(dataset, keep), unfinished(dataset, keep)
    rows = []
    for index in np.ndindex(died.shape[: len(keep)]):
        at = {axis: dataset[axis].values[i] for axis, i in zip(keep, index, strict=True)}
        counts = {"runs": died.shape[-1], "died": int(died[index].sum())}
        counts["unfinished"] = int(training[index].sum())
        rows.append(at | counts | spread(numbers[index][~died[index]]))
    return pd.DataFrame(rows)


def spread(numbers: np.ndarray) -> dict[str, float]:
    """Mean, median, quartiles and extremes of the finite numbers; NaN where there is none.

    Example:
        >>> spread(np.array([1.0, 2.0, np.nan, 6.0]))["median"]
        2.0
    """
    finite = numbers[np.isfinite(numbers)]
    points = np.percentile(finite, [0, 25, 50, 75, 100]) if len(finite) else np.full(5, np.nan)
    mean = float(finite.mean()) if len(finite) else float("nan")
    names = ("min", "q25", "median", "q75", "max")
    return {"mean": mean, **dict(zip(names, points.tolist(), strict=True))}


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


def positions(values: np.ndarray) -> np.ndarray:
    """Where values lie on their axis: numbers at themselves, names at 0, 1, ..."""
    numeric = np.issubdtype(values.dtype, np.number)
    return values.astype(float) if numeric else np.arange(len(values), dtype=float)


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
