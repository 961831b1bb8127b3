"""Ranges as text, "geomspace(1, 1000, 7)", and whatever else in Python is a list of numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Set
from typing import Any

import numpy as np

FORMS = {
    "range": "range(stop) or range(start, stop, step)",
    "linspace": "linspace(first, last, count)",
    "geomspace": "geomspace(first, last, count)",
    "logspace": "logspace(exponent of first, exponent of last, count)",
}
ALLOWED = f"allowed: a list, or a range: {', '.join(FORMS.values())}"
MOST = 1_000_000
"""Values in a range, and cells in a sweep."""
DIGITS = 6
"""Significant digits of computed values that are not whole: what float32 holds."""


def is_call(value: object) -> bool:
    """Whether a value is text in the form of a range, be its name right or wrong.

    >>> is_call("range(8)"), is_call("rnge(8)"), is_call("mean"), is_call(8)
    (True, True, False, False)
    """
    return isinstance(value, str) and re.fullmatch(r"\s*\w+\s*\(.*\)\s*", value) is not None


def expand(text: str, whole: bool = False) -> tuple[int | float, ...]:
    """The values of a range, as NumPy defines it.

    Values that are not whole are rounded to 6 significant digits, so that labels stay short and
    float32 holds what they say.

    Args:
        text: as in a sweep file.
        whole: round to whole numbers; several values may then be equal.

    Raises:
        ValueError: not a range; says what is allowed.

    >>> expand("geomspace(1, 1000, 7)")
    (1.0, 3.16228, 10.0, 31.6228, 100.0, 316.228, 1000.0)
    >>> expand("geomspace(1, 1000, 7)", whole=True)
    (1, 3, 10, 32, 100, 316, 1000)
    >>> expand("range(2, 10, 2)")
    (2, 4, 6, 8)
    """
    match = re.fullmatch(r"\s*(\w+)\s*\(([^()]*)\)\s*", text)
    if match is None or match[1] not in FORMS:
        raise ValueError(ALLOWED)
    name = match[1]
    arguments = [_literal(part, name) for part in match[2].split(",")]
    if name == "range":
        return _whole_range(arguments)
    if len(arguments) != 3:
        raise ValueError(f"allowed: {FORMS[name]}")
    first, last, count = arguments
    if not (float(count).is_integer() and 1 <= count <= MOST):
        raise ValueError(f"allowed as count: a whole number from 1 to {MOST:,}")
    if name == "geomspace" and min(first, last) <= 0:
        raise ValueError("allowed as first and last of geomspace: numbers above 0")
    make: Any = getattr(np, name)
    with np.errstate(over="ignore"):
        values = make(float(first), float(last), int(count))
    if not np.isfinite(values).all():
        raise ValueError("too large; allowed: numbers that a float can hold")
    if whole:
        return tuple(round(value) for value in values.tolist())
    return tuple(map(short, values.tolist()))


def short(value: float) -> float:
    """A number in 6 significant digits; a whole one as it is.

    >>> short(0.0031622776601), short(16777216.0)
    (0.00316228, 16777216.0)
    """
    return value if value.is_integer() or not math.isfinite(value) else float(f"{value:.{DIGITS}g}")


def plain(value: Any) -> Any:
    """A number of NumPy, JAX or the like as a number of Python; anything else as it is.

    >>> plain(np.float32(0.1)), plain(np.int64(3)), plain("mean")
    (0.1, 3, 'mean')
    """
    if hasattr(value, "__array__") and np.ndim(value) == 0:
        return _numbers(np.asarray(value))
    return value


def listed(value: Any) -> Any:
    """A list, range, generator, or one-dimensional array of any library as a tuple.

    Values of less than double precision are rounded to 6 significant digits: JAX's
    `logspace(-4, -2, 3)` has 0.00999999 where 0.01 is meant. Anything else stays as it is.

    >>> listed(range(3)), listed(np.float32([1e-3, 0.1])), listed(10 * k for k in (1, 2))
    ((0, 1, 2), (0.001, 0.1), (10, 20))
    """
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        return tuple(_numbers(array)) if array.ndim == 1 else value
    if isinstance(value, str | bytes | Mapping | Set) or not isinstance(value, Iterable):
        return value
    return tuple(map(plain, value))


def _numbers(array: np.ndarray) -> Any:
    """An array's values in Python, nested as `tolist` has them."""
    if array.dtype.kind not in "fV" or array.dtype.names or array.dtype == np.float64:
        return array.tolist()
    values = array.astype(np.float64).tolist()  # "V": JAX's bfloat16, to NumPy
    return list(map(short, values)) if isinstance(values, list) else short(values)


def _literal(text: str, name: str) -> int | float:
    """A number written out; nothing is computed."""
    for kind in (int, float):
        try:
            number: int | float = kind(text)
        except ValueError:
            continue
        if abs(number) <= 1e300:  # NaN is not
            return number
    raise ValueError(f"{text.strip()[:40]!r} is not a number; allowed: {FORMS[name]}")


def _whole_range(arguments: list[int | float]) -> tuple[int, ...]:
    if len(arguments) > 3 or any(not float(value).is_integer() for value in arguments):
        raise ValueError(f"allowed: {FORMS['range']}, in whole numbers")
    if max(map(abs, arguments)) > 2**31:
        raise ValueError("allowed in range: numbers that fit 32 bits")
    if len(arguments) == 3 and arguments[2] == 0:
        raise ValueError("allowed as step of range: a whole number other than 0")
    values = range(*map(int, arguments))
    if not 1 <= len(values) <= MOST:
        raise ValueError(f"{len(values):,} values; allowed: 1 to {MOST:,}")
    return tuple(values)
