"""`ModelInputs`: images as a model takes them, from arrays, array files and pictures of exactly the model's size."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.class_table import Opinion
from fittingroom.data.csvfile import PixelTable
from fittingroom.data.dataset import read_only
from fittingroom.data.idx import FourFiles
from fittingroom.data.npz import NpzFile
from fittingroom.data.pictures import Picture
from fittingroom.data.ranges import ValueRange
from fittingroom.data.sniff import FileKind
from fittingroom.data.values import to_range
from fittingroom.errors import DataError
from fittingroom.text import word_list

_ARRAY_NAMES = ("images", "x", "x_test", "test_images")
_OTHER_NAMES = ("test_x", "image", "data", "pixels")


@dataclass(frozen=True, eq=False)
class ConversionStep:
    """One step on the way from a photo to the model's input.

    Args:
        name: one or two words.
        note: what was done, and what decided it.
        picture: the result, uint8 `(height, width)` or `(height, width, 3)`; None where pictures are not kept.
    """

    name: str
    note: str
    picture: NDArray[np.uint8] | None

    @cached_property
    def data_url(self) -> str | None:
        """The picture as a `data:` URL with a PNG in it, for a page; encoded when first asked for."""
        if self.picture is None:
            return None
        from PIL import Image

        stream = io.BytesIO()
        Image.fromarray(self.picture).save(stream, "PNG")
        return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"


@dataclass(frozen=True, eq=False)
class ModelInputs:
    """Images in the form that a model was trained on, and what is known of where they came from.

    Args:
        images: `(n, ...)`, with values as in training.
        cut_out: which of them show the foreground of a photo, cut out, bool `(n,)`.
        source: the file, or the name that a request gave it; None for arrays.
        notes: sentences about what was guessed or changed.
        steps: how a photo became its image; empty for images that already had the model's size.
        opinions: what another network says of each photo, `(n,)`; empty where none was asked.
    """

    images: NDArray[Any]
    cut_out: NDArray[np.bool_]
    source: Path | str | None = None
    notes: tuple[str, ...] = ()
    steps: tuple[ConversionStep, ...] = ()
    opinions: tuple[Opinion | None, ...] = ()

    @classmethod
    def plain(cls, images: NDArray[Any], source: Path | None = None, notes: tuple[str, ...] = ()) -> ModelInputs:
        """Images that were not cut out of photos."""
        return cls(images, np.zeros(len(images) if images.ndim else 0, np.bool_), source, notes)

    @classmethod
    def of_array(cls, images: NDArray[Any], shape: tuple[int, ...], values: ValueRange, *, raw: bool) -> ModelInputs:
        """Images of an array, with values like those of training; where these had to be converted, or look odd, notes.

        Args:
            images: `(n, ...)`.
            shape: of one image in training; the axis of a single channel is added or dropped, as Keras does.
            values: the range of the training images' values.
            raw: whether the model takes a dataset's raw pixels, which it scales itself.

        Raises:
            DataError: they have another shape, are none, are not numbers, hold NaN or infinite values, or are on a
                scale from which it is not known how to convert them; or they are fractions, where raw pixels are taken.
        """
        images = _in_shape(images, shape)
        if images.dtype.kind not in "buif":
            raise DataError(f"the images are {images.dtype}; expected numbers, as in training.")
        if raw and images.dtype.kind == "f":
            raise DataError(
                f"the images are {images.dtype}; expected the dataset's raw pixels, such as data.train.images (uint8), "
                "since this run scales them itself. For scaled images there is run.model.predict(x)."
            )
        ValueRange.require_finite(images, f"{len(images):,} images")
        images, notes = to_range(images, values, "predict", rounded=False)
        return cls.plain(images, notes=notes)

    @classmethod
    def joined(cls, several: Sequence[ModelInputs]) -> ModelInputs:
        """The images of several, in order; at least one. Sources, notes and steps are left out."""
        images, cut_out = (
            np.concatenate(all_of) for all_of in zip(*((one.images, one.cut_out) for one in several), strict=True)
        )
        opinions: list[Opinion | None] = []
        for each in several:
            opinions += each.opinions or [None] * len(each)
        return cls(images, cut_out, opinions=tuple(opinions) if any(opinions) else ())

    def __len__(self) -> int:
        return len(self.images)

    def reshaped(self, shape: tuple[int, ...]) -> ModelInputs:
        """The same numbers in the shape that the model takes: that of pictures, or in a row, or with an axis more."""
        return replace(self, images=self.images.reshape(-1, *shape))

    def without_pictures(self) -> ModelInputs:
        """The same without the pictures of the steps, which take 0.3 MB for each photo."""
        return replace(self, steps=tuple(replace(step, picture=None) for step in self.steps))


@dataclass(frozen=True)
class ImageReader:
    """Reads images that have exactly the size of a model's images.

    Args:
        shape: `(height, width)` or `(height, width, 3)`.
        values: the range of the training images' values.
    """

    shape: tuple[int, ...]
    values: ValueRange

    @staticmethod
    def holds_arrays(path: Path) -> bool:
        """Whether a file is IDX (packed or not), NPZ or CSV, and not a picture.

        Raises:
            DataError: it cannot be read, or is an archive.
        """
        return _array_kind(path) is not None

    def read_file(self, path: Path) -> ModelInputs:
        """The images of one file.

        A picture file has one image; an IDX file (packed or not) has as many as it declares; of an NPZ file the array
        `images`, `x`, `x_test` or `test_images` is taken, or its only one; a CSV file has one in each row, with or
        without a label.

        Args:
            path: the file; its first bytes tell what it is, and a CSV file by its ending.

        Raises:
            DataError: the file cannot be read, is of no accepted kind, its images have another size or colour, or it is
                not known how their values become those of training.
        """
        kind = _array_kind(path)
        if kind == "idx":
            return self._from_array(path, FourFiles.images_of(path))
        if kind == "npz":
            return self._from_array(path, NpzFile(path).read(_array_name(path)))
        if kind == "csv":
            table = PixelTable.read(path)
            inputs = self._from_array(path, table.images)
            ignored = () if table.labels is None else (f"{path}: its labels are ignored.",)
            return replace(inputs, notes=(*ignored, *inputs.notes))
        with Picture.quiet():
            return self.from_picture(Picture.open(path), path)

    def from_picture(self, picture: Picture, name: Path) -> ModelInputs:
        """A decoded picture as the one image that it is.

        Args:
            picture: as `data.pictures` decodes it.
            name: its file, or what messages call it.

        Raises:
            DataError: it has another size, or it is not known how its values become those of training.
        """
        image, notes = picture.image, [f"{name}: {change}." for change in picture.changes]
        if (image.height, image.width) != self.shape[:2]:
            raise DataError(self._other_size(name, (image.height, image.width)))
        found = Picture.pixels_of(image)
        if found.ndim < len(self.shape):
            found = found[..., None].repeat(3, axis=2)
        elif found.ndim > len(self.shape):
            found = np.asarray(image.convert("L"))
            notes.append(f"{name}: converted from colour to grey.")
        return ModelInputs.plain(read_only(self.values.of_pixels(found[None], str(name))), name, tuple(notes))

    def _from_array(self, path: Path, array: NDArray[Any]) -> ModelInputs:
        images, notes = to_range(self._shaped(path, array), self.values, str(path))
        return ModelInputs.plain(read_only(images), path, notes)

    def _shaped(self, path: Path, array: NDArray[Any]) -> NDArray[Any]:
        """An array as `(n, *shape)`; with more channels only where they are copies."""
        shape = self.shape
        if array.ndim < 2 or 0 in array.shape:
            raise DataError(f"{path} has an array of shape {array.shape}; expected ('n', {str(shape)[1:]}.")
        found = array.shape[1:]
        if found == shape or (len({len(found), len(shape)} & {1}) and math.prod(found) == math.prod(shape)):
            return array.reshape(len(array), *shape)
        grey = array[..., 0] if array.ndim == 4 and array.shape[3] == 1 else array
        if grey.ndim not in {3, 4} or (grey.ndim == 4 and grey.shape[3] != 3):
            raise DataError(
                f"{path} has images of shape {found}; this model takes {shape}. Convert them to that shape first; "
                "images with channels first need .transpose(0, 2, 3, 1)."
            )
        if grey.shape[1:3] != shape[:2]:
            raise DataError(self._other_size(path, grey.shape[1:3]))
        if grey.ndim > len(shape) + 1:
            raise DataError(f"{path} has images in colour, but this model takes grey ones. Convert them to grey.")
        return grey if grey.ndim == len(shape) + 1 else grey[..., None].repeat(3, axis=3)

    def _other_size(self, path: Path, found: tuple[int, ...]) -> str:
        size = f"{path} is {found[0]}x{found[1]} pixels (height x width); this model takes "
        if len(self.shape) < 2:
            return f"{size}rows of {self.shape[0]} values, which are not a square picture. Pass an array of them."
        return f"{size}exactly {self.shape[0]}x{self.shape[1]}. Resize it first."


def _in_shape(images: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Images in the shape of training, `(n, *shape)`: the axis of a single channel is added or dropped, as Keras does.

    Raises:
        DataError: they have another shape, or there are none.
    """
    if not images.ndim:
        kind = type(images.item()).__name__
        mend = " run.evaluate() scores the sealed test set." if kind == "SealedTestSet" else ""
        raise DataError(f"the images are of type {kind}; expected an array, such as data.validation.images.{mend}")
    found = images.shape[1:]
    takes = [shape, (*shape, 1), *([shape[:-1]] if shape[-1:] == (1,) else [])]
    if len(images) and found in takes:
        return images.reshape(len(images), *shape)
    mend = ""
    if images.shape in (shape, (*shape, 1)):
        mend = " It is a single image: pass image[None]."
    elif len(found) == 3 and (*found[1:], found[0]) == shape:
        mend = " They are channels first: pass images.transpose(0, 2, 3, 1)."
    elif len(found) == 1 and found[0] == math.prod(shape):
        mend = f" They are flat: pass images.reshape{(-1, *shape)}."
    elif found in ((*shape, 3), (*shape, 4)):
        mend = " They are in colour: pass images[..., :3].mean(axis=-1)."
    raise DataError(
        f"the images have the shape {images.shape}; expected (n, {', '.join(map(str, shape))}), as in training.{mend}"
    )


def _array_kind(path: Path) -> str | None:
    try:
        kind = FileKind.of_file(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}.") from error
    if kind.is_idx:
        return "idx"
    if kind.is_zip:
        if path.suffix.lower() == ".npz" or any(name.endswith(".npy") for name in NpzFile(path).members()):
            return "npz"
        raise Picture.not_accepted(path, kind)
    # CSV has no first bytes of its own, so only the ending tells.
    return "csv" if path.suffix.lower() in {".csv", ".tsv"} else None


def _array_name(path: Path) -> str:
    names = NpzFile(path).names()
    lower = {name.lower(): name for name in names}
    for name in (*_ARRAY_NAMES, *_OTHER_NAMES):
        if name in lower:
            return lower[name]
    if len(names) == 1:
        return names[0]
    raise DataError(
        f"{path} has the arrays {NpzFile.listed(names)}; expected one alone, or one named "
        f"{word_list(_ARRAY_NAMES, 'or')}."
    )
