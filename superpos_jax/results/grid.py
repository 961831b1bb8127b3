"""Every cell of a sweep, checked: which dimensions there are, and what their values set."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np

from superpos_jax.engine.once import Once
from superpos_jax.engine.study import Study
from superpos_jax.engine.terms import ARM
from superpos_jax.errors import UserError
from superpos_jax.results import ranges
from superpos_jax.results.values import brief, checked, is_whole, nearest

MAX_CELLS = ranges.MOST

Number = int | float
Values = Sequence[Number | str] | str
"""Values of an axis as a sweep has them: listed, or as the text of a range."""


@dataclass(frozen=True)
class Grid:
    """The cells of a study: all combinations of the values of some dimensions.

    Attributes:
        study: with its options.
        base: fields that are the same in all cells, unless a dimension overrides them.
        axes: dimension -> its coordinates, in order. A choice is there by name.
        joint: dimension -> what each of its coordinates sets in a cell, for dimensions that set
            other fields than the one they are named after: arms, and values that go together.

    >>> from superpos_jax.results.sweep import Sweep
    >>> zipped = [dict(T=[10, 100], steps=[500, 900])]
    >>> grid = Sweep(zip=zipped, axes=dict(seed="range(3)")).grid()
    >>> grid.axes, grid.shape, sorted(grid.swept)
    ({'T': (10, 100), 'seed': (0, 1, 2)}, (2, 3), ['T', 'seed', 'steps'])
    >>> grid.cell(T=100, seed=2).steps
    900
    """

    study: Study
    base: Mapping[str, Number]
    axes: Mapping[str, tuple[Number | str, ...]]
    joint: Mapping[str, tuple[Mapping[str, Number], ...]] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each dimension."""
        return tuple(len(values) for values in self.axes.values())

    @cached_property
    def settings(self) -> Mapping[str, tuple[Mapping[str, Number], ...]]:
        """Dimension -> what each of its coordinates sets in a cell: fields and their numbers."""
        number = self.study.labels.number
        return {
            dim: self.joint.get(dim) or tuple({dim: number(dim, value)} for value in values)
            for dim, values in self.axes.items()
        }

    @cached_property
    def swept(self) -> frozenset[str]:
        """The fields of a cell that any dimension sets."""
        return frozenset(
            name for settings in self.settings.values() for setting in settings for name in setting
        )

    @cached_property
    def cells(self) -> tuple[Any, ...]:
        """One cell of host numbers per point of the grid; the last dimension runs fastest."""
        cell = self.study.Cell
        *slower, fastest = self.settings.values() or [({},)]
        cells = list[Any]()
        for point in itertools.product(*slower):
            numbers = dict(self.base)
            for setting in point:
                numbers |= setting
            cells += [cell(**{**numbers, **setting}) for setting in fastest]
        return tuple(cells)

    def points(self) -> Iterator[dict[str, Number | str]]:
        """The coordinates of each cell, in the order of `cells`."""
        for values in itertools.product(*self.axes.values()):
            yield dict(zip(self.axes, values, strict=True))

    def cell(self, **point: Any) -> Any:
        """The cell at one coordinate of every dimension; a choice is given by name or by number.

        Raises:
            UserError: a dimension is missing or unknown, or has no such coordinate.
        """
        refuse_point(point, self.axes)
        numbers = dict(self.base)
        for dim, value in point.items():
            numbers |= self.settings[dim][self._position(dim, value)]
        return self.study.Cell(**numbers)

    def coordinates(self) -> dict[str, tuple[tuple[str], np.ndarray]]:
        """What xarray needs to label the dimensions: name -> dimension, values.

        A dimension of values that go together has a coordinate for each of their fields.
        """
        labels = self.study.labels
        coordinates = {dim: ((dim,), np.asarray(values)) for dim, values in self.axes.items()}
        for dim, settings in self.joint.items():
            for name in settings[0] if dim in settings[0] else ():  # arms differ in their fields
                shown = [labels.shown(name, setting[name]) for setting in settings]
                coordinates[name] = ((dim,), np.asarray(shown))
        return coordinates

    def replacements(self, given: Mapping[str, Any]) -> dict[str, Number]:
        """Checked values for single cells, in place of the sweep's.

        Raises:
            UserError: an unknown field, a swept one, or a value out of its limits.
        """
        names = tuple(name for name in self.study.cell_fields() if name not in self.swept)
        for key in given:
            if key in self.swept:
                raise UserError(f"--set {key}: an axis of this result; its cells keep their labels")
            if key not in names:
                raise UserError(f"--set {key}: unknown or not of one cell; {nearest(key, names)}")
        return {key: checked(self.study, f"--set {key}", key, v) for key, v in given.items()}

    def _position(self, dim: str, value: Any) -> int:
        labels, values = self.study.labels, self.axes[dim]
        try:
            return values.index(labels.shown(dim, labels.number(dim, value)))
        except ValueError:
            raise UserError(
                f"cell: {dim}={value!r} was not swept; allowed: {list(values)}"
            ) from None


def make_grid(
    study: Study,
    axes: Mapping[str, Values],
    zips: Sequence[Mapping[str, Values]] = (),
    arms: Mapping[str, Mapping[str, Number | str]] = {},
    cell: Mapping[str, Number | str] = {},
) -> Grid:
    """Check the tables of a sweep, and give the grid they describe: arms first, then zips, axes.

    Args:
        study: with its options.
        axes: field -> values.
        zips: tables of equally long values that go together.
        arms: name -> fields and their values.
        cell: values of all cells.

    Raises:
        UserError: with the first wrong field, and what is allowed.
    """
    _refuse_names(study, axes, zips, arms, cell)
    for name, value in cell.items():
        if ranges.is_call(value) and value not in study.labels.names(name):
            raise UserError(f"cell.{name} = {value!r}: allowed: one number; a range is in [axes]")
    base = {name: checked(study, f"cell.{name}", name, value) for name, value in cell.items()}
    coordinates: dict[str, tuple[Number | str, ...]] = {}
    joint: dict[str, tuple[Mapping[str, Number], ...]] = {}
    if arms:
        coordinates[ARM], joint[ARM] = tuple(arms), _arms(study, arms, base)
    tables = [(f"zip[{i}]", table) for i, table in enumerate(zips)]
    tables += [("axes", {name: values}) for name, values in axes.items()]
    for where, table in tables:
        settings, dim = _settings(study, where, table), next(iter(table))
        coordinates[dim] = tuple(study.labels.shown(dim, setting[dim]) for setting in settings)
        _refuse_twice(f"{where}.{dim}", coordinates[dim])
        if len(table) > 1:
            joint[dim] = settings
    grid = Grid(study, base, coordinates, joint)
    if math.prod(grid.shape) > MAX_CELLS:
        raise UserError(f"axes: more than {MAX_CELLS:,} cells; give fewer values")
    return grid


def refuse_point(point: Mapping[str, Any], axes: Collection[str]) -> None:
    """Refuse to name a cell by anything but one value for each axis.

    Raises:
        UserError: a value is missing, or is of no axis.
    """
    if {*point} != {*axes}:
        names = ", ".join(axes)
        wanted = f"one value for each of {names}" if names else "nothing: it is one cell"
        lacks = [f"{axis} is missing" for axis in axes if axis not in point]
        more = [f"{name} was not swept" for name in point if name not in axes]
        raise UserError(f"cell: {', '.join([*more, *lacks])}; give {wanted}")


def refuse_wrong(study: Study, cells: Iterable[Any]) -> None:
    """Refuse cells whose numbers do not go together.

    Raises:
        UserError: with the first one's reason.
    """
    if reason := next(filter(None, map(Once(study.wrong), cells)), ""):
        raise UserError(f"cells: {reason}")


def _refuse_names(
    study: Study,
    axes: Mapping[str, Any],
    zips: Sequence[Mapping[str, Any]],
    arms: Mapping[str, Mapping[str, Any]],
    cell: Mapping[str, Any],
) -> None:
    """Refuse fields that are unknown, missing, or given twice."""
    names = study.cell_fields()
    of_axes = [("axes", name) for name in axes]
    of_zips = [(f"zip[{i}]", name) for i, zipped in enumerate(zips) for name in zipped]
    of_cell = [("cell", name) for name in cell]
    of_arms = [(f"arms.{arm}", name) for arm, settings in arms.items() for name in settings]
    for table, name in (*of_axes, *of_zips, *of_cell, *of_arms):
        if name in study.Options.model_fields and name not in names:
            raise UserError(
                f"{table}.{name}: an option, the same for all cells; it is in [options]"
            )
        if name not in names:
            raise UserError(f"{table}.{name}: unknown; {nearest(name, names)}")
    if () in map(tuple, zips):
        raise UserError("zip: a table is empty; allowed: fields and their values")
    if arms and ARM in names:
        raise UserError(f"arms: the cells of this study have a number {ARM!r}; allowed: no arms")
    everywhere = {name for _, name in (*of_axes, *of_zips, *of_cell)}
    for item in fields(study.Cell):
        if item.default is not MISSING or item.name in everywhere:
            continue
        without = [f"arms.{arm}" for arm, settings in arms.items() if item.name not in settings]
        if without or not arms:
            table = without[0] if 0 < len(without) < len(arms) else "cell"
            raise UserError(f"{table}.{item.name}: missing; it has no default")
    owners = dict.fromkeys(axes, "an axis")
    for table, name in (*of_zips, *of_cell, *of_arms):
        if name in owners:
            raise UserError(f"{table}.{name}: also {owners[name]}; give it once")
        if table.startswith("zip"):
            owners[name] = f"in {table}"


def _settings(
    study: Study, where: str, table: Mapping[str, Values]
) -> tuple[Mapping[str, Number], ...]:
    """What each value of a dimension sets; a table has a list of values for each of its fields."""
    columns = {}
    for name, values in table.items():
        if isinstance(values, str):
            try:
                values = ranges.expand(values, is_whole(study, name))
            except ValueError as error:
                raise UserError(f"{where}.{name} = {brief(values)}: {error}") from None
            if len(table) == 1:
                values = tuple(dict.fromkeys(values))  # rounding may have made them equal
        columns[name] = [
            checked(study, f"{where}.{name}[{i}]", name, value) for i, value in enumerate(values)
        ]
    (first, length), *others = ((name, len(column)) for name, column in columns.items())
    for name, other in others:
        if other != length:
            raise UserError(
                f"{where}: {length} values of {first}, {other} of {name}; they go together, "
                "give as many of each"
            )
    return tuple(
        dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
    )


def _refuse_twice(where: str, values: Sequence[Number | str]) -> None:
    """Refuse values that cells cannot tell apart: equal ones, or equal in float32."""
    given: dict[Number | str, Number | str] = {}
    for value in values:
        with np.errstate(over="ignore", under="ignore"):
            traced = float(np.float32(value)) if isinstance(value, float) else value
        if traced not in given:
            given[traced] = value
        elif given[traced] == value:
            raise UserError(f"{where}: {value!r} is given twice; values must differ")
        else:
            raise UserError(
                f"{where}: {given[traced]!r} and {value!r} are equal in float32, in which cells are"
                " trained; values must differ there"
            )


def _arms(
    study: Study, arms: Mapping[str, Mapping[str, Number | str]], base: Mapping[str, Number]
) -> tuple[Mapping[str, Number], ...]:
    """What each arm sets. No two may make the same cells."""
    settings = tuple(
        {name: checked(study, f"arms.{arm}.{name}", name, v) for name, v in table.items()}
        for arm, table in arms.items()
    )
    swept = {name for setting in settings for name in setting}
    defaults = {item.name: item.default for item in fields(study.Cell)}
    made: dict[tuple[Any, ...], str] = {}
    for arm, setting in zip(arms, settings, strict=True):
        numbers = tuple(
            sorted((k, v) for k, v in {**defaults, **base, **setting}.items() if k in swept)
        )
        if (same := made.setdefault(numbers, arm)) != arm:
            raise UserError(f"arms.{arm}: the same numbers as arms.{same}; arms must differ")
    return settings
