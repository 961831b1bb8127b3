"""The gallery: every figure of the paper from stored results, and the page that shows them.

Trained results become archives in figures/data; figures, numbers and the page are made from these
alone, so that they can be drawn again without training.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from superpos_jax.drawing import choose as drawing
from superpos_jax.engine.verdicts import UNFINISHED
from superpos_jax.results import archive
from superpos_jax.results.registry import labels_of, load_study
from superpos_jax.results.result import Result, load
from superpos_jax.results.runs import fixed
from superpos_jax.results.store import STORE
from superpos_jax.results.sweep import Sweep, load_sweep, shipped
from superpos_jax.results.view import provenance
from superpos_jax.statements.checks import AGREES, DIFFERS, NOT_TRAINED, UNDECIDED, Finding, check
from superpos_jax.studies.double_descent.statements import STATEMENTS
from superpos_jax.text import counted

FOLDERS = ("paper", "reference")
LETTERS = "PJHCA"
MARK = "<!-- From here on written by `make figures`. -->"


class Entry(NamedTuple):
    """A sweep that makes a figure of the paper."""

    key: str
    """As `superpos run` takes it: "paper/P6"."""
    title: str
    paragraphs: list[str]
    """The other paragraphs of the sweep file's header."""
    sweep: Sweep


@cache
def entries() -> tuple[Entry, ...]:
    """The sweeps of the paper's figures, in the order of the figures, reduced scale first.

    >>> [entry.key for entry in entries()][:3]
    ['paper/P1', 'paper/P1_batch', 'paper/P1_eps']
    """
    found = []
    for key, path in shipped().items():
        if key.startswith(FOLDERS):
            title, *paragraphs = header(path)
            found.append(Entry(key, title, paragraphs, load_sweep(path)))

    def place(entry: Entry) -> tuple[int, int, str]:
        stem = entry.key.partition("/")[2]
        return LETTERS.index(stem[0]), int(re.findall(r"\d+", stem)[0]), entry.key

    return tuple(sorted(found, key=place))


def header(path: Path) -> list[str]:
    """The paragraphs of the comment at the beginning of a sweep file."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return [" ".join(part.split("\n")) for part in "\n".join(lines).split("\n\n")]


def store(results: Path, data: Path) -> Iterator[Path]:
    """Archive every result of the paper's sweeps that is there; the archives' paths."""
    for name, best in {entry.sweep.name: entry.sweep.best for entry in entries()}.items():
        if not (results / name / STORE).is_dir():
            continue
        result = load(results / name)
        if result.count(UNFINISHED) < result.dataset["verdict"].size:
            yield archive.write(
                archive.thin(result, _arrays(name, result), best), data / f"{name}.zip"
            )


def _arrays(name: str, result: Result) -> dict[str, int]:
    """What the figures and the statements of all sweeps of a name read."""
    figures = load_study(result.sweep.study).figures()
    keys = [entry.key for entry in entries() if entry.sweep.name == name]
    wanted = [
        figures[f].arrays for entry in entries() if entry.key in keys for f in entry.sweep.figures
    ]
    wanted += [statement.reads for statement in STATEMENTS if statement.key in keys]
    found: dict[str, int] = {}
    for array, largest in (item for arrays in wanted for item in arrays.items()):
        found[array] = max(largest, found.get(array, 0))
    return found


def draw(data: Path, figures: Path) -> Iterator[Path]:
    """Draw the figures of every archive, in a folder named after the sweep file; paths."""
    for entry in entries():
        path = _archive(entry, data)
        if not path.exists():
            continue
        sweep = entry.sweep
        yield from drawing.draw(
            load(path), figures / entry.key, names=sweep.figures, best=sweep.best or ""
        )


def page(data: Path, figures: Path) -> Path:
    """Rewrite figures/README.md below its mark: every figure, how it was made, what was found."""
    path = figures / "README.md"
    text = path.read_text(encoding="utf-8") if path.exists() else "# Figures\n\n"
    top = text.partition(MARK)[0]
    findings = check(data, STATEMENTS)
    shown = [entry for entry in entries() if _archive(entry, data).exists()]
    parts = [top + MARK, _contents(shown, findings)]
    parts += [_section(entry, load(_archive(entry, data)), figures, findings) for entry in shown]
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return path


def _archive(entry: Entry, data: Path) -> Path:
    return data / f"{entry.sweep.name}.zip"


def _contents(shown: Sequence[Entry], findings: Sequence[Finding]) -> str:
    """How many statements agree and how that is told, and a line for each figure."""
    counts = Counter(f.verdict for f in findings)
    lines = [
        f"Of {len(findings)} statements (`superpos check-paper`) {counts[AGREES]} agree,"
        f" {counts[DIFFERS]} differ, {counts[UNDECIDED]} are undecided, and {counts[NOT_TRAINED]}"
        " are about models that are not trained yet.",
        "",
        "*Found* is our number with its 95 % bootstrap interval over seeds; of two to four seeds"
        " that is little more than their range. *Reference* is the paper, a comment beneath it, a"
        " public replication or checkpoint, or a sentence put as a number; its spread over seeds is"
        " not known. A number *agrees* if its whole interval lies in the range of the next column"
        " and *differs* if all of it lies outside. It is *undecided* if the interval crosses an"
        " edge, if there is one seed, or if the number is not defined in over a tenth of the"
        " bootstrap samples (it is one of seeds that solve T = 8, say, and none does). Where the"
        " source gives no tolerance, the range is ours.",
        "",
        "The dimensionality D of a vector v is |v|⁴ / Σ_j (v · v_j)², over all vectors of its kind:"
        " 1 with a dimension to itself, 1/k where k share one. D_f is that of a feature, a column"
        " of W; D_X that of a training sample, by its hidden vector h = W x; D*_X, of a sample, the"
        " largest share (v · h)² / Σ_j (v · h_j)² that any direction v gives it.",
        "",
        "Generalizing has two measures. Test loss: below 1, the score of predicting zero. Regime,"
        " in tints and words above panels: features with D above 0.1 hold a quarter of the hidden"
        " space. The second comes later: at n = 10,000 the mean has the first at T = 5,000, the"
        " second at 10,000.",
        "",
    ]
    for entry in entries():
        anchor = re.sub(r"[^\w\- ]", "", entry.title.lower()).replace(" ", "-")
        done = (
            f"[{entry.title}](#{anchor})" if entry in shown else f"{entry.title}: not trained yet"
        )
        lines.append(f"- {done}")
    return "\n".join(lines)


def _section(entry: Entry, result: Result, figures: Path, findings: Sequence[Finding]) -> str:
    made = f"{_made(result)} {_stored(entry, result)}"
    lines = [f"## {entry.title}", f"    superpos run {entry.key}", made]
    for name in entry.sweep.figures:
        if (figures / entry.key / f"{name}.png").exists():
            lines.append(f"![{name}]({entry.key}/{name}.png)")
    for text in entry.paragraphs:
        word, colon, rest = text.partition(": ")
        if word != "Cost":  # told above, as measured
            lines.append(f"**{word}.** {rest[:1].upper()}{rest[1:]}" if colon else text)
    mine = [finding for finding in findings if finding.key == entry.key]
    if mine:
        lines.append(table(mine))
    reasons: dict[str, list[str]] = {}
    for finding in mine:
        if finding.reason:
            reasons.setdefault(finding.reason, []).append(f"“{finding.statement}”")
    for reason, differing in reasons.items():
        verb = "differs" if len(differing) == 1 else "differ"
        lines.append(_plain(f"Why {', '.join(differing)} {verb}: {reason}"))
    return "\n\n".join(lines)


def table(findings: Sequence[Finding]) -> str:
    """Findings as a Markdown table."""
    rows = ["| statement | found | reference | agrees within | verdict |", "|---|---|---|---|---|"]
    for finding in findings:
        cells = (
            finding.statement, finding.found, finding.expected, finding.within, finding.verdict
        )  # fmt: skip
        rows.append(f"| {' | '.join(map(_plain, cells))} |")
    return "\n".join(rows)


def _plain(text: str) -> str:
    """Text that Markdown leaves as it is."""
    return re.sub(r"([|*_<\\])", r"\\\1", text)


def _made(result: Result) -> str:
    """How many models, seeds, and how long they took."""
    dataset = result.dataset
    trained = int((dataset["verdict"] != UNFINISHED).sum())
    whole = dataset["verdict"].size
    text = counted(trained, "model") if trained == whole else f"{trained:,} of {whole:,} models"
    text += f": {_grid(dataset)}."
    spent = sum(run["wall_seconds"] * run["devices"] for run in provenance(dataset)) / 60
    return text + f" {counted(max(1, round(spent)), 'core-minute')}."


def _stored(entry: Entry, result: Result) -> str:
    """Where the numbers are, and of how many models the weights."""
    name, text = f"{entry.sweep.name}.zip", "without weights"
    if "W" in result.dataset:
        W = result.dataset["W"]
        count = int(W.notnull().any([dim for dim in W.dims if dim not in result.axes]).sum())
        text = f"with the weights of {counted(count, 'model')}"
    return f"Stored in [{name}](data/{name}), {text}."


def _grid(dataset: xr.Dataset) -> str:
    """The axes in words, `T = 5 ... 5,000 (15 values), seed = 0 ... 3`."""
    shared, labels = fixed(dataset), labels_of(dataset)
    parts = []
    for dim in dataset["verdict"].dims:
        values = [
            labels.called(str(dim), value) or f"{value:,.10g}"
            for value in np.sort(dataset[dim].values)
        ]
        few = " and ".join(values) if len(values) < 3 else f"{values[0]} ... {values[-1]}"
        parts.append(f"{dim} = {few}" + (f" ({len(values)} values)" if len(values) > 2 else ""))
    return ", ".join([*parts, f"n = {shared['n']:,}"] if "n" in shared else parts)
