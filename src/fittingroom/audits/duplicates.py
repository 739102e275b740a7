"""The check of duplicates: which images are copies of others, exactly or nearly, within a part and between parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest

from fittingroom.audits.check import (
    AuditSubject,
    CheckResult,
    Evidence,
    EvidenceTable,
    Finding,
    Gallery,
    PartName,
    ShownImage,
    Verdict,
)
from fittingroom.audits.copy_search import Copies, find_copies
from fittingroom.audits.near_copies import nearest_by_correlation
from fittingroom.data.dataset import Part
from fittingroom.errors import FittingRoomError
from fittingroom.text import amount, number, percent, word_list

_REASON = "fittingroom audit: duplicates between the test images and those to learn from"
_CORRELATIONS = (0.999, 0.99, 0.98, 0.95)
_SHOWN = 12  # pairs in a gallery
_LISTED = 1000  # pairs among the facts
_TINY = 16  # pixels: of smaller images, different ones may agree as copies do
_LIKE_CHANCE = 0.3  # of how often labels of random pairs differ: near copies whose labels differ as often are none
_MANY = 0.2  # the share of images with a copy from where on the cause is looked for in how the data were made

_WORDS: dict[PartName, str] = {"train": "training", "validation": "validation", "test": "test"}


def check_duplicates(subject: AuditSubject) -> CheckResult:
    """Compares all images with each other. Of test images no label is read; comparing them is an inspection."""
    data = subject.dataset
    parts: dict[PartName, Any] = {}
    missing: tuple[str, ...] = ()
    try:
        parts["test"] = data.test.inspect(_REASON)
    except FittingRoomError as error:
        missing = (f"Test images were not compared: {error}",)
    if data.validation is not None and len(data.validation):
        parts["validation"] = data.validation.images
    parts["train"] = data.train.images
    copies = find_copies(parts, data.scale, subject.progress)
    found = _Duplicates(subject, parts, copies)
    nearest = _nearest(copies, subject)
    return CheckResult(
        check="duplicates",
        title="Duplicates",
        verdict=found.verdict,
        sentences=(*found.sentences(), *_said(nearest), *missing),
        advice=tuple(found.advice()),
        facts=found.facts() | {"nearest": nearest, "test_compared": not missing},
        evidence=tuple(found.evidence()),
        findings=tuple(found.findings()),
    )


@dataclass(frozen=True, eq=False)
class _Duplicates:
    """What was found, in words, numbers and pictures."""

    subject: AuditSubject
    parts: dict[PartName, Any]
    copies: Copies

    @cached_property
    def _any(self) -> dict[PartName, dict[PartName, npt.NDArray[np.bool_]]]:
        return self.copies.with_copy(exact=False)

    @cached_property
    def _exact(self) -> dict[PartName, dict[PartName, npt.NDArray[np.bool_]]]:
        return self.copies.with_copy(exact=True)

    @cached_property
    def _images(self) -> int:
        return len(self.copies.first)

    @cached_property
    def _copied(self) -> int:
        """Images with a copy of any kind."""
        return sum(int(np.logical_or.reduce(list(each.values())).sum()) for each in self._any.values())

    @cached_property
    def _identical(self) -> int:
        return sum(int(np.logical_or.reduce(list(each.values())).sum()) for each in self._exact.values())

    @cached_property
    def _leaked(self) -> int | None:
        """Test images with a copy among the images to learn from; None where test images were not compared."""
        learned = [has for part, has in self._any.get("test", {}).items() if part != "test"]
        return int(np.logical_or.reduce(learned).sum()) if learned else None

    @property
    def _tiny(self) -> bool:
        return bool(min(self.copies.small.shape[1:3]) < _TINY)

    @property
    def verdict(self) -> Verdict:
        """What was found; of tiny images, or where labels differ as by chance, near copies alone prove nothing."""
        if not self._copied:
            return "clear"
        return "unsure" if (self._tiny or self._by_chance) and not self._identical else "found"

    @cached_property
    def _by_chance(self) -> tuple[int, int, float] | None:
        """Where near copies are no copies: how many have different labels, of how many, and the share by chance.

        Labels of copies are mostly the same, those of images that are alike for another reason need not be.
        """
        near = [link for link in self._links if link[2] >= 0 and None not in map(self._label, link[:2])]
        counts = np.add.reduce([np.asarray(part.counts(), float) for part in self._labelled.values()])
        chance = 1 - float(((counts / counts.sum()) ** 2).sum())
        differ = sum(link in self._differ for link in near)
        if not differ:
            return None
        low = float(binomtest(differ, len(near)).proportion_ci(0.95, "exact").low)
        return (differ, len(near), chance) if low > _LIKE_CHANCE * chance else None

    @cached_property
    def _labelled(self) -> dict[PartName, Part]:
        data = self.subject.dataset
        parts: dict[PartName, Part] = {"train": data.train}
        return parts if data.validation is None else parts | {"validation": data.validation}

    def sentences(self) -> Iterator[str]:
        """What was found, the first standing alone."""
        near = self._copied - self._identical
        many = amount(self._images, "image")
        if not self._copied:
            kinds = "is a copy of another, exact or near" if self.copies.least else "is an exact copy of another"
            yield f"None of the {many} {kinds}."
        else:
            exact = f"{number(self._identical)} an exact one" if self._identical else "none an exact one"
            close = [f"{number(near)} a near one"] if near else []
            yield f"{number(self._copied)} of {many} have a copy among the others: {word_list([exact, *close])}."
            yield from self._between_parts()
            if self._by_chance is None:
                yield from self._labels_said()
        yield from self._near_said(near)
        yield from self._accuracy_said()

    def _between_parts(self) -> Iterator[str]:
        learned: list[PartName] = ["train"]
        for part in list(self.parts)[-2::-1]:
            has = np.logical_or.reduce([self._any[part][other] for other in learned])
            where = word_list((_WORDS[other] for other in learned), "or")
            count, total = int(has.sum()), len(has)
            yield (
                f"{number(count)} of {number(total)} {_WORDS[part]} images ({percent(count / total, 2)}) "
                f"{'has' if count == 1 else 'have'} a copy among the {where} images."
                if count
                else f"No {_WORDS[part]} image has a copy among the {where} images."
            )
            learned.append(part)

    def _labels_said(self) -> Iterator[str]:
        differ = len(self._different)
        if differ:
            yield (
                f"{amount(differ, 'pair')} of training and validation images "
                f"{'has' if differ == 1 else 'have'} different labels: one of two is wrong, or the classes overlap."
            )

    def _near_said(self, near: int) -> Iterator[str]:
        least = self.copies.least
        if least is None:
            yield (
                "Near copies were not looked for: in images as small as these, or without contrast, different ones "
                "agree as well as copies do."
            )
            return
        lowest = min(self.copies.planted.values())
        moved = "1 pixel" if self._tiny else "1 or 2 pixels"
        yield (
            f"Near copies agree by {number(least, 4)} or more (correlation, once slightly smoothed and laid over each "
            f"other, perhaps mirrored). Of the copies planted into these data (shifted by {moved}, mirrored, saved "
            f"again as JPEG, up to 10% brighter or darker), {percent(lowest)} or more of each kind do."
        )
        if self._by_chance is not None:
            differ, pairs, chance = self._by_chance
            yield (
                f"{number(differ)} of {amount(pairs, 'near copy', 'near copies')} have another label than their "
                f"original, as {percent(chance, 0)} of random pairs have: in these data, different images agree as "
                "well as copies do, so near copies prove nothing."
            )
        elif near and self._tiny:
            yield "Images as small as these can agree so closely without being copies, so look at the pairs."
        elif near:
            yield "A near copy need not be the same picture: one article in two colours looks like one, too."

    def _accuracy_said(self) -> Iterator[str]:
        accuracy = self._accuracy
        if accuracy is not None:
            yield (
                f"Validation accuracy is {percent(accuracy['all'], 2)}, and {percent(accuracy['without_copies'], 2)} "
                "without its images that have a copy among the training images."
            )

    @cached_property
    def _accuracy(self) -> dict[str, float] | None:
        """Of the run, with and without validation images that have a copy in training; None where nothing differs."""
        if "validation" not in self._any or not self.subject.kept:
            return None
        has = self._any["validation"]["train"]
        right = np.array([kept.right for kept in self.subject.kept if len(kept.labels) == len(has)])
        if not len(right) or not has.any() or has.all():
            return None
        return {"all": float(right.mean()), "without_copies": float(right[:, ~has].mean())}

    def advice(self) -> Iterator[str]:
        """What to do, a sentence each."""
        if not self._copied:
            return
        yield "Look at the pairs, and write them to a list: fittingroom audit --only duplicates --export FILE.csv."
        test = self._any.get("test", {})
        if any(has.any() for part, has in test.items() if part != "test"):
            yield (
                "Leave training images out that are copies of test images, so that the test score does not count what "
                "was learned by heart: train with --exclude FILE.csv once the list is reviewed."
            )
        if self._copied > _MANY * self._images and not self._tiny:
            yield (
                "So many copies come from how the data were made, such as frames of one film: put all images of one "
                "source into the same part."
            )
        if len(self._different) and self._by_chance is None:
            yield "Correct the labels of copies with different labels, or leave both out."

    def facts(self) -> dict[str, Any]:
        """All numbers, and the pairs that agree best."""
        copies = self.copies

        def counts(found: dict[PartName, dict[PartName, npt.NDArray[np.bool_]]]) -> dict[str, dict[str, int]]:
            return {part: {other: int(has.sum()) for other, has in each.items()} for part, each in found.items()}

        groups = copies.groups()
        return {
            "images": {part: len(images) for part, images in self.parts.items()},
            "with_exact_copy": counts(self._exact),
            "with_copy": counts(self._any),
            "test_images_with_copy": self._leaked,
            "images_with_copy": self._copied,
            "images_with_exact_copy": self._identical,
            "near_pairs": len(copies.pairs),
            "groups": len(groups),
            "largest_group": int(groups[0]) if len(groups) else 0,
            "pairs_with_different_labels": len(self._different),
            "near_copies_by_chance": self._by_chance is not None,
            "least_agreement": copies.least,
            "planted_copies_found": dict(copies.planted),
            "validation_accuracy": self._accuracy,
            "pairs": [self._as_fact(*link) for link in self._links[:_LISTED]],
        }

    def _as_fact(self, row: int, other: int, pair: int) -> dict[str, Any]:
        found: dict[str, Any] = {"image": list(self.copies.place(row)), "copy_of": list(self.copies.place(other))}
        if pair < 0:
            return found | {"agreement": 1.0, "correlation": 1.0, "mirrored": False, "moved": [0, 0]}
        alignments = self.copies.alignments
        return found | {
            "agreement": round(float(alignments.agreement[pair]), 6),
            "correlation": round(float(alignments.correlation[pair]), 6),
            "mirrored": bool(alignments.mirrored[pair]),
            "moved": alignments.moved[pair].tolist(),
        }

    @cached_property
    def _links(self) -> list[tuple[int, int, int]]:
        """The copies of test images first, then those between other parts, then those that agree best."""

        def weight(link: tuple[int, int, int]) -> tuple[bool, bool, int]:
            part, other = self.copies.place(link[0])[0], self.copies.place(link[1])[0]
            return other != "test" or part == "test", part == other, link[2]

        return sorted(self.copies.links(), key=weight)

    @cached_property
    def _different(self) -> list[tuple[int, int, int]]:
        """The links between images of training and validation whose labels differ."""
        labels = [self._label(row) for link in self._links for row in link[:2]]
        pairs = zip(self._links, labels[::2], labels[1::2], strict=True)
        return [link for link, one, other in pairs if one is not None and other is not None and one != other]

    @cached_property
    def _differ(self) -> frozenset[tuple[int, int, int]]:
        return frozenset(self._different)

    def _label(self, row: int) -> str | None:
        part, index = self.copies.place(row)
        known = self._labelled.get(part)
        return None if known is None else known.classes[known.labels[index]]

    def findings(self) -> Iterator[Finding]:
        """Training and validation images that are copies of what stands before them: test, validation, training."""
        for link in self._links:
            row, other, pair = link
            part, index = self.copies.place(row)
            if part != "test":
                why = self._kind(pair) + (f", labelled {self._label(other)} there" if link in self._differ else "")
                yield Finding(part, index, why, label=self._label(row), other=self.copies.place(other))

    def _kind(self, pair: int) -> str:
        if pair < 0:
            return "exact copy"
        alignments = self.copies.alignments
        words = ["near copy"]
        if alignments.mirrored[pair]:
            words.append("mirrored")
        if alignments.moved[pair].any():
            words.append("shifted")
        return ", ".join(words)

    def evidence(self) -> Iterator[Evidence]:
        """Counts by part, and pairs side by side."""
        if not self._copied:
            return
        names = list(self.parts)[::-1]
        header = ("images", "in all", *(f"copy in {_WORDS[name]}" for name in names), "of them exact")
        rows = []
        for part in names:
            exact = int(np.logical_or.reduce(list(self._exact[part].values())).sum())
            here = [number(int(self._any[part][other].sum())) for other in names]
            rows.append((_WORDS[part], number(self.copies.sizes[part]), *here, number(exact)))
        yield EvidenceTable("How many images of each part have a copy in which part", header, tuple(rows))
        across = [link for link in self._links if link not in self._differ and self._is_across(link)]
        within = [link for link in self._links if link not in self._differ and not self._is_across(link)]
        yield from self._gallery("Copies with different labels, side by side", self._different)
        yield from self._gallery("Copies in different parts, side by side", across)
        yield from self._gallery("Copies within a part, side by side", within)

    def _is_across(self, link: tuple[int, int, int]) -> bool:
        return self.copies.place(link[0])[0] != self.copies.place(link[1])[0]

    def _gallery(self, title: str, links: Sequence[tuple[int, int, int]]) -> Iterator[Gallery]:
        if links:
            rows = [row for link in links[:_SHOWN] for row in link[:2]]
            of = f": the first {_SHOWN} of {len(links):,} pairs" if len(links) > _SHOWN else ""
            yield Gallery(f"{title}{of}", tuple(self._shown(row) for row in rows), columns=8)

    def _shown(self, row: int) -> ShownImage:
        part, index = self.copies.place(row)
        image = np.asarray(self.parts[part][index])
        scale = self.subject.dataset.scale
        if scale != 255:
            image = np.rint(np.minimum(image * (255 / scale), 255)).astype(np.uint8)
        label = self._label(row)
        return ShownImage(image, f"{_WORDS[part]} {index:,}" + (f" · {label}" if label else ""))


def _nearest(copies: Copies, subject: AuditSubject) -> dict[str, Any] | None:
    """How many held-out images correlate with their nearest image to learn from, unmoved; None without any."""
    held_out = next((part for part in ("test", "validation") if part in copies.sizes), None)
    if held_out is None:
        return None
    part: PartName = "test" if held_out == "test" else "validation"
    rows = copies.rows(part)
    progress = partial(subject.progress, "correlating with the nearest images")
    values, _ = nearest_by_correlation(copies.small[rows], copies.small[rows.stop :], progress)
    above = {str(level): int((values > level).sum()) for level in _CORRELATIONS}
    return {"part": part, "images": len(values), "others": len(copies.small) - rows.stop, "above": above}


def _said(nearest: dict[str, Any] | None) -> Iterator[str]:
    if nearest is not None:
        counts = word_list(f"above {level} for {number(count)}" for level, count in nearest["above"].items())
        learned = "training image" if nearest["part"] == "validation" else "training or validation image"
        yield (
            f"The correlation of a {_WORDS[nearest['part']]} image with its nearest {learned}, unmoved, is {counts} "
            f"of {number(nearest['images'])}."
        )
