r"""The pure twin of a learning rule: where it would move weights, as a function that has gradients.

`Momentum`, torch's `SGD` (momentum and all) and `Adam`. The twin begins with what the rule
remembers and changes nothing of it.

.. math:: \theta_{j+1} = \theta_j + u(g_j, s_j), \qquad s_{j+1} = s(g_j, s_j)
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from advnets.base import errors
from advnets.optim.momentum import Momentum

_TINY = 1e-30
"""Under a root, so that a weight without gradient has a slope of 0 and not one of 0 / 0."""


class Twin:
    """The twin of one optimiser, at the weights that it moves.

    Args:
        optimizer: The rule.
        weights: The weights, in the order in which `moved` is given them.

    Raises:
        BadValue: For another rule, or an option of it that has no twin.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, weights: Iterable[Tensor]) -> None:
        groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
        weights = list(weights)
        self.groups: list[dict[str, Any]] = [groups.get(id(p), {}) for p in weights]
        for group in groups.values():
            refuse_options(optimizer, group)
        self.kind = type(optimizer)
        self.states = [dict(optimizer.state.get(p, {})) for p in weights]

    def moved(self, weights: Sequence[Tensor], gradient: Sequence[Tensor | None]) -> list[Tensor]:
        """The weights after one more update along this gradient."""
        rule = {Momentum: _momentum, torch.optim.SGD: _sgd, torch.optim.Adam: _adam}[self.kind]
        return [
            p if g is None or not group else p + rule(g, group, state)
            for p, g, group, state in zip(weights, gradient, self.groups, self.states, strict=True)
        ]


def refuse_options(optimizer: torch.optim.Optimizer, group: dict[str, Any]) -> None:
    """Raise `BadValue` for a rule that has no twin."""
    need = "Momentum, SGD or Adam, for D to be unrolled"
    known = type(optimizer) in (Momentum, torch.optim.SGD, torch.optim.Adam)
    errors.require(known, "D_optimizer", need, type(optimizer).__name__)
    for name in ("weight_decay", "nesterov", "amsgrad", "maximize", "dampening"):
        plain = f"{need}, without {name}"
        errors.require(not group.get(name), "D_optimizer", plain, f"{name}={group.get(name)}")


def _momentum(g: Tensor, group: dict[str, Any], state: dict[str, Any]) -> Tensor:
    state["velocity"] = group["momentum"] * _of(state, "velocity", g) - group["lr"] * g
    velocity: Tensor = state["velocity"]
    return velocity


def _sgd(g: Tensor, group: dict[str, Any], state: dict[str, Any]) -> Tensor:
    if group["momentum"]:
        g = group["momentum"] * _of(state, "momentum_buffer", g) + g
        state["momentum_buffer"] = g
    step: Tensor = -group["lr"] * g
    return step


def _adam(g: Tensor, group: dict[str, Any], state: dict[str, Any]) -> Tensor:
    beta1, beta2 = group["betas"]
    t = state["step"] = state.get("step", 0) + 1
    m = state["exp_avg"] = beta1 * _of(state, "exp_avg", g) + (1 - beta1) * g
    v = state["exp_avg_sq"] = beta2 * _of(state, "exp_avg_sq", g) + (1 - beta2) * g.square()
    root = (v / (1 - beta2**t) + _TINY).sqrt()
    step: Tensor = -group["lr"] * (m / (1 - beta1**t)) / (root + group["eps"])
    return step


def _of(state: dict[str, Any], name: str, g: Tensor) -> Tensor:
    """What is remembered; 0 before the first update."""
    remembered: Tensor | None = state.get(name)
    return torch.zeros_like(g) if remembered is None else remembered
