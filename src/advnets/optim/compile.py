"""A step captured with its gradients and compiled by torch.

A compiler fuses operations and removes Python overhead between them, because it sees the whole step
at once.
"""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from advnets.base import errors, torch_private

Result = TypeVar("Result")
GRADIENTS = "trace_autograd_ops"
"""Torch's option that lets a graph contain calls of autograd."""


def compile_step(
    step: Callable[..., Result], *, backend: str = "inductor"
) -> Callable[..., Result]:
    """The same function of tensors, compiled at its first call, which takes half a minute.

    Args:
        step: What is captured.
        backend: A backend of `torch.compile`; 'aot_eager' captures without compiling.

    Raises:
        BadValue: Where this torch cannot capture gradients; at the first call, where a network
            cannot be captured, or the system has no C++ compiler (for a CPU).
    """
    dynamo = torch_private.dynamo()
    if not hasattr(getattr(dynamo, "config", None), GRADIENTS):
        raise _not_captured(f"torch {torch.__version__} cannot capture gradients")
    graph = torch.compile(step, fullgraph=True, dynamic=False, backend=backend)

    @functools.wraps(step)
    def compiled(*arguments: Any) -> Result:
        with dynamo.config.patch({GRADIENTS: True}):
            try:
                return graph(*arguments)
            except torch_private.capture_error(dynamo) as error:
                raise _not_captured(error) from error

    return compiled


def _not_captured(why: object) -> errors.BadValue:
    """The error for a torch, a network or a system with which the step cannot be compiled."""
    lines = [line.strip() for line in str(why).splitlines() if line.strip()]
    reason = (lines or ["no reason given"])[0][:200]
    return errors.bad_value("model.compile", f"False here ({reason})", True)
