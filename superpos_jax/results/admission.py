"""What a store may hold, checked before anything of it is unpacked: it may be a stranger's.

A store holds plain arrays of numbers, in chunks that one codec of two packed. What it declares fits
into memory, and each chunk says of itself that it unpacks to the size of a chunk.
"""

from __future__ import annotations

import functools
import json
import math
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from superpos_jax.engine import memory

METADATA = "zarr.json"
NAMES = re.compile(r"(?:(?P<array>[^/\\.][^/\\]{0,200})/)?(?:zarr\.json|(?P<chunk>c(?:/\d{1,9})*))")
"""Of the files of a store: an array's name, and whether it is one of its chunks."""
LONGEST_METADATA = 64 * 2**20
"""Bytes; a list of a million values of an axis is a third of it."""
MOST_CHUNKS, MOST_SIDES = 10**6, 32
LARGEST_ARCHIVE = 2 * 2**30
"""Bytes that an archive unpacks to at most: it keeps what figures read."""
NUMBERS = {"bool", "complex64", "complex128", "float16", "float32", "float64"} | {
    f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)
}
BLOSC_HEADER = 16


class File(NamedTuple):
    """A file of a store."""

    size: int
    read: Callable[[int], bytes]
    """Its first bytes, at most so many."""


def admit(store: Path) -> None:
    """Refuse a store that could do harm when it is read.

    Args:
        store: a folder, or an archive (`.zip`).

    Raises:
        ValueError: it holds something that this package does not write, or more than fits into
            memory; says what.
        OSError: a file cannot be read.
    """
    is_archive = store.suffix == ".zip"
    room = memory.USABLE * memory.free_on_host()
    if not is_archive:
        return _admit(dict(_of_folder(store)), room)
    with zipfile.ZipFile(store) as archive:
        return _admit(_of_archive(archive, store.stat().st_size), min(room, LARGEST_ARCHIVE))


def _admit(files: Mapping[str, File], room: float) -> None:
    if _metadata(files, METADATA).get("node_type") != "group":
        raise ValueError(f"{METADATA}: not of a group")
    packings: dict[str, tuple[str, int]] = {}
    declared, chunks = 0, 0
    for name in files:
        array = NAMES.fullmatch(name)["array"]  # type: ignore[index]
        if array is None or array in packings:
            continue
        size, count, chunk, codec = _declared(_metadata(files, f"{array}/{METADATA}"), array)
        packings[array] = codec, chunk
        declared, chunks = declared + size, chunks + count
    if declared > room:
        raise ValueError(f"its arrays take {memory.words(declared)}, {memory.words(room)} may")
    if chunks > MOST_CHUNKS:
        raise ValueError(f"{chunks:,} chunks; allowed: {MOST_CHUNKS:,}")
    for name, file in files.items():
        match = NAMES.fullmatch(name)
        if match and match["chunk"]:
            codec, chunk = packings[match["array"]]
            unpacked = _UNPACKED[codec](file)
            if unpacked < 0:
                raise ValueError(f"{name}: not whole")
            if unpacked != chunk:
                raise ValueError(f"{name}: unpacks to {unpacked:,} bytes, not {chunk:,}")


def _of_folder(root: Path) -> Iterator[tuple[str, File]]:
    """The files of a store below a folder; files of others, as of a desktop, are skipped."""
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = Path(folder, name)
            relative = path.relative_to(root).as_posix()
            about = path.lstat()
            if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)):
                raise ValueError(f"{relative}: neither a file nor a folder")
            if name in names and NAMES.fullmatch(relative):
                yield relative, File(about.st_size, functools.partial(_head, path))


def _head(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        return file.read(most)


def _of_archive(archive: zipfile.ZipFile, size: int) -> dict[str, File]:
    """The members of an archive: of a store, and as large as they are packed."""
    files: dict[str, File] = {}
    for member in archive.infolist():
        name, kind = member.filename, stat.S_IFMT(member.external_attr >> 16)
        if not NAMES.fullmatch(name) or kind not in (0, stat.S_IFREG):
            raise ValueError(f"{name[:200]}: no file of a store")
        if name in files or member.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{name}: twice there, or packed; allowed: members as they are, once")

        def read(most: int, member: zipfile.ZipInfo = member) -> bytes:
            with archive.open(member) as file:
                return file.read(most)

        files[name] = File(member.file_size, read)
    if sum(file.size for file in files.values()) > size:
        raise ValueError("its members are larger than the archive")
    return files


def _metadata(files: Mapping[str, File], name: str) -> dict[str, Any]:
    """What a file of metadata says.

    Raises:
        ValueError: it is missing, too long, or no JSON object of zarr's format 3.
    """
    if name not in files:
        raise ValueError(f"{name} is missing")
    if files[name].size > LONGEST_METADATA:
        raise ValueError(f"{name}: longer than {memory.words(LONGEST_METADATA)}")
    try:
        said = json.loads(files[name].read(LONGEST_METADATA))
    except RecursionError:
        raise ValueError(f"{name}: brackets within brackets") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if not isinstance(said, dict) or said.get("zarr_format") != 3:
        raise ValueError(f"{name}: not of zarr's format 3")
    return said


def _declared(said: Mapping[str, Any], array: str) -> tuple[int, int, int, str]:
    """Bytes of an array, number of its chunks, bytes of a chunk, and the codec that packs it.

    Raises:
        ValueError: it is not an array of numbers as this package writes them.
    """
    kind = said.get("data_type")
    if said.get("node_type") != "array" or not isinstance(kind, str) or kind not in NUMBERS:
        raise ValueError(f"{array}: no array of numbers ({str(kind)[:40]})")
    try:
        codecs = [codec["name"] for codec in said["codecs"]]
        grid, keys = said["chunk_grid"], said["chunk_key_encoding"]
        names = grid["name"], keys["name"], keys.get("configuration", {}).get("separator", "/")
        sides = [*zip(said["shape"], grid["configuration"]["chunk_shape"], strict=True)]
        is_shape = all(type(n) is int for side in sides for n in side) and len(sides) <= MOST_SIDES
    except (KeyError, TypeError, AttributeError, ValueError):
        raise ValueError(f"{array}: its metadata lack something") from None
    if codecs not in (["bytes"], ["bytes", "blosc"], ["bytes", "zstd"]):
        raise ValueError(f"{array}: codecs {str(codecs)[:80]}; allowed: bytes, then blosc or zstd")
    if names != ("regular", "default", "/") or said.get("storage_transformers"):
        raise ValueError(f"{array}: not in regular chunks with plain names")
    if not is_shape or any(n < 0 or not 1 <= part <= max(n, 1) for n, part in sides):
        raise ValueError(f"{array}: (length, length of a chunk) are {str(sides)[:80]}")
    size = np.dtype(kind).itemsize
    return (
        size * math.prod(n for n, _ in sides),
        math.prod(-(-n // part) for n, part in sides),
        size * math.prod(part for _, part in sides),
        codecs[-1],
    )


def _of_blosc(file: File) -> int:
    """What a chunk of blosc says that it unpacks to; -1 where it is not whole."""
    head = file.read(BLOSC_HEADER)
    if len(head) < BLOSC_HEADER:
        return -1
    _, unpacked, _, packed = np.frombuffer(head, "<u4").tolist()
    return int(unpacked) if packed == file.size else -1


def _of_zstd(file: File) -> int:
    """What a chunk of zstd says that it unpacks to (RFC 8878); -1 where it is not one frame."""
    chunk = file.read(file.size)
    if chunk[:4] != b"\x28\xb5\x2f\xfd" or len(chunk) < 6:
        return -1
    flags = chunk[4]
    is_single = flags >> 5 & 1
    start = 6 - is_single + (0, 1, 2, 4)[flags & 3]
    width = (is_single, 2, 4, 8)[flags >> 6]
    end, is_last = start + width, 0
    while not is_last and end < len(chunk):
        block = int.from_bytes(chunk[end : end + 3], "little")
        is_last, is_repeated = block & 1, block >> 1 & 3 == 1
        end += 3 + (1 if is_repeated else block >> 3)
    if end + 4 * (flags >> 2 & 1) != len(chunk) or not width:
        return -1
    return int.from_bytes(chunk[start : start + width], "little") + 256 * (width == 2)


_UNPACKED: Mapping[str, Callable[[File], int]] = {
    "bytes": lambda file: file.size,
    "blosc": _of_blosc,
    "zstd": _of_zstd,
}
