"""Small models trained by hand: `jax.vmap` over a grid of cells, `lax.scan` over their steps.

What is written without this package, and what its engine is compared with. `python by_hand.py`
trains each model of `MODELS` and prints cell-steps a second; `taskset -c 1` keeps it on one core.
"""

from __future__ import annotations

import functools
import itertools
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

Params = dict[str, jax.Array]


class Trained(NamedTuple):
    """What training all cells gives; arrays (cells,)."""

    before: jax.Array
    """Loss on the whole training set at the start."""
    after: jax.Array
    """The same at the end."""
    steps: jax.Array
    """Updates that the cell needed; their sum is the number of cell-steps."""


Training = Callable[[], Trained]


def grid(*axes: Any) -> list[jax.Array]:
    """Each axis of a grid, repeated over all cells: (cells,) each."""
    return [jnp.asarray(axis.ravel()) for axis in np.meshgrid(*axes, indexing="ij")]


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean softmax cross-entropy of integer labels."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


TINY_STEPS, TINY_SAMPLES, TINY_INPUTS, TINY_BATCH, TINY_EVERY = 2_000, 500, 19, 32, 10


def tiny_data(key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Bits of +-1 whose first two multiply to the label; the last equals it at 95 %."""
    key_bits, key_spurious = jax.random.split(key)
    bits = jax.random.rademacher(key_bits, (TINY_SAMPLES, TINY_INPUTS - 1), jnp.float32)
    sign = bits[:, :2].prod(axis=1)
    agrees = jax.random.bernoulli(key_spurious, 0.95, sign.shape)
    x = jnp.column_stack([bits, jnp.where(agrees, sign, -sign)])
    return x, (sign > 0).astype(jnp.int32)


def tiny_init(key: jax.Array) -> Params:
    """Weights of a 19 -> 64 -> 2 network without biases."""
    shapes = {"hidden": (TINY_INPUTS, 64), "out": (64, 2)}
    return {
        name: jax.random.uniform(jax.random.fold_in(key, i), shape, minval=-1) / shape[0] ** 0.5
        for i, (name, shape) in enumerate(shapes.items())
    }


def tiny_logits(params: Params, x: jax.Array) -> jax.Array:
    """The network."""
    return jax.nn.relu(x @ params["hidden"]) @ params["out"]


def tiny_loss(params: Params, x: jax.Array, y: jax.Array) -> jax.Array:
    """Its loss."""
    return cross_entropy(tiny_logits(params, x), y)


def tiny_step(params: Params, lr: jax.Array, key: jax.Array, x: jax.Array, y: jax.Array) -> Params:
    """One update by SGD."""
    rows = jax.random.randint(key, (TINY_BATCH,), 0, TINY_SAMPLES)
    grads = jax.grad(tiny_loss)(params, x[rows], y[rows])
    return jax.tree.map(lambda p, g: p - lr * g, params, grads)


def tiny_grid() -> list[jax.Array]:
    """Learning rate and seed of each cell."""
    return grid(np.geomspace(0.1, 3, 8, dtype=np.float32), np.arange(12))


def tiny() -> Training:
    """A ReLU network by SGD: 8 learning rates x 12 seeds, 2,000 steps."""

    def train(lr: jax.Array, seed: jax.Array) -> Trained:
        key_data, key_init, key_steps = jax.random.split(jax.random.key(seed), 3)
        x, y = tiny_data(key_data)
        start = tiny_init(key_init)

        def step(params: Params, key: jax.Array) -> tuple[Params, None]:
            return tiny_step(params, lr, key, x, y), None

        end, _ = jax.lax.scan(step, start, jax.random.split(key_steps, TINY_STEPS))
        return Trained(tiny_loss(start, x, y), tiny_loss(end, x, y), jnp.int32(TINY_STEPS))

    return functools.partial(jax.jit(jax.vmap(train)), *tiny_grid())


def tiny_stop() -> Training:
    """The same, each cell until it has learned its training set; looked at every 10 steps."""

    def train(lr: jax.Array, seed: jax.Array) -> Trained:
        key_data, key_init, key_steps = jax.random.split(jax.random.key(seed), 3)
        x, y = tiny_data(key_data)
        start = tiny_init(key_init)

        def goes_on(state: tuple[Params, jax.Array, jax.Array]) -> jax.Array:
            _, done, learned = state
            return (done < TINY_STEPS) & ~learned

        def steps(
            state: tuple[Params, jax.Array, jax.Array],
        ) -> tuple[Params, jax.Array, jax.Array]:
            params, done, _ = state

            def step(i: jax.Array, params: Params) -> Params:
                return tiny_step(params, lr, jax.random.fold_in(key_steps, done + i), x, y)

            params = jax.lax.fori_loop(0, TINY_EVERY, step, params)
            logits = tiny_logits(params, x)
            learned = (cross_entropy(logits, y) < 0.01) & (logits.argmax(axis=1) == y).all()
            return params, done + TINY_EVERY, learned

        first = start, jnp.int32(0), jnp.bool(False)
        end, done, _ = jax.lax.while_loop(goes_on, steps, first)
        return Trained(tiny_loss(start, x, y), tiny_loss(end, x, y), done)

    return functools.partial(jax.jit(jax.vmap(train)), *tiny_grid())


FEATURES, WIDTHS, AUTO_SAMPLES, AUTO_BATCH, AUTO_STEPS = 12, (2, 4, 6, 8), 8_000, 256, 1_000


def circular_features(key: jax.Array) -> jax.Array:
    """Binary features (samples, features), likely where a point of the circle is near theirs."""
    key_points, key_bits = jax.random.split(key)
    places = 2 * jnp.pi * jnp.arange(FEATURES) / FEATURES
    points = jax.random.uniform(key_points, (AUTO_SAMPLES, 1), maxval=2 * jnp.pi)
    chance = jax.nn.sigmoid(4 * jnp.cos(points - places) - 2)
    return jax.random.bernoulli(key_bits, chance).astype(jnp.float32)


def autoencoder() -> Training:
    """A tied ReLU autoencoder by AdamW: 4 widths x 3 weight decays x 4 seeds, 1,000 steps."""
    schedule = optax.cosine_decay_schedule(1e-2, AUTO_STEPS)

    def loss(params: Params, used: jax.Array, f: jax.Array) -> jax.Array:
        W = params["W"] * used
        return ((jax.nn.relu(f @ W.T @ W + params["b"]) - f) ** 2).sum(axis=1).mean()

    def train(m: jax.Array, weight_decay: jax.Array, seed: jax.Array, data: jax.Array) -> Trained:
        key_init, key_steps = jax.random.split(jax.random.key(seed))
        used = (jnp.arange(max(WIDTHS)) < m)[:, None]
        W = jax.random.normal(key_init, (max(WIDTHS), FEATURES)) / FEATURES**0.5
        start = {"W": W * used, "b": jnp.zeros(FEATURES)}
        optimizer = optax.adamw(schedule, weight_decay=weight_decay)

        def step(
            state: tuple[Params, optax.OptState], key: jax.Array
        ) -> tuple[tuple[Params, optax.OptState], None]:
            params, moments = state
            rows = jax.random.randint(key, (AUTO_BATCH,), 0, AUTO_SAMPLES)
            grads = jax.grad(loss)(params, used, data[rows])
            updates, moments = optimizer.update(grads, moments, params)
            return (optax.apply_updates(params, updates), moments), None

        keys = jax.random.split(key_steps, AUTO_STEPS)
        (end, _), _ = jax.lax.scan(step, (start, optimizer.init(start)), keys)
        return Trained(loss(start, used, data), loss(end, used, data), jnp.int32(AUTO_STEPS))

    cells = grid(np.array(WIDTHS), np.array([0, 1, 4], np.float32), np.arange(4))
    data = circular_features(jax.random.key(0))
    return functools.partial(jax.jit(jax.vmap(train, (0, 0, 0, None))), *cells, data)


P, MODULAR_WIDTHS, MODULAR_STEPS = 47, (94, 100, 100, 47), 100


def modular_logits(
    params: list[Params], x: jax.Array, product: Callable[..., jax.Array] = jnp.matmul
) -> jax.Array:
    """The network of modular addition."""
    for layer in params[:-1]:
        x = jax.nn.relu(product(x, layer["W"]) + layer["b"])
    return product(x, params[-1]["W"]) + params[-1]["b"]


def modular() -> Training:
    """Addition modulo 47 by a ReLU network and AdamW on the full batch: 8 seeds, 100 steps."""
    optimizer = optax.adamw(1e-3, weight_decay=0.0)

    def init(key: jax.Array) -> list[Params]:
        shapes = list(itertools.pairwise(MODULAR_WIDTHS))
        keys = jax.random.split(key, len(shapes))
        return [
            {"W": jax.random.uniform(key, shape, minval=-1) / shape[0] ** 0.5, "b": jnp.zeros(wide)}
            for key, shape, wide in zip(keys, shapes, MODULAR_WIDTHS[1:], strict=True)
        ]

    def loss(params: list[Params], x: jax.Array, y: jax.Array) -> jax.Array:
        return cross_entropy(modular_logits(params, x), y)

    def train(seed: jax.Array) -> Trained:
        key_data, key_init = jax.random.split(jax.random.key(seed))
        a, b = jnp.divmod(jax.random.permutation(key_data, P * P)[: P * P // 2], P)
        x = jnp.concatenate([jax.nn.one_hot(a, P), jax.nn.one_hot(b, P)], axis=1)
        y = (a + b) % P
        start = init(key_init)

        def step(
            state: tuple[list[Params], optax.OptState], _: None
        ) -> tuple[tuple[list[Params], optax.OptState], None]:
            params, moments = state
            grads = jax.grad(loss)(params, x, y)
            updates, moments = optimizer.update(grads, moments, params)
            return (optax.apply_updates(params, updates), moments), None

        state = start, optimizer.init(start)
        (end, _), _ = jax.lax.scan(step, state, length=MODULAR_STEPS)
        return Trained(loss(start, x, y), loss(end, x, y), jnp.int32(MODULAR_STEPS))

    return functools.partial(jax.jit(jax.vmap(train)), jnp.arange(8))


MODELS: dict[str, Callable[[], Training]] = {
    "tiny": tiny,
    "tiny_stop": tiny_stop,
    "autoencoder": autoencoder,
    "modular": modular,
}


def cell_steps(train: Training, calls: int = 3) -> tuple[Trained, list[float]]:
    """What a training gives, and its cell-steps a second in each call after one to warm up."""
    trained = jax.block_until_ready(train())
    rates = []
    for _ in range(calls):
        begin = time.perf_counter()
        jax.block_until_ready(train())
        rates.append(int(trained.steps.sum()) / (time.perf_counter() - begin))
    return trained, rates


def main() -> None:
    """Train the models that are named, or all."""
    for name in sys.argv[1:] or MODELS:
        trained, rates = cell_steps(MODELS[name]())
        before, after = float(trained.before.mean()), float(trained.after.mean())
        print(
            f"{name}: {len(trained.steps)} cells, {int(trained.steps.sum()):,} cell-steps,"
            f" loss {before:.4f} -> {after:.4f}, {float(np.median(rates)):,.0f} cell-steps/s"
            f" ({min(rates):,.0f} to {max(rates):,.0f})"
        )
        if not after < before:
            raise SystemExit(f"{name}: the loss did not fall")


if __name__ == "__main__":
    main()
