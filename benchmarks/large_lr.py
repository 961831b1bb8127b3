"""Large learning rates: cells of the sweep `boolean` through the engine, by hand, and in PyTorch.

    python benchmarks/large_lr.py       # rewrites its section of README.md

By hand: vmap over the cells, and a loop of ten updates and a look, until the last cell has stopped.
PyTorch trains one cell after another. Of two processes and of one the time is measured that their
`superpos run` notes, without compilation: of whole runs, and of the updates by which a longer run
differs from a shorter one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
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
    stacked,
)
from page import spread, table, write

from superpos_jax.engine.numerics import pinned
from superpos_jax.results.grid import Grid
from superpos_jax.results.sweep import load_sweep
from superpos_jax.studies.large_lr.study import LOOK_EVERY, LargeLR

STEPS = 3000
"""Updates in a turn: at most where cells stop, of each where they do not."""
IN_PYTORCH = 37
"""PyTorch trains every 37th cell: 7 of 224, of different learning rates, shares and seeds."""
LONG_STEPS, SHORT_STEPS = 20_000, 4_000
"""Updates of each cell of two runs: what the longer takes beyond the other is training alone."""
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


def ways(steps: int, *changed: str) -> Ways:
    """Until cells have learned; for a number of steps; the same with nobody looking."""
    stopping = load_sweep("large_lr/boolean", [f"steps={steps}", *changed]).grid()
    for_all = [f"steps={steps}", "protocol=fixed", *changed]
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


def run_seconds(cores: Collection[int], steps: int, *changed: str) -> float:
    """Seconds that a run with a process on each of some cores takes, beside compilation."""
    superpos = str(Path(sys.executable).with_name("superpos"))
    settings = [f"steps={steps}", "protocol=fixed", *changed]
    with tempfile.TemporaryDirectory() as folder:
        command = [superpos, "run", "large_lr/boolean", "--out", f"{folder}/out"]
        command += ["--processes", str(len(cores))]
        for setting in settings:
            command += ["--set", setting]
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores)  # of this process; what it starts has the same
        subprocess.run(command, check=True, capture_output=True)
        os.sched_setaffinity(0, before)
        told = json.loads(Path(folder, "out", "provenance.json").read_text())
    return float(told["wall_seconds"] - told["compile_seconds"])


def of_processes() -> list[str]:
    """In words: runs of two processes, on a core each, beside runs of one."""
    first, second, *_ = sorted(os.sched_getaffinity(0))
    whole, training = [], []
    for _ in range(TURNS):
        long, short = (
            [run_seconds(cores, steps) for cores in ([first], [first, second])]
            for steps in (LONG_STEPS, SHORT_STEPS)
        )
        whole.append(long)
        training.append([a - b for a, b in zip(long, short, strict=True)])

    def times(seconds: list[list[float]]) -> str:
        return spread([one / two for one, two in seconds], ".2f")

    alone, together = (spread(seconds, ".0f") for seconds in zip(*whole, strict=True))
    return [
        f"`superpos run large_lr/boolean` does {times(training)} times as many cell-steps a second",
        "in two processes on two cores as in one on one (goal 1.8). The whole run, with",
        f"{LONG_STEPS:,} updates a cell, takes {together} s and {alone} s, compilation aside:",
        f"{times(whole)} times as fast.",
    ]


@pinned()
def main() -> None:
    """Measure processes, then everything else on one core, and write."""
    processes = of_processes()
    one_core()
    rates = in_turns(ways(STEPS))
    pairs = [
        ("until learned", "stop", "by hand", "2.0"),
        ("until learned", "stop", "PyTorch", "20"),
        (f"{STEPS:,} updates with looks", "fixed", "by hand", "1.0"),
        (f"{STEPS:,} updates, no looks", "unseen", "by hand", "1.0"),
    ]
    rows = [
        compared(f"{what}, {other}", rates, f"engine, {kind}", f"{other}, {kind}", goal)
        for what, kind, other, goal in pairs
    ]
    write(
        "large_lr", ["## Large learning rates", "", *MEASURE, *table(HEAD, *rows), "", *processes]
    )


if __name__ == "__main__":
    main()
