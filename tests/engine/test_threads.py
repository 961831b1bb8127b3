"""The bits of a training do not depend on how many threads XLA has: blocks have at most 128 rows.

A product that sums over more rows is split among the threads, where each has enough to do: in
blocks of 1,104 or 368 rows this very training has other bits on two cores than on one. As a script,
with a number of cores, this file trains on them and prints a hash of the weights.
"""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from superpos_jax.engine import bits
from superpos_jax.engine.study import DataSet, Study

WIDTHS = (94, 100, 100, 47)
SAMPLES = 1104


@dataclass(frozen=True)
class Numbers:
    steps: int = 20


class Network(Study):
    """Cross-entropy of a ReLU network with two hidden layers, all samples at every update."""

    Cell = Numbers

    def datasets(self, cell):
        return {"train": DataSet("noise", SAMPLES)}

    def load(self, dataset):
        rng = np.random.default_rng(0)
        x = rng.standard_normal((dataset.samples, WIDTHS[0]), np.float32)
        return x, rng.integers(WIDTHS[-1], size=dataset.samples, dtype=np.int32)

    def init(self, cell, shapes):
        keys = jax.random.split(jax.random.key(0), len(WIDTHS) - 1)
        return [
            jax.random.normal(key, size) / size[0] ** 0.5
            for key, size in zip(keys, pairwise(WIDTHS), strict=True)
        ]

    def loss(self, cell, shapes, params, batch, weight):
        *hidden, last = params
        x, y = batch
        for W in hidden:
            x = jax.nn.relu(x @ W)
        losses = optax.softmax_cross_entropy_with_integer_labels(x @ last, y)
        return (weight * losses).sum()

    def optimizer(self, cell, shapes):
        return optax.adamw(1e-3)


def trained_on(cores):
    """A hash of the weights that a process with that many cores comes to."""
    done = subprocess.run([sys.executable, __file__, str(cores)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("first", "second", "count"), [("3", "7", 3), (None, "7", 7)])
def test_the_variable_that_xla_reads_first_counts(monkeypatch, first, second, count):
    monkeypatch.delenv("PJRT_NPROC", raising=False)
    if first:
        monkeypatch.setenv("PJRT_NPROC", first)
    monkeypatch.setenv("NPROC", second)
    assert bits.threads() == count


@pytest.mark.usefixtures("all_cores")
def test_threads_change_no_bit():
    assert trained_on(1) == trained_on(2)


def main(cores):
    """Train on some cores, which JAX counts when it starts, and print the hash."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    from programs import train

    cell = Numbers()
    program, state = train(Network(Network.Options()), [cell], cell.steps)
    (params,) = program.params(state)
    assert all(np.isfinite(W).all() for W in params)
    assert jnp.abs(params[0]).max() > 0
    print(hashlib.sha256(b"".join(W.tobytes() for W in params)).hexdigest())


if __name__ == "__main__":
    main(int(sys.argv[1]))
