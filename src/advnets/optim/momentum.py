r"""The momentum optimizer of the paper.

The paper says "any standard gradient-based learning rule" and uses momentum. `Momentum` is exactly
the authors' rule; every other optimizer is torch's.

Reference: Goodfellow et al. (2014), Algorithm 1; pylearn2, `learning_rule.py` and `sgd.py`.
"""

import inspect
from collections.abc import Callable, Iterable
from typing import overload

import torch
from torch import Tensor

from advnets.base import errors


class Momentum(torch.optim.Optimizer):
    r"""Momentum with the learning rate inside the velocity, as pylearn2 has it.

    .. math:: v \leftarrow m v - \eta \nabla, \qquad \theta \leftarrow \theta + v

    torch's SGD keeps :math:`\eta` outside, so that a change of the rate rescales the old velocity.

    Args:
        params: Parameters to update.
        lr: Learning rate; a 0-d tensor can change without a copy from the host.
        momentum: m, in [0, 1).
    """

    # Torch's wrapper of these methods imports its compiler, which takes more than a second.
    # Here they are without it.
    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)

    def __init__(
        self, params: Iterable[Tensor], lr: float | Tensor, momentum: float | Tensor = 0.5
    ) -> None:
        if not isinstance(lr, Tensor):
            errors.at_least(0, lr=lr)
        if not isinstance(momentum, Tensor):
            errors.fraction(momentum=momentum)
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of all parameters that have a gradient."""
        if closure is not None:
            raise errors.bad_value("closure", "None", closure)
        for group in self.param_groups:
            first = group["params"][0]
            lr = torch.as_tensor(group["lr"], dtype=first.dtype, device=first.device)
            for p in group["params"]:
                if p.grad is None:
                    continue
                if not self.state[p]:
                    self.state[p]["velocity"] = torch.zeros_like(p)
                # One layer after the other, so that the later passes find it in the cache.
                v = self.state[p]["velocity"]
                v.mul_(group["momentum"]).addcmul_(p.grad, lr, value=-1)
                p.add_(v)
        return None
