"""What the processes that train one sweep together say to each other.

Each runs the same program on its own share of the cells, so a cell's numbers do not depend on how
many there are. Process 0 leads: it alone reads, writes and decides, and tells the others. What they
tell each other is JSON and arrays of numbers: nothing that comes from another process can run code.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import zlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from superpos_jax.errors import LostProcess, UserError

T = TypeVar("T")
Message = tuple[Any, Mapping[str, np.ndarray]]
"""What JSON holds, and arrays of numbers."""
PIECE = 1 << 24
"""Bytes of each process that are gathered at once."""


def leads() -> bool:
    """Whether this process reads, writes and decides: process 0, or the only one."""
    return not jax.distributed.is_initialized() or jax.process_index() == 0


def several() -> bool:
    """Whether there are others."""
    return jax.distributed.is_initialized() and jax.process_count() > 1


def as_json(value: Any) -> Message:
    """The message of a value that JSON holds."""
    return value, {}


def from_json(message: Message) -> Any:
    """The value of a message of `as_json`."""
    return message[0]


def shared(
    function: Callable[[], Any],
    pack: Callable[[Any], Message] = as_json,
    unpack: Callable[[Message], Any] = from_json,
) -> Any:
    """Call a function on process 0, and return its value, or raise its error, on all of them.

    Args:
        function: called by process 0 alone, which keeps the value as it is.
        pack: the value as JSON and arrays, for the others.
        unpack: makes the value of a message again.
    """
    if not several():
        return function()
    error, value = None, None
    message: Message = None, {}
    if leads():
        try:
            value = function()
            message = pack(value)
        except BaseException as caught:  # also Ctrl-C: the others must not wait for ever
            error, message = caught, (str(caught), {})
    packed = encoded(error is None, message)
    size = np.array(divmod(len(packed), PIECE), np.int32)
    pieces, rest = np.asarray(multihost_utils.broadcast_one_to_all(size)).tolist()
    packed = np.resize(packed, pieces * PIECE + rest)
    got = [
        np.asarray(multihost_utils.broadcast_one_to_all(packed[start : start + PIECE]))
        for start in range(0, len(packed), PIECE)
    ]
    if error is not None:
        raise error
    if leads():
        return value
    fine, message = decoded(np.concatenate(got).tobytes())
    if not fine:
        raise UserError(message[0])
    return unpack(message)


def divided(
    function: Callable[[range], T],
    count: int,
    pack: Callable[[T], Message],
    unpack: Callable[[Message], T],
) -> list[tuple[range, T]]:
    """Call a function on each process for its share of 0, 1, ... count - 1; all get all values.

    Args:
        function: of a share; its error is raised on all processes.
        count: how many numbers there are.
        pack: a value as JSON and arrays, for the others.
        unpack: makes the value of a message again.

    Returns the share and the value of every process.
    """
    if not several():
        return [(range(count), function(range(count)))]
    shares = [range(i, count, jax.process_count()) for i in range(jax.process_count())]
    error = None
    try:
        text = encoded(True, pack(function(shares[jax.process_index()])))
    except BaseException as caught:  # also Ctrl-C: the others must not wait for ever
        error, text = caught, encoded(False, (str(caught), {}))
    size = np.array(divmod(len(text), PIECE), np.int32)
    sizes = np.asarray(multihost_utils.process_allgather(size)).astype(np.int64)
    padded = np.resize(text, int((sizes @ [PIECE, 1]).max()))
    pieces = [
        np.asarray(multihost_utils.process_allgather(padded[start : start + PIECE]))
        for start in range(0, len(padded), PIECE)
    ]
    if error is not None:
        raise error
    values = []
    for share, of_one in zip(shares, np.hstack(pieces), strict=True):
        fine, message = decoded(of_one.tobytes())  # what fills up the shorter ones is after it
        if not fine:
            raise UserError(message[0])
        values.append((share, unpack(message)))
    return values


def encoded(fine: bool, message: Message) -> np.ndarray:
    """Whether all went well, and a message, as bytes: a line of JSON, then the arrays."""
    said, arrays = message
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    shapes = {name: (array.dtype.str, array.shape) for name, array in contiguous.items()}
    line = json.dumps([fine, said, shapes], default=lambda number: number.tolist()) + "\n"
    return np.frombuffer(
        line.encode() + b"".join(array.tobytes() for array in contiguous.values()), np.uint8
    )


def decoded(text: bytes) -> tuple[bool, Message]:
    """What `encoded` wrote.

    Raises:
        ValueError: an array is not of numbers.

    >>> decoded(encoded(True, ({"a": 1}, {"x": np.arange(2, dtype=np.int8)})).tobytes())
    (True, ({'a': 1}, {'x': array([0, 1], dtype=int8)}))
    """
    line, _, rest = text.partition(b"\n")
    fine, said, shapes = json.loads(line)
    arrays, start = {}, 0
    for name, (kind, shape) in shapes.items():
        dtype = np.dtype(kind)
        if dtype.kind not in "biufc":
            raise ValueError(f"{name}: {kind}; allowed: numbers")
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(rest, dtype, count, start).reshape(shape).copy()
        start += count * dtype.itemsize
    return fine, (said, arrays)


def prove(secret: bytes) -> None:
    """Refuse to go on with a process that does not hold the secret of this run.

    Each process gives the others a number to sign, and signs all of them with its own index.

    Raises:
        LostProcess: some process signed wrongly.
    """

    def signed(index: int) -> bytes:
        return hmac.digest(secret, numbers.tobytes() + bytes([index % 256]), "sha256")

    own = np.frombuffer(secrets.token_bytes(32), np.uint8)
    numbers = np.asarray(multihost_utils.process_allgather(own))
    mine = np.frombuffer(signed(jax.process_index()), np.uint8)
    signatures = np.asarray(multihost_utils.process_allgather(mine))
    for index, signature in enumerate(signatures):
        if not hmac.compare_digest(signature.tobytes(), signed(index)):
            raise LostProcess("a process that this run did not start took the place of its own")


def processes_per_host() -> int:
    """How many processes share a host, at most."""
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
