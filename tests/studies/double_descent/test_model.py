"""Loss and gradient of a block against the printed formula, dense."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from kernel import block_loss_and_grad
from oracle import loss_and_grad

from superpos_jax.studies.double_descent import DoubleDescent, data, model
from superpos_jax.studies.double_descent.cell import Cell, Options


class Case(NamedTuple):
    m: int
    n: int
    columns: int
    """Features in a tile; n is padded up to a multiple of it."""
    rows: int
    count: int
    hidden: int
    """Rows of W, padding beyond m."""


CASES = [
    Case(m=1, n=20, columns=20, rows=16, count=16, hidden=1),
    Case(m=2, n=48, columns=16, rows=32, count=20, hidden=2),
    Case(m=3, n=48, columns=32, rows=16, count=1, hidden=5),
    Case(m=model.UNROLL_UP_TO, n=40, columns=16, rows=16, count=9, hidden=model.UNROLL_UP_TO),
    Case(m=model.UNROLL_UP_TO + 1, n=40, columns=16, rows=16, count=9, hidden=8),
    Case(m=30, n=12, columns=16, rows=16, count=16, hidden=32),
]
every_case = pytest.mark.parametrize("case", CASES, ids=str)


def make(case: Case, S: float = 0.7) -> tuple[np.ndarray, model.Params, model.Block]:
    """Samples X (rows, n), parameters that switch about half of the ReLUs on, the block."""
    rng = np.random.default_rng(1)
    stream = data.Stream(case.m, case.n, S, "train")
    samples = data.draw(stream, case.rows)
    width = -(-case.n // case.columns) * case.columns
    W = np.zeros((case.hidden, width), np.float32)
    W[: case.m, : case.n] = rng.normal(size=(case.m, case.n))
    b = np.zeros(width, np.float32)
    b[: case.n] = rng.normal(size=case.n)
    block = model.Block(
        *(leaf[0] for leaf in model.to_blocks(samples, case.rows, case.rows * case.n))
    )
    return samples.dense(case.n), model.Params(W, b), block


def evaluate(params: model.Params, block: model.Block, case: Case) -> tuple[float, model.Params]:
    loss, grad = block_loss_and_grad(params, block, case.count, case.rows, case.columns)
    return float(loss), jax.tree.map(np.asarray, grad)


def assert_close(actual: np.ndarray, expected: np.ndarray, rtol: float) -> None:
    """Close relative to the largest entry: an entry is a sum whose terms may cancel."""
    np.testing.assert_allclose(actual, expected, rtol=0, atol=rtol * np.abs(expected).max())


def assert_same(result: tuple[float, model.Params], reference: tuple[float, model.Params]) -> None:
    for a, b in zip(jax.tree.leaves(result), jax.tree.leaves(reference), strict=True):
        np.testing.assert_array_equal(a, b)


@every_case
def test_block_against_the_dense_formula(case):
    X, params, block = make(case)
    loss, grad = evaluate(params, block, case)
    X = X[: case.count]
    W, b = params.W[: case.m, : case.n], params.b[: case.n]
    expected, dW, db = (case.count * value for value in loss_and_grad(X, W, b))
    np.testing.assert_allclose(loss, expected, rtol=2e-6)
    assert_close(grad.W[: case.m, : case.n], dW, 2e-6)
    assert_close(grad.b[: case.n], db, 2e-6)


@every_case
def test_block_against_finite_differences(case):
    X, params, block = make(case)
    _, grad = evaluate(params, block, case)
    X = X[: case.count]
    W, b = (np.array(leaf, np.float64)[..., : case.n] for leaf in params[:2])
    rng = np.random.default_rng(2)
    largest = np.abs(grad.W).max()
    for leaf, derivative in ((W, grad.W), (b, grad.b)):
        for _ in range(4):
            at = tuple(int(rng.integers(size)) for size in leaf.shape)
            middle, h = leaf[at], 1e-6
            losses = []
            for leaf[at] in (middle - h, middle + h):
                losses.append(case.count * loss_and_grad(X, W, b)[0])
            leaf[at] = middle
            slope = (losses[1] - losses[0]) / (2 * h)
            np.testing.assert_allclose(derivative[at], slope, rtol=0, atol=1e-5 * largest)


FORMS = [
    (model.Form(power, relu), untied)
    for power in (1, 2, 4)
    for relu in (False, True)
    for untied in (False, True)
]


@pytest.mark.parametrize(
    ("case", "form", "untied"),
    # Unrolled, every form; not unrolled, every choice that a form makes.
    [(CASES[1], *each) for each in FORMS] + [(CASES[4], *each) for each in FORMS[1::3]],
    ids=str,
)
@pytest.mark.unoptimized
def test_every_form_against_the_dense_formula(case, form, untied):
    X, params, block = make(case)
    if untied:
        params = params._replace(V=np.roll(params.W, 3, axis=1) * (params.W != 0))
    loss, grad = block_loss_and_grad(params, block, case.count, case.rows, case.columns, form)
    inside = tuple(leaf[..., : case.n] for leaf in params if leaf is not None)
    expected = loss_and_grad(X[: case.count], *inside, power=form.power, relu=form.relu)
    np.testing.assert_allclose(loss, case.count * expected[0], rtol=5e-6 * form.power)
    grads = [leaf for leaf in grad if leaf is not None]
    for leaf, derivative in zip(grads, expected[1:], strict=True):
        assert_close(np.asarray(leaf)[..., : case.n], case.count * derivative, 1e-5)
        assert (np.asarray(leaf)[..., case.n :] == 0).all()
        assert (np.asarray(leaf)[case.m :] == 0).all() if leaf.ndim == 2 else True


@every_case
def test_padding_has_no_gradient(case):
    _, params, block = make(case)
    _, grad = evaluate(params, block, case)
    assert (grad.W[case.m :] == 0).all()
    assert (grad.W[:, case.n :] == 0).all()
    assert (grad.b[case.n :] == 0).all()


@pytest.mark.unoptimized
def test_padding_does_not_change_the_loss():
    """Shapes differ, so sums may be taken in another order: equal to rounding, not in bits."""
    tight = Case(m=3, n=48, columns=48, rows=16, count=16, hidden=3)
    loose = tight._replace(columns=64, hidden=6)
    tiled = tight._replace(columns=16)
    (loss, grad), *others = (evaluate(*make(case)[1:], case) for case in (tight, loose, tiled))
    for other_loss, other in others:
        np.testing.assert_allclose(other_loss, loss, rtol=1e-6)
        assert_close(other.W[:3, :48], grad.W, 1e-6)
        assert_close(other.b[:48], grad.b, 1e-6)


@every_case
def test_samples_beyond_count_do_not_matter(case):
    _, params, block = make(case)
    changed = block._replace(val=np.where(block.row < case.count, block.val, 7.0).astype("f"))
    assert_same(evaluate(params, block, case), evaluate(params, changed, case))


@pytest.mark.parametrize("case", CASES[1:5:2], ids=str)
@pytest.mark.parametrize("extra", [192, 1024])
def test_entries_of_value_zero_do_not_matter(case, extra):
    """Padding entries are no samples. Whole vectors of them: a loop's last, partial vector may
    round differently.
    """
    _, params, block = make(case)
    params.b[0] = 9.0  # where entries are added the ReLU is on, and would pass a gradient
    padded = model.Block(*(np.pad(leaf, (0, extra)) for leaf in block))
    assert_same(evaluate(params, block, case), evaluate(params, padded, case))


def test_zero_predictor_scores_one_a_sample():
    case = Case(m=2, n=12, columns=16, rows=32, count=30, hidden=2)
    X, params, block = make(case, S=0.9)
    loss, grad = evaluate(jax.tree.map(np.zeros_like, params), block, case)
    full = (X[: case.count] > 0).any(axis=1).sum()
    assert 0 < full < case.count
    np.testing.assert_allclose(loss, full, rtol=1e-6)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(grad))


@functools.cache
def production(m: int) -> tuple[Case, np.ndarray, model.Params, model.Block]:
    study = DoubleDescent(Options())
    size = study.shapes(Cell(T=1_000, m=m), "cpu").size
    case = Case(m, 10_000, size.columns, 256, 256, size.hidden)
    return case, *make(case, S=0.999)


@pytest.mark.parametrize("m", [2, 8])
@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_production_size(m, scale):
    """The reference scale, with weights as after a bad middle and as at initialisation.

    A product in float32 is off by 6e-8 and the longest chain of additions has about a thousand
    links, one tile or one block: 1e-6 where errors are random. Measured: 6e-7.
    """
    case, X, params, block = production(m)
    params = jax.tree.map(lambda leaf: np.float32(scale) * leaf, params)
    loss, grad = evaluate(params, block, case)
    expected, dW, db = (256 * v for v in loss_and_grad(X, params.W[:, :10_000], params.b[:10_000]))
    np.testing.assert_allclose(loss, expected, rtol=5e-6)
    assert_close(grad.W[:, :10_000], dW, 5e-6)
    assert_close(grad.b[:10_000], db, 5e-6)


@pytest.mark.parametrize("power", [3, 4])
def test_samples_beyond_the_cell_do_not_round_its_loss(power, rng):
    """Their entries count as 0, and a fused multiply-add must leave nothing of them."""
    samples = data.draw(data.Stream(0, 30, 0.8, "train"), 32)
    block = jax.tree.map(lambda leaf: leaf[0], model.to_blocks(samples, 32, 512))
    own = block.row < 5
    alone = model.Block(*(np.where(own, leaf, 0) for leaf in block))
    weight = (jnp.arange(32) < 5).astype(jnp.float32)

    def loss(W, b, block):
        view = model.view(model.Params(W, b), 32)
        return model.block_loss_and_grad(view, block, weight, model.Form(power))[0]

    weights = rng.normal(size=(200, 3, 32)), rng.normal(size=(200, 32)) / 2
    weights = [jnp.asarray(values, jnp.float32) for values in weights]

    @jax.jit
    def losses(block):
        return jax.lax.map(lambda each: loss(*each, block), tuple(weights))

    np.testing.assert_array_equal(losses(block), losses(alone))
