"""What a figure is, and how one is written to disk; knows nothing of any study."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

from superpos_jax.drawing.dark import dark as on_dark
from superpos_jax.drawing.needs import Needs, NoAxisError, unmet
from superpos_jax.drawing.story import Part
from superpos_jax.errors import UserError
from superpos_jax.results.files import replacing
from superpos_jax.text import first_line

DPI = 220
FORMATS: dict[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None},
    ".svg": {"Date": None},
}
"""File types of figures, and the metadata left out so that the same figure has the same bytes."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FigureSpec:
    """One figure of a study: its numbers, how they are drawn, and when they can be.

    Arguments:
        name: the figure's name, also the stem of its files.
        table: `table(result, **select)` returns the plotted numbers, one observation per row.
        draw: `draw(table)` returns the matplotlib Figure.
        summary: one line that says what the figure shows.
        applies: `applies(dataset)` returns None, or one sentence that says why it cannot be drawn.
        needs: the axes and options that it needs, by which a sweep is refused before it is trained.
        arrays: the variables it reads that are more than a number or a history per cell, and how
            many of the largest values of each are enough for other seeds than the first.
        story: `story(result, point)` gives what the figure tells of one cell on a page, nothing
            where the result does not hold what it needs; `point` has a value for each axis.
    """

    name: str
    table: Callable[..., pd.DataFrame]
    draw: Callable[[pd.DataFrame], Figure]
    summary: str
    applies: Callable[[xr.Dataset], str | None]
    needs: Needs = field(default_factory=Needs)
    arrays: Mapping[str, int] = field(default_factory=dict)
    story: Callable[..., Iterable[Part]] | None = None


def refuse(spec: FigureSpec, axes: Mapping[str, Sequence[Any]], shared: Mapping[str, Any]) -> str:
    """Why a figure cannot be drawn of a sweep that is not trained yet; empty if it may be.

    Arguments:
        spec: the figure.
        axes: the axes of the sweep and their values.
        shared: the numbers and options that all of its cells share.
    """
    return unmet(spec.name, spec.needs, axes, shared)


def is_file(target: Path) -> bool:
    """Whether the target of one figure is a file, by its suffix, and not a folder.

    Example:
        >>> is_file(Path("plane.PDF")), is_file(Path("results/v1.2"))
        (True, False)
    """
    return target.suffix.lower() in FORMATS


def save(
    result: Any, spec: FigureSpec, target: str | Path, *, dark: bool = False, **select: Any
) -> list[Path]:
    """Write the figure as PNG and the numbers it shows as CSV beside it.

    A file appears under its final name only when it is complete.

    Arguments:
        result: what the figure reads.
        spec: the figure, e.g. `FIGURES["plane"]`.
        target: a `.png`, `.pdf` or `.svg` file, or a folder for `<name>.png` and `<name>.csv`;
            made if missing.
        dark: whether on a dark page.
        select: passed on to the table, e.g. `lr=3e-3`.

    Returns the two paths, the figure first. Raises ValueError where the figure does not apply.

    Example:
        save(result, FIGURES["plane"], "figures")
    """
    reason = spec.applies(result.dataset)
    if reason is not None:
        raise ValueError(reason)
    target = Path(target)
    path = target if is_file(target) else target / f"{spec.name}.png"
    kind = path.suffix.lower()
    path.parent.mkdir(parents=True, exist_ok=True)
    table = spec.table(result, **select)
    figure = on_dark(spec.draw(table)) if dark else spec.draw(table)

    numbers = path.with_suffix(".csv")
    with replacing(path) as part:
        figure.savefig(part, format=kind[1:], dpi=DPI, metadata=FORMATS[kind])
    with replacing(numbers) as part:
        table.to_csv(part, index=False, float_format="%.6g")
    return [path, numbers]


def draw(
    result: Any,
    specs: Mapping[str, FigureSpec],
    target: str | Path,
    names: Sequence[str] = (),
    *,
    dark: bool = False,
    **select: Any,
) -> Iterator[Path]:
    """Write figures of a result into a folder, as `save` does; their paths.

    Arguments:
        result: what the figures read.
        specs: the figures there are, by name.
        target: the folder; made if missing.
        names: which to draw. One of them that does not apply, or has no such line or panel, is a
            warning. If left out, all that apply. Where one fails, the others are drawn first.
        dark: whether on dark pages.
        select: passed on to every table.

    Example:
        list(draw(result, FIGURES, "figures", ["plane", "t_sweep"]))
    """
    failed: list[Exception] = []
    for name in names or specs:
        reason = specs[name].applies(result.dataset)
        if reason is None:
            try:
                yield from save(result, specs[name], target, dark=dark, **select)
            except NoAxisError as error:
                reason = str(error)
            except (UserError, OSError):
                raise
            except Exception as error:  # of a figure of the study's own
                if select:
                    raise
                logger.warning("figure %s failed: %s", name, first_line(error) or repr(error))
                failed.append(error)
        if reason is not None and names:
            logger.warning("figure %s is not drawn: %s", name, reason)
    if failed:
        raise failed[0]
