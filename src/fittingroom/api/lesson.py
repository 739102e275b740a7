"""`Lesson`: a run and the photos that teach it, what came of it, and what is said of that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.api.taught_model import AskedRun, PhotoInputs
from fittingroom.api.taught_photos import TaughtPhotos, alike_in_two_classes, check_base, record_of
from fittingroom.backbones.backbone import find_backbone
from fittingroom.evaluation.learning_curve import MORE, Forecast, LearningCurve, Need
from fittingroom.evaluation.spread import Interval, plain
from fittingroom.progress import Progress
from fittingroom.runs.record import PartResult
from fittingroom.text import amount, percent, percent_range, word_list
from fittingroom.training.photo_features import PhotoFeatures
from fittingroom.training.photo_head import PhotoHead, fit_photo_head, measured_curve

if TYPE_CHECKING:
    import numpy.typing as npt


BACKBONE = "efficientnet-lite0"
"""For base runs without one."""

_SMALL_GAIN = 0.005  # of accuracy
_FEW_FOR_REFUSING = 19  # photos; fewer cannot tell what 5% are


@dataclass(frozen=True, eq=False)
class Lesson:
    """A run and the photos that teach it.

    Args:
        base: the run.
        photos: and the images of the run that stand for its classes.
        features: what the head is fitted on.
        backbone: the name of the network that gave them.
        asked: whether the run's own answers are among them.
        goal: as in `teach`.
        progress: shows what is done.
    """

    base: AskedRun
    photos: TaughtPhotos
    features: PhotoFeatures
    backbone: str
    asked: bool
    goal: float | None
    progress: Progress

    @classmethod
    def of(cls, base: AskedRun, root: Path, backbone: str | None, progress: Progress, goal: float | None) -> Lesson:
        """Reads the photos, and asks the backbone and the run about them.

        Raises:
            InputError: as `teach` says.
        """
        own = record_of(base).recipe.get("backbone")
        name = backbone or (own if isinstance(own, str) else BACKBONE)
        asked = check_base(base)
        inputs = PhotoInputs(name, base if asked else None)
        size = find_backbone(name).input_size
        inputs.start()  # what is missing is said before photos are read
        progress.stage("reading photos")
        photos = TaughtPhotos.read(root, base, size)
        found = inputs.of_many(np.asarray(photos.part.images), progress)
        pooled = inputs.frozen.shape[0]
        known = photos.known if asked else (None,) * len(photos.known)
        features = PhotoFeatures(found[:, :pooled], found[:, pooled:], photos.part.labels, known, photos.own)
        return cls(base, photos, features, name, asked, goal, progress)

    @cached_property
    def head(self) -> PhotoHead:
        """The head, and what is known of photos that it has not seen."""
        return fit_photo_head(self.features, self.progress.stage)

    @cached_property
    def curve(self) -> LearningCurve | None:
        """Accuracy against photos; None where none can be left out."""
        return measured_curve(self.features, self.head, self.progress.stage)

    @cached_property
    def checked(self) -> npt.NDArray[np.bool_]:
        """Which images were left out once, `(n,)`."""
        return np.asarray(~np.isnan(self.head.log_probabilities[:, 0]))

    @cached_property
    def right(self) -> npt.NDArray[np.bool_]:
        """Which of those that were left out were named rightly, `(n,)`."""
        return np.asarray(self.checked & (self.head.log_probabilities.argmax(axis=1) == self.photos.part.labels))

    @property
    def have(self) -> float:
        """Photos of each class, mean over the classes that have any."""
        labels = self.photos.part.labels[self.photos.own]
        return len(labels) / len(np.unique(labels))

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What should be known about it, one sentence each."""
        return (*self.photos.notes, *self._notes())

    def _notes(self) -> Iterator[str]:
        photos, own = self.photos, self.photos.own
        if not self.asked:
            yield (
                f"{self.base.path} was trained on plain arrays, so it is not known how to show it a photo. The new run "
                "learns from the photos alone."
            )
        elif not any(place is not None for place in photos.known):
            yield "None of the classes is one that the run knows; its answers about the photos are used all the same."
        scenes = self.features.scenes[own]
        fewer = len(scenes) - len(np.unique(scenes))
        if fewer:
            yield (
                f"{amount(fewer, 'photo')} of {len(scenes):,} show nearly what another photo of the class shows. They "
                "are left out together when accuracy is checked, and count as one. Photos of other things, places and "
                "light teach more."
            )
        yield from alike_in_two_classes(photos.part, self.features.alike_across)
        classes = photos.part.classes
        alone = [classes[label] for label in np.unique(photos.part.labels[~self.checked]).tolist()]
        if len(alone) == len(classes):
            yield (
                "There is one photo of each class, so none can be left out to check the run: how good it is, is not "
                "known, and its probabilities are not calibrated. With a second photo of each class they are."
            )
        elif alone:
            yield (
                f"{word_list(alone, most=10)} {'has' if len(alone) == 1 else 'have'} one photo, which cannot be left "
                "out, so it is not known how well the run tells "
                f"{'it' if len(alone) == 1 else 'them'}. Add a second one."
            )
        if self.checked.any() and self.checked.sum() < _FEW_FOR_REFUSING:
            yield (
                f"With {amount(int(self.checked.sum()), 'photo')} it cannot be told what is unlike them: nothing is "
                f"refused. From {_FEW_FOR_REFUSING} on, what is unlike all of them is."
            )

    @property
    def result(self) -> PartResult | None:
        """Accuracy and loss of the photos that were left out; None where none could be."""
        if not self.checked.any():
            return None
        labels = self.photos.part.labels[self.checked]
        loss = -self.head.log_probabilities[self.checked][np.arange(len(labels)), labels].mean()
        return PartResult.held_out(float(loss), int(self.right.sum()), len(labels))

    def facts(self) -> dict[str, Any]:
        """What `RunRecord.teaching` says: the check, the curve, and what more photos would bring."""
        photos, own, checked = self.photos, self.photos.own, self.checked
        labels, record = photos.part.labels, record_of(self.base)
        mine = checked & own
        accuracy = float(self.right[mine].mean()) if mine.any() else None
        interval = Interval.wilson(int(self.right[mine].sum()), int(mine.sum())) if mine.any() else None
        forecast = None if self.curve is None else self.curve.forecast(self.have + MORE)
        need = None if self.curve is None or self.goal is None else self.curve.need(self.goal)
        per_class = [
            {  # `right` and `checked` are of photos and of the run's images together
                "class": name,
                "photos": int((own & (labels == label)).sum()),
                "of_the_run": int((~own & (labels == label)).sum()),
                "known": None if (place := photos.known[label]) is None else record.data.classes[place],
                "checked": int((checked & (labels == label)).sum()),
                "right": int((self.right & (labels == label)).sum()),
            }
            for label, name in enumerate(photos.part.classes)
        ]
        return {
            "base": {
                "name": self.base.path.name,
                "recipe": record.recipe["name"],
                "dataset": record.data.name,
                "asked": self.asked,
            },
            "backbone": self.backbone,
            "photos": int(own.sum()),
            "of_the_run": int((~own).sum()),
            "per_class": per_class,
            "validated_by": self._validated_by(),
            "folds": self.head.folds,
            "accuracy": accuracy,
            "interval": plain(interval),
            "curve": [] if self.curve is None else [point.to_dict() for point in self.curve.points],
            "forecast": None if forecast is None else {"more": MORE, **forecast.to_dict()},
            "needed": None if need is None else need.to_dict(),
            "strength": self.head.strength,
            "trust": self.head.trust,
            "temperature": self.head.temperature,
            "sentences": list(self._sentences(accuracy, interval, forecast, need)),
        }

    def _validated_by(self) -> str:
        if not self.head.folds:
            return "nothing: no photo can be left out"
        if self.head.singly:
            return "leave-one-out, one photo of each class at a time"
        return f"{self.head.folds}-fold cross-fitting"

    def _sentences(
        self, accuracy: float | None, interval: Interval | None, forecast: Forecast | None, need: Need | None
    ) -> Iterator[str]:
        mine = self.checked & self.photos.own
        if accuracy is not None:
            yield (
                f"Of {amount(int(mine.sum()), 'photo')}, each named by a model that had not seen it, "
                f"{percent(accuracy, 0)} are right (95% interval {percent_range(interval, 0)})."
            )
        others = self.checked & ~self.photos.own
        if others.any():
            yield (
                f"Of {amount(int(others.sum()), 'validation image')} of {self.base.path.name}, "
                f"{percent(float(self.right[others].mean()), 0)} are right, checked in the same way."
            )
        if accuracy == 1:
            yield (
                "All are right, so more photos like these are not needed. Try it on photos of other things and places."
            )
        elif forecast is not None and forecast.gain < _SMALL_GAIN:
            yield (
                f"{MORE} more photos of each class that are like these would hardly help: it stays at about "
                f"{percent(forecast.accuracy, 0)} (95% interval {percent_range(forecast.interval, 0)}). Photos of "
                "classes that are confused help more; `fittingroom report RUN` shows them."
            )
        elif forecast is not None:
            yield (
                f"{MORE} more photos of each class would bring it to about {percent(forecast.accuracy, 0)} "
                f"(95% interval {percent_range(forecast.interval, 0)}), if they are like these."
            )
        if need is not None:
            yield _need_in_words(need, self.have)


def _need_in_words(need: Need, have: float) -> str:
    wanted = percent(need.accuracy, 0)
    if need.reached:
        return f"The photos that there are reach {wanted}."
    low, high = need.interval
    if need.photos is None:
        return (
            f"{wanted} would take more than ten times these photos, if it can be reached with them at all. Look at "
            "what is confused instead: `fittingroom report RUN`."
        )
    most = "more than ten times as many as there are" if high is None else f"{high:.0f}"
    return (
        f"{wanted} would take about {need.photos:.0f} photos of each class, {max(need.photos - have, 1):.0f} more than "
        f"there are (95% interval {low:.0f} to {most})."
    )
