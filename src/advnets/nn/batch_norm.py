"""Batch normalisation over the examples of all processes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advnets.base import distributed


class BatchNorm(nn.Module):
    r"""Normalises each channel to mean 0 and variance 1 over the minibatch.

    .. math:: y = \frac{h - \mu}{\sqrt{v + 10^{-5}}}, \qquad
              \mu = \overline{h}, \quad v = \overline{(h - \mu)^2}

    with the means taken over all examples and positions of a channel, in every process of the run.
    A convolutional G needs it: it removes what all samples have in common, so that a gradient that
    is the same for all samples cannot make them all alike. Outside training, :math:`\mu` and v are
    moving averages from training, and a sample depends on its own z alone.

    Reference: Ioffe and Szegedy (2015), Batch Normalization; Radford et al. (2016), DCGAN.

    Args:
        channels: Channels of h.
    """

    mean: Tensor
    variance: Tensor
    processes = 1
    """Number of processes that train the model. Other process groups are ignored."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, h: Tensor) -> Tensor:
        """`(n, channels, H, W)`, same shape."""
        if self.training and self.processes > 1:
            return self._over_all_processes(h)
        of = (self.mean, self.variance)
        return F.batch_norm(h, *of, None, None, self.training, _NEWEST, _LEAST)

    def _over_all_processes(self, h: Tensor) -> Tensor:
        """The same for a minibatch that is divided among several processes."""
        x = h.float().movedim(1, -1)
        n = distributed.sum_of_all(x.new_tensor(x.numel() / x.shape[-1]))
        mean = distributed.sum_of_all(x.flatten(0, -2).sum(dim=0)) / n
        centred = x - mean
        variance = distributed.sum_of_all(centred.square().flatten(0, -2).sum(dim=0)) / n
        with torch.no_grad():
            self.mean.lerp_(mean, _NEWEST)
            self.variance.lerp_(variance * n / (n - 1), _NEWEST)
        y = centred * torch.rsqrt(variance + _LEAST)
        return y.movedim(-1, 1).to(h.dtype)


_NEWEST = 0.1
"""Weight of the newest minibatch in the moving averages."""


_LEAST = 1e-5
