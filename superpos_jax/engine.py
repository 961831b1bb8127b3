"""The engine: one compiled program that trains every cell of a plan.

    program = jit of (loop over steps of (map over cells of one optimizer update))

A cell's gradient is the sum over its blocks; the loop over blocks of all cells is one flat list per
group and device. Cells are sharded over a mesh and never talk to each other, so each device walks
its own list. A cell whose loss or parameters become non-finite keeps its last finite state and is
marked dead; nothing it computes reaches another cell.
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

from superpos_jax.pack import Group, Items, Plan, by_layout, load_blocks
from superpos_jax.study import Layout, PyTree, Study
from superpos_jax.verdicts import ALIVE

AXIS = "cells"
LANES = {"cpu": 1, "gpu": 64, "tpu": 64}
"""Blocks computed side by side: one keeps a CPU's cache, many keep an accelerator busy."""


class State(NamedTuple):
    """Training state of the cells of a group; every leaf has leading axes (devices, slots)."""

    params: PyTree
    optimizer: PyTree
    step: jax.Array
    """Updates done, int32."""
    died_at: jax.Array
    """Step at which the cell became non-finite, int32; `ALIVE` otherwise."""


class Walk(NamedTuple):
    """A device's list of items, in rows of as many as are computed side by side."""

    target: jax.Array
    block: jax.Array
    valid: jax.Array


class Tables(NamedTuple):
    """What the program reads and never writes: per group, and the blocks of samples by shape."""

    cells: list[Any]
    train: list[Walk]
    evaluate: list[Walk]
    evaluate_rows: list[jax.Array]
    pools: dict[tuple[int, ...], PyTree]


class Program:
    """The compiled training of a plan.

    `init`, `advance` and `evaluate` are pure in the state; each is compiled once.
    """

    def __init__(self, study: Study, plan: Plan, mesh: jax.sharding.Mesh) -> None:
        self.study, self.plan, self.mesh = study, plan, mesh
        self.platform = mesh.devices.flat[0].platform
        self.lanes = LANES.get(self.platform, LANES["gpu"])
        self.layouts = [group.layout for group in plan.groups]
        self.tables = self._tables()
        shard, everywhere = PartitionSpec(AXIS), PartitionSpec()
        tables = Tables(shard, shard, shard, shard, everywhere)  # type: ignore[arg-type]

        def mapped(function: Callable[..., Any], *inputs: Any) -> Callable[..., Any]:
            local = functools.partial(_on_device, functools.partial(function, self))
            return jax.shard_map(
                local, mesh=mesh, in_specs=(tables, *inputs), out_specs=shard, check_vma=False
            )

        self._init = jax.jit(mapped(_init))
        self.advance_program = jax.jit(mapped(_advance, shard, shard, everywhere), donate_argnums=1)
        self.evaluate_program = jax.jit(mapped(_evaluate, shard))

    def init(self) -> list[State]:
        """Every cell at step 0."""
        with jax.default_matmul_precision("highest"):
            return self._init(self.tables)

    def advance(self, state: list[State], step: int, steps: int) -> list[State]:
        """Do `steps` updates of all cells from `step` on; none of them may finish in between."""
        active = [self._sharded(self._lanes(group.active(step))) for group in self.plan.groups]
        with jax.default_matmul_precision("highest"):
            return self.advance_program(self.tables, state, active, np.int32(steps))

    def evaluate(self, state: list[State]) -> dict[str, np.ndarray]:
        """Mean loss on each data set, and the study's summary, (cells,) each, at this state."""
        with jax.default_matmul_precision("highest"):
            found = self.gather(self.evaluate_program(self.tables, state))
        for name, samples in self.plan.samples.items():
            found[f"{name}_loss"] /= samples
        return found

    def gather(self, per_group: Sequence[dict[str, jax.Array]]) -> dict[str, np.ndarray]:
        """Bring values of shape (devices, slots) into the order of the plan's cells."""
        collected: dict[str, np.ndarray] = {}
        for group, values in zip(self.plan.groups, per_group, strict=True):
            taken = group.slots >= 0
            for name, value in values.items():
                host = np.asarray(value)
                out = collected.setdefault(name, np.zeros(len(self.plan.cells), host.dtype))
                out[group.slots[taken]] = host[taken]
        return collected

    def params(self, state: list[State]) -> list[PyTree]:
        """Parameters of each cell, as numpy, in the order of the plan's cells."""
        found: list[PyTree] = [None] * len(self.plan.cells)
        for group, values in zip(self.plan.groups, state, strict=True):
            host = jax.tree.map(np.asarray, values.params)
            for place in np.argwhere(group.slots >= 0):
                at = tuple(place)
                found[group.slots[at]] = jax.tree.map(lambda leaf, at=at: leaf[at], host)
        return found

    def to_host(self, state: list[State]) -> dict[str, np.ndarray]:
        """The state as numpy, cells in order: the same on any number of devices."""
        found = {}
        for i, (group, values) in enumerate(zip(self.plan.groups, state, strict=True)):
            taken = _taken(group)
            for j, leaf in enumerate(jax.tree.leaves(values)):
                found[f"{i}.{j}"] = np.asarray(leaf)[taken]
        return found

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

    def _tables(self) -> Tables:
        groups = self.plan.groups
        pools = load_blocks(self.study, self.plan)
        return Tables(
            cells=[self._sharded(_stack(self.plan.cells, group)) for group in groups],
            train=[self._sharded(_walk(group.train, self.lanes)) for group in groups],
            evaluate=[self._sharded(_walk(group.evaluate, self.lanes)) for group in groups],
            evaluate_rows=[self._sharded(self._lanes(group.evaluate.length)) for group in groups],
            pools=jax.device_put(pools, NamedSharding(self.mesh, PartitionSpec())),
        )

    def _lanes(self, items: np.ndarray) -> np.ndarray:
        return -(-items // self.lanes)

    def _sharded(self, tree: PyTree) -> PyTree:
        return jax.device_put(tree, NamedSharding(self.mesh, PartitionSpec(AXIS)))


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
        jax.vmap(functools.partial(one, layout))(cells)
        for layout, cells in zip(program.layouts, tables.cells, strict=True)
    ]


def _advance(
    program: Program, tables: Tables, state: list[State], active: list[jax.Array], steps: jax.Array
) -> list[State]:
    def step_group(i: int, group: State) -> State:
        cells = tables.cells[i]
        views, pull_back = jax.vjp(functools.partial(_views, program, tables, i), group.params)
        zeros = jnp.zeros_like(group.step, jnp.float32), jax.tree.map(jnp.zeros_like, views)
        item = _item(program, tables, i, views)
        loss, summed = _walk_items(program, item, tables.train[i], active[i], zeros)
        (grads,) = pull_back(summed)
        return jax.vmap(functools.partial(_update, program.study))(cells, group, loss, grads)

    def step(_: jax.Array, state: list[State]) -> list[State]:
        return [step_group(i, group) for i, group in enumerate(state)]

    return jax.lax.fori_loop(0, steps, step, state)


def _evaluate(program: Program, tables: Tables, state: list[State]) -> list[dict[str, jax.Array]]:
    names = tuple(program.plan.samples)

    def evaluate_group(i: int, group: State) -> dict[str, jax.Array]:
        item = _item(program, tables, i, _views(program, tables, i, group.params))
        zeros = jnp.zeros(group.step.shape[0] * len(names))
        loss = _walk_items(
            program,
            lambda target, block, valid: item(target // len(names), block, valid)[0],
            tables.evaluate[i],
            tables.evaluate_rows[i],
            zeros,
        ).reshape(-1, len(names))
        found = {f"{name}_loss": loss[:, j] for j, name in enumerate(names)}
        found |= jax.vmap(program.study.summary)(tables.cells[i], group.params)
        return found | {"died_at": group.died_at, "updates": group.step}

    return [evaluate_group(i, group) for i, group in enumerate(state)]


def _views(program: Program, tables: Tables, i: int, params: PyTree) -> PyTree:
    """Parameters of group `i` as its blocks read them."""
    view = functools.partial(program.study.view, layout=program.layouts[i])
    return jax.vmap(lambda cell, params: view(cell, params=params))(tables.cells[i], params)


def _item(program: Program, tables: Tables, i: int, views: PyTree) -> Callable[..., Any]:
    """What one item of group `i` contributes: loss and gradient of a block for a slot's cell."""
    layout = program.layouts[i]

    def item(slot: jax.Array, block: jax.Array, valid: jax.Array) -> tuple[jax.Array, PyTree]:
        take = functools.partial(jax.tree.map, lambda leaf: leaf[slot])
        data = jax.tree.map(lambda leaf: leaf[block], tables.pools[layout.block])
        return program.study.loss_and_grad(take(tables.cells[i]), layout, take(views), data, valid)

    return item


def _walk_items(
    program: Program, item: Callable[..., Any], walk: Walk, rows: jax.Array, zeros: PyTree
) -> PyTree:
    """Add what each item contributes to the row of `zeros` that is its target."""

    def body(i: jax.Array, total: PyTree) -> PyTree:
        target, block, valid = (leaf[i] for leaf in walk)
        if program.lanes == 1:
            target, part = target[0], item(target[0], block[0], valid[0])
        else:
            part = jax.vmap(item)(target, block, valid)
        return jax.tree.map(lambda acc, one: acc.at[target].add(one), total, part)

    return jax.lax.fori_loop(0, rows, body, zeros)


def _update(study: Study, cell: Any, state: State, loss: jax.Array, grads: PyTree) -> State:
    """One update of one cell, unless it is done or dead or would become non-finite."""
    updates, optimizer = study.optimizer(cell).update(grads, state.optimizer, state.params)
    params = optax.apply_updates(state.params, updates)
    finite = jnp.isfinite(loss)
    for leaf in jax.tree.leaves(params):
        finite &= jnp.isfinite(leaf).all()
    running = (state.died_at == ALIVE) & (state.step < study.steps(cell))
    keep = running & finite
    new = State(params, optimizer, state.step + 1, state.died_at)
    kept = jax.tree.map(lambda new, old: jnp.where(keep, new, old), new, state)
    return kept._replace(died_at=jnp.where(running & ~finite, state.step, state.died_at))


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


def _walk(items: Items, lanes: int) -> Walk:
    """Items in rows of `lanes`; what fills up the last row has no valid sample."""
    devices, length = items.target.shape
    rows = -(-length // lanes)

    def fold(values: np.ndarray) -> Any:
        padded = np.pad(values, ((0, 0), (0, rows * lanes - length)))
        return padded.reshape(devices, rows, lanes)

    return Walk(fold(items.target), fold(items.block), fold(items.valid))


def make_mesh(devices: Sequence[jax.Device]) -> jax.sharding.Mesh:
    """A mesh over the cell axis."""
    return jax.sharding.Mesh(np.array(devices), (AXIS,))
