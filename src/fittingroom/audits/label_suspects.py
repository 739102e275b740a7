"""Label suspects: images whose label is probably wrong, each with a calibrated probability and another label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.audits.check import (
    AuditSubject,
    CheckResult,
    Evidence,
    EvidenceTable,
    Finding,
    PartName,
    Review,
    ReviewItem,
    ShownImage,
    Verdict,
)
from fittingroom.audits.error_rate import ReviewPlan
from fittingroom.audits.label_probabilities import (
    SUSPECT,
    LabelSuspects,
    cross_fitted,
    labelled_parts,
    network_inputs,
)
from fittingroom.audits.nearest_images import nearest
from fittingroom.audits.planted_noise import FEWEST_OF_CLASS, examined_classes
from fittingroom.text import amount, percent, word_list

TITLE = "Label suspects"

FEWEST = 100
"""Images below which nothing is said: too few to train on and to leave out."""

LEAST_AGREEMENT = 0.5
"""The share of labels that networks must name without having seen the image; below it they doubt most labels."""

DOUBTFUL = 0.05
"""The probability from which on another class is suggested."""

MOST_FINDINGS = 5_000
_NEIGHBOURS = 5
_SIDE_OF_NEIGHBOUR = 48  # pixels at most; the pictures of 300 images and their neighbours are kept
_FEW, _FEW_SHARE = 3, 0.002  # so many suspects, and this share of all images, clean data may show (simulated)


def check_labels(subject: AuditSubject) -> CheckResult:
    """Which labels of the training and validation images are probably wrong.

    Args:
        subject: what is audited.
    """
    labels = np.concatenate([part.labels for _, part in labelled_parts(subject)])
    can = examined_classes(labels, len(subject.dataset.classes))
    if len(labels) < FEWEST or can.sum() < 2:
        few = (
            f"{amount(len(labels), 'image')}: too few to tell a wrong label from an unusual image; {FEWEST} are "
            f"needed, of classes with {FEWEST_OF_CLASS} or more."
        )
        return CheckResult("labels", TITLE, "unsure", (few,))
    found = cross_fitted(subject)
    if found.agreement < LEAST_AGREEMENT:
        unlearned = (
            f"Small networks name the label of only {percent(found.agreement, 0)} of the images that they have not "
            "seen: too few to doubt a label."
        )
        facts = {"images": len(labels), "examined": int(found.examined.sum()), "agreement": found.agreement}
        return CheckResult("labels", TITLE, "unsure", (unlearned,), facts=facts)
    return _LabelReport(subject, found).result()


def verdict_of(suspects: int, images: int) -> Verdict:
    """`unsure` where suspects are so few that right labels of odd images may be all of them."""
    if not suspects:
        return "clear"
    return "found" if suspects > _FEW + _FEW_SHARE * images else "unsure"


def _expected_sentence(expected: float, count: int) -> str:
    """How many labels are wrong in all, and what that number leaves out."""
    cautious = "Mistakes at odd images look less clear; only a review counts them."
    if expected < 1:
        return f"If real mistakes were like planted ones, hardly a label would be wrong. {cautious}"
    number = amount(round(expected), "label")
    return (
        f"If real mistakes were like planted ones, about {number} in all ({percent(expected / count, 2)}) would be "
        f"wrong. {cautious}"
    )


def _why(probability: float) -> str:
    if probability >= SUSPECT:
        return "label suspect"
    return "label in doubt" if probability >= DOUBTFUL else "drawn at random, to count what models miss"


@dataclass(frozen=True, eq=False)
class _LabelReport:
    """What was found, as a result of the check."""

    subject: AuditSubject
    found: LabelSuspects

    @property
    def verdict(self) -> Verdict:
        """What the number of suspects carries."""
        return verdict_of(self.found.suspects, len(self.found.labels))

    def result(self) -> CheckResult:
        """Sentences, evidence and findings."""
        found = self.found
        plan = ReviewPlan.of(found.probability)
        suspects = found.order[: min(found.suspects, MOST_FINDINGS)]
        drawn = [place for place in plan.order if found.probability[place] < SUSPECT]
        findings = tuple(self._finding(place) for place in [*suspects.tolist(), *drawn])
        return CheckResult(
            check="labels",
            title=TITLE,
            verdict=self.verdict,
            sentences=tuple(self._sentences()),
            advice=tuple(self._advice()),
            facts=self._facts(plan),
            evidence=self._evidence(plan),
            findings=findings,
        )

    def _sentences(self) -> list[str]:
        found, wrong = self.found, self.found.wrong
        count = int(found.examined.sum())
        expected = float(found.probability.sum())
        return [
            self._first_sentence(count),
            _expected_sentence(expected, count),
            f"The probabilities were learned from {amount(wrong.planted, 'wrong label')} planted into these data. Were "
            f"{percent(max(wrong.share, 0.01), 1)} of all labels wrong as these are, {percent(wrong.found, 0)} of them "
            "would be called suspects.",
            *self._not_examined(count),
        ]

    def _first_sentence(self, count: int) -> str:
        """The verdict in words."""
        chosen = self.found.probability[self.found.probability >= SUSPECT]
        if not len(chosen):
            return f"No label of {count:,} is more probably wrong than right."
        many = f"{len(chosen):,} labels of {count:,} are" if len(chosen) > 1 else f"One label of {count:,} is"
        if self.verdict == "unsure":
            return f"{many} more probably wrong than right: so few may as well be odd images with right labels."
        expected = round(float(chosen.sum()))
        return f"{many} more probably wrong than right; about {expected:,} of them are expected to be wrong."

    def _not_examined(self, count: int) -> list[str]:
        found, sentences = self.found, []
        left = len(found.labels) - count
        if left:
            names = [self.subject.dataset.classes[label] for label in np.unique(found.labels[~found.examined])]
            sentences.append(
                f"{amount(left, 'image')} of {word_list(names, most=5)} were not examined: with fewer than "
                f"{FEWEST_OF_CLASS} images, a class is not learned without the one that is examined."
            )
        return sentences

    def _advice(self) -> list[str]:
        if not self.found.suspects:
            return []
        return [
            "Review the suspects, one by one: a probability is not a verdict. Write the list with --export FILE.csv, "
            "or review them on the page (--report PAGE).",
            "Then train with the reviewed list: --relabel FILE corrects labels, --exclude FILE leaves images out.",
        ]

    def _facts(self, plan: ReviewPlan) -> dict[str, Any]:
        found, wrong = self.found, self.found.wrong
        return {
            "images": len(found.labels),
            "examined": int(found.examined.sum()),
            "agreement": found.agreement,
            "suspects": found.suspects,
            "expected_wrong": float(found.probability.sum()),
            "share_wrong": wrong.share,
            "share_uniform": wrong.uniform,
            "planted": wrong.planted,
            "planted_found": wrong.found,
            "review": plan.to_dict(),
        }

    def _finding(self, place: int) -> Finding:
        part, index = self._where(place)
        found, classes = self.found, self.subject.dataset.classes
        probability = float(found.probability[place])
        return Finding(
            part=part,
            index=index,
            why=_why(probability),
            label=classes[found.labels[place]],
            suggested=classes[found.suggested[place]] if probability >= DOUBTFUL else None,
            probability=round(probability, 4),
        )

    def _where(self, place: int) -> tuple[PartName, int]:
        for name, part in labelled_parts(self.subject):
            if place < len(part):
                return name, place
            place -= len(part)
        raise IndexError(place)

    def _evidence(self, plan: ReviewPlan) -> tuple[Evidence, ...]:
        return (self._pairs(), self._review(plan)) if self.found.suspects else (self._review(plan),)

    def _pairs(self) -> EvidenceTable:
        """The pairs of classes that most suspects have."""
        found, classes = self.found, self.subject.dataset.classes
        chosen = found.probability >= SUSPECT
        pairs, first = np.unique(
            np.stack([found.labels[chosen], found.suggested[chosen]], axis=1), axis=0, return_inverse=True
        )
        expected = np.bincount(first.ravel(), found.probability[chosen], len(pairs))
        counts = np.bincount(first.ravel(), minlength=len(pairs))
        rows = [
            (classes[pairs[row][0]], classes[pairs[row][1]], f"{counts[row]:,}", f"{expected[row]:.1f}")
            for row in np.argsort(-expected, kind="stable")[:15]
        ]
        header = ("Label", "Suggested", "Suspects", "Expected wrong")
        return EvidenceTable("Suspects by pair of classes", header, tuple(rows), left=2)

    def _review(self, plan: ReviewPlan) -> Review:
        places = np.asarray(plan.order, np.int64)
        neighbours = self._neighbours(places)
        items = [
            ReviewItem(
                finding=self._finding(place),
                pixels=self._pixels(place),
                said=self._said(place),
                neighbours=tuple(self._neighbour(other) for other in near),
                file=self._file(place),
                place=place,
            )
            for place, near in zip(places.tolist(), neighbours, strict=True)
        ]
        return Review("Labels to review", tuple(items), tuple(self.subject.dataset.classes), plan.to_dict())

    def _said(self, place: int) -> tuple[tuple[str, float], ...]:
        shares = np.exp(self.found.log_probabilities[place].astype(np.float64))
        top = np.argsort(-shares, kind="stable")[:3].tolist()
        shown = dict.fromkeys([*top, int(self.found.labels[place])])  # what they say of the given label, in any case
        return tuple((self.subject.dataset.classes[label], round(float(shares[label]), 4)) for label in shown)

    def _image(self, place: int) -> npt.NDArray[np.uint8]:
        part, index = self._where(place)
        return np.asarray(dict(labelled_parts(self.subject))[part].images[index])

    def _pixels(self, place: int) -> npt.NDArray[np.uint8]:
        image = self._image(place).astype(np.float32) * np.float32(255 / self.subject.dataset.scale)
        return np.asarray(np.rint(np.clip(image, 0, 255)), np.uint8)

    def _neighbour(self, place: int) -> ShownImage:
        pixels = self._pixels(place)
        step = -(-max(pixels.shape[:2]) // _SIDE_OF_NEIGHBOUR)
        return ShownImage(pixels[::step, ::step], self.subject.dataset.classes[self.found.labels[place]])

    def _file(self, place: int) -> str:
        part, index = self._where(place)
        files = dict(labelled_parts(self.subject))[part].files
        return files[index] if files else ""

    def _neighbours(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The training images most like each, `(images, 5)`, by what the networks look at."""
        inputs = network_inputs(
            [part for _, part in labelled_parts(self.subject)], self.subject.recipe, self.subject.progress
        )
        return nearest(inputs[-1].values, places, _NEIGHBOURS, self.subject.progress)
