"""A game with the rules of this package, from its configuration."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, get_args

from torch import nn

from advnets.base import errors
from advnets.base.protocols import Problem
from advnets.base.rng import generator
from advnets.extensions.coordination.adaptive_k import AdaptiveK
from advnets.extensions.coordination.latent_descent import LatentDescent
from advnets.game import Game, GameConfig
from advnets.game.building import arguments, networks
from advnets.game.rule import Rule
from advnets.sampling.learned_prior import DiagonalPrior, MixturePrior, WithPrior
from advnets.sampling.priors import PRIORS, Prior

LearnedPrior = Literal["none", "diagonal", "mixture"]


@dataclass(frozen=True, kw_only=True)
class CoordinatedConfig(GameConfig):
    """The adversarial pair with a D whose moves adapt, z that are moved, and a learned prior."""

    kind: ClassVar[str] = "coordinated"

    advantage_low: float = 0.0
    """D's advantage, (V + log 4) / 2 in nats, below which it goes on to the next of k moves ..."""
    advantage_high: float | None = None
    """... and above which it waits; none: D always makes all its k moves."""
    latent_step: float = 0.0
    """How far every z is moved to where D likes its sample (Wu et al., 2019); 0: not at all."""
    latent_damping: float = 5.0
    """Damping of that move."""
    learned_prior: LearnedPrior = "none"
    """What of p_z is learned: 'none', 'diagonal' (mean and scale) or 'mixture'."""
    components: int = 8
    """Components of a learned mixture."""

    def __post_init__(self) -> None:
        super().__post_init__()
        errors.one_of(get_args(LearnedPrior), learned_prior=self.learned_prior)
        errors.at_least(1, components=self.components)
        errors.at_least(0, latent_step=self.latent_step)
        errors.positive(latent_damping=self.latent_damping)
        if self.advantage_high is not None:
            need = f"above advantage_low, {self.advantage_low}, and at most log 2"
            right = self.advantage_low < self.advantage_high <= math.log(2)
            errors.require(right, "advantage_high", need, self.advantage_high)

    def rules(self) -> list[Rule]:
        """The rules of this package that are asked for."""
        found: list[Rule] = []
        if self.advantage_high is not None:
            found.append(AdaptiveK(self.advantage_low, self.advantage_high))
        if self.latent_step:
            found.append(LatentDescent(self.latent_step, self.latent_damping))
        return found

    def noise(self) -> Prior:
        """What is drawn; a mixture needs one coordinate more than z has."""
        return PRIORS[self.prior](self.z_dim + (self.learned_prior == "mixture"))


class Coordinated(Game):
    """A game with these rules and this prior."""

    @classmethod
    def from_config(cls, config: GameConfig, problem: Problem, *, seed: int) -> Self:
        """The game that a configuration describes, its first weights drawn from the seed."""
        assert isinstance(config, CoordinatedConfig)
        given: dict[str, Any] = arguments(config, problem, cls.networks, seed=seed)
        given["rules"] = [*given["rules"], *config.rules()]
        return cls(**given | {"prior": config.noise()})

    @classmethod
    def networks(
        cls, config: GameConfig, problem: Problem, context_size: int, *, seed: int
    ) -> tuple[nn.Module, nn.Module]:
        """G behind its prior, and D."""
        assert isinstance(config, CoordinatedConfig)
        G, D = networks(config, problem, context_size, seed=seed)
        rng = generator(seed, "learned prior")
        if config.learned_prior == "diagonal":
            G = WithPrior(DiagonalPrior(config.z_dim), G)
        elif config.learned_prior == "mixture":
            G = WithPrior(MixturePrior(config.noise(), config.components, rng=rng), G)
        return G, D
