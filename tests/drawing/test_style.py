"""Figures look the same everywhere: under any matplotlibrc, in notebooks, on a dark page."""

import io

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread
from test_generic import made

from superpos_jax import plots
from superpos_jax.drawing import choose, panels, spec, style

STRANGE = {
    "text.usetex": True,
    "font.family": "serif",
    "font.size": 30,
    "axes.facecolor": "red",
    "axes.unicode_minus": False,
    "savefig.facecolor": "blue",
    "savefig.bbox": "tight",
    "lines.linewidth": 9,
    "xtick.major.size": 20,
}


def png(figure):
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=40)
    return picture.getvalue()


def test_a_matplotlibrc_changes_no_figure():
    usual = png(plots.curves(made()))
    with matplotlib.rc_context(STRANGE):
        assert png(plots.curves(made())) == usual
        assert matplotlib.rcParams["font.size"] == 30


def test_a_notebook_shows_a_figure_by_itself():
    figure = plots.curves(made())
    picture, size = figure._repr_png_()
    pixels = imread(io.BytesIO(picture))
    assert pixels.shape[:2] == pytest.approx((2 * size["height"], 2 * size["width"]), abs=2)
    assert pixels[..., :3].std() > 0.01


def luminance(colour):
    levels = np.array(to_rgb(colour))
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", choose.GENERIC)
def test_all_text_and_lines_stand_out_on_a_dark_page(name):
    figure = plots.dark(choose.figure(made(dead=[(0, 0, 0, 0)]), name))
    page = figure.get_facecolor()
    assert luminance(page) < 0.02
    texts = [text for text in figure.findobj(matplotlib.text.Text) if text.get_text()]
    for text in texts:
        if not text.get_path_effects():
            assert contrast(text.get_color(), page) > 4.5, text.get_text()
    for line in figure.findobj(lambda artist: artist.get_gid() in ("line", "line:adam")):
        assert contrast(line.get_color(), page) > 3
    light = choose.figure(made(), name)
    assert luminance(light.get_facecolor()) == pytest.approx(1)


@pytest.mark.parametrize("number", [0.0, np.inf, 1e38])
@pytest.mark.parametrize("name", choose.GENERIC)
def test_no_number_keeps_a_figure_from_being_drawn(name, number):
    """Warnings are errors here: of a logarithmic axis of zeros, of infinite limits."""
    result = made()
    for variable in ("train_loss", "history_train_loss"):
        array = result.dataset[variable].astype("float32")
        array[{"lr": 0}] = number
        array[{"width": 0}] = np.nan
        result.dataset[variable] = array
    png(choose.figure(result, name, value="train_loss"))


def test_a_history_without_a_finite_number_says_so():
    result = made()
    for name in ("history_train_loss", "history_accuracy"):
        result.dataset[name] = np.nan * result.dataset[name]
    assert "there are none" in choose.GENERIC["history"].applies(result.dataset)


def test_without_names_a_study_has_the_generic_figures_beside_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(spec, "DPI", 40)
    result = made(lr=[0.1, 0.2], weight_decay=[0.0, 0.5, 1.0], seed=[0, 1])
    result.dataset.attrs["study"] = "double_descent"
    result.dataset["test_loss"] = 2 * result.dataset["train_loss"]
    result.sweep = type("Sweep", (), {"study": "double_descent", "figures": (), "best": ""})
    drawn = [path.name for path in choose.draw(result, tmp_path) if path.suffix == ".png"]
    assert drawn == ["plane.png", "history.png", "curves.png"]
    header = (tmp_path / "plane.csv").read_text().partition("\n")[0]
    assert {"lr", "weight_decay", "test_loss"} <= set(header.split(","))


@pytest.mark.parametrize(
    ("inches", "labels"),
    [(4.0, ["1", "10", "100", "1,000", "10,000", "100,000"]),
     (2.3, ["", "10", "", "1,000", "", "100,000"])],
)  # fmt: skip
def test_decades_of_steps_are_labelled_where_there_is_room(inches, labels):
    panel = Figure(figsize=(inches, 2)).add_axes((0, 0, 1, 1))
    panels.step_axis(panel, 1, 100_000)
    assert [label.get_text() for label in panel.get_xticklabels()] == labels


def test_a_sentence_that_has_no_room_is_a_warning(caplog):
    assert style.fitting(["Short.", "And this."], 2.0) == ["Short. And this."]
    assert not caplog.records
    style.fitting(["Short.", "No room. " * 40, "And this."], 2.0)
    (message,) = caplog.messages
    assert message.startswith("left out, the caption has no room for it: No room. No room.")
