"""Shards: parts of a sweep that machines train with nothing in common.

A shard is a set of cells. Its folder is a result folder of the whole sweep that holds these cells,
so it resumes, retries and is shown as any other; `merge` puts folders together.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from superpos_jax.engine.deal import deal
from superpos_jax.engine.plan import works
from superpos_jax.engine.verdicts import UNFINISHED
from superpos_jax.errors import UserError
from superpos_jax.results.grid import Grid
from superpos_jax.results.result import Result
from superpos_jax.results.view import provenance
from superpos_jax.training.provenance import SHARD


class Shard(NamedTuple):
    """One of the parts into which a sweep is cut.

    >>> str(Shard(3, 16)), Shard(3, 16).folder
    ('3/16', 'shard-03-of-16')
    """

    number: int
    """From 1 on."""
    of: int
    """How many there are."""

    @property
    def folder(self) -> str:
        """The name of its folder, within that of the sweep; names sort by number."""
        return f"shard-{self.number:0{len(str(self.of))}}-of-{self.of}"

    def cells(self, grid: Grid) -> tuple[Any, ...]:
        """The cells it trains.

        Raises:
            UserError: there are more shards than cells.
        """
        owners = cut(grid, self.of)
        return tuple(cell for cell, owner in zip(grid.cells, owners, strict=True) if owner == self)

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def parse(text: str, option: str = "shard") -> Shard:
    """The shard that a text names, as `3/16`.

    Args:
        text: number and count.
        option: names a mistake.

    Raises:
        UserError: it names none.
    """
    named = re.fullmatch(r"(\d{1,9})/(\d{1,9})", str(text))
    if not named or not 1 <= int(named[1]) <= int(named[2]):
        raise UserError(f"{option} {text}: allowed: NUMBER/COUNT, as 3/16, NUMBER from 1 to COUNT")
    return Shard(int(named[1]), int(named[2]))


def cut(grid: Grid, count: int) -> list[Shard]:
    """The shard of each cell of a grid: equal work, as far as cells are not larger than that.

    The cut depends on the grid and the count alone, so machines of any kind agree on it.

    >>> from superpos_jax.results.sweep import Sweep
    >>> sweep = Sweep(axes=dict(T=[100, 500, 1000], m=[2, 4]), options=dict(n=500))
    >>> [str(shard) for shard in cut(sweep.grid(), 3)]
    ['2/3', '2/3', '3/3', '3/3', '2/3', '1/3']

    Raises:
        UserError: there are more shards than cells.
    """
    cells = grid.cells
    if not 1 <= count <= len(cells):
        raise UserError(f"shards: {count:,}; allowed: 1 to {len(cells):,}, as many as cells")
    work = np.array([*works(grid.study, cells)])
    return [Shard(owner + 1, count) for owner in deal(work, count)]


def left(result: Result) -> dict[Shard, int]:
    """How many cells each shard of a result has left; empty if it was not trained in shards."""
    counts = [parse(run[SHARD]).of for run in provenance(result.dataset) if SHARD in run]
    if not counts:
        return {}
    owners = cut(result.grid, counts[-1])
    verdicts = result.dataset["verdict"].values.ravel()
    return dict(sorted(Counter(owners[i] for i in np.flatnonzero(verdicts == UNFINISHED)).items()))
