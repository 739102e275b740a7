"""Which random changes the training images go through: texts such as `flip`, `shift 2` and `cutout 8`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fittingroom.errors import RecipeError, UnknownNameError

# What each may change, and what its number means; None where it takes none.
AUGMENTATIONS: Mapping[str, str | None] = MappingProxyType(
    {
        "flip": None,
        "shift": "pixels, at most, up or down and left or right",
        "cutout": "pixels, the side of the square that is blackened",
        "spare": "percent of the images, which go without what follows",
        "rotate": "degrees, at most, either way",
        "stretch": "percent, at most, by which each side grows or shrinks",
        "bend": "pixels, at most, by which parts of the image move against each other",
        "contrast": "percent, at most, by which the thing's contrast and brightness change",
        "invert": "percent of the images whose thing is inverted",
        "texture": "percent of the full brightness, at most, that blotches and stripes add to the thing",
        "bite": "percent of the images whose thing has pieces missing",
        "clutter": "percent of the images that have pieces of background",
        "blur": "pixels, at most, of a Gaussian's deviation",
    }
)
_LARGEST_STRENGTH = 1000


@dataclass(frozen=True)
class Augmentation:
    """One random change of an image.

    Args:
        name: a key of `AUGMENTATIONS`.
        strength: its number, in the unit that `AUGMENTATIONS` says; None for `flip`, which mirrors every second image,
            left to right.
    """

    name: str
    strength: int | None = None

    @property
    def text(self) -> str:
        """The augmentation in its plain spelling."""
        return self.name if self.strength is None else f"{self.name} {self.strength}"


def parse_augmentation(text: str) -> Augmentation:
    """Reads one augmentation.

    Raises:
        RecipeError: its number is missing, makes no sense, or is one too many.
        UnknownNameError: there is no such augmentation; the message lists the known ones.
    """
    name, _, number = " ".join(text.split()).partition(" ")
    if name not in AUGMENTATIONS:
        raise UnknownNameError("augmentation", name, AUGMENTATIONS)
    meaning = AUGMENTATIONS[name]
    if meaning is None:
        if number:
            raise RecipeError(f"augmentation {text!r}: expected {name!r} alone; it has no number.")
        return Augmentation(name)
    if not re.fullmatch(r"[0-9]{1,4}", number) or not 1 <= int(number) <= _LARGEST_STRENGTH:
        raise RecipeError(
            f"augmentation {text!r}: expected a whole number of {meaning}, from 1 to {_LARGEST_STRENGTH:,}, "
            f"for example '{name} 2'."
        )
    return Augmentation(name, int(number))
