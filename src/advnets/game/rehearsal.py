"""What G and D make of each other before the first update: what cannot be played is refused."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.sampling.samplers import evaluating

_SQUASHES = ("Sigmoid", "LogSigmoid", "Softmax", "LogSoftmax", "Hardsigmoid")
_SHAPES = (
    "View",
    "UnsafeView",
    "Squeeze",
    "Unsqueeze",
    "ReshapeAlias",
    "ToCopy",
    "Select",
    "Alias",
)


def rehearse(G: nn.Module, D: nn.Module, z: Tensor, c: Sequence[Tensor] = ()) -> tuple[int, ...]:
    """Let D see G's samples of z, and give the shape of one.

    Modules that wait for their first input (`nn.LazyLinear`) get their weights here.

    Raises:
        BadValue: For a G that does not take z or gives no tensor, a D that does not take its
            samples, does not give one logit an example, or squashes it.
    """
    with evaluating(G), evaluating(D), torch.enable_grad():
        x_g = _called(G, "G", f"one that takes z of shape {tuple(z.shape)}", z, *c)
        if not isinstance(x_g, Tensor):
            raise errors.not_a_tensor("G(z)", "samples (m, ...)", x_g)
        need = f"one that takes G's samples, of shape {tuple(x_g.shape)}"
        out, logit = _called(D, "D", need, x_g, *c), getattr(D, "logit", None)
        pack = getattr(D, "pack", 1)
        logits = one_each(out if logit is None else logit(out), len(z) // pack)
    last = squashed_by(logits)
    if last is not None:
        raise errors.not_logits(last)
    return tuple(x_g.shape[1:])


def _called(network: nn.Module, name: str, need: str, *inputs: Tensor) -> Any:
    try:
        return network(*inputs)
    except errors.UserError:
        raise
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise errors.does_not_play(name, need, error) from error


def one_each(logits: object, n: int) -> Tensor:
    """Logits, flat. Raises `BadValue` unless there is one for each of n examples."""
    if not isinstance(logits, Tensor):
        raise errors.not_a_tensor("D(x)", "logits, one an example", logits)
    if logits.numel() != n:
        raise errors.wrong_shape("D(x)", f"({n},): one logit an example", logits.shape)
    return logits.view(-1) if logits.is_contiguous() else logits.reshape(-1)


def squashed_by(logits: Tensor) -> str | None:
    """The function into a bounded interval that these come out of, whatever has reshaped them."""
    node: Any = logits.grad_fn
    while node is not None:
        name = type(node).__name__.partition("Backward")[0].lstrip("_")
        if name in _SQUASHES:
            return name
        if name not in _SHAPES or not node.next_functions:
            return None
        node = node.next_functions[0][0]
    return None
