"""The compiled functions of a program: of the study and the layouts alone, not of numbers or data.

Everything in `one_cell.py` is written for one cell; here the groups of cells are put together,
sharded over a mesh, and compiled.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from superpos_jax.engine.cgroups import affinity
from superpos_jax.engine.kernel import Tiles
from superpos_jax.engine.layout import TRAIN, Layout
from superpos_jax.engine.lockstep import LockStep
from superpos_jax.engine.numerics import pinned
from superpos_jax.engine.one_cell import State
from superpos_jax.engine.plan import Pace, Range
from superpos_jax.engine.study import PyTree, Study
from superpos_jax.engine.walk import Walk

AXIS = "cells"
ANY_STEP, NO_STEP = -1, -2
"""In place of a step: cells are measured wherever they are, or not at all."""


class Tables(NamedTuple):
    """What the program reads and never writes: per group, and the blocks of samples by shape."""

    cells: list[Any]
    data: list[dict[str, Range]]
    pace: list[Pace]
    tiles: list[dict[str, Tiles]]
    """Of the data sets of a group that has a kernel; of others none."""
    pools: dict[tuple[int, ...], PyTree]


class Outline(NamedTuple):
    """What the code of a program depends on, besides the shapes of its tables; hashable."""

    study: Study
    groups: tuple[tuple[Layout, int], ...]
    """The layout of each group, and how many of its cells are computed side by side."""
    evaluate: tuple[tuple[str, str], ...]
    """Data sets by name, and when each is measured."""
    mesh: jax.sharding.Mesh


class Code:
    """The functions of an outline. Numbers of cells and samples come with the tables.

    Attributes:
        init, train_and_measure, finish: compiled once for tables of the same shapes.
        is_checked: whether the study was found to keep its contract.
    """

    def __init__(self, outline: Outline) -> None:
        shard, everywhere = PartitionSpec(AXIS), PartitionSpec()
        tables = Tables(shard, shard, shard, shard, everywhere)  # type: ignore[arg-type]
        self.outline = outline

        def mapped(function: Callable[..., Any], *inputs: Any) -> Callable[..., Any]:
            local = functools.partial(_on_device, functools.partial(function, outline))
            specs = tables, *inputs
            return jax.shard_map(
                local, mesh=outline.mesh, in_specs=specs, out_specs=shard, check_vma=False
            )

        self.init = jax.jit(mapped(_init), compiler_options=quick_options(outline.mesh))
        # In one program, so that what training and measuring have in common is compiled once.
        self.train_and_measure = jax.jit(mapped(_train_and_measure, shard, everywhere, everywhere))
        self.finish = jax.jit(mapped(_finish, shard))
        self.is_checked = False

    def trace(self, tables: Tables) -> jax.stages.Traced:
        """What `train_and_measure` is compiled from."""
        sharding = NamedSharding(self.outline.mesh, PartitionSpec(AXIS))  # else traced again
        state = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            jax.eval_shape(self.init, tables),
        )
        return self.train_and_measure.trace(tables, state, np.int32(0), np.int32(0))

    def compile(self, tables: Tables) -> None:
        """Compile what the first calls would compile one after another, in threads of their own.

        These are `init`, the kernel of each group, and `train_and_measure`. XLA and Triton release
        the GIL while they compile. On one core threads would hinder each other.
        """
        if len(affinity()) == 1:
            self.init.lower(tables).compile()
            self.trace(tables).lower().compile()
            return
        with ThreadPoolExecutor() as threads:
            initial = threads.submit(self.init.lower(tables).compile)
            states = jax.eval_shape(self.init, tables)
            kernels = [
                threads.submit(_lower_gradient, layout, state, tiles, tables.pools)
                for (layout, _), state, tiles in zip(
                    self.outline.groups, states, tables.tiles, strict=True
                )
                if layout.shapes.kernel
            ]
            traced = self.trace(tables)
            wait(kernels)  # what failed there fails again in the next line, and is raised
            traced.lower().compile()
            initial.result()


code_for = functools.lru_cache(maxsize=4)(Code)
"""The code of an outline. Programs of a job that have equal outlines share what is compiled."""


def _lower_gradient(
    layout: Layout, state: State, tiles: Mapping[str, Tiles], pools: Mapping[Any, PyTree]
) -> None:
    """Lower the gradient of a group: its kernel is compiled by that, once for all that use it."""

    def on_device(leaf: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype)

    shapes = layout.shapes
    params, own = jax.tree.map(on_device, (state.params, tiles[TRAIN]))
    pool = jax.eval_shape(lambda: pools[shapes.block])
    wanted = jax.ShapeDtypeStruct(own.samples.shape, bool)
    with pinned():  # a thread starts with JAX's defaults
        jax.jit(shapes.kernel.loss_and_grad).lower(params, pool, own, wanted)


def _on_device(function: Callable[..., Any], *arguments: Any) -> Any:
    """Strip the device axis from what is sharded, and put it back on the result."""
    tables, *rest = arguments
    first = functools.partial(jax.tree.map, lambda leaf: leaf[0] if leaf.ndim else leaf)
    local = first(tables)._replace(pools=tables.pools)
    return jax.tree.map(lambda leaf: leaf[None], function(local, *first(rest)))


def _groups(outline: Outline, tables: Tables) -> list[LockStep | Walk]:
    """The cells of each group, with what trains them."""
    study, evaluate = outline.study, dict(outline.evaluate)
    runners = list[LockStep | Walk]()
    for (layout, beside), cells, data, pace, tiles in zip(
        outline.groups, tables.cells, tables.data, tables.pace, tables.tiles, strict=True
    ):
        if layout.shapes.kernel:
            pool = tables.pools[layout.shapes.block]
            runners.append(LockStep(study, layout, evaluate, pool, cells, data, pace, tiles))
        else:
            given = study, layout, evaluate, tables.pools, beside, cells, data, pace
            runners.append(Walk(*given))
    return runners


def _init(outline: Outline, tables: Tables) -> list[State]:
    return [group.init() for group in _groups(outline, tables)]


def _train_and_measure(
    outline: Outline, tables: Tables, state: list[State], stop: jax.Array, step: jax.Array
) -> tuple[list[State], list[dict[str, jax.Array]]]:
    """All cells trained until `stop`; then what is measured of those that are at a step."""
    groups = _groups(outline, tables)
    trained = [group.train(own, stop) for group, own in zip(groups, state, strict=True)]
    measured = [
        group.measure(own, (own.step == step) | (step == ANY_STEP), "look", "history")
        | _how_far(own)
        for group, own in zip(groups, trained, strict=True)
    ]
    return trained, measured


def _finish(outline: Outline, tables: Tables, state: list[State]) -> list[dict[str, jax.Array]]:
    return [
        group.measure(own, None, "look", "history", "end") | _how_far(own)
        for group, own in zip(_groups(outline, tables), state, strict=True)
    ]


def _how_far(state: State) -> dict[str, jax.Array]:
    return {"died_at": state.died_at, "ended": state.ended, "updates": state.step}


def platform_of(mesh: jax.sharding.Mesh) -> str:
    """cpu, gpu or tpu."""
    return str(mesh.devices.flat[0].platform)


def quick_options(mesh: jax.sharding.Mesh) -> dict[str, Any] | None:
    """Options for what runs once, random bits above all: it takes longer to compile than to run."""
    return {"xla_backend_optimization_level": 0} if platform_of(mesh) == "cpu" else None


def rough_options(mesh: jax.sharding.Mesh) -> dict[str, Any] | None:
    """Options for what is only tried, and is in no result: they compile faster still.

    With the older emitter of loops, last bits depend on which other cells are computed.
    """
    options, older = quick_options(mesh), ("xla_cpu_use_fusion_emitters", False)
    if options and is_option(*older):
        options |= [older]
    return options


@functools.cache
def is_option(name: str, value: Any) -> bool:
    """Whether the installed XLA has an option for CPUs: they come and go with its versions."""
    try:
        jax.jit(lambda: 0, compiler_options={name: value}).lower().compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True


def make_mesh(devices: Sequence[jax.Device]) -> jax.sharding.Mesh:
    """A mesh over the cell axis."""
    return jax.sharding.Mesh(np.array(devices), (AXIS,))
