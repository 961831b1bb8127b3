"""What a page holds of a result: its axes, numbers, histories and the story of each cell."""

from __future__ import annotations

import base64
import itertools
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr

from superpos_jax.drawing import scalars
from superpos_jax.drawing.choose import figures_of
from superpos_jax.drawing.panels import evenly, fewer
from superpos_jax.drawing.select import Result, representative, unusual
from superpos_jax.drawing.spec import FigureSpec
from superpos_jax.drawing.story import Part, Vectors
from superpos_jax.engine.verdicts import ALIVE, FAILED, NOT_ENDED, UNFINISHED, VERDICTS
from superpos_jax.results.registry import labels_of, load_study
from superpos_jax.results.runs import axes as axes_of
from superpos_jax.text import first_line, is_seed

logger = logging.getLogger(__name__)

HISTORY_NUMBERS, STORY_NUMBERS = 500_000, 500_000
"""Of all histories and of all stories of a result that many numbers at most: a page stays small."""
CELLS = 5_000
"""Of a larger grid a page shows so many cells at most."""
MOST_STEPS = 200
MOST, FEWEST = 400, 20
"""Vectors of one kind that a cell shows: half of them the largest, the others spread over ranks."""
LEVELS = 32_767
"""A vector's components are whole numbers up to that, times a scale."""


def contents(result: Result) -> dict[str, Any]:
    """Everything that a page shows of a result, as JSON has it; arrays are base64 text.

    Arrays are in the order of the cells: the last axis runs fastest, axes of numbers are sorted.

    Raises:
        ValueError: nothing is measured yet.
    """
    dataset = result.dataset
    swept = axes_of(dataset)
    numeric = [axis for axis in swept if scalars.is_numeric(dataset, axis)]
    dataset, left_out = _fewer_cells(dataset.sortby(numeric).transpose(*swept, ...))
    names = scalars.scalars(dataset)
    if not names:
        raise ValueError("a page needs a number per cell, and nothing is measured yet")
    across, upward, *_ = [*scalars.shown_axes(dataset, {}), "", ""]
    lines = scalars.line_axis(dataset, {}, across) or ""
    return {
        "name": result.name,
        "setting": ". ".join([labels_of(dataset).describe(unusual(dataset)), *left_out]),
        "axes": [_axis(dataset, axis) for axis in swept],
        "numbers": [_number(dataset, name) for name in names],
        "first": {
            "value": scalars.chosen(dataset, None),
            "x": across,
            "y": upward,
            "over": across,
            "by": lines,
        },
        "verdicts": dataset["verdict"].values.ravel().tolist(),
        "failed": list(FAILED),
        "unfinished": UNFINISHED,
        "histories": _histories(dataset),
        "stories": list(_stories(result, dataset)),
    }


def _fewer_cells(dataset: xr.Dataset) -> tuple[xr.Dataset, list[str]]:
    """Thin the longest axes of a large grid, evenly, until a page has room for its cells.

    Returns what stays, and a sentence for each axis that was thinned: how many of its values.
    """
    sizes = {axis: dataset.sizes[axis] for axis in axes_of(dataset)}
    while np.prod([*sizes.values()], dtype=float) > CELLS:
        longest = max(sizes, key=sizes.__getitem__)
        sizes[longest] -= -(-sizes[longest] // 20)
    sentences = []
    for axis, size in sizes.items():
        dataset, sentence = fewer(dataset, axis, size, {})
        sentences.append(sentence.removesuffix("."))
    return dataset, [sentence for sentence in sentences if sentence]


def _axis(dataset: xr.Dataset, name: str) -> dict[str, Any]:
    """An axis: what it and its values are called, and where they lie."""
    values = dataset[name].values
    return {
        "name": name,
        "label": scalars.name_of(dataset, name),
        "values": [str(value) for value in values.tolist()],
        "texts": scalars.named_values(dataset, name, values),
        "places": scalars.positions(values).tolist(),
        "log": scalars.has_log_axis(values),
        "numeric": scalars.is_numeric(dataset, name),
        "seed": is_seed(name),
    }


def _number(dataset: xr.Dataset, name: str) -> dict[str, Any]:
    """A number of every cell; where it is a choice, what the choices are called."""
    return {
        "name": name,
        "label": scalars.name_of(dataset, name),
        "words": str(dataset[name].attrs.get("flag_meanings", "")).split(),
        "values": packed(dataset[name].values),
    }


def _histories(dataset: xr.Dataset) -> dict[str, Any]:
    """The numbers recorded along training, those of one quantity together, at some steps."""
    names = scalars.histories(dataset)
    if not names:
        return {"steps": [], "groups": []}
    cells = dataset["verdict"].size
    room = HISTORY_NUMBERS // (cells * len(names))
    some = dataset.isel(step=evenly(dataset.sizes["step"], int(np.clip(room, 10, MOST_STEPS))))
    groups: dict[str, list[dict[str, str]]] = {}
    for name in names:
        line = {
            "label": scalars.name_of(dataset, name),
            "values": packed(some[f"history_{name}"].values),
        }
        groups.setdefault(scalars.quantity(name), []).append(line)
    return {
        "steps": some["step"].values.tolist(),
        "groups": [
            {"label": scalars.name_of(dataset, what), "lines": lines}
            for what, lines in groups.items()
        ],
    }


def _stories(result: Result, dataset: xr.Dataset) -> Iterator[dict[str, Any]]:
    """For each cell how it ended, and what the study's figures tell of it."""
    swept = axes_of(dataset)
    study = dataset.attrs.get("study")
    specs = dict(figures_of(study)) if study is not None else {}
    ends = list(load_study(study).ends) if study is not None else []
    most = int(np.clip(STORY_NUMBERS // (8 * dataset["verdict"].size), FEWEST, MOST))
    for point in itertools.product(*(dataset[axis].values.tolist() for axis in swept)):
        at = dict(zip(swept, point, strict=True))
        cell = dataset.sel(at)
        told = int(cell["verdict"]) != UNFINISHED
        parts = _told(result, at, specs, most) if told else []
        yield {"ended": _end(cell, ends), "parts": parts}


def _told(
    result: Result, point: Mapping[str, Any], specs: dict[str, FigureSpec], most: int
) -> list[dict[str, Any]]:
    """What figures tell of a cell; one whose story fails is taken out, with a warning."""
    parts: list[dict[str, Any]] = []
    for name, spec in [*specs.items()]:
        try:
            story = spec.story(result, point) if spec.story is not None else ()
            parts += [part_of(part, most) for part in story]
        except Exception as error:  # a mistake of one study must not cost the page of several
            at = ", ".join(f"{axis}={value}" for axis, value in point.items())
            said = f"{type(error).__name__}: {first_line(error)}"
            logger.warning("the page has no story of figure %s: at %s it fails: %s", name, at, said)
            del specs[name]
    return parts


def _end(cell: xr.Dataset, ends: list[str]) -> str:
    """How the training of a cell ended, in words."""
    words = VERDICTS[int(cell["verdict"])]
    if "ended" in cell and (reason := int(cell["ended"])) != NOT_ENDED:
        words += f": {ends[reason]}"
    if "died_at" in cell and (step := int(cell["died_at"])) != ALIVE:
        words += f" after step {step:,}"
    if "updates" in cell:
        words += f", {int(cell['updates']):,} updates"
    return words


def part_of(part: Part, most: int) -> dict[str, Any]:
    """A part of a story, of each of its groups at most so many members."""
    if isinstance(part, Vectors):
        groups = [_vectors(name, array, most) for name, array in part.groups.items()]
        own: dict[str, Any] = {"kind": "vectors", "directions": part.directions}
    else:
        groups = [_ranked(name, values, most) for name, values in part.groups.items()]
        own = {"kind": "ranked", "guides": dict(part.guides)}
    return {"title": part.title, "groups": groups, **own}


def _vectors(name: str, array: np.ndarray, most: int) -> dict[str, Any]:
    length = np.linalg.norm(array.astype(float), axis=1)  # weights of dead cells may be huge
    index, _ = representative(length, most - most // 2, most // 2)
    largest = float(np.abs(array).max(initial=0.0))
    scale = largest / LEVELS if largest > 0 else 1.0
    shown = np.round(array[index] / scale).astype(np.int16)
    return {"name": name, "count": len(array), "scale": scale, "values": _text(shown)}


def _ranked(name: str, values: np.ndarray, most: int) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    index, rank = representative(finite, most - most // 2, most // 2)
    return {
        "name": name,
        "count": len(finite),
        "ranks": rank.tolist(),
        "values": packed(finite[index]),
    }


def packed(values: np.ndarray) -> str:
    """Numbers as base64 text of float32, little-endian.

    Example:
        >>> packed(np.array([1.0, float("nan")]))
        'AACAPwAAwH8='
    """
    with np.errstate(over="ignore"):
        return _text(np.asarray(values).astype("<f4"))


def _text(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
