"""Decoding of one picture by rules that depend only on its bytes.

1. The first picture in the file counts; a file with several frames is not used, unless they are
   layers (PSD) or views (MPO and HEIC, as telephones write them).
2. Palettes, black and white, and CMYK become RGB by Pillow's own conversions, without a colour
   profile; transparent pixels are blended with white. Of 16-bit grey the upper 8 of the bits that
   the set uses are kept: cameras store 8, 10, 12 or 14 bits in files of 16.
3. It is rotated by its EXIF orientation.
4. The largest centred rectangle of the requested shape is cut out (sides and offsets rounded down)
   and resized by a Lanczos filter, which averages when it reduces. One of the right size is
   unchanged. A large JPEG is decoded at 1/2, 1/4 or 1/8, as long as that leaves twice the pixels.
5. It is converted to grey (ITU-R 601-2) where grey is requested.

Reference: Pillow's documentation, "Concepts" (modes, filters).
"""

import functools
import importlib.util
import io
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from advnets.base import errors

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

MOST_PIXELS = 2**27
"""134 million; a larger picture is treated as a decompression bomb."""
LAYERED = ("MPO", "PSD")
HEIF = "HEIF"
"""Pillow's name of the format of `.heic` files, which the extra `heic` adds."""
NOT_OPENED = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"}
"""Formats that Pillow passes to other programs, or only recognises."""
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transposition that undoes each orientation (EXIF 2.3, tag 0x0112)."""
DEPTHS = (8, 10, 12, 14, 16)
"""Bits that cameras and scanners use of a file of 16."""
LANCZOS = Image.Resampling.LANCZOS
COMMON = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"]


@dataclass(frozen=True, kw_only=True)
class Look:
    """The format of all decoded pictures."""

    size: int | tuple[int, int]
    """Pixels on a side, or height and width where they differ."""
    grey: bool
    """Whether they have one channel instead of three."""
    smallest: int
    """A picture whose shorter side has fewer pixels is not used."""

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(C, height, width)`."""
        return (1 if self.grey else 3, *self.sides)


class Decoded(NamedTuple):
    """A decoded picture, and its contribution to the set's bit depth."""

    pixels: Pixels
    """Pixels of shape `Look.shape`."""
    deepest: int | None
    """The largest number of a 16-bit grey picture; None for any other."""


def depth_of(deepest: int) -> int:
    """The smallest usual number of bits that holds this number."""
    return next(bits for bits in DEPTHS if deepest < 2**bits)


def reads_heic() -> bool:
    """Whether the extra `heic` is installed."""
    return importlib.util.find_spec("pillow_heif") is not None


@functools.cache
def formats() -> list[str]:
    """The formats that Pillow opens itself, the common ones first; HEIC with the extra `heic`."""
    Image.init()
    left_out = NOT_OPENED | {HEIF}
    if reads_heic():
        from pillow_heif import register_heif_opener

        register_heif_opener()
        left_out = NOT_OPENED
    return COMMON + sorted({*Image.OPEN} - {*COMMON} - left_out)


@functools.cache
def suffixes() -> frozenset[str]:
    """Their file extensions, such as `.png`."""
    read = {*formats(), *LAYERED}
    return frozenset(suffix for suffix, n in Image.registered_extensions().items() if n in read)


def decode(raw: bytes, look: Look) -> Pixels:
    """The pixels of `decoded`, for a set of pictures that uses all 16 bits of its files."""
    return decoded(raw, look, depth=16).pixels


def decoded(raw: bytes, look: Look, *, depth: int) -> Decoded:
    """The picture in a file's bytes.

    Args:
        raw: The whole file.
        look: The format of the decoded picture.
        depth: Bits that the set's 16-bit grey pictures use.

    Raises:
        Unusable: For a picture that is damaged, animated or too small; says why.
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
    if getattr(image, "is_animated", False) and image.format not in (*LAYERED, HEIF):
        raise errors.unusable("animated, or of several pages")


def _to_look(image: Image.Image, look: Look, depth: int) -> Decoded:
    if image.format in ("JPEG", "MPO"):
        height, width = look.sides
        image.draft(None, (2 * width, 2 * height))
    image.load()
    turn = _turn(image)
    deepest = int(np.asarray(image).max()) if is_deep(image) else None
    flat = opaque(image, depth)
    flat = _cropped(flat if turn is None else flat.transpose(turn), *look.sides)
    if flat.mode != ("L" if look.grey else "RGB"):
        flat = flat.convert("L" if look.grey else "RGB")
    pixels: Pixels = np.asarray(flat)
    return Decoded(pixels[None] if look.grey else pixels.transpose(2, 0, 1), deepest)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """The transposition that makes a loaded picture upright.

    Call it after loading: Pillow rotates a TIFF while loading it, and then drops the tag.
    """
    try:
        return TURNS.get(image.getexif().get(0x0112, 1))
    except Exception:  # a damaged note turns nothing
        return None


def _cropped(image: Image.Image, height: int, width: int) -> Image.Image:
    """The largest centred rectangle of this shape, resized to it."""
    W, H = image.size
    if image.size == (width, height):
        return image
    w = min(W, max(1, H * width // height))
    h = min(H, max(1, W * height // width))
    left, top = (W - w) // 2, (H - h) // 2
    part = image.crop((left, top, left + w, top + h))
    return part if part.size == (width, height) else part.resize((width, height), LANCZOS)


def is_deep(image: Image.Image) -> bool:
    """Whether a picture is 16-bit grey."""
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))


def opaque(image: Image.Image, depth: int) -> Image.Image:
    """The picture as opaque 8-bit grey or RGB.

    Args:
        image: Of any mode.
        depth: Bits that its numbers use, where it is 16-bit grey.

    Raises:
        Unusable: For numbers of 32 bits, which have no white.
    """
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image
    if is_deep(image):  # by hand, because Pillow's conversion cuts off instead
        upper = np.asarray(image) >> (depth - 8)
        return Image.fromarray(upper.clip(0, 255).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise errors.unusable("of 32-bit numbers, whose black and white are not known")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        ground = Image.new("RGBA", image.size, "white")
        ground.alpha_composite(image.convert("RGBA"))
        return ground.convert("RGB")
    return image.convert("L" if image.mode == "1" else "RGB")
