"""Flags that a process has set for itself change no data and no bit of a training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import superpos_jax as sp
from superpos_jax.engine.code import code_for
from superpos_jax.engine.numerics import pinned
from superpos_jax.results.sweep import load_sweep
from superpos_jax.studies.double_descent import data
from superpos_jax.training.estimate import describe

SWEEP = sp.Sweep(
    axes={"online": [0, 1]},
    cell={"T": 30, "S": 0.9, "steps": 20},
    options={"n": 40, "test_samples": 20},
)

pytestmark = pytest.mark.unoptimized


@pytest.fixture(scope="module")
def plain():
    return sp.run(SWEEP)


def test_flags_change_nothing(plain):
    """All at once: whichever had a part would change the data or the bits, or be an error."""
    before = plain.cell(online=0)
    drawn, initial = before.X, before.W0
    code_for.cache_clear()  # it is traced again, with the flags
    with (
        jax.enable_x64(True),
        jax.default_prng_impl("rbg"),
        jax.threefry_partitionable(False),
        jax.numpy_rank_promotion("raise"),
        jax.numpy_dtype_promotion("strict"),
        jax.transfer_guard("disallow"),
        jax.set_mesh(jax.make_mesh((1,), ("x",), devices=jax.devices()[:1])),
    ):
        again = sp.run(SWEEP)
        data._keeping.cache_clear()
        cell = plain.cell(online=0)
        X, W0 = cell.X, cell.W0
    assert X.any()
    np.testing.assert_array_equal(X, drawn)
    np.testing.assert_array_equal(W0, initial)
    assert W0.dtype == X.dtype == np.float32
    assert again.dataset.drop_attrs(deep=False).identical(plain.dataset.drop_attrs(deep=False))


def test_a_plan_counts_what_a_run_takes():
    quickstart = load_sweep("quickstart")
    plain = describe(quickstart.grid(), limit=8)
    with jax.enable_x64(True):
        assert describe(quickstart.grid(), limit=8) == plain


def test_products_are_of_full_precision():
    with pinned():
        text = jax.jit(jnp.dot).lower(jnp.ones((2, 2)), jnp.ones((2, 2))).as_text()
    assert "HIGHEST" in text


def test_an_offset_of_all_seeds_is_refused():
    jax.config.update("jax_random_seed_offset", 7)
    try:
        with pytest.raises(sp.UserError, match="jax_random_seed_offset"):
            sp.run(SWEEP)
    finally:
        jax.config.update("jax_random_seed_offset", 0)
