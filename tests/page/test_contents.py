"""What a page holds of a result."""

import base64
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from page_result import AXES, DIED, FEATURES, LEFT, Made

from superpos_jax import UserError
from superpos_jax.drawing.choose import GENERIC, figures_of
from superpos_jax.drawing.story import Ranked
from superpos_jax.page import contents as contents_of
from superpos_jax.page.contents import contents
from superpos_jax.page.write import page
from superpos_jax.text import NBSP


def floats(text):
    return np.frombuffer(base64.b64decode(text), "<f4")


def cell_of(shown, **point):
    """The number of a cell on a page, whose last axis runs fastest."""
    place = 0
    for axis in shown["axes"]:
        place = place * len(axis["values"]) + axis["values"].index(str(point[axis["name"]]))
    return place


def test_every_number_of_every_cell_is_there():
    made = Made()
    shown = contents(made)
    assert [axis["values"] for axis in shown["axes"]][:2] == [["2", "3"], ["10", "100", "1000"]]
    assert [axis["log"] for axis in shown["axes"]] == [False, True, False]
    (loss,) = [number for number in shown["numbers"] if number["name"] == "test_loss"]
    for m in AXES["m"]:
        for T in AXES["T"]:
            at = {"m": m, "T": T, "seed": 1}
            assert floats(loss["values"])[cell_of(shown, **at)] == pytest.approx(
                float(made.loss(**at)), nan_ok=True
            )
    assert shown["first"] == {"value": "test_loss", "x": "T", "y": "m", "over": "T", "by": "m"}


def test_losses_of_one_quantity_share_a_history_and_steps_are_thinned(monkeypatch):
    (losses,) = contents(Made())["histories"]["groups"]
    assert [line["label"] for line in losses["lines"]] == ["train loss", "test loss"]
    monkeypatch.setattr(contents_of, "MOST_STEPS", 3)
    histories = contents(Made())["histories"]
    assert histories["steps"] == [0, 10, 1000]
    assert len(floats(histories["groups"][0]["lines"][0]["values"])) == 18 * 3


def test_a_story_that_fails_is_told_once_and_costs_no_other(monkeypatch, caplog):
    def wrong(result, point):
        yield Ranked("before it fails", {"numbers": np.ones(3)}, {})
        raise KeyError(point["T"])

    specs = {"broken": replace(GENERIC["plane"], story=wrong), **figures_of("double_descent")}
    whole = contents(Made())["stories"]
    monkeypatch.setattr(contents_of, "figures_of", lambda study: specs)
    assert contents(Made())["stories"] == whole
    (told,) = caplog.messages
    assert told.startswith("the page has no story of figure broken: at m=2, T=")
    assert "KeyError: 10" in told


def test_the_figures_of_a_study_tell_of_each_cell_that_is_trained():
    shown = contents(Made())
    stories = shown["stories"]
    assert stories[cell_of(shown, **LEFT)] == {"ended": "unfinished", "parts": []}
    assert stories[cell_of(shown, **DIED)]["ended"] == "non-finite after step 50"
    vectors, ranked = stories[cell_of(shown, m=3, T=10, seed=0)]["parts"]
    assert vectors["directions"] == ("hidden unit 1", "hidden unit 2", "hidden unit 3")
    hidden = vectors["groups"][1]
    values = np.frombuffer(base64.b64decode(hidden["values"]), "<i2") * hidden["scale"]
    np.testing.assert_allclose(values.reshape(3, 3), 3 * np.eye(3), atol=1e-3)
    assert len(stories[cell_of(shown, m=2, T=10, seed=0)]["parts"][0]["directions"]) == 2
    assert ranked["guides"] == {"even share m/T": 0.3}
    numbers = floats(ranked["groups"][0]["values"])
    assert len(numbers) == FEATURES
    assert (np.diff(numbers) <= 0).all()


def test_of_a_large_grid_a_page_shows_some_values_of_the_longest_axes(monkeypatch):
    monkeypatch.setattr(contents_of, "CELLS", 8)
    shown = contents(Made())
    held = {axis["name"]: axis["values"] for axis in shown["axes"]}
    assert (held["T"], len(held["m"]) * len(held["seed"])) == (["10", "1000"], 4)
    assert len(shown["stories"]) == len(shown["verdicts"]) == 8
    assert "2 of 3 values of T, evenly spaced" in shown["setting"].replace(NBSP, " ")


def test_of_many_vectors_the_largest_stay_and_some_others():
    array = np.arange(100.0)[:, None] * [1.0, 0.0]
    group = contents_of._vectors("many", array, 10)
    kept = np.frombuffer(base64.b64decode(group["values"]), "<i2").reshape(-1, 2) * group["scale"]
    assert group["count"] == 100
    np.testing.assert_allclose(kept[:5, 0], [99, 98, 97, 96, 95], atol=0.01)
    assert len(kept) == 10
    assert kept[-1, 0] == 0


def test_the_weights_of_a_dead_cell_may_be_huge():
    group = contents_of._vectors("huge", np.full((3, 2), 1e30, np.float32), 10)
    assert group["scale"] == pytest.approx(1e30 / contents_of.LEVELS)


def test_nothing_in_a_result_can_leave_its_place():
    text = page([Made("</script><script>alert(1)</script>")])
    assert "<script>alert" not in text
    data = text.partition('id="data">')[2].partition("</script>")[0]
    assert json.loads(data)["results"][0]["name"] == "</script><script>alert(1)</script>"
    assert "default-src 'none'" in text


def test_a_result_without_numbers_is_refused():
    made = Made()
    made.dataset = made.dataset[["verdict", "died_at"]]
    with pytest.raises(UserError, match="nothing is measured yet"):
        page([made])


def test_without_bokeh_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "bokeh.resources", None)
    with pytest.raises(UserError, match=r"pip install \"superpos_jax\[page\]\""):
        page([Made()])
