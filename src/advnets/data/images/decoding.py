"""One picture's file as pixels, by rules that depend on nothing but its bytes.

1. The first picture in the file counts; a file with several frames is not used, unless they are
   layers (PSD) or views (MPO, as telephones write it).
2. Palettes, black and white, and CMYK become RGB by Pillow's own conversions, without a colour
   profile; of 16 bits the higher 8 are kept; what is transparent lies on white.
3. The largest centred square is cut out (from the left and the top the smaller half, rounded down)
   and resized by a Lanczos filter, which averages where it makes smaller. A square of the right
   size is left as it is. A large JPEG is decoded at 1/2, 1/4 or 1/8, as long as that leaves twice
   the pixels.
4. It is turned as the camera's note (EXIF) asks, and made grey (ITU-R 601-2) where grey is asked.

Reference: Pillow's documentation, "Concepts" (modes, filters).
"""

import functools
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from advnets import checks

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

MOST_PIXELS = 2**27
"""134 million; a picture of more is taken for a decompression bomb."""
LAYERED = ("MPO", "PSD")
NOT_OPENED = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"}
"""What Pillow gives to other programs, or only recognises."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each orientation that a camera notes (EXIF 2.3, tag 0x0112)."""
COMMON = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]


@dataclass(frozen=True, kw_only=True)
class Look:
    """What all pictures are made to look like."""

    size: int
    """Pixels on a side."""
    grey: bool
    """Whether they have one channel instead of three."""
    smallest: int
    """A picture whose shorter side has fewer pixels is not used."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(C, size, size)`."""
        return (1 if self.grey else 3, self.size, self.size)


@functools.cache
def formats() -> list[str]:
    """The formats that Pillow opens itself, the common ones first."""
    Image.init()
    return COMMON + sorted({*Image.OPEN} - {*COMMON} - NOT_OPENED)


@functools.cache
def suffixes() -> frozenset[str]:
    """The endings of their files' names, such as `.png`."""
    known = Image.registered_extensions().items()
    return frozenset(suffix for suffix, name in known if name in {*formats(), *LAYERED})


def decode(raw: bytes, look: Look) -> Pixels:
    """The picture in a file's bytes, of shape `look.shape`.

    Raises:
        Unusable: For what cannot be read whole, moves, or is too small; says why.
        Bomb: For a picture of more pixels than are decoded.
    """
    if not raw:
        raise checks.unusable("zero bytes")
    try:
        with Image.open(io.BytesIO(raw), formats=formats()) as image:
            _refuse(image, look)
            return _pixels(image, look)
    except Image.DecompressionBombError as error:
        got = str(error).partition("(")[2].partition(")")[0]
        raise checks.bomb(f"{MOST_PIXELS:,} pixels", got) from None
    except checks.UserError:
        raise
    except UnidentifiedImageError:
        raise checks.unusable("in no format of pictures that Pillow reads") from None
    except Exception as error:  # what a decoder raises on damaged bytes has no common type
        raise checks.unusable(f"damaged: {error}") from None


def _refuse(image: Image.Image, look: Look) -> None:
    """Raise for a picture that is not to be decoded."""
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise checks.bomb(f"{MOST_PIXELS:,} pixels", f"{width} x {height}")
    if min(width, height) < look.smallest:
        raise checks.unusable(f"{width} x {height} pixels, fewer than {look.smallest} on a side")
    if getattr(image, "is_animated", False) and image.format not in LAYERED:
        raise checks.unusable("animated, or of several pages")


def _pixels(image: Image.Image, look: Look) -> Pixels:
    if image.format in ("JPEG", "MPO"):
        image.draft(None, (2 * look.size, 2 * look.size))
    turn = TURNS.get(image.getexif().get(0x0112, 1))
    flat = _squared(_eight_bit(image), look.size)
    if turn is not None:
        flat = flat.transpose(turn)
    if flat.mode != ("L" if look.grey else "RGB"):
        flat = flat.convert("L" if look.grey else "RGB")
    pixels: Pixels = np.asarray(flat)
    return pixels[None] if look.grey else pixels.transpose(2, 0, 1)


def _squared(image: Image.Image, size: int) -> Image.Image:
    """The largest centred square, resized."""
    width, height = image.size
    if width == height == size:
        return image
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    if side == size:
        return square
    return square.resize((size, size), Image.Resampling.LANCZOS)


def _eight_bit(image: Image.Image) -> Image.Image:
    """A picture of bytes, grey or RGB, that hides nothing."""
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        return _upper_bits(image)
    if image.mode in ("I", "F"):
        raise checks.unusable("of 32-bit numbers, whose black and white are not known")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        ground = Image.new("RGBA", image.size, "white")
        ground.alpha_composite(image.convert("RGBA"))
        return ground.convert("RGB")
    return image.convert("L" if image.mode == "1" else "RGB")


def _upper_bits(image: Image.Image) -> Image.Image:
    """16-bit grey as 8-bit grey; by hand, because Pillow's conversion cuts off instead."""
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
