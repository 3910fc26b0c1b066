r"""E fitted to z from x = G(z): the paper's own words for inference after training.

.. math:: \min_E \; E_{z \sim p_z} \| E(G(z)) - z \|^2

G stands still, and the data is G's own: as much of it as one draws. The best E is the posterior
mean, so that coordinate by coordinate, where z has variance 1,

.. math:: Var(E(G(z))) + MSE = 1

and :math:`R^2 = 1 - MSE` says how much of that coordinate can be read off x: 0 where G ignores it.
Real x do not come from G, and E has seen none of them.

Reference: Goodfellow et al. (2014), Section 7, extension 2 ("similar to the inference net trained
    by the wake-sleep algorithm, but with the advantage that the inference net may be trained for a
    fixed generator net after the generator net has finished training"); goodfeli/adversarial,
    `infer_layer`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.base.choices import CODE
from advnets.base.process import global_stream_kept
from advnets.base.rng import generator
from advnets.networks.encoder import Encoder, EncoderConfig
from advnets.optim.copies import copied
from advnets.sampling.priors import Prior
from advnets.sampling.samplers import evaluating

_EVERY = 500
Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class RegressionConfig:
    """How E is fitted: by Adam, with a rate that anneals to 0."""

    hidden: tuple[int, ...] = (1024, 1024)
    """Leaky rectified linear units of each hidden layer of E."""
    target: str = CODE
    """What E is fitted to: 'z', or the output of a module of G by its name, such as 'net.3'."""
    steps: int = 5_000
    """Updates."""
    batch_size: int = 100
    """Samples of G in an update."""
    lr: float = 1e-3
    """Adam's first rate."""
    seed: int = 0
    """Of E's first weights, and of z."""

    def __post_init__(self) -> None:
        EncoderConfig(hidden=self.hidden)
        errors.at_least(1, steps=self.steps, batch_size=self.batch_size)
        errors.at_least(0, seed=self.seed)
        errors.positive(lr=self.lr)


class Source:
    """Pairs of x = G(z) and what E is to read off it, from a copy of G that nobody trains.

    Args:
        G: The generator.
        prior: p_z.
        target: 'z', or the name of a module of G.

    Raises:
        BadValue: For a name that no module of G has.
    """

    def __init__(self, G: nn.Module, prior: Prior, target: str = CODE) -> None:
        self.G, self.prior, self.target = copied(G).eval().requires_grad_(False), prior, target
        self._hidden: list[Tensor] = []
        if target != CODE:
            modules = {name: m for name, m in self.G.named_modules() if name}
            if target not in modules:
                raise errors.unknown("target", target, (CODE, *modules))
            modules[target].register_forward_hook(self._seen)

    def _seen(self, _: nn.Module, __: object, output: Tensor) -> None:
        self._hidden.append(output.clone())  # the next layer may work in its memory

    @torch.no_grad()
    def draw(self, n: int, *, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """`n` samples `(n, *event_shape)` and what is read off them, `(n, numbers)`."""
        like = next(self.G.parameters())
        z = self.prior.sample(n, rng=rng).to(like)
        self._hidden.clear()
        x = self.G(z)
        return x, z if self.target == CODE else self._hidden[-1].flatten(1)


def fit(G: nn.Module, prior: Prior, config: RegressionConfig, *, say: Say | None = None) -> Encoder:
    """An E fitted to G, which stays as it is.

    Args:
        G: The generator, without contexts.
        prior: p_z.
        config: What E is fitted to, and how long.
        say: Hears of the loss every 500 updates.

    Raises:
        BadValue: For a target that G does not have.
        Diverged: When the loss is no longer finite.
    """
    source = Source(G, prior, config.target)
    rng = generator(config.seed, "z of the regression")
    x, target = source.draw(2, rng=rng)
    weights = generator(config.seed, "weights of E")
    with global_stream_kept():  # torch's layers draw weights of their own, which give way
        E = EncoderConfig(hidden=config.hidden).build(
            event_shape=x.shape[1:], z_dim=target.shape[1], rng=weights
        )
    E = E.to(x)
    rule = torch.optim.Adam(E.parameters(), config.lr)
    for update in range(config.steps):
        rule.param_groups[0]["lr"] = config.lr * annealed(update / config.steps)
        x, target = source.draw(config.batch_size, rng=rng)
        loss = (E(x) - target).square().sum(dim=1).mean()
        rule.zero_grad()
        loss.backward()
        rule.step()
        if update % _EVERY == 0 or update == config.steps - 1:
            _tell(loss.item(), update + 1, config.steps, say)
    return E.eval()


def _tell(loss: float, update: int, steps: int, say: Say | None) -> None:
    if not math.isfinite(loss):
        raise errors.diverged("The loss of E", loss, update)
    if say is not None:
        say(f"update {update}/{steps}  ||E(G(z)) - target||^2 {loss:.3f}")


def annealed(share: float) -> float:
    """A rate's factor after this share of the updates: half a cosine, from 1 to 0."""
    return (1 + math.cos(math.pi * share)) / 2


@dataclass(frozen=True)
class Fit:
    """How well E reads off fresh samples of G what they were made of, coordinate by coordinate."""

    mse: Tensor
    """Mean of (E - target)^2, `(numbers,)`."""
    variance: Tensor
    """Variance of E(G(z)), `(numbers,)`."""
    of_target: Tensor
    """Variance of what is read off, `(numbers,)`: 1 of z under the priors of unit variance."""

    @property
    def r2(self) -> Tensor:
        """1 - MSE / variance of the target; 0 where nothing can be read off."""
        return 1 - self.mse / self.of_target.clamp(min=1e-12)


@torch.no_grad()
def assess(
    E: Encoder, G: nn.Module, prior: Prior, n: int, *, target: str = CODE, seed: int = 0
) -> Fit:
    """How well E does on `n` samples of G that it was not fitted to."""
    source, rng = Source(G, prior, target), generator(seed, "z that E is tried on")
    rows = [min(1_000, n - done) for done in range(0, n, 1_000)]
    pairs = [source.draw(m, rng=rng) for m in rows]
    with evaluating(E):
        found = torch.cat([E(x) for x, _ in pairs]).double()
    targets = torch.cat([t for _, t in pairs]).double()
    mse = (found - targets).square().mean(dim=0)
    return Fit(mse, found.var(dim=0), targets.var(dim=0))
