"""The tasks: what makes a label, how often a cue speaks for it, and that streams are nested."""

import numpy as np
import pytest

from superpos_jax.studies.large_lr.cell import TASKS, Numbers
from superpos_jax.studies.large_lr.samples import PARTS, aligned, conflicting, stream_of
from superpos_jax.studies.large_lr.tasks import task_of


def drawn(part="train", count=700, **values):
    values["task"] = TASKS.index(values.get("task", "boolean"))
    cell = Numbers(**values)
    task = task_of(cell)
    return task.draw(stream_of(part, cell, 1 / task.classes), count)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("part", PARTS)
def test_a_smaller_data_set_is_the_first_part_of_a_larger_one(task, part):
    values = {"task": task, "noise": 0.1, "seed": 4}
    few, many = drawn(part, 40, **values), drawn(part, 300, **values)
    for a, b in zip(few, many, strict=True):
        np.testing.assert_array_equal(a, b[:40])
    assert few.x.dtype == np.float32
    assert few.y.dtype == few.s.dtype == np.int32


@pytest.mark.parametrize("task", TASKS)
def test_data_depend_on_the_seed_and_not_on_training(task):
    one = drawn(task=task, lr=0.1, width=8)
    np.testing.assert_array_equal(one.x, drawn(task=task, lr=3.0, width=16, N=30).x)
    assert (drawn(task=task, seed=1).x != one.x).any()
    assert (drawn("validation", task=task).x != one.x).any()


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("rho", [0.7, 0.95])
def test_how_often_the_cue_speaks_for_the_label(task, rho):
    seeds = range(8)
    share = {"train": rho, "validation": rho, "test": 0.1 if "digits" in task else 0.5}
    for part, expected in share.items():
        batches = [drawn(part, task=task, rho=rho, seed=seed) for seed in seeds]
        y, s = (np.concatenate([getattr(b, name) for b in batches]) for name in "ys")
        cue = s >= 0
        assert aligned(y, s)[cue].mean() == pytest.approx(expected, abs=0.04)
        assert (aligned(y, s) | conflicting(y, s) == cue).all()


@pytest.mark.parametrize(("k_c", "k_s"), [(2, 1), (3, 2)])
def test_boolean(k_c, k_s):
    x, y, s = drawn(k_c=k_c, k_s=k_s, n_n=5, amp=0.5, core_amp=2.0)
    assert x.shape == (700, k_c + k_s + 5)
    assert set(np.unique(np.abs(x[:, :k_c]))) == {2.0}
    assert set(np.unique(np.abs(x[:, k_c : k_c + k_s]))) == {0.5}
    for row, label, cue in zip(x, y, s, strict=True):
        assert label == (np.prod(np.sign(row[:k_c])) > 0)
        assert cue == (np.prod(np.sign(row[k_c : k_c + k_s])) > 0)
    assert np.abs(x.mean(axis=0)).max() < 0.25


@pytest.mark.parametrize("task", ["boolean", "moons", "colored_digits"])
def test_noise_flips_training_labels_only(task):
    clean, noisy = drawn(task=task), drawn(task=task, noise=0.2)
    np.testing.assert_array_equal(clean.x, noisy.x)
    np.testing.assert_array_equal(clean.s, noisy.s)
    assert (clean.y != noisy.y).mean() == pytest.approx(0.2, abs=0.05)
    np.testing.assert_array_equal(drawn("test", task=task).y, drawn("test", task=task, noise=0.2).y)


def test_moons_lie_on_two_half_circles():
    x, y, s = drawn(task="moons", n_n=3, amp=2.0)
    assert x.shape == (700, 6)
    center = np.where(y[:, None] == 1, [1.0, 0.5], [0.0, 0.0])
    radius = np.linalg.norm(x[:, :2] - center, axis=1)
    assert radius.mean() == pytest.approx(1, abs=0.02)
    assert radius.std() == pytest.approx(0.1, abs=0.02)
    upper = np.where(y == 1, 0.5 - x[:, 1], x[:, 1])
    assert (upper > -0.45).all()
    assert (np.sign(x[:, 2]) == 2 * s - 1).all()


def test_rare_cues():
    x, y, s = drawn(task="cues", cue_share=0.3, rho=0.9, amp=1.5, count=4000)
    rare, with_cue = x[:, -8:], s >= 0
    assert x.shape == (4000, 2 + 1 + 16 + 8)
    assert with_cue.mean() == pytest.approx(0.3, abs=0.03)
    assert ((rare != 0).sum(axis=1) == with_cue).all()
    assert (rare.sum(axis=1)[with_cue] == 1.5 * (2 * s[with_cue] - 1)).all()
    assert ((rare != 0).mean(axis=0) > 0.02).all()
    assert (s == y)[with_cue].mean() == pytest.approx(0.9, abs=0.03)
    assert (np.sign(x[:, 2]) == 2 * y - 1).mean() == pytest.approx(0.5, abs=0.03)
    _, y, s = drawn("test", 4000, task="cues")
    for kind in (s < 0, aligned(y, s), conflicting(y, s)):
        assert kind.mean() == pytest.approx(1 / 3, abs=0.03)


def test_colors_tell_the_cue_and_training_images_are_standardized():
    x, y, s = drawn(task="colored_digits", count=1000)
    assert x.mean() == pytest.approx(0, abs=1e-4)
    assert x.std() == pytest.approx(1, abs=1e-4)
    pixels = (x - x.min()).reshape(1000, 3, 64).sum(axis=2)
    k = np.arange(3)
    color = pixels / pixels.sum(axis=1, keepdims=True)
    hue = 0.5 + 0.5 * np.cos(2 * np.pi * (np.arange(10)[:, None] / 10 - k / 3))
    hue /= hue.sum(axis=1, keepdims=True)
    guess = ((color[:, None] - hue) ** 2).sum(axis=2).argmin(axis=1)
    assert (guess == s).mean() > 0.8
    assert len(np.unique(y)) == 10


def test_double_digits_are_two_images_side_by_side():
    x, y, s = drawn(task="double_digits", core_amp=0.5, amp=1.0, count=300)
    plain, *_ = drawn(task="double_digits", count=300)
    np.testing.assert_allclose(x[:, :64], 0.5 * plain[:, :64])
    np.testing.assert_array_equal(x[:, 64:], plain[:, 64:])
    means = np.stack(
        [
            drawn(task="double_digits", count=1000)
            .x[:, :64][drawn(task="double_digits", count=1000).y == k]
            .mean(axis=0)
            for k in range(10)
        ]
    )
    nearest = ((plain[:, None, 64:] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == s).mean() > 0.8
    held_out = drawn("test", task="double_digits").x
    assert not {row.tobytes() for row in held_out[:, :64]} & {
        row.tobytes() for row in drawn(task="double_digits", count=1000).x[:, :64]
    }
    assert len(y) == 300
