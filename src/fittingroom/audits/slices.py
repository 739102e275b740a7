"""The check of slices: groups of images for which a run is worse than elsewhere, in words and with their images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.answers.out_of_distribution import hog_features
from fittingroom.audits.check import AuditSubject, CheckResult, Evidence, EvidenceTable, Gallery, ShownImage, Verdict
from fittingroom.audits.image_properties import MEANINGS, WORDS, image_properties
from fittingroom.audits.model_images import shown_pixels
from fittingroom.audits.slice_search import (
    ConfirmedSlice,
    ImageSlice,
    SliceData,
    SliceSearch,
    slice_facts,
    smallest_gap,
)
from fittingroom.data.dataset import Dataset, Part
from fittingroom.evaluation.spread import Interval, Spread
from fittingroom.text import amount, number, percent, word_list

_TITLE = "Slices"
_MOST_NAMED = 3
_MOST_GALLERIES = 8
_SHOWN = 12  # mistakes of a group
_MOST_CLUSTERS = 30
_MOST_FITTED = 5_000  # images that clusters are made of; others go to the nearest
_IN_CLUSTER = 100  # images, on average
_TELLING = 0.25  # a gap of a group of 5% of the images, above which too little would be found to call the run clear
_MOST_BYTES = 2**30  # of images, or of their features, beyond which they are not put into clusters


def check_slices(subject: AuditSubject) -> CheckResult:
    """Where a run is worse than elsewhere: by class, by what a class is taken for, by property and by likeness."""
    validation = subject.dataset.validation
    if validation is None or not subject.kept or len(validation) == 0:
        return CheckResult(
            "slices",
            _TITLE,
            "not examined",
            ("There are no validation images with stored answers, so it cannot be told where the run is worse.",),
            ("Train with a validation part; the test set is not used for this.",),
        )
    data = slice_data(subject, validation)
    subject.progress("comparing groups of images")
    search = SliceSearch.of(data)
    accuracy = Spread.of(one.accuracy for one in subject.kept).mean
    smallest = smallest_gap(len(validation), accuracy, groups=max(search.tested, 1))
    words = _SliceWords(subject.dataset, data)
    verdict: Verdict = "clear" if smallest is not None and smallest <= _TELLING else "unsure"
    if search.confirmed:
        verdict = "found"
    return CheckResult(
        check="slices",
        title=_TITLE,
        verdict=verdict,
        sentences=(*words.sentences(search), _how(search, len(validation), smallest, verdict)),
        advice=tuple(words.advice(search)),
        facts={
            "images": len(validation),
            "seeds": data.seeds,
            "accuracy": accuracy,
            "properties": list(data.properties),
            "clusters": len(np.unique(data.clusters)),
            "tried": search.tried,
            "tested": search.tested,
            "smallest_gap": smallest,
            "slices": [slice_facts(one, subject.dataset.classes) for one in search.confirmed],
        },
        evidence=tuple(words.evidence(search, validation)),
    )


def slice_data(subject: AuditSubject, part: Part) -> SliceData:
    """What the search needs of the validation images."""
    name = subject.dataset.name
    folder = Path(name.removeprefix("folder:")) if name.startswith("folder:") else None
    properties = image_properties(
        part, folder, lambda done, total: subject.progress("measuring properties of the images", done, total)
    )
    predicted = np.stack([kept.predicted for kept in subject.kept]).astype(np.int64)
    return SliceData(
        labels=part.labels,
        predicted=predicted,
        classes=len(subject.dataset.classes),
        properties=properties,
        clusters=_clusters(subject, part),
    )


def _clusters(subject: AuditSubject, part: Part) -> npt.NDArray[np.int64]:
    """Which of the images look alike: the cluster of each, by what the run compares images by; empty for few images."""
    count = min(len(part) // _IN_CLUSTER, _MOST_CLUSTERS)
    if count < 2:
        return np.empty(0, np.int64)
    subject.progress("finding images that look alike")
    if part.images.nbytes > _MOST_BYTES:
        return np.empty(0, np.int64)
    if subject.predictor is not None and subject.predictor.backbone is not None:
        features = subject.predictor.features_of_many(np.asarray(part.images))
    else:
        features = hog_features(np.asarray(part.images), part.scale)
    if not features.shape[1] or features.size * 4 > _MOST_BYTES:
        return np.empty(0, np.int64)
    from sklearn.cluster import KMeans

    # Labels and answers have no part in it, so that clusters are groups like any other.
    vectors = features.astype(np.float32)
    some = vectors[:: max(-(-len(vectors) // _MOST_FITTED), 1)]
    found = KMeans(count, n_init=1, max_iter=50, random_state=0).fit(some)
    return np.asarray(found.predict(vectors), np.int64)


def _how(search: SliceSearch, images: int, smallest: float | None, verdict: Verdict) -> str:
    """How it was looked for, and what would have been found."""
    held_out = amount(images, "validation image")
    if search.tried == 0:
        return f"With {held_out}, groups of them are too small to be compared."
    tested = "None stood out enough to be tested on the other half."
    if search.tested == 1:
        tested = "The one that stood out most was tested on the other half."
    elif search.tested:
        tested = f"The {search.tested:,} that stood out most were tested on the other half, corrected for their number."
    told = f"{amount(search.tried, 'group')} were looked at, each on one half of the {held_out}. {tested}"
    if smallest is None:
        return f"{told} So few images show only large differences between large groups."
    power = (
        f"A group of 5% of the images that is {number(100 * smallest)} points less accurate is found in about three of "
        "four cases"
    )
    return f"{told} {power}{', so smaller differences remain unseen' if verdict == 'unsure' else ''}."


class _SliceWords:
    """What is said and shown of confirmed groups."""

    def __init__(self, dataset: Dataset, data: SliceData) -> None:
        self._classes, self._data = dataset.classes, data

    def sentences(self, search: SliceSearch) -> Iterator[str]:
        """The groups, each kind in a sentence."""
        groups, confusions = _parted(search)
        if not search.confirmed:
            yield "No group of images was found for which this run is less accurate than elsewhere."
            return
        if groups:
            one, *others = groups
            yield (
                f"This run is less accurate for {amount(len(groups), 'group')} of images than elsewhere. "
                f"The costliest: {self._said(one)}."
            )
            if others:
                more = [self._said(other) for other in others[:_MOST_NAMED]]
                rest = len(others) - len(more)
                yield f"Also {'; '.join(more)}{f'; and {rest:,} more in the table' if rest > 0 else ''}."
        if confusions:
            named = [
                f"{self._name(one.group.label)} for {self._name(one.group.taken_for)} "
                f"({percent(1 - one.gap.accuracy)} of its images)"
                for one in confusions[:_MOST_NAMED]
            ]
            yield f"More often than other classes, it takes {word_list(named)}."

    def advice(self, search: SliceSearch) -> Iterator[str]:
        """What to do about them."""
        if not search.confirmed:
            return
        yield (
            "Look at the mistakes below first: wrong labels in a group look like a weak model, and the check `labels` "
            "finds them."
        )
        yield "State the accuracy of these groups beside that of the run, where they matter to those who use it."
        if any(one.group.kind == "property" for one in search.confirmed):
            yield "Where you can, add training images of these groups, or augment others until they are like them."

    def evidence(self, search: SliceSearch, part: Part) -> Iterator[Evidence]:
        """Tables of all groups and confusions, and the images that are wrong in the first few."""
        groups, confusions = _parted(search)
        if groups:
            rows = tuple(
                (
                    self.named(one.group),
                    f"{one.count:,}",
                    percent(one.gap.accuracy),
                    percent(one.gap.elsewhere),
                    _points(one.gap.interval),
                )
                for one in groups
            )
            header = ("images", "count", "accuracy", "elsewhere", "points lower (interval)")
            yield EvidenceTable("Less accurate than elsewhere", header, rows)
        if confusions:
            rows = tuple(
                (
                    self._name(one.group.label),
                    self._name(one.group.taken_for),
                    percent(1 - one.gap.accuracy),
                    percent(1 - one.gap.elsewhere),
                    _points(one.gap.interval),
                )
                for one in confusions
            )
            header = ("class", "taken for", "of its images", "of other classes", "points more (interval)")
            yield EvidenceTable("More often taken for another class", header, rows, left=2)
        names = [name for name in MEANINGS if any(one.group.name == name for one in groups)]
        if names:
            yield EvidenceTable("What is measured", ("property", "is"), tuple((n, MEANINGS[n]) for n in names), left=2)
        for one in search.confirmed[:_MOST_GALLERIES]:
            yield self._gallery(one, part)

    def named(self, group: ImageSlice) -> str:
        """A group in words: `dark images of Shirt (brightness at most 12%)`."""
        images = "images" if group.label is None else f"images of {self._name(group.label)}"
        if group.kind == "cluster":
            return f"images that look alike ({self._mostly(group)})"
        if group.kind == "property":
            return WORDS[group.name].range(group.low, group.high, images)
        return images

    def _said(self, one: ConfirmedSlice) -> str:
        """A group with its numbers."""
        against = "of the other classes" if one.group.kind == "class" else "of the same classes elsewhere"
        if one.group.label is not None and one.group.kind == "property":
            against = f"of {self._name(one.group.label)} elsewhere"
        return (
            f"{self.named(one.group)}, {percent(one.gap.accuracy)} against {percent(one.gap.elsewhere)} {against} "
            f"({_points(one.gap.interval)} points lower)"
        )

    def _mostly(self, group: ImageSlice) -> str:
        """The most frequent classes of a cluster."""
        counts = np.bincount(self._data.labels[group.members(self._data)], minlength=len(self._classes))
        order = np.argsort(-counts, kind="stable")
        most = [int(label) for label in order[:3] if counts[label] >= 0.15 * counts.sum()] or [int(order[0])]
        return f"mostly {word_list(self._name(label) for label in most)}"

    def _name(self, label: int | None) -> str:
        return "" if label is None else self._classes[label]

    def _gallery(self, one: ConfirmedSlice, part: Part) -> Gallery:
        """Images of the group that most seeds are wrong about, spread over the part."""
        data, group = self._data, one.group
        answer = _usual_answer(data.predicted)
        wrong = group.members(data) & (answer != data.labels)
        title = f"Wrong: {self.named(group)}"
        if group.taken_for is not None:
            wrong &= answer == group.taken_for
            title = f"{self._name(group.label)} taken for {self._name(group.taken_for)}"
        rows = np.flatnonzero(wrong)
        chosen = (
            rows[np.unique(np.linspace(0, len(rows) - 1, min(_SHOWN, len(rows))).astype(int))] if len(rows) else rows
        )
        images = [
            ShownImage(
                shown_pixels(np.asarray(part.images[row]), part.scale, 112),
                f"{self._name(int(data.labels[row]))} → {self._name(int(answer[row]))}",
            )
            for row in chosen.tolist()
        ]
        return Gallery(title, tuple(images))


def _parted(search: SliceSearch) -> tuple[list[ConfirmedSlice], list[ConfirmedSlice]]:
    """Groups, and confusions."""
    return (
        [one for one in search.confirmed if one.group.kind != "confusion"],
        [one for one in search.confirmed if one.group.kind == "confusion"],
    )


def _usual_answer(predicted: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
    """What most seeds say of each image."""
    if len(predicted) == 1:
        return np.asarray(predicted[0], np.int64)
    from scipy.stats import mode

    usual: npt.NDArray[np.int64] = np.asarray(mode(predicted, axis=0).mode, np.int64)
    return usual


def _points(interval: Interval) -> str:
    """How many points lower, from the interval of the difference: `4.2 to 14.1`."""
    low, high = -interval.high, -interval.low
    return f"{number(100 * low, 1)} to {number(100 * high, 1)}"
