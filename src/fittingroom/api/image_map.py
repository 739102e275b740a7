"""`ImageMap`: the validation images of a run as points in a plane, from the features of its last hidden layer.

It is kept in the run's folder as `map.npz`, beside the answers' files, and can be made again:

    format        of the file
    weights       SHA-256 of the weights of the seed that it shows, uint8 (32,)
    source        uint8: which of `SOURCES` the features are
    width         int64: how many features an image has
    images        int64: how many validation images the run has
    index         int64 (n,), rising: which of them are on the map
    pca           float32 (n, 2): places by principal components
    shares        float64 (2,): of the variance, that each of the two components has
    tsne          float32 (n, 2): places by t-SNE; (0, 2) while they are not computed
    neighbours    int32 (n, k): the nearest images of each, as places among these n, nearest first
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from fittingroom.answers.stored import FittedFile, digest_of
from fittingroom.errors import FittingRoomError, InputError, StorageError
from fittingroom.evaluation.projection import NEIGHBOURS, TSNE_STEPS, components, nearest, tsne

if TYPE_CHECKING:
    from fittingroom.data.npz import NpzFile
    from fittingroom.reports.facts.subject import SeedTraining, Subject

_log = logging.getLogger("fittingroom")

Source = Literal["hidden layer", "pixels", "answers", "backbone"]  # their places are in files
SOURCES: tuple[Source, ...] = get_args(Source)

Stage = Literal["features", "neighbours", "t-SNE"]
Progress = Callable[[Stage, int, int], None]
"""Called with what is being computed, how much of it is done, and how much there is."""

_MOST_IMAGES = 2**22


@dataclass(frozen=True, eq=False)
class ImageMap:
    """Places of validation images in a plane, and the nearest others of each.

    Args:
        source: what the features are: of the last hidden layer; the pixels or the backbone's features, where the model
            has no hidden layer; or the probabilities of the classes, where the model's layers or the images are not to
            be had.
        width: how many features an image has.
        images: how many validation images the run has.
        index: which of them are on the map, int64 `(n,)`, rising.
        pca: places by principal components, float32 `(n, 2)`.
        shares: the share of the variance, 0 to 1, of each of the two components.
        neighbours: the nearest images of each, as places among these, nearest first, int32 `(n, at most 12)`.
        tsne: places by t-SNE, float32 `(n, 2)`; None while they are not computed.
    """

    source: Source
    width: int
    images: int
    index: npt.NDArray[np.int64]
    pca: npt.NDArray[np.float32]
    shares: npt.NDArray[np.float64]
    neighbours: npt.NDArray[np.int32]
    tsne: npt.NDArray[np.float32] | None = None


def read_map(subject: Subject) -> ImageMap | None:
    """The map that is kept with a run; None if there is none, or if the weights have changed since.

    Raises:
        RunError: the file is damaged.
    """
    training = subject.trainings[subject.example]
    kept = MAP.read(subject.path, digest_of([training.path]), len(training.record.data.classes))
    return None if kept is None or kept.images != training.trajectories.images else kept


def make_map(subject: Subject, progress: Progress | None = None) -> ImageMap:
    """The map of a run, computed where it is not kept, and kept with the run. t-SNE takes half a minute.

    A map without t-SNE is kept as soon as it is there. Nothing is trained, and no test set is opened.

    Args:
        subject: the run; of several seeds, the map is that of the one that is shown image by image.
        progress: called as `Progress` says.

    Raises:
        InputError: neither the images nor the probabilities of all classes are to be had.
        RunError: a file of the run is damaged.
    """
    found = read_map(subject)
    training = subject.trainings[subject.example]
    if found is not None and found.tsne is not None:
        return found
    tell = progress or _silent
    source, width, features, index = _features(training, tell)
    if not np.isfinite(features).all():
        raise InputError("The features of some images are not finite numbers, so they have no place on a map.")
    points, shares = components(features)
    if found is None:
        near = nearest(points, progress=lambda done, total: tell("neighbours", done, total))
        images = training.trajectories.images
        found = ImageMap(source, width, images, index, points[:, :2], shares[:2], near)
        _keep(subject.path, found, training)
    tell("t-SNE", 0, TSNE_STEPS)
    found = replace(found, tsne=tsne(points, lambda done, total: tell("t-SNE", done, total)))
    _keep(subject.path, found, training)
    return found


def _silent(stage: Stage, done: int, total: int) -> None:
    """Tells nobody."""


def _keep(folder: Path, found: ImageMap, training: SeedTraining) -> None:
    try:
        MAP.write(folder, found, digest_of([training.path]))
    except StorageError as error:
        _log.info("The map of the images is not kept: %s", error)


def _features(
    training: SeedTraining, tell: Progress
) -> tuple[Source, int, npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """What the features are, how many, those of each image, `(n, features)`, and which validation images these are."""
    from fittingroom.api.backbone_view import inner_view
    from fittingroom.api.run import Run
    from fittingroom.reports.pages.report_page import validation_images

    images, part, why_not = validation_images(training)
    try:
        if images is None or part is None:
            raise InputError(f"No map of features: {why_not}.")
        view = inner_view(Run(training.path))
        found = view.features(part.images, lambda done, total: tell("features", done, total))
    except FittingRoomError as error:
        logs = training.kept.log_probabilities
        if not logs.shape[1]:
            raise InputError(f"There is no map of these images. {error}") from error
        # The Euclidean distance of square roots is the Hellinger distance of the probabilities.
        answers = np.exp(np.maximum(logs.astype(np.float32), -80) / 2)
        return "answers", answers.shape[1], answers, np.arange(len(answers), dtype=np.int64)
    return view.source, view.width, found, images.index


def _arrays(found: ImageMap) -> Mapping[str, Any]:
    return {
        "source": np.uint8(SOURCES.index(found.source)),
        "width": np.int64(found.width),
        "images": np.int64(found.images),
        "index": found.index,
        "pca": found.pca,
        "shares": found.shares,
        "tsne": np.zeros((0, 2), np.float32) if found.tsne is None else found.tsne,
        "neighbours": found.neighbours,
    }


def _checked(file: NpzFile, classes: int) -> ImageMap:
    """The map in a file, whose arrays may be anything."""
    del classes
    source, width, images = (_whole(file, name) for name in ("source", "width", "images"))
    index, shares, neighbours = (file.read(name) for name in ("index", "shares", "neighbours"))
    pca, arranged = _places(file, "pca"), _places(file, "tsne")
    count = len(pca)
    if not source < len(SOURCES) or not 1 <= count <= images <= _MOST_IMAGES:
        raise ValueError(f"expected 1 to {_MOST_IMAGES:,} images on the map, got {count:,} of {images:,}")
    if index.dtype != np.int64 or index.shape != (count,) or (np.diff(index) <= 0).any() or index[0] < 0:
        raise ValueError("its index must rise, with one entry for each image")
    if index[-1] >= images or len(arranged) not in {0, count}:
        raise ValueError(f"expected {count:,} places of {images:,} images, got {len(arranged):,} by t-SNE")
    if shares.dtype != np.float64 or shares.shape != (2,) or not ((shares >= 0) & (shares <= 1)).all():
        raise ValueError("its shares of the variance are not two numbers from 0 to 1")
    if neighbours.dtype != np.int32 or neighbours.ndim != 2 or len(neighbours) != count:
        raise ValueError(f"expected neighbours of {count:,} images, got an array of the shape {neighbours.shape}")
    if neighbours.shape[1] > NEIGHBOURS or (neighbours.size and not 0 <= neighbours.min() <= neighbours.max() < count):
        raise ValueError(f"its neighbours are not images from 0 to {count - 1}")
    return ImageMap(SOURCES[source], width, images, index, pca, shares, neighbours, arranged if len(arranged) else None)


def _whole(file: NpzFile, name: str) -> int:
    value = file.read(name)
    if value.shape != () or value.dtype.kind not in "iu" or value < 0:
        raise ValueError(f"its {name} is not a whole number")
    return int(value)


def _places(file: NpzFile, name: str) -> npt.NDArray[np.float32]:
    places = file.read(name)
    if places.dtype != np.float32 or places.ndim != 2 or places.shape[1] != 2 or not np.isfinite(places).all():
        raise ValueError(f"its {name} are not places in a plane")
    return places


# A hundred thousand images take seven megabytes.
MAP = FittedFile("map.npz", 1, 512 * 2**20, _arrays, _checked, "opening the map")
