"""The engine: one compiled program that trains every cell of a plan.

    program = jit of (map over cells of (loop over steps of (sum over blocks, optimizer update)))

`jax.lax.map` walks over the cells. A CPU takes them one by one, so that a cell's parameters and
moments stay in cache for as many steps as it is asked for, or tiny ones a few at a time; an
accelerator takes many side by side. Cells are sharded over a mesh and never talk to each other. Of
several processes each has a program of its own, for its part of the plan. A cell whose loss or
parameters become non-finite keeps its last finite state and is marked dead.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jax.sharding import NamedSharding, PartitionSpec

from superpos_jax.engine import contract
from superpos_jax.engine.code import (
    ANY_STEP,
    AXIS,
    NO_STEP,
    Outline,
    Tables,
    code_for,
    platform_of,
)
from superpos_jax.engine.kernel import Tiles, tiles_of
from superpos_jax.engine.layout import TRAIN, by_layout
from superpos_jax.engine.one_cell import State
from superpos_jax.engine.plan import Group, Plan, Range, load_blocks
from superpos_jax.engine.study import PyTree, Study


class Program:
    """The training of a plan: its code and its tables.

    `init`, `advance` and `evaluate` are pure functions, compiled once, in the numerics of the
    process (`run` pins them).
    """

    def __init__(self, study: Study, plan: Plan, mesh: jax.sharding.Mesh) -> None:
        self.study, self.plan, self.mesh = study, plan, mesh
        self.platform = platform_of(mesh)
        groups = tuple((group.layout, group.beside) for group in plan.groups)
        self.code = code_for(Outline(study, groups, tuple(plan.evaluate.items()), mesh))
        if not self.code.is_checked:
            contract.check(study, plan, mesh)
            self.code.is_checked = True
        self.tables = self._tables()

    def init(self) -> list[State]:
        """Every cell at step 0."""
        return self.code.init(self.tables)

    def advance(self, state: list[State], stop: int) -> list[State]:
        """Train all cells until they have done `stop` updates, or all of theirs, or ended."""
        numbers = np.int32(stop), np.int32(NO_STEP)
        trained, _ = self.code.train_and_measure(self.tables, state, *numbers)
        return trained

    def evaluate(self, state: list[State], step: int) -> dict[str, np.ndarray]:
        """What is measured of cells that are at a step, (cells,) each; NaN of those that are not.

        Metrics of each data set by `SET_METRIC`, the study's summaries; and of every cell
        `died_at`, `ended` and `updates`.
        """
        return self._measured(self.tables, state, step)

    def compile(self) -> None:
        """Compile what the first calls of `init`, `advance` and `evaluate` would; faster."""
        self.code.compile(self.tables)

    def jaxpr(self) -> core.Jaxpr:
        """What `advance` and `evaluate` are compiled from."""
        return self.code.trace(self.tables).jaxpr.jaxpr

    def finish(self, state: list[State]) -> dict[str, np.ndarray]:
        """What `evaluate` gives, of all cells at their present steps and on all data sets.

        Data sets that are measured at the end only are among them. A metric of a data set with
        further draws is the mean over its draws, and `NAME_error` the standard error of that mean.
        """

        def measured(tables: Tables) -> dict[str, np.ndarray]:
            if "end" in self.plan.evaluate.values():
                return self.gather(self.code.finish(tables, state))
            return self._measured(tables, state, ANY_STEP)

        more = self.plan.groups[0].more if self.plan.groups else ()
        counts = {name: 1 + sum(name in own for own in more) for name in self.plan.evaluate}
        redrawn = (measured(self._redrawn(i)) for i in range(len(more)))
        return over_draws([measured(self.tables), *redrawn], counts)

    def _measured(self, tables: Tables, state: list[State], step: int) -> dict[str, np.ndarray]:
        """What `evaluate` gives, by other tables too; to train until step 0 changes nothing."""
        _, values = self.code.train_and_measure(tables, state, np.int32(0), np.int32(step))
        return self.gather(values)

    def gather(self, per_group: Sequence[Mapping[str, jax.Array]]) -> dict[str, np.ndarray]:
        """Bring values of shape (devices, slots) into the order of the plan's cells."""
        parts = [
            (group.slots[taken], {name: host[taken] for name, host in _on_host(values).items()})
            for group, values in zip(self.plan.groups, per_group, strict=True)
            for taken in (group.slots >= 0,)
        ]
        return scattered(parts, len(self.plan.cells))

    def per_cell(self, trees: Sequence[PyTree]) -> list[PyTree]:
        """One tree a group, leaves (devices, slots, ...), as one of numpy a cell, in order."""
        cells: list[PyTree] = [None] * len(self.plan.cells)
        for group, tree in zip(self.plan.groups, trees, strict=True):
            taken = group.slots >= 0
            leaves, structure = jax.tree.flatten(_on_host(tree))
            own = zip(*(leaf[taken] for leaf in leaves), strict=True)
            for cell in group.slots[taken]:
                cells[cell] = jax.tree.unflatten(structure, next(own, ()))
        return cells

    def params(self, state: list[State]) -> list[PyTree]:
        """Parameters of each cell, as numpy, in the order of the plan's cells."""
        return self.per_cell([values.params for values in state])

    def memos(self, state: list[State]) -> list[PyTree]:
        """What looks remembered of each cell, as numpy, in the order of the plan's cells."""
        return self.per_cell([values.memo for values in state])

    def smallest(self, state: list[State]) -> tuple[int, PyTree, PyTree] | None:
        """The cell of fewest samples on the first device; None where there is no cell.

        Returns:
            Its number in the plan, its parameters, and what looks remembered of it, as numpy.
        """
        there = []
        for i, group in enumerate(self.plan.groups):
            samples = group.data[TRAIN].samples[0]
            slots = np.flatnonzero(group.slots[0] >= 0)
            there += [(int(samples[s]), i, s) for s in slots[samples[slots].argsort()[:1]]]
        if not there:
            return None
        _, i, slot = min(there)
        params, memo = jax.tree.map(
            lambda leaf: np.asarray(leaf.addressable_shards[0].data)[0, slot],
            (state[i].params, state[i].memo),
        )
        return int(self.plan.groups[i].slots[0, slot]), params, memo

    def to_host(self, state: list[State]) -> dict[str, np.ndarray]:
        """The state as numpy, cells in order: the same on any number of devices."""
        stored: dict[str, np.ndarray] = {}
        for i, (group, values) in enumerate(zip(self.plan.groups, state, strict=True)):
            taken = _taken(group)
            for j, leaf in enumerate(jax.tree.leaves(values)):
                stored[f"{i}.{j}"] = np.asarray(leaf)[taken]
        return stored

    def from_host(self, stored: Mapping[str, np.ndarray]) -> list[State]:
        """The state that `to_host` gave."""
        restored = []
        for i, (group, values) in enumerate(zip(self.plan.groups, self.init(), strict=True)):
            leaves, tree = jax.tree.flatten(values)
            host = [np.array(leaf) for leaf in leaves]
            for j, leaf in enumerate(host):
                leaf[_taken(group)] = stored[f"{i}.{j}"]
            restored.append(self._sharded(jax.tree.unflatten(tree, host)))
        return restored

    def restored(self, params: Sequence[PyTree]) -> list[State]:
        """The cells at step 0, with parameters of each cell in place of the initial ones."""

        def of_group(group: Group, state: State) -> State:
            members = np.unique(group.slots[group.slots >= 0])
            rows = np.searchsorted(members, np.maximum(group.slots, members[0]))
            own = (params[i] for i in members)
            stacked = jax.tree.map(lambda *leaves: np.stack(leaves)[rows], *own)
            return state._replace(params=self._sharded(stacked))

        return [of_group(*pair) for pair in zip(self.plan.groups, self.init(), strict=True)]

    def _redrawn(self, number: int) -> Tables:
        """The tables with a further draw of data sets; of those that have none, no samples.

        They have the same shapes, so that what is compiled for one draw measures all.
        """

        def data(group: Group) -> dict[str, Range]:
            nothing = {name: Range(own.first, 0 * own.samples) for name, own in group.data.items()}
            return nothing | group.more[number]

        def tiles(group: Group) -> dict[str, Tiles]:
            nothing = {
                name: own._replace(count=0 * own.count, samples=0 * own.samples)
                for name, own in _tiles(group, group.data).items()
            }
            return nothing | _tiles(group, group.more[number])

        groups = self.plan.groups
        return self.tables._replace(
            data=[self._sharded(data(group)) for group in groups],
            tiles=[self._sharded(tiles(group)) for group in groups],
        )

    def _tables(self) -> Tables:
        groups = self.plan.groups
        pools = load_blocks(self.study, self.plan)
        return Tables(
            cells=[self._sharded(_stack(self.study, self.plan.cells, group)) for group in groups],
            data=[self._sharded(group.data) for group in groups],
            pace=[self._sharded(group.pace) for group in groups],
            tiles=[self._sharded(_tiles(group, group.data)) for group in groups],
            pools=jax.device_put(pools, NamedSharding(self.mesh, PartitionSpec())),
        )

    def _sharded(self, tree: PyTree) -> PyTree:
        return jax.device_put(tree, NamedSharding(self.mesh, PartitionSpec(AXIS)))


def scattered(
    parts: Sequence[tuple[np.ndarray, Mapping[str, np.ndarray]]], count: int
) -> dict[str, np.ndarray]:
    """Values of all cells, (cells, ...) by name, put together from those of parts of them.

    What a part lacks is NaN, or 0 in arrays of whole numbers.

    Args:
        parts: the places of some cells among all, and the values of these cells.
        count: of all cells.

    >>> one, other = {"loss": np.ones(1)}, {"loss": np.zeros(2), "rate": np.ones(2)}
    >>> scattered([(np.array([1]), one), (np.array([0, 2]), other)], 3)
    {'loss': array([0., 1., 0.]), 'rate': array([ 1., nan,  1.])}
    """
    result = {}
    for name in dict.fromkeys(name for _, values in parts for name in values):
        own = [(places, values[name]) for places, values in parts if name in values]
        kind = functools.reduce(jnp.promote_types, (values.dtype for _, values in own))
        shape = np.max([values.shape[1:] for _, values in own], axis=0).astype(int).tolist()
        blank = np.nan if jnp.issubdtype(kind, np.inexact) else 0
        result[name] = np.full((count, *shape), blank, kind)
        for places, values in own:
            corner: Any = places, *map(slice, values.shape[1:])
            result[name][corner] = values
    return result


def over_draws(
    draws: Sequence[Mapping[str, np.ndarray]], counts: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """Means over the draws of data sets, and their standard errors as `NAME_error`.

    Args:
        draws: what is measured of each draw, (cells,) by name; the first has all data sets.
        counts: draws of each data set.

    >>> measured = [{"test_loss": np.array([loss])} for loss in (1.0, 2.0, 3.0, 6.0)]
    >>> over_draws(measured, {"test": 4})
    {'test_loss': array([3.]), 'test_loss_error': array([1.08012345])}
    """
    result = {**draws[0]}
    for metric, value in draws[0].items():
        owners = [name for name in counts if metric.startswith(f"{name}_")]
        count = counts[max(owners, key=len)] if owners else 1
        if count > 1:
            values = np.array([draw[metric] for draw in draws[:count]], np.float64)
            with np.errstate(invalid="ignore"):  # the loss of a dead cell may be infinite
                error = values.std(axis=0, ddof=1) / count**0.5
            result[metric] = values.mean(axis=0).astype(value.dtype)
            result[f"{metric}_error"] = error.astype(value.dtype)
    return result


def choose(
    stored: Mapping[str, np.ndarray],
    study: Study,
    platform: str,
    held: Sequence[Any],
    wanted: Sequence[Any],
) -> dict[str, np.ndarray]:
    """What `Program.to_host` gives for some of the cells that it was `stored` for."""
    groups = by_layout(study, held, platform)
    chosen = {}
    for i, (layout, members) in enumerate(by_layout(study, wanted, platform).items()):
        rows = {held[index]: row for row, index in enumerate(groups[layout])}
        take = [rows[wanted[index]] for index in members]
        prefix = f"{list(groups).index(layout)}."
        for name, leaf in stored.items():
            if name.startswith(prefix):
                chosen[f"{i}.{name.removeprefix(prefix)}"] = leaf[take]
    return chosen


def merged(plan: Plan, parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """What `Program.to_host` gives for a plan, of what it gave for the part of each process."""
    if plan.processes == 1:
        return {**parts[0]}
    whole: dict[str, np.ndarray] = {}
    process = plan.owner // (plan.devices // plan.processes)
    seen = [0] * plan.processes  # groups of each part so far: one without a cell is not in it
    for i, group in enumerate(plan.groups):
        members = np.sort(group.slots[group.slots >= 0])
        for owner in np.unique(process[members]).tolist():
            rows, prefix = np.flatnonzero(process[members] == owner), f"{seen[owner]}."
            seen[owner] += 1
            for name, leaf in parts[owner].items():
                if name.startswith(prefix):
                    blank = np.empty((len(members), *leaf.shape[1:]), leaf.dtype)
                    whole.setdefault(f"{i}.{name.removeprefix(prefix)}", blank)[rows] = leaf
    return whole


def _on_host(tree: PyTree) -> PyTree:
    return jax.tree.map(np.asarray, tree)


def _tiles(group: Group, data: Mapping[str, Range]) -> dict[str, Tiles]:
    """Data sets of a group that has a kernel, in tiles."""
    shapes = group.layout.shapes
    if not shapes.kernel:
        return {}
    return {name: tiles_of(*own, shapes.rows, shapes.kernel.span) for name, own in data.items()}


def _taken(group: Group) -> tuple[np.ndarray, ...]:
    """Where the group's cells are, (device, slot) each, in the order of the cells."""
    places = np.argwhere(group.slots >= 0)
    order = np.argsort(group.slots[group.slots >= 0])
    return tuple(places[order].T)


def _stack(study: Study, cells: Sequence[Any], group: Group) -> Any:
    """Cells as arrays (devices, slots), each in the type of its field, int32 or float32.

    A default of 0 may stand in a field of floats. An empty slot repeats a cell and is never read.
    """
    kinds = get_type_hints(study.Cell)
    some = group.slots.max()
    own = [cells[some if slot < 0 else slot] for slot in group.slots.flat]
    columns = [
        np.array(
            [getattr(cell, name) for cell in own], np.int32 if kinds[name] is int else np.float32
        ).reshape(group.slots.shape)
        for name in study.cell_fields()
    ]
    return jax.tree.unflatten(jax.tree.structure(own[0]), columns)
