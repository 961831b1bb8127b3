"""Memoize a function of a cell on the hyperparameters that it reads.

A sweep of a million cells asks for a million layouts, and most are the same: no layout depends on
the learning rate. Which numbers matter no study says. It shows while a function is computed: a
number that is not read cannot change the value.
"""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Callable, Hashable
from dataclasses import fields
from operator import attrgetter
from typing import Any, Generic, TypeVar

import jax

T = TypeVar("T")
CELL, READ = "_watched_cell", "_numbers_read"
"""Attributes of a watched cell: whose numbers it has, and which of them were read."""


class Once(Generic[T]):
    """A function of a cell, computed once for all cells that agree in the numbers it reads.

    Args:
        function: of a cell, and of other hashable arguments; it depends on nothing else. If its
            value keeps the cell, all numbers of the cell count as read.

    >>> from superpos_jax.studies.double_descent.cell import Cell
    >>> asked = []
    >>> rows = Once(lambda cell: asked.append(cell.lr) or cell.T)
    >>> [rows(Cell(T=T, eps=eps)) for T in (5, 7) for eps in (1e-8, 1e-7)], len(asked)
    ([5, 5, 7, 7], 2)
    """

    def __init__(self, function: Callable[..., T]) -> None:
        self._function = function
        self._read: set[str] = set()
        self._numbers: Callable[[Any], Any] = lambda _: None
        self._values: dict[Any, T] = {}

    def __call__(self, cell: Any, *others: Hashable) -> T:
        """The value of the function."""
        key = self._numbers(cell), *others
        if key in self._values:
            return self._values[key]
        read: set[str] = set()
        twin = _watched(cell, read)
        value = self._function(twin, *others)
        watch = weakref.ref(twin)
        del twin
        if watch() is not None:  # the value holds it, and may read more of it later
            read.update(field.name for field in fields(cell))
        if not read <= self._read:
            self._read |= read
            self._numbers = attrgetter(*sorted(self._read))
            self._values.clear()  # they are kept by fewer numbers
            key = self._numbers(cell), *others
        self._values[key] = value
        return value


def _watched(cell: Any, read: set[str]) -> Any:
    """A cell of equal numbers, which adds to `read` the names of those that are read."""
    kind: Any = type(cell)
    twin = object.__new__(_watched_kind(kind))
    object.__setattr__(twin, CELL, cell)
    object.__setattr__(twin, READ, read)
    return twin


class _Number:
    """A number of a watched cell: once it was read, it is an attribute as any other."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, twin: Any, kind: type) -> Any:
        value = getattr(getattr(twin, CELL), self._name)
        getattr(twin, READ).add(self._name)
        object.__setattr__(twin, self._name, value)
        return value


@functools.cache
def _watched_kind(kind: Any) -> Any:
    """A class of cells that note what is read of them."""
    names = [field.name for field in fields(kind)]
    get = object.__getattribute__

    def whole(twin: Any) -> Any:
        """The cell itself, of which anything may be read."""
        get(twin, READ).update(names)
        return get(twin, CELL)

    own: dict[str, Any] = {name: _Number(name) for name in names}
    own["__class__"] = property(lambda _: kind)  # equal to other cells, replaced by one of them
    own["__dict__"] = property(lambda twin: vars(whole(twin)))
    own["__reduce_ex__"] = lambda twin, protocol: whole(twin).__reduce_ex__(protocol)  # a copy
    # Any other attribute may be computed from any hyperparameter.
    own["__getattr__"] = lambda twin, name: getattr(whole(twin), name)
    watched = type(kind.__name__, (kind,), own)
    with contextlib.suppress(ValueError, TypeError):
        jax.tree_util.register_dataclass(watched)
    return watched
