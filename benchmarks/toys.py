"""Autoencoders of few features through the engine, beside a dense vmap by hand.

    python benchmarks/toys.py           # rewrites its section of README.md

By hand means `jax.vmap` over all cells of one step of AdamW on dense samples. Both start from the
same weights and samples; the engine measures and keeps nothing on the way.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from beside import HEAD, MEASURE, Engine, Way, Ways, compared, in_turns, one_core
from beside import by_hand as way_of
from page import table, write

from superpos_jax.engine.numerics import pinned
from superpos_jax.results.grid import Grid
from superpos_jax.results.sweep import Sweep
from superpos_jax.studies.double_descent import data

SHAPES = [
    # n, m, T, S, cells, steps
    (16, 4, 16, 0.5, 2048, 300),
    (50, 4, 50, 0.9, 512, 150),
    (100, 4, 100, 0.95, 256, 80),
    (500, 4, 100, 0.98, 64, 60),
    (500, 4, 1000, 0.98, 16, 30),
]


def grid_of(n: int, m: int, T: int, S: float, cells: int, steps: int) -> Grid:
    """Cells that differ in their learning rate."""
    rates = np.geomspace(1e-3, 1e-1, cells).round(9).tolist()
    cell = {"T": T, "m": m, "S": S, "steps": steps}
    return Sweep(axes={"lr": rates}, cell=cell, options={"n": n, "test_samples": 16}).grid()


def by_hand(grid: Grid) -> Way:
    """The same training, all cells side by side."""
    study, cells = grid.study, grid.cells
    n, first = study.options.n, cells[0]
    X = jnp.asarray(data.draw(study.datasets(first)["train"].key, first.T).dense(n))
    start = study.crop(first, study.init(first, study.shapes(first, "cpu")))
    lr = jnp.array([cell.lr for cell in cells])

    def loss(params):
        a = jax.nn.relu(X @ params["W"].T @ params["W"] + params["b"])
        return ((X - a) ** 2).sum() / (first.T * n)

    def train(lr):
        def schedule(step):
            done = step / first.steps
            warm = done < 0.05
            return lr * jnp.where(
                warm, done / 0.05, (1 + jnp.cos(jnp.pi * (done - 0.05) / 0.95)) / 2
            )

        optimizer = optax.adamw(schedule, eps=first.eps, weight_decay=first.weight_decay)

        def step(state, _):
            params, moments = state
            value, grads = jax.value_and_grad(loss)(params)
            updates, new = optimizer.update(grads, moments, params)
            moved = optax.apply_updates(params, updates), new
            return jax.tree.map(partial(jnp.where, jnp.isfinite(value)), moved, state), None

        params = {"W": jnp.asarray(start.W), "b": jnp.asarray(start.b)}
        state, _ = jax.lax.scan(step, (params, optimizer.init(params)), None, first.steps)
        return state[0], jnp.int32(first.steps)

    return way_of(partial(jax.jit(jax.vmap(train)), lr))


def ways(*shape: float) -> Ways:
    """Both, of one shape."""
    grid = grid_of(*shape)  # type: ignore[arg-type]
    return {"engine": lambda: Engine(grid), "by hand": lambda: by_hand(grid)}


@pinned()
def main() -> None:
    """Compare all shapes, and write."""
    one_core()
    rows = []
    for n, m, T, S, cells, steps in SHAPES:
        what = f"n = {n}, m = {m}, T = {T:,}, S = {S:g}; {cells:,} cells"
        rates = in_turns(ways(n, m, T, S, cells, steps))
        rows.append(compared(what, rates, "engine", "by hand", "1.0"))
    write("toys", ["## Few features", "", *MEASURE, *table(HEAD, *rows)])


if __name__ == "__main__":
    main()
