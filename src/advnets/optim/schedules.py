"""An optimizer and its schedule by minibatch number."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from advnets.base import errors
from advnets.optim.momentum import Momentum

OptimizerName = Literal["momentum", "adam"]


Anneal = Literal["none", "cosine"]


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """An optimizer and its schedule. The defaults are the authors' for MNIST."""

    optimizer: OptimizerName = "momentum"
    """'momentum' (the paper's) or 'adam' (Kingma and Ba, 2015)."""
    lr: float = 0.1
    """Initial learning rate."""
    lr_decay: float = 1.000004
    """The learning rate is divided by this after every minibatch ..."""
    min_lr: float = 1e-6
    """... until it reaches this floor."""
    anneal: Anneal = "none"
    """'cosine' multiplies the learning rate by half a cosine that reaches 0 at the last update."""
    anneal_from: float = 0.0
    """Share of the run after which the cosine begins."""
    warmup: int = 0
    """Minibatches over which the learning rate rises linearly at the start."""
    momentum: float = 0.5
    """Momentum in the first epoch."""
    final_momentum: float = 0.7
    """Momentum from epoch `saturate_epochs` on, reached linearly."""
    saturate_epochs: int = 250
    """The epoch in which momentum reaches `final_momentum`."""
    beta1: float = 0.5
    """Adam: decay of the mean gradient."""
    beta2: float = 0.999
    """Adam: decay of the mean squared gradient."""

    def __post_init__(self) -> None:
        errors.positive(lr=self.lr)
        errors.one_of(get_args(OptimizerName), optimizer=self.optimizer)
        errors.one_of(get_args(Anneal), anneal=self.anneal)
        errors.at_least(1, lr_decay=self.lr_decay, saturate_epochs=self.saturate_epochs)
        errors.at_least(0, min_lr=self.min_lr)
        errors.whole(0, warmup=self.warmup)
        errors.fraction(
            anneal_from=self.anneal_from,
            momentum=self.momentum,
            final_momentum=self.final_momentum,
            beta1=self.beta1,
            beta2=self.beta2,
        )

    def build(self, params: Iterable[Tensor]) -> torch.optim.Optimizer:
        """The optimizer of these parameters at the first update; its rates are 0-d tensors."""
        params = list(params)
        lr, momentum = (params[0].new_tensor(rate) for rate in (self.lr, self.momentum))
        if self.optimizer == "momentum":
            return Momentum(params, lr, momentum)
        return torch.optim.Adam(params, lr, (self.beta1, self.beta2), fused=True)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    r"""Learning rate and momentum as pure functions of the minibatch number b = 0, 1, ...

    .. math:: \eta_b = \max(\eta_0 / decay^b, \eta_{min}) \cdot anneal(b) \cdot
              \min(1, (b + 1) / W), \qquad
              m_e = m_1 + (m_2 - m_1) \min(1, (e - 1) / (E - 1))

    in epoch e = 1, 2, ..., with E = `saturate_epochs` and W = `warmup` (0: no such factor).

    Reference: pylearn2, `ExponentialDecay` and `MomentumAdjustor` (whose counter already stands at
        1 in epoch 1).

    Args:
        config: The optimizer and its constants.
        batches_per_epoch: Minibatches in one pass over the training set.
        batches: Minibatches in the whole run, the end of annealing.
    """

    config: OptimizerConfig
    batches_per_epoch: int
    batches: int

    def lr(self, b: Tensor) -> Tensor:
        """Learning rate for minibatch `b` (0-d), float64."""
        c = self.config
        lr = (b.double() * -math.log(c.lr_decay)).exp_().mul_(c.lr).clamp_(min=min(c.min_lr, c.lr))
        if c.anneal == "cosine":
            past = (b.double() / self.batches).clamp_(max=1)
            if c.anneal_from:
                past = past.sub_(c.anneal_from).clamp_(min=0).div_(1 - c.anneal_from)
            lr *= past.mul_(math.pi).cos_().add_(1).div_(2)
        if c.warmup:
            lr *= (b.double() + 1).div_(c.warmup).clamp_(max=1)
        return lr

    def momentum(self, b: Tensor) -> Tensor:
        """Momentum for minibatch `b` (0-d), float64."""
        c = self.config
        past, ramp = (b // self.batches_per_epoch).double(), c.saturate_epochs - 1
        share = past.div_(ramp).clamp_(max=1) if ramp else torch.ones_like(past)
        return share.mul_(c.final_momentum - c.momentum).add_(c.momentum)

    def apply(self, optimizer: torch.optim.Optimizer, b: Tensor) -> None:
        """Set the learning rate and momentum of an optimizer for minibatch `b`."""
        for group in optimizer.param_groups:
            group["lr"].copy_(self.lr(b))
            if self.config.optimizer == "momentum":
                group["momentum"].copy_(self.momentum(b))
