r"""Score matching: fitting an unnormalised density by its score, which knows nothing of log Z.

With :math:`s(x) = \nabla_x \log \tilde p(x)`,

.. math:: J = E\Big[ \tfrac 12 \|s(x)\|^2 + \text{tr} \nabla_x s(x) \Big]
            = \tfrac 12 E \|s(x) - \nabla_x \log p_{data}(x)\|^2 + const

`exact` takes the trace as it is, `sliced` along random directions, and `denoising` fits the score
of the data with Gaussian noise on it, without a second derivative:

.. math:: J_\sigma = \tfrac 12 E \| s(x + \sigma \epsilon) + \epsilon / \sigma \|^2

Reference: Hyvarinen (2005); Vincent (2011), A connection between score matching and denoising
    autoencoders; Song, Garg, Shi and Ermon (2019), Sliced score matching.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from advnets.base import errors

LogDensity = Callable[[Tensor], Tensor]
r""":math:`\log \tilde p(x)` of `(n, d)`: `(n,)`, in nats, and twice differentiable."""


def score(log_p: LogDensity, x: Tensor) -> Tensor:
    """s(x), of the shape of x, with a graph for what follows."""
    (s,) = torch.autograd.grad(log_p(x).sum(), x, create_graph=True)
    return s


def exact(log_p: LogDensity, x: Tensor) -> Tensor:
    """J of each row of `(n, d)`, `(n,)`: d + 1 passes, for few coordinates."""
    x = x.detach().requires_grad_(True)
    s = score(log_p, x)
    columns = [
        torch.autograd.grad(s[:, i].sum(), x, create_graph=True)[0][:, i] for i in range(x.shape[1])
    ]
    return s.square().sum(dim=1) / 2 + torch.stack(columns).sum(dim=0)


def sliced(log_p: LogDensity, x: Tensor, v: Tensor) -> Tensor:
    r"""J with :math:`v^\top \nabla (v^\top s)` in place of the trace, `(n,)`.

    It is `exact` in expectation where :math:`E[v v^\top] = I`, as of random signs; these give the
    trace itself where the matrix is diagonal.

    Args:
        log_p: The model.
        x: Rows, `(n, d)`.
        v: Directions, `(k, n, d)`, of which the mean is taken.
    """
    x = x.detach().requires_grad_(True)
    s = score(log_p, x)
    traces = [
        (torch.autograd.grad((s * one).sum(), x, create_graph=True)[0] * one).sum(dim=1)
        for one in v
    ]
    return s.square().sum(dim=1) / 2 + torch.stack(traces).mean(dim=0)


def denoising(log_p: LogDensity, x: Tensor, epsilon: Tensor, *, sigma: float) -> Tensor:
    r""":math:`J_\sigma` of each row, `(n,)`, at noise :math:`\epsilon \sim N(0, I)` of x's shape.

    What it is least at is the score of :math:`p_{data} * N(0, \sigma^2 I)`.
    """
    errors.positive(sigma=sigma)
    noisy = (x + sigma * epsilon).detach().requires_grad_(True)
    return (score(log_p, noisy) + epsilon / sigma).square().sum(dim=1) / 2


def signs(k: int, like: Tensor, *, rng: torch.Generator) -> Tensor:
    """Random signs, `(k, *like.shape)`: directions for `sliced`."""
    coins = torch.randint(2, (k, *like.shape), generator=rng)
    return 2 * coins.to(like) - 1
