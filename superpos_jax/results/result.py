"""Results: one labelled array per quantity, one dimension per swept axis."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from zarr.codecs import BloscCodec
from zarr.storage import LocalStore, ZipStore

from superpos_jax.engine.verdicts import DIVERGED, FINISHED, NON_FINITE, UNFINISHED
from superpos_jax.errors import UserError
from superpos_jax.results import records
from superpos_jax.results.registry import labels_of
from superpos_jax.text import counted

if TYPE_CHECKING:
    from superpos_jax.results.grid import Grid
    from superpos_jax.results.sweep import Sweep

STORE = "result.zarr"
OLD, NEW = ".result.zarr.old", ".result.zarr.new"
READS = 3
"""A store that is replaced while it is read is read again, so often at most."""
PACKED = BloscCodec(cname="zstd", clevel=5, shuffle="shuffle")
"""Bytes of like weight side by side: exponents of floats are much the same, and pack."""


class Result:
    """A trained sweep, or one that is still training.

    Attributes:
        dataset: `xarray.Dataset`, dimensions named as the swept axes. `verdict` says how each cell
            ended; the losses of an unfinished cell are those so far.

    >>> import superpos_jax as sp
    >>> result = sp.run(sp.Sweep(
    ...     axes=dict(T=[3, 5], seed=range(2)), cell=dict(steps=20, S=0.9), options=dict(n=50)
    ... ))
    >>> dict(result.dataset.test_loss.sizes)
    {'T': 2, 'seed': 2}
    >>> result.cell(T=3, seed=1).X.shape
    (3, 50)
    """

    def __init__(self, dataset: xr.Dataset) -> None:
        self.dataset = dataset

    @property
    def name(self) -> str:
        """Name of the sweep."""
        return str(self.dataset.attrs["name"])

    @cached_property
    def sweep(self) -> Sweep:
        """The sweep that made this result."""
        from superpos_jax.results.sweep import Sweep

        return Sweep(**json.loads(self.dataset.attrs["sweep"]))

    @cached_property
    def _grid(self) -> Grid:
        return self.sweep.grid()

    @property
    def axes(self) -> tuple[str, ...]:
        """The swept axes, in the order of the sweep file."""
        return tuple(str(dim) for dim in self.dataset["verdict"].dims)

    def cell(self, **point: Any) -> Any:
        """One cell as numpy, named by its values of the swept axes; data regenerated from keys.

        For the study double_descent: X (T, n), W (m, n), b (n,), H (T, m), W0 and b0. A value may
        be a name, as `reduction="mean"`.

        Raises:
            UserError: an axis is missing, unknown, or has no such value; the cell is unfinished.
        """
        values = self.at(**point)
        if int(values["verdict"]) == UNFINISHED:
            raise UserError(f"cell: {_words(point)} is not trained yet")
        stored = {str(name): values[name].values for name in values.data_vars}
        return self._grid.study.inspect(self.trained_cell(**point), stored)

    def trained_cell(self, **point: Any) -> Any:
        """The numbers a cell was trained with: the sweep's, or those of its last retry."""
        values = self.at(**point)
        record = {str(name): values[name] for name in values.data_vars}
        own = {axis: values[axis].item() for axis in self.axes}  # T=5.0 names the T of 5
        return records.as_trained(self._grid.cell(**own), record)

    def at(self, **point: Any) -> xr.Dataset:
        """The values of one cell, named by its values of the swept axes."""
        axes = self.axes
        labels = labels_of(self.dataset)
        point = {axis: labels.number(axis, value) for axis, value in point.items()}
        if set(point) != set(axes):
            wanted = (
                f"one value for each of {', '.join(axes)}" if axes else "nothing: it is one cell"
            )
            raise UserError(f"cell: give {wanted}")
        for axis, value in point.items():
            values = self.dataset[axis].values.tolist()
            if value not in values:
                raise UserError(f"cell: {axis}={value!r} was not swept; allowed: {values}")
        return self.dataset.sel(point)

    def best(self, axis: str = "init_seed", by: str = "train_loss") -> Best:
        """Of several trainings along an axis, the one that has the smallest `by`; see `Best`.

        Raises:
            UserError: the axis was not swept.
        """
        if axis not in self.axes:
            raise UserError(f"best: {axis} was not swept; allowed: {', '.join(self.axes)}")
        if by not in self.dataset:
            raise UserError(f"best: no cell has a {by} yet")
        if set(self.dataset[by].dims) != set(self.axes):
            raise UserError(f"best: {by} is not one number a cell")
        return Best(self, axis, by)

    def count(self, verdict: int) -> int:
        """How many cells ended so (`FINISHED`, ...)."""
        return int((self.dataset["verdict"] == verdict).sum())

    def dead(self) -> list[dict[str, Any]]:
        """The cells that became non-finite: their axes' values, verdict and step of death."""
        return list(records.ended_as(self.dataset, NON_FINITE))

    def diverged(self) -> list[dict[str, Any]]:
        """The cells whose training loss is finite but ended far above its start."""
        return list(records.ended_as(self.dataset, DIVERGED))

    def save(self, folder: str | Path) -> Path:
        """Write `result.zarr` in a folder; readers see the old store or the whole new one."""
        folder = Path(folder)
        mend(folder)
        remove(folder / NEW)
        sealed = self.dataset.assign_attrs(
            crc32=json.dumps(_checksums(self.dataset), sort_keys=True)
        )
        encoding = {name: {"compressors": (PACKED,)} for name in sealed.data_vars}
        sealed.to_zarr(folder / NEW, mode="w", consolidated=False, zarr_format=3, encoding=encoding)
        if hasattr(os, "sync"):
            os.sync()  # its bytes are on the disk before it takes the old one's place
        if (folder / STORE).exists():
            (folder / STORE).rename(folder / OLD)
        (folder / NEW).rename(folder / STORE)
        remove(folder / OLD)
        return folder / STORE


class Best(Result):
    """A result without one of its axes: of the cells along it the one with the smallest loss.

    The paper keeps, of several initialisations on one data set, the one with the lowest training
    loss ("best of several", Henighan et al., 2023). Cells that died or are not trained to their end
    are chosen only where there is no other; of equal ones the first. `dataset[axis]` says which,
    and the attribute `best` that it is one.

    >>> import superpos_jax as sp
    >>> result = sp.run(sp.Sweep(
    ...     axes=dict(T=[3, 5], init_seed=range(3)), cell=dict(steps=20, S=0.9), options=dict(n=50)
    ... ))
    >>> best = result.best("init_seed").dataset
    >>> bool((best.train_loss == result.dataset.train_loss.min("init_seed")).all())
    True
    """

    def __init__(self, whole: Result, axis: str, by: str = "train_loss") -> None:
        fit = whole.dataset["verdict"].isin((FINISHED, DIVERGED))
        loss = whole.dataset[by].where(fit, np.inf).fillna(np.inf)
        several = counted(loss.sizes[axis], labels_of(whole.dataset).axis(axis))
        said = f"of {several} that of lowest {by.replace('_', ' ')}"
        chosen = whole.dataset.isel({axis: loss.argmin(axis)}).assign_attrs(best=said)
        super().__init__(chosen)
        self._whole, self._axis = whole, axis

    def at(self, **point: Any) -> xr.Dataset:
        """The values of one cell, named by its values of the other axes."""
        return self._whole.at(**self._chosen(point))

    def cell(self, **point: Any) -> Any:
        """One cell as numpy, named by its values of the other axes."""
        return self._whole.cell(**self._chosen(point))

    def trained_cell(self, **point: Any) -> Any:
        """The numbers a cell was trained with."""
        return self._whole.trained_cell(**self._chosen(point))

    def save(self, folder: str | Path) -> Path:
        """Refused: a store is of whole sweeps."""
        raise UserError(f"{folder}: the best of a result is not stored; save the result itself")

    def _chosen(self, point: dict[str, Any]) -> dict[str, Any]:
        return point | {self._axis: super().at(**point)[self._axis].item()}


def remove(path: Path) -> None:
    """Remove a folder, or the file or link that is in its place."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)


def mend(folder: Path) -> None:
    """Finish what a `save` left that was killed between its two renames."""
    if (folder / OLD).is_dir():
        if not (folder / STORE).exists():
            (folder / NEW if (folder / NEW).is_dir() else folder / OLD).rename(folder / STORE)
        remove(folder / OLD)


def load(folder: str | Path) -> Result:
    """Read a result folder, or an archive (`.zip`): the cells of its sweep, trained or not.

    Raises:
        UserError: the folder holds no readable result.
    """
    dataset = load_all(Path(folder))
    result = Result(dataset)
    grid = result.sweep.grid()
    if all(grid.axes.get(a) == tuple(dataset[a].values.tolist()) for a in result.axes):
        return result
    known = records.take_apart(dataset, stored_grid(dataset))  # some values are hidden
    shown = {cell: known[cell] for cell in grid.cells if cell in known}
    return Result(records.build(result.sweep, grid, shown, records.provenance(dataset)))


def load_all(folder: Path) -> xr.Dataset:
    """The whole store, with the values that the present sweep hides.

    Raises:
        UserError: the folder holds no readable result.
    """
    if folder.suffix == ".zip":
        if not folder.exists():
            raise UserError(f"{folder}: no such archive")
        return _read(folder)
    for _ in range(READS):
        between = [folder / NEW, folder / OLD] if (folder / OLD).is_dir() else []  # two renames
        store = next((path for path in (folder / STORE, *between) if path.is_dir()), None)
        if store is None:
            raise UserError(f"{folder}: no result here; expected a folder that holds {STORE}")
        try:
            return _read(store)
        except UserError as error:  # perhaps it was replaced meanwhile
            said = error
    raise said


def _read(store: Path) -> xr.Dataset:
    try:
        with ZipStore(store, mode="r") if store.suffix == ".zip" else LocalStore(store) as files:
            dataset = xr.open_zarr(files, consolidated=False, chunks=None).load()
        version = int(dataset.attrs["format"])
        if version == records.FORMAT:
            expected = json.loads(dataset.attrs.pop("crc32"))
            found = _checksums(dataset)
            if wrong := [name for name in expected if found.get(name) != expected[name]]:
                raise ValueError(f"damaged: {', '.join(wrong)}")
            for name in ("sweep", "cell", "provenance"):
                json.loads(dataset.attrs[name])
            Result(dataset).sweep.grid()
    except Exception as error:  # whatever a damaged file makes a reader say
        reason = str(error).partition("\n")[0]
        raise UserError(f"{store}: not a readable result ({reason})") from None
    if version != records.FORMAT:
        age = "a newer" if version > records.FORMAT else "an older"
        raise UserError(
            f"{store}: written by {age} version (format {version}); this one reads {records.FORMAT}"
        )
    return dataset


def _checksums(dataset: xr.Dataset) -> dict[str, int]:
    """A number for the bytes of each array: a lost or mixed-up file does not go unnoticed."""
    arrays = {str(name): np.ascontiguousarray(dataset[name].values) for name in dataset.variables}
    return {name: zlib.crc32(array.tobytes()) for name, array in arrays.items()}


def stored_grid(dataset: xr.Dataset) -> Grid:
    """The grid of all cells in a store, hidden ones too."""
    from superpos_jax.results.grid import Grid
    from superpos_jax.results.sweep import Sweep

    study = Sweep(**json.loads(dataset.attrs["sweep"])).grid().study
    axes = {str(dim): tuple(dataset[dim].values.tolist()) for dim in dataset["verdict"].dims}
    return Grid(study, json.loads(dataset.attrs["cell"]), axes)


def _words(point: dict[str, Any]) -> str:
    return ", ".join(f"{axis}={value!r}" for axis, value in point.items())
