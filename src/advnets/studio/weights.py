"""The weights of a generator or an encoder for the page, in fewer bits, with what that costs."""

import base64
import copy
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from advnets.base import errors
from advnets.base.choices import Format
from advnets.extensions.conditionals import Unseen
from advnets.networks import Generator
from advnets.networks.encoder import LEAK, Encoder
from advnets.studio import rounding

UNITS = {nn.ReLU: "relu", nn.Sigmoid: "sigmoid", nn.Identity: "linear", nn.LeakyReLU: "leaky"}
MOST = 12_000_000
"""Weights that a browser is given; a larger network is computed by the server."""
NARROW, WIDE = 256, 4_096
"""Maps of more inputs than the one, and at most the other, have integer weights."""
SMALL = 0.1
"""Another map keeps float32 where it has at most this share of all weights."""


class Layer(NamedTuple):
    """An affine map with the units after it."""

    affine: nn.Linear
    unit: nn.Module
    outputs: int
    """Rows that are sent: of a stochastic encoder's last layer those of the mean."""


def layers(network: nn.Module) -> list[Layer] | None:
    """The layers of a multilayer perceptron, G or E; None for any other network.

    Of a G of all conditionals they take z, m x and m side by side.
    """
    modules = _in_order(network)
    maps, units = modules[::2], modules[1::2]
    few = sum(p.numel() for p in network.parameters()) <= MOST
    affine = [m for m in maps if isinstance(m, nn.Linear)]
    plain = len(affine) == len(maps) == len(units) and all(map(_known, units))
    if not (modules and plain and few):
        return None
    found = [Layer(m, u, m.out_features) for m, u in zip(affine, units, strict=True)]
    if isinstance(network, Encoder):
        found[-1] = found[-1]._replace(outputs=network.z_dim)
    return found


def _in_order(network: nn.Module) -> list[nn.Module]:
    """Affine maps and units by turns; none of a network of another kind."""
    if type(network) is Unseen:
        network = network.G.G
    if type(network) is Generator:
        return [*network.net, network.squash]
    if type(network) is Encoder:
        return [*network.body, network.last, nn.Identity()]
    return []


def _known(unit: nn.Module) -> bool:
    return type(unit) in UNITS and getattr(unit, "negative_slope", LEAK) == LEAK


def packed(network: nn.Module, how: Format, rows: Tensor) -> tuple[list[dict[str, Any]], nn.Module]:
    """The layers of G or E as the page reads them, and a network of the weights that arrive there.

    With `int8` the maps of more than 256 inputs have integer weights, two thirds of them of 8 bits
    (`rounding`). Inputs of narrower maps are hardly correlated, so that no weight can make up for
    another: such a map is float32 where it has at most a tenth of the weights, else float16. So is
    one of more than 4,096 inputs, for which the rounding takes too long.

    Args:
        network: G or E.
        how: The type of the weights.
        rows: Inputs `(n, inputs)` such as the page will give; `int8` weights are rounded for them.

    Raises:
        BadValue: For an unknown type, or a network that is no multilayer perceptron.
    """
    errors.one_of(("float32", "float16", "int8"), weights=how)
    found = layers(network)
    if found is None:
        need = "a multilayer perceptron of the library"
        raise errors.bad_value("network", need, type(network).__name__)
    arrived, sent = copy.deepcopy(network), []
    exact = seen = rows.to(found[0].affine.weight)
    total = sum(own.affine.weight.numel() for own in found)
    with torch.no_grad():
        for own, other in zip(found, layers(arrived) or [], strict=True):
            outputs = own.affine(exact)
            share = own.affine.weight.numel() / total
            told, W, bias = _sent(own, _kind(own, how, share), seen, outputs[:, : own.outputs])
            sent.append(told)
            other.affine.weight[: own.outputs] = W.to(other.affine.weight)
            other.affine.bias[: own.outputs] = bias.to(other.affine.bias)
            exact, seen = own.unit(outputs), other.unit(other.affine(seen))
    return sent, arrived


def _kind(own: Layer, how: Format, share: float) -> Format:
    """The type of one map's weights."""
    if how != "int8" or NARROW < own.affine.in_features <= WIDE:
        return how
    return "float32" if share <= SMALL else "float16"


def _sent(
    own: Layer, how: Format, x: Tensor, outputs: Tensor
) -> tuple[dict[str, Any], Tensor, Tensor]:
    """An affine map as JSON holds it, and the weights and biases that arrive.

    Args:
        own: The map and its units.
        how: The type of the weights.
        x: Inputs of the map on the page.
        outputs: What the exact map gives in the exact network.
    """
    W, bias = (t.detach()[: own.outputs].float().cpu() for t in own.affine.parameters())
    inputs = own.affine.in_features
    told: dict[str, Any] = {"inputs": inputs, "units": own.outputs, "unit": UNITS[type(own.unit)]}
    if how == "int8":
        found = rounding.affine(x.cpu(), outputs.cpu(), W)
        W, bias = found.weights(), found.bias
        told |= {"format": "int8", "weight": text(found.q.numpy())}
        told |= {"wide": text(found.wide.numpy().astype("<i2")), "order": found.order.tolist()}
        told |= {"scales": text(found.scales.numpy().astype("<f4"))}
    else:
        array = W.numpy().astype("<f2" if how == "float16" else "<f4")
        W = torch.from_numpy(array.astype(np.float32))
        told |= {"format": array.dtype.name, "weight": text(array)}
    return told | {"bias": text(bias.numpy().astype("<f4"))}, W, bias


def kinds(sent: Sequence[Mapping[str, Any]]) -> str:
    """The types of the weights that are sent, in words."""
    return " and ".join(dict.fromkeys(layer["format"] for layer in sent))


def outputs(network: nn.Module, rows: Tensor) -> Tensor:
    """What the layers give for rows of inputs, as the page computes it."""
    found = layers(network) or []
    x = rows.to(found[0].affine.weight)
    with torch.no_grad():
        for layer in found:
            x = layer.unit(layer.affine(x)[:, : layer.outputs])
    return x


def text(array: np.ndarray[Any, Any]) -> str:
    """The bytes of an array, in base 64."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
