"""From a labelled result to what a figure shows: the axes it needs, a selection, a tidy table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Protocol

import numpy as np
import pandas as pd
import xarray as xr

from superpos_jax.drawing.needs import NoAxisError
from superpos_jax.results.registry import labels_of, load_study
from superpos_jax.results.runs import axes, fixed
from superpos_jax.text import NBSP, counted, seed_axes

LISTED = 20
"""Values of an axis that a message names at most."""


class Result(Protocol):
    """What a figure reads: a name, a labelled dataset, and the arrays of one cell."""

    @property
    def name(self) -> str:
        """The name of the sweep."""
        ...

    @property
    def dataset(self) -> xr.Dataset:
        """All numbers, one dimension a swept axis."""
        ...

    def cell(self, **values: Any) -> Any:
        """The arrays of one cell, by a value for every swept axis."""
        ...

    def trained_cell(self, **values: Any) -> Any:
        """The numbers of one cell."""
        ...


def narrow(
    dataset: xr.Dataset,
    keep: tuple[str, ...],
    select: Mapping[str, Any],
    pool: tuple[str, ...] | None = None,
) -> tuple[xr.Dataset, dict[str, Any]]:
    """Reduce a dataset to the axes of a figure.

    Arguments:
        dataset: the labelled result.
        keep: axes the figure shows; one that is not swept becomes an axis of one value.
        select: `axis=value`, or `axis=[values]` for axes that are kept or pooled.
        pool: axes that are kept because the figure pools them; by default all seeds.

    Returns the dataset, sorted along `keep` where values are numbers, and the values at which every
    other axis was taken: the selected one, else the first. Raises ValueError for an unknown axis
    or value, NoAxisError where an axis of `keep` has several values and is none of the result.
    """
    swept, labels = axes(dataset), labels_of(dataset)
    pool = seed_axes(swept) if pool is None else pool
    for axis in select:
        if axis not in swept:
            raise ValueError(f"no swept axis {axis!r}; this result sweeps {', '.join(swept)}")
    taken: dict[str, Any] = {}
    for axis in swept:
        stays = axis in keep or axis in pool
        if stays and axis not in select:
            continue
        values = dataset[axis].values
        wanted = np.atleast_1d(select.get(axis, values[0]))
        held = (labels.shown(axis, labels.number(axis, value)) for value in wanted)
        index = [_position(axis, values, value) for value in held]
        if not index:
            raise ValueError(f"{axis} = []: no value; allowed: one or more of {_held(values)}")
        if not stays:
            if len(index) != 1:
                raise ValueError(f"{axis} takes one value here, not {len(index)}")
            taken[axis] = values[index[0]].item()
        dataset = dataset.isel({axis: index if stays else index[0]}, drop=True)
    shared = json.loads(dataset.attrs.get("cell", "{}"))
    for axis in keep:
        if axis in shared:
            dataset = dataset.expand_dims({axis: [shared[axis]]})
        elif axis not in swept:
            raise NoAxisError(axis)
    ordered = [axis for axis in keep if np.issubdtype(dataset[axis].dtype, np.number)]
    return dataset.sortby(ordered), taken  # values with names stay in the order of the sweep


def _position(axis: str, values: np.ndarray, value: Any) -> int:
    """Where an axis holds a value, a name ("mean") or a number, equal but for rounding."""
    numeric = np.issubdtype(values.dtype, np.number)
    if numeric and not isinstance(value, str):
        hit = np.isclose(values, value, rtol=1e-6, atol=0)
    else:
        hit = np.array([held == value for held in values.tolist()])
    if not hit.any():
        words = _held(values)
        if numeric and not isinstance(value, str) and len(values) > LISTED:
            near = np.sort(values[np.argsort(np.abs(values - value))[:2]])
            words += f"; nearest: {_held(near)}"
        raise ValueError(f"{axis} = {value} is not in this result, which holds {words}")
    return int(np.argmax(hit))


def _held(values: np.ndarray) -> str:
    """The values of an axis in words; of many how many, the first and the last.

    >>> _held(np.array([0.5, 2.0])), _held(np.arange(50))
    ('0.5, 2', '50 values from 0 to 49')
    """
    numeric = np.issubdtype(values.dtype, np.number)
    words = [f"{value:g}" if numeric else str(value) for value in values]
    if len(words) <= LISTED:
        return ", ".join(words)
    return f"{counted(len(words), 'value')} from {words[0]} to {words[-1]}"


def representative(values: np.ndarray, largest: int, spread: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices and ranks of the largest values and of evenly spaced ranks among the others.

    Example:
        >>> representative(np.array([5.0, 9.0, 1.0, 7.0, 3.0, 2.0]), largest=2, spread=2)
        (array([1, 3, 0, 2]), array([0, 1, 2, 5]))
    """
    order = np.argsort(-values, kind="stable")
    rank = np.arange(len(order))
    if len(order) > largest + spread:
        tail = np.linspace(largest, len(order) - 1, spread).round().astype(int)
        rank = np.concatenate([rank[:largest], tail])
    return order[rank], rank


def tidy(
    result: Result,
    frame: pd.DataFrame,
    taken: Mapping[str, Any],
    named: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Add the values of the axes that are not shown, and the line that states the setting.

    Arguments:
        result: what is drawn.
        frame: the numbers that are drawn.
        taken: at which values the other axes were taken.
        named: the shared numbers and options that the line names; by default all that are not as
            the study has them by default.
    """
    for axis, value in taken.items():
        frame[axis] = value
    shared = unusual(result.dataset) if named is None else named
    shared = {name: value for name, value in shared.items() if name not in taken}
    describe = labels_of(result.dataset).describe
    parts = [result.name, describe(taken), describe(shared), result.dataset.attrs.get("best", "")]
    frame.attrs["setting"] = f" {NBSP}·{NBSP} ".join(part for part in parts if part)
    return frame


def unusual(dataset: xr.Dataset) -> dict[str, Any]:
    """The numbers and options that all cells share and that differ from the study's defaults."""
    name = dataset.attrs.get("study")
    usual: dict[str, Any] = {}
    if name is not None:
        study = load_study(name)
        usual |= study.Options.model_construct().model_dump(mode="json")
        usual |= {field.name: field.default for field in fields(study.Cell)}
    return {key: value for key, value in fixed(dataset).items() if value != usual.get(key)}
