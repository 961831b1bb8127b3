"""Trained cells measured again, from their stored weights: on more held-out samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr

from superpos_jax.engine import collective, memory
from superpos_jax.engine.code import make_mesh, platform_of
from superpos_jax.engine.numerics import pinned
from superpos_jax.engine.program import Program
from superpos_jax.engine.study import DataSet, Study
from superpos_jax.engine.verdicts import FAILED, UNFINISHED
from superpos_jax.errors import UserError
from superpos_jax.results import view
from superpos_jax.results.result import Best, Result
from superpos_jax.results.sweep import Sweep
from superpos_jax.training import provenance
from superpos_jax.training.job import find_devices, of_this_process

AGREES = 1e-3
"""Relative difference of a cell's train loss, as stored and as its stored weights give it."""
AGAIN = "measured"
"""Of the last run in the provenance: when and by what the result was measured again."""


@pinned()
def measure(result: Result, options: Mapping[str, Any], *, devices: int | None = None) -> Result:
    """The result with the final test loss of its trained cells measured again.

    Losses of data sets that have several draws under these options become means over their draws,
    with standard errors. Numbers that depend on the data alone are computed again; all else stays.

    Args:
        result: with weights.
        options: of the study, in place of the result's: `{"test_draws": 64}`.
        devices: how many devices to measure on.

    Raises:
        UserError: an option is wrong or does anything but add draws, a cell's weights are not
            stored, or do not give its stored train loss.

    >>> import superpos_jax as sp
    >>> result = sp.run(sp.Sweep(
    ...     axes=dict(T=[3]), cell=dict(steps=5, S=0.9), options=dict(n=50)
    ... ))
    >>> again = sp.measure(result, {"test_draws": 5}).dataset
    >>> bool(abs(again.test_loss - result.dataset.test_loss) < 5 * again.test_loss_error)
    True
    """
    before = result.dataset
    if isinstance(result, Best):
        raise UserError("measure: the best of a result; measure the result, then take its best")
    sweep = _with(result.sweep, options)
    grid = sweep.grid()
    study, trained = grid.study, ~before["verdict"].isin((UNFINISHED, *FAILED)).values
    every = [
        {axis: before[axis].values[i].item() for axis, i in zip(result.axes, place, strict=True)}
        for place in np.ndindex(trained.shape)
    ]
    points = [point for point, is_trained in zip(every, trained.flat, strict=True) if is_trained]
    if not points:
        raise UserError(f"{result.name}: no cell is trained to its end")
    cells = [result.trained_cell(**point) for point in points]
    _refuse_wrong(result, options, study, cells[0])
    measured = _measured(study, cells, [result.at(**point) for point in points], devices)
    dataset = before.assign(
        {name: _placed(before, name, trained, values) for name, values in measured.items()}
        | _given(study, before, [result.trained_cell(**point) for point in every])
    )
    *earlier, latest = view.provenance(before) or [{}]
    again = {**latest, AGAIN: {"at": provenance.now(), **provenance.trainer(study)}}
    dataset = view.with_provenance(dataset, [*earlier, again]).assign_attrs(
        sweep=sweep.model_dump_json(), options=study.options.model_dump_json()
    )
    return Result(dataset, grid)


def _measured(
    study: Study, cells: Sequence[Any], stored: Sequence[xr.Dataset], devices: int | None
) -> dict[str, np.ndarray]:
    """(cells,) by name: metrics that have several draws, and their errors.

    Of several processes each measures all cells, on its own devices.
    """
    mesh = make_mesh(of_this_process(find_devices(devices)))
    platform, room = platform_of(mesh), memory.usable([*mesh.devices.flat])
    if platform == "cpu":
        room /= collective.processes_per_host()
    parts: dict[str, list[np.ndarray]] = {}
    rest = iter(stored)
    for plan in memory.split(study, cells, mesh.size, platform, room):
        program = Program(study, plan, mesh)
        own = [next(rest) for _ in plan.cells]
        pairs = zip(plan.cells, own, strict=True)
        params = [_restored(study, cell, arrays, platform) for cell, arrays in pairs]
        values = program.finish(program.restored(params))
        _refuse_others(plan.cells, own, values["train_loss"])
        for name in values:
            if f"{name}_error" in values:
                for key in (name, f"{name}_error"):
                    parts.setdefault(key, []).append(values[key])
    return {name: np.concatenate(values) for name, values in parts.items()}


def _given(study: Study, before: xr.Dataset, cells: Sequence[Any]) -> dict[str, xr.Variable]:
    """The numbers that depend on the data alone, of all cells that have them, dead or not."""
    columns: dict[str, list[Any]] = {}
    for cell in cells:
        for name, variable in study.given(cell).items():
            if not variable.dims:
                columns.setdefault(name, []).append(variable.values)
    placed = {}
    for name, column in columns.items():
        known = before[name] if name in before else before["train_loss"]  # an earlier version's
        there = known.transpose(*before["verdict"].dims).notnull().values
        placed[name] = _placed(before, name, there, np.array(column)[there.ravel()])
    return placed


def _with(sweep: Sweep, options: Mapping[str, Any]) -> Sweep:
    """The sweep with some options of its study in place of its own."""
    return Sweep(**sweep.model_dump() | {"options": {**sweep.options, **options}})


def _refuse_wrong(result: Result, options: Mapping[str, Any], study: Study, cell: Any) -> None:
    """Refuse options that do anything but add draws: the rest of the result stays as it is."""
    if type(study).restore is Study.restore:
        raise UserError(
            f"measure: the study {type(study).__name__} does not say how stored arrays give weights"
            " back; allowed: a study with restore, as double_descent"
        )
    allowed = "allowed: options that add draws of test samples, as test_draws=64"
    own, new = result.grid.study.datasets(cell), study.datasets(cell)
    if _first_draws(own) != _first_draws(new):
        raise UserError(
            f"measure: {', '.join(options)}: changes what the cells are trained on, or measured on"
            f" along training; {allowed}"
        )
    for name, value in options.items():
        alone = _with(result.sweep, {name: value}).grid().study
        if alone.options != result.grid.study.options and alone.datasets(cell) == own:
            raise UserError(f"measure: {name}: changes nothing that is measured again; {allowed}")
    if not any(dataset.more for dataset in new.values()):
        raise UserError(f"measure: every data set has one draw; {allowed}")


def _first_draws(datasets: Mapping[str, DataSet]) -> dict[str, DataSet]:
    return {name: dataset._replace(more=()) for name, dataset in datasets.items()}


def _restored(study: Study, cell: Any, stored: xr.Dataset, platform: str) -> Any:
    """The parameters of a cell, finite."""
    arrays = {str(name): stored[name].values for name in stored.data_vars}
    params = study.restore(cell, study.shapes(cell, platform), arrays)
    held = jax.tree_util.tree_leaves_with_path(params)
    broken = {path: np.asarray(leaf) for path, leaf in held if not np.isfinite(leaf).all()}
    for path, leaf in broken.items():
        if np.any(leaf[np.isfinite(leaf)]):  # a study pads what is missing with zeros
            name = jax.tree_util.keystr(path, simple=True, separator=".")
            raise UserError(
                f"measure: study {type(study).__name__}: restore: {name} is not finite: arrays of"
                " smaller cells end in NaN; cut them to the cell's size"
            )
    if params is None or broken:
        has_option = "save_weights" in type(study.options).model_fields
        train = "train with save_weights = true, and " if has_option else ""
        raise UserError(
            f"measure: the weights of {cell} were not stored; {train}measure the result folder"
            " where this is an archive"
        )
    return params


def _refuse_others(cells: Sequence[Any], stored: Sequence[xr.Dataset], losses: np.ndarray) -> None:
    """Refuse weights that give another train loss than the one that was stored with them."""
    for cell, own, loss in zip(cells, stored, losses.tolist(), strict=True):
        before = float(own["train_loss"])
        if not np.isclose(loss, before, rtol=AGREES, atol=1e-6):
            raise UserError(
                f"measure: the stored weights of {cell} have the train loss {loss:g}, and"
                f" {before:g} was stored with them"
            )


def _placed(before: xr.Dataset, name: str, trained: np.ndarray, values: np.ndarray) -> xr.Variable:
    """A number of each cell: the new value of trained ones, else what it was, or NaN."""
    verdict = before["verdict"]
    if name in before:
        old = before[name]
        array, attrs = old.transpose(*verdict.dims).values.copy(), old.attrs
    else:
        attrs = {"long_name": name.replace("_", " ")}
        array = np.full(verdict.shape, np.nan, values.dtype)
    array[trained] = values
    return xr.Variable(verdict.dims, array, attrs)
