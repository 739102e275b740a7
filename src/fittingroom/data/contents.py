"""What a reader of files gives, and its checked contents: the one way from any form to arrays that can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.labels import named
from fittingroom.data.ranges import NOTED_DARK
from fittingroom.data.split import count_per_class, cut_test
from fittingroom.data.values import (
    DIGEST_BYTES,
    Digests,
    Images,
    Labels,
    fingerprint,
    image_blocks,
    image_digests,
    to_labels,
)
from fittingroom.errors import DataError
from fittingroom.text import word_list

_TEST_FRACTION = 0.15
"""The share of the images that becomes the test part of own data that came without one."""

_MOST_CLASSES = 10_000

NO_TEST_PART = "The data have no test part, so one was set aside"
"""How the note begins that says so."""

_FEW_LEVELS = 16
"""The largest value that is taken as white where no value of a dataset is above it, as in scikit-learn's digits."""

_UNEVEN = 4  # times as many images in the largest class as in the smallest: from here on it is worth a sentence
_LOOKED_AT = 64  # images, before all are compared
_FLAT = 0.05  # the share of images without anything in them from where on it is said

_SMALLEST_SIDE = 2
"""Pixels. A packed file of kilobytes can hold millions of images of one pixel, and each costs far more to check."""


@dataclass(frozen=True, eq=False)
class RawPart:
    """Images of one part and what their file says are their labels, not checked yet."""

    images: Any
    """As `Images`; pictures that are not decoded yet have at least its shape, and can be indexed by a mask."""
    labels: NDArray[Any]
    digests: Digests | None = None
    """Of the files that they came from; None for arrays."""


@dataclass(frozen=True, eq=False)
class RawDataset:
    """A dataset as a reader gives it, not checked yet.

    Attributes:
        train: with the images of the files' own validation part, if they have one, at the end.
        test: None if there is no test part; then one is cut off.
        source: where it was found, in words.
        classes: None if the files do not name them; then they are numbered.
        scale: what images are divided by to lie in 0 to 1.
        notes: sentences for the user about what was guessed or changed.
        given_validation: how many images at the end of `train` came as a validation part.
        test_fraction: the size of a test part that must be cut, as a fraction of all images.
        resize_rule: how pictures of other sizes were resized, or None.
        files: for each image of `train` the path of its file in the folder; empty where images have no files.
        test_files: the same of `test`.
        cut_by_source: whether a test part is cut by the files that images came from, where there are some, and not by
            their pixels, as the first versions did.
        decode: where the images of both parts are pictures that were not decoded yet, gives the images of pictures to
            learn from and of those to test, and sentences about what was changed in them.
    """

    train: RawPart
    test: RawPart | None
    source: str
    classes: tuple[str, ...] | None = None
    scale: float = 255.0
    notes: tuple[str, ...] = ()
    given_validation: int = 0
    test_fraction: float = _TEST_FRACTION
    resize_rule: str | None = None
    files: tuple[str, ...] = ()
    test_files: tuple[str, ...] = ()
    cut_by_source: bool = True
    decode: Callable[[Any, Any], tuple[Images, Images, tuple[str, ...]]] | None = None

    def checked(self) -> Contents:
        """The contents after every check that does not depend on which dataset it is.

        Raises:
            DataError: the numbers of images and labels differ, a label names no class, there is only one class or a
                class without training images, or the train and test images are the same.
        """
        with self._source_named():
            parts = _Parts.of(self)
        if self.decode is not None:
            images, test_images, changes = self.decode(parts.images, parts.test_images)
            notes = (*self.notes, *changes)
            parts = replace(parts, images=images, test_images=test_images)
            return replace(self, notes=notes, decode=None)._contents(parts)
        return self._contents(parts)

    @property
    def guesses(self) -> tuple[str, ...]:
        """The notes that may explain a missing class; those of a folder are about files that were skipped."""
        return self.notes if self.resize_rule is None else ()

    def _contents(self, parts: _Parts) -> Contents:
        with self._source_named():
            return parts.checked(self)

    @contextmanager
    def _source_named(self) -> Iterator[None]:
        """Puts where the data were found before the message of an error."""
        try:
            yield
        except DataError as error:
            raise DataError(f"{self.source}: {error}") from error


@dataclass(frozen=True, eq=False)
class Contents:
    """The checked contents of a dataset, as they are cached. For the attributes see `RawDataset`.

    `test_digests` are those of the files that the test images came from; there are none of arrays.
    """

    images: Images
    labels: Labels
    test_images: Images
    test_labels: Labels
    test_digests: Digests
    classes: tuple[str, ...]
    source: str
    scale: float
    notes: tuple[str, ...]
    given_validation: int
    resize_rule: str | None
    fingerprint: str
    test_fingerprint: str
    files: tuple[str, ...] = ()
    test_files: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Parts:
    """The images of a dataset, of pictures perhaps not decoded yet, divided into those to learn from and those to test.

    For the attributes see `Contents`. `notes` are about labels and the cut, not those of the files.
    """

    images: Any
    labels: Labels
    test_images: Any
    test_labels: Labels
    test_digests: Digests | None
    classes: tuple[str, ...]
    given_validation: int
    files: tuple[str, ...]
    test_files: tuple[str, ...]
    notes: tuple[str, ...]
    was_cut: bool

    @classmethod
    def of(cls, found: RawDataset) -> _Parts:
        """The parts as the files have them; where these have no test part, one is cut off."""
        if len(found.train.images) == 0:
            raise DataError("the train part has no images.")
        renamed = named(found.train.labels, None if found.test is None else found.test.labels, found.classes)
        labels = _checked_labels(RawPart(found.train.images, renamed.train), "train", renamed.classes)
        classes = renamed.classes or tuple(str(k) for k in range(int(labels.max()) + 1))
        if found.test is not None and renamed.test is not None:
            test = RawPart(found.test.images, renamed.test)
            return cls(
                images=found.train.images,
                labels=labels,
                test_images=test.images,
                test_labels=_checked_labels(test, "test", classes),
                test_digests=found.test.digests,
                classes=classes,
                given_validation=found.given_validation,
                files=found.files,
                test_files=found.test_files,
                notes=renamed.notes,
                was_cut=False,
            )
        _check_classes(labels, classes, found.guesses)
        images = found.train.images
        sources = found.train.digests if found.cut_by_source else None
        chosen = cut_test(images, labels, len(classes), found.test_fraction, sources)
        if not chosen.any():
            raise DataError(
                f"{len(labels):,} images of {len(classes):,} classes are too few to cut a test part from: each class "
                "keeps at least one to train on. Add images, or a test part."
            )
        note = (
            f"{NO_TEST_PART}: {int(chosen.sum()):,} of {len(chosen):,} images, "
            "stratified by class. Their content decides which, so they are the same each time."
        )
        given = found.given_validation
        return cls(
            images=images[~chosen],
            labels=labels[~chosen],
            test_images=images[chosen],
            test_labels=labels[chosen],
            test_digests=None if found.train.digests is None else found.train.digests[chosen],
            classes=classes,
            # The images of the files' own validation part stand at the end, and give their share to the test part, too.
            given_validation=given - int(chosen[len(chosen) - given :].sum()),
            files=tuple(compress(found.files, ~chosen)),
            test_files=tuple(compress(found.files, chosen)),
            notes=(*renamed.notes, note),
            was_cut=True,
        )

    def checked(self, found: RawDataset) -> Contents:
        """The contents, after the checks of the images."""
        images, labels, test_images, classes = self.images, self.labels, self.test_images, self.classes
        notes = [*found.notes, *self.notes, *([] if self.was_cut else _check_apart(images, test_images))]
        # A class that only validation has cannot be learned.
        learned = labels[: len(labels) - self.given_validation]
        _check_classes(learned, classes, found.guesses)
        scale, said = _scale_of(found, max(_highest(images), _highest(test_images)))
        notes += (*said, *_say_flat(images, found.notes))
        notes += _say_uneven(learned, classes)
        notes += _say_empty("validation", labels[len(learned) :], classes)
        notes += _say_empty("test", self.test_labels, classes)
        notes += _say_shared_images(images, len(learned), test_images)
        digests = self.test_digests
        return Contents(
            images=images,
            labels=labels,
            test_images=test_images,
            test_labels=self.test_labels,
            test_digests=np.empty((0, DIGEST_BYTES), np.uint8) if digests is None else digests,
            classes=classes,
            source=found.source,
            scale=scale,
            notes=tuple(notes),
            given_validation=self.given_validation,
            resize_rule=found.resize_rule,
            fingerprint=fingerprint(images, labels),
            test_fingerprint=fingerprint(test_images, self.test_labels),
            files=self.files,
            test_files=self.test_files,
        )


def _highest(images: Images) -> int:
    return max(int(block.max()) for block in image_blocks(images))


def _checked_labels(pairs: RawPart, part: str, classes: tuple[str, ...] | None) -> Labels:
    if len(pairs.images) == 0:
        raise DataError(f"the {part} part has no images.")
    height, width = pairs.images.shape[1:3]
    if min(height, width) < _SMALLEST_SIDE:
        raise DataError(
            f"the {part} part has images of {height}x{width} pixels; each side must have at least {_SMALLEST_SIDE}."
        )
    labels = to_labels(pairs.labels, f"the {part} part", len(classes) if classes else _MOST_CLASSES)
    if len(labels) != len(pairs.images):
        raise DataError(
            f"the {part} part has {len(pairs.images):,} images but {len(labels):,} labels; expected one label for "
            "each image. Are files of two parts or two datasets mixed?"
        )
    return labels


def _scale_of(found: RawDataset, highest: int) -> tuple[float, list[str]]:
    """What images are divided by, by their largest value, and what should be said about it."""
    if found.scale != 255 or highest > 255 * NOTED_DARK:
        return found.scale, []
    if found.resize_rule is None and highest <= _FEW_LEVELS:
        return float(highest or 255), [
            f"No value of the images is above {highest}, so {highest} is taken as white: they are divided by {highest}."
        ]
    return found.scale, [
        f"The images are nearly black: no value is above {highest} of 255, and a model learns less from that. "
        f"If they are not meant to be dark, multiply their values by {255 / max(highest, 1):.3g}."
    ]


def _say_flat(images: Images, changes: Sequence[str]) -> list[str]:
    """Counts the images in which nothing shows.

    Raises:
        DataError: all images are the same.
    """
    if (images[:_LOOKED_AT] == images[0]).all() and all((block == images[0]).all() for block in image_blocks(images)):
        raise DataError(
            f"all {len(images):,} training images are the same, pixel for pixel"
            + (f" (each value is {images.flat[0]})" if (images[0] == images.flat[0]).all() else "")
            + ", so there is nothing to learn. Look at them: was something lost when they were saved or converted?"
            + "".join(f" {change}" for change in changes)
        )
    flat = sum(_count_flat(block) for block in image_blocks(images))
    if flat < _FLAT * len(images):
        return []
    which = f"All {flat:,}" if flat == len(images) else f"{flat:,} of {len(images):,}"
    return [f"{which} training images have one colour throughout: nothing shows in them."]


def _count_flat(images: Images) -> int:
    """How many images have the colour of their first pixel throughout; few are looked at beyond their first row."""
    pixels = tuple(range(1, images.ndim))
    maybe = images[(images[:, :1] == images[:, :1, :1]).all(axis=pixels)]
    return int((maybe == maybe[:, :1, :1]).all(axis=pixels).sum())


def _check_classes(labels: Labels, classes: tuple[str, ...], guesses: Sequence[str]) -> None:
    """Refuses classes that cannot be learned; what was guessed or left out of the files may be the cause."""
    if len(classes) < 2:
        raise DataError(
            f"there is only one class ({classes[0]!r}); a classifier needs at least two."
            + "".join(f" {guess}" for guess in guesses)
        )
    counts = count_per_class(labels, len(classes))
    empty = [repr(name) for name, count in zip(classes, counts, strict=True) if count == 0]
    if empty:
        gaps = " and number the others without gaps" if all(name.isdecimal() for name in classes) else ""
        raise DataError(
            f"{len(empty)} of {len(classes)} classes have no training image: "
            f"{word_list(empty, most=5)}. Add images, or leave the class out everywhere{gaps}."
        )


def _check_apart(images: Images, test_images: Images) -> list[str]:
    """Compares the two parts as wholes; a sentence if they look swapped."""
    if images.shape[1:] != test_images.shape[1:]:
        raise DataError(
            f"train images have the shape {images.shape[1:]} and test images {test_images.shape[1:]}; "
            "expected the same size and colours in both."
        )
    if len(images) == len(test_images) and all(
        np.array_equal(one, other) for one, other in zip(image_blocks(images), image_blocks(test_images), strict=True)
    ):
        raise DataError(
            "the train and test images are identical. Use other images for testing, or leave the test part out, "
            "so that one is set aside."
        )
    if len(test_images) > len(images):
        return [
            f"The test part ({len(test_images):,} images) is larger than the train part ({len(images):,}): "
            "are they swapped?"
        ]
    return []


def _say_uneven(labels: Labels, classes: tuple[str, ...]) -> list[str]:
    """A sentence where the largest class has several times as many training images as the smallest, and what helps."""
    counts = count_per_class(labels, len(classes))
    most, least = max(counts), min(counts)
    if not least or most < _UNEVEN * least:
        return []
    large, small = classes[counts.index(most)], classes[counts.index(least)]
    return [
        f"The classes are uneven: {most:,} images of {large!r} and {least:,} of {small!r}. A model may score well and "
        f"hardly ever name {small!r}, so look at each class's own score (`fittingroom explain`). More images of the "
        "small classes help, or weights for them: --set class_weight=balanced (class_weight='balanced' in Python)."
    ]


def _say_empty(part: str, labels: Labels, classes: tuple[str, ...]) -> list[str]:
    counts = count_per_class(labels, len(classes))
    empty = [name for name, count in zip(classes, counts, strict=True) if count == 0]
    return [f"The {part} part has no image of {word_list(empty, most=10)}."] if empty and len(labels) else []


def _say_shared_images(images: Images, learned: int, test_images: Images) -> list[str]:
    """Counts the test images that are also in training, where they test memory, or in the files' validation part."""
    known, tested = list(image_digests(images)), list(image_digests(test_images))
    notes = []
    for part, digests in (("training", set(known[:learned])), ("validation", set(known[learned:]))):
        shared = sum(digest in digests for digest in tested)
        if shared:
            notes.append(
                f"{shared:,} of {len(test_images):,} test images are also among the {part} images, pixel for pixel."
            )
    return notes
