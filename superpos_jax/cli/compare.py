"""The command `compare`: whether results agree on the cells that several of them hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from superpos_jax.cli.options import DONE, SOME_DIED, StudyOption, a_folder
from superpos_jax.cli.terminal import out, print_table
from superpos_jax.errors import UserError
from superpos_jax.text import NBSP


def compare(
    results: Annotated[
        list[Path],
        typer.Argument(
            parser=a_folder, metavar="RESULT", help="Result folders or archives, `.zip`."
        ),
    ],
    study: StudyOption = None,
) -> int:
    """Compare the cells that several results hold; train nothing.

    A cell that stands in two results has the same data, initial weights and training in both. Of
    one code, on one kind of processor, its numbers and histories are the same to the last digit.
    Losses that the two measure on other samples (`test_samples`, `test_draws`) are left out.
    Exit code 1 if one is not: then the two runs differ in code, versions or machine, and at most
    one of them is what this version trains. `superpos audit` says which.

    Example:

        superpos compare figures/data/*.zip
    """
    from superpos_jax.results.overlap import in_short, overlaps
    from superpos_jax.results.registry import load_study

    if study is not None:
        load_study(study)
    if len({*results}) < 2:
        raise UserError("compare: one result; give two or more")
    pairs = overlaps(results)
    rows = [
        (
            f"{pair.first}, {pair.second}",
            f"{pair.cells:,}",
            f"{pair.differing:,}" if pair.differing else "none",
            pair.largest.replace(NBSP, " "),
            pair.trained,
        )
        for pair in pairs
    ]
    if rows:
        head = (
            "results",
            "cells in both",
            "differ",
            "largest difference",
            "trained by the commits",
        )
        print_table("cells that two results hold", head, rows)
    out.print(in_short(pairs))
    return SOME_DIED if any(pair.strange for pair in pairs) else DONE
