"""The study in float64 and numpy, in the plainest way: losses, gradients, and one training."""

import numpy as np


def exact(z, y):
    """Cross-entropies and their gradients by the logits, without cancellation."""
    j = z.argmax(axis=1)
    terms = np.exp(z - z.max(axis=1, keepdims=True))
    terms[np.arange(len(z)), j] = 0
    r = terms.sum(axis=1)
    losses = z.max(axis=1) - z[np.arange(len(z)), y] + np.log1p(r)
    gradient = terms / (1 + r)[:, None]
    gradient[np.arange(len(z)), y] -= 1
    hit = np.where(j == y, -r / (1 + r), 1 / (1 + r))
    gradient[np.arange(len(z)), j] = hit
    return losses, gradient


def rounded(z, y, t):
    """The same with a softmax sum of t bits."""
    losses, gradient = exact(z, y)
    j = z.argmax(axis=1)
    terms = np.exp(z - z.max(axis=1, keepdims=True))
    terms[np.arange(len(z)), j] = 0
    r = terms.sum(axis=1)
    kept = np.where(r < 1, np.round(r * 2.0 ** (t - 1)) / 2.0 ** (t - 1), r)
    right = (j == y) & (r < 1)
    losses = np.where(r < 1, losses - np.log1p(r) + np.log1p(kept), losses)
    rows = np.flatnonzero(right)
    gradient[rows, y[rows]] = (-kept / (1 + kept))[rows]
    return losses, gradient


def stablemax(z, y):
    """-log(s(z_y) / sum_k s(z_k)), s(x) = x + 1 or 1 / (1 - x); by differences of logarithms."""
    u = np.sign(z) * np.log1p(np.abs(z))
    losses, gradient = exact(u, y)
    return losses, gradient / (1 + np.abs(z))


def squares(z, y):
    error = z - np.eye(z.shape[1])[y]
    return (error**2).mean(axis=1), 2 * error / z.shape[1]


LOSSES = {"exact": exact, "stablemax": stablemax, "mse": squares}


def perp_tensor(g, w):
    part = g - (w * g).sum() / (w * w).sum() * w
    return part * np.linalg.norm(g) / np.linalg.norm(part)


def train(weights, x, y, loss, steps, lr, perp="none", weight_decay=0.0, beta2=0.99, eps=1e-25):
    """A ReLU network without biases, full batch, AdamW; the list of weights at the end.

    Args:
        weights: one matrix a layer, (inputs, outputs).
        x: (samples, inputs).
        y: (samples,) labels.
        loss: a function of logits and labels, as those above.
        steps: updates.
        lr, perp, weight_decay, beta2, eps: of the optimizer.
    """
    weights = [w.astype(float) for w in weights]
    m = [np.zeros_like(w) for w in weights]
    v = [np.zeros_like(w) for w in weights]
    for step in range(1, steps + 1):
        layers = [x]
        for w in weights[:-1]:
            layers.append(np.maximum(layers[-1] @ w, 0))
        back = loss(layers[-1] @ weights[-1], y)[1] / len(x)
        grads = []
        for w, inputs in zip(weights[::-1], layers[::-1], strict=True):
            grads.insert(0, inputs.T @ back)
            back = (back @ w.T) * (inputs > 0)
        for i, g in enumerate(grads):
            g = perp_tensor(g, weights[i]) if perp == "tensor" else g
            m[i] = 0.9 * m[i] + 0.1 * g
            v[i] = beta2 * v[i] + (1 - beta2) * g**2
            move = m[i] / (1 - 0.9**step) / (np.sqrt(v[i] / (1 - beta2**step)) + eps)
            weights[i] = weights[i] * (1 - lr * weight_decay) - lr * move
    return weights
