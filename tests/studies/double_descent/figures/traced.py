"""Results with the histories and the vectors of every cell, made up cell by cell."""

import json
from types import SimpleNamespace

import numpy as np
import xarray as xr
from cells import CELL

DIMS = {
    "W": ("hidden", "feature"),
    "sample_dimensionality": ("sample",),
    "feature_dimensionality": ("feature",),
    "history_sample_dimensionality": ("step", "sample"),
    "history_feature_dimensionality": ("step", "feature"),
    "history_train_loss": ("step",),
    "history_test_loss": ("step",),
}
STEPS = np.array([0, 1, 10, 100, 1000])


class Traced:
    """`fill(cell)` gives the arrays of a cell by name; H is kept for `cell` alone.

    dead and training: indices of cells. Both lose what a trained cell reports; a dead one keeps its
    history up to step 10, one that trains up to step 100.
    """

    name = "traced"

    def __init__(self, axes, fill, dead=(), training=(), n=20, options=(), **cell):
        self.axes, self.found, self.calls = axes, {}, []
        shape = tuple(len(values) for values in axes.values())
        verdict = np.zeros(shape, np.int8)
        for mark, which in ((1, dead), (3, training)):
            for index in which:
                verdict[index] = mark
        fixed = {**CELL, "repeated": 0, "repeats": 1, **cell}
        for index in np.ndindex(shape):
            point = {axis: values[i] for i, (axis, values) in zip(index, axes.items(), strict=True)}
            arrays = fill(SimpleNamespace(**{**fixed, **point}))
            arrays = {name: np.array(array, float) for name, array in arrays.items()}
            if verdict[index]:
                late = {1: 10, 3: 100}[int(verdict[index])] < STEPS
                for name, array in arrays.items():
                    array[late if name.startswith("history") else ...] = np.nan
            self.found[index] = arrays
        variables = {"verdict": (tuple(axes), verdict)}
        for name in self.found[(0,) * len(shape)]:
            if name != "H":
                stacked = _stack([arrays[name] for arrays in self.found.values()])
                dims = (*axes, *DIMS.get(name, ()))
                variables[name] = (dims, stacked.reshape(*shape, *stacked.shape[1:]))
        held = {name: value for name, value in fixed.items() if name not in axes}
        attrs = {
            "study": "double_descent",
            "cell": json.dumps(held),
            "options": json.dumps({"n": n, **dict(options)}),
        }
        coords = {**axes, "step": STEPS}
        self.dataset = xr.Dataset(variables, coords=coords, attrs=attrs)

    def cell(self, **values):
        assert set(values) == set(self.axes)
        self.calls.append(values)
        index = tuple(list(self.axes[axis]).index(value) for axis, value in values.items())
        return SimpleNamespace(W=self.found[index]["W"], H=self.found[index]["H"])


def _stack(arrays):
    shape = np.max([array.shape for array in arrays], axis=0).astype(int)
    stacked = np.full((len(arrays), *shape), np.nan)
    for i, array in enumerate(arrays):
        stacked[(i, *map(slice, array.shape))] = array
    return stacked


def gon(k, radius=1.0):
    """The corners of a regular polygon: (k, 2)."""
    turn = 2 * np.pi * np.arange(k) / k
    return radius * np.stack([np.cos(turn), np.sin(turn)], axis=1)
