"""Speed and memory, measured in one run: `make bench` prints the tables and rewrites README.md.

Each way of doing a full-batch step runs in a process of its own; the ways take turns, so that a
drift of the machine hits all of them, and ratios are taken within a turn.

    python benchmarks/run.py            # everything, about ten minutes on two cores
    python benchmarks/run.py --turns 1
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
N, M, T, SPARSITY = 10_000, 2, 8_192, 0.999
LR, WEIGHT_DECAY = 1e-3, 1e-2


def timed(step: Callable[[], object], seconds: float = 6.0) -> float:
    """Seconds a call takes, after one call to warm up."""
    step()
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        step()
        count += 1
    return (time.perf_counter() - begin) / count


def engine(samples: int = T, cells: int = 2, n: int = N, m: int = M) -> float:
    """Pairs a second of the engine: two cells, one for each core, whole AdamW steps."""
    import jax

    from superpos_jax.engine import Program, make_mesh
    from superpos_jax.pack import make_plan
    from superpos_jax.sweep import Sweep
    from superpos_jax.train import find_devices

    grid = Sweep(
        axes={"seed": range(cells)},
        cell={"T": samples, "m": m, "S": 1 - 10 / n},
        options={"n": n, "test_samples": 1},
    ).grid()
    devices = find_devices(None)
    plan = make_plan(grid.study, grid.cells, len(devices), "cpu")
    program = Program(grid.study, plan, make_mesh(devices))
    state, done = program.init(), 0

    def step() -> None:
        nonlocal state, done
        done += 2
        state = jax.block_until_ready(program.advance(state, done))

    return cells * samples * n / (timed(step) / 2)


def dense_x(samples: int):
    """A dense data set (samples, N), as a user without sparse storage would hold it."""
    import numpy as np

    rng = np.random.default_rng(0)
    X = rng.random((samples, N), np.float32)
    X *= rng.random((samples, N), np.float32) > SPARSITY
    return X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-30)


def dense_jax() -> float:
    """Pairs a second of dense X, full batch, jax.grad and optax.adamw under one jit."""
    import jax
    import jax.numpy as jnp
    import optax

    X = jnp.asarray(dense_x(T))
    params = {
        "W": jax.random.normal(jax.random.key(0), (M, N)) / 100,
        "b": jnp.zeros(N),
    }
    optimizer = optax.adamw(LR, weight_decay=WEIGHT_DECAY)

    def loss(params: dict[str, jax.Array]) -> jax.Array:
        out = jax.nn.relu(X @ params["W"].T @ params["W"] + params["b"])
        return ((X - out) ** 2).mean()

    @jax.jit
    def update(params, state):
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    state = optimizer.init(params)

    def step() -> None:
        nonlocal params, state
        params, state = jax.block_until_ready(update(params, state))

    return T * N / timed(step)


def dense_torch() -> float:
    """Pairs a second of the public replications' style: dense batches of 1,000, torch.AdamW."""
    import torch

    X = torch.tensor(dense_x(T)).T.contiguous()
    W = torch.nn.Parameter(torch.randn(M, N) / 100)
    b = torch.nn.Parameter(torch.zeros(N, 1))
    optimizer = torch.optim.AdamW([W, b], lr=LR, weight_decay=WEIGHT_DECAY)

    def step() -> None:
        optimizer.zero_grad()
        for batch in torch.split(X, 1000, dim=1):
            out = torch.relu(W.T @ (W @ batch) + b)
            (((batch - out) ** 2).sum() / (T * N)).backward()
        optimizer.step()

    return T * N / timed(step)


def memory() -> float:
    """Peak resident bytes of training one cell of 100,000 samples at n = 10,000."""
    engine(samples=100_000, cells=1)
    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def help_text() -> float:
    """Seconds until `superpos --help` has answered."""
    command = [str(Path(sys.executable).with_name("superpos")), "--help"]
    return timed(lambda: subprocess.run(command, check=True, capture_output=True), 2.0)


def compilation() -> float:
    """Seconds to compile the quickstart plane."""
    from superpos_jax import load_sweep, run

    result = run(load_sweep("quickstart", ["steps=1"]))
    return json.loads(result.dataset.attrs["provenance"])["compile_seconds"]


LARGE = ["--set", "n=10000", "--set", "S=0.999"]
MEMORY = {
    "quickstart": ["--set", "steps=40"],
    "120 cells of m = 16, n = 10,000": [
        *LARGE, "--set", "T=[10, 100]", "--set", "m=16", "--set", "steps=4",
        "--set", f"seed={list(range(60))}",
    ],
    "one cell of T = 1,000,000, n = 10,000": [
        *LARGE, "--set", "T=1_000_000", "--set", "m=2", "--set", "steps=1", "--set", "seed=0",
    ],
}  # fmt: skip
"""Sweeps whose memory is foreseen and measured: changes to the quickstart."""


def peaks(arguments: list[str]) -> tuple[float, float]:
    """Peak bytes of `superpos run` with a checkpoint: foreseen, and measured."""
    from superpos_jax import load_sweep, memory
    from superpos_jax.train import find_devices

    grid = load_sweep("quickstart", arguments[1::2]).grid()
    foreseen = memory.peak(grid.study, grid.cells, len(find_devices(None)), "cpu")
    with tempfile.TemporaryDirectory() as folder:
        superpos = str(Path(sys.executable).with_name("superpos"))
        command = [superpos, "run", "quickstart", "--out", f"{folder}/out", *arguments]
        process = subprocess.Popen(
            [*command, "--checkpoint-seconds", "0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} failed")
    return foreseen, 1024.0 * usage.ru_maxrss


def saving() -> float:
    """Share of a run of the quickstart that checkpoints and interim results take."""
    from superpos_jax import run

    with tempfile.TemporaryDirectory() as folder:
        result = run("quickstart", out=Path(folder) / "out")
    told = json.loads(result.dataset.attrs["provenance"])
    return told["saving_seconds"] / told["wall_seconds"]


RATES = {
    "superpos_jax, whole step, two cells": engine,
    "dense JAX, one jit": dense_jax,
    "dense PyTorch, batches of 1,000": dense_torch,
}
OTHERS = {
    "peak memory of a cell with T = 100,000, n = 10,000": (memory, lambda v: f"{v / 1e9:.2f} GB"),
    "superpos --help": (help_text, lambda v: f"{v:.2f} s"),
    "share of checkpoints in a run of the quickstart": (saving, lambda v: f"{100 * v:.2f} %"),
    "compilation of the quickstart": (compilation, lambda v: f"{v:.1f} s"),
}


def in_process(name: str) -> float:
    """Run one measurement in a process of its own."""
    command = [sys.executable, __file__, "--measure", name]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def spread(values: list[float], form: str) -> str:
    """Median and range."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def report(turns: int) -> str:
    """All measurements as Markdown."""
    rates: dict[str, list[float]] = {name: [] for name in RATES}
    for _ in range(turns):
        for name in RATES:
            rates[name].append(in_process(name) / 1e9)
            print(f"{name}: {rates[name][-1]:.3f} billion pairs/s", file=sys.stderr)
    ours = next(iter(rates.values()))
    lines = [
        f"One full-batch AdamW step at n = {N:,}, m = {M}, T = {T:,}; pairs are (sample, feature),",
        f"median (and range) over {turns} turns; ratios are taken within a turn.",
        "",
        "| way | billion pairs a second | superpos_jax is faster by |",
        "|---|---|---|",
    ]
    for name, values in rates.items():
        ratios = [a / b for a, b in zip(ours, values, strict=True)]
        lines.append(f"| {name} | {spread(values, '.3f')} | {spread(ratios, '.1f')} |")
    lines += ["", "| what | measured |", "|---|---|"]
    for name, (_, show) in OTHERS.items():
        value = in_process(name)
        print(f"{name}: {show(value)}", file=sys.stderr)
        lines.append(f"| {name} | {show(value)} |")
    lines += [
        "",
        "| peak memory of a run, with a checkpoint | `superpos plan` | measured | ratio |",
    ]
    lines += ["|---|---|---|---|"]
    for name, arguments in MEMORY.items():
        foreseen, measured = peaks(arguments)
        print(f"{name}: {foreseen / 1e9:.2f} GB foreseen, {measured / 1e9:.2f}", file=sys.stderr)
        ratio = f"{foreseen / measured:.2f}"
        lines.append(f"| {name} | {foreseen / 1e9:.2f} GB | {measured / 1e9:.2f} GB | {ratio} |")
    return "\n".join(lines)


def machine() -> str:
    """Processor, cores and versions."""
    import jax
    import torch

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    versions = (
        f"JAX {jax.__version__}, PyTorch {torch.__version__}, Python {platform.python_version()}"
    )
    return f"{os.cpu_count()} cores ({names[0] if names else platform.processor()}), {versions}"


def main() -> None:
    """Parse arguments; measure one thing, or everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--measure", choices=[*RATES, *OTHERS])
    arguments = parser.parse_args()
    if arguments.measure in RATES:
        print(RATES[arguments.measure]())
    elif arguments.measure:
        print(OTHERS[arguments.measure][0]())
    else:
        text = report(arguments.turns)
        print(text)
        header = "# Benchmarks\n\nWritten by `make bench`. The machine is shared: compare ratios.\n"
        (HERE / "README.md").write_text(f"{header}{machine()}.\n\n{text}\n")


if __name__ == "__main__":
    main()
