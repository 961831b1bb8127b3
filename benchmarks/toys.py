"""Autoencoders of few features through the engine, beside a dense vmap by hand.

    python benchmarks/toys.py           # rewrites its section of README.md

By hand means `jax.vmap` over all cells of one step of AdamW on dense samples. Both start from the
same weights and samples; the engine measures and keeps nothing on the way.
"""

from __future__ import annotations

from functools import partial
from typing import Any

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
    # axis, n, m, T, S, cells, steps
    ("seed", 16, 4, 16, 0.5, 2048, 300),
    ("seed", 50, 4, 50, 0.9, 512, 150),
    ("seed", 100, 4, 100, 0.95, 256, 80),
    ("seed", 500, 4, 100, 0.98, 64, 60),
    ("seed", 500, 4, 1000, 0.98, 16, 30),
    ("lr", 16, 4, 16, 0.5, 2048, 300),
    ("lr", 50, 4, 50, 0.9, 512, 150),
]

GUARD = (
    "",
    "The engine finds the update at which a weight is no longer finite; the vmap by hand checks",
    "its loss alone.",
)


def grid_of(axis: str, n: int, m: int, T: int, S: float, cells: int, steps: int) -> Grid:
    """Cells that differ in their seed, or in their learning rate and share samples."""
    rates = np.geomspace(1e-3, 1e-1, cells).round(9).tolist()
    axes = {"lr": rates} if axis == "lr" else {"seed": range(cells)}
    cell = {"T": T, "m": m, "S": S, "steps": steps}
    return Sweep(axes=axes, cell=cell, options={"n": n, "test_samples": 16}).grid()


def by_hand(grid: Grid) -> Way:
    """The same training, all cells side by side; samples that they share are held once."""
    study, cells = grid.study, grid.cells
    n, first = study.options.n, cells[0]
    keys = {study.datasets(cell)["train"].key: cell for cell in cells}
    samples = jnp.stack([jnp.asarray(data.draw(key, first.T).dense(n)) for key in keys])
    shared = len(keys) == 1
    shapes = study.shapes(first, "cpu")
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *cells)
    starts = jax.jit(jax.vmap(lambda cell: study.init(cell, shapes)))(stacked)
    W, b = starts.W[:, : first.m, :n], starts.b[:, :n]
    lr = jnp.array([cell.lr for cell in cells])

    def loss(params, X):
        a = jax.nn.relu(X @ params["W"].T @ params["W"] + params["b"])
        return ((X - a) ** 2).sum() / (first.T * n)

    def train(lr, W, b, X):
        def schedule(step):
            done = step / first.steps
            warm = done < 0.05
            return lr * jnp.where(
                warm, done / 0.05, (1 + jnp.cos(jnp.pi * (done - 0.05) / 0.95)) / 2
            )

        optimizer = optax.adamw(schedule, eps=first.eps, weight_decay=first.weight_decay)

        def step(state, _):
            params, moments = state
            value, grads = jax.value_and_grad(loss)(params, X)
            updates, new = optimizer.update(grads, moments, params)
            moved = optax.apply_updates(params, updates), new
            return jax.tree.map(partial(jnp.where, jnp.isfinite(value)), moved, state), None

        params = {"W": W, "b": b}
        state, _ = jax.lax.scan(step, (params, optimizer.init(params)), None, first.steps)
        return state[0], jnp.int32(first.steps)

    together = jax.vmap(train, in_axes=(0, 0, 0, None if shared else 0))
    return way_of(partial(jax.jit(together), lr, W, b, samples[0] if shared else samples))


def ways(*shape: Any) -> Ways:
    """Both, of one shape."""
    grid = grid_of(*shape)
    return {"engine": lambda: Engine(grid), "by hand": lambda: by_hand(grid)}


@pinned()
def main() -> None:
    """Compare all shapes, and write."""
    one_core()
    rows = []
    for shape in SHAPES:
        axis, n, m, T, S, cells, _ = shape
        data_of = "samples of their own" if axis == "seed" else "that share samples"
        what = f"n = {n}, m = {m}, T = {T:,}, S = {S:g}; {cells:,} cells, {data_of}"
        rates = in_turns(ways(*shape))
        rows.append(compared(what, rates, "engine", "by hand", "1.0"))
    write("toys", ["## Few features", "", *MEASURE, *GUARD, *table(HEAD, *rows)])


if __name__ == "__main__":
    main()
