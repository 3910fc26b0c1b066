"""Checks of G and D before the first update: networks that cannot be trained are refused."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from advnets.base import errors, torch_private
from advnets.base.distributed import Ranks
from advnets.game.objectives import LOSSES
from advnets.optim.momentum import Momentum
from advnets.sampling.samplers import evaluating

_SQUASHES = (
    *("Sigmoid", "LogSigmoid", "Softmax", "LogSoftmax", "Hardsigmoid", "Tanh", "Hardtanh"),
    *("Relu", "Softplus", "Elu", "Gelu", "Silu", "Mish"),
)
"""Operations whose values do not reach from minus to plus infinity, as autograd calls them."""
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


def rehearse(
    G: nn.Module,
    D: nn.Module,
    z: Tensor,
    told_G: Sequence[Tensor] = (),
    told_D: Sequence[Tensor] = (),
) -> tuple[int, ...]:
    """Pass samples of G through D once, and return the shape of a sample.

    Lazy modules (`nn.LazyLinear`) get their weights here.

    Raises:
        BadValue: For a G that does not accept z or returns no tensor; for a D that does not accept
            the samples, does not return one logit for each example, or ends in a bounded function;
            for either where autograd finds no path to its weights.
    """
    with evaluating(G), evaluating(D), torch.enable_grad():
        need = f"one that takes z of shape {tuple(z.shape)}, which the prior draws"
        x_g = _called(G, "G", need + _first_takes(G), z, *told_G)
        if not isinstance(x_g, Tensor):
            raise _not_a_tensor("G(z)", "samples (m, ...)", x_g)
        _refuse_detached("G(z)", x_g, G)
        need = f"one that takes G's samples, of shape {tuple(x_g.shape)}"
        out, logit = _called(D, "D", need, x_g, *told_D), getattr(D, "logit", None)
        pack = getattr(D, "pack", 1)
        logits = one_each(out if logit is None else logit(out), len(z) // pack)
        _refuse_detached("D(x)", logits, D)
    last = squashed_by(logits)
    if last is not None:
        raise errors.bad_value("D(x)", "a logit: leave out what squashes it at D's end", last)
    return tuple(x_g.shape[1:])


@contextlib.contextmanager
def normalising(examples: int) -> Iterator[None]:
    """Inside, torch's error on a minibatch of one in batch normalisation becomes `BadValue`."""
    try:
        yield
    except ValueError as error:
        if not str(error).startswith("Expected more than 1 value per channel"):
            raise
        need = "at least 2 examples for batch normalisation (a larger size, or drop the last)"
        raise errors.bad_value("minibatch", need, examples) from error


def refuse_other_pictures(D: nn.Module, x: Tensor, shape: tuple[int, ...], told: Any) -> None:
    """Raise for examples of as many numbers as samples have, in a shape that D does not take."""
    if tuple(x.shape[1:]) == shape:
        return
    need = f"one that takes examples of shape {tuple(x.shape)} (G's samples: {shape}; reshape x)"
    with evaluating(D), torch.no_grad():
        _called(D, "D", need, x, *told)


def refuse_other_kinds(G: object, D: object, prior: object, loss: object, **lists: object) -> None:
    """Raise for networks, a prior, a loss or lists that are something else."""
    for name, network in {"G": G, "D": D}.items():
        is_one = isinstance(network, nn.Module)
        errors.require(is_one, name, "a torch.nn.Module", errors.kind_of(network))
    is_prior = not isinstance(prior, type) and hasattr(prior, "dim") and hasattr(prior, "sample")
    errors.require(
        is_prior, "prior", "a prior such as advnets.Gaussian(100)", errors.kind_of(prior)
    )
    need = f"one of {', '.join(LOSSES)}, or an advnets.game.objectives.Loss"
    is_loss = isinstance(loss, str) or (callable(loss) and not isinstance(loss, type))
    is_loss &= isinstance(loss, str) or (
        not isinstance(loss, nn.Module) and hasattr(loss, "reads_data")
    )
    errors.require(is_loss, "objective", need, errors.kind_of(loss))
    for name, given in lists.items():
        errors.require(
            isinstance(given, Sequence), name, f"a list: {name}=[...]", errors.kind_of(given)
        )


def _first_takes(G: nn.Module) -> str:
    """What the first linear layer of G takes, as a hint."""
    first = next((m for m in G.modules() if isinstance(m, nn.Linear)), None)
    return f"; its first Linear takes {first.in_features}" if first is not None else ""


def _called(network: nn.Module, name: str, need: str, *inputs: Tensor) -> Any:
    try:
        return network(*inputs)
    except errors.UserError:
        raise
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise errors.does_not_play(name, need, error) from error


def _refuse_detached(name: str, out: Tensor, network: nn.Module) -> None:
    """Raise where a network has trainable weights that get no gradient."""
    moves = any(p.requires_grad for p in network.parameters())
    need = "computed by torch from the weights, with a gradient"
    errors.require(out.requires_grad or not moves, name, need, "a tensor without a gradient")


def one_each(logits: object, n: int) -> Tensor:
    """Logits, flat. Raises `BadValue` unless there is one for each of n examples."""
    if not isinstance(logits, Tensor):
        raise _not_a_tensor("D(x)", "logits, one an example", logits)
    if logits.numel() != n:
        raise errors.wrong_shape("D(x)", f"({n},): one logit an example", logits.shape)
    return logits.view(-1) if logits.is_contiguous() else logits.reshape(-1)


def _not_a_tensor(name: str, need: str, got: object) -> errors.BadValue:
    """The error where a network returns no tensor."""
    return errors.bad_value(name, f"a tensor of {need}", f"a {type(got).__name__}")


def squashed_by(logits: Tensor) -> str | None:
    """The operation of bounded range that these logits come from, reshaped or not."""
    node: Any = logits.grad_fn
    while node is not None:
        name = type(node).__name__.partition("Backward")[0].lstrip("_")
        if name in _SQUASHES:
            return name
        if name not in _SHAPES or not node.next_functions:
            return None
        node = node.next_functions[0][0]
    return None


def refuse_foreign_optimizers(**players: tuple[nn.Module, torch.optim.Optimizer]) -> None:
    """Raise `BadValue` for an optimizer with parameters of another network, or one that maximises.

    Weights that were made in torch's inference mode, and those of TorchScript, cannot be played.
    """
    for name, (network, optimizer) in players.items():
        known = isinstance(optimizer, torch.optim.Optimizer)
        known &= not isinstance(optimizer, torch.optim.SparseAdam)
        got = optimizer if isinstance(optimizer, type) else type(optimizer)
        need = "an optimiser of torch's kind, for dense gradients: torch.optim.Adam"
        errors.require(known, f"{name}_optimizer", f"{need}({name}.parameters())", got.__name__)
        scripted = isinstance(network, torch_private.script_modules())
        errors.require(not scripted, name, "a module of Python, not yet scripted", "a ScriptModule")
        weights = list(network.parameters())
        made = torch.is_inference_mode_enabled() or any(
            p.is_inference() for p in weights if not isinstance(p, UninitializedParameter)
        )
        errors.require(not made, name, "made outside torch.inference_mode()", "made inside")
        uphill = any(group.get("maximize") for group in optimizer.param_groups)
        need = "an optimiser that descends; the game turns V round for D itself"
        errors.require(not uphill, f"{name}_optimizer", need, "maximize=True")
        own = {id(p) for p in weights}
        moved = {id(p) for group in optimizer.param_groups for p in group["params"]}
        need = f"an optimiser of {name}'s own parameters"
        errors.require(moved <= own, f"{name}_optimizer", need, "other parameters")


def refuse_to_compile(
    added: Sequence[object], optimizers: Sequence[torch.optim.Optimizer], ranks: Ranks
) -> None:
    """Raise `BadValue` for a game whose step cannot be compiled as a whole."""
    if added:
        raise errors.bad_value(
            "compile", f"False in a game with a term beside V ({type(added[0]).__name__})", True
        )
    for optimizer in optimizers:
        if ranks.world > 1 or not isinstance(optimizer, Momentum):
            raise errors.bad_value(
                "model.compile",
                "False but for the momentum rule in one process",
                f"True with {type(optimizer).__name__} in {ranks.world}",
            )
