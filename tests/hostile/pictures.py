"""Hostile pictures and folders of pictures."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from tests.hostile.case import Case, Place, evil_module, npy_header, pickled, rows, zeros_zlib


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, colour: int = 0, bits: int = 8, *, extra: bytes = b"") -> bytes:
    """A PNG of zeros; above 20,000 rows its data are cut off."""
    channels = {0: 1, 3: 1, 6: 4}[colour]
    packed = zeros_zlib((1 + width * channels * bits // 8) * min(height, 20_000))
    palette = chunk(b"PLTE", bytes(range(6))) + chunk(b"tRNS", b"\0") if colour == 3 else b""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + palette + extra + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def saved(size: tuple[int, int], form: str, mode: str = "RGB", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size).save(stream, form, **options)
    return stream.getvalue()


def picture(make: Callable[[], bytes]) -> Callable[[Place], object]:
    """Writes a picture to predict."""
    return lambda place: (place.folder / "picture.png").write_bytes(make())


def honest_folder(place: Place) -> Path:
    """A folder of two classes with honest pictures."""
    root = place.folder / "pictures"
    for number, pixels in enumerate(rows(40)):
        path = root / f"class{number % 2}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return root


def folder(make: Callable[[], bytes], count: int = 1, suffix: str = ".png") -> Callable[[Place], None]:
    """Writes a folder of honest pictures with some hostile ones among them."""

    def build(place: Place) -> None:
        root = honest_folder(place)
        content = make()
        for number in range(count):
            (root / "class0" / f"bomb{number}{suffix}").write_bytes(content)

    return build


def links(place: Place) -> None:
    """Links out of the folder, to itself, to endless devices; pipes; hidden files; things with a picture's name."""
    root = honest_folder(place)
    (root / "class0" / "zero.png").symlink_to("/dev/zero")
    (root / "class0" / "secret.png").symlink_to(place.outside / "secret")
    (root / "class0" / "loop").symlink_to(root)
    (root / "class2").symlink_to(place.outside)
    os.mkfifo(root / "class0" / "pipe.png")
    os.mkfifo(root / "class1" / "pipe.jpg")
    (root / "class1" / ".hidden.png").write_bytes(b"")


def class_name(name: str) -> Callable[[Place], None]:
    def build(place: Place) -> None:
        root = honest_folder(place)
        (root / "class0").rename(root / name)

    return build


def code_in_pictures(place: Place) -> None:
    """Pickles and Python files beside the pictures and under their names."""
    root = honest_folder(place)
    evil_module(root / "class0", place.canary)
    evil_module(root / "class0", place.canary, "__init__")
    (root / "class1" / "model.pkl").write_bytes(pickled(place.canary))
    (root / "class1" / "picture.png").write_bytes(pickled(place.canary))


def text_bomb() -> bytes:
    """A PNG whose compressed text unpacks to 256 MB."""
    return png(8, 8, extra=chunk(b"zTXt", b"a\0\0" + zeros_zlib(2**28)))


def progressive(side: int) -> bytes:
    return saved((side, side), "JPEG", progressive=True, subsampling=0)


def huge_webp() -> bytes:
    """A picture of 268 million pixels in 34 bytes, for which its decoder takes a gigabyte as soon as it is opened."""
    content = bytearray(saved((8, 8), "WEBP", lossless=True))
    content[21:25] = (16_382 | 16_382 << 14).to_bytes(4, "little")
    return bytes(content)


def npy_of_objects(place: Place) -> None:
    path = place.folder / "picture.npy"
    path.write_bytes(npy_header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n") + pickled(place.canary))


def name(text: str) -> Callable[[Place], object]:
    """A name of a dataset, as it may stand in somebody's script."""
    return lambda place: (place.folder / "name.json").write_text(repr(text).replace("'", '"'))


def pipe(place: Place) -> None:
    os.mkfifo(place.folder / "picture.png")


_LIMIT = r"pixels; at most"

CASES: dict[str, Case] = {
    "picture of 13,300 x 13,300": Case("picture", picture(lambda: png(13_300, 13_300)), r"pixel"),
    "picture of 4,400 x 4,400 in colour": Case("picture", picture(lambda: png(4_400, 4_400, 6)), r"takes exactly"),
    "picture of 2^31 x 2^31": Case("picture", picture(lambda: png(2**31 - 1, 1)), r"pixel"),
    "picture with a text of 256 MB": Case("picture", picture(text_bomb), r"damaged|."),
    "picture that is an NPY of pickles": Case("picture", npy_of_objects, r"is not an image"),
    "picture that is a pipe": Case("picture", pipe, r"cannot read"),
    "picture that is /dev/zero": Case(
        "picture", lambda place: (place.folder / "picture.png").symlink_to("/dev/zero"), r"cannot read"
    ),
    "folder with a large grey picture": Case("folder", folder(lambda: png(6_300, 6_300)), None),
    "folder with a large transparent picture": Case("folder", folder(lambda: png(4_400, 4_400, 6)), None),
    "folder with a large transparent palette": Case("folder", folder(lambda: png(4_400, 4_400, 3)), None),
    "folder with a large 16-bit picture": Case("folder", folder(lambda: png(6_300, 6_300, 0, 16)), None),
    "folder with a picture over the limit": Case("folder", folder(lambda: png(10_000, 10_000)), _LIMIT),
    "folder with a WebP over the limit": Case("folder", folder(huge_webp, suffix=".webp"), _LIMIT),
    "folder with a large progressive JPEG": Case("folder", folder(lambda: progressive(3_600), suffix=".jpg"), None),
    "folder with a large WebP": Case(
        "folder", folder(lambda: saved((3_000, 3_000), "WEBP", lossless=True, method=0), suffix=".webp"), None
    ),
    "folder with a large GIF": Case("folder", folder(lambda: saved((5_100, 5_100), "GIF", "P"), suffix=".gif"), None),
    "folder with links and pipes": Case("folder", links, None),
    "folder with code": Case("folder", code_in_pictures, r"is not an image"),
    "folder with a class of control characters": Case("folder", class_name("a\x1b[2J\x07"), r"not text"),
    "folder with a class like a path": Case("folder", class_name("%2e%2e%2f<script>canary"), None),
    "dataset name with NUL": Case(
        "name", lambda place: (place.folder / "name.json").write_text('"npz:a\\u0000b"'), r"."
    ),
    "dataset name of 100,000 characters": Case("name", name("npz:" + "a" * 100_000), r"."),
    "dataset that is /dev/zero": Case("name", name("npz:/dev/zero"), r"not an ordinary file"),
    "dataset that is the whole /dev": Case("name", name("folder:/dev"), r"."),
}
