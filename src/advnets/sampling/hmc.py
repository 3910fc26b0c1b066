r"""The path from the prior of z to its posterior given x, by Hamiltonian Monte Carlo.

.. math:: \tilde p_\beta(z) = N(z; 0, I) \, p(x|z)^\beta, \qquad Z_1 = p(x)

A generator has no p(x|z); with Gaussian noise on its output, :math:`N(x; G(z), \sigma^2 I)`, it is
another model for each sigma, and has one.

Reference: Wu, Burda, Salakhutdinov and Grosse (2017), On the quantitative analysis of decoder-based
    generative models; Neal (2011), MCMC using Hamiltonian dynamics.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from advnets.base import errors

LogLikelihood = Callable[[Tensor], Tensor]
"""Log p(x|z) in nats of all x at once, `(chains, n, z_dim)` to `(chains, n)`."""
BOUND = "Below the truth on average; it rises towards it with the temperatures."
ACCEPT = 0.65
"""The rate of accepted moves that the step size is tuned to."""


def gaussian_noise(G: Callable[[Tensor], Tensor], x: Tensor, sigma: float) -> LogLikelihood:
    r""":math:`\log N(x; G(z), \sigma^2 I)` of every row of x.

    Args:
        G: Rows of z, `(m, z_dim)`, to examples of x's shape.
        x: `(n, *event_shape)`.
        sigma: Of the noise, in the units of the data.

    Raises:
        BadValue: For sigma 0 or below; by its result, for x of another size than G's output.
    """
    errors.positive(sigma=sigma)
    rows = x.flatten(1)
    norm = rows.shape[1] * math.log(sigma * math.sqrt(2 * math.pi))

    def log_likelihood(z: Tensor) -> Tensor:
        means = G(z.flatten(0, 1)).flatten(1)
        if means.shape[1] != rows.shape[1]:  # of one number an example it would broadcast
            need = f"{means.shape[1]:,} numbers an example, as G's output has"
            raise errors.bad_value("x", need, f"{rows.shape[1]:,} numbers an example")
        means = means.view(*z.shape[:2], -1)
        return -(rows - means).square().sum(dim=-1) / (2 * sigma**2) - norm

    return log_likelihood


class DecoderPath:
    """Every x has its own chains; the state is z, `(chains, n, z_dim)`.

    The step size of each temperature is tuned once, on chains of their own (`tune`); afterwards it
    stays, so that the weights mean what they should.

    Args:
        log_likelihood: Of all x.
        n: How many x there are.
        z_dim: Coordinates of z, which is N(0, I).
        leapfrog: Steps of a trajectory.
        size: The first step size, and the only one without tuning.
        dtype: Of z.
    """

    def __init__(
        self,
        log_likelihood: LogLikelihood,
        n: int,
        z_dim: int,
        *,
        leapfrog: int = 10,
        size: float = 0.1,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        errors.at_least(1, leapfrog=leapfrog, z_dim=z_dim, n=n)
        errors.positive(size=size)
        self.log_likelihood, self.shape, self.leapfrog = log_likelihood, (n, z_dim), leapfrog
        self.dtype, self.size = dtype, torch.full((n,), size, dtype=dtype)
        self.sizes: dict[float, Tensor] = {}
        """The step size of each x by temperature, where `tune` has found one."""
        self.accepted = torch.ones(1, n, dtype=torch.bool)
        self.log_Z_base = torch.zeros(n, dtype=torch.float64)

    def init(self, chains: int, *, rng: torch.Generator) -> Tensor:
        """Z of the prior, `(chains, n, z_dim)`."""
        return torch.randn(chains, *self.shape, generator=rng, dtype=self.dtype)

    def log_ratio(self, state: Tensor, low: float, high: float) -> Tensor:
        """Of two temperatures, in nats, `(chains, n)`."""
        with torch.no_grad():
            return (high - low) * self.log_likelihood(state).double()

    def tune(self, betas: list[float], chains: int, *, rng: torch.Generator) -> "DecoderPath":
        """Find a step size for each temperature and x, on chains that are then thrown away."""
        state, size = self.init(chains, rng=rng), self.size
        for beta in betas[1:-1]:
            self.sizes[beta] = size
            state = self.step(state, beta, rng=rng)
            rate = self.accepted.to(size).mean(dim=0)
            size = (size * torch.where(rate > ACCEPT, 1.05, 0.95)).clamp(1e-4, 2.0)
        return self

    def step(self, state: Tensor, beta: float, *, rng: torch.Generator) -> Tensor:
        """One trajectory, taken or refused by Metropolis."""
        size = self.sizes.get(beta, self.size)[:, None]
        p = torch.randn(state.shape, generator=rng, dtype=self.dtype)
        before, gradient = self._density(state, beta)
        z, moment = state, p + size / 2 * gradient
        for i in range(self.leapfrog):
            z = z + size * moment
            after, gradient = self._density(z, beta)
            moment = moment + (size if i < self.leapfrog - 1 else size / 2) * gradient
        energies = (p.square() - moment.square()).sum(dim=-1) / 2
        u = torch.rand(before.shape, generator=rng, dtype=torch.float64)
        # What is not a number is refused: the comparison is false.
        self.accepted = u.log() < after - before + energies
        return torch.where(self.accepted[..., None], z, state)

    def _density(self, z: Tensor, beta: float) -> tuple[Tensor, Tensor]:
        """Log of the density at beta, `(chains, n)`, but for a constant, and its gradient in z."""
        with torch.enable_grad():
            z = z.detach().requires_grad_(True)
            log_p = beta * self.log_likelihood(z).double() - z.square().sum(dim=-1) / 2
            (gradient,) = torch.autograd.grad(log_p.sum(), z)
        return log_p.detach(), gradient
