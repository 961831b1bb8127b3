"""A result folder on disk: result.zarr, sweep.toml (resolved), provenance.json, figures/.

While a run is unfinished it holds checkpoint/ too, and while one is at work a lock. The folder
keeps every cell that was ever trained in it: a sweep shows its own cells and hides the others.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import filelock

from superpos_jax.engine.verdicts import UNFINISHED
from superpos_jax.errors import UserError
from superpos_jax.results import records, result
from superpos_jax.results.grid import MAX_CELLS, Grid
from superpos_jax.results.result import NEW, OLD, STORE
from superpos_jax.results.sweep import Sweep

SWEEP, PROVENANCE, FIGURES = "sweep.toml", "provenance.json", "figures"
CHECKPOINT = "checkpoint"
LOCK, OWNER = ".lock", ".lock.owner"
PART = ".part"
"""How the names of files end that are being written."""


class Folder:
    """A result folder, for one sweep.

    Args:
        path: the folder; it need not exist.
        sweep: whose cells are to be trained in it.

    Raises:
        UserError: something else is there, or it cannot be read.
    """

    def __init__(self, path: str | Path, sweep: Sweep) -> None:
        self.path, self.sweep, self.grid = Path(path), sweep, sweep.grid()
        self.stored: Sweep | None = None
        """The sweep that the folder shows, once it was read."""
        _refuse_foreign(self.path, sweep)

    def missing(self) -> list[Any]:
        """The sweep's cells that are not trained yet.

        Raises:
            UserError: the folder holds another sweep's work.
        """
        known, _ = self._known()
        return [cell for cell in self.grid.cells if records.verdict(known.get(cell)) == UNFINISHED]

    def worth(self) -> str:
        """What would be lost with the folder's work, in words; empty if nothing."""
        trained = 0
        if any((self.path / name).exists() for name in (STORE, OLD)):
            try:
                trained = int((result.load_all(self.path)["verdict"] != UNFINISHED).sum())
            except UserError:
                return "a result that cannot be read"
        if trained:
            return f"{trained:,} trained cell{'s' * (trained > 1)}"
        return "an unfinished run" if (self.path / CHECKPOINT).is_dir() else ""

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder, and keep other runs out of it.

        Raises:
            UserError: another run is at work in it, or it cannot be written.
        """
        with self._writing():
            self.path.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(self.path / LOCK, blocking=False)
            try:
                lock.acquire()
            except filelock.Timeout:
                raise UserError(f"--out {self.path}: in use by {self._owner()}") from None
        try:
            with self._writing():
                for left in filter(lambda path: _is_part(path.name), self.path.iterdir()):
                    left.unlink()  # of a run that was killed while it wrote it
                _write(self.path / OWNER, f"process {os.getpid()} on {socket.gethostname()}")
            yield
        finally:
            with contextlib.suppress(OSError):
                (self.path / OWNER).unlink(missing_ok=True)
                (self.path / LOCK).unlink(missing_ok=True)
            lock.release()

    def read(self) -> tuple[dict[Any, records.Record], list[Any]]:
        """Records of all cells in the folder, and the runs that made them.

        Raises:
            UserError: the folder holds another sweep's work, or cannot be read.
        """
        with self._writing():
            result.mend(self.path)
        return self._known()

    def clear(self) -> None:
        """Remove a result, its figures and checkpoints; where there is none, nothing."""
        with self._writing():
            _write(self.path / SWEEP, self.sweep.to_toml())  # the folder stays a result folder
            if any((self.path / name).exists() for name in (STORE, NEW, OLD, CHECKPOINT)):
                for name in (FIGURES, CHECKPOINT, STORE, NEW, OLD):
                    result.remove(self.path / name)
                (self.path / PROVENANCE).unlink(missing_ok=True)

    def shows_other(self) -> bool:
        """Whether the folder shows other cells than the sweep's, or in another order."""
        return self.stored is None or self.stored.to_toml() != self.sweep.to_toml()

    def places(self, known: Mapping[Any, records.Record]) -> int:
        """Cells of the grid that is stored: all combinations of what was ever swept."""
        return math.prod(self.whole(known).shape)

    def write(self, known: Mapping[Any, records.Record], runs: Sequence[Any]) -> None:
        """Store the records, the sweep's own cells and hidden ones, in place of what is there."""
        with self._writing():
            dataset = records.build(self.sweep, self.whole(known), known, runs)
            self.path.mkdir(parents=True, exist_ok=True)
            _write(self.path / SWEEP, self.sweep.to_toml())
            provenance = json.loads(dataset.attrs["provenance"])
            _write(self.path / PROVENANCE, json.dumps(provenance, indent=2) + "\n")
            result.Result(dataset).save(self.path)

    def _known(self) -> tuple[dict[Any, records.Record], list[Any]]:
        """Records and runs in the folder, which must be of a sweep that this one continues."""
        if not any((self.path / name).is_dir() for name in (STORE, OLD)):
            return {}, []  # NEW alone: killed while its first store was written
        dataset = result.load_all(self.path)
        self.stored = result.Result(dataset).sweep
        grid = result.stored_grid(dataset)
        self._refuse_other(self.stored.grid(), tuple(grid.axes))
        known = records.take_apart(dataset, grid)
        self._refuse_relabelled(known)
        return known, records.provenance(dataset)

    def _refuse_relabelled(self, known: Mapping[Any, records.Record]) -> None:
        """A cell that was retried keeps its label, which an axis would take for its value."""
        held: set[str] = set().union(*known.values())
        retried = [name for name in self.grid.axes if records.RETRY + name in held]
        for cell in self.grid.cells if retried else ():
            trained = records.as_trained(cell, known.get(cell, {}))
            for name in retried:
                label, value = getattr(cell, name), getattr(trained, name)
                if label != value:
                    raise UserError(
                        f"--out {self.path}: axes.{name}: the cell of {label} was trained again"
                        f" with {value}; choose another --out, or --fresh to replace it"
                    )

    def _refuse_other(self, old: Grid, grown: Sequence[str]) -> None:
        """A folder is continued by a sweep that differs in its axes only."""
        new = self.grid
        swept = {*old.axes, *new.axes, *grown}
        before, after = (
            {"study": grid.study.name()}
            | {f"options.{k}": v for k, v in grid.study.options.model_dump().items()}
            | {f"cell.{k}": v for k, v in asdict(grid.cells[0]).items() if k not in swept}
            for grid in (old, new)
        )
        changes = [
            f"{key} = {before.get(key)}, not {after.get(key)}"
            for key in {**before, **after}
            if before.get(key) != after.get(key)
        ]
        if changes:
            raise UserError(
                f"--out {self.path}: holds another sweep, {'; '.join(changes)}; "
                "choose another --out, or --fresh to replace it"
            )

    def whole(self, known: Mapping[Any, records.Record]) -> Grid:
        """The sweep's grid, widened by the values of hidden cells."""
        grid = self.grid
        axes = {name: list(values) for name, values in grid.axes.items()}
        for name, own in asdict(grid.cells[0]).items():
            values = dict.fromkeys(axes.get(name, [own]))
            values |= dict.fromkeys(getattr(cell, name) for cell in known)
            if name in axes or len(values) > 1:
                axes[name] = list(values)
        if math.prod(map(len, axes.values())) > MAX_CELLS:
            raise UserError(
                f"--out {self.path}: more than {MAX_CELLS:,} combinations of the values of this "
                "and of earlier sweeps; choose another --out"
            )
        base = {name: value for name, value in grid.base.items() if name not in axes}
        return Grid(grid.study, base, {name: tuple(values) for name, values in axes.items()})

    def _owner(self) -> str:
        with contextlib.suppress(OSError):
            return (self.path / OWNER).read_text()
        return "another run"

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Say in one line why something cannot be written."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                reason += "; make room and run the same command again, it continues from there"
            raise UserError(f"--out {self.path}: cannot be written: {reason}") from None


def _refuse_foreign(folder: Path, sweep: Sweep) -> None:
    """A folder that holds anything must hold a result, or be about to."""
    if folder.suffix == ".zip":
        raise UserError(
            f"--out {folder}: archives are called .zip, a folder is not; choose another"
        )
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--out {folder}: a file is in the way")
    if (folder / CHECKPOINT).is_file():
        raise UserError(f"--out {folder}: {CHECKPOINT} is a file there; move it away")
    ours = {STORE, NEW, OLD, OWNER}
    try:
        held = {path.name for path in folder.iterdir()} if folder.exists() else set()
        begun = SWEEP in held and (folder / SWEEP).read_bytes() == sweep.to_toml().encode()
    except OSError as error:
        raise UserError(f"--out {folder}: cannot be read: {error.strerror}") from None
    held = {name for name in held if name != LOCK and not _is_part(name)}
    if held and not held & ours and not begun:
        raise UserError(f"--out {folder}: not empty and not a result folder; choose another")


def _is_part(name: str) -> bool:
    return name.startswith(".") and name.endswith(PART)


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    try:
        part.write_text(text)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
