"""The training state of a network: its weights, its optimizer, and the copy that computes.

Reference: Goodfellow et al. (2014), Algorithm 1: "any standard gradient-based learning rule".
"""

import contextlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from advnets.base import errors, torch_private
from advnets.base.distributed import ALONE, Ranks
from advnets.base.state import below
from advnets.nn import dropout, linear
from advnets.nn.batch_norm import BatchNorm
from advnets.optim.copies import in_bfloat16, share_hooks
from advnets.optim.optimizer_state import (
    group_state,
    laid_out_as,
    load_group_state,
    load_optimizer_state,
    optimizer_state,
    refuse_foreign_state,
)
from advnets.optim.schedules import Schedule
from advnets.storage.environment import Precision

_JUST_BELOW_32_MB = 31 * 2**20


class TrainState:
    """A network, its optimizer and its schedule.

    Args:
        network: G or D, whose weights the optimizer updates. Its method `constrain()`, if any, is
            called after every update.
        optimizer: Any torch optimizer of the network's parameters.
        schedule: Learning rate and momentum by minibatch number; None leaves the optimizer
            unchanged.
        precision: In 'bfloat16' a copy of the network computes (`compute_module`). Its weights are
            cast from the network's once an update.
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
        refuse_optimizer(optimizer, schedule)
        self.network, self.optimizer, self.schedule = network, optimizer, schedule
        self.ranks = ranks
        for module in network.modules():
            if isinstance(module, BatchNorm):
                module.processes = ranks.world
        self.compute_module = in_bfloat16(network) if precision == "bfloat16" else network
        self._own: list[Tensor] = [p for p in network.parameters() if p.requires_grad]
        self.weights: list[Tensor] = [
            p for p in self.compute_module.parameters() if p.requires_grad
        ]
        errors.require(bool(self._own), "network", "one with a weight that moves", "none")
        self._last: Sequence[Tensor | None] = []
        # Gradients that are written into the same memory each time: of float32 those too large for
        # the system to keep it, since oneDNN cannot write there. A weight that two layers share is
        # lent it for one of them.
        affine = [
            layer for layer in self.compute_module.modules() if isinstance(layer, linear.Affine)
        ]
        memory = {
            id(layer.weight): torch.zeros_like(layer.weight, requires_grad=False)
            for layer in affine
            if "weight" in layer._parameters  # and not computed from others
            if layer.weight.dtype != torch.float32 or layer.weight.nbytes > _JUST_BELOW_32_MB
        }
        self._grad_buffers = [(layer, memory.pop(id(layer.weight), None)) for layer in affine]
        self._lent: set[int] = set()  # addresses of memory with a gradient that moved nothing yet
        self._flat = self._own[0].detach().new_empty(0)
        self.random = dropout.stochastic(self.compute_module)
        self._counted = list(zip(network.buffers(), self.compute_module.buffers(), strict=True))
        self._constrain = getattr(network, "constrain", None)
        self._bare_step = torch_private.bare_step(optimizer)

    def __getstate__(self) -> dict[str, Any]:
        return {name: v for name, v in self.__dict__.items() if name != "_bare_step"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._bare_step = torch_private.bare_step(self.optimizer)

    def train_mode(self) -> None:
        """Put the network and the copy that computes in training mode.

        A submodule in evaluation mode whose weights are all frozen stays in evaluation mode: that
        is how a pretrained part is kept unchanged.
        """
        for network in {self.network, self.compute_module}:
            frozen = [m for m in network.modules() if not m.training and _frozen(m)]
            asleep = [part for m in frozen for part in m.modules() if not part.training]
            network.train()
            for module in asleep:
                module.training = False

    @property
    def hooked(self) -> bool:
        """Whether the network has hooks or parametrised weights."""
        if torch.compiler.is_compiling():
            return False
        modules = list(self.network.modules())
        return any("parametrizations" in m._modules or linear.hooked(m) for m in modules)

    def share_hooks(self) -> None:
        """Share the network's hooks with the copy that computes; called before a step."""
        if self.compute_module is not self.network:
            share_hooks(self.network, self.compute_module)

    def gradient(
        self,
        of: Sequence[Tensor],
        along: Sequence[Tensor | None],
        *,
        beside: Sequence[Tensor] = (),
        keep_graph: bool = False,
    ) -> Sequence[Tensor | None]:
        """The gradient of the sum of `of` in the network's weights and in `beside`.

        It stays valid until it is passed to `update`; later gradients may reuse its memory. A
        frozen weight has None.

        Args:
            of: Tensors that are differentiated.
            along: The cotangent of each, of the same shape.
            beside: Other tensors to differentiate with respect to; their gradients follow those of
                the weights.
            keep_graph: Whether the graph is kept for another backward pass.
        """
        moving = [p.requires_grad for p in self._own]
        inputs = [w for w, moves in zip(self.weights, moving, strict=True) if moves]
        inputs += beside
        if not inputs or not any(t.requires_grad for t in of):
            return [None] * (len(moving) + len(beside))
        options: dict[str, Any] = {"retain_graph": keep_graph, "allow_unused": True}
        with contextlib.nullcontext() if torch.compiler.is_compiling() else self._lending():
            found = torch.autograd.grad(of, inputs, along, **options)
        if all(moving):
            return found
        rest = iter(found)
        return [next(rest) if moves else None for moves in moving] + list(rest)

    @contextlib.contextmanager
    def _lending(self) -> Iterator[None]:
        """Inside, gradients are written into buffers that no caller holds a gradient in."""
        free = [
            (layer, memory)
            for layer, memory in self._grad_buffers
            if memory is not None and memory.data_ptr() not in self._lent
        ]
        for layer, memory in free:
            layer.grad_buffer = memory
        try:
            yield
        finally:
            for layer, memory in free:
                if layer.grad_buffer is None:
                    self._lent.add(memory.data_ptr())
                layer.grad_buffer = None

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Inside, outputs of the network have no gradient in its weights.

        Afterwards weights that the user froze are still frozen.
        """
        compiled = torch.compiler.is_compiling()
        weights = [] if compiled else [p for p in self.weights if p.requires_grad]
        layers = [layer for layer, _ in self._grad_buffers if not layer.frozen]
        for p in weights:
            p.requires_grad_(False)
        for layer in layers:
            layer.frozen = True
        try:
            yield
        finally:
            for p in weights:
                p.requires_grad_(True)
            for layer in layers:
                layer.frozen = False

    def update(self, gradient: Sequence[Tensor | None], minibatch: Tensor) -> None:
        """Update the weights by a gradient."""
        self._last = self._added_up(gradient)
        captured = torch.compiler.is_compiling()  # then there is memory for everything
        if not captured and self._lent:
            self._lent -= {g.data_ptr() for g in gradient if g is not None}
        for p, g in zip(self._own, self._last, strict=True):
            if g is None or captured:
                p.grad = None if g is None else g.to(p.dtype)
            elif g.dtype == p.dtype or p.grad is None:
                p.grad = laid_out_as(p, g.to(p.dtype))
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
        """The gradient summed over the processes, in one exchange."""
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
        """Copy the weights to the copy that computes."""
        if self.compute_module is not self.network:
            torch_private.copy_all(self.weights, self._own)

    @torch.no_grad()
    def sync_buffers(self) -> None:
        """Copy the buffers of the copy that computes (running statistics) back to the network."""
        if self.compute_module is not self.network:
            for own, played in self._counted:
                own.copy_(played)

    def reset(self) -> None:
        """Copy the network's weights to the copy that computes, and reset the optimizer's state."""
        self.optimizer.state.clear()
        if self.compute_module is not self.network:
            self.compute_module.load_state_dict(self.network.state_dict())

    def state(self) -> dict[str, Tensor]:
        """Weights, buffers and the state of the optimizer."""
        weights = {f"network.{name}": t for name, t in self.network.state_dict().items()}
        groups = {f"group.{n}": t for n, t in group_state(self.optimizer).items()}
        remembered = {f"optimizer.{n}": t for n, t in optimizer_state(self.optimizer).items()}
        return weights | groups | remembered

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state`."""
        load_weights(self.network, below("network.", state))
        if self.compute_module is not self.network:
            self.compute_module.load_state_dict(self.network.state_dict())
        refuse_foreign_state(self.optimizer, below("optimizer.", state))
        load_optimizer_state(self.optimizer, below("optimizer.", state))
        load_group_state(self.optimizer, below("group.", state))


def _frozen(module: nn.Module) -> bool:
    weights = list(module.parameters())
    return bool(weights) and not any(p.requires_grad for p in weights)


def refuse_optimizer(optimizer: torch.optim.Optimizer, schedule: object) -> None:
    """Raise for an optimizer or a schedule that a game cannot use."""
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise errors.bad_value(
            "optimizer",
            "one whose step() needs no closure, such as torch.optim.Adam",
            type(optimizer).__name__,
        )
    if schedule is not None and not hasattr(schedule, "apply"):
        raise _not_a_schedule(type(schedule).__name__)


def _not_a_schedule(got: str) -> errors.BadValue:
    """The error for a torch scheduler in place of a `Schedule`."""
    need = (
        "an advnets.optim.schedules.Schedule or None (call a torch scheduler's step() after "
        "game.step() in a loop of your own)"
    )
    return errors.bad_value("schedules", need, got)


def has_forward_pair(D: nn.Module) -> bool:
    """Whether D has its own `forward_pair`, which promises that it treats examples independently.

    A `forward_pair` that is inherited past an overridden `forward` does not count.
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
    """Raise where the output for an example depends on other examples, or on the process."""
    if not has_forward_pair(D):
        raise _not_one_by_one("D", "one without a method forward_pair(data, samples)")
    strange = (*torch_private.batch_norms(), *torch_private.dropouts())
    for name, network in (("G", G), ("D", D)):
        for module in network.modules():
            if isinstance(module, strange):
                raise _not_one_by_one(name, f"one with {type(module).__name__}")


def _not_one_by_one(network: str, why: str) -> errors.BadValue:
    """The error for a network whose results depend on the number of processes."""
    need = "a network that treats every example by itself, to be played by several processes"
    return errors.bad_value(network, need, why)


def keep_freed_memory() -> None:
    """Let glibc keep memory that is freed at the end of a step for the next one.

    By default it returns large blocks to the system, which then clears every page of them at each
    step. It stops doing so after a larger block (up to 32 MB) was freed; this frees one that was
    never touched.
    """
    torch.empty(_JUST_BELOW_32_MB, dtype=torch.uint8)
