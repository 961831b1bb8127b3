"""What a result says of itself in a few lines."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import xarray as xr

from superpos_jax.results.cells import HISTORY
from superpos_jax.text import few

WIDTH = 88


def contents(dataset: xr.Dataset, axes: Sequence[str]) -> str:
    """The axes with their values, the single numbers, and the arrays of each cell, by name.

    >>> values = {"loss": ("T", [1.0, 2.0]), "W": (("T", "feature"), [[0.0], [0.0]])}
    >>> print(contents(xr.Dataset(values, {"T": [3, 5]}), ("T",)))
      axes     T: 3, 5
      numbers  loss
      arrays   W (feature: 1)
    """
    numbers, arrays, histories = list[str](), list[str](), list[str]()
    for name, array in dataset.data_vars.items():
        own = [f"{dim}: {dataset.sizes[dim]}" for dim in array.dims if dim not in axes]
        if str(name).startswith(HISTORY):
            histories.append(str(name).removeprefix(HISTORY))
        elif own:
            arrays.append(f"{name} ({', '.join(own)})")
        else:
            numbers.append(str(name))
    parts = {
        "axes": [f"{axis}: {_ends(dataset[axis].values.tolist())}" for axis in axes],
        "numbers": few(numbers),
        "history": few(histories),
        "arrays": few(arrays),
    }
    return "\n".join(
        textwrap.fill(
            ", ".join(words), WIDTH, initial_indent=f"  {part:9}", subsequent_indent=" " * 11
        )
        for part, words in parts.items()
        if words
    )


def _ends(values: list[Any]) -> str:
    """All of a few values, the ends of many.

    >>> _ends([1, 2, 3]), _ends([*range(9)])
    ('1, 2, 3', '0, 1 ... 8 (9)')
    """
    if len(values) <= 4:
        return ", ".join(map(str, values))
    return f"{values[0]}, {values[1]} ... {values[-1]} ({len(values)})"
