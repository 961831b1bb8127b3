"""What a step consists of, and what was tried to make it faster; on one core: `python parts.py`."""

from __future__ import annotations

import collections
import functools
import json
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])

import jax  # noqa: E402 - the thread pool follows the affinity
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from ways import REFERENCE, timed  # noqa: E402

from superpos_jax.engine.code import NO_STEP, make_mesh  # noqa: E402
from superpos_jax.engine.plan import make_plan  # noqa: E402
from superpos_jax.engine.program import Program  # noqa: E402
from superpos_jax.results.sweep import Sweep  # noqa: E402
from superpos_jax.studies.double_descent import model  # noqa: E402
from superpos_jax.studies.double_descent.cell import Cell  # noqa: E402
from superpos_jax.training.job import find_devices  # noqa: E402

PHASES = ("decode", "reductions", "view", "optimizer", "non-zeros")
"""Scopes of the compiled program; what a block does beside the first two is for its non-zeros."""


def program_of(cells: list[Cell], n: int) -> Program:
    """A program of some cells on one device."""
    study = Sweep(options={"n": n, "test_samples": 1}).grid().study
    return Program(study, make_plan(study, cells, 1, "cpu"), make_mesh(find_devices(1)))


def phases(m: int, n: int, T: int) -> dict[str, float]:
    """Microseconds of a step of one cell by phase, by the profiler; `step` without it."""
    cells = [Cell(T=T, m=m, seed=seed, S=1 - 10 / n, steps=10**6) for seed in range(2)]
    program = program_of(cells, n)
    state, done = program.init(), 0
    steps = max(1, int(1e8 / (T * n)))

    def train() -> None:
        nonlocal state, done
        done += steps
        state = jax.block_until_ready(program.advance(state, done))

    seconds = timed(train) / steps / len(cells)
    numbers = np.int32(done), np.int32(NO_STEP)
    compiled = program.code.train_and_measure.lower(program.tables, state, *numbers).compile()
    phase_of = {}
    for name, scope in re.findall(r'%(\S+) = .*op_name="([^"]*)"', compiled.as_text()):
        inside = 3 * "while/body/" in scope.replace("closed_call/", "")  # map, steps, blocks
        rest = "non-zeros" if inside else "loops and carries"
        phase_of[name] = next((p for p in PHASES if re.search(rf"\b{p}\b", scope)), rest)
    spent: collections.Counter[str] = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            train()
        (trace,) = Path(folder).rglob("*.xplane.pb")
        for plane in jax.profiler.ProfileData.from_file(str(trace)).planes:
            for line in plane.lines:
                for event in line.events:
                    if event.name in phase_of and not event.name.startswith("while"):
                        spent[phase_of[event.name]] += event.duration_ns
    whole = sum(spent.values())
    names = (*PHASES, "loops and carries")
    times = {name: 1e6 * seconds * spent[name] / whole for name in names}
    return times | {"step": 1e6 * seconds}


def tiny_cells() -> dict[str, float]:
    """1,000 cells of T <= 64 at n = 1,000, m = 2."""
    cells = [
        Cell(T=T, m=2, seed=seed, S=0.99, steps=10**6)
        for T in (8, 16, 32, 64)
        for seed in range(250)
    ]
    program = program_of(cells, 1_000)
    state, done = program.init(), 0

    def train() -> None:
        nonlocal state, done
        done += 20
        state = jax.block_until_ready(program.advance(state, done))

    seconds = timed(train, 4.0) / 20
    source, target = (np.ones(50_000_000, np.float32) for _ in range(2))
    bandwidth = 2 * source.nbytes / timed(lambda: np.copyto(target, source))
    moved = 28 * len(cells) * 3_000 / bandwidth
    return {"cells": len(cells) / seconds, "step": seconds, "AdamW's bytes": moved}


def linear() -> list[tuple[str, int, float]]:
    """(axis, value, seconds a step): T, m and the number of cells, one at a time."""
    times = []
    for axis, values in {
        "T": (1_000, 10_000, 100_000, 1_000_000),
        "m": (2, 4, 8, 16, 32),
        "cells": (1, 4, 16, 64),
    }.items():
        for value in values:
            at = {"T": 2_000, "m": 2, "cells": 1} | {axis: value}
            cells = [
                Cell(T=at["T"], m=at["m"], seed=seed, S=0.999, steps=10**6)
                for seed in range(at["cells"])
            ]
            program = program_of(cells, 10_000)
            state, done = program.init(), 0

            def train(program: Program = program) -> None:
                nonlocal state, done
                done += 1
                state = jax.block_until_ready(program.advance(state, done))

            times.append((axis, value, timed(train, 2.0)))
    return times


def dense(
    tiles: jax.Array, h: jax.Array, copy: bool = True, relu: str = "where",
    decode: str = "products", h_T: bool = True, keep: bool = True,
) -> tuple[jax.Array, jax.Array]:  # fmt: skip
    """`model._dense` for p = 2 with what was tried as switches; the default is what it does."""
    height = tiles.shape[1]
    identity = jnp.eye(height)
    transposed = identity @ h.T if h_T else h.T

    def tile(part: jax.Array) -> tuple[jax.Array, jax.Array]:
        part = identity @ part if copy else part
        if decode == "products":
            z = sum(h[:, i : i + 1] * part[i] for i in range(height))
        else:
            z = h @ part
        g = jnp.where(z > 0, z, 0.0) if relu == "where" else jnp.maximum(z, 0)
        return g @ part.T, transposed @ g

    if keep:
        u, d_tiles = jax.lax.map(tile, tiles)
        return u.sum(0), d_tiles

    def carried(u: jax.Array, part: jax.Array) -> tuple[jax.Array, jax.Array]:
        more, d_tile = tile(part)
        return u + more, d_tile

    return jax.lax.scan(carried, jnp.zeros_like(h), tiles)


def unrolled(tiles: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`dense` with the loop over tiles written out."""
    parts = [dense(tile[None], h) for tile in tiles]
    u, d_tiles = zip(*parts, strict=True)
    return sum(u), jnp.concatenate(d_tiles)


def by_entry(tiles: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
    """`dense` without products: every sum written elementwise, for XLA to fuse."""

    def tile(part: jax.Array) -> tuple[jax.Array, jax.Array]:
        g = jnp.maximum((h[:, :, None] * part[None]).sum(1), 0)
        return (g[:, None] * part[None]).sum(2), (h[:, :, None] * g[:, None]).sum(0)

    u, d_tiles = jax.lax.map(tile, tiles)
    return u.sum(0), d_tiles


def rate(function: Callable[..., Any], m: int, n: int, rows: int, columns: int) -> float:
    """Billion pairs a second of the part of a block that touches all features."""
    rng = np.random.default_rng(0)
    wide = -(-n // columns) * columns
    A = jnp.asarray(rng.standard_normal((m + 1, wide), np.float32))
    tiles = A.reshape(m + 1, -1, columns).swapaxes(0, 1)
    h = jnp.asarray(rng.standard_normal((8, rows, m + 1), np.float32))
    repeats = 4

    @jax.jit
    def blocks(tiles: jax.Array) -> Any:
        def body(i: jax.Array, total: Any) -> Any:
            return jax.tree.map(jnp.add, total, function(tiles, h[i % 8]))

        return jax.lax.fori_loop(
            0, 8 * repeats, body, (jnp.zeros_like(h[0]), jnp.zeros_like(tiles))
        )

    with jax.default_matmul_precision("highest"):
        for tried, shipped in zip(function(tiles, h[0]), model._dense(tiles, h[0], 2), strict=True):
            np.testing.assert_allclose(tried, shipped, rtol=1e-3, atol=1e-2)
        best = min(timed(lambda: jax.block_until_ready(blocks(tiles)), 0.4) for _ in range(3))
    return 8 * repeats * rows * n / best / 1e9


def dense_variants() -> dict[str, float]:
    """Billion pairs a second at m = 2, n = 10,000 with one thing changed."""
    at = functools.partial(rate, m=2, n=10_000, rows=256, columns=480)
    part = functools.partial
    rates = {
        "as it is (256 x 480)": at(dense),
        "no copy of the tile by a product with the identity": at(part(dense, copy=False)),
        "jnp.maximum in place of where": at(part(dense, relu="max")),
        "z by a matrix product": at(part(dense, decode="product")),
        "h^T g without laying h out first": at(part(dense, h_T=False)),
        "u carried from tile to tile": at(part(dense, keep=False)),
        "the loop over tiles written out": at(unrolled),
        "sums written elementwise, no products": at(by_entry),
    }
    for rows, columns in [(32, 480), (64, 480), (128, 480), (512, 480), (256, 256), (256, 1024),
                          (256, 2048), (64, 1024)]:  # fmt: skip
        rates[f"tile {rows} x {columns}"] = rate(dense, 2, 10_000, rows, columns)
    return rates


def layouts() -> dict[str, tuple[float, ...]]:
    """Microseconds for 3,072 non-zeros of w numbers: gather and scatter, by feature and by row."""
    rng = np.random.default_rng(0)
    col = jnp.asarray(rng.integers(0, 512, 3072).astype(np.int32))

    def micro(function: Callable[[jax.Array], jax.Array], start: jax.Array) -> float:
        run = jax.jit(lambda x: jax.lax.fori_loop(0, 200, lambda _, x: function(x), x))
        return min(timed(lambda: jax.block_until_ready(run(start)), 0.2) for _ in range(3)) / 2e-4

    times = {}
    for width in (2, 3, 4, 5, 8, 16):
        table = jnp.asarray(rng.standard_normal((512, width), np.float32))
        entries, by_row = table[col], table.T.copy()
        times[str(width)] = (
            micro(lambda x, table=table: x + table[col], entries),
            micro(lambda x, by_row=by_row: x + by_row[:, col], entries.T),
            micro(lambda x, entries=entries: x.at[col].add(entries), table),
            micro(lambda x, entries=entries.T: x.at[:, col].add(entries), by_row),
        )
    return times


def main() -> None:
    """Measure everything; prints JSON."""
    shapes = {
        "reference": REFERENCE,
        "quickstart": (2, 500, 475),
        "tiny": (2, 1_000, 32),
        "m = 16": (16, 10_000, 8_192),
    }
    measured = {
        "phases": {name: phases(*shape) for name, shape in shapes.items()},
        "tiny cells": tiny_cells(),
        "linear": linear(),
        "dense": dense_variants(),
        "layouts": layouts(),
    }
    print(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
