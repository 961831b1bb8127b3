"""What a source says, in numbers, against what was measured.

A statement is a number computed from one stored result, and the range in which the source has it.
Its uncertainty is over seeds: the 95 % interval of `resampling` is compared with the range. Inside
it the statement agrees, outside it differs, across its edge it is undecided. So it always is with
fewer than three seeds, or where the source gives no range. Where all seeds give the same number the
interval is that number.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from superpos_jax.engine.verdicts import FINISHED, UNFINISHED
from superpos_jax.results.result import load
from superpos_jax.results.sweep import load_sweep
from superpos_jax.statements import resampling
from superpos_jax.text import counted, seed_axes, written

FEWEST = 3
"""Seeds, from which on a statement is decided."""
NO_RANGE = (float("nan"), float("nan"))
"""Of a number of the source whose units or error are not known: undecided, whatever is found."""
POSITIVE, ANY = (0.0, float("inf")), (-float("inf"), float("inf"))
SHARE, SIGNED = (0.0, 1.0), (-1.0, 1.0)
"""Limits of shares, accuracies and R²; of their differences, and of correlations."""
AGREES, DIFFERS, UNDECIDED = "agrees", "differs", "undecided"
NOT_TRAINED = "not trained"
FORMS = {
    AGREES: ("agrees", "agree"),
    DIFFERS: ("differs", "differ"),
    UNDECIDED: ("is undecided", "are undecided"),
    NOT_TRAINED: (
        "is about models that are not trained yet", "are about models that are not trained yet"
    ),
}  # fmt: skip
"""What a verdict says of one statement, and of several."""


class Statement(NamedTuple):
    """A sentence of a source, as a number of one stored result."""

    key: str
    """The sweep: "paper/P6"."""
    text: str
    expected: str
    """What the source has, in words."""
    within: tuple[float, float]
    """The number agrees in this range, ends included; `NO_RANGE` where the source allows none."""
    statistic: Callable[[xr.Dataset], float]
    """Of the cells it is about; dead ones are NaN."""
    where: Mapping[str, Any] = {}
    """The cells it is about: values of axes, one or a list; all values of the others."""
    reads: Mapping[str, int] = {}
    """Arrays that it needs, as `FigureSpec.arrays`; single numbers per cell are there anyway."""
    form: str = ".3g"
    reason: str = ""
    """Why the number most likely differs, if it does."""
    step: int = 0
    """Where above 0, it is about this recorded step: cells that have come so far need not be
    trained to their end, and it reads histories alone."""
    limits: tuple[float, float] = POSITIVE
    """What the number cannot leave; nor does its interval."""
    of: int = 0
    """Seeds of the source's number, whose own error then counts; 0 if that is not a measurement, or
    of unknown spread."""
    control: bool = False
    """No source has it: it is checked to find out why another statement agrees or differs."""


class Finding(NamedTuple):
    """A statement, judged."""

    key: str
    statement: str
    found: str
    """The number, and between which numbers it lies for other seeds."""
    expected: str
    within: str
    """The range that agrees with it."""
    verdict: str
    reason: str
    """Why it most likely differs; empty if it does not, or if nobody knows."""
    control: bool = False
    """No source has it."""

    @property
    def shown(self) -> str:
        """The verdict as tables have it: `agrees`, `differs (control)`."""
        return f"{self.verdict} (control)" if self.control else self.verdict


def check(data: Path, statements: Sequence[Statement]) -> list[Finding]:
    """Judge all statements whose results are stored in a folder of archives.

    Args:
        data: as figures/data.
        statements: in the order of the findings.
    """
    results: dict[str, xr.Dataset | None] = {}
    findings = []
    for statement in statements:
        if statement.key not in results:
            path = data / f"{load_sweep(statement.key).name}.zip"
            results[statement.key] = load(path).dataset if path.exists() else None
        dataset = results[statement.key]
        if dataset is not None:
            findings.append(judge(statement, dataset))
    return findings


def judge(statement: Statement, dataset: xr.Dataset) -> Finding:
    """Compare the number of a result with the source's.

    >>> variables = {"test_loss": ("seed", [1.1, 1.2, 1.3, 1.2]), "verdict": ("seed", [0] * 4)}
    >>> mean = Statement("", "a bump", "about 1.2", (1.0, 1.4), lambda d: d.test_loss.mean())
    >>> judge(mean, xr.Dataset(variables, {"seed": range(4)})).found
    '1.2 (1.11 to 1.34)'
    """
    part = _trained(statement, dataset)
    value = float("nan") if part is None else _number(statement, part)
    verdict = UNDECIDED
    if part is None:
        text, verdict = "", NOT_TRAINED
    elif np.isnan(value):
        text = "not defined"
    elif (seeds := _count(part)) == 1:
        text = f"{written(value, statement.form)}, one seed"
    else:
        drawn = np.array([_number(statement, choice) for choice in _resampled(part)])
        positive = statement.limits[0] == 0
        interval = resampling.interval(value, drawn, _fewest(part), positive=positive)
        if seeds >= FEWEST and resampling.enough(drawn):
            of = statement.of
            apart = resampling.interval(value, drawn, _fewest(part), positive=positive, of=of)
            verdict = _verdict(np.clip(apart, *statement.limits), statement.within)
        text = written(value, statement.form)
        if not np.isnan(interval[0]):
            low, high = np.clip(interval, *statement.limits)
            text += f" ({written(low, statement.form)} to {written(high, statement.form)})"
        text += ", 2 seeds" if seeds == 2 else ""
    reason = statement.reason if verdict == DIFFERS else ""
    within = _range(*statement.within)
    return Finding(
        statement.key, statement.text, text, statement.expected, within, verdict, reason,
        statement.control,
    )  # fmt: skip


def tally(findings: Sequence[Finding]) -> str:
    """How many statements of a source agree, and how many controls beside them, in sentences.

    >>> made = [Finding("", "", "", "", "", verdict, "") for verdict in (AGREES, AGREES, DIFFERS)]
    >>> tally([*made, made[0]._replace(control=True)])
    'Of 3 statements 2 agree, 1 differs, 0 are undecided and 0 are about models that are not trained
    yet. 1 more is a control, which no source has: 1 agrees, 0 differ and 0 are undecided.'
    """
    made, controls = (
        Counter(finding.verdict for finding in findings if finding.control is control)
        for control in (False, True)
    )

    def judged(counts: Counter[str], verdict: str) -> str:
        one, several = FORMS[verdict]
        return f"{counts[verdict]:,} {one if counts[verdict] == 1 else several}"

    text = (
        f"Of {counted(made.total(), 'statement')} {judged(made, AGREES)}, {judged(made, DIFFERS)},"
        f" {judged(made, UNDECIDED)} and {judged(made, NOT_TRAINED)}."
    )
    if not controls:
        return text
    are = "is a control" if controls.total() == 1 else "are controls"
    return (
        f"{text} {controls.total():,} more {are}, which no source has: {judged(controls, AGREES)},"
        f" {judged(controls, DIFFERS)} and {judged(controls, UNDECIDED)}."
    )


def _verdict(interval: np.ndarray, within: tuple[float, float]) -> str:
    """Whether an interval lies in a range, outside, or across an edge.

    >>> within = 0.9, 1.0
    >>> [_verdict(np.array(ends), within) for ends in ((0.9, 1), (0.8, 1), (0.1, 0.8))]
    ['agrees', 'undecided', 'differs']
    >>> _verdict(np.array([1.0, 1.0]), NO_RANGE)
    'undecided'
    """
    (low, high), (least, most) = interval, within
    if np.isnan(least):
        return UNDECIDED
    if least <= low and high <= most:
        return AGREES
    return DIFFERS if high < least or low > most else UNDECIDED


def _range(least: float, most: float) -> str:
    """A range in words.

    >>> _range(0.2, 0.3), _range(5, 5), _range(1.01, float("inf")), _range(0, 1e-3)
    ('0.2 to 0.3', '5', 'from 1.01', '0 to 0.001')
    >>> _range(*NO_RANGE)
    'not known'
    """
    if np.isnan(least):
        return "not known"
    if least == most:
        return f"{least:,.6g}"
    return f"from {least:,.6g}" if np.isinf(most) else f"{least:,.6g} to {most:,.6g}"


def _trained(statement: Statement, dataset: xr.Dataset) -> xr.Dataset | None:
    """What a statement is about: seeds with all of its cells trained, what it reads of them."""
    try:
        part = dataset.sel(statement.where)
    except KeyError:
        return None
    seeds = seed_axes(part["verdict"].dims)
    part = part.sortby([axis for axis in part["verdict"].dims if axis not in seeds])
    unfinished = part["verdict"] == UNFINISHED
    if statement.step:
        unfinished = unfinished & ~_recorded(part, statement.step)
    part = part.assign(unfinished=unfinished)
    for axis in seeds:
        unfinished = part["unfinished"]
        whole = ~unfinished.any([dim for dim in unfinished.dims if dim != axis])
        part = part.isel({axis: np.flatnonzero(whole)})
    if not _count(part) or part["unfinished"].any():
        return None
    reads = [name for name, array in part.items() if _one_a_cell(array) or name in statement.reads]
    return part[reads].where(part["verdict"].isin([FINISHED, UNFINISHED]))


def _recorded(part: xr.Dataset, step: int) -> xr.DataArray:
    """Which cells have come to a step that was recorded."""
    history = next(array for name, array in part.items() if str(name).startswith("history_"))
    return history.sel(step=step).notnull()


def _number(statement: Statement, part: xr.Dataset) -> float:
    """NaN where the cells that are there do not have it: all seeds died, or a value is missing."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            return float(statement.statistic(part))
        except (KeyError, ValueError):
            return float("nan")


def _resampled(part: xr.Dataset) -> Iterator[xr.Dataset]:
    """The cells of other seeds: as many as there are, drawn with replacement, again and again."""
    seeds = seed_axes(part["verdict"].dims)
    for chosen in resampling.choices(*(part.sizes[axis] for axis in seeds)):
        yield part.isel(dict(zip(seeds, chosen, strict=True)))


def _one_a_cell(array: xr.DataArray) -> bool:
    """Whether it has one number per cell: the axes of the grid have coordinates."""
    return all(dim in array.coords and dim != "step" for dim in array.dims)


def _count(part: xr.Dataset) -> int:
    """How many seeds there are, of all kinds; 1 where none is swept."""
    return int(np.prod([part.sizes[axis] for axis in seed_axes(part["verdict"].dims)], dtype=int))


def _fewest(part: xr.Dataset) -> int:
    """Of two kinds of seeds (data, initial weights) the smaller number above 1: it counts."""
    sizes = [part.sizes[axis] for axis in seed_axes(part["verdict"].dims)]
    return min(size for size in sizes if size > 1)
