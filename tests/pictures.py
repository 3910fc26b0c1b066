"""Pictures on the disk for the tests: folders, the zips of them, and files that are not as they should be."""

import io
import struct
import zipfile
import zlib

import numpy as np
from PIL import Image


def pixels(i, side=8):
    """Picture number i: random bytes of shape `(side, side, 3)`."""
    return np.random.default_rng(i).integers(0, 256, (side, side, 3), dtype=np.uint8)


def encoded(x, kind="PNG", **settings):
    out = io.BytesIO()
    (x if isinstance(x, Image.Image) else Image.fromarray(x)).save(out, kind, **settings)
    return out.getvalue()


def png(i, side=8):
    return encoded(pixels(i, side))


def write(folder, files):
    """Files by name, bytes or text."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def zipped(path, files, method=zipfile.ZIP_STORED):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def bomb(width, height):
    """A PNG whose header promises this many pixels; only that header is there."""

    def chunk(kind, content):
        crc = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + crc

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def classes(n=6, names=("cat", "dog"), side=8):
    """n pictures of each class, in sub-folders; the same name gives the same picture."""
    return {
        f"{c}/{i:03d}.png": png(100 * k + i, side) for k, c in enumerate(names) for i in range(n)
    }


MOVING = [Image.fromarray(pixels(i)) for i in range(3)]
JPEG = encoded(pixels(50, 32), "JPEG")
UNUSABLE = {
    "zero bytes": ("z.png", b"", r"zero bytes"),
    "text": ("z.jpg", b"hello " * 40, r"in no format of pictures that Pillow reads"),
    "truncated JPEG": ("z.jpg", JPEG[: len(JPEG) // 2], r"damaged: .*truncated"),
    "truncated PNG": ("z.png", png(9, 40)[:-900], r"damaged: "),
    "cut header": ("z.png", png(9)[:20], r"damaged|in no format"),
    "wrong CRC": ("z.png", png(9)[:60] + b"\xff\xff" + png(9)[62:], r"damaged: "),
    "animated GIF": ("z.gif", encoded(MOVING[0], "GIF", save_all=True, append_images=MOVING[1:]), r"animated, or of several pages"),
    "animated PNG": ("z.png", encoded(MOVING[0], "PNG", save_all=True, append_images=MOVING[1:]), r"animated"),
    "animated WebP": ("z.webp", encoded(MOVING[0], "WEBP", save_all=True, append_images=MOVING[1:]), r"animated"),
    "pages": ("z.tiff", encoded(MOVING[0], "TIFF", save_all=True, append_images=MOVING[1:]), r"several pages"),
    "one pixel": ("z.png", png(9, 1), r"1 x 1 pixels, fewer than 8 on a side"),
    "floats": ("z.tiff", encoded(Image.new("F", (9, 9), 0.5), "TIFF"), r"of 32-bit numbers"),
    "integers": ("z.tiff", encoded(Image.new("I", (9, 9), 70_000), "TIFF"), r"of 32-bit numbers"),
}  # fmt: skip
"""What cannot be used: the name of the file, its bytes, and what is said of it."""
