"""The training of one program: what is measured of cells at their end."""

import jax
import numpy as np
import pytest
from ridge import Regression, Ridge

from superpos_jax.engine.code import make_mesh
from superpos_jax.engine.plan import make_plan
from superpos_jax.engine.program import Program
from superpos_jax.engine.study import DataSet
from superpos_jax.training.loop import Training

pytestmark = pytest.mark.unoptimized
WHOLE, SHORT, DYING = Regression(steps=4), Regression(steps=3), Regression(steps=4, lr=1e30)


class Judged(Ridge):
    """With a data set that is measured at the end only."""

    def datasets(self, cell):
        train, test = super().datasets(cell).values()
        return {"train": train, "test": DataSet(test.key, test.samples, "end")}


def trained(study, cells):
    """Four updates of some cells."""
    study = study(study.Options())
    program = Program(study, make_plan(study, cells, 1, "cpu"), make_mesh(jax.devices()[:1]))
    training = Training(program)
    training.advance(4)
    return training


@pytest.mark.parametrize(
    ("study", "cells", "again"),
    [
        (Ridge, (WHOLE, WHOLE), 0),
        (Ridge, (WHOLE, SHORT), 1),
        (Ridge, (WHOLE, DYING), 1),
        (Judged, (WHOLE, WHOLE), 1),
    ],
    ids=["all at the end", "one stopped before", "one died before", "measured at the end alone"],
)
def test_the_end_is_measured_again_only_where_it_is_not_known(monkeypatch, study, cells, again):
    training = trained(study, cells)
    training.record()
    calls, finish = [], training.program.finish
    monkeypatch.setattr(training.program, "finish", lambda state: calls.append(1) or finish(state))
    training.finish()
    assert len(calls) == again
    final, expected = training.measured.final, finish(training.state)
    assert final.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(final[name], values)


def test_updates_after_the_last_record_are_measured():
    training = trained(Ridge, [WHOLE])
    training.finish()
    assert training.measured.final["updates"].tolist() == [4]
