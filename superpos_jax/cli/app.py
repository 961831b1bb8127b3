"""The command line: its commands, and how it ends.

Nothing here imports JAX before a command needs it, so `superpos --help` answers at once.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

import typer

from superpos_jax.cli.compare import compare
from superpos_jax.cli.measure import measure
from superpos_jax.cli.merge import merge
from superpos_jax.cli.options import (
    DONE,
    ENDS,
    INTERRUPTED,
    SOME_DIED,
    WRONG_INPUT,
    AtOption,
    DevicesOption,
    MemoryOption,
    ResultArgument,
    SetOption,
    StudyOption,
    SweepArgument,
    a_folder,
)
from superpos_jax.cli.run import run
from superpos_jax.cli.slices import load_named, selected
from superpos_jax.cli.tables import export, fields, list_
from superpos_jax.cli.terminal import (
    err,
    out,
    plain_warnings,
    print_figures,
    print_result,
    print_table,
    progress_bar,
)
from superpos_jax.cli.view import view
from superpos_jax.errors import Interrupted, LostProcess, UserError
from superpos_jax.text import printable

if TYPE_CHECKING:
    from superpos_jax.results.result import Result

app = typer.Typer(
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Train whole planes of toy models at once, and draw them.",
    epilog=ENDS,
)

app.command(epilog=ENDS)(run)
app.command(epilog=ENDS)(merge)
app.command()(measure)
app.command()(view)
app.command(epilog=ENDS)(compare)


@app.callback(invoke_without_command=True)
def superpos(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version of this package.")
    ] = False,
) -> int:
    """What the program does without a command: help, or its version."""
    if version:
        from superpos_jax import __version__

        out.print(f"superpos_jax {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        out.print(context.get_help(), soft_wrap=True)
    return DONE


@app.command()
def plan(
    sweep: SweepArgument,
    overrides: SetOption = [],  # noqa: B006
    devices: DevicesOption = None,
    memory: MemoryOption = None,
    count: Annotated[
        int | None,
        typer.Option("--shards", min=1, help="What each of so many shards costs, instead."),
    ] = None,
) -> int:
    """Print cells, groups, padding, memory and estimated time of a sweep; train nothing.

    Examples:

        superpos plan quickstart --set "T=[10, 100, 1000, 10000]"

        superpos plan reference/P5 --shards 16
    """
    from superpos_jax.drawing.choose import read_drawable
    from superpos_jax.training import estimate

    loaded, grid = read_drawable(sweep, overrides)
    if count is not None:
        shards = estimate.of_shards(grid, count, devices)
        print_table(f"plan of {loaded.name}", ("shard", "cells", "work", "time"), shards)
        return DONE
    rows = estimate.describe(grid, devices, memory).items()
    print_table(f"plan of {loaded.name}", (), rows)
    return DONE


@app.command()
def show(
    result: ResultArgument,
    at: AtOption = [],  # noqa: B006
    study: StudyOption = None,
) -> int:
    """Print a result: losses over the first two axes that are not seeds, dead cells with reasons.

    Examples:

        superpos show results/quickstart

        superpos show results/quickstart --at seed=1 --at "T=[10, 100]"
    """
    loaded = load_named(result, study)
    _warn_of_changed_code(loaded)
    print_result(loaded, selected(at))
    return DONE


@app.command(epilog=ENDS)
def audit(
    result: ResultArgument,
    cells: Annotated[int, typer.Option(min=1, help="How many cells.")] = 3,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Choose the same cells again. Default: at random.")
    ] = None,
    study: StudyOption = None,
) -> int:
    """Train random cells of a result again, each alone, and compare every number bit for bit.

    Of an archive, what it holds is compared: large arrays in their five digits, all else whole.
    Exit code 1 if one differs on the machine kind, versions, code and data of the run;
    on an accelerator bits are promised where a study has kernels; else differences are told.

    Examples:

        superpos audit results/quickstart --cells 2

        superpos audit figures/data/P1.zip --cells 1
    """
    from superpos_jax.training import audit as audits

    findings = []
    with progress_bar() as progress:
        for finding in audits.audit(load_named(result, study), cells, seed, progress):
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
    in_part = any(finding.archived for finding in findings)
    compared = "what the archive holds, large arrays in its five digits" if in_part else "all of it"
    out.print(
        f"Compared: {compared}. Promised: the same bits on a processor, versions, code and data"
        " that are those of the run; where one is not, its numbers may differ."
    )
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
            parser=a_folder,
            metavar="PATH",
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
    at: AtOption = [],  # noqa: B006
    dark: Annotated[bool, typer.Option("--dark", help="Draw on a dark page.")] = False,
    study: StudyOption = None,
) -> int:
    """Draw figures of a result: a PNG, and a CSV of the plotted numbers beside it.

    `plane`, `curves` and `history` draw any study: with one of them `--at value=test_loss` names
    the quantity, `--at x=AXIS` and `--at y=AXIS` or `--at by=AXIS` the axes.

    Examples:

        superpos plot results/quickstart

        superpos plot results/quickstart plane --out plane.png

        superpos plot results/quickstart curves --at value=train_loss --at m=2

        superpos plot figures/data/P5.zip plane
    """
    from superpos_jax.training.folder import figures_in

    loaded = load_named(result, study)
    _warn_of_changed_code(loaded)
    target = out_folder
    if target is None:
        target = result.with_suffix("") if result.suffix == ".zip" else figures_in(result)
    if not print_figures(loaded, target, figure, best, selected(at), dark):
        raise UserError(f"{result}: no figure applies to it; superpos plot {result} NAME says why")
    return DONE


@app.command("check-paper")
def check_paper(
    data: Annotated[
        Path, typer.Option(help="Folder of archives, which `make paper` writes.")
    ] = Path("figures/data"),
) -> int:
    """Print what each study's sources say, in numbers, beside ours: agrees, differs, undecided.

    The interval is 95 %, over seeds.

    Example:

        superpos check-paper
    """
    from superpos_jax.results.overlap import in_short, overlaps
    from superpos_jax.statements.checks import check, tally
    from superpos_jax.statements.pages import collections

    with err.status("comparing; half a minute"):
        judged = [(source.page, check(data, source.statements)) for source in collections()]
        pairs = overlaps(sorted(data.glob("*.zip")))
    for page, findings in judged:
        rows = [(f.key, f.statement, f.found, f.expected, f.shown) for f in findings]
        if rows:
            print_table(page.source, ("sweep", "statement", "found", "reference", ""), rows)
            out.print(tally(findings), soft_wrap=True)
    if not any(findings for _, findings in judged):
        raise UserError(
            f"--data {data}: no archive of a paper's sweep; a clone of the repository has them in "
            "figures/data"
        )
    out.print(f"{in_short(pairs)} superpos compare {data}/*.zip tells which.", soft_wrap=True)
    return DONE


app.command()(export)
app.command()(fields)
app.command("list")(list_)


def main() -> None:
    """Entry point: one line and exit code 2 for a user's mistake, 130 for Ctrl-C.

    An error in a study's own code has its traceback, and exit code 2 as well.
    """
    _open_closed_streams()
    try:
        sys.path.append(str(Path.cwd()))  # a study of the user's own, as `module:Class`
    except FileNotFoundError:
        sys.exit(_fail("the current folder is gone; change to another one"))
    # NumPy reads it once. Its products here are small: on two busy cores the report of a network of
    # large_lr took 0.16 to 0.41 s of processor time with two threads, and 0.02 s with one.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Imports and tracing make many objects that stay. Python would search them for garbage again
    # and again, and once more as it exits.
    gc.set_threshold(200_000, 50, 50)
    atexit.register(gc.freeze)
    os.environ["MPLBACKEND"] = "agg"  # files are drawn and nothing else, whatever a notebook set
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
        where = error.goes_on_from
        how = f"; {_same_command()} continues from {where}" if where else ""
        err.print(f"superpos: {error}{how}", soft_wrap=True)
        if isinstance(error, LostProcess):
            os._exit(INTERRUPTED)  # in order, JAX would wait for the lost one, and then abort
        sys.exit(INTERRUPTED)
    except Exception as error:  # of a study's own code, or of this package
        traceback.print_exception(error.with_traceback(_from_own_code(error.__traceback__)))
        code = WRONG_INPUT
    if code == INTERRUPTED:  # typer turns Ctrl-C into this exit code
        how = f"{_same_command()} continues from the last checkpoint, if any"
        err.print(f"superpos: stopped; {how}", soft_wrap=True)
        jax = sys.modules.get("jax")
        if jax is not None and jax.distributed.is_initialized():
            os._exit(INTERRUPTED)  # in order, JAX would wait for processes that are joining
    sys.exit(code or DONE)


def _from_own_code(whole: TracebackType | None) -> TracebackType | None:
    """A traceback from where the user's own code is called; all of it where there is none."""
    from superpos_jax.results.source import LIBRARIES

    part = whole
    while part and part.tb_frame.f_code.co_filename.startswith((*LIBRARIES, "<")):
        part = part.tb_next
    return part or whole


def _open_closed_streams() -> None:
    """Put nothing in the place of standard streams that are closed.

    A file that took the number of one would get what is printed.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))


def _warn_of_changed_code(result: Result) -> None:
    """Numbers of a study's former code are shown as what they are."""
    from superpos_jax.results.view import provenance
    from superpos_jax.training.provenance import changed_source

    runs = provenance(result.dataset)
    if changed := changed_source(runs, type(result.grid.study)):
        err.print(f"superpos: {printable(changed)}", soft_wrap=True)


def _same_command() -> str:
    """What goes on with an interrupted run; `--fresh` would drop it."""
    return "the same command" + (" without --fresh" if "--fresh" in sys.argv else "")


def _fail(message: str) -> int:
    err.print(f"superpos: {printable(message)}", soft_wrap=True)
    return WRONG_INPUT
