"""What the paper's full plane should cost on a TPU, where nothing was run: rewrites on_paper.md.

Operations and bytes are counted from the plan that the engine would follow; the rates are the
maker's published ones. What a GPU takes is measured: gpu.py.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import NamedTuple

from superpos_jax.engine.layout import SIDE_BY_SIDE
from superpos_jax.engine.plan import make_plan
from superpos_jax.studies.double_descent.cell import Cell, Options
from superpos_jax.studies.double_descent.study import DoubleDescent

T = (3, 4, 5, 6, 8, 10, 15, 30, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)
M = range(2, 17)
SEEDS, STEPS, N = 4, 50_000, 10_000


class Chip(NamedTuple):
    """Published rates of one chip: bytes a second, and multiply-adds x 2 of each kind."""

    memory: float
    vector: float
    """float32, outside the matrix units."""
    matrix: float
    """float32 products as the matrix units do them at full precision, all columns used."""
    columns: int
    """Width of a matrix unit; a product with fewer columns wastes the others."""


CHIPS = {
    # Cloud TPU v5e documentation: 197e12 bfloat16; "highest" takes 6 passes. Vector units: 4 x 8 x
    # 128 lanes at 1.5 GHz, one multiply-add each
    "TPU v5e": Chip(0.82e12, 12e12, 197e12 / 6, 128),
}


def main() -> None:
    """Count, and write the table."""
    study = DoubleDescent(Options(n=N))
    cells = [Cell(T=t, m=m, seed=seed, steps=STEPS) for t, m, seed in product(T, M, range(SEEDS))]
    plan = make_plan(study, cells, 1, "tpu")
    groups = [(len(group.slots[0]), group.layout) for group in plan.groups]
    lines = [
        "# On paper: a TPU",
        "",
        "Nothing was run. Written by `make bench` from counted operations and published rates.",
        "",
        f"The paper's full plane: {len(T)} values of T from {T[0]} to {T[-1]:,}, m from {M[0]} to "
        f"{M[-1]}, {SEEDS} seeds, {STEPS:,} steps at n = {N:,}: {len(cells):,} cells in "
        f"{len(groups)} groups, work done / needed {plan.overhead:.2f}: cells side by side take as "
        "long as the longest of them.",
        "",
        f"A chip takes {SIDE_BY_SIDE:,} samples side by side, of as many cells of a layout "
        "as that needs (blocks of 32, 256 or 4,096 samples, all features in one tile): "
        f"{SIDE_BY_SIDE * N * 4 / 1e9:.1f} GB of decoded values at a time, so that a "
        "kernel runs for about a millisecond and its launch does not count. XLA writes the decode "
        "once and reads it twice, 12 bytes a pair; the two reductions are products with m + 1 "
        "columns.",
        "",
        "| chip | memory | decode and ReLU | two reductions | if the slowest hides the rest |",
        "|---|---|---|---|---|",
    ]
    for name, chip in CHIPS.items():
        pairs = [(cell.m, plan.overhead * cell.T * N * STEPS) for cell in cells]
        hours = [
            sum(12 * count / chip.memory for _, count in pairs) / 3600,
            sum((2 * (m + 1) + 2) * count / chip.vector for m, count in pairs) / 3600,
            sum(4 * max(m + 1, chip.columns) * count / chip.matrix for m, count in pairs) / 3600,
        ]
        columns = " | ".join(f"{value:.1f} h" for value in hours)
        lines.append(f"| {name} | {columns} | {max(hours):.1f} h |")
    lines += [
        "",
        "A kernel that keeps the decode on the chip would remove the memory time, and leave the "
        "other two; for GPUs there is one (README.md). The reductions fill 3 to 17 of the 128 "
        "columns of a matrix unit: the products of several cells would have to share one.",
        "",
        "The program lowers for a TPU (tests/engine/test_program.py).",
    ]
    Path(__file__).with_name("on_paper.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
