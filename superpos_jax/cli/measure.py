"""`superpos measure`: trained cells measured again, from their stored weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from superpos_jax.cli.options import (
    DONE,
    DevicesOption,
    ResultArgument,
    StudyOption,
    a_folder,
)
from superpos_jax.cli.slices import load_named
from superpos_jax.cli.terminal import err, out, print_result
from superpos_jax.errors import UserError

DRAWS = "test_draws=64"


def measure(
    result: ResultArgument,
    folder: Annotated[
        Path,
        typer.Option("--out", parser=a_folder, metavar="PATH", help="A new folder for the result."),
    ],
    overrides: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="OPTION=VALUE",
            help="An option of the study that adds draws of test samples. Repeatable. By default"
            f" {DRAWS}, of studies that have it.",
            show_default=False,
        ),
    ] = [],  # noqa: B006
    devices: DevicesOption = None,
    study: StudyOption = None,
) -> int:
    """Measure the final test loss of a trained result again, on more draws of held-out samples.

    The weights are those that the result stores; nothing is trained. The new result has means over
    all draws and their standard errors (`test_loss_error`).

    Example:

        superpos measure results/quickstart --set test_draws=64 --out results/quickstart_64
    """
    from superpos_jax.results.sweep import parsed
    from superpos_jax.results.view import from_grid
    from superpos_jax.training import measure as training
    from superpos_jax.training.folder import Folder

    loaded = load_named(result, study)
    if folder.exists():
        raise UserError(f"--out {folder}: exists; allowed: a new folder")
    names = tuple(type(loaded.grid.study).Options.model_fields)
    usual = [DRAWS] if DRAWS.partition("=")[0] in names else []
    options = parsed(overrides or usual)
    if wrong := sorted({*options} - {*names}):
        allowed = ", ".join(names) or "none, the study has no options"
        raise UserError(f"--set {wrong[0]}: not an option; allowed: {allowed}")
    with Folder(folder, loaded.sweep, loaded.grid).locked():
        with err.status("measuring"):
            again = training.measure(loaded, options, devices=devices)
        table = from_grid(again.dataset, again.grid)
        Folder(folder, again.sweep, again.grid, checked=True).write(table)
    print_result(again, {})
    out.print(f"result: {folder}", soft_wrap=True)
    return DONE
