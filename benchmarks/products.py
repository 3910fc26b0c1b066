"""The floor of a step: its matrix products and nothing else, with or without the optimiser's pass.

The products have the shapes of an ideal step and the order of a real one, so that the caches see
the real traffic. The ideal step wastes nothing: D reads x and G(z) as one batch of 2 m rows, and no
gradient is taken that nobody uses. The layouts 'linear' and 'transposed' are `torch.mm` into
tensors made beforehand, and differ in how the weights lie. 'quickest' stores them as 'linear' does
and takes the products that the library takes. Where those are oneDNN's, in float32, they make their
results anew, which are kept until the half is over, as a real step keeps them.
`peers.Sizes` are the published pair's. `speed.py` plays them.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
from peers import LR, MOMENTUM, PIECES, Rival, Sizes, clocked
from torch import Tensor

from advnets.base import torch_private

Order = Literal["alternating", "simultaneous"]
Precision = Literal["float32", "bfloat16"]
Layout = Literal["quickest", "linear", "transposed"]
ORDERS: tuple[Order, ...] = ("alternating", "simultaneous")
PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16")
LAYOUTS: tuple[Layout, ...] = ("quickest", "linear", "transposed")
ONEDNN = torch_private.onednn_linear()

Product = tuple[int, Callable[[], Tensor]]  # its FLOP, and what computes it
Moved = tuple[Tensor, Tensor, Tensor, Tensor | None]  # master, velocity, gradient, bfloat16 copy


class Layer:
    """An affine map: the products around it and the parameters in it.

    Args:
        inputs: Features that go in.
        outputs: Features that come out.
        rows: Rows of the largest batch that it sees.
        precision: What is multiplied. In 'bfloat16' the pass moves float32 masters.
        layout: Weights stored as `nn.Linear` does, (outputs, inputs), or the other way round; and
            what multiplies them.
    """

    def __init__(
        self, inputs: int, outputs: int, rows: int, *, precision: Precision, layout: Layout
    ) -> None:
        self.linear, dtype = layout != "transposed", getattr(torch, precision)
        self.onednn = layout == "quickest" and precision == "float32" and ONEDNN is not None
        self.x, self.dx = (drawn(rows, inputs).to(dtype) for _ in range(2))
        self.y, self.dy = (drawn(rows, outputs).to(dtype) for _ in range(2))
        shape = (outputs, inputs) if self.linear else (inputs, outputs)
        master, bias = drawn(*shape), torch.zeros(outputs)
        self.W, b = master.to(dtype), bias.to(dtype)  # the same tensors in float32
        self.dW, db = torch.zeros_like(self.W), torch.zeros_like(b)
        half = precision == "bfloat16"
        self.moved: list[Moved] = [
            (p, torch.zeros_like(p), g, copy if half else None)
            for p, g, copy in ((master, self.dW, self.W), (bias, db, b))
        ]

    def forward(self, rows: int) -> Product:
        """Y = x W."""
        x, W = self.x[:rows], self.W.T if self.linear else self.W
        return by_onednn(x, self.W) if self.onednn else by_mm(x, W, self.y[:rows])

    def gradient(self, rows: int) -> Product:
        """The gradient in the weights."""
        x, dy = self.x[:rows], self.dy[:rows]
        if self.onednn:
            return by_onednn(dy.T, x.T)
        return by_mm(dy.T, x, self.dW) if self.linear else by_mm(x.T, dy, self.dW)

    def backward(self, rows: int) -> Product:
        """The gradient in the inputs."""
        dy, W = self.dy[:rows], self.W if self.linear else self.W.T
        return by_onednn(dy, self.W.T) if self.onednn else by_mm(dy, W, self.dx[:rows])


def by_mm(a: Tensor, b: Tensor, out: Tensor) -> Product:
    """`out` = a b, by what `torch.mm` takes."""
    return 2 * a.numel() * b.shape[1], partial(torch.mm, a, b, out=out)


def by_onednn(x: Tensor, W: Tensor) -> Product:
    """X W^T, by oneDNN."""
    assert ONEDNN is not None
    return 2 * x.numel() * len(W), partial(ONEDNN, x, W, None, "none", [], "")


def drawn(*shape: int) -> Tensor:
    """Numbers of an ordinary size."""
    return torch.empty(shape).uniform_(-0.05, 0.05, generator=torch.Generator().manual_seed(0))


class IdealStep:
    """The products of one step, in two halves: up to D's update, and up to G's.

    In the simultaneous order nobody moves before the end, so both halves' passes come last.
    """

    def __init__(self, s: Sizes, order: Order, precision: Precision, layout: Layout) -> None:
        m, wide = s.batch, s.units * PIECES
        G_sizes = [(s.z, s.hidden), (s.hidden, s.hidden), (s.hidden, s.pixels)]
        D_sizes = [(s.pixels, wide), (s.units, wide), (s.units, 1)]
        G = [Layer(i, o, m, precision=precision, layout=layout) for i, o in G_sizes]
        D = [Layer(i, o, 2 * m, precision=precision, layout=layout) for i, o in D_sizes]
        self.together = order == "simultaneous"
        self.moved = [[one for layer in network for one in layer.moved] for network in (D, G)]

        first = [layer.forward(m) for layer in G] + [layer.forward(2 * m) for layer in D]
        for layer in D[:0:-1]:
            first += [layer.gradient(2 * m), layer.backward(2 * m)]
        first += [D[0].gradient(2 * m)]
        second = [D[0].backward(m)]
        if not self.together:
            second = [layer.forward(m) for layer in G + D]
            second += [layer.backward(m) for layer in D[::-1]]
        for layer in G[:0:-1]:
            second += [layer.gradient(m), layer.backward(m)]
        second += [G[0].gradient(m)]
        self.halves = [[compute for _, compute in half] for half in (first, second)]
        self.flop = sum(flop for flop, _ in first + second)
        self.parameters = sum(p.numel() for player in self.moved for p, *_ in player)

    def play(self, n: int, *, passes: bool) -> None:
        """N steps, with or without the optimiser's pass."""
        for _ in range(n):
            for half, moved in zip(self.halves, self.moved, strict=True):
                kept = [compute() for compute in half]
                if passes and not self.together:
                    move(moved)
                del kept
            if passes and self.together:
                move(self.moved[0] + self.moved[1])

    def rival(self, *, passes: bool) -> Rival:
        """The race's view of it."""
        return Rival(clocked(partial(self.play, passes=passes)), self.parameters, self.flop)


def move(parameters: list[Moved]) -> None:
    """One pass of momentum SGD over some parameters."""
    for p, v, g, copy in parameters:
        v.mul_(MOMENTUM).add_(g if copy is None else g.float(), alpha=-LR)
        p.add_(v)
        if copy is not None:
            copy.copy_(p)
