"""The check of measures: what one accuracy hides: small classes, the worst one, dishonest confidence, weak groups."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.audits.check import AuditSubject, CheckResult, Evidence, EvidenceTable
from fittingroom.audits.class_means import ClassMeans
from fittingroom.audits.group_gap import GroupGap
from fittingroom.audits.image_groups import ImageGroups
from fittingroom.evaluation.calibration import LOWEST, Temperature
from fittingroom.evaluation.estimate import accuracy_interval
from fittingroom.evaluation.reliability import Reliability
from fittingroom.evaluation.spread import SHOWN_BELOW, Interval, Spread
from fittingroom.runs.outcomes import KeptOutcomes
from fittingroom.text import amount, number, percent, percent_range, word_list

_TITLE = "Measures"
_FEW = 20  # predictions of a class, or images of a group, below which nothing is said of them
_MANY_CLASSES = 30  # rows of the table of classes
_MOST_GROUPS = 3  # sentences; all groups stand in the table
_FREQUENT = 0.1  # share of the most frequent class that is worth a sentence, where it is twice the usual
_HIDDEN = 0.01  # accuracy above balanced accuracy that is worth a sentence


def check_measures(subject: AuditSubject) -> CheckResult:
    """Accuracy beside measures that count classes alike, the worst class, calibration by class, and given groups."""
    if not subject.kept or not len(subject.kept[0].labels):
        return CheckResult(
            "measures",
            _TITLE,
            "not examined",
            ("There are no validation images with stored answers, so nothing can be measured.",),
            ("Train with a validation part; the test set is not used for this.",),
        )
    subject.progress("measuring")
    found = _Measures.of(subject)
    shown = list(found.shown())
    return CheckResult(
        check="measures",
        title=_TITLE,
        verdict="found" if shown else "clear" if found.images >= _FEW * found.classes_there else "unsure",
        sentences=(found.first(), *(shown or [found.nothing()]), *found.remarks()),
        advice=tuple(found.advice()),
        facts=found.to_dict(),
        evidence=tuple(found.evidence()),
    )


@dataclass(frozen=True)
class _ClassRow:
    """One class: how many of its images are right, and how honest the confidence of predictions of it is.

    Args:
        name: of the class.
        images: of it.
        recall: the share of them that is right; None without images.
        interval: of the recall, for all classes together; None without images.
        predicted: how many images are predicted as it, by all seeds together.
        confidence: mean of these predictions; None without any.
        honest: the share of these predictions that is right; None without any.
        honest_interval: of that share, for all classes together; None for too few.
        dishonest: whether confidence and share differ by more than chance.
    """

    name: str
    images: int
    recall: float | None
    interval: Interval | None
    predicted: int
    confidence: float | None
    honest: float | None
    honest_interval: Interval | None
    dishonest: bool


@dataclass(frozen=True)
class _GroupRow:
    """One group of a column against the others."""

    column: str
    name: str
    images: int
    gap: GroupGap


@dataclass(frozen=True, eq=False)
class _Measures:
    """All that is measured."""

    images: int
    seeds: int
    accuracy: float
    interval: Interval
    most_frequent: float
    means: ClassMeans
    rows: tuple[_ClassRow, ...]
    reliability: Reliability | None
    temperature: float | None
    columns: tuple[str, ...]
    groups: tuple[_GroupRow, ...]

    @classmethod
    def of(cls, subject: AuditSubject) -> _Measures:
        """Measured on the validation images."""
        kept, classes = subject.kept, subject.dataset.classes
        labels = kept[0].labels.astype(np.int64)
        predicted = np.stack([one.predicted for one in kept]).astype(np.int64)
        right = predicted == labels
        confident = _confidence(kept)
        validation = subject.dataset.validation
        given = () if validation is None else ImageGroups.all_of(subject.dataset, validation)
        return cls(
            images=len(labels),
            seeds=len(kept),
            accuracy=Spread.of(one.accuracy for one in kept).mean,  # the number that `show` names, to the bit
            interval=accuracy_interval(right),
            most_frequent=float(np.bincount(labels).max() / len(labels)),
            means=ClassMeans.of(labels, predicted, len(classes)),
            rows=tuple(_class_rows(labels, right, confident, classes)),
            reliability=None if confident is None else Reliability.of(confident[1], confident[0] == labels),
            temperature=None if confident is None else confident[2],
            columns=tuple(one.name for one in given),
            groups=tuple(_group_rows(given, labels, predicted)),
        )

    @property
    def classes_there(self) -> int:
        """How many classes have images."""
        return sum(row.images > 0 for row in self.rows)

    @property
    def worst(self) -> _ClassRow | None:
        """The class with the smallest recall, of several."""
        rows = [row for row in self.rows if row.recall is not None]
        return min(rows, key=lambda row: row.recall or 0.0) if len(rows) > 1 else None

    def first(self) -> str:
        """The measures in a sentence."""
        balanced, f1 = self.means.balanced, self.means.macro_f1
        return (
            f"Accuracy {percent(self.accuracy)} ({percent_range(self.interval)}), balanced accuracy "
            f"{percent(balanced.value)} ({percent_range(balanced.interval)}), macro F1 {percent(f1.value)} "
            f"({percent_range(f1.interval)}) on {amount(self.images, 'validation image')}"
            f"{f', means over {self.seeds} seeds' if self.seeds > 1 else ''}."
        )

    def shown(self) -> Iterator[str]:
        """What the accuracy hides, as far as the numbers carry it."""
        if self.means.above.interval.low > 0 and self.means.above.value >= _HIDDEN:
            yield (
                f"The accuracy is {number(100 * self.means.above.value, 1)} points above the balanced accuracy: large "
                "classes hide small ones that are recognised less often."
            )
        worst = self.worst
        if worst is not None and worst.interval is not None and self._is_worse(worst):
            yield (
                f"The worst class is {worst.name}: {percent(worst.recall)} of its images are right "
                f"({percent_range(worst.interval)})."
            )
        dishonest = [row for row in self.rows if row.dishonest]
        if dishonest:
            yield f"Confidence is not honest for {word_list(map(_said, dishonest), most=4)}."
        different = [one for one in self.groups if one.gap.shown]
        weak = [one for one in different if one.gap.value < 0]  # where one is weaker, all others are stronger
        yield from map(_group_sentence, (weak or different)[:_MOST_GROUPS])

    def _is_worse(self, row: _ClassRow) -> bool:
        """Whether a class is recognised less often than the run's images are, by its interval and an exact test."""
        from scipy.special import bdtr

        if row.recall is None or row.interval is None:
            return False
        p = float(bdtr(math.ceil(row.recall * row.images - 1e-9), row.images, self.accuracy)) * self.classes_there
        return row.interval.high < self.accuracy and p < SHOWN_BELOW

    def nothing(self) -> str:
        """What was looked for and not found."""
        confidence = "" if self.reliability is None else ", nor one of which confidence is not honest"
        return f"No class was shown to be worse than the run as a whole{confidence}."

    def remarks(self) -> Iterator[str]:
        """What else is to be known."""
        if self.most_frequent >= max(2 / max(self.classes_there, 1), _FREQUENT) and self.classes_there > 1:
            yield f"Always naming the most frequent class would have an accuracy of {percent(self.most_frequent)}."
        if self.reliability is None:
            yield "The probabilities of all classes are not stored, so calibration by class is not examined."
        quiet = [name for name in self.columns if not any(one.gap.shown for one in self.groups if one.column == name)]
        compared = [name for name in quiet if any(one.column == name for one in self.groups)]
        if compared:
            yield f"No difference was shown between the groups of {word_list(compared)}."
        if len(quiet) > len(compared):
            few = word_list(name for name in quiet if name not in compared)
            yield f"The groups of {few} are too small to be compared."

    def advice(self) -> Iterator[str]:
        """What to do."""
        if self.means.above.interval.low > 0 and self.means.above.value >= _HIDDEN:
            yield (
                "State the balanced accuracy or macro F1 beside the accuracy; class weights (`class_weight = "
                '"balanced"` in a recipe) make classes count alike in training.'
            )
        if any(row.dishonest for row in self.rows):
            yield "Do not decide by one confidence for all classes: set thresholds class by class."
        if any(one.gap.shown for one in self.groups):
            yield "State the accuracy of each group, and find out whether the images or the labels of the group differ."

    def evidence(self) -> Iterator[Evidence]:
        """Tables of measures, classes and groups."""
        named = (
            ("accuracy", self.accuracy, self.interval),
            ("balanced accuracy", self.means.balanced.value, self.means.balanced.interval),
            ("macro F1", self.means.macro_f1.value, self.means.macro_f1.interval),
        )
        rows = tuple((name, percent(value), percent_range(interval)) for name, value, interval in named)
        yield EvidenceTable("Measures on the validation images", ("measure", "value", "95% interval"), rows)
        chosen = sorted(self.rows, key=lambda row: 2.0 if row.recall is None else row.recall)[:_MANY_CLASSES]
        rest = "" if len(chosen) == len(self.rows) else f", the {_MANY_CLASSES} worst of {len(self.rows):,}"
        header = ("class", "images", "right", "interval", "predicted", "confidence", "of these right", "interval")
        class_rows = tuple(
            (
                row.name,
                f"{row.images:,}",
                percent(row.recall),
                percent_range(row.interval),
                f"{row.predicted:,}",
                percent(row.confidence),
                percent(row.honest),
                percent_range(row.honest_interval),
            )
            for row in chosen
        )
        yield EvidenceTable(
            f"By class, confidence as answers state it, intervals for all classes together{rest}", header, class_rows
        )
        if self.groups:
            columns = ("column", "group", "images", "accuracy", "same classes elsewhere", "difference, points")
            group_rows = tuple(
                (
                    one.column,
                    one.name,
                    f"{one.images:,}",
                    percent(one.gap.accuracy),
                    percent(one.gap.elsewhere),
                    _signed(one.gap.interval),
                )
                for one in self.groups
            )
            yield EvidenceTable("By the groups that the data give", columns, group_rows, left=2)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "images": self.images,
            "seeds": self.seeds,
            "accuracy": {"value": self.accuracy, "interval": list(self.interval)},
            "balanced_accuracy": self.means.balanced.to_dict(),
            "macro_f1": self.means.macro_f1.to_dict(),
            "above_balanced": self.means.above.to_dict(),
            "most_frequent_class": self.most_frequent,
            "worst_class": None if self.worst is None else self.worst.name,
            "temperature": self.temperature,
            "calibration": None if self.reliability is None else self.reliability.to_dict(),
            "per_class": [
                {
                    "class": row.name,
                    "images": row.images,
                    "recall": row.recall,
                    "interval": None if row.interval is None else list(row.interval),
                    "predicted": row.predicted,
                    "confidence": row.confidence,
                    "precision": row.honest,
                    "precision_interval": None if row.honest_interval is None else list(row.honest_interval),
                    "dishonest": row.dishonest,
                }
                for row in self.rows
            ],
            "groups": [
                {"column": one.column, "group": one.name, "count": one.images, **one.gap.to_dict()}
                for one in self.groups
            ],
        }


_Confident = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], float]


def _confidence(kept: Sequence[KeptOutcomes]) -> _Confident | None:
    """What all seeds together say of each image, how sure they are, and the temperature; None where it is not stored.

    As the run's answers have it: the mean of the seeds' probabilities, at the temperature that fits these images best.
    """
    if not kept[0].log_probabilities.shape[1]:
        return None
    logs = np.stack([one.log_probabilities.astype(np.float32) for one in kept])
    together = np.logaddexp.reduce(logs, axis=0) - np.float32(np.log(len(logs)))
    if not np.isfinite(together.max(axis=1)).all():
        return None
    together = np.maximum(together, -1e4)
    fitted = Temperature.fit(together, kept[0].labels)
    temperature = 1.0 if fitted.at_bound and fitted.value == LOWEST else fitted.value
    scaled = together.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    return together.argmax(axis=1), np.clip(1 / np.exp(scaled).sum(axis=1), 0, 1), temperature


def _class_rows(
    labels: npt.NDArray[np.int64], right: npt.NDArray[np.bool_], confident: _Confident | None, classes: Sequence[str]
) -> Iterator[_ClassRow]:
    """The rows of all classes; intervals hold for all of them at once in 95% of cases (Bonferroni)."""
    confidence = 1 - SHOWN_BELOW / max(len(np.unique(labels)), 1)
    answers, sure, _ = confident or (np.empty(0, np.int64), np.empty(0), 1.0)
    for label, name in enumerate(classes):
        own, named = labels == label, answers == label
        count, said = int(own.sum()), int(named.sum())
        recall = float(right[:, own].mean()) if count else None
        interval = None
        if recall is not None:
            # Several seeds may be right for a broken number of images on average.
            fewest, most = math.floor(recall * count + 1e-9), math.ceil(recall * count - 1e-9)
            interval = Interval(
                Interval.wilson(fewest, count, confidence).low, Interval.wilson(most, count, confidence).high
            )
        mean = float(sure[named].mean()) if said else None
        good = int((labels[named] == label).sum()) if said else 0
        honest = Interval.wilson(good, said, confidence) if said >= _FEW else None
        dishonest = (
            honest is not None
            and mean is not None
            and not honest.low <= mean <= honest.high
            and _chance(good, said, mean) < 1 - confidence
        )
        share = good / said if said else None
        yield _ClassRow(name, count, recall, interval, said, mean, share, honest, dishonest)


def _chance(right: int, count: int, confidence: float) -> float:
    """How likely so many right ones would be if the confidence were honest, two-sided.

    Confidences that differ vary less together than equal ones of the same mean, so this is on the safe side.
    """
    from scipy.special import bdtr, bdtrc

    share = min(max(confidence, 1e-9), 1 - 1e-9)
    above = 1.0 if right == 0 else float(bdtrc(right - 1, count, share))
    return min(1.0, 2 * min(above, float(bdtr(right, count, share))))


def _group_rows(
    given: Sequence[ImageGroups], labels: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64]
) -> list[_GroupRow]:
    """Each group that is large enough against images of the same classes in the others, corrected for their number."""
    wrong = np.asarray((predicted != labels).sum(axis=0), np.int64)
    found = []
    for one in given:
        known = one.of >= 0
        for place, name in enumerate(one.values):
            member = one.of[known] == place
            if member.sum() < _FEW or (~member).sum() < _FEW:
                continue
            gap = GroupGap.of(wrong[known], len(predicted), member, labels[known], side="both")
            if gap is not None and gap.images >= _FEW:
                found.append(_GroupRow(one.name, name, int(member.sum()), gap))
            if len(one.values) == 2:  # the other group says the same
                break
    return [_GroupRow(one.column, one.name, one.images, one.gap.among(len(found))) for one in found]


def _said(row: _ClassRow) -> str:
    return f"{row.name} ({percent(row.confidence)} sure, {percent(row.honest)} right)"


def _group_sentence(one: _GroupRow) -> str:
    gap = one.gap
    less = gap.value < 0
    low, high = sorted((abs(gap.interval.low), abs(gap.interval.high)))
    return (
        f"By {one.column}, the run is {'less' if less else 'more'} accurate for {one.name}: {percent(gap.accuracy)} "
        f"against {percent(gap.elsewhere)} of the same classes elsewhere ({number(100 * low, 1)} to "
        f"{number(100 * high, 1)} points {'lower' if less else 'higher'})."
    )


def _signed(interval: Interval) -> str:
    """`−12.0 to −3.1`."""
    return f"{number(100 * interval.low, 1, signed=True)} to {number(100 * interval.high, 1, signed=True)}"
