"""What the commands print: a progress bar, tables, warnings as lines of the program."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from superpos_jax.result import Result
    from superpos_jax.train import Progress as Standing

UNWRAPPED = 10_000


def _console(stderr: bool) -> Console:
    """Fits a terminal's width; in a pipe or a file every row of a table is one line."""
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = UNWRAPPED
    return console


out, err = _console(stderr=False), _console(stderr=True)


class _Warnings(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        err.print(f"superpos: {record.getMessage()}", soft_wrap=True)


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


@contextmanager
def progress_bar() -> Iterator[Callable[[Standing], None]]:
    """A bar with rate and time left on a terminal; a line every ten seconds elsewhere."""
    started = last = time.monotonic()
    first: tuple[float, Standing] | None = None
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
        console=err,
        disable=not err.is_terminal,
    )
    task = bar.add_task("", total=1.0, rate="")

    def report(now: Standing) -> None:
        nonlocal last, first
        clock = time.monotonic()
        if now.step and (first is None or now.step < first[1].step):
            first = clock, now
        text, left = f"step {now.step:,}/{now.steps:,}", ""
        if first is not None and now.done > first[1].done:  # since it began or went on
            seconds = clock - first[0]
            text += f", {(now.step - first[1].step) / seconds:,.1f} steps/s"
            left = f", {seconds * (1 - now.done) / (now.done - first[1].done):.0f} s left"
        bar.update(
            task, completed=now.done, description=f"{now.cells:,} cells, {now.doing}", rate=text
        )
        if not err.is_terminal and (clock - last > 10 or now.done in (0.0, 1.0)):
            last = clock
            err.print(
                f"{clock - started:6.0f} s  {now.cells:,} cells, {now.doing}  "
                f"{100 * now.done:3.0f}%  {text}{left}"
            )

    with bar:
        yield report


def print_result(result: Result) -> None:
    """Mean losses over the first two axes; how many cells died, diverged or are unfinished."""
    from superpos_jax.records import RETRY
    from superpos_jax.verdicts import UNFINISHED

    dataset, axes = result.dataset, result.axes
    losses = [str(name) for name in dataset.data_vars
              if str(name).endswith("_loss") and not str(name).startswith("history_")]  # fmt: skip
    for name in losses:
        mean = dataset[name].mean(axes[2:])
        over = f", mean over {', '.join(axes[2:])}" if len(axes) > 2 else ""
        labels = mean[axes[0]].values.tolist() if axes else [""]
        columns = mean[axes[1]].values.tolist() if len(axes) > 1 else [""]
        values = mean.values.reshape(len(labels), len(columns))
        rows = [
            (str(label), *(f"{value:.4f}" for value in row))
            for label, row in zip(labels, values, strict=True)
        ]
        head = (" \\ ".join(axes[:2]), *map(str, columns))
        print_table(f"{name.replace('_', ' ')} of {result.name}{over}", head, rows)
    for word, cells in (("dead", result.dead()), ("diverged", result.diverged())):
        if cells:
            title = f"{len(cells)} {word} cell{'s' * (len(cells) > 1)}"
            print_table(title, tuple(cells[0]), [cell.values() for cell in cells])
    left = result.count(UNFINISHED)
    if left:
        so_far = "losses so far" if losses else "no losses yet"
        out.print(f"{left:,} of {dataset['verdict'].size:,} cells are not finished; {so_far}.")
    for name in map(str, dataset.data_vars):
        if name.startswith(RETRY):
            again = int(dataset[name].notnull().sum())
            out.print(f"{again} cells were trained again with another {name.removeprefix(RETRY)}.")


def print_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """A title and a table below it; without columns no head."""
    table = Table(*columns, show_header=bool(columns))
    for row in rows:
        table.add_row(*map(str, row))
    out.print(title, soft_wrap=True)
    out.print(table)
