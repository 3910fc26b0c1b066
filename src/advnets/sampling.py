"""Drawing from a model: one seed a sample, pictures and arrays of samples."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from advnets import checks, rng
from advnets.priors import Prior
from advnets.protocols import Chain, Examples, Sampler
from advnets.ranks import ALONE, Ranks

_CHUNK = 1000


@contextlib.contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode and without gradients; afterwards as it was."""
    training = {m: m.training for m in network.modules()}
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, was in training.items():
            module.training = was


class GeneratorSampler:
    r"""Ancestral sampling from p_g: z ~ p_z, then x = G(z), with G in evaluation mode.

    Sample number i is a function of (seed, i): its z bit for bit, its x to rounding, whatever n and
    however the samples are cut into calls.

    Args:
        G: The generator.
        prior: p_z.
    """

    def __init__(self, G: nn.Module, prior: Prior) -> None:
        self.G, self.prior = G, prior
        self.event_shape = tuple(self.decode(torch.zeros(1, prior.dim)).shape[1:])

    def latents(self, n: int, *, seed: int, start: int = 0) -> Tensor:
        """The z of samples number `start` to `start + n - 1`, of shape `(n, z_dim)`."""
        return torch.cat([self.prior.sample(1, rng=r) for r in rng.per_sample(seed, start, n)])

    def decode(self, z: Tensor, *, context: Tensor | None = None) -> Tensor:
        """X = G(z), of shape `(n, *event_shape)`."""
        if context is not None:
            raise checks.not_conditional()
        parameter = next(self.G.parameters(), z)
        with evaluating(self.G):
            return torch.cat([self.G(part.to(parameter)) for part in torch.split(z, _CHUNK)])

    def sample(self, n: int, *, seed: int, start: int = 0, context: Tensor | None = None) -> Tensor:
        """Samples number `start` to `start + n - 1`, of shape `(n, *event_shape)`."""
        return self.decode(self.latents(n, seed=seed, start=start), context=context)


class TrainingSet:
    """Real examples as a sampler: the line in every table that no honest score should be far above.

    Sample number i is entry i of a permutation of the examples drawn from the seed (it begins again
    after the last one).
    """

    def __init__(self, x: Examples) -> None:
        self.x = x
        self.event_shape = tuple(x.shape[1:])

    def sample(self, n: int, *, seed: int, start: int = 0, context: Tensor | None = None) -> Tensor:
        """Examples number `start` to `start + n - 1` of the permutation."""
        if context is not None:
            raise checks.not_conditional()
        checks.at_least(1, n=n)
        order = torch.randperm(len(self.x), generator=rng.generator(seed, "training set"))
        return self.x[order[torch.arange(start, start + n) % len(self.x)]]


def draw(sampler: Sampler, n: int, *, seed: int, start: int = 0, ranks: Ranks = ALONE) -> Tensor:
    """Samples number `start` to `start + n - 1`, of which each process draws its own.

    A Markov chain cannot be cut: every process draws the whole of it.
    """
    checks.at_least(1, n=n)
    rows = ranks.rows(n)
    if ranks.world == 1 or n < ranks.world or isinstance(sampler, Chain):
        return sampler.sample(n, seed=seed, start=start)
    own = sampler.sample(rows.stop - rows.start, seed=seed, start=start + rows.start)
    return ranks.gather(own, n)


def interpolate(z0: Tensor, z1: Tensor, steps: int) -> Tensor:
    r"""Points on the straight line between two points, both ends included.

    .. math:: z_s = (1 - t_s) z_0 + t_s z_1, \qquad t_s = s / (steps - 1)

    Between two independent z the line passes nearer to the origin than either end is likely to lie:
    its middle has :math:`1 / \sqrt 2` of their root mean square norm, where G has seen little.

    Args:
        z0: Where it begins, of shape `(..., d)`.
        z1: Where it ends, of the same shape.
        steps: Points on the line, at least 2.

    Returns:
        Of shape `(..., steps, d)`; the ends are those given, bit for bit.

    Example:
        >>> interpolate(torch.zeros(1), torch.ones(1), 3).flatten()
        tensor([0.0000, 0.5000, 1.0000])
    """
    checks.at_least(2, steps=steps)
    if z0.shape != z1.shape:
        raise checks.wrong_shape("z1", f"({', '.join(map(str, z0.shape))}), as z0 is", z1.shape)
    t = torch.linspace(0, 1, steps, dtype=z0.dtype, device=z0.device)[:, None]
    return (1 - t) * z0[..., None, :] + t * z1[..., None, :]


def save_array(path: Path, x: Tensor) -> None:
    """Write samples as a `.npy` array of shape `(n, *event_shape)`."""
    np.save(path, x.cpu().numpy())
