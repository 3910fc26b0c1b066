r"""Noise-contrastive estimation: an unnormalised density learns to be told from noise.

.. math:: a(x) = \log \tilde p(x) - \log Z - \log \nu p_n(x), \qquad
          J = E_{p_d}[\log \sigma(a(x))] + \nu E_{p_n}[\log \sigma(-a(x))]

log Z is one more number that is learnt. It is D's step of the game with a G that stands still,
:math:`D = \sigma(a)`: at the truth and :math:`\nu = 1`, J is what Theorem 1 says,
:math:`-\log 4 + 2 JSD(p_d \| p_n)`.

Reference: Gutmann and Hyvarinen (2010, 2012); Goodfellow et al. (2014), Section 2; Goodfellow
    (2014), On distinguishability criteria for estimating generative models.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from advnets.base import errors


def logits(log_p: Tensor, log_p_noise: Tensor, *, nu: float = 1.0) -> Tensor:
    """A(x), of the shape of both.

    Args:
        log_p: Of the model, its own log Z taken away, in nats.
        log_p_noise: Of the noise, normalised, in nats.
        nu: Noise examples to one of data.
    """
    errors.positive(nu=nu)
    return log_p - log_p_noise - math.log(nu)


def objective(a_data: Tensor, a_noise: Tensor, *, nu: float = 1.0) -> Tensor:
    """J, which is ascended: 0-d, in nats.

    Args:
        a_data: `logits` at data.
        a_noise: `logits` at noise; `nu` times as many rows.
        nu: As in `logits`.
    """
    return F.logsigmoid(a_data).mean() + nu * F.logsigmoid(-a_noise).mean()


def marginals_noise(mean: Tensor) -> "Marginals":
    """Noise for binary data: independent units with the data's means, `(d,)`, kept off 0 and 1."""
    return Marginals(mean.flatten().double().clamp(0.01, 0.99))


class Marginals:
    """Independent binary units.

    Args:
        p: The probability of each being 1, `(d,)`.
    """

    def __init__(self, p: Tensor) -> None:
        self.p = p

    def log_density(self, x: Tensor) -> Tensor:
        """Of binary rows, `(n,)`, in nats."""
        return x.double() @ self.p.log() + (1 - x.double()) @ (-self.p).log1p()

    def draw(self, n: int, *, rng: torch.Generator) -> Tensor:
        """Rows of 0 and 1, `(n, d)`."""
        u = torch.rand(n, len(self.p), generator=rng, dtype=torch.float64)
        return (u < self.p).double()
