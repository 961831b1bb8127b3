"""An audit finds a changed bit, and knows where bits are promised."""

import json
import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import xarray as xr
from ridge import Ridge
from test_growth import sweep

import superpos_jax as sp
from superpos_jax.cli import terminal
from superpos_jax.engine import bits
from superpos_jax.errors import Interrupted
from superpos_jax.results import archive, view
from superpos_jax.studies.double_descent import autoencoders
from superpos_jax.studies.double_descent.study import DoubleDescent
from superpos_jax.training import provenance
from superpos_jax.training.audit import _compare as compare
from superpos_jax.training.audit import audit


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three cells: one that was retried, one that died, one that did well."""
    folder = tmp_path_factory.mktemp("audited")
    sp.run(sweep({"T": [30], "lr": [0.1, 3e38, 2.0]}), out=folder)
    sp.run(sp.load(folder).sweep, out=folder, retry={"ridge": 1.0})
    return folder


def test_every_cell_is_what_training_gives(folder):
    found = list(audit(sp.load(folder), 99))
    assert [finding.point["lr"] for finding in found] == [0.1, 3e38, 2.0]
    assert all(finding.same and not finding.changed for finding in found)
    assert all(finding.difference == 0 for finding in found)
    assert len(list(audit(sp.load(folder), 1, seed=3))) == 1


def test_a_changed_bit_is_found(folder, tmp_path, superpos, monkeypatch):
    result = sp.load(folder)
    weights = result.dataset["w"].sel(T=30, lr=0.1).values
    weights[7] = np.nextafter(weights[7], np.float32(9), dtype=np.float32)
    result.save(tmp_path)
    monkeypatch.setattr(terminal.out, "width", 300)
    code, out, _ = superpos("audit", tmp_path, "--cells", "3")
    assert code == 1
    assert out.count("DIFFERENT") == 1
    assert " in w " in out

    dataset = result.dataset.copy(deep=True)
    dataset["test_loss"].loc[{"T": 30, "lr": 0.1}] += 1
    sp.Result(dataset.drop_vars("w_norm")).save(tmp_path)
    code, out, _ = superpos("audit", tmp_path, "--cells", "3")
    assert code == 1
    assert out.count("DIFFERENT") == 3  # all lack a quantity

    runs = json.loads(result.dataset.attrs["provenance"])
    runs["earlier"][0] |= {"processor": "Abacus", "data_sources": {"own": "sha256 1f"}}
    monkeypatch.setattr(Ridge, "data_sources", lambda self, cell: {"own": "sha256 a0"})
    result.dataset.attrs["provenance"] = json.dumps(runs)
    result.save(tmp_path)
    code, out, _ = superpos("audit", tmp_path, "--cells", "3")
    assert code == 0  # made elsewhere: told, not promised
    assert out.count("DIFFERENT") == 1
    assert "not promised: processor Abacus, here" in out
    assert "own has changed since cells were trained on it (sha256 1f, now sha256 a0)" in out


def test_of_an_archive_is_compared_what_it_holds(folder, tmp_path, superpos):
    result = sp.load(folder)
    thin = archive.thin(result, {"w": 0}, large=0).dataset.drop_vars("w_norm").sel(lr=[0.1])
    assert (thin["w"] != result.dataset["w"].sel(lr=[0.1])).any()  # in five digits
    path = archive.write(sp.Result(thin, result.grid), tmp_path / "thin.zip")
    code, out, _ = superpos("audit", path)
    assert (code, "DIFFERENT" in out) == (0, False)
    assert "Compared: what the archive holds, large arrays in its five digits." in out
    again = tmp_path / "again"
    sp.load(path).save(again)
    code, out, _ = superpos("audit", again)
    assert (code, "DIFFERENT" in out, "what the archive holds" in out) == (0, False, True)
    loss = thin["test_loss"].values
    loss[:] = np.nextafter(loss, np.float32(9))  # a single number is whole
    noted = view.noted(thin, **{view.ARCHIVED: True})
    (finding,) = audit(sp.Result(noted, result.grid), 1)
    assert (finding.same, finding.quantity) == (False, "test_loss")


def test_cells_that_were_begun_elsewhere_are_not_promised(tmp_path, monkeypatch):
    def stop(now):
        if now.doing == "training":
            signal.raise_signal(signal.SIGTERM)

    small, here = sweep({"T": [30]}), provenance.machine()
    for machine in ("Abacus", "slide rule"):
        with monkeypatch.context() as elsewhere:
            one = here | {"processor": machine}
            elsewhere.setattr(provenance, "machine", lambda one=one: one)
            with pytest.raises(Interrupted):
                sp.run(small, out=tmp_path, checkpoint_seconds=0, progress=stop)
            if machine == "Abacus":  # other cells finish the run under its entry
                sp.run(sweep({"T": [3]}), out=tmp_path)
    sp.run(small, out=tmp_path)
    (finding,) = audit(sp.load(tmp_path), 1)
    told = [
        f"processor {machine}, here {here['processor']}" for machine in ("Abacus", "slide rule")
    ]
    assert finding.changed == "; ".join(told)
    assert finding.same


def test_bits_of_accelerators_are_not_promised(tmp_path, monkeypatch):
    """How many cells are computed side by side decides how their sums are rounded."""
    one = provenance.machine() | {"device": "gpu: H100"}
    monkeypatch.setattr(provenance, "machine", lambda: one)
    (finding,) = audit(sp.run(sweep({"T": [30]})), 1)
    assert "side by side" in finding.changed


class Normed(DoubleDescent):
    def summarise(self, cell, shapes, params):
        return {"norm": jnp.linalg.norm(params.W)}


@pytest.mark.parametrize("kind", [DoubleDescent, Normed])
def test_bits_of_kernels_are_promised(kind, monkeypatch):
    """On the same model of GPU: no sum of theirs crosses cells. Sums beside them may."""
    one = provenance.machine() | {"device": "gpu: H100"}
    monkeypatch.setattr(provenance, "machine", lambda: one)
    by = {"gpu": autoencoders.TRITON}
    monkeypatch.setattr(autoencoders, "backend", lambda platform: by.get(platform, ""))
    options = {"n": 20, "test_samples": 5}
    cell = {"T": 3, "S": 0.9, "steps": 3}
    (finding,) = audit(sp.run(sp.Sweep(study=kind.name(), cell=cell, options=options)), 1)
    assert finding.same
    assert ("optimizer or summaries" in finding.changed) == (kind is Normed)
    assert (finding.changed == "") == (kind is DoubleDescent)


def test_what_a_study_leaves_to_xla_is_found():
    class Counted(DoubleDescent):
        def summarise(self, cell, shapes, params):
            return {"positive": (params.W > 0).sum() + cell.m.astype(int)}

    class Aligned(DoubleDescent):
        def summarise_update(self, cell, shapes, params, grads, updates):
            return {"along": optax.tree.vdot(grads, updates)}

    class Clipped(DoubleDescent):
        def optimizer(self, cell, shapes):
            return optax.chain(optax.clip_by_global_norm(1.0), super().optimizer(cell, shapes))

    adding = {DoubleDescent: False, Counted: False, Normed: True, Aligned: True, Clipped: True}
    for kind, adds in adding.items():
        study = kind(DoubleDescent.Options(n=20))
        cell = study.Cell(T=3, m=2)
        assert bits.sums_outside_kernel(study, cell, study.shapes(cell, "cpu")) == adds


@pytest.mark.parametrize(
    "function",
    [
        jnp.sum,
        jnp.prod,
        jnp.cumsum,
        jnp.cumprod,
        jax.lax.cumlogsumexp,
        jnp.fft.fft,
        jnp.linalg.svd,
        jnp.linalg.eigh,
        jnp.linalg.qr,
        jnp.linalg.cholesky,
        jnp.linalg.inv,
        lambda x: x @ x,
        lambda x: jnp.zeros(3).at[jnp.array([0, 0])].add(x[0, 0]),
        lambda x: jax.lax.conv(x[None, None], x[None, None], (1, 1), "SAME"),
        lambda x: jax.lax.reduce_window(x, 0.0, jax.lax.add, (2, 2), (1, 1), "SAME"),
        lambda x: jax.lax.reduce(x, 0.0, lambda a, b: a + 2 * b, (0,)),
        lambda x: jax.lax.ragged_dot(x, x[None], jnp.array([4])),
        lambda x: jax.lax.map(jnp.sum, x),
    ],
)
def test_all_that_adds_is_known(function):
    """By the names that the primitives of JAX have."""
    jaxpr = jax.make_jaxpr(function)(jnp.ones((4, 4))).jaxpr
    assert any(map(bits._adds, bits.equations(jaxpr)))


def test_seeds_that_had_no_value_can_become_axes_and_be_retried(tmp_path):
    base = sp.Sweep(
        axes={"lr": [1e-3, 3e38]},
        cell={"T": 3, "S": 0.9, "steps": 3},
        options={"n": 20, "test_samples": 5},
    )
    sp.run(base, out=tmp_path)
    sp.run(base, out=tmp_path, retry={"init_seed": 7, "weight_decay": 0.5})
    assert all(finding.same for finding in audit(sp.load(tmp_path), 2))
    grown = base.model_copy(update={"axes": base.axes | {"data_seed": (5,)}})
    sp.run(grown, out=tmp_path)
    assert sp.load(tmp_path).dataset.sizes["data_seed"] == 1
    assert sp.run(base, out=tmp_path).axes == ("lr",)


def test_infinities_that_agree_are_not_apart():
    before, after = (xr.Dataset({"reach": ("k", [np.inf, -np.inf, last])}) for last in (1.0, 1.5))
    assert compare(before, after, archived=False) == (False, 0.5, "reach")
    after["reach"][0] = 2
    assert compare(before, after, archived=False)[1] == np.inf


def test_other_compiler_flags_are_not_promised(folder, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    (finding,) = audit(sp.load(folder), 1)
    assert finding.changed == "XLA_FLAGS none, here --xla_cpu_enable_fast_math=true"


def test_other_settings_of_the_compiler_are_in_the_provenance(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--one")
    monkeypatch.setenv("LIBTPU_INIT_ARGS", "--other")
    jax.config.update("jax_disable_most_optimizations", True)  # the next test sets its own
    assert provenance.machine()["XLA_FLAGS"] == "--one --other jax_disable_most_optimizations"
