"""A player: a network, the rule that moves its weights, and the copy of it that plays.

Reference: Goodfellow et al. (2014), Algorithm 1: "any standard gradient-based learning rule".
"""

import contextlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.base.distributed import ALONE, Ranks
from advnets.nn import dropout, linear
from advnets.nn.convolution import BatchNorm
from advnets.optim.copies import in_bfloat16, share_hooks
from advnets.optim.momentum import (
    Schedule,
    group_state,
    load_group_state,
    load_optimizer_state,
    optimizer_state,
    refuse_foreign_state,
)
from advnets.storage.checkpoints import below
from advnets.storage.environment import Precision

_JUST_BELOW_32_MB = 31 * 2**20


class Player:
    """A network, the rule that moves its weights, and the rule's schedule.

    Args:
        network: G or D, whose weights the rule moves; it may have a method `constrain()`, which is
            called after every update.
        optimizer: Any torch optimiser over the network's parameters.
        schedule: Learning rate and momentum by minibatch number; None leaves the optimiser as it
            is.
        precision: In 'bfloat16' it is a copy of the network that plays, whose weights are cast
            from the network's own once an update.
        ranks: The processes whose gradients add up.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: Schedule | None,
        *,
        precision: Precision = "float32",
        ranks: Ranks = ALONE,
    ) -> None:
        refuse_rule(optimizer, schedule)
        self.network, self.optimizer, self.schedule = network, optimizer, schedule
        self.ranks = ranks
        for module in network.modules():
            if isinstance(module, BatchNorm):
                module.processes = ranks.world
        self.plays = in_bfloat16(network) if precision == "bfloat16" else network
        self._own: list[Tensor] = [p for p in network.parameters() if p.requires_grad]
        self.weights: list[Tensor] = [p for p in self.plays.parameters() if p.requires_grad]
        errors.require(bool(self._own), "network", "one with a weight that moves", "none")
        self._last: Sequence[Tensor | None] = []
        # Gradients that are written into the same memory each time: of float32 those too large for
        # the system to keep it, since oneDNN cannot write there. A weight that two layers share is
        # lent it for one of them.
        affine = [layer for layer in self.plays.modules() if isinstance(layer, linear.Affine)]
        memory = {
            id(layer.weight): torch.zeros_like(layer.weight, requires_grad=False)
            for layer in affine
            if "weight" in layer._parameters  # and not computed from others
            if layer.weight.dtype != torch.float32 or layer.weight.nbytes > _JUST_BELOW_32_MB
        }
        self._lent = [(layer, memory.pop(id(layer.weight), None)) for layer in affine]
        self._flat = self._own[0].detach().new_empty(0)
        self.random = dropout.stochastic(self.plays)
        self._counted = list(zip(network.buffers(), self.plays.buffers(), strict=True))
        self._constrain = getattr(network, "constrain", None)
        self._bare_step = _bare(optimizer)

    def __getstate__(self) -> dict[str, Any]:
        return {name: v for name, v in self.__dict__.items() if name != "_bare_step"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._bare_step = _bare(self.optimizer)

    def train_mode(self) -> None:
        """Put the network in training mode, and what plays with it.

        A part whose weights are all frozen and that was put in evaluation mode stays there: that is
        how a part that was trained before is left as it is.
        """
        for network in {self.network, self.plays}:
            frozen = [m for m in network.modules() if not m.training and _frozen(m)]
            asleep = [part for m in frozen for part in m.modules() if not part.training]
            network.train()
            for module in asleep:
                module.training = False

    @property
    def hooked(self) -> bool:
        """Whether something is hooked into the network, or its weights are computed from others."""
        if torch.compiler.is_compiling():
            return False
        modules = list(self.network.modules())
        return any("parametrizations" in m._modules or linear.hooked(m) for m in modules)

    def look(self) -> None:
        """Let the copy that plays run the network's hooks; before a step."""
        if self.plays is not self.network:
            share_hooks(self.network, self.plays)

    def gradient(
        self,
        of: Sequence[Tensor],
        along: Sequence[Tensor | None],
        *,
        beside: Sequence[Tensor] = (),
        keep_graph: bool = False,
    ) -> Sequence[Tensor | None]:
        """The gradient of all of `of`, added up, in this player's weights and what is `beside`.

        Args:
            of: What is differentiated.
            along: Each one's cotangent, of its shape.
            beside: What else is differentiated in; comes after the weights.
            keep_graph: Whether the graph is needed once more.
        """
        if not torch.compiler.is_compiling():
            for layer, memory in self._lent:
                layer.lent = memory
        inputs = [*self.weights, *beside]
        return torch.autograd.grad(of, inputs, along, retain_graph=keep_graph, allow_unused=True)

    @contextlib.contextmanager
    def still(self) -> Iterator[None]:
        """Inside, what this player makes of an input has no gradient in its weights."""
        weights = [] if torch.compiler.is_compiling() else self.weights
        for p in weights:
            p.requires_grad_(False)
        for layer, _ in self._lent:
            layer.still = True
        try:
            yield
        finally:
            for p in weights:
                p.requires_grad_(True)
            for layer, _ in self._lent:
                layer.still = False

    def update(self, gradient: Sequence[Tensor | None], minibatch: Tensor) -> None:
        """Move the weights along the gradient."""
        self._last = self._added_up(gradient)
        captured = torch.compiler.is_compiling()  # then there is memory for everything
        for p, g in zip(self._own, self._last, strict=True):
            if g is None or g.dtype == p.dtype or p.grad is None or captured:
                p.grad = None if g is None else g.to(p.dtype)
            else:
                p.grad.copy_(g)
        if self.schedule is not None:
            self.schedule.apply(self.optimizer, minibatch)
        if captured:
            self._bare_step(self.optimizer)
            for p in self._own:
                p.grad = None
        else:
            self.optimizer.step()
        if self._constrain is not None:
            self._constrain()
        self._cast()

    def _added_up(self, gradient: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
        """The same, summed over the processes: all of it at once."""
        found = [g for g in gradient if g is not None]
        if self.ranks.world == 1 or not found:
            return gradient
        flat = self.ranks.add_up(torch.cat([g.flatten() for g in found], out=self._flat))
        pieces = iter(torch.split(flat, [g.numel() for g in found]))
        return [None if g is None else next(pieces).view_as(g) for g in gradient]

    def norm(self) -> Tensor:
        """The Euclidean norm of the last gradient, of all weights together, 0-d."""
        own = self._own[0]
        norms = [torch.linalg.vector_norm(g, dtype=own.dtype) for g in self._last if g is not None]
        norm: Tensor = torch.linalg.vector_norm(torch.stack(norms or [own.new_zeros(())]))
        return norm

    @torch.no_grad()
    def _cast(self) -> None:
        """Give the weights to the copy that plays."""
        if self.plays is not self.network:
            torch._foreach_copy_(self.weights, self._own)

    @torch.no_grad()
    def take_back(self) -> None:
        """Take the buffers of the copy that plays: what it has counted."""
        if self.plays is not self.network:
            for own, played in self._counted:
                own.copy_(played)

    def begin_anew(self) -> None:
        """Let the copy that plays take the network's weights, and the rule forget all it knows."""
        self.optimizer.state.clear()
        if self.plays is not self.network:
            self.plays.load_state_dict(self.network.state_dict())

    def state(self) -> dict[str, Tensor]:
        """Weights, buffers and what the optimiser remembers."""
        weights = {f"network.{name}": t for name, t in self.network.state_dict().items()}
        groups = {f"group.{n}": t for n, t in group_state(self.optimizer).items()}
        remembered = {f"optimizer.{n}": t for n, t in optimizer_state(self.optimizer).items()}
        return weights | groups | remembered

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`."""
        load_weights(self.network, below("network.", state))
        if self.plays is not self.network:
            self.plays.load_state_dict(self.network.state_dict())
        refuse_foreign_state(self.optimizer, below("optimizer.", state))
        load_optimizer_state(self.optimizer, below("optimizer.", state))
        load_group_state(self.optimizer, below("group.", state))


def _bare(optimizer: torch.optim.Optimizer) -> Any:
    """The rule without what torch wraps around it for profilers and hooks: those break a graph."""
    return torch.no_grad()(inspect.unwrap(type(optimizer).step))


def _frozen(module: nn.Module) -> bool:
    weights = list(module.parameters())
    return bool(weights) and not any(p.requires_grad for p in weights)


def refuse_rule(optimizer: torch.optim.Optimizer, schedule: object) -> None:
    """Raise for an optimiser or a schedule that the game cannot call."""
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise errors.needs_closure(type(optimizer).__name__)
    if schedule is not None and not hasattr(schedule, "apply"):
        raise errors.not_a_schedule(type(schedule).__name__)


def has_forward_pair(D: nn.Module) -> bool:
    """Whether D has a `forward_pair` of its own: it treats every example by itself.

    One that is inherited by a class with another `forward` speaks of the forward that it knew.
    """
    if "forward" in D.__dict__ or getattr(D, "forward_pair", None) is None:
        return "forward_pair" in D.__dict__
    names = ("forward_pair", "forward")
    first = next(c for c in type(D).__mro__ if any(name in c.__dict__ for name in names))
    return "forward_pair" in first.__dict__ or "forward_pair" in D.__dict__


def load_weights(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a network's weights. Raises `BadValue` where a name or a shape differs."""
    own = network.state_dict()
    for name in {**own, **state}:
        need, got = (tuple(s[name].shape) if name in s else "absent" for s in (own, state))
        errors.require(need == got, name, f"of shape {need}", got)
    network.load_state_dict(dict(state))


def refuse_dependence(G: nn.Module, D: nn.Module) -> None:
    """Raise where what becomes of an example depends on those beside it, or on the process."""
    if not has_forward_pair(D):
        raise errors.not_one_by_one("D", "one without a method forward_pair(data, samples)")
    strange = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
    for name, network in (("G", G), ("D", D)):
        for module in network.modules():
            if isinstance(module, strange):
                raise errors.not_one_by_one(name, f"one with {type(module).__name__}")


def keep_freed_memory() -> None:
    """Have glibc keep what is freed at the end of a step for the next one.

    It gives large pieces back to the system, which then clears every page of them anew at each
    step, unless a larger one has been freed before (up to 32 MB). This frees one that was never
    touched.
    """
    torch.empty(_JUST_BELOW_32_MB, dtype=torch.uint8)
