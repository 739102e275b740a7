"""Reads one picture file, whatever is wrong with it, and brings it to a size by a stated rule."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fittingroom.data.arrays import Images
from fittingroom.data.sniff import what_it_is
from fittingroom.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"})
ACCEPTED = "JPEG, PNG, WebP, BMP and GIF"
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")

MOST_PIXELS = 50_000_000
"""A larger picture is refused before it is decoded: 50 million pixels already take 150 MB."""

RESIZE_RULE = (
    "the longest edge is fitted to the size (bilinear, over all pixels that a new one covers), the rest is centred and "
    "filled with black; a picture of the right size is left as it is"
)


@dataclass(frozen=True)
class Picture:
    """A decoded picture: mode L or RGB, upright, and what had to be done to get there."""

    image: Image.Image
    changes: tuple[str, ...]


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silences Pillow's warnings: of its own pixel limit, which lies above ours, and about metadata.

    Filters of warnings are common to all threads, so this goes around the threads that call `open_picture`.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def open_picture(path: Path) -> Picture:
    """A picture file as 8-bit grey or RGB, turned upright, its first frame if it has several.

    Raises:
        DataError: it cannot be read, is no picture in an accepted format, has more than `MOST_PIXELS`, or is cut off.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=_FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise DataError(_too_large(path, f"{image.width}×{image.height} pixels"))
            return _decoded(image)
    except UnidentifiedImageError:
        with path.open("rb") as stream:
            start = stream.read(64)
        raise DataError(f"{path} is not an image: it {what_it_is(start)}. Accepted are {ACCEPTED}.") from None
    except Image.DecompressionBombError as error:
        raise DataError(_too_large(path, "far too many pixels")) from error
    except DataError:
        raise
    except Exception as error:  # a decoder meets hostile bytes with exceptions of every kind
        if isinstance(error, OSError) and error.errno:
            raise DataError(f"cannot read {path}: {error.strerror}.") from error
        raise DataError(
            f"{path} cannot be decoded; it is cut off or damaged ({error}). Get the file again; nothing is made up for "
            "the missing part."
        ) from error


def _too_large(path: Path, size: str) -> str:
    return f"{path} has {size}; at most {MOST_PIXELS:,} are decoded. Make it smaller."


def _decoded(image: Image.Image) -> Picture:
    """The pixels of an opened picture as L or RGB."""
    from PIL import Image, ImageOps

    changes = []
    if getattr(image, "is_animated", False):
        changes.append("animated: its first frame is used")
    sixteen_bits = any("16" in str(tile.args) for tile in getattr(image, "tile", ()))
    image.load()
    if _is_turned(image):
        image = ImageOps.exif_transpose(image)
        changes.append("turned upright as its EXIF data say")
    if image.mode == "CMYK":
        changes.append("converted from CMYK")
    if image.mode.startswith("I") or sixteen_bits:
        changes.append("reduced from 16 bits to 8")
    if image.mode.startswith("I"):
        image = Image.fromarray(((np.asarray(image, np.uint32) + 128) // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            changes.append("transparent: laid on white")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return Picture(image.convert("L" if image.mode in {"L", "1"} else "RGB"), tuple(changes))


def _is_turned(image: Image.Image) -> bool:
    """Whether the EXIF data name an orientation other than upright; broken EXIF data name none."""
    try:
        return bool(image.getexif().get(0x0112, 1) != 1)
    except Exception:  # the parser meets broken metadata with exceptions of every kind; the pixels are fine
        return False


def fit(image: Image.Image, height: int, width: int) -> Image.Image:
    """A picture brought to a size by `RESIZE_RULE`."""
    from PIL import Image

    if image.size == (width, height):
        return image
    ratio = min(width / image.width, height / image.height)
    inner = (max(round(image.width * ratio), 1), max(round(image.height * ratio), 1))
    resized = image.resize(inner, Image.Resampling.BILINEAR)
    canvas = Image.new(image.mode, (width, height))
    canvas.paste(resized, ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return canvas


def pixels(image: Image.Image) -> Images:
    """The pixels of an L or RGB picture: `(height, width)` if it is grey all over, else `(height, width, 3)`."""
    array = np.asarray(image)
    if array.ndim == 3 and (array == array[..., :1]).all():
        array = array[..., 0]
    return array
