"""Robustness: what a run says of its validation images when fifteen corruptions make them worse.

Three things are asked at each severity: how often it is right, how often it says that it is, and how many it refuses.
A model that is wrong more often but says so can be used; one that is as sure as before cannot. So there are two
findings, each shown with all its corruptions at once (Bonferroni): a corruption that is slight costs more than 5
points, and answers that are not refused claim to be right at least 10 points more often than they are.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fittingroom.audits.check import (
    AuditProgress,
    AuditSubject,
    CheckResult,
    EvidenceLine,
    EvidencePlot,
    EvidenceTable,
    Gallery,
    ShownImage,
)
from fittingroom.audits.corruptions import CORRUPTIONS, SEVERITIES, corrupted
from fittingroom.audits.model_images import ModelImages, shown_pixels
from fittingroom.evaluation.differences import Difference
from fittingroom.evaluation.estimate import Estimate
from fittingroom.evaluation.reliability import Reliability
from fittingroom.evaluation.spread import SHOWN_BELOW, Interval
from fittingroom.text import NOTHING, amount, percent, percent_range, points, word_list

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

_FEW = 300  # images below which nothing found means little
_FEWEST_ANSWERED = 30  # answers below which their truth is not judged
_MOST_NAMES = 4

_CHECK, _TITLE = "robustness", "Robustness"


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
    """

    clean: AnswersToImages
    corrupted: dict[str, tuple[AnswersToImages, ...]]
    refuses: bool

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

        def answers(name: str, severity: int, done: int) -> AnswersToImages:
            several = []
            for block in blocks:
                progress(f"Corruption: {name} {severity}" if severity else "The images as they are", done, total)
                shown = images[block]
                if severity:
                    shown = corrupted(shown, name, severity, scale=part.scale, seed=seed)
                several.append(asked.numbers(shown, None if itself is None else itself[block]))
            return AnswersToImages.of(several, labels)

        clean = answers("", 0, 0)
        found = {
            name: tuple(
                answers(name, severity, place * SEVERITIES + severity - 1) for severity in range(1, SEVERITIES + 1)
            )
            for place, name in enumerate(CORRUPTIONS)
        }
        return cls(clean, found, itself is not None)

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


def check_robustness(subject: AuditSubject) -> CheckResult:
    """Accuracy, confidence and refusals on corrupted validation images; the test part is not read."""
    start, part, predictor = time.perf_counter(), subject.dataset.validation, subject.predictor
    if predictor is None:
        return CheckResult(_CHECK, _TITLE, "not examined", ("Only a run can be examined: a dataset has no answers.",))
    if part is None or not len(part):
        reason = "The run has no validation images to make worse. Train with --validation 0.1."
        return CheckResult(_CHECK, _TITLE, "not examined", (reason,))
    if (why_not := ModelImages(predictor, part.scale).why_not) is not None:
        return CheckResult(_CHECK, _TITLE, "not examined", (why_not,))
    if len(part) < FEWEST:
        reason = f"{amount(len(part), 'validation image')} are too few to tell; {FEWEST} are the fewest."
        return CheckResult(_CHECK, _TITLE, "unsure", (reason,))
    found = Robustness.of(predictor, part, subject.progress)
    shown = found.costly or found.claiming
    return CheckResult(
        _CHECK,
        _TITLE,
        "found" if shown else "unsure" if found.images < _FEW else "clear",
        tuple(_sentences(found, len(part))),
        tuple(_advice(found)),
        found.to_dict(),
        (_curve(found), _table(found), _gallery(part)),
        seconds=time.perf_counter() - start,
    )


def _sentences(found: Robustness, images: int) -> list[str]:
    worst = min(found.corrupted, key=lambda name: _mean_accuracy(found, name))
    clean = found.clean.right.mean()
    looked_at = amount(images, "validation image")
    if found.images < images:
        looked_at = f"{found.images:,} of {looked_at}, spread evenly"
    said = [
        f"Of {looked_at}, the run gets {percent(clean)} right as they are, and "
        f"{percent(found.accuracy)} ({percent_range(found.interval)}) on average over {len(found.corrupted)} "
        f"corruptions of {SEVERITIES} severities. The worst is {worst}, at {percent(_mean_accuracy(found, worst))}."
    ]
    if found.costly:
        costs = [f"{name} ({points(-100 * found.cost(name, 1).value, signed=True)} points)" for name in found.costly]
        verb = "costs" if len(costs) == 1 else "cost"
        said.append(f"At severity 1, which is slight, {word_list(costs, most=_MOST_NAMES)} {verb} more than 5 points.")
    else:
        said.append("At severity 1, which is slight, no corruption is shown to cost more than 5 points.")
    if found.claiming:
        said.append(_of_claims(found))
    else:
        said.append("No corruption is shown to make answers claim to be right 10 points more often than they are.")
    if found.refuses:
        said.append(
            f"It refuses {percent(found.clean.unlike.mean())} of the images as they are and "
            f"{percent(found.at(SEVERITIES)['refused'])} of those at severity {SEVERITIES}."
        )
    if not (found.costly or found.claiming) and found.images < _FEW:
        said.append(f"With fewer than {_FEW} images, only large losses would have been shown.")
    return said


def _of_claims(found: Robustness) -> str:
    """The corruptions whose answers claim too much, and the worst case."""
    earliest = sorted(found.claiming, key=lambda name: (found.claiming[name], name))
    named = word_list([f"{name} (from severity {found.claiming[name]})" for name in earliest], most=_MOST_NAMES)
    name, severity = earliest[0], found.claiming[earliest[0]]
    facts = found.corrupted[name][severity - 1].to_dict()
    return (
        f"Answers claim to be right at least 10 points more often than they are under {named}. For {name} at severity "
        f"{severity}: {percent(facts['confidence_of_answered'], 0)} claimed and "
        f"{percent(facts['accuracy_of_answered'], 0)} right, of the {percent(1 - facts['refused'], 0)} it answers."
    )


_MOVED = frozenset({"shear", "scale", "rotation", "shift"})


def _advice(found: Robustness) -> list[str]:
    said = []
    if found.claiming:
        said.append(
            f"Keep pictures with {word_list(found.claiming, 'or', most=_MOST_NAMES)} from the model, or train with "
            "such pictures: it does not say by itself that it fails on them."
        )
    if moved := [name for name in found.costly if name in _MOVED]:
        said.append(
            f"If pictures may come with {word_list(moved, 'or')}, train with such changes: set `augment` in a recipe, "
            "as `photo` and `cnn` do."
        )
    if others := [name for name in found.costly if name not in _MOVED and name not in found.claiming]:
        said.append(
            f"If pictures may come with {word_list(others, 'or', most=_MOST_NAMES)}, put some of them into the "
            "training part, or convert them before the model sees them."
        )
    return said


def _mean_accuracy(found: Robustness, name: str) -> float:
    return float(np.mean([one.right.mean() for one in found.corrupted[name]]))


def _curve(found: Robustness) -> EvidencePlot:
    each = [found.at(severity) for severity in range(SEVERITIES + 1)]
    named = [("accuracy", "right"), ("confidence", "claimed to be right")]
    if found.refuses:
        named += [("refused", "refused")]
    lines = [
        EvidenceLine(name, tuple(range(SEVERITIES + 1)), tuple(round(100 * (one[key] or 0.0), 1) for one in each))
        for key, name in named
    ]
    return EvidencePlot(
        "Mean over all corruptions; severity 0 is the images as they are", "severity", "% of the images", tuple(lines)
    )


def _table(found: Robustness) -> EvidenceTable:
    header = ("corruption", *(str(severity) for severity in range(1, SEVERITIES + 1)), "mean", "claimed at 5")
    means = [found.at(severity) for severity in range(1, SEVERITIES + 1)]
    accuracies = [percent(one["accuracy"]) for one in means]
    last = (percent(means[-1]["confidence"]), _refused(found, means[-1]))
    rows = [("all", *accuracies, percent(found.accuracy), *last)]
    for name, several in sorted(found.corrupted.items(), key=lambda one: _mean_accuracy(found, one[0])):
        facts = several[-1].to_dict()
        row = [percent(one.right.mean()) for one in several]
        last = (percent(facts["confidence"]), _refused(found, facts))
        rows.append((name, *row, percent(_mean_accuracy(found, name)), *last))
    return EvidenceTable(
        "Accuracy by severity; what is claimed and refused at 5", (*header, "refused at 5"), tuple(rows)
    )


def _refused(found: Robustness, facts: dict[str, Any]) -> str:
    return percent(facts["refused"]) if found.refuses else NOTHING


def _gallery(part: Part) -> Gallery:
    """An image as it is and at severities 1, 3 and 5 of each corruption."""
    images = np.asarray(part.images[:1])
    shown = []
    for name in CORRUPTIONS:
        shown.append(ShownImage(shown_pixels(images[0], part.scale), name))
        for severity in (1, 3, 5):
            pixels = corrupted(images, name, severity, scale=part.scale)[0]
            shown.append(ShownImage(shown_pixels(pixels, part.scale), str(severity)))
    return Gallery("A validation image, and severities 1, 3 and 5", tuple(shown), 4)
