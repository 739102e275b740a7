"""`SecondOpinion`: what a network trained on photographs says of a photo, beside the run that saw only a dataset.

A run on Fashion-MNIST has seen small grey images on black. A network trained on ImageNet has seen photographs, and has
classes such as jersey, jean and running shoe. A table (`data.class_table`) says what these mean for the dataset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fittingroom.backbones.backbone import Backbone, find_backbone
from fittingroom.data.class_table import ClassTable, Opinion
from fittingroom.errors import InputError
from fittingroom.photos.foreground import Foreground, box

if TYPE_CHECKING:
    from PIL import Image

_BACKBONE, _SOURCE = "efficientnet-lite0", "imagenet-1k"
_MARGIN = 0.05  # of the foreground's longest edge, around it


@dataclass(frozen=True, eq=False)
class SecondOpinion:
    """A network, and the table that translates its classes. It may be asked from several threads.

    Attributes:
        backbone: the network.
        table: from its classes to those of the dataset.
    """

    backbone: Backbone
    table: ClassTable

    @classmethod
    def find(cls, classes: Sequence[str]) -> SecondOpinion | str | None:
        """A second opinion for a dataset with these classes.

        Returns:
            None where there is no table for them; the reason where the network cannot be had, such as the extra that
            is not installed.
        """
        table = ClassTable.find(classes, _SOURCE)
        if table is None:
            return None
        backbone = find_backbone(_BACKBONE)
        try:
            backbone.class_log_probabilities(np.zeros((1, backbone.input_size, backbone.input_size, 3), np.uint8))
        except InputError as error:
            return f"No second opinion on photos: {error}"
        return cls(backbone, table)

    def of(self, photo: Image.Image, foreground: Foreground) -> Opinion:
        """What the network says of a photo.

        Args:
            photo: any size and mode.
            foreground: where it is, in a picture of the same proportions.
        """
        logs = self.backbone.class_log_probabilities(self._looks(photo, foreground))
        assert logs is not None  # the network has classes: the table is made of them
        return self.table.opinion(np.exp(logs.astype(np.float64)).mean(axis=0), self.backbone.title)

    def _looks(self, photo: Image.Image, foreground: Foreground) -> NDArray[np.uint8]:
        """Four looks at the foreground, at the network's size: in a square, and filling it, each mirrored too."""
        from PIL import Image

        top, bottom, left, right = box(foreground.mask)
        down, across = photo.height / foreground.mask.shape[0], photo.width / foreground.mask.shape[1]
        longest = max((bottom - top) * down, (right - left) * across)
        margin, side = longest * _MARGIN, min(longest * (1 + 2 * _MARGIN), *photo.size)
        # The square is not stretched, and lies in the photo: what it cuts off of an oblong one, the other look shows.
        x = min(max((left + right) / 2 * across - side / 2, 0.0), photo.width - side)
        y = min(max((top + bottom) / 2 * down - side / 2, 0.0), photo.height - side)
        whole = (
            max(left * across - margin, 0.0),
            max(top * down - margin, 0.0),
            min(right * across + margin, photo.width),
            min(bottom * down + margin, photo.height),
        )
        size, picture = (self.backbone.input_size,) * 2, photo.convert("RGB")
        seen = np.stack(
            [
                np.asarray(picture.resize(size, Image.Resampling.BILINEAR, place, reducing_gap=2.0))
                for place in ((x, y, x + side, y + side), whole)
            ]
        )
        return np.concatenate([seen, seen[:, :, ::-1]])
