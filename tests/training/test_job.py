"""What a run does once, and what it refuses: through the real command."""

import importlib
import shutil
import sys
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import ridge
import xarray as xr
from ridge import Ridge
from test_growth import sweep
from test_resume import interrupt_at

import superpos_jax as sp
from superpos_jax.engine import memory
from superpos_jax.errors import Interrupted, UserError
from superpos_jax.results import registry, source
from superpos_jax.results.grid import Grid
from superpos_jax.results.source import source_hash
from superpos_jax.results.sweep import Sweep
from superpos_jax.text import NBSP
from superpos_jax.training.audit import audit

STUDY = """
'''A study in a file of its own.'''
from ridge import Ridge

class Mine(Ridge):
    '''Ridge regression.'''
    factor = 1.0  # of nothing
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Write the file of a study, and import it anew: `mine:Mine`."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(text):
        (tmp_path / "mine.py").write_text(text)
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        monkeypatch.delitem(sys.modules, "mine", raising=False)
        source._hash_of_files.cache_clear()
        return registry.load_study("mine:Mine")

    return write


@pytest.fixture
def counted(monkeypatch):
    """How often a method was called."""
    counts = {}

    def count(owner, name):
        call = getattr(owner, name)
        counts[name] = 0

        def counting(*arguments, **named):
            counts[name] += 1
            return call(*arguments, **named)

        monkeypatch.setattr(owner, name, counting)
        return counts

    return count


def test_a_grid_is_built_and_a_store_is_read_once_a_run(tmp_path, superpos, counted):
    (tmp_path / "small.toml").write_text(sweep({"T": [3, 5]}).to_toml())
    command = ["run", tmp_path / "small.toml", "--out", tmp_path / "out"]
    assert superpos(*command)[0] == 0
    counted(Sweep, "grid")
    counts = counted(xr, "open_zarr")
    for more, reads in (("--set", "T=[3, 5, 7]"), 1), (("--fresh", "--yes"), 1), ((), 1):
        counts |= dict.fromkeys(counts, 0)
        assert superpos(*command, *more)[0] == 0
        assert counts == {"grid": 1, "open_zarr": reads}


def test_a_program_is_planned_once(counted):
    counts = counted(memory, "make_plan")
    sp.run(sweep({"T": [3, 5]}))
    assert counts == {"make_plan": 1}


def test_a_retry_by_the_command(tmp_path, superpos):
    (tmp_path / "small.toml").write_text(sweep({"T": [3, 5]}, lr=3e38).to_toml())
    command = ["run", tmp_path / "small.toml", "--out", tmp_path / "out"]
    assert superpos(*command)[0] == 1
    code, out, _ = superpos(*command, "--retry-dead", "--set", "lr=0.05")
    assert code == 0
    assert "2 cells to be trained again" in out
    assert "2 cells were trained again, with lr = 0.05." in out.replace(NBSP, " ")
    result = sp.load(tmp_path / "out")
    assert result.dataset.retry_lr.values.tolist() == [0.05, 0.05]
    assert xr.open_zarr(tmp_path / "out/result.zarr", consolidated=False).sizes["cell"] == 4
    assert superpos(*command)[0] == 0  # nothing is left to do
    assert superpos(*command, "--retry-dead", "--set", "lr=0.02")[0] == 0
    assert sp.load(tmp_path / "out").dataset.retry_lr.values.tolist() == [0.05, 0.05]


def test_figures_are_refused_before_anything_is_trained(tmp_path):
    unknown = sweep({"T": [3]}).model_copy(update={"figures": ("risk", "plan")})
    with pytest.raises(sp.UserError, match=r"figures\[1\] = 'plan': unknown; did you mean plane"):
        sp.run(unknown, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_stays_empty_is_removed(tmp_path):
    with pytest.raises(sp.UserError, match="devices"):
        sp.run(sweep({"T": [3]}), out=tmp_path / "out", devices=99)
    assert not (tmp_path / "out").exists()


def test_comments_and_docstrings_are_no_code(mine):
    first = source_hash(mine(STUDY))
    assert len(first) == 16
    assert (
        source_hash(mine(STUDY.replace("of nothing", "of all").replace("in a", "in one"))) == first
    )
    assert source_hash(mine(STUDY.replace("1.0", "2.0"))) != first
    assert source_hash(Ridge) != first


def test_a_package_is_hashed_by_its_own_modules(tmp_path, mine):
    mine(STUDY)
    (tmp_path / "__init__.py").touch()
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures/plot.py").write_text("x = 1")
    first = source_hash(mine(STUDY))
    (tmp_path / "figures/plot.py").write_text("x = 2")
    assert source_hash(mine(STUDY)) == first
    (tmp_path / "other.py").write_text("x = 1")
    assert source_hash(mine(STUDY)) != first


def test_modules_of_the_users_own_that_a_study_imports_are_its_code(tmp_path, mine, monkeypatch):
    """Through another one, and by each form of an import; what nobody imports is not."""
    study = "import outer\nfrom inner import POWER\n" + STUDY
    texts = {"inner": "POWER = 2", "outer": "def f():\n    import deep", "deep": "x = 1", "no": "1"}

    def hashed(**changed):
        for name, text in {**texts, **changed}.items():
            (tmp_path / f"{name}.py").write_text(text)
            monkeypatch.delitem(sys.modules, name, raising=False)
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        importlib.invalidate_caches()
        importlib.import_module("deep")
        return source_hash(mine(study))

    first = hashed()
    assert hashed(no="2") == first == hashed(deep="x = 1  # why")
    changed = [hashed(inner="POWER = 3"), hashed(outer="import deep"), hashed(deep="x = 2")]
    assert len({first, *changed}) == 4
    files = source.source_files(registry.load_study("mine:Mine"))
    names = ["mine.py", "deep.py", "inner.py", "outer.py", "ridge.py"]
    assert sorted(path.name for path in files) == sorted(names)


TYPED = """
@jax.jit
def power(x):
    'Raised.'
    return x**POWER + WEIGHTS[0] + ridge.FEATURES + SIZES["out"][1] + KEY

class Typed(Ridge):
    factor = 1.0

    @staticmethod
    def other(x):
        return [power(y) for y in x]
"""


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("'Raised.'", "'To a power.'", True),
        ("x**POWER", "x*POWER", False),
        ("power(y)", "power(-y)", False),
        ("1.0", "2.0", False),
    ],
)
def test_what_was_typed_into_a_notebook_is_hashed_with_what_it_reads(monkeypatch, old, new, same):
    notebook = ModuleType("notebook")
    monkeypatch.setitem(sys.modules, "notebook", notebook)
    read = {"POWER": 2, "WEIGHTS": np.ones(2000), "SIZES": {"in": 3, "out": [4, 5]}}
    read["KEY"] = jax.random.key(1)
    vars(notebook).update(Ridge=Ridge, ridge=ridge, jax=jax, **read)
    exec(TYPED, vars(notebook))
    first, changed = source_hash(notebook.Typed), TYPED.replace(old, new)
    assert len(first) == 16
    assert changed != TYPED
    exec(changed, vars(notebook))
    assert (source_hash(notebook.Typed) == first) == same
    now = source_hash(notebook.Typed)
    for name, value in {
        "POWER": 3,
        "WEIGHTS": np.where(np.arange(2000) == 1000, 0, 1.0),
        "SIZES": {"out": [4, 6], "in": 3},
        "KEY": jax.random.key(2),
    }.items():
        vars(notebook)[name] = value
        assert source_hash(notebook.Typed) != now
        vars(notebook)[name] = read[name]
        assert source_hash(notebook.Typed) == now
    vars(notebook)["SIZES"] = {"out": [4, 5], "in": 3}
    assert source_hash(notebook.Typed) == now


def test_what_cannot_be_written_down_costs_no_hash():
    """Else a study would have none, and no change of it be noticed."""
    itself, gone = [1], jnp.ones(3)
    itself.append(itself)
    gone.delete()
    for value in (itself, {"within": itself}, gone, [gone]):
        assert 0 < len(source._shown(value)) < 10**5


def test_modules_of_the_users_own_that_a_notebook_reads_are_its_code(monkeypatch, tmp_path, mine):
    notebook = ModuleType("notebook")
    monkeypatch.setitem(sys.modules, "notebook", notebook)
    mine(STUDY)
    hashes = []
    for text in ("def f(x): return x", "def f(x): return x  # itself", "def f(x): return 2 * x"):
        (tmp_path / "helper.py").write_text(text)
        monkeypatch.delitem(sys.modules, "helper", raising=False)
        shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
        importlib.invalidate_caches()
        vars(notebook).update(Ridge=Ridge, helper=importlib.import_module("helper"))
        exec("class Typed(Ridge):\n    def other(self, x): return helper.f(x)", vars(notebook))
        hashes.append(source_hash(notebook.Typed))
    assert hashes[0] == hashes[1] != hashes[2]
    monkeypatch.setattr(source, "_hash_of_files", lambda base: "other code of Ridge")
    assert source_hash(notebook.Typed) != hashes[2]


def test_a_class_that_is_typed_again_trains_no_folder_further(monkeypatch, tmp_path):
    notebook = ModuleType("notebook")
    monkeypatch.setitem(sys.modules, "notebook", notebook)
    vars(notebook).update(Ridge=Ridge, jax=jax)
    exec(TYPED, vars(notebook))
    small, large = (
        sweep({"T": sizes}).model_copy(update={"study": "notebook:Typed"})
        for sizes in ([3], [3, 5])
    )
    sp.run(small, out=tmp_path)
    exec(TYPED.replace("1.0", "2.0"), vars(notebook))
    with pytest.raises(sp.UserError, match="the code of notebook:Typed has changed"):
        sp.run(large, out=tmp_path)
    exec(TYPED, vars(notebook))
    assert sp.run(large, out=tmp_path).count(0) == 2


def test_cells_of_changed_code_are_not_mixed_unasked(tmp_path, mine, superpos):
    mine(STUDY)
    small = sweep({"T": [3]}).model_copy(update={"study": "mine:Mine"})
    (tmp_path / "small.toml").write_text(small.to_toml())
    command = ["run", tmp_path / "small.toml", "--out", tmp_path / "out"]
    assert superpos(*command)[0] == 0
    mine(STUDY.replace("1.0", "2.0"))
    code, _, err = superpos(*command)
    assert (code, "--fresh trains them again" in err) == (0, True)  # there is nothing to train
    assert "the code of mine:Mine has changed" in superpos("show", tmp_path / "out")[2]
    more = [*command, "--set", "T=[3, 5]"]
    code, _, err = superpos(*more)
    assert (code, err.count("\n")) == (2, 1)
    assert "the code of mine:Mine has changed since its cells were trained" in err
    assert "--mix" in err
    assert sp.load(tmp_path / "out").dataset["T"].values.tolist() == [3]
    assert superpos(*more, "--mix")[0] == 0
    result = sp.load(tmp_path / "out")
    assert result.count(0) == 2
    old, new = audit(result, 2)
    assert old.same
    assert new.same
    assert old.changed.startswith("study_source ")
    assert new.changed == ""
    assert superpos(*more, "--fresh", "--yes")[0] == 0


FLIPPED = """
    def load(self, dataset):
        batch = super().load(dataset)
        return batch._replace(y=-batch.y)
"""


READING = """
    def data_sources(self, cell):
        import os

        return {"numbers": os.environ["NUMBERS"]}
"""


@pytest.mark.unoptimized
@pytest.mark.parametrize("what", ["code", "data"])
def test_half_trained_cells_start_again(tmp_path, mine, caplog, monkeypatch, what):
    monkeypatch.setenv("NUMBERS", "one")
    mine(STUDY + READING)
    half = sweep({"T": [3, 5]}, steps=2000, lr=1e-4)
    half = half.model_copy(update={"study": "mine:Mine"})
    with pytest.raises(Interrupted):
        sp.run(half, out=tmp_path / "out", progress=interrupt_at(900))
    if what == "code":
        mine(STUDY + READING + FLIPPED)
    else:
        monkeypatch.setenv("NUMBERS", "two")
    with pytest.raises(UserError, match="half-trained cells from the start"):
        sp.run(half, out=tmp_path / "out")
    with pytest.raises(Interrupted):
        sp.run(half, out=tmp_path / "out", mix=True, progress=interrupt_at(1))
    assert "from the start: 2 half-trained cells" in caplog.text
    kept = [int(path.name) for path in (tmp_path / "out").glob("checkpoint/*/[0-9]*")]
    assert 0 < max(kept) < 900
    caplog.clear()
    result = sp.run(half, out=tmp_path / "out", mix=True)  # goes on from there
    assert "from the start" not in caplog.text
    one = sp.run(half.model_copy(update={"axes": {"T": (3,)}}))
    np.testing.assert_allclose(
        result.dataset.history_train_loss.sel(T=3), one.dataset.history_train_loss.sel(T=3), 1e-5
    )
    assert not (tmp_path / "out" / "checkpoint").exists()


HASTY = """
    def report(self, cell, trained):
        return {"last": Variable((), trained.history[KEY][-1], {})} if trained.updates else {}
"""


@pytest.mark.unoptimized
def test_a_report_that_fails_costs_no_training(tmp_path, mine, caplog):
    """Where its mistake shows at the end alone."""
    imports = "from superpos_jax.engine.study import Variable\n"
    study = imports + STUDY + HASTY
    mine(study.replace("KEY", "'accuracy'"))
    whole = sweep({"T": [3, 5]}, steps=500)
    whole = whole.model_copy(update={"study": "mine:Mine"})
    with pytest.raises(KeyError):
        sp.run(whole, out=tmp_path / "out")
    assert "the trained cells are kept in a checkpoint" in caplog.text
    mine(study.replace("KEY", "'train_loss'"))
    seen = []
    result = sp.run(whole, out=tmp_path / "out", mix=True, progress=seen.append)
    assert not [now for now in seen if now.doing == "training"]
    assert result.dataset["last"].values.tolist() == result.dataset["train_loss"].values.tolist()


def test_a_report_that_needs_a_history_is_warned_of(tmp_path, mine, caplog):
    study = "from superpos_jax.engine.study import Variable\n" + STUDY + HASTY
    mine(study.replace("KEY][-1]", "'train_loss'][-2]").replace(" if trained.updates else {}", ""))
    some = sweep({"T": [3]}, steps=20).model_copy(update={"study": "mine:Mine"})
    assert np.isfinite(sp.run(some).dataset["last"]).all()
    assert "report fails on a cell that has done no update" in caplog.text
    assert "IndexError" in caplog.text


def test_a_result_says_what_it_is(tmp_path):
    result = sp.run(sweep({"T": [3, 5], "lr": [0.1, 3e38]}))
    table = result.to_dataframe()
    assert len(table) == 4
    assert {"T", "lr", "verdict", "train_loss"} <= {*table}
    assert not {"w", "history_train_loss"} & {*table}
    assert "growing, 4 cells: 2 finished, 2 non-finite" in result._repr_html_()
    assert "xr-" in result._repr_html_()
    assert "growing, 4 cells" in repr(result)
    alone = sp.run(sweep({}, T=3))
    assert alone.to_dataframe()["train_loss"].tolist() == [alone.dataset.train_loss.item()]
    assert isinstance(result.grid, Grid)
