"""The settings of a game."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from advnets.base import errors
from advnets.base.protocols import ModelConfig
from advnets.game.objectives import Objective
from advnets.networks import (
    DiscriminatorConfig,
    DiscriminatorKind,
    GeneratorConfig,
    GeneratorKind,
)
from advnets.optim.momentum import OptimizerConfig
from advnets.sampling.priors import PRIORS, PriorName
from advnets.storage.environment import Precision

Order = Literal["alternating", "simultaneous"]
Told = Literal["none", "labels"]


@dataclass(frozen=True, kw_only=True)
class GameConfig(ModelConfig):
    """The adversarial pair. The defaults are the authors' published MNIST run."""

    kind: ClassVar[str] = "game"
    logged: ClassVar[str] = (
        "V, the players' value, is -1.386 and D_x, D_Gz (mean D on data and samples) are 0.5 "
        "where D cannot tell; J is what G descends."
    )

    order: Order = "simultaneous"
    """'alternating' (Algorithm 1: G answers the new D) or 'simultaneous' (the authors' code: both
    move at once)."""
    objective: Objective = "non-saturating"
    """What the players descend: 'minimax' (eq. 1), 'non-saturating' (G: -log D(G(z))), or a loss of
    later papers: 'least-squares', 'hinge', 'relativistic'."""
    k: int = 1
    """Updates of D for each update of G."""
    D_scale: float = 0.5
    """D ascends this times V: 0.5 in the authors' code, 1 in the paper's text."""
    r1: float = 0.0
    """Weight gamma of the R1 penalty on D's gradient on data (Mescheder et al., 2018); 0: none."""
    r1_every: int = 1
    """Updates of D between two R1 penalties."""
    pack: int = 1
    """Examples that D judges at once (PacGAN; Lin et al., 2018)."""
    prior: PriorName = "uniform"
    """p_z: 'uniform' on (-sqrt 3, sqrt 3), 'gaussian' or 'spherical'."""
    z_dim: int = 100
    """Coordinates of z."""
    context: Told = "none"
    """What both players are told of each example: 'none', or its 'labels' (a class or a vector):
    a conditional game."""
    G: GeneratorKind = GeneratorConfig()
    D: DiscriminatorKind = DiscriminatorConfig()
    G_optimizer: OptimizerConfig = OptimizerConfig()
    D_optimizer: OptimizerConfig = OptimizerConfig()
    precision: Precision = "auto"
    """What the networks are played in, D's logits included: 'float32' or 'bfloat16'. The weights
    themselves, what moves them and all scores stay in float32. 'auto' is bfloat16 for pictures
    where the processor or GPU has instructions for it, and float32 elsewhere."""
    compiled: bool = False
    """Whether the step is compiled as a whole by torch: quicker after a first half minute. Needs
    the momentum rule, one process and, on a CPU, a C++ compiler; same game, other rounding."""
    average_rate: float = 0.01
    """Share of the newest weights in the moving average of G ..."""
    average_every: int = 10
    """... and the updates between two looks at them."""

    def __post_init__(self) -> None:
        errors.one_of(get_args(Order), order=self.order)
        errors.one_of(get_args(Objective), objective=self.objective)
        errors.one_of(PRIORS, prior=self.prior)
        errors.one_of(get_args(Precision), precision=self.precision)
        errors.one_of(get_args(Told), context=self.context)
        errors.at_least(1, k=self.k, z_dim=self.z_dim, average_every=self.average_every)
        errors.at_least(1, r1_every=self.r1_every, pack=self.pack)
        errors.at_least(0, r1=self.r1)
        errors.positive(D_scale=self.D_scale)
        errors.probability(average_rate=self.average_rate)

    @property
    def conditional(self) -> bool:
        """Whether G and D are told the context of each example."""
        return self.context == "labels"

    @property
    def ends_with_the_run(self) -> bool:
        """Whether a learning rate anneals towards the run's last update."""
        return "cosine" in (self.G_optimizer.anneal, self.D_optimizer.anneal)
