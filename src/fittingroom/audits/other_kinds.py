"""Pictures of things that are in none of a dataset's classes: made, or from another dataset that is on this machine.

They have the dataset's size, and its background and brightness, so that a model cannot tell them by these: letters are
as bright as the training images' objects, on a background like theirs. A kind is left out where the classes are of
that kind.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.data.catalogue import FASHION_MNIST
from fittingroom.data.dataset import Dataset
from fittingroom.errors import FittingRoomError
from fittingroom.seeds import generator

Pictures = npt.NDArray[np.uint8]

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz"  # without I, O, l and o, which may be digits
_DIGITS = {
    *"0123456789",
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
}
_CLOTHES = {
    *(
        "bag",
        "blouse",
        "boot",
        "boots",
        "cardigan",
        "clothes",
        "coat",
        "dress",
        "footwear",
        "hoodie",
        "jacket",
        "jeans",
    ),
    *("jersey", "longsleeve", "outwear", "pants", "pullover", "sandal", "sandals", "shirt", "shoe", "shoes", "skirt"),
    *("sneaker", "sneakers", "sweater", "top", "trouser", "trousers", "tshirt"),
}
_MEASURED = 500  # training images that background and brightness are measured on


@dataclass(frozen=True, eq=False)
class OtherKinds:
    """Makes pictures for a dataset.

    Args:
        dataset: whose form they have; its training part is looked at.
        count: of each kind, at most.
    """

    dataset: Dataset
    count: int

    def names(self) -> tuple[str, ...]:
        """The kinds that there are for this dataset."""
        return tuple(self._makers)

    @cached_property
    def left_out(self) -> tuple[str, ...]:
        """Which of digits, letters and clothes are left out, since the classes are of that kind."""
        names = {name.casefold().strip() for name in self.dataset.classes}
        words = {word for name in names for word in re.findall("[a-z]+", name)}
        of_kind = {
            "digits": len(names & _DIGITS) > 1,
            "letters": sum(len(name) == 1 and name.isalpha() for name in names) > 1,
            "clothes": len(words & _CLOTHES) > 1,
        }
        return tuple(name for name, found in of_kind.items() if found)

    def pictures(self, name: str) -> Pictures:
        """Those of a kind, uint8 `(n, height, width)` or `(n, height, width, 3)`, 0 to the dataset's scale."""
        return self._makers[name]()

    @cached_property
    def _makers(self) -> dict[str, Callable[[], Pictures]]:
        makers: dict[str, Callable[[], Pictures]] = {}
        if "digits" not in self.left_out:
            makers["digits"] = self._digits
        if "letters" not in self.left_out:
            makers["letters"] = self._letters
        if "clothes" not in self.left_out and (clothes := self._clothes()) is not None:
            makers["clothes"] = lambda: self._styled(clothes)
        makers["shuffled pieces"] = self._pieces
        makers["clouds"] = self._clouds
        makers["noise"] = lambda: self._whole(self._random(0).random((self.count, *self._shape)))
        makers["empty images"] = lambda: self._whole(
            np.broadcast_to(
                np.linspace(0, 1, self.count).reshape(-1, *[1] * len(self._shape)), (self.count, *self._shape)
            )
        )
        return makers

    @property
    def _shape(self) -> tuple[int, ...]:
        return tuple(self.dataset.train.images.shape[1:])

    @cached_property
    def _some(self) -> npt.NDArray[np.float64]:
        """Some training images, 0 to 1, spread evenly."""
        part = self.dataset.train
        chosen = np.linspace(0, len(part) - 1, min(_MEASURED, len(part))).astype(np.intp)
        return np.asarray(part.images[chosen], np.float64) / part.scale

    @cached_property
    def _tones(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Background and foreground of pictures to be drawn, `(n,)` each, 0 to 1.

        Where nearly all corners of the training images are alike, theirs, and the tone of what is most unlike it; else
        any two tones that are far apart.
        """
        grey = self._some.mean(axis=3) if self._some.ndim == 4 else self._some
        corners = grey[:, [0, 0, -1, -1], [0, -1, 0, -1]].ravel()
        back, random = float(np.median(corners)), self._random(1)
        if np.mean(np.abs(corners - back) < 0.1) >= 0.75:
            far = float(np.quantile(grey, 0.95 if back < 0.5 else 0.05))
            far = far if abs(far - back) > 0.3 else float(back < 0.5)
            return np.full(self.count, back), back + (far - back) * random.uniform(0.8, 1.0, self.count)
        backs = random.uniform(0, 1, self.count)
        return backs, np.where(backs < 0.5, random.uniform(0.75, 1, self.count), random.uniform(0, 0.25, self.count))

    def _random(self, purpose: int) -> np.random.Generator:
        return generator(0, "other-images", purpose)

    def _whole(self, values: npt.NDArray[Any]) -> Pictures:
        return np.asarray(np.rint(np.clip(values, 0, 1) * self.dataset.train.scale), np.uint8)

    def _styled(self, ink: npt.NDArray[np.float64]) -> Pictures:
        """Pictures in the dataset's tones of grey ones, `(n, height, width)`, from 0 for the background to 1."""
        backs, fronts = (tones[: len(ink), None, None] for tones in self._tones)
        grey = backs + ink * (fronts - backs)
        return self._whole(grey if len(self._shape) == 2 else np.repeat(grey[..., None], self._shape[2], axis=3))

    def _resized(self, pictures: npt.NDArray[Any], share: float) -> npt.NDArray[np.float64]:
        """Square grey pictures, 0 to 1, in the middle of others of its size, at a share of the shorter side."""
        from PIL import Image

        height, width = self._shape[:2]
        side = max(1, round(share * min(height, width)))
        top, left = (height - side) // 2, (width - side) // 2
        result = np.zeros((len(pictures), height, width))
        for image, picture in zip(result, pictures, strict=True):
            small = Image.fromarray(np.asarray(np.rint(255 * picture), np.uint8)).resize(
                (side, side), Image.Resampling.BICUBIC
            )
            image[top : top + side, left : left + side] = np.asarray(small) / 255
        return result

    def _digits(self) -> Pictures:
        """Handwritten digits of scikit-learn."""
        from sklearn.datasets import load_digits

        return self._styled(self._resized(load_digits().images[: self.count] / 16, 0.85))

    def _letters(self) -> Pictures:
        """Letters of the font that Pillow brings, in several sizes, turned and moved a little."""
        from PIL import Image, ImageDraw, ImageFont

        random, side = self._random(2), 64
        pictures = []
        for place in range(self.count):
            image = Image.new("L", (side, side))
            font = ImageFont.load_default(float(random.uniform(44, 62)))
            ImageDraw.Draw(image).text(
                tuple(random.uniform(28, 36, 2)),
                _LETTERS[place % len(_LETTERS)],
                255,
                font,
                "mm",
                stroke_width=int(random.integers(3)),
            )
            pictures.append(np.asarray(image.rotate(float(random.uniform(-12, 12)), Image.Resampling.BILINEAR)) / 255)
        return self._styled(self._resized(np.stack(pictures), 1.0))

    def _clothes(self) -> npt.NDArray[np.float64] | None:
        """Clothes of Fashion-MNIST where it is on this machine, in the middle of images of the dataset's size."""
        from fittingroom.data.load import load

        if FASHION_MNIST.system_folder is None or not FASHION_MNIST.system_folder.is_dir():
            return None  # it would be downloaded
        try:
            other = load(FASHION_MNIST.name)
        except FittingRoomError:
            return None
        return self._resized(other.train.images[: self.count] / other.scale, 1.0)

    def _pieces(self) -> Pictures:
        """Training images cut into four by four pieces, in another order."""
        random, (height, width) = self._random(3), self._shape[:2]
        places = np.linspace(0, len(self.dataset.train) - 1, min(self.count, len(self.dataset.train))).astype(np.intp)
        images = np.asarray(self.dataset.train.images[places]).copy()
        down, right = max(height // 4, 1), max(width // 4, 1)
        corners = [(row * down, column * right) for row in range(min(4, height)) for column in range(min(4, width))]
        for image in images:
            pieces = [image[row : row + down, column : column + right].copy() for row, column in corners]
            for (row, column), piece in zip(corners, random.permutation(len(pieces)).tolist(), strict=True):
                image[row : row + down, column : column + right] = pieces[piece]
        return images

    def _clouds(self) -> Pictures:
        """Smooth noise of a few cells."""
        from PIL import Image

        random, (height, width) = self._random(4), self._shape[:2]
        cells = random.random((self.count, 5, 5, *self._shape[2:])) * 255
        sized = [
            np.asarray(Image.fromarray(np.asarray(one, np.uint8)).resize((width, height), Image.Resampling.BICUBIC))
            for one in cells
        ]
        return self._whole(np.stack(sized) / 255)
