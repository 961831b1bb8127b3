"""Which figures of a result are drawn, and of which of several initialisations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from superpos_jax.drawing import spec
from superpos_jax.drawing.spec import FORMATS, is_file
from superpos_jax.errors import UserError
from superpos_jax.results.registry import load_study
from superpos_jax.results.result import Result

OTHERS = (".csv", ".eps", ".gif", ".jpeg", ".jpg", ".ps", ".tif", ".tiff", ".webp")
"""Suffixes of a file rather than of a folder."""


def draw(
    result: Result,
    target: Path,
    only: str | None = None,
    *,
    names: Sequence[str] | None = None,
    best: str | None = None,
) -> Iterator[Path]:
    """Draw one figure, or those that are named and apply; the paths as they are written.

    Args:
        result: what to draw.
        target: a folder, or of one figure a `.png`, `.pdf` or `.svg` file.
        only: the one figure.
        names: the figures otherwise. Default: the sweep's, else all of the study that apply.
        best: axis along which only the lowest training loss counts, "" for none. Default: the
            sweep's.

    Raises:
        UserError: the one figure does not exist or does not apply, or no cell has a loss yet; or
            the target of several figures is a file, or of a type that is not written.
    """
    specs = load_study(result.sweep.study).figures()
    if only is not None and only not in specs:
        raise UserError(f"figure {only!r}: unknown; allowed: {', '.join(specs)}")
    if only is None and is_file(target):
        raise UserError(
            f"--out {target}: one file for all figures; name a figure, or give a folder"
        )
    if target.suffix.lower() in OTHERS:
        raise UserError(
            f"--out {target}: a figure is a file {', '.join(FORMATS)}, or give a folder"
        )
    if not any(str(name).endswith("_loss") for name in result.dataset.data_vars):
        if only is not None:
            raise UserError(f"figure {only}: no cell has a loss yet")
        return
    names = result.sweep.figures if names is None else names
    if axis := result.sweep.best if best is None else best:
        result = result.best(axis)
    if only is None:
        yield from spec.draw(result, specs, target, names)
    elif reason := specs[only].applies(result.dataset):
        raise UserError(f"figure {only}: {reason}")
    else:
        yield from spec.save(result, specs[only], target)
