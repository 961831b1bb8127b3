"""The figures, on results made up so that every plotted number is known beforehand."""

import itertools
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from cells import assert_on_page
from made import SIZES, Made, N, gid, grid, texts
from matplotlib.figure import Figure

from superpos_jax import plots
from superpos_jax.drawing import spec
from superpos_jax.studies.double_descent.figures import FIGURES, FigureSpec, save

ANY_SWEEP = ("plane", "t_sweep", "vectors", "dimensions", "regimes", "norms")
"""The figures of every sweep over T and m; the others ask for more, and have their own tests."""


def test_plane_averages_seeds_and_marks_the_ridge():
    result = grid()
    table = plots.plane_table(result).set_index(["m", "T"])
    mean = result.dataset["test_loss"].mean("seed")
    for (m, T), row in table.iterrows():
        assert row["test_loss"] == pytest.approx(float(mean.sel(m=m, T=T)), rel=1e-12)
    tops = table[table["ridge"]].reset_index()
    assert tops[["m", "T"]].values.tolist() == [[2, 100], [4, 200], [8, 500]]
    frames = [frame.get_bbox() for frame in gid(plots.plane(result), "ridge")]
    inside = [[T for T in SIZES if frame.x0 < T < frame.x1] for frame in frames]
    assert inside == [[100], [200], [500]]
    assert all(frame.y0 < m < frame.y1 for frame, m in zip(frames, [2, 4, 8], strict=True))


def test_plane_draws_its_table_on_edges_at_geometric_midpoints():
    result = grid()
    figure = plots.plane(result)
    mesh = figure.axes[0].collections[0]
    table = plots.plane_table(result)
    expected = table.pivot(index="m", columns="T", values="test_loss").to_numpy()
    np.testing.assert_allclose(np.ma.filled(mesh.get_array(), np.nan), expected)
    x = mesh.get_coordinates()[0, :, 0]
    np.testing.assert_allclose(x[1:-1], np.sqrt(np.multiply(SIZES[1:], SIZES[:-1])))
    assert x[0] * x[1] == pytest.approx(SIZES[0] ** 2)
    assert figure.axes[0].get_xscale() == figure.axes[0].get_yscale() == "log"


@pytest.mark.parametrize("sizes", [[100, 200, 500, 1000], [10, 20, 50, 100]])
def test_plane_marks_no_ridge_at_either_end_of_the_range(sizes):
    result = Made(T=sizes, m=[2, 3], seed=[0, 1])
    assert not plots.plane_table(result, m=[2])["ridge"].any()
    assert not gid(plots.plane(result, m=[2]), "ridge")


def test_plane_marks_the_ridge_beside_a_higher_peak_of_few_samples():
    result = Made(n=300, T=[10, 20, 50, 100, 200], m=[2, 3])
    assert "ridge: largest mean test loss of its row" in texts(plots.plane(result))
    result.dataset["test_loss"][1] = 9.0  # at T = 20, below n/10
    table = plots.plane_table(result)
    assert table.loc[table["ridge"], "T"].unique().tolist() == [100]
    said = " ".join(texts(plots.plane(result))).replace("\N{NO-BREAK SPACE}", " ")
    assert "ridge: largest mean test loss of its row from T = n/10 on" in said


def test_plane_is_silent_about_a_ridge_beside_dead_cells_at_the_end():
    dead = [(j, 0, k) for j in range(4, 7) for k in range(3)]
    table = plots.plane_table(Made(T=SIZES, m=[4, 8], seed=[0, 1, 2], dead=dead))
    assert not table.loc[table["m"] == 4, "ridge"].any()
    assert table.loc[table["m"] == 8, "ridge"].sum() == 1


def test_plane_does_not_mind_the_order_of_the_sweep():
    shuffled = Made(m=[8, 2, 4], seed=[2, 0, 1], T=[500, 10, 1000, 20, 200, 50, 100])
    pd.testing.assert_frame_equal(plots.plane_table(shuffled), plots.plane_table(grid()))


def test_plane_shows_dead_cells_and_averages_the_survivors():
    whole, part = (0, 0, slice(None)), (1, 1, 0)
    result = grid(dead=[whole, part])
    table = plots.plane_table(result).set_index(["T", "m"])
    assert np.isnan(table.loc[(10, 2), "test_loss"])
    assert table.loc[(10, 2), "died"] == 3
    survivors = result.dataset["test_loss"].sel(T=20, m=4, seed=[1, 2])
    assert table.loc[(20, 4), "test_loss"] == pytest.approx(float(survivors.mean()))
    assert (table.loc[(20, 4), "died"], table.loc[(20, 4), "runs"]) == (1, 3)
    figure = plots.plane(result)
    grey = figure.axes[0].collections[1].get_array()
    assert np.argwhere(~np.ma.getmaskarray(grey)).tolist() == [[0, 0]]
    (crosses,) = gid(figure, "some-died")
    assert len(crosses.get_xdata()) == 1
    assert any("1 run in 1 cell died or diverged" in text for text in texts(figure))


def test_plane_of_rows_that_are_training_claims_no_ridge_and_denies_none():
    whole = slice(None)
    for rows, ridges in ((whole, 0), (0, 2)):
        figure = plots.plane(grid(unfinished=[(-1, rows, whole)]))
        assert len(gid(figure, "ridge")) == ridges
        (caption,) = (text for text in texts(figure) if text.startswith("Each cell"))
        assert ("A ridge is marked once its row is trained to the end." in caption) is (ridges == 0)
        assert "no ridge is marked" not in caption
        assert "Hatched: " in caption
        assert len(gid(figure, "unfinished")) == (3 if rows == whole else 1)


def test_plane_colours_tell_one_percent_apart_and_do_not_saturate():
    figure = plots.plane(grid(bump=4.0))
    mesh = figure.axes[0].collections[0]
    place = mesh.norm(np.array([0.99, 1.0, 1.01, 1.3, 4.99]))
    assert np.all(np.diff(place) > 0.05)
    assert place[-1] <= 1.0


def test_plane_prints_the_numbers_of_its_cells():
    result = grid()
    printed = texts(plots.plane(result))
    for loss in plots.plane_table(result)["test_loss"]:
        assert any(abs(float(text) - loss) < 0.006 for text in printed if _is_number(text))
    assert sum(_is_number(text) and "." in text for text in printed) >= 21


def _is_number(text):
    return text.replace(".", "", 1).isdigit()


def test_other_axes_default_to_their_first_value_and_are_named():
    result = Made(lr=[0.001, 0.003], T=SIZES, m=[2, 4], seed=[0, 1])
    first, other = plots.plane_table(result), plots.plane_table(result, lr=3e-3)
    np.testing.assert_allclose(other["test_loss"] - first["test_loss"], 0.002, atol=1e-12)
    assert set(other["lr"]) == {0.003}
    assert any("lr = 0.003" in text for text in texts(plots.plane(result, lr=3e-3)))


def test_a_selected_value_may_have_a_name():
    result = Made(reduction=[0.0, 1.0], T=SIZES, m=[2, 4], seed=[0])
    assert set(plots.plane_table(result, reduction="mean")["reduction"]) == {1.0}
    with pytest.raises(ValueError, match="reduction = middle is not in this result, which"):
        plots.plane_table(result, reduction="middle")


def test_selection_names_what_is_wrong():
    with pytest.raises(ValueError, match="no swept axis 'lr'; this result sweeps T, m, seed"):
        plots.plane(grid(), lr=1.0)
    with pytest.raises(ValueError, match="T = 7 is not in this result, which holds 10, 20"):
        plots.t_sweep(grid(), T=[7])
    with pytest.raises(ValueError, match="lr takes one value here, not 2"):
        plots.plane(Made(lr=[1e-3, 2e-3], T=SIZES, m=[2, 4]), lr=[1e-3, 2e-3])


def test_t_sweep_has_one_line_per_m_through_the_medians():
    result = grid()
    top, bottom = plots.t_sweep(result).axes
    for axes, split in ((top, "test"), (bottom, "train")):
        lines = {line.get_label(): line for line in axes.lines if "m=" in str(line.get_label())}
        assert set(lines) == {"m=2", "m=4", "m=8"}
        median = result.dataset[f"{split}_loss"].median("seed")
        for m in (2, 4, 8):
            np.testing.assert_allclose(lines[f"m={m}"].get_ydata(), median.sel(m=m))
        assert len(axes.collections) == 3
        (zero,) = gid(axes, "zero-predictor")
        assert set(zero.get_ydata()) == {1.0}
        assert axes.get_xscale() == "log"


def test_t_sweep_bands_reach_all_seeds_or_the_middle_half_of_many():
    few, many = Made(T=SIZES, seed=[0, 1, 2]), Made(T=SIZES, seed=list(range(9)))
    for result, (low, high), word in (
        (few, (0, 1), "bands over all"),
        (many, (0.25, 0.75), "bands over the middle half"),
    ):
        figure = plots.t_sweep(result)
        y = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
        test = result.dataset["test_loss"]
        assert y.max() == pytest.approx(float(test.quantile(high, "seed").max()))
        assert y.min() == pytest.approx(float(test.quantile(low, "seed").min()))
        assert any(word in text for text in texts(figure))


def test_t_sweep_leaves_dead_runs_out_and_marks_them():
    result = grid(dead=[(2, 0, 1), (0, 1, slice(None))])
    table = plots.t_sweep_table(result).set_index(["split", "m", "T"])
    alive = result.dataset["train_loss"].sel(T=50, m=2, seed=[0, 2])
    assert table.loc[("train", 2, 50), "median"] == pytest.approx(float(alive.median()))
    assert np.isnan(table.loc[("test", 4, 10), "median"])
    (crosses,) = gid(plots.t_sweep(result), "died")
    assert crosses.get_xdata().tolist() == [50, 10]


def test_vectors_puts_features_over_hidden_vectors():
    result = Made(T=[3, 5, 8, 1000], m=[2, 4], seed=[7, 8])
    table = plots.vectors_table(result, T=[5, 1000], seed=8)
    assert result.calls == [{"T": 5, "m": 2, "seed": 8}, {"T": 1000, "m": 2, "seed": 8}]
    hidden = table[(table["T"] == 5) & (table["kind"] == "hidden")]
    np.testing.assert_allclose(np.hypot(hidden["x"], hidden["y"]), 3.0)
    assert len(hidden) == 5
    features = table[(table["T"] == 1000) & (table["kind"] == "feature")]
    assert len(features) == N
    np.testing.assert_allclose(np.hypot(features["x"], features["y"])[:5], 1.0)
    figure = plots.vectors(result, T=[5, 1000], seed=8)
    assert len(figure.axes) == 4
    assert {"memorizing", "generalizing", "T = 5", "T = 1,000"} <= set(texts(figure))
    pentagon = figure.axes[1].collections[0]
    assert len(pentagon.get_segments()) == 5
    longs = table[table["kind"] == "feature"].groupby("T")["long"].first()
    shown = [text.get_text() for text in gid(figure, "count") if text.get_text()]
    assert shown == [f"{longs[5]} long", "5 long"]


class Crowd(Made):
    """A model of 3,000 features, so many of them long."""

    def __init__(self, long):
        super().__init__(T=[1000])
        self.long = long

    def cell(self, **point):
        W = np.full((2, 3000), 0.2)
        W[:, : self.long] = 1.0
        return SimpleNamespace(W=W, H=super().cell(**point).H)


@pytest.mark.parametrize(("count", "rays"), [(40, 40), (41, 0)])
def test_vectors_draws_rays_where_few_are_long(count, rays):
    result = Crowd(count)
    table = plots.vectors_table(result, rows="feature")
    assert set(table["long"]) == {count}
    (panel,) = plots.vectors(result, rows="feature").axes
    assert len(panel.collections[0].get_segments()) == rays


@pytest.mark.parametrize(("long", "drawn"), [(250, 250 + 300), (900, 400 + 300)])
def test_vectors_keeps_the_long_features(long, drawn):
    table = plots.vectors_table(Crowd(long), rows="feature")
    assert len(table) == drawn
    assert (np.hypot(table["x"], table["y"]) > 1).sum() >= min(long, 400)


def test_vectors_spreads_eight_columns_and_caps_the_points():
    sizes = [*list(range(10, 21)), 5000]
    result = Made(T=sizes)
    table = plots.vectors_table(result)
    shown = table["T"].unique()
    assert (len(shown), shown[0], shown[-1]) == (8, 10, 5000)
    last = table[(table["T"] == 5000) & (table["kind"] == "hidden")]
    assert len(last) == 400
    assert set(last["count"]) == {5000}
    assert last["rank"].tolist()[:100] == list(range(100))
    assert last["rank"].iloc[100] >= 100
    assert np.ptp(np.diff(last["rank"].iloc[100:])) <= 1
    assert last["rank"].max() == 4999


def test_vectors_scales_panels_alone_or_in_common():
    result = Made(T=[3, 1000])
    for scale, same in (("panel", False), ("common", True)):
        row = plots.vectors(result, scale=scale).axes[:2]
        assert (row[0].get_xlim() == row[1].get_xlim()) is same
    with pytest.raises(ValueError, match="scale"):
        plots.vectors(result, scale="log")


def test_vectors_says_when_a_cell_died():
    figure = plots.vectors(Made(T=[3, 1000], dead=[(1,)]))
    assert "not finite after step 1,234" in texts(figure)


def test_dimensions_draws_both_kinds_and_the_even_share():
    result = grid()
    table = plots.dimensions_table(result)
    samples = table[table["kind"] == "sample"]
    np.testing.assert_allclose(samples["dimensionality"], samples["m"] / samples["T"])
    assert len(samples[(samples["T"] == 10) & (samples["m"] == 4)]) == 30
    assert len(samples[(samples["T"] == 1000) & (samples["m"] == 4)]) == 60
    assert table.loc[table["kind"] == "feature", "dimensionality"].max() == 8 / N
    figure = plots.dimensions(result)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in panels] == ["m = 2", "m = 4", "m = 8"]
    for axes, m in zip(panels, (2, 4, 8), strict=True):
        (guide,) = gid(axes, "guide")
        x, y = guide.get_data()
        np.testing.assert_allclose(np.multiply(x, y), m)
        (dots,) = gid(axes, "sample")
        points = np.asarray(dots.get_offsets())
        assert len(points) == (samples["m"] == m).sum()
        nearest = np.abs(np.log(points[:, :1] / np.array(SIZES))).argmin(axis=1)
        np.testing.assert_allclose(points[:, 1], m / np.array(SIZES)[nearest])


def test_dimensions_leaves_dead_runs_out():
    table = plots.dimensions_table(grid(dead=[(0, 0, slice(None)), (1, 0, 0)]))
    gone = table[(table["T"] == 10) & (table["m"] == 2)]
    assert gone["rank"].tolist() == [-1, -1]
    assert gone["dimensionality"].isna().all()
    part = table[(table["T"] == 20) & (table["m"] == 2) & (table["kind"] == "sample")]
    assert (len(part), set(part["runs"])) == (40, {2})


@pytest.mark.parametrize(
    ("name", "axes", "reason"),
    [
        ("plane", {"T": SIZES}, "plane needs two swept axes T and m; swept: T"),
        (
            "plane",
            {"seed": [0, 1], "m": [2, 3]},
            "plane needs two swept axes T and m; swept: s",
        ),
        ("t_sweep", {"m": [2, 3]}, "t_sweep needs a swept axis T; swept: m"),
        ("vectors", {"m": [3, 4]}, "vectors needs m = 2, not 3 or 4"),
        ("dimensions", {"T": [5]}, "dimensions needs a swept axis T; swept: none"),
    ],
)
def test_applies_gives_the_reason(name, axes, reason, tmp_path):
    result = Made(**axes)
    assert FIGURES[name].applies(result.dataset).startswith(reason)
    with pytest.raises(ValueError, match=f"{name} needs"):
        FIGURES[name].table(result)
    with pytest.raises(ValueError, match=f"{name} needs"):
        save(result, FIGURES[name], tmp_path)
    assert not list(tmp_path.iterdir())


def test_applies_names_missing_variables():
    dataset = grid().dataset.drop_vars(["W", "feature_dimensionality"])
    assert "weights W" in FIGURES["vectors"].applies(dataset)
    assert "feature_dimensionality" in FIGURES["dimensions"].applies(dataset)
    assert FIGURES["plane"].applies(dataset) is None


@pytest.mark.parametrize("name", ANY_SWEEP)
@pytest.mark.parametrize("order", [("T", "m", "seed"), ("init_seed", "m", "T"), ("m", "S", "T")])
def test_every_figure_takes_axes_in_any_order(name, order):
    values = {"T": [1000, 10, 50], "m": [4, 2], "seed": [0, 1], "init_seed": [3, 4], "S": [0.9]}
    result = Made(**{axis: values[axis] for axis in order})
    assert FIGURES[name].applies(result.dataset) is None
    table = FIGURES[name].table(result)
    assert set(table["T"]) == {10, 50, 1000}
    assert isinstance(FIGURES[name].draw(table), Figure)


def test_t_sweep_keeps_its_panels_together_under_a_long_legend():
    figure = plots.t_sweep(Made(T=SIZES, m=list(range(2, 24)), dead=[(0, 0)]))
    figure.draw_without_rendering()
    top, bottom = (axes.get_position() for axes in figure.axes)
    assert top.y0 - bottom.y1 < 0.06
    (legend,) = figure.legends
    assert legend.get_window_extent().x0 > figure.axes[0].get_tightbbox().x1
    assert legend.get_window_extent().y0 > 0


@pytest.mark.parametrize("name", ANY_SWEEP)
@pytest.mark.parametrize("sizes", [[10, 200], list(range(10, 50))])
def test_no_text_leaves_the_page_or_runs_into_another(name, sizes):
    result = Made(T=sizes, m=[2, 4, 8, 16], seed=[0, 1], lr=[0.001], dead=[(0, 0, 0), (1, 1)])
    figure = FIGURES[name].draw(FIGURES[name].table(result))
    assert_on_page(figure)
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            ticks = [t.label1 for t in axis.get_major_ticks() if t.label1.get_visible()]
            for line in range(3):
                shown = [t for t in ticks if t.get_text().count("\n") == line]
                labels = [t.get_window_extent() for t in shown if t.get_text()]
                assert not any(a.overlaps(b) for a, b in itertools.pairwise(labels))


def test_the_setting_is_stated_in_words():
    result = grid()
    setting = "made · n = 30, S = 0.9, steps = 2,000, lr = 0.001, weight decay = 0.01"
    assert any(text.startswith(setting) for text in texts(plots.plane(result)))
    assert any("sum loss" in text for text in texts(plots.plane(result)))


@pytest.mark.parametrize("name", ANY_SWEEP)
def test_every_figure_draws_a_result_whose_cells_all_died(name):
    result = Made(T=SIZES, m=[2, 4], dead=[(slice(None), slice(None))])
    FIGURES[name].draw(FIGURES[name].table(result)).draw_without_rendering()


def test_save_writes_both_files_whole_and_leaves_nothing_else(tmp_path):
    result = grid()
    paths = save(result, FIGURES["plane"], tmp_path / "new")
    assert paths == [tmp_path / "new" / "plane.png", tmp_path / "new" / "plane.csv"]
    assert paths[0].read_bytes().startswith(b"\x89PNG")
    read, table = pd.read_csv(paths[1]), plots.plane_table(result)
    pd.testing.assert_frame_equal(read, table, check_dtype=False, rtol=1e-5)
    assert sorted(tmp_path.rglob("*.*")) == sorted(paths)


@pytest.mark.parametrize(("suffix", "begins"), [(".pdf", b"%PDF"), (".SVG", b"<?xml")])
def test_save_writes_other_types_and_equal_figures_as_equal_files(tmp_path, suffix, begins):
    one, other = (
        save(grid(), FIGURES["t_sweep"], tmp_path / name / f"drawn{suffix}")[0] for name in "ab"
    )
    assert one.read_bytes().startswith(begins)
    assert one.read_bytes() == other.read_bytes()


def test_a_figure_that_fails_costs_no_other(tmp_path, caplog):
    def draw_badly(table):
        raise AttributeError("no legnd")

    specs = {
        name: FigureSpec(name, lambda result: pd.DataFrame(), how, "a line", lambda dataset: None)
        for name, how in (("bad", draw_badly), ("good", lambda table: Figure()))
    }
    drawn = []
    with pytest.raises(AttributeError, match="no legnd"):
        drawn += [path.name for path in spec.draw(SimpleNamespace(dataset=None), specs, tmp_path)]
    assert {path.name for path in tmp_path.iterdir()} == {"good.png", "good.csv"}
    assert "figure bad failed: no legnd" in caplog.text


def test_save_keeps_the_old_file_when_writing_fails(tmp_path):
    class Broken(Figure):
        def savefig(self, path, **options):
            path.write_bytes(b"half")
            raise OSError("disk full")

    def reads_nothing(result):
        return pd.DataFrame()

    spec = FigureSpec("mine", reads_nothing, lambda table: Broken(), "a line", lambda dataset: None)
    (tmp_path / "mine.png").write_bytes(b"old")
    with pytest.raises(OSError, match="disk full"):
        save(SimpleNamespace(dataset=None), spec, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.png"]
    assert (tmp_path / "mine.png").read_bytes() == b"old"


def test_the_plots_import_without_pyplot():
    code = "import sys, superpos_jax.plots; print('matplotlib.pyplot' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_the_paper_is_judged_without_matplotlib():
    room = "superpos_jax.studies.double_descent.statements"
    code = f"import sys, {room}; print('matplotlib' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
