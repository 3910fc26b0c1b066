r"""Spectral normalisation: layers whose largest singular value is 1.

.. math:: \bar W = W / \sigma(W), \qquad \sigma(W) \approx u^\top W v

with u, v the singular vectors, updated by one step of power iteration in each training pass. A
kernel is treated as a matrix, `(out, in * size * size)`.

u is part of the layer's state, and its initial value comes from an explicit generator. A bfloat16
copy of a network keeps these layers' weights in float32 (they have a floating-point buffer): u and
sigma are computed there, and the normalised weight is rounded.

Reference: Miyato et al. (2018), Spectral Normalization for Generative Adversarial Networks.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advnets.base import torch_private

FIRST = 20
"""Steps of power iteration before the first pass."""


class _Spectral(nn.Module):
    """The common state and normalisation of convolutions and affine maps."""

    u: Tensor
    weight: Tensor

    def init_vectors(self, *, rng: torch.Generator) -> None:
        """Draw u, and iterate it towards the singular vector of the current weight."""
        u = torch.randn(len(self.weight), generator=rng).to(self.weight)
        self.register_buffer("u", F.normalize(u, dim=0))
        for _ in range(FIRST):
            self._iterate()

    @torch.no_grad()
    def _iterate(self) -> None:
        with torch.autocast(self.u.device.type, enabled=False):
            W = self.weight.flatten(1)
            self.u.copy_(F.normalize(W @ F.normalize(W.T @ self.u, dim=0), dim=0))

    def normalised(self) -> Tensor:
        """The weight divided by its largest singular value; both are differentiated."""
        if self.training:
            self._iterate()
        with torch.autocast(self.u.device.type, enabled=False):  # in the weight's own precision
            W, u = self.weight.flatten(1), self.u.clone()
            with torch.no_grad():
                v = F.normalize(W.T @ u, dim=0)
            return self.weight / torch.dot(u, W @ v)


class SpectralConv(_Spectral, nn.Conv2d):
    """A spectrally normalised convolution."""

    def forward(self, x: Tensor) -> Tensor:
        """`(n, in, H, W)` to `(n, out, H', W')`."""
        assert self.bias is not None
        weight, bias = self.normalised().to(x.dtype), self.bias.to(x.dtype)
        return F.conv2d(x, weight, bias, self.stride, self.padding)


class SpectralAffine(_Spectral, nn.Linear):
    """A spectrally normalised affine map."""

    def forward(self, x: Tensor) -> Tensor:
        """`(n, in)` to `(n, out)`."""
        bias = None if self.bias is None else self.bias.to(x.dtype)
        return F.linear(x, self.normalised().to(x.dtype), bias)


class SpectralProjectionHead(nn.Module):
    r"""The logit of features h, :math:`(w + V c)^\top h + b`, with w and V normalised.

    Args:
        features: Length of h.
        context: Length of c; 0 without a context.
    """

    def __init__(self, features: int, context: int = 0) -> None:
        super().__init__()
        self.plain = SpectralAffine(features, 1)
        self.context = SpectralAffine(features, context, bias=False) if context else None

    def forward(self, h: Tensor, c: Tensor | None = None) -> Tensor:
        """`(n, features)`, and `(n, context)` with a context, to `(n, 1)`."""
        a: Tensor = self.plain(h)
        if self.context is None or c is None:
            return a
        V_c: Tensor = self.context(h) * c
        return a + V_c.sum(dim=1, keepdim=True)


def init_vectors(network: nn.Module, *, rng: torch.Generator) -> None:
    """Draw the vectors of the network's normalised layers, after its weights were drawn."""
    for layer in network.modules():
        if isinstance(layer, _Spectral):
            layer.init_vectors(rng=rng)


def vectors(network: nn.Module) -> set[str]:
    """The names of the buffers of singular vectors, of this library and of torch's two kinds."""
    return {name for names, _ in _normalised(network) for name in names}


@torch.no_grad()
def settle(network: nn.Module) -> None:
    """Update the singular vectors of every normalised layer for its current weight."""
    for _, iterate in _normalised(network):
        for _ in range(FIRST):
            iterate()


def _normalised(network: nn.Module) -> Iterator[tuple[list[str], Callable[[], object]]]:
    """The vector buffers of each normalised weight, and its step of power iteration."""
    for path, module in network.named_modules():
        at = f"{path}." if path else ""
        if isinstance(module, _Spectral):
            yield [f"{at}u"], module._iterate
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, torch_private.spectral_hooks()):
                step = functools.partial(hook.compute_weight, module, do_power_iteration=True)
                yield [f"{at}{hook.name}_{vector}" for vector in "uv"], step
        computed: Any = module._modules.get("parametrizations") or {}
        for name, steps in computed.items():
            for i, one in enumerate(steps):
                if isinstance(one, torch_private.spectral_parametrizations()):
                    where = f"{at}parametrizations.{name}.{i}"
                    once = functools.partial(_computed_in_training, module, name, one)
                    yield [f"{where}._{vector}" for vector in "uv"], once


def _computed_in_training(module: nn.Module, name: str, one: nn.Module) -> None:
    was = one.training
    one.train()
    getattr(module, name)  # computing the weight in training mode iterates
    one.train(was)
