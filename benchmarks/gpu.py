"""How fast a GPU trains autoencoders by the kernels, and whether their numbers are right.

    python benchmarks/gpu.py [section ...]

Needs a GPU and the extra `cuda`; takes about three minutes. Sections: numerics, sums, rates, steps.
"""

from __future__ import annotations

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from superpos_jax.engine.code import ANY_STEP, make_mesh
from superpos_jax.engine.kernel import tiles_of
from superpos_jax.engine.numerics import pinned
from superpos_jax.engine.plan import make_plan
from superpos_jax.engine.program import Program
from superpos_jax.engine.study import DataSet
from superpos_jax.engine.sums import pairwise_sum
from superpos_jax.results.sweep import Sweep, load_sweep
from superpos_jax.studies.double_descent import autoencoders, data
from superpos_jax.studies.double_descent.autoencoders import DENSE, ROWS, TRITON, Autoencoders
from superpos_jax.studies.double_descent.model import Form, Params

LANES = 132 * 128
"""Operations that an H100 issues in a cycle: of 32 bits, one multiply-add each."""
HERTZ = 1.755e9
"""Its clock under load."""


def random_cells(sizes, hidden, n, S, untied=False):
    """Parameters, data sets and tiles of cells of some sizes, two streams in turn."""
    rng = np.random.default_rng(0)
    width = autoencoders.width(n)
    longest = [DataSet(data.Stream(seed, n, S, "train"), max(sizes)) for seed in (0, 1)]
    first = [-(-max(sizes) // ROWS) * (i % 2) for i in range(len(sizes))]
    span = Autoencoders(n, Form(), TRITON).span
    tiles = tiles_of(np.array([first]), np.array([sizes]), ROWS, span)

    def weights(*shape):
        values = rng.normal(size=(len(sizes), *shape)).astype(np.float32) / 2
        values[..., n:] = 0
        return jnp.asarray(values)

    V = weights(hidden, width) if untied else None
    params = Params(weights(hidden, width), weights(width) / 5, V)
    return params, longest, jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), tiles)


def numerics():
    """The kernels against their plain counterpart: largest difference over largest value."""
    print("## numerics")
    for sizes, hidden, form, untied, n, S in (
        ((1, 16, 33, 7), 2, Form(), False, 60, 0.9),
        ((5, 20), 1, Form(1), False, 60, 0.9),
        ((17, 3), 3, Form(4, True), True, 60, 0.9),
        ((9, 32), 10, Form(2, True), False, 300, 0.95),
        ((5000, 100, 1), 16, Form(), False, 1000, 0.99),
        ((20, 4), 2, Form(), False, 60, 0.995),
    ):
        params, longest, tiles = random_cells(sizes, hidden, n, S, untied)
        results = []
        for by in (TRITON, DENSE):
            kernel = Autoencoders(n, form, by)
            pool = jax.tree.map(jnp.asarray, kernel.pool(longest))
            every = jnp.ones(len(sizes), bool)
            results.append(jax.jit(kernel.loss_and_grad)(params, pool, tiles, every))
        leaves = zip(*map(jax.tree.leaves, results), strict=True)
        worst = max(float(jnp.abs(a - b).max() / jnp.abs(b).max()) for a, b in leaves)
        print(f"T = {sizes}, hidden {hidden}, {form}, untied {untied}: {worst:.1e}", flush=True)


def sums():
    """Cells whose sum over a weight matrix has other bits than among 300, by XLA and by halves."""
    print("## sums: of 152 cells, n = 10,240, other bits than among 300 cells")
    rng = np.random.default_rng(0)
    for hidden in (2, 3, 8):
        weights = jnp.asarray(rng.normal(size=(300, hidden, 10_240)), jnp.float32)
        counts = []
        for added in (jnp.sum, pairwise_sum):
            mapped = jax.jit(jax.vmap(lambda x, added=added: added((x * x).reshape(-1))))
            counts.append(int((mapped(weights)[:152] != mapped(weights[:152])).sum()))
        print("m = {}: by XLA {}, by halves {}".format(hidden, *counts), flush=True)


def limit(hidden):
    """Pairs a second if nothing but multiply-adds, ReLUs and sums of z, u and gradient counted."""
    return LANES * HERTZ / (4 * hidden + 4)


def rates():
    """Loss and gradient of 16 cells of T = 8,192, n = 10,000."""
    print("## rates: loss and gradient of 16 cells, T = 8,192, n = 10,000")
    n, sizes, pool = 10_000, [8192] * 16, None
    kernel = Autoencoders(n, Form(), TRITON)
    for hidden in (1, 2, 3, 4, 6, 8, 16):
        params, longest, tiles = random_cells(sizes, hidden, n, 0.999)
        pool = pool or jax.tree.map(jnp.asarray, kernel.pool(longest))
        gradient, every = jax.jit(kernel.loss_and_grad), jnp.ones(len(sizes), bool)
        jax.block_until_ready(gradient(params, pool, tiles, every))
        seconds = []
        for _ in range(5):
            begin = time.perf_counter()
            jax.block_until_ready([gradient(params, pool, tiles, every) for _ in range(4)])
            seconds.append((time.perf_counter() - begin) / 4)
        rate = sum(sizes) * n / np.median(seconds)
        print(
            f"m = {hidden}: {rate / 1e9:,.0f} billion pairs a second,"
            f" {rate / limit(hidden):.0%} of what the card can issue",
            flush=True,
        )


def trained(name, cells, study, steps):
    """Train some cells for a while, and tell how long it took."""
    plan = make_plan(study, cells, 1, jax.devices()[0].platform)
    times = [time.perf_counter()]
    program = Program(study, plan, make_mesh(jax.devices()[:1]))
    times.append(time.perf_counter())
    state = jax.block_until_ready(program.advance(program.init(), 0))
    times.append(time.perf_counter())
    state = jax.block_until_ready(program.advance(state, 20))
    times.append(time.perf_counter())
    state = jax.block_until_ready(program.advance(state, 20 + steps))
    data_, compile_, _, seconds = np.diff([*times, time.perf_counter()])
    rate = sum(cell.T for cell in cells) * study.options.n * steps / seconds
    print(
        f"{name}: {len(cells):,} cells, {1e3 * seconds / steps:.3f} ms a step,"
        f" {rate / 1e9:,.0f} billion pairs a second; data {data_:.1f} s, compilation"
        f" {compile_:.1f} s",
        flush=True,
    )
    return program.params(state), program.evaluate(state, ANY_STEP)


def steps():
    """Whole steps, AdamW included; and the bits of a cell alone."""
    print("## whole steps")
    quickstart = load_sweep("quickstart").grid()
    trained("quickstart", quickstart.cells, quickstart.study, 300)
    axes = {"T": [8, 16, 32, 64], "m": [2], "seed": range(250)}
    tiny = Sweep(study="double_descent", axes=axes, options={"n": 1000}).grid()
    trained("T = 8 to 64, n = 1,000, m = 2", tiny.cells, tiny.study, 2000)
    regimes = load_sweep("reference/P3").grid()
    params, measured = trained("reference/P3", regimes.cells, regimes.study, 100)
    place = next(i for i, cell in enumerate(regimes.cells) if cell.T == 5000 and cell.seed == 3)
    alone = [regimes.cells[place]]
    own, own_measured = trained("one of them, T = 5,000", alone, regimes.study, 100)
    pairs = zip(jax.tree.leaves(params[place]), jax.tree.leaves(own[0]), strict=True)
    same = all(np.array_equal(a, b) for a, b in pairs)
    same &= all(values[place] == own_measured[name][0] for name, values in measured.items())
    print(
        f"the same bits alone as among {len(regimes.cells)}: {'yes' if same else 'NO'}", flush=True
    )


if __name__ == "__main__":
    print(f"{jax.devices()[0].device_kind}, JAX {jax.__version__}", flush=True)
    with pinned():
        for section in sys.argv[1:] or ["numerics", "sums", "rates", "steps"]:
            {"numerics": numerics, "sums": sums, "rates": rates, "steps": steps}[section]()
