"""One value of a cell as a user gives it, name or number, checked against the study's limits."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from dataclasses import fields
from functools import cache
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from superpos_jax.engine.study import Study
from superpos_jax.errors import UserError


def checked(study: Study | type[Study], where: str, field: str, value: Any) -> int | float:
    """The number of a cell's field that a user means by a value.

    Args:
        study: whose cell.
        where: what the message calls the value: "axes.T[1]".
        field: of the cell.
        value: a number, or one of the field's names. 1e3 counts as a whole number, 1.5 does not.

    Raises:
        UserError: neither; says what is allowed.
    """
    number = study.labels.number(field, value)
    if isinstance(number, float) and is_whole(study, field):
        number = _whole(number)
    try:
        number = _limits(study.Cell, field)[1].validate_python(number)
        wrong = study.labels.is_choice(field) and study.labels.called(field, number) is None
    except ValidationError:
        wrong = True
    if wrong:
        raise UserError(f"{where} = {brief(value)}: {_expected(study, field, value)}")
    if isinstance(number, int) and not -(2**31) <= number < 2**31:
        raise UserError(f"{where} = {brief(value)}: allowed: a whole number that fits 32 bits")
    return number


def allowed(study: Study | type[Study], field: str) -> str:
    """What a number of a cell may be, in words: its type and limits, its names, what it means.

    >>> from superpos_jax.studies.double_descent.study import DoubleDescent
    >>> allowed(DoubleDescent, "T")
    'a whole number, at least 1, at most 1e+08 (samples to train on)'
    """
    names = ", ".join(study.labels.names(field))
    if names and study.labels.is_choice(field):
        return names
    number = _allowed(_limits(study.Cell, field)[0]).removeprefix("allowed: ")
    return f"{number}; or {names}" if names else number


def defaults(study: Study | type[Study]) -> dict[str, str]:
    """The default of each number of a cell, in words; empty if there is none, or it means "none".

    >>> from superpos_jax.studies.double_descent.study import DoubleDescent
    >>> usual = defaults(DoubleDescent)
    >>> usual["T"], usual["loss"], usual["init_seed"]
    ('1000', 'squared', '')
    """
    words = {}
    for field in fields(study.Cell):
        name = study.labels.called(field.name, field.default)
        try:
            checked(study, field.name, field.name, field.default)
            words[field.name] = name or repr(field.default)
        except UserError:  # there is none, or it stands for "not given"
            words[field.name] = ""
    return words


def choices(study: Study | type[Study]) -> list[tuple[str, str, str]]:
    """Of each static option its name, its default and what it may be, in words.

    >>> from superpos_jax.studies.grokking.study import Grokking
    >>> choices(Grokking)[1]
    ('task', "'modular'", "'modular', 'binary', 'parity'")
    """
    rows = []
    for name, field in study.Options.model_fields.items():
        kind: Any = field.annotation
        if kind in (int, float):
            words = _allowed(Annotated[kind, field]).removeprefix("allowed: ")
        else:
            words = _kind(kind) + (f" ({field.description})" if field.description else "")
        usual = "" if field.is_required() else repr(field.get_default(call_default_factory=True))
        rows.append((name, usual, words))
    return rows


def _kind(kind: Any) -> str:
    """What an option that is not a number may be, in words.

    >>> from pathlib import Path
    >>> _kind(bool), _kind(Literal["a", "b"]), _kind(tuple[str, ...]), _kind(str), _kind(Path)
    ('true, false', "'a', 'b'", 'a list', 'text in quotes', 'Path')
    """
    outer = get_origin(kind) or kind
    if outer is Literal:
        return ", ".join(map(repr, get_args(kind)))
    words = {bool: "true, false", str: "text in quotes", list: "a list", tuple: "a list"}
    return words.get(outer) or str(getattr(kind, "__name__", kind))


def is_whole(study: Study | type[Study], field: str) -> bool:
    """Whether a field of a cell takes whole numbers only."""
    hint, _ = _limits(study.Cell, field)
    return (get_args(hint) or (hint,))[0] is int


def brief(value: object) -> str:
    """A value on one line of a message.

    >>> import numpy as np
    >>> brief(np.eye(2))
    'array([[1., 0.], [0., 1.]])'
    """
    line = " ".join(repr(value).split())
    return line if len(line) <= 100 else f"{line[:97]}..."


def nearest(key: str, allowed: Iterable[str]) -> str:
    """`did you mean steps? allowed: T, steps`: a hint for a key that is not allowed."""
    allowed = list(allowed)
    close = difflib.get_close_matches(key, allowed, n=1)
    listing = f"allowed: {', '.join(allowed) or 'none'}"
    return f"did you mean {close[0]}? {listing}" if close else listing


def _whole(number: float) -> int | float:
    """The whole number that a float is, but for its rounding: numpy.geomspace has 7.999999999."""
    if math.isfinite(number) and math.isclose(number, round(number), rel_tol=1e-12):
        return round(number)
    return number


def _expected(study: Study | type[Study], field: str, value: Any) -> str:
    """What a field may be, in words, and which of its names is nearest to a wrong one."""
    names = study.labels.names(field)
    if study.labels.is_choice(field):
        return nearest(str(value), names)
    number = _allowed(_limits(study.Cell, field)[0])
    if names and isinstance(value, str):
        return f"{nearest(value, names)}, or {number.removeprefix('allowed: ')}"
    return number


@cache
def _limits(cell_type: type, field: str) -> tuple[Any, TypeAdapter[Any]]:
    """The annotation of a field of a cell, and what checks a value against it."""
    hint = get_type_hints(cell_type, include_extras=True)[field]
    return hint, TypeAdapter(hint, config=ConfigDict(strict=True))


def _allowed(hint: Any) -> str:
    """What a number of a cell may be, in words: its type, its limits, and why.

    >>> from typing import Annotated
    >>> from pydantic import Field
    >>> _allowed(Annotated[int, Field(ge=1, description="samples")])
    'allowed: a whole number, at least 1 (samples)'
    """
    kind, *rest = get_args(hint) or (hint,)
    words = ["a whole number" if kind is int else "a number"]
    limits = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    for field in (x for x in rest if isinstance(x, FieldInfo)):
        for limit in field.metadata:
            words += [f"{w} {getattr(limit, n):g}" for n, w in limits.items() if hasattr(limit, n)]
        words[-1] += f" ({field.description})" if field.description else ""
    return f"allowed: {', '.join(words)}"
