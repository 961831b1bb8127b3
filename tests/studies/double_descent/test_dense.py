"""Few features, or few zeros: samples are computed with their zeros, to the same numbers."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from nonzeros import Sparse

import superpos_jax as sp
from superpos_jax.engine.code import make_mesh
from superpos_jax.engine.layout import by_layout
from superpos_jax.engine.plan import make_plan
from superpos_jax.engine.program import Program
from superpos_jax.studies.double_descent import data, model
from superpos_jax.studies.double_descent.cell import Cell, Options
from superpos_jax.studies.double_descent.study import DoubleDescent

n = 12
STUDY = DoubleDescent(Options(n=n, test_samples=20))
BASE = Cell(T=9, m=2, S=0.5, lr=1e-2, steps=30)


@pytest.mark.unoptimized
@pytest.mark.parametrize(
    ("power", "relu", "untied"), [(2, False, False), (1, True, False), (4, False, True)]
)
def test_loss_and_gradient_are_those_of_the_non_zeros(power, relu, untied, rng):
    form = model.Form(power, relu)
    W, V = (jnp.asarray(rng.normal(size=(3, n)), jnp.float32) / 2 for _ in range(2))
    params = model.Params(
        W, jnp.asarray(rng.normal(size=n), jnp.float32) / 5, V if untied else None
    )
    samples = data.draw(data.Stream(0, n, 0.7, "train"), 8)
    weight = (jnp.arange(8) < 6).astype(jnp.float32)
    block = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), model.to_blocks(samples, 8, 96))

    @jax.jit
    def by_non_zeros(params):
        view, back = jax.vjp(lambda params: model.view(params, n), params)
        loss, summed = model.block_loss_and_grad(view, block, weight, form)
        return loss, *back(summed)

    by_all = jax.jit(model.dense_loss_and_grad, static_argnums=3)
    dense = by_all(params, jnp.asarray(samples.dense(n)), weight, form)
    for ours, theirs in zip(
        jax.tree.leaves(dense), jax.tree.leaves(by_non_zeros(params)), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-5)


def trained(study, cells):
    plan = make_plan(study, cells, 1, "cpu")
    program = Program(study, plan, make_mesh(jax.devices()[:1]))
    state = program.advance(program.init(), 30)
    return program, program.params(state), program.finish(state)


CELLS = [BASE, replace(BASE, T=300, seed=1), replace(BASE, untied=1, relu=1, loss=4)]


@pytest.fixture(scope="module")
def company():
    """Beside 32 others; in one block, and in several of 128 samples."""
    program, *values = trained(
        STUDY, [*CELLS, *(replace(BASE, seed=seed, lr=3e-2) for seed in range(40))]
    )
    assert all(group.layout.shapes.size.dense for group in program.plan.groups)
    return values


def test_bits_of_a_cell_are_those_it_has_alone(company):
    params, measured = company
    for i, cell in enumerate(CELLS[:2]):
        _, (alone,), own = trained(STUDY, [cell])
        for one, two in zip(jax.tree.leaves(alone), jax.tree.leaves(params[i]), strict=True):
            np.testing.assert_array_equal(one, two)
        assert {name: values[i] for name, values in measured.items()} == {
            name: values[0] for name, values in own.items()
        }


@pytest.mark.unoptimized
def test_cells_train_as_those_that_read_non_zeros(company):
    params, measured = company
    _, sparse, theirs = trained(Sparse(STUDY.options), CELLS)
    for i, cell in enumerate(CELLS):
        pairs = zip(STUDY.crop(cell, params[i]), STUDY.crop(cell, sparse[i]), strict=True)
        for one, two in pairs:
            np.testing.assert_allclose(one, two, atol=1e-4)
        np.testing.assert_allclose(measured["test_loss"][i], theirs["test_loss"][i], rtol=1e-4)


def test_zeros_are_computed_where_that_is_cheaper():
    def is_dense(n, **cell):
        return DoubleDescent(Options(n=n)).is_dense(replace(BASE, **cell))

    assert is_dense(16, S=0.5)
    assert is_dense(50, S=0.9)
    assert is_dense(100, S=0.95, m=4)
    assert not is_dense(100, S=0.99, m=4)
    assert not is_dense(10_000, S=0.0)
    assert not is_dense(16, online=1)


def test_a_study_that_changes_the_loss_reads_non_zeros():
    class Doubled(DoubleDescent):
        def loss_and_grad(self, *arguments):
            return super().loss_and_grad(*arguments)

    (layout,) = by_layout(Doubled(STUDY.options), [BASE], "cpu")
    shapes = layout.shapes
    assert not shapes.size.dense
    assert len(shapes.block) == 2


def test_few_large_cells_are_beside_each_other_and_many_small_ones():
    sizes = [(16, 16), (50, 50), (256, 300)]
    beside = [
        DoubleDescent(Options(n=n)).shapes(replace(BASE, T=T), "cpu").beside for n, T in sizes
    ]
    assert beside == [32, 8, 1]


@pytest.mark.unoptimized
def test_a_phase_diagram_of_toy_models_runs(tmp_path):
    """As in "Toy Models of Superposition": few features, sparsity an axis."""
    sweep = sp.Sweep(
        axes={"S": [0.1, 0.9], "seed": [0, 1]},
        cell={"T": 20, "m": 2, "steps": 5},
        options={"n": n, "test_samples": 20},
    )
    assert np.isfinite(sp.run(sweep, out=tmp_path).dataset.test_loss.values).all()
    assert sp.load(tmp_path).cell(S=0.1, seed=1).W.shape == (2, n)
