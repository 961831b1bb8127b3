"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

PART = ".part"
"""How the names of files end that are being written."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside the path, to write to; then it takes the place of what is there.

    Where writing fails the old file stays, and nothing is left of the new one.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
