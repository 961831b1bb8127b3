"""The ReLU autoencoder: loss and gradient of one block of sparse samples.

    h  = W x                         W: (m, n), h: (m,); or ReLU(W x)
    x' = ReLU(W^T h + b)             b: (n,); untied, V (m, n) in place of the second W
    L  = sum_x sum_i |x_i - x'_i|^p  p = 2; or another, 1 to 8

Written with the bias as one more row, A = [W; b], and a 1 appended to h, the decode is z = A^T h.
Where few of many entries of x are non-zero, 10 of 10,000 say, the loss is split:

    L = sum a^p  +  sum over non-zeros of (|x - a|^p - a^p),   a = ReLU(z)

and only its first part touches all n features. That part is computed tile by tile, so that a
tile's z never leaves the cache; its gradient needs two small products of g = a^(p-1) [z > 0], and
its value falls out of one of them for free:

    dL/dA = p h^T g,   dL/dh = p g A^T =: p u,   sum a^p = sum g z = sum h * u

Padding is exact. Rows of W beyond m and columns beyond n start at zero and stay there: their
gradients and their decay are zero. A row of weight 0 has h = 0 and a 0 instead of the appended
1. An entry of value 0 adds nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from superpos_jax.studies.double_descent.data import Samples

UNROLL_UP_TO = 6
"""Decode as that many fused multiply-adds at most; a matrix product is faster beyond."""


class Params(NamedTuple):
    """W: (hidden, features) float32; b: (features,) float32; both zero beyond the cell's m, n.

    V: the decoder, shaped as W, where it is not W itself.
    """

    W: jax.Array
    b: jax.Array
    V: jax.Array | None = None


class View(NamedTuple):
    """The parameters, or their gradient, as a block reads them; made once a step.

    tiles: (tiles, hidden + 1, columns) the decoder with b as one more row, for all features;
    W: (features, width), b: (features,) and, where untied, V: (features, width), for the non-zeros:
    what a feature needs lies side by side, and in a power of two, several times faster to gather
    and to scatter.
    """

    tiles: jax.Array
    W: jax.Array
    b: jax.Array
    V: jax.Array | None = None


class Form(NamedTuple):
    """What is static about model and loss.

    power: p of the loss |x - x'|^p, 1 to 8. relu: a ReLU between the layers, h = ReLU(W x).
    """

    power: int = 2
    relu: bool = False


PLAIN = Form()


class Block(NamedTuple):
    """The non-zeros of up to `rows` samples, in order: (entries,) each, padded with val = 0."""

    row: Any
    col: Any
    val: Any


def to_blocks(samples: Samples, rows: int, entries: int) -> Block:
    """Samples cut into ceil(T / rows) blocks of `rows`, as numpy: (blocks, entries) each.

    Raises:
        ValueError: a block has more non-zeros than `entries`.
    """
    count = -(-samples.T // rows)
    block = samples.row // rows
    start = np.searchsorted(block, np.arange(count))
    slot = np.arange(len(block)) - start[block]
    if slot.max(initial=0) >= entries:
        raise ValueError(f"a block has {slot.max() + 1} non-zeros, more than {entries}")
    shape = (count, entries)
    row, col, val = (np.zeros(shape, dtype) for dtype in (np.int32, np.int32, np.float32))
    row[block, slot], col[block, slot] = samples.row % rows, samples.col
    val[block, slot] = samples.val
    return Block(row, col, val)


def view(params: Params, columns: int) -> View:
    """The parameters as blocks read them: cut into tiles of `columns` features, and by feature.

    Linear, so that a gradient in these terms is pulled back to the parameters by `jax.vjp`.
    """
    decoder = params.W if params.V is None else params.V
    A = jnp.concatenate([decoder, params.b[None]])
    tiles = A.reshape(len(A), -1, columns).swapaxes(0, 1)
    hidden = len(params.W)
    width = 1 << (hidden - 1).bit_length()

    def by_feature(weights: jax.Array) -> jax.Array:
        return jnp.pad(weights.T, ((0, 0), (0, width - hidden)))

    V = None if params.V is None else by_feature(params.V)
    return View(tiles, by_feature(params.W), params.b, V)


def block_loss_and_grad(
    view: View, block: Block, weight: jax.Array, form: Form = PLAIN
) -> tuple[jax.Array, View]:
    """Loss and its gradient, summed over the samples of a block that a cell has.

    Args:
        view: of the parameters.
        block: non-zeros of the block's samples, row < rows.
        weight: (rows,), 1 for the samples of this cell, which come first, and 0 beyond.
        form: of model and loss (static).

    Returns:
        The loss, () float32, where p = 2 in units of the zero predictor: it scores the number of
        samples that are not all zero; and its gradient, shaped as `view`.
    """
    hidden, p = view.tiles.shape[1] - 1, form.power
    width = view.W.shape[1]
    rows, count = len(weight), weight.sum().astype(jnp.int32)
    val = jnp.where(block.row < count, block.val, 0)
    encoder_at = view.W[block.col]
    decoder_at = encoder_at if view.V is None else view.V[block.col]

    # encode: h, and beside it the 1 that multiplies b
    h = jnp.zeros((rows, width)).at[block.row].add(val[:, None] * encoder_at)
    if form.relu:
        h = jnp.maximum(h, 0)
    one = weight[:, None]

    # all features
    h_and_one = jnp.concatenate([h[:, :hidden], one], axis=1)
    u, d_tiles = _dense(view.tiles, h_and_one, p)
    loss = (h_and_one * u).sum()

    # the non-zeros: z again, there only
    h_at = h[block.row]
    z = (h_at * decoder_at).sum(1) + view.b[block.col]
    correction, residual = _at_entries(val, z, p)
    loss += correction.sum()
    u = jnp.pad(u[:, :hidden], ((0, 0), (0, width - hidden)))
    u = u.at[block.row].add(residual[:, None] * decoder_at)
    through_decoder = residual[:, None] * h_at
    back = jnp.where(h > 0, u, 0) if form.relu else u
    through_encoder = val[:, None] * back[block.row]
    # The two parts cancel where a sample is memorized: rounding may leave -1e-7. NaN stays NaN.
    loss = jnp.where(loss < 0, 0, loss)
    dV = None
    if view.V is None:
        through_encoder += through_decoder
    else:
        dV = jnp.zeros_like(view.V).at[block.col].add(p * through_decoder)
    dW = jnp.zeros_like(view.W).at[block.col].add(p * through_encoder)
    db = jnp.zeros_like(view.b).at[block.col].add(p * residual)
    return loss, View(p * d_tiles, dW, db, dV)


def dense_loss_and_grad(
    params: Params, x: jax.Array, weight: jax.Array, form: Form = PLAIN
) -> tuple[jax.Array, Params]:
    """Loss and gradient of a block of dense samples, summed over those that a cell has.

    Faster than `block_loss_and_grad` where features are few, or few of them zero; and, on a CPU,
    than the same by `jax.grad`, whose sums XLA lays out worse.

    Args:
        params: of the model, without padding beyond n.
        x: (rows, features) the samples.
        weight: (rows,), 1 for the samples of this cell, and 0 beyond.
        form: of model and loss (static).

    Returns:
        The loss, () float32, and its gradient by the parameters.
    """

    W, b, V = params
    decoder, p = W if V is None else V, form.power
    h = x @ W.T
    active = jax.nn.relu(h) if form.relu else h
    z = active @ decoder + b
    error = jax.nn.relu(z) - x
    slope = error if p == 2 else jnp.sign(error) * jnp.abs(error) ** (p - 1)
    # By sample first: a sum over both axes at once makes the whole step slower on a CPU.
    loss = (weight * (slope * error).sum(1)).sum()
    g = p * jnp.where(z > 0, weight[:, None] * slope, 0)
    u = g @ decoder.T
    if form.relu:
        u = jnp.where(h > 0, u, 0)
    d_decoder, d_encoder = active.T @ g, u.T @ x
    tied = V is None
    dW, dV = (d_decoder + d_encoder, None) if tied else (d_encoder, d_decoder)
    return loss, Params(dW, g.sum(0), dV)


def _at_entries(val: jax.Array, z: jax.Array, p: int) -> tuple[jax.Array, jax.Array]:
    """|x - a|^p - a^p, and its derivative by z over p; both are 0 where x = 0."""
    a = jnp.maximum(z, 0)
    if p == 2:
        return val * (val - 2 * a), jnp.where(z > 0, -val, 0)
    error = val - a
    residual = -jnp.sign(error) * jnp.abs(error) ** (p - 1) - a ** (p - 1)
    # Of an entry that is none a fused multiply-add would leave a rounding error.
    there = val != 0
    correction = jnp.where(there, jnp.abs(error) ** p - a**p, 0)
    return correction, jnp.where(there & (z > 0), residual, 0)


def _dense(tiles: jax.Array, h: jax.Array, p: int) -> tuple[jax.Array, jax.Array]:
    """u = g A^T, (rows, hidden + 1), and h^T g, as the tiles, one tile at a time.

    Where a = ReLU(h A), g = a^(p-1), and 0 where a is 0.
    """
    _, height, _ = tiles.shape
    # A product with the identity is a copy that XLA does not fuse away. Without the first the CPU
    # backend indexes the whole of A again for every element of z, four times slower; the second
    # lays h out for the product that reduces over samples.
    identity = jnp.eye(height)
    h_T = identity @ h.T

    def tile(part: jax.Array) -> tuple[jax.Array, jax.Array]:
        with jax.named_scope("decode"):
            part = identity @ part
            if height - 1 <= UNROLL_UP_TO:
                z = sum(h[:, i : i + 1] * part[i] for i in range(height))
            else:
                z = h @ part
            # Not jnp.maximum, which takes two operations more to pass NaN on.
            g = jnp.where(z > 0, 1.0 if p == 1 else z ** (p - 1), 0.0)
        with jax.named_scope("reductions"):
            return g @ part.T, h_T @ g

    u, d_tiles = jax.lax.map(tile, tiles)
    return u.sum(0), d_tiles
