"""Who trained a result, with which code: machine, versions, commit, hashes, times."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import platform as host_platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jax

from superpos_jax.engine.bits import ANY
from superpos_jax.engine.once import Once
from superpos_jax.engine.study import Study
from superpos_jax.results.source import (
    code_of,
    engine_files,
    engine_hash,
    source_files,
    source_hash,
)

Machine = dict[str, Any]
SOURCES = "data_sources"
"""What data were read from, by name."""
SOURCE, ENGINE, FLAGS, SHARD = "study_source", "engine_source", "XLA_FLAGS", "shard"
COMMIT, CHANGED = "commit", "changed_code"
"""The commit of the checkout, and the files that compute whose code the commit does not have."""
THREADS, PARTS = CORES = "threads", "one_device_or_several"
"""What is noted of a CPU's cores where it decides bits, else `bits.ANY`."""
CHECKOUT = Path(__file__).parents[2]
"""Where the package runs from, if that is a checkout."""


def machine() -> Machine:
    """Kind of machine, versions and code: where they are equal, bits are."""
    device = jax.devices()[0]
    packages = ["superpos_jax", "jax", "jaxlib", "optax", "numpy"]
    if device.platform == "gpu" and find_spec("triton"):
        packages.append("triton")
    return {
        "versions": {name: version(name) for name in packages},
        COMMIT: _commit(),
        "machine": host_platform.machine(),
        "processor": _processor(),
        "device": f"{device.platform}: {device.device_kind}",
        FLAGS: _flags(),
    }


def trainer(study: Study) -> Machine:
    """The machine, the hashes of the code of study and engine, and the files that differ from HEAD.

    The hash of a study is empty where its source cannot be read. Outside of a checkout there is no
    list of files.
    """
    code = {SOURCE: source_hash(type(study)), ENGINE: engine_hash()}
    changed = changed_code(type(study))
    return {**machine(), **code, **({} if changed is None else {CHANGED: changed})}


def begun(devices: int, study: Study) -> dict[str, Any]:
    """The entry of a run that begins now on so many devices."""
    return {
        "started": now(),
        **trainer(study),
        "python": host_platform.python_version(),
        "devices": devices,
        "processes": jax.process_count(),
        "compile_seconds": 0.0,
        "saving_seconds": 0.0,
        "wall_seconds": 0.0,
    }


def differences(run: Machine, present: Machine) -> list[str]:
    """What of machine, versions and code differs between a run and the present, in words.

    A run of version 0.1 has no hash of its study and notes no cores: that is no difference. Where
    the hashes of study and engine are known, they are compared and the commit is not.
    """
    then, today = _flat(run), _flat(present)
    today.pop(CHANGED, None)
    if then.get(SOURCE) and then.get(ENGINE):
        today.pop(COMMIT, None)
    unknown = {FLAGS: ""} | {key: today.get(key) for key in (SOURCE, ENGINE, *CORES)}
    then = {key: value for key, value in then.items() if key not in CORES or value != ANY}
    return [
        f"{key} {then.get(key, unknown.get(key)) or 'none'}, here {value or 'none'}"
        for key, value in today.items()
        if then.get(key, unknown.get(key)) != value
    ]


def changed_source(runs: Sequence[Machine], study: type[Study]) -> str:
    """In words, that a study's code is not what trained some of its cells; empty if it is."""
    present = source_hash(study)
    others = {str(run[SOURCE]) for run in runs if run.get(SOURCE)} - {present}
    if not others or not present:
        return ""
    return (
        f"the code of {study.name()} has changed since its cells were trained "
        f"({SOURCE} {', '.join(sorted(others))}, now {present})"
    )


def data_sources(study: Study, cells: Iterable[Any]) -> dict[str, str]:
    """What the data of these cells are read from outside of the package, by name."""
    of = Once(study.data_sources)
    return {name: text for cell in cells for name, text in of(cell).items()}


def changed_data(runs: Sequence[Machine], present: Mapping[str, str]) -> str:
    """Which data are others than those that some cells were trained on, in words; empty if none.

    >>> changed_data([{"data_sources": {"corpus own": "sha256 1f"}}], {"corpus own": "sha256 a0"})
    'corpus own has changed since cells were trained on it (sha256 1f, now sha256 a0)'
    >>> changed_data([{}], {"corpus own": "sha256 a0"})
    ''
    """
    for run in runs:
        for name, text in run.get(SOURCES, {}).items():
            if text != present.get(name, text):
                return (
                    f"{name} has changed since cells were trained on it"
                    f" ({text}, now {present[name]})"
                )
    return ""


def now() -> str:
    """The time, for a reader anywhere."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _flat(run: Machine) -> dict[str, Any]:
    return {key: value for key, value in run.items() if key != "versions"} | run.get("versions", {})


def _flags() -> str:
    """What the environment tells XLA; any of it may change bits."""
    flags = [os.environ.get(name, "") for name in (FLAGS, "LIBTPU_INIT_ARGS")]
    if jax.config.read("jax_disable_most_optimizations"):
        flags.append("jax_disable_most_optimizations")
    return " ".join(filter(None, flags))


def _processor() -> str:
    """The model of the processor, whose vector units decide how sums are rounded."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line for line in lines if line.startswith("model name")).partition(": ")[2]
    return host_platform.processor()


def changed_code(study: type[Study]) -> list[str] | None:
    """The files that compute a study's cells and whose code differs from the checkout's commit.

    Looked at are the files of the study, of the engine, and those that studies share; comments and
    docstrings do not count. Paths in the checkout; None outside of one.
    """
    changed = _changed_modules()
    if changed is None:
        return None
    files = engine_files()
    with contextlib.suppress(OSError, TypeError):
        files += source_files(study)
    places = {file.parent for file in files}
    return [name for name in changed if (CHECKOUT / name).parent in places]


@cache
def _changed_modules() -> tuple[str, ...] | None:
    """The modules of the package whose code is not that of the checkout's commit, if it is one."""
    try:
        status = _git("status", "--porcelain", "--no-renames", "-uall", "-z", "--", "superpos_jax")
        changed = []
        for state, name in ((line[:2], line[3:]) for line in status.split("\0")):
            if not name.endswith(".py"):
                continue
            file, is_new = CHECKOUT / name, state == "??" or "A" in state
            before = "" if is_new else _git("show", f"HEAD:{name}")
            after = file.read_text(encoding="utf-8") if file.exists() else ""
            if code_of(before) != code_of(after):
                changed.append(name)
    except (OSError, subprocess.SubprocessError, SyntaxError, ValueError):
        return None
    return tuple(changed)


@cache
def _commit() -> str:
    """Commit of the checkout the package runs from, and its changes; empty if it is installed."""
    try:
        commit = _git("describe", "--always", "--dirty", "--abbrev=12").strip()
        if commit.endswith("-dirty"):  # one changed checkout is not another
            difference = _git("diff", "HEAD", "--", "superpos_jax")
            commit += "-" + hashlib.sha256(difference.encode()).hexdigest()[:8]
    except (OSError, subprocess.SubprocessError, ValueError):
        return ""
    return commit


def _git(*arguments: str) -> str:
    """What git says of the checkout that the package runs from.

    Raises:
        OSError, SubprocessError: it is not a checkout, or git does not answer.
    """
    if not (CHECKOUT / ".git").exists():
        raise FileNotFoundError(CHECKOUT / ".git")
    command = ["git", "-C", str(CHECKOUT), *arguments]
    answer = subprocess.run(command, capture_output=True, timeout=10, check=True)
    return answer.stdout.decode()
