"""Images in the page of a benchmark: a few of each dataset, and those on which a reversal rests.

They are read from the folders of the benchmark's cells, which keep training and validation images. No test part is
opened for a picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fittingroom.errors import FittingRoomError
from fittingroom.reports.pages.explorer import picture_row
from fittingroom.runs.images import RunImages
from fittingroom.runs.layout import SeedFiles
from fittingroom.runs.validation_outcomes import ValidationOutcomes

Facts = Mapping[str, Any]

_SAMPLES = 12
_FEW = 6  # classes
_SHOWN = 8  # images for each side of a reversal


@dataclass(frozen=True)
class BenchmarkRuns:
    """The run of each cell of a benchmark that has one.

    Args:
        paths: dataset and method -> seed -> folder.
    """

    paths: Mapping[tuple[str, str], Mapping[int, Path]]

    @classmethod
    def of(cls, facts: Facts) -> BenchmarkRuns:
        """Those that the facts of a benchmark name, as far as they lie in the benchmark's folder."""
        base = Path(facts["benchmark"])
        return cls(
            {
                (result["dataset"], result["method"]): {
                    cell["seed"]: folder
                    for cell in result["cells"]
                    if (folder := _inside(base, cell.get("run"))) is not None
                }
                for result in facts["results"]
            }
        )

    def samples(self, dataset: str) -> list[str]:
        """The first training image of each of the first classes, as `data:` addresses; empty without a run."""
        for (name, _), folders in self.paths.items():
            for folder in folders.values() if name == dataset else ():
                images = _images(folder)
                if images is not None and len(images.train.labels):
                    part = images.train
                    _, first = np.unique(part.labels, return_index=True)
                    if len(first) < _FEW:  # few classes: then several of each, in the order of the data
                        first = np.arange(min(_SAMPLES, len(part.labels)))
                    return [
                        picture_row(np.asarray(part.images)[place : place + 1], part.scale)
                        for place in first[:_SAMPLES]
                    ]
        return []

    def pair(self, dataset: str, winner: str, loser: str) -> _ReversalSide:
        """What two methods said of a dataset's validation images, with the first seed that both have.

        Args:
            dataset: its name.
            winner: the method that is better on it.
            loser: the other one.
        """
        one, other = (self.paths.get((dataset, method), {}) for method in (winner, loser))
        seed = next((seed for seed in one if seed in other), None)
        if not one or not other:
            return _ReversalSide(dataset, winner, loser, why_not="their runs are not kept")
        # A method that is the same whatever the seed has a run for one seed only.
        folders = one.get(seed, next(iter(one.values()))), other.get(seed, next(iter(other.values())))  # type: ignore[arg-type]
        try:
            first, second = (ValidationOutcomes.read(folder, "show them") for folder in folders)
        except FittingRoomError as error:
            return _ReversalSide(dataset, winner, loser, why_not=str(error).rstrip("."))
        if not np.array_equal(first.kept.labels, second.kept.labels):
            return _ReversalSide(dataset, winner, loser, why_not="their validation images differ")
        right = first.kept.right, second.kept.right
        only, lost = np.flatnonzero(right[0] & ~right[1]), np.flatnonzero(right[1] & ~right[0])
        classes = first.record.data.classes
        shown = [
            {
                "url": url,
                "label": classes[int(first.kept.labels[image])],
                "winner": classes[int(first.kept.predicted[image])],
                "loser": classes[int(second.kept.predicted[image])],
            }
            for image, url in _urls(folders, only)
        ]
        return _ReversalSide(dataset, winner, loser, len(right[0]), len(only), len(lost), tuple(shown), seed)


@dataclass(frozen=True)
class _ReversalSide:
    """One dataset of a reversal.

    Args:
        dataset: its name.
        winner: the method that is better on it.
        loser: the other one.
        images: how many validation images there are.
        only: how many of them the winner alone has right, with one seed of each.
        lost: how many the loser alone has right.
        shown: the first of those that the winner alone has right: picture, true class, and what each said.
        seed: the seed of both; None where one of them has another.
        why_not: why there are no pictures.
    """

    dataset: str
    winner: str
    loser: str
    images: int = 0
    only: int = 0
    lost: int = 0
    shown: Sequence[Facts] = ()
    seed: int | None = None
    why_not: str | None = None


def _inside(base: Path, run: str | None) -> Path | None:
    """The folder of a run; None for none, or where a file that came from elsewhere points out of the benchmark."""
    folder = None if run is None else (base / run).resolve()
    return folder if folder is not None and folder.is_relative_to(base.resolve()) else None


def _images(folder: Path) -> RunImages | None:
    try:
        data = SeedFiles(folder).record().data
        return RunImages.read(folder, data.classes, data.scale)
    except (FittingRoomError, OSError):
        return None


def _urls(folders: Sequence[Path], wanted: Any) -> Iterator[tuple[int, str]]:
    """The first of the wanted validation images that are kept, each with its picture."""
    images = next((found for folder in folders if (found := _images(folder)) is not None), None)
    if images is None or images.validation is None:
        return
    places = {int(image): place for place, image in enumerate(images.index)}
    kept = [image for image in wanted.tolist() if image in places][:_SHOWN]
    for image in kept:
        place = places[image]
        yield image, picture_row(np.asarray(images.validation.images)[place : place + 1], images.validation.scale)
