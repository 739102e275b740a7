"""The images that a page lets its reader explore: which ones, their thumbnails, and their way through the epochs.

A page with all of 5,000 images would be several times as large as one that is opened on a phone may be.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from fittingroom.data.dataset import Part
    from fittingroom.evaluation.trajectories import Trajectories
    from fittingroom.reports.facts.subject import SeedTraining

MOST_IMAGES = 1000
MOST_CLASSES = 10
"""Of so many the probabilities are kept: with more classes, those that were ever most probable, and the true one."""

# Bytes in the page: of the probabilities of all epochs, and of the thumbnails before they are compressed.
_MOST_PROBABILITIES = 600_000
_MOST_PIXELS = 1_000_000
_LEAST_RIGHT = 0.2  # a share: right answers are worth a look too, however many mistakes there are
_LOSS_STEPS = 1000  # losses are kept in thousandths of a nat

Indices = npt.NDArray[np.intp]
Pixels = npt.NDArray[np.uint8]

COLUMNS = 32
LARGEST_SIDE = 32
"""The longer side of a thumbnail, in pixels; smaller images keep their size."""


@dataclass(frozen=True)
class Explorer:
    """What a page needs to show images.

    Args:
        data: for its scripts, plain JSON.
        sheet: the thumbnails; None where the pictures are not to be had.
        chosen: place of each image among the validation images.
    """

    data: dict[str, Any]
    sheet: _Sheet | None
    chosen: Indices

    @classmethod
    def of(
        cls,
        training: SeedTraining,
        lists: Sequence[Mapping[str, Any]],
        part: Part | None,
        index: npt.NDArray[np.integer[Any]] | None = None,
    ) -> Explorer:
        """The chosen images of a training.

        Args:
            training: whose outcomes are shown.
            lists: the lists of images, as the facts have them.
            part: the validation images; None where they are not to be had.
            index: which of the validation images these are, rising; None for all of them. No other is chosen.
        """
        trajectories, rows = training.trajectories, _Rows.of(training)
        kept = _kept_classes(training)
        most = min(MOST_IMAGES, _MOST_PROBABILITIES // max(len(rows.loss) * kept, 1))
        if part is not None:
            most = min(most, _MOST_PIXELS // _thumbnail_bytes(part.images.shape[1:]))
        listed = [[image["index"] for image in one["images"]] for one in lists]
        chosen = _choose(training, listed, most)
        if part is not None and index is not None and len(index) < trajectories.images:
            chosen = np.intersect1d(chosen, index)
        place = {index: position for position, index in enumerate(chosen.tolist())}
        thumbnails = None if part is None else _Sheet.of(part.images[_places(chosen, index)], part.scale)
        data = {
            "total": trajectories.images,
            "index": chosen.tolist(),
            "files": [training.files[index] for index in chosen.tolist()] if training.files else None,
            "label": trajectories.labels[chosen].tolist(),
            "epochs": list(trajectories.epochs),
            "rows": len(rows.loss),
            "shown": len(rows.loss) - 1 if training.shown_row is None else training.shown_row,
            "lists": [
                {
                    "name": one["name"],
                    "rule": one["rule"],
                    "images": [place[index] for index in found if index in place],
                }
                for one, found in zip(lists, listed, strict=True)
            ],
            "lossSteps": _LOSS_STEPS,
            "loss": _packed(np.minimum(np.rint(rows.loss[:, chosen].T * _LOSS_STEPS), 65_535), "<u2"),
            "predicted": _packed(rows.predicted[:, chosen].T, "<u2"),
            "sheet": None
            if thumbnails is None
            else {"columns": COLUMNS, "rows": thumbnails.rows, "ratio": thumbnails.ratio},
            **_probabilities(trajectories, rows.log_probabilities, chosen, kept),
        }
        return cls(data, thumbnails, chosen)


@dataclass(frozen=True)
class _Rows:
    """What came of all images in each epoch, with a last row for the kept weights where no epoch says the same."""

    loss: npt.NDArray[Any]
    predicted: npt.NDArray[Any]
    log_probabilities: npt.NDArray[Any] | None

    @classmethod
    def of(cls, training: SeedTraining) -> _Rows:
        each = [training.trajectories, *([training.shown] if training.shown_row is None else [])]
        logs = [one.log_probabilities for one in each if one.log_probabilities is not None]
        return cls(
            np.concatenate([one.loss for one in each]),
            np.concatenate([one.predicted for one in each]),
            np.concatenate(logs) if len(logs) == len(each) else None,
        )


def _places(chosen: Indices, index: npt.NDArray[np.integer[Any]] | None) -> Indices:
    """Where the chosen images are among those that there are."""
    return chosen if index is None else np.searchsorted(index, chosen)


def _choose(training: SeedTraining, listed: Sequence[Sequence[int]], most: int) -> Indices:
    """The places of at most `most` images, rising: those of the lists, then mistakes, then right answers.

    Mistakes are taken from all pairs of classes in turn, those with the largest loss first, and right answers from all
    classes in turn, evenly over the images of each.
    """
    trajectories = training.shown
    right, loss = trajectories.right[0], trajectories.loss[0]
    pairs = trajectories.labels.astype(np.int64) * len(trajectories.classes) + trajectories.predicted[0]
    wrong = np.flatnonzero(~right)
    wrong = wrong[np.argsort(-loss[wrong], kind="stable")]
    correct = _spread(np.flatnonzero(right), trajectories.labels)
    first = dict.fromkeys(index for rank in _ranks(listed) for index in rank)
    telling = most - round(_LEAST_RIGHT * most)
    order = dict.fromkeys(list(first)[:telling])
    for index in wrong[_in_turn(pairs[wrong])].tolist():
        if len(order) >= telling:
            break
        order[index] = None
    for index in [*correct.tolist(), *wrong.tolist()]:
        if len(order) >= most:
            break
        order[index] = None
    return np.sort(np.fromiter(order, np.intp, len(order)))


def _ranks(listed: Sequence[Sequence[int]]) -> list[list[int]]:
    """The first of all lists, the second of all lists, and so on."""
    return [[one[rank] for one in listed if rank < len(one)] for rank in range(max(map(len, listed), default=0))]


def _in_turn(groups: npt.NDArray[np.integer[Any]]) -> Indices:
    """An order that takes the first member of each group, then the second of each, and so on."""
    seen: dict[int, int] = {}
    ranks = np.empty(len(groups), np.intp)
    for position, group in enumerate(groups.tolist()):
        ranks[position] = seen.get(group, 0)
        seen[group] = ranks[position] + 1
    return np.argsort(ranks, kind="stable")


def _spread(members: Indices, labels: npt.NDArray[np.integer[Any]]) -> Indices:
    """Images of all classes in turn, each class in an order whose beginnings are spread evenly over it."""
    ordered: list[int] = []
    for label in np.unique(labels[members]):
        own = members[labels[members] == label]
        # Multiples of the golden ratio fill 0 to 1 evenly however many are taken.
        ordered += own[np.argsort(np.argsort(np.arange(len(own)) * 0.6180339887498949 % 1))].tolist()
    found = np.asarray(ordered, np.intp)
    return found[_in_turn(labels[found])] if len(found) else found


def _kept_classes(training: SeedTraining) -> int:
    trajectories = training.trajectories
    return min(len(trajectories.classes), MOST_CLASSES) if trajectories.has_all_classes else 0


def _probabilities(
    trajectories: Trajectories, logs: npt.NDArray[Any] | None, chosen: Indices, kept: int
) -> dict[str, Any]:
    """Probabilities in steps of 1/255 `(images, kept, rows)`, and which classes they are of `(images, kept)`."""
    if logs is None or not kept:
        return {"kept": 0, "keptClasses": "", "probabilities": ""}
    values = np.exp(logs[:, chosen].astype(np.float32)).transpose(1, 2, 0)
    ever = values.max(axis=2)
    ever[np.arange(len(chosen)), trajectories.labels[chosen]] = 2.0  # the true class is always among them
    classes = np.argsort(-ever, axis=1, kind="stable")[:, :kept]
    if kept == len(trajectories.classes):
        classes = np.broadcast_to(np.arange(kept), classes.shape)
    values = np.take_along_axis(values, classes[:, :, None], axis=1)
    return {
        "kept": kept,
        "keptClasses": _packed(classes, "<u2"),
        "probabilities": _packed(np.rint(np.minimum(values, 1) * 255), "u1"),
    }


def _packed(values: npt.NDArray[Any], kind: str) -> str:
    """Whole numbers as base64 of their bytes, the last axis fastest."""
    return base64.b64encode(np.ascontiguousarray(values, np.dtype(kind)).tobytes()).decode()


@dataclass(frozen=True)
class _Sheet:
    """Thumbnails side by side in one picture, `COLUMNS` in a row.

    Args:
        url: the PNG as a `data:` address.
        rows: how many rows.
        ratio: width of an image over its height.
    """

    url: str
    rows: int
    ratio: float

    @classmethod
    def of(cls, images: Pixels, scale: float) -> _Sheet:
        """The thumbnails of images `(n, height, width[, 3])`, in order; divided by `scale` they lie in 0 to 1."""
        small = thumbnails(images, scale)
        rows = -(-len(small) // COLUMNS)
        padded = np.zeros((rows * COLUMNS, *small.shape[1:]), np.uint8)
        padded[: len(small)] = small
        height, width, *channels = small.shape[1:]
        table = padded.reshape(rows, COLUMNS, height, width, *channels).swapaxes(1, 2)
        return cls(_url(table.reshape(rows * height, COLUMNS * width, *channels)), rows, width / height)

    @property
    def style(self) -> str:
        """The style rule that gives elements of the class `thumb` this picture."""
        return f".thumb{{background-image:url({self.url})}}"


def picture_row(images: Pixels, scale: float) -> str:
    """A few images in a row, as a `data:` address."""
    return _url(np.concatenate(list(thumbnails(images, scale)), axis=1))


def thumbnails(images: Pixels, scale: float, largest_side: int = LARGEST_SIDE) -> Pixels:
    """Images as a page shows them small: 255 for the brightest shade, no side longer than `largest_side` pixels."""
    return _small(shades(images, scale), largest_side)


def _thumbnail_bytes(image_shape: tuple[int, ...]) -> int:
    """Bytes of a thumbnail before it is compressed."""
    height, width = _thumbnail_size(image_shape)
    return height * width * (image_shape[2] if len(image_shape) > 2 else 1)


def _thumbnail_size(image_shape: tuple[int, ...], largest_side: int = LARGEST_SIDE) -> tuple[int, int]:
    height, width = image_shape[:2]
    factor = min(largest_side / max(height, width), 1.0)
    return max(round(height * factor), 1), max(round(width * factor), 1)


def _small(images: Pixels, largest_side: int = LARGEST_SIDE) -> Pixels:
    """The images, made smaller where they are larger than a thumbnail may be."""
    from PIL import Image

    height, width = _thumbnail_size(images.shape[1:], largest_side)
    if (height, width) == images.shape[1:3]:
        return images
    return np.stack(
        [np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BOX)) for image in images]
    )


def shades(images: Pixels, scale: float) -> Pixels:
    """The images with 255 for the brightest shade there can be."""
    if scale == 255:
        return images
    return np.asarray(np.clip(np.rint(images * (255 / scale)), 0, 255), np.uint8)


def _url(pixels: npt.NDArray[Any]) -> str:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", compress_level=9)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
