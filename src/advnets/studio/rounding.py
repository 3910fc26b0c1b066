r"""Affine maps with integer weights of 8 bits, rounded for the inputs that they meet.

An affine map W x + b becomes s q x + c with integers q from -127 to 127 and a scale s for each row.
Rounding each weight by itself changes the outputs by about one per cent. Here q and c minimise,
approximately, the mean of

    |s q x' + c - (W x + b)|^2

over inputs x of the exact network and x' of the network of rounded weights. Columns are rounded one
after another, and after each one the columns that are still real move to their least-squares
optimum (GPTQ: Frantar et al. 2023, "GPTQ: Accurate Post-Training Quantization for Generative
Pre-trained Transformers"). Inputs of a hidden layer are correlated, so that later columns make up
for most of the error of earlier ones. The last columns have nothing after them: a third of all,
those that explain most of the variance of the others, come last and have integers of 16 bits with a
scale of their own. (Columns of more bits: Dettmers et al. 2022, "LLM.int8()".)
"""

from typing import NamedTuple

import torch
from torch import Tensor

MOST, WIDE_MOST = 2**7 - 1, 2**15 - 1
"""The largest integers of 8 and of 16 bits."""
PART = 3
"""One column in three has 16 bits."""
DAMPING = 0.01
"""Share of the mean of H's diagonal that is added to the diagonal."""
TINY = torch.finfo(torch.float32).tiny
_BLOCK = 128


class Rounded(NamedTuple):
    """An affine map with integer weights."""

    q: Tensor
    """Columns of 8 bits, `(outputs, inputs - K)`."""
    wide: Tensor
    """Columns of 16 bits, `(outputs, K)`."""
    order: Tensor
    """The numbers of the columns: first those of 8 bits, then those of 16, `(inputs,)`."""
    scales: Tensor
    """s of the columns of 8 and of 16 bits, `(2, outputs)`."""
    bias: Tensor
    """c, `(outputs,)`."""

    def weights(self) -> Tensor:
        """W as the page computes with it, float32."""
        W, (s, s_wide) = torch.empty(len(self.q), len(self.order)), self.scales[..., None]
        W[:, self.order] = torch.cat((self.q * s, self.wide * s_wide), dim=1)
        return W


def affine(x: Tensor, outputs: Tensor, W: Tensor) -> Rounded:
    """The integer map from rows x to rows of outputs, near W.

    Args:
        x: `(n, inputs)`, inputs of the layer in the network of rounded weights.
        outputs: `(n, outputs)`, what the layer gives in the exact network.
        W: `(outputs, inputs)`, the exact weights.
    """
    x, outputs, W = x.double(), outputs.double(), W.double()
    mean, out_mean = x.mean(0), outputs.mean(0)
    x, outputs = x - mean, outputs - out_mean
    H = x.T @ x
    H.diagonal().add_(DAMPING * H.diagonal().mean().clamp(min=TINY))
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(H))
    W = W + (outputs - x @ W.T).T @ x @ inverse
    last = pivots(H, len(H) // PART)
    first = torch.ones(len(H), dtype=torch.bool).index_fill(0, last, False).nonzero().flatten()
    order = torch.cat((first, last))
    s = _scale(W[:, first], MOST)
    W = s[:, None] * _in_turn(W[:, order] / s[:, None], inverse[order][:, order], len(first))
    s_wide = _scale(W[:, len(first) :], WIDE_MOST)
    q = (W[:, : len(first)] / s[:, None]).round().to(torch.int8)
    wide = (W[:, len(first) :] / s_wide[:, None]).round().to(torch.int16)
    found = Rounded(q, wide, order, torch.stack((s, s_wide)), out_mean)
    return found._replace(bias=(out_mean - found.weights().double() @ mean).float())


def _scale(W: Tensor, most: int) -> Tensor:
    """The scale of each row, float32, with which no number is above `most`."""
    if not W.shape[1]:
        return W.new_zeros(len(W)).float()
    return (W.abs().amax(dim=1) / most).clamp(min=TINY).float()


def pivots(H: Tensor, k: int) -> Tensor:
    """The k columns of a pivoted Cholesky factorisation: each has the largest variance left.

    Args:
        H: A positive definite matrix `(n, n)`.
        k: At most n.
    """
    variance, L = H.diagonal().clone(), H.new_zeros(len(H), k)
    found = torch.zeros(k, dtype=torch.int64)
    for j in range(k):
        found[j] = i = int(variance.argmax())
        L[:, j] = (H[:, i] - L[:, :j] @ L[i, :j]) / variance[i].sqrt()
        variance -= L[:, j].square()
        variance[found[: j + 1]] = -1.0
    return found


def _in_turn(W: Tensor, inverse: Tensor, few: int) -> Tensor:
    """W with its first columns rounded one by one, the error of each taken up by those after it.

    With H^-1 = U^T U, and U upper triangular, the optimum of the columns after i moves by
    -(w_i - q_i) / U_ii times row i of U. Columns beyond a block are moved once for all of it.
    """
    U = torch.linalg.cholesky(inverse, upper=True)
    q = W.clone()
    for first in range(0, few, _BLOCK):
        last = min(first + _BLOCK, few)
        errors = torch.empty(len(W), last - first, dtype=W.dtype)
        for i in range(first, last):
            w = q[:, i].clone()
            q[:, i] = w.round().clamp(-MOST, MOST)
            errors[:, i - first] = (w - q[:, i]) / U[i, i]
            q[:, i + 1 : last] -= errors[:, i - first, None] * U[i, i + 1 : last]
        q[:, last:] -= errors @ U[first:last, last:]
    return q
