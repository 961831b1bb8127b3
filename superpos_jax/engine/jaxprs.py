"""What a traced program holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jax.extend import core


def equations(jaxpr: core.Jaxpr) -> Iterator[core.JaxprEqn]:
    """All equations of a program, those of loops and branches among them."""
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple | list) else (value,):
                yield from _inside(inner)


def _inside(value: Any) -> Iterator[core.JaxprEqn]:
    inner = getattr(value, "jaxpr", value)  # that of a closed one; JAX 0.12 has one class
    if isinstance(inner, core.Jaxpr):
        yield from equations(inner)
