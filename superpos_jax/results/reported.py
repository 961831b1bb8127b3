"""What a study says of its cells, as columns of a table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from superpos_jax.engine.contract import refuse_taken, taken_names
from superpos_jax.engine.study import Study, Variable
from superpos_jax.errors import UserError
from superpos_jax.results.admission import NUMBERS
from superpos_jax.results.cells import Columns, missing, stack
from superpos_jax.text import counted

NAME = re.compile(r"\w+")
"""Of what a study reports: a folder of this name holds its values."""


def reported(
    study: Study,
    reports: Sequence[Mapping[str, Variable]],
    dead: np.ndarray,
    method: str = "report",
) -> Columns:
    """Columns of what a study reports of each cell; of dead ones only variables with `of_dead`.

    Args:
        study: whose method returned the reports.
        reports: one per cell.
        dead: (cells,) whether each has died.
        method: named in messages.

    Raises:
        UserError: it says something that no result can hold.
    """
    said = [_arrays(study, report, method) for report in reports]
    dims: dict[str, tuple[str, ...]] = {}
    attrs: dict[str, Mapping[str, Any]] = {}
    for report in reports:
        for name, variable in report.items():
            dims[name] = _same(name, dims.get(name), tuple(variable.dims))
            attrs.setdefault(name, dict(variable.attrs))
    columns: Columns = {}
    for name in dims:
        kind = np.result_type(*{arrays[name].dtype for arrays in said if name in arrays})
        nothing = np.full((0,) * len(dims[name]), missing(kind), kind)
        values = []
        for report, arrays, died in zip(reports, said, dead.tolist(), strict=True):
            value = arrays.get(name, nothing).astype(kind, copy=False)
            blank = died and name in report and not report[name].of_dead
            values.append(np.full_like(value, missing(kind)) if blank else value)
        columns[name] = dims[name], stack(values), attrs[name]
    return columns


def _arrays(study: Study, report: Mapping[str, Variable], method: str) -> dict[str, np.ndarray]:
    """What a study says of one cell, as numbers that a result can hold.

    Raises:
        UserError: it says something else.
    """
    wrong = f"study {type(study).__name__}: {method}: "
    if not isinstance(report, Mapping):
        raise UserError(f"{wrong}a {type(report).__name__}; allowed: a dict of Variables by name")
    taken = taken_names(study)
    arrays = {}
    for name, variable in report.items():
        if not (isinstance(name, str) and NAME.fullmatch(name)):
            raise UserError(f"{wrong}{name!r} is not a name; allowed: letters, digits and _")
        if not isinstance(variable, Variable):
            raise UserError(
                f"{wrong}{name} is a {type(variable).__name__};"
                " allowed: Variable(dims, values, attrs)"
            )
        refuse_taken(study, [name], f"{method}: ")
        values, dims = np.asarray(variable.values), variable.dims
        if values.dtype.name not in NUMBERS:
            raise UserError(
                f"{wrong}{name} holds {values.dtype.name}; allowed: numbers (of words their"
                " positions in attrs['flag_meanings'])"
            )
        words = str(variable.attrs.get("flag_meanings", "")).split()
        if len(words) != np.size(variable.attrs.get("flag_values", words)):
            raise UserError(
                f"{wrong}{name}: attrs['flag_meanings'] has {counted(len(words), 'word')}; allowed:"
                " one for each number in attrs['flag_values'], or no 'flag_values'"
            )
        if isinstance(dims, str) or len(dims) != values.ndim:
            raise UserError(
                f"{wrong}{name} is an array of {counted(values.ndim, 'dimension')}, its dims are"
                f" {dims!r}; allowed: a tuple, a name for each"
            )
        for key, value in variable.attrs.items():
            if not (isinstance(key, str) and _is_plain(value)):
                raise UserError(
                    f"{wrong}{name}: attrs[{key!r}] is a {type(value).__name__}; allowed: text,"
                    " numbers, lists of them, by name"
                )
        for dim in dims:
            if dim in taken or dim in report or dims.count(dim) > 1 or not isinstance(dim, str):
                raise UserError(
                    f"{wrong}{name}: its dims are {tuple(dims)}; allowed: other names than"
                    f" {dim!r}: none of a number of the cell or of a variable, and none twice"
                )
        arrays[name] = signed(values)
    return arrays


def _is_plain(value: Any) -> bool:
    """Whether a store can hold it as an attribute."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(inner) for key, inner in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float | np.generic | np.ndarray)


def _same(name: str, dims: tuple[str, ...] | None, others: tuple[str, ...]) -> tuple[str, ...]:
    """The dimensions of a column, which all of its cells share."""
    if dims not in (None, others):
        raise UserError(
            f"report: {name} has the dims {dims} in one cell, {others} in another; allowed: the"
            " same in all"
        )
    return others


def placed(parts: Sequence[tuple[Sequence[int] | np.ndarray, Columns]], count: int) -> Columns:
    """Columns of all cells, put together from those of parts; what no part says is missing.

    Args:
        parts: the places of some cells among all, and their columns.
        count: of all cells.

    Raises:
        UserError: a column has other dimensions in one part than in another.
    """
    dims: dict[str, tuple[str, ...]] = {}
    attrs: dict[str, Mapping[str, Any]] = {}
    for _, columns in parts:
        for name, (own_dims, _, own_attrs) in columns.items():
            dims[name] = _same(name, dims.get(name), own_dims)
            attrs.setdefault(name, own_attrs)
    result: Columns = {}
    for name in dims:
        own = [(places, columns[name][1]) for places, columns in parts if name in columns]
        kind = np.result_type(*(part.dtype for _, part in own))
        shape = np.max([part.shape[1:] for _, part in own], axis=0).astype(int).tolist()
        values = np.full((count, *shape), missing(kind), kind)
        for places, part in own:
            corner: list[Any] = [np.asarray(places), *map(slice, part.shape[1:])]
            values[tuple(corner)] = part
        result[name] = dims[name], values, attrs[name]
    return result


def signed(values: np.ndarray) -> np.ndarray:
    """Numbers in a type that has a value for missing ones."""
    if values.dtype.kind not in "bu":
        return values
    return values.astype(np.int64 if values.dtype.kind == "u" else np.int8)
