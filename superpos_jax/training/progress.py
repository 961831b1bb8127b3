"""How far a run is: what it tells between chunks, and the bar that shows it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import rich.progress
from rich.console import Console

from superpos_jax.text import counted

if TYPE_CHECKING:
    import numpy as np


class Progress(NamedTuple):
    """Where a run stands.

    Attributes:
        done: share of all work.
        doing: what is happening, in words.
        step, steps: updates done and to do, of the program that trains.
        cells: how many this run trains.
        losses: at a recorded step after step 0 `train_loss`, `test_loss`, ... of each cell of the
            program, (cells,) float32, NaN of a cell that is not at that step; otherwise empty.
        trained: the cells of the program in the order of `losses`, with their numbers.
    """

    done: float
    doing: str
    step: int
    steps: int
    cells: int = 0
    losses: Mapping[str, np.ndarray] = {}
    trained: Sequence[Any] = ()


class Rate:
    """Steps a second and seconds left, since the program that is training began or went on."""

    def __init__(self) -> None:
        self.since: tuple[float, Progress] | None = None
        self.step = 0

    def of(self, now: Progress, clock: float) -> tuple[float, float] | None:
        """Both at a time in seconds; None before there is something to tell them from."""
        if now.step < self.step:  # the next program begins
            self.since = None
        self.step = now.step
        if now.step and self.since is None:
            self.since = clock, now
        if self.since is None or now.done <= self.since[1].done:
            return None
        seconds, first = clock - self.since[0], self.since[1]
        return (now.step - first.step) / seconds, seconds * (1 - now.done) / (now.done - first.done)


@contextmanager
def bar(console: Console) -> Iterator[Callable[[Progress], None]]:
    """A bar with rate and time left on a terminal or in a notebook; elsewhere a line now and then.

    A notebook without ipywidgets, which rich draws its bars with, gets the lines, too.
    """
    drawn = console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)
    started = last = time.monotonic()
    rates = Rate()
    shown = rich.progress.Progress(
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.TextColumn("{task.percentage:>3.0f}%"),
        rich.progress.TextColumn("{task.fields[rate]}"),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TextColumn("left"),
        rich.progress.TimeRemainingColumn(elapsed_when_finished=False),
        console=console,
        disable=not drawn,
    )
    task = shown.add_task("", total=1.0, rate="")

    def report(now: Progress) -> None:
        nonlocal last
        clock = time.monotonic()
        text, left = f"step {now.step:,}/{now.steps:,}", ""
        if (pair := rates.of(now, clock)) is not None:
            rate, seconds = pair
            text, left = f"{text}, {rate:,.1f} steps/s", f", {seconds:.0f} s left"
        shown.update(
            task,
            completed=now.done,
            description=f"{counted(now.cells, 'cell')}, {now.doing}",
            rate=text,
        )
        if not drawn and (clock - last > 10 or now.done in (0.0, 1.0)):
            last = clock
            console.print(
                f"{clock - started:6.0f} s  {counted(now.cells, 'cell')}, {now.doing}  "
                f"{100 * now.done:3.0f}%  {text}{left}"
            )

    with shown:
        yield report


@contextmanager
def shown(
    progress: Callable[[Progress], None] | bool, leads: bool
) -> Iterator[Callable[[Progress], None]]:
    """What to tell the progress to: a function, or by default a bar where somebody may look.

    Args:
        progress: a function; True for a bar on a terminal or in a notebook; False for nothing.
        leads: whether this process is the one that speaks.
    """
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if callable(progress):
        yield progress
    elif progress and leads and (console.is_terminal or console.is_jupyter):
        with bar(console) as report:
            yield report
    else:
        yield lambda now: None
