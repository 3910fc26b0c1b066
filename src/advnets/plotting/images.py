"""Pictures as functions of arrays."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from advnets.base import errors
from advnets.plotting import curves

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

YELLOW = (240, 228, 66)
"""The border of a training image among samples; from the palette of Okabe and Ito."""


LEGIBLE = 12.5
"""Size of text in a plot 600 pixels wide, so that it is 11 pixels high on a phone."""
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""What a picture may be written as, by the ending of its name."""
LARGEST = {"PNG": 2**31 - 1, "JPEG": 65_500, "WEBP": 16_383}
"""Pixels that a side of a picture may have."""
COLUMNS = 10
"""Images in a row of a run's pictures."""


def is_image(event_shape: tuple[int, ...]) -> bool:
    """Whether examples of this shape are pictures: `(1, H, W)` or `(3, H, W)`."""
    return len(event_shape) == 3 and event_shape[0] in (1, 3)


def picture_size(event_shape: tuple[int, ...]) -> int:
    """Samples in one picture of a run: a grid of 10 x 10 images, or a cloud of 1,000 points."""
    return COLUMNS**2 if is_image(event_shape) else 1_000


def wide(low: float, high: float) -> tuple[float, float]:
    """The values drawn black and white: 0 and 1, or the data's range where it is wider."""
    return (0.0, 1.0) if 0 <= low <= high <= 1 else (low, high)


def to_pixels(x: Tensor) -> Pixels:
    """Images `(n, C, H, W)` in [0, 1] (clipped to it) as bytes of shape `(n, H, W, C)`."""
    scaled = x.detach().cpu().float().clamp(0, 1).mul(255).round()
    pixels: Pixels = scaled.to(torch.uint8).movedim(1, -1).numpy()
    return pixels


def grid(x: Tensor, *, columns: int | None = None, gap: int = 2) -> Pixels:
    """Images side by side, row by row, on a dark background.

    Args:
        x: Images in [0, 1], of shape `(n, C, H, W)`.
        columns: Images in a row; a square by default.
        gap: Pixels between two images.

    Returns:
        One picture of shape `(height, width, C)`.
    """
    if not is_image(tuple(x.shape[1:])):
        raise errors.wrong_shape("x", "(n, 1, H, W) or (n, 3, H, W)", x.shape)
    pixels = to_pixels(x)
    n, height, width, channels = pixels.shape
    columns = columns or int(np.ceil(np.sqrt(n)))
    rows = -(-n // columns)
    size = (rows * (height + gap) + gap, columns * (width + gap) + gap, channels)
    canvas: Pixels = np.full(size, 48, dtype=np.uint8)
    for i in range(n):
        top, left = (gap + (i // columns) * (height + gap), gap + (i % columns) * (width + gap))
        canvas[top : top + height, left : left + width] = pixels[i]
    return canvas


def beside_neighbours(
    samples: Tensor, neighbours: Tensor, *, gap: int = 4, border: int = 2
) -> Pixels:
    """The layout of Figure 2: rows of samples, each ended by one more image in a yellow border.

    Args:
        samples: Images in [0, 1], row by row, of shape `(rows * columns, C, H, W)`.
        neighbours: The image at the end of each row, of shape `(rows, C, H, W)`.
        gap: Pixels between two images.
        border: Pixels of yellow, at most `gap`.

    Returns:
        One picture of shape `(height, width, 3)`.
    """
    rows, channels, height, width = neighbours.shape
    cells = torch.cat([samples.view(rows, -1, *neighbours.shape[1:]), neighbours[:, None]], dim=1)
    columns = cells.shape[1]
    plain = grid(cells.flatten(0, 1), columns=columns, gap=gap)
    canvas: Pixels = plain.repeat(3 // channels, axis=2)
    left = gap + (columns - 1) * (width + gap)
    for row in range(rows):
        top = gap + row * (height + gap)
        inside = np.s_[top : top + height, left : left + width]
        image = canvas[inside].copy()
        canvas[top - border : top + height + border, left - border : left + width + border] = YELLOW
        canvas[inside] = image
    return canvas


def enlarged(pixels: Pixels, *, width: int) -> Pixels:
    """The picture enlarged to about this width, each pixel to a square; never reduced."""
    zoom = max(1, round(width / pixels.shape[1]))
    large: Pixels = pixels.repeat(zoom, axis=0).repeat(zoom, axis=1)
    return large


def save_png(file: Path | IO[bytes], pixels: Pixels, *, zoom: int = 1) -> None:
    """Write bytes of shape `(height, width, C)` as a PNG, each pixel `zoom` times as large."""
    _zoomed(pixels, zoom).save(file, format="PNG")


def save_picture(path: Path, pixels: Pixels, *, zoom: int = 1) -> None:
    """Write bytes of shape `(height, width, C)` in the format of the name's ending (`FORMATS`).

    A WebP is lossless; a JPEG is of quality 95.

    Raises:
        BadValue: For a picture with a side longer than its format holds.
    """
    image, kind = _zoomed(pixels, zoom), FORMATS[path.suffix.lower()]
    if max(image.size) > LARGEST[kind]:
        got = f"{image.width} x {image.height} pixels, more than a {kind} holds"
        raise errors.bad_value("out", "NAME.png for a picture so large", got)
    jpeg, webp = {"quality": 95, "subsampling": 0}, {"lossless": True}
    settings: dict[str, Any] = jpeg if kind == "JPEG" else webp if kind == "WEBP" else {}
    image.save(path, format=kind, **settings)


def _zoomed(pixels: Pixels, zoom: int) -> Image.Image:
    flat = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    image = Image.fromarray(np.ascontiguousarray(flat))
    size = (image.width * zoom, image.height * zoom)
    return image.resize(size, Image.Resampling.NEAREST)


def save_samples(
    path: Path,
    samples: Tensor,
    *,
    data: Tensor | None = None,
    span: tuple[float, float] = (0.0, 1.0),
    columns: int | None = None,
) -> None:
    """A picture of samples: a grid of images, or a plot of points on the data's.

    Args:
        path: The file to write, in the format of its name's ending (`FORMATS`).
        samples: Of shape `(n, *event_shape)`.
        data: Real examples to show below points; images are shown alone.
        span: The values of an image that are drawn black and white.
        columns: Images in a row; a square by default.
    """
    if is_image(tuple(samples.shape[1:])):
        side = max(samples.shape[2:])
        low, high = span
        pixels = grid((samples - low) / (high - low), columns=columns)
        save_picture(path, pixels, zoom=max(1, round(56 / side)))
    else:
        save_points(path, samples, data)


def save_singles(
    folder: Path,
    x: Tensor,
    *,
    start: int = 0,
    span: tuple[float, float] = (0.0, 1.0),
    show: Callable[[int], object] | None = None,
) -> None:
    """One PNG a sample in a folder, named by the sample's number: `000042.png`.

    Args:
        folder: The folder; it is made where it is not there.
        x: Images of shape `(n, C, H, W)`.
        start: The number of the first.
        span: The values that are drawn black and white.
        show: Hears how many are written.
    """
    if not is_image(tuple(x.shape[1:])):
        raise errors.wrong_shape("samples", "(n, 1, H, W) or (n, 3, H, W) for PNGs", x.shape)
    folder.mkdir(parents=True, exist_ok=True)
    low, high = span
    for i, pixels in enumerate(to_pixels((x - low) / (high - low))):
        save_png(folder / f"{start + i:06d}.png", pixels)
        if show is not None:
            show(i + 1)


def save_points(path: Path, samples: Tensor, data: Tensor | None = None) -> None:
    """A histogram of points on the line, a scatter plot of the first two coordinates of others."""
    with curves.styled({"font.size": LEGIBLE}):
        _points(samples, data).savefig(path, dpi=120)


def _points(samples: Tensor, data: Tensor | None) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    styles = [("data", data, "#9a9a9a", "s"), ("samples", samples, "#0072b2", "o")]
    for label, x, colour, marker in styles:
        if x is None:
            continue
        points = x.detach().cpu().flatten(1).numpy()
        if points.shape[1] == 1:
            low, high = _span(samples if data is None else torch.cat([samples, data]))
            bins = np.linspace(low, high, 60).tolist()
            axes.hist(points[:, 0], bins=bins, density=True, alpha=0.6, color=colour, label=label)
        else:
            axes.scatter(
                points[:, 0], points[:, 1], s=6, marker=marker, color=colour, alpha=0.5, label=label
            )
            axes.set_aspect("equal")
            axes.set_ylabel("$x_2$")
    _fix_axes(axes, samples, data)
    axes.set_xlabel("$x_1$")
    axes.legend(loc="upper right")
    return figure


def clouds(named: Mapping[str, Tensor], *, data: Tensor) -> Pixels:
    """Scatter plots of points side by side, each over the data's, 800 pixels wide.

    Args:
        named: Points of shape `(n, 2)` by the title of their panel.
        data: Points of shape `(n, 2)`; they set the ends of all axes.

    Returns:
        One picture of shape `(height, width, 3)`. A panel's title says how many of its points lie
        outside the axes.
    """
    with curves.styled({"font.size": 11.5}):
        figure = _clouds(named, data)
        file = io.BytesIO()
        figure.savefig(file, format="png")
    pixels: Pixels = np.array(Image.open(file).convert("RGB"))
    return pixels


def _clouds(named: Mapping[str, Tensor], data: Tensor) -> Any:
    from matplotlib.figure import Figure

    panels = len(named)
    figure = Figure(figsize=(8, 8 / panels + 0.5), layout="constrained", dpi=100)
    low, high = _span(data)
    row = figure.subplots(1, panels, squeeze=False, sharex=True, sharey=True)[0]
    for axes, (title, x) in zip(row, named.items(), strict=True):
        beyond = ((x < low) | (x > high)).any(dim=1).double().mean().item()
        title += f"\n{beyond:.0%} beyond" if beyond > 0 else ""
        axes.scatter(*data.T.tolist(), s=3, marker="s", color="#b0b0b0", linewidths=0)
        axes.scatter(*x.T.tolist(), s=4, color="#0072b2", linewidths=0)
        axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
        axes.set_title(title, fontsize="medium")
    return figure


def _span(x: Tensor) -> tuple[float, float]:
    low, high = x.min().item(), x.max().item()
    margin = 0.1 * (high - low) + 1e-6
    return low - margin, high + margin


def _fix_axes(axes: Any, samples: Tensor, data: Tensor | None) -> None:
    """The axes of the data, so that the plots of a training compare; says how many lie beyond."""
    if data is None or data[0].numel() < 2:
        return
    samples, data = (x.flatten(1)[:, :2] for x in (samples, data))
    low, high = _span(data)
    axes.set(xlim=(low, high), ylim=(low, high))
    beyond = ((samples < low) | (samples > high)).any(dim=1).double().mean().item()
    if beyond > 0:
        axes.text(0.02, 0.02, f"{beyond:.1%} beyond", transform=axes.transAxes)


def scatter(cloud: Tensor, trails: Tensor) -> Pixels:
    """Points that move in the plane, over a cloud of others, 480 pixels wide.

    Args:
        cloud: Points `(n, 2)`; they set the ends of the axes.
        trails: `(k, m, 2)`: where the m moving points are now, and were in the k - 1 frames before.

    Returns:
        One picture of shape `(height, width, 3)`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 4.8), dpi=100)
    canvas: Any = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.13, 0.12, 0.83, 0.83))
    low, high = _span(cloud)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal", xlabel="$x_1$", ylabel="$x_2$")
    xs, ys = cloud.T.tolist()
    axes.scatter(xs, ys, s=4, color="#b0b0b0", linewidths=0)
    axes.plot(*trails.movedim(2, 0).numpy(), color="#0072b2", linewidth=1, alpha=0.6)
    xs, ys = trails[0].T.tolist()
    axes.scatter(xs, ys, s=28, color="#d55e00", linewidths=0, zorder=3)
    canvas.draw()
    pixels: Pixels = np.asarray(canvas.buffer_rgba())[:, :, :3].copy()
    return pixels
