"""The studies by name: those that ship, and those of a user."""

from __future__ import annotations

import importlib
import itertools
import pkgutil
import sys
from types import ModuleType

import xarray as xr

from superpos_jax.engine.contract import check_class
from superpos_jax.engine.script import UNNAMED, script_name
from superpos_jax.engine.study import Study
from superpos_jax.errors import UserError
from superpos_jax.text import Labels

SHIPPED = "superpos_jax.studies"
GENERIC = ("plane", "curves", "history")
"""Figures that the package draws of any study; a study may have its own of the same name."""


def shipped_studies() -> tuple[str, ...]:
    """The names of the studies that ship.

    >>> shipped_studies()[:2]
    ('bows', 'cities')
    """
    package = importlib.import_module(SHIPPED)
    modules = pkgutil.iter_modules(package.__path__)
    return tuple(sorted(module.name for module in modules if module.ispkg))


def load_study(name: str) -> type[Study]:
    """The study class of a name: a shipped one, or `package.module:Class`.

    >>> load_study("double_descent")
    <class 'superpos_jax.studies.double_descent.study.DoubleDescent'>
    """
    module, _, attribute = name.partition(":")
    if not attribute:
        module, attribute = f"{SHIPPED}.{name}", "STUDY"
    parts = module.split(".")
    try:
        if not all(map(str.isidentifier, parts)):
            raise ModuleNotFoundError(name=module)
        study = getattr(_imported(module), attribute, None)
    except ModuleNotFoundError as error:
        if str(error.name) not in itertools.accumulate(parts, "{}.{}".format):
            raise  # the study exists and lacks something else: not a matter of its name
        within, dot, last = name.rpartition(".")
        meant = f"did you mean '{within}:{last}'? " if dot and ":" not in name else ""
        raise UserError(
            f"study: no study {name!r}; {meant}{_allowed()}, whose file is in the current folder or"
            " on PYTHONPATH"
        ) from None
    except SyntaxError as error:
        raise UserError(
            f"study {name}: {error.filename}, line {error.lineno}: {error.msg}"
        ) from None
    if study is None and module == UNNAMED:
        study = _now_in_a_file(attribute)
    if study is None:
        if "<locals>" in attribute:
            raise UserError(
                f"study: {name!r} stands in a function; allowed: a class at the top of a module"
            )
        if module == UNNAMED:
            raise UserError(
                f"study {name!r}: typed into a script or notebook; put the class into a file and"
                f" name it, --study module:{attribute}"
            )
        raise UserError(f"study: {module} has no {attribute!r}; {_allowed()}")
    if not (isinstance(study, type) and issubclass(study, Study)):
        raise UserError(f"study: {name!r} is not a superpos_jax.Study subclass")
    if lacking := sorted(study.__abstractmethods__):
        raise UserError(f"study: {name!r} does not define {', '.join(lacking)}")
    check_class(study)
    return study


def _imported(module: str) -> ModuleType:
    """A module by name. The running script is one already: a second import would run it again."""
    return sys.modules[UNNAMED] if module == script_name() else importlib.import_module(module)


def _now_in_a_file(attribute: str) -> type[Study] | None:
    """The class that stands for one that was typed: the imported study of one's own so called."""
    kinds = [Study]
    for kind in kinds:  # it grows meanwhile
        kinds += kind.__subclasses__()
    found = {
        kind
        for kind in kinds
        if kind.__qualname__ == attribute
        and not kind.__module__.startswith(f"{SHIPPED}.")
        and getattr(sys.modules.get(kind.__module__), attribute, None) is kind
    }
    return found.pop() if len(found) == 1 else None


def _allowed() -> str:
    return f"allowed: a shipped study ({', '.join(shipped_studies())}) or 'package.module:Class'"


def refuse_unnamed(name: str) -> None:
    """Refuse to import the code that a file names, unless the user has named or imported it.

    A result is read for its numbers; one of a stranger may name any module there is.

    Raises:
        UserError: the study is neither one that ships nor of a module that is imported already.
    """
    module, _, attribute = name.partition(":")
    is_imported = module in sys.modules or module == script_name()
    if not attribute or module.startswith(f"{SHIPPED}.") or is_imported:
        return
    raise UserError(
        f"study {name!r} is not of this package; to run its code name it: --study {name},"
        f" or import {module} first"
    )


def figure_names(study: type[Study]) -> tuple[str, ...]:
    """The figures that a sweep of a study may name: the study's own, and those of every study."""
    return tuple(dict.fromkeys([*study.figures(), *GENERIC]))


def labels_of(dataset: xr.Dataset) -> Labels:
    """What the study of a result calls its numbers."""
    study = dataset.attrs.get("study")
    return Labels() if study is None else load_study(study).labels


def shown_first(dataset: xr.Dataset) -> tuple[str, ...]:
    """The numbers of a result that its study shows first."""
    study = dataset.attrs.get("study")
    return () if study is None else load_study(study).shown
