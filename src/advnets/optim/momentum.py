r"""Learning rules, their schedules, and the average of a moving network.

The paper says "any standard gradient-based learning rule" and uses momentum. `Momentum` is its
authors' rule to the letter; every other one is torch's own.

Reference: Goodfellow et al. (2014), Algorithm 1; pylearn2, `learning_rule.py` and `sgd.py`.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, overload

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.nn import spectral_norm
from advnets.nn.convolution import BatchNorm
from advnets.optim.copies import copied, share_hooks

Rule = Literal["momentum", "adam"]
Anneal = Literal["none", "cosine"]


class Momentum(torch.optim.Optimizer):
    r"""Momentum with the learning rate inside the velocity, as pylearn2 has it.

    .. math:: v \leftarrow m v - \eta \nabla, \qquad \theta \leftarrow \theta + v

    torch's SGD keeps :math:`\eta` outside, so an old velocity is rescaled when the rate decays.

    Args:
        params: Parameters to update.
        lr: Learning rate; a 0-d tensor can change without the host.
        momentum: m, in [0, 1).
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float | Tensor, momentum: float | Tensor = 0.5
    ) -> None:
        if not isinstance(lr, Tensor):
            errors.at_least(0, lr=lr)
        if not isinstance(momentum, Tensor):
            need = "at least 0 and below 1"
            errors.require(0 <= momentum < 1, "momentum", need, momentum)
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


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """A learning rule and its schedule. The defaults are the authors' for MNIST."""

    rule: Rule = "momentum"
    """'momentum' (the paper's) or 'adam' (Kingma and Ba, 2015)."""
    lr: float = 0.1
    """Learning rate of the first update."""
    lr_decay: float = 1.000004
    """The rate is divided by this after every minibatch ..."""
    min_lr: float = 1e-6
    """... until it reaches this floor."""
    anneal: Anneal = "none"
    """'cosine' multiplies the rate by half a cosine that ends at 0 with the run."""
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
        errors.one_of(get_args(Rule), rule=self.rule)
        errors.one_of(get_args(Anneal), anneal=self.anneal)
        errors.at_least(1, lr_decay=self.lr_decay, saturate_epochs=self.saturate_epochs)
        errors.at_least(0, min_lr=self.min_lr)
        for name in ("momentum", "final_momentum", "beta1", "beta2"):
            v = getattr(self, name)
            errors.require(0 <= v < 1, name, "at least 0 and below 1", v)

    def build(self, params: Iterable[Tensor]) -> torch.optim.Optimizer:
        """The optimiser of these parameters, at the first update; its rates are 0-d tensors."""
        params = list(params)
        lr, momentum = (params[0].new_tensor(rate) for rate in (self.lr, self.momentum))
        if self.rule == "momentum":
            return Momentum(params, lr, momentum)
        return torch.optim.Adam(params, lr, (self.beta1, self.beta2), fused=True)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    r"""Learning rate and momentum as pure functions of the minibatch number b = 0, 1, ...

    .. math:: \eta_b = \max(\eta_0 / decay^b, \eta_{min}) \cdot anneal(b), \qquad
              m_e = m_1 + (m_2 - m_1) \min(1, (e - 1) / (E - 1))

    in epoch e = 1, 2, ..., with E = `saturate_epochs`.

    Reference: pylearn2, `ExponentialDecay` and `MomentumAdjustor` (whose counter already stands at
        1 in epoch 1).

    Args:
        config: The rule and its constants.
        batches_per_epoch: Minibatches in one pass over the training set.
        batches: Minibatches in the whole run, where annealing ends.
    """

    config: OptimizerConfig
    batches_per_epoch: int
    batches: int

    def lr(self, b: Tensor) -> Tensor:
        """Learning rate for minibatch `b` (0-d), float64."""
        c = self.config
        lr = (b.double() * -math.log(c.lr_decay)).exp_().mul_(c.lr).clamp_(min=min(c.min_lr, c.lr))
        if c.anneal == "cosine":
            lr *= (b.double() / self.batches).clamp_(max=1).mul_(math.pi).cos_().add_(1).div_(2)
        return lr

    def momentum(self, b: Tensor) -> Tensor:
        """Momentum for minibatch `b` (0-d), float64."""
        c = self.config
        past, ramp = (b // self.batches_per_epoch).double(), c.saturate_epochs - 1
        share = past.div_(ramp).clamp_(max=1) if ramp else torch.ones_like(past)
        return share.mul_(c.final_momentum - c.momentum).add_(c.momentum)

    def apply(self, optimizer: torch.optim.Optimizer, b: Tensor) -> None:
        """Set an optimiser that `OptimizerConfig.build` made up for minibatch `b`."""
        for group in optimizer.param_groups:
            group["lr"].copy_(self.lr(b))
            if self.config.rule == "momentum":
                group["momentum"].copy_(self.momentum(b))


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What an optimiser remembers, as named tensors: `"3.velocity"` belongs to its parameter 3."""
    return {
        f"{i}.{name}": torch.as_tensor(v)
        for i, entry in optimizer.state_dict()["state"].items()
        for name, v in entry.items()
        if v is not None
    }


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    """The inverse of `optimizer_state`, in place of all that the optimiser remembered."""
    entries: dict[int, dict[str, Any]] = {}
    for key, tensor in state.items():
        i, name = key.split(".", 1)
        entries.setdefault(int(i), {})[name] = tensor.clone()
    optimizer.load_state_dict({**optimizer.state_dict(), "state": entries})


def group_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The numbers of an optimiser's groups (`"0.lr"` is that of group 0), which a scheduler sets.

    What is no number (which kernels it uses, say) is the optimiser's own affair.
    """
    return {
        f"{i}.{name}": torch.tensor(v, dtype=torch.float64)
        if not isinstance(v, Tensor)
        else v.detach().clone()
        for i, group in enumerate(optimizer.param_groups)
        for name, v in group.items()
        if name != "params" and _is_number(v)
    }


def load_group_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    """The inverse of `group_state`; what is not in the state stays as it is."""
    for i, group in enumerate(optimizer.param_groups):
        for key, saved in state.items():
            at, name = key.split(".", 1)
            if at != str(i):
                continue
            own = group.get(name)
            if isinstance(own, Tensor):
                own.copy_(saved)
            elif isinstance(own, tuple) or saved.ndim:
                group[name] = tuple(saved.tolist())
            else:
                group[name] = int(saved) if isinstance(own, int) else saved.item()


def _is_number(value: object) -> bool:
    if isinstance(value, tuple):
        return bool(value) and all(map(_is_number, value))
    real = isinstance(value, Tensor) and value.is_floating_point()
    return real or (isinstance(value, int | float) and not isinstance(value, bool))


ELEMENTWISE = ("velocity", "momentum_buffer", "exp_avg", "exp_avg_sq")
"""What an optimiser remembers of each single weight."""


def refuse_foreign_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    """Raise `BadValue` where what was remembered does not fit the weights."""
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    for key, tensor in state.items():
        i, _, name = key.partition(".")
        if i.isdecimal() and name in ELEMENTWISE:
            own = weights[int(i)].shape if int(i) < len(weights) else "absent"
            need, got = own if own == "absent" else tuple(own), tuple(tensor.shape)
            errors.require(need == got, f"optimizer.{key}", f"of shape {need}", got)


class Average:
    r"""An exponential moving average of a network's weights, of G's as a rule.

    :math:`\bar\theta \leftarrow \bar\theta + r_n (\theta - \bar\theta)` at every `every`-th update,
    with
    :math:`r_n = \max(rate, 1 / n)` at the n-th such update, so that the start is a plain mean and
    the initial weights are forgotten. The moments of batch normalisation are averaged as well;
    all other buffers are copied. Layers that are spectrally normalised then find the largest
    singular value of their averaged weights anew, and divide by that. What the average scores is
    always labelled as such: it blurs, and a Parzen window rewards blur.

    Args:
        network: The network to follow.
        rate: r, the share of the newest weights.
        every: Updates between two looks at the network.
    """

    def __init__(self, network: nn.Module, *, rate: float, every: int) -> None:
        errors.probability(rate=rate)
        errors.at_least(1, every=every)
        self.rate, self.every = rate, every
        self.network = copied(network).requires_grad_(False)

    @torch.no_grad()
    def follow(self, network: nn.Module, update: int) -> None:
        """Take in the network's weights after update number `update` = 1, 2, ..."""
        if update % self.every:
            return
        rate = max(self.rate, self.every / update)
        share_hooks(network, self.network)
        averaged, own = _averaged(self.network), _averaged(network)
        names = [name for name, t in own.items() if t.is_floating_point()]
        torch._foreach_lerp_([averaged[n] for n in names], [own[n] for n in names], rate)
        mine = {**dict(self.network.named_parameters()), **dict(self.network.named_buffers())}
        vectors = spectral_norm.vectors(self.network)
        for name, theirs in (*network.named_parameters(), *network.named_buffers()):
            if name not in names and name not in vectors:
                mine[name].copy_(theirs)
        spectral_norm.settle(self.network)


def _averaged(network: nn.Module) -> dict[str, Tensor]:
    """What is averaged of a network, by name: weights, and the moments of batch normalisation."""
    moments = {
        f"{path}.{name}".lstrip("."): buffer
        for path, module in network.named_modules()
        if isinstance(module, nn.modules.batchnorm._NormBase | BatchNorm)
        for name, buffer in module.named_buffers(recurse=False)
    }
    return {**dict(network.named_parameters()), **moments}
