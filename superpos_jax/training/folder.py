"""A result folder on disk: result.zarr, sweep.toml (resolved), provenance.json, figures/.

While a run is unfinished it holds checkpoint/ too, and while one is at work a lock. The folder
keeps every cell that was ever trained in it: a sweep shows its own cells and hides the others.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import xarray as xr

from superpos_jax.engine.verdicts import UNFINISHED
from superpos_jax.errors import UserError
from superpos_jax.results import store
from superpos_jax.results.files import PART, replacing
from superpos_jax.results.grid import Grid
from superpos_jax.results.registry import load_study
from superpos_jax.results.store import NEW, OLD, STORE
from superpos_jax.results.sweep import Sweep
from superpos_jax.results.view import fixed_values, swept
from superpos_jax.text import counted

SWEEP, PROVENANCE, FIGURES = "sweep.toml", "provenance.json", "figures"
CHECKPOINT = "checkpoint"
LOCK, OWNER = ".lock", ".lock.owner"
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP)
"""What a file system says that has no locks, as NFS without its daemon."""
SHARD_FOLDER = r"shard-\d+-of-\d+"
"""How the folders of shards are called, which may lie in the folder of their sweep."""


class Folder:
    """A result folder, for one sweep.

    Args:
        path: the folder; it need not exist.
        sweep: whose cells are to be trained in it.
        grid: of the sweep.
        checked: whether the leading process has already looked at what is there.

    Raises:
        UserError: something else is there, or it cannot be read.
    """

    def __init__(
        self, path: str | Path, sweep: Sweep, grid: Grid, *, checked: bool = False
    ) -> None:
        self.path, self.sweep, self.grid = Path(path), sweep, grid
        if not checked:
            _refuse_foreign(self.path, sweep)
            figures_in(self.path)

    def worth(self) -> str:
        """What would be lost with the folder's work, in words; empty if nothing."""
        trained = 0
        if self._has_store():
            try:
                trained = int((store.read_table(self.path)["verdict"] != UNFINISHED).sum())
            except UserError:
                return "a result that cannot be read"
        if trained:
            return counted(trained, "trained cell")
        return "an unfinished run" if (self.path / CHECKPOINT).is_dir() else ""

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder, and keep other runs out of it; it goes again if it stays empty.

        Raises:
            UserError: another run is at work in it, or it cannot be written.
        """
        with self._writing():
            is_new = not self.path.exists()
            self.path.mkdir(parents=True, exist_ok=True)
            lock = self._acquired(filelock.FileLock)
        try:
            with self._writing():
                for part in filter(lambda path: _is_part(path.name), self.path.iterdir()):
                    part.unlink()  # of a run that was killed while it wrote it
                _write(self.path / OWNER, f"process {os.getpid()} on {socket.gethostname()}")
            yield
        finally:
            with contextlib.suppress(OSError):
                (self.path / OWNER).unlink(missing_ok=True)
                (self.path / LOCK).unlink(missing_ok=True)
            lock.release()
            with contextlib.suppress(OSError):
                if is_new:
                    self.path.rmdir()  # only where nothing was written

    def read(self) -> xr.Dataset | None:
        """The table of all cells in the folder; None where there is none yet.

        Raises:
            UserError: the folder holds another sweep's work, or cannot be read.
        """
        with self._writing():
            store.mend(self.path)
        if not self._has_store():
            return None
        table = store.read_table(self.path)
        self._refuse_other(table)
        return table

    def clear(self) -> None:
        """Remove a result, its figures and checkpoints; where there is none, nothing."""
        with self._writing():
            _write(self.path / SWEEP, self.sweep.to_toml())  # the folder stays a result folder
            if any((self.path / name).exists() for name in (STORE, NEW, OLD, CHECKPOINT)):
                for name in (FIGURES, CHECKPOINT, STORE, NEW, OLD):
                    store.remove(self.path / name)
                (self.path / PROVENANCE).unlink(missing_ok=True)

    def write(self, table: xr.Dataset) -> None:
        """Store a table, the sweep's own cells and hidden ones, in place of what is there."""
        with self._writing():
            self.path.mkdir(parents=True, exist_ok=True)
            _write(self.path / SWEEP, self.sweep.to_toml())
            provenance = json.loads(table.attrs["provenance"])
            _write(self.path / PROVENANCE, json.dumps(provenance, indent=2) + "\n")
            store.write_table(table, self.path)

    def _has_store(self) -> bool:
        """Whether there is a store; `NEW` alone was left by a run killed in its first write."""
        return any((self.path / name).is_dir() for name in (STORE, OLD))

    def _refuse_other(self, table: xr.Dataset) -> None:
        """A folder is continued by a sweep that differs in its axes only."""
        if changes := other_fields(table, self.sweep, self.grid):
            raise UserError(
                f"--out {self.path}: holds another sweep, {'; '.join(changes)}; "
                "choose another --out, or --fresh to replace it"
            )

    def _acquired(self, kind: type[filelock.BaseFileLock]) -> filelock.BaseFileLock:
        """The lock of the folder; where the file system has none, a file that is there or not."""
        path = self.path / LOCK
        lock, is_there = kind(path, blocking=False), path.exists()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that there are no locks: then another is taken
                lock.acquire()
        except filelock.Timeout:
            raise UserError(f"--out {self.path}: in use by {self._owner(kind)}") from None
        except OSError as error:
            if error.errno not in NO_LOCKS or kind is filelock.SoftFileLock:
                raise
            if not is_there:
                path.unlink(missing_ok=True)  # it was made just now, and could not be locked
            return self._acquired(filelock.SoftFileLock)
        return lock

    def _owner(self, kind: type[filelock.BaseFileLock]) -> str:
        """Who holds the lock, and what to do where nobody can tell whether it is still at work."""
        owner = "another run"
        with contextlib.suppress(OSError):
            owner = (self.path / OWNER).read_text().strip()
        is_here = owner.endswith(f" on {socket.gethostname()}")
        if is_here and kind is not filelock.SoftFileLock:
            return owner
        return f"{owner}; if that is no longer running, remove {self.path / LOCK}"

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


def figures_in(folder: Path) -> Path:
    """Where the figures of a result folder lie.

    Raises:
        UserError: a link is there, which may lead a stranger's figures over files of the user.
    """
    figures = folder / FIGURES
    if figures.is_symlink():
        raise UserError(
            f"{figures}: a link; figures stay in the folder of their result: remove it, or plot "
            "with --out FOLDER"
        )
    return figures


def other_fields(table: xr.Dataset, sweep: Sweep, grid: Grid) -> list[str]:
    """What of a table's study, options and common numbers is not a sweep's, in words.

    An option that the study had not yet, when the table was written, has its default.
    """
    attrs, study = table.attrs, grid.study
    fields = type(study.options).model_fields.items()
    defaults = {name: field.get_default() for name, field in fields if not field.is_required()}
    usual = study.options.model_copy(update=defaults).model_dump(mode="json", include={*defaults})
    is_same = attrs["study"] == sweep.study
    old = {"study": study.name() if is_same else load_study(attrs["study"]).name()}
    new: dict[str, Any] = {"study": study.name()}
    old |= _prefixed("options", usual | json.loads(attrs["options"]))
    new |= _prefixed("options", study.options.model_dump(mode="json"))
    fixed, now_fixed = json.loads(attrs["cell"]), fixed_values(grid)
    comparable = [n for n in fixed if n in now_fixed and n not in swept(table)]
    old |= _prefixed("cell", {name: fixed[name] for name in comparable})
    new |= _prefixed("cell", {name: now_fixed[name] for name in comparable})
    return [
        f"{key} = {old.get(key)}, not {new.get(key)}"
        for key in {**old, **new}
        if old.get(key) != new.get(key)
    ]


def _refuse_foreign(folder: Path, sweep: Sweep) -> None:
    """A folder that holds anything must hold a result, or be about to."""
    store.refuse_elsewhere(folder)
    if folder.suffix == ".zip":
        raise UserError(
            f"--out {folder}: a folder cannot end in .zip, as archives do; choose another"
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
    held = {name for name in held if not re.fullmatch(SHARD_FOLDER, name)}
    if held and not held & ours and not begun:
        raise UserError(f"--out {folder}: not empty and not a result folder; choose another")


def _prefixed(table: str, values: dict[str, Any]) -> dict[str, Any]:
    return {f"{table}.{name}": value for name, value in values.items()}


def _is_part(name: str) -> bool:
    return name.startswith(".") and name.endswith(PART)


def _write(path: Path, text: str) -> None:
    with replacing(path) as part:
        part.write_text(text)
        store.fsync(part)  # a crash of the machine leaves the old file or the whole new one
    store.fsync(path.parent)
