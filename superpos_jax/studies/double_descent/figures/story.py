"""What the study tells of one cell on a page: its vectors and dimensionalities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from superpos_jax.drawing.select import Result
from superpos_jax.drawing.story import Part, Ranked, Vectors


def vectors_story(result: Result, point: Mapping[str, Any]) -> Iterator[Part]:
    """Feature vectors and hidden vectors of one cell, if its weights are stored."""
    values = result.dataset.sel(point)
    if "W" not in values or not np.isfinite(_own(values["W"].values)).all():
        return
    cell = result.cell(**point)
    directions = tuple(f"hidden unit {unit}" for unit in range(1, len(cell.W) + 1))
    groups = {"features, columns of W": cell.W.T, "samples, h = W x": cell.H}
    yield Vectors("Feature vectors and hidden vectors", groups, directions)


def dimensions_story(result: Result, point: Mapping[str, Any]) -> Iterator[Part]:
    """Dimensionalities of features and samples of one cell, beside an even share m/T."""
    values = result.dataset.sel(point)
    names = {"feature_dimensionality": "features, D_f", "sample_dimensionality": "samples, D_X"}
    groups = {word: values[name].values for name, word in names.items() if name in values}
    groups = {word: array for word, array in groups.items() if np.isfinite(array).any()}
    if groups:
        cell = result.trained_cell(**point)
        share = min(1.0, cell.m / cell.T)
        yield Ranked("Dimensionalities", groups, {"even share m/T": share})


def _own(W: np.ndarray) -> np.ndarray:
    """The rows of W that the cell has: others of the sweep may have more."""
    rows = np.isfinite(W).any(axis=1)
    return W[rows] if rows.any() else W
