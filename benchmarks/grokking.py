"""Grokking: the cells of S1 through the engine, by hand, and in PyTorch one after another.

    python benchmarks/grokking.py       # rewrites its section of README.md

By hand each arm is a jit(vmap(scan)) over its seeds, whose loss and optimizer are fixed in the
program. PyTorch follows the public code of the paper: one-hot inputs, the full batch, a softmax of
float32, or of float64 for the arm "exact", and loss, accuracy and collapse of both parts logged.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from statistics import median
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from beside import HEAD, MEASURE, Engine, Way, Ways, by_hand, compared, in_turns, one_core, stacked
from page import table, write

from superpos_jax.engine.numerics import pinned
from superpos_jax.results.grid import Grid
from superpos_jax.results.sweep import load_sweep
from superpos_jax.studies.grokking.losses import EXACT, UNLIMITED, cross_entropy

STEPS, EVERY = 30, 10
"""Updates of a cell in a turn; between two looks at train and test accuracy."""


def arrays(grid: Grid, cell: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """One-hot inputs (samples, 2 p) and labels (samples,): training, test."""
    parts, one_hot = [], np.eye(grid.study.options.p, dtype=np.float32)
    for dataset in grid.study.datasets(cell).values():
        x, y = grid.study.load(dataset)
        parts.append((one_hot[x].reshape(len(x), -1), y))
    return parts


def forward(params: Sequence[Any], x: Any, relu: Any) -> Any:
    """Logits, in JAX and in PyTorch."""
    for W in params[:-1]:
        x = relu(x @ W)
    return x @ params[-1]


def shapes(grid: Grid, cell: Any) -> list[tuple[int, int]]:
    """Of the weights."""
    p = grid.study.options.p
    return list(itertools.pairwise([2 * p, *[cell.width] * cell.depth, p]))


def arm_by_hand(grid: Grid, cells: Sequence[Any], looks: bool) -> Way:
    """The seeds of an arm, with accuracies at every tenth step if somebody looks."""
    arm = cells[0]
    optimizer = optax.adamw(arm.lr, b2=arm.beta2, eps=arm.eps, weight_decay=arm.weight_decay)

    def loss(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        z = forward(params, x, jax.nn.relu)
        if arm.loss == EXACT:
            return cross_entropy(z, y, UNLIMITED).mean()
        return optax.softmax_cross_entropy_with_integer_labels(z, y).mean()

    def across(g: jax.Array, w: jax.Array) -> jax.Array:
        part = g - jnp.vdot(w, g) / jnp.vdot(w, w) * w
        return part * jnp.linalg.norm(g) / (jnp.linalg.norm(part) + 1e-30)

    def step(carry: Any, x: jax.Array, y: jax.Array) -> Any:
        params, moments = carry
        grads = jax.grad(loss)(params, x, y)
        if arm.perp:
            grads = jax.tree.map(across, grads, params)
        updates, moments = optimizer.update(grads, moments, params)
        return optax.apply_updates(params, updates), moments

    def accuracy(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        return (forward(params, x, jax.nn.relu).argmax(axis=1) == y).mean()

    def train(seed: jax.Array, train: Any, test: Any) -> tuple[Any, jax.Array]:
        shape = shapes(grid, arm)
        keys = jax.random.split(jax.random.key(seed), len(shape))
        params = [
            jax.random.uniform(key, each, minval=-1) / each[0] ** 0.5
            for key, each in zip(keys, shape, strict=True)
        ]

        def until_look(carry: Any, _: None) -> Any:
            carry = jax.lax.fori_loop(0, EVERY, lambda _, carry: step(carry, *train), carry)
            seen = [accuracy(carry[0], *part) for part in (train, test)] if looks else None
            return carry, seen

        start = params, optimizer.init(params)
        (params, _), seen = jax.lax.scan(until_look, start, length=arm.steps // EVERY)
        return (params, seen), jnp.int32(arm.steps)

    seeds = jnp.array([cell.seed for cell in cells])
    data = stacked([arrays(grid, cell) for cell in cells])
    compiled = jax.jit(jax.vmap(train))
    return by_hand(lambda: compiled(seeds, *data))


def hand(grid: Grid, looks: bool) -> Way:
    """All arms, one after another."""
    seeds = len(grid.axes["seed"])
    arms = [grid.cells[first : first + seeds] for first in range(0, len(grid.cells), seeds)]
    ways = [arm_by_hand(grid, cells, looks) for cells in arms]
    return lambda: sum(way() for way in ways)


def pytorch(grid: Grid) -> Way:
    """One cell after another."""
    import torch
    from torch.nn.functional import nll_loss

    torch.set_num_threads(1)

    def loss_of(z: torch.Tensor, y: torch.Tensor, cell: Any) -> torch.Tensor:
        z = z.double() if cell.loss == EXACT else z
        return nll_loss(z.log_softmax(dim=1), y).float()

    def across(w: torch.Tensor) -> None:
        g = w.grad
        part = g - (w * g).sum() / ((w * w).sum() + 1e-30) * w
        g.copy_(part * g.norm() / (part.norm() + 1e-30))

    @torch.no_grad()
    def look(params: list[Any], cell: Any, parts: list[Any]) -> list[float]:
        seen = []
        for x, y in parts:
            z = forward(params, x, torch.relu)
            sums = (z - z.max(dim=1, keepdim=True).values).exp().sum(dim=1)
            right = z.argmax(dim=1) == y
            means = loss_of(z, y, cell), right.float().mean(), (sums == 1).float().mean()
            seen += [value.item() for value in means]
        return seen

    def train(cell: Any) -> int:
        torch.manual_seed(cell.seed)
        parts = [(torch.tensor(x), torch.tensor(y).long()) for x, y in arrays(grid, cell)]
        params = [
            torch.nn.Parameter((2 * torch.rand(shape) - 1) / shape[0] ** 0.5)
            for shape in shapes(grid, cell)
        ]
        adam = {"betas": (0.9, cell.beta2), "eps": cell.eps, "weight_decay": cell.weight_decay}
        optimizer = torch.optim.AdamW(params, lr=cell.lr, **adam)
        x, y = parts[0]
        for step in range(1, cell.steps + 1):
            optimizer.zero_grad()
            loss_of(forward(params, x, torch.relu), y, cell).backward()
            if cell.perp:
                with torch.no_grad():
                    for w in params:
                        across(w)
            optimizer.step()
            if step % EVERY == 0:
                look(params, cell, parts)
        return int(cell.steps)

    return lambda: sum(map(train, grid.cells))


def products(grid: Grid) -> Way:
    """The matrix products of a cell's updates and nothing else, in numpy.

    Those of the first layer are left out: a layer that reads rows has none.
    """
    rng, samples = np.random.default_rng(0), len(arrays(grid, grid.cells[0])[0][1])

    def numbers(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    layers = [
        (numbers(samples, inputs), numbers(inputs, outputs), numbers(samples, outputs))
        for inputs, outputs in shapes(grid, grid.cells[0])[1:]
    ]

    def train() -> int:
        updates = sum(int(cell.steps) for cell in grid.cells)
        for _ in range(updates):
            for x, W, g in layers:
                x @ W, x.T @ g, g @ W.T
        return updates

    return train


def ways(steps: int, *changed: str) -> Ways:
    """With looks as S1 has them; the engine and by hand without any, too."""
    seen = load_sweep("grokking/S1", [f"steps={steps}", f"look_every={EVERY}", *changed]).grid()
    unseen = load_sweep("grokking/S1", [f"steps={steps}", f"look_every={steps}", *changed]).grid()
    return {
        "engine": lambda: Engine(seen),
        "by hand": lambda: hand(seen, looks=True),
        "PyTorch": lambda: pytorch(seen),
        "engine, unseen": lambda: Engine(unseen),
        "by hand, unseen": lambda: hand(unseen, looks=False),
        "products": lambda: products(unseen),
    }


@pinned()
def main() -> None:
    """Measure, and write."""
    one_core()
    rates = in_turns(ways(STEPS))
    rows = [
        compared("as S1, by hand", rates, "engine", "by hand", "1.0"),
        compared("as S1, PyTorch", rates, "engine", "PyTorch", "5"),
        compared("no looks, by hand", rates, "engine, unseen", "by hand, unseen"),
        compared("no looks, products alone", rates, "engine, unseen", "products"),
    ]
    alone, five = (median(rates["products"]), 5 * median(rates["PyTorch"]))
    lines = [
        "",
        "Products alone are the matrix products of an update in numpy, without the first layer's.",
        f"A core does {alone:,.0f} such updates a second; five times PyTorch's rate would be"
        f" {five:,.0f}.",
    ]
    write("grokking", ["## Grokking", "", *MEASURE, *table(HEAD, *rows), *lines])


if __name__ == "__main__":
    main()
