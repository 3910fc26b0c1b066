"""Films from pictures: GIF and WebP by pillow, MP4 by ffmpeg (extra `video`)."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from advnets.base import errors
from advnets.plotting.images import Pixels

KINDS = (".gif", ".webp", ".mp4")
"""What a film can be written as."""
FASTEST = 50
"""Frames in a second: a GIF counts in hundredths of a second, and a browser shows 50 at most."""
_SHOWN = 8
"""Frames whose colours make the palette of a GIF."""
_QUALITY = 8
"""Of an MP4, from 0 to 10."""
_LETTERS = 16
"""Height of a caption's letters in pixels."""


def save(
    file: Path, frames: Sequence[Pixels], *, fps: float, hold: float = 0.0, colours: int = 256
) -> None:
    """Write a film; a GIF and a WebP loop.

    Args:
        file: NAME.gif, NAME.webp or NAME.mp4.
        frames: Pictures of one size, `(height, width, 3)` each.
        fps: Frames in a second, above 0 and at most 50.
        hold: Seconds that the last frame is shown longer.
        colours: Of a GIF, at most 256.

    Raises:
        BadValue: For another `fps`.
        MissingExtra: For an MP4 without `imageio-ffmpeg`.
    """
    refuse_speed(fps)
    kind = file.suffix.lower()
    if kind == ".mp4":
        _save_mp4(file, [*frames, *[frames[-1]] * round(hold * fps)], fps)
        return
    pictures = [Image.fromarray(np.ascontiguousarray(frame)) for frame in frames]
    milliseconds = [round(1000 / fps)] * len(pictures)
    milliseconds[-1] = max(round(1000 * hold), milliseconds[-1])
    rest: dict[str, Any] = {"save_all": True, "duration": milliseconds, "loop": 0}
    if kind == ".webp":
        first, *others = pictures
        first.save(file, format="WEBP", append_images=others, quality=90, method=4, **rest)
        return
    first, *others = _few(pictures, colours)
    first.save(file, format="GIF", append_images=others, optimize=True, **rest)


def refuse_speed(fps: float) -> None:
    """Raise `BadValue` for a number of frames in a second that a film cannot have."""
    errors.require(0 < fps <= FASTEST, "fps", f"above 0 and at most {FASTEST}", f"{fps:g}")


def refuse_kind(file: Path) -> None:
    """Raise `MissingExtra` for a film that needs a package which is not installed."""
    if file.suffix.lower() == ".mp4":
        _ffmpeg()


def _few(pictures: Sequence[Image.Image], colours: int) -> list[Image.Image]:
    """The pictures in the colours of some of them, so that no frame flickers."""
    rows = np.linspace(0, len(pictures) - 1, min(_SHOWN, len(pictures))).round().astype(int)
    sheet = np.concatenate([np.asarray(pictures[i]) for i in rows.tolist()])
    few = Image.fromarray(sheet).quantize(colours, dither=Image.Dither.NONE)
    return [p.quantize(palette=few, dither=Image.Dither.NONE) for p in pictures]


def _ffmpeg() -> Any:
    try:
        return importlib.import_module("imageio_ffmpeg")
    except ImportError:
        raise errors.missing_extra("imageio-ffmpeg", "video") from None


def _save_mp4(file: Path, frames: Sequence[Pixels], fps: float) -> None:
    """H.264 in 4:2:0, which every browser plays; its sides are even."""
    package = _ffmpeg()
    height, width = frames[0].shape[:2]
    padding = ((0, height % 2), (0, width % 2), (0, 0))
    size = (width + width % 2, height + height % 2)
    settings: dict[str, Any] = {"fps": fps, "quality": _QUALITY, "macro_block_size": 2}
    writer = package.write_frames(str(file), size, ffmpeg_log_level="error", **settings)
    writer.send(None)
    try:
        for frame in frames:
            writer.send(np.ascontiguousarray(np.pad(frame, padding, mode="edge")))
    finally:
        writer.close()


def captioned(frame: Pixels, words: str) -> Pixels:
    """The picture with a line of text below it, on the colour of its corner.

    Args:
        frame: `(height, width, 3)`.
        words: The text, at the left.
    """
    height, width = frame.shape[:2]
    paper = tuple(frame[0, 0].tolist())
    ink = (0, 0, 0) if sum(paper) > 3 * 127 else (255, 255, 255)
    canvas = Image.new("RGB", (width, height + _LETTERS + 12), paper)
    canvas.paste(Image.fromarray(np.ascontiguousarray(frame)), (0, 0))
    font = ImageFont.load_default(_LETTERS)
    ImageDraw.Draw(canvas).text((8, height + 3), words, fill=ink, font=font)
    pixels: Pixels = np.asarray(canvas).copy()
    return pixels
