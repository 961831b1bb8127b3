"""Two small cells, trained once for the tests of results and of their tables."""

from types import SimpleNamespace

import jax
import pytest

import superpos_jax as sp


@pytest.fixture(scope="session")
def two(tmp_path_factory):
    """Two cells, one of which blows up in its very last update: folder, result, what was told."""
    jax.config.update("jax_disable_most_optimizations", True)
    sweep = sp.Sweep(
        axes={"T": [5], "lr": [1e-2, 1e30]},
        cell={"m": 2, "S": 0.9, "steps": 2},
        options={"n": 40, "test_samples": 20},
        name="two",
    )
    folder, told = tmp_path_factory.mktemp("two"), []
    result = sp.run(sweep, out=folder, progress=told.append)
    return SimpleNamespace(folder=folder, result=result, told=told)
