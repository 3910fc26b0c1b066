r"""The layers of the paper's networks, and what is done to their weights.

Reference: Goodfellow et al. (2014), Section 5: maxout and dropout in D, rectifiers and sigmoids in
    G.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from advnets import checks
from advnets.products import product, thin_pays, thin_products

_WORD = 8
"""Bytes of the words that random bits are drawn in."""
_MANY = 4
"""Pieces of maxout from which on its gradient counts as thin."""


class Affine(nn.Linear):
    r"""`nn.Linear`, :math:`y = x W^\top + b`, by the quickest products at hand.

    Not for `torch.func`.
    """

    still = False
    """Whether W is a constant, for a graph that cannot be told by `requires_grad_`."""

    def forward(self, x: Tensor, *, before: Tensor | None = None) -> Tensor:
        """`(n, inputs)` to `(n, outputs)`; rows put `before` x come first and get no gradient."""
        if not self.suits(x):
            return super().forward(x if before is None else torch.cat((before, x)))
        return _apply(_Affine, x, self.played_weight, self.bias, before)

    def suits(self, x: Tensor) -> bool:
        """Whether x is mapped by products of our own."""
        plain = x.ndim == 2 and x.shape[1] == self.in_features and self.bias is not None
        kind = x.device.type
        return plain and not (kind in ("cpu", "cuda") and torch.is_autocast_enabled(kind))

    @property
    def played_weight(self) -> Tensor:
        """W, or the constant that it is."""
        return self.weight.detach() if self.still else self.weight


def _apply(node: type[torch.autograd.Function], *arguments: Any) -> Tensor:
    y: Tensor = node.apply(*arguments)  # type: ignore[no-untyped-call]
    return y


class _Affine(torch.autograd.Function):
    """y = x W^T + b, with the gradients in x, W and b that are asked for."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, before: Tensor | None) -> Tensor:
        whole = x if before is None else torch.cat((before, x))
        ctx.save_for_backward(x, whole, weight)
        return product(whole, weight, bias)

    @staticmethod
    def backward(ctx: Any, d: Tensor) -> tuple[Tensor | None, ...]:
        x, whole, weight = ctx.saved_tensors
        before = len(whole) - len(x)
        if torch.is_grad_enabled():  # to be derived once more, in x too
            whole = torch.cat((whole[:before], x))
        for_x, for_weight, for_bias = ctx.needs_input_grad[:3]
        d_x = d_weight = d_bias = None
        if for_x:
            d_x = product(d[before:], weight.T)
        if for_weight:
            d_weight = product(d.T, whole.T)
        if for_bias:
            d_bias = d.sum(dim=0)
        return d_x, d_weight, d_bias, None


class Maxout(nn.Module):
    r"""An affine map to `pieces` numbers for each of q units, then each unit's largest.

    .. math:: h_i(x) = \max_{j < p} (x^\top W_{\cdot, jq + i} + b_{jq + i})

    No rectifier follows: h may be negative. The j-th pieces of all units lie side by side, so that
    the maximum is taken over whole rows of memory.

    Reference: Goodfellow et al. (2013), Maxout Networks.

    Args:
        inputs: Features of one example.
        units: q, features that come out.
        pieces: p, affine pieces of one unit.
    """

    def __init__(self, inputs: int, units: int, pieces: int) -> None:
        super().__init__()
        checks.at_least(1, units=units, pieces=pieces)
        self.pieces = pieces
        self.affine = Affine(inputs, units * pieces)

    def forward(self, x: Tensor, *, before: Tensor | None = None) -> Tensor:
        """`(n, inputs)` to `(n, units)`; rows put `before` x come first and get no gradient."""
        affine = self.affine
        if self.pieces >= _MANY and affine.suits(x) and thin_pays(x, before, affine.weight):
            weights = affine.played_weight, affine.bias
            return _apply(_ThinMaxout, x, *weights, before, self.pieces)
        return largest_piece(affine(x, before=before), self.pieces)


def largest_piece(y: Tensor, pieces: int) -> Tensor:
    """The largest of the pieces of each unit: `(n, pieces * q, ...)` to `(n, q, ...)`."""
    n, q, places = len(y), y.shape[1] // pieces, y.shape[2:]
    h = _apply(_LargestPiece, y.reshape(n, pieces, q * places.numel()))
    return h.view(n, q, *places)


class _LargestPiece(torch.autograd.Function):
    """The maximum over dimension 1 of `(n, pieces, units)`; equal pieces share its gradient."""

    @staticmethod
    def forward(ctx: Any, y: Tensor) -> Tensor:
        h = y.amax(dim=1)
        ctx.save_for_backward(y, h)
        return h

    @staticmethod
    def backward(ctx: Any, d: Tensor) -> Tensor:
        y, h = ctx.saved_tensors
        if torch.compiler.is_compiling():  # who finds a unit's share anew for each of its pieces
            won = [piece.eq(h).to(d.dtype) for piece in y.unbind(dim=1)]
            share = d / functools.reduce(torch.add, won)
            return torch.stack([piece * share for piece in won], dim=1)
        # As numbers, not as truth values: those are many times slower to multiply with.
        largest = torch.eq(y, h.unsqueeze(1), out=torch.empty_like(y))
        return largest.mul_((d / largest.sum(dim=1)).unsqueeze(1))


class _ThinMaxout(torch.autograd.Function):
    """The largest pieces of an affine map, with a gradient of those alone that won."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, before: Tensor | None, pieces: int
    ) -> Tensor:
        whole = x if before is None else torch.cat((before, x))
        y = product(whole, weight, bias).view(len(whole), pieces, -1)
        h = y.amax(dim=1)
        ctx.save_for_backward(x, whole, weight, bias, y, h)
        return h

    @staticmethod
    def backward(ctx: Any, d: Tensor) -> tuple[Tensor | None, ...]:
        x, whole, weight, bias, y, h = ctx.saved_tensors
        before, wanted = len(whole) - len(x), ctx.needs_input_grad[:3]
        if torch.is_grad_enabled():  # to be derived once more: the plain way
            whole = torch.cat((whole[:before], x))
            h = largest_piece(product(whole, weight, bias), y.shape[1])
            inputs = [t for t, wish in zip((x, weight, bias), wanted, strict=True) if wish]
            found = iter(torch.autograd.grad(h, inputs, d, create_graph=True))
            return *(next(found) if wish else None for wish in wanted), None, None
        for_x, for_weight, _ = wanted
        factors = weight if for_x else None, whole if for_weight else None
        return *thin_products(d, _winners(y, h), len(weight), *factors, before=before), None, None


def _winners(y: Tensor, h: Tensor) -> Tensor:
    """Which of all pieces of an example has won each unit; of equal ones the last."""
    _, pieces, q = y.shape
    number = torch.arange(pieces, dtype=y.dtype, device=y.device).unsqueeze(1)
    largest = torch.eq(y, h.unsqueeze(1), out=torch.empty_like(y))
    unit = torch.arange(q, dtype=torch.int32, device=y.device)
    return largest.mul_(number).amax(dim=1).int().mul_(q).add_(unit)


class Reading(nn.Linear):
    r"""The logit of features h, :math:`a = w^\top h + b`; told c, :math:`(w + V c)^\top h + b`.

    Of classes, V has a column for each that w has to be corrected by.

    Reference: Miyato and Koyama (2018), cGANs with projection discriminator.

    Args:
        features: Numbers in h.
        context: Numbers in c; 0 where nothing is told.
    """

    def __init__(self, features: int, context: int = 0) -> None:
        super().__init__(features, 1)
        self.context = Affine(features, context, bias=False) if context else None

    def forward(self, h: Tensor, c: Tensor | None = None) -> Tensor:
        """`(n, features)`, and `(n, context)` where it is told, to `(n, 1)`."""
        a = super().forward(h)
        if self.context is None or c is None:
            return a
        V_c: Tensor = self.context(h) * c
        return a + V_c.sum(dim=1, keepdim=True)


class Stochastic(nn.Module):
    """A layer that is random in training.

    A game draws what a pass needs beforehand (`draw`) and hands it over (`hand_out`); without that
    it comes from torch's global stream.
    """

    def __init__(self) -> None:
        super().__init__()
        self.event_shape: torch.Size | None = None
        self.drawn: Tensor | None = None

    @property
    def idle(self) -> bool:
        """Whether it is set to do nothing at all."""
        raise NotImplementedError

    def draw(self, n: int, *, rng: torch.Generator | None = None) -> Tensor:
        """What `n` examples of the last shape seen need, of shape `(n, *event_shape)`."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Same shape as `x`; the identity in evaluation mode."""
        if self.event_shape is None or (self.training and self.event_shape != x.shape[1:]):
            self.event_shape = x.shape[1:]
        if not self.training or self.idle:
            return x
        return self._disturb(x, self._next(len(x)).to(x.device))

    def _disturb(self, x: Tensor, drawn: Tensor) -> Tensor:
        raise NotImplementedError

    def _next(self, n: int) -> Tensor:
        """The next `n` rows of what was handed over, or fresh ones."""
        if self.drawn is None or len(self.drawn) < n:
            return self.draw(n)
        now, self.drawn = self.drawn[:n], self.drawn[n:]
        return now


class Dropout(Stochastic):
    r"""Keeps each element of each example with probability `include` and divides it by that.

    :math:`\tilde x = x \odot m / include`, with :math:`m \sim` Bernoulli(include) elementwise, in
    training only. The mask is a function of 16 random bits an element, so the probability is exact
    to 1e-5; of 8 bits, where it is a multiple of 1/256. bfloat16 rounds 1 / include (not for .8
    and .5).

    Reference: Hinton et al. (2012); goodfeli/adversarial: .8 on D's input, .5 on each hidden layer.

    Args:
        include: Probability of keeping an element (not of dropping it).
    """

    def __init__(self, include: float) -> None:
        super().__init__()
        checks.probability(include=include)
        self.include = include
        self._bits = 8 if float(include * 2**8).is_integer() else 16
        self._dtype = torch.int8 if self._bits == 8 else torch.int16

    @property
    def idle(self) -> bool:
        """Whether every element is kept."""
        return self.include == 1

    def _disturb(self, x: Tensor, drawn: Tensor) -> Tensor:
        return x * drawn.to(x.dtype).div_(self.include)

    def draw(self, n: int, *, rng: torch.Generator | None = None) -> Tensor:
        """What is kept of `n` examples of the last shape seen: 0s and 1s, `(n, *event_shape)`."""
        shape = (n, *(self.event_shape or ()))
        numel, device = math.prod(shape), rng.device if rng is not None else None
        size = -(-numel * self._bits // (8 * _WORD))
        words = torch.empty(size, dtype=torch.int64, device=device)
        words.random_(-(2**63), None, generator=rng)
        kept = round(self.include * 2**self._bits)
        if kept == 0:
            return torch.zeros(shape, dtype=torch.uint8, device=device)
        lowest = -(2 ** (self._bits - 1))
        bits = words.view(self._dtype)[:numel].view(shape)
        # As numbers, not as truth values: those are many times slower to multiply with.
        return bits.le(lowest + kept - 1).view(torch.uint8)

    def extra_repr(self) -> str:
        """Shown by `repr`."""
        return f"include={self.include}"


class GaussianNoise(Stochastic):
    r"""Adds :math:`\sigma \epsilon`, with :math:`\epsilon \sim N(0, I)`, in training only.

    On data and on samples alike it lets D compare both after the same blur: where the two coincide,
    so do p_data and p_g. Not in the paper's runs.

    Reference: Arjovsky and Bottou (2017), Section 3.

    Args:
        stdev: :math:`\sigma`, in the units of x.
    """

    def __init__(self, stdev: float) -> None:
        super().__init__()
        checks.at_least(0, stdev=stdev)
        self.stdev = stdev

    @property
    def idle(self) -> bool:
        """Whether nothing is added."""
        return self.stdev == 0

    def draw(self, n: int, *, rng: torch.Generator | None = None) -> Tensor:
        r""":math:`\epsilon` for `n` examples of the last shape seen: `(n, *event_shape)`."""
        device = rng.device if rng is not None else None
        return torch.randn(n, *(self.event_shape or ()), generator=rng, device=device)

    def _disturb(self, x: Tensor, drawn: Tensor) -> Tensor:
        return torch.add(x, drawn.to(x.dtype), alpha=self.stdev)

    def extra_repr(self) -> str:
        """Shown by `repr`."""
        return f"stdev={self.stdev}"


def stochastic(network: nn.Module) -> list[Stochastic]:
    """The network's random layers of ours that do anything, in order."""
    return [m for m in network.modules() if isinstance(m, Stochastic) and not m.idle]


def hand_out(layers: Sequence[Stochastic], drawn: Sequence[Tensor]) -> None:
    """Give each random layer what it needs in the next passes."""
    for layer, own in zip(layers, drawn, strict=True):
        layer.drawn = own


@torch.no_grad()
def init_uniform(network: nn.Module, irange: float, *, rng: torch.Generator) -> None:
    """Every weight from U(-irange, +irange), every bias 0.

    Reference: goodfeli/adversarial, `irange` .05 for G and .005 for D.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            layer.weight.uniform_(-irange, irange, generator=rng)
            if layer.bias is not None:
                layer.bias.zero_()


@torch.no_grad()
def init_he(network: nn.Module, *, rng: torch.Generator) -> None:
    """Every weight from N(0, 2 / inputs), with the inputs of one output number; every bias 0.

    Of a transposed convolution of stride s each output number has inputs from size^2 / s^2 places.

    Reference: He et al. (2015), Delving Deep into Rectifiers.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            inputs = layer.weight[0].numel()
            if isinstance(layer, nn.ConvTranspose2d):
                size = math.prod(layer.kernel_size) / math.prod(layer.stride)
                inputs = max(1, round(layer.in_channels * size))
            layer.weight.normal_(0, math.sqrt(2 / inputs), generator=rng)
            if layer.bias is not None:
                layer.bias.zero_()


@torch.no_grad()
def init_sparse(
    layer: nn.Linear, nonzero: int, *, stdev: float = 1.0, rng: torch.Generator
) -> None:
    """N(0, stdev^2) on `nonzero` distinct random inputs of each output unit, 0 elsewhere, bias 0.

    Reference: Martens (2010); goodfeli/adversarial, `sparse_init`.
    """
    need = f"from 1 to the number of inputs, {layer.in_features}"
    checks.require(1 <= nonzero <= layer.in_features, "nonzero", need, nonzero)
    order = torch.rand(layer.weight.shape, generator=rng).argsort(dim=1)
    drawn = torch.randn(layer.out_features, nonzero, generator=rng) * stdev
    layer.weight.zero_().scatter_(1, order[:, :nonzero], drawn)
    layer.bias.zero_()


def logit_of_marginals(mean: Tensor) -> Tensor:
    r"""The bias at which a sigmoid output starts at the data's mean: :math:`\log(p / (1 - p))`.

    Means are first brought into :math:`[10^{-7}, 1 - 10^{-7}]`, so that a pixel that is always 0
    starts at -16.1.

    Args:
        mean: Mean of each pixel over the training set, in [0, 1].
    """
    return torch.logit(mean.double(), eps=1e-7).float()


def limit_column_norms(network: nn.Module, limit: float) -> None:
    r"""Shrink each unit's (each maxout piece's) incoming weights to a norm of at most `limit`.

    :math:`w \leftarrow w \cdot \min(\|w\|, c) / (10^{-7} + \|w\|)`, biases left alone. What
    pylearn2 calls a column is a row of torch's weight.

    Reference: Srebro and Shraibman (2005); pylearn2, `max_col_norm`.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            _limit(layer.weight, limit)


def limit_kernel_norms(network: nn.Module, limit: float) -> None:
    """The same for each kernel: of an output channel, or of a transposed one's input channel.

    Reference: pylearn2, `max_kernel_norm`; goodfeli/adversarial, `deconv.py`.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            _limit(layer.weight, limit)


@torch.no_grad()
def _limit(weight: Tensor, limit: float) -> None:
    """Shrink what belongs to each index of the first dimension."""
    norms = torch.linalg.vector_norm(weight.flatten(1), dim=1)
    shrink = norms.clamp(max=limit) / (1e-7 + norms)
    weight.mul_(shrink.view(-1, *[1] * (weight.ndim - 1)))
