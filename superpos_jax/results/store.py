"""The store on disk: `result.zarr` in a folder, or an archive, holds a table of cells.

Format 2, which version 0.1 wrote, held arrays over a grid; it is made a table when it is read.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import warnings
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import BloscCodec
from zarr.errors import ZarrUserWarning
from zarr.storage import LocalStore, ZipStore

from superpos_jax.errors import UserError
from superpos_jax.results import attributes
from superpos_jax.results.admission import admit
from superpos_jax.results.cells import cells_of, numbers_of
from superpos_jax.results.registry import load_study, refuse_unnamed
from superpos_jax.results.runs import axes as axes_of
from superpos_jax.results.view import ARCHIVED, FORMAT, flattened, noted
from superpos_jax.text import few, first_line

STORE = "result.zarr"
OLD, NEW = ".result.zarr.old", ".result.zarr.new"
LEFT = ".left"
"""How the names of folders end, before a number, that could not be removed yet."""
READS = 3
"""A store that is replaced while it is read is read again, so often at most."""
PACKED = BloscCodec(cname="zstd", clevel=5, shuffle="shuffle")
"""Bytes of like weight side by side: exponents of floats are much the same, and pack."""
ATTRIBUTES = ""
"""The name under which the checksum of the attributes is kept, beside those of arrays."""
OF_A_GRID = 2
"""The format of version 0.1."""


def refuse_elsewhere(path: Path) -> None:
    """Refuse an address such as gs://bucket/x, which a path has with one slash.

    Raises:
        UserError: it is one.
    """
    if re.match(r"[a-z][a-z0-9+.-]+:(/|$)", path.as_posix()):
        raise UserError(f"{path}: allowed: a folder of this machine; copy what is elsewhere")


def read_table(path: Path) -> xr.Dataset:
    """The table of a result folder or of an archive (`.zip`), with the cells that are hidden.

    Raises:
        UserError: the folder holds no readable result.
    """
    refuse_elsewhere(path)
    if path.suffix == ".zip":
        if not path.exists():
            raise UserError(f"{path}: no such archive")
        return noted(_read(path), **{ARCHIVED: True})
    return _patiently(path, _read)


def read_attributes(folder: Path) -> xr.Dataset:
    """A dataset without arrays, with the attributes of the store in a result folder.

    Raises:
        UserError: the folder holds no readable result.
    """
    return _patiently(folder, _read_attributes)


def write_table(table: xr.Dataset, folder: Path, *, consolidated: bool = True) -> Path:
    """Write `result.zarr` in a folder; readers see the old store or the whole new one.

    Args:
        table: with the attributes of a store.
        folder: of the result.
        consolidated: whether what is said of all arrays is written in one place as well, where
            xarray looks for it first; this package does not read it.
    """
    mend(folder)
    remove(folder / NEW)
    table = table.assign({name: one_nan(array) for name, array in table.data_vars.items()})
    sealed = table.assign_attrs(
        crc32=json.dumps(_checksums(table) | {ATTRIBUTES: _attributes_sum(table.attrs)})
    )
    encoding = {name: {"compressors": (PACKED,)} for name in sealed.data_vars}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Consolidated metadata is", ZarrUserWarning)
        sealed.to_zarr(
            folder / NEW, mode="w", consolidated=consolidated, zarr_format=3, encoding=encoding
        )
    fsync_tree(folder / NEW)  # its bytes are on the disk before it takes the old one's place
    if (folder / STORE).exists():
        (folder / STORE).rename(folder / OLD)
    (folder / NEW).rename(folder / STORE)
    fsync(folder)
    remove(folder / OLD)
    return folder / STORE


def remove(path: Path) -> None:
    """Remove a folder, or the file or link that is in its place.

    NFS keeps a file that somebody reads, under another name, and its folder with it: what is left
    is moved out of the way, and removed another time.
    """
    if path.is_symlink() or path.is_file():
        path.unlink()
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        places = (path.with_name(f".{path.name.lstrip('.')}{LEFT}{i}") for i in itertools.count())
        path.rename(next(place for place in places if not place.exists()))


def mend(folder: Path) -> None:
    """Finish what a `write_table` left that was killed between its two renames."""
    if (folder / OLD).is_dir():
        if not (folder / STORE).exists():
            (folder / NEW if (folder / NEW).is_dir() else folder / OLD).rename(folder / STORE)
        remove(folder / OLD)
    for left in folder.glob(f".*{LEFT}[0-9]*"):
        shutil.rmtree(left, ignore_errors=True)


def fsync_tree(root: Path) -> None:
    """Wait until the files and folders below a folder are on the disk."""
    for folder, _, files in os.walk(root):
        for name in files:
            fsync(Path(folder, name))
        fsync(Path(folder))


def fsync(path: Path) -> None:
    """Wait until a file or folder is on the disk; an error of the disk is raised here."""
    if path.is_dir() and os.name != "posix":
        return  # Windows opens no folders
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _place(folder: Path) -> Path:
    """Where the store of a folder lies, in the moment between two renames too."""
    between = [folder / NEW, folder / OLD] if (folder / OLD).is_dir() else []
    for place in (folder / STORE, *between):
        if place.is_dir():
            return place
    inside = sorted(path.parent.name for path in folder.glob(f"*/{STORE}"))
    there = f"; in it: {', '.join(few(inside))}" if inside else ""
    raise UserError(f"{folder}: no result here; expected a folder that holds {STORE}{there}")


def _patiently(folder: Path, read: Callable[[Path], xr.Dataset]) -> xr.Dataset:
    """What a function reads of the store of a folder, which may be replaced meanwhile."""
    for _ in range(READS):
        try:
            return read(_place(folder))
        except UserError as error:
            reason = error
    raise reason


def _read_attributes(store: Path) -> xr.Dataset:
    try:
        admit(store)
        said = dict(zarr.open_group(LocalStore(store), mode="r", zarr_format=3).attrs)
        expected = json.loads(str(said.pop("crc32")))
        own = _attributes_sum(said)
        if expected.get(ATTRIBUTES, own) != own:
            raise ValueError("damaged: its attributes")
        attributes.read(said)
    except Exception as error:  # whatever a damaged file makes a reader say
        raise _unreadable(store, error) from None
    return xr.Dataset(attrs=said)


def _unreadable(store: Path, error: Exception) -> UserError:
    return UserError(f"{store}: not a readable result ({first_line(error)})")


def _read(store: Path) -> xr.Dataset:
    try:
        admit(store)
        with ZipStore(store, mode="r") if store.suffix == ".zip" else LocalStore(store) as files:
            dataset = xr.open_zarr(files, consolidated=False, zarr_format=3, chunks=None)
            dataset = _loaded(dataset).drop_encoding()
        version = int(dataset.attrs["format"])
        if version in (FORMAT, OF_A_GRID):
            expected = json.loads(dataset.attrs.pop("crc32"))
            said = _attributes_sum(dataset.attrs)
            if expected.pop(ATTRIBUTES, said) != said:
                raise ValueError("damaged: its attributes")
            read = _checksums(dataset)
            if wrong := [name for name in expected if read.get(name) != expected[name]]:
                raise ValueError(f"damaged: {', '.join(wrong)}")
            dataset = dataset[list(expected)]  # as they were written; zarr lists them at random
            table = _of_a_grid(dataset) if version == OF_A_GRID else _current(dataset)
    except UserError as error:
        raise UserError(f"{store}: {error}") from None
    except Exception as error:  # whatever a damaged file makes a reader say
        raise _unreadable(store, error) from None
    if version not in (FORMAT, OF_A_GRID):
        age = "a newer" if version > FORMAT else "an older"
        raise UserError(
            f"{store}: written by {age} version (format {version}); this one reads {OF_A_GRID} "
            f"and {FORMAT}"
        )
    return table


def _loaded(dataset: xr.Dataset) -> xr.Dataset:
    """The dataset in memory.

    Raises:
        ValueError: an array cannot be read.
    """
    for name, variable in dataset.variables.items():
        try:
            variable.load()
        except Exception as error:  # whatever a damaged file makes a reader say
            raise ValueError(f"damaged: {name}: {first_line(error)}") from None
    return dataset


def _current(table: xr.Dataset) -> xr.Dataset:
    """A table as it was read, with the numbers that the study has got since."""
    said, study = attributes.read(table.attrs), study_of(table)
    attributes.refuse_unknown(table, study, said)
    numbers = numbers_of(study, cells_of(table, study))
    return table.assign_coords({name: ("cell", values) for name, values in numbers.items()})


def _of_a_grid(dataset: xr.Dataset) -> xr.Dataset:
    """The table of a store of version 0.1."""
    attributes.read(dataset.attrs)
    study, axes = study_of(dataset), axes_of(dataset)
    fixed = json.loads(dataset.attrs["cell"])
    points = itertools.product(*(dataset[axis].values.tolist() for axis in axes))
    cells = [study.Cell(**fixed, **dict(zip(axes, point, strict=True))) for point in points]
    table = flattened(dataset, axes, study, cells)
    return table.assign_attrs(format=FORMAT, swept=json.dumps(sorted(axes)))


def study_of(dataset: xr.Dataset) -> Any:
    """The study of a result, with its options."""
    refuse_unnamed(dataset.attrs["study"])
    study = load_study(dataset.attrs["study"])
    return study(study.Options(**json.loads(dataset.attrs["options"])))


def one_nan(array: xr.DataArray) -> xr.DataArray:
    """The array with equal bits for all NaN: 0/0 has another sign than the NaN that zarr fills in
    for a chunk that holds nothing else, and checksums tell them apart."""
    if array.dtype.kind != "f":
        return array
    return array.copy(data=np.where(np.isnan(array), array.dtype.type(np.nan), array))


def _checksums(dataset: xr.Dataset) -> dict[str, int]:
    """A number for the bytes of each array: a lost or mixed-up file does not go unnoticed."""
    arrays = {str(name): np.ascontiguousarray(dataset[name].values) for name in dataset.variables}
    return {name: zlib.crc32(array.tobytes()) for name, array in arrays.items()}


def _attributes_sum(attrs: Mapping[Any, Any]) -> int:
    """A checksum of a dataset's attributes, without the list of coordinates that xarray adds."""
    said = {name: value for name, value in attrs.items() if name not in ("crc32", "coordinates")}
    return zlib.crc32(json.dumps(said, sort_keys=True, default=str).encode())
