"""Runs of a stored result as plain arrays: its axes, and the seeds pooled."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import xarray as xr

from superpos_jax.engine.verdicts import FAILED, UNFINISHED
from superpos_jax.text import seed_axes


def axes(dataset: xr.Dataset) -> tuple[str, ...]:
    """The axes of the grid: the dimensions that every cell's verdict has."""
    return tuple(str(axis) for axis in dataset["verdict"].dims)


def fixed(dataset: xr.Dataset) -> dict[str, Any]:
    """Options and axis values that all cells share."""
    shared: dict[str, Any] = {}
    for name in ("options", "cell"):
        shared |= json.loads(dataset.attrs.get(name, "{}"))
    return {key: value for key, value in shared.items() if key not in dataset.dims}


def runs(variable: xr.DataArray, keep: tuple[str, ...]) -> np.ndarray:
    """The values as (*keep, run, ...): other seed axes flattened into one, the rest behind."""
    pooled = tuple(axis for axis in seed_axes(variable.dims) if axis not in keep)
    array = variable.transpose(*keep, *pooled, ...).values
    head, rest = array.shape[: len(keep)], array.shape[len(keep) + len(pooled) :]
    count = int(np.prod(array.shape[len(keep) : len(keep) + len(pooled)]))
    return array.reshape((*head, count, *rest))


def failed(dataset: xr.Dataset, keep: tuple[str, ...]) -> np.ndarray:
    """Which runs died or diverged, as `runs` has them: they are in no mean."""
    return np.isin(runs(dataset["verdict"], keep), FAILED)


def unfinished(dataset: xr.Dataset, keep: tuple[str, ...]) -> np.ndarray:
    """Which runs are not trained to their end, as `runs` has them."""
    return runs(dataset["verdict"], keep) == UNFINISHED


def seed_values(dataset: xr.Dataset) -> list[dict[str, Any]]:
    """The values of the seed axes of every run, in the order in which `runs` has them."""
    pooled = seed_axes(dataset["verdict"].dims)
    values = [dataset[axis].values.tolist() for axis in pooled]
    return [dict(zip(pooled, point, strict=True)) for point in itertools.product(*values)]


def values_of(dataset: xr.Dataset, name: str) -> list[Any]:
    """The values that a number of the cells takes in a result, swept or not."""
    return dataset[name].values.tolist() if name in axes(dataset) else [fixed(dataset).get(name)]


def measured_part(history: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of a history (step, vector): the steps and the vectors that were measured.

    A cell may have fewer steps and vectors than its neighbours, and an archive keeps only a few.

    Example:
        >>> history = np.array([[0.1, np.nan], [0.2, np.nan], [np.nan, np.nan]])
        >>> steps, vectors = measured_part(history)
        >>> steps.tolist(), vectors.tolist()
        ([0, 1], [0])
    """
    finite = np.isfinite(history)
    vectors = np.flatnonzero(finite.any(axis=0))
    return np.flatnonzero(finite[:, vectors].all(axis=1) & (len(vectors) > 0)), vectors
