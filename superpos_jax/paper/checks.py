"""What the paper says, in numbers, against what was found.

A statement is a number computed from one stored result and the range in which the paper has it. Its
uncertainty is over seeds: seeds are drawn with replacement, and the middle 95 % of what they give
is compared with the range. Inside it the statement agrees, outside it differs, across its edge it
is undecided; and so it is where too few seeds leave no uncertainty.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from superpos_jax.result import Result, load
from superpos_jax.sweep import load_sweep
from superpos_jax.verdicts import DIVERGED, FINISHED

DRAWS = 200
FEWEST = 3
"""Seeds, from which on a spread over them means something."""
AGREES, DIFFERS, UNDECIDED = "agrees", "differs", "undecided"


class Statement(NamedTuple):
    """A sentence of the paper, as a number of one stored result."""

    key: str
    """The sweep: "paper/P6"."""
    text: str
    expected: str
    """What the paper has, in words."""
    within: tuple[float, float]
    """The number agrees in this range, ends included."""
    statistic: Callable[[xr.Dataset], float]
    """Of the trained cells; the others are NaN."""
    form: str = ".3g"
    reads: Mapping[str, int] = {}
    """Arrays that it needs, as `FigureSpec.arrays`; numbers one a cell are there anyway."""
    reason: str = ""
    """Why the number most likely differs, if it does."""


class Finding(NamedTuple):
    """A statement, judged."""

    key: str
    statement: str
    found: str
    """The number, and between which numbers it lies for other seeds."""
    expected: str
    verdict: str
    reason: str
    """Why it most likely differs; empty if it does not, or if nobody knows."""


def check(data: Path, statements: Sequence[Statement]) -> list[Finding]:
    """Judge all statements whose results are stored in a folder of archives.

    Args:
        data: as figures/data.
        statements: as `superpos_jax.paper.statements.STATEMENTS`.
    """
    results: dict[str, xr.Dataset | None] = {}
    found = []
    for statement in statements:
        if statement.key not in results:
            path = data / f"{load_sweep(statement.key).name}.zip"
            results[statement.key] = trained(load(path)) if path.exists() else None
        dataset = results[statement.key]
        if dataset is not None:
            found.append(judge(statement, dataset))
    return found


def judge(statement: Statement, dataset: xr.Dataset) -> Finding:
    """Compare the number of a result with the paper's.

    >>> losses = xr.DataArray([1.1, 1.2, 1.3, 1.2], {"seed": range(4)}, "seed")
    >>> mean = Statement("", "a bump", "about 1.2", (1.0, 1.4), lambda d: d.test_loss.mean())
    >>> judge(mean, xr.Dataset({"test_loss": losses})).found
    '1.2 (1.15 to 1.27)'
    """
    dataset = dataset[
        [name for name, array in dataset.items() if _small(array) or name in statement.reads]
    ]
    value = _number(statement, dataset)
    others = np.array([_number(statement, one) for one in resampled(dataset)])
    others = others[~np.isnan(others)]
    known = len(others) >= DRAWS / 2
    low, high = np.percentile(others, [2.5, 97.5], method="nearest") if known else (np.nan, np.nan)
    least, most = statement.within
    if np.isnan(value):
        verdict, text = UNDECIDED, "not known"
    elif not known:
        verdict, text = UNDECIDED, f"{value:{statement.form}} (one seed)"
    else:
        verdict = UNDECIDED
        if least <= low and high <= most and least <= value <= most:
            verdict = AGREES
        elif high < least or low > most:
            verdict = DIFFERS
        text = f"{value:{statement.form}} ({low:{statement.form}} to {high:{statement.form}})"
        if (count := _seeds(dataset)) < FEWEST:
            text += f", {count} seeds"
    reason = statement.reason if verdict == DIFFERS else ""
    return Finding(statement.key, statement.text, text, statement.expected, verdict, reason)


def _small(array: xr.DataArray) -> bool:
    """Whether it has one number a cell: axes of the grid have coordinates, histories have steps."""
    return all(dim in array.coords and dim != "step" for dim in array.dims)


def _number(statement: Statement, dataset: xr.Dataset) -> float:
    """The number, NaN where what it is about was not swept or not trained."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NaN where nothing is trained
        try:
            return float(statement.statistic(dataset))
        except (KeyError, ValueError):
            return float("nan")


def resampled(dataset: xr.Dataset) -> Iterator[xr.Dataset]:
    """The dataset with other seeds: as many as it has, drawn with replacement, again and again."""
    axes = _seed_axes(dataset)
    if _seeds(dataset) < 2:
        return
    rng = np.random.default_rng(0)
    for _ in range(DRAWS):
        yield dataset.isel({axis: rng.integers(size, size=size) for axis, size in axes.items()})


def trained(result: Result) -> xr.Dataset:
    """The dataset of a result with NaN for what is not trained to its end, or died."""
    fit = result.dataset["verdict"].isin((FINISHED, DIVERGED))
    return result.dataset.where(fit)


def _seed_axes(dataset: xr.Dataset) -> Mapping[str, int]:
    return {str(dim): n for dim, n in dataset.sizes.items() if str(dim).endswith("seed")}


def _seeds(dataset: xr.Dataset) -> int:
    return int(np.prod([*_seed_axes(dataset).values()], dtype=int))
