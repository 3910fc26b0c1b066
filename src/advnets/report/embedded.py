"""Pictures as files inside a page, none of them heavy."""

import io

from PIL import Image

from advnets.plotting import images

File = tuple[bytes, tuple[int, int], str]
"""The bytes of a picture, its width and height in pixels, and its MIME type."""
BYTES, SIDE = 200_000, 640
"""Pictures with more bytes are reduced to this width in pixels."""


def fitted(pixels: images.Pixels) -> File:
    """Bytes of shape `(height, width, C)` as a file, reduced where it is heavy."""
    file = io.BytesIO()
    images.save_png(file, pixels)
    with Image.open(file) as image:
        return within_limits(file.getvalue(), image)


def within_limits(data: bytes, image: Image.Image) -> File:
    """A PNG as it is, or as a smaller JPEG where it has too many bytes."""
    if len(data) <= BYTES:
        return data, image.size, "image/png"
    small, file = image.convert("RGB"), io.BytesIO()
    small.thumbnail((SIDE, SIDE))
    small.save(file, format="JPEG", quality=85)
    return file.getvalue(), small.size, "image/jpeg"
