"""The code of a study: the files that hold it, and a hash by which a change is seen."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np

from superpos_jax.engine.study import Study

PACKAGE = Path(__file__).parents[1]
LIBRARIES = tuple(
    f"{place}{os.sep}"
    for place in (PACKAGE, *map(sysconfig.get_path, ("stdlib", "purelib", "platlib")))
)
"""Where nothing is the user's own."""
ARRAYS = np.ndarray, jax.Array
CONTAINERS = tuple, list, frozenset, set, dict
CONSTANTS = (bool, int, float, complex, str, bytes, *CONTAINERS, *ARRAYS)


def source_hash(study: type[Study]) -> str:
    """A hash of the code of a study: of its module, or of the modules of its package.

    Modules of the user's own that these import count too; comments and docstrings do not, nor do
    folders inside the package, and what stands below `if __name__ == "__main__":`. Of a class that
    was typed into a notebook the compiled methods are hashed, with the functions, numbers, arrays,
    lists and dicts that they read: another version of Python compiles them to something else. Empty
    where the source cannot be read.

    >>> from superpos_jax.results.registry import load_study
    >>> len(source_hash(load_study("double_descent")))
    16
    """
    try:
        if not _is_typed(study):
            return _hash_of_files(study)
        bases = (base for base in study.__mro__ if issubclass(base, Study) and base is not Study)
        hashes = {_hash_of_files(base) for base in bases if not _is_typed(base)}
        return _hashed("\n".join(sorted(hashes | _of_class(study, frozenset({study})))))
    except (OSError, TypeError, SyntaxError, ValueError):
        return ""


@cache
def engine_hash() -> str:
    """A hash of the code that trains every study: of the engine, and of what studies share.

    Made as `source_hash` is.

    >>> len(engine_hash())
    16
    """
    return _hash(engine_files())


def source_files(study: type[Study]) -> list[Path]:
    """The module of a study, or the modules of its package, and what they import.

    Left out are folders inside the package, and modules of libraries, this one included.

    Raises:
        OSError, TypeError: there is no file, as of a class that was typed into a notebook.
    """
    own = Path(inspect.getfile(study)).resolve()
    is_package = (own.parent / "__init__.py").exists()
    files = sorted(own.parent.glob("*.py")) if is_package else [own]
    return files if own.is_relative_to(PACKAGE) else [*files, *_imported(files)]


def engine_files() -> list[Path]:
    """The modules of the engine, and those that the studies of this package share."""
    return [*sorted((PACKAGE / "engine").glob("*.py")), *sorted((PACKAGE / "studies").glob("*.py"))]


@cache
def _hash_of_files(study: type[Study]) -> str:
    return _hash(source_files(study))


def _hash(files: Sequence[Path]) -> str:
    code = [f"# {file.name}\n{code_of(file.read_text(encoding='utf-8'))}" for file in files]
    return _hashed("\n".join(code))


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def code_of(text: str) -> str:
    """A module as text that is the same in every version of Python.

    Left out are comments, docstrings, and what only a script does: `if __name__ == "__main__":`.

    >>> code_of("def f():\\n    'Docs.'\\n    return 1  # why")
    "Module(body=[FunctionDef(name='f', args=arguments(), body=[Return(value=Constant(value=1))])])"
    """
    return _written(_tree(text))


def _tree(text: str) -> ast.Module:
    """A module as it is imported, without docstrings."""
    tree = ast.parse(text)
    tree.body = [
        part
        for statement in tree.body
        for part in (statement.orelse if _is_of_a_script(statement) else [statement])
    ]
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            code = [statement for statement in body if not _is_text(statement)]
            node.body = code or [ast.Pass()]  # type: ignore[attr-defined]
    return tree


def _written(value: Any) -> str:
    """A part of a tree as text; not by `ast.unparse` or `ast.dump`, whose forms change."""
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, ast.JoinedStr):  # Python 3.12 ends some with an empty text
        parts = [_written(part) for part in value.values if getattr(part, "value", None) != ""]
        return f"JoinedStr({', '.join(parts)})"
    if not isinstance(value, ast.AST):
        return ascii(value)  # what is printable changes as well
    kept = ((name, part) for name, part in ast.iter_fields(value) if part not in (None, []))
    fields = ", ".join(f"{name}={_written(part)}" for name, part in kept)
    return f"{type(value).__name__}({fields})"


def _is_of_a_script(statement: ast.stmt) -> TypeGuard[ast.If]:
    """Whether it is `if __name__ == "__main__":` without a class, which might be the study."""
    if not isinstance(statement, ast.If):
        return False
    is_asked = ast.unparse(statement.test) in ("__name__ == '__main__'", "'__main__' == __name__")
    return is_asked and not any(isinstance(node, ast.ClassDef) for node in ast.walk(statement))


def _is_text(statement: ast.stmt) -> bool:
    """Whether a statement is nothing but text: a docstring."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _imported(files: Sequence[Path]) -> list[Path]:
    """The files of the user's own modules that files import, directly or by one another."""
    modules = {name: file for name in [*sys.modules] if (file := _own_file(name))}
    found = [*files]
    for file in found:  # it grows meanwhile
        packages = {str(sys.modules[n].__package__) for n, path in modules.items() if path == file}
        for package in packages or {""}:
            places = (modules.get(name) for name in _imports(file, package))
            found += {place for place in places if place and place not in found}
    return sorted(found[len(files) :])


def _own_file(module: str) -> Path | None:
    """The file of a module that is the user's own; None of a library's, and where there is none."""
    file = getattr(sys.modules.get(module), "__file__", None) or ""
    is_own = file.endswith(".py") and not file.startswith(LIBRARIES)
    return _resolved(file) if is_own else None


@cache
def _resolved(file: str) -> Path:
    return Path(file).resolve()


def _imports(file: Path, package: str) -> Iterator[str]:
    """Names of modules that a file of a package may import; some are names in a module."""
    for node in ast.walk(_tree(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            name = "." * node.level + (node.module or "")
            base = importlib.util.resolve_name(name, package) if node.level else name
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _is_typed(value: Any) -> bool:
    """Whether a class or function was typed into a notebook, a prompt or a pipe."""
    module = sys.modules.get(value.__module__ or "")
    if module is None or module.__spec__ is not None:
        return False
    return not Path(getattr(module, "__file__", None) or "").is_file()


def _of_class(kind: type, known: frozenset[Any]) -> set[str]:
    """What a class that was typed has and does, as text; its bases count where they were typed."""
    parts: set[str] = set()
    for base in filter(_is_typed, kind.__mro__):
        for name, value in vars(base).items():
            inner = getattr(value, "__func__", getattr(value, "fget", value))
            parts |= _described(f"{base.__name__}.{name}", inner, known)
    return parts


def _described(name: str, value: Any, known: frozenset[Any]) -> set[str]:
    """A function or class that was typed, with what it reads; a constant; the code of an import."""
    if isinstance(value, CONSTANTS):
        return set() if "__" in name else {f"{name} = {_shown(value)}"}
    value = getattr(value, "__wrapped__", value) if callable(value) else value  # as of jax.jit
    if not isinstance(value, FunctionType | type | ModuleType) or value in known:
        return set()
    module = value.__name__ if isinstance(value, ModuleType) else value.__module__
    if file := _own_file(module or ""):
        return {f"{name}: {_hash([file, *_imported([file])])}"}
    if isinstance(value, ModuleType) or not _is_typed(value):
        return set()
    known |= {value}
    if isinstance(value, type):
        return _of_class(value, known)
    parts = {f"{name}: {_compiled(value.__code__, value.__doc__)} {_shown(value.__defaults__)}"}
    for read in {*_names(value.__code__)} & {*value.__globals__}:
        parts |= _described(read, value.__globals__[read], known)
    return parts


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _names(inner)


def _compiled(code: CodeType, docstring: str | None = None) -> str:
    """Code without its place in a file and without its docstring."""
    constants = [_shown(None if value == docstring else value) for value in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {constants}"


def _shown(value: Any, within: tuple[Any, ...] = ()) -> str:
    """A constant as text that is the same in every process; `within`: the containers it is in."""
    if isinstance(value, CodeType):
        return _compiled(value)
    if isinstance(value, CONTAINERS) and all(value is not outer for outer in within):
        own = value.items() if isinstance(value, dict) else value
        parts = [_shown(part, (*within, value)) for part in own]
        return f"[{', '.join(parts if isinstance(value, tuple | list) else sorted(parts))}]"
    if isinstance(value, jax.Array) and (value.is_deleted() or not value.is_fully_addressable):
        return type(value).__name__
    if isinstance(value, ARRAYS):
        is_key = jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
        host = np.asarray(jax.random.key_data(value) if is_key else value)
        return f"{host.dtype} {host.shape} {hashlib.sha256(host.tobytes()).hexdigest()}"
    is_plain = isinstance(value, CONSTANTS) and not isinstance(value, CONTAINERS)
    return repr(value) if is_plain else type(value).__name__
