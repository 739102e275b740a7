"""The images of a request, from a picture, several as multipart, or numbers: as `fittingroom predict` reads them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.data.dataset import read_only
from fittingroom.data.model_inputs import ModelInputs
from fittingroom.data.plain_png import plain_png
from fittingroom.data.values import to_range
from fittingroom.errors import DataError
from fittingroom.photos.photo_reader import PhotoReader
from fittingroom.serving.limits import LIMITS, RefusedError
from fittingroom.text import amount

if TYPE_CHECKING:
    from fittingroom.photos.conversion import Style
    from fittingroom.photos.second_opinion import SecondOpinion
    from fittingroom.runs.data_record import DataRecord

Array = np.ndarray[Any, Any]

PICTURES = ("image/png", "image/jpeg", "image/webp", "image/bmp", "image/gif")
JSON = "application/json"
MULTIPART = "multipart/form-data"
ACCEPTED = (*PICTURES, JSON, MULTIPART)

_NAME_LENGTH = 255
_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_NOT_CUT_OUT = read_only(np.zeros(1, np.bool_))
_SMALL = 64 * 1024  # bytes; a PNG of 28x28 pixels has one


def media_type(headers: Mapping[str, str]) -> tuple[str, str]:
    """The media type of a body in lower case, and its header as it is.

    Raises:
        RefusedError: 415 for one that is not accepted, and for a body that is packed.
    """
    header = headers.get("content-type", "")
    kind = header.partition(";")[0].strip().lower()
    if kind not in ACCEPTED:
        what = f"Content-Type {kind[:80]!r} is not accepted" if kind else "The request has no Content-Type"
        raise RefusedError(
            415,
            "wrong_type",
            f"{what}. Send a picture ({', '.join(PICTURES)}), several as {MULTIPART}, or numbers as {JSON}.",
            headers={"accept-post": ", ".join(ACCEPTED)},
        )
    packed = headers.get("content-encoding", "identity").strip().lower()
    if packed != "identity":
        raise RefusedError(
            415,
            "wrong_encoding",
            f"Content-Encoding {packed[:80]!r} is not accepted. Send the body uncompressed.",
        )
    return kind, header


@dataclass(frozen=True)
class BodyPart:
    """One picture of a request.

    Args:
        name: of its file, if it has one.
        content: its bytes.
    """

    name: str | None
    content: bytes

    @classmethod
    def split(cls, body: bytes, content_type: str) -> list[BodyPart]:
        """The files of a multipart body.

        Raises:
            RefusedError: 400 if it is not one, 413 if it has too many parts, 422 if it has none.
        """
        from python_multipart.exceptions import FormParserError
        from python_multipart.multipart import MultipartParser, parse_options_header

        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if not boundary:
            raise _not_multipart("its Content-Type names no boundary")
        collected = _Collected()
        try:
            parser = MultipartParser(boundary, collected.callbacks())  # type: ignore[arg-type]
            parser.write(body)
            parser.finalize()
        except FormParserError as error:
            raise _not_multipart(str(error)) from error
        if not collected.ended:
            raise _not_multipart("it is cut off before its last boundary")
        if not collected.parts:
            raise RefusedError(
                422, "no_picture", "The body has no file. Send at least one picture: curl -F files=@FILE."
            )
        return collected.parts


@dataclass(frozen=True, eq=False)
class RequestReader:
    """Reads the pictures and numbers of requests for one model.

    Args:
        data: what the model was trained on.
        style: how those images were made, so that photos are converted to it; or why that is not known.
        second: what else is asked of photos, or why it cannot be.
    """

    data: DataRecord
    style: Style | str
    second: SecondOpinion | str | None = None

    def is_small(self, content: bytes) -> bool:
        """Whether it says that it is a PNG of the model's own size, which is read in no time."""
        height, width = (*self.data.picture_shape, 0, 0)[:2]
        start = _PNG + width.to_bytes(4, "big") + height.to_bytes(4, "big")
        return len(content) <= _SMALL and content.startswith(start)

    def picture(self, part: BodyPart, index: int, *, pictures: bool) -> ModelInputs:
        """The image of one picture.

        Args:
            part: the picture.
            index: its number in the request, for messages.
            pictures: whether the pictures of the steps are wanted too.

        Raises:
            RefusedError: 422 if it is not a picture that can be read, or cannot be converted to what the model takes.
        """
        if (plain := self._plain(part)) is not None:
            return plain
        what = f"the picture {part.name!r}" if part.name else "the picture"
        if not self.data.takes_pictures:
            raise RefusedError(422, "no_pictures", f"{what}: {self.style}", index=[index])
        try:
            inputs = self._photos.read_bytes(part.content, name := Path(what))
        except DataError as error:
            raise RefusedError(422, "not_readable", str(error), index=[index]) from None
        notes = tuple(note.removeprefix(f"{name}: ") for note in inputs.notes)
        inputs = replace(self._typed(inputs), source=part.name, notes=notes)
        if not pictures:
            return inputs.without_pictures()
        for step in inputs.steps:
            _ = step.data_url  # encoded here, and not in the model's thread, which all requests wait for
        return inputs

    def _plain(self, part: BodyPart) -> ModelInputs | None:
        """The image of the plainest picture of the model's own size, which needs no notes; None for all others."""
        if not self.is_small(part.content) or not self.data.takes_pictures:
            return None
        shape = self.data.picture_shape
        pixels = plain_png(part.content, *shape[:2])
        if pixels is None or pixels.ndim != len(shape):  # grey for a model of colours, or the other way round
            return None
        images = self.data.range.of_pixels(pixels, "the picture").astype(self._type, copy=False)
        return ModelInputs(read_only(images.reshape(1, *self.data.image_shape)), _NOT_CUT_OUT, part.name)

    def numbers(self, body: bytes) -> ModelInputs:
        """The images of a JSON body: one array in the shape of the model's images, or several in a list.

        Raises:
            RefusedError: 400 if it is not JSON, 413 for too many images, 422 if it is not an array of numbers of that
                shape, with the index of what is wrong.
        """
        try:
            values = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise RefusedError(400, "not_json", f"The body is not JSON: {error}. Send {self._expected()}.") from None
        shape = self.data.image_shape
        # Of a list of lists of lists, either the outermost are images or the innermost are colours.
        lengths = _lengths(values)
        alike = lengths[1:] in ([*shape], [*shape[:2]])
        one = lengths == [*shape] or not (alike or len(lengths) > len(shape))
        images = [values] if one else values
        if not one and len(images) > LIMITS.images:
            raise RefusedError(
                413, "too_many", f"The body has {len(images)} images. Send at most {LIMITS.images} at once."
            )
        plain = b"true" not in body and b"false" not in body  # NumPy would take them for 1 and 0
        arrays = np.stack(
            [self._array(image, [] if one else [number], plain=plain) for number, image in enumerate(images)]
        )
        try:
            taken, notes = to_range(arrays, self.data.range, "the request")
        except DataError as error:
            raise RefusedError(422, "wrong_values", str(error)) from None
        return self._typed(ModelInputs.plain(taken, notes=notes))

    @cached_property
    def _photos(self) -> PhotoReader:
        return PhotoReader(self.data.picture_shape, self.data.range, self._known_style, lambda: self.second)

    @property
    def _type(self) -> type[np.generic]:
        return np.float32 if self.data.as_given else np.uint8

    def _known_style(self) -> Style:
        if isinstance(self.style, str):
            raise DataError(self.style)
        return self.style

    def _typed(self, inputs: ModelInputs) -> ModelInputs:
        """Images in the shape and the one type that the model's programs were compiled for."""
        images = inputs.images.astype(self._type, copy=False)
        return replace(inputs, images=images).reshaped(self.data.image_shape)

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
        expected = f"Send {self._expected()}"
        wrong = self._wrong(values, list(shape), at)
        if wrong is None:
            raise RefusedError(422, "wrong_values", f"Some numbers are too large. {expected}.", index=at)
        code, message, place = wrong
        raise RefusedError(422, code, f"{message}. {expected}.", index=place)

    def _wrong(self, values: Any, shape: list[int], at: list[int]) -> tuple[str, str, list[int]] | None:
        """The first thing that is wrong in an image: a word for it, what it is, and where."""
        where = f" at {at}" if at else ""
        if not shape:
            wrong = self._wrong_number(values)
            return None if wrong is None else ("wrong_values", f"{_shown(values)}{where} {wrong}", at)
        if not isinstance(values, list):
            return "wrong_shape", f"{_shown(values)}{where} is not a list of {shape[0]} values", at
        if len(values) != shape[0]:
            return "wrong_shape", f"The list{where} has {amount(len(values), 'value')} instead of {shape[0]}", at
        found = (self._wrong(value, shape[1:], [*at, number]) for number, value in enumerate(values))
        return next((one for one in found if one is not None), None)

    def _wrong_number(self, value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "is not a number"
        if isinstance(value, float) and not np.isfinite(value):
            return "is not finite"
        return "is outside 0 to 255" if not self.data.as_given and not 0 <= value <= 255 else None

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


@dataclass
class _Collected:
    """What the parser of multipart bodies has found so far."""

    parts: list[BodyPart] = field(default_factory=list)
    ended: bool = False
    _begun: int = 0
    _content: bytearray = field(default_factory=bytearray)
    _field: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _disposition: bytes = b""

    def callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._begin,
            "on_part_data": lambda data, start, end: self._content.extend(data[start:end]),
            "on_part_end": self._end,
            "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
            "on_end": self._all,
        }

    def _begin(self) -> None:
        self._begun += 1
        if self._begun > LIMITS.images:
            raise RefusedError(
                413,
                "too_many",
                f"The body has more than {LIMITS.images} parts. Send at most {LIMITS.images} pictures at once.",
            )
        self._content, self._disposition = bytearray(), b""

    def _header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._field, self._value = bytearray(), bytearray()

    def _end(self) -> None:
        from python_multipart.multipart import parse_options_header

        _, options = parse_options_header(self._disposition)
        name = options.get(b"filename", b"").decode("utf-8", "replace")[:_NAME_LENGTH]
        if b"filename" in options or options.get(b"name") == b"files":  # other fields of a form are not pictures
            self.parts.append(BodyPart(name or None, bytes(self._content)))
        self._content = bytearray()

    def _all(self) -> None:
        self.ended = True


def _not_multipart(why: str) -> RefusedError:
    return RefusedError(
        400, "not_multipart", f"The body is not {MULTIPART} ({why}). curl makes one with -F files=@FILE."
    )
