"""A result of two axes and seeds for pages: every number is a function of the axes."""

import json
from types import SimpleNamespace

import numpy as np
import xarray as xr

from superpos_jax.engine.verdicts import NON_FINITE, UNFINISHED

AXES = {"m": [3, 2], "T": [10, 100, 1000], "seed": [0, 1, 2]}
DIED, LEFT = {"m": 2, "T": 1000, "seed": 1}, {"m": 3, "T": 10, "seed": 2}
STEPS = [0, 1, 10, 100, 1000]
FEATURES = 12


class Made:
    """Losses that tell m, T and seed apart; one cell died, and one is not trained to its end."""

    def __init__(self, name="made"):
        self.name = name
        dims, shape = tuple(AXES), tuple(map(len, AXES.values()))
        m, T, seed = np.meshgrid(*AXES.values(), indexing="ij")
        loss = m + np.log10(T) / 10 + seed / 1000
        verdict = xr.DataArray(np.zeros(shape, np.int8), AXES, dims)
        verdict.loc[DIED], verdict.loc[LEFT] = NON_FINITE, UNFINISHED
        W = np.random.default_rng(0).normal(size=(*shape, 3, FEATURES))
        W[m == 2, 2] = np.nan
        variables = {
            "verdict": verdict,
            "died_at": (dims, np.where(verdict == NON_FINITE, 50, -1)),
            "test_loss": (dims, np.where(verdict == NON_FINITE, np.nan, loss)),
            "train_loss": (dims, loss / 10),
            "regime": (dims, seed.astype(np.int8), {"flag_meanings": "one two three"}),
            "history_test_loss": ((*dims, "step"), loss[..., None] + np.arange(5.0)),
            "history_train_loss": ((*dims, "step"), loss[..., None] / np.arange(1.0, 6.0)),
            "W": ((*dims, "hidden", "feature"), W),
            "feature_dimensionality": ((*dims, "feature"), np.abs(W[..., 0, :])),
        }
        attrs = {"study": "double_descent", "cell": json.dumps({"lr": 0.5}), "options": "{}"}
        self.dataset = xr.Dataset(variables, {**AXES, "step": STEPS}, attrs)

    def cell(self, **point):
        """As `Result.cell`: the rows of W that the cell has, and hidden vectors."""
        W = self.dataset["W"].sel(point).values[: point["m"]]
        return SimpleNamespace(W=W, H=np.eye(point["m"]) * 3.0)

    def trained_cell(self, **point):
        """As `Result.trained_cell`: here all numbers are axes."""
        return SimpleNamespace(**point)

    def loss(self, **point):
        return self.dataset["test_loss"].sel(point)
