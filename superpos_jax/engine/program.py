"""The engine: one compiled program that trains every cell of a plan.

    program = jit of (map over cells of (loop over steps of (sum over blocks, optimizer update)))

Everything below is written for one cell; `jax.lax.map` walks over the cells. A CPU takes them one
by one, so that a cell's parameters and moments stay in cache for as many steps as it is asked for;
an accelerator takes many side by side. Cells are sharded over a mesh and never talk to each other.
A cell whose loss or parameters become non-finite keeps its last finite state and is marked dead.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding, PartitionSpec

from superpos_jax.engine import collective
from superpos_jax.engine.plan import TRAIN, Group, Plan, Range, by_layout, load_blocks, together
from superpos_jax.engine.study import Layout, PyTree, Study
from superpos_jax.engine.verdicts import ALIVE

AXIS = "cells"


class State(NamedTuple):
    """Training state of the cells of a group; every leaf has leading axes (devices, slots)."""

    params: PyTree
    optimizer: PyTree
    step: jax.Array
    """Updates done, int32."""
    died_at: jax.Array
    """Step at which the cell became non-finite, int32; `ALIVE` otherwise."""


class Tables(NamedTuple):
    """What the program reads and never writes: per group, and the blocks of samples by shape."""

    cells: list[Any]
    data: list[dict[str, Range]]
    pools: dict[tuple[int, ...], PyTree]


class Program:
    """The compiled training of a plan.

    `init`, `advance` and `evaluate` are pure functions, each compiled once, in the numerics of the
    process (`run` pins them); `advance` takes over the memory of the state that it is given.
    """

    def __init__(self, study: Study, plan: Plan, mesh: jax.sharding.Mesh) -> None:
        self.study, self.plan, self.mesh = study, plan, mesh
        self.platform = mesh.devices.flat[0].platform
        self.tables = self._tables()
        shard, everywhere = PartitionSpec(AXIS), PartitionSpec()
        tables = Tables(shard, shard, everywhere)  # type: ignore[arg-type]

        def mapped(function: Callable[..., Any], *inputs: Any) -> Callable[..., Any]:
            local = functools.partial(_on_device, functools.partial(function, self))
            return jax.shard_map(
                local, mesh=mesh, in_specs=(tables, *inputs), out_specs=shard, check_vma=False
            )

        # Random bits take long to compile and run once: on a CPU, with fewer optimizations.
        quick = {"xla_backend_optimization_level": 1} if self.platform == "cpu" else None
        self._init = jax.jit(mapped(_init), compiler_options=quick)
        self.advance_program = jax.jit(mapped(_advance, shard, everywhere), donate_argnums=1)
        self.evaluate_program = jax.jit(mapped(_evaluate, shard))

    def init(self) -> list[State]:
        """Every cell at step 0."""
        return self._init(self.tables)

    def advance(self, state: list[State], stop: int) -> list[State]:
        """Train all cells until they have done `stop` updates, or all of theirs, or died."""
        return self.advance_program(self.tables, state, np.int32(stop))

    def evaluate(self, state: list[State]) -> dict[str, np.ndarray]:
        """Mean loss on each data set, and the study's summary, (cells,) each, at this state."""
        found = self.gather(self.evaluate_program(self.tables, state))
        for name, samples in self.plan.samples.items():
            found[f"{name}_loss"] /= samples
        return found

    def gather(self, per_group: Sequence[dict[str, jax.Array]]) -> dict[str, np.ndarray]:
        """Bring values of shape (devices, slots) into the order of the plan's cells."""
        collected: dict[str, np.ndarray] = {}
        for group, values in zip(self.plan.groups, collective.gathered(per_group), strict=True):
            taken = group.slots >= 0
            for name, host in values.items():
                out = collected.setdefault(name, np.zeros(len(self.plan.cells), host.dtype))
                out[group.slots[taken]] = host[taken]
        return collected

    def params(self, state: list[State]) -> list[PyTree]:
        """Parameters of each cell, as numpy, in the order of the plan's cells."""
        found: list[PyTree] = [None] * len(self.plan.cells)
        params = collective.gathered([values.params for values in state])
        for group, host in zip(self.plan.groups, params, strict=True):
            for place in np.argwhere(group.slots >= 0):
                at = tuple(place)
                found[group.slots[at]] = jax.tree.map(lambda leaf, at=at: leaf[at], host)
        return found

    def to_host(self, state: list[State]) -> dict[str, np.ndarray]:
        """The state as numpy, cells in order: the same on any number of devices.

        Of several processes the first one gets it; the others nothing.
        """
        found: dict[str, np.ndarray] = {}
        host = collective.gathered(state, by_all=False)
        if host is None:
            return found
        for i, (group, values) in enumerate(zip(self.plan.groups, host, strict=True)):
            taken = _taken(group)
            for j, leaf in enumerate(jax.tree.leaves(values)):
                found[f"{i}.{j}"] = leaf[taken]
        return found

    def from_host(self, stored: Mapping[str, np.ndarray]) -> list[State]:
        """The state that `to_host` gave."""
        restored = []
        initial = collective.gathered(self.init())
        for i, (group, values) in enumerate(zip(self.plan.groups, initial, strict=True)):
            leaves, tree = jax.tree.flatten(values)
            host = [np.array(leaf) for leaf in leaves]
            for j, leaf in enumerate(host):
                leaf[_taken(group)] = stored[f"{i}.{j}"]
            restored.append(self._sharded(jax.tree.unflatten(tree, host)))
        return restored

    def map(self, group: Group, function: Callable[..., Any], *inputs: PyTree) -> Any:
        """A function of one cell over a group's slots, as many at once as suit the platform."""
        count = together(group.layout, group.slots.shape[1], self.platform)
        batch = count if count > 1 else None
        return jax.lax.map(lambda given: function(*given), inputs, batch_size=batch)

    def _tables(self) -> Tables:
        groups = self.plan.groups
        pools = load_blocks(self.study, self.plan)
        return Tables(
            cells=[self._sharded(_stack(self.plan.cells, group)) for group in groups],
            data=[self._sharded(group.data) for group in groups],
            pools=collective.spread(pools, NamedSharding(self.mesh, PartitionSpec())),
        )

    def _sharded(self, tree: PyTree) -> PyTree:
        return collective.spread(tree, NamedSharding(self.mesh, PartitionSpec(AXIS)))


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


def _on_device(function: Callable[..., Any], *arguments: Any) -> Any:
    """Strip the device axis from what is sharded, and put it back on the result."""
    tables, *rest = arguments
    first = functools.partial(jax.tree.map, lambda leaf: leaf[0] if leaf.ndim else leaf)
    local = first(tables)._replace(pools=tables.pools)
    return jax.tree.map(lambda leaf: leaf[None], function(local, *first(rest)))


def _init(program: Program, tables: Tables) -> list[State]:
    def one(layout: Layout, cell: Any) -> State:
        params = program.study.init(cell, layout)
        optimizer = program.study.optimizer(cell).init(params)
        return State(params, optimizer, jnp.int32(0), jnp.int32(ALIVE))

    return [
        jax.vmap(functools.partial(one, group.layout))(cells)
        for group, cells in zip(program.plan.groups, tables.cells, strict=True)
    ]


def _advance(program: Program, tables: Tables, state: list[State], stop: jax.Array) -> list[State]:
    study = program.study

    def train(group: Group, cell: Any, data: dict[str, Range], state: State) -> State:
        filled = data[TRAIN].samples > 0  # an empty slot does no step
        end = jnp.where(filled, jnp.minimum(stop, study.steps(cell)), 0)

        def goes_on(state: State) -> jax.Array:
            return (state.step < end) & (state.died_at == ALIVE)

        def step(state: State) -> State:
            view = jax.named_scope("view")(functools.partial(study.view, cell, group.layout))
            seen, pull_back = jax.vjp(view, state.params)

            def block(
                index: jax.Array, number: jax.Array, count: jax.Array
            ) -> tuple[jax.Array, PyTree]:
                stored = _stored(tables, group.layout, number)
                batch = study.batch(cell, group.layout, stored, state.step, index)
                return study.loss_and_grad(cell, group.layout, seen, batch, count)

            zeros = jnp.float32(0), jax.tree.map(jnp.zeros_like, seen)
            loss, summed = _sum(block, data[TRAIN], group.layout.rows, zeros)
            with jax.named_scope("view"):
                (grads,) = pull_back(summed)
            return _update(study, cell, state, loss, grads)

        return jax.lax.while_loop(goes_on, step, state)

    return [
        program.map(group, functools.partial(train, group), cells, data, state)
        for group, cells, data, state in zip(
            program.plan.groups, tables.cells, tables.data, state, strict=True
        )
    ]


def _evaluate(program: Program, tables: Tables, state: list[State]) -> list[dict[str, jax.Array]]:
    study = program.study

    def measure(
        group: Group, cell: Any, data: dict[str, Range], state: State
    ) -> dict[str, jax.Array]:
        seen = study.view(cell, group.layout, state.params)

        def loss(_: jax.Array, number: jax.Array, count: jax.Array) -> jax.Array:
            stored = _stored(tables, group.layout, number)
            return study.loss_and_grad(cell, group.layout, seen, stored, count)[0]

        found = {
            f"{name}_loss": _sum(loss, dataset, group.layout.rows, jnp.float32(0))
            for name, dataset in data.items()
        }
        found |= study.summary(cell, state.params)
        return found | {"died_at": state.died_at, "updates": state.step}

    return [
        program.map(group, functools.partial(measure, group), cells, data, state)
        for group, cells, data, state in zip(
            program.plan.groups, tables.cells, tables.data, state, strict=True
        )
    ]


def _stored(tables: Tables, layout: Layout, number: jax.Array) -> PyTree:
    """A block of data, by its number in the pool of its shape."""
    return jax.tree.map(lambda leaf: leaf[number], tables.pools[layout.block])


def _sum(block: Callable[..., PyTree], dataset: Range, rows: int, zeros: PyTree) -> PyTree:
    """What a function of a block gives, summed over a data set.

    Its arguments: which of the data set's blocks it is, its number in the pool, samples in it.
    """

    def add(i: jax.Array, total: PyTree) -> PyTree:
        count = jnp.minimum(dataset.samples - i * rows, rows)
        return jax.tree.map(jnp.add, total, block(i, dataset.first + i, count))

    return jax.lax.fori_loop(0, -(-dataset.samples // rows), add, zeros)


@jax.named_scope("optimizer")
def _update(study: Study, cell: Any, state: State, loss: jax.Array, grads: PyTree) -> State:
    """One update of one cell; of one that would become non-finite, its death."""
    updates, optimizer = study.optimizer(cell).update(grads, state.optimizer, state.params)
    params = optax.apply_updates(state.params, updates)
    finite = jnp.isfinite(loss)
    for leaf in jax.tree.leaves(params):
        finite &= jnp.isfinite(leaf).all()
    new = State(params, optimizer, state.step + 1, state.died_at)
    kept = jax.tree.map(lambda new, old: jnp.where(finite, new, old), new, state)
    return kept._replace(died_at=jnp.where(finite, state.died_at, state.step))


def _taken(group: Group) -> tuple[np.ndarray, ...]:
    """Where the group's cells are, (device, slot) each, in the order of the cells."""
    places = np.argwhere(group.slots >= 0)
    order = np.argsort(group.slots[group.slots >= 0])
    return tuple(places[order].T)


def _stack(cells: Sequence[Any], group: Group) -> Any:
    """Cells as arrays (devices, slots); an empty slot repeats a cell and is never read."""
    first = group.slots.max()
    index = np.where(group.slots < 0, first, group.slots)
    return jax.tree.map(
        lambda *values: np.array(values, np.int32 if isinstance(values[0], int) else np.float32)[
            index
        ],
        *cells,
    )


def make_mesh(devices: Sequence[jax.Device]) -> jax.sharding.Mesh:
    """A mesh over the cell axis."""
    return jax.sharding.Mesh(np.array(devices), (AXIS,))
