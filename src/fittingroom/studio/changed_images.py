"""Which validation images became right and wrong in an epoch, with their pictures; of a run in training too."""

from __future__ import annotations

import base64
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.data.catalogue import CATALOGUE
from fittingroom.data.load import load
from fittingroom.errors import DatasetNotFoundError, FittingRoomError, RunError
from fittingroom.runs.images import RunImages
from fittingroom.runs.layout import SeedFiles, read_layout
from fittingroom.runs.place import is_run
from fittingroom.studio.studio import LastUsed
from fittingroom.studio.training_watch import TrainingWatch

if TYPE_CHECKING:
    import numpy.typing as npt

    from fittingroom.data.dataset import Part
    from fittingroom.runs.data_record import DataRecord

_MOST_PICTURES = 96
_LARGEST_SIDE = 112  # pixels of a picture that is sent


class ChangedImages:
    """Finds the images that changed.

    Args:
        watch: knows the trainings.
    """

    def __init__(self, watch: TrainingWatch) -> None:
        self._watch = watch
        self._parts = LastUsed(3)
        self._samples = LastUsed(8)

    def facts(self, run: str, seed: int, epoch: int | None, most: int = 24) -> dict[str, Any] | None:
        """What changed in an epoch against the one before.

        Args:
            run: the name of a run.
            seed: one of its seeds.
            epoch: from 1; None for the last that was validated.
            most: how many pictures of each kind.

        Returns:
            `epoch`, `first` (whether none is known before it: then all right and all wrong images are told), `of` (the
            validation images), and `right` and `wrong`, each with its `count` and some `images` (`index`, `label`,
            `before`, `after`), those whose loss changed most first. Also `classes`, and `pictures`: the shape, and the
            pixels as base64, in the order of the images; None where there are none. None where nothing is known.
        """
        rows = self._rows(run, seed)
        about = self._watch.about(run)
        if rows is None or about is None:
            return None
        labels, predicted, loss = rows
        known = sorted(predicted)
        at = known[-1] if epoch is None else epoch - 1
        if at not in predicted:
            return None
        earlier = [one for one in known if one < at]
        after, before = predicted[at], predicted[earlier[-1]] if earlier else None
        now = after == labels
        was = ~now if before is None else before == labels
        change = loss[at] - (loss[earlier[-1]] if earlier else 0.0)
        part, places = self._part(run, about.data, labels)
        chosen = {
            "right": _chosen(now & ~was, change, places, most),
            "wrong": _chosen(~now & was, -change, places, most),
        }
        return {
            "epoch": at + 1,
            "first": before is None,
            "of": len(labels),
            **{
                kind: {
                    "count": count,
                    "images": [
                        {
                            "index": int(index),
                            "label": int(labels[index]),
                            "before": None if before is None else int(before[index]),
                            "after": int(after[index]),
                        }
                        for index in indices
                    ],
                }
                for kind, (count, indices) in chosen.items()
            },
            "classes": list(about.data.classes),
            "pictures": None if part is None else _pictures(part, places, [*chosen["right"][1], *chosen["wrong"][1]]),
        }

    def sample(self, name: str) -> dict[str, Any] | None:
        """A training picture of each class of a known dataset, with `classes`; None where it would be downloaded first.

        Its validation images are then at hand, when a training of it begins to tell of them.
        """
        entry = CATALOGUE.get(name)
        if entry is None or not entry.needs_no_download:
            return None

        def made() -> dict[str, Any]:
            dataset = load(name)
            if (validation := dataset.validation) is not None:
                here = validation, np.arange(len(validation))
                self._parts.get(_key(dataset.fingerprint, dataset.arguments), None, lambda: here)
            train = dataset.train
            firsts = [int(np.argmax(train.labels == label)) for label in range(len(dataset.classes))]
            return {
                "classes": list(dataset.classes),
                "train": len(train),
                "validation": 0 if validation is None else len(validation),
                "pictures": _packed(train.images[firsts], train.scale),
            }

        try:
            found: dict[str, Any] = self._samples.get(name, None, made)
        except DatasetNotFoundError:  # a package of an extra is missing; ordering the training says which
            return None
        return found

    def _rows(self, run: str, seed: int) -> tuple[npt.NDArray[Any], dict[int, Any], dict[int, Any]] | None:
        """Labels, and by the number of each known epoch the predicted classes and the losses."""
        watched = self._watch.watched(run)
        if watched is not None:
            labels, images = watched.labels(), watched.epoch_images(seed, 2)
            if labels is not None and images and all(len(one) == len(labels) for one, _ in images.values()):
                split = ({epoch: one[place] for epoch, one in images.items()} for place in (0, 1))
                predicted, loss = split
                return labels, predicted, {epoch: one.astype(np.float32) for epoch, one in loss.items()}
        path = self._watch.path(run)
        if not is_run(path):
            return None
        folder = read_layout(path).folders.get(seed)
        outcomes = None if folder is None else SeedFiles(folder).outcomes()
        if outcomes is None:
            return None
        epochs = outcomes.epoch.tolist()
        return (
            outcomes.labels,
            dict(zip(epochs, outcomes.predicted, strict=True)),
            dict(zip(epochs, outcomes.loss, strict=True)),
        )

    def _part(
        self, run: str, data: DataRecord, labels: npt.NDArray[Any]
    ) -> tuple[Part | None, npt.NDArray[np.int64] | None]:
        """The validation images of a run, and which of all they are; None twice where they are not known."""
        path = self._watch.path(run)
        key = _key(data.fingerprint, data.load)
        try:
            part, places = self._parts.get(key, None, partial(self._loaded, path, data))
        except (FittingRoomError, OSError):
            return None, None
        if not len(places) or places[-1] >= len(labels) or not np.array_equal(part.labels, labels[places]):
            return None, None
        return part, places

    def _loaded(self, path: Path, data: DataRecord) -> tuple[Part, npt.NDArray[np.int64]]:
        part = None
        if is_run(path):
            images = RunImages.read(next(iter(read_layout(path).folders.values())), data.classes, data.scale)
            if images is not None and images.validation is not None:
                return images.validation, images.index
        # A record from elsewhere may name any folder of this machine. What a living process trains here it has read.
        if data.load is not None and self._watch.is_live(path.name):
            part = data.load_again().validation
        if part is None:
            raise RunError(f"{path} keeps no pictures.")
        return part, np.arange(len(part))


def _key(fingerprint: str, arguments: Any) -> str:
    """What decides which images are validated on."""
    return f"{fingerprint} {json.dumps(arguments, sort_keys=True, default=str)}"


def _pictures(part: Part, places: npt.NDArray[np.int64] | None, indices: list[int]) -> dict[str, Any] | None:
    """The pictures of some images: their shape, and their pixels as base64."""
    if places is None or not indices:
        return None
    return _packed(part.images[np.searchsorted(places, indices)], part.scale)


def _packed(images: npt.NDArray[Any], scale: float) -> dict[str, Any]:
    step = -(-max(images.shape[1:3]) // _LARGEST_SIDE)
    pixels = (np.clip(images[:, ::step, ::step].astype(np.float32) / scale, 0, 1) * 255).astype(np.uint8)
    return {"shape": list(pixels.shape), "data": base64.b64encode(pixels.tobytes()).decode()}


def _chosen(
    which: npt.NDArray[np.bool_], order: npt.NDArray[Any], places: npt.NDArray[np.int64] | None, most: int
) -> tuple[int, list[int]]:
    """How many images, and some with the smallest `order` first, of those that have pictures."""
    indices = np.flatnonzero(which)
    shown = indices if places is None else np.intersect1d(indices, places)
    ordered = shown[np.argsort(order[shown], kind="stable")[: min(most, _MOST_PICTURES)]]
    return len(indices), ordered.tolist()
