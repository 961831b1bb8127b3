"""Bags of words: the synthetic grid through the engine, by hand, and in PyTorch; a step of a text.

    python benchmarks/bows.py           # rewrites its section of README.md

The grid is the circular part of sweeps/bows/structures.toml. All ways shuffle, clip and decay
alike; PyTorch trains one model after another. A step of a text model is told relative to its
matrix products alone.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from beside import (
    HEAD,
    MEASURE,
    TURNS,
    Engine,
    Way,
    Ways,
    by_hand,
    compared,
    in_turns,
    one_core,
    seconds,
    stacked,
)
from page import spread, table, write

from superpos_jax.engine.numerics import pinned
from superpos_jax.results.grid import Grid
from superpos_jax.results.sweep import load_sweep

STEPS, BATCH, D = 320, 256, 12
"""Updates of a cell in a turn: ten epochs; samples of an update; features."""
IN_PYTORCH = 56
"""PyTorch trains every 56th cell."""
TEXT_STEPS = 200


def hand(grid: Grid, shared: bool = False) -> Way:
    """As one would write it: a permutation an epoch, jit(vmap(scan)).

    With `shared` all cells see the same batches, whatever their seed: fewer operations.
    """
    steps = grid.cells[0].steps
    data = jnp.asarray(grid.study.features(grid.cells[0]).train, jnp.float32)
    per_epoch = -(-len(data) // BATCH)

    def train(cell: Any) -> Any:
        rows = jnp.arange(D)[:, None] < cell.m
        key = jax.random.key(cell.seed)
        W = jnp.where(rows, jax.random.uniform(key, (D, D), minval=-0.29, maxval=0.29), 0)

        def schedule(count: Any) -> Any:
            epoch = count // per_epoch * per_epoch
            return cell.lr * (1 + jnp.cos(jnp.pi * epoch / cell.steps)) / 2

        optimizer = optax.chain(
            optax.clip_by_global_norm(1.0),
            optax.adamw(schedule, weight_decay=cell.weight_decay),
        )

        def loss(params: Any, x: Any, weight: Any) -> Any:
            W, b = params
            z = x @ W.T @ W + b
            y = jnp.where(cell.activation > 0, jnp.maximum(z, 0), z)
            return (weight * ((x - y) ** 2).mean(axis=1)).sum() / weight.sum()

        def epoch(carry: Any, number: Any) -> Any:
            shuffle = jax.random.key(0) if shared else key
            order = jax.random.permutation(jax.random.fold_in(shuffle, number), len(data))
            order = jnp.pad(order, (0, per_epoch * BATCH - len(data)))

            def step(carry: Any, k: Any) -> Any:
                params, state = carry
                index = jax.lax.dynamic_slice(order, (k * BATCH,), (BATCH,))
                weight = (k * BATCH + jnp.arange(BATCH) < len(data)).astype(jnp.float32)
                grads = jax.grad(loss)(params, data[index], weight)
                updates, state = optimizer.update(grads, state, params)
                return (optax.apply_updates(params, updates), state), None

            return jax.lax.scan(step, carry, jnp.arange(per_epoch))

        params = (W, jnp.zeros(D))
        carry, _ = jax.lax.scan(
            epoch, (params, optimizer.init(params)), jnp.arange(steps // per_epoch)
        )
        return carry[0], jnp.int32(steps)

    cells, compiled = stacked(grid.cells), jax.jit(jax.vmap(train))
    return by_hand(lambda: compiled(cells))


def pytorch(grid: Grid) -> Way:
    """One model after another."""
    import torch

    torch.set_num_threads(1)

    def train(cell: Any) -> int:
        torch.manual_seed(cell.seed)
        data = torch.tensor(grid.study.features(cell).train, dtype=torch.float32)
        W = torch.nn.Parameter((torch.rand(cell.m, D) - 0.5) / 2)
        b = torch.nn.Parameter(torch.zeros(D))
        optimizer = torch.optim.AdamW([W, b], lr=cell.lr, weight_decay=cell.weight_decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, cell.steps)
        done = 0
        while done < cell.steps:
            for index in torch.randperm(len(data)).split(BATCH):
                x = data[index]
                z = x @ W.T @ W + b
                loss = (((torch.relu(z) if cell.activation else z) - x) ** 2).mean()
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_([W, b], 1.0)
                optimizer.step()
                schedule.step()
                done += 1
        return done

    return lambda: sum(map(train, grid.cells[::IN_PYTORCH]))


def ways(steps: int, *changed: str) -> Ways:
    """The grid, all ways."""
    asked = ["structure=circular", "seed=range(3)", f"steps={steps}"]
    grid = load_sweep("bows/structures", [*asked, *changed]).grid()
    return {
        "engine": lambda: Engine(grid),
        "by hand": lambda: hand(grid),
        "shared": lambda: hand(grid, shared=True),
        "PyTorch": lambda: pytorch(grid),
    }


def text(m: int = 120) -> list[tuple[float, float]]:
    """Milliseconds of a step of a text model in the engine, and of its matrix products alone."""
    asked = [f"m=[{m}, {m + 1}]", "seed=0", "weight_decay=1", f"steps={TEXT_STEPS}"]
    grid = load_sweep("bows/planted", asked).grid()
    engine = Engine(grid)
    x, W = jnp.ones((grid.cells[0].batch, grid.study.words)), jnp.ones((m, grid.study.words))

    @jax.jit
    def products(x: Any, W: Any) -> Any:
        def body(_: Any, W: Any) -> Any:
            h = x @ W.T
            z = h @ W
            return W + 1e-9 * (h.T @ z + (z @ W.T).T @ x)

        return jax.lax.fori_loop(0, TEXT_STEPS, body, W)

    def once() -> tuple[float, float]:
        of_cells = seconds(engine) / len(grid.cells), seconds(lambda: products(x, W))
        return tuple(1e3 * each / TEXT_STEPS for each in of_cells)

    once()  # compiles
    return [once() for _ in range(TURNS)]


@pinned()
def main() -> None:
    """Measure, and write."""
    one_core()
    rates = in_turns(ways(STEPS))
    rows = [
        compared("each seed its own batches, by hand", rates, "engine", "by hand", "1.0"),
        compared("all seeds the same batches, by hand", rates, "engine", "shared"),
        compared("PyTorch", rates, "engine", "PyTorch", "10"),
    ]
    steps = text()
    step, products = zip(*steps, strict=True)
    ratios = [ours / alone for ours, alone in steps]
    lines = [
        "",
        "A step of a text model of m = 120 and 300 words, 256 bags:",
        f"{spread(step, '.2f')} ms; its matrix products alone {spread(products, '.2f')} ms;",
        f"{spread(ratios, '.2f')} times as long.",
    ]
    write("bows", ["## Bags of words", "", *MEASURE, *table(HEAD, *rows), *lines])


if __name__ == "__main__":
    main()
