"""How numbers and hyperparameters are written: in captions, in tables and on pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMES = {
    "weight_decay": "weight decay",
    "eps": "ε",
    "data_seed": "data seed",
    "init_seed": "init seed",
}
"""Of hyperparameters that are not written as in a sweep file."""
REDUCTIONS = {0.0: "sum", 1.0: "mean"}
"""The loss that is minimised is divided by n^reduction."""
NBSP = "\N{NO-BREAK SPACE}"


def counted(number: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def describe(values: Mapping[str, Any]) -> str:
    """`lr = 0.003, S = 0.99`: axis values as a reader would write them."""
    parts = []
    for name, value in values.items():
        if name == "reduction" and value in REDUCTIONS:
            parts.append(f"{REDUCTIONS[value]}{NBSP}loss")
        else:
            parts.append(f"{NAMES.get(name, name)} = {_number(value)}".replace(" ", NBSP))
    return ", ".join(parts)


def _number(value: Any) -> str:
    if isinstance(value, int | float) and float(value).is_integer() and abs(value) < 1e9:
        return f"{int(value):,}"
    return f"{value:g}" if isinstance(value, float) else str(value)
