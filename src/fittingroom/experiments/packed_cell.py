"""A cell as it goes to a worker, and what comes back: data as arrays, runs as bytes, so that no file system is shared.

Of the test set only its size and its fingerprint go along.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from fittingroom.data.catalogue import DatasetInfo
from fittingroom.data.dataset import Dataset, Part, SealedTestSet
from fittingroom.errors import DataError, RecipeError
from fittingroom.experiments.experiment_store import Failure
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

    def save(self, folder: Path) -> None:
        """Writes it into a folder of its own, from which `mapped` has it in any process of this machine."""
        folder.mkdir(parents=True)
        for number, array in enumerate(self.arrays):
            np.save(folder / f"{number}.npy", array)
        facts = {"facts": dict(self.facts), "test": self.test, "files": self.files, "arrays": len(self.arrays)}
        (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")

    @classmethod
    def mapped(cls, folder: Path) -> PackedDataset:
        """What `save` wrote; the arrays stay on the disk until they are read, and processes share their memory."""
        stored = json.loads((folder / "facts.json").read_text("utf-8"))
        facts = stored["facts"]
        facts |= {name: tuple(facts[name]) for name in ("classes", "image_shape", "notes")}
        name, counts = stored["test"]
        arrays = tuple(np.load(folder / f"{number}.npy", mmap_mode="r") for number in range(stored["arrays"]))
        return cls(arrays, facts, (name, tuple(counts)), tuple(stored["files"]))

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


class _Meter:
    """Measures the cost of what follows."""

    def __init__(self) -> None:
        with suppress(OSError):  # Linux alone can begin a new peak; else the peak since the process began must do
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        self._before = _memory("VmRSS")
        self._clock, self._cores = time.perf_counter(), time.process_time()

    def cost(self) -> dict[str, Any]:
        """The cost so far: seconds by the clock, seconds of all cores, and the most bytes in memory at once.

        The bytes are those beyond what the process had before; None where the system does not tell.
        """
        seconds, core_seconds = time.perf_counter() - self._clock, time.process_time() - self._cores
        peak = _memory("VmHWM")
        memory = None if peak is None or self._before is None else max(peak - self._before, 0)
        return {"seconds": seconds, "core_seconds": core_seconds, "memory": memory}


def _memory(name: str) -> int | None:
    """A number of bytes that Linux tells about this process; None elsewhere."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return None


@dataclass(frozen=True)
class TrainedCell:
    """What a worker sends back.

    Args:
        files: path in the run's folder -> contents; empty where there is no run.
        failure: why training has failed; None if it has not.
        cost: what it took; None where that was not measured.
    """

    files: Mapping[str, bytes]
    failure: Failure | None = None
    cost: Mapping[str, Any] | None = None


def train_packed(
    data: PackedDataset, recipe: Recipe, digest: str, seeds: tuple[int, ...], *, trust: bool = False
) -> TrainedCell:
    """Trains a recipe with some seeds, and gives the run's files.

    Args:
        data: the dataset, without its test set.
        recipe: the recipe to train.
        digest: the recipe's digest where the experiment is, which has the contents of a model file in it.
        seeds: the seeds to train.
        trust: whether an estimator of the user's own may be run.
    """
    from fittingroom.api.train import train
    from fittingroom.progress import Progress

    with tempfile.TemporaryDirectory(prefix="fittingroom-worker-") as place:
        run, failure, meter = Path(place) / "run", None, _Meter()
        try:
            _check_same(recipe, digest)
            train(data.unpacked(), recipe, seeds=seeds, out=run, trust=trust, progress=Progress())
        except Exception as error:  # as in `Executor.train`
            failure = Failure.of(error)
        cost = meter.cost()
        files = {
            path.relative_to(run).as_posix(): path.read_bytes()
            for path in run.rglob("*")
            # The images of each seed are links to the run's own.
            if path.is_file() and (path.parent == run or not path.name.startswith(PREFIX))
        }
        return TrainedCell(files, failure, cost)


def _check_same(recipe: Recipe, digest: str) -> None:
    if recipe.digest() != digest:
        raise RecipeError(
            f"the file of {recipe.model or recipe.estimator} is another one on this machine than where the experiment "
            "was started. "
            "Workers read it where the recipe names it: put the same file there on all machines."
        )
