"""The command line: run, plan, show, plot, audit, check-paper, list.

Nothing here imports JAX before a command needs it, so `superpos --help` answers at once.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from superpos_jax.cli.terminal import (
    err,
    out,
    plain_warnings,
    print_result,
    print_table,
    progress_bar,
)
from superpos_jax.errors import Interrupted, LostProcess, UserError

if TYPE_CHECKING:
    from superpos_jax.results.result import Result
    from superpos_jax.training.folder import Folder
    from superpos_jax.training.opening import Job

DONE, SOME_DIED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Train whole planes of toy models at once, and draw them.",
)

SweepArgument = Annotated[
    str, typer.Argument(help="A sweep file, or the name of a shipped sweep (`superpos list`).")
]
ResultArgument = Annotated[
    Path, typer.Argument(help="A result folder, as `results/quickstart`, or an archive, `.zip`.")
]
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
MemoryOption = Annotated[
    float | None,
    typer.Option(
        min=0.1, help="GiB of memory to stay below, of each machine. Default: 90 % of what is free."
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
        typer.Option(
            min=0,
            help="Least seconds between two checkpoints. Default: 30, and below 2 % of the time.",
        ),
    ] = None,
    memory: MemoryOption = None,
    retry_dead: Annotated[
        bool,
        typer.Option(
            "--retry-dead",
            help="Train only the folder's dead and diverged cells again, changed by `--set`.",
        ),
    ] = False,
    mix: Annotated[
        bool,
        typer.Option(
            "--mix",
            help="Train more cells though others were trained with other code of the study.",
        ),
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Train again what the folder already holds.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Let `--fresh` overwrite.")] = False,
    count: Annotated[
        int | None,
        typer.Option(
            "--processes",
            min=1,
            help="Train in that many processes. Default: those of the cluster, or on a CPU one "
            "for each core where it pays.",
        ),
    ] = None,
    coordinator: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Where process 0 waits for the others, on other machines."
        ),
    ] = None,
    index: Annotated[
        int | None, typer.Option("--process", min=0, help="Which of the processes this one is.")
    ] = None,
) -> int:
    """Train every cell of a sweep in one compiled program, then draw its figures.

    Interrupted (Ctrl-C, SIGTERM, or killed), the same command continues from the last checkpoint.
    With more values on an axis it trains the new cells only.

    Examples:

        superpos run quickstart

        superpos run quickstart --out /tmp/small --set "T=[10, 100, 1000]" --set steps=500

        superpos run quickstart --retry-dead --set lr=1e-4
    """
    from superpos_jax.engine import collective
    from superpos_jax.training import estimate, launch
    from superpos_jax.training import job as jobs
    from superpos_jax.training.folder import FIGURES

    if (coordinator is None) != (index is None) or (coordinator is not None and count is None):
        raise UserError("--coordinator, --processes and --process: give all three, on each machine")
    if coordinator is not None and not re.fullmatch(r".+:\d+", coordinator):
        raise UserError(f"--coordinator {coordinator}: allowed: HOST:PORT, as host-a:1234")
    if index is not None and count is not None and index >= count:
        raise UserError(f"--process {index}: allowed: 0 to {count - 1} of {count} processes")
    joined = launch.join(coordinator, count, index, launched_here=launch.follow())
    out.quiet = err.quiet = not collective.leads()
    with contextlib.ExitStack() as stack:

        def open_job() -> tuple[Job, Path]:
            if retry_dead:
                return _open_retry(stack, sweep, out_folder, overrides, fresh, mix)
            return _open(stack, sweep, out_folder, overrides, fresh, yes, mix)

        job, target = collective.shared(open_job)
        here = 1
        if job.cells and not joined:
            study = job.grid.study
            here = (
                estimate.processes_for(study, job.cells, devices, memory)
                if count is None
                else count
            )
        with launch.launched(here, [*_python(), "-m", "superpos_jax", *sys.argv[1:]]):
            if here > 1:  # those just launched are where `open_job` is shared
                collective.shared(lambda: (job, target))
            with progress_bar() as progress:
                result = jobs.train(
                    job,
                    devices=devices,
                    limit=memory,
                    checkpoint_seconds=checkpoint_seconds,
                    progress=progress,
                )
    if not collective.leads():
        return DONE
    print_result(result)
    _draw(result, target / FIGURES)
    return SOME_DIED if result.dead() else DONE


def _open(
    stack: contextlib.ExitStack,
    source: str,
    out_folder: Path | None,
    overrides: list[str],
    fresh: bool,
    yes: bool,
    mix: bool,
) -> tuple[Job, Path]:
    """What is left to train of a sweep, and its folder, which is locked until the stack closes.

    Raises:
        UserError: something is wrong with them.
    """
    from superpos_jax.drawing.choose import check_figures
    from superpos_jax.results.sweep import read_sweep
    from superpos_jax.training.folder import Folder
    from superpos_jax.training.opening import opened

    sweep, grid = read_sweep(source, overrides)
    check_figures(sweep, grid, changed=bool(overrides))
    target = out_folder or Path("results") / sweep.name
    folder = Folder(target, sweep, grid)
    if fresh:
        _ask_to_drop(folder, yes)
    job = stack.enter_context(opened(sweep, grid, folder, fresh=fresh, mix=mix))
    left, whole = len(job.cells), len(grid.cells)
    if not left:
        out.print(f"{target} already holds this result; --fresh trains it again.")
    elif left < whole:
        out.print(f"{target} holds {whole - left} of {whole} cells; training the others.")
    return job, target


def _open_retry(
    stack: contextlib.ExitStack,
    source: str,
    out_folder: Path | None,
    overrides: list[str],
    fresh: bool,
    mix: bool,
) -> tuple[Job, Path]:
    """The failed cells of a folder with other values, and the folder, locked as `_open` does it.

    Raises:
        UserError: something is wrong with them.
    """
    from superpos_jax.results.result import sweep_of
    from superpos_jax.results.store import read_attributes
    from superpos_jax.results.sweep import load_sweep, parse
    from superpos_jax.training.folder import Folder
    from superpos_jax.training.opening import opened

    target = out_folder or Path("results") / load_sweep(source).name
    if fresh:
        raise UserError("--retry-dead: keeps what is trained, --fresh drops it; give one")
    sweep = sweep_of(read_attributes(target))
    grid = sweep.grid()
    folder, retry = Folder(target, sweep, grid), dict(map(parse, overrides))
    job = stack.enter_context(opened(sweep, grid, folder, retry=retry, mix=mix))
    out.print(f"{target}: {len(job.cells) or 'no'} cells to be trained again")
    return job, target


@app.command()
def plan(
    sweep: SweepArgument,
    overrides: SetOption = [],  # noqa: B006
    devices: DevicesOption = None,
    memory: MemoryOption = None,
) -> int:
    """Print cells, groups, padding, memory and estimated time of a sweep; train nothing.

    Example:

        superpos plan quickstart --set "T=[10, 100, 1000, 10000]"
    """
    from superpos_jax.drawing.choose import check_figures
    from superpos_jax.results.sweep import read_sweep
    from superpos_jax.training import estimate

    loaded, grid = read_sweep(sweep, overrides)
    check_figures(loaded, grid, changed=bool(overrides))
    rows = estimate.describe(grid, devices, memory).items()
    print_table(f"plan of {loaded.name}", (), rows)
    return DONE


@app.command()
def show(result: ResultArgument) -> int:
    """Print a result: losses over the first two axes that are not seeds, dead cells with reasons.

    Example:

        superpos show results/quickstart
    """
    from superpos_jax.results.result import load

    loaded = load(result)
    print_result(loaded)
    return DONE


@app.command()
def audit(
    result: ResultArgument,
    cells: Annotated[int, typer.Option(min=1, help="How many cells.")] = 3,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Choose the same cells again. Default: at random.")
    ] = None,
) -> int:
    """Train random cells of a result again, each alone, and compare every number bit for bit.

    Exit code 1 if one differs on the machine kind and versions that the result was made with; on
    an accelerator bits are not promised, and differences are told.

    Example:

        superpos audit results/quickstart --cells 2
    """
    from superpos_jax.results.result import load
    from superpos_jax.training import audit as audits

    if result.suffix == ".zip":
        raise UserError(f"{result}: an archive holds a part of a result; audit its folder")
    findings = []
    with progress_bar() as progress:
        for finding in audits.audit(load(result), cells, seed, progress):
            findings.append(finding)
    rows = [
        (
            ", ".join(f"{axis}={value}" for axis, value in f.point.items()),
            "the same" if f.same else "DIFFERENT",
            f"{f.difference:.3g}" + (f" in {f.quantity}" if f.quantity else ""),
            "promised" if not f.changed else f"not promised: {f.changed}",
        )
        for f in findings
    ]
    print_table(f"audit of {result}", ("cell", "bits", "largest difference", "bits are"), rows)
    return SOME_DIED if any(not f.same and not f.changed for f in findings) else DONE


@app.command()
def plot(
    result: ResultArgument,
    figure: Annotated[
        str | None, typer.Argument(help="One figure; all that apply if left out.")
    ] = None,
    out_folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="Where to write. Default: `RESULT/figures`; of an archive, beside it.",
        ),
    ] = None,
    best: Annotated[
        str | None,
        typer.Option(
            metavar="AXIS",
            help="Of the cells along an axis (`init_seed`), draw the one of lowest training loss. "
            "Default: the sweep's.",
        ),
    ] = None,
    at: Annotated[
        list[str],
        typer.Option(
            "--at",
            metavar="AXIS=VALUE",
            help="Draw the cells at this value of an axis, or at some: `--at lr=3e-3 "
            '--at "T=[10, 100]"`. Default: the first value of each axis that is not drawn. '
            "Repeatable.",
        ),
    ] = [],  # noqa: B006
) -> int:
    """Draw figures of a result: a PNG, and a CSV of the plotted numbers beside it.

    `plane`, `curves` and `history` draw any study: with one of them `--at value=accuracy` names
    the number, `--at x=AXIS` and `--at y=AXIS` or `--at by=AXIS` the axes.

    Examples:

        superpos plot results/quickstart

        superpos plot results/quickstart plane --out plane.png

        superpos plot results/quickstart curves --at value=train_loss --at m=2

        superpos plot figures/data/P5.zip plane
    """
    from superpos_jax.results.result import load
    from superpos_jax.results.sweep import parse
    from superpos_jax.training import folder

    loaded = load(result)
    select = dict(parse(value, "--at") for value in at)
    beside = result.with_suffix("") if result.suffix == ".zip" else result / folder.FIGURES
    if not _draw(loaded, out_folder or beside, figure, best, select):
        raise UserError(f"{result}: no figure applies to it; superpos plot {result} NAME says why")
    return DONE


@app.command("check-paper")
def check_paper(
    data: Annotated[
        Path, typer.Option(help="Folder of archives, which `make paper` writes.")
    ] = Path("figures/data"),
) -> int:
    """Print what each study's sources say, in numbers, beside ours: agrees, differs, undecided.

    The interval is the middle 95 % of what other choices of the seeds give.

    Example:

        superpos check-paper
    """
    from superpos_jax.statements.checks import check
    from superpos_jax.statements.pages import collections

    with err.status("comparing; half a minute"):
        judged = [(source.page, check(data, source.statements)) for source in collections()]
    for page, findings in judged:
        rows = [(f.key, f.statement, f.found, f.expected, f.verdict) for f in findings]
        if rows:
            print_table(page.source, ("sweep", "statement", "found", "reference", ""), rows)
    if not any(findings for _, findings in judged):
        raise UserError(
            f"--data {data}: no archive of a paper's sweep; a clone of the repository has them in "
            "figures/data"
        )
    return DONE


@app.command("list")
def list_() -> int:
    """List the sweeps and the figures that ship."""
    from superpos_jax.drawing.choose import GENERIC
    from superpos_jax.results.registry import load_study, shipped_studies
    from superpos_jax.results.sweep import headline, shipped

    sweeps = [(name, headline(path)) for name, path in shipped().items()]
    print_table("sweeps", ("sweep", "what it makes"), sweeps)
    specs = {f"figures of {study}": load_study(study).figures() for study in shipped_studies()}
    for title, figures in {**specs, "figures of any study": GENERIC}.items():
        rows = [(name, spec.summary) for name, spec in figures.items()]
        print_table(title, ("figure", "what it shows"), rows)
    return DONE


def main() -> None:
    """Entry point: one line and exit code 2 for a user's mistake, 130 for Ctrl-C."""
    sys.path.append(str(Path.cwd()))  # a study of the user's own, as `module:Class`
    try:
        with plain_warnings():
            code = app(standalone_mode=False)
    except UserError as error:
        code = _fail(str(error))
    except typer.TyperException as error:
        code = _fail(error.format_message().replace("\n", " "))
    except typer.Abort:
        code = _fail("nothing was done")
    except OSError as error:
        code = _fail(f"{error.filename or 'a file'}: {error.strerror or error}")
    except Interrupted as error:
        how = f"{_same_command()} continues from {error.goes_on_from}"
        err.print(f"superpos: {error}; {how}", soft_wrap=True)
        if isinstance(error, LostProcess):
            os._exit(INTERRUPTED)  # in order, JAX would wait for the lost one, and then abort
        sys.exit(INTERRUPTED)
    if code == INTERRUPTED:  # typer turns Ctrl-C into this exit code
        how = f"{_same_command()} continues from the last checkpoint, if any"
        err.print(f"superpos: stopped; {how}", soft_wrap=True)
    sys.exit(code or DONE)


def _python() -> list[str]:
    """An interpreter that finds this package, and no `random.py` of the user's before Python's."""
    from_here = Path(__file__).parents[2] == Path.cwd()
    return [sys.executable] if from_here else [sys.executable, "-P"]


def _same_command() -> str:
    """What goes on with an interrupted run; `--fresh` would drop it."""
    return "the same command" + (" without --fresh" if "--fresh" in sys.argv else "")


def _fail(message: str) -> int:
    err.print(f"superpos: {message}", soft_wrap=True)
    return WRONG_INPUT


def _ask_to_drop(folder: Folder, yes: bool) -> None:
    """`--fresh` overwrites only what its user knows of."""
    worth = folder.worth()
    if not worth or yes:
        return
    if not sys.stdin.isatty():
        raise UserError(f"--fresh: {folder.path} holds {worth}; add --yes to drop it")
    typer.confirm(f"{folder.path} holds {worth}. Drop it?", abort=True)


def _draw(
    result: Result,
    target: Path,
    figure: str | None = None,
    best: str | None = None,
    select: Mapping[str, Any] | None = None,
) -> bool:
    """Draw, and print the paths; whether there are any."""
    from superpos_jax.drawing.choose import draw

    some = False
    for path in draw(result, target, figure, best=best, select=select):
        out.print(str(path), soft_wrap=True)
        some = True
    return some
