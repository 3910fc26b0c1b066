r"""Dropout, and other layers that are random in training.

A game draws the masks of its layers beforehand. So both networks can get the same masks, several
processes get the masks of one, and a step is a function of tensors.

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

    A game draws the masks of a pass beforehand (`draw`) and passes them to the layer (`set_masks`);
    in a step, a pass without masks raises. Outside a step masks come from torch's global stream.
    """

    def __init__(self) -> None:
        super().__init__()
        self.event_shape: torch.Size | None = None
        self.drawn: Tensor | None = None

    @property
    def idle(self) -> bool:
        """Whether the layer is the identity."""
        raise NotImplementedError

    def draw(self, n: int, *, rng: torch.Generator | None = None) -> Tensor:
        """The mask of `n` examples of the last shape seen, of shape `(n, *event_shape)`."""
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
        """The next `n` rows of the masks that were set; new ones where none ever were.

        Raises:
            BadValue: Where fewer rows are left.
        """
        if self.drawn is None:
            return self.draw(n)
        if len(self.drawn) < n:
            raise _too_few_masks(type(self).__name__, n, len(self.drawn))
        now, self.drawn = self.drawn[:n], self.drawn[n:]
        return now


def _too_few_masks(layer: str, need: int, left: int) -> errors.BadValue:
    """The error for more passes in a step than masks were drawn for."""
    what = f"masks of {need} rows for this pass of {layer}"
    return errors.bad_value("passes", f"{what} (a term says how many passes it makes)", left)


class Dropout(Stochastic):
    r"""Sets each element of each example to 0 with probability `p`, and divides the rest by 1 - p.

    :math:`\tilde x = x \odot m / (1 - p)`, with :math:`m \sim` Bernoulli(1 - p) elementwise, in
    training only. The mask is a function of 16 random bits an element, so the probability is exact
    to 1e-5; of 8 bits, where it is a multiple of 1/256. bfloat16 rounds 1 / (1 - p) (not for p of
    .2 and .5).

    Reference: Hinton et al. (2012); goodfeli/adversarial: .2 on D's input, .5 on each hidden layer
        (written there as the probability of keeping an element, .8 and .5).

    Args:
        p: Probability of dropping an element, in [0, 1).
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        errors.fraction(p=p)
        self.p = p
        self._keep = 1 - p
        self._bits = 8 if float(self._keep * 2**8).is_integer() else 16
        self._dtype = torch.int8 if self._bits == 8 else torch.int16

    @property
    def idle(self) -> bool:
        """Whether every element is kept."""
        return self.p == 0

    def _disturb(self, x: Tensor, drawn: Tensor) -> Tensor:
        return x * drawn.to(x.dtype).div_(self._keep)

    def draw(self, n: int, *, rng: torch.Generator | None = None) -> Tensor:
        """The mask of `n` examples of the last shape seen: 0s and 1s, `(n, *event_shape)`."""
        shape = (n, *(self.event_shape or ()))
        numel, device = math.prod(shape), rng.device if rng is not None else None
        size = -(-numel * self._bits // (8 * _WORD))
        words = torch.empty(size, dtype=torch.int64, device=device)
        words.random_(-(2**63), None, generator=rng)
        kept = round(self._keep * 2**self._bits)
        if kept == 0:
            return torch.zeros(shape, dtype=torch.uint8, device=device)
        lowest = -(2 ** (self._bits - 1))
        bits = words.view(self._dtype)[:numel].view(shape)
        # As numbers, not as truth values: those are many times slower to multiply with.
        return bits.le(lowest + kept - 1).view(torch.uint8)

    def extra_repr(self) -> str:
        """Shown by `repr`."""
        return f"p={self.p}"


class GaussianNoise(Stochastic):
    r"""Adds :math:`\sigma \epsilon`, with :math:`\epsilon \sim N(0, I)`, in training only.

    Added to data and samples, it makes D compare two smoothed distributions, which are equal
    exactly where p_data = p_g. The paper's runs do not have it.

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
    """The network's active random layers (of this library), in order."""
    return [m for m in network.modules() if isinstance(m, Stochastic) and not m.idle]


def set_masks(layers: Sequence[Stochastic], drawn: Sequence[Tensor]) -> None:
    """Set the masks of each random layer for the next passes."""
    for layer, own in zip(layers, drawn, strict=True):
        layer.drawn = own


def clear_masks(layers: Sequence[Stochastic]) -> None:
    """After a step: discard the remaining masks, so that layers draw their own again."""
    for layer in layers:
        layer.drawn = None
