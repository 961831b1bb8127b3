"""Results that commands read: from which folder, and which of their cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superpos_jax.errors import UserError

if TYPE_CHECKING:
    from xarray import Dataset

    from superpos_jax.results.result import Result


def load_named(folder: Path, study: str | None) -> Result:
    """A result, and the code of its study if the user names it."""
    from superpos_jax.results.registry import load_study
    from superpos_jax.results.result import load

    if study is not None:
        load_study(study)
    return load(folder)


def selected(at: Sequence[str]) -> dict[str, Any]:
    """What `--at` names: axis -> value, or values."""
    from superpos_jax.results.sweep import parsed

    return parsed(at, "--at")


def sliced(result: Result, select: Mapping[str, Any]) -> Result:
    """The result at some values of its axes; no axis is dropped.

    Raises:
        UserError: an axis that was not swept, or a value that it does not have.
    """
    from superpos_jax.results.result import Result

    return Result(_narrowed(result.dataset, select, result.axes)[0], result.grid)


def slice_of(result: Result, select: Mapping[str, Any]) -> tuple[Dataset, dict[str, Any]]:
    """A part of a result, its axes in their order, and the axes of which it has one value.

    `axis=value` takes an axis away, `axis=[values]` restricts it.

    Raises:
        UserError: as `sliced`.
    """
    stay = tuple(axis for axis in result.axes if isinstance(select.get(axis, []), list))
    return _narrowed(result.dataset, select, stay)


def _narrowed(
    dataset: Dataset, select: Mapping[str, Any], stay: tuple[str, ...]
) -> tuple[Dataset, dict[str, Any]]:
    from superpos_jax.drawing.select import narrow

    try:
        return narrow(dataset, (), select, pool=stay)
    except ValueError as error:
        raise UserError(f"--at: {error}") from None
