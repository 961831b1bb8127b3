"""The command `merge`: the shards of a sweep, trained anywhere, become one result."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from superpos_jax.cli.options import DONE, SOME_DIED, StudyOption, a_folder
from superpos_jax.cli.terminal import out, print_figures, print_result
from superpos_jax.text import counted


def merge(
    folders: Annotated[
        list[Path],
        typer.Argument(
            parser=a_folder, metavar="DIR", help="Result folders of one sweep, as its shards'."
        ),
    ],
    out_folder: Annotated[
        Path,
        typer.Option(
            "--out",
            parser=a_folder,
            metavar="DIR",
            help="Where the result is kept, beside the cells that are there already.",
        ),
    ],
    mix: Annotated[
        bool,
        typer.Option("--mix", help="Merge though the study's code, versions or data differ."),
    ] = False,
    study: StudyOption = None,
) -> int:
    """Put result folders of one sweep together, tell what is missing, and draw the figures.

    Exit code 1 if cells died or are not finished yet; merge again when their shards are done.

    Example:

        superpos merge results/quickstart/shard-* --out results/quickstart
    """
    from superpos_jax.engine.verdicts import UNFINISHED
    from superpos_jax.results.registry import load_study
    from superpos_jax.training import merge as merging
    from superpos_jax.training import shards
    from superpos_jax.training.folder import FIGURES

    if study is not None:
        load_study(study)
    result = merging.merge(folders, out_folder, mix=mix)
    print_result(result)
    for shard, cells in shards.left(result).items():
        out.print(f"shard {shard}: {counted(cells, 'cell')} not finished")
    print_figures(result, out_folder / FIGURES)
    return SOME_DIED if result.dead() or result.count(UNFINISHED) else DONE
