"""Compilation without what costs time and changes no code."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

import jax


@contextlib.contextmanager
def quick() -> Iterator[None]:
    """Functions that are traced and compiled within: no source lines, no garbage collection.

    The compiler carries the Python stack of every operation through all of its passes, a tenth of
    its time; names of scopes, which profiles show, stay. Tracing makes many objects that live on,
    and collecting garbage looks at all of them again and again.
    """
    limit, collects = jax.config.jax_traceback_in_locations_limit, gc.isenabled()  # type: ignore[attr-defined]
    jax.config.update("jax_traceback_in_locations_limit", 0)
    gc.disable()
    try:
        yield
    finally:
        jax.config.update("jax_traceback_in_locations_limit", limit)
        if collects:
            gc.enable()
