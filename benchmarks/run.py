"""Speed and memory, measured in one run: `make bench` prints the tables and rewrites README.md.

Each way of doing a full-batch step (ways.py) runs in a process of its own; the ways take turns, so
that a drift of the machine hits all of them, and ratios are taken within a turn.

    python benchmarks/run.py            # everything, about half an hour on two cores
    python benchmarks/run.py --turns 1
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
from page import spread, table, write
from ways import REFERENCE, SHAPES, WAYS, timed, trainer

HERE = Path(__file__).parent


def memory() -> float:
    """Peak resident bytes of training one cell of 100,000 samples at n = 10,000."""
    trainer([{"T": 100_000, "m": 2}], 10_000, 1)(2)
    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def help_text() -> float:
    """Seconds until `superpos --help` has answered."""
    command = [str(Path(sys.executable).with_name("superpos")), "--help"]
    return timed(lambda: subprocess.run(command, check=True, capture_output=True), 2.0)


def first_line() -> float:
    """Seconds until `superpos run quickstart` has printed its first line."""
    superpos = str(Path(sys.executable).with_name("superpos"))

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            command = [superpos, "run", "quickstart", "--out", f"{folder}/out"]
            process = subprocess.Popen(command, stderr=subprocess.PIPE)
            assert process.stderr
            process.stderr.readline()
            process.kill()

    return timed(run, 2.0)


def compilation() -> float:
    """Seconds to compile the shipped sweep that takes longest, as `superpos run` does.

    Each starts as many processes as the whole of it would. Sweeps on texts or places that are not
    here are left out, and told.
    """
    from superpos_jax.errors import UserError
    from superpos_jax.results.sweep import load_sweep, shipped
    from superpos_jax.training.estimate import processes_for

    superpos = str(Path(sys.executable).with_name("superpos"))
    seconds = []
    for name in shipped():
        try:
            grid = load_sweep(name).grid()
            count = str(processes_for(grid.study, grid.cells, None))
        except UserError as error:
            print(f"{name}: left out: {error}", file=sys.stderr)
            continue
        short = "steps=1" if "steps" in grid.study.cell_fields() else "epochs=1"
        with tempfile.TemporaryDirectory() as folder:
            command = [superpos, "run", name, "--set", short, "--out", f"{folder}/out"]
            command += ["--processes", count]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode == 2 and "pip install" in done.stderr:
                print(f"{name}: left out: {done.stderr.splitlines()[-1]}", file=sys.stderr)
                continue
            if done.returncode > 1:  # 1: some cells died
                raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
            told = json.loads(Path(folder, "out", "provenance.json").read_text())
        seconds.append(told["compile_seconds"])
    return max(seconds)


def quickstart() -> tuple[float, float, float]:
    """Of a run of the quickstart: steps a second, seconds in all, and the share of checkpoints."""
    superpos = str(Path(sys.executable).with_name("superpos"))
    with tempfile.TemporaryDirectory() as folder:
        command = [superpos, "run", "quickstart", "--out", f"{folder}/out"]
        subprocess.run(command, check=True, capture_output=True)
        told = json.loads(Path(folder, "out", "provenance.json").read_text())
    wall = told["wall_seconds"]
    return 2000 / (wall - told["compile_seconds"]), wall, told["saving_seconds"] / wall


LARGE = ["--set", "n=10000", "--set", "S=0.999"]
MEMORY = {
    "quickstart": ["--set", "steps=40"],
    "120 cells of m = 16, n = 10,000": [
        *LARGE, "--set", "T=[10, 100]", "--set", "m=16", "--set", "steps=4",
        "--set", f"seed={list(range(60))}",
    ],
    "one cell of T = 1,000,000, n = 10,000": [
        *LARGE, "--set", "T=1_000_000", "--set", "m=2", "--set", "steps=1", "--set", "seed=0",
    ],
}  # fmt: skip
"""Sweeps whose memory is foreseen and measured: changes to the quickstart."""


def peaks(arguments: list[str]) -> tuple[float, float]:
    """Peak bytes of `superpos run` with a checkpoint, all its processes: foreseen, measured."""
    from superpos_jax import load_sweep
    from superpos_jax.engine import memory
    from superpos_jax.training.job import find_devices

    grid = load_sweep("quickstart", arguments[1::2]).grid()
    cores = len(find_devices(None))
    foreseen = memory.peak(grid.study, grid.cells, cores, "cpu", processes=cores)
    foreseen += memory.results(grid.study, grid.cells, "cpu", processes=cores)
    with tempfile.TemporaryDirectory() as folder:
        superpos = str(Path(sys.executable).with_name("superpos"))
        command = [superpos, "run", "quickstart", "--out", f"{folder}/out", *arguments]
        process = subprocess.Popen(
            [*command, "--checkpoint-seconds", "0", "--processes", str(cores)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        most, watched = 0, psutil.Process(process.pid)
        while process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                held = [each.memory_info().rss for each in [watched, *watched.children()]]
                most = max(most, sum(held))
            time.sleep(0.02)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} failed")
    return foreseen, float(most)


OTHERS = {
    "peak memory of a cell with T = 100,000, n = 10,000": (memory, lambda v: f"{v / 1e9:.2f} GB"),
    "superpos --help": (help_text, lambda v: f"{v:.2f} s"),
    "first line of superpos run quickstart": (first_line, lambda v: f"{v:.1f} s"),
    "compilation of the shipped sweep that takes longest": (compilation, lambda v: f"{v:.1f} s"),
}


def told(script: str, *arguments: str) -> Any:
    """What a script of this folder prints as JSON, run in a process of its own."""
    command = [sys.executable, str(HERE / script), *arguments]
    print(" ".join(command[1:]), file=sys.stderr)
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def roofline(turns: int) -> list[str]:
    """Every way at every shape."""
    rates: dict[str, list[list[float]]] = {name: [] for name in WAYS}
    limits = []
    for _ in range(turns):
        if shutil.which("c++"):
            limits.append(told("ways.py", "native"))
        for name in WAYS:
            rates[name].append(told("ways.py", name))

    def column(way: str, i: int) -> list[float]:
        return [turn[i] for turn in rates[way]]

    def ratio(way: str, other: str, i: int) -> list[float]:
        return [a / b for a, b in zip(column(way, i), column(other, i), strict=True)]

    cores = len(os.sched_getaffinity(0))
    m, n, T = REFERENCE
    lines = [
        "## One full-batch AdamW step",
        "",
        "Billion (sample, feature) pairs a second, whole steps, the optimizer included; median",
        f"(and range) over {turns} turns; ratios are taken within a turn. PyTorch, dense JAX: all",
        "cores. The limit of a core is its rate of multiply-adds over the 3 (m + 1) of a pair.",
    ]
    if limits:
        peak = [limit["multiply-adds"] for limit in limits]
        loop = [limit["pairs"] for limit in limits]
        lines += [
            f"One core does {spread(peak, '.0f')} billion multiply-adds a second; a loop in C++",
            f"with all in registers (native.cpp) {spread(loop, '.1f')} billion pairs at m = 2.",
        ]
        share = [ours / (cores * best) for ours, best in zip(column("cores", 0), loop, strict=True)]
        lines += [
            f"At m = {m}, n = {n:,}, T = {T:,} all cores together do {spread(share, '.0%')} of",
            "what that loop would do on as many.",
        ]
    body = []
    for i, (m, n, T) in enumerate(SHAPES):
        limit = [
            100 * rate * 3 * (m + 1) / of_core["multiply-adds"]
            for rate, of_core in zip(column("core", i), limits, strict=False)
        ]
        body.append((
            m, f"{n:,}", f"{T:,}",
            f"{statistics.median(column('torch', i)):.3f}",
            f"{statistics.median(column('jax', i)):.3f}",
            spread(column("core", i), ".2f"), spread(column("cores", i), ".2f"),
            spread(ratio("cores", "torch", i), ".0f"), spread(ratio("cores", "jax", i), ".1f"),
            spread(ratio("cores", "core", i), ".2f"),
            f"{statistics.median(limit):.0f} %" if limit else "",
        ))  # fmt: skip
    head = ("m", "n", "T", "PyTorch", "dense JAX", "one core", f"{cores} cores", "/ PyTorch",
            "/ dense JAX", f"{cores} cores / one", "one core / its limit")  # fmt: skip
    return lines + table(head, *body)


def inside() -> list[str]:
    """What a step consists of, and what was tried."""
    parts = told("parts.py")
    names = list(next(iter(parts["phases"].values())))
    shares = [
        (name, *(f"{100 * value[name] / value['step']:.0f} %" for name in names[:-1]),
         f"{value['step']:,.0f}") for name, value in parts["phases"].items()
    ]  # fmt: skip
    tiny = parts["tiny cells"]
    moved = 1e3 * tiny["AdamW's bytes"]
    lines = ["## Where a step of one cell goes, on one core", ""]
    lines += ["reference: m = 2, n = 10,000, T = 8,192; quickstart: m = 2, n = 500, T = 475; tiny:"]
    lines += ["m = 2, n = 1,000, T = 32; last: m = 16, n = 10,000, T = 8,192. By the profiler."]
    lines += table(("cell", *names[:-1], "microseconds"), *shares)
    lines += [
        "",
        f"1,000 cells of T = 8 to 64 at n = 1,000: {tiny['cells']:,.0f} cell-steps a second, "
        f"{1e3 * tiny['step']:.1f} ms a step. The bytes that AdamW must move (28 a parameter) "
        f"take {moved:.1f} ms at the speed at which this core copies memory.",
        *worth_of_a_kernel(parts["phases"]),
        "",
        "## Growth",
        "",
        "n = 10,000, one core; one of T = 2,000, m = 2 and one cell grows at a time.",
    ]
    grown = []
    for axis in ("T", "m", "cells"):
        (first, begin), *rest = [(v, t) for name, v, t in parts["linear"] if name == axis]
        grown.append((axis, f"{first:,}", f"{1e3 * begin:.1f}", "1", "1"))
        grown += [
            (axis, f"{v:,}", f"{1e3 * t:.1f}", f"{v / first:,.0f}", f"{t / begin:,.1f}")
            for v, t in rest
        ]
    lines += table(("axis", "value", "ms a step", "grown by", "time grown by"), *grown)
    lines += ["", "## What was tried", ""]
    lines += ["All features of a block, m = 2, n = 10,000, one core, with one thing changed."]
    tried = parts["dense"]
    base = next(iter(tried.values()))
    rows = [(name, f"{value:.2f}", f"{value / base:.2f}") for name, value in tried.items()]
    lines += table(("variant", "billion pairs a second", "of what it does"), *rows)
    lines += ["", "The non-zeros of a block: microseconds for 3,072 of them, w numbers each."]
    rows = [(w, *(f"{value:.1f}" for value in values)) for w, values in parts["layouts"].items()]
    head = ("w", "gather by feature", "gather by row of W", "scatter by feature", "by row of W")
    return lines + table(head, *rows)


def worth_of_a_kernel(phases: dict[str, dict[str, float]]) -> list[str]:
    """What a hand-written kernel for the part that touches all features would gain."""
    if not shutil.which("c++"):
        return []
    pairs = told("ways.py", "native")["pairs"]
    gains = []
    for name, pairs_of_step in (("reference", 8_192 * 10_000), ("quickstart", 475 * 500)):
        phase = phases[name]
        rest = phase["step"] - phase["decode"] - phase["reductions"]
        gains.append(f"{phase['step'] / (rest + 1e-3 * pairs_of_step / pairs):.2f} ({name})")
    return [
        "",
        f"A kernel of our own for decode and reductions that did the {pairs:.1f} billion pairs a "
        f"second of native.cpp would make a step faster by {' and '.join(gains)}.",
    ]


def program() -> list[str]:
    """The command as a user meets it."""
    lines = ["## The program"]
    rows = []
    for name, (_, show) in OTHERS.items():
        rows.append((name, show(told("run.py", "--measure", name))))
    steps, wall, saving = quickstart()
    rows += [
        ("superpos run quickstart", f"{wall:.0f} s, {steps:.1f} steps of 288 cells a second"),
        ("share of checkpoints in it", f"{100 * saving:.2f} %"),
    ]
    cores = sorted(os.sched_getaffinity(0))
    alone, together = plane(cores[:1]), plane(cores)
    rows.append((
        f"a plane of T = 3 to 5,000, m = 2 to 16, n = 10,000: {len(cores)} cores / one",
        f"{alone / together:.2f} ({together:.2f} s a step)",
    ))  # fmt: skip
    lines += table(("what", "measured"), *rows)
    rows = []
    for name, arguments in MEMORY.items():
        foreseen, measured = peaks(arguments)
        print(f"{name}: {foreseen / 1e9:.2f} GB foreseen, {measured / 1e9:.2f}", file=sys.stderr)
        ratio = f"{foreseen / measured:.2f}"
        rows.append((name, f"{foreseen / 1e9:.2f} GB", f"{measured / 1e9:.2f} GB", ratio))
    head = ("peak memory of a run, with a checkpoint", "`superpos plan`", "measured", "ratio")
    return lines + table(head, *rows)


def plane(cores: Sequence[int]) -> float:
    """Seconds a step of a plane of T = 3 to 5,000, m = 2 to 16, n = 10,000 takes on some cores."""
    superpos = str(Path(sys.executable).with_name("superpos"))
    with tempfile.TemporaryDirectory() as folder:
        sweep = Path(folder, "reference.toml")
        sweep.write_text(
            "[axes]\nT = [3, 5, 10, 30, 100, 200, 500, 1000, 2000, 5000]\nm = [2, 4, 8, 16]\n"
            "[cell]\nS = 0.999\nsteps = 200\n[options]\nn = 10_000\ntest_samples = 100\n"
        )
        command = [superpos, "run", str(sweep), "--out", f"{folder}/out"]
        os.sched_setaffinity(0, cores)
        subprocess.run(command, check=True, capture_output=True)
        told = json.loads(Path(folder, "out", "provenance.json").read_text())
    return (told["wall_seconds"] - told["compile_seconds"]) / 200


SECTIONS: dict[str, Callable[..., list[str]]] = {
    "step": roofline,
    "inside": inside,
    "program": program,
}


def main() -> None:
    """Parse arguments; measure one thing, or everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--section", action="append", choices=SECTIONS, help="only these")
    parser.add_argument("--measure", choices=OTHERS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(OTHERS[arguments.measure][0]())
        return
    for name in arguments.section or SECTIONS:
        lines = roofline(arguments.turns) if name == "step" else SECTIONS[name]()
        write(name, lines)


if __name__ == "__main__":
    main()
