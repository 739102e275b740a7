"""`Resizing`: how pictures of any size and colour become images of one size, in training and in prediction alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.data.pictures import Picture
from fittingroom.data.values import Images
from fittingroom.errors import DataError
from fittingroom.text import word_list

if TYPE_CHECKING:
    from PIL import Image

RESIZE_RULES: Mapping[str, str] = MappingProxyType(
    {
        "pad": "the longest edge is fitted to the size (bilinear, over all pixels that a new one covers), the rest is "
        "centred and filled with black; a picture of the right size is left as it is",
        "crop": "the shortest edge is fitted to the size (bilinear, over all pixels that a new one covers), and what "
        "then juts out on both sides is cut off; a picture of the right size is left as it is",
        "stretch": "each edge is fitted to the size by itself (bilinear, over all pixels that a new one covers), which "
        "changes proportions; a picture of the right size is left as it is",
    }
)
"""What is done to pictures of another size, in words, by the aspect that `load` takes."""

COLOR_MODES = ("auto", "rgb", "grayscale")
"""`auto` is grey where every picture of a folder is grey all over, and else RGB."""

_KEPT = 256  # pixels: smaller photos are always decoded whole


@dataclass(frozen=True)
class Resizing:
    """How the pictures of a folder become images.

    Attributes:
        aspect: a key of `RESIZE_RULES`.
        color_mode: one of `COLOR_MODES`.
    """

    aspect: str = "pad"
    color_mode: str = "auto"

    def __post_init__(self) -> None:
        """Checks the values.

        Raises:
            DataError: there is no such aspect or colour mode.
        """
        _check("aspect", self.aspect, tuple(RESIZE_RULES))
        _check("color_mode", self.color_mode, COLOR_MODES)

    @classmethod
    def recorded(cls, arguments: Mapping[str, Any] | None) -> Resizing:
        """That of the arguments of `load` that a run records; runs of older versions name none.

        Raises:
            DataError: there is no such aspect or colour mode.
        """
        named = arguments or {}
        return cls(named.get("aspect") or "pad", named.get("color_mode") or "auto")

    @property
    def arguments(self) -> dict[str, str]:
        """The arguments of `load` that mean this, without those that `load` takes anyway."""
        return {name: value for name, value in vars(self).items() if value != getattr(Resizing, name)}

    @property
    def rule(self) -> str:
        """What is done to pictures of another size, in words."""
        return RESIZE_RULES[self.aspect]

    @property
    def verb(self) -> str:
        """What is done to them, in a word or three, before "to" a size."""
        return {"pad": "resized", "crop": "cropped and resized", "stretch": "stretched"}[self.aspect]

    def at_least(self, height: int, width: int) -> int | None:
        """Pixels that each edge must keep when a JPEG is decoded for images of a size, as `Picture.open` takes it.

        None for `pad`, which decodes all pixels: the images of folders that older versions read must stay the same.
        """
        return None if self.aspect == "pad" else kept_edge(height, width)

    def image(self, picture: Image.Image, height: int, width: int) -> Images:
        """A picture as an image of a size.

        Args:
            picture: mode L or RGB, upright.
            height: pixels.
            width: pixels.

        Returns:
            `(height, width)`, or `(height, width, 3)`. With the colour mode `auto`, grey if it is grey all over.
        """
        resized = fitted(picture, height, width, self.aspect)
        if self.color_mode == "auto":
            return Picture.pixels_of(resized)
        return np.asarray(resized.convert("RGB" if self.color_mode == "rgb" else "L"))


def kept_edge(height: int, width: int) -> int:
    """Pixels that each edge of a photo keeps when it is decoded for images of a size: twice theirs, and 256 or more.

    A photo that is reduced to twice the size of its image and resized then differs little from one that was decoded
    whole, and no larger photo looks as if it had exactly the size of the images.
    """
    return max(_KEPT, 2 * max(height, width))


def fitted(image: Image.Image, height: int, width: int, aspect: str) -> Image.Image:
    """A picture resized by one of `RESIZE_RULES`."""
    from PIL import Image

    if image.size == (width, height):
        return image
    bilinear = Image.Resampling.BILINEAR
    if aspect == "stretch":
        return image.resize((width, height), bilinear)
    ratios = width / image.width, height / image.height
    if aspect == "crop":
        inside = min(width / max(ratios), image.width), min(height / max(ratios), image.height)
        left, top = (image.width - inside[0]) / 2, (image.height - inside[1]) / 2
        return image.resize((width, height), bilinear, box=(left, top, left + inside[0], top + inside[1]))
    inner = (max(round(image.width * min(ratios)), 1), max(round(image.height * min(ratios)), 1))
    resized = image.resize(inner, bilinear)
    canvas = Image.new(image.mode, (width, height))
    canvas.paste(resized, ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return canvas


def _check(name: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise DataError(f"{name}={value!r}; expected {word_list(map(repr, known), 'or')}.")
