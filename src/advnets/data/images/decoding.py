"""One picture's file as pixels, by rules that depend on nothing but its bytes.

1. The first picture in the file counts; a file with several frames is not used, unless they are
   layers (PSD) or views (MPO, as telephones write it).
2. Palettes, black and white, and CMYK become RGB by Pillow's own conversions, without a colour
   profile; what is transparent lies on white. Of 16-bit grey the upper 8 of the bits that the set
   uses are kept: cameras store 8, 10, 12 or 14 bits in files of 16.
3. It is turned as the camera's note (EXIF) asks.
4. The largest centred square is cut out (from the left and the top the smaller half, rounded down)
   and resized by a Lanczos filter, which averages where it makes smaller. A square of the right
   size is left as it is. A large JPEG is decoded at 1/2, 1/4 or 1/8, as long as that leaves twice
   the pixels.
5. It is made grey (ITU-R 601-2) where grey is asked.

Reference: Pillow's documentation, "Concepts" (modes, filters).
"""

import functools
import io
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from advnets.base import errors

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
DEPTHS = (8, 10, 12, 14, 16)
"""Bits that cameras and scanners use of a file of 16."""
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


class Decoded(NamedTuple):
    """A picture, and what it tells of the set's depth."""

    pixels: Pixels
    """Of the shape of the look."""
    deepest: int | None
    """The largest number of a 16-bit grey picture; None for any other."""


def depth_of(deepest: int) -> int:
    """The smallest usual number of bits that holds this number."""
    return next(bits for bits in DEPTHS if deepest < 2**bits)


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
    """The pixels of `decoded`, for a set of pictures that uses all 16 bits of its files."""
    return decoded(raw, look, depth=16).pixels


def decoded(raw: bytes, look: Look, *, depth: int) -> Decoded:
    """The picture in a file's bytes.

    Args:
        raw: The whole file.
        look: What the picture is made to look like.
        depth: Bits that the set's 16-bit grey pictures use.

    Raises:
        Unusable: For what cannot be read whole, moves, or is too small; says why.
        Bomb: For a picture of more pixels than are decoded.
    """
    if not raw:
        raise errors.unusable("zero bytes")
    try:
        with Image.open(io.BytesIO(raw), formats=formats()) as image:
            _refuse(image, look)
            return _to_look(image, look, depth)
    except Image.DecompressionBombError as error:
        got = str(error).partition("(")[2].partition(")")[0]
        raise errors.bomb(f"{MOST_PIXELS:,} pixels", got) from None
    except errors.UserError:
        raise
    except UnidentifiedImageError:
        raise errors.unusable("in no format of pictures that Pillow reads") from None
    except Exception as error:  # what a decoder raises on damaged bytes has no common type
        raise errors.unusable(f"damaged: {error}") from None


def _refuse(image: Image.Image, look: Look) -> None:
    """Raise for a picture that is not to be decoded."""
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise errors.bomb(f"{MOST_PIXELS:,} pixels", f"{width} x {height}")
    if min(width, height) < look.smallest:
        raise errors.unusable(f"{width} x {height} pixels, fewer than {look.smallest} on a side")
    if getattr(image, "is_animated", False) and image.format not in LAYERED:
        raise errors.unusable("animated, or of several pages")


def _to_look(image: Image.Image, look: Look, depth: int) -> Decoded:
    if image.format in ("JPEG", "MPO"):
        image.draft(None, (2 * look.size, 2 * look.size))
    image.load()
    turn = _turn(image)
    deepest = int(np.asarray(image).max()) if _is_deep(image) else None
    flat = _eight_bit(image, depth)
    flat = _squared(flat if turn is None else flat.transpose(turn), look.size)
    if flat.mode != ("L" if look.grey else "RGB"):
        flat = flat.convert("L" if look.grey else "RGB")
    pixels: Pixels = np.asarray(flat)
    return Decoded(pixels[None] if look.grey else pixels.transpose(2, 0, 1), deepest)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What turns a loaded picture upright.

    Only after loading: Pillow turns a TIFF itself when it loads it, and then drops the note.
    """
    try:
        return TURNS.get(image.getexif().get(0x0112, 1))
    except Exception:  # a damaged note turns nothing
        return None


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


def _is_deep(image: Image.Image) -> bool:
    """Whether a picture is 16-bit grey."""
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))


def _eight_bit(image: Image.Image, depth: int) -> Image.Image:
    """A picture of bytes, grey or RGB, that hides nothing."""
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    if _is_deep(image):  # by hand, because Pillow's conversion cuts off instead
        upper = np.asarray(image) >> (depth - 8)
        return Image.fromarray(upper.clip(0, 255).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise errors.unusable("of 32-bit numbers, whose black and white are not known")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        ground = Image.new("RGBA", image.size, "white")
        ground.alpha_composite(image.convert("RGBA"))
        return ground.convert("RGB")
    return image.convert("L" if image.mode == "1" else "RGB")
