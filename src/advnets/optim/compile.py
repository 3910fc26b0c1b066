"""A step captured with its gradients and compiled by torch.

What is lost between the operations of an eager step, in Python and in passes over memory, a
compiler can spare: it sees them all at once.
"""

import functools
import importlib
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from advnets.base import errors

Result = TypeVar("Result")
GRADIENTS = "trace_autograd_ops"
"""Torch's option that has a graph hold calls of autograd too."""


def whole(step: Callable[..., Result], *, backend: str = "inductor") -> Callable[..., Result]:
    """The same function of tensors, compiled at its first call, which takes half a minute.

    Args:
        step: What is captured.
        backend: Who compiles it, of those that torch knows; 'aot_eager' only captures.

    Raises:
        BadValue: Where this torch cannot capture gradients; from the call, where a network does
            what cannot be captured, or the system has no C++ compiler (for a CPU).
    """
    dynamo: Any = importlib.import_module("torch._dynamo")  # heavy, and needed only here
    if not hasattr(dynamo.config, GRADIENTS):
        raise errors.not_captured(f"torch {torch.__version__} cannot capture gradients")
    graph = torch.compile(step, fullgraph=True, dynamic=False, backend=backend)

    @functools.wraps(step)
    def compiled(*arguments: Any) -> Result:
        with dynamo.config.patch({GRADIENTS: True}):
            try:
                return graph(*arguments)
            except dynamo.exc.TorchDynamoException as error:
                raise errors.not_captured(error) from error

    return compiled
