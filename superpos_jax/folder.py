"""A result folder on disk: result.zarr, sweep.toml (resolved), provenance.json, figures/.

While a run is unfinished it holds checkpoint/ too.
"""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from pathlib import Path

from superpos_jax.errors import UserError
from superpos_jax.result import STORE, Result
from superpos_jax.sweep import Sweep

SWEEP, PROVENANCE, FIGURES = "sweep.toml", "provenance.json", "figures"
CHECKPOINT = "checkpoint"


def finished(folder: str | Path, sweep: Sweep) -> bool:
    """Whether the folder already holds the result of this sweep.

    Raises:
        UserError: it holds (part of) the result of another sweep, or is no result folder.
    """
    folder = Path(folder)
    _refuse_foreign(folder)
    _refuse_other(folder, sweep)
    return (folder / STORE).is_dir()


def prepare(folder: str | Path, sweep: Sweep, *, fresh: bool = False) -> None:
    """Make the folder and note the sweep in it; `fresh` empties it of results and checkpoints.

    Raises:
        UserError: it cannot be written, holds another sweep's work, or is no result folder.
    """
    folder = Path(folder)
    _refuse_foreign(folder)
    if not fresh:
        _refuse_other(folder, sweep)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if fresh:
            for name in (STORE, FIGURES, CHECKPOINT):
                shutil.rmtree(folder / name, ignore_errors=True)
            (folder / PROVENANCE).unlink(missing_ok=True)
        _write(folder / SWEEP, sweep.to_toml())
    except OSError as error:
        raise UserError(f"--out {folder}: cannot be written: {error.strerror}") from None


def write(folder: str | Path, result: Result) -> None:
    """Store a finished result in a prepared folder."""
    folder = Path(folder)
    provenance = json.loads(result.dataset.attrs["provenance"])
    _write(folder / PROVENANCE, json.dumps(provenance, indent=2) + "\n")
    result.save(folder)


def _refuse_foreign(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {folder}: a file is in the way")
    known = (STORE, SWEEP)
    if folder.exists() and any(folder.iterdir()) and not any((folder / k).exists() for k in known):
        raise UserError(f"--out {folder}: not empty and not a result folder; choose another")


def _refuse_other(folder: Path, sweep: Sweep) -> None:
    if not any((folder / work).is_dir() for work in (STORE, CHECKPOINT)):
        return
    old = tomllib.loads((folder / SWEEP).read_text()) if (folder / SWEEP).exists() else {}
    new = tomllib.loads(sweep.to_toml())
    for table in ("study", "axes", "cell", "options"):
        before, after = old.get(table, {}), new.get(table, {})
        if before == after:
            continue
        field = table
        if isinstance(before, dict):
            key = next(k for k in {**before, **after} if before.get(k) != after.get(k))
            field, before, after = f"{table}.{key}", before.get(key), after.get(key)
        raise UserError(
            f"--out {folder}: holds another sweep, {field} = {before}, not {after}; "
            "choose another --out, or --fresh to replace it"
        )


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(text)
    part.replace(path)
