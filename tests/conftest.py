"""Two CPU devices before JAX starts, so that every test that trains also shards."""

import jax
import numpy as np
import pytest

jax.config.update("jax_num_cpu_devices", 2)
jax.devices()  # start JAX now: later calls cannot change the number


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)
