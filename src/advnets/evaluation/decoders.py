r"""The density of a generator with Gaussian noise on its output, by annealing from its prior.

.. math:: p_\sigma(x) = \int p_z(z) \, N(x; G(z), \sigma^2 I) \, dz

This is another model than G, one for each sigma, and the very density that a Parzen window of that
sigma estimates from a few thousand samples. Annealing finds the z of each x instead.

Reference: Wu, Burda, Salakhutdinov and Grosse (2017), On the quantitative analysis of decoder-based
    generative models.
"""

import copy
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.protocols import Annealed
from advnets.sampling.hmc import DecoderPath, gaussian_noise
from advnets.sampling.samplers import GeneratorSampler

BOUND = (
    "Of the generator with noise of its Parzen line's sigma on its output, which is another model "
    "than the generator. Below the truth on average; it rises towards it with the temperatures."
)


@runtime_checkable
class HasQuantile(Protocol):
    """A prior of independent coordinates."""

    def quantile(self, u: Tensor) -> Tensor:
        """The z of one coordinate below which the prior has the probability u."""
        ...


def annealed(sampler: object, x: Tensor, sigma: float) -> Annealed:
    r"""A path for each x, over :math:`u \sim N(0, I)` with :math:`z = F^{-1}(\Phi(u))`.

    Args:
        sampler: z from a prior of independent coordinates, then G(z).
        x: `(n, *event_shape)`.
        sigma: Of the noise, in the units of the data.

    Raises:
        BadValue: For a model without a decoder, such as a chain; one that is conditional; or a
            prior whose coordinates depend on each other.
    """
    if not decodes(sampler):
        need = "an unconditional generator with a prior of independent coordinates, for log p(x)"
        raise errors.bad_value("sampler", need, type(sampler).__name__)
    assert isinstance(sampler, GeneratorSampler)
    assert isinstance(sampler.prior, HasQuantile)
    G, prior = copy.deepcopy(sampler.G).eval().requires_grad_(False), sampler.prior
    kind = next(G.parameters(), x).dtype

    def decode(u: Tensor) -> Tensor:
        inside = torch.special.ndtr(u.double()).clamp(1e-12, 1 - 1e-12)
        out: Tensor = G(prior.quantile(inside).to(kind))
        return out.to(u.dtype)

    path = DecoderPath(gaussian_noise(decode, x, sigma), len(x), prior.dim)
    return Annealed(path, None, BOUND)


def decodes(sampler: object) -> bool:
    """Whether `annealed` takes it."""
    return (
        isinstance(sampler, GeneratorSampler)
        and sampler.context is None
        and isinstance(sampler.prior, HasQuantile)
    )
