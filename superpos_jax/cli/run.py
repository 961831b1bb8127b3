"""The command `run`: what is left to train, in how many processes; the figures of the result."""

from __future__ import annotations

import contextlib
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from superpos_jax.cli.options import (
    DONE,
    SOME_DIED,
    DevicesOption,
    MemoryOption,
    SetOption,
    SweepArgument,
    a_folder,
)
from superpos_jax.cli.terminal import err, out, print_figures, print_result, progress_bar
from superpos_jax.cli.view import PAGE, shown_live, write_page
from superpos_jax.errors import UserError

if TYPE_CHECKING:
    from superpos_jax.results.sweep import Sweep
    from superpos_jax.training.folder import Folder
    from superpos_jax.training.opening import Job
    from superpos_jax.training.shards import Shard


def run(
    sweep: SweepArgument,
    out_folder: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=a_folder,
            metavar="DIR",
            help="Result folder. Default: `results/<name>`, of a shard `shard-<I>-of-<K>` in it.",
        ),
    ] = None,
    shard_text: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/K",
            help="Train the I-th of K parts of the cells, cut by work; `superpos merge` puts them "
            "together.",
        ),
    ] = None,
    overrides: SetOption = [],  # noqa: B006 - typer wants a literal default and copies it
    devices: DevicesOption = None,
    checkpoint_seconds: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="Least seconds between two checkpoints. Default: 30, or longer to stay under 2 % "
            "of the run time.",
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
            help="Train what is left though cells were trained with other code or on other data. "
            "What is half trained begins again.",
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
    live: Annotated[
        bool,
        typer.Option(
            "--live",
            help="Serve the result as a page to this machine alone while it trains, and write "
            "`page.html` at the end.",
        ),
    ] = False,
    index: Annotated[
        int | None, typer.Option("--process", min=0, help="Which of the processes this one is.")
    ] = None,
) -> int:
    """Train every cell of a sweep in one compiled program per process, then draw its figures.

    Interrupted (Ctrl-C, SIGTERM, or killed), the same command continues from the last checkpoint.
    With more values on an axis it trains the new cells only.

    Examples:

        superpos run quickstart

        superpos run quickstart --out /tmp/small --set "T=[10, 100, 1000]" --set steps=500

        superpos run quickstart --retry-dead --set lr=1e-4

        superpos run quickstart --shard 3/16
    """
    from superpos_jax.engine import collective
    from superpos_jax.training import estimate, launch, opening, shards
    from superpos_jax.training import job as jobs
    from superpos_jax.training.folder import FIGURES

    if (coordinator is None) != (index is None) or (coordinator is not None and count is None):
        raise UserError("--coordinator, --processes and --process: give all three, on each machine")
    if coordinator is not None and not re.fullmatch(r".+:\d+", coordinator):
        raise UserError(f"--coordinator {coordinator}: allowed: HOST:PORT, as host-a:1234")
    if index is not None and count is not None and index >= count:
        raise UserError(f"--process {index}: allowed: 0 to {count - 1} of {count} processes")
    shard = None if shard_text is None else shards.parse(shard_text, "--shard")
    secret = launch.follow()
    joined = launch.join(coordinator, count, index, secret)
    out.quiet = err.quiet = not collective.leads()
    with contextlib.ExitStack() as stack:

        def open_job() -> Job:
            if retry_dead:
                return _open_retry(stack, sweep, out_folder, overrides, fresh, mix, shard)
            return _open(stack, sweep, out_folder, overrides, fresh, yes, mix, shard)

        job = collective.shared(open_job, opening.packed, opening.unpacked)
        if live and job.folder and collective.leads():
            stack.enter_context(shown_live(job.folder.path))
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
                collective.shared(lambda: job, opening.packed, opening.unpacked)
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
    if shard:
        out.print(f"shard {shard} is trained; superpos merge puts it together with the others.")
    elif job.folder:
        try:
            print_figures(result, job.folder.path / FIGURES)
        except (UserError, OSError):
            raise
        except Exception:  # of a figure of the study's own
            again = f"superpos plot {job.folder.path} draws it once its figures are mended"
            err.print(f"superpos: the result is stored; {again}", soft_wrap=True)
            raise
        if live:
            write_page([result], job.folder.path / PAGE)
    return SOME_DIED if result.dead() else DONE


def _open(
    stack: contextlib.ExitStack,
    source: str,
    out_folder: Path | None,
    overrides: list[str],
    fresh: bool,
    yes: bool,
    mix: bool,
    shard: Shard | None,
) -> Job:
    """What is left to train of a sweep; its folder is locked until the stack closes.

    Raises:
        UserError: something is wrong with them.
    """
    from superpos_jax.drawing.choose import read_drawable
    from superpos_jax.training.folder import Folder
    from superpos_jax.training.opening import opened

    sweep, grid = read_drawable(source, overrides)
    target = out_folder or _folder(sweep, shard)
    folder = Folder(target, sweep, grid)
    if fresh:
        _ask_to_drop(folder, yes)
    job = stack.enter_context(opened(sweep, grid, folder, fresh=fresh, mix=mix, shard=shard))
    left, whole = len(job.cells), len(shard.cells(grid) if shard else grid.cells)
    if not left:
        out.print(f"{target} already holds this result; --fresh trains it again.")
    elif left < whole:
        out.print(f"{target} holds {whole - left} of {whole} cells; training the others.")
    return job


def _open_retry(
    stack: contextlib.ExitStack,
    source: str,
    out_folder: Path | None,
    overrides: list[str],
    fresh: bool,
    mix: bool,
    shard: Shard | None,
) -> Job:
    """The failed cells of a folder, with other values; it is locked as `_open` does it.

    Raises:
        UserError: something is wrong with them.
    """
    from superpos_jax.results.result import sweep_of
    from superpos_jax.results.store import read_attributes
    from superpos_jax.results.sweep import load_sweep, parsed
    from superpos_jax.training.folder import Folder
    from superpos_jax.training.opening import opened

    named = load_sweep(source)  # whose study may be imported, whatever the folder names
    target = out_folder or _folder(named, shard)
    if fresh:
        raise UserError("--retry-dead: keeps what is trained, --fresh drops it; give one")
    sweep = sweep_of(read_attributes(target))
    grid = sweep.grid()
    folder, retry = Folder(target, sweep, grid), parsed(overrides)
    job = stack.enter_context(opened(sweep, grid, folder, retry=retry, mix=mix))
    out.print(f"{target}: {len(job.cells) or 'no'} cells to be trained again")
    return job


def _folder(sweep: Sweep, shard: Shard | None) -> Path:
    """Where a sweep, or a shard of it, is trained by default."""
    folder = Path("results") / sweep.name
    return folder / shard.folder if shard else folder


def _python() -> list[str]:
    """An interpreter that finds this package, and no `random.py` of the user's before Python's."""
    from_here = Path(__file__).parents[2] == Path.cwd()
    return [sys.executable] if from_here else [sys.executable, "-P"]


def _ask_to_drop(folder: Folder, yes: bool) -> None:
    """`--fresh` overwrites only what its user knows of."""
    worth = folder.worth()
    if not worth or yes:
        return
    if not sys.stdin.isatty():
        raise UserError(f"--fresh: {folder.path} holds {worth}; add --yes to drop it")
    typer.confirm(f"{folder.path} holds {worth}. Drop it?", abort=True)
