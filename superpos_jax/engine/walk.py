"""The cells of a group one after another, or some side by side: block by block of their data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax

from superpos_jax.engine.layout import Layout
from superpos_jax.engine.one_cell import BESIDE, OneCell, State, missing
from superpos_jax.engine.plan import Pace, Range
from superpos_jax.engine.study import PyTree, Study


@dataclass(frozen=True)
class Walk:
    """The cells of a group, and what their functions read.

    Attributes:
        study, layout, evaluate, pools: as of `OneCell`.
        beside: cells that are computed side by side.
        cells, data, pace: as of `OneCell`, stacked.
    """

    study: Study
    layout: Layout
    evaluate: Mapping[str, str]
    pools: Mapping[tuple[int, ...], PyTree]
    beside: int
    cells: Any
    data: Mapping[str, Range]
    pace: Pace

    def each(self, function: Callable[..., Any], *inputs: PyTree) -> Any:
        """`function(one, *inputs of the cell)` of every cell."""
        count = self.beside

        def of_cell(inputs: tuple[Any, ...]) -> Any:
            cell, data, pace, *own = inputs
            one = OneCell(
                self.study, self.layout, self.evaluate, self.pools, cell, data, pace, count > 1
            )
            return function(one, *own)

        stacked = self.cells, self.data, self.pace, *inputs
        if count == 1:
            return jax.lax.map(of_cell, stacked)
        split = jax.tree.map(lambda leaf: leaf.reshape(-1, count, *leaf.shape[1:]), stacked)
        results = jax.lax.map(jax.vmap(of_cell, axis_name=BESIDE), split)
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), results)

    def init(self) -> State:
        """All cells at step 0."""
        state: State = self.each(OneCell.init)
        return state

    def train(self, state: State, stop: jax.Array) -> State:
        """Train until `stop` updates, the limit of the cell, or its early end."""
        trained: State = self.each(lambda one, state: one.train(state, stop), state)
        return trained

    def measure(self, state: State, wanted: jax.Array | None, *when: str) -> dict[str, jax.Array]:
        """What is measured of the cells that are wanted; NaN of others. None: of all."""

        def measure(one: OneCell, state: State, *wanted: jax.Array) -> dict[str, jax.Array]:
            def now() -> dict[str, jax.Array]:
                return one.measure(state, *when)

            if not wanted:
                return now()
            now = jax.jit(now, inline=True)  # traced once: for its shapes, and as it is
            shapes = jax.eval_shape(now)
            measured: dict[str, jax.Array] = one.where(wanted[0], now, missing(shapes))
            return measured

        chosen = () if wanted is None else (wanted,)
        measured: dict[str, jax.Array] = self.each(measure, state, *chosen)
        return measured
