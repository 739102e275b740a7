"""Scores of a run on test sets of other datasets, in `scored_on.json` beside the record of its seed.

A teacher's test set is not the one that a student's run was trained with, so that its looks stand apart from those in
`run.json`. The ledger counts them like any other: a look is one at a test set, whoever it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fittingroom.atomic import write_bytes
from fittingroom.runs.json_files import damage, json_text, read_json, text, whole
from fittingroom.runs.layout import SeedFiles
from fittingroom.runs.record import Look, read_look

SCORED_ON_NAME = "scored_on.json"


@dataclass(frozen=True)
class OtherTestSet:
    """A test set that is not a run's own.

    Attributes:
        dataset: the name of its dataset.
        fingerprint: of its images and labels.
        images: how many it has.
    """

    dataset: str
    fingerprint: str
    images: int

    @classmethod
    def known(cls, path: Path) -> tuple[OtherTestSet, ...]:
        """Those that a seed was scored on, the first one first.

        Raises:
            RunError: the file is damaged.
        """
        folder = SeedFiles(path).folder
        with damage(folder, SCORED_ON_NAME):
            return tuple(
                cls(text(one["dataset"]), text(one["fingerprint"]), whole(one["images"]))
                for one in _stored(folder)["test_sets"]
            )

    def looks(self, path: Path) -> tuple[Look, ...]:
        """The looks of a seed at this test set.

        Raises:
            RunError: the file is damaged.
        """
        folder = SeedFiles(path).folder
        with damage(folder, SCORED_ON_NAME):
            found = (one for one in _stored(folder)["test_sets"] if one["fingerprint"] == self.fingerprint)
            return tuple(read_look(look) for one in found for look in one["looks"])

    @contextmanager
    def changed(self, folder: Path) -> Iterator[dict[str, Any]]:
        """What is stored of this test set, to change in place; written back at the end."""
        with damage(folder, SCORED_ON_NAME):
            stored = _stored(folder)
            own = next((one for one in stored["test_sets"] if one["fingerprint"] == self.fingerprint), None)
            if own is None:
                own = {"dataset": self.dataset, "fingerprint": self.fingerprint, "images": self.images, "looks": []}
                stored["test_sets"].append(own)
        yield own
        write_bytes(folder / SCORED_ON_NAME, json_text(stored).encode())


def _stored(folder: Path) -> dict[str, Any]:
    if not (folder / SCORED_ON_NAME).exists():
        return {"format": 1, "test_sets": []}
    return read_json(folder / SCORED_ON_NAME)
