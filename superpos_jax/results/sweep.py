"""A sweep file: which study, which axes, which fixed values.

The file has one table per kind of value:

    study = "double_descent"
    [axes]                 # lists or ranges: every combination is one cell
    T = [10, 100, 1000]
    seed = "range(4)"
    [[zip]]                # lists that go together: one axis, named after its first field
    m = [2, 4]
    steps = [5000, 20_000]
    [arms.low]             # named sets of values: one axis, `arm`
    lr = 1e-3
    [arms.high]
    lr = 1e-2
    weight_decay = 0
    [cell]                 # numbers common to all cells; any of them may become an axis
    S = 0.99
    [options]              # static choices: shapes and kinds
    n = 1000

Above the tables `name` names the folder, `figures = ["plane"]` says which figures to draw, and
`best = "init_seed"` that they show, of the cells along that axis, the one that trained best.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from superpos_jax.engine.study import Study
from superpos_jax.engine.terms import ARM
from superpos_jax.errors import UserError
from superpos_jax.results import ranges
from superpos_jax.results.grid import Grid, make_grid, refuse_wrong
from superpos_jax.results.registry import figure_names, load_study
from superpos_jax.results.tables import Arms, Option, Value, Values, complaint, toml, toml_key
from superpos_jax.results.values import choices, nearest

OWN_FIELDS = ("study", "name", "best", "figures")
"""Fields of a sweep that are not tables; --set overrides them too."""
NAME = "[A-Za-z0-9][A-Za-z0-9._-]*"
TABLES = ("axes", "cell", "options")
FIELDS = {
    "study": "a name in quotes, or in Python a class of a study",
    "name": "at most 100 letters, digits, '.', '_', '-', a letter or a digit first",
    "axes": "",
    "zip": "tables, [[zip]]",
    "arms": "",
    "cell": "",
    "options": "",
    "figures": 'a list of names, as ["plane"]',
    "best": "a name in quotes",
}
"""Keys of a sweep file, and what each may hold if it is not a table."""


def _named(study: object) -> object:
    """A study's class is fine in Python; the file only knows names."""
    is_study = isinstance(study, type) and issubclass(study, Study)
    return study.name() if is_study else study  # type: ignore[attr-defined]


class Sweep(BaseModel):
    """A grid of cells of one study, as a file describes it; `grid()` has the cells.

    Args:
        study: a shipped study or `package.module:Class`.
        axes: field -> values, a list or the text of a range; every combination is one cell.
        zip: tables of field -> values, equally long, that go together: each table is one axis,
            named after its first field.
        arms: name -> fields and their values: one axis, `arm`. Where only some arms set a field,
            the others have the value of `cell`.
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

    study: Annotated[str, BeforeValidator(_named)] = "double_descent"
    name: Annotated[str, Field(pattern=f"^{NAME}$", max_length=100)] = "sweep"
    axes: dict[str, Values] = Field(default_factory=dict)
    zip: Annotated[tuple[dict[str, Values], ...], BeforeValidator(ranges.listed)] = ()
    arms: Arms = Field(default_factory=dict)
    cell: dict[str, Value] = Field(default_factory=dict)
    options: dict[str, Option] = Field(default_factory=dict)
    figures: Annotated[tuple[str, ...], BeforeValidator(ranges.listed)] = ()
    best: str = ""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise UserError(complaint(error, (), FIELDS)) from None

    def to_toml(self) -> str:
        """The sweep as a file that `load_sweep` reads back to an equal sweep."""
        lines = [f"study = {toml(self.study)}", f"name = {toml(self.name)}"]
        if self.figures:
            lines += [f"figures = {toml(self.figures)}"]
        if self.best:
            lines += [f"best = {toml(self.best)}"]
        tables: list[tuple[str, Mapping[str, Any]]] = [
            ("[axes]", self.axes),
            *(("[[zip]]", table) for table in self.zip),
            *((f"[arms.{toml_key(name)}]", table) for name, table in self.arms.items()),
            ("[cell]", self.cell),
            ("[options]", self.options),
        ]
        for header, table in tables:
            lines += ["", header, *(f"{toml_key(k)} = {toml(v)}" for k, v in table.items())]
        return "\n".join(lines) + "\n"

    def grid(self) -> Grid:
        """The study and its checked cells, in the order of arms, zips and axes.

        Raises:
            UserError: a wrong field, in one line that names it and what is allowed.
        """
        study = load_study(self.study)
        dims = [*([ARM] if self.arms else ()), *(next(iter(t), "") for t in self.zip), *self.axes]
        if self.best and self.best not in dims:
            raise UserError(f"best = {self.best!r}: not swept; {nearest(self.best, dims)}")
        for name in self.options:
            if name in study.cell_fields() and name not in study.Options.model_fields:
                raise UserError(f"options.{name}: a number of a cell; it is in [cell] or [axes]")
        try:
            options = study.Options(**self.options)
        except ValidationError as error:
            allowed = {name: words for name, _, words in choices(study)}
            raise UserError(complaint(error, ("options",), allowed)) from None
        return make_grid(study(options), self.axes, self.zip, self.arms, self.cell)

    def refuse_figures(self) -> None:
        """Refuse figures that the study does not have; to know them, matplotlib is imported.

        Raises:
            UserError: with the first of them.
        """
        figures = figure_names(load_study(self.study)) if self.figures else ()
        for i, figure in enumerate(self.figures):
            if figure not in figures:
                raise UserError(f"figures[{i}] = {figure!r}: unknown; {nearest(figure, figures)}")


def load_sweep(source: str | Path, overrides: Sequence[str] = ()) -> Sweep:
    """Read a sweep file, or a shipped sweep by name, with `key=value` overrides.

    >>> load_sweep("quickstart", ["T=[10, 100]", "steps=200"]).axes["T"]
    (10, 100)
    >>> load_sweep("quickstart", ["T=geomspace(10, 1000, 5)"]).grid().axes["T"]
    (10, 32, 100, 316, 1000)
    """
    return read_sweep(source, overrides)[0]


def read_sweep(source: str | Path, overrides: Sequence[str] = ()) -> tuple[Sweep, Grid]:
    """What `load_sweep` reads, and the grid that was built to check it."""
    path = _locate(source)
    try:
        text = path.read_bytes().decode("utf-8-sig")
        content = tomllib.loads(text)
    except RecursionError:
        raise UserError(f"{path}: not a sweep: brackets within brackets") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not TOML: {error}") from None
    except ValueError:
        raise UserError(f"{path}: a number of thousands of digits") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    if not content and not overrides:
        raise UserError(f"{path}: empty; a sweep file names what is swept, as [axes]")
    try:
        for table in TABLES if overrides else ():
            if not isinstance(content.get(table, {}), dict):
                raise UserError(f"{table} = {content[table]!r}: allowed: a table, [{table}]")
        for key, value in parsed(overrides).items():
            _override(content, key, value)
        if "name" not in content and not re.fullmatch(NAME, path.stem):
            raise UserError(
                f"name: missing, and {path.stem!r} cannot be one;"
                " allowed: letters, digits, '.', '_', '-'"
            )
        if content.get("figures") == []:
            raise UserError("figures = []: allowed: at least one name, or no such line for all")
        sweep = Sweep(**{"name": path.stem, **content})
        grid = sweep.grid()
        sweep.refuse_figures()
        refuse_wrong(grid.study, grid.cells)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    return sweep, grid


def shipped() -> dict[str, Path]:
    """The sweeps that ship with the package: name -> file.

    Those of the study that a sweep has by default are named without it.

    >>> [name for name in shipped() if name.endswith("P3")]
    ['paper/P3', 'reference/P3']
    """
    package = Path(__file__).parents[1]
    for folder in (package / "sweeps", package.parent / "sweeps"):
        if folder.is_dir():
            return {
                _short(path.relative_to(folder).with_suffix("").as_posix()): path
                for path in sorted(folder.rglob("*.toml"))
            }
    return {}


def headline(path: Path) -> str:
    """The first comment line of a sweep file: what the sweep makes."""
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    return first.lstrip("# ").strip() if first.startswith("#") else ""


def parse(override: str, option: str = "--set") -> tuple[str, Any]:
    """Key and value of a `key=value`; a value that is not TOML is text. `option` names a mistake.

    >>> parse("T=[10, 100]"), parse("reduction=sum"), parse("seed=range(8)")
    (('T', [10, 100]), ('reduction', 'sum'), ('seed', 'range(8)'))
    """
    key, equals, text = override.partition("=")
    key = key.strip()
    if not equals or not key:
        raise UserError(f"{option} {override!r}: expected key=value")
    try:
        return key, tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        text = text.strip()
    except (RecursionError, ValueError):
        raise UserError(f"{option} {key}: {text[:40]}...: neither a number nor a list") from None
    if text.startswith("["):
        raise UserError(
            f'{option} {key}: {text} is not a list of TOML; as ["sum", 0.5], names in quotes'
        )
    return key, text


def parsed(overrides: Iterable[str], option: str = "--set") -> dict[str, Any]:
    """Keys and values of several `key=value`.

    >>> parsed(["T=[10, 100]", "steps=200"])
    {'T': [10, 100], 'steps': 200}

    Raises:
        UserError: one is no such thing, or a key is given twice.
    """
    values = dict[str, Any]()
    for key, value in (parse(override, option) for override in overrides):
        if key in values:
            raise UserError(f"{option} {key}: given twice; allowed: once, as a list if it has many")
        values[key] = value
    return values


def _override(content: dict[str, Any], key: str, value: Any) -> None:
    """Apply one `key=value`: a list makes an axis, a single value fixes it or sets a field."""
    study = load_study(str(content.get("study", _default_study())))
    names = study.cell_fields()
    options = tuple(study.Options.model_fields)
    if key in OWN_FIELDS:
        content[key] = value
    elif key in options:
        content.setdefault("options", {})[key] = value
    elif key in names:
        if owner := next(_setters(content, key), ""):
            raise UserError(f"--set {key}: the file's {owner} sets it; change it there")
        listed = isinstance(value, list) or ranges.is_call(value)
        table, other = ("axes", "cell") if listed else ("cell", "axes")
        content.get(other, {}).pop(key, None)
        if content.get("best") == key and table == "cell":
            del content["best"]  # there is one to choose from
        content.setdefault(table, {})[key] = value
    else:
        raise UserError(f"--set {key}: unknown; {nearest(key, (*names, *options, *OWN_FIELDS))}")


def _setters(content: Mapping[str, Any], field: str) -> Iterator[str]:
    """The tables of arms and zips that set a field; what is not a table is refused later."""
    arms, zips = content.get("arms"), content.get("zip")
    for name, table in arms.items() if isinstance(arms, dict) else ():
        if isinstance(table, dict) and field in table:
            yield f"[arms.{name}]"
    for table in zips if isinstance(zips, list) else ():
        if isinstance(table, dict) and field in table:
            yield "[[zip]]"


def _default_study() -> str:
    return str(Sweep.model_fields["study"].default)


def _short(name: str) -> str:
    return name.removeprefix(f"{_default_study()}/")


def _locate(source: str | Path) -> Path:
    sweeps = shipped()
    if (name := _short(str(source))) in sweeps:
        return sweeps[name]
    path = Path(source)
    if path.is_dir():
        raise UserError(f"{path}: a folder, not a sweep file")
    if not path.exists():
        close = nearest(str(source), sweeps).rpartition("allowed: ")[0]
        raise UserError(f"{path}: no such sweep file; {close}superpos list has those that ship")
    return path
