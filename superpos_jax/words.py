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
VALUES: dict[str, dict[str, float]] = {
    "reduction": {"sum": 0.0, "mean": 1.0},
    "loss": {"absolute": 1, "squared": 2, "fourth": 4},
}
"""Numbers that have a name."""
NBSP = "\N{NO-BREAK SPACE}"


def counted(number: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def written(value: float, form: str = ".3g") -> str:
    """A number in so many digits, never as 1e+04.

    >>> written(9963.2), written(0.99893, ".5g"), written(1.7e-5), written(float("inf"))
    ('9,960', '0.99893', '1.7e-05', 'inf')
    """
    return f"{float(f'{value:{form}}'):,.10g}"


def number(name: str, value: Any) -> Any:
    """The number that a value of a hyperparameter is a name of; any other value as it is.

    >>> number("reduction", "mean"), number("reduction", 0.5), number("T", 3)
    (1.0, 0.5, 3)
    """
    return VALUES.get(name, {}).get(value, value) if isinstance(value, str) else value


def called(name: str, value: Any) -> str | None:
    """The name of a value of a hyperparameter, if it has one.

    >>> called("reduction", 0.0)
    'sum'
    """
    return next((word for word, known in VALUES.get(name, {}).items() if known == value), None)


def describe(values: Mapping[str, Any]) -> str:
    """`lr = 0.003, S = 0.99`: axis values as a reader would write them."""
    parts = []
    for name, value in values.items():
        if name == "reduction" and (word := called(name, value)):
            parts.append(f"{word}{NBSP}loss")
        elif name == "online" and value == 1:
            parts.append(f"T{NBSP}new samples at every step")
        else:
            parts.append(f"{NAMES.get(name, name)} = {_number(value)}".replace(" ", NBSP))
    return ", ".join(parts)


def _number(value: Any) -> str:
    if isinstance(value, int | float) and float(value).is_integer() and abs(value) < 1e9:
        return f"{int(value):,}"
    return f"{value:g}" if isinstance(value, float) else str(value)
