"""A result as a table for other programs: one row per cell; as CSV, Parquet or netCDF."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from superpos_jax.engine.terms import STEP
from superpos_jax.errors import UserError
from superpos_jax.results.files import replacing
from superpos_jax.results.registry import labels_of

SUFFIXES = {"csv": ".csv", "parquet": ".parquet", "netcdf": ".nc", "zip": ".zip"}
"""Formats, and how their files end."""


def frame(dataset: xr.Dataset, axes: tuple[str, ...]) -> pd.DataFrame:
    """One row per cell: its values of the swept axes, and every single number of it.

    Codes are words (`verdict`: "finished"), and so is an axis if all of its values have names
    (`reduction`: "sum", "mean"). What a cell lacks is missing.

    Args:
        dataset: of a result.
        axes: its swept axes, the dimensions of a single number.
    """
    single = [name for name, array in dataset.data_vars.items() if array.dims == axes]
    table = dataset[single].drop_vars(STEP, errors="ignore")
    rows = table if axes else table.expand_dims("row")
    result = rows.to_dataframe().reset_index(drop=not axes)
    labels = labels_of(dataset)
    for name in map(str, result.columns):
        if words := _meanings(dataset[name]):
            result[name] = pd.Series(map(words.get, result[name]), result.index, "str")
        elif name in dataset.coords:
            names = [labels.called(name, value) for value in result[name]]
            if names and None not in names:
                result[name] = names
    return result


def _meanings(array: xr.DataArray) -> dict[int, str]:
    """What the values of a code mean, as the CF conventions write it; empty for a number."""
    words = str(array.attrs.get("flag_meanings", "")).split()
    values = np.atleast_1d(array.attrs.get("flag_values", range(len(words)))).tolist()
    return dict(zip(values, words, strict=True)) if array.dtype.kind in "iu" else {}


def write(dataset: xr.Dataset, axes: tuple[str, ...], path: Path, form: str) -> Path:
    """Write a result to a file, in place of what is there.

    CSV and Parquet have one row per cell. netCDF keeps the axes, single numbers and histories.

    Args:
        dataset: of a result.
        axes: its swept axes.
        path: of the file.
        form: "csv", "parquet" or "netcdf".

    Raises:
        UserError: Parquet without PyArrow.
    """
    if form == "parquet" and find_spec("pyarrow") is None:
        raise UserError(
            "--format parquet: needs PyArrow: pip install pyarrow; allowed without it: csv, netcdf"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        if form == "csv":
            frame(dataset, axes).to_csv(part, index=False)
        elif form == "parquet":
            frame(dataset, axes).to_parquet(part, engine="pyarrow", index=False)
        else:
            dims = {*axes, STEP}
            names = [name for name, array in dataset.data_vars.items() if {*array.dims} <= dims]
            dataset[names].to_netcdf(part, engine="scipy")
    return path


def format_of(path: Path | None, form: str | None) -> str:
    """The format to write: the one that is named, else that of the file's name, else CSV.

    Raises:
        UserError: neither; the file ends otherwise.

    >>> format_of(Path("cells.nc"), None), format_of(None, None), format_of(Path("a.b"), "csv")
    ('netcdf', 'csv', 'csv')
    """
    if form is not None:
        if form not in SUFFIXES:
            raise UserError(f"--format {form}: allowed: {', '.join(SUFFIXES)}")
        return form
    if path is None:
        return "csv"
    for name, suffix in SUFFIXES.items():
        if path.suffix == suffix:
            return name
    raise UserError(f"--out {path}: allowed: a name in {', '.join(SUFFIXES.values())}, or --format")
