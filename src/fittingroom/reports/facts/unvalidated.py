"""What can be said of a run that has no outcomes of validation images: how training went, and what nobody can know."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fittingroom.errors import InputError
from fittingroom.runs.history import History
from fittingroom.runs.layout import Layout, SeedFiles
from fittingroom.runs.record import PartResult, RunRecord, Seconds

_NO_VALIDATION = (
    "Nothing was held out of training, so no fact about other images is known. Hold some out: validation_split=0.1 in "
    "fit, --validation 0.1 in train."
)
_NO_OUTCOMES = (
    "What single validation images went through was not stored: an iterable gave them, in no fixed order, or no epoch "
    "was validated. Validate on arrays or a dataset, at least after the last epoch."
)


@dataclass(frozen=True)
class RecordedTraining:
    """What is recorded of one training: its `run.json` and the numbers of its epochs."""

    record: RunRecord
    history: History


@dataclass(frozen=True)
class UnvalidatedRun:
    """A run of one or several seeds without outcomes of validation images.

    Args:
        path: the run folder.
        trainings: in the order of their seeds; at least one.
        seeds: all seeds that were asked for.
        seconds: how long all seeds took together.
    """

    path: Path
    trainings: tuple[RecordedTraining, ...]
    seeds: tuple[int, ...]
    seconds: Seconds
    unusable: tuple[int, ...] = ()

    @classmethod
    def of(cls, path: Path, layout: Layout) -> UnvalidatedRun | None:
        """The run, if no seed of it has outcomes; None where there are some, or the folder is damaged.

        Args:
            path: the run folder.
            layout: of the folder.
        """
        files = [SeedFiles(folder) for folder in layout.folders.values()]
        for one in files:
            outcomes = None if one.record().validation is None else one.outcomes()
            if outcomes is not None and outcomes.loss.size:
                return None
        found = tuple(RecordedTraining(one.record(), one.history()) for one in files)
        return cls(path, found, layout.seeds, layout.seconds) if found and found[0].history.epoch else None

    @property
    def records(self) -> tuple[RunRecord, ...]:
        """The `run.json` of each seed."""
        return tuple(training.record for training in self.trainings)

    def facts(self, run: Mapping[str, Any]) -> dict[str, Any]:
        """All facts but the words.

        Args:
            run: the fact `run`, as an explanation has it.
        """
        history = History.mean_of([training.history for training in self.trainings])
        rows, numbers = history.rows, [epoch + 1 for epoch in history.epoch]
        epochs = [{"epoch": epoch, **_finite(row)} for epoch, row in zip(numbers, rows, strict=True)]
        data = self.records[0].data
        validated = any(record.validation is not None for record in self.records)
        results = {
            "train": PartResult.spreads([record.train for record in self.records]),
            "validation": PartResult.spreads([record.validation for record in self.records]),
        }
        return {
            "run": dict(run),
            "data": {
                "name": data.name,
                "classes": list(data.classes),
                "image_shape": list(data.image_shape),
                "counts": dict(data.counts),
                "has_test_set": data.has_test_set,
                "validation_images": 0,
            },
            "results": {
                part: {name: spread.to_dict() for name, spread in found.items()} for part, found in results.items()
            },
            "per_seed": [
                {
                    "seed": record.seed,
                    "status": record.status,
                    "reason": record.reason,
                    "epochs": record.epochs,
                }
                for record in self.records
            ],
            "epochs": epochs,
            "missing": {"validation": _NO_OUTCOMES if validated else _NO_VALIDATION},
        }

    @staticmethod
    def refuse_change(start: int | None, end: int | None) -> None:
        """Raises InputError where a change between two epochs is asked for."""
        if start is not None or end is not None:
            raise InputError(
                "A change between two epochs is told of validation images, and this run stored nothing of any. Train "
                "with validation_split=0.1 (fit) or --validation 0.1 (train), or leave out start and end."
            )


def _finite(row: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in row.items() if math.isfinite(value)}
