"""Ways to do one full-batch AdamW step, and how fast each is: billion (sample, feature) pairs a
second at every shape of `SHAPES`. One way is measured in one process: `python ways.py NAME`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

REFERENCE = (2, 10_000, 8_192)
"""m, n, T of the cell that the targets are about."""
SHAPES = [
    REFERENCE,
    *((m, n, T) for m in (2, 4, 8, 16, 32) for n in (1_000, 10_000) for T in (100, 1_000, 10_000)),
]
SECONDS = 0.8
LR, WEIGHT_DECAY = 1e-3, 1e-2


def timed(step: Callable[[], object], seconds: float = SECONDS) -> float:
    """Seconds a call takes, after one call to warm up."""
    step()
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        step()
        count += 1
    return (time.perf_counter() - begin) / count


def trainer(cells: list[dict[str, float]], n: int, devices: int) -> Callable[[int], None]:
    """A function that trains cells for so many steps with the engine."""
    import jax

    from superpos_jax.engine.code import make_mesh
    from superpos_jax.engine.plan import make_plan
    from superpos_jax.engine.program import Program
    from superpos_jax.results.sweep import Sweep
    from superpos_jax.studies.double_descent.cell import Cell
    from superpos_jax.training.job import find_devices

    study = Sweep(options={"n": n, "test_samples": 1}).grid().study
    chosen = find_devices(devices)
    made = [Cell(**{"S": 1 - 10 / n, "steps": 10**6, **cell}) for cell in cells]
    program = Program(study, make_plan(study, made, len(chosen), "cpu"), make_mesh(chosen))
    state, done = program.init(), 0

    def train(steps: int) -> None:
        nonlocal state, done
        done += steps
        state = jax.block_until_ready(program.advance(state, done))

    return train


def engine(m: int, n: int, T: int, devices: int = 1) -> float:
    """Pairs a second of the engine, one cell for each device."""
    from superpos_jax.engine import collective

    cells = [{"T": T, "m": m, "seed": seed} for seed in range(devices)]
    train = trainer(cells, n, devices)
    train(1)
    collective.shared(lambda: None)  # all begin together
    steps = max(1, int(3e8 / (T * n)))
    return devices * T * n * steps / timed(lambda: train(steps))


def dense_x(samples: int, n: int):
    """A dense data set (samples, n), as a user without sparse storage would hold it."""
    import numpy as np

    rng = np.random.default_rng(0)
    X = rng.random((samples, n), np.float32)
    X *= rng.random((samples, n), np.float32) < 10 / n
    return X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-30)


def dense_jax(m: int, n: int, T: int) -> float:
    """Dense X for two cells under vmap, the smaller one padded, jax.grad and optax.adamw."""
    import jax
    import jax.numpy as jnp
    import optax

    sizes = jnp.array([T, T - T // 4])
    X = jnp.asarray(dense_x(T, n))
    optimizer = optax.adamw(LR, weight_decay=WEIGHT_DECAY)

    def init(key):
        params = {"W": jax.random.normal(key, (m, n)) / 100, "b": jnp.zeros(n)}
        return params, optimizer.init(params)

    def loss(params, size):
        out = jax.nn.relu(X @ params["W"].T @ params["W"] + params["b"])
        used = (jnp.arange(T) < size)[:, None]
        return (used * (X - out) ** 2).sum() / (size * n)

    def update(state, size):
        params, moments = state
        updates, moments = optimizer.update(jax.grad(loss)(params, size), moments, params)
        return optax.apply_updates(params, updates), moments

    state = jax.vmap(init)(jax.random.split(jax.random.key(0)))
    together = jax.jit(jax.vmap(update))

    def step() -> None:
        nonlocal state
        state = jax.block_until_ready(together(state, sizes))

    return int(sizes.sum()) * n / timed(step)


def dense_torch(m: int, n: int, T: int) -> float:
    """The public replications' style: dense batches of 1,000, torch.AdamW."""
    import torch

    X = torch.tensor(dense_x(T, n)).T.contiguous()
    W = torch.nn.Parameter(torch.randn(m, n) / 100)
    b = torch.nn.Parameter(torch.zeros(n, 1))
    optimizer = torch.optim.AdamW([W, b], lr=LR, weight_decay=WEIGHT_DECAY)

    def step() -> None:
        optimizer.zero_grad()
        for batch in torch.split(X, 1000, dim=1):
            out = torch.relu(W.T @ (W @ batch) + b)
            (((batch - out) ** 2).sum() / (T * n)).backward()
        optimizer.step()

    return T * n / timed(step)


def native() -> dict[str, float]:
    """Billion multiply-adds, and pairs at m = 2, a second that one core can do; needs c++."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(__file__).with_name("native.cpp")
        program = f"{folder}/native"
        flags = ["-std=c++20", "-O3", "-march=native", "-ffast-math"]
        subprocess.run(["c++", *flags, str(source), "-o", program], check=True)
        told = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    return dict(zip(("multiply-adds", "pairs"), map(float, told.split()), strict=True))


WAYS: dict[str, Callable[..., float]] = {
    "torch": dense_torch,
    "jax": dense_jax,
    "core": engine,
    "cores": engine,
}
"""core: one process on one core; cores: as `superpos run` does, one process on each."""


@contextlib.contextmanager
def alone_or_launched(name: str, arguments: argparse.Namespace) -> Iterator[int]:
    """Be one process, or lead one for each core; the devices in all."""
    from superpos_jax.training import launch

    launch.follow()
    cores = launch.cores()
    if name == "core":
        os.sched_setaffinity(0, cores[:1])
        yield 1
    elif arguments.coordinator:
        launch.join(arguments.coordinator, arguments.processes, arguments.process)
        yield arguments.processes
    else:
        with launch.launched(len(cores), [sys.executable, __file__, name]):
            yield len(cores)


def main() -> None:
    """Measure one way at every shape; prints JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=[*WAYS, "native"])
    parser.add_argument("--coordinator")
    parser.add_argument("--processes", type=int)
    parser.add_argument("--process", type=int)
    arguments = parser.parse_args()
    name = arguments.way
    if name == "native":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
        print(json.dumps(native()))
    elif name in ("torch", "jax"):
        print(json.dumps([WAYS[name](*shape) / 1e9 for shape in SHAPES]))
    else:
        with alone_or_launched(name, arguments) as devices:
            rates = [engine(*shape, devices) / 1e9 for shape in SHAPES]
        if not arguments.process:
            print(json.dumps(rates))


if __name__ == "__main__":
    main()
