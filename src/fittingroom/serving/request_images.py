"""What the model is to look at, from the pictures and numbers of a request: as `fittingroom predict` makes it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.data.values import to_range
from fittingroom.errors import DataError
from fittingroom.photos.photo_reader import of_picture, photo_in
from fittingroom.serving.bodies import Part
from fittingroom.serving.limits import LIMITS, RefusedError

if TYPE_CHECKING:
    from fittingroom.photos.style import Style
    from fittingroom.runs.record import DataRecord

Array = np.ndarray[Any, Any]

_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_SMALL = 64 * 1024  # bytes; a PNG of 28x28 pixels has one


@dataclass(frozen=True, eq=False)
class Input:
    """One image for the model.

    Args:
        image: in the shape and on the scale of the model's own images.
        name: of the file that it came in, if it has one.
        notes: what was guessed or changed.
        steps: name and note of each step that made it of a photo, and `picture` where that was asked for.
        cut_out: whether it shows a thing that was cut out of a photo.
    """

    image: Array
    name: str | None = None
    notes: tuple[str, ...] = ()
    steps: tuple[dict[str, str], ...] = ()
    cut_out: bool = False


@dataclass(frozen=True, eq=False)
class Reader:
    """Reads for one model.

    Args:
        data: what the model was trained on.
        style: how those images were made, so that photos are made alike; or why that is not known.
    """

    data: DataRecord
    style: Style | str

    @property
    def takes_pictures(self) -> bool:
        """Whether it is known how pixels become what the model takes."""
        return self.data.takes_pictures

    def is_small(self, content: bytes) -> bool:
        """Whether it says that it is a PNG of the model's own size, which is read in no time."""
        height, width = (*self.data.picture_shape, 0, 0)[:2]
        start = _PNG + width.to_bytes(4, "big") + height.to_bytes(4, "big")
        return len(content) <= _SMALL and content.startswith(start)

    def read(self, part: Part, index: int, *, pictures: bool) -> Input:
        """The image of one picture.

        Args:
            part: the picture.
            index: its number in the request, for messages.
            pictures: whether the pictures of the steps are wanted too.

        Raises:
            RefusedError: 422 if it is no picture that can be read, or cannot be made what the model takes.
        """
        what = f"the picture {part.name!r}" if part.name else "the picture"
        if not self.takes_pictures:
            raise RefusedError(422, "no_pictures", f"{what}: {self.style}", index=[index])
        name = Path(what)
        try:
            shape = self.data.picture_shape
            photo = photo_in(part.content, name, shape)
            given = of_picture(photo, name, shape, self.data.range, self._style)
        except DataError as error:
            raise RefusedError(422, "not_readable", str(error), index=[index]) from None
        notes = tuple(note.removeprefix(f"{name}: ") for note in given.images.notes)
        steps = [{"name": step, "note": note} for step, note in given.how]
        if pictures and given.conversion is not None:
            shown = [png(step.picture) for step in given.conversion.steps]
            steps = [{**step, "picture": picture} for step, picture in zip(steps, shown, strict=True)]
        image = self._typed(given.inputs(self.data.image_shape).images)[0]
        return Input(image, part.name, notes, tuple(steps), cut_out=given.cut_out)

    def _style(self) -> Style:
        if isinstance(self.style, str):
            raise DataError(self.style)
        return self.style

    def numbers(self, body: bytes) -> list[Input]:
        """The images of a JSON body: one array in the shape of the model's images, or several in a list.

        Raises:
            RefusedError: 400 if it is no JSON, 413 for too many images, 422 if it is no array of numbers of that shape,
                with the index of what is wrong.
        """
        try:
            values = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise RefusedError(
                400, "not_json", f"the body is not JSON: {error}. Expected {self._expected()}."
            ) from None
        shape = self.data.image_shape
        # Of a list of lists of lists, either the outermost are images or the innermost are colours.
        lengths = _lengths(values)
        alike = lengths[1:] in ([*shape], [*shape[:2]])
        one = lengths == [*shape] or not (alike or len(lengths) > len(shape))
        images = [values] if one else values
        if not one and len(images) > LIMITS.images:
            raise RefusedError(
                413, "too_many", f"the body has {len(images)} images. Send at most {LIMITS.images} at once."
            )
        plain = b"true" not in body and b"false" not in body  # NumPy would take them for 1 and 0
        arrays = np.stack(
            [self._array(image, [] if one else [number], plain=plain) for number, image in enumerate(images)]
        )
        try:
            taken, notes = to_range(arrays, self.data.range, "the request")
        except DataError as error:
            raise RefusedError(422, "wrong_values", str(error)) from None
        return [Input(image, notes=notes) for image in self._typed(taken)]

    def _typed(self, images: Array) -> Array:
        """Images in the one type that the model's programs were compiled for."""
        return images.astype(np.float32 if self.data.as_given else np.uint8, copy=False)

    def _array(self, values: Any, at: list[int], *, plain: bool) -> Array:
        """The numbers of one image, looked at one by one only where something is wrong with them."""
        shape = self.data.image_shape
        try:
            array = np.asarray(values)
        except ValueError:  # rows of different length
            array = np.asarray(None)
        if array.dtype.kind in "iuf" and array.shape == shape[:2] and len(shape) == 3:
            array, values = array[..., None].repeat(3, axis=2), np.repeat(array[..., None], 3, axis=2).tolist()
        right = plain and array.shape == shape and array.dtype.kind in "iuf" and np.isfinite(array).all()
        if right and (self.data.as_given or (array.min() >= 0 and array.max() <= 255)):
            return array
        expected = f"Expected {self._expected()}"
        wrong = self._wrong(values, list(shape), at)
        if wrong is None:
            raise RefusedError(422, "wrong_values", f"there are numbers that are too large. {expected}.", index=at)
        code, message, place = wrong
        raise RefusedError(422, code, f"{message}. {expected}.", index=place)

    def _wrong(self, values: Any, shape: list[int], at: list[int]) -> tuple[str, str, list[int]] | None:
        """The first thing that is wrong in an image: a word for it, what it is, and where."""
        where = f" at {at}" if at else ""
        if not shape:
            wrong = self._wrong_number(values)
            return None if wrong is None else ("wrong_values", f"{_shown(values)}{where} {wrong}", at)
        if not isinstance(values, list):
            return "wrong_shape", f"{_shown(values)}{where} is no list of {shape[0]} values", at
        if len(values) != shape[0]:
            return "wrong_shape", f"the list{where} has the length {len(values)}, not {shape[0]}", at
        found = (self._wrong(value, shape[1:], [*at, number]) for number, value in enumerate(values))
        return next((one for one in found if one is not None), None)

    def _wrong_number(self, value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "is no number"
        if isinstance(value, float) and not np.isfinite(value):
            return "is not finite"
        return "lies outside of 0 to 255" if not self.data.as_given and not 0 <= value <= 255 else None

    def _expected(self) -> str:
        sides = "×".join(map(str, self.data.image_shape))
        values = "numbers as in training" if self.data.as_given else "numbers from 0 to 255, or from 0 to 1"
        return f"an array of {sides} ({values}), or a list of up to {LIMITS.images} of them"


def _lengths(values: Any) -> list[int]:
    """The length of a list, of the first list in it, and so on."""
    lengths = []
    while isinstance(values, list):
        lengths.append(len(values))
        values = values[0] if values else None
    return lengths


def _shown(value: Any) -> str:
    text = "a list" if isinstance(value, list) else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def png(picture: Array) -> str:
    """A picture as a `data:` address that a page can show."""
    import base64

    from PIL import Image

    stream = BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
