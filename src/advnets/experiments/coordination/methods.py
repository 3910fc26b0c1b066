"""The methods that are compared: each is a few settings of the same game.

Their constants come from the papers that propose them, or were chosen before anything was
measured. Two are exceptions, found in trials of the short protocol on seed 0: the noise and the
rates of `noise-two-rates` on the grid, and D's rate of `unrolled` on the ring, where D dominates if
its rate is G's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from advnets.base import rng
from advnets.experiments.coordination import protocol
from advnets.experiments.coordination.protocol import Protocol
from advnets.extensions.coordination.adaptive_k import AdaptiveK
from advnets.extensions.coordination.latent_descent import LatentDescent
from advnets.game import Game
from advnets.game.instance_noise import InstanceNoise
from advnets.game.objectives import Objective
from advnets.game.pac import packed
from advnets.game.r1 import R1
from advnets.game.r2 import R2
from advnets.game.rule import Rule
from advnets.game.term import Term
from advnets.game.unrolled import Unrolled
from advnets.nn import spectral_norm
from advnets.optim.schedules import Anneal, OptimizerConfig, Schedule
from advnets.sampling.learned_prior import DiagonalPrior, MixturePrior, WithPrior
from advnets.sampling.priors import Gaussian

GAMMA = 0.1
"""Weight of the penalties on D's gradient."""
Sampling = Literal["G", "rejection", "metropolis"]


@dataclass(frozen=True, kw_only=True)
class Method:
    """How the pair is played."""

    title: str
    says: str
    """What it changes, in a line."""
    objective: Objective = "non-saturating"
    pack: int = 1
    k: int = 1
    D_rate: float = 1.0
    """D's learning rate over G's."""
    spectral: bool = False
    prior: Literal["none", "diagonal", "mixture"] = "none"
    terms: Sequence[Term] = ()
    rules: Callable[[int], list[Rule]] = field(default=lambda minibatches: [])  # noqa: ARG005
    """The rules, for a run of so many minibatches."""
    sampling: Sampling = "G"
    """How samples are drawn of the trained pair."""
    trained_as: str = ""
    """The method whose games it draws from, where it is trained as that one."""
    published: Mapping[str, str] = field(default_factory=dict)
    """Modes, high quality and reverse KL in PacGAN's Table 1, by data."""


METHODS: dict[str, Method] = {
    "plain": Method(
        title="plain",
        says="Algorithm 1 with the non-saturating loss, k = 1",
        published={"ring": "6.3 +- .5, 98.2%, .45", "grid": "17.3 +- .8, 94.8%, .70"},
    ),
    "two-rates": Method(title="two time scales", says="D's rate four times G's", D_rate=4.0),
    "r1": Method(title="R1", says=f"R1 with gamma {GAMMA}", terms=(R1(GAMMA),)),
    "r1-r2": Method(
        title="R1 + R2", says=f"both penalties, gamma {GAMMA}", terms=(R1(GAMMA), R2(GAMMA))
    ),
    "r3gan": Method(
        title="R3GAN",
        says=f"relativistic pairs, R1 and R2 with gamma {GAMMA}",
        objective="relativistic",
        terms=(R1(GAMMA), R2(GAMMA)),
    ),
    "pac2": Method(
        title="PacGAN2",
        says="D judges 2 examples at once",
        pack=2,
        published={"ring": "7.9 +- .1, 95.6%, .07", "grid": "23.8 +- .7, 91.3%, .13"},
    ),
    "pac4": Method(
        title="PacGAN4",
        says="D judges 4 examples at once",
        pack=4,
        published={"ring": "7.8 +- .1, 95.9%, .07", "grid": "24.8 +- .2, 93.6%, .04"},
    ),
    "pac4-r1": Method(
        title="PacGAN4 + R1",
        says=f"packs of 4, R1 with gamma {GAMMA}",
        pack=4,
        terms=(R1(GAMMA),),
    ),
    "unrolled": Method(
        title="unrolled 5",
        says="G answers the D of 5 updates later; D's rate a tenth of G's",
        D_rate=0.1,
        rules=lambda _: [Unrolled(5)],
    ),
    "instance-noise": Method(
        title="instance noise",
        says="noise of sd 0.1 on all that D sees, annealed to 0 over three quarters of the run",
        rules=lambda minibatches: [InstanceNoise(0.1, max(1, minibatches * 3 // 4))],
    ),
    "noise-two-rates": Method(
        title="noise + two rates",
        says="instance noise of sd 0.5, annealed likewise, and D's rate twice G's",
        D_rate=2.0,
        rules=lambda minibatches: [InstanceNoise(0.5, max(1, minibatches * 3 // 4))],
    ),
    "spectral": Method(
        title="spectral norm",
        says="every layer of D over its largest singular value",
        spectral=True,
    ),
    "adaptive-k": Method(
        title="adaptive k",
        says="D moves up to 3 times, until its advantage is from 0.02 to 0.2 nats",
        k=3,
        rules=lambda _: [AdaptiveK(0.02, 0.2)],
    ),
    "latent-descent": Method(
        title="latent descent",
        says="z moved along D's gradient before each update, step 0.9",
        rules=lambda _: [LatentDescent(0.9)],
    ),
    "diagonal-prior": Method(
        title="learned scale of z", says="mean and scale of each coordinate of z", prior="diagonal"
    ),
    "mixture-prior": Method(
        title="learned mixture of z", says="p_z a mixture of 32 Gaussians", prior="mixture"
    ),
    "noise-two-rates-rejection": Method(
        title="noise + two rates, rejection",
        says="the game above; samples accepted with probability e^(a - max a)",
        sampling="rejection",
        trained_as="noise-two-rates",
    ),
    "rejection": Method(
        title="plain, rejection by D",
        says="the plain game; samples accepted with probability e^(a - max a)",
        sampling="rejection",
        trained_as="plain",
    ),
    "metropolis": Method(
        title="plain, Metropolis by D",
        says="the plain game; each sample the end of a chain of 100 proposals",
        sampling="metropolis",
        trained_as="plain",
    ),
}
COMPONENTS = 32


def game(method: Method, of: Protocol, *, seed: int, updates: int) -> Game:
    """The game of a method, its first weights drawn from the seed."""
    noise = Gaussian(3 if method.prior == "mixture" else 2)
    G, D = _pair(method, of, noise, seed)
    anneal: Anneal = "cosine" if of.anneals else "none"
    beta1, beta2 = of.betas
    rules = [
        OptimizerConfig(
            optimizer="adam", lr=lr, lr_decay=1.0, anneal=anneal, beta1=beta1, beta2=beta2
        )
        for lr in (of.lr, of.lr * method.D_rate)
    ]
    batches = updates * method.k
    plans = [
        Schedule(config=rule, batches_per_epoch=protocol.PER_EPOCH, batches=batches)
        for rule in rules
    ]
    return Game(
        G,
        D,
        prior=noise,
        G_optimizer=rules[0].build(G.parameters()),
        D_optimizer=rules[1].build(D.parameters()),
        objective=method.objective,
        k=method.k,
        terms=method.terms,
        rules=method.rules(batches),
        schedules=(plans[0], plans[1]),
    )


def _pair(method: Method, of: Protocol, noise: Gaussian, seed: int) -> tuple[nn.Module, nn.Module]:
    G: nn.Module = protocol.PlaneG(of.G_hidden, normalised=of.normalised)
    D: nn.Module = protocol.discriminator(of, method.pack, spectral=method.spectral)
    protocol.init_normal(G, std=of.std, rng=rng.generator(seed, "weights of G"))
    of_D = rng.generator(seed, "weights of D")
    protocol.init_normal(D, std=of.std, rng=of_D)
    spectral_norm.init_vectors(D, rng=of_D)
    if method.prior == "diagonal":
        G = WithPrior(DiagonalPrior(2), G)
    elif method.prior == "mixture":
        own = rng.generator(seed, "learned prior")
        G = WithPrior(MixturePrior(noise, COMPONENTS, rng=own), G)
    return G, D if method.pack == 1 else packed(D, method.pack)
