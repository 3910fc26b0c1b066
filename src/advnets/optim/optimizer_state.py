"""The state of an optimizer as named tensors."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from advnets.base import errors


def laid_out_as(weight: Tensor, t: Tensor) -> Tensor:
    """A tensor of a weight's shape with the strides of the weight in memory.

    Fused optimizers pair the numbers of a weight, its gradient and its state by their place in
    memory, without regard to strides; a convolution's gradient may be channels-last.
    """
    if t.shape != weight.shape or t.stride() == weight.stride():
        return t
    return torch.empty_like(weight, dtype=t.dtype).copy_(t)


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The state of an optimizer as named tensors: `"3.velocity"` belongs to parameter 3."""
    return {
        f"{i}.{name}": torch.as_tensor(v)
        for i, entry in optimizer.state_dict()["state"].items()
        for name, v in entry.items()
        if v is not None
    }


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    """The inverse of `optimizer_state`; it replaces the whole state."""
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    entries: dict[int, dict[str, Any]] = {}
    for key, tensor in state.items():
        at, name = key.split(".", 1)
        i = int(at)
        own = tensor.clone()
        entries.setdefault(i, {})[name] = laid_out_as(weights[i], own) if i < len(weights) else own
    optimizer.load_state_dict({**optimizer.state_dict(), "state": entries})


def group_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The numbers of an optimizer's groups, which schedulers set: `"0.lr"` is that of group 0.

    Other settings, such as which kernels it uses, are left out.
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
    """The inverse of `group_state`; settings that the state lacks are unchanged."""
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
"""Parts of the state that have one number for each weight."""


def refuse_foreign_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    """Raise `BadValue` where a state does not fit the weights."""
    weights = [p for group in optimizer.param_groups for p in group["params"]]
    for key, tensor in state.items():
        i, _, name = key.partition(".")
        if i.isdecimal() and name in ELEMENTWISE:
            own = weights[int(i)].shape if int(i) < len(weights) else "absent"
            need, got = own if own == "absent" else tuple(own), tuple(tensor.shape)
            errors.require(need == got, f"optimizer.{key}", f"of shape {need}", got)
    _refuse_gaps(optimizer, state)


def _refuse_gaps(optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    """Raise where a weight lacks a part of the state that other weights of its group have."""
    parts: dict[str, set[str]] = {}
    for key in state:
        i, _, name = key.partition(".")
        parts.setdefault(i, set()).update({name} & {"step", *ELEMENTWISE})
    first = 0
    for group in optimizer.param_groups:
        own = [str(first + i) for i in range(len(group["params"]))]
        first += len(own)
        every = set().union(*(parts.get(i, set()) for i in own))
        for i in sorted(parts.keys() & {*own}):
            for name in sorted(every - parts[i]):
                need = "present, as for other weights"
                raise errors.bad_value(f"optimizer.{i}.{name}", need, "absent")
