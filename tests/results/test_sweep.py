"""Sweep files and their Python: what they may say, and what is said of a wrong one."""

import json
import tomllib
from pathlib import Path

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from choosy import Choosy
from hypothesis import given, settings
from hypothesis import strategies as st

from superpos_jax import Sweep, UserError, load_sweep
from superpos_jax.results import sweep as sweep_files
from superpos_jax.results.sweep import shipped

FIELDS = ("T", "m", "lr", "eps", "weight_decay", "S", "steps", "seed", "data_seed")
CHOOSY = 'study = "choosy:Choosy"\n[cell]\ndepth = 1\n'


@pytest.fixture
def read(tmp_path):
    """Load a sweep file with this text, and overrides."""

    def call(text, *overrides):
        path = tmp_path / "file.toml"
        path.write_text(text)
        return load_sweep(path, overrides)

    return call


def refused(call, *arguments):
    """The one line that refuses; the file's name in front is not in it."""
    with pytest.raises(UserError) as caught:
        call(*arguments)
    said = str(caught.value)
    assert "\n" not in said
    return said.split("file.toml: ")[-1]


@pytest.mark.parametrize(
    ("field", "text", "values"),
    [
        ("T", "geomspace(1, 1000, 7)", (1, 3, 10, 32, 100, 316, 1000)),
        ("T", "geomspace(1, 10, 20)", (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)),
        ("lr", "logspace(-4, -2, 3)", (1e-4, 1e-3, 1e-2)),
        ("lr", "geomspace(1e-3, 1e-2, 3)", (1e-3, 0.00316228, 1e-2)),
        ("S", "linspace(0, 0.9, 4)", (0, 0.3, 0.6, 0.9)),
        ("weight_decay", "linspace(0, 1, 5)", (0, 0.25, 0.5, 0.75, 1)),
        ("seed", "range(8)", tuple(range(8))),
        ("seed", " range ( 2, 10, 2 ) ", (2, 4, 6, 8)),
        ("seed", "range(5, 2, -1)", (5, 4, 3)),
        ("steps", "range(1e3, 3e3, 1_000)", (1000, 2000)),
        ("weight_decay", "range(3)", (0, 1, 2)),
    ],
)
def test_ranges_are_text(read, field, text, values):
    for sweep in (
        read(f'[axes]\n{field} = "{text}"'),
        read("", f"{field}={text}"),
        read("", f'{field}="{text}"'),
        Sweep(axes={field: text}),
    ):
        assert sweep.axes[field].strip() == text.strip()
        assert sweep.grid().axes == {field: values}
    kind = int if field in ("T", "seed", "steps") else float
    assert {type(value) for value in sweep.grid().axes[field]} == {kind}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("geomspce(1, 10, 3)", "allowed: a list, or a range: range(stop) or range(start, stop,"),
        ("squared", "allowed: a list, or a range"),
        ("linspace(1, 10)", "allowed: linspace(first, last, count)"),
        (
            "linspace(1, 10, num=3)",
            "'num=3' is not a number; allowed: linspace(first, last, count)",
        ),
        ("linspace(1, 2**3, 3)", "'2**3' is not a number"),
        ("linspace(1, __import__('os').getpid(), 3)", "allowed: a list, or a range"),
        ("linspace(1, nan, 3)", "'nan' is not a number"),
        ("linspace(1, 1e999, 3)", "'1e999' is not a number"),
        ("linspace(1, 10, 0)", "allowed as count: a whole number from 1 to 1,000,000"),
        ("linspace(1, 10, 2.5)", "allowed as count"),
        ("linspace(1, 10, 9999999)", "allowed as count"),
        ("geomspace(0, 10, 3)", "allowed as first and last of geomspace: numbers above 0"),
        ("logspace(1, 400, 3)", "too large"),
        ("range()", "'' is not a number; allowed: range(stop) or range(start, stop, step)"),
        ("range(1.5)", "allowed: range(stop) or range(start, stop, step), in whole numbers"),
        ("range(1, 2, 3, 4)", "allowed: range(stop)"),
        ("range(1, 9, 0)", "allowed as step of range"),
        ("range(0)", "0 values; allowed: 1 to 1,000,000"),
        ("range(2000000000)", "2,000,000,000 values; allowed: 1 to"),
        (f"range({'9' * 5000})", "not a number"),
    ],
)
def test_wrong_ranges_name_what_is_allowed(read, text, said):
    for where, call in (
        ("axes.lr", lambda: Sweep(axes={"lr": text})),
        ("axes.lr", lambda: read(f'[axes]\nlr = "{text}"')),
        ("zip[0].lr", lambda: read(f'[[zip]]\nlr = "{text}"')),
    ):
        message = refused(call)
        assert message.startswith(f"{where} = {text[:90]!r}"[:-1]), message
        assert len(message) < 400
        assert said in message
    if "(" in text:
        assert said in refused(read, "", f"lr={text}")


def test_a_range_rounds_and_a_list_does_not(read):
    assert refused(read, "[axes]\nT = [1, 1.5]").startswith("axes.T[1] = 1.5: allowed: a whole")
    assert read('[axes]\nT = "linspace(1, 2, 3)"').grid().axes["T"] == (1, 2)
    assert "axes.T[0] = 0: allowed: a whole number, at least 1" in refused(
        read, '[axes]\nT = "range(3)"'
    )


@pytest.mark.parametrize(
    "values",
    [
        np.logspace(-4, -2, 3),
        jnp.logspace(-4, -2, 3),
        list(jnp.logspace(-4, -2, 3)),
        pd.Series([1e-4, 1e-3, 1e-2], index=[5, 6, 7]),
        xr.DataArray(np.float32([1e-4, 1e-3, 1e-2]), dims="lr"),
        (10.0**k for k in (-4, -3, -2)),
        [np.float64(1e-4), np.float32(1e-3), xr.DataArray(1e-2)],
    ],
)
def test_any_list_of_numbers_is_an_axis(values):
    sweep = Sweep(axes={"lr": values})
    assert sweep.axes["lr"] == (1e-4, 1e-3, 1e-2)
    assert [type(value) for value in sweep.axes["lr"]] == [float] * 3


def test_doubles_are_kept_as_they_are_and_less_is_shortened():
    third = 1 / 3
    axes = {"lr": np.array([third]), "eps": jnp.float32([third]), "S": jnp.bfloat16([0.5])}
    assert Sweep(axes=axes).axes == {"lr": (third,), "eps": (0.333333,), "S": (0.5,)}
    assert Sweep(cell={"S": ml_dtypes.bfloat16(0.5)}).cell == {"S": 0.5}
    assert Sweep(axes={"T": np.geomspace(1, 256, 9)}).grid().axes["T"][3] == 8
    assert Sweep(axes={"T": jnp.geomspace(1, 1000, 4)}).grid().axes["T"] == (1, 10, 100, 1000)


@pytest.mark.parametrize(
    "values", [np.ones((2, 2)), np.float32(1), {1, 2}, {1: 2}, 5, None, b"range(3)", b"ab"]
)
def test_what_is_no_list_is_refused(values):
    assert refused(lambda: Sweep(axes={"lr": values})).startswith("axes.lr = ")
    assert "allowed: a list, or a range" in refused(lambda: Sweep(axes={"lr": values}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = 'a/b'", "name = 'a/b': allowed: at most 100 letters, digits, '.', '_', '-'"),
        ("study = 3", "study = 3: allowed: a name in quotes, or in Python a class of a study"),
        ("figures = []", "figures = []: allowed: at least one name, or no such line for all"),
        ("best = ['T']", "best = ['T']: allowed: a name in quotes"),
        ("figures = 'plane'", """figures = 'plane': allowed: a list of names, as ["plane"]"""),
        ("figures = [3]", "figures[0] = 3: Input should be a valid string"),
        ("[cell]\nT = [1, 2]", "cell.T = [1, 2]: allowed: a number; several values are an axis"),
        (
            "[cell]\nT = 'range(2)'",
            "cell.T = 'range(2)': allowed: one number; a range is in [axes]",
        ),
        ("[cell]\nn = 4", "cell.n: an option, the same for all cells; it is in [options]"),
        ("[axes]\nn = [4, 5]", "axes.n: an option, the same for all cells; it is in [options]"),
        ("[options]\nT = 4", "options.T: a number of a cell; it is in [cell] or [axes]"),
        ("[options]\nn = [4]", "options.n = [4]: allowed: a whole number, at least 1, at most"),
        (
            "[options]\ntest_draws = 0",
            "options.test_draws = 0: allowed: a whole number, at least 1",
        ),
        ("[options]\nsave_weights = 'yes'", "options.save_weights = 'yes': allowed: true, false"),
        (
            "study = 'grokking'\n[options]\ntask = 'modula'",
            "options.task = 'modula': allowed: 'modular', 'binary', 'parity'",
        ),
    ],
)
def test_a_refusal_says_where_a_value_goes_and_what_is_allowed(read, text, said):
    assert refused(read, text).startswith(said)


@pytest.mark.parametrize("value", [None, True, [1], {}, 1j, np.array(["2024-01-01"], "M8[D]")[0]])
def test_what_is_no_number_is_refused(value):
    assert "axes.lr[1] = " in refused(lambda: Sweep(axes={"lr": [0.1, value]}))
    for table in ({"cell": {"lr": value}}, {"arms": {"a": {"lr": value}}}):
        hint = "; several values are an axis, in [axes]" if value == [1] else ""
        assert refused(lambda given=table: Sweep(**given)).endswith(f": allowed: a number{hint}")


def test_whole_numbers_may_be_written_as_floats(read):
    for sweep in (
        read("[axes]\nT = [1e1, 1e3]\n[cell]\nsteps = 2e3"),
        read("", "T=[1e1, 1e3]", "steps=2e3"),
        Sweep(axes={"T": [1e1, 1e3]}, cell={"steps": 2e3}),
    ):
        cell = sweep.grid().cells[1]
        assert (cell.T, cell.steps) == (1000, 2000)
        assert (type(cell.T), type(cell.steps)) == (int, int)
    for wrong in ("1.5", "1e400", "nan", "1e30"):
        assert refused(read, "", f"steps={wrong}").startswith("cell.steps = ")
    assert "twice" in refused(read, "[axes]\nT = [1000, 1e3]")


def test_values_have_names_in_every_study(read):
    text = CHOOSY + '[axes]\nloss = ["mse", 0]\nwidth = ["all", 3]'
    grid = read(text).grid()
    assert grid.axes == {"loss": ("mse", "ce"), "width": (24, 3)}
    assert [(cell.loss, cell.width) for cell in grid.cells] == [(2, 24), (2, 3), (0, 24), (0, 3)]
    assert read(CHOOSY, "loss=stablemax", "width=all").grid().cells[0].loss == 1
    ours = read("", "loss=absolute", 'reduction=["sum", 0.5]').grid()
    assert (ours.cells[0].loss, ours.axes["reduction"]) == (1, (0, 0.5))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("loss=stabelmax", "cell.loss = 'stabelmax': did you mean stablemax? allowed: ce, stable"),
        ('loss=["ce", "mes"]', "axes.loss[1] = 'mes': did you mean mse? allowed: ce, stablemax, m"),
        ("loss=3", "cell.loss = 3: allowed: ce, stablemax, mse"),
        ("loss=0.5", "cell.loss = 0.5: allowed: ce, stablemax, mse"),
        ('loss=["ce", 0]', "axes.loss: 'ce' is given twice; values must differ"),
        ("loss=range(4)", "axes.loss[3] = 3: allowed: ce, stablemax, mse"),
        ("width=al", "cell.width = 'al': did you mean all? allowed: all, or a whole number, at"),
        ("width=25", "cell.width = 25: allowed: a whole number, at least 1, at most 24"),
        ("T=all", "cell.T = 'all': allowed: a whole number, at least 1"),
    ],
)
def test_wrong_names_say_which_are_allowed(read, override, said):
    assert refused(read, CHOOSY, override).startswith(said)


ARMS = """[axes]
T = [3, 5]
[cell]
lr = 0.5
S = 0.9
[arms."S-fun.1"]
lr = 1e-2
loss = "fourth"
[arms.control]
[arms.slow]
steps = 9
"""


def test_arms_are_one_axis_of_named_sets(read):
    tables = tomllib.loads(ARMS)
    for sweep in (read(ARMS), Sweep(**tables)):
        grid = sweep.grid()
        assert grid.axes == {"arm": ("S-fun.1", "control", "slow"), "T": (3, 5)}
        assert grid.swept == {"T", "lr", "loss", "steps"}
        values = [(c.T, c.lr, c.loss, c.steps, c.S) for c in grid.cells[::2]]
        # An arm's value goes before [cell]'s, which goes before the default.
        assert values == [(3, 0.01, 4, 50_000, 0.9), (3, 0.5, 2, 50_000, 0.9), (3, 0.5, 2, 9, 0.9)]
    assert Sweep(**tables, best="arm").grid().shape == (3, 2)


def test_a_new_arm_changes_no_other_cell(read):
    more = read(ARMS + "[arms.fast]\nsteps = 2\n").grid()
    assert more.cells[: len(read(ARMS).grid().cells)] == read(ARMS).grid().cells
    assert more.shape == (4, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[arms.a]\nT = 3\n[axes]\nT = [3]", "arms.a.T: also an axis; give it once"),
        ("[arms.a]\nT = 3\n[[zip]]\nT = [3]\nm = [2]", "arms.a.T: also in zip[0]; give it once"),
        ("[arms.a]\nlrr = 3", "arms.a.lrr: unknown; did you mean lr?"),
        ("[arms.a]\nlr = -3", "arms.a.lr = -3: allowed: a number, at least 1e-37"),
        ("[arms.a]\nlr = [1, 2]", "arms.a.lr = [1, 2]: allowed: a number"),
        (
            "[arms.a]\nloss = 'cubed'",
            "arms.a.loss = 'cubed': allowed: absolute, squared, fourth, or",
        ),
        ("[arms.'a b']\nlr = 1", "arms = 'a b': allowed as name of an arm: letters, digits, '.'"),
        ("[arms.a]\n[arms.b]\nlr = 1e-3", "arms.b: the same numbers as arms.a; arms must differ"),
        ("[arms]\nlr = 1", "arms.lr = 1: allowed: a table"),
        ("arms = [1]", "arms = [1]: allowed: a table"),
        ("[[arms]]\nlr = 1", "arms = [{'lr': 1}]: allowed: a table"),
        ("best = 'arm'", "best = 'arm': not swept; allowed: none"),
    ],
)
def test_wrong_arms(read, text, said):
    assert refused(read, text).startswith(said)


def test_an_arm_gives_what_has_no_default(read):
    study = 'study = "choosy:Choosy"\n'
    assert refused(read, study) == "cell.depth: missing; it has no default"
    assert len(read(study + "[arms.a]\ndepth = 1\n[arms.b]\ndepth = 2").grid().cells) == 2
    partly = study + "[arms.a]\ndepth = 1\n[arms.b]\nlr = 1"
    assert refused(read, partly) == "arms.b.depth: missing; it has no default"


ZIP = """[[zip]]
T = [10, 20, 30]
steps = [100, 50, 50]
[[zip]]
loss = ["squared", "fourth"]
lr = "logspace(-3, -2, 2)"
[axes]
seed = "range(2)"
"""


def test_zipped_values_go_together(read):
    for sweep in (read(ZIP), Sweep(**tomllib.loads(ZIP))):
        grid = sweep.grid()
        assert grid.axes == {"T": (10, 20, 30), "loss": (2, 4), "seed": (0, 1)}
        assert {(c.T, c.steps) for c in grid.cells} == {(10, 100), (20, 50), (30, 50)}
        assert {(c.loss, c.lr) for c in grid.cells} == {(2, 1e-3), (4, 1e-2)}
        assert len(grid.cells) == len(set(grid.cells)) == 12


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[[zip]]\nT = [1, 2]\nm = [2]",
            "zip[0]: 2 values of T, 1 of m; they go together, give as many of each",
        ),
        (
            "[axes]\nS = [0.9, 0.8, 0.90000000001]",
            "axes.S: 0.9 and 0.90000000001 are equal in float32",
        ),
        ("[[zip]]\nT = [1, 1]\nm = [2, 3]", "zip[0].T: 1 is given twice; values must differ"),
        ("[[zip]]\nT = 'geomspace(1, 2, 3)'\nm = [2, 3, 4]", "zip[0].T: 1 is given twice"),
        ("[[zip]]\nT = [1]\n[axes]\nT = [2]", "zip[0].T: also an axis; give it once"),
        ("[[zip]]\nT = [1]\n[[zip]]\nT = [2]", "zip[1].T: also in zip[0]; give it once"),
        ("[[zip]]\nT = [1]\n[cell]\nT = 2", "cell.T: also in zip[0]; give it once"),
        ("[[zip]]", "zip: a table is empty; allowed: fields and their values"),
        ("[[zip]]\nT = []", "zip[0].T = []: allowed: at least one value"),
        ("[[zip]]\nT = 3", "zip[0].T = 3: allowed: a list, or a range"),
        ("[[zip]]\nt = [3]", "zip[0].t: unknown; "),
        ("[[zip]]\nT = [3, 0]\nm = [1, 2]", "zip[0].T[1] = 0: allowed: a whole number, at least 1"),
        ("[zip]\nT = [3]", "zip = {'T': [3]}: allowed: tables, [[zip]]"),
        ("zip = [3]", "zip[0] = 3: allowed: a table"),
    ],
)
def test_wrong_zips(read, text, said):
    assert refused(read, text).startswith(said)


def test_set_leaves_arms_and_zips_to_the_file(read):
    assert refused(read, ARMS, "lr=1") == (
        "--set lr: the file's [arms.S-fun.1] sets it; change it there"
    )
    assert refused(read, ZIP, "steps=[1, 2]") == (
        "--set steps: the file's [[zip]] sets it; change it there"
    )
    assert read(ARMS, "S=0.5", "T=range(2, 4)").grid().shape == (3, 2)
    assert refused(read, "arms = 3", "lr=1") == "arms = 3: allowed: a table"
    assert refused(read, "zip = 3", "lr=1") == "zip = 3: allowed: tables, [[zip]]"


def test_a_list_in_set_has_its_names_in_quotes(read):
    assert "names in quotes" in refused(read, "", "reduction=[sum, 0.5]")


def test_a_sweep_has_a_million_cells_at_most(read):
    text = '[axes]\nseed = "range(1000)"\ndata_seed = "range(1000)"\n[arms.a]\n[arms.b]\nm = 3'
    assert refused(read, text) == "axes: more than 1,000,000 cells; give fewer values"


def test_shipped_sweeps_have_short_and_long_names():
    sweeps = shipped()
    assert {"quickstart", "paper/P3", "reference/P3"} <= set(sweeps)
    assert load_sweep("double_descent/paper/P3") == load_sweep("paper/P3")
    assert load_sweep("double_descent/quickstart") == load_sweep("quickstart")
    assert refused(load_sweep, "quickstrt") == (
        "quickstrt: no such sweep file; did you mean quickstart? superpos list has those that ship"
    )


def test_sweeps_of_other_studies_are_named_with_their_study(tmp_path, monkeypatch):
    for study in ("double_descent", "lines"):
        (tmp_path / "sweeps" / study).mkdir(parents=True)
        (tmp_path / "sweeps" / study / "small.toml").write_text(f"[cell]\nT = {len(study)}")
    monkeypatch.setattr(sweep_files, "__file__", str(tmp_path / "package/results/sweep.py"))
    assert set(shipped()) == {"small", "lines/small"}
    assert load_sweep("lines/small").cell == {"T": 5}
    assert load_sweep("small") == load_sweep("double_descent/small")


def test_a_sweep_of_version_0_1_still_loads():
    stored = (
        '{"study":"double_descent","name":"old","axes":{"T":[5,10],"reduction":["sum",0.5]},'
        '"cell":{"lr":0.001},"options":{"n":30},"figures":["plane"],"best":""}'
    )
    sweep = Sweep(**json.loads(stored))
    assert sweep.axes == {"T": (5, 10), "reduction": ("sum", 0.5)}
    assert sweep.grid().shape == (2, 2)


def numbers(field):
    if field in ("lr", "eps", "weight_decay"):
        return st.floats(1e-30, 1e30)
    if field == "S":
        return st.floats(0, 1, exclude_max=True)
    return st.integers(1, 4096)


def lists(field, size):
    return size.flatmap(
        lambda n: st.lists(numbers(field), min_size=n, max_size=n, unique=True).map(tuple)
    )


@st.composite
def sweeps(draw):
    """Axes, zips, arms and a cell that share no field but the last two."""
    fields = draw(st.permutations(FIELDS))
    arm_names = st.text("Ab1._-", min_size=1, max_size=5)
    sizes = [st.just(draw(st.integers(1, 3))) for _ in range(2)]
    zips = [
        {field: draw(lists(field, size)) for field in pair}
        for pair, size in zip((fields[:2], fields[2:4]), sizes, strict=True)
    ]
    texts = {"seed": "range(2)", "T": "geomspace(1, 9, 3)", "lr": "logspace(-4, -2, 2)"}
    axes = {
        f: draw(st.sampled_from([texts.get(f), None])) or draw(lists(f, st.integers(1, 3)))
        for f in fields[4:6]
    }
    free = fields[6:]
    arms = draw(
        st.dictionaries(
            arm_names, st.fixed_dictionaries({}, optional={f: numbers(f) for f in free}), max_size=3
        )
    )
    return Sweep(
        axes=axes,
        zip=zips[: draw(st.integers(0, 2))],
        arms=arms,
        cell=draw(st.fixed_dictionaries({}, optional={f: numbers(f) for f in free})),
        options={"n": 30},
        name=draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,9}", fullmatch=True)),
    )


def outcome(sweep):
    """The cells with their coordinates, or why there are none."""
    try:
        grid = sweep.grid()
    except UserError as error:
        return str(error)
    return grid.axes, grid.cells


@settings(deadline=None, max_examples=200)
@given(sweeps())
def test_a_file_and_the_stored_text_give_the_same_sweep(sweep):
    for again in (
        Sweep(**tomllib.loads(sweep.to_toml())),
        Sweep(**json.loads(sweep.model_dump_json())),
    ):
        assert again == sweep
        assert list(again.axes) == list(sweep.axes)
        assert outcome(again) == outcome(sweep)


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])), st.floats(allow_nan=False))
def test_any_text_and_number_can_be_written(text, number):
    options = {"o": [text, True], text: {text: {"x": number}}}
    sweep = Sweep(study=text, cell={text: number, "x": text}, options=options)
    again = Sweep(**tomllib.loads(sweep.to_toml()))
    assert again == sweep
    assert again.options == options


def test_an_option_is_what_a_file_can_say():
    options = {"width": np.int64(3), "at": Path("a", "b"), "layers": (np.float64(0.5), 2)}
    assert Sweep(options=options).options == {"width": 3, "at": "a/b", "layers": (0.5, 2)}
    with pytest.raises(
        UserError, match=r"options\.a\.b\[1\] = None: allowed: true or false, a num"
    ):
        Sweep(options={"a": {"b": [1, None]}})


def test_a_study_may_be_given_as_its_class():
    assert Sweep(study=Choosy, cell={"depth": 1}).study == "choosy:Choosy"
