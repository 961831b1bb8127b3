"""Large learning rates: cells of the sweep `boolean` through the engine, by hand, and in PyTorch.

    python benchmarks/large_lr.py       # rewrites its section of README.md

By hand: vmap over the cells, and a loop of ten updates and a look, until the last cell has stopped.
PyTorch trains one cell after another.
"""

from __future__ import annotations

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
from superpos_jax.studies.large_lr.study import LOOK_EVERY, LargeLR

STEPS, FIXED_STEPS = 3000, 300
"""Updates in a turn: at most where cells stop, of each where they do not."""
IN_PYTORCH = 37
"""PyTorch trains every 37th cell: 7 of 224, of different learning rates, shares and seeds."""
FAR = 20 * np.log(2)


class Unseen(LargeLR):
    """The same models, at which nobody looks while they train."""

    def look_every(self, cell: Any) -> int:
        """Never."""
        return 0


def arrays(grid: Grid, cell: Any) -> Any:
    """Training inputs, labels, and labels of the cue."""
    return grid.study.load(grid.study.datasets(cell)["train"])


def hand(grid: Grid, looks: bool = True, stops: bool = False) -> Way:
    """All cells; a look is loss, accuracy and phi of the training samples."""
    first = grid.cells[0]

    def losses(params: Any, x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits = jax.nn.relu(x @ params["W"] + params["b"]) @ params["U"]
        right = logits.argmax(axis=1) == y
        return optax.softmax_cross_entropy_with_integer_labels(logits, y), right

    def train(lr: jax.Array, seed: jax.Array, batch: Any) -> tuple[Any, jax.Array]:
        x, y, s = batch
        keys = jax.random.split(jax.random.key(seed), 4)
        shapes = {"W": (x.shape[1], first.width), "b": (first.width,), "U": (first.width, 2)}
        start = {
            name: jax.random.uniform(key, shape, minval=-1) / shape[0] ** 0.5
            for key, (name, shape) in zip(keys, shapes.items(), strict=False)
        }

        def step(number: jax.Array, params: Any) -> Any:
            key = jax.random.fold_in(keys[3], number)
            rows = jax.random.randint(key, (first.batch,), 0, len(x))
            grads = jax.grad(lambda params: losses(params, x[rows], y[rows])[0].mean())(params)
            return jax.tree.map(lambda p, g: p - lr * g, params, grads)

        def until_look(state: Any) -> Any:
            params, done, _, _ = state
            params = jax.lax.fori_loop(done, done + LOOK_EVERY, step, params)
            if not looks:
                return params, done + LOOK_EVERY, state[2], state[3]
            loss, right = losses(params, x, y)
            phi = (loss * (s != y)).sum() / loss.sum()
            ends = (loss.mean() < first.stop_loss) & right.all() | (loss.mean() > FAR)
            return params, done + LOOK_EVERY, phi, ends

        def goes_on(state: Any) -> jax.Array:
            _, done, _, ends = state
            return (done < first.steps) & ~ends if stops else done < first.steps

        state = start, jnp.int32(0), jnp.float32(0), jnp.bool(False)
        params, done, phi, _ = jax.lax.while_loop(goes_on, until_look, state)
        return (params, phi), done

    lr = jnp.array([cell.lr for cell in grid.cells], jnp.float32)
    seed = jnp.array([cell.seed for cell in grid.cells])
    data = stacked([arrays(grid, cell) for cell in grid.cells])
    compiled = jax.jit(jax.vmap(train))
    return by_hand(lambda: compiled(lr, seed, data))


def pytorch(grid: Grid) -> Way:
    """One cell after another, until it has learned its training samples."""
    import torch
    from torch.nn.functional import cross_entropy

    torch.set_num_threads(1)

    def train(cell: Any) -> int:
        torch.manual_seed(cell.seed)
        x, y, _ = (torch.tensor(array) for array in arrays(grid, cell))
        y = y.long()
        hidden = torch.nn.Linear(x.shape[1], cell.width)
        model = torch.nn.Sequential(hidden, torch.nn.ReLU(), torch.nn.Linear(cell.width, 2, False))
        optimizer = torch.optim.SGD(model.parameters(), lr=cell.lr)
        for step in range(1, cell.steps + 1):
            rows = torch.randint(len(x), (cell.batch,))
            loss = cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if step % LOOK_EVERY == 0:
                with torch.no_grad():
                    logits = model(x)
                    whole = cross_entropy(logits, y)
                    learned = whole < cell.stop_loss and (logits.argmax(dim=1) == y).all()
                    if learned or whole > FAR:
                        break
        return step

    return lambda: sum(map(train, grid.cells[::IN_PYTORCH]))


def ways(steps: int, fixed_steps: int, *changed: str) -> Ways:
    """Until cells have learned; for a number of steps; the same with nobody looking."""
    stopping = load_sweep("large_lr/boolean", [f"steps={steps}", *changed]).grid()
    for_all = [f"steps={fixed_steps}", "protocol=fixed", *changed]
    fixed = load_sweep("large_lr/boolean", for_all).grid()
    unseen = Grid(Unseen(fixed.study.options), fixed.base, fixed.axes)
    return {
        "engine, stop": lambda: Engine(stopping),
        "by hand, stop": lambda: hand(stopping, stops=True),
        "PyTorch, stop": lambda: pytorch(stopping),
        "engine, fixed": lambda: Engine(fixed),
        "by hand, fixed": lambda: hand(fixed),
        "engine, unseen": lambda: Engine(unseen),
        "by hand, unseen": lambda: hand(unseen, looks=False),
    }


@pinned()
def main() -> None:
    """Measure on one core, and write."""
    one_core()
    rates = in_turns(ways(STEPS, FIXED_STEPS))
    pairs = [
        ("until learned", "stop", "by hand", "2.0"),
        ("until learned", "stop", "PyTorch", "20"),
        (f"{FIXED_STEPS} updates with looks", "fixed", "by hand", "1.0"),
        (f"{FIXED_STEPS} updates, no looks", "unseen", "by hand", "1.0"),
    ]
    rows = [
        compared(f"{what}, {other}", rates, f"engine, {kind}", f"{other}, {kind}", goal)
        for what, kind, other, goal in pairs
    ]
    write("large_lr", ["## Large learning rates", "", *MEASURE, *table(HEAD, *rows)])


if __name__ == "__main__":
    main()
