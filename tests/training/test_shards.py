"""Shards: parts of a sweep that are trained apart, lost apart, and put together to the bit."""

import json
import shutil
import signal

import numpy as np
import pytest
from test_growth import same, sweep

import superpos_jax as sp
from superpos_jax.engine.plan import works
from superpos_jax.engine.verdicts import UNFINISHED
from superpos_jax.errors import Interrupted
from superpos_jax.results import store, view
from superpos_jax.results.sweep import load_sweep
from superpos_jax.training.shards import Shard, cut, left, parse

COUNT = 8
SWEEP = sweep({"T": [3, 4], "lr": [0.1, 3e38], "seed": range(4)}, steps=20).model_copy(
    update={"figures": ("risk",)}
)
"""Shards of equal shapes, which share a compiled program; half of the cells die."""


class Killed(BaseException):
    """As kill -9: nothing is written any more."""


def train(root, number, progress=lambda now: None, **arguments):
    return sp.run(
        SWEEP, out=root / Shard(number, COUNT).folder, shard=f"{number}/{COUNT}", devices=1,
        progress=progress, **arguments,
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole():
    return sp.run(SWEEP, devices=1).dataset


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The folders of all shards; of three one was stopped, one killed, and one is lost."""
    root = tmp_path_factory.mktemp("shards")

    def stop(now):
        if now.step >= 3:
            signal.raise_signal(signal.SIGTERM)

    def kill(now):
        if now.step >= 2:
            raise Killed

    with pytest.raises(Interrupted):
        train(root, 2, stop)
    with pytest.raises(Killed):
        train(root, 5, kill, checkpoint_seconds=0)
    for number in (1, 3, 4, 6, 8):
        train(root, number)
    return root


def parts(root):
    return sorted(path for path in root.iterdir() if path.name.startswith("shard-"))


def test_lost_shards_cost_themselves_and_the_rest_merges_to_the_bit(root, whole, tmp_path):
    out = tmp_path / "out"
    early = sp.merge(parts(root), out=out)
    before = shutil.copytree(out, tmp_path / "before")
    assert left(early) == {Shard(number, COUNT): 2 for number in (2, 5, 7)}
    assert early.count(UNFINISHED) == 6
    ended = early.dataset.verdict != UNFINISHED
    np.testing.assert_array_equal(early.dataset.w.where(ended), whole.w.where(ended))
    for number in (2, 5, 7):
        told = []
        train(root, number, told.append)
        steps = [now.step for now in told if now.doing == "training"]
        assert (1 in steps) == (number == 7)  # the others go on from their checkpoints
    merged = sp.merge(parts(root), out=out)
    assert left(merged) == {}
    same(merged.dataset, whole)
    same(sp.load(out).dataset, whole)
    same(sp.merge([out, before]).dataset, whole)  # what has ended is not unfinished again
    runs = view.provenance(merged.dataset)
    assert sorted(run["shard"] for run in runs) == [f"{i}/{COUNT}" for i in range(1, COUNT + 1)]
    trainers = [runs[number]["shard"] for number in merged.dataset.run.values.ravel()]
    assert trainers == list(map(str, cut(SWEEP.grid(), COUNT)))


@pytest.fixture
def part(root, tmp_path):
    """A copy of a finished shard's folder."""
    return shutil.copytree(root / "shard-3-of-8", tmp_path / "shard-3-of-8")


def rewritten(part, table, change):
    """The folder with a table whose attributes are changed."""
    table = table.copy()
    change(table.attrs)
    store.write_table(table, part)
    return part


def with_run(attrs, **fields):
    attrs["provenance"] = json.dumps(json.loads(attrs["provenance"]) | fields)


def with_sweep(attrs, new):
    attrs["sweep"] = new.model_dump_json()
    attrs["cell"] = json.dumps(json.loads(attrs["cell"]) | dict(new.cell))


def test_what_does_not_belong_together_is_refused_by_field(root, part, tmp_path):
    other = root / "shard-1-of-8"
    cases = {
        "cell.noise = 0.5, not 0.2": lambda attrs: with_sweep(
            attrs, SWEEP.model_copy(update={"cell": {"noise": 0.5, "steps": 20}})
        ),
        "axes.T = [3], not [3, 4]": lambda attrs: with_sweep(
            attrs, SWEEP.model_copy(update={"axes": dict(SWEEP.axes) | {"T": (3,)}})
        ),
    }
    table = store.read_table(part)
    for said, change in cases.items():
        with pytest.raises(sp.UserError) as refused:
            sp.merge([other, rewritten(part, table, change)])
        assert str(refused.value) == f"{part}: another sweep than {other}: {said}"
    versions = json.loads(table.attrs["provenance"])["versions"]
    code = {"versions": versions | {"jax": "0.1"}, "study_source": "abc"}
    rewritten(part, table, lambda attrs: with_run(attrs, **code))
    with pytest.raises(sp.UserError) as refused:
        sp.merge([other, part])
    assert f"{part}: trained differently from {other}: study_source = abc, not " in str(
        refused.value
    )
    assert f"; jax = 0.1, not {versions['jax']}; --mix" in str(refused.value)
    assert sp.merge([other, part], mix=True).count(UNFINISHED) == 12
    copy = shutil.copytree(part, tmp_path / "copy")
    for folder, text in ((copy, "sha256 1f"), (part, "sha256 a0")):
        rewritten(
            folder, table, lambda attrs, text=text: with_run(attrs, data_sources={"own": text})
        )
    with pytest.raises(sp.UserError, match="own = sha256 a0, not sha256 1f; --mix"):
        sp.merge([copy, part])


def test_folders_that_hold_no_result(root, part, tmp_path, caplog):
    early = tmp_path / "shard-9-of-9"
    early.mkdir()
    assert sp.merge([early, part]).count(UNFINISHED) == 14
    assert "shard-9-of-9: no result yet, left out" in caplog.text
    for folders, said in (
        ([early], "merge: no result in any of the folders"),
        ([part, tmp_path / "typo"], "typo: no result here"),
        (str(part), "is one folder; allowed: a list of folders"),
        ([part, tmp_path / "x.zip"], "an archive holds a part"),
    ):
        with pytest.raises(sp.UserError, match=said):
            sp.merge(folders)


def test_the_command_line(root, part, tmp_path, superpos, monkeypatch):
    """A shard has a folder of its own in that of the sweep, into which it may be merged."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "growing.toml").write_text(SWEEP.to_toml())
    home = tmp_path / "results" / "growing"
    shutil.copytree(part, home / part.name)
    code, out, _ = superpos("run", "growing.toml", "--shard", "3/8")
    assert code == 0
    assert "results/growing/shard-3-of-8 already holds this result" in out
    code, out, _ = superpos("merge", home / part.name, "--out", home)
    assert code == 1
    assert [line for line in out.splitlines() if line.startswith("shard ")] == [
        f"shard {number}/8: 2 cells not finished" for number in (1, 2, 4, 5, 6, 7, 8)
    ]
    assert (home / "figures" / "risk.png").exists()
    for wrong in ("0/8", "9/8", "8", "1/17"):
        code, _, err = superpos("run", "growing.toml", "--shard", wrong)
        assert code == 2
        assert "allowed: " in err


def test_the_cut_is_of_equal_work_and_complete():
    grid = load_sweep("quickstart").grid()
    for count in (1, 5, 16):
        shards = [Shard(i + 1, count) for i in range(count)]
        cells = [shard.cells(grid) for shard in shards]
        assert sorted(map(repr, sum(cells, ()))) == sorted(map(repr, grid.cells))
        work = [sum(works(grid.study, own)) for own in cells]
        assert max(work) < 1.02 * np.mean(work)
    assert parse("5/16") == Shard(5, 16)


def test_plan_says_what_each_shard_costs(superpos):
    code, out, _ = superpos("plan", "quickstart", "--shards", 3)
    assert code == 0
    rows = [line.split("│") for line in out.splitlines() if "/3 " in line]
    assert sum(int(row[2]) for row in rows) == 288
    assert all("operations" in row[3] and "about" in row[4] for row in rows)
