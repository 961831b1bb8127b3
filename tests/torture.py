"""Kill the real command again and again, and see that it ends with the bits of a quiet run.

    python tests/torture.py --kills 24      # `make torture`; rewrites benchmarks/torture.md

Half of the kills come at random instants. The others wait from a random instant on until the
command has something half written in its folder (a checkpoint, a result) and strike then. The same
command is started again, until it finishes; then every array is compared byte by byte.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

SUPERPOS = Path(sys.executable).with_name("superpos")
SWEEP = """
name = "tortured"
figures = ["t_sweep"]
[axes]
T = {T}
steps = [900, {steps}]
lr = [1e-2, 3e38]        # the second kills its cells
[cell]
S = 0.9
[options]
n = 30
test_samples = 20
"""
HALF_WRITTEN = {
    "while a checkpoint was written": "checkpoint/*/*tmp*",
    "while a result was written": ".result.zarr.new",
    "while a result was replaced": ".result.zarr.old",
}


class Kill(NamedTuple):
    """One kill: when it came, and the step of the newest checkpoint then (-1: none)."""

    when: str
    checkpoint: int


def command(out: str) -> list[str]:
    """What is killed; it saves far more often than by default."""
    return [str(SUPERPOS), "run", "tortured.toml", "--out", out, "--checkpoint-seconds", "0.3"]


def start(folder: Path, out: str) -> subprocess.Popen[bytes]:
    """The command in a process of its own."""
    with (folder / "log").open("w") as log:
        return subprocess.Popen(command(out), cwd=folder, stdout=log, stderr=log)


def quiet(folder: Path) -> float:
    """Train without disturbance; seconds it took."""
    begin = time.monotonic()
    code = start(folder, "quiet").wait()
    assert code == 1, (folder / "log").read_text()  # some cells die
    return time.monotonic() - begin


def strike(folder: Path, out: str, when: str, earliest: float) -> Kill | None:
    """Start the command and kill it from then on; None if it came to its end first."""
    process = start(folder, out)
    begin = time.monotonic()
    pattern = HALF_WRITTEN.get(when, "")
    while process.poll() is None:
        if time.monotonic() - begin > earliest and not pattern:
            break
        if time.monotonic() - begin > earliest and _there(folder / out, pattern):
            time.sleep(random.uniform(0, 0.01))
            break
        time.sleep(0.0005)
    if process.poll() is not None:
        assert process.returncode in (0, 1), (folder / "log").read_text()
        return None
    process.send_signal(signal.SIGKILL)
    process.wait()
    found = (folder / out / "checkpoint").glob("*/[0-9]*")
    return Kill(when, max((int(p.name) for p in found if p.name.isdigit()), default=-1))


def _there(folder: Path, pattern: str) -> bool:
    try:
        return any(folder.glob(pattern))
    except FileNotFoundError:  # it went while we looked
        return False


def differing(one: Path, other: Path) -> list[str]:
    """Names of the arrays of two results that are not the same to the byte."""
    first, second = (
        xr.open_zarr(folder / "result.zarr", consolidated=False, chunks=None).load()
        for folder in (one, other)
    )
    names = {*map(str, first.variables), *map(str, second.variables)}
    return [
        name
        for name in sorted(names)
        if name not in first.variables
        or name not in second.variables
        or first[name].dtype != second[name].dtype
        or first[name].shape != second[name].shape
        or first[name].values.tobytes() != second[name].values.tobytes()
    ]


def torture(
    folder: Path, kills: int, steps: int, T: tuple[int, int] = (3, 40)
) -> tuple[list[Kill], int]:
    """Kill that many times; the kills, and how many runs came to their end and were compared."""
    (folder / "tortured.toml").write_text(SWEEP.format(steps=steps, T=[*T]))
    seconds = quiet(folder)
    struck: list[Kill] = []
    finished = attempts = 0
    ways = [way for each in HALF_WRITTEN for way in ("at a random instant", each)]
    while True:
        out = f"out{finished}"
        when = ways[attempts % len(ways)]
        attempts += 1
        earliest = random.uniform(0, 0.8 * seconds) if len(struck) < kills else float("inf")
        kill = strike(folder, out, when, earliest)
        if kill is not None:
            struck.append(kill)
            print(f"kill {len(struck)}: {kill.when}, checkpoint {kill.checkpoint}", flush=True)
            continue
        wrong = differing(folder / "quiet", folder / out)
        assert not wrong, f"after {len(struck)} kills these differ: {', '.join(wrong)}"
        left = [path.name for path in (folder / out).iterdir() if path.name.startswith(".")]
        assert not left, f"left behind: {', '.join(left)}"
        shutil.rmtree(folder / out)
        finished += 1
        if len(struck) >= kills:
            return struck, finished


def report(struck: list[Kill], finished: int, steps: int) -> str:
    """The table of benchmarks/torture.md."""
    kinds = Counter(kill.when for kill in struck)
    steps_then = sorted(kill.checkpoint for kill in struck)
    lines = [
        "# Torture",
        "",
        "Written by `make torture`: the command `superpos run` is killed (kill -9) and started",
        f"again until it finishes, {finished} time{'s' * (finished > 1)}; every array is",
        "then compared, byte by byte, with that of a run nobody disturbed. Of its eight cells,",
        f"of 900 and of {steps:,} steps, four die of their learning rate.",
        "",
        f"{os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}.",
        "",
        "| kills | number |",
        "|---|---|",
        *(f"| {when} | {number} |" for when, number in sorted(kinds.items())),
        f"| together | {len(struck)} |",
        "",
        "| step of the newest checkpoint when killed | number |",
        "|---|---|",
        f"| none yet | {sum(step < 0 for step in steps_then)} |",
        f"| up to {steps // 2:,} | {sum(0 <= step <= steps // 2 for step in steps_then)} |",
        f"| beyond | {sum(step > steps // 2 for step in steps_then)} |",
        "",
        "Arrays that differed: none.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Torture, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=24)
    parser.add_argument("--steps", type=int, default=40_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        struck, finished = torture(Path(folder), arguments.kills, arguments.steps)
    text = report(struck, finished, arguments.steps)
    print(text)
    table = Path(__file__).parent.parent / "benchmarks" / "torture.md"
    table.write_text(text)


if __name__ == "__main__":
    main()
