"""A result in one small file: what its figures read, and nothing else.

An archive is a result store in a zip file, which `superpos plot` and `superpos show` read as they
read a folder. Numbers, one a cell, and their histories stay; of the arrays only those that the
sweep's figures read; and of an array that is large, the values of the first seed.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from superpos_jax.result import Result
from superpos_jax.study import load_study

LARGE = 1_000_000
"""Bytes from which an array is kept for the first value of each seed axis only."""


def thin(result: Result, arrays: Iterable[str], large: int = LARGE) -> Result:
    """The result without the arrays that are not named, and large ones for the first seed only.

    >>> import superpos_jax as sp
    >>> sweep = sp.Sweep(axes=dict(seed=range(2)), cell=dict(T=3, steps=1), options=dict(n=50))
    >>> small = thin(sp.run(sweep), ["W"], large=0).dataset
    >>> bool(small.W.sel(seed=0).isnull().any()), bool(small.W.sel(seed=1).isnull().all())
    (False, True)
    >>> "b" in small
    False
    """
    dataset, axes = result.dataset, set(result.axes)
    keep = set(arrays)
    for name, array in dataset.data_vars.items():
        if set(array.dims) <= {*axes, "step"}:
            continue
        if name not in keep:
            dataset = dataset.drop_vars(str(name))
        elif array.nbytes > large:
            for axis in axes.intersection(load_study(result.sweep.study).seeds):
                first = dataset[axis] == dataset[axis][0]
                dataset[name] = dataset[name].where(first).astype(array.dtype)
    return Result(dataset)


def write(result: Result, path: Path) -> Path:
    """Write a result to a zip file, in place of what is there."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(part, "w") as archive:
        store = result.save(folder)
        for file in sorted(path for path in store.rglob("*") if path.is_file()):
            # Without the time, equal results are equal files.
            archive.writestr(zipfile.ZipInfo(file.relative_to(store).as_posix()), file.read_bytes())
    os.replace(part, path)
    return path
