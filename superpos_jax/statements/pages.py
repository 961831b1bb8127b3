"""What a study hands in for the gallery: its statements, and the words around its figures.

A shipped study that has statements has a room `statements`, which exports `STATEMENTS`, a sequence
of `Statement`, and `PAGE`, a `Page`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from superpos_jax.results.registry import SHIPPED, shipped_studies
from superpos_jax.results.sweep import Sweep, load_sweep, shipped
from superpos_jax.statements.checks import Statement


class Page(NamedTuple):
    """Which sweeps the page of a study shows, in which order, and what it says before them."""

    title: str
    """The heading."""
    source: str
    """Whose statements are checked, in a few words: "the paper"."""
    reference: str
    """Where the numbers in the column `reference` come from, as it stands after "is"."""
    folders: tuple[str, ...]
    """Folders of shipped sweeps that it shows."""
    place: Callable[[str], Any]
    """Sort key of the name of a sweep, as "paper/P6"."""
    preface: tuple[str, ...] = ()
    """Paragraphs before the first figure: definitions that all of them need."""
    weights: str = ""
    """The array that holds the weights of a model: the page says of how many they are stored."""
    named: tuple[str, ...] = ()
    """Options that are named beside the axes of a sweep."""
    folder: str = "."
    """Where the page is, below the folder of the figures."""


class Entry(NamedTuple):
    """A sweep whose figures are shown."""

    key: str
    """As `superpos run` takes it: "paper/P6"."""
    title: str
    paragraphs: list[str]
    """The other paragraphs of the sweep file's header."""
    sweep: Sweep


class Collection(NamedTuple):
    """What one study hands in, and the sweeps that its page shows."""

    page: Page
    statements: tuple[Statement, ...]
    entries: tuple[Entry, ...]


@cache
def collections() -> tuple[Collection, ...]:
    """Of every shipped study that has statements.

    >>> "paper/P1" in [entry.key for page in collections() for entry in page.entries]
    True
    """
    rooms = (f"{SHIPPED}.{study}.statements" for study in shipped_studies())
    modules = [importlib.import_module(room) for room in rooms if importlib.util.find_spec(room)]
    return tuple(
        Collection(module.PAGE, tuple(module.STATEMENTS), _entries(module.PAGE))
        for module in modules
    )


def _entries(page: Page) -> tuple[Entry, ...]:
    entries = []
    for key, path in shipped().items():
        if key.partition("/")[0] in page.folders:
            title, *paragraphs = header(path)
            entries.append(Entry(key, title, paragraphs, load_sweep(path)))
    return tuple(sorted(entries, key=lambda entry: page.place(entry.key)))


def header(path: Path) -> list[str]:
    """The paragraphs of the comment at the beginning of a sweep file."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return [" ".join(part.split("\n")) for part in "\n".join(lines).split("\n\n")]
