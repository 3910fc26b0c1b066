r"""The variational autoencoder: a decoder p(x|z), and an encoder q(z|x), its approximate posterior.

With z ~ N(0, I) and :math:`q(z|x) = N(\mu(x), \text{diag } s^2(x))`, both networks ascend the
evidence lower bound

.. math:: \log p(x) \ge E_{q(z|x)}[\log p(x|z)] - KL(q(z|x) \| p(z))

whose expectation is estimated at :math:`z = \mu + s \odot \epsilon, \ \epsilon \sim N(0, I)`, so
that it is differentiable, and whose KL is known in closed form: :math:`\frac 12 \sum_j (\mu_j^2 +
s_j^2 - 1 - \log s_j^2)`. With k draws of z the importance-weighted bound is tighter, and rises to
log p(x) with k:

.. math:: \log p(x) \ge E \Big[ \log \frac 1k \sum_{i=1}^k
          \frac{p(x|z_i) \, p(z_i)}{q(z_i|x)} \Big]

Reference: Kingma and Welling (2014), Auto-encoding variational Bayes, eq. (10) and Appendices B and
    C; Rezende, Mohamed and Wierstra (2014); Burda, Grosse and Salakhutdinov (2016), Importance
    weighted autoencoders, eq. (8).
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from advnets.base import errors
from advnets.base.protocols import Annealed, ModelConfig, Problem
from advnets.base.rng import generator
from advnets.models.bernoulli import Binarise, binarise
from advnets.models.gradient_learner import GradientLearner
from advnets.nn.init import logit_of_marginals
from advnets.nn.linear import Affine
from advnets.optim.schedules import OptimizerConfig
from advnets.sampling.hmc import BOUND, DecoderPath
from advnets.sampling.priors import Gaussian
from advnets.sampling.samplers import GeneratorSampler, untouched
from advnets.storage.environment import Precision

Likelihood = Literal["bernoulli", "gaussian"]
_LOG_2_PI = math.log(2 * math.pi)
_DRAWS = 100
"""Draws of z an example that are in memory at once."""


@dataclass(frozen=True, kw_only=True)
class VAEConfig(ModelConfig):
    """The variational autoencoder. The defaults are our choice for MNIST."""

    kind: ClassVar[str] = "vae"
    logged: ClassVar[str] = (
        "minus_elbo, in nats per example, is the loss: reconstruction, minus the mean of log "
        "p(x|z), plus kl, from q(z|x) to the prior."
    )

    z_dim: int = 20
    """Coordinates of z."""
    hidden: tuple[int, ...] = (500, 500)
    """Rectified linear units of each hidden layer of the encoder; the decoder has them in reverse
    order. An empty list makes both affine."""
    likelihood: Likelihood = "bernoulli"
    """p(x|z): 'bernoulli' for values in [0, 1], or 'gaussian' with mean and variance from the
    decoder."""
    binarise: Binarise = "sample"
    """Values between 0 and 1 under 'bernoulli': 'sample' draws binary values from them, again in
    each pass; 'refuse' is an error."""
    min_stdev: float = 0.01
    """'gaussian': lower limit of a pixel's standard deviation. Without it, constant pixels would
    have an unbounded density."""
    optimizer: OptimizerConfig = OptimizerConfig(optimizer="adam", lr=1e-3, lr_decay=1.0, beta1=0.9)
    """The optimizer, for a loss in nats per example."""
    precision: Precision = "auto"
    """Precision of training; samples and scores are float32."""

    def __post_init__(self) -> None:
        errors.at_least(1, z_dim=self.z_dim)
        for units in self.hidden:
            errors.at_least(1, hidden=units)
        errors.one_of(get_args(Likelihood), likelihood=self.likelihood)
        errors.one_of(get_args(Binarise), binarise=self.binarise)
        errors.one_of(get_args(Precision), precision=self.precision)
        errors.positive(min_stdev=self.min_stdev)

    @property
    def needs_total_steps(self) -> bool:
        """Whether the learning rate anneals towards the run's last update."""
        return self.optimizer.anneal == "cosine"


def perceptron(sizes: Sequence[int], *, rng: torch.Generator) -> nn.Sequential:
    r"""Affine maps with rectifiers between them, from :math:`U(\pm \sqrt{6 / (in + out)})`."""
    net = nn.Sequential()
    for i, o in pairwise(sizes):
        affine = Affine(i, o)
        bound = math.sqrt(6 / (i + o))
        nn.init.uniform_(affine.weight, -bound, bound, generator=rng)
        nn.init.zeros_(affine.bias)
        net.extend([nn.ReLU(), affine] if len(net) else [affine])
    return net


class Posterior(NamedTuple):
    """q(z|x) = N(mu, diag exp(log_var)), of shape `(n, z_dim)` each."""

    mu: Tensor
    log_var: Tensor

    def draw(self, epsilon: Tensor) -> Tensor:
        """Z = mu + s epsilon, of the shape of epsilon, `(k, n, z_dim)`."""
        return self.mu + (self.log_var / 2).exp() * epsilon

    def kl_to_prior(self) -> Tensor:
        """KL(q(z|x) || N(0, I)) in nats, `(n,)`."""
        return (self.mu.square() + self.log_var.exp() - 1 - self.log_var).sum(dim=1) / 2


def _float32_at_least(x: Tensor) -> Tensor:
    # torch 2.6 writes graphs with torch.promote_types that it cannot read again.
    return x if x.dtype == torch.float64 else x.float()


class Encoder(nn.Module):
    """Maps x to q(z|x)."""

    def __init__(self, config: VAEConfig, inputs: int, *, rng: torch.Generator) -> None:
        super().__init__()
        self.net = perceptron((inputs, *config.hidden, 2 * config.z_dim), rng=rng)

    def forward(self, x: Tensor) -> Posterior:
        """Rows of shape `(n, inputs)` to their posteriors, in float32 at least."""
        out = self.net(x)
        return Posterior(*_float32_at_least(out).chunk(2, dim=1))


class Decoder(nn.Module):
    r"""Maps z to p(x|z); `forward` returns the means, in the shape of the data.

    Pixels are independent given z: Bernoulli of mean sigmoid(a_i(z)), or Gaussian of mean mu_i(z)
    and variance :math:`\sigma_{min}^2 + \exp s_i(z)`. The network gives a, or mu and s.
    """

    def __init__(self, config: VAEConfig, problem: Problem, *, rng: torch.Generator) -> None:
        super().__init__()
        self.gaussian, self.min_var = config.likelihood == "gaussian", config.min_stdev**2
        self.event_shape, self.d = problem.event_shape, problem.mean.numel()
        out = 2 * self.d if self.gaussian else self.d
        self.net = perceptron((config.z_dim, *reversed(config.hidden), out), rng=rng)
        mean, bias = problem.mean.flatten(), list(self.net.parameters())[-1]
        bias.data[: self.d] = mean if self.gaussian else logit_of_marginals(mean)

    def forward(self, z: Tensor) -> Tensor:
        """E[x|z], `(n, z_dim)` to `(n, *event_shape)`."""
        out = self._numbers(z)[..., : self.d]
        return (out if self.gaussian else out.sigmoid()).view(-1, *self.event_shape)

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """Log p(x|z) in nats, `(n, d)` and `(k, n, z_dim)` to `(k, n)`."""
        out = self._numbers(z)
        x = x.to(out)
        if self.gaussian:
            mu, s = out.chunk(2, dim=-1)
            var = s.exp() + self.min_var
            return -((x - mu).square() / var + var.log() + _LOG_2_PI).sum(dim=-1) / 2
        x = x.expand_as(out)
        return -F.binary_cross_entropy_with_logits(out, x, reduction="none").sum(dim=-1)

    def _numbers(self, z: Tensor) -> Tensor:
        """The output of the network, in float32 at least."""
        playing = next(self.parameters()).dtype
        out: Tensor = self.net(z.flatten(0, -2).to(playing))
        return _float32_at_least(out).view(*z.shape[:-1], -1)


class Autoencoder(nn.Module):
    """The encoder and the decoder, with the bounds that they give together.

    Args:
        config: Sizes and likelihood.
        problem: Shape and mean of the data.
        rng: Draws the initial weights.
    """

    encoder: Encoder
    decoder: Decoder

    def __init__(self, config: VAEConfig, problem: Problem, *, rng: torch.Generator) -> None:
        super().__init__()
        self.encoder = Encoder(config, problem.mean.numel(), rng=rng)
        self.decoder = Decoder(config, problem, rng=rng)

    def elbo(self, x: Tensor, epsilon: Tensor) -> tuple[Tensor, Tensor]:
        """The bound's two terms in nats: E[log p(x|z)] over the draws, and KL(q(z|x) || p(z)).

        Args:
            x: Rows of shape `(n, d)`.
            epsilon: N(0, 1), of shape `(k, n, z_dim)`.

        Returns:
            Of shape `(n,)` each; the bound is their difference.
        """
        q: Posterior = self.encoder(x)
        return self.decoder.log_likelihood(x, q.draw(epsilon)).mean(dim=0), q.kl_to_prior()

    def log_weights(self, x: Tensor, epsilon: Tensor) -> Tensor:
        """Log of p(x|z) p(z) / q(z|x) in nats at each draw, shapes as in `elbo`, to `(k, n)`."""
        q: Posterior = self.encoder(x)
        z = q.draw(epsilon)
        # Both densities of z have the same (2 pi)^(-z_dim / 2).
        log_ratio = (epsilon.square() + q.log_var - z.square()).sum(dim=-1) / 2
        return self.decoder.log_likelihood(x, z) + log_ratio


class VAE(GradientLearner):
    """A variational autoencoder, which descends minus its ELBO.

    Args:
        config: The model.
        problem: What is known of the data and the run.
        seed: Seed of the initial weights.

    Raises:
        BadValue: For data outside [0, 1] under a Bernoulli likelihood.
    """

    def __init__(self, config: VAEConfig, problem: Problem, *, seed: int) -> None:
        if config.likelihood == "bernoulli" and not 0 <= problem.low <= problem.high <= 1:
            choose = "--model.likelihood gaussian"
            raise errors.outside_unit_interval("data", problem.low, problem.high, choose=choose)
        network = Autoencoder(config, problem, rng=generator(seed, "weights"))
        super().__init__(network, config.optimizer, problem, precision=config.precision)
        self.config, self.autoencoder = config, network

    @classmethod
    def from_config(cls, config: VAEConfig, problem: Problem, *, seed: int) -> "VAE":
        """The model of a configuration, with initial weights drawn from the seed."""
        return cls(config, problem, seed=seed)

    def objective(self, x: Tensor, *, rng: torch.Generator) -> Mapping[str, Tensor]:
        """Minus the ELBO, from one draw of z an example, and its two terms.

        Returns:
            minus_elbo, reconstruction (minus E[log p(x|z)]) and kl, in nats an example.
        """
        rows = x.flatten(1)
        if self.config.likelihood == "bernoulli":
            rows = binarise(rows, self.config.binarise, self.uniform(*rows.shape, rng=rng))
        epsilon = self.normal(len(x), self.config.z_dim, rng=rng)[None]
        compute_module: Autoencoder = self.compute_module  # type: ignore[assignment]
        log_p, kl = (term.mean() for term in compute_module.elbo(rows.to(self.playing), epsilon))
        return {"minus_elbo": kl - log_p, "reconstruction": -log_p, "kl": kl}

    def elbo(self, x: Tensor, *, rng: torch.Generator, k: int = 1) -> Tensor:
        """An unbiased estimate of the ELBO of each example from k draws of z, in nats, `(n,)`.

        Args:
            x: Examples, `(n, *event_shape)`; binary ones are drawn from them as in training.
            rng: Draws z, and binary values.
            k: Draws of z an example.
        """
        errors.at_least(1, k=k)
        with untouched(self.autoencoder) as network:
            rows = self._prepared(x, rng)
            log_p, kl = network.elbo(rows, self._epsilon(k, len(x), rng))
        return log_p - kl

    def importance_weighted(self, x: Tensor, *, k: int, rng: torch.Generator) -> Tensor:
        """The importance-weighted bound of each example from k draws of z, in nats, `(n,)`.

        In expectation it is the ELBO at k = 1, rises with k and tends to log p(x). Arguments as in
        `elbo`.
        """
        errors.at_least(1, k=k)
        blocks = []
        with untouched(self.autoencoder) as network:
            rows = self._prepared(x, rng)
            for done in range(0, k, _DRAWS):
                epsilon = self._epsilon(min(_DRAWS, k - done), len(x), rng)
                blocks.append(network.log_weights(rows, epsilon).logsumexp(dim=0))
        return torch.stack(blocks).logsumexp(dim=0) - math.log(k)

    def annealed(self, x: Tensor, mean: Tensor, *, rng: torch.Generator) -> Annealed:  # noqa: ARG002
        """A path for each x from the prior of z to its posterior, under the model's own p(x|z)."""
        decoder = copy.deepcopy(self.autoencoder.decoder).eval().requires_grad_(False)
        rows = self._prepared(x, rng)
        path = DecoderPath(lambda z: decoder.log_likelihood(rows, z), len(rows), self.config.z_dim)
        return Annealed(path, None, BOUND)

    def _prepared(self, x: Tensor, rng: torch.Generator) -> Tensor:
        rows = x.flatten(1)
        if self.config.likelihood == "bernoulli":
            u = torch.rand(rows.shape, generator=rng, device=rng.device).to(rows.device)
            rows = binarise(rows, self.config.binarise, u)
        return rows

    def _epsilon(self, k: int, n: int, rng: torch.Generator) -> Tensor:
        epsilon = torch.randn(k, n, self.config.z_dim, generator=rng, device=rng.device)
        return epsilon.to(self.minibatches.device)

    def samplers(self) -> dict[str, GeneratorSampler]:
        """`means`: z from the prior, and the means of p(x|z)."""
        return {"means": GeneratorSampler(self.autoencoder.decoder, Gaussian(self.config.z_dim))}
