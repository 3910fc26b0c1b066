"""Lines and arcs between points of noise space: Figure 3, and closed walks through z."""

import torch
from torch import Tensor

from advnets.base import errors


def interpolate(z0: Tensor, z1: Tensor, steps: int) -> Tensor:
    r"""Points on the straight line between two points, both ends included.

    .. math:: z_s = (1 - t_s) z_0 + t_s z_1, \qquad t_s = s / (steps - 1)

    The line between two independent z passes closer to the origin than the ends: its middle has
    :math:`1 / \sqrt 2` of their root mean square norm, where G was rarely trained.

    Args:
        z0: Start of the line, of shape `(..., d)`.
        z1: End of the line, of the same shape.
        steps: Points on the line, at least 2.

    Returns:
        Of shape `(..., steps, d)`; the ends are those given, bit for bit.

    Example:
        >>> interpolate(torch.zeros(1), torch.ones(1), 3).flatten()
        tensor([0.0000, 0.5000, 1.0000])
    """
    errors.at_least(2, steps=steps)
    if z0.shape != z1.shape:
        raise errors.wrong_shape("z1", f"({', '.join(map(str, z0.shape))}), as z0 is", z1.shape)
    t = torch.linspace(0, 1, steps, dtype=z0.dtype, device=z0.device)[:, None]
    return (1 - t) * z0[..., None, :] + t * z1[..., None, :]


def slerp(z0: Tensor, z1: Tensor, t: Tensor) -> Tensor:
    r"""Points on the arc between two points: the direction turns evenly, and so does the norm.

    .. math:: z_t = r_t \frac{\sin((1 - t)\theta) u_0 + \sin(t\theta) u_1}{\sin\theta}, \qquad
        r_t = (1 - t) |z_0| + t |z_1|

    with the unit vectors :math:`u` of both points and the angle :math:`\theta` between them.
    Between independent Gaussian z, whose norms are all close to :math:`\sqrt d`, an arc keeps that
    norm; a straight line does not. Opposite or equal directions are joined by a straight line.

    Reference: Shoemake (1985), "Animating rotation with quaternion curves", Section 3.3.

    Args:
        z0: Starts of the arcs, `(..., d)`.
        z1: Ends of the arcs, `(..., d)`.
        t: Where on the arcs, in [0, 1], 0-d.

    Returns:
        Of shape `(..., d)`.

    Example:
        >>> z0, z1 = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
        >>> slerp(z0, z1, torch.tensor(0.5))
        tensor([0.7071, 0.7071])
    """
    r0, r1 = (torch.linalg.vector_norm(z, dim=-1, keepdim=True) for z in (z0, z1))
    u0, u1 = z0 / r0.clamp_min(1e-12), z1 / r1.clamp_min(1e-12)
    cosine = (u0 * u1).sum(dim=-1, keepdim=True).clamp(-1, 1)
    theta = torch.arccos(cosine)
    sine = torch.sin(theta)
    arc = (torch.sin((1 - t) * theta) * u0 + torch.sin(t * theta) * u1) / sine.clamp_min(1e-12)
    arc = ((1 - t) * r0 + t * r1) * arc
    return torch.where(sine > 1e-4, arc, (1 - t) * z0 + t * z1)


def closed_walk(corners: Tensor, steps: int, *, spherical: bool) -> Tensor:
    """Points on a closed path from corner to corner, and from the last to the first.

    Args:
        corners: `(K, ..., d)`, K at least 2.
        steps: Points on the whole path, at equal distances in time; the first is corner 0, and
            after the last one comes corner 0 again.
        spherical: Whether corners are joined by arcs (`slerp`), as for Gaussian and spherical z; or
            by straight lines, which stay within the range of uniform z.

    Returns:
        Of shape `(steps, ..., d)`.

    Raises:
        BadValue: For fewer than two corners, or no steps.
    """
    errors.at_least(1, steps=steps)
    errors.at_least(2, corners=len(corners))
    path = []
    for i in range(steps):
        k, t = divmod(i * len(corners) / steps, 1.0)
        begin, end = corners[int(k)], corners[(int(k) + 1) % len(corners)]
        at = torch.tensor(t, dtype=corners.dtype, device=corners.device)
        path.append(slerp(begin, end, at) if spherical else (1 - at) * begin + at * end)
    return torch.stack(path)
