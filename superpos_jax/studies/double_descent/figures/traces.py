"""Cells along training: which are shown, and their lines and final vectors as rows of a table."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from superpos_jax.drawing.panels import evenly
from superpos_jax.drawing.select import representative
from superpos_jax.results.runs import axes, measured_part
from superpos_jax.studies.double_descent.criteria import CORNER, STANDS_OUT, fates
from superpos_jax.studies.double_descent.labels import SEEDS, describe

CELLS, LINES = 6, 12
REPETITION = ("repeated", "repeats")
LONGEST, SPREAD = 60, 140
VARIABLES = {kind: f"history_{kind}_dimensionality" for kind in ("feature", "sample")}


def across_axes(dataset: xr.Dataset, select: Mapping[str, Any]) -> tuple[str, ...]:
    """The axes along which cells are chosen as columns."""
    swept = axes(dataset)
    if listed := tuple(axis for axis in swept if np.ndim(select.get(axis, 0))):
        return listed
    free = [axis for axis in swept if dataset.sizes[axis] > 1 and axis not in select]
    if repetition := tuple(axis for axis in REPETITION if axis in free):
        return repetition
    return tuple(sorted(free, key=lambda axis: axis in SEEDS)[:1])


def chosen_cells(
    dataset: xr.Dataset, across: tuple[str, ...], shared: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """At most `CELLS` points, evenly spaced; of those that repeat no sample one at the most.

    Of more points, of several repeated samples and repeats, those with the fewest repeats.
    """
    values = [dataset[axis].values.tolist() for axis in across]
    points = [dict(zip(across, point, strict=True)) for point in itertools.product(*values)]
    if set(across) <= set(REPETITION):
        plain = [point for point in points if not repeated_samples({**shared, **point})]
        points = [point for point in points if point not in plain[1:]]
        if len(points) > CELLS and len(across) == len(REPETITION):
            fewest = min(point["repeats"] for point in points if point not in plain)
            points = [p for p in points if p in plain or p["repeats"] == fewest]
    return [points[i] for i in evenly(len(points), CELLS)]


def repeated_samples(where: Mapping[str, Any]) -> int:
    """How many samples are in the training set more than once."""
    count = min(where.get("repeated") or 0, where.get("T") or 0)
    return int(count) if (where.get("repeats") or 1) > 1 else 0


def cell_label(point: Mapping[str, Any], repeated: int) -> str:
    """The values of a cell along the columns, one per line."""
    if point and set(point) <= set(REPETITION) and not repeated:
        return "no repeats"
    return "\n".join(describe({name: value}) for name, value in point.items())


def trace_rows(here: xr.Dataset, repeated: int) -> tuple[pd.DataFrame, dict[str, int]]:
    """The lines of one cell, and what its features and repeated samples came to.

    Columns: kind, fate, index, step, value, x and y (NaN), as in the table of the figure `history`;
    a cell without a history has one empty row. The numbers: learned, forgotten, features, corners,
    samples and largest, explained there too.
    """
    steps = here["step"].values
    features, at, numbers_of = _history(here, "feature")
    peak, fate = features.max(axis=0, initial=0.0), fates(features)
    parts = [_line("feature", fate[i], numbers_of[i], at, features[:, i]) for i in _top(peak)]
    numbers = _came_to(features)

    samples, at, numbers_of = _history(here, "sample")
    peak, end = samples.max(axis=0, initial=0.0), samples[-1:].sum(axis=0)
    often = numbers_of < repeated
    fate = np.where(often, "repeated", "once")
    chosen = [*_top(np.where(often, peak, -1))[: often.sum()]]
    chosen += [*_top(np.where(often, -1, peak))[: (~often).sum()]]
    parts += [_line("sample", fate[i], numbers_of[i], at, samples[:, i]) for i in chosen]
    largest = often[np.argsort(-end, kind="stable")[:repeated]]
    numbers |= {"samples": int((end[often] > STANDS_OUT).sum()), "largest": int(largest.sum())}

    for split in ("train", "test"):
        loss = here[f"history_{split}_loss"].values.astype(float)
        finite = np.isfinite(loss)
        parts.append(_line("loss", split, -1, steps[finite], loss[finite]))
    parts = [part for part in parts if len(part)]
    empty = _line("loss", "train", -1, np.array([-1]), np.array([np.nan]))
    return pd.concat(parts or [empty], ignore_index=True), numbers


def seed_means(here: xr.Dataset) -> dict[str, float]:
    """Over the seeds of one column that have a history: how many, and the means of two numbers.

    seeds, mean_forgotten, mean_corners, explained in the table of the figure `history`.
    """
    each = here.stack(each=[axis for axis in SEEDS if axis in here["verdict"].dims])
    histories = [_history(each.isel(each=i), "feature")[0] for i in range(each.sizes["each"])]
    counts = [_came_to(features) for features in histories if len(features)]
    means = {
        f"mean_{name}": float(np.mean([count[name] for count in counts])) if counts else np.nan
        for name in ("forgotten", "corners")
    }
    return {"seeds": len(counts), **means}


def _came_to(features: np.ndarray) -> dict[str, int]:
    """What the features of a cell came to, from their D (step, feature)."""
    fate, end = fates(features), features[-1:].sum(axis=0)
    return {
        "learned": int((fate != "never").sum()),
        "forgotten": int((fate == "forgotten").sum()),
        "features": int((end > STANDS_OUT).sum()),
        "corners": int((end > CORNER).sum()),
    }


def _history(here: xr.Dataset, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """D (step, vector) of the vectors that the cell has, its recorded steps, their numbers."""
    D = here[VARIABLES[kind]].values.astype(float)
    steps, number = measured_part(D)
    return D[np.ix_(steps, number)], here["step"].values[steps], number


def _top(peak: np.ndarray) -> np.ndarray:
    return np.argsort(-peak, kind="stable")[:LINES]


def _line(kind: str, fate: str, index: int, steps: np.ndarray, values: np.ndarray) -> pd.DataFrame:
    frame = pd.DataFrame({"kind": kind, "fate": fate, "index": index, "step": steps})
    return frame.assign(value=values, x=np.nan, y=np.nan)


def final_rows(cell: Any, repeated: int) -> pd.DataFrame:
    """The longest final vectors and a spread of the others; all repeated samples."""
    parts = []
    for kind, array in (("feature", np.asarray(cell.W).T), ("hidden", np.asarray(cell.H))):
        index, _ = representative(np.linalg.norm(array, axis=1), LONGEST, SPREAD)
        if kind == "hidden":
            index = np.union1d(index, np.arange(min(repeated, len(array))))
        fate = np.where(index < repeated, "repeated", "once") if kind == "hidden" else ""
        points = {"x": array[index, 0].astype(float), "y": array[index, 1].astype(float)}
        frame = pd.DataFrame({"kind": f"{kind} vector", "fate": fate, "index": index, **points})
        parts.append(frame.assign(step=-1, value=np.nan))
    return pd.concat(parts, ignore_index=True)
