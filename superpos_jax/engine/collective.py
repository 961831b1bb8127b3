"""What the processes that train one sweep together say to each other.

Each runs the same program on its own share of the cells, so a cell's numbers do not depend on how
many there are. Process 0 leads: it alone reads, writes and decides, and tells the others.
"""

from __future__ import annotations

import pickle
import socket
import zlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from superpos_jax.errors import UserError

PIECE = 1 << 24
"""Bytes of each process that are gathered at once."""


def leads() -> bool:
    """Whether this process reads, writes and decides: process 0, or the only one."""
    return not jax.distributed.is_initialized() or jax.process_index() == 0


def several() -> bool:
    """Whether there are others."""
    return jax.distributed.is_initialized() and jax.process_count() > 1


def shared(function: Callable[[], Any]) -> Any:
    """Call a function on process 0, and return its value, or raise its error, on all of them."""
    if not several():
        return function()
    error = None
    said: tuple[bool, Any] = True, None
    if leads():
        try:
            said = True, function()
        except BaseException as caught:  # also Ctrl-C: the others must not wait for ever
            error, said = caught, (False, str(caught))
    packed = np.frombuffer(pickle.dumps(said), np.uint8)
    size = np.array(divmod(len(packed), PIECE), np.int32)
    pieces, rest = np.asarray(multihost_utils.broadcast_one_to_all(size)).tolist()
    packed = np.resize(packed, pieces * PIECE + rest)
    got = [
        np.asarray(multihost_utils.broadcast_one_to_all(packed[start : start + PIECE]))
        for start in range(0, len(packed), PIECE)
    ]
    fine, value = pickle.loads(np.concatenate(got).tobytes())
    if error is not None:
        raise error
    if not fine:
        raise UserError(value)
    return value


def beside() -> int:
    """How many processes share a machine, at most."""
    if not several():
        return 1
    name = zlib.crc32(socket.gethostname().encode()) & 0x7FFFFFFF
    names = multihost_utils.process_allgather(np.array([name], np.int32))
    return int(np.unique(names, return_counts=True)[1].max())


def agreed(count: int, save: bool, stop: bool) -> tuple[int, bool, bool]:
    """Steps to do next and whether to save, as process 0 says; whether any was asked to stop."""
    if not several():
        return count, save, stop
    said = np.asarray(multihost_utils.process_allgather(np.array([count, save, stop], np.int32)))
    return int(said[0, 0]), bool(said[0, 1]), bool(said[:, 2].any())


def gathered(tree: Any, by_all: bool = True) -> Any:
    """Arrays (devices, ...) that are sharded over the devices of all processes, as numpy.

    The devices of one process lie side by side in the mesh.

    `by_all`: every process gets them; else process 0 only, and the others None.
    """
    if not several():
        return jax.tree.map(np.asarray, tree)
    leaves, structure = jax.tree.flatten(tree)
    if not leaves:
        return tree  # memos of a study that remembers nothing
    own = [np.concatenate([np.asarray(s.data) for s in _in_order(x)]) for x in leaves]
    # All leaves side by side, as bytes: gathered in a few pieces, however many leaves there are.
    rows = np.concatenate([x.reshape(len(x), -1).view(np.uint8) for x in own], axis=1)
    pieces = []
    for start in range(0, rows.shape[1], PIECE):
        piece = multihost_utils.process_allgather(rows[:, start : start + PIECE])
        if by_all or leads():
            pieces.append(piece)
    if not pieces:
        return None
    whole = np.concatenate([np.asarray(piece).reshape(-1, piece.shape[-1]) for piece in pieces], 1)
    ends = np.cumsum([x.nbytes // len(x) for x in own])
    parts = np.split(whole, ends[:-1], axis=1)
    return jax.tree.unflatten(
        structure,
        [
            np.ascontiguousarray(part).view(x.dtype).reshape(-1, *x.shape[1:])
            for part, x in zip(parts, own, strict=True)
        ],
    )


def _in_order(array: jax.Array) -> list[Any]:
    """The pieces of a sharded array on the devices of this process."""
    return sorted(array.addressable_shards, key=lambda piece: piece.index[0].start or 0)


def spread(tree: Any, sharding: jax.sharding.Sharding) -> Any:
    """Numpy arrays that every process holds, on the devices of all of them."""

    def place(host: Any) -> jax.Array:
        host = np.asarray(host)
        return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

    return jax.tree.map(place, tree)
