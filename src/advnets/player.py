"""A player: a network, the rule that moves its weights, and the copy of it that plays.

Reference: Goodfellow et al. (2014), Algorithm 1: "any standard gradient-based learning rule".
"""

import contextlib
import copy
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from advnets import checks, dropout, layers
from advnets.checkpoints import below
from advnets.optim import Schedule, load_optimizer_state, optimizer_state, refuse_foreign_state
from advnets.ranks import ALONE, Ranks

Precision = Literal["float32", "bfloat16"]
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
        self.network, self.optimizer, self.schedule = network, optimizer, schedule
        self.ranks = ranks
        self.plays = in_bfloat16(network) if precision == "bfloat16" else network
        self._own: list[Tensor] = [p for p in network.parameters() if p.requires_grad]
        self.weights: list[Tensor] = [p for p in self.plays.parameters() if p.requires_grad]
        checks.require(bool(self._own), "network", "one with a weight that moves", "none")
        self._last: Sequence[Tensor | None] = []
        # Gradients that are written into the same memory each time: of float32 those too large for
        # the system to keep it, since oneDNN cannot write there. A weight that two layers share is
        # lent it for one of them.
        affine = [layer for layer in self.plays.modules() if isinstance(layer, layers.Affine)]
        memory = {
            id(layer.weight): torch.zeros_like(layer.weight, requires_grad=False)
            for layer in affine
            if layer.weight.dtype != torch.float32 or layer.weight.nbytes > _JUST_BELOW_32_MB
        }
        self._lent = [(layer, memory.pop(id(layer.weight), None)) for layer in affine]
        self._flat = self._own[0].detach().new_empty(0)
        self.random = dropout.stochastic(self.plays)
        self._counted = list(zip(network.buffers(), self.plays.buffers(), strict=True))
        self._constrain = getattr(network, "constrain", None)
        # The rule without what torch wraps around it for profilers and hooks: those break a graph.
        self._bare_step = torch.no_grad()(inspect.unwrap(type(optimizer).step))

    def logits(self, *parts: Tensor, c: tuple[Tensor, ...] = ()) -> Tensor:
        """D's logits on each part in turn, flat. Raises `BadValue` unless one an example.

        Args:
            parts: Samples, or data and samples.
            c: What D is told of the rows of each part alike; empty where it is told nothing.
        """
        network: Any = self.plays
        logits: Tensor = network(*parts, *c) if len(parts) == 1 else network.both(*parts, *c)
        n = sum(map(len, parts))
        if logits.numel() != n:
            raise checks.wrong_shape("D(x)", f"({n},): one logit an example", logits.shape)
        return logits.view(-1)

    def gradient(
        self,
        of: Tensor,
        along: Tensor | None = None,
        *,
        beside: Sequence[Tensor] = (),
        keep_graph: bool = False,
    ) -> Sequence[Tensor | None]:
        """The gradient of `of` in this player's weights and what is `beside`, in nothing else."""
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
        return weights | {f"optimizer.{n}": t for n, t in optimizer_state(self.optimizer).items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`."""
        load_weights(self.network, below("network.", state))
        if self.plays is not self.network:
            self.plays.load_state_dict(self.network.state_dict())
        refuse_foreign_state(self.optimizer, below("optimizer.", state))
        load_optimizer_state(self.optimizer, below("optimizer.", state))


def in_bfloat16(network: nn.Module) -> nn.Module:
    """A copy with its weights in bfloat16, but for layers that count in float buffers of theirs."""
    twin = copy.deepcopy(network)
    for module in twin.modules():
        if not any(buffer.is_floating_point() for buffer in module.buffers(recurse=False)):
            for p in module.parameters(recurse=False):
                p.data = p.data.bfloat16()
    return twin


def load_weights(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a network's weights. Raises `BadValue` where a name or a shape differs."""
    own = network.state_dict()
    for name in {**own, **state}:
        need, got = (tuple(s[name].shape) if name in s else "absent" for s in (own, state))
        checks.require(need == got, name, f"of shape {need}", got)
    network.load_state_dict(dict(state))


def refuse_dependence(G: nn.Module, D: nn.Module) -> None:
    """Raise where what becomes of an example depends on those beside it, or on the process."""
    if not hasattr(D, "both"):
        raise checks.not_one_by_one("D", "one without a method both(x, x_g)")
    strange = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
    for name, network in (("G", G), ("D", D)):
        for module in network.modules():
            if isinstance(module, strange):
                raise checks.not_one_by_one(name, f"one with {type(module).__name__}")


def keep_freed_memory() -> None:
    """Have glibc keep what is freed at the end of a step for the next one.

    It gives large pieces back to the system, which then clears every page of them anew at each
    step, unless a larger one has been freed before (up to 32 MB). This frees one that was never
    touched.
    """
    torch.empty(_JUST_BELOW_32_MB, dtype=torch.uint8)
