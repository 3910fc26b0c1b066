"""The settings of a game."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from advnets.base import errors
from advnets.base.protocols import ModelConfig
from advnets.game.objectives import Objective
from advnets.game.transforms import Transform, refuse_transforms
from advnets.networks import (
    DiscriminatorConfig,
    DiscriminatorKind,
    GeneratorConfig,
    GeneratorKind,
)
from advnets.optim.schedules import OptimizerConfig
from advnets.sampling.priors import PRIORS, PriorName
from advnets.storage.environment import Precision

Order = Literal["alternating", "simultaneous"]
Conditioning = Literal["none", "labels"]
DEEPEST = 1_000
"""Updates that G may look ahead; each is kept in memory."""


@dataclass(frozen=True, kw_only=True)
class GameConfig(ModelConfig):
    """A GAN: G, D and how they are trained. The defaults are the authors' published MNIST run."""

    kind: ClassVar[str] = "game"
    logged: ClassVar[str] = (
        "Logged: V, the value of the game (-1.386 if D cannot tell samples from data), J, the loss "
        "of G, and D_x, D_Gz, the means of D on data and samples (0.5 if D cannot tell)."
    )

    order: Order = "simultaneous"
    """'alternating' (Algorithm 1: G is updated against the new D) or 'simultaneous' (the authors'
    code: both are updated by gradients at the old weights)."""
    objective: Objective = "non-saturating"
    """The loss: 'minimax' (eq. 1), 'non-saturating' (G: -log D(G(z))), or a loss of later papers:
    'least-squares', 'hinge', 'relativistic'."""
    k: int = 1
    """Updates of D for each update of G."""
    D_loss_weight: float = 0.5
    """D ascends this times V: 0.5 in the authors' code, 1 in the paper's text."""
    r1: float = 0.0
    """Weight gamma of the R1 penalty on D's gradient on data (Mescheder et al., 2018); 0 for
    none."""
    r1_every: int = 1
    """Updates of D between two penalties."""
    r2: float = 0.0
    """The same on samples (R3GAN: with r1 and the relativistic objective; Huang et al., 2024)."""
    instance_noise: float = 0.0
    """Standard deviation of noise on all that D sees, at the first update (Sønderby et al.) ..."""
    instance_noise_batches: int = 10_000
    """... and the minibatches in which it anneals to 0."""
    augment: tuple[Transform, ...] = ()
    """What D sees of data and samples, mirrored ('flip') and shifted by an eighth of a side at most
    ('translate'), as in DiffAugment (Zhao et al., 2020); 'flip-data' mirrors examples alone."""
    unroll: int = 0
    """Updates that G looks ahead: it answers the D of so many moves later (Metz et al., 2017)."""
    pack: int = 1
    """Examples for each logit of D (PacGAN; Lin et al., 2018)."""
    prior: PriorName = "uniform"
    """p_z: 'uniform' on (-sqrt 3, sqrt 3), 'gaussian' or 'spherical'."""
    z_dim: int = 100
    """Coordinates of z."""
    context: Conditioning = "none"
    """Context of G and D: 'none', or the 'labels' (a class or a vector) for a conditional GAN."""
    G: GeneratorKind = GeneratorConfig()
    D: DiscriminatorKind = DiscriminatorConfig()
    G_optimizer: OptimizerConfig = OptimizerConfig()
    D_optimizer: OptimizerConfig = OptimizerConfig()
    precision: Precision = "auto"
    """Precision of the forward and backward passes: 'float32' or 'bfloat16'. Weights, optimizers
    and scores stay in float32. 'auto' is bfloat16 for pictures where the processor or GPU has
    instructions for it, and float32 elsewhere."""
    compile: bool = False
    """Whether torch compiles the whole step: faster after a first half minute. Needs the momentum
    optimizer, one process and, on a CPU, a C++ compiler. Results differ by rounding."""
    ema_decay: float = 0.99
    """Decay of the exponential moving average of G's weights ..."""
    ema_every: int = 10
    """... and the updates of G between two updates of the average."""

    def __post_init__(self) -> None:
        errors.one_of(get_args(Order), order=self.order)
        errors.one_of(get_args(Objective), objective=self.objective)
        errors.one_of(PRIORS, prior=self.prior)
        errors.one_of(get_args(Precision), precision=self.precision)
        errors.one_of(get_args(Conditioning), context=self.context)
        errors.at_least(1, k=self.k, z_dim=self.z_dim, ema_every=self.ema_every)
        errors.at_least(1, r1_every=self.r1_every, pack=self.pack)
        errors.at_least(1, instance_noise_batches=self.instance_noise_batches)
        errors.at_least(0, r1=self.r1, r2=self.r2, unroll=self.unroll)
        errors.require(self.unroll <= DEEPEST, "unroll", f"at most {DEEPEST}", self.unroll)
        errors.at_least(0, instance_noise=self.instance_noise)
        refuse_transforms(self.augment)
        errors.positive(D_loss_weight=self.D_loss_weight)
        errors.fraction(ema_decay=self.ema_decay)

    @property
    def conditional(self) -> bool:
        """Whether G and D receive the context of each example."""
        return self.context == "labels"

    @property
    def needs_total_steps(self) -> bool:
        """Whether a learning rate anneals towards the run's last update."""
        return "cosine" in (self.G_optimizer.anneal, self.D_optimizer.anneal)
