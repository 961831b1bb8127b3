"""All cells of a group, step by step together: for an accelerator, where a study has a kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from superpos_jax.engine.kernel import Kernel, Tiles
from superpos_jax.engine.layout import TRAIN, Layout
from superpos_jax.engine.one_cell import BESIDE, OneCell, State, missing
from superpos_jax.engine.plan import Pace, Range
from superpos_jax.engine.study import PyTree, Study


@dataclass(frozen=True)
class LockStep:
    """The cells of a group, and what their functions read.

    A cell that has ended or died costs no more than its share of the optimizer's update.

    Attributes:
        study, layout, evaluate: as of `OneCell`, static.
        pool: what `Kernel.pool` gave.
        cells, data, pace: as of `OneCell`, stacked.
        tiles: of each data set.
    """

    study: Study
    layout: Layout
    evaluate: Mapping[str, str]
    pool: PyTree
    cells: Any
    data: Mapping[str, Range]
    pace: Pace
    tiles: Mapping[str, Tiles]

    @property
    def kernel(self) -> Kernel:
        """Of the study."""
        kernel: Kernel = self.layout.shapes.kernel
        return kernel

    def each(self, function: Callable[..., Any], *inputs: PyTree) -> Any:
        """`function(one, *inputs of the cell)` of all cells at once."""

        def of_cell(cell: Any, data: Any, pace: Pace, *own: PyTree) -> Any:
            one = OneCell(self.study, self.layout, self.evaluate, {}, cell, data, pace, True)
            return function(one, *own)

        return jax.vmap(of_cell, axis_name=BESIDE)(self.cells, self.data, self.pace, *inputs)

    def init(self) -> State:
        """All cells at step 0."""
        state: State = self.each(OneCell.init)
        return state

    def train(self, state: State, stop: jax.Array) -> State:
        """All cells after `stop` updates, or all of their own."""
        end = self.each(lambda one: one.end(stop))

        def going(state: State) -> jax.Array:
            goes_on: jax.Array = self.each(OneCell.goes_on, state, end)
            return goes_on

        def step(state: State) -> State:
            now = going(state)
            loss, grads = self.gradient(state.params, now)
            new: State = self.each(OneCell.updated, state, loss, grads)
            finite = jnp.isfinite(loss) & self.each(OneCell.is_finite, new)
            settled: State = self.each(OneCell.settled, state, new, now & finite, now & ~finite)
            return settled

        return jax.lax.while_loop(lambda state: going(state).any(), step, state)

    def gradient(self, params: PyTree, wanted: jax.Array) -> tuple[jax.Array, PyTree]:
        """Loss and gradient of the next update of the cells that are wanted, scaled: means."""
        loss, summed = self.kernel.loss_and_grad(params, self.pool, self.tiles[TRAIN], wanted)
        scaled: tuple[jax.Array, PyTree] = self.each(OneCell.scaled, loss, summed)
        return scaled

    def measure(self, state: State, wanted: jax.Array | None, *when: str) -> dict[str, jax.Array]:
        """What is measured of the cells that are wanted; NaN of others. None: of all."""

        def now(wanted: jax.Array) -> dict[str, jax.Array]:
            metrics: dict[str, jax.Array] = {}
            for name, tiles in self.tiles.items():
                if self.evaluate[name] in when:
                    total = self.kernel.loss(state.params, self.pool, tiles, wanted)
                    means = self.each(lambda one, loss, name=name: one.of_sum(name, loss), total)
                    metrics |= {f"{name}_{metric}": value for metric, value in means.items()}
            updates = self.study.summarises_updates
            gradient = self.gradient(state.params, wanted) if updates else ()
            return metrics | self.each(OneCell.summaries, state, *gradient)

        if wanted is None:
            return now(jnp.ones(state.step.shape, bool))
        nothing = missing(jax.eval_shape(now, wanted))
        measured = jax.lax.cond(wanted.any(), now, lambda _: nothing, wanted)
        return jax.tree.map(lambda new, none: jnp.where(wanted, new, none), measured, nothing)
