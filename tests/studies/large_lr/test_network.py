"""Networks: the padding, the numpy twin, attribution and pruning."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from superpos_jax.studies.large_lr import network, pruning, training
from superpos_jax.studies.large_lr.attribution import clipped, integrated_gradients, use
from superpos_jax.studies.large_lr.cell import Numbers
from superpos_jax.studies.large_lr.network import Params

pytestmark = pytest.mark.unoptimized

INPUTS, CLASSES = 6, 3


def made(rng, depth=2, width=5, bias=True):
    sizes = [INPUTS, *[width] * depth, CLASSES]
    weights = tuple(rng.standard_normal((o, i)) for i, o in itertools.pairwise(sizes))
    return Params(weights, tuple(bias * rng.standard_normal(width) for _ in range(depth)))


@partial(jax.jit, static_argnums=0)
def initial(kind, width):
    return network.init(kind, width, jax.random.key(3))


@pytest.fixture
def data(rng):
    return rng.standard_normal((50, INPUTS)), rng.integers(CLASSES, size=50)


@pytest.mark.parametrize(("depth", "bias"), [(1, "hidden"), (2, "none"), (3, "hidden")])
def test_initial_weights_keep_their_bounds_and_are_zero_in_the_padding(depth, bias):
    cell = Numbers(depth=depth, width=13, bias=["none", "hidden"].index(bias))
    kind = network.kind_of(cell, INPUTS, CLASSES)
    assert kind.width == 16
    params = initial(kind, cell.width)
    for W, fan_in in zip(params.weights, [INPUTS, *[13] * depth], strict=True):
        assert 0.9 < np.abs(W).max() * fan_in**0.5 <= 1
    own = network.trimmed(jax.tree.map(np.asarray, params), cell.width)
    for leaf, whole in zip(jax.tree.leaves(own), jax.tree.leaves(params), strict=True):
        assert np.abs(leaf).sum() == pytest.approx(np.abs(whole).sum())
    assert (np.abs(own.biases[0]).sum() > 0) == (bias == "hidden")


@pytest.mark.parametrize(("optimizer", "depth"), [("sgd", 3), ("adamw", 1)])
def test_a_padded_network_trains_as_the_network_of_its_width(data, optimizer, depth):
    x, y = data
    cell = Numbers(lr=0.05, momentum=0.5, weight_decay=1e-2, l1=1e-3, width=13, depth=depth)
    kind = network.kind_of(cell, INPUTS, CLASSES)
    params = jax.tree.map(lambda leaf: np.asarray(leaf, float), initial(kind, cell.width))
    alone = network.trimmed(params, 13)

    def train(params, kind):
        update = training.optimizer(optimizer, cell)

        def loss(params):
            z = network.logits(kind, params, x)
            return -jax.nn.log_softmax(z)[jnp.arange(len(y)), y].mean()

        def step(state, _):
            params, own = state
            updates, own = update.update(jax.grad(loss)(params), own, params)
            return (jax.tree.map(jnp.add, params, updates), own), None

        def steps(params):
            return jax.lax.scan(step, (params, update.init(params)), length=20)[0][0]

        with jax.enable_x64(True):
            return jax.tree.map(np.asarray, jax.jit(steps)(params))

    padded = network.trimmed(train(params, kind), 13)
    for leaf, wanted in zip(
        jax.tree.leaves(padded), jax.tree.leaves(train(alone, kind._replace(width=13))), strict=True
    ):
        np.testing.assert_allclose(leaf, wanted, rtol=0, atol=1e-9)


def test_penalties_are_those_of_the_weights_only(rng):
    params = made(rng)
    cell = Numbers(lr=0.5, momentum=0.0, weight_decay=0.1, l1=0.01)
    update = training.optimizer("sgd", cell)
    grads = jax.tree.map(np.ones_like, params)
    updates, _ = jax.jit(lambda g, p: update.update(g, update.init(p), p))(grads, params)
    for W, step in zip(params.weights, updates.weights, strict=True):
        np.testing.assert_allclose(step, -0.5 * (1 + 0.1 * W + 0.01 * np.sign(W)), rtol=1e-5)
    for step in updates.biases:
        np.testing.assert_allclose(step, -0.5)


@pytest.mark.parametrize("depth", [1, 3])
def test_the_numpy_network_is_the_traced_one(rng, data, depth):
    x, y = data
    params = made(rng, depth)
    kind = network.kind_of(Numbers(depth=depth, width=5), INPUTS, CLASSES)

    @jax.jit
    def traced(params, x):
        gradient = jax.grad(lambda x, y: network.logits(kind, params, x[None])[0, y])
        return network.logits(kind, params, x), jax.vmap(gradient)(x, y)

    with jax.enable_x64(True):
        z, gradient = traced(params, x)
    np.testing.assert_allclose(network.outputs(params, x), z, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(network.input_gradient(params, x, y), gradient, atol=1e-10)


def test_integrated_gradients_are_complete(rng, data):
    x, y = data
    rows = np.arange(len(y))
    for bias, steps, close in ((False, 1, 1e-12), (True, 16, 0.05), (True, 2000, 5e-4)):
        params = made(rng, bias=bias)
        gain = (network.outputs(params, x) - network.outputs(params, np.zeros_like(x)))[rows, y]
        total = integrated_gradients(params, x, y, steps).sum(axis=1)
        assert np.abs(total - gain).mean() < close * np.abs(gain).mean()


def test_use_is_a_share_of_clipped_attributions(rng):
    attribution = rng.standard_normal((50, INPUTS))
    mask = np.arange(INPUTS) < 2
    shares = []
    for row in np.abs(attribution):
        rising = sorted(row)
        level = next(v for i, v in enumerate(rising) if sum(rising[: i + 1]) >= 0.6 * sum(rising))
        cut = [min(v, level) for v in row]
        np.testing.assert_allclose(clipped(row[None], 0.6)[0], cut)
        level = next(v for i, v in enumerate(rising) if sum(rising[: i + 1]) >= 0.98 * sum(rising))
        cut = [min(v, level) for v in row]
        shares.append(sum(cut[:2]) / sum(cut))
    assert use(attribution, mask) == pytest.approx(np.mean(shares))
    assert use(attribution, mask) + use(attribution, ~mask) == pytest.approx(1)
    assert np.isnan(use(np.zeros((3, INPUTS)), mask))


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_small_weights_of_all_hidden_layers_are_removed_together(rng, share):
    params = made(rng)
    pruned = pruning.without_weights(params, share)
    sizes = sorted(abs(v) for W in params.weights[:-1] for v in W.ravel())
    level = sizes[int(share * len(sizes))]
    for W, left in zip(params.weights[:-1], pruned.weights[:-1], strict=True):
        np.testing.assert_array_equal(left, np.where(np.abs(W) >= level, W, 0))
    assert pruned.weights[-1] is params.weights[-1]


def test_weak_units_of_every_layer_are_removed(rng, data):
    params = made(rng)
    pruned = pruning.without_units(params, 0.4)
    for layer, (W, b) in enumerate(zip(params.weights, params.biases, strict=False)):
        norms = [np.sqrt(sum(v**2 for v in row) + c**2) for row, c in zip(W, b, strict=True)]
        weak = sorted(range(5), key=norms.__getitem__)[:2]
        gone = np.abs(network.layers(pruned, data[0])[layer]).sum(axis=0) == 0
        assert set(weak) <= set(np.flatnonzero(gone))
        np.testing.assert_array_equal(
            np.flatnonzero(pruned.weights[layer].any(axis=1)).tolist(),
            sorted(set(range(5)) - set(weak)),
        )


def test_a_curve_is_the_accuracy_of_each_network(rng, data):
    x, _ = data
    params = made(rng)
    y = network.outputs(params, x).argmax(axis=1)
    networks = [pruning.without_weights(params, share) for share in pruning.SHARES]
    curve = pruning.curve(networks, x, y)
    assert curve[0] == 1
    wanted = np.mean([min(1, curve[pruning.SHARES.index(r)]) for r in (0.5, 0.7, 0.8, 0.9, 0.95)])
    assert pruning.prunability(curve) == pytest.approx(wanted)
