"""Commands that print or write tables: what ships, what can be swept, the cells of a result."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from superpos_jax.cli.options import DONE, AtOrAllOption, ResultArgument, StudyOption, a_folder
from superpos_jax.cli.slices import load_named, selected, sliced
from superpos_jax.cli.terminal import out, print_table
from superpos_jax.errors import UserError


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


def fields(
    study: Annotated[
        str, typer.Argument(help="A study that ships, `grokking`, or your own, `module:Class`.")
    ],
) -> int:
    """Print what can be swept in a study: numbers, their limits and names; and its options.

    Example:

        superpos fields double_descent
    """
    from superpos_jax.results.registry import load_study
    from superpos_jax.results.values import allowed, choices, defaults

    loaded = load_study(study)
    numbers = [(name, usual, allowed(loaded, name)) for name, usual in defaults(loaded).items()]
    head = ("number", "default", "allowed")
    print_table(f"numbers of {study}: [cell], or [axes] with several values", head, numbers)
    if options := choices(loaded):
        print_table(f"options of {study}: [options]", ("option", "default", "allowed"), options)
    return DONE


def export(
    result: ResultArgument,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="csv|parquet|netcdf|zip",
            help="Default: as the name of `--out` ends, else csv. `zip`: an archive of all of it.",
        ),
    ] = None,
    at: AtOrAllOption = [],  # noqa: B006
    path: Annotated[
        Path | None,
        typer.Option(
            "--out",
            parser=a_folder,
            metavar="FILE",
            help="Where to write. Default: `RESULT/cells.csv`; of an archive, beside it.",
        ),
    ] = None,
    study: StudyOption = None,
) -> int:
    """Write a result as a table, one row per cell: its values of the axes, and its single numbers.

    netCDF keeps the axes as dimensions, and histories along training. An archive (zip) is the whole
    result in one file, which other commands read as they read a folder.

    Examples:

        superpos export results/quickstart

        superpos export results/quickstart --at m=2 --out m2.parquet
    """
    from superpos_jax.results import archive
    from superpos_jax.results.export import SUFFIXES, format_of, write

    form = format_of(path, form)
    loaded = sliced(load_named(result, study), selected(at))
    if form == "zip":
        if at:
            raise UserError(
                "--at: an archive is of the whole result; allowed with it: csv, parquet, netcdf"
            )
        path = result.with_name(f"{result.name}.zip") if path is None else path
        out.print(str(archive.write(loaded, path)), soft_wrap=True)
        return DONE
    if path is None:
        of_archive = result.with_name(f"{result.stem}_cells")
        path = of_archive if result.suffix == ".zip" else result / "cells"
        path = path.with_name(path.name + SUFFIXES[form])
    out.print(str(write(loaded.dataset, loaded.axes, path, form)), soft_wrap=True)
    return DONE
