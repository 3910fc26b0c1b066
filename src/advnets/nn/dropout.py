r"""Dropout, and what else is random in a layer while it is trained.

A game draws what its layers need and hands it out: so the two players can be given the same masks,
several processes those of one, and a step is a function of tensors.

Reference: Goodfellow et al. (2014), Section 5: "dropout was applied in training the discriminator
    net".
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from advnets.base import errors

_WORD = 8
"""Bytes of the words that random bits are drawn in."""


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
        errors.probability(include=include)
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
        errors.at_least(0, stdev=stdev)
        self.stdev = stdev

    @property
    def idle(self) -> bool:
        """Whether nothing is added."""
        return self.stdev == 0

    def draw(self, n: int, *, rng: torch.Generator | None = None) -> Tensor:
        r""":math:`\epsilon` for `n` examples of the last shape seen: `(n, *event_shape)`."""
        device = rng.device if rng is not None else None
        shape = (n, *(self.event_shape or ()))
        return torch.randn(shape, generator=rng, dtype=torch.float32, device=device)

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
