"""Two sweeps of small networks that all tests share."""

import pytest
from small_sweeps import CELL, DATA, KNOBS

import superpos_jax as sp


@pytest.fixture(scope="session")
def small_grid():
    return sp.run(sp.Sweep(study="large_lr", axes={"lr": [0.1, 0.5, 1.0, 2.0]} | DATA, cell=CELL))


@pytest.fixture(scope="session")
def small_arms():
    return sp.run(sp.Sweep(study="large_lr", arms=KNOBS, axes=DATA, cell=CELL))
