"""Copies of a network: the moving average of G, and the copy that computes in bfloat16.

A copy runs the network's hooks, including those that are registered later.
"""

import copy
import functools
from typing import Any

import torch
from torch import Tensor, nn

from advnets.base import errors, torch_private
from advnets.nn.batch_norm import BatchNorm
from advnets.nn.linear import HOOKS
from advnets.nn.spectral_norm import SpectralAffine, SpectralConv

_MIXED = (*torch_private.running_norms(), BatchNorm, SpectralAffine, SpectralConv)
"""Layers that take bfloat16 while their weights and buffers are in float32."""


def copied(network: nn.Module) -> nn.Module:
    """A copy of a network, with its hooks.

    Tensors that a forward pass left on a module (the weight that a hook of `spectral_norm` or
    `weight_norm` computed) are copied without their graph.

    Raises:
        BadValue: Where Python cannot copy it.
    """
    left = [v for m in network.modules() for v in m.__dict__.values() if isinstance(v, Tensor)]
    memo: dict[int, Any] = {id(t): t.detach().clone() for t in left if not t.is_leaf}
    for module in network.modules():  # a hook is shared, not copied with all that it refers to
        for name in HOOKS:
            hooks = module.__dict__.get(name)
            if hooks is not None:
                memo[id(hooks)] = hooks
    try:
        return copy.deepcopy(network, memo)
    except Exception as error:
        raise _not_copied(type(network).__name__, error) from error


def _not_copied(network: str, why: object) -> errors.BadValue:
    """A network of which Python cannot make a copy, for the average of G or for bfloat16."""
    reason = " ".join(str(why).split())[:200]
    return errors.bad_value("network", "one that copy.deepcopy takes", f"a {network} ({reason})")


def share_hooks(network: nn.Module, twin: nn.Module) -> None:
    """Share hooks that were registered on the network after the copy was made."""
    own = dict(network.named_modules())
    for path, module in twin.named_modules():
        if path in own:
            for name in ("_is_full_backward_hook", *HOOKS):
                module.__dict__[name] = own[path].__dict__.get(name)


def in_bfloat16(network: nn.Module) -> nn.Module:
    """A copy with weights in bfloat16, except for layers with floating-point buffers.

    Such a layer and its submodules stay in float32: inputs are cast to float32 and outputs back.
    """
    twin = copied(network)
    _round(twin)
    return twin


def _round(module: nn.Module) -> None:
    if _counts(module):
        if not isinstance(module, _MIXED):
            module.forward = functools.partial(_in_float32, module)
        return
    for p in module.parameters(recurse=False):
        if p.is_floating_point():
            p.data = p.data.bfloat16()
    for child in module.children():
        _round(child)


def _counts(module: nn.Module) -> bool:
    """Whether a module, or a parametrisation of its weights, has floating-point buffers."""
    parametrizations = module._modules.get("parametrizations")
    whole = [] if parametrizations is None else list(parametrizations.buffers())
    return any(b.is_floating_point() for b in (*module.buffers(recurse=False), *whole))


def _in_float32(module: nn.Module, *arguments: Any, **named: Any) -> Any:
    """The module's own `forward`, between a cast to float32 and one back."""
    first = next((a.dtype for a in arguments if isinstance(a, Tensor)), torch.float32)

    def cast(value: Any, dtype: torch.dtype) -> Any:
        real = isinstance(value, Tensor) and value.is_floating_point()
        return value.to(dtype) if real else value

    inputs = [cast(a, torch.float32) for a in arguments]
    options = {name: cast(value, torch.float32) for name, value in named.items()}
    return cast(type(module).forward(module, *inputs, **options), first)
