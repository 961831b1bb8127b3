"""Which figures of a result are drawn, and of which of several initialisations."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from superpos_jax.drawing import spec
from superpos_jax.drawing.curves import CURVES
from superpos_jax.drawing.history import HISTORY
from superpos_jax.drawing.needs import NoAxisError, unmet
from superpos_jax.drawing.plane import PLANE
from superpos_jax.drawing.spec import FORMATS, FigureSpec, is_file, refuse
from superpos_jax.errors import UserError
from superpos_jax.results.grid import Grid
from superpos_jax.results.registry import figure_names, load_study
from superpos_jax.results.result import Result
from superpos_jax.results.sweep import Sweep, read_sweep
from superpos_jax.text import is_seed

GENERIC: Mapping[str, FigureSpec] = {figure.name: figure for figure in (PLANE, CURVES, HISTORY)}
"""Figures of every study, unless it has one of that name itself."""
WORDS = frozenset({"value", "x", "y", "by"})
"""What generic figures take beside axes and their values."""
logger = logging.getLogger(__name__)
OTHERS = (".csv", ".eps", ".gif", ".jpeg", ".jpg", ".ps", ".tif", ".tiff", ".webp")
"""Suffixes of a file rather than of a folder."""


def figures_of(study: str) -> dict[str, FigureSpec]:
    """All figures that can be asked for: those of a study, then the generic ones.

    Example:
        >>> list(figures_of("digits"))
        ['odd_samples', 'plane', 'curves', 'history']
    """
    chosen = load_study(study)
    own = chosen.figures()
    return {name: own[name] if name in own else GENERIC[name] for name in figure_names(chosen)}


def figure_of(study: str | None, name: str) -> FigureSpec:
    """The figure of a study, or of every study, that has a name.

    Raises:
        UserError: there is none.
    """
    specs = GENERIC if study is None else figures_of(study)
    if name not in specs:
        allowed = ", ".join(specs)
        raise UserError(f"figure {name}: unknown for the study {study}; allowed: {allowed}")
    return specs[name]


def drawable(result: Result, name: str, words: Iterable[str] = ()) -> FigureSpec:
    """The figure of a name for a result: that of its study, or a generic one that stands in.

    The generic one is drawn where the result lacks what the study's own needs, an axis or an
    option, and where a word (`x`, `value`) is given that only the generic one takes.

    Raises:
        UserError: there is none of this name.
    """
    chosen = figure_of(result.dataset.attrs.get("study"), name)
    if name not in GENERIC or GENERIC[name].applies(result.dataset) is not None:
        return chosen
    lacks = chosen.applies(result.dataset) is not None
    return GENERIC[name] if lacks or not WORDS.isdisjoint(words) else chosen


def table(result: Result, name: str, *args: Any, **select: Any) -> pd.DataFrame:
    """The numbers of one figure of a result, as `figure` chooses it."""
    return drawable(result, name, select).table(result, *args, **select)


def figure(result: Result, name: str, *args: Any, **select: Any) -> Figure:
    """One figure of a result, of its study or a generic one.

    Raises UserError where there is none of this name, ValueError where it does not apply.

    Example:
        figure(result, "plane", lr=3e-3).savefig("plane.png")
    """
    return drawable(result, name, select).draw(table(result, name, *args, **select))


def read_drawable(source: str | Path, overrides: Sequence[str] = ()) -> tuple[Sweep, Grid]:
    """What `read_sweep` reads, once its figures are checked.

    Raises:
        UserError: as `read_sweep` and `check_figures`, with the name of the file.
    """
    sweep, grid = read_sweep(source, overrides)
    try:
        check_figures(sweep, grid, changed=bool(overrides))
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    return sweep, grid


def check_figures(sweep: Sweep, grid: Grid, changed: bool = False) -> None:
    """Refuse a sweep that names a figure that cannot be drawn of its result.

    Args:
        sweep: not trained yet.
        grid: of the sweep.
        changed: whether its file was overridden, which may have taken an axis from a figure: then
            the figure is not drawn, and a warning says so now.

    Raises:
        UserError: with the first one's reason, as far as axes and options tell.
    """
    specs = figures_of(sweep.study)
    axes = {axis: values for axis, values in grid.axes.items() if axis != sweep.best}
    without_seeds = {axis: values for axis, values in axes.items() if not is_seed(axis)}
    cell = grid.cells[0]
    shared = {name: getattr(cell, name) for name in grid.study.cell_fields() if name not in axes}
    shared |= grid.study.options.model_dump()
    for i, name in enumerate(sweep.figures):
        reason = refuse(specs[name], axes, shared)
        lacks_axes = unmet(name, specs[name].needs.of_axes(), axes, shared)
        if lacks_axes and name in GENERIC and not refuse(GENERIC[name], without_seeds, shared):
            continue  # the generic figure of this name is drawn instead
        if reason and not changed:
            raise UserError(f"figures[{i}]: {reason}")
        if reason:
            logger.warning("figure %s will not be drawn: %s", name, reason)


def draw(
    result: Result,
    target: Path,
    only: str | None = None,
    *,
    names: Sequence[str] | None = None,
    best: str | None = None,
    select: Mapping[str, Any] | None = None,
    dark: bool = False,
) -> Iterator[Path]:
    """Draw one figure, or those that are named and apply; the paths as they are written.

    Args:
        result: what to draw.
        target: a folder, or of one figure a `.png`, `.pdf` or `.svg` file.
        only: the one figure.
        names: the figures otherwise. Default: the sweep's, else all that apply: the study's own,
            and the generic ones in the place of those that do not.
        best: axis along which only the lowest training loss counts, "" for none. Default: the
            sweep's.
        select: axes and their values, as every figure takes them.
        dark: whether on a dark page.

    Raises:
        UserError: the one figure does not exist or does not apply, or no cell has a loss yet; or an
            axis has no such value; or the target of several figures is a file, or of a type that
            is not written.
    """
    specs = figures_of(result.sweep.study)
    if only is not None:
        figure_of(result.sweep.study, only)
    if only is None and is_file(target):
        raise UserError(
            f"--out {target}: one file for all figures; name a figure, or give a folder"
        )
    if only is None and (words := [word for word in select or () if word in WORDS]):
        raise UserError(
            f"--at {words[0]}: only a figure that is named takes it; allowed: {', '.join(GENERIC)}"
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
        specs = {name: drawable(result, name, select or ()) for name in specs}
        paths = spec.draw(result, specs, target, names, dark=dark, **(select or {}))
    else:
        chosen = drawable(result, only, select or ())
        if reason := chosen.applies(result.dataset):
            instead = GENERIC[only].applies(result.dataset) if only in GENERIC else None
            raise UserError(f"figure {only}: {instead or reason}")
        paths = _one(result, chosen, target, dark, select or {})
    try:
        yield from paths
    except NoAxisError as error:
        raise UserError(f"figure {only}: {error}") from None
    except ValueError as error:
        if not select:
            raise
        raise UserError(f"--at: {error}") from None


def _one(
    result: Result, chosen: FigureSpec, target: Path, dark: bool, select: Mapping[str, Any]
) -> Iterator[Path]:
    """The paths of one figure, drawn when the first is asked for."""
    yield from spec.save(result, chosen, target, dark=dark, **select)
