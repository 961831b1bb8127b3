"""The layout of a cell: what it has in common with the cells that it shares compiled code with."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from numbers import Real
from typing import Any, get_args

from superpos_jax.engine.once import Once
from superpos_jax.engine.study import (
    DataSet,
    Fresh,
    FullBatch,
    Minibatch,
    Shapes,
    Study,
    feed_of,
    shapes_of,
)
from superpos_jax.engine.terms import EVALUATE
from superpos_jax.errors import UserError

TRAIN = "train"
SAFE_ROWS = 128
"""Rows of a block on a CPU, where the engine chooses. A product that sums over more of them is
split among the threads of a process, and its last bits change with their number."""
ACCELERATOR_ROWS = 4096
"""Rows of a block on an accelerator, at most, where the engine chooses."""
SIDE_BY_SIDE = 16_384
"""Samples of different cells that an accelerator computes at once, in blocks of the study's own."""
MANY_SIDE_BY_SIDE = 131_072
"""The same where the engine chooses blocks. 32 networks 226 -> 200 -> 200 -> 113 on 5,107 samples
took 3.9 ms a step on an H200, and 5.9 ms with 16,384."""
TINY, TINY_BESIDE = 2e6, 4
"""A CPU computes `TINY_BESIDE` cells side by side if an update takes fewer than `TINY` operations:
one alone would spend most of its time between operations. Larger cells go one by one, to stay in
the cache. Four were faster than one even where looks stop cells, and all wait for the last."""


@dataclass(frozen=True)
class Layout:
    """What cells have in common that share compiled code.

    Attributes:
        shapes: of the cells, their block filled in.
        order: how minibatches are chosen, "epochs" or "replace"; "full" or "fresh" without them.
        batch: rows of a minibatch, padding included; 0 without.
        single: whether all samples of the training set are in one block.
        beside: how many cells are computed side by side: exactly so many on a CPU, at most so many
            elsewhere. Without meaning where a kernel computes all.
        looks: whether the study looks at the cell while it trains.
    """

    shapes: Shapes
    order: str = "full"
    batch: int = 0
    single: bool = False
    beside: int = 1
    looks: bool = False

    def __post_init__(self) -> None:
        """Hash it once: each of a million cells is looked up by its layout."""
        own = tuple(getattr(self, field.name) for field in fields(self))
        object.__setattr__(self, "_hash", hash(own))

    def __hash__(self) -> int:
        return self._hash  # type: ignore[attr-defined]

    def text(self) -> str:
        """The layout in words that are the same in every process: no address is in them.

        >>> Layout(Shapes((3, object()))).text().startswith("Layout(shapes=Shapes(size=(3, <object")
        True
        """
        return re.sub(" at 0x[0-9a-f]+", "", repr(self))


def datasets_of(study: Study, cell: Any) -> Mapping[str, DataSet]:
    """The data sets of a cell.

    Raises:
        UserError: a value is not a `DataSet`, or there is nothing to train on.
    """
    name, datasets = type(study).__name__, study.datasets(cell)
    if not isinstance(datasets, Mapping) or TRAIN not in datasets:
        raise UserError(f"study {name}: datasets: allowed: a mapping with {TRAIN!r} in it")
    for key, value in datasets.items():
        if not isinstance(value, DataSet) or value.samples < 1:
            raise UserError(
                f"study {name}: datasets: {key} = {value!r}: allowed: DataSet(key, samples), at"
                " least 1 sample"
            )
        if value.evaluate not in get_args(EVALUATE):
            raise UserError(
                f"study {name}: datasets: {key}: evaluate = {value.evaluate!r}: allowed:"
                f" {', '.join(get_args(EVALUATE))}"
            )
        if not _is_hashable(value.key):
            raise UserError(
                f"study {name}: datasets: {key}: the key {value.key!r} cannot be hashed; allowed:"
                " a tuple in place of a list"
            )
    return datasets


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def all_datasets(study: Study, cells: Iterable[Any]) -> Iterator[Mapping[str, DataSet]]:
    """The data sets of each cell, one after another; cells that have the same share a mapping."""
    return map(Once(functools.partial(datasets_of, study)), cells)


def layout_with(study: Study, platform: str, cell: Any, samples: int) -> Layout:
    """The layout of a cell that has so many samples to train on: of its own values alone."""
    shapes, feed = shapes_of(study, cell, platform), feed_of(study, cell)
    seen, looks = seen_by_update(study, cell, samples), look_every(study, cell) > 0
    if shapes.kernel:
        kind = type(study)
        changes = kind.measure is not Study.measure or kind.augment is not Study.augment
        partial = not isinstance(feed, FullBatch)
        if partial or looks or changes or len(shapes.block) != 1:
            raise UserError(
                f"study {type(study).__name__}: shapes: a kernel takes a full batch, no looks, no"
                " measure but the loss, no augment, and blocks of (rows,)"
            )
        return Layout(shapes)
    single, own = False, bool(shapes.block)
    if not own:
        shapes = replace(shapes, block=(_rows(samples, platform),))
    if not own or (shapes.beside > 1 and len(shapes.block) == 1):
        # Small cells side by side would spend a tenth of their time on a loop over one block.
        single = not isinstance(feed, Minibatch) and seen <= shapes.rows
    order, batch = "full", 0
    if isinstance(feed, Minibatch):
        order, batch = feed.order, _padded_batch(seen)
    elif isinstance(feed, Fresh):
        order = "fresh"
    if platform != "cpu":
        most = SIDE_BY_SIDE if own else MANY_SIDE_BY_SIDE
        beside = max(1, most // (batch or shapes.rows))
    elif shapes.beside:
        beside = shapes.beside
    else:
        beside = TINY_BESIDE if needed_work(study, cell, seen) < TINY else 1
    return Layout(shapes, order, batch, single, beside, looks)


def by_layout(study: Study, cells: Sequence[Any], platform: str) -> dict[Layout, list[int]]:
    """Indices of the cells of each layout, in the order in which groups are kept."""
    layout, data = Once(functools.partial(layout_with, study, platform)), all_datasets(study, cells)
    return grouped([layout(c, own[TRAIN].samples) for c, own in zip(cells, data, strict=True)])


def seen_by_update(study: Study, cell: Any, samples: int) -> int:
    """Samples that an update of a cell sees, of so many in its training set."""
    feed = feed_of(study, cell)
    if isinstance(feed, Minibatch):
        seen = min(feed.size, samples)
    else:
        seen = feed.samples if isinstance(feed, Fresh) else samples
    if seen < 1:
        raise UserError(f"study {type(study).__name__}: feed: {feed}: allowed: at least 1 sample")
    return int(seen)


def look_every(study: Study, cell: Any) -> int:
    """Updates from one look at a cell to the next; 0: nobody looks.

    Raises:
        UserError: the study gives something else.
    """
    every = study.look_every(cell)
    if not (isinstance(every, Real) and float(every).is_integer() and 0 <= every < 2**31):
        raise UserError(
            f"study {type(study).__name__}: look_every: {every!r}; allowed: a whole number of"
            " updates, or 0: nobody looks"
        )
    return int(every)


def grouped(layouts: Sequence[Layout]) -> dict[Layout, list[int]]:
    """Indices of the cells of each layout, in the order in which groups are kept."""
    members: dict[Layout, list[int]] = {}
    for i, layout in enumerate(layouts):
        members.setdefault(layout, []).append(i)
    return dict(sorted(members.items(), key=lambda item: item[0].text()))


def _rows(samples: int, platform: str) -> int:
    """Rows of a block for so many samples, where the engine chooses.

    A power of two; for an accelerator, where that is too many, even parts with little padding.

    >>> [_rows(samples, "cpu") for samples in (20, 100, 5107)]
    [32, 128, 128]
    >>> [_rows(samples, "gpu") for samples in (20, 100, 5107)]
    [32, 128, 2560]
    """
    most = SAFE_ROWS if platform == "cpu" else ACCELERATOR_ROWS
    enough = max(32, 1 << max(0, samples - 1).bit_length())
    if enough <= most or platform == "cpu":
        return min(enough, most)
    return _padded_batch(-(-samples // -(-samples // most)))


def _padded_batch(size: int) -> int:
    """Rows of a minibatch: four sizes per power of two, so that neighbours share code."""
    quantum = max(8, 1 << max(0, (size - 1).bit_length() - 3))
    return -(-size // quantum) * quantum


def needed_work(study: Study, cell: Any, samples: int) -> float:
    """Operations of an update with no padding."""
    return study.sample_cost(cell) * samples + study.update_cost(cell)
