"""What the processes that train one sweep together say to each other.

Each compiles and runs a program of its own, for its part of the cells. Process 0 leads: it alone
reads, writes and decides, and tells the others. What they tell each other is JSON and arrays of
numbers: nothing that comes from another process can run code.
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
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from superpos_jax.errors import LostProcess, UserError

T = TypeVar("T")
Message = tuple[Any, Mapping[str, np.ndarray]]
"""What JSON holds, and arrays of numbers."""
HEAD = 8
"""Bytes in which a message tells how long its JSON is."""
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
    error, value, packed = None, None, np.zeros(0, np.uint8)
    if leads():
        try:
            value = function()
            packed = encoded(True, pack(value))
        except BaseException as caught:  # also Ctrl-C: the others must not wait for ever
            error, packed = caught, encoded(False, (_words(caught), {}))
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
    fine, message = decoded(np.concatenate(got))
    if not fine:
        raise UserError(message[0])
    return unpack(message)


def together(
    function: Callable[[], T],
    pack: Callable[[T], Message] = as_json,
    unpack: Callable[[Message], T] = from_json,
    by_all: bool = True,
) -> list[T]:
    """Call a function on each process; what it returned on each of them, in their order.

    Args:
        function: its error on one process is raised on all.
        pack: a value as JSON and arrays, for the others.
        unpack: makes the value of a message again.
        by_all: whether all get the values; else process 0 alone, and the others an empty list.
    """
    if not several():
        return [function()]
    error = None
    try:
        text = encoded(True, pack(function()))
    except BaseException as caught:  # also Ctrl-C: the others must not wait for ever
        error, text = caught, encoded(False, (_words(caught), {}))
    sizes = _gathered(np.array([error is None, *divmod(len(text), PIECE)], np.int32))
    kept = by_all or leads() or not sizes[:, 0].all()
    lengths = sizes[:, 1:].astype(np.int64) @ [PIECE, 1]
    padded, pieces = np.resize(text, int(lengths.max())), []
    for start in range(0, len(padded), PIECE):
        piece = _gathered(padded[start : start + PIECE])
        if kept:
            pieces.append(piece)
    if error is not None:
        raise error
    values = list[T]()
    for row, length in enumerate(lengths if kept else ()):
        said = np.concatenate([piece[row] for piece in pieces])  # of one process after another
        fine, message = decoded(said[:length])
        if not fine:
            raise UserError(message[0])
        values.append(unpack(message))
    return values


def everywhere(function: Callable[[], T]) -> T:
    """Call a function on each process; its value there, or the error of any of them on all."""
    values: list[T] = []
    together(lambda: values.append(function()))
    return values[0]


def _gathered(own: np.ndarray) -> np.ndarray:
    """An array of each process, stacked in their order."""
    return np.asarray(multihost_utils.process_allgather(own))


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__


def encoded(fine: bool, message: Message) -> np.ndarray:
    """Whether all went well, and a message, as bytes: a length, so much JSON, and the arrays.

    Raises:
        ValueError: an array is not of numbers.
    """
    said, arrays = message
    shapes, parts = {}, list[bytes]()
    for name, array in arrays.items():
        kind = _numbers(name, array.dtype)
        shapes[name] = kind.name, array.shape
        parts.append(array.astype(kind, copy=False).tobytes())
    text = json.dumps([fine, said, shapes], default=lambda number: number.tolist()).encode()
    return np.frombuffer(len(text).to_bytes(HEAD, "little") + text + b"".join(parts), np.uint8)


def decoded(text: np.ndarray) -> tuple[bool, Message]:
    """What `encoded` wrote.

    Raises:
        ValueError: an array is not of numbers.

    >>> decoded(encoded(True, ({"a": 1}, {"x": np.arange(2, dtype=np.int8)})))
    (True, ({'a': 1}, {'x': array([0, 1], dtype=int8)}))
    """
    start = HEAD + int.from_bytes(text[:HEAD].tobytes(), "little")
    fine, said, shapes = json.loads(text[HEAD:start].tobytes())
    arrays = {}
    for name, (kind, shape) in shapes.items():
        dtype = _numbers(name, kind)
        end = start + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        arrays[name] = text[start:end].copy().view(dtype).reshape(shape)
        start = end
    return fine, (said, arrays)


def _numbers(name: str, kind: str | np.dtype[Any]) -> np.dtype[Any]:
    """The type of an array of numbers, in this machine's order of bytes."""
    try:
        dtype = np.dtype(kind)
    except TypeError:  # of text, as its name has it
        dtype = np.dtype(object)
    if dtype.kind != "b" and not jnp.issubdtype(dtype, np.number):
        raise ValueError(f"{name}: {kind}; allowed: numbers")
    return dtype if dtype.isnative else dtype.newbyteorder("=")


def prove(secret: bytes) -> None:
    """Refuse to go on with a process that does not hold the secret of this run.

    Each process gives the others a number to sign, and signs all of them with its own index.

    Raises:
        LostProcess: some process signed wrongly.
    """

    def signed(index: int) -> bytes:
        return hmac.digest(secret, numbers.tobytes() + bytes([index % 256]), "sha256")

    own = np.frombuffer(secrets.token_bytes(32), np.uint8)
    numbers = _gathered(own)
    mine = np.frombuffer(signed(jax.process_index()), np.uint8)
    signatures = _gathered(mine)
    for index, signature in enumerate(signatures):
        if not hmac.compare_digest(signature.tobytes(), signed(index)):
            raise LostProcess("a process that this run did not start took the place of its own")


def processes_per_host() -> int:
    """How many processes share a host, at most."""
    if not several():
        return 1
    name = zlib.crc32(socket.gethostname().encode()) & 0x7FFFFFFF
    names = _gathered(np.array([name], np.int32))
    return int(np.unique(names, return_counts=True)[1].max())


def agreed(count: int, save: bool, stop: bool) -> tuple[int, bool, bool]:
    """Steps to do next, the fewest that any says; whether to save, as process 0 says; and whether
    any was asked to stop.

    A process whose cells have all ended would do any number at once.
    """
    if not several():
        return count, save, stop
    said = _gathered(np.array([count, save, stop], np.int32))
    return int(said[:, 0].min()), bool(said[0, 1]), bool(said[:, 2].any())
