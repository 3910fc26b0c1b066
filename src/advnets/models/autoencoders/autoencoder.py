r"""The autoencoder: a code from which an example is reconstructed.

.. math:: h(x) = \mathrm{sigmoid}(W x + b), \qquad g(h) = \mathrm{sigmoid}(W' h + c),
          \qquad J = E_x[L(x, g(h(x)))]

with :math:`W' = W^\top` where weights are tied. L is the cross-entropy for data in [0, 1], which
need not be binary, and half the squared error, with a linear g, for any other; both are sums over
the elements of x. The model has codes and reconstructions, and no sampler.

Reference: Vincent et al. (2010), "Stacked denoising autoencoders", Section 2; Rifai et al. (2011),
    "Contractive auto-encoders", Section 2.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from advnets.base import errors
from advnets.base.protocols import ModelConfig, Problem
from advnets.base.rng import generator
from advnets.models.gradient_learner import GradientLearner
from advnets.nn import init
from advnets.nn.kernels import product
from advnets.optim.schedules import OptimizerConfig
from advnets.sampling.samplers import untouched
from advnets.storage.environment import Precision

Loss = Literal["cross-entropy", "squared-error"]


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig(ModelConfig):
    """The plain autoencoder."""

    kind: ClassVar[str] = "autoencoder"

    hidden: int = 1000
    """Sigmoid units of the code."""
    loss: Loss = "cross-entropy"
    """'cross-entropy' for data in [0, 1] (real values are allowed), 'squared-error' for any."""
    tied: bool = True
    """Whether the decoder's weights are the encoder's, transposed."""
    scale: float = 4.0
    """Initial weights are uniform within scale * sqrt(6 / (d + hidden)), d the elements of x."""
    optimizer: OptimizerConfig = OptimizerConfig()
    precision: Precision = "auto"
    """Precision of the forward and backward passes: 'float32' or 'bfloat16'."""

    def __post_init__(self) -> None:
        errors.at_least(1, hidden=self.hidden)
        errors.positive(scale=self.scale)
        errors.one_of(get_args(Loss), loss=self.loss)
        errors.one_of(get_args(Precision), precision=self.precision)

    @property
    def needs_total_steps(self) -> bool:
        """Whether the learning rate anneals towards the run's last update."""
        return self.optimizer.anneal == "cosine"


class Coder(nn.Module):
    r"""Encoder and decoder: :math:`h = sigmoid(W x + b)` and the logits :math:`a = W' h + c`.

    Weights begin uniform within :math:`\pm scale \sqrt{6 / (d + k)}`, biases at 0.

    Args:
        event_shape: Shape of one x, of d elements.
        hidden: k, units of the code.
        tied: Whether :math:`W' = W^\top`.
        loss: Which decoder: sigmoid for 'cross-entropy', linear for 'squared-error'.
        scale: Of the initial weights; 4 suits sigmoid units.
        rng: Draws the initial weights.

    Reference: Glorot and Bengio (2010), eq. (16); ynd/cae.py, whose scale is 4.
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        hidden: int,
        *,
        tied: bool = True,
        loss: Loss = "cross-entropy",
        scale: float = 4.0,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        d = math.prod(event_shape)
        reach = scale * math.sqrt(6 / (d + hidden))

        def weights(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).uniform_(-reach, reach, generator=rng))

        self.event_shape, self.loss = event_shape, loss
        self.W, self.b = weights(hidden, d), nn.Parameter(torch.zeros(hidden))
        self.W_back = None if tied else weights(d, hidden)
        self.c = nn.Parameter(torch.zeros(d))

    def encode(self, x: Tensor) -> Tensor:
        """Codes h(x) of shape `(n, hidden)`."""
        return product(x.flatten(1), self.W, self.b).sigmoid()

    def activations(self, h: Tensor) -> Tensor:
        """The decoder's outputs before its sigmoid, `(n, d)`."""
        return product(h, self.W.T if self.W_back is None else self.W_back, self.c)

    def decode(self, h: Tensor) -> Tensor:
        """Reconstructions g(h): means, of shape `(n, *event_shape)`."""
        a = self.activations(h)
        means = a.sigmoid() if self.loss == "cross-entropy" else a
        return means.view(-1, *self.event_shape)

    def cost(self, x: Tensor, h: Tensor) -> Tensor:
        r"""The mean loss of reconstructing x from the codes h, 0-d.

        :math:`-\sum_i x_i \log g_i + (1 - x_i) \log(1 - g_i)` in nats, or
        :math:`\frac 1 2 \sum_i (x_i - g_i)^2` (nats too, of N(g, I), but for a constant).
        """
        a, x = self.activations(h).to(x.dtype), x.flatten(1)
        if self.loss == "cross-entropy":
            total = functional.binary_cross_entropy_with_logits(a, x, reduction="sum")
        else:
            total = functional.mse_loss(a, x, reduction="sum") / 2
        return total / len(x)


class Autoencoder(GradientLearner):
    """The autoencoder as a learner; the denoising and the contractive one inherit from it.

    Its initial reconstruction is the data's mean. From other biases, such as 0, grey pictures far
    from all examples remain fixed points of h and g, and a chain that reaches one stays there.

    Args:
        config: Sizes, loss and optimizer.
        problem: What is known of the data and the run.
        rng: Draws the initial weights.

    Raises:
        BadValue: For the cross-entropy of data outside [0, 1].
    """

    compute_module: Coder

    def __init__(
        self, config: AutoencoderConfig, problem: Problem, *, rng: torch.Generator
    ) -> None:
        if config.loss == "cross-entropy" and not 0 <= problem.low <= problem.high <= 1:
            choose = "--model.loss squared-error"
            raise errors.outside_unit_interval("data", problem.low, problem.high, choose=choose)
        self.coder = Coder(
            problem.event_shape,
            config.hidden,
            tied=config.tied,
            loss=config.loss,
            scale=config.scale,
            rng=rng,
        )
        mean = problem.mean.flatten()
        bernoulli = config.loss == "cross-entropy"
        self.coder.c.data.copy_(init.logit_of_marginals(mean) if bernoulli else mean)
        super().__init__(self.coder, config.optimizer, problem, precision=config.precision)

    @classmethod
    def from_config(cls, config: AutoencoderConfig, problem: Problem, *, seed: int) -> Self:
        """The model of a configuration, with initial weights drawn from the seed."""
        return cls(config, problem, rng=generator(seed, "weights of the autoencoder"))

    def objective(
        self,
        x: Tensor,
        *,
        rng: torch.Generator,  # noqa: ARG002  nothing is drawn
    ) -> Mapping[str, Tensor]:
        """`reconstruction`: the mean loss, in nats an example."""
        return {
            "reconstruction": self.compute_module.cost(
                x, self.compute_module.encode(x.to(self.playing))
            )
        }

    def encode(self, x: Tensor) -> Tensor:
        """Codes of shape `(n, hidden)`, without gradient."""
        with untouched(self.coder) as coder:
            return coder.encode(x.to(coder.W))

    def decode(self, h: Tensor) -> Tensor:
        """Reconstructions of codes, of shape `(n, *event_shape)`, without gradient."""
        with untouched(self.coder) as coder:
            return coder.decode(h.to(coder.W))

    def reconstruct(self, x: Tensor) -> Tensor:
        """G(h(x)), of shape `(n, *event_shape)`."""
        return self.decode(self.encode(x))

    def up(self, x: Tensor) -> Tensor:
        """The input of the next layer of a stack: the codes."""
        return self.encode(x)
