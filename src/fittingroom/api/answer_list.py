"""`AnswerList`: what `Run.answer` gives, a list of answers that a notebook shows with their images."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.answers.judgement import Answer
from fittingroom.answers.predictor import Images, Predictor
from fittingroom.card_html import Html, bar, card, card_table
from fittingroom.data.model_inputs import ConversionStep
from fittingroom.runs.data_record import DataRecord
from fittingroom.text import amount, percent

_MOST_ANSWERS = 12  # that a card shows
_MOST_CLASSES = 3  # of each answer
_SHOWN_SIDE = 56  # pixels on the page


class AnswerList(list[Answer]):
    """Answers to images.

    Args:
        answers: one for each image.
        images: the first of them, as the model takes them.
        data: what is recorded of the data that it was trained on.
    """

    def __init__(self, answers: Iterable[Answer], images: NDArray[Any], data: DataRecord) -> None:
        super().__init__(answers)
        self._shown, self._data = images, data

    @classmethod
    def of(cls, predictor: Predictor, images: Images, alpha: float) -> AnswerList:
        """What a predictor says of images; see `Run.answer`."""
        inputs = predictor.inputs(images)
        return cls(predictor.answer_unchecked(inputs, alpha), inputs.images[:_MOST_ANSWERS].copy(), predictor.data)

    def _repr_html_(self) -> str:
        names = self._data.classes
        rows = [
            (_picture(image, self._data), _likeliest(answer, names), answer.why)
            for image, answer in zip(self._shown, self[:_MOST_ANSWERS], strict=False)
        ]
        more = len(self) - len(rows)
        table = card_table(("", "likeliest", "answer"), rows, left=3)
        return card(
            f"Answers to {amount(len(self), 'image')}", parts=[table], sentences=[f"and {more:,} more"] if more else []
        )


def _likeliest(answer: Answer, names: Sequence[str]) -> Html:
    order = np.argsort(-answer.probabilities, kind="stable")[:_MOST_CLASSES]
    found = ((names[index], float(answer.probabilities[index])) for index in order.tolist())
    return Html("<br>".join(bar(share, f"{name}: {percent(share)}") for name, share in found))


def _picture(image: NDArray[Any], data: DataRecord) -> Html:
    """A model's image as an `img`, as large as a thumb; empty where its numbers are not those of a picture."""
    shape = data.picture_shape
    if len(shape) not in {2, 3} or (len(shape) == 3 and shape[2] not in {1, 3}):
        return Html("")
    values = np.asarray(image, np.float32).reshape(shape[:2] if shape[-1] == 1 else shape)
    black, white = data.range.black, data.range.white
    low, high = (values.min(), values.max()) if black is None or white is None else (black, white)
    pixels = np.rint(np.clip((values - low) / max(float(high - low), 1e-12), 0, 1) * 255).astype(np.uint8)
    url = ConversionStep("", "", pixels).data_url or ""
    size = f"height:{_SHOWN_SIDE}px;image-rendering:pixelated"
    return Html(f'<img alt="the image" style="{size}" src="{html.escape(url)}">')
