r"""The deep belief network: a stack of RBMs, each trained on the one below.

.. math:: p(x, h_1, \dots, h_L) = p(x | h_1) \cdots p(h_{L-2} | h_{L-1}) \, p(h_{L-1}, h_L)

The last two layers form an RBM; all others are directed downwards.

Reference: Hinton, Osindero and Teh (2006), A fast learning algorithm for deep belief nets.
"""

from dataclasses import dataclass
from typing import ClassVar, get_args

from advnets.base import errors
from advnets.base.protocols import ModelConfig, Problem
from advnets.base.rng import derive
from advnets.models.bernoulli import Binarise
from advnets.models.energy.rbm import RBM, Down, LearningConfig, RBMConfig, Visible, chains
from advnets.models.greedy import GreedyStack, problems
from advnets.optim.schedules import OptimizerConfig
from advnets.sampling.chains import ChainConfig, MarkovChain


@dataclass(frozen=True, kw_only=True)
class DBNConfig(ModelConfig):
    """A deep belief network, trained greedily."""

    kind: ClassVar[str] = "dbn"
    logged: ClassVar[str] = f"For the RBM in training: {RBMConfig.logged}"

    hidden: tuple[int, ...] = (500, 500)
    """Hidden units of each RBM, from the data upwards."""
    updates: tuple[int, ...] = (4_000,)
    """Updates of each RBM except the last, which has the rest of the run."""
    visible: Visible = "binary"
    """Visible units of the first RBM: 'binary' or 'gaussian'."""
    sigma: float = 1.0
    """Standard deviation of Gaussian visible units, in the units of the data."""
    binarise: Binarise = "sample"
    """Treatment of values between 0 and 1 by binary units, in the data and in the means passed
    up."""
    lower: LearningConfig = LearningConfig(
        negative="cd",
        optimizer=OptimizerConfig(lr=0.1, lr_decay=1.0, anneal="cosine", final_momentum=0.5),
    )
    """How all RBMs except the last are trained."""
    top: LearningConfig = LearningConfig()
    """How the last RBM is trained, from which samples are drawn."""
    chain: ChainConfig = ChainConfig()
    down: Down = "states"
    """What a sample passes down between RBMs: 'states' (drawn) or 'means'."""

    def __post_init__(self) -> None:
        errors.at_least(1, layers=len(self.hidden))
        for n in self.hidden:
            errors.at_least(1, hidden=n)
        need = f"{len(self.hidden) - 1} numbers, one for each machine but the last"
        errors.require(
            len(self.updates) == len(self.hidden) - 1, "updates", need, len(self.updates)
        )
        errors.one_of(get_args(Visible), visible=self.visible)
        errors.one_of(get_args(Binarise), binarise=self.binarise)
        errors.one_of(get_args(Down), down=self.down)
        errors.positive(sigma=self.sigma)

    @property
    def pretraining_updates(self) -> int:
        """Updates of all layers but the last."""
        return sum(self.updates)

    @property
    def needs_total_steps(self) -> bool:
        """Whether the last RBM's learning rate anneals towards the run's last update."""
        return self.top.optimizer.anneal == "cosine"

    def machines(self) -> list[RBMConfig]:
        """The configuration of each RBM."""
        last = len(self.hidden) - 1
        return [
            RBMConfig(
                hidden=n,
                visible=self.visible if i == 0 else "binary",
                sigma=self.sigma,
                binarise=self.binarise if i == 0 else "sample",
                learning=self.top if i == last else self.lower,
                chain=self.chain if i == 0 else ChainConfig(),
            )
            for i, n in enumerate(self.hidden)
        ]


class DBN(GreedyStack):
    """A stack of RBMs, trained one after the other.

    Each RBM is trained on the means of the one below, with binary values drawn again in each pass.

    Args:
        machines: From the data upwards.
        config: Its stages, and the settings of sampling.
    """

    def __init__(self, machines: list[RBM], config: DBNConfig) -> None:
        super().__init__(machines, config.updates)
        self.machines, self.config = machines, config

    @classmethod
    def from_config(cls, config: DBNConfig, problem: Problem, *, seed: int) -> "DBN":
        """The network of a configuration."""
        parts = zip(
            config.machines(), problems(problem, config.hidden, config.updates), strict=True
        )
        machines = [
            RBM.from_config(c, p, seed=derive(seed, "machine", i)) for i, (c, p) in enumerate(parts)
        ]
        return cls(machines, config)

    def samplers(self) -> dict[str, MarkovChain]:
        """Block Gibbs in the last RBM, then one pass down (see `rbm.chains`)."""
        return chains(self.machines, self.config.chain, down=self.config.down)
