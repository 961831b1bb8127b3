"""Cells that several results hold: whether they have the same numbers in all of them.

Two cells of a study that have the same data, initial weights and updates (`Study.alike`) are one.
Where two results have other numbers of it, at most one of them holds what the present version
trains; an audit says which.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from superpos_jax.engine.study import DataSet, Study
from superpos_jax.engine.terms import CELL, STEP
from superpos_jax.engine.verdicts import UNFINISHED
from superpos_jax.results.cells import HISTORY, cells_of
from superpos_jax.results.store import read_table, study_of
from superpos_jax.results.view import provenance, swept
from superpos_jax.text import counted, written


class Overlap(NamedTuple):
    """Two results that have cells in common."""

    first: str
    """Its path."""
    second: str
    cells: int
    """How many cells both have trained to their end."""
    differing: int
    """How many of these have another number, or another history, in the second one."""
    largest: str
    """The largest difference and the cell that has it; empty if none differs."""
    trained: str
    """The commits that trained the cells that differ, and when; empty if none does."""
    elsewhere: int = 0
    """How many of those that differ were trained on another platform in the second one, a GPU and
    a CPU say, where nobody promises the same bits."""

    @property
    def strange(self) -> int:
        """How many differ though one platform trained them."""
        return self.differing - self.elsewhere


class _Trained(NamedTuple):
    """What a result holds of the cells that are trained to their end, arrays aside."""

    rows: Mapping[Hashable, int]
    """By study and what decides the training of a cell: its row in the table."""
    cells: Sequence[Any]
    table: xr.Dataset
    study: Study


def overlaps(paths: Iterable[Path]) -> list[Overlap]:
    """The pairs of results that have cells in common, in the order of the paths.

    Single numbers and their histories are compared, to the last digit, where both results have
    them and measure them on the same samples; arrays are not, since archives hold parts of them.

    Args:
        paths: of result folders or archives.

    Raises:
        UserError: one of them is not a readable result.
    """
    trained = {str(path): _trained(read_table(path)) for path in paths}
    pairs = []
    for (first, one), (second, other) in itertools.combinations(trained.items(), 2):
        common = [alike for alike in one.rows if alike in other.rows]
        if common:
            pairs.append(_compare(first, one, second, other, common))
    return pairs


def in_short(pairs: Sequence[Overlap]) -> str:
    """How many cells differ, in a sentence.

    >>> in_short([Overlap("P5", "P6", 44, 40, "", ""), Overlap("P6", "P7", 48, 0, "", "")])
    '92 cells are in two results, 40 of them with other numbers: in 1 of 2 pairs of results.'
    >>> in_short([Overlap("P6", "P7", 48, 0, "", "")])
    '48 cells are in two results, with the same numbers.'
    >>> in_short([Overlap("P3", "P5", 24, 24, "", "", elsewhere=24)])[-43:]
    ' 24 of these were trained on two platforms.'
    >>> in_short([])
    'No cell is in two of the results.'
    """
    if not pairs:
        return "No cell is in two of the results."
    cells, differing = (
        sum(numbers) for numbers in zip(*(pair[2:4] for pair in pairs), strict=True)
    )
    elsewhere = sum(pair.elsewhere for pair in pairs)
    worse = sum(pair.differing > 0 for pair in pairs)
    common = f"{counted(cells, 'cell')} {'is' if cells == 1 else 'are'} in two results"
    apart = f"{differing:,} of them with other numbers: in {worse} of {counted(len(pairs), 'pair')}"
    return (
        f"{common}, {apart} of results." if differing else f"{common}, with the same numbers."
    ) + (f" {elsewhere:,} of these were trained on two platforms." if elsewhere else "")


def _trained(table: xr.Dataset) -> _Trained:
    study = study_of(table)
    cells, ended = cells_of(table, study), np.flatnonzero(table["verdict"].values != UNFINISHED)
    rows: dict[Hashable, int] = {
        (study.name(), study.alike(cells[row])): row for row in ended.tolist()
    }
    single = [name for name, array in table.data_vars.items() if {*array.dims} <= {CELL, STEP}]
    return _Trained(rows, cells, table[single], study)


def _compare(
    first: str, one: _Trained, second: str, other: _Trained, common: Sequence[Hashable]
) -> Overlap:
    places = [one.rows[alike] for alike in common], [other.rows[alike] for alike in common]
    parts = [
        trained.table.isel({CELL: rows}) for trained, rows in zip((one, other), places, strict=True)
    ]
    if all(STEP in part.dims for part in parts):
        steps = np.intersect1d(parts[0][STEP].values, parts[1][STEP].values)
        parts = [part.sel({STEP: steps}) for part in parts]
    datasets = [_datasets(each, other, common[0]) for each, other in ((one, other), (other, one))]
    apart = {
        str(name): _apart(parts[0][name].values, parts[1][name].values)
        for name in parts[0].data_vars
        if name != "run" and name in parts[1] and _is_comparable(str(name), datasets)
    }
    differs = np.any([distance > 0 for distance in apart.values()], axis=0)
    largest = trained = ""
    if differs.any():
        name, place = _most_telling(apart)
        shown, axes = one.cells[places[0][place]], {*swept(one.table), *swept(other.table)}
        cell = one.study.labels.describe({axis: getattr(shown, axis) for axis in sorted(axes)})
        numbers = [part[name].values[place] for part in parts]
        largest = f"{name} {_in_words(numbers)}, {cell}"
        trained = " and ".join(_runs(part.isel({CELL: differs})) for part in parts)
    platforms = [_platforms(part) for part in parts]
    elsewhere = int((differs & (platforms[0] != platforms[1])).sum())
    return Overlap(first, second, len(common), int(differs.sum()), largest, trained, elsewhere)


def _apart(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(cells,) the largest distance of two numbers; what only one of them has is not a difference.

    >>> one = np.array([[1, np.nan], [np.inf, 2.5]])
    >>> _apart(one, np.array([[1, 3], [np.inf, 2]])).tolist()
    [0.0, 0.5]
    """
    with np.errstate(invalid="ignore"):
        apart = np.abs(one.astype(np.float64) - other)  # of equal infinities NaN
    return np.nan_to_num(apart, nan=0, posinf=np.inf).reshape(len(one), -1).max(axis=1, initial=0)


def _most_telling(apart: Mapping[str, np.ndarray]) -> tuple[str, int]:
    """The quantity that differs and tells most, a loss at the end if one differs; of which cell."""

    def telling(name: str) -> tuple[bool, bool, float]:
        return not name.startswith(HISTORY), name.endswith("_loss"), float(apart[name].max())

    name = max((name for name in apart if apart[name].any()), key=telling)
    return name, int(np.argmax(apart[name]))


def _in_words(numbers: Sequence[np.ndarray]) -> str:
    """Two numbers, or how far two histories are apart at most."""
    if numbers[0].ndim:
        return f"by {written(float(_apart(*(number[None] for number in numbers))[0]))}"
    short, exact = ([written(float(number), form) for number in numbers] for form in (".6g", ".9g"))
    return " and ".join(exact if short[0] == short[1] else short)


def _platforms(table: xr.Dataset) -> np.ndarray:
    """(cells,) the platform that trained each row of a table; "cpu" where none is noted."""
    runs = provenance(table)
    names = [run.get("device", "cpu").partition(":")[0] for run in runs]
    return np.array([names[i] if 0 <= i < len(names) else "cpu" for i in table["run"].values])


def _runs(table: xr.Dataset) -> str:
    """The commits of the runs that trained the rows of a table, each with its days."""
    runs = provenance(table)
    days: dict[str, list[str]] = {}
    for number in np.unique(table["run"].values).tolist():
        run = runs[number] if 0 <= number < len(runs) else {}
        day = str(run.get("started") or "").partition("T")[0]
        days.setdefault(run.get("commit") or "no noted commit", []).append(day)
    return ", ".join(
        f"{commit} ({' to '.join(sorted({min(own), max(own)}))})" if all(own) else commit
        for commit, own in days.items()
    )


def _datasets(one: _Trained, other: _Trained, alike: Hashable) -> Mapping[str, DataSet]:
    """The data sets of a cell; none where both have the same options, and so the same data."""
    if one.study.options == other.study.options:
        return {}  # to ask for them might read a corpus that is not here
    return one.study.datasets(one.cells[one.rows[alike]])


def _is_comparable(name: str, datasets: Sequence[Mapping[str, DataSet]]) -> bool:
    """Whether two results measure a number of the same samples; it names its data set.

    They do not where one has more test samples, or more draws of them at the end.

    >>> one, more = ({"test": DataSet("a", 9, more=keys)} for keys in ((), ("b",)))
    >>> [_is_comparable(n, (one, more)) for n in ("test_loss", "history_test_loss", "train_loss")]
    [False, True, True]
    """
    for dataset in {**datasets[0], **datasets[1]}:
        first, second = (each.get(dataset, DataSet(None, 0)) for each in datasets)
        if name.startswith(HISTORY):
            first, second = first._replace(more=()), second._replace(more=())
        if f"_{dataset}_" in f"_{name}_" and first != second:
            return False
    return True
