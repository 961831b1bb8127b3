"""What the tables of a sweep hold: how it is read, written, and refused in one line."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, SkipValidation, ValidationError
from pydantic_core import PydanticCustomError

from superpos_jax.results import ranges
from superpos_jax.results.values import brief, nearest

OWN = ("value_error", "assertion_error")
"""Complaints that a study words itself."""


def _refusal(message: str, value: Any, *path: str | int) -> PydanticCustomError:
    """What pydantic is to report of a value at a path within what it checks."""
    context = {"message": message, "value": value, "path": path}
    return PydanticCustomError("refused", "{message}", context)


def _number(value: Any, *path: int) -> int | float | str:
    """A number or a name; one of NumPy or JAX is fine in Python, the file only knows numbers."""
    value = ranges.plain(value)
    if type(value) not in (int, float, str):
        several = "; several values are an axis, in [axes]"
        is_list = not path and isinstance(ranges.listed(value), tuple)
        raise _refusal(f"allowed: a number{several if is_list else ''}", value, *path)
    return value


def _values(value: Any) -> tuple[int | float | str, ...] | str:
    """Values of an axis. Arrays and generators are fine in Python, the file only knows lists."""
    if isinstance(value, str):
        try:
            ranges.expand(value)
        except ValueError as error:
            raise _refusal(str(error), value) from None
        return value
    values = ranges.listed(value)
    if not isinstance(values, tuple):
        raise _refusal(ranges.ALLOWED, value)
    if not values:
        raise _refusal("allowed: at least one value", [])
    return tuple(_number(item, i) for i, item in enumerate(values))


def _option(value: Any, *path: str | int) -> Any:
    """A static choice. Paths and arrays are fine in Python, the file knows text and lists."""
    value = ranges.plain(value)
    if hasattr(value, "__array__"):
        value = ranges.listed(value)
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _option(own, *path, key) for key, own in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_option(own, *path, i) for i, own in enumerate(value))
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if not isinstance(value, bool | int | float | str):
        raise _refusal("allowed: true or false, a number, a text, a list or a table", value, *path)
    return value


def _arm_names(arms: dict[str, Any]) -> dict[str, Any]:
    for name in arms:
        if not re.fullmatch("[A-Za-z0-9._-]+", name):
            raise _refusal("allowed as name of an arm: letters, digits, '.', '_', '-'", name)
    return arms


# What these functions let through has the types already; pydantic need not look again.
Value = Annotated[int | float | str, SkipValidation, BeforeValidator(_number)]
Values = Annotated[tuple[int | float | str, ...] | str, SkipValidation, BeforeValidator(_values)]
Option = Annotated[Any, BeforeValidator(_option)]
Arms = Annotated[dict[str, dict[str, Value]], AfterValidator(_arm_names)]


def complaint(error: ValidationError, prefix: tuple[str, ...], allowed: Mapping[str, str]) -> str:
    """The first of pydantic's complaints as one line that names the field.

    Args:
        error: what pydantic says.
        prefix: the table of the field.
        allowed: each field there is, and what it may be, in words; "" where pydantic has them.
    """
    detail = error.errors()[0]
    context = detail.get("ctx", {})
    path = [*prefix, *detail["loc"], *context.get("path", ())]
    where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")
    if detail["type"] == "refused":
        return f"{where} = {brief(context['value'])}: {detail['msg']}"
    if detail["type"] == "extra_forbidden":
        return f"{where}: unknown; {nearest(str(detail['loc'][-1]), allowed)}"
    if detail["type"] == "missing":
        return f"{where}: missing; it has no default"
    said = "" if detail["type"] in OWN else allowed.get(str(detail["loc"][0]), "")
    if detail["type"] == "dict_type":
        said = "a table"
    elif detail["type"] == "tuple_type":
        said = said or "a list"
    elif len(detail["loc"]) > 1:
        said = ""
    words = f"allowed: {said}" if said else detail["msg"]
    return f"{where} = {brief(detail['input'])}: {words}"


def toml_key(name: str) -> str:
    """A key as TOML has it."""
    return name if re.fullmatch("[A-Za-z0-9_-]+", name) else toml(name)


def toml(value: Any) -> str:
    """A value as TOML has it.

    >>> toml((1, 1e-05, "geomspace(1, 8, 4)", {"deep": True}))
    '[1, 1e-05, "geomspace(1, 8, 4)", {deep = true}]'
    """
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{toml_key(k)} = {toml(v)}' for k, v in value.items())}}}"
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):  # JSON's, but for what TOML has otherwise
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
