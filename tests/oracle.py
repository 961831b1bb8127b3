"""The study double_descent, one cell, in the plainest way: dense, float64, gradients by hand."""

from typing import NamedTuple

import numpy as np


class Trained(NamedTuple):
    W: np.ndarray
    b: np.ndarray
    losses: np.ndarray
    """(steps + 1,): before each update and after the last."""


def loss_and_grad(X, W, b):
    """L = (1/T) sum (x - ReLU(W^T W x + b))^2 and its gradient; X (T, n), W (m, n), b (n,)."""
    X, W, b = (np.asarray(array, np.float64) for array in (X, W, b))
    H = X @ W.T
    Z = H @ W + b
    error = np.maximum(Z, 0) - X
    dZ = 2 * error * (Z > 0) / len(X)
    return (error**2).sum() / len(X), H.T @ dZ + (dZ @ W.T).T @ X, dZ.sum(axis=0)


def train(X, W, b, *, steps, lr, weight_decay, eps, reduction) -> Trained:
    """AdamW on L / n^reduction; lr rises over the first 5 % of the steps, then falls to 0."""
    theta = [np.array(W, np.float64), np.array(b, np.float64)]
    first, second = [0.0, 0.0], [0.0, 0.0]
    losses = []
    for k in range(steps):
        loss, *grads = loss_and_grad(X, *theta)
        losses.append(loss)
        done = k / steps
        rate = lr * (done / 0.05 if done < 0.05 else (1 + np.cos(np.pi * (done - 0.05) / 0.95)) / 2)
        for i, grad in enumerate(grads):
            grad = grad / X.shape[1] ** reduction
            first[i] = 0.9 * first[i] + 0.1 * grad
            second[i] = 0.999 * second[i] + 0.001 * grad**2
            mean, square = first[i] / (1 - 0.9 ** (k + 1)), second[i] / (1 - 0.999 ** (k + 1))
            step = mean / (np.sqrt(square) + eps) + weight_decay * theta[i]
            theta[i] = theta[i] - rate * step
    return Trained(*theta, np.array([*losses, loss_and_grad(X, *theta)[0]]))
