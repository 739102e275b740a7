"""A dataset as training sees it: a part to learn from, perhaps a part to validate on, and a sealed test set."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.catalogue import CATALOGUE, DatasetInfo, entry_with
from fittingroom.data.split import count_per_class
from fittingroom.data.values import Digests, Images, Labels, fingerprint, source_fingerprint
from fittingroom.errors import DataError

ArrayT = TypeVar("ArrayT", bound=NDArray[Any])


def read_only(array: ArrayT) -> ArrayT:
    """A view of an array through which nothing can be changed."""
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, eq=False)
class Part:
    """Images with their labels: what a model learns from, or is validated on.

    Attributes:
        images: uint8, `(n, height, width)` grey or `(n, height, width, 3)` RGB, as stored; read-only, and perhaps a
            memory map. Those of a large folder are a `data.stored_images.StoredImages`: they are indexed as an array
            is, and stay on the disk.
        labels: int32, `(n,)`, positions in `classes`; read-only.
        classes: the names of the classes.
        scale: what images are divided by to become model input in 0 to 1: 255 for 8-bit pictures, 16 for `digits`.
        files: the picture file of each image, as its path in the dataset's folder; empty where images have no files.
        rows: int64, `(n,)`, the position of each image in the files' own training part, which is the same with every
            split seed and every list of exclusions; None for a part of something else.

    Raises:
        DataError: images and labels have another type or shape, or their numbers differ.
    """

    images: Images
    labels: Labels
    classes: tuple[str, ...]
    scale: float = 255.0
    files: tuple[str, ...] = ()
    rows: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim not in {3, 4}:
            raise DataError(
                f"images are {self.images.dtype} of shape {self.images.shape}; expected uint8 of shape "
                "(n, height, width) or (n, height, width, 3)."
            )
        if self.labels.dtype != np.int32 or self.labels.shape != self.images.shape[:1]:
            raise DataError(
                f"labels are {self.labels.dtype} of shape {self.labels.shape}; expected int32 of shape "
                f"({len(self.images)},), one for each image."
            )
        if self.files and len(self.files) != len(self.labels):
            raise DataError(
                f"there are {len(self.files):,} file names for {len(self.labels):,} images; expected one each."
            )
        if self.rows is not None and len(self.rows) != len(self.labels):
            # Whoever replaces images and labels by some of them has no positions for those, and needs none to train.
            object.__setattr__(self, "rows", None)
        if isinstance(self.images, np.ndarray):
            object.__setattr__(self, "images", read_only(self.images))
        object.__setattr__(self, "labels", read_only(self.labels))

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Part({len(self):,} images {self.images.shape[1:]}, {len(self.classes)} classes)"

    def _repr_html_(self) -> str:
        from fittingroom.data.dataset_card import DatasetCard

        return DatasetCard(self).html(f"{len(self):,} images", {"images": self.counts()})

    @property
    def x(self) -> NDArray[np.float32]:
        """The images as model input: float32 of the same shape, divided by `scale`. A new array at each access."""
        return np.divide(np.asarray(self.images), np.float32(self.scale), dtype=np.float32)

    @property
    def y(self) -> Labels:
        """The labels, under the name that Keras users give them."""
        return self.labels

    def counts(self) -> tuple[int, ...]:
        """The number of images of each class, in the order of `classes`."""
        return count_per_class(self.labels, len(self.classes))


@dataclass(frozen=True)
class Opening:
    """One opening or inspection of a sealed test set: when (UTC), why, and of which images.

    `fingerprint` is that of the images as the model sees them, `source_fingerprint` that of what they were before.
    """

    time: datetime.datetime
    reason: str
    fingerprint: str
    count: int
    source_fingerprint: str


class SealedTestSet:
    """The test part of a dataset: it has its size and its counts, but no image or label until it is opened.

    Every opening is recorded before anything is handed out: in `openings`, and through `recorder` if there is one. A
    recorder that raises keeps the test set closed. An inspection, which hands out images without labels, needs an
    `inspector` that records it.

    Args:
        part: what is sealed.
        fingerprint: the fingerprint of the part's images and labels.
        recorder: called with each opening.
        digests: of the files that the images came from; None for arrays.
        looks: gives in words how often the test set was looked at, for the fingerprints that it is known by.
        inspector: called with each inspection; None where nothing can record one.
    """

    __slots__ = ("_digests", "_inspections", "_inspector", "_looks", "_openings", "_part", "_recorder", "fingerprint")

    def __init__(
        self,
        part: Part,
        fingerprint: str,
        recorder: Callable[[Opening], None] | None = None,
        digests: Digests | None = None,
        looks: Callable[[frozenset[str]], str] | None = None,
        inspector: Callable[[Opening], None] | None = None,
    ) -> None:
        self._part = part
        self._inspector = inspector
        self._inspections: list[Opening] = []
        self._looks = looks
        self._digests = digests
        self._recorder = recorder
        self._openings: list[Opening] = []
        self.fingerprint = fingerprint

    def open(self, reason: str) -> Part:
        """The test images and labels, after the opening was recorded.

        Raises:
            DataError: the reason is empty, or the images are not those that were loaded.
        """
        if not reason.strip():
            raise DataError("the test set was opened without a reason. Say what its score is for: test.open('...').")
        opening = self._opening(reason)
        if self._recorder is not None:
            self._recorder(opening)
        self._openings.append(opening)
        return self._part

    def inspect(self, reason: str) -> Images:
        """The test images without labels and file names, after the inspection was recorded. It is not a look.

        For checks of the data, which compare test images with training images, and never for a score: no label is
        handed out, so none can be computed.

        Returns:
            uint8, `(n, height, width)` or `(n, height, width, 3)`, read-only; a `StoredImages` for a large folder.

        Raises:
            DataError: the reason is empty, nothing can record the inspection, or the images are not those that were
                loaded.
        """
        if not reason.strip():
            raise DataError("the test set was inspected without a reason. Say what it is for: test.inspect('...').")
        if self._inspector is None:
            raise DataError(
                "nothing records inspections of this test set, so its images stay sealed. Load the dataset with "
                "fittingroom.load, which records them in the ledger."
            )
        inspection = self._opening(reason)
        self._inspector(inspection)
        self._inspections.append(inspection)
        return self._part.images

    def _opening(self, reason: str) -> Opening:
        """What is recorded of an opening or inspection at this moment."""
        part = self._part
        # From the arrays that are handed out, since a fingerprint from a file proves nothing about them.
        if fingerprint(part.images, part.labels) != self.fingerprint:
            raise DataError("the test images have changed since they were loaded. Load them again.")
        return Opening(datetime.datetime.now(datetime.UTC), reason, self.fingerprint, len(self), self._source())

    def _source(self) -> str:
        """What the ledger knows this test part by: of images that are made from another test part, that one."""
        from fittingroom.data.made.made_entries import SOURCES_OF_TEST_PARTS  # of those who open test parts alone

        own = source_fingerprint(self._part.images, self._part.labels, self._digests)
        return SOURCES_OF_TEST_PARTS.get(own, own)

    @property
    def openings(self) -> tuple[Opening, ...]:
        """The openings of this object so far, the oldest first."""
        return tuple(self._openings)

    @property
    def inspections(self) -> tuple[Opening, ...]:
        """The inspections of this object so far, the oldest first."""
        return tuple(self._inspections)

    @property
    def count(self) -> int:
        """The number of test images."""
        return len(self._part)

    def __len__(self) -> int:
        return self.count

    def counts(self) -> tuple[int, ...]:
        """The number of test images of each class."""
        return self._part.counts()

    def __repr__(self) -> str:
        here = f"{self.count:,} images, opened {len(self._openings)} times"
        if self._looks is None:
            return f"SealedTestSet({here})"
        return f"SealedTestSet({here} from here; {self._looks(frozenset({self.fingerprint, self._source()}))})"

    if not TYPE_CHECKING:  # else type checkers would take any attribute, also `images`

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(
                f"a sealed test set has no {name!r}: it gives nothing until it is opened. "
                "Use test.open('why') to get its images and labels; the opening is recorded."
            )

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise DataError(
            "a sealed test set can be neither copied nor pickled, because a copy could be opened unseen. "
            "Load the dataset again where it is needed, or use test.open('why')."
        )

    def recorded(
        self,
        recorder: Callable[[Opening], None],
        looks: Callable[[frozenset[str]], str] | None = None,
        inspector: Callable[[Opening], None] | None = None,
    ) -> SealedTestSet:
        """The same sealed test set, whose openings are recorded by `recorder` alone. Both list them in `openings`.

        `looks` says how often it was looked at and `inspector` records inspections, as `SealedTestSet` has them.
        """
        other = SealedTestSet(
            self._part,
            self.fingerprint,
            recorder,
            self._digests,
            looks or self._looks,
            inspector or self._inspector,
        )
        other._openings, other._inspections = self._openings, self._inspections
        return other

    def joined(self, parts: Sequence[Part]) -> SealedTestSet:
        """This test set and the images of other parts before it as one, sealed too."""
        whole = [*parts, self._part]
        images = _joined([part.images for part in whole])
        labels = np.concatenate([part.labels for part in whole])
        part = Part(images, labels, self._part.classes, self._part.scale)
        return SealedTestSet(part, fingerprint(images, labels))

    def is_among(self, folder: Path, files: Set[Path]) -> bool:
        """Whether some files are those of all test images of a dataset in a folder; their names are not handed out."""
        return bool(self._part.files) and all(folder / name in files for name in self._part.files)


def _joined(several: Sequence[Any]) -> Any:
    """Images in a row, which stay on the disk where some of them do."""
    if all(isinstance(images, np.ndarray) for images in several):
        return np.concatenate(several)
    from fittingroom.data.stored_images import StoredImages  # for large folders alone

    return StoredImages.joined(several)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Named images and labels, with the test part sealed.

    `data.train.images` are the raw uint8 pixels, `data.train.x` the same as float32 model input in 0 to 1.

    Attributes:
        name: as `load` takes it; for own data the path in it is absolute.
        train: what a model learns from.
        validation: cut from the training part by `split_seed`, or None.
        test: sealed.
        classes: the names of the classes.
        image_shape: `(height, width)` or `(height, width, 3)`.
        source: how it was found.
        fingerprint: of all training and validation images and labels, before the split, and of what lists change.
        split_seed: the seed of the split.
        notes: sentences for the user about these data.
        scale: see `Part`.
        info: licence, homepage, citation, published checksums.
        arguments: those with which `load` loads the same data again, as JSON values.
    """

    name: str
    train: Part
    validation: Part | None
    test: SealedTestSet
    classes: tuple[str, ...]
    image_shape: tuple[int, ...]
    source: str
    fingerprint: str
    split_seed: int
    notes: tuple[str, ...]
    scale: float
    info: DatasetInfo
    arguments: Mapping[str, Any]

    @property
    def family(self) -> str:
        """What this dataset shares with all others that are made from the same source; for own data, its name.

        Statements about the next dataset count families, since two datasets of one family are hardly two witnesses.
        """
        known = CATALOGUE.get(self.name) or entry_with(self.fingerprint, self.test.fingerprint)
        return self.name if known is None else known.family

    def _repr_html_(self) -> str:
        from fittingroom.data.dataset_card import DatasetCard

        counts = {
            "training": self.train.counts(),
            **({} if self.validation is None else {"validation": self.validation.counts()}),
            "test, sealed": self.test.counts(),
        }
        size = " × ".join(map(str, self.image_shape))
        return DatasetCard(self.train).html(f"<b>{escape(self.name)}</b>, {size} pixels", counts)

    def describe(self) -> dict[str, Any]:
        """All that is known without opening the test set, as JSON types.

        `counts` has for each part its `total` and the number of images `per_class`, in the order of `classes`; the
        parts are `train`, `validation` (None if there is none) and `test`.
        """

        def counts(part: Part | SealedTestSet) -> dict[str, Any]:
            return {"total": len(part), "per_class": list(part.counts())}

        info = self.info
        return {
            "name": self.name,
            "title": info.title,
            "about": info.about,
            "family": self.family,
            "classes": list(self.classes),
            "image_shape": list(self.image_shape),
            "scale": self.scale,
            "counts": {
                "train": counts(self.train),
                "validation": counts(self.validation) if self.validation is not None else None,
                "test": counts(self.test),
            },
            "split_seed": self.split_seed,
            "source": self.source,
            "licence": info.licence,
            "homepage": info.homepage,
            "citation": info.citation,
            "checksums": {name: f"md5:{value}" for name, value in info.checksums.items()},
            "fingerprint": self.fingerprint,
            "test_fingerprint": self.test.fingerprint,
            "resize_rule": info.resize_rule,
            "notes": list(self.notes),
        }
