"""The study double_descent, one cell, in the plainest way: dense, float64, gradients by hand."""

from typing import NamedTuple

import numpy as np


class Trained(NamedTuple):
    W: np.ndarray
    b: np.ndarray
    losses: np.ndarray
    """(steps + 1,): before each update and after the last."""
    V: np.ndarray | None = None


def loss_and_grad(X, W, b, V=None, *, power=2, relu=False):
    """L = (1/T) sum |x - ReLU(V^T W x + b)|^p and its gradient; X (T, n), W, V (m, n), b (n,).

    Without V the weights are tied, V = W, and have one gradient.
    """
    X, W, b = (np.asarray(array, np.float64) for array in (X, W, b))
    decoder = W if V is None else np.asarray(V, np.float64)
    H = X @ W.T
    on = H > 0 if relu else np.ones_like(H)
    H = on * H
    Z = H @ decoder + b
    error = np.maximum(Z, 0) - X
    dZ = power * np.sign(error) * np.abs(error) ** (power - 1) * (Z > 0) / len(X)
    encoder_grad = (on * (dZ @ decoder.T)).T @ X
    decoder_grad = H.T @ dZ
    loss = (np.abs(error) ** power).sum() / len(X)
    if V is None:
        return loss, encoder_grad + decoder_grad, dZ.sum(axis=0)
    return loss, encoder_grad, dZ.sum(axis=0), decoder_grad


def train(X, *theta, steps, lr, weight_decay, eps, reduction, **form) -> Trained:
    """AdamW on L / n^reduction; lr rises over the first 5 % of the steps, then falls to 0.

    X: (T, n), or (steps, T, n) with other samples at every step. theta: W, b, and V where the
    weights are not tied.
    """
    X = np.asarray(X)
    batches = np.broadcast_to(X, (steps, *X.shape)) if X.ndim == 2 else X
    theta = [np.array(leaf, np.float64) for leaf in theta]
    first, second = [0.0] * len(theta), [0.0] * len(theta)
    losses = []
    for k in range(steps):
        loss, *grads = loss_and_grad(batches[k], *theta, **form)
        losses.append(loss)
        done = k / steps
        rate = lr * (done / 0.05 if done < 0.05 else (1 + np.cos(np.pi * (done - 0.05) / 0.95)) / 2)
        for i, grad in enumerate(grads):
            grad = grad / X.shape[-1] ** reduction
            first[i] = 0.9 * first[i] + 0.1 * grad
            second[i] = 0.999 * second[i] + 0.001 * grad**2
            mean, square = first[i] / (1 - 0.9 ** (k + 1)), second[i] / (1 - 0.999 ** (k + 1))
            step = mean / (np.sqrt(square) + eps) + weight_decay * theta[i]
            theta[i] = theta[i] - rate * step
    losses.append(loss_and_grad(batches[-1], *theta, **form)[0])
    return Trained(theta[0], theta[1], np.array(losses), *theta[2:])
