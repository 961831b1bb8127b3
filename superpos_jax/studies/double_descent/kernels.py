"""Kernels for GPUs: losses and gradients of many autoencoders of any T at once, in Triton.

Tiles and spans are those of `engine.kernel.Tiles`. A = [V; b], and p, u, g are as in model.py:

    of_samples   a program a tile: h = W x from the non-zeros of each sample; z = A^T h and
                 u = sum g A over all features; then what the non-zeros change in u and the loss
    of_features  a program a span and a block of COLUMNS features: dL/dA over the samples of the
                 span, then what the non-zeros of these features change, through W and V
    over_spans   a program a cell: the sum of its gradient over spans, where a cell has several
    total        a program a cell: its loss

Both of_samples and of_features compute z: storing it, T x n, would take longer. Sums pass from
program to program in memory, in a fixed order and never atomically, so the bits of a cell depend on
no other. A program returns at once if its cell is not wanted.

Why not Pallas: its Triton backend is deprecated, and its Mosaic GPU backend (JAX 0.11.2) has no
load at an array of indices, which lists of non-zeros need.

Arrays: W, V (cells, HIDDEN, N); b (cells, N); of all tiles h, u (HIDDEN, R) and loss (R,), with
R = ROWS * tiles; lists as `autoencoders.Lists` has them. `tl.static_range` unrolls.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def relu_power(z, P: tl.constexpr):
    """z^(p-1) where z > 0, else 0."""
    x = tl.where(z > 0, z, 0.0)
    if P == 1:
        return tl.where(z > 0, 1.0, 0.0)
    y = x
    for _ in tl.static_range(P - 2):
        y = y * x
    return y


@triton.jit
def loaded(values, at, live, STRIDE: tl.constexpr, HIDDEN: tl.constexpr):
    """A value of each hidden dimension, a tuple; 0 where not live."""
    result = ()
    for k in tl.static_range(HIDDEN):
        if live is None:
            result = result + (tl.load(values + k * STRIDE + at),)
        else:
            result = result + (tl.load(values + k * STRIDE + at, mask=live, other=0.0),)
    return result


@triton.jit
def added(total, factor, values, HIDDEN: tl.constexpr):
    """total + factor * values, for each hidden dimension."""
    result = ()
    for k in tl.static_range(HIDDEN):
        result = result + (total[k] + factor * values[k],)
    return result


@triton.jit
def decoded(h_in, at, live, a, bias, R: tl.constexpr, HIDDEN: tl.constexpr):
    """h of some samples, and z = A^T h."""
    h = loaded(h_in, at, live, R, HIDDEN)
    z = bias
    for k in tl.static_range(HIDDEN):
        z = z + h[k] * a[k]
    return h, z


@triton.jit
def at_entries(v, z, P: tl.constexpr):
    """|x - a|^p - a^p with a = ReLU(z), and its derivative by z over p; 0 where x = 0."""
    a = tl.where(z > 0, z, 0.0)
    if P == 2:
        return v * (v - 2 * a), tl.where(z > 0, -v, 0.0)
    error = v - a
    size = tl.abs(error)
    slope = relu_power(a, P)
    back = relu_power(size, P)
    residual = tl.where(error > 0, -back, back) - slope
    there = v != 0  # of an entry that is none a fused multiply-add would leave a rounding error
    correction = tl.where(there, size * back - a * slope, 0.0)
    return correction, tl.where(there & (z > 0), residual, 0.0)


@triton.jit
def of_samples(
    W, V, b, start, col, val, wanted, cell_of, block_of, count_of, h_out, u_out, loss_out,
    N: tl.constexpr, HIDDEN: tl.constexpr,
    P: tl.constexpr, RELU: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """h, u and loss of the samples of a tile."""
    tile = tl.program_id(0).to(tl.int64)
    R = tl.num_programs(0).to(tl.int64) * ROWS  # no constant: one kernel for all data sets
    cell = tl.load(cell_of + tile).to(tl.int64)
    if (tl.load(wanted + cell) == 0) | (tl.load(count_of + tile) == 0):
        return
    W += cell * HIDDEN * N
    V += cell * HIDDEN * N
    b += cell * N
    lane = tl.arange(0, ROWS)
    sample = tl.load(block_of + tile) * ROWS + lane
    begin = tl.load(start + sample)
    # Lanes past the cell's last sample hold other samples; what they give is ignored.
    entries = tl.load(start + sample + 1) - begin
    most = tl.max(entries, 0)
    h = (tl.zeros((ROWS,), tl.float32),) * HIDDEN
    for s in range(most):
        i = tl.load(col + begin + s, mask=s < entries, other=0)
        v = tl.load(val + begin + s, mask=s < entries, other=0.0)
        h = added(h, v, loaded(W, i, None, N, HIDDEN), HIDDEN)
    if RELU:
        h = [tl.where(x > 0, x, 0.0) for x in h]
    out = tile * ROWS + lane
    tall = ()
    for k in tl.static_range(HIDDEN):
        tl.store(h_out + k * R + out, h[k])
        tall = tall + (h[k][:, None],)

    u = (tl.zeros((ROWS, COLUMNS), tl.float32),) * HIDDEN
    loss = tl.zeros((ROWS, COLUMNS), tl.float32)
    feature = tl.arange(0, COLUMNS)[None, :]
    for first in range(0, N, COLUMNS):
        z = tl.load(b + first + feature) + tl.zeros((ROWS, COLUMNS), tl.float32)
        a = loaded(V, first + feature, None, N, HIDDEN)
        for k in tl.static_range(HIDDEN):
            z += tall[k] * a[k]
        g = relu_power(z, P)
        u = added(u, g, a, HIDDEN)
        loss += g * z

    sample_loss = tl.sum(loss, 1)
    back = [tl.sum(x, 1) for x in u]
    for s in range(most):
        i = tl.load(col + begin + s, mask=s < entries, other=0)
        v = tl.load(val + begin + s, mask=s < entries, other=0.0)
        z = tl.load(b + i)
        a = loaded(V, i, None, N, HIDDEN)
        for k in tl.static_range(HIDDEN):
            z += h[k] * a[k]
        correction, residual = at_entries(v, z, P)
        sample_loss += correction
        back = added(back, residual, a, HIDDEN)
    for k in tl.static_range(HIDDEN):
        through = tl.where(h[k] > 0, back[k], 0.0) if RELU else back[k]
        tl.store(u_out + k * R + out, through)
    tl.store(loss_out + out, sample_loss)


@triton.jit
def of_features(
    V, b, h_in, u_in, start, row, val, wanted, stream_of, block_of, first_of, samples_of,
    cell_of, tile_of, dW, dV, db,
    N: tl.constexpr, R: tl.constexpr, HIDDEN: tl.constexpr, P: tl.constexpr, TIED: tl.constexpr,
    ROWS: tl.constexpr, TILE: tl.constexpr, SPAN: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """The gradient of a block of features by a span: ROWS samples at a time, then non-zeros."""
    feature = tl.program_id(0) % (N // COLUMNS) * COLUMNS + tl.arange(0, COLUMNS)
    span = (tl.program_id(0) // (N // COLUMNS)).to(tl.int64)
    cell = tl.load(cell_of + span).to(tl.int64)
    begin = tl.load(tile_of + span) * TILE
    samples = tl.minimum(tl.load(samples_of + cell) - begin, SPAN)
    if (tl.load(wanted + cell) == 0) | (samples <= 0):
        return
    tile = tl.load(first_of + cell).to(tl.int64)
    stream = tl.load(stream_of + tl.load(block_of + tile))
    h_in += tile * TILE + begin
    u_in += tile * TILE + begin
    bias = tl.load(b + cell * N + feature)
    a = loaded(V + cell * HIDDEN * N, feature, None, N, HIDDEN)
    wide = [x[None, :] for x in a]
    d = (tl.zeros((ROWS, COLUMNS), tl.float32),) * HIDDEN
    c = tl.zeros((ROWS, COLUMNS), tl.float32)
    lane = tl.arange(0, ROWS)[:, None]
    whole = samples // ROWS * ROWS
    for first in range(0, whole, ROWS):
        h, z = decoded(h_in, first + lane, None, wide, bias[None, :], R, HIDDEN)
        g = relu_power(z, P)
        d = added(d, g, h, HIDDEN)
        c += g
    if whole < samples:
        live = whole + lane < samples
        h, z = decoded(h_in, whole + lane, live, wide, bias[None, :], R, HIDDEN)
        g = tl.where(live, relu_power(z, P), 0.0)
        d = added(d, g, h, HIDDEN)
        c += g

    of_bias = tl.sum(c, 0)
    decoder = [tl.sum(x, 0) for x in d]
    encoder = (tl.zeros((COLUMNS,), tl.float32),) * HIDDEN
    start += stream * (N + 1) + feature
    entry = tl.load(start)
    end = tl.load(start + 1)
    t = tl.load(row + entry, mask=entry < end, other=2147483647) - begin
    while tl.max((t < samples).to(tl.int32), 0) > 0:  # entries are in the order of the samples
        live = (t >= 0) & (t < samples)
        v = tl.load(val + entry, mask=live, other=0.0)
        h, z = decoded(h_in, t, live, a, bias, R, HIDDEN)
        _, residual = at_entries(v, z, P)
        residual = tl.where(live, residual, 0.0)
        of_bias += residual
        decoder = added(decoder, residual, h, HIDDEN)
        encoder = added(encoder, v, loaded(u_in, t, live, R, HIDDEN), HIDDEN)
        entry += 1
        t = tl.load(row + entry, mask=(t < samples) & (entry < end), other=2147483647) - begin

    tl.store(db + span * N + feature, P * of_bias)
    for k in tl.static_range(HIDDEN):
        at = (span * HIDDEN + k) * N + feature
        if TIED:
            tl.store(dW + at, P * (encoder[k] + decoder[k]))
        else:
            tl.store(dW + at, P * encoder[k])
            tl.store(dV + at, P * decoder[k])


@triton.jit
def over_spans(
    parts, wanted, first_of, samples_of, out,
    M: tl.constexpr, SPAN: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """M numbers of a cell, summed over its spans of SPAN samples."""
    at = tl.program_id(0) % (M // COLUMNS) * COLUMNS + tl.arange(0, COLUMNS)
    cell = (tl.program_id(0) // (M // COLUMNS)).to(tl.int64)
    if (tl.load(wanted + cell) == 0) | (tl.load(samples_of + cell) == 0):
        return
    parts += tl.load(first_of + cell).to(tl.int64) * M + at
    whole = tl.load(parts)
    for _ in range(SPAN, tl.load(samples_of + cell), SPAN):
        parts += M
        whole += tl.load(parts)
    tl.store(out + cell * M + at, whole)


@triton.jit
def total(loss_in, wanted, first_of, samples_of, out, STRIDE: tl.constexpr, ROWS: tl.constexpr):
    """The loss of a cell, never below 0: the parts of it cancel where a sample is memorized."""
    cell = tl.program_id(0)
    if tl.load(wanted + cell) == 0:
        return
    samples = tl.load(samples_of + cell)
    loss_in += tl.load(first_of + cell).to(tl.int64) * STRIDE
    lane = tl.arange(0, ROWS)
    loss = tl.zeros((ROWS,), tl.float32)
    for first in range(0, samples, ROWS):
        loss += tl.load(loss_in + first + lane, mask=first + lane < samples, other=0.0)
    whole = tl.sum(loss, 0)
    tl.store(out + cell, tl.where(whole < 0, 0.0, whole))
