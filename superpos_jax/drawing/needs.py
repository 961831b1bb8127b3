"""What a figure needs: axes and options, known before training, and variables of the result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import xarray as xr

from superpos_jax.errors import UserError
from superpos_jax.results.runs import axes as axes_of
from superpos_jax.results.runs import fixed


class NoAxisError(UserError):
    """A number that a figure shows is neither an axis nor the same in all cells.

    Arms or a zip set it together with others, or `best` took its axis.

    Arguments:
        name: of the number.

    Example:
        >>> print(NoAxisError("m"))
        m is neither an axis nor the same in all cells: arms, a zip or best decide it
    """

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name} is neither an axis nor the same in all cells: arms, a zip or best decide it"
        )


@dataclass(frozen=True)
class Needs:
    """What must be true of a sweep so that a figure can be drawn of its result.

    Arguments:
        swept: axes that must have several values, every one of them.
        one_of: axes of which one must have several values.
        holds: numbers of a cell, and the value that some cells must have.
        options: options of the study, and the value that they must have.
        several: how many axes, whichever, must have several values.
    """

    swept: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    holds: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    several: int = 0

    def of_axes(self) -> Needs:
        """Which axes must be swept, and nothing else."""
        return replace(self, holds={}, options={})


def unmet(
    figure: str, needs: Needs, axes: Mapping[str, Sequence[Any]], shared: Mapping[str, Any]
) -> str:
    """One sentence that says which need of a figure a grid does not meet; empty if it meets all.

    Arguments:
        figure: the name of the figure.
        needs: of this figure.
        axes: the axes of the grid and their values.
        shared: the numbers and options that all cells share; an option that is not named may be as
            the figure needs it.

    Example:
        >>> unmet("plane", Needs(swept=("T", "m")), {"T": [10, 100], "m": [2]}, {})
        'plane needs two swept axes T and m; swept: T'
        >>> unmet("vectors", Needs(holds={"m": 2}), {"m": [3, 4]}, {})
        'vectors needs m = 2, not 3 or 4'
    """
    several = [axis for axis, values in axes.items() if len(values) > 1]
    swept = f"swept: {', '.join(several) or 'none'}"
    if not set(needs.swept) <= set(several) or len(several) < needs.several:
        count = "a swept axis" if max(len(needs.swept), needs.several) == 1 else "two swept axes"
        return f"{figure} needs {' '.join([count, ' and '.join(needs.swept)]).strip()}; {swept}"
    if needs.one_of and not set(needs.one_of) & set(several):
        return f"{figure} needs a swept axis {_either(needs.one_of)}; {swept}"
    for name, value in needs.holds.items():
        held = axes[name] if name in axes else (shared.get(name),)
        if value not in held:
            return f"{figure} needs {name} = {value}, not {_either([str(v) for v in held])}"
    for name, value in needs.options.items():
        if shared.get(name, value) != value:
            return f"{figure} needs the option {name} = {str(value).lower()}"
    return ""


def missing(
    dataset: xr.Dataset, figure: str, variables: Iterable[str], needs: Needs = Needs()
) -> str | None:
    """One sentence that names the variables or axes that a result lacks for a figure, or None."""
    absent = [name for name in ("verdict", *variables) if name not in dataset]
    if absent:
        text = f"{figure} needs {' and '.join(absent)}, which this result does not hold"
        options = [f"{name} = {str(value).lower()}" for name, value in needs.options.items()]
        return text + (f"; train with the option {', '.join(options)}" if options else "")
    axes = {axis: dataset[axis].values.tolist() for axis in axes_of(dataset)}
    shared = {key: value for key, value in fixed(dataset).items() if key not in needs.options}
    return unmet(figure, needs, axes, shared) or None


def _either(words: Sequence[str]) -> str:
    """`a, b or c`."""
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
