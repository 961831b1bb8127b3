"""The command line: run, plan, show, plot, list.

Nothing here imports JAX before a command needs it, so `superpos --help` answers at once.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from superpos_jax.errors import Interrupted, UserError

if TYPE_CHECKING:
    from superpos_jax.result import Result
    from superpos_jax.train import Progress as Standing

DONE, SOME_DIED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Train whole planes of toy models at once, and draw them.",
)
out, err = Console(highlight=False), Console(stderr=True, highlight=False)

SweepArgument = Annotated[
    str, typer.Argument(help="A sweep file, or the name of a shipped sweep (`superpos list`).")
]
ResultArgument = Annotated[Path, typer.Argument(help="A result folder, as `results/quickstart`.")]
SetOption = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help='Override a field or an axis: `--set "T=[10, 100]" --set steps=200`. Repeatable.',
    ),
]
DevicesOption = Annotated[
    int | None,
    typer.Option(
        min=1, max=4096, help="Shard cells over that many devices. CPU default: one per core."
    ),
]


@app.command()
def run(
    sweep: SweepArgument,
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="Result folder. Default: `results/<name>`.")
    ] = None,
    overrides: SetOption = [],  # noqa: B006 - typer wants a literal default and copies it
    devices: DevicesOption = None,
    checkpoint_seconds: Annotated[
        float | None,
        typer.Option(min=0, help="Least time between two checkpoints, in seconds. Default: 30."),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Train again what the folder already holds.")
    ] = False,
) -> int:
    """Train every cell of a sweep in one compiled program, then draw its figures.

    Interrupted (Ctrl-C, SIGTERM, or killed), the same command continues from the last checkpoint.

    Examples:

        superpos run quickstart

        superpos run quickstart --out /tmp/small --set "T=[10, 100, 1000]" --set steps=500
    """
    from superpos_jax import folder
    from superpos_jax.sweep import load_sweep

    loaded = load_sweep(sweep, overrides)
    target = out_folder or Path("results") / loaded.name
    if not fresh and folder.finished(target, loaded):
        from superpos_jax.result import load

        out.print(f"{target} already holds this result; --fresh trains it again.")
        result = load(target)
    else:
        from superpos_jax import train

        with _progress_bar(len(loaded.grid().cells)) as progress:
            result = train.run(
                loaded,
                out=target,
                devices=devices,
                fresh=fresh,
                checkpoint_seconds=(
                    train.CHECKPOINT_SECONDS if checkpoint_seconds is None else checkpoint_seconds
                ),
                progress=progress,
            )
    _print_result(result)
    for path in _draw_all(result, target / folder.FIGURES):
        out.print(str(path), soft_wrap=True)
    return SOME_DIED if result.dead() else DONE


@app.command()
def plan(
    sweep: SweepArgument,
    overrides: SetOption = [],  # noqa: B006
    devices: DevicesOption = None,
) -> int:
    """Print cells, groups, padding, memory and estimated time of a sweep; train nothing.

    Example:

        superpos plan quickstart --set "T=[10, 100, 1000, 10000]"
    """
    from superpos_jax import estimate
    from superpos_jax.sweep import load_sweep

    loaded = load_sweep(sweep, overrides)
    rows = estimate.describe(loaded, devices).items()
    _print_table(f"plan of {loaded.name}", (), rows)
    return DONE


@app.command()
def show(result: ResultArgument) -> int:
    """Print a result: its losses over the first two axes, and dead cells with their reasons.

    Example:

        superpos show results/quickstart
    """
    from superpos_jax.result import load

    loaded = load(result)
    _print_result(loaded)
    return DONE


@app.command()
def plot(
    result: ResultArgument,
    figure: Annotated[
        str | None, typer.Argument(help="One figure; all that apply if left out.")
    ] = None,
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="Where to write. Default: `RESULT/figures`.")
    ] = None,
) -> int:
    """Draw figures of a result: a PNG, and a CSV of the plotted numbers beside it.

    Examples:

        superpos plot results/quickstart

        superpos plot results/quickstart plane --out plane.png
    """
    from superpos_jax import folder
    from superpos_jax.result import load

    loaded = load(result)
    target = out_folder or result / folder.FIGURES
    for path in _draw_all(loaded, target, figure):
        out.print(str(path), soft_wrap=True)
    return DONE


@app.command("list")
def list_() -> int:
    """List the sweeps and the figures that ship."""
    from superpos_jax.sweep import headline, shipped

    sweeps = [(name, headline(path)) for name, path in shipped().items()]
    _print_table("sweeps", ("sweep", "what it makes"), sweeps)
    from superpos_jax.plots import FIGURES

    figures = [(name, spec.summary) for name, spec in FIGURES.items()]
    _print_table("figures", ("figure", "what it shows"), figures)
    return DONE


def main() -> None:
    """Entry point: one line and exit code 2 for a user's mistake, 130 for Ctrl-C."""
    sys.path.append(str(Path.cwd()))  # a study of the user's own, as `module:Class`
    try:
        code = app(standalone_mode=False)
    except UserError as error:
        code = _fail(str(error))
    except typer.TyperException as error:
        code = _fail(error.format_message().replace("\n", " "))
    except Interrupted as error:
        err.print(f"superpos: {error}; the same command continues from there")
        sys.exit(INTERRUPTED)
    if code == INTERRUPTED:  # typer turns Ctrl-C into this exit code
        err.print("superpos: stopped; the same command continues from the last checkpoint, if any")
    sys.exit(code or DONE)


def _fail(message: str) -> int:
    err.print(f"superpos: {message}", soft_wrap=True, markup=False)
    return WRONG_INPUT


@contextmanager
def _progress_bar(cells: int) -> Iterator[Callable[[Standing], None]]:
    """A bar with rate and time left on a terminal; a line every ten seconds elsewhere."""
    started, last = time.monotonic(), time.monotonic()
    first_step = 0.0
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
    task = bar.add_task(f"{cells} cells", total=1.0, rate="")

    def report(now: Standing) -> None:
        nonlocal last, first_step
        clock = time.monotonic()
        if now.step and not first_step:
            first_step = clock
        rate = now.step / max(clock - first_step, 1e-9) if now.step > 1 else 0.0
        text = f"step {now.step:,}/{now.steps:,}" + (f", {rate:,.0f} steps/s" if rate else "")
        bar.update(task, completed=now.done, description=f"{cells} cells, {now.doing}", rate=text)
        if not err.is_terminal and (clock - last > 10 or now.done in (0.0, 1.0)):
            last = clock
            left = (clock - first_step) * (1 / now.done - 1) if now.step else float("nan")
            err.print(
                f"{clock - started:6.0f} s  {cells} cells, {now.doing}  {100 * now.done:3.0f}%  "
                f"{text}" + (f", {left:.0f} s left" if now.step else "")
            )

    with bar:
        yield report


def _print_result(result: Result) -> None:
    """Mean final losses over the first two axes; dead cells."""
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
        _print_table(f"{name.replace('_', ' ')} of {result.name}{over}", head, rows)
    dead = result.dead()
    if dead:
        _print_table(f"{len(dead)} dead cells", tuple(dead[0]), [row.values() for row in dead])


def _print_table(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    table = Table(*columns, show_header=bool(columns))
    for row in rows:
        table.add_row(*map(str, row))
    out.print(title, soft_wrap=True)
    out.print(table)


def _draw_all(result: Result, target: Path, only: str | None = None) -> Iterator[Path]:
    """Draw one figure, or all that the result's axes allow; PNG and CSV paths."""
    from superpos_jax.plots import save
    from superpos_jax.study import load_study

    figures = load_study(result.sweep.study).figures()
    if only is not None and only not in figures:
        raise UserError(f"figure {only!r}: unknown; allowed: {', '.join(figures)}")
    for name, spec in figures.items():
        if only not in (None, name):
            continue
        reason = spec.applies(result.dataset)
        if reason is None:
            yield from save(result, spec, target)
        elif only is not None:
            raise UserError(f"figure {name}: {reason}")
