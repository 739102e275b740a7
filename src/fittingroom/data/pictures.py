"""Reads one picture file, whatever is wrong with it, within a budget of memory."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from fittingroom.data.headers import PictureFile, check_pieces, picture_stream, webp_size
from fittingroom.data.sniff import LOOKED_AT, FileKind
from fittingroom.data.values import Images
from fittingroom.errors import DataError

if TYPE_CHECKING:
    from PIL import Image


class MemoryBudget:
    """So many bytes, of which threads take what they need and wait while it is not there.

    Args:
        total: bytes that may be taken at any one time.
    """

    def __init__(self, total: int) -> None:
        self._total = self._left = total
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, wanted: int) -> Iterator[None]:
        """Waits until so many bytes are left; who wants more than all waits for all."""
        wanted = min(wanted, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= wanted)
            self._left -= wanted
        try:
            yield
        finally:
            with self._changed:
                self._left += wanted
                self._changed.notify_all()


FIRST_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"})
"""Those of the first versions, so that the folder of an old run is read as it was."""

SUFFIXES = FIRST_SUFFIXES | {".jfif", ".jpe", ".pjpeg", ".pjp", ".dib"}
"""What the names of accepted picture files end in; `.jfif` is what browsers on Windows call a JPEG."""

ACCEPTED = "JPEG, PNG, WebP, BMP and GIF"
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
_JPEG = ("JPEG", "MPO")  # MPO has more pictures behind the first
_WEBP_BYTES = 17  # per pixel; its decoder keeps several copies of a picture

MOST_BYTES = 160_000_000
"""What decoding may take. A picture that needs more is refused before it is decoded; 40 million pixels at most."""

_TWELVE_BITS = 4095
"""The largest value of 12 bits."""

_REDUCED = "reduced from 16 bits to 8"

# Transparent pictures are laid on white, as browsers show them, unless nothing would be seen there (decision 32).
_VISIBLE = 64  # of 255: the opacity from where on a pixel shows
_WHITE = 230  # of 255: the darkest channel of a pixel that would not be seen on white

_BAND = 500_000
"""Pixels that are converted at a time, so that no further copies of a large picture are made."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes:
        image: mode L or RGB, upright.
        changes: what had to be done to get there, as the ends of sentences that begin with the picture.
    """

    image: Image.Image
    changes: tuple[str, ...]

    @classmethod
    def open(cls, path: PictureFile, budget: MemoryBudget | None = None, *, at_least: int | None = None) -> Picture:
        """A picture file as 8-bit grey or RGB, turned upright, its first frame if it has several.

        Args:
            path: the file.
            budget: the memory that threads which decode at the same time have together, `MOST_BYTES` at least.
            at_least: pixels that each edge must keep. A JPEG may then be decoded to a half, a quarter or an eighth of
                its size, which takes less time; None for all its pixels.

        Raises:
            DataError: it cannot be read, is not a picture in an accepted format, takes more than `MOST_BYTES`, or is
                cut off.
        """
        try:
            stream = picture_stream(path)
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror or error}.") from error
        with stream:
            return cls.read(stream, path if isinstance(path, Path) else path.name, budget, at_least=at_least)

    @classmethod
    def read(
        cls, stream: BinaryIO, name: Path, budget: MemoryBudget | None = None, *, at_least: int | None = None
    ) -> Picture:
        """The picture that the bytes of a stream are, as `open` has it.

        Args:
            stream: at its start; it can be searched.
            name: what to call it in messages.
            budget: as for `open`.
            at_least: as for `open`.

        Raises:
            DataError: as for `open`.
        """
        from PIL import Image, UnidentifiedImageError

        start = b""
        try:
            start = stream.read(LOOKED_AT)
            stream.seek(0)
            _check_size(name, webp_size(start), _WEBP_BYTES)  # Pillow takes memory for it as soon as it is opened
            several_scans = check_pieces(stream, name) > 1
            with Image.open(stream, formats=_FORMATS) as image:
                needed = _check_size(name, image.size, _bytes_per_pixel(image, several_scans=several_scans))
                if at_least is not None:
                    image.draft(None, (at_least, at_least))  # only JPEG can be decoded so
                with nullcontext() if budget is None else budget.taken(needed):
                    return _decoded(image, name)
        except UnidentifiedImageError:
            raise Picture.not_accepted(name, FileKind.of(start)) from None
        except Image.DecompressionBombError as error:
            raise DataError(f"{name} has far too many pixels to be decoded. Make it smaller.") from error
        except (DataError, MemoryError):
            raise
        except Exception as error:  # a decoder meets hostile bytes with exceptions of every kind
            if isinstance(error, OSError) and error.errno:
                raise DataError(f"cannot read {name}: {error.strerror}.") from error
            raise DataError(
                f"{name} cannot be decoded; it is cut off or damaged ({error}). Get the file again."
            ) from error

    @classmethod
    def of(cls, image: Image.Image, name: Path) -> Picture:
        """A picture that Pillow has opened, as 8-bit grey or RGB, turned upright.

        Args:
            image: in any mode, decoded or not.
            name: what to call it in messages.

        Raises:
            DataError: it cannot be decoded, or that takes more than `MOST_BYTES`.
        """
        _check_size(name, image.size, _bytes_per_pixel(image))
        try:
            return _decoded(image, name)
        except (DataError, MemoryError):
            raise
        except Exception as error:  # as in `open`
            raise DataError(f"{name} cannot be decoded; it is cut off or damaged ({error}).") from error

    @staticmethod
    def pixels_of(image: Image.Image) -> Images:
        """The pixels of an L or RGB picture: `(height, width)` if it is grey all over, else `(height, width, 3)`."""
        array = np.asarray(image)
        if array.ndim == 3 and (array == array[..., :1]).all():
            array = array[..., 0]
        return array

    @staticmethod
    def not_accepted(name: Path, kind: FileKind) -> DataError:
        """The error for a file of another kind than the accepted ones."""
        what = f"is {kind.name}, which cannot be read" if kind.is_unread_picture else f"is not an image: it {kind}"
        return DataError(f"{name} {what}. Accepted are {ACCEPTED}.{kind.advice}")

    @staticmethod
    @contextmanager
    def quiet() -> Iterator[None]:
        """Silences Pillow's warnings: of its own pixel limit, which lies above ours, and about metadata.

        Filters of warnings are common to all threads, so this goes around the threads that call `Picture.open`.
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"PIL\.")
            yield


def _check_size(path: Path, size: tuple[int, int], bytes_per_pixel: int) -> int:
    """The bytes that decoding takes.

    Raises:
        DataError: they are more than `MOST_BYTES`.
    """
    width, height = size
    needed = width * height * bytes_per_pixel
    if needed > MOST_BYTES:
        raise DataError(
            f"{path} has {width}×{height} pixels; at most {MOST_BYTES // bytes_per_pixel:,} are decoded of a picture "
            "of its kind. Make it smaller."
        )
    return needed


def _bytes_per_pixel(image: Image.Image, *, several_scans: bool = False) -> int:
    """The most that Pillow takes to decode an opened picture and to convert it to L or RGB (measured)."""
    if image.format == "WEBP":
        return _WEBP_BYTES
    if image.format == "GIF":
        return 6
    # The EXIF data of other formats may come last, and asking for them would decode the picture.
    copies = 2 if image.has_transparency_data or (image.format in _JPEG and _is_turned(image)) else 1
    return 4 * copies + (8 if several_scans or image.info.get("progressive") else 0)


def _decoded(image: Image.Image, path: Path) -> Picture:
    """The pixels of an opened picture as L or RGB."""
    from PIL import ImageOps

    changes = []
    if getattr(image, "is_animated", False):
        changes.append("animated: its first frame is used")
    sixteen_bits = any("16" in str(tile.args) for tile in getattr(image, "tile", ()))
    image.load()
    if _is_turned(image):
        _check_size(path, image.size, 8)
        image = ImageOps.exif_transpose(image)
        changes.append("turned upright as its EXIF data say")
    if image.mode == "CMYK":
        changes.append("converted from CMYK")
    if image.mode.startswith("I"):
        # Cameras and scanners of 12 bits write files of 16, in which white is 4,095: as 16 bits they are all but black.
        few = bool(np.asarray(image.getextrema()).max() <= _TWELVE_BITS)
        changes.append(f"of 16 bits without values above {_TWELVE_BITS:,}: taken as 12 bits" if few else _REDUCED)
        image = _banded(image, "L", lambda band: _eight_bits(band, _TWELVE_BITS if few else 65535))
    elif sixteen_bits:
        changes.append(_REDUCED)
    if image.has_transparency_data:
        shown = _shown(image)
        background = "black" if shown.white else "white"
        image = _banded(image, "RGB", lambda band: _laid_on(background, band))
        if not shown.opaque:
            reason = ", and all that shows is white" if shown.white else "" if shown.anything else " throughout"
            changes.append(f"transparent{reason}: laid on {background}")
    mode = "L" if image.mode in {"L", "1"} else "RGB"
    return Picture(
        image if image.mode == mode else _banded(image, mode, lambda band: band.convert(mode)), tuple(changes)
    )


def _banded(image: Image.Image, mode: str, change: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """The picture put together from changed bands of full width, each of at least one row."""
    from PIL import Image

    result, top = Image.new(mode, image.size), 0
    for band in _bands(image):
        result.paste(change(band), (0, top))
        top += band.height
    return result


def _bands(image: Image.Image) -> Iterator[Image.Image]:
    rows = max(_BAND // image.width, 1)
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def _eight_bits(band: Image.Image, white: int) -> Image.Image:
    from PIL import Image

    values = np.asarray(band, np.uint32)
    return Image.fromarray(((values * 255 + white // 2) // white).clip(0, 255).astype(np.uint8))


@dataclass(frozen=True)
class _Shown:
    """What shows of a picture with transparency: whether nothing is transparent, whether anything shows, all white."""

    opaque: bool
    anything: bool
    white: bool


def _shown(image: Image.Image) -> _Shown:
    opaque, anything, white = True, False, True
    for band in _bands(image):
        pixels = np.asarray(band.convert("RGBA"))
        visible = pixels[..., 3] >= _VISIBLE
        opaque = opaque and bool((pixels[..., 3] == 255).all())
        anything = anything or bool(visible.any())
        white = white and bool((pixels[..., :3].min(axis=2)[visible] >= _WHITE).all())
    return _Shown(opaque, anything, white and anything and not opaque)


def _laid_on(background: str, band: Image.Image) -> Image.Image:
    from PIL import Image

    band = band.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", band.size, background), band).convert("RGB")


def _is_turned(image: Image.Image) -> bool:
    """Whether the EXIF data name an orientation other than upright; broken EXIF data name none."""
    try:
        return image.getexif().get(0x0112, 1) in range(2, 9)  # others mean nothing
    except Exception:  # the parser meets broken metadata with exceptions of every kind; the pixels are fine
        return False
