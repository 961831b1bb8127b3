"""What a study must keep to, checked before its training is compiled: one line for each mistake."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from pydantic import BaseModel

from superpos_jax.engine.code import platform_of, rough_options
from superpos_jax.engine.jaxprs import equations
from superpos_jax.engine.layout import TRAIN, datasets_of
from superpos_jax.engine.plan import Plan
from superpos_jax.engine.study import PyTree, Shapes, Study, shapes_of
from superpos_jax.engine.terms import ARM, CELL, STEP
from superpos_jax.errors import UserError
from superpos_jax.text import Labels

ZERO = 1e-6
"""What a loss may be, of samples that all have the weight 0."""
SAME = 1e-2
"""By what part the loss of one sample may change with the others, in low precision."""


@functools.cache
def check_class(study: type[Study]) -> None:
    """Refuse a study whose `Cell`, `Options` or `labels` cannot be one.

    Raises:
        UserError: with the first thing that is wrong.
    """
    name, cell = study.__name__, getattr(study, "Cell", None)
    parameters = getattr(cell, "__dataclass_params__", None)
    if not isinstance(cell, type) or parameters is None or not parameters.frozen:
        raise UserError(f"study {name}: Cell: allowed: a frozen dataclass of the cell's numbers")
    if not (isinstance(study.Options, type) and issubclass(study.Options, BaseModel)):
        raise UserError(f"study {name}: Options: allowed: a pydantic model of the static choices")
    for field, kind in get_type_hints(cell).items():
        if kind not in (int, float):
            raise UserError(
                f"study {name}: Cell.{field}: {getattr(kind, '__name__', kind)}; allowed: int,"
                " float (a choice is a number with names, in labels)"
            )
    if not isinstance(study.labels, Labels):
        raise UserError(f"study {name}: labels: {study.labels!r}; allowed: Labels(...)")
    numbers = [field.name for field in fields(cell)]
    for named in ("values", "phrases"):
        for field in getattr(study.labels, named):
            if field not in numbers:
                raise UserError(
                    f"study {name}: labels: {named}: {field!r} is not a field of Cell; allowed:"
                    f" {', '.join(numbers)}"
                )
    own_steps = study.steps is not Study.steps
    if not own_steps and "steps" not in numbers:
        raise UserError(f"study {name}: Cell has no field steps; add it, or define steps(cell)")


def check(study: Study, plan: Plan, mesh: jax.sharding.Mesh) -> None:
    """Refuse a study whose functions do not fit together, by a cell of each layout.

    Args:
        study, plan: a study, and its cells in their layouts.
        mesh: of the devices, whose platform decides how the loss is compiled.

    Raises:
        UserError: with the first thing that is wrong.
    """
    for group in plan.groups:
        cell, shapes = plan.cells[group.slots.max()], group.layout.shapes
        params = jax.eval_shape(functools.partial(study.init, cell, shapes))
        metrics = _check_loss(study, cell, shapes, params, mesh)
        _check_summaries(study, cell, shapes, params, metrics)


def _check_loss(
    study: Study, cell: Any, shapes: Shapes, params: PyTree, mesh: jax.sharding.Mesh
) -> list[str]:
    """The loss is a scalar, and samples of weight 0 have no part in it.

    With the weight of one sample alone, the loss must be the same whatever the others are: where
    (rows,) and (rows, 1) were subtracted, it is not. That of two must be the sum of theirs: a mean
    over weights is not. With twice the rows it must be the same, too: a mean over rows is not.

    Returns:
        The names of the metrics of a data set.
    """
    if shapes.kernel or type(study).loss is Study.loss:
        return ["loss"]  # the study computes gradients of its own
    name = type(study).__name__
    train = datasets_of(study, cell)[TRAIN]
    block = jax.tree.map(lambda leaf: leaf[0], study.blocks(train, shapes.block))

    def loss(shapes: Shapes, block: Any, weight: jax.Array) -> jax.Array:
        view = study.prepare(cell, shapes, study.init(cell, shapes))
        return study.loss(cell, shapes, view, block, weight)

    def traced(shapes: Shapes, block: Any) -> jax.stages.Traced:
        function = functools.partial(loss, shapes)
        return jax.jit(function, compiler_options=rough_options(mesh)).trace(
            block, jnp.zeros(shapes.rows)
        )

    nothing, program = jnp.zeros(shapes.rows), traced(shapes, block)
    shape = program.out_info
    if getattr(shape, "shape", None) != ():
        raise UserError(
            f"study {name}: loss has the shape {getattr(shape, 'shape', shape)}; allowed: (), the"
            " sum over samples of weight times loss"
        )
    view = jax.eval_shape(functools.partial(study.prepare, cell, shapes), params)
    weight = jax.ShapeDtypeStruct((shapes.rows,), jnp.float32)
    sums = jax.eval_shape(functools.partial(study.measure, cell, shapes), view, block, weight)
    metrics = jax.eval_shape(functools.partial(study.metrics, cell, shapes), sums)
    odd = [key for key, leaf in metrics.items() if leaf.shape != ()]
    if odd or "loss" not in metrics:
        own = "metrics" if type(study).metrics is not Study.metrics else "measure"
        raise UserError(
            f"study {name}: {own}: {odd[0] + ' is not a scalar' if odd else 'no loss'}; allowed:"
            ' scalars by name, "loss" among them'
        )
    measured = program.lower().compile()
    value = float(measured(block, nothing))
    if np.isfinite(value) and abs(value) > ZERO:
        raise UserError(
            f"study {name}: loss is {value:g} where all samples have the weight 0; allowed: 0, as"
            " (weight * loss of each sample).sum(): no mean, and a penalty on the parameters inside"
            " of it, weight * (loss + penalty)"
        )
    if type(study).blocks is not Study.blocks:
        return [*metrics]  # rows are where the study has them
    first = nothing.at[0].set(1.0)
    alike = jax.tree.map(lambda leaf: np.broadcast_to(leaf[:1], leaf.shape), block)
    here, there = float(measured(block, first)), float(measured(alike, first))
    if _differ(here, there):
        raise UserError(
            f"study {name}: the loss changes from {here:g} to {there:g} where samples of weight 0"
            " are replaced; allowed: weight * loss of each sample, both of shape (rows,), summed"
        )
    rows = shapes.rows
    second = jnp.zeros(rows).at[-1].set(1.0)
    alone, both = float(measured(block, second)), float(measured(block, first + second))
    scale = abs(here) + abs(alone)
    if rows > 1 and np.isfinite(scale) and not abs(here + alone - both) <= SAME * scale:
        raise UserError(
            f"study {name}: the loss of two samples is {both:g}, of each alone {here:g} and"
            f" {alone:g}; allowed: (weight * loss of each sample).sum(), and no mean"
        )
    if shapes_of(study, cell, platform_of(mesh)).block or not _divides(program.jaxpr.jaxpr, rows):
        return [*metrics]
    padded = jax.tree.map(lambda leaf: np.concatenate([leaf, leaf]), block)
    longer = traced(replace(shapes, block=(2 * rows,)), padded).lower().compile()
    weights = jnp.ones(rows), jnp.append(jnp.ones(rows), nothing)
    here, there = float(measured(block, weights[0])), float(longer(padded, weights[1]))
    if _differ(here, there):
        raise UserError(
            f"study {name}: the loss is {here:g} in a block of {rows} rows and {there:g} in one of"
            f" {2 * rows}; allowed: (weight * loss of each sample).sum(), and no mean"
        )
    return [*metrics]


def _check_summaries(
    study: Study, cell: Any, shapes: Shapes, params: PyTree, metrics: Sequence[str]
) -> None:
    """Summaries are scalars, with names of their own."""
    functions: dict[str, Callable[[Any, PyTree], Any]] = {}
    if type(study).summarise is not Study.summarise:
        functions["summarise"] = lambda cell, params: study.summarise(cell, shapes, params)
    if study.summarises_updates:
        functions["summarise_update"] = lambda cell, params: study.summarise_update(
            cell, shapes, params, params, params
        )
    taken = dict.fromkeys(("died_at", "ended", "updates"), "the engine's")
    for dataset in datasets_of(study, cell):
        taken |= dict.fromkeys((f"{dataset}_{metric}" for metric in metrics), "a metric")
    traced = jax.tree.map(np.asarray, cell)
    for own, function in functions.items():
        wrong = f"study {type(study).__name__}: {own}: "
        summaries = jax.eval_shape(function, traced, params)
        if not isinstance(summaries, Mapping):
            raise UserError(f"{wrong}returns no mapping; allowed: scalars by name")
        refuse_taken(study, summaries, f"{own}: ")
        for name, leaf in summaries.items():
            if getattr(leaf, "shape", None) != ():
                raise UserError(f"{wrong}{name} is not a scalar; allowed: scalars by name")
            if name in taken:
                raise UserError(f"{wrong}{name!r} is {taken[name]}; give it another name")
            taken[name] = "another summary"


def taken_names(study: Study) -> set[str]:
    """Names that a result has for the numbers of a cell and for its dimensions."""
    return {*study.cell_fields(), CELL, STEP, ARM}


def refuse_taken(study: Study, names: Iterable[str], where: str = "") -> None:
    """Refuse one of the `taken_names` for a summary, or for what is reported or traced.

    Args:
        study: which gave the names.
        names: to be looked at.
        where: the method that gave them, for the message.

    Raises:
        UserError: with the first of them.
    """
    for name in names:
        if name in taken_names(study):
            raise UserError(
                f"study {type(study).__name__}: {where}{name!r} is a number of the cell or a"
                " dimension; give it another name"
            )


def _differ(here: float, there: float) -> bool:
    """Whether two losses that should be one differ, by more than low precision makes them."""
    finite = np.isfinite([here, there]).all()
    return bool(finite and abs(here - there) > SAME * max(abs(here), abs(there)))


def _divides(jaxpr: core.Jaxpr, rows: int) -> bool:
    """Whether a program may divide by the number of rows, as a mean does.

    >>> mean = jax.make_jaxpr(jnp.mean)(jnp.ones(32)).jaxpr
    >>> _divides(mean, 32), _divides(mean, 64)
    (True, False)
    """
    return any(
        np.ndim(atom.val) == 0 and atom.val in (rows, np.float32(1 / rows))
        for equation in equations(jaxpr)
        if equation.primitive.name in ("div", "mul")
        for atom in equation.invars
        if isinstance(atom, core.Literal)
        and jnp.issubdtype(jnp.result_type(atom.val), jnp.floating)
    )
