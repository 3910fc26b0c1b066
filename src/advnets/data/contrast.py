r"""Global contrast normalisation: each image has mean 0 and the same norm.

Reference: goodfeli/adversarial, `cifar10_*.yaml` (`gcn: 55`); pylearn2,
    `expr.preprocessing.global_contrast_normalize`.
"""

import torch
from torch import Tensor

NORM = 55.0
"""The authors' norm for CIFAR-10."""
_LEAST = 1e-8


def normalise(x: Tensor, norm: float = NORM) -> tuple[Tensor, Tensor, Tensor]:
    r"""Images without their brightness and contrast.

    .. math:: y_i = norm \cdot (x_i - \mu_i) / s_i, \qquad s_i = \|x_i - \mu_i\|

    with :math:`\mu_i` the mean over all numbers of image i, its channels together. A constant image
    has s below 1e-8 and is divided by 1 instead. Sums are taken in float64.

    Args:
        x: Images, of shape `(n, ...)`.
        norm: The Euclidean norm of the result.

    Returns:
        y, of the shape of x; the means and the norms s, each of shape `(n,)`.

    Example:
        >>> y, _, _ = normalise(torch.tensor([[0.0, 1.0]]), 2.0)
        >>> y
        tensor([[-1.4142,  1.4142]])
    """
    flat = x.flatten(1).double()
    mean = flat.mean(dim=1)
    centred = flat - mean[:, None]
    scale = torch.linalg.vector_norm(centred, dim=1)
    scale = torch.where(scale < _LEAST, 1.0, scale)
    y = (norm * centred / scale[:, None]).to(x.dtype)
    return y.view_as(x), mean.to(x.dtype), scale.to(x.dtype)


def restore(y: Tensor, mean: Tensor, scale: Tensor, norm: float = NORM) -> Tensor:
    """The inverse of `normalise`.

    Args:
        y: Normalised images, `(n, ...)`.
        mean: Of each, `(n,)`.
        scale: Of each, `(n,)`.
        norm: As it was normalised.
    """
    return (y.flatten(1) * (scale / norm)[:, None] + mean[:, None]).view_as(y)


def span(mean: Tensor, scale: Tensor, norm: float = NORM) -> tuple[float, float]:
    r"""The values of y that are black and white in an image of average brightness and contrast.

    Generated images have no brightness and contrast of their own, so they are displayed with the
    average ones:

    .. math:: x = \bar\mu + (\bar s / norm)\, y, \qquad x = 0 \text{ and } 1

    Args:
        mean: Of images in [0, 1], as `normalise` gives them, `(n,)`.
        scale: Of each, `(n,)`.
        norm: As they were normalised.
    """
    brightness, contrast = mean.double().mean().item(), scale.double().mean().item()
    return -brightness * norm / contrast, (1 - brightness) * norm / contrast
