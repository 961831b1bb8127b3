"""Tasks of real images: digits whose color is the cue, and pairs of digits.

A seed shuffles scikit-learn's digits (1,797 images of 8 x 8): the first 1,000 are for training,
the other 797 are held out. With probability rho the cue of an image is its own class, else one of
the other nine.
"""

from __future__ import annotations

import numpy as np

from superpos_jax.studies.images import IMAGES, images, order
from superpos_jax.studies.large_lr.samples import Batch, Stream

CLASSES, CHANNELS = 10, 3
TRAIN = 1000
"""Images for training at most."""
HELD_OUT = IMAGES - TRAIN
COLOR_NOISE = 0.05


def colored(stream: Stream, count: int) -> Batch:
    """Digits times a color, (count, 192), shifted and scaled as the training images are.

    q_k = clip(h_k(s) + 0.05 e_k, 0, 1), h_k(s) = 1/2 + 1/2 cos(2 pi (s / 10 - k / 3)), k = 0, 1, 2;
    e is normal. x = (p q_1, p q_2, p q_3) for grey levels p, minus the mean of the training images
    over all entries and divided by their standard deviation.
    """
    x, y, s = _colored(stream, count)
    train, *_ = _colored(stream._replace(part="train", rho=stream.cell.rho), TRAIN)
    return Batch((x - train.mean()) / train.std(), y, s)


def _colored(stream: Stream, count: int) -> Batch:
    pixels, y, s = _digits(stream, count)
    hue = 0.5 + 0.5 * np.cos(2 * np.pi * (s[:, None] / CLASSES - np.arange(CHANNELS) / CHANNELS))
    color = np.clip(hue + COLOR_NOISE * stream.normal(count, CHANNELS), 0, 1).astype(np.float32)
    x = color[:, :, None] * pixels[:, None, :]
    return Batch(x.reshape(count, -1), _flipped(stream, y), s)


def double(stream: Stream, count: int) -> Batch:
    """Two digits side by side, (count, 128): the core, and a training image of the cue's class.

    x = (core_amp p, amp p') for grey levels p of the image and p' of the other.
    """
    pixels, y, s = _digits(stream, count)
    all_pixels, labels = images()
    of_training = order(stream.cell.seed)[:TRAIN]
    chosen = stream.uniform(count, 1, which=2)[:, 0]
    beside = np.zeros_like(pixels)
    for label in range(CLASSES):
        of_class = of_training[labels[of_training] == label]
        rows = s == label
        beside[rows] = all_pixels[of_class[(chosen[rows] * len(of_class)).astype(int)]]
    core = np.float32(stream.cell.core_amp) * pixels
    x = np.concatenate([core, np.float32(stream.cell.amp) * beside], axis=1)
    return Batch(x, _flipped(stream, y), s)


def _digits(stream: Stream, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grey levels, classes, and what the cues speak for."""
    all_pixels, labels = images()
    shuffled = order(stream.cell.seed)
    chosen = shuffled[:TRAIN][:count] if stream.part == "train" else shuffled[TRAIN:][:count]
    y = labels[chosen]
    uniform = stream.uniform(len(chosen), 2)
    other = (y + 1 + (uniform[:, 1] * (CLASSES - 1)).astype(int)) % CLASSES
    s = np.where(uniform[:, 0] < stream.rho, y, other)
    return all_pixels[chosen], y, s.astype(np.int32)


def _flipped(stream: Stream, y: np.ndarray) -> np.ndarray:
    """Labels of which a share is another one."""
    uniform = stream.uniform(len(y), 2, which=1)
    other = (y + 1 + (uniform[:, 1] * (CLASSES - 1)).astype(int)) % CLASSES
    return np.where(uniform[:, 0] < stream.noise, other, y).astype(np.int32)
