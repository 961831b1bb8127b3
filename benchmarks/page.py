"""The page README.md: each benchmark writes a section of its own."""

from __future__ import annotations

import os
import platform
import re
import statistics
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

PAGE = Path(__file__).with_name("README.md")
SECTIONS = "step", "inside", "small", "toys", "grokking", "bows", "large_lr", "gpu", "program"
"""In the order of the page."""


def write(name: str, lines: Sequence[str]) -> None:
    """Replace a section of the page; below its heading stands the machine that measured it."""
    section = [lines[0], "", f"{machine()}.", *lines[1:]]
    PAGE.write_text(rewrite(PAGE.read_text() if PAGE.exists() else "", name, section))


def rewrite(page: str, name: str, lines: Sequence[str]) -> str:
    """A page with one of its sections, which follows a mark with its name, replaced."""
    parts = dict(re.findall(r"<!-- (\w+) -->\n(.*?)\n*(?=\n<!-- |\Z)", page, flags=re.DOTALL))
    parts[name] = "\n".join(lines).strip()
    header = "# Benchmarks\n\nWritten by `make bench`. Machines are shared: compare ratios.\n"
    sections = [f"\n<!-- {one} -->\n{parts[one]}\n" for one in SECTIONS if one in parts]
    return header + "".join(sections)


def machine() -> str:
    """Processor, cores and versions, that of PyTorch where it is installed."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    packages = [("JAX", "jax"), ("PyTorch", "torch")]
    found = [f"{name} {version(module)}" for name, module in packages if find_spec(module)]
    versions = ", ".join([*found, f"Python {platform.python_version()}"])
    return f"{os.cpu_count()} cores ({names[0] if names else platform.processor()}), {versions}"


def spread(values: Sequence[float], form: str) -> str:
    """Median and range."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def table(*rows: Sequence[object]) -> list[str]:
    """Lines of a Markdown table, its head first."""
    head, *body = (" | ".join(map(str, row)) for row in rows)
    return ["", f"| {head} |", "|---" * len(rows[0]) + "|", *(f"| {row} |" for row in body)]
