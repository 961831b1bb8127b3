"""Bags of words: the synthetic grid through the engine, by hand, and in PyTorch; a step of a text.

    python benchmarks/bows.py            # all, or those that are named: engine hand torch text

One core. The grid is the circular part of sweeps/bows/structures.toml: cell-steps a second of the
engine and of a hand-written jit(vmap(scan)) over the same cells, in alternating pairs, and of plain
PyTorch, one model after another. Both of JAX shuffle, clip and decay alike. A step of a text model
is told relative to its matrix products alone. Prints JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])

import jax  # noqa: E402 - the thread pool follows the affinity
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402

from superpos_jax.engine.plan import make_plan  # noqa: E402
from superpos_jax.engine.program import Program, make_mesh  # noqa: E402
from superpos_jax.results.sweep import load_sweep  # noqa: E402

PAIRS, STEPS, BATCH, D = 3, 320, 256, 12
TORCH_STEPS = 640
AXES = ["structure=circular", f"steps={STEPS}"]


def seconds(run: Callable[[], Any]) -> float:
    start = time.process_time()
    jax.block_until_ready(run())
    return time.process_time() - start


def engine() -> tuple[Callable[[], Any], int]:
    """A whole training of the grid, compiled; and its cells."""
    grid = load_sweep("bows/structures", AXES).grid()
    plan = make_plan(grid.study, grid.cells, 1, "cpu")
    program = Program(grid.study, plan, make_mesh(jax.devices()[:1]))
    state = program.init()

    def run() -> Any:
        nonlocal state
        state = [group._replace(step=jnp.zeros_like(group.step)) for group in state]
        state = program.advance(state, STEPS)
        return state

    return run, len(grid.cells)


def hand(shared: bool = False) -> Callable[[], Any]:
    """The same as one would write it: a permutation an epoch, jit(vmap(scan)).

    With `shared` all cells see the same batches, whatever their seed: fewer operations.
    """
    grid = load_sweep("bows/structures", AXES).grid()
    data = jnp.asarray(grid.study.features(grid.cells[0]).train, jnp.float32)
    stacked = jax.tree.map(lambda *values: jnp.asarray(values), *grid.cells)
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
            epoch, (params, optimizer.init(params)), jnp.arange(STEPS // per_epoch)
        )
        return carry[0]

    return partial(jax.jit(jax.vmap(train)), stacked)


def torch_rate() -> float:
    """Steps a second of one model after another in plain PyTorch."""
    import torch

    torch.set_num_threads(1)
    study = load_sweep("bows/structures", AXES).grid()
    data = torch.tensor(study.study.features(study.cells[0]).train, dtype=torch.float32)
    W = torch.nn.Parameter((torch.rand(6, D) - 0.5) / 2)
    b = torch.nn.Parameter(torch.zeros(D))
    optimizer = torch.optim.AdamW([W, b], lr=1e-2, weight_decay=1.0)
    start, done = time.process_time(), 0
    while done < TORCH_STEPS:
        for index in torch.randperm(len(data)).split(BATCH):
            x = data[index]
            loss = ((torch.relu(x @ W.T @ W + b) - x) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_([W, b], 1.0)
            optimizer.step()
            done += 1
    return done / (time.process_time() - start)


def text(m: int = 120, V: int = 1000) -> dict[str, float]:
    """Milliseconds of a step of a text model in the engine, and of its matrix products alone."""
    overrides = ["corpus=[planted]", "vocabulary=300", "m=[120, 121]", "seed=0", "weight_decay=1"]
    overrides += ["steps=200"]
    grid = load_sweep("bows/planted", overrides[1:]).grid()
    plan = make_plan(grid.study, grid.cells, 1, "cpu")
    program = Program(grid.study, plan, make_mesh(jax.devices()[:1]))
    state = program.advance(program.init(), 1)
    took = seconds(lambda: program.advance(state, 200)) / (199 * len(grid.cells))
    V = grid.study.words
    x, W = jnp.ones((BATCH, V)), jnp.ones((m, V))

    @jax.jit
    def products(x: Any, W: Any) -> Any:
        def body(_: Any, W: Any) -> Any:
            h = x @ W.T
            z = h @ W
            return W + 1e-9 * (h.T @ z + (z @ W.T).T @ x)

        return jax.lax.fori_loop(0, 200, body, W)

    jax.block_until_ready(products(x, W))
    alone = seconds(lambda: products(x, W)) / 200
    return {"step_ms": 1e3 * took, "products_ms": 1e3 * alone, "ratio": took / alone}


def main(names: list[str]) -> None:
    report: dict[str, Any] = {}
    if {"engine", "hand"} & set(names):
        (by_engine, cells), *others = engine(), hand(), hand(shared=True)
        runs = by_engine, *others
        for run in runs:
            jax.block_until_ready(run())  # compile
        took = np.array([[seconds(run) for run in runs] for _ in range(PAIRS)])
        rates = cells * STEPS / np.median(took, axis=0)
        report |= {"cells": cells} | dict(
            zip(("engine", "hand", "hand_shared"), rates.tolist(), strict=True)
        )
        report["engine_over_hand"] = float(np.median(took[:, 1] / took[:, 0]))
        report["engine_over_shared"] = float(np.median(took[:, 2] / took[:, 0]))
    if "torch" in names:
        report["torch"] = torch_rate()
    if "text" in names:
        report["text"] = text()
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main(sys.argv[1:] or ["engine", "hand", "torch", "text"])
