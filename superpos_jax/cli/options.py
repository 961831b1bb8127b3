"""What several commands take, and how they end."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

DONE, SOME_DIED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""
ENDS = (
    "Exit codes: 0 done; 1 some cells became non-finite, an audit found different bits, or a "
    "comparison other numbers; 2 the input is wrong: one line says what is allowed, or the code of "
    "a study fails; 130 interrupted, the same command continues."
)


def a_folder(text: str) -> Path:
    """The path of a folder or file of this machine.

    Raises:
        BadParameter: it is empty, or the address of something elsewhere.
    """
    if not text or re.match(r"[a-z][a-z0-9+.-]+:/", text):
        raise typer.BadParameter(f"{text!r}: allowed: a folder of this machine")
    return Path(text)


SweepArgument = Annotated[
    str, typer.Argument(help="A sweep file, or the name of a shipped sweep (`superpos list`).")
]
ResultArgument = Annotated[
    Path,
    typer.Argument(
        parser=a_folder,
        metavar="RESULT",
        help="A result folder, as `results/quickstart`, or an archive, `.zip`.",
    ),
]
StudyOption = Annotated[
    str | None,
    typer.Option(
        "--study",
        metavar="MODULE:CLASS",
        help="The study of the result, where it is your own: its code runs only if you name it.",
    ),
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


def _at(default: str) -> Any:
    """The option --at, and what holds without it."""
    return typer.Option(
        "--at",
        metavar="AXIS=VALUE",
        help='The cells at this value of an axis, or at some: `--at lr=3e-3 --at "T=[10, 100]"`. '
        f"Default: {default}. Repeatable.",
    )


AtOption = Annotated[list[str], _at("the first value of each axis that is not shown")]
AtOrAllOption = Annotated[list[str], _at("all cells")]
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
