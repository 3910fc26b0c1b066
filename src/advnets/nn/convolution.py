r"""Layers of convolutional networks: maxout, pooling, transposed convolution.

Reference: Goodfellow et al. (2014), Section 5; goodfeli/adversarial, `deconv.py`; pylearn2,
    `MaxoutConvC01B`; cuda-convnet.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advnets.base import errors
from advnets.nn import maxout


class MaxoutConv(nn.Module):
    r"""Convolution to `pieces` maps for each of q channels, then their maximum at each position.

    .. math:: h_{i, s, t}(x) = \max_{j < p} \Bigl(b_{jq + i} +
              \sum_{c, u, v} W_{jq + i, c, u, v}\, x_{c, s + u, t + v}\Bigr)

    Biases are tied: one for each piece of each channel. As in `maxout.Maxout` the j-th pieces of
    all channels lie side by side.

    Reference: Goodfellow et al. (2013), Maxout Networks; pylearn2, `MaxoutConvC01B`.

    Args:
        inputs: Channels of x.
        channels: q, output channels.
        pieces: p, maps of one channel.
        size: Pixels on a side of a kernel.
        padding: Zeros put around x.
    """

    def __init__(self, inputs: int, channels: int, pieces: int, *, size: int, padding: int) -> None:
        super().__init__()
        errors.at_least(1, channels=channels, pieces=pieces, size=size)
        self.pieces = pieces
        self.conv = nn.Conv2d(inputs, channels * pieces, size, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        """`(n, inputs, H, W)` to `(n, channels, H + 2 padding - size + 1, ...)`."""
        return maxout.largest_piece(self.conv(x), self.pieces)


class CeilPool(nn.Module):
    r"""Max pooling whose windows may extend beyond the far edges.

    Of H rows come :math:`\lceil (H - size) / stride \rceil + 1`: no pixel is left out.

    Reference: cuda-convnet.
    """

    def __init__(self, size: int, stride: int) -> None:
        super().__init__()
        need = f"from 1 to the window's size, {size}"
        errors.require(1 <= stride <= size, "pool_stride", need, stride)
        self.size, self.stride = size, stride

    def forward(self, x: Tensor) -> Tensor:
        """`(n, C, H, W)` to `(n, C, H', W')`."""
        return F.max_pool2d(x, self.size, self.stride, ceil_mode=True)

    def extra_repr(self) -> str:
        """Shown by `repr`."""
        return f"size={self.size}, stride={self.stride}"


class TransposedConv(nn.Module):
    r"""A transposed convolution with an untied bias: one for each output number.

    .. math:: y_{o, s, t} = b_{o, s, t} +
              \sum_{c, i, j} x_{c, i, j}\, W_{c, o, s - i \cdot stride, t - j \cdot stride}

    Reference: goodfeli/adversarial, `deconv.py` (`Deconv`).

    Args:
        inputs: Channels of x.
        event_shape: `(C, H, W)` of the output, and the bias's shape.
        size: Pixels on a side of a kernel.
        stride: Pixels from one kernel to the next.

    Raises:
        BadValue: Where the kernels do not fill the picture exactly.
    """

    def __init__(
        self, inputs: int, event_shape: tuple[int, int, int], *, size: int, stride: int
    ) -> None:
        super().__init__()
        self.places = _places(event_shape[1], size, stride), _places(event_shape[2], size, stride)
        self.conv = nn.ConvTranspose2d(inputs, event_shape[0], size, stride=stride, bias=False)
        self.bias = nn.Parameter(torch.zeros(event_shape))

    def forward(self, x: Tensor) -> Tensor:
        """`(n, inputs, *places)` to `(n, *event_shape)`."""
        y: Tensor = self.conv(x) + self.bias
        return y


def _places(side: int, size: int, stride: int) -> int:
    """Kernels in a row: side = stride (places - 1) + size."""
    errors.at_least(1, size=size, stride=stride)
    rest = side - size
    below = size + max(0, rest // stride) * stride
    need = f"{size} and a multiple of the stride, {stride} (such as {below} or {below + stride})"
    errors.require(rest >= 0 and rest % stride == 0, "side of an image", need, side)
    return rest // stride + 1
