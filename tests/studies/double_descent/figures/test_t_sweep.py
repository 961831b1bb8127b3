"""Lines of the T sweep by an axis other than m."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from made import SIZES, Made, gid, texts

from superpos_jax import plots
from superpos_jax.drawing.choose import figures_of
from superpos_jax.drawing.spec import draw
from superpos_jax.studies.double_descent.figures.t_sweep import peak_words
from superpos_jax.text import NBSP

BOTH = ["onset", "t_sweep"]
DECAYS = [0.001, 0.01, 1.0]


def by_decay(**options):
    """A bump of about 0.9, of 0.3 and none at T = 100, for three weight decays."""
    result = Made(T=SIZES, weight_decay=DECAYS, seed=[0, 1, 2], **options)
    height = xr.DataArray([3.0, 1.0, 0.0], dims="weight_decay")
    result.dataset["test_loss"] = 1 + (result.dataset["test_loss"] - 1) * height
    return result


def test_lines_are_by_the_swept_axis_and_the_column_is_named_after_it():
    result = by_decay()
    table = plots.t_sweep_table(result)
    assert table.columns[:3].tolist() == ["weight_decay", "T", "split"]
    assert set(table["m"]) == {2}
    for split in ("test", "train"):
        rows = table[table["split"] == split].set_index(["weight_decay", "T"])["median"]
        expected = result.dataset[f"{split}_loss"].median("seed").transpose("weight_decay", "T")
        grid = rows.unstack("T").to_numpy()
        np.testing.assert_allclose(grid, np.broadcast_to(expected, grid.shape))
    figure = plots.t_sweep(result)
    words = texts(figure)
    assert "Train and test loss against data-set size T, by weight decay" in words
    assert {f"weight decay = {value:g}" for value in DECAYS} <= set(words)
    assert any(text.startswith("made · m = 2 · n = 30") for text in words)
    (caption,) = (text for text in words if text.startswith("Lines: median of"))
    assert "peaks above 1" not in caption  # not so at the largest weight decay
    some = texts(plots.t_sweep(result, weight_decay=DECAYS[:2]))
    assert any("before it falls below 1." in text for text in some)
    top = result.dataset["test_loss"].sel(weight_decay=0.001).median("seed").max()
    place = f"The largest median test loss is {float(top):.3f} at T = 100 for weight"
    assert place + " decay = 0.001, and 1.000 at T = 10 for weight decay = 1." in caption


def test_the_columns_of_a_sweep_of_m_are_what_they_were():
    table = plots.t_sweep_table(Made(T=SIZES, m=[2, 4], lr=[0.001, 0.01]))
    points = ["min", "q25", "median", "q75", "max", "mean"]
    head = ["m", "T", "split", "runs", "died", "unfinished"]
    assert table.columns.tolist() == [*head, *points, "lr"]
    assert plots.t_sweep_table(Made(T=SIZES)).columns.tolist() == head + points


def test_by_chooses_the_axis_of_the_lines():
    result = Made(T=SIZES, m=[2, 4], eps=[1e-8], lr=[0.001, 0.01], S=[0.8, 0.9], seed=[0, 1])
    assert set(plots.t_sweep_table(result)["m"]) == {2, 4}
    table = plots.t_sweep_table(result, by="lr", m=4)
    assert set(zip(table["lr"], table["m"], table["S"], strict=True)) == {
        (0.001, 4, 0.8), (0.01, 4, 0.8),
    }  # fmt: skip
    assert table.columns[0] == "lr"
    assert plots.t_sweep_table(result, m=4).columns[0] == "lr"
    assert plots.t_sweep_table(result, m=4, lr=0.01).columns[0] == "S"
    for wrong in ("T", "seed", "steps"):
        with pytest.raises(ValueError, match=f"by = '{wrong}' is not a swept axis"):
            plots.t_sweep(result, by=wrong)


def test_a_long_legend_fits_beside_the_panels():
    figure = plots.t_sweep(by_decay(dead=[(0, 0, 0)], unfinished=[(1, 1, 1)]))
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent()
    assert box.x1 <= figure.bbox.x1
    assert all(box.x0 > axes.get_tightbbox().x1 for axes in figure.axes)
    assert any("1 run is unfinished and drawn at" in text for text in texts(figure))
    assert len(gid(figure, "died")) == 1


def test_the_caption_claims_no_more_than_the_numbers_show():
    flat = Made(T=[1000, 2000], bump=0.0)
    (caption,) = (text for text in texts(plots.t_sweep(flat)) if text.startswith("One seed."))
    assert "peaks above 1" not in caption
    peaked = plots.t_sweep(Made(T=[5, 10, 20, 50, 100, 200, 500, 1000, 2000]))
    assert any(
        "peaks above 1, the loss of predicting zero, before" in text for text in texts(peaked)
    )
    assert "The largest test loss is 0.988 at T = 1,000." in caption
    rising = Made(T=[5, 10, 20, 50])
    assert not any("peaks above 1" in text for text in texts(plots.t_sweep(rising)))


def test_peaks_below_a_tenth_of_n_are_not_the_bump():
    table = pd.concat(
        pd.DataFrame({"m": m, "T": [3, 100, 500], "runs": 1, "median": [9.0, 1 + m / 10, 1.0]})
        for m in (2, 4)
    )
    spaces = str.maketrans(NBSP, " ")
    words = peak_words(table, "m", n=1000).translate(spaces)
    assert words == (
        " From T = n/10 on the largest test loss is 1.200 at T = 100 for m = 2, and 1.400 at"
        " T = 100 for m = 4."
    )
    small = peak_words(table[table["T"] < 100], "m", n=1000).translate(spaces)
    assert small.startswith(" The largest test loss is 9.00 at T = 3 for m = 2")


def test_the_caption_tells_the_bump_and_not_a_peak_of_few_samples():
    result = Made(T=[2, 10, 100, 1000])  # n = 30
    result.dataset["test_loss"].loc[{"T": 2}] = 99.0
    (caption,) = (text for text in texts(plots.t_sweep(result)) if text.startswith("One seed."))
    assert "From T = n/10 on the largest test loss is" in caption
    assert "99" not in caption


def test_other_losses_are_in_units_of_what_predicting_zero_scores():
    result = Made(T=SIZES, loss=[1, 2, 4])
    zero = xr.DataArray([3.0, 0.9999999, 0.2], dims="loss")
    result.dataset["zero_test_loss"] = zero.broadcast_like(result.dataset["test_loss"])
    table = plots.t_sweep_table(result).set_index(["split", "loss", "T"])["median"]
    for split in ("test", "train"):
        one = result.dataset[f"{split}_loss"].sel(T=50)
        for power, unit in ((1, 3.0), (2, 1.0), (4, 0.2)):
            assert table[split, power, 50] == pytest.approx(float(one.sel(loss=power)) / unit)
    fixed = Made(T=SIZES, cell={"loss": 4})
    fixed.dataset["zero_test_loss"] = ("T", np.full(len(SIZES), 0.25))
    assert json.loads(fixed.dataset.attrs["cell"])["loss"] == 4
    np.testing.assert_allclose(
        plots.t_sweep_table(fixed)["median"][: len(SIZES)], 4 * fixed.dataset["test_loss"]
    )
    plane = Made(T=SIZES, m=[2, 4], cell={"loss": 4})
    raw = plots.plane_table(plane).set_index(["m", "T"])["test_loss"]
    plane.dataset["zero_test_loss"] = xr.full_like(plane.dataset["test_loss"], 0.25)
    np.testing.assert_allclose(plots.plane_table(plane).set_index(["m", "T"])["test_loss"], 4 * raw)


def test_the_train_axis_ends_where_its_lines_and_bands_do():
    """Of eight seeds the middle half is drawn: one that diverged is not."""
    result = Made(T=[5, 50, 500], seed=list(range(8)))
    result.dataset["train_loss"][1, 3] = 400.0
    _, bottom = plots.t_sweep(result).axes[:2]
    assert bottom.get_ylim()[1] == pytest.approx(1.08)
    few = Made(T=[5, 50, 500], seed=[0, 1])
    few.dataset["train_loss"][1, 1] = 400.0
    assert plots.t_sweep(few).axes[1].get_ylim()[1] == pytest.approx(420)


def test_empty_test_samples_lower_what_predicting_zero_scores():
    """At n = 100 and S = 0.99 a third is empty: zero scores 0.63, and that is drawn at 1."""
    result = Made(T=SIZES)
    before = plots.t_sweep_table(result)
    result.dataset["zero_test_loss"] = xr.full_like(result.dataset["test_loss"], 0.63)
    after = plots.t_sweep_table(result)
    unit = np.where(before["split"] == "test", 0.63, 1)
    np.testing.assert_allclose(after["median"], before["median"] / unit)


def test_what_test_samples_leave_is_drawn_where_no_seeds_are():
    """In units of predicting zero, as losses are; runs that failed have no part in it."""
    result = Made(T=SIZES)
    loss = result.dataset["test_loss"]
    result.dataset["test_loss_error"] = xr.full_like(loss, 0.02)
    result.dataset["zero_test_loss"] = xr.full_like(loss, 0.5)
    table = plots.t_sweep_table(result)
    test = table[table["split"] == "test"]
    np.testing.assert_allclose(test["test_loss_error"], 0.04)
    assert table.loc[table["split"] == "train", "test_loss_error"].isna().all()
    figure = plots.t_sweep(result)
    (bars,) = gid(figure, "test-samples")
    heights = [np.ptp(segment[:, 1]) for segment in bars.get_segments()]
    np.testing.assert_allclose(heights, 4 * 0.04)
    assert any("Bars: two standard errors" in text for text in texts(figure))

    several = Made(T=SIZES, m=[2, 4], seed=[0, 1])
    several.dataset["test_loss_error"] = xr.full_like(several.dataset["test_loss"], 0.02)
    several.dataset["test_loss_error"][..., 1] = 0.04
    several.dataset["verdict"][0, 0, 1] = 2
    errors = plots.plane_table(several)["test_loss_error"].to_numpy()
    assert errors[0] == pytest.approx(0.02)
    np.testing.assert_allclose(errors[1:], 0.03)
    assert not gid(plots.t_sweep(several), "test-samples")


def armed():
    """Two arms; one of them sets the weight decay, which the other has by default."""
    result = Made(T=SIZES, arm=["usual", "decayed"], seed=[0, 1])
    shared = json.loads(result.dataset.attrs["cell"])
    result.dataset.attrs["cell"] = json.dumps({k: shared[k] for k in shared if k != "weight_decay"})
    return result


def test_lines_are_by_arm_in_the_order_of_the_sweep():
    figure = plots.t_sweep(armed())
    keys = [text.get_text() for text in figure.legends[0].get_texts()]
    assert [key.replace(NBSP, " ") for key in keys[:2]] == ["arm = decayed", "arm = usual"]
    assert {"arm=usual", "arm=decayed"} <= {line.get_label() for line in figure.axes[0].lines}


def test_a_figure_of_a_number_that_arms_set_is_left_out_and_the_others_are_drawn(tmp_path, caplog):
    result, specs = armed(), {name: figures_of("double_descent")[name] for name in BOTH}
    assert [path.name for path in draw(result, specs, tmp_path)] == ["t_sweep.png", "t_sweep.csv"]
    assert not caplog.messages
    list(draw(result, specs, tmp_path, BOTH))
    (said,) = caplog.messages
    assert said.startswith(
        "figure onset is not drawn: weight_decay is neither an axis nor the same"
    )
