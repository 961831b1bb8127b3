"""What the paper says, in numbers, against what was found.

A statement is a number computed from one stored result and the range in which the paper has it. Its
uncertainty is over seeds: seeds are drawn with replacement, and the middle 95 % of what they give
is compared with the range. Inside it the statement agrees, outside it differs, across its edge it
is undecided; and so it is where too few seeds leave no uncertainty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from superpos_jax.result import load
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
    """Arrays, as `FigureSpec.arrays`, that no figure of the sweep reads."""


class Finding(NamedTuple):
    """A statement, judged."""

    key: str
    statement: str
    found: str
    """The number, and between which numbers it lies for other seeds."""
    expected: str
    verdict: str


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
            results[statement.key] = trained(load(path).dataset) if path.exists() else None
        dataset = results[statement.key]
        if dataset is not None:
            found.append(judge(statement, dataset))
    return found


def judge(statement: Statement, dataset: xr.Dataset) -> Finding:
    """Compare the number of a result with the paper's.

    >>> losses = xr.DataArray([1.1, 1.2, 1.3, 1.2], dims="seed")
    >>> mean = Statement("", "a bump", "about 1.2", (1.0, 1.4), lambda d: d.test_loss.mean())
    >>> judge(mean, xr.Dataset({"test_loss": losses})).verdict
    'agrees'
    """
    value = float(statement.statistic(dataset))
    others = np.array([statement.statistic(one) for one in resampled(dataset)], float)
    others = others[np.isfinite(others)]
    known = len(others) >= DRAWS / 2
    low, high = np.percentile(others, [2.5, 97.5]) if known else (np.nan, np.nan)
    least, most = statement.within
    if not np.isfinite(value):
        verdict, text = UNDECIDED, "-"
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
    return Finding(statement.key, statement.text, text, statement.expected, verdict)


def resampled(dataset: xr.Dataset) -> Iterator[xr.Dataset]:
    """The dataset with other seeds: as many as it has, drawn with replacement, again and again."""
    axes = _seed_axes(dataset)
    if _seeds(dataset) < 2:
        return
    rng = np.random.default_rng(0)
    for _ in range(DRAWS):
        yield dataset.isel({axis: rng.integers(size, size=size) for axis, size in axes.items()})


def trained(dataset: xr.Dataset) -> xr.Dataset:
    """The dataset with NaN for what is not trained to its end, or died."""
    fit = dataset["verdict"].isin((FINISHED, DIVERGED))
    numbers = [name for name, array in dataset.data_vars.items() if array.dtype.kind == "f"]
    whole = dataset[[*numbers, "regime"] if "regime" in dataset else numbers]
    return whole.where(fit)


def _seed_axes(dataset: xr.Dataset) -> Mapping[str, int]:
    return {str(dim): n for dim, n in dataset.sizes.items() if str(dim).endswith("seed")}


def _seeds(dataset: xr.Dataset) -> int:
    return int(np.prod([*_seed_axes(dataset).values()], dtype=int))
