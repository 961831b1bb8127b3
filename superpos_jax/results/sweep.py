"""A sweep file: which study, which axes, which fixed values.

The file has one table per kind of value:

    study = "double_descent"
    [axes]                 # lists: every combination is one cell
    T = [10, 100, 1000]
    [cell]                 # numbers common to all cells; any of them may become an axis
    lr = 3e-3
    [options]              # static choices: shapes and kinds
    n = 1000

Above the tables `name` names the folder, `figures = ["plane"]` says which figures to draw, and
`best = "init_seed"` that they show, of the cells along that axis, the one that trained best.
"""

from __future__ import annotations

import difflib
import itertools
import json
import math
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from superpos_jax.engine.study import Study
from superpos_jax.errors import UserError
from superpos_jax.results.registry import load_study

MAX_CELLS = 1_000_000
NAME = "[A-Za-z0-9][A-Za-z0-9._-]*"


def _plain(value: object) -> object:
    """A number of NumPy is fine in Python; the file only knows numbers."""
    return value.item() if isinstance(value, np.generic) else value


def _listed(value: object) -> object:
    """Ranges and arrays are fine as axes in Python; the file only knows lists."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return tuple(value) if isinstance(value, list | range) else value


Value = Annotated[int | float | str, BeforeValidator(_plain)]


class Sweep(BaseModel):
    """A grid of cells of one study.

    Args:
        study: a shipped study or `package.module:Class`.
        axes: name -> values; every combination of values is one cell.
        cell: values common to all cells.
        options: the study's static choices.
        figures: which to draw, by name; by default all that the axes allow.
        best: an axis; of the cells along it figures show the one of lowest training loss.
        name: names the result folder and the figures.

    Raises:
        UserError: a wrong field, in one line that names it and what is allowed.

    >>> sweep = Sweep(study="double_descent", axes=dict(T=[10, 100], seed=range(4)))
    >>> len(sweep.grid().cells)
    8
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    study: str = "double_descent"
    name: Annotated[str, Field(pattern=f"^{NAME}$", max_length=100)] = "sweep"
    axes: dict[str, Annotated[tuple[Value, ...], BeforeValidator(_listed), Field(min_length=1)]] = (
        Field(default_factory=dict)
    )
    cell: dict[str, Value] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)
    figures: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    best: str = ""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise UserError(_first(error, (), tuple(type(self).model_fields))) from None

    def to_toml(self) -> str:
        """The sweep as a file that `load_sweep` reads back to an equal sweep."""
        lines = [f"study = {_toml(self.study)}", f"name = {_toml(self.name)}"]
        if self.figures:
            lines += [f"figures = {_toml(self.figures)}"]
        if self.best:
            lines += [f"best = {_toml(self.best)}"]
        for table in ("axes", "cell", "options"):
            values = getattr(self, table)
            lines += ["", f"[{table}]", *(f"{key} = {_toml(v)}" for key, v in values.items())]
        return "\n".join(lines) + "\n"

    def grid(self) -> Grid:
        """The study and its checked cells, in the order of the axes (the last runs fastest)."""
        study = load_study(self.study)
        names = study.cell_fields()
        for i, figure in enumerate(self.figures):
            if figure not in (known := study.figures()):
                raise UserError(f"figures[{i}] = {figure!r}: unknown; {_nearest(figure, known)}")
        if self.best and self.best not in self.axes:
            raise UserError(f"best = {self.best!r}: not swept; {_nearest(self.best, self.axes)}")
        for table, given in (("axes", self.axes), ("cell", self.cell)):
            for key in given:
                if key not in names:
                    raise UserError(f"{table}.{key}: unknown; {_nearest(key, names)}")
        for field in fields(study.cell_type):
            if field.default is MISSING and field.name not in {**self.axes, **self.cell}:
                raise UserError(f"cell.{field.name}: missing; it has no default")
        for key in self.axes:
            if key in self.cell:
                raise UserError(f"cell.{key}: also an axis; give it once")
        if math.prod(len(values) for values in self.axes.values()) > MAX_CELLS:
            raise UserError(f"axes: more than {MAX_CELLS:,} cells; give fewer values")

        try:
            options = study.options_type(**self.options)
        except ValidationError as error:
            allowed = tuple(study.options_type.model_fields)
            raise UserError(_first(error, ("options",), allowed)) from None
        base = {key: _checked(study, f"cell.{key}", key, v) for key, v in self.cell.items()}
        axes: dict[str, tuple[int | float, ...]] = {}
        for key, values in self.axes.items():
            checked = tuple(
                _checked(study, f"axes.{key}[{i}]", key, v) for i, v in enumerate(values)
            )
            if len(set(checked)) < len(checked):
                twice = next(v for i, v in enumerate(checked) if v in checked[:i])
                raise UserError(f"axes.{key}: {twice!r} is given twice; values must differ")
            axes[key] = checked
        return Grid(study(options), base, axes)


@dataclass(frozen=True)
class Grid:
    """Every cell of a sweep, checked: the study, the fixed values and the axes."""

    study: Study
    base: Mapping[str, int | float]
    axes: Mapping[str, tuple[int | float, ...]]

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""
        return tuple(len(values) for values in self.axes.values())

    @cached_property
    def cells(self) -> tuple[Any, ...]:
        """One `cell_type` of host numbers per point of the grid, row-major."""
        return tuple(self.study.cell_type(**self.base, **point) for point in self.points())

    def points(self) -> Iterator[dict[str, int | float]]:
        """The swept values of each cell, in the order of `cells`."""
        for values in itertools.product(*self.axes.values()):
            yield dict(zip(self.axes, values, strict=True))

    def cell(self, **point: Any) -> Any:
        """The cell with these values of the swept axes (all of them, each one of its values)."""
        return self.study.cell_type(**{**self.base, **point})

    def replacements(self, given: Mapping[str, Any]) -> dict[str, int | float]:
        """Checked values for single cells, in place of the sweep's.

        Raises:
            UserError: an unknown field, an axis, or a value out of its limits.
        """
        names = tuple(name for name in self.study.cell_fields() if name not in self.axes)
        for key in given:
            if key in self.axes:
                raise UserError(f"--set {key}: an axis of this result; its cells keep their labels")
            if key not in names:
                raise UserError(f"--set {key}: unknown or not of one cell; {_nearest(key, names)}")
        return {k: _checked(type(self.study), f"--set {k}", k, v) for k, v in given.items()}


def refuse_wrong(study: Study, cells: Iterable[Any]) -> None:
    """Refuse cells whose numbers do not go together.

    Raises:
        UserError: with the first one's reason.
    """
    if reason := next(filter(None, map(study.wrong, cells)), ""):
        raise UserError(f"cells: {reason}")


def load_sweep(source: str | Path, overrides: Sequence[str] = ()) -> Sweep:
    """Read a sweep file, or a shipped sweep by name, with `key=value` overrides.

    >>> load_sweep("quickstart", ["T=[10, 100]", "steps=200"]).axes["T"]
    (10, 100)
    """
    return read_sweep(source, overrides)[0]


def read_sweep(source: str | Path, overrides: Sequence[str] = ()) -> tuple[Sweep, Grid]:
    """What `load_sweep` reads, and the grid that was built to check it."""
    path = _locate(source)
    try:
        text = path.read_bytes().decode("utf-8-sig")
        content = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not TOML: {error}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        for table in ("axes", "cell", "options") if overrides else ():
            if not isinstance(content.get(table, {}), dict):
                raise UserError(f"{table} = {content[table]!r}: allowed: a table, [{table}]")
        for override in overrides:
            _override(content, override)
        if "name" not in content and not re.fullmatch(NAME, path.stem):
            raise UserError(
                f"name: missing, and {path.stem!r} is none; allowed: letters, digits, '.', '_', '-'"
            )
        sweep = Sweep(**{"name": path.stem, **content})
        grid = sweep.grid()
        refuse_wrong(grid.study, grid.cells)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return sweep, grid


def shipped() -> dict[str, Path]:
    """The sweeps that ship with the package: name -> file."""
    package = Path(__file__).parents[1]
    for folder in (package / "sweeps", package.parent / "sweeps"):
        if folder.is_dir():
            return {
                path.relative_to(folder).with_suffix("").as_posix(): path
                for path in sorted(folder.rglob("*.toml"))
            }
    return {}


def headline(path: Path) -> str:
    """The first comment line of a sweep file: what the sweep makes."""
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    return first.lstrip("# ").strip() if first.startswith("#") else ""


def _toml(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool | str):
        return json.dumps(value)
    return repr(value)


def _locate(source: str | Path) -> Path:
    known = shipped()
    if str(source) in known:
        return known[str(source)]
    path = Path(source)
    if path.is_dir():
        raise UserError(f"{path}: a folder, not a sweep file")
    if not path.exists():
        raise UserError(f"{path}: no such sweep file; {_nearest(str(source), known)}")
    return path


def parse(override: str) -> tuple[str, Any]:
    """Key and value of a `key=value`; a value that is no TOML is text.

    >>> parse("T=[10, 100]"), parse("reduction=sum")
    (('T', [10, 100]), ('reduction', 'sum'))
    """
    key, equals, text = override.partition("=")
    key = key.strip()
    if not equals or not key:
        raise UserError(f"--set {override!r}: expected key=value")
    try:
        return key, tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return key, text.strip()


def _override(content: dict[str, Any], override: str) -> None:
    """Apply one `key=value`: a list makes an axis, a single value fixes it or sets a field."""
    key, value = parse(override)
    study = load_study(str(content.get("study", Sweep.model_fields["study"].default)))
    names = study.cell_fields()
    options = tuple(study.options_type.model_fields)
    if key in ("study", "name", "best", "figures"):
        content[key] = value
    elif key in options:
        content.setdefault("options", {})[key] = value
    elif key in names:
        table, other = ("axes", "cell") if isinstance(value, list) else ("cell", "axes")
        content.get(other, {}).pop(key, None)
        if content.get("best") == key and table == "cell":
            del content["best"]  # there is one to choose from
        content.setdefault(table, {})[key] = value
    else:
        raise UserError(
            f"--set {key}: unknown; {_nearest(key, (*names, *options, 'name', 'best', 'figures'))}"
        )


def _checked(study: type[Study], where: str, key: str, value: Any) -> int | float:
    hint, adapter = _limits(study.cell_type, key)
    try:
        number: int | float = adapter.validate_python(value)
    except ValidationError:
        raise UserError(f"{where} = {value!r}: {_allowed(hint)}") from None
    if isinstance(number, int) and not -(2**31) <= number < 2**31:
        raise UserError(f"{where} = {value!r}: allowed: a whole number that fits 32 bits")
    return number


@cache
def _limits(cell_type: type, key: str) -> tuple[Any, TypeAdapter[Any]]:
    """The annotation of a field of a cell, and what checks a value against it."""
    hint = get_type_hints(cell_type, include_extras=True)[key]
    return hint, TypeAdapter(hint, config=ConfigDict(strict=True))


def _allowed(hint: Any) -> str:
    """What a number of a cell may be, in words: its type, its limits, and why.

    >>> _allowed(Annotated[int, Field(ge=1, description="samples")])
    'allowed: a whole number, at least 1 (samples)'
    """
    kind, *rest = get_args(hint) or (hint,)
    words = ["a whole number" if kind is int else "a number"]
    names = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    for field in (x for x in rest if isinstance(x, FieldInfo)):
        for limit in field.metadata:
            words += [f"{w} {getattr(limit, n):g}" for n, w in names.items() if hasattr(limit, n)]
        words[-1] += f" ({field.description})" if field.description else ""
    return f"allowed: {', '.join(words)}"


def _first(error: ValidationError, prefix: tuple[str, ...], allowed: Sequence[str]) -> str:
    """The first of pydantic's complaints as one line that names the field."""
    detail = error.errors()[0]
    union = ("int", "float", "str")
    path = [part for part in (*prefix, *detail["loc"]) if part not in union]
    where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")
    if detail["type"] == "tuple_type":
        return f"{where} = {detail['input']!r}: allowed: a list"
    if detail["type"] == "extra_forbidden":
        return f"{where}: unknown; {_nearest(str(detail['loc'][-1]), allowed)}"
    if len(path) < len(prefix) + len(detail["loc"]):
        return f"{where} = {detail['input']!r}: allowed: a number"
    return f"{where} = {detail['input']!r}: {detail['msg']}"


def _nearest(key: str, allowed: Iterable[str]) -> str:
    close = difflib.get_close_matches(key, list(allowed), n=1)
    known = f"allowed: {', '.join(allowed)}"
    return f"did you mean {close[0]}? {known}" if close else known
