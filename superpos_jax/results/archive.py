"""A result in one small file: what its figures read, and nothing else.

An archive is a result store in a zip file. `superpos plot` and `superpos show` read it as they read
a folder. It keeps the single numbers of each cell and their histories. It keeps an array only if a
figure of the sweep reads it. Of a large array it keeps all values for the first seed, and a few of
the largest values for other seeds, in five digits.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from superpos_jax.results.cells import missing
from superpos_jax.results.files import replacing
from superpos_jax.results.result import Result
from superpos_jax.results.store import write_table
from superpos_jax.results.view import from_grid
from superpos_jax.text import seed_axes

LARGE = 1_500_000
"""Bytes from which an array is thinned."""
BITS = 16
"""After the leading one, of the numbers of a thinned array: half a unit is 7.6e-6 of a number."""


def thin(result: Result, arrays: Mapping[str, int], best: str = "", large: int = LARGE) -> Result:
    """The result without the arrays that are not named, and with less of the large ones, rounded.

    Args:
        result: of any study.
        arrays: name -> count, of the arrays to keep. A large one keeps all values of the cells that
            have the first value of every seed axis. Of other cells it keeps `count` values, the
            largest along its last dimension. Of a history it keeps `count` for all cells, those of
            the highest peaks.
        best: a seed axis along which the cell of lowest training loss is kept, not the first.
        large: bytes from which an array is thinned.

    >>> import superpos_jax as sp
    >>> cell = dict(T=3, steps=1, S=0.9)
    >>> sweep = sp.Sweep(axes=dict(seed=range(2)), cell=cell, options=dict(n=50))
    >>> small = thin(sp.run(sweep), {"feature_dimensionality": 4}, large=0).dataset
    >>> small.feature_dimensionality.count("feature").values
    array([50,  4])
    >>> "W" in small
    False
    """
    dataset, axes = result.dataset.copy(), result.axes
    seeds = seed_axes(axes)
    shown = xr.DataArray(True)
    for axis in seeds:
        value = result.best(axis).dataset[axis] if axis == best else dataset[axis][0]
        shown = shown & (dataset[axis] == value)
    for name, array in result.dataset.data_vars.items():
        if set(array.dims) <= {*axes, "step"}:
            continue
        if name not in arrays:
            dataset = dataset.drop_vars(str(name))
        elif array.nbytes > large:
            stays = _largest(array, arrays[str(name)])
            if "step" not in array.dims:
                stays = stays | shown
            kept = array.where(stays, missing(array.dtype)).astype(array.dtype)
            dataset[name] = kept.copy(data=rounded(kept.values))
    return Result(dataset, result.grid)


def rounded(values: np.ndarray) -> np.ndarray:
    """The nearest numbers of `BITS` bits, of float32; their last bytes are alike, and pack.

    >>> rounded(np.float32([0.123456789, -1000.01, np.inf, np.nan])).tolist()
    [0.12345695495605469, -1000.0078125, inf, nan]
    """
    if values.dtype != np.float32:
        return values
    unit = np.uint32(1 << (23 - BITS))
    bits = np.ascontiguousarray(values).view(np.uint32)
    rounded = ((bits + unit // 2) & ~(unit - 1)).view(np.float32)
    return np.where(np.isfinite(values) & np.isfinite(rounded), rounded, values)


def _largest(array: xr.DataArray, count: int) -> xr.DataArray:
    """Which entries along the last dimension are among the largest ones."""
    peaks = array.max("step") if "step" in array.dims else array
    order = np.argsort(-peaks.values, axis=-1, kind="stable")  # NaN last
    rank = np.argsort(order, axis=-1, kind="stable")
    return peaks.copy(data=rank) < count


def write(result: Result, path: Path) -> Path:
    """Write a result to a zip file, in place of what is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = from_grid(result.dataset, result.grid)
    with replacing(path) as part, tempfile.TemporaryDirectory() as folder:
        store = write_table(table, Path(folder), consolidated=False)
        with zipfile.ZipFile(part, "w") as archive:
            for file in sorted(path for path in store.rglob("*") if path.is_file()):
                # Without the time, equal results are equal files.
                name = file.relative_to(store).as_posix()
                archive.writestr(zipfile.ZipInfo(name), file.read_bytes())
    return path
