"""The gallery: every figure of the studies' sources from stored results, and the page of them.

Trained results become archives in figures/data; figures, numbers and the page are made from these
alone, so that they can be drawn again without training.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Sequence
from logging.handlers import BufferingHandler
from pathlib import Path

import numpy as np
import xarray as xr

from superpos_jax.drawing import choose as drawing
from superpos_jax.drawing import style
from superpos_jax.drawing.scalars import in_words
from superpos_jax.engine.verdicts import UNFINISHED
from superpos_jax.errors import UserError
from superpos_jax.results import archive
from superpos_jax.results.overlap import Overlap, overlaps
from superpos_jax.results.registry import labels_of
from superpos_jax.results.result import Result, load
from superpos_jax.results.runs import fixed
from superpos_jax.results.store import STORE
from superpos_jax.results.view import data_sources, provenance
from superpos_jax.statements.checks import Finding, check, tally
from superpos_jax.statements.pages import Collection, Entry, Page, collections
from superpos_jax.text import counted
from superpos_jax.training.provenance import CHANGED, COMMIT

MARK = "<!-- From here on written by `make figures`. -->"
COST = "Cost"
"""The paragraph of a sweep file that the page leaves out: it tells the cost as measured."""
logger = logging.getLogger(__name__)


def entries() -> list[Entry]:
    """The sweeps of all pages, in the order of these."""
    return [entry for collection in collections() for entry in collection.entries]


def store(results: Path, data: Path) -> Iterator[Path]:
    """Archive every result of these sweeps that is there; the archives' paths.

    Raises:
        UserError: a result was trained with code that is in no commit.
    """
    for name, best in {entry.sweep.name: entry.sweep.best for entry in entries()}.items():
        if not (results / name / STORE).is_dir():
            continue
        result = load(results / name)
        _refuse_uncommitted(results / name, result)
        if result.count(UNFINISHED) < result.dataset["verdict"].size:
            yield archive.write(
                archive.thin(result, _arrays(name, result), best), data / f"{name}.zip"
            )


def _refuse_uncommitted(folder: Path, result: Result) -> None:
    """Refuse to archive what nobody else can train: cells of code that is in no commit.

    Runs of earlier versions do not say, and pass.
    """
    runs, shown = provenance(result.dataset), np.unique(result.dataset["run"])
    for run in (runs[number] for number in shown if number >= 0):
        for machine in (run, *run.get("continued", [])):
            if changed := machine.get(CHANGED):
                raise UserError(
                    f"{folder}: its run of {run['started']} trained with code that is not in its"
                    f" commit {machine[COMMIT]}: {', '.join(changed)}; commit the code and train it"
                    " again: superpos run SWEEP --fresh"
                )


def _arrays(name: str, result: Result) -> dict[str, int]:
    """What the figures and the statements of all sweeps of a name read."""
    specs = drawing.figures_of(result.sweep.study)
    sharing = [entry for entry in entries() if entry.sweep.name == name]
    keys = {entry.key for entry in sharing}
    wanted = [specs[figure].arrays for entry in sharing for figure in entry.sweep.figures]
    for collection in collections():
        wanted += [s.reads for s in collection.statements if s.key in keys]
    counts: dict[str, int] = {}
    for array, largest in (item for arrays in wanted for item in arrays.items()):
        counts[array] = max(largest, counts.get(array, 0))
    return counts


def draw(data: Path, figures: Path) -> Iterator[Path]:
    """Draw the figures of every archive, in a folder named after the sweep file; paths.

    Raises:
        UserError: a caption lost a sentence; once all figures are drawn.
    """
    lost = BufferingHandler(1_000)
    style.logger.addHandler(lost)
    try:
        yield from _draw(data, figures)
    finally:
        style.logger.removeHandler(lost)
    if lost.buffer:
        raise UserError("\n".join(record.getMessage() for record in lost.buffer))


def _draw(data: Path, figures: Path) -> Iterator[Path]:
    for entry in entries():
        path = _archive(entry, data)
        if not path.exists():
            continue
        sweep = entry.sweep
        folder, best = figures / entry.key, sweep.best or ""
        try:
            yield from drawing.draw(load(path), folder, names=sweep.figures, best=best)
        except UserError as error:  # data that the archive does not hold, and this machine neither
            logger.warning("figures of %s stay as they are: %s", entry.key, error)


def pages(data: Path, figures: Path) -> Iterator[Path]:
    """Rewrite the page of every study below its mark; paths.

    It has every figure, how it was made, and what was found. Where nothing of a study is stored
    there is no page.
    """
    pairs = overlaps(sorted(data.glob("*.zip")))
    for collection in collections():
        trained = [entry for entry in collection.entries if _archive(entry, data).exists()]
        if trained:
            yield _write(collection, trained, data, figures, pairs)


def _write(
    collection: Collection,
    trained: Sequence[Entry],
    data: Path,
    figures: Path,
    pairs: Sequence[Overlap],
) -> Path:
    page = collection.page
    path = figures / page.folder / "README.md"
    text = path.read_text(encoding="utf-8") if path.exists() else "# Figures\n\n"
    findings = check(data, collection.statements)
    parts = [text.partition(MARK)[0] + MARK, f"# {page.title}"]
    parts += _preface(collection, trained, findings)
    for entry in trained:
        result = load(_archive(entry, data))
        doubts = _doubts(result, _archive(entry, data), pairs)
        parts.append(_section(page, entry, result, data, figures, findings, doubts))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return path


def _archive(entry: Entry, data: Path) -> Path:
    return data / f"{entry.sweep.name}.zip"


def _preface(
    collection: Collection, trained: Sequence[Entry], findings: Sequence[Finding]
) -> list[str]:
    """How many statements agree and how that is told, what all figures need, and the contents."""
    contents = []
    for entry in collection.entries:
        anchor = re.sub(r"[^\w\- ]", "", entry.title.lower()).replace(" ", "-")
        link = f"[{entry.title}](#{anchor})"
        contents.append(f"- {link if entry in trained else f'{entry.title}: not trained yet'}")
    return [
        f"{tally(findings)} `superpos check-paper` prints all of them.",
        "*Found* is our number with its 95 % interval over seeds: a bootstrap, stretched for few"
        " seeds as Student's t is; where all seeds have one number it is that number."
        f" *Reference* is {collection.page.reference}. Where that is a mean of a known number of"
        " seeds, its own error counts. A number *agrees* if its whole interval lies in the range of"
        " the next column and *differs* if all of it lies outside. It is *undecided* if the"
        " interval crosses an edge, if there are fewer than three seeds, if the units or the error"
        " of the reference are not known (it then has no range), or if the number is not"
        " defined in over a tenth of the bootstrap samples (it is one of seeds that succeed, say,"
        " and none does). Where the source gives no tolerance, the range is ours. Core- and"
        " GPU-minutes are of the stored runs; some had other work beside them.",
        *collection.page.preface,
        "\n".join(contents),
    ]


def _section(
    page: Page,
    entry: Entry,
    result: Result,
    data: Path,
    figures: Path,
    findings: Sequence[Finding],
    doubts: str,
) -> str:
    own = figures / page.folder
    archive = os.path.relpath(_archive(entry, data), own)
    made = f"{_made(result, page.named)} {_stored(archive, result, page.weights)}"
    lines = [f"## {entry.title}", f"    superpos run {entry.key}", made + doubts]
    lines += [_plain(f"Read: {source}.") for source in data_sources(result.dataset)]
    for name in entry.sweep.figures:
        if (picture := figures / entry.key / f"{name}.png").exists():
            lines.append(f"![{name}]({os.path.relpath(picture, own)})")
    for text in entry.paragraphs:
        word, colon, rest = text.partition(": ")
        if word != COST:
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
            finding.statement, finding.found, finding.expected, finding.within, finding.shown
        )  # fmt: skip
        rows.append(f"| {' | '.join(map(_plain, cells))} |")
    return "\n".join(rows)


def _plain(text: str) -> str:
    """Text that Markdown leaves as it is."""
    return re.sub(r"([|*_<\\])", r"\\\1", text)


def _made(result: Result, named: Sequence[str]) -> str:
    """How many models, seeds, and how long they took."""
    dataset = result.dataset
    trained = int((dataset["verdict"] != UNFINISHED).sum())
    whole = dataset["verdict"].size
    text = counted(whole, "model")
    if trained < whole:
        text = f"{trained:,} of {text} trained to the end"
    text += f": {_grid(dataset, named)}."
    spent: dict[str, float] = {}
    for run in provenance(dataset):
        kind = "core-minute" if run["device"].startswith("cpu") else "GPU-minute"
        spent[kind] = spent.get(kind, 0) + run["wall_seconds"] * run["devices"] / 60
    times = [counted(max(1, round(minutes)), kind) for kind, minutes in spent.items()]
    return text + f" {' and '.join(times)}."


def _stored(archive: str, result: Result, weights: str) -> str:
    """Where the numbers are, and of how many models the weights."""
    text = "without weights"
    if weights in result.dataset:
        array = result.dataset[weights]
        own = [dim for dim in array.dims if dim not in result.axes]
        count = int(array.notnull().any(own).sum())
        text = f"with the weights of {counted(count, 'model')}"
    return f"Stored in [{Path(archive).name}]({archive}), {text}."


def _doubts(result: Result, path: Path, pairs: Sequence[Overlap]) -> str:
    """Of how many models nobody knows the code, or other archives have other numbers."""
    runs, text = provenance(result.dataset), ""
    run = result.dataset["run"]
    nameless = [number for number, each in enumerate(runs) if not each.get(COMMIT)]
    if count := int(run.isin(nameless).sum()):
        text = f" No commit is noted that has the code of {count:,} of them."
    others = {
        Path(next(other for other in pair[:2] if other != str(path))).stem: pair.strange
        for pair in pairs
        if pair.strange and str(path) in pair[:2]
    }
    if others:
        named = ", ".join(f"{count:,} in {name}" for name, count in others.items())
        text += f" The same models with other numbers: {named} (`superpos compare`)."
    return text


def _grid(dataset: xr.Dataset, named: Sequence[str]) -> str:
    """The axes in words, `T = 5 ... 5,000 (15 values), seed = 0 ... 3`."""
    shared, labels = fixed(dataset), labels_of(dataset)
    parts = []
    for dim in dataset["verdict"].dims:
        values = [
            labels.called(str(dim), value) or in_words(value)
            for value in _in_order(dataset[dim].values)
        ]
        few = " and ".join(values) if len(values) < 3 else f"{values[0]} ... {values[-1]}"
        parts.append(f"{dim} = {few}" + (f" ({len(values)} values)" if len(values) > 2 else ""))
    parts += [f"{name} = {shared[name]:,}" for name in named if name in shared]
    return ", ".join(parts)


def _in_order(values: np.ndarray) -> np.ndarray:
    """Numbers sorted, names as the sweep has them."""
    return np.sort(values) if np.issubdtype(values.dtype, np.number) else values
