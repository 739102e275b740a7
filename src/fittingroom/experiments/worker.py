"""Training a cell in a worker process of a cluster: its data come as arrays, and its run goes back as bytes.

Nothing is read from the worker's disk but a model file that the recipe names, and nothing is left on it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from fittingroom.data.catalogue import DatasetInfo
from fittingroom.data.dataset import Dataset, Part, SealedTestSet
from fittingroom.errors import DataError, RecipeError
from fittingroom.experiments.store import Failure
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.images import PREFIX


@dataclass(frozen=True)
class PackedDataset:
    """A dataset as it goes to workers. Of the test set only the size and the fingerprint go with it.

    Args:
        arrays: images and labels to learn from, then those to validate on.
        facts: the other attributes of the dataset that training needs.
        test: fingerprint of the test set, and how many images of each class it has.
        files: the picture file of each image to validate on; empty where they came from none.
    """

    arrays: tuple[Any, ...]
    facts: Mapping[str, Any]
    test: tuple[str, tuple[int, ...]]
    files: tuple[str, ...] = ()

    @classmethod
    def of(cls, dataset: Dataset) -> PackedDataset:
        """A dataset, packed; it has validation images, since an experiment compares on them."""
        train, validation = dataset.train, dataset.validation or dataset.train
        arrays = (train.images, train.labels, validation.images, validation.labels)
        names = ("name", "classes", "image_shape", "source", "fingerprint", "split_seed", "notes", "scale")
        facts = {name: getattr(dataset, name) for name in names} | {"arguments": dict(dataset.arguments)}
        return cls(
            tuple(np.ascontiguousarray(array) for array in arrays),
            facts,
            (dataset.test.fingerprint, dataset.test.counts()),
            validation.files,
        )

    def unpacked(self) -> Dataset:
        """The dataset, whose test set cannot be opened."""
        images, labels, held_out_images, held_out_labels = self.arrays
        classes, scale = self.facts["classes"], self.facts["scale"]
        return Dataset(
            train=Part(images, labels, classes, scale),
            validation=Part(held_out_images, held_out_labels, classes, scale, self.files),
            test=_TestSetElsewhere(*self.test),
            info=DatasetInfo(self.facts["name"]),
            **self.facts,
        )


class _TestSetElsewhere(SealedTestSet):
    """What a worker knows of the test set."""

    __slots__ = ("_counts",)

    def __init__(self, fingerprint: str, counts: tuple[int, ...]) -> None:
        self.fingerprint = fingerprint
        self._counts = counts
        self._openings = []

    def open(self, reason: str) -> NoReturn:
        """Raises DataError: there is nothing here to be opened."""
        del reason
        raise DataError("the test set is not sent to workers: training needs none of it.")

    @property
    def count(self) -> int:
        """The number of test images."""
        return sum(self._counts)

    def counts(self) -> tuple[int, ...]:
        """The number of test images of each class."""
        return self._counts


@dataclass(frozen=True)
class TrainedCell:
    """What a worker sends back.

    Args:
        files: path in the run's folder -> contents; empty where there is no run.
        failure: why training has failed; None if it has not.
    """

    files: Mapping[str, bytes]
    failure: Failure | None = None


def train_cells(data: PackedDataset, recipe: Recipe, digest: str, seeds: tuple[int, ...]) -> TrainedCell:
    """Trains a recipe with some seeds, and gives the run's files.

    Args:
        data: what to train on.
        recipe: what to train.
        digest: the recipe's digest where the experiment is, which has the contents of a model file in it.
        seeds: those to train.
    """
    from fittingroom.api.training import train
    from fittingroom.progress import Silent

    with tempfile.TemporaryDirectory(prefix="fittingroom-worker-") as place:
        run, failure = Path(place) / "run", None
        try:
            _check_same(recipe, digest)
            train(data.unpacked(), recipe, seeds=seeds, out=run, progress=Silent())
        except Exception as error:  # as in `local.py`
            failure = Failure.of(error)
        files = {
            path.relative_to(run).as_posix(): path.read_bytes()
            for path in run.rglob("*")
            # The images of all replicas are the run's own.
            if path.is_file() and (path.parent == run or not path.name.startswith(PREFIX))
        }
        return TrainedCell(files, failure)


def _check_same(recipe: Recipe, digest: str) -> None:
    if recipe.digest() != digest:
        raise RecipeError(
            f"the model file {recipe.model} is another one on this machine than where the experiment was started. "
            "Workers read it where the recipe names it: put the same file there on all machines."
        )
