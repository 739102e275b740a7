"""Which data a run was trained on, as its record says, and how the same data are loaded again."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from fittingroom.data.ranges import ANY_VALUES, ValueRange
from fittingroom.errors import RunError
from fittingroom.runs.json_files import known_fields, number

if TYPE_CHECKING:
    from fittingroom.data.dataset import Dataset

_LARGEST_IMAGE = 2**26
"""Numbers in one image. A model is built for images of the recorded shape, whatever its file has of them."""


@dataclass(frozen=True)
class DataRecord:
    """Which data a run was trained on, and how to load them again.

    Args:
        name: the dataset's name.
        fingerprint: of the training and validation data, as `Dataset.fingerprint`; empty for plain arrays.
        test_fingerprint: of the sealed test set, as `SealedTestSet.fingerprint`; empty where there is none.
        classes: class names, in the order of the labels.
        image_shape: `(height, width)` or `(height, width, 3)`.
        scale: what images are divided by to lie in 0 to 1.
        counts: part (`train`, `validation`, `test`) -> number of images.
        load: the arguments of `fittingroom.data.load.load` that give the same data; None for plain arrays.
        values: the range of the training images' values, for plain arrays; None for a dataset, whose raw pixels go from
            0 to `scale`, and for arrays of runs from before it was recorded.
    """

    name: str
    fingerprint: str
    test_fingerprint: str
    classes: tuple[str, ...]
    image_shape: tuple[int, ...]
    scale: float
    counts: Mapping[str, int]
    load: Mapping[str, Any] | None
    values: ValueRange | None = None

    @classmethod
    def of(cls, dataset: Dataset) -> DataRecord:
        """What a run records of a dataset."""
        held_out = 0 if dataset.validation is None else len(dataset.validation)
        return cls(
            name=dataset.name,
            fingerprint=dataset.fingerprint,
            test_fingerprint=dataset.test.fingerprint,
            classes=dataset.classes,
            image_shape=dataset.image_shape,
            scale=dataset.scale,
            counts={"train": len(dataset.train), "validation": held_out, "test": len(dataset.test)},
            load=dataset.arguments,
        )

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> DataRecord:
        """The record of data from plain JSON; raises whatever a damaged one makes it raise."""
        classes, shape = tuple(stored["classes"]), tuple(stored["image_shape"])
        for name in classes:
            if not isinstance(name, str) or any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
                raise ValueError(f"the name of a class must be printable text, got {name!r}")
        if not all(_is_count(side) and side for side in shape) or math.prod(shape) > _LARGEST_IMAGE:
            raise ValueError(f"image_shape must be whole numbers of pixels, got {list(shape)!r}")
        if not number(stored["scale"]) > 0:
            raise ValueError(f"scale must be a number above 0, got {stored['scale']!r}")
        counts, load = dict(stored["counts"]), stored["load"]
        if not all(_is_count(counts[part]) for part in ("train", "validation", "test")):
            raise ValueError(f"counts must be whole numbers of images, got {counts!r}")
        if not (load is None or isinstance(load, dict)):
            raise ValueError(f"load must be an object or null, got {load!r}")
        texts = {name: str(stored[name]) for name in ("name", "fingerprint", "test_fingerprint")}
        if load is not None and load.keys() & {"aspect", "color_mode"}:
            from fittingroom.data.resizing import Resizing

            Resizing.recorded(load)  # checks them
        if load is not None and load.keys() & {"exclude", "relabel"}:
            from fittingroom.data.listed_changes import check_recorded

            for name in load.keys() & {"exclude", "relabel"}:
                check_recorded(name, load[name])
        values = None if stored.get("values") is None else ValueRange.from_dict(stored["values"])
        facts = {"classes": classes, "image_shape": shape, "counts": counts, "values": values}
        return known_fields(cls, {**stored, **texts, **facts})

    @property
    def public_name(self) -> str:
        """The dataset's name as anybody may see it, without the folders that it lies in."""
        return public_name(self.name)

    @property
    def aspect(self) -> str:
        """How the pictures of a folder were resized, a key of `data.resizing.RESIZE_RULES`."""
        return str((self.load or {}).get("aspect", "pad"))

    @property
    def has_test_set(self) -> bool:
        """Whether there is a sealed test set: plain arrays have none."""
        return bool(self.test_fingerprint) and self.counts["test"] > 0

    @property
    def uses_all(self) -> bool:
        """Whether every picture of its dataset was learned from, as by a run that was taught."""
        return self.load is not None and not self.test_fingerprint

    @property
    def as_given(self) -> bool:
        """Whether `fit` was given plain arrays, which went into the model as they are."""
        return self.load is None and self.scale == 1.0

    @property
    def range(self) -> ValueRange:
        """The values that the model takes: those of a dataset's raw pixels, or of the arrays that `fit` was given."""
        return (self.values or ANY_VALUES) if self.as_given else ValueRange.of_scale(self.scale)

    @property
    def picture_shape(self) -> tuple[int, ...]:
        """`(height, width)` or `(height, width, 3)` of a picture that has exactly the model's numbers.

        It is the image shape without an axis of one channel, or that of a square picture whose rows lie in one row.
        Where there is none, it is the image shape as it is.
        """
        shape = self.image_shape
        if len(shape) == 3 and shape[2] == 1:
            return shape[:2]
        if len(shape) != 1:
            return shape
        for channels in ((), (3,)):
            side = math.isqrt(shape[0] // math.prod(channels))
            if side * side * math.prod(channels) == shape[0]:
                return (side, side, *channels)
        return shape

    @property
    def takes_pictures(self) -> bool:
        """Whether its images are grey or RGB, and it is known which values stand for a picture's black and white."""
        shape = self.picture_shape
        return self.range.white is not None and (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3))

    def load_again(self, place: str | Dataset | None = None) -> Dataset:
        """The dataset that is recorded, made sure to be the same.

        Args:
            place: where it is now, as `load` takes it, or the dataset itself; None for where it was.

        Raises:
            RunError: the run was trained on plain arrays, or the data have changed since.
            DataError: the dataset cannot be loaded.
        """
        from fittingroom.data.dataset import Dataset

        if self.load is None:
            raise RunError(
                "This run was trained on plain arrays, so there is no sealed test set to open. Train on a dataset "
                "(fittingroom.load) to have one, or score arrays of your own with run.predict(images)."
            )
        if self.uses_all:
            raise RunError(
                f"This run was taught by all photos in {self.name.partition(':')[2]}, so there is no "
                "sealed test set to open. Score it on other photos in folders of the same names: --on FOLDER, or "
                "evaluate(on=FOLDER)."
            )
        try:
            dataset = place if isinstance(place, Dataset) else _loaded(self, place)
        except (TypeError, AttributeError) as error:
            raise RunError(f"run.json is damaged: its data cannot be loaded with {self.load!r}.") from error
        if not _is_same(dataset, self):
            raise RunError(
                f"The dataset {dataset.name} is not the one that this run was trained on"
                + (": its images or labels have changed since." if place is None else f", {self.name}.")
                + " Restore the old files (if they moved, --data DATASET names their place), or train again."
            )
        return dataset

    def load_unasked(self, path: Path) -> Dataset:
        """The dataset of a run that keeps no images, for what nobody asked to open a dataset for: answers and pages.

        Runs of older versions keep none. A record may name any folder of this machine, which must not be decoded
        because a file from elsewhere says so: only what everybody has is loaded.

        Args:
            path: the run folder.

        Raises:
            RunError: it is not to be loaded, or is not the same any more.
            DataError: it cannot be loaded.
        """
        from fittingroom.data.catalogue import CATALOGUE

        if self.load is not None and (self.name not in CATALOGUE or self.load.get("data_dir") is not None):
            raise RunError(
                f"{path} was trained by an older version, which stored no images, and {self.name} is not opened "
                "unasked. Name the dataset: --data DATASET, or run.use_data(DATASET)."
            )
        return self.load_again()


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40


def _loaded(data: DataRecord, place: str | None) -> Dataset:
    """The dataset, a folder by today's rules or, where that gives another one, by those of the first versions.

    These named no size where none was asked for, so a run that has none was left behind by them.
    """
    from fittingroom.data.load import load

    arguments = _arguments(data.load or {}, place)
    if not data.name.startswith("folder:"):
        return load(**arguments)
    sized = arguments.get("image_size") is not None
    dataset = load(**arguments) if sized else None
    if dataset is not None:
        resized = any(arguments.get(key) is not None for key in ("aspect", "color_mode"))
        if resized or _is_same(dataset, data):  # the first versions knew neither
            return dataset
    before = load(**arguments, first_rules=True)
    return before if dataset is None or _is_same(before, data) else dataset


def public_name(dataset: str) -> str:
    """The name of a dataset without the folders that it lies in: `folder:shoes` of `folder:/home/me/shoes`."""
    form, colon, place = dataset.partition(":")
    return f"{form}:{PurePath(place).name}" if colon else PurePath(dataset).name


def _is_same(dataset: Dataset, data: DataRecord) -> bool:
    return (dataset.fingerprint, dataset.test.fingerprint) == (data.fingerprint, data.test_fingerprint)


def _arguments(stored: Mapping[str, Any], place: str | None) -> dict[str, Any]:
    from fittingroom.data.find import is_resized

    arguments = dict(stored)
    if place is not None:
        arguments |= {"name": place, "data_dir": None}
        if not is_resized(place):
            arguments |= dict.fromkeys(("image_size", "aspect", "color_mode"))  # its images have a size
    if arguments.get("data_dir") is not None:
        arguments["data_dir"] = Path(arguments["data_dir"])
    if arguments.get("image_size") is not None:
        arguments["image_size"] = tuple(arguments["image_size"])
    return arguments
