"""What the figures of this study select: losses in units of the zero predictor, their setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from superpos_jax.drawing import select as drawing
from superpos_jax.drawing.select import Result
from superpos_jax.drawing.style import BLUE, VERMILLION
from superpos_jax.results.runs import failed, fixed, runs
from superpos_jax.text import NBSP, written

FEATURE, SAMPLE = BLUE, VERMILLION
"""The colours of features and of samples in every figure."""
SETTING = ("n", "m", "S", "steps", "lr", "weight_decay", "eps", "reduction")
VARIANTS = {"loss": 2, "untied": 0, "relu": 0, "online": 0}
"""What the setting names where it is not as usual."""
ERROR = "test_loss_error"
ROUNDING = 1e-6
"""Of the squares of a sample of norm 1 in float32, summed."""


def narrow(
    dataset: xr.Dataset,
    keep: tuple[str, ...],
    select: Mapping[str, Any],
    pool: tuple[str, ...] | None = None,
) -> tuple[xr.Dataset, dict[str, Any]]:
    """`drawing.select.narrow`, with losses in units of what predicting zero scores."""
    dataset, taken = drawing.narrow(dataset, keep, select, pool)
    return _scored(dataset, {**fixed(dataset), **taken}.get("loss", 2)), taken


def tidy(result: Result, frame: pd.DataFrame, taken: Mapping[str, Any]) -> pd.DataFrame:
    """`drawing.select.tidy`, with the setting that this study names."""
    held = fixed(result.dataset)
    named = {key: held[key] for key in SETTING if key in held}
    named |= {key: held[key] for key, usual in VARIANTS.items() if held.get(key, usual) != usual}
    return drawing.tidy(result, frame, taken, named)


def _scored(dataset: xr.Dataset, power: int) -> xr.Dataset:
    """Losses divided by what predicting zero scores on the test set.

    For the squared error that is the share of samples that are not empty: 1 but for a small n (1 -
    S). It says nothing of the training samples then, which may all have an entry.
    """
    if "zero_test_loss" not in dataset:
        return dataset
    powers = dataset["loss"] if "loss" in dataset.dims else xr.DataArray(power)
    zero = dataset["zero_test_loss"]
    zero = zero.where((powers != 2) | (abs(zero - 1) > ROUNDING), 1.0)
    scores = {"test": zero, "train": zero.where(powers != 2, 1.0)}
    names = {f"{prefix}{part}_loss": part for prefix in ("", "history_") for part in scores}
    names[ERROR] = "test"
    return dataset.assign(
        {name: dataset[name] / scores[part] for name, part in names.items() if name in dataset}
    )


def sample_errors(dataset: xr.Dataset, keep: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The standard error that test samples leave in a run's test loss: (*keep), by its column.

    The mean over the runs that did not fail. Nothing where a result has a single draw of them.
    """
    if ERROR not in dataset:
        return {}
    errors = runs(dataset[ERROR], keep).astype(float)
    counts = np.isfinite(errors) & ~failed(dataset, keep)
    total, count = np.where(counts, errors, 0).sum(-1), counts.sum(-1)
    return {ERROR: np.where(count > 0, total / np.maximum(count, 1), np.nan)}


def from_words(T: float) -> str:
    r"""A `crossing` of T in words.

    Example:
        >>> from_words(1234.5), from_words(0.0), from_words(float("inf"))
        ('from T\xa0≈\xa01,230 on', 'at every T', 'not up to the largest T')
    """
    if 0 < T < np.inf:
        return f"from T{NBSP}≈{NBSP}{written(T)} on"
    return "at every T" if T == 0 else "not up to the largest T"
