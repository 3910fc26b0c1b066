r"""Inference as a part of the game: E is a third player, and D sees pairs.

D tells (x, E(x)) of data from (G(z), z) of samples, and both G and E play against it:

.. math:: \min_{G, E} \max_D E_x[\log D(x, E(x))] + E_z[\log(1 - D(G(z), z))]

For G and E as they are the best D is the ratio of the two joint laws, and the game is at its value
:math:`-\log 4` where they agree: then E(x) has the law of z, G(z) that of x, and a deterministic E
is G's inverse (BiGAN). A stochastic E draws z from q(z|x) instead (ALI). Nothing asks for
G(E(x)) = x before that point.

Reference: Donahue, Krahenbuhl and Darrell (2017), Adversarial Feature Learning; Dumoulin et al.
    (2017), Adversarially Learned Inference; Goodfellow et al. (2014), Section 7, extension 2.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Self, get_args

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.base.process import global_stream_kept
from advnets.base.protocols import Batch, Info, Problem
from advnets.base.rng import generator
from advnets.game import Game, GameConfig
from advnets.game.noise import Noise
from advnets.game.objectives import Loss, Objective
from advnets.game.pac import Packed
from advnets.game.passes import Seat, View
from advnets.game.rehearsal import refuse_foreign_optimizers, refuse_to_compile
from advnets.networks import DiscriminatorConfig
from advnets.networks.encoder import Encoder, EncoderConfig
from advnets.nn import dropout
from advnets.optim.schedules import OptimizerConfig, Schedule
from advnets.optim.train_state import TrainState, has_forward_pair, refuse_dependence
from advnets.sampling.samplers import untouched
from advnets.storage.environment import Precision

_CHUNK = 1_000
_SYMMETRIC = tuple(name for name in get_args(Objective) if name != "least-squares")


@dataclass(frozen=True, kw_only=True)
class BiGANConfig(GameConfig):
    """A game of pairs: BiGAN, or ALI where E is stochastic."""

    kind: ClassVar[str] = "bigan"
    logged: ClassVar[str] = (
        "V, the players' value, is -1.386 and D_x, D_Gz (mean D on pairs (x, E(x)) and (G(z), z)) "
        "are 0.5 where D cannot tell; J is what G and E descend together."
    )

    E: EncoderConfig = EncoderConfig()
    """The encoder; `--model.E.stochastic True` makes it ALI's."""
    E_optimizer: OptimizerConfig = OptimizerConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        none = self.context == "none"
        errors.require(none, "context", "'none' in a game of pairs", self.context)
        errors.one_of(_SYMMETRIC, objective=self.objective)
        need = "'mlp', whose D sees x and z side by side"
        mlp = isinstance(self.D, DiscriminatorConfig)
        errors.require(mlp, "D.kind", need, f"'{self.D.kind}'")

    @property
    def needs_total_steps(self) -> bool:
        """Whether a learning rate anneals towards the run's last update."""
        return super().needs_total_steps or self.E_optimizer.anneal == "cosine"

    def encoder(self, event_shape: tuple[int, ...], *, seed: int) -> Encoder:
        """E before its first update, of a run with that seed."""
        with global_stream_kept():  # torch's layers draw weights of their own, which give way
            return self.E.build(
                event_shape=event_shape, z_dim=self.z_dim, rng=generator(seed, "weights of E")
            )


class Pairs(nn.Module):
    """D of pairs (x, z), which it sees side by side; it treats each pair by itself.

    Args:
        D: Maps rows of x and z, `(n, numbers of x + z_dim)`, to one logit each.
    """

    def __init__(self, D: nn.Module) -> None:
        super().__init__()
        self.D = D

    def constrain(self) -> None:
        """Put D's weights back within their limits, after an update."""
        constrain: Any = getattr(self.D, "constrain", None)
        if constrain is not None:
            constrain()

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """`(n, *event_shape)` and `(n, z_dim)` to logits `(n, 1)`."""
        a: Tensor = self.D(_side_by_side(x, z))
        return a

    def forward_pair(self, data: tuple[Tensor, ...], samples: tuple[Tensor, ...]) -> Tensor:
        """Logits of pairs of data, then of as many pairs of samples, in one pass."""
        parts = _side_by_side(*data), _side_by_side(*samples)
        D: Any = self.D
        a: Tensor = (
            D.forward_pair(*((p,) for p in parts)) if has_forward_pair(D) else D(torch.cat(parts))
        )
        return a


def _side_by_side(x: Tensor, z: Tensor) -> Tensor:
    return torch.cat((x.flatten(1), z.to(x.dtype)), dim=1)


class Swapped:
    """What G and E descend: G the game's loss, E the same loss with data and samples swapped.

    Args:
        loss: Of a plain game; it must be one in which -a says of data what a says of samples.
    """

    reads_data = True

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def __call__(self, a_data: Tensor, a_samples: Tensor) -> tuple[Tensor, Tensor]:
        """D's loss, and G's and E's together: G moves the logits on samples, E those on data."""
        of_D, of_G = self.loss(a_data, a_samples)
        if self.loss.reads_data:  # it moves the logits on data already
            return of_D, of_G
        _, of_E = self.loss(-a_samples, -a_data)
        return of_D, of_G + of_E


class BiGAN(Game):
    """A game of pairs. D is a `Pairs`, or a pack of such; `join` seats the encoder.

    With networks of one's own: `game = BiGAN(G, Pairs(D), ...)`, then `game.join(E, optimizer)`.
    """

    E: nn.Module
    E_state: TrainState | None = None

    @classmethod
    def from_config(cls, config: GameConfig, problem: Problem, *, seed: int) -> Self:
        """The game that a configuration describes, its first weights drawn from the seed."""
        assert isinstance(config, BiGANConfig)
        game = super().from_config(config, problem, seed=seed)
        E = config.encoder(problem.event_shape, seed=seed).to(problem.device)
        schedule = Schedule(
            config=config.E_optimizer,
            batches_per_epoch=problem.batches_per_epoch,
            batches=problem.steps * config.k,
        )
        game.join(E, config.E_optimizer.build(E.parameters()), schedule)
        return game

    @classmethod
    def networks(
        cls,
        config: GameConfig,
        problem: Problem,
        context_size: int,
        *,
        seed: int,
    ) -> tuple[nn.Module, nn.Module]:
        """G, and D of pairs."""
        G, _ = super().networks(config, problem, context_size, seed=seed)
        numbers = torch.Size(problem.event_shape).numel() + config.z_dim
        rng = generator(seed, "weights of D")
        D = Pairs(config.D.build(event_shape=(config.pack * numbers,), rng=rng))
        return G, D if config.pack == 1 else Packed(D, config.pack)

    def join(
        self, E: nn.Module, optimizer: torch.optim.Optimizer, schedule: Schedule | None = None
    ) -> None:
        """Seat the encoder, which maps x (and epsilon, where it is stochastic) to z.

        Args:
            E: The encoder.
            optimizer: Any torch optimiser over E's parameters.
            schedule: The schedule of E's optimiser.

        Raises:
            BadValue: For another's parameters, or a game that cannot be played with it.
        """
        refuse_foreign_optimizers(E=(E, optimizer))
        if self.ranks.world > 1:
            refuse_dependence(E, self.D)
        if self._compile:
            refuse_to_compile(self.terms, (optimizer,), self.ranks)
        self.E, self.loss = E, Swapped(self.loss)
        half = self._playing == torch.bfloat16
        precision: Precision = "bfloat16" if half else "float32"
        self.E_state = TrainState(E, optimizer, schedule, precision=precision, ranks=self.ranks)
        self.train_mode()

    def players(self) -> dict[str, TrainState]:
        """G, D and, as soon as it has joined, E."""
        both = super().players()
        return both if self.E_state is None else both | {"E": self.E_state}

    def told(self, batch: Batch, *, rng: torch.Generator) -> tuple[Tensor, ...]:
        """Epsilon, where E is stochastic."""
        if self.E_state is None:
            raise errors.WrongMoment("'join' must be called before the first step, got no encoder.")
        if not getattr(self.E, "stochastic", False):
            return ()
        m = batch.whole or len(batch.x)
        epsilon = torch.randn(m, self.prior.dim, generator=rng, device=rng.device)
        return (epsilon[self.ranks.rows(m)].to(self._device, self._playing),)

    def told_first(self, n: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Nothing for G, z for D."""
        z = torch.zeros(n, self.prior.dim, device=self._device, dtype=self._playing)
        return (), (z,)

    def view(self, batch: Batch, noise: Noise) -> View:
        """Pairs (x, E(x)) and (G(z), z)."""
        assert self.E_state is not None
        dropout.set_masks(self.G_state.random, noise.G)
        z, x = noise.z.to(self._playing), batch.x.to(self._device, self._playing)
        x_g: Tensor = self.G_state.compute_module(z)
        z_x: Tensor = self.E_state.compute_module(x, *noise.c)
        seats = (Seat(self.G_state, x_g, 1), Seat(self.E_state, z_x, 0))
        return View((x, z_x), (x_g, z), seats)

    def diagnostics(self) -> Info:
        """A game's, and the norm of E's last gradient."""
        seen = dict(super().diagnostics())
        return seen if self.E_state is None else seen | {"E_gradient": self.E_state.norm()}

    def encode(self, x: Tensor) -> Tensor:
        """E(x) of examples `(N, *event_shape)`, `(N, z_dim)`; of a stochastic E the mean."""
        like = next(self.E.parameters())
        with untouched(self.E) as E:
            return torch.cat([E(part.to(like)) for part in torch.split(x, _CHUNK)])
