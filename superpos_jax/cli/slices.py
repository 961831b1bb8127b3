"""Results that commands read: from which folder, and which of their cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superpos_jax.errors import UserError

if TYPE_CHECKING:
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
    from superpos_jax.results.sweep import parse

    return dict(parse(value, "--at") for value in at)


def sliced(result: Result, select: Mapping[str, Any]) -> Result:
    """The result at some values of its axes; no axis is dropped.

    Raises:
        UserError: an axis that was not swept, or a value that it does not have.
    """
    from superpos_jax.drawing.select import narrow
    from superpos_jax.results.result import Result

    try:
        dataset, _ = narrow(result.dataset, (), select, pool=result.axes)
    except ValueError as error:
        raise UserError(f"--at: {error}") from None
    return Result(dataset, result.grid)
