"""From a file's bytes to pixels: every rule against a slow reference, and every damage named."""

import dataclasses
import io
import math
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from advnets.base import errors
from advnets.data import images
from advnets.data.images import decoding
from advnets.data.images.decoding import Look, decode
from pictures import UNUSABLE, bomb, encoded, pixels


def look(size=8, *, grey=False, smallest=8):
    return Look(size=size, grey=grey, smallest=smallest)


def chw(x):
    return x.transpose(2, 0, 1)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP", "TGA", "QOI"])
def test_a_square_of_the_right_size_is_left_as_it_is(kind):
    x = pixels(0)
    raw = encoded(x, kind, **({"lossless": True} if kind == "WEBP" else {}))
    y = decode(raw, look())
    assert y.dtype == np.uint8
    assert np.array_equal(y, chw(x))


def test_a_jpeg_is_what_pillow_makes_of_it():
    raw = encoded(pixels(0, 32), "JPEG")
    with Image.open(__import__("io").BytesIO(raw)) as image:
        assert np.array_equal(decode(raw, look(32)), chw(np.asarray(image)))


@pytest.mark.parametrize(("height", "width"), [(8, 20), (20, 8), (8, 9), (9, 8), (8, 8)])
def test_the_largest_centred_square_is_cut_out(height, width):
    x = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    top, left = (height - 8) // 2, (width - 8) // 2
    assert np.array_equal(decode(encoded(x), look()), chw(x[top : top + 8, left : left + 8]))


@pytest.mark.parametrize("sides", [(8, 12), (12, 8), (16, 11), (3, 40), (1, 9)])
@pytest.mark.parametrize(
    ("height", "width"), [(40, 40), (24, 90), (90, 24), (37, 41), (12, 8), (8, 12)]
)
def test_the_largest_centred_rectangle_is_cut_out_and_resized(sides, height, width):
    """The largest multiple of the requested sides that fits, in exact fractions."""
    x = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    y = decode(encoded(x), look(sides, smallest=1))
    assert y.shape == (3, *sides)
    if (height, width) == sides:
        assert np.array_equal(y, chw(x))
        return
    scale = min(Fraction(height, sides[0]), Fraction(width, sides[1]))
    h, w = (max(1, math.floor(scale * side)) for side in sides)
    top, left = (height - h) // 2, (width - w) // 2
    part = Image.fromarray(x[top : top + h, left : left + w])
    expected = part.resize((sides[1], sides[0]), Image.Resampling.LANCZOS)
    assert np.array_equal(y, chw(np.asarray(expected)))


def test_equal_sides_are_the_square_of_before():
    x = pixels(3, 50)[:, :40]
    assert np.array_equal(decode(encoded(x), look((16, 16))), decode(encoded(x), look(16)))
    square = dataclasses.asdict(look(images.sides("16x16")))
    assert square == {"size": 16, "grey": False, "smallest": 8}  # part of a cache's name


def test_a_large_jpeg_keeps_twice_the_pixels_of_both_sides():
    x = np.zeros((400, 1600, 3), np.uint8)
    x[:, 800:] = 255
    y = decode(encoded(x, "JPEG", quality=95), look((16, 64)))
    assert (y[:, :, :31] < 10).all()
    assert (y[:, :, 33:] > 245).all()


def test_a_larger_picture_is_averaged_and_a_smaller_one_enlarged():
    ramp = np.repeat(np.linspace(0, 255, 64)[None, :], 64, axis=0).round().astype(np.uint8)
    small = decode(encoded(np.stack([ramp] * 3, axis=-1)), look(8))
    blocks = ramp.reshape(8, 8, 8, 8).mean(axis=(1, 3))
    assert np.abs(small[0].astype(float) - blocks)[:, 1:-1].max() <= 1  # a linear ramp stays one
    flat = decode(encoded(np.full((8, 8, 3), 77, np.uint8)), look(32))
    assert flat.shape == (3, 32, 32)
    assert (flat == 77).all()


def test_the_resizing_is_pillows_lanczos():
    x = pixels(3, 50)[:, :40]
    square = Image.fromarray(x[5:45])
    expected = square.resize((16, 16), Image.Resampling.LANCZOS)
    assert np.array_equal(decode(encoded(x), look(16)), chw(np.asarray(expected)))


def test_a_large_jpeg_is_decoded_at_a_fraction_and_looks_the_same():
    t = np.linspace(0, 6, 512)
    smooth = (127 + 100 * np.sin(t)[:, None] * np.cos(t)[None, :]).astype(np.uint8)
    x = np.stack([smooth, smooth.T, 255 - smooth], axis=-1)
    y = decode(encoded(x, "JPEG", quality=95), look(32)).astype(float)
    whole = decode(encoded(x, "PNG"), look(32)).astype(float)
    assert np.abs(y - whole).max() < 6
    raw = encoded(x, "JPEG", quality=95)
    seen = []
    real = decoding._cropped
    decoding._cropped = lambda image, *sides: seen.append(image.size) or real(image, *sides)
    try:
        decode(raw, look(32))
    finally:
        decoding._cropped = real
    assert seen == [(64, 64)]


def test_grey_is_the_weighted_mean_and_has_one_channel():
    x = pixels(4)
    y = decode(encoded(x), look(grey=True))
    assert y.shape == (1, 8, 8)
    weights = np.array([299, 587, 114]) / 1000
    assert np.abs(y[0] - x @ weights).max() <= 1


def test_a_grey_picture_becomes_three_equal_channels():
    x = pixels(5)[..., 0]
    assert np.array_equal(decode(encoded(x), look()), np.stack([x] * 3))
    assert np.array_equal(decode(encoded(x), look(grey=True)), x[None])


# Modes


def test_black_and_white_and_palettes_become_what_they_show():
    x = pixels(6)[..., 0] > 127
    assert np.array_equal(
        decode(encoded(Image.fromarray(x)), look(grey=True))[0], x * np.uint8(255)
    )
    few = Image.fromarray(pixels(6)).quantize(8)
    assert np.array_equal(decode(encoded(few), look()), chw(np.asarray(few.convert("RGB"))))


def test_cmyk_is_converted():
    dice = np.random.default_rng(7)
    ink = Image.fromarray(dice.integers(0, 256, (8, 8, 4), dtype=np.uint8), "CMYK")
    c, m, y, k = (np.asarray(ink, dtype=float)[..., i] / 255 for i in range(4))
    expected = np.stack([255 * (1 - v) * (1 - k) for v in (c, m, y)])
    assert np.abs(decode(encoded(ink, "TIFF"), look()) - expected).max() <= 1
    white = Image.new("CMYK", (32, 32), (0, 0, 0, 0))
    red = Image.new("CMYK", (32, 32), (0, 255, 255, 0))
    assert decode(encoded(white, "JPEG"), look(32)).min() > 250
    shown = decode(encoded(red, "JPEG"), look(32)).mean(axis=(1, 2))
    assert shown[0] > 240
    assert shown[1:].max() < 15


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_of_sixteen_bits_the_higher_eight_are_kept(kind):
    deep = np.random.default_rng(8).integers(0, 2**16, (8, 8), dtype=np.uint16)
    deep[0, :3] = 0, 2**16 - 1, 256
    y = decode(encoded(Image.fromarray(deep), kind), look(grey=True))
    assert np.array_equal(y[0], deep // 256)


def test_what_is_transparent_lies_on_white():
    rgba = np.concatenate([pixels(9), pixels(10)[..., :1]], axis=-1)
    alpha = rgba[..., 3:] / 255
    expected = chw(rgba[..., :3] * alpha + 255 * (1 - alpha))
    assert np.abs(decode(encoded(rgba), look()) - expected).max() <= 1
    grey = np.stack([rgba[..., 0], rgba[..., 3]], axis=-1)
    expected = grey[..., 0] * alpha[..., 0] + 255 * (1 - alpha[..., 0])
    assert (
        np.abs(decode(encoded(Image.fromarray(grey, "LA")), look(grey=True))[0] - expected).max()
        <= 1
    )
    clear = Image.fromarray(pixels(6)).quantize(4)
    seen = decode(encoded(clear, "PNG", transparency=0), look())
    assert (seen[:, np.asarray(clear) == 0] == 255).all()


def upright(x, orientation):
    """What a camera saw that stored `x` with this note (EXIF 2.3, tag 0x0112)."""
    return {
        1: x,
        2: x[:, ::-1],
        3: x[::-1, ::-1],
        4: x[::-1],
        5: x.transpose(1, 0, 2),
        6: np.rot90(x, -1),
        7: np.rot90(x, 2).transpose(1, 0, 2),
        8: np.rot90(x, 1),
    }[orientation]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG", "MPO"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_what_it_would_be_if_it_were_stored_upright(kind, orientation):
    x = np.random.default_rng(11).integers(0, 256, (33, 20, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if kind == "WEBP" else {}
    turned = encoded(x, kind, exif=exif, **lossless)
    with Image.open(io.BytesIO(encoded(x, kind, **lossless))) as image:
        stored = np.asarray(image)
    assert np.array_equal(
        decode(turned, look(12)), decode(encoded(upright(stored, orientation)), look(12))
    )


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_a_damaged_note_turns_nothing(kind):
    lossless = {"lossless": True} if kind == "WEBP" else {}
    x = pixels(3)
    raw = encoded(x, kind, exif=b"Exif\0\0XX garbage", **lossless)
    assert np.array_equal(decode(raw, look()), decode(encoded(x, kind, **lossless), look()))


def test_the_first_view_of_a_telephones_picture_counts():
    views = [Image.fromarray(pixels(i, 32)) for i in (1, 2)]
    raw = encoded(views[0], "MPO", save_all=True, append_images=views[1:])
    expected = decode(encoded(views[0], "JPEG"), look(32))
    assert np.array_equal(decode(raw, look(32)), expected)


def test_the_suffix_does_not_decide_and_what_runs_other_programs_is_not_opened():
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\n"
    with pytest.raises(errors.Unusable, match="in no format"):
        decode(eps, look())
    assert not {".eps", ".ps", ".pdf", ".txt", ".csv", ".mp4", ".h5"} & decoding.suffixes()
    assert {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".mpo"} <= decoding.suffixes()


# What cannot be used


@pytest.mark.parametrize(("name", "raw", "words"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_cannot_be_used_says_why(name, raw, words):
    with pytest.raises(errors.Unusable, match=words) as error:
        decode(raw, look())
    assert not isinstance(error.value, errors.Bomb)
    assert "\n" not in str(error.value)


def test_the_shorter_side_decides_and_may_be_allowed():
    x = pixels(1, 20)[:5]
    with pytest.raises(errors.Unusable, match="20 x 5 pixels, fewer than 8 on a side"):
        decode(encoded(x), look())
    assert decode(encoded(x), look(smallest=5)).shape == (3, 8, 8)


@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (2**31 - 1, 2), (2**14, 2**14)])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb_is_not_decoded(width, height):
    with pytest.raises(errors.Bomb, match=r"must have at most 134,217,728 pixels, got "):
        decode(bomb(width, height), look(smallest=1))


@pytest.mark.parametrize("seed", range(20))
def test_damaged_bytes_are_named_or_read_but_never_raise_anything_else(seed):
    dice = np.random.default_rng(seed)
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"):
        raw = bytearray(encoded(pixels(seed, 16), kind))
        for place in dice.integers(0, len(raw), 5):
            raw[place] = dice.integers(256)
        try:
            y = decode(bytes(raw[: dice.integers(1, len(raw) + 1)]), look(16))
        except errors.Unusable:
            continue
        assert y.shape == (3, 16, 16)
