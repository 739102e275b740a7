"""`Understanding`: one run as the view `/understand` shows it, in the forms that the browser reads.

What a click needs lies in the browser already: labels, predictions of all epochs, losses and confidences are sent once.
Arrays go as one body: a JSON header, and each array where the header says.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fittingroom.reports.facts.explanation import Explanation
from fittingroom.reports.facts.subject import Subject
from fittingroom.reports.pages.document import harmless
from fittingroom.reports.pages.explorer import shades, thumbnails
from fittingroom.reports.pages.report_page import validation_images
from fittingroom.runs.json_files import plain
from fittingroom.serving.limits import RefusedError

if TYPE_CHECKING:
    from fittingroom.api.inner_view import InnerView, PixelView
    from fittingroom.data.dataset import Part
    from fittingroom.runs.images import RunImages

_ALIGNED = 8  # bytes; typed arrays begin at multiples of the size of their numbers
_TYPES = {"int8": "i1", "uint8": "u1", "uint16": "<u2", "int32": "<i4", "float32": "<f4"}


def packed(header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """One body of a JSON header and arrays, little-endian.

    The first four bytes are the length of the JSON text that follows. It has what `header` has, and under `arrays` the
    name, type, shape and place of each array: `start` counts from the end of the header, which is filled up with spaces
    so that it ends at a multiple of eight.

    Args:
        header: plain JSON.
        arrays: int8, uint8, uint16, int32 or float32.
    """
    places, parts, at = [], [], 0
    for name, array in arrays.items():
        kind = array.dtype.name
        content = np.ascontiguousarray(array, _TYPES[kind]).tobytes()
        places.append({"name": name, "type": kind, "shape": list(array.shape), "start": at})
        filled = content + bytes(-len(content) % _ALIGNED)
        parts.append(filled)
        at += len(filled)
    text = json.dumps({**header, "arrays": places}, ensure_ascii=False, allow_nan=False).encode()
    text += b" " * (-(len(text) + 4) % _ALIGNED)
    return b"".join([len(text).to_bytes(4, "little"), text, *parts])


COLUMNS = 32
"""Thumbnails side by side in a sheet, which has as many rows or fewer."""

_MOST_OUTCOMES = 6_000_000  # images times epochs that are sent: ten bytes each
_MOST_UNITS = 64  # whose weights are shown
_WIDEST_VIEW = 64  # pixels a side that a map of pixels is drawn with; a larger one is reduced
_STEPS = 127
_PHOTO = 128  # pixels a side, from which on images are photographs: little of them can be seen in 32 pixels
_PHOTO_THUMBNAIL = 64

Array = npt.NDArray[Any]


class Understanding:
    """The outcomes, images and facts of one run; each is read when it is first asked for.

    Args:
        path: the run's folder.

    Raises:
        InputError: it has no validation images, in no epoch finite losses, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.subject = Subject.read(path)
        self.training = self.subject.trainings[self.subject.example]

    @cached_property
    def outcomes(self) -> bytes:
        """Labels, predictions, losses and confidences of all epochs, and what the view says around them."""
        training, rows = self.training, self._rows
        known = training.trajectories
        kept_row = training.shown_row is None
        predicted, loss = known.predicted[rows], known.loss[rows]
        probability, confidence = known.probability[rows], [known.confidence(known.epochs[row]) for row in rows]
        if kept_row:
            shown = training.shown
            predicted, loss = np.concatenate([predicted, shown.predicted]), np.concatenate([loss, shown.loss])
            probability = np.concatenate([probability, shown.probability])
            confidence.append(shown.confidence(shown.last_epoch))
        arrays: dict[str, Array] = {
            "labels": known.labels.astype(np.uint16),
            "predicted": predicted.astype(np.uint16),
            "loss": loss.astype(np.float32),
            "probability": _steps_of(probability),
        }
        if all(one is not None for one in confidence):
            arrays["confidence"] = _steps_of(np.stack([one for one in confidence if one is not None]))
        images, part, _ = self._images
        if part is not None and images is not None and len(images.index) < known.images:
            arrays["pictured"] = images.index.astype(np.int32)
        return packed(self._header(rows, kept_row=kept_row), arrays)

    @cached_property
    def answers(self) -> dict[str, Any]:
        """The six answers of `explain`, and the lists of images, as the report has them."""
        facts = Explanation.of(self.subject)
        topics = [
            {
                "topic": sentences[0]["topic"],
                "question": question,
                "short": sentences[0]["short"],
                "sentences": [one["text"] for one in sentences],
                "terms": [term for one in sentences for term in one["terms"]],
            }
            for question, sentences in facts.topics()
        ]
        lists = [
            {
                **{key: one[key] for key in ("name", "rule", "count")},
                "images": [each["index"] for each in one["images"]],
            }
            for one in facts.to_dict()["images"]
        ]
        found: dict[str, Any] = harmless({"topics": topics, "lists": lists})
        return found

    def sheet(self, number: int) -> bytes:
        """A sheet of thumbnails as PNG: up to `COLUMNS` times `COLUMNS` images, `COLUMNS` in a row."""
        part, each = self._part, COLUMNS * COLUMNS
        if not 0 <= number * each < len(part.images):
            raise RefusedError(404, "no_such_images", f"There are no images from {number * each:,} on.")
        small = _thumbnails(np.asarray(part.images[number * each : (number + 1) * each]), part.scale)
        rows = -(-len(small) // COLUMNS)
        padded = np.zeros((rows * COLUMNS, *small.shape[1:]), np.uint8)
        padded[: len(small)] = small
        height, width, *channels = small.shape[1:]
        table = padded.reshape(rows, COLUMNS, height, width, *channels).swapaxes(1, 2)
        return _png(table.reshape(rows * height, COLUMNS * width, *channels))

    def picture(self, image: int) -> bytes:
        """One image in its own size, as PNG."""
        return _png(shades(np.asarray(self._part.images[self._place(image)])[None], self._part.scale)[0])

    def about(self, image: int) -> dict[str, Any]:
        """One image's probabilities of all classes in every epoch that is shown, and its file, if it has one."""
        self._check(image)
        training, known = self.training, self.training.trajectories
        courses: list[list[float]] | None = None
        if known.has_all_classes and known.log_probabilities is not None:
            logs = [known.log_probabilities[row, image] for row in self._rows]
            if training.shown_row is None and training.shown.log_probabilities is not None:
                logs.append(training.shown.log_probabilities[0, image])
            courses = np.round(np.exp(np.asarray(logs, np.float64)), 4).tolist()
        file = training.files[image] if training.files else None
        found: dict[str, Any] = harmless({"image": image, "probabilities": courses, "file": file})
        return found

    def pixels(self, image: int, first: int, second: int) -> dict[str, Any]:
        """What the pixels of an image have to do with one class rather than another, with a sentence that says it."""
        classes = self.training.record.data.classes
        if not (0 <= first < len(classes) and 0 <= second < len(classes) and first != second):
            raise RefusedError(422, "wrong_class", f"first={first} and second={second} are not two of the classes.")
        pixels = np.asarray(self._part.images[self._place(image)])
        found = self._inside.pixels(pixels, first, second)
        values = _reduced(found.values)
        largest = float(np.abs(values).max())
        return {
            "kind": found.kind,
            "width": values.shape[1],
            "height": values.shape[0],
            "values": np.rint(values / (largest or 1.0) * _STEPS).astype(int).ravel().tolist(),
            "steps": _STEPS,
            "largest": largest,
            **_told(found),
        }

    @cached_property
    def weights(self) -> bytes:
        """The weights of a dense first layer as pictures, int8 `(units, height, width)`, each by its own largest.

        Those with the largest weights come first; without a hidden layer there is one for each class, in their order.
        """
        view, shape = self._inside, self.training.record.data.image_shape
        found = view.first_weights(shape)
        if found is None:
            raise RefusedError(
                404, "no_pictures", "The first layer of this model has no weights in the form of images."
            )
        by_class = view.source == "pixels" and len(found) == len(self.training.record.data.classes)
        order = np.arange(len(found))
        if not by_class:
            order = np.argsort(-np.square(found).sum(axis=(1, 2)), kind="stable")
        chosen = np.stack([_reduced(found[unit]) for unit in order[:_MOST_UNITS]])
        largest = np.maximum(np.abs(chosen).max(axis=(1, 2), keepdims=True), 1e-30)
        header = {"units": order[:_MOST_UNITS].tolist(), "of": len(found), "classes": by_class}
        return packed(header, {"weights": np.rint(chosen / largest * _STEPS).astype(np.int8)})

    @cached_property
    def _inside(self) -> InnerView:
        from fittingroom.api.backbone_view import inner_view
        from fittingroom.api.run import Run

        return inner_view(Run(self.training.path))

    @cached_property
    def _images(self) -> tuple[RunImages | None, Part | None, str | None]:
        return validation_images(self.training)

    @property
    def _part(self) -> Part:
        _, part, why_not = self._images
        if part is None:
            raise RefusedError(404, "no_images", f"There are no pictures: {why_not}.")
        return part

    def _check(self, image: int) -> None:
        if not 0 <= image < self.training.trajectories.images:
            raise RefusedError(404, "no_such_image", f"There is no validation image {image} in this run.")

    def _place(self, image: int) -> int:
        """Where an image is among those that there are pictures of."""
        self._check(image)
        images, part, why_not = self._images
        if images is None or part is None:
            raise RefusedError(404, "no_images", f"There is no picture: {why_not}.")
        place = int(np.searchsorted(images.index, image))
        if place >= len(images.index) or images.index[place] != image:
            raise RefusedError(404, "no_picture", f"The run keeps no picture of validation image {image}.")
        return place

    @cached_property
    def _rows(self) -> list[int]:
        """The rows of the trajectories that are sent: all, or as many as a browser can hold, with the shown one."""
        known = self.training.trajectories
        count = len(known.epochs)
        most = max(_MOST_OUTCOMES // known.images, 2)
        if count <= most:
            return list(range(count))
        chosen: set[int] = set(np.linspace(0, count - 1, most).round().astype(int).tolist())
        return sorted(chosen if self.training.shown_row is None else chosen | {self.training.shown_row})

    def _header(self, rows: list[int], *, kept_row: bool) -> dict[str, Any]:
        training, known, data = self.training, self.training.trajectories, self.training.record.data
        _, part, why_not = self._images
        shown = len(rows) if training.shown_row is None else rows.index(training.shown_row)
        losses = None if training.training_loss is None else training.training_loss[rows].tolist()
        header = {
            "run": self.subject.path.name,
            "recipe": str(training.record.recipe["name"]),
            "dataset": data.name,
            "classes": list(data.classes),
            "images": known.images,
            "epochs": [known.epochs[row] for row in rows],
            "all_epochs": len(known.epochs),
            "has_epochs": training.record.has_epochs,
            "left_out": list(training.left_out),
            "kept_row": kept_row,
            "shown": shown,
            "seed": training.record.seed,
            "seeds": len(self.subject.seeds),
            "training_loss": losses,
            "sheets": None if part is None else self._sheet_facts(part),
            "no_pictures": why_not,
            "files": bool(training.files),
        }
        found: dict[str, Any] = plain(harmless(header))
        return found

    def _sheet_facts(self, part: Part) -> dict[str, Any]:
        height, width = _thumbnails(np.asarray(part.images[:1]), part.scale).shape[1:3]
        own_height, own_width = part.images.shape[1:3]
        return {
            "columns": COLUMNS,
            "each": COLUMNS * COLUMNS,
            "width": width,
            "height": height,
            "own_width": own_width,
            "own_height": own_height,
            "pictures": len(part.images),
        }


def _told(found: PixelView) -> Mapping[str, Any]:
    """What the map of pixels is, and what it is not, in a sentence or two that come after the names of the classes."""
    if found.kind == "gradient":
        text = (
            "The gradient: where a small change of a pixel would move this most. It does not say what the network "
            "recognised, nor which pixels the answer needed."
        )
        return {"text": text, "difference": found.difference, "sum": None}
    total = float(found.values.sum())
    if found.kind == "places":
        text = (
            "What the backbone's features of each place add, up to the biases. The features of a place have seen more "
            "of the picture than it covers."
        )
        return {"text": text, "difference": found.difference, "sum": total}
    rest = (
        "The biases make up the rest."
        if found.exact
        else "The network is not linear even around one image, so that the sum is only near the difference."
    )
    text = f"Each pixel's value times its weight, through the units that are on for this image. {rest}"
    return {"text": text, "difference": found.difference, "sum": total}


def _thumbnails(images: Array, scale: float) -> Array:
    photos = max(images.shape[1:3]) >= _PHOTO
    return thumbnails(images, scale, _PHOTO_THUMBNAIL) if photos else thumbnails(images, scale)


def _steps_of(shares: Array) -> npt.NDArray[np.uint16]:
    """Numbers from 0 to 1 in steps of 1/65,535."""
    return np.asarray(np.rint(np.clip(np.nan_to_num(shares), 0, 1) * 65_535), np.uint16)


def _reduced(values: Array) -> Array:
    """A map of pixels, in blocks where it is large: of each the value that is furthest from 0."""
    block = -(-max(values.shape) // _WIDEST_VIEW)
    if block == 1:
        return values
    height, width = (side // block for side in values.shape)
    parts = values[: height * block, : width * block].reshape(height, block, width, block).swapaxes(1, 2)
    flat = parts.reshape(height, width, block * block)
    return np.take_along_axis(flat, np.abs(flat).argmax(axis=2)[..., None], axis=2)[..., 0]


def _png(pixels: Array) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    # Fast rather than small: on this machine or in one's own network a few kilobytes more do not show.
    Image.fromarray(pixels).save(stream, format="PNG", compress_level=3)
    return stream.getvalue()
