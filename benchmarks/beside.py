"""Ways to train the same models, one beside the other on one core.

The ways take turns, so that a drift of the machine hits all of them; time is that of the processor,
so that what others do on the core counts little; ratios are taken within a turn.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from page import spread

from superpos_jax.engine.code import make_mesh
from superpos_jax.engine.plan import make_plan
from superpos_jax.engine.program import Program
from superpos_jax.results.grid import Grid

Way = Callable[[], int]
"""Trains some cells and returns how many updates they took, all together."""
Ways = Mapping[str, Callable[[], Way]]
"""By name, what makes a way."""
Rates = Mapping[str, Sequence[float]]
"""By way, cell-steps a CPU-second of each turn."""

TURNS = 3
MEASURE = (
    f"Cell-steps a second of processor time on one core; median (and range) of {TURNS} turns, in",
    "each of which every way trains once, from initial weights to the end. Ratios are taken",
    "within a turn.",
)
HEAD = "what", "engine", "beside it", "engine / beside it", "goal"


def one_core() -> None:
    """Before JAX starts: its thread pool follows the cores that the process may use."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])


def seconds(run: Callable[[], Any]) -> float:
    """Processor time of a call."""
    begin = time.process_time()
    jax.block_until_ready(run())
    return time.process_time() - begin


class Engine:
    """A grid through the engine, all its cells in one compiled program: a way."""

    def __init__(self, grid: Grid) -> None:
        plan = make_plan(grid.study, grid.cells, 1, "cpu")
        self.program = Program(grid.study, plan, make_mesh(jax.devices()[:1]))
        self.steps = int(plan.updates.max())

    def __call__(self) -> int:
        """Train all cells."""
        state = self.program.advance(self.program.init(), self.steps)
        return sum(int(group.step.sum()) for group in state)


def by_hand(training: Callable[[], tuple[Any, jax.Array]]) -> Way:
    """A compiled training, which returns parameters and the updates of each cell, as a way."""
    return lambda: int(jax.block_until_ready(training())[1].sum())


def stacked(trees: Sequence[Any]) -> Any:
    """Trees of one shape as one, with a leading axis of cells."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def in_turns(ways: Ways, turns: int = TURNS) -> Rates:
    """Make and compile all ways, then measure one after another, so many times."""
    made = {name: make() for name, make in ways.items()}
    for way in made.values():
        way()
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(turns):
        for name, way in made.items():
            begin = time.process_time()
            updates = way()
            rates[name].append(updates / (time.process_time() - begin))
    return rates


def compared(what: str, rates: Rates, ours: str, theirs: str, goal: str = "") -> tuple[str, ...]:
    """A row under `HEAD`: two ways and their ratio."""
    ratios = [a / b for a, b in zip(rates[ours], rates[theirs], strict=True)]
    form = ",.0f"
    return what, spread(rates[ours], form), spread(rates[theirs], form), spread(ratios, ".2f"), goal
