"""What a run says of images, and of the same under each corruption: right or not, how sure, and what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fittingroom.audits.check import (
    AuditProgress,
)
from fittingroom.audits.corruptions import CORRUPTIONS, SEVERITIES, corrupted
from fittingroom.audits.model_images import ModelImages
from fittingroom.evaluation.differences import Difference
from fittingroom.evaluation.estimate import Estimate
from fittingroom.evaluation.reliability import Reliability
from fittingroom.evaluation.spread import SHOWN_BELOW, Interval
from fittingroom.runs.record import usable_cores

if TYPE_CHECKING:
    from fittingroom.answers.judgement import AnswerNumbers
    from fittingroom.answers.predictor import Predictor
    from fittingroom.data.dataset import Part

COSTS = 0.05
"""What a corruption of severity 1 must take of the accuracy, at least, to be named."""

CLAIMS_TOO_MUCH = 0.10
"""How much more often answers must claim to be right than they are, at least, for a corruption to be named."""

FORMS = len(CORRUPTIONS) * SEVERITIES + 1
"""In how many forms a model is asked about each image."""

FEWEST = 30
"""Images below which nothing is said."""

_FEWEST_ANSWERED = 30  # answers below which their truth is not judged


@dataclass(frozen=True, eq=False)
class AnswersToImages:
    """What a run said of each of some images.

    Args:
        right: whether its class is the true one, `(n,)`.
        confidence: the calibrated probability of its class, 0 to 1, `(n,)`.
        unlike: whether it refused the image, `(n,)`.
    """

    right: npt.NDArray[np.bool_]
    confidence: npt.NDArray[np.float64]
    unlike: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, several: Sequence[AnswerNumbers], labels: npt.NDArray[np.integer[Any]]) -> AnswersToImages:
        """From numbers in blocks, at least one, and the true classes of all images."""
        logs = np.concatenate([one.log_probabilities for one in several])
        confidence = np.clip(np.exp(logs.max(axis=1).astype(np.float64)), 0, 1)
        return cls(logs.argmax(axis=1) == labels, confidence, np.concatenate([one.unlike for one in several]))

    @property
    def excess(self) -> npt.NDArray[np.float64]:
        """How much more than 0 or 1 each answer that was not refused claimed, -1 to 1, `(answered,)`."""
        return np.asarray((self.confidence - self.right)[~self.unlike])

    def to_dict(self) -> dict[str, Any]:
        """Accuracy, confidence, calibration error and refusals as plain JSON."""
        answered = int((~self.unlike).sum())
        return {
            "accuracy": float(self.right.mean()),
            "interval": list(Interval.wilson(int(self.right.sum()), len(self.right))),
            "confidence": float(self.confidence.mean()),
            "calibration_error": Reliability.of(self.confidence, self.right).error,
            "refused": float(self.unlike.mean()),
            "answered": answered,
            "accuracy_of_answered": float(self.right[~self.unlike].mean()) if answered else None,
            "confidence_of_answered": float(self.confidence[~self.unlike].mean()) if answered else None,
        }


@dataclass(frozen=True, eq=False)
class Robustness:
    """What a run said of images as they are, and of each corruption of them.

    Args:
        clean: of the images as they are.
        corrupted: by name of the corruption, one for each severity.
        refuses: whether the run can refuse images.
        most_frequent: the share of the images that are of their most frequent class, 0 to 1.
    """

    clean: AnswersToImages
    corrupted: dict[str, tuple[AnswersToImages, ...]]
    refuses: bool
    most_frequent: float = 0.0

    @classmethod
    def of(
        cls,
        predictor: Predictor,
        part: Part,
        progress: AuditProgress,
        *,
        chosen: npt.NDArray[np.intp] | None = None,
        seed: int = 0,
    ) -> Robustness:
        """Of labelled images.

        Args:
            predictor: the run's.
            part: at least one image.
            progress: told of each corruption.
            chosen: which images of the part, `(n,)`; None for what `ModelImages.chosen` gives.
            seed: that of the corruptions.
        """
        asked = ModelImages(predictor, part.scale)
        if chosen is None:
            chosen = asked.chosen(part, FORMS)
        images, labels = np.asarray(part.images[chosen]), part.labels[chosen]
        blocks, total = list(asked.blocks(len(images))), len(CORRUPTIONS) * SEVERITIES
        progress("The images as they are", 0, total)
        places = [predictor.held_out_places(asked.as_taken(images[block])) for block in blocks]
        itself = None if places[0] is None else np.concatenate([one for one in places if one is not None])

        def numbers(name: str, severity: int, block: slice) -> AnswerNumbers:
            shown = images[block]
            if severity:
                shown = corrupted(shown, name, severity, scale=part.scale, seed=seed)
            return asked.numbers(shown, None if itself is None else itself[block])

        # Blocks are independent, and most of their time is NumPy's, which lets other threads work.
        with ThreadPoolExecutor(1 if predictor.backbone else min(usable_cores(), 4)) as threads:

            def answers(name: str, severity: int, done: int) -> AnswersToImages:
                several = []
                for one in threads.map(partial(numbers, name, severity), blocks):
                    progress(f"Corruption: {name} {severity}" if severity else "The images as they are", done, total)
                    several.append(one)
                return AnswersToImages.of(several, labels)

            clean = answers("", 0, 0)
            found = {
                name: tuple(
                    answers(name, severity, place * SEVERITIES + severity - 1) for severity in range(1, SEVERITIES + 1)
                )
                for place, name in enumerate(CORRUPTIONS)
            }
        return cls(clean, found, itself is not None, float(np.bincount(labels).max() / len(labels)))

    @property
    def images(self) -> int:
        """How many images there are."""
        return len(self.clean.right)

    @cached_property
    def share_right(self) -> npt.NDArray[np.float64]:
        """Of each image, in how many of its corrupted forms it is classified rightly, 0 to 1, `(n,)`."""
        every = [one.right for several in self.corrupted.values() for one in several]
        return np.asarray(np.mean(every, axis=0, dtype=np.float64))

    @property
    def has_much_to_lose(self) -> bool:
        """Whether the run is shown to do better on the images as they are than by naming one class always."""
        return Interval.wilson(int(self.clean.right.sum()), self.images).low > self.most_frequent

    @property
    def accuracy(self) -> float:
        """The mean over all corruptions and severities, 0 to 1."""
        return float(self.share_right.mean())

    @property
    def interval(self) -> Interval:
        """The 95% interval of `accuracy`, as it would vary with other images."""
        low, high = Estimate.over_images(self.share_right).interval()
        return Interval(max(low, 0.0), min(high, 1.0))

    def cost(self, name: str, severity: int, comparisons: int = 1) -> Difference:
        """What a corruption takes of the accuracy, as a share of the images, as one of so many comparisons."""
        clean, worse = self.clean.right[None], self.corrupted[name][severity - 1].right[None]
        return Difference.between(clean, worse, ((0,), (0,))).among(comparisons)

    @cached_property
    def costly(self) -> tuple[str, ...]:
        """Corruptions that cost more than `COSTS` at severity 1, the costliest first."""
        costs = {name: self.cost(name, 1, len(self.corrupted)) for name in self.corrupted}
        shown = [name for name, cost in costs.items() if cost.interval.low > COSTS]
        return tuple(sorted(shown, key=lambda name: -costs[name].value))

    @cached_property
    def claiming(self) -> dict[str, int]:
        """Corruptions under which answers claim too much, each with the first severity at which that is shown."""
        confidence = 1 - SHOWN_BELOW / (len(self.corrupted) * SEVERITIES)
        found = {}
        for name, several in self.corrupted.items():
            for severity, one in enumerate(several, 1):
                excess = one.excess
                enough = len(excess) >= _FEWEST_ANSWERED
                if enough and Estimate.over_images(excess).interval(confidence).low > CLAIMS_TOO_MUCH:
                    found[name] = severity
                    break
        return found

    def at(self, severity: int) -> dict[str, float | None]:
        """Means over the corruptions at a severity; at 0, the same of the images as they are."""
        several = [self.clean] if severity == 0 else [found[severity - 1] for found in self.corrupted.values()]
        answered = [one for one in several if not one.unlike.all()]
        return {
            "accuracy": float(np.mean([one.right.mean() for one in several])),
            "confidence": float(np.mean([one.confidence.mean() for one in several])),
            "refused": float(np.mean([one.unlike.mean() for one in several])),
            "accuracy_of_answered": float(np.mean([one.right[~one.unlike].mean() for one in answered]))
            if answered
            else None,
        }

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        corruptions = {
            name: [
                {
                    "severity": severity,
                    **one.to_dict(),
                    "cost": (cost := self.cost(name, severity, len(self.corrupted) * SEVERITIES)).value,
                    "cost_interval": list(cost.interval),
                }
                for severity, one in enumerate(several, 1)
            ]
            for name, several in self.corrupted.items()
        }
        return {
            "images": self.images,
            "accuracy": self.accuracy,
            "interval": list(self.interval),
            "refuses": self.refuses,
            "clean": self.clean.to_dict(),
            "severities": [self.at(severity) for severity in range(SEVERITIES + 1)],
            "corruptions": corruptions,
            "costly_at_severity_1": list(self.costly),
            "claiming_too_much_from": dict(self.claiming),
        }
