"""Views: changed copies of a training image, whose features are computed once and kept beside those of the image.

A frozen network answers a picture the same way every time, so what augmentation is worth is bought before training: the
features of a few changed copies, of which each step of the training takes one at random. How a view looks depends on
nothing but the pixels of its image, the number of the view and the settings: not on the seed, the place of the image in
its dataset, or the machine. So a view that was made once is found again by every training.

The changes are those of photographs (Howard 2013, arXiv 1312.5402; Szegedy et al. 2015, arXiv 1409.4842):

- `crop N`: up to N percent of the picture's area are cut away; what is left is enlarged to the size of the picture.
- `flip`: views 1, 3, 5 ... are mirrored left to right. By chance, a view would often be no other than the image.
- `colour N`: brightness, contrast and saturation are multiplied by 1 - N / 100 to 1 + N / 100, each by its own factor.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fittingroom.data.values import Images
from fittingroom.errors import RecipeError, UnknownNameError
from fittingroom.recipes.settings import Augmentation

if TYPE_CHECKING:
    from PIL import Image

CHANGES = ("crop", "flip", "colour")
"""What can be done to a view, in the order in which it is done."""

_ASPECT = 4 / 3
"""Width over height of a cut is up to so many times larger or smaller than that of the picture."""

_RULE = 1  # raised when the same settings give other pixels, so that older views are made again
_LUMA = (0.299, 0.587, 0.114)  # of red, green and blue in brightness (ITU-R BT.601)
_EXACT = 1024
"""Factors of colours are multiples of 1 / 1024: products and sums are exact in 32 bits, on every machine the same."""


@dataclass(frozen=True)
class Views:
    """How many changed copies of each image there are, and how they differ from it.

    Args:
        augment: the changes, as a recipe spells them: `crop 25`, `flip`, `colour 20`, each once and in any order.
        count: changed copies of each image, at least 1. The image itself comes in addition, as view 0.

    Raises:
        UnknownNameError: a change that views do not know.
        RecipeError: no change, one that is named twice, one whose number makes no sense, or fewer than one view.
    """

    augment: tuple[str, ...]
    count: int

    def __post_init__(self) -> None:
        names = [text.split()[0] if text.split() else text for text in self.augment]
        for name in names:
            if name not in CHANGES:
                raise UnknownNameError("change of a view", name, CHANGES)
            if names.count(name) > 1:
                raise RecipeError(f"{name!r} is named twice among the changes of views. Name it once.")
        if not names or self.count < 1:
            raise RecipeError(
                f"got {self.count} views with {len(names)} changes; expected at least one of each, such as 4 views "
                "with augment = ['crop 25', 'flip', 'colour 20']."
            )
        _ = self._changes

    @property
    def key(self) -> str:
        """Names what the pixels of a view depend on besides its image and its number; not how many views there are."""
        return f"{_RULE} {', '.join(sorted(change.text for change in self._changes))}"

    @cached_property
    def _changes(self) -> tuple[Augmentation, ...]:
        return tuple(map(Augmentation.of, self.augment))

    def changed(self, image: Images, digest: bytes, number: int) -> Images:
        """One view of an image.

        Args:
            image: `(height, width)` or `(height, width, 3)`.
            digest: names the content of the image, as `image_digests` gives it.
            number: of the view, from 1 on; 0 is the image as it is.

        Returns:
            A picture of the same shape.
        """
        if number == 0:
            return image
        from PIL import Image

        strengths = {change.name: (change.strength or 0) / 100 for change in self._changes}
        draws = _draws(digest, number)
        picture = Image.fromarray(image)
        if "crop" in strengths:
            picture = _cropped(picture, strengths["crop"], draws[:4])
        if "flip" in strengths and number % 2:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if "colour" in strengths:
            picture = _coloured(picture, strengths["colour"], draws[4:7])
        return np.asarray(picture)


def _draws(digest: bytes, number: int) -> list[float]:
    """Eight random numbers, 0 to 1, each a multiple of 2^-32, that belong to an image and the number of a view."""
    drawn = hashlib.blake2b(digest + number.to_bytes(4, "little"), digest_size=32).digest()
    return [int(word) / 2**32 for word in np.frombuffer(drawn, "<u4")]


def _cropped(picture: Image.Image, most: float, draws: list[float]) -> Image.Image:
    """A part with 1 - `most` to 1 of the picture's area, anywhere in it, enlarged to the picture's size."""
    area, aspect = 1 - most * draws[0], _ASPECT ** (2 * draws[1] - 1)
    sides = (min(1.0, math.sqrt(area * aspect)), min(1.0, math.sqrt(area / aspect)))
    box = []
    for length, side, place in zip(picture.size, sides, draws[2:], strict=True):
        kept = max(1, round(length * side))
        first = math.floor((length - kept + 1) * place)
        box.append((first, first + kept))
    (left, right), (top, bottom) = box
    from PIL import Image

    return picture.resize(picture.size, Image.Resampling.BILINEAR, (left, top, right, bottom))


def _coloured(picture: Image.Image, most: float, draws: list[float]) -> Image.Image:
    """Brightness, contrast and saturation multiplied by factors of 1 - `most` to 1 + `most`.

    All three are linear in red, green and blue, so they are one matrix. The contrast is that around the middle of
    the picture's own brightness; grey pictures have no saturation to change.
    """
    brightness, contrast, saturation = (1 + most * (2 * draw - 1) for draw in draws)
    mean = math.floor(_mean_brightness(picture) + 0.5)
    offset = _exact(brightness * (1 - contrast) * mean)
    factor = brightness * contrast
    if picture.mode == "L":
        multiplied = _exact(factor)
        return picture.point([math.floor(min(max(multiplied * value + offset, 0), 255) + 0.5) for value in range(256)])
    colours = saturation * np.eye(3) + (1 - saturation) * np.array(_LUMA)
    matrix = [number for row in factor * colours for number in (*map(_exact, row), offset)]
    return picture.convert("RGB", tuple(matrix))


def _exact(number: float) -> float:
    return math.floor(number * _EXACT + 0.5) / _EXACT


def _mean_brightness(picture: Image.Image) -> float:
    counts = np.asarray(picture.histogram(), np.int64).reshape(-1, 256)
    means = counts @ np.arange(256) / (picture.width * picture.height)
    return float(means[0] if len(means) == 1 else sum(weight * mean for weight, mean in zip(_LUMA, means, strict=True)))
