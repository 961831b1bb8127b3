"""What several commands take, and how they end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DONE, SOME_DIED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""

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
        help='Override a field or an axis: `--set "T=[10, 100]" --set "seed=range(8)" --set '
        "steps=200`. Repeatable.",
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
