r"""The deep belief network: restricted Boltzmann machines, each trained on the one below.

.. math:: p(x, h_1, \dots, h_L) = p(x | h_1) \cdots p(h_{L-2} | h_{L-1}) \, p(h_{L-1}, h_L)

The last two layers are a restricted Boltzmann machine; all others are directed downwards.

Reference: Hinton, Osindero and Teh (2006), A fast learning algorithm for deep belief nets.
"""

from dataclasses import dataclass
from typing import ClassVar, get_args

from advnets.base import errors
from advnets.base.protocols import ModelConfig, Problem
from advnets.base.rng import derive
from advnets.models.bernoulli import Binarise
from advnets.models.energy.rbm import RBM, Down, LearningConfig, RBMConfig, Visible, chains
from advnets.models.greedy import Stages, problems
from advnets.optim.momentum import OptimizerConfig
from advnets.sampling.chains import ChainConfig, MarkovChain


@dataclass(frozen=True, kw_only=True)
class DBNConfig(ModelConfig):
    """A deep belief network, trained greedily."""

    kind: ClassVar[str] = "dbn"
    logged: ClassVar[str] = f"Of the machine that is trained: {RBMConfig.logged}"

    hidden: tuple[int, ...] = (500, 500)
    """Hidden units of each machine, from the data upwards."""
    updates: tuple[int, ...] = (4_000,)
    """Updates of each machine but the last, which has the rest of the run."""
    visible: Visible = "binary"
    """Visible units of the first machine: 'binary' or 'gaussian'."""
    sigma: float = 1.0
    """Standard deviation of Gaussian visible units, in the units of the data."""
    binarise: Binarise = "sample"
    """What binary units do with values between 0 and 1, those of the data and those passed up."""
    lower: LearningConfig = LearningConfig(
        negative="cd",
        optimizer=OptimizerConfig(lr=0.1, lr_decay=1.0, anneal="cosine", final_momentum=0.5),
    )
    """How all machines but the last are learnt."""
    top: LearningConfig = LearningConfig()
    """How the last machine is learnt, the one that is sampled from."""
    chain: ChainConfig = ChainConfig()
    down: Down = "states"
    """What is passed down between the machines of a sample: 'states' (drawn) or 'means'."""

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
    def ends_with_the_run(self) -> bool:
        """Whether the last machine's learning rate anneals towards the run's last update."""
        return self.top.optimizer.anneal == "cosine"

    def machines(self) -> list[RBMConfig]:
        """The configuration of each machine."""
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


class DBN(Stages):
    """A stack of restricted Boltzmann machines, trained one after the other.

    Each machine is trained on the means that the one below passes up, drawn anew at each pass.

    Args:
        machines: From the data upwards.
        config: Its stages, and how it is sampled.
    """

    def __init__(self, machines: list[RBM], config: DBNConfig) -> None:
        super().__init__(machines, config.updates)
        self.machines, self.config = machines, config

    @classmethod
    def from_config(cls, config: DBNConfig, problem: Problem, *, seed: int) -> "DBN":
        """The network that a configuration describes."""
        parts = zip(
            config.machines(), problems(problem, config.hidden, config.updates), strict=True
        )
        machines = [
            RBM.from_config(c, p, seed=derive(seed, "machine", i)) for i, (c, p) in enumerate(parts)
        ]
        return cls(machines, config)

    def samplers(self) -> dict[str, MarkovChain]:
        """Block Gibbs in the last machine, then one pass down (see `rbm.chains`)."""
        return chains(self.machines, self.config.chain, down=self.config.down)
