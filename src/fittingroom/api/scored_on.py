"""Runs scored on the test set of another dataset, such as one that a teacher keeps back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from fittingroom.api import openings
from fittingroom.data.contents import NO_TEST_PART
from fittingroom.data.dataset import Dataset, Part
from fittingroom.data.find import is_resized
from fittingroom.data.load import load
from fittingroom.errors import DataError, RunError
from fittingroom.evaluation.luck import Reuse, TestResult
from fittingroom.evaluation.scores import Scores
from fittingroom.runs.data_record import DataRecord
from fittingroom.runs.looks import OtherTestSet, Standings
from fittingroom.runs.record import RunRecord
from fittingroom.text import amount, points, word_list


class _Seed(Protocol):
    """A run of one seed, `api.run.Run`."""

    @property
    def path(self) -> Path:
        """Its folder."""

    @property
    def record(self) -> RunRecord:
        """What it says."""

    def forward(self) -> object:
        """Its model, ready."""

    def score(self, part: Part) -> Scores:
        """Its scores on images."""


def scored_on(seeds: Sequence[_Seed], on: str | Dataset, reason: str) -> TestResult:
    """The scores of a run's seeds on the test set of another dataset; see `Run.evaluate`.

    A seed that has its score on these images returns it, and that is not another look.

    Args:
        seeds: of the run.
        on: the dataset, or its name or path.
        reason: why its test set is opened, for the ledger.

    Raises:
        DataError: the reason is empty, or the dataset cannot be loaded.
        RunError: its classes or images are not those that the run takes.
        StorageError: the look cannot be recorded; the test set then stays closed.
    """
    if not reason.strip():
        raise DataError("the test set would be opened without a reason. Say what the score is for.")
    data = seeds[0].record.data
    dataset = _other_test_set(data, on)
    if dataset.test.fingerprint == data.test_fingerprint:
        raise RunError(f"{dataset.name} has the run's own test set. Score it without --on (or on=).")
    other = OtherTestSet(dataset.name, dataset.test.fingerprint, len(dataset.test))
    for seed in seeds:
        record = _with(seed.record, other, seed.path)
        if not record.has_score:
            seed.forward()  # what cannot answer is found before the test set is opened
            openings.look(seed.path, record, dataset, reason, seed.score, on=other)
    return openings.stored_result([(seed.path, _with(seed.record, other, seed.path)) for seed in seeds])


def result_on(paths: Sequence[Path], records: Sequence[RunRecord], other: OtherTestSet) -> TestResult | None:
    """The scores that a run's seeds have on a test set already; None unless all have one.

    Raises:
        RunError: a file is damaged, or the ledger contradicts a score.
    """
    own = [_with(record, other, path) for path, record in zip(paths, records, strict=True)]
    if not all(record.has_score for record in own):
        return None
    return openings.stored_result(list(zip(paths, own, strict=True)))


def _with(record: RunRecord, other: OtherTestSet, path: Path) -> RunRecord:
    """A record as if the other test set were the run's own, so that its looks are placed as all are."""
    return replace(record, data=replace(record.data, test_fingerprint=other.fingerprint), looks=other.looks(path))


@dataclass(frozen=True)
class CostOnTestSet:
    """What scoring runs on a test set would cost. Nothing was opened to tell it.

    Attributes:
        dataset: the name of its dataset.
        images: how many it has.
        looks: the looks at it so far.
        own: those that would be added, one for each seed without a score.
        luck_after: how much of the best of all would be luck, as a share of the images.
        whole: whether all images of the dataset are the test set, since its files have no test part.
        refused: for each run that cannot be scored on it, why.
    """

    dataset: str
    images: int
    looks: int
    own: int
    luck_after: float
    whole: bool
    refused: dict[str, str]

    @classmethod
    def of(cls, runs: dict[str, tuple[Sequence[Path], Sequence[RunRecord]]], on: str) -> CostOnTestSet:
        """The cost for some runs.

        Args:
            runs: by name, the folder of each seed and its record.
            on: the dataset, as `load` takes it.

        Raises:
            DataError: the dataset cannot be loaded.
            RunError: none of the runs can be scored on it.
        """
        found: Dataset | None = None
        own, refused, accuracies = 0, dict[str, str](), list[float]()
        for name, (paths, records) in runs.items():
            try:
                dataset = _other_test_set(records[0].data, on)
            except RunError as error:
                refused[name] = str(error)
                continue
            found = found or dataset
            other = OtherTestSet(dataset.name, dataset.test.fingerprint, len(dataset.test))
            own += sum(not _with(record, other, path).has_score for path, record in zip(paths, records, strict=True))
            accuracies += [one.validation.accuracy for one in records if one.validation and one.validation.accuracy]
        if found is None:
            raise RunError(next(iter(refused.values()), "there are no runs to score."))
        images, now = len(found.test), Standings().at(found.test.fingerprint)
        looks = 0 if now is None else now.looks
        after, typical = looks + own, sum(accuracies) / len(accuracies) if accuracies else 0.5
        correlation = None if now is None else now.correlation
        luck = Reuse(after, correlation, typical).luck(typical, images) if after > 1 else 0.0
        return cls(found.name, images, looks, own, luck, NO_TEST_PART in found.notes[-1:], refused)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The cost in words."""
        had = amount(self.looks, "look") if self.looks else "no look"
        said = [f"This test set has {amount(self.images, 'image')} and has had {had} so far."]
        if not self.own:
            return (*said, "All these runs have their score on it. Showing them is not another look.")
        said.append(
            f"Scoring these runs is {amount(self.own, 'look')}, one for each seed, and the ledger counts "
            f"{amount(self.looks + self.own, 'look')} from then on, for ever."
        )
        if self.looks + self.own > 1:
            said.append(
                f"Of the best score about {points(100 * self.luck_after)} points will be luck: who stands first is "
                "the luckiest of all that were scored, too."
            )
        return tuple(said)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON, with the sentences."""
        return {**vars(self), "sentences": list(self.sentences)}


def _other_test_set(data: DataRecord, on: str | Dataset) -> Dataset:
    """A dataset whose `test` is what a run is scored on: its test part, or all of it where its files have none.

    Pictures of a folder get the run's size and colours in the way that those of training did; everything else has to
    fit as it is.

    Args:
        data: what the run takes.
        on: the dataset, or its name or path.

    Raises:
        DataError: it cannot be loaded.
        RunError: its classes or images are not those that the run takes.
    """
    dataset = _loaded(on, data) if isinstance(on, str) else on
    if data.uses_all and dataset.name == data.name:
        raise RunError(
            "These are the photos that the run was taught by. `fittingroom show RUN` has its accuracy on photos that "
            "were left out; for --on, name photos that it has not seen."
        )
    _check_classes(data, dataset)
    if dataset.image_shape != data.image_shape:
        raise RunError(
            f"{dataset.name} has images of {_size(dataset.image_shape)}, and the run takes {_size(data.image_shape)}. "
            "Give images of that size and colour; those of a folder are converted."
        )
    if dataset.scale != data.scale:
        raise RunError(
            f"the values of {dataset.name} go up to {dataset.scale:g}, and those that the run was trained on to "
            f"{data.scale:g}. Give images with the same range."
        )
    if any(note.startswith(NO_TEST_PART) for note in dataset.notes):
        parts = [part for part in (dataset.train, dataset.validation) if part is not None]
        dataset = replace(dataset, test=dataset.test.joined(parts), notes=(*dataset.notes, NO_TEST_PART))
    return dataset


def _loaded(on: str, data: DataRecord) -> Dataset:
    """A dataset; the pictures of a folder as the run takes them."""
    if len(data.picture_shape) < 2 or not is_resized(on):
        return load(on, validation=0)
    height, width, *channels = data.picture_shape
    color_mode = "rgb" if channels else "grayscale"
    return load(on, validation=0, image_size=(height, width), aspect=data.aspect, color_mode=color_mode)


def _check_classes(data: DataRecord, dataset: Dataset) -> None:
    """Raises RunError unless the classes are the same, by name and order; numbers stand for classes without names."""
    theirs, ours = dataset.classes, data.classes
    numbered = tuple(map(str, range(len(ours))))
    if theirs in {ours, numbered} or (ours == numbered and len(theirs) == len(ours)):
        return
    if sorted(theirs) == sorted(ours):
        raise RunError(
            f"{dataset.name} has the classes of the run in another order ({word_list(theirs, most=10)}; the run has "
            f"{word_list(ours, most=10)}). Number them alike."
        )
    missing, more = [name for name in ours if name not in theirs], [name for name in theirs if name not in ours]
    said = "; ".join(
        filter(
            None,
            [
                f"it lacks {word_list(missing, most=5)}" if missing else "",
                f"the run does not know {word_list(more, most=5)}" if more else "",
            ],
        )
    )
    raise RunError(f"{dataset.name} has other classes than the run: {said}. Give images of the same classes.")


def _size(shape: tuple[int, ...]) -> str:
    return f"{' × '.join(map(str, shape[:2]))} pixels {'in colour' if len(shape) > 2 else 'in grey'}"
