"""`TryView`: a run to be tried by a person: drawings and photos in, answers with every step of the conversion out.

The page of `fittingroom serve` and the studio's view *Try* ask it the same things.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.answers.judgement import Answer
from fittingroom.answers.out_of_distribution import MOST_SIMILAR, SimilarImages
from fittingroom.answers.predictor import Predictor
from fittingroom.answers.recalibration import ALPHA
from fittingroom.data.corrections import Corrections
from fittingroom.data.model_inputs import ConversionStep, ModelInputs
from fittingroom.errors import DataError, RunError
from fittingroom.photos.drawing import Drawing, PenStyle

_SECONDS_A_PHOTO = 0.005  # to make a synthetic photo and learn from it, on a core like those of 2024
_NEAREST = 8


class TryView:
    """A run, as a page tries it. Its functions take milliseconds to seconds, and may be called in any thread.

    Args:
        name: of the run.
        predictor: what answers.
        corrections: where corrected examples are kept; None where they are not.
    """

    def __init__(self, name: str, predictor: Predictor, corrections: Corrections | None) -> None:
        self.name, self.predictor, self.corrections = name, predictor, corrections
        self._lock = threading.Lock()  # what is fitted at first use is fitted once
        self._ready = False

    def facts(self) -> dict[str, Any]:
        """What a page has to know before anything is tried; plain JSON."""
        data = self.predictor.data
        shape = data.picture_shape
        pen, why_not = self.pen
        return {
            "run": self.name,
            "dataset": data.public_name,
            "classes": list(data.classes),
            "shape": list(shape),
            "seeds": self.predictor.seed_count,
            "drawing": {
                "possible": pen is not None,
                "why_not": why_not,
                "fills": pen is not None and pen.fills,
                "thickness": None if pen is None else pen.thickness,
                "placed": pen is not None and pen.foreground is not None,
                "note": None if pen is None else pen.note(data.public_name),
            },
            "photo": {"possible": data.takes_pictures, "note": self._photo_note(), "first": self._photos_first()},
            "coverage": 1 - ALPHA,
            "nearest": self._nearest_note(),
            "corrections": self._corrections(),
        }

    def ready(self) -> TryView:
        """Fits and compiles what the first drawing needs."""
        with self._lock:
            if not self._ready:
                self.predictor.warm_up(1)
                _ = self.pen, self._similar
                self._ready = True
        return self

    def load(self) -> TryView:
        """Has all in memory that any answer needs, so that the folder of the run may go."""
        _ = self.pen, self._similar, self._photo_note()
        return self

    def photo_seconds(self) -> float:
        """About how long it takes to fit what answers to photos rest on."""
        return 3.0 + _SECONDS_A_PHOTO * self.predictor.held_out_photos

    def drawing(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a drawing: `{"strokes": …, "fills": true, false or null}`, see `Drawing.of`.

        Raises:
            DataError: it is something else, or nothing is drawn.
            RunError: a file of the run is damaged, or its model gives no numbers.
        """
        return self._answered(self.drawn(values))

    def photo(self, content: bytes) -> dict[str, Any]:
        """The answer to a picture file.

        Raises:
            DataError: it is not a picture that can be read, or cannot be converted to what the model takes.
            RunError: as above.
        """
        return self._answered(self._read(content))

    def keep_drawing(self, label: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Keeps a drawing as an example of a class, as the model gets it; what `corrections` of the facts say then.

        Raises:
            FittingRoomError: it is not a class or not a drawing, it cannot be written, or nothing is kept here.
        """
        return self._keep(label, self.drawn(values))

    def keep_photo(self, label: str, content: bytes) -> dict[str, Any]:
        """The same with a photo: what the model gets of it is kept, and nothing else of the file."""
        return self._keep(label, self._read(content))

    def undo(self, name: str) -> dict[str, Any]:
        """Takes a kept example away again."""
        if self.corrections is None or not self.corrections.undo(name):
            raise DataError("There is no such example any more.")
        return {"corrections": self._corrections()}

    @property
    def pen(self) -> tuple[PenStyle | None, str | None]:
        """How drawings are made, or why there can be none."""
        return self.predictor.pen

    @cached_property
    def _similar(self) -> SimilarImages | None:
        data = self.predictor.data
        if data.load is None or len(data.picture_shape) < 2:
            return None
        try:
            return self.predictor.similar_images()
        except (DataError, RunError):
            return None

    def _nearest_note(self) -> str | None:
        """By what, and among how many images, those most similar to an image are found; None where there are none."""
        data, backbone = self.predictor.data, self.predictor.backbone
        if data.load is None or len(data.picture_shape) < 2:
            return None
        try:
            count = min(len(self.predictor.training_images), MOST_SIMILAR)
        except (DataError, RunError):
            return None
        way = "by shape" if backbone is None else f"by the features of {backbone}"
        return f"{way}, among {count:,} training images of the run"

    def _photo_note(self) -> str | None:
        """What is to be known of photos."""
        data = self.predictor.data
        if not data.takes_pictures:
            return None
        try:
            style = self.predictor.style
        except (DataError, RunError) as error:
            return str(error)
        if style.foreground is None:
            return style.note
        second = self.predictor.second_opinion
        if second is None or isinstance(second, str):
            return style.note if second is None else f"{style.note} {second}."
        return f"{style.note} {second.backbone.title}, which was trained on photographs, is asked too."

    def _photos_first(self) -> bool:
        """Whether photos are what the training images are, and drawings are not."""
        pen, _ = self.pen
        return self.predictor.data.takes_pictures and (pen is None or (pen.foreground is None and pen.ink == 0))

    def _corrections(self) -> dict[str, Any] | None:
        if self.corrections is None:
            return None
        return {"folder": str(self.corrections.folder), "count": self.corrections.count()}

    def drawn(self, values: Mapping[str, Any]) -> ModelInputs:
        """A drawing as the model takes it, with the picture of every step; see `drawing`."""
        if not isinstance(values, Mapping) or values.get("fills") not in (None, True, False):
            raise DataError('Expected a drawing: {"strokes": [[[x, y], …], …], "fills": true or false}.')
        pen, why_not = self.pen
        if pen is None:
            raise DataError(str(why_not))
        data, drawing = self.predictor.data, Drawing.of(values.get("strokes"), values.get("fills"))
        conversion = drawing.conversion(pen, data.picture_shape)
        images = data.range.of_pixels(conversion.image[None], "The drawing")
        return self._typed(ModelInputs(images, np.zeros(1, np.bool_), steps=conversion.steps))

    def _read(self, content: bytes) -> ModelInputs:
        if not self.predictor.data.takes_pictures:
            raise DataError(str(self.pen[1]))
        name = Path("The picture")
        inputs = self.predictor.reader.read_bytes(content, name)
        notes = tuple(note.removeprefix(f"{name}: ") for note in inputs.notes)
        return self._typed(replace(inputs, source=None, notes=notes))

    def _typed(self, inputs: ModelInputs) -> ModelInputs:
        """Images in the shape and the one type that the model's programs were compiled for."""
        data = self.predictor.data
        images = inputs.images.astype(np.float32 if data.as_given else np.uint8, copy=False)
        return replace(inputs, images=images).reshaped(data.image_shape)

    def _answered(self, inputs: ModelInputs) -> dict[str, Any]:
        answer = self.ready().predictor.answer_unchecked(inputs)[0]
        steps = inputs.steps or (
            ConversionStep("model", "it has the model's size, and goes in as it is", self._shown(inputs)),
        )
        return {
            **_told(answer),
            "cut_out": bool(inputs.cut_out[0]),
            "notes": list(inputs.notes),
            "steps": [{"name": step.name, "note": step.note, "picture": step.data_url} for step in steps],
            "nearest": self._nearest(inputs),
        }

    def _nearest(self, inputs: ModelInputs) -> list[dict[str, Any]]:
        similar, data = self._similar, self.predictor.data
        if similar is None:
            return []
        found = similar.nearest(self.predictor.features(inputs.images), _NEAREST)
        pictures = [ConversionStep("", "", one.image).data_url for one in found]
        return [
            {"label": data.classes[one.label], "likeness": round(one.likeness, 3), "picture": picture}
            for one, picture in zip(found, pictures, strict=True)
        ]

    def _shown(self, inputs: ModelInputs) -> NDArray[np.uint8]:
        """The model's image, brightness 0 to 255."""
        data = self.predictor.data
        black, white = data.range.black or 0.0, 255.0 if data.range.white is None else data.range.white
        image = inputs.images[0].reshape(data.picture_shape).astype(np.float32)
        return np.asarray(np.rint(np.clip((image - black) * (255 / (white - black)), 0, 255)), np.uint8)

    def _keep(self, label: str, inputs: ModelInputs) -> dict[str, Any]:
        if self.corrections is None:
            raise DataError("This server keeps no examples. `fittingroom studio` on your own machine does.")
        file = self.corrections.keep(label, self._shown(inputs))
        return {"kept": {"name": file.name, "file": str(file), "label": label}, "corrections": self._corrections()}


def _told(answer: Answer) -> dict[str, Any]:
    return {**answer.to_dict(), "closest": answer.closest}
