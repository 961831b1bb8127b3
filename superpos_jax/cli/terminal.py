"""What the commands print: a progress bar, tables, warnings as lines of the program."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from superpos_jax.cli.slices import slice_of
from superpos_jax.text import NBSP, Labels, counted, printable, seed_axes
from superpos_jax.training import progress

if TYPE_CHECKING:
    from xarray import DataArray, Dataset

    from superpos_jax.results.result import Result

UNWRAPPED = 10_000
MOST_ROWS, MOST_COLUMNS, NARROW = 30, 24, 10
"""Rows and columns of a table, at most, and letters of a column of numbers with its border."""


def _console(stderr: bool) -> Console:
    """Fits a terminal's width; in a pipe or a file every row of a table is one line."""
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = UNWRAPPED
    return console


out, err = _console(stderr=False), _console(stderr=True)


class _Warnings(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        err.print(f"superpos: {printable(record.getMessage())}", soft_wrap=True)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Print the package's warnings as lines of this program."""
    logger, handler = logging.getLogger("superpos_jax"), _Warnings()
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True


def progress_bar() -> AbstractContextManager[Callable[[progress.Progress], None]]:
    """A bar with rate and time left on a terminal; a line every ten seconds elsewhere."""
    return progress.bar(err)


def print_result(result: Result, select: Mapping[str, Any] | None = None) -> None:
    """Numbers over the first two axes, mean over seeds; how many cells failed or are unfinished.

    They are those that the study shows first, else the losses.

    Args:
        result: what to print.
        select: axes at one of their values, or at some.

    Raises:
        UserError: an axis has no such value.
    """
    import numpy as np

    from superpos_jax.engine.verdicts import FAILED, FINISHED, UNFINISHED
    from superpos_jax.results.cells import RETRY
    from superpos_jax.results.values import nearest
    from superpos_jax.results.view import data_sources

    (dataset, taken), grid = slice_of(result, select or {}), result.grid
    describe = grid.study.labels.describe
    numbers = grid.study.shown or [f"{name}_loss" for name in grid.study.datasets(grid.cells[0])]
    tables = [name for name in numbers if name in dataset]
    lacking = [name for name in grid.study.shown if name not in dataset]
    if lacking and (dataset["verdict"] == FINISHED).any():
        single = [str(name) for name, array in dataset.items() if array.dims == result.axes]
        where = f"study {type(grid.study).__name__}: shown: {lacking[0]!r}"
        err.print(f"superpos: {where}: {nearest(lacking[0], single)}", soft_wrap=True)
    counts = dataset.where(~dataset["verdict"].isin(FAILED))
    swept = [axis for axis in result.axes if axis not in taken]
    seeds = list(seed_axes(swept))
    axes = [axis for axis in swept if axis not in seeds]
    axes, pooled = (axes, seeds) if axes else (seeds, [])
    shown, others = axes[:2], axes[2:]
    first = {axis: dataset[axis].values[0].item() for axis in others}
    where = ", ".join(part for part in (
        result.name,
        f"at {describe(taken).replace(NBSP, ' ')}" if taken else "",
        f"mean over {', '.join(pooled)}" if pooled else "",
        f"at {describe(first).replace(NBSP, ' ')} (the first of each)" if first else "",
    ) if part)  # fmt: skip
    for name in tables:
        mean = counts[name].sel(first).mean(pooled).transpose(*shown)
        whole, mean = mean, _thinned(mean)
        labels = _labels(mean, shown[0], grid.study.labels) if shown else [""]
        columns = _labels(mean, shown[1], grid.study.labels) if len(shown) > 1 else [""]
        values = mean.values.reshape(len(labels), len(columns))
        rows = [
            (label, *(f"{value:.4f}" for value in row))
            for label, row in zip(labels, values, strict=True)
        ]
        head = (" \\ ".join(shown), *columns)
        print_grid(f"{name.replace('_', ' ')} of {where}", head, rows)
        if mean.size < whole.size:
            out.print(_rest(whole, mean, describe), soft_wrap=True)
    for word, all_cells in (("dead", result.dead()), ("diverged", result.diverged())):
        cells = [cell for cell in all_cells if _is_at(cell, dataset, taken)]
        if cells:
            title = f"{len(cells)} {word} cell{'s' * (len(cells) > 1)}"
            print_table(title, tuple(cells[0]), [cell.values() for cell in cells[:MOST_ROWS]])
            if len(cells) > MOST_ROWS:
                more = f"and {len(cells) - MOST_ROWS:,} more: in Python result.{word}() has all"
                out.print(more, soft_wrap=True)
    if "ended" in dataset:
        for number, reason in enumerate(grid.study.ends):
            stopped = int((dataset["ended"] == number).sum())
            if stopped:
                of_all = f"{counted(stopped, 'cell')} of {dataset['verdict'].size:,}"
                out.print(f"{of_all} stopped early: {reason}.")
    left = int((dataset["verdict"] == UNFINISHED).sum())
    if left:
        so_far = "numbers so far" if tables else "no numbers yet"
        out.print(f"{left:,} of {dataset['verdict'].size:,} cells are not finished; {so_far}.")
    for name in map(str, dataset.data_vars):
        if name.startswith(RETRY):
            again, field = dataset[name].values[dataset[name].notnull()], name.removeprefix(RETRY)
            words = (grid.study.labels.describe({field: value}) for value in np.unique(again))
            those = f"{counted(len(again), 'cell')} {'was' if len(again) == 1 else 'were'}"
            out.print(f"{those} trained again, with {' or '.join(words)}.", soft_wrap=True)
    for source in data_sources(dataset):
        out.print(printable(source), soft_wrap=True)


def _is_at(cell: Mapping[str, Any], dataset: Dataset, taken: Mapping[str, Any]) -> bool:
    """Whether a cell is in a slice of its result."""
    in_it = (cell[str(axis)] in dataset[axis].values.tolist() for axis in dataset["verdict"].dims)
    return all(in_it) and all(cell[axis] == value for axis, value in taken.items())


def _thinned(array: DataArray) -> DataArray:
    """Values over two axes, as many as fit a screen: the first, the last, and some between."""
    import numpy as np

    most = MOST_ROWS, min(MOST_COLUMNS, max(2, out.width // NARROW - 1))
    sizes = dict(zip(array.dims, most, strict=False))
    return array.isel({
        axis: np.unique(np.linspace(0, array.sizes[axis] - 1, count).round().astype(int))
        for axis, count in sizes.items()
        if array.sizes[axis] > count
    })  # fmt: skip


def _rest(whole: DataArray, part: DataArray, describe: Callable[[Mapping[str, Any]], str]) -> str:
    """How much of a table is shown, its range and where, and where all of it is."""
    shown = " x ".join(
        f"{part.sizes[axis]:,} of {whole.sizes[axis]:,} {axis}" for axis in whole.dims
    )
    ends = []
    for word, find in (("smallest", whole.argmin), ("largest", whole.argmax)):
        if whole.notnull().any():
            end = whole[find(...)]
            at = describe({str(axis): end[axis].item() for axis in whole.dims})
            ends.append(f"{word} {end.item():.4f} at {at.replace(NBSP, ' ')}")
    return f"{shown}; {'; '.join([*ends, 'in Python result.to_dataframe() has all'])}"


def _labels(array: DataArray, axis: str, labels: Labels) -> list[str]:
    """The values of an axis, by name where they have one."""

    def text(value: Any) -> str:
        return f"{value:.10g}" if isinstance(value, float) else str(value)

    return [labels.called(axis, value) or text(value) for value in array[axis].values.tolist()]


def print_grid(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table of numbers; one that is wider than the terminal in parts, one below the other."""
    widths = [3 + max(map(len, column)) for column in zip(head, *rows, strict=True)]
    room = out.width - 1 - widths[0]
    parts, used = [[1]], widths[1]
    for column in range(2, len(head)):
        used += widths[column]
        if used > room:
            parts.append([])
            used = widths[column]
        parts[-1].append(column)
    for part in parts:
        shown = [0, *part]
        print_table(title, [head[i] for i in shown], [[row[i] for i in shown] for row in rows])
        title = ""


def print_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """A title and a table below it; without columns no head."""
    table = Table(*map(printable, columns), show_header=bool(columns))
    for row in rows:
        table.add_row(*(printable(value) for value in row))
    if title:
        out.print(printable(title), soft_wrap=True)
    out.print(table)


def print_figures(
    result: Result,
    target: Path,
    figure: str | None = None,
    best: str | None = None,
    select: Mapping[str, Any] | None = None,
    dark: bool = False,
) -> bool:
    """Draw, and print the paths; whether there are any."""
    from superpos_jax.drawing.choose import draw

    some = False
    for path in draw(result, target, figure, best=best, select=select, dark=dark):
        out.print(str(path), soft_wrap=True)
        some = True
    return some
