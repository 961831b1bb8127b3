"""One trained cell as `Result.cell` gives it: it says what it holds without printing it."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from superpos_jax.text import few


class Inspected:
    """One trained cell: its numbers, and what its study makes of its arrays.

    A study's own class says which attributes there are, and their types: `Inspection` of
    `double_descent` has X, W, b, H and more. By default they are the arrays of the result,
    `CellArrays`.

    Attributes:
        cell: the numbers that it was trained with.
    """

    cell: Any

    if TYPE_CHECKING:  # a subclass has them

        def __getattr__(self, name: str) -> Any: ...

    def contents(self) -> dict[str, str]:
        """What there is, by name, in words; nothing is computed for it.

        By default the fields of the class, with their types, and its properties, with the first
        lines of their docstrings.
        """
        words: dict[str, str] = {}
        if is_dataclass(self):
            words = {own.name: str(own.type) for own in fields(self) if own.name != "cell"}
        for base in reversed(type(self).__mro__):
            for name, member in vars(base).items():
                if isinstance(member, property | cached_property):
                    words[name] = (member.__doc__ or "").strip().partition("\n")[0]
        return {name: text for name, text in words.items() if not name.startswith("_")}

    def __repr__(self) -> str:
        return f"<cell{unusual(self.cell, ' ')}: {', '.join(self.contents())}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the numbers, and a table of what there is."""
        rows = "".join(
            f"<tr><td><code>{html.escape(name)}</code></td><td>{html.escape(words)}</td></tr>"
            for name, words in self.contents().items()
        )
        return f"<p>cell{html.escape(unusual(self.cell, ' '))}</p><table>{rows}</table>"


class CellArrays(Inspected, Mapping[str, np.ndarray]):
    """The arrays that a result holds of one cell, by name and as attributes.

    >>> arrays = CellArrays(None, {"W": np.ones((2, 50)), "test_loss": np.float32(0.5)})
    >>> arrays
    <cell: W (2, 50), test_loss 0.5>
    >>> arrays.W.shape, arrays["W"] is arrays.W
    ((2, 50), True)
    """

    def __init__(self, cell: Any, arrays: Mapping[str, np.ndarray]) -> None:
        self.cell, self._arrays = cell, dict(arrays)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __getattr__(self, name: str) -> np.ndarray:
        arrays = vars(self).get("_arrays", {})  # not there yet in a copy
        if name not in arrays:
            raise AttributeError(f"the cell has no {name!r}; it has {', '.join(arrays)}")
        return arrays[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._arrays]

    def contents(self) -> dict[str, str]:
        """The shape of each array, and the value of each single number."""
        return {
            name: f"{array:.4g}" if array.ndim == 0 else str(array.shape)
            for name, array in ((name, np.asarray(v)) for name, v in self._arrays.items())
        }

    def __repr__(self) -> str:
        parts = few([f"{name} {words}" for name, words in self.contents().items()])
        return f"<cell{unusual(self.cell, ' ')}: {', '.join(parts)}>"


def unusual(cell: Any, before: str = "") -> str:
    """The numbers of a cell that are not as its study has them by default.

    >>> from dataclasses import make_dataclass
    >>> Cell = make_dataclass("Cell", [("T", int, 1000), ("lr", float, 0.001)])
    >>> unusual(Cell(T=3))
    'T=3'
    """
    if not is_dataclass(cell):
        return ""
    values = {field.name: (getattr(cell, field.name), field.default) for field in fields(cell)}
    words = ", ".join(
        f"{name}={value!r}"
        for name, (value, usual) in values.items()
        if usual is MISSING or value != usual
    )
    return before + words if words else ""
