"""The range of values that a model was trained on: how pictures are converted to it, and which images have another."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fittingroom.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SAMPLED = 1_000_000
"""Values that are looked at one by one; all are, for the smallest and the largest."""

_LARGEST = 3.5e38  # a little above what float32 holds

_LEVELS = 32  # different values at least, before steps of equal size mean that they were 8-bit pixels
_DIGITS = 17  # the values of scikit-learn's digits, 0 to 16: all of them
_ON_STEP = 0.02  # of a step: how far float32 values of standardised pixels lie from it
_ROOM = 0.05  # of the way from black to white: how far resizing overshoots

# The four rules by which images are on another scale, each set so that no picture comes near it: decision 31.
MANY = 20
"""Images, of which one at least has a bright pixel, however dark they are: fewer are never said to be too dark."""

BEYOND = 4.0
"""How many times the range of training may be exceeded. Noise and brighter light stay below; 0-16 for 0-1 does not."""

NOTED_BEYOND = 1.5
"""The same, from where on it is said."""

TOO_DARK = 1 / 128
"""The share of white below which an 8-bit picture has three levels at most, so that more levels mean another scale."""

_STANDARDISED = 4.0
"""Standard deviations from the mean that pixels hardly ever exceed."""

NOTED_DARK = 1 / 8
"""The share of white that not one of many images exceeds, from where on it is said."""

USUAL_SCALES = (1.0, 16.0, 255.0, 4095.0, 65535.0)
"""White, as it is usual: fractions, scikit-learn's digits, and pictures of 8, 12 and 16 bits."""


@dataclass(frozen=True)
class ValueRange:
    """The values of a model's training images, as `fit` got them.

    Args:
        lowest: the smallest value.
        highest: the largest value.
        whole: whether all are whole numbers.
        black: what 0 of an 8-bit picture is among them; None where that is not known.
        white: what 255 of an 8-bit picture is among them; None where that is not known.
    """

    lowest: float
    highest: float
    whole: bool
    black: float | None = None
    white: float | None = None

    @classmethod
    def of(cls, images: NDArray[Any], extremes: tuple[int, int] | None = None) -> ValueRange:
        """The range of finite images, `(n, ...)`, at least one.

        Args:
            images: the images.
            extremes: what `ValueRange.extremes_of` gave, if it was called before.
        """
        extremes = extremes or ValueRange.extremes_of(images)
        lowest, highest = (float(images.flat[place]) for place in extremes)
        whole = _are_whole(images, extremes)
        black, white = _ends(lambda: _sample(images, extremes), lowest, highest, whole=whole)
        return cls(lowest, highest, whole, black, white)

    @classmethod
    def of_scale(cls, scale: float) -> ValueRange:
        """The range of a dataset's raw pixels, which are whole numbers from 0 to `scale`."""
        return cls(0.0, scale, True, 0.0, scale)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> ValueRange:
        """The range in a record.

        Raises:
            ValueError, TypeError, KeyError: it is damaged.
        """
        numbers = [stored[name] for name in ("lowest", "highest", "black", "white")]
        for number in numbers:
            if number is not None and not (type(number) in {int, float} and abs(number) <= _LARGEST):
                raise ValueError(f"the range of values has {number!r}")
        lowest, highest, black, white = numbers
        ordered = lowest is not None and highest is not None and lowest <= highest
        if not ordered or (black is None) != (white is None) or stored["whole"] not in (True, False):
            raise ValueError(f"the range of values is {dict(stored)!r}")
        return cls(float(lowest), float(highest), bool(stored["whole"]), black, white)

    def __str__(self) -> str:
        return _span(self.lowest, self.highest)

    @staticmethod
    def usual_scale(highest: float) -> float:
        """The smallest usual value of white that is not below the largest value of images; that value if none is near.

        None is near values from 268 to 1,023: they are too bright for 8 bits, and too dark for 12.
        """
        if 255 * (1 + _ROOM) < highest < 1024:
            return highest
        return next((scale for scale in USUAL_SCALES if highest <= scale * (1 + _ROOM)), highest)

    @staticmethod
    def centred(lowest: float, highest: float) -> float | None:
        """How far black and white lie apart in values that are usual around 0, -1 to 1 above all; else None."""
        for half, span in ((1.0, 2.0), (0.5, 1.0), (127.5, 255.0), (128.0, 255.0)):
            if abs(lowest + half) <= half / 1000 and highest <= half * 1.001:
                return span
        return None

    @staticmethod
    def require_finite(images: NDArray[Any], what: str, extremes: tuple[int, int] | None = None) -> None:
        """Refuses images with NaN or infinite values.

        Args:
            images: the images.
            what: they are, for the message.
            extremes: what `ValueRange.extremes_of` gave, if it was called before.

        Raises:
            DataError: there are some; the first five images that have them are listed.
        """
        import numpy as np

        # The smallest and the largest value tell, and take far less time than a look at each.
        if images.dtype.kind not in "fc" or not images.size:
            return
        if np.isfinite([images.flat[place] for place in extremes or ValueRange.extremes_of(images)]).all():
            return
        bad = np.flatnonzero(~np.isfinite(images.reshape(len(images), -1)).all(axis=1))
        raise DataError(
            f"{bad.size:,} of {what} hold NaN or infinite values, the first at {bad[:5].tolist()}. "
            "Leave them out or repair them."
        )

    def of_pixels(self, pixels: NDArray[np.uint8], what: str) -> NDArray[Any]:
        """Pixels from 0 to 255 as values like those of training.

        They are whole numbers where training's were: uint8 if all of them fit, else float32.

        Raises:
            DataError: it is not known which values stand for black and white; the message names `what` it is.
        """
        import numpy as np

        if self.black is None or self.white is None:
            known = "values that an older version did not record" if self == ANY_VALUES else f"values from {self}"
            raise DataError(
                f"{what} cannot be converted: this run was trained on arrays with {known}, and it is not known which "
                "of them stand for black and white. Convert it to an array as the training images were (standardised "
                "ones with the mean and deviation of the training images), and predict that."
            )
        if (self.black, self.white) == (0.0, 255.0):
            return pixels if self.whole else pixels.astype(np.float32)
        values = pixels * np.float32((self.white - self.black) / 255) + np.float32(self.black)
        if not self.whole:
            return np.asarray(values, np.float32)
        return np.asarray(np.rint(values), np.uint8 if self.black >= 0 and self.white <= 255 else np.float32)

    def difference(self, images: NDArray[Any]) -> _ScaleDifference | None:
        """How the values of finite images, `(n, ...)`, show that they are on another scale; None where they do not."""
        lowest, highest = float(images.min()), float(images.max())
        low, high = self._full()
        span = high - low
        if not 0 < span < math.inf:
            return None
        out = max((highest - low) / span, (high - lowest) / span)
        far = out > BEYOND or self._mostly_below_black(images, lowest)
        if far or self._too_fine(images, highest) or self._fewer_bits(images, highest):
            return _ScaleDifference(self.sentence(lowest, highest), meaningless=True)
        if out > NOTED_BEYOND or (len(images) >= MANY and self._covers_little(lowest, highest)):
            return _ScaleDifference(self.sentence(lowest, highest), meaningless=False)
        return None

    @staticmethod
    def extremes_of(images: NDArray[Any]) -> tuple[int, int]:
        """The positions of the smallest and the largest value in `images.flat`; of NaN, the first is both.

        All that must look at every value looks there, since large arrays take milliseconds for each pass.
        """
        return int(images.argmin()), int(images.argmax())

    def _full(self) -> tuple[float, float]:
        """Black and white, where they are known, and else what training's images had."""
        low = self.lowest if self.black is None else min(self.black, self.lowest)
        return low, self.highest if self.white is None else max(self.white, self.highest)

    def _mostly_below_black(self, images: NDArray[Any], lowest: float) -> bool:
        """Whether a quarter of all values lie far below any of training's: noise has fewer, another zero has more."""
        import numpy as np

        low, high = self._full()
        limit = low - 0.4 * (high - low)
        return lowest < limit and bool(np.quantile(_sample(images), 0.25) < limit)

    def _too_fine(self, images: NDArray[Any], highest: float) -> bool:
        """Whether images that seem all but black have more levels than such images can have."""
        import numpy as np

        low, high = self._full()
        share = (highest - low) / (high - low)
        if self.lowest < 0 or (self.whole and high <= 1):
            return False
        if not 0 < share <= max(TOO_DARK, _STANDARDISED / high if self.whole else 0):
            return False
        levels = np.unique(_sample(images))
        if not self.whole:
            return len(levels) > 3
        fractions = bool((levels != levels.round()).any())
        return fractions and (highest <= 1 or bool(levels[0] < 0))

    def _fewer_bits(self, images: NDArray[Any], highest: float) -> bool:
        """Whether these are bright pictures of 8 bits, and training's had more."""
        return self.whole and images.dtype.name == "uint8" and highest > 127 and self._full()[1] > 4 * 255

    def _covers_little(self, lowest: float, highest: float) -> bool:
        """Whether many images are too dark all of them, or lack the dark half of a range that has negative values."""
        if lowest == highest:
            return False
        low, high = self._full()
        if low < 0:
            return (highest - lowest) / (high - low) <= 0.5
        return (highest - low) / (high - low) <= NOTED_DARK

    def sentence(self, lowest: float, highest: float) -> str:
        """What images with values from `lowest` to `highest` have, beside training's, and how to mend it."""
        return f"have values from {_span(lowest, highest)}, and the training images from {self}. " + self._mend(
            lowest, highest
        )

    def _mend(self, lowest: float, highest: float) -> str:
        """What to do to bring values to training's."""
        black, white, scale = self.black, self.white, ValueRange.usual_scale(highest)
        if black is None or white is None:
            return "Convert them as the training images were."
        if lowest < -_ROOM:
            span = ValueRange.centred(lowest, highest)
            way = f"Convert them: (x + {-lowest:g}) {_times(white / span)}." if span and black == 0 else ""
            return way or f"Undo their standardisation first; training's black is {black:g} and white {white:g}."
        if highest <= TOO_DARK and white >= 1:
            return f"They look as if they were divided by 255 twice: multiply them by {255 * white:g}."
        if black:
            return f"Convert them: x {_times((white - black) / scale)} {'-' if black < 0 else '+'} {abs(black):g}."
        if scale == white:
            return f"Unless the images are that dark, multiply them by {white / highest:.3g}."
        return f"{'Multiply' if white > scale else 'Divide'} them by {max(white / scale, scale / white):g}."


def _times(factor: float) -> str:
    return f"* {factor:g}" if factor > 1 else f"/ {1 / factor:g}"


ANY_VALUES = ValueRange(-math.inf, math.inf, False)
"""What is known of the arrays of runs from before ranges were recorded: nothing."""


@dataclass(frozen=True)
class _ScaleDifference:
    """Values that are on another scale than those of training.

    Args:
        sentence: the end of one, with the numbers and how to mend it: "have values from ... Divide them by 255."
        meaningless: whether a model's answers to them mean nothing, so that they are refused.
    """

    sentence: str
    meaningless: bool


def _span(lowest: float, highest: float) -> str:
    return " to ".join(f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}" for value in (lowest, highest))


def _are_whole(images: NDArray[Any], extremes: tuple[int, int]) -> bool:
    """Whether all values are whole numbers."""
    if images.dtype.kind in "bui":
        return True
    some = images[len(images) // 2]  # most fractions show in any image
    if (some != some.round()).any():
        return False
    sample = _sample(images, extremes)
    return bool((sample == sample.round()).all())


def _sample(images: NDArray[Any], extremes: tuple[int, int] | None = None) -> NDArray[np.float64]:
    """Values of evenly spaced images, and of those with the smallest and the largest value."""
    import numpy as np

    size = math.prod(images.shape[1:])
    step = max(1, math.ceil(len(images) / max(1, _SAMPLED // max(size, 1))))
    extreme = [place // size for place in extremes or ValueRange.extremes_of(images)]
    chosen = [images[::step], images[extreme]] if step > 1 else [images]
    return np.concatenate([part.reshape(-1) for part in chosen]).astype(np.float64)


def _ends(
    sampled: Callable[[], NDArray[np.float64]], lowest: float, highest: float, *, whole: bool
) -> tuple[float, float] | tuple[None, None]:
    """The values of black and white, where the values of training tell them for sure enough."""
    if whole and lowest >= 0:
        white = _white_of_whole(highest)
        return (None, None) if white is None else (0.0, white)
    if (lowest >= -_ROOM and 0.5 < highest <= 1 + _ROOM) or (
        lowest == 0 and highest < 1 and _has_steps(sampled(), 0.0, 1 / 255)
    ):
        return 0.0, 1.0
    if lowest >= 0 and 128 <= highest <= 255 * (1 + _ROOM):
        return 0.0, 255.0
    for half in (1.0, 0.5):
        if abs(lowest + half) <= half / 100 and abs(highest - half) <= half / 100:
            return -half, half
    sample = sampled()
    pixels = _has_steps(sample, lowest, (highest - lowest) / 255)
    digits = _has_steps(sample, lowest, (highest - lowest) / 16, _DIGITS)
    return (lowest, highest) if pixels or digits else (None, None)


def _white_of_whole(highest: float) -> float | None:
    if highest <= 1:
        return 1.0
    if highest in {3.0, 7.0, 15.0, 16.0, 1023.0, 4095.0, 16383.0}:
        return highest
    if 128 <= highest <= 255:
        return 255.0
    return 65535.0 if 32768 <= highest <= 65535 else None


def _has_steps(sample: NDArray[np.float64], start: float, step: float, least: int = _LEVELS) -> bool:
    """Whether values lie on a ladder of equal steps and no coarser one, on `least` steps of it: pixels, scaled."""
    import numpy as np

    if step <= 0:
        return False
    steps = (sample - start) / step
    if np.abs(steps - np.rint(steps)).max() > _ON_STEP:
        return False
    levels = np.unique(np.rint(steps)).astype(np.int64)
    return len(levels) >= least and int(np.gcd.reduce(levels)) == 1
