r"""A prior with parameters: layers below G that move with G's weights.

Noise is drawn as ever, :math:`\epsilon \sim` prior, and what G sees is a function of it that has
gradients, so that the game, the average and the samplers need to know of nothing:

.. math:: z = \mu + s \odot \epsilon, \qquad z = \mu_c + s_c \odot \epsilon

with c one of K equally likely components, which a last coordinate of the noise chooses.

Reference: Goodfellow et al. (2014), Section 7: "better distributions to sample z from during
    training". The reparametrisation: Kingma and Welling (2014); the mixture: Gurumurthy et al.
    (2017), DeLiGAN.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.sampling.priors import Gaussian, Prior, Uniform

_SCALE = 0.5
"""Of each component at the start."""


class DiagonalPrior(nn.Module):
    """A mean and a scale for each coordinate of z; at the start z is the noise.

    Args:
        dim: Coordinates of z.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(dim))
        self.log_scale = nn.Parameter(torch.zeros(dim))

    def forward(self, noise: Tensor) -> Tensor:
        """`(n, dim)`, same shape."""
        return self.mean + self.log_scale.exp() * noise


class MixturePrior(nn.Module):
    r"""K components of equal weight, each with a mean and a scale for each coordinate.

    At the start the means are drawn so that z has the variance 1 of the noise.

    Args:
        noise: p_epsilon, of one coordinate more than z has.
        components: K.
        rng: Draws the first means.

    Raises:
        BadValue: For noise whose last coordinate cannot choose a component.
    """

    def __init__(self, noise: Prior, components: int, *, rng: torch.Generator) -> None:
        super().__init__()
        errors.at_least(1, components=components)
        if not isinstance(noise, Uniform | Gaussian):
            raise errors.bad_value("prior", "'uniform' or 'gaussian' below a mixture", noise)
        errors.at_least(2, noise=noise.dim)
        self.noise, size = noise, (components, noise.dim - 1)
        drawn = torch.randn(size, generator=rng) * (1 - _SCALE**2) ** 0.5
        self.mean = nn.Parameter(drawn)
        self.log_scale = nn.Parameter(torch.full(size, _SCALE).log())

    def components(self, noise: Tensor) -> Tensor:
        """Which component each row of noise chooses, `(n,)`."""
        K = len(self.mean)
        return (self.noise.cdf(noise[:, -1].float()) * K).long().clamp_(0, K - 1)

    def forward(self, noise: Tensor) -> Tensor:
        """`(n, dim + 1)` to `(n, dim)`."""
        c = self.components(noise)
        return self.mean[c] + self.log_scale[c].exp() * noise[:, :-1]


class WithPrior(nn.Module):
    """G behind a learned prior.

    Args:
        prior: From noise to z.
        G: From z to samples.
    """

    def __init__(self, prior: nn.Module, G: nn.Module) -> None:
        super().__init__()
        self.prior, self.G = prior, G

    def constrain(self) -> None:
        """Put G's weights back within their limits, after an update."""
        constrain: Callable[[], None] | None = getattr(self.G, "constrain", None)
        if constrain is not None:
            constrain()

    def forward(self, noise: Tensor, *c: Tensor) -> Tensor:
        """Noise `(n, prior.dim)`, and contexts, to samples."""
        x: Tensor = self.G(self.prior(noise), *c)
        return x
