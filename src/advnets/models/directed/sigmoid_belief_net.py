r"""The sigmoid belief net, and the recognition net that guesses its hidden units: wake-sleep.

Binary layers :math:`h_0 = x, h_1, \dots, h_L`, each given the next, and guessed from the one below:

.. math:: p(h_L) = B(\sigma(a_L)), \quad p(h_{l-1} | h_l) = B(\sigma(a_{l-1} + W_l^\top h_l)),
          \quad q(h_l | h_{l-1}) = B(\sigma(r_l + R_l h_{l-1}))

Wake: h ~ q(h|x) of data, and p ascends log p(x, h). Sleep: (x, h) ~ p, and q ascends log q(h|x).
Sleep descends KL(p(h|x) || q), not the other way round, so that there is no one objective. The
reweighted form weighs k draws of q by p(x, h) / q(h|x), for p and in waking for q too. With k = 1
it is the plain one. The draws also bound log p(x):

.. math:: \log p(x) \ge E \Big[ \log \frac 1k \sum_{i=1}^k \frac{p(x, h^i)}{q(h^i|x)} \Big]

Reference: Neal (1992), belief networks; Hinton, Dayan, Frey and Neal (1995), The wake-sleep
    algorithm; Bornschein and Bengio (2015), Reweighted wake-sleep.
"""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from advnets.base import errors
from advnets.base.protocols import Annealed, ModelConfig, Problem
from advnets.base.rng import generator
from advnets.models.bernoulli import Binarise, binarise
from advnets.models.directed.belief_net import BOUND, Ancestral, BeliefNet, Draw, RecognitionPath
from advnets.models.gradient_learner import GradientLearner
from advnets.nn.init import logit_of_marginals
from advnets.optim.schedules import OptimizerConfig

Phases = Literal["sleep", "wake", "both"]
_ROWS = 10_000
"""Rows of draws that are in memory at once."""


@dataclass(frozen=True, kw_only=True)
class SBNConfig(ModelConfig):
    """A sigmoid belief net, trained by wake-sleep or its reweighted form."""

    kind: ClassVar[str] = "sbn"
    logged: ClassVar[str] = (
        "wake is minus the (weighted) mean of log p(x, h), q minus that of log q(h|x); bound is "
        "the importance-weighted bound on log p(x) of this update's draws. All in nats an example."
    )

    hidden: tuple[int, ...] = (200,)
    """Units of each hidden layer, from the data upwards."""
    k: int = 1
    """Draws of q an example: 1 is wake-sleep, more are reweighted."""
    phases: Phases = "sleep"
    """What q learns from: 'sleep' (the net's own dreams), 'wake' (weighted draws at data) or
    'both'. With one draw, 'wake' would only make q surer of itself."""
    stdev: float = 0.01
    """Standard deviation of the first weights."""
    binarise: Binarise = "sample"
    """What becomes of values between 0 and 1: 'sample' (drawn anew at each pass) or 'refuse'."""
    optimizer: OptimizerConfig = OptimizerConfig(optimizer="adam", lr=1e-3, lr_decay=1.0, beta1=0.9)

    def __post_init__(self) -> None:
        errors.at_least(1, layers=len(self.hidden))
        for n in self.hidden:
            errors.at_least(1, hidden=n)
        errors.at_least(1, k=self.k)
        errors.one_of(get_args(Phases), phases=self.phases)
        if self.phases == "wake":
            errors.require(self.k > 1, "k", "at least 2 where q learns from waking alone", self.k)
        errors.at_least(0, stdev=self.stdev)
        errors.one_of(get_args(Binarise), binarise=self.binarise)

    @property
    def needs_total_steps(self) -> bool:
        """Whether the learning rate anneals towards the run's last update."""
        return self.optimizer.anneal == "cosine"


class SBN(GradientLearner):
    """A belief net whose two parts are moved at once, each by its own phase.

    Args:
        config: The model.
        problem: What is known of the data and the run.
        seed: Of the first weights.

    Raises:
        BadValue: For data outside [0, 1].
    """

    network: BeliefNet

    def __init__(self, config: SBNConfig, problem: Problem, *, seed: int) -> None:
        if not 0 <= problem.low <= problem.high <= 1:
            got = f"values from {problem.low:g} to {problem.high:g}"
            raise errors.bad_value("x", "in [0, 1] for binary visible units", got)
        units = (problem.mean.numel(), *config.hidden)
        net = BeliefNet(units, stdev=config.stdev, rng=generator(seed, "weights"))
        net.down[0].bias.data.copy_(logit_of_marginals(problem.mean).flatten())  # type: ignore[operator]
        super().__init__(net, config.optimizer, problem)
        self.config = config

    @classmethod
    def from_config(cls, config: SBNConfig, problem: Problem, *, seed: int) -> "SBN":
        """The net that a configuration describes; at first it gives the data's mean."""
        return cls(config, problem, seed=seed)

    def objective(self, x: Tensor, *, rng: torch.Generator) -> Mapping[str, Tensor]:
        """What both phases descend: minus log p of waking, minus log q; draws are held still."""
        net, config, v = self.network, self.config, x.flatten(1)
        v = binarise(v, config.binarise, self.uniform(*v.shape, rng=rng))

        def draw(*shape: int) -> Tensor:  # rows first, then draws
            return self.uniform(*shape, rng=rng)

        rows = v[:, None].expand(-1, config.k, -1)
        h = net.recognise(rows, draw)
        log_p, log_q = net.log_joint(rows, h), net.log_q(rows, h)
        log_w = (log_p - log_q).detach()
        w = log_w.softmax(dim=1)
        wake, of_q = -(w * log_p).sum(dim=1).mean(), v.new_zeros(())
        if config.phases != "sleep":
            of_q = of_q - (w * log_q).sum(dim=1).mean()
        if config.phases != "wake":
            x_dreamt, h_dreamt = net.dream(len(v), draw)
            of_q = of_q - net.log_q(x_dreamt, h_dreamt).mean()
        bound = log_w.logsumexp(dim=1).mean() - math.log(config.k)
        return {"wake_and_q": wake + of_q, "wake": wake, "q": of_q, "bound": bound}

    @torch.no_grad()
    def importance_weighted(self, x: Tensor, *, k: int, rng: torch.Generator) -> Tensor:
        """The bound on log p(x) of each example from k draws of q, in nats, `(n,)`.

        Args:
            x: Examples, `(n, *event_shape)`; binary ones are drawn from them as in training.
            k: Draws of h an example.
            rng: Draws h, and binary values.
        """
        errors.at_least(1, k=k)
        v = self._binary(x, rng)
        blocks, most = [], max(1, _ROWS // len(v))
        for done in range(0, k, most):
            rows = v.expand(min(most, k - done), -1, -1)
            blocks.append(
                self.network.log_weights(rows, self.network.recognise(rows, _draws(rng, v)))
            )
        return torch.cat(blocks).logsumexp(dim=0) - math.log(k)

    @torch.no_grad()
    def log_density(self, x: Tensor) -> Tensor:
        """Log p(x) exactly, `(n,)`, in nats. Raises `BadValue` for too many hidden units."""
        net, v = copy.deepcopy(self.network).double().cpu(), x.flatten(1)
        v = binarise(v, "refuse", v)
        return net.log_marginal(v.cpu().double()).to(v)

    @torch.no_grad()
    def annealed(self, x: Tensor, mean: Tensor, *, rng: torch.Generator) -> Annealed:  # noqa: ARG002
        """A path from q(h|x) to p(x, h) for each x, in float64."""
        net = copy.deepcopy(self.network).double().cpu()
        v = self._binary(x, rng).double().cpu()
        return Annealed(RecognitionPath(net, v), None, BOUND)

    def _binary(self, x: Tensor, rng: torch.Generator) -> Tensor:
        v = x.flatten(1)
        u = torch.rand(v.shape, generator=rng, device=rng.device).to(v.device)
        return binarise(v, self.config.binarise, u)

    def samplers(self) -> dict[str, Ancestral]:
        """`means`: ancestral samples, of which the means of p(x|h_1) are shown; and `binary`."""
        return {
            "means": Ancestral(self.network, self.event_shape),
            "binary": Ancestral(self.network, self.event_shape, binary=True),
        }


def _draws(rng: torch.Generator, like: Tensor) -> Draw:
    return lambda *shape: torch.rand(*shape, generator=rng, device=rng.device).to(like)
