"""Pictures as a run's model takes them, and how many of them an audit can ask it about."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fittingroom.answers.judgement import AnswerNumbers

if TYPE_CHECKING:
    from fittingroom.answers.predictor import Predictor
    from fittingroom.data.dataset import Part

_AT_ONCE = 256
_AT_ONCE_SLOW = 40  # with a backbone, a hundredth of a second apiece: progress is reported every second

_FEWEST, _MOST = 200, 5_000
_VALUES = 20_000_000  # pixels and channels of all images together
_SECONDS, _TIMED = 180, 64


@dataclass(frozen=True, eq=False)
class ModelImages:
    """Asks a run about pictures of its dataset's form.

    Args:
        predictor: the run's.
        scale: the brightest value of the pictures.
    """

    predictor: Predictor
    scale: float

    @property
    def why_not(self) -> str | None:
        """Why pictures cannot be given to the model; None where they can."""
        data = self.predictor.data
        if data.as_given and (data.range.black is None or data.range.white is None):
            return "This run was trained on arrays whose values for black and white are not known."
        return None

    def chosen(self, part: Part, forms: int = 1) -> npt.NDArray[np.intp]:
        """Which images of a part are looked at: all, or some spread evenly, as many as the time allows.

        At most 5,000 of 28×28, fewer of large pictures, and 200 with a backbone. Where a model is so slow that asking
        would take more than three minutes of a core, 2,000, 1,000, 500 or 200.

        Args:
            part: at least one image.
            forms: in how many forms the model is asked about each.
        """
        size = int(np.prod(part.images.shape[1:]))
        most = _FEWEST if self.predictor.backbone else min(max(_VALUES // size, _FEWEST), _MOST)
        most = min(most, len(part))
        if most > _FEWEST and not self.predictor.backbone:
            possible = _SECONDS / (forms * self._seconds(np.asarray(part.images[:_TIMED])))
            most = next((step for step in (most, 2_000, 1_000, 500) if step <= min(most, possible)), _FEWEST)
        return np.linspace(0, len(part) - 1, most).astype(np.intp)

    def _seconds(self, images: npt.NDArray[np.uint8]) -> float:
        """The core time that the model takes for an image, once its program is compiled: the same on a busy machine."""
        taken = []
        for _ in range(3):
            start = time.process_time()
            self.numbers(images)
            taken.append(time.process_time() - start)
        return max(min(taken), 1e-6) / len(images)

    def blocks(self, count: int) -> Iterator[slice]:
        """So many images in blocks, between which progress is reported."""
        rows = _AT_ONCE_SLOW if self.predictor.backbone else _AT_ONCE
        return (slice(start, min(start + rows, count)) for start in range(0, count, rows))

    def numbers(self, images: npt.NDArray[np.uint8], itself: npt.NDArray[np.intp] | None = None) -> AnswerNumbers:
        """What the run says of pictures, `(n, height, width)` or `(n, height, width, 3)`, 0 to `scale`."""
        return self.predictor.numbers(self.as_taken(images), itself)

    def as_taken(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """The same in the shape and with the values that the model takes."""
        data = self.predictor.data
        shaped = images.reshape(-1, *data.image_shape)
        if not data.as_given:
            return shaped
        black, white = data.range.black or 0.0, data.range.white or 1.0
        return np.asarray(shaped * np.float32((white - black) / self.scale) + np.float32(black), np.float32)


def shown_pixels(image: npt.NDArray[np.uint8], scale: float, side: int = 64) -> npt.NDArray[np.uint8]:
    """A picture for a page, 0 to 255, uint8; a large one is made smaller by whole steps, so that a page stays small."""
    step = max(1, min(image.shape[:2]) // side)
    return np.asarray(np.rint(image[::step, ::step] * np.float32(255 / scale)), np.uint8)
