"""How probably each label is wrong: networks that have not seen an image, and what their words mean in these data.

`audits.cross_fitting` says what the networks make of the images, `audits.planted_noise` how often a label is wrong of
which they say so.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fittingroom.atomic import CheckedFile
from fittingroom.audits.cross_fitting import CrossFitting, NetworkInput, inputs_of_features, inputs_of_images
from fittingroom.audits.nearest_images import NearestImages
from fittingroom.audits.planted_noise import (
    LabelScores,
    PlantedLabels,
    Planting,
    WrongLabels,
    confusions_of,
    examined_classes,
    planted_share,
)
from fittingroom.data.cache import cache_dir
from fittingroom.data.dataset import Part
from fittingroom.data.values import Labels, fingerprint
from fittingroom.errors import StorageError
from fittingroom.recipes.recipe import Recipe

if TYPE_CHECKING:
    from fittingroom.audits.check import AuditProgress, AuditSubject, PartName

SUSPECT = 0.5
"""The probability from which on a label counts as a suspect."""

_VERSION = 5  # raised when what is kept in the cache means something else
_REPEATED = 20_000  # networks are trained so many images' worth of times, where there are fewer
_MOST_REPEATS = 2
_PLANTED, _MOST_PLANTINGS = 600, 4


@dataclass(frozen=True, eq=False)
class LabelSuspects:
    """What was found about the labels of images.

    Args:
        labels: as given, `(n,)`.
        log_probabilities: by networks that have not seen the image, the mean over several, float32 `(n, classes)`.
        score: how much networks and neighbours believe in another class than the label, float32 `(n,)`.
        wrong: the probability of each label to be wrong, and the share of all that are.
        examined: which labels were examined, `(n,)`: classes with very few images are left out.
    """

    labels: Labels
    log_probabilities: npt.NDArray[np.float32]
    score: npt.NDArray[np.float32]
    wrong: WrongLabels
    examined: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls, inputs: tuple[NetworkInput, ...], labels: Labels, classes: int, progress: AuditProgress, *, seed: int = 0
    ) -> LabelSuspects:
        """Examines the labels of images.

        Args:
            inputs: what networks look at, from `inputs_of_images` or `inputs_of_features`.
            labels: `(n,)`.
            classes: how many there are.
            progress: told how far it is.
            seed: of all that is random.
        """
        labels = np.asarray(labels, np.int32)
        fitting = CrossFitting(inputs, classes, progress)
        repeats = max(1, min(_MOST_REPEATS, _REPEATED // len(labels)))
        near = NearestImages(inputs[-1].values, progress)
        logs = fitting.log_probabilities(labels, seed=seed, what="training on the labels", repeats=repeats)
        confusions = confusions_of(logs)
        share = planted_share(len(labels))
        rounds = max(1, min(_MOST_PLANTINGS, round(_PLANTED / (share * len(labels)))))
        examined = examined_classes(labels, classes)[labels]
        plantings = []
        for number in range(rounds):
            planted = PlantedLabels.of(labels, confusions, share, seed + number)
            what = "training on planted wrong labels" + (f", {number + 1} of {rounds}" if rounds > 1 else "")
            found = fitting.log_probabilities(planted.labels, seed=seed + 1000 * (number + 1), what=what)
            scores = LabelScores.of(found, planted.labels).beside(near)
            plantings.append(Planting(planted, scores).where(examined))
        given = LabelScores.of(logs, labels).beside(near)
        wrong = WrongLabels.of(given.where(examined), plantings, classes)
        return cls(labels, logs, given.score.astype(np.float32), wrong.placed(examined), examined)

    @property
    def probability(self) -> npt.NDArray[np.float64]:
        """That each label is wrong, 0 to 1, `(n,)`; 0 where it was not examined."""
        return self.wrong.probability

    @cached_property
    def suggested(self) -> Labels:
        """The likeliest other class of each image, `(n,)`."""
        return LabelScores.of(self.log_probabilities, self.labels).other

    @cached_property
    def order(self) -> npt.NDArray[np.intp]:
        """Positions of images, the most suspicious first, those that were not examined last, `(n,)`."""
        return np.lexsort((-self.score, -self.probability, ~self.examined))

    @property
    def agreement(self) -> float:
        """The share of labels that networks name without having seen the image, 0 to 1."""
        return float((self.log_probabilities.argmax(axis=1) == self.labels)[self.examined].mean())

    @property
    def suspects(self) -> int:
        """How many labels are more probably wrong than right."""
        return int((self.probability >= SUSPECT).sum())


def network_inputs(parts: Sequence[Part], recipe: Recipe, progress: AuditProgress) -> tuple[NetworkInput, ...]:
    """What networks look at in the images of several parts: a backbone's features where the recipe has one.

    Args:
        parts: whose images follow one another.
        recipe: of the run.
        progress: told what is done.
    """
    if recipe.backbone is not None:
        return inputs_of_features(np.concatenate([_features(part, recipe, progress) for part in parts]))
    progress("looking at the images")
    kinds = zip(*[inputs_of_images(part.images, part.scale) for part in parts], strict=True)
    return tuple(replace(kind[0], values=np.concatenate([one.values for one in kind])) for kind in kinds)


def _features(part: Part, recipe: Recipe, progress: AuditProgress) -> npt.NDArray[Any]:
    """A backbone's features of images, from the cache as far as they are there."""
    from fittingroom.backbones.feature_cache import cached_features
    from fittingroom.engine.recipe_programs import RecipeModel

    progress("computing features")
    model = RecipeModel(
        Recipe(name="features", backbone=recipe.backbone),
        part.images.shape[1:],
        len(part.classes),
        part.scale,
        len(part),
    )
    assert model.frozen is not None
    return np.asarray(cached_features(model.frozen, model.pixels(part.images)))


def cross_fitted(subject: AuditSubject) -> LabelSuspects:
    """What was found about the labels of a subject's training and validation images, in this order; kept in the cache.

    Args:
        subject: what is audited.
    """
    parts = labelled_parts(subject)
    labels = np.concatenate([part.labels for _, part in parts])
    key = [str(_VERSION), str(subject.recipe.backbone), *(fingerprint(part.images, part.labels) for _, part in parts)]
    name = hashlib.sha256("\n".join(key).encode()).hexdigest()[:32]
    file = CheckedFile(cache_dir() / "audits" / f"labels-{name}.npz")
    kept = _from_bytes(file.read(), labels, len(subject.dataset.classes))
    if kept is not None:
        return kept
    inputs = network_inputs([part for _, part in parts], subject.recipe, subject.progress)
    found = LabelSuspects.of(inputs, labels, len(subject.dataset.classes), subject.progress)
    with suppress(OSError, StorageError):  # then the next audit takes longer
        file.path.parent.mkdir(parents=True, exist_ok=True)
        file.write(_as_bytes(found))
    return found


def _as_bytes(found: LabelSuspects) -> bytes:
    stream, wrong = io.BytesIO(), found.wrong
    np.savez(
        stream,
        log_probabilities=found.log_probabilities.astype(np.float16),
        score=found.score,
        probability=wrong.probability,
        examined=found.examined,
        numbers=np.asarray([wrong.share, wrong.uniform, wrong.found, wrong.planted], np.float64),
    )
    return stream.getvalue()


def _from_bytes(content: bytes | None, labels: Labels, classes: int) -> LabelSuspects | None:
    """What `_as_bytes` wrote; None where there is nothing for these images."""
    if content is None:
        return None
    with suppress(ValueError, KeyError, OSError), np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        logs, score, probability, examined = (
            arrays[name] for name in ("log_probabilities", "score", "probability", "examined")
        )
        share, uniform, found, planted = arrays["numbers"].tolist()
        if logs.shape == (len(labels), classes) and score.shape == probability.shape == examined.shape == labels.shape:
            wrong = WrongLabels(probability, share, uniform, found, int(planted))
            return LabelSuspects(labels, logs.astype(np.float32), score, wrong, examined)
    return None


def labelled_parts(subject: AuditSubject) -> list[tuple[PartName, Part]]:
    """The parts of a subject whose labels are examined, by name: training and, where there is one, validation."""
    data = subject.dataset
    found: list[tuple[PartName, Part]] = [("train", data.train)]
    if data.validation is not None and len(data.validation):
        found.append(("validation", data.validation))
    return found
