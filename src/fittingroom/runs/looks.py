"""The looks of a run at its sealed test set: in its own record, and where they stand among all looks in the ledger.

A run's record gets the intent of a look before the test set is opened, and the score after.
Scores on test sets of other datasets stand apart, in `scored_on.json` beside the record: a teacher's test set is not
the one that a student's run was trained with. The ledger counts them like any other: a look is one at a test set,
whoever it belongs to.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fittingroom.atomic import locked_folder, write_bytes
from fittingroom.errors import FittingRoomError, RunError, StorageError
from fittingroom.evaluation.luck import Reuse, mean_correlation
from fittingroom.runs.json_files import damage, json_text, read_json, text, whole
from fittingroom.runs.layout import SeedFiles
from fittingroom.runs.ledger import Ledger, LedgerPlace
from fittingroom.runs.ledger_check import contradiction, is_of
from fittingroom.runs.ledger_entries import LedgerLook
from fittingroom.runs.place import RECORD_NAME, is_run
from fittingroom.runs.record import Look, RunRecord, now, read_look
from fittingroom.runs.validation_outcomes import ValidationOutcomes

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_log = logging.getLogger("fittingroom")
_MOST_COMPARED = 20  # runs; each one's outcomes are a file of some hundred kilobytes


class RunLooks:
    """The looks in a run's own record, `run.json`; or those at a test set of another dataset, in `scored_on.json`.

    Every method raises RunError if the record is missing or damaged, and StorageError if it cannot be written; the test
    set must then stay closed.

    Args:
        path: the folder of a seed.
        on: the other test set; None for the run's own.
    """

    def __init__(self, path: Path, on: OtherTestSet | None = None) -> None:
        self.path = path
        self.on = on

    @property
    def has_score(self) -> bool:
        """Whether one of them has a score."""
        if self.on is None:
            return SeedFiles(self.path).record().has_score
        return any(look.score is not None for look in self.on.looks(self.path))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Waits while another process scores a seed of the run, so that several at once are one entry in the ledger.

        Runs of the layout before `seed-0/` have no folder around their files, and are scored without waiting: a second
        score of the same weights is a repetition then, which costs no look either.
        """
        # Not the folder of the files, which is locked for each change of the record.
        around = self.path if SeedFiles(self.path).folder != self.path else self.path.parent
        with locked_folder(around) if is_run(around) else nullcontext():
            yield

    def check_writable(self) -> None:
        """Writes the record as it is, so that no look is counted where it cannot be recorded."""
        with self._record():
            pass

    def add(self, reason: str, place: LedgerPlace) -> int:
        """Records that the test set will be opened. To be called before any label is read.

        Args:
            reason: why it is opened.
            place: where the ledger has the look; the run keeps it, so that a ledger that loses entries is noticed.

        Returns:
            Which look of this run it is, from 1, for `add_score`.
        """
        with self._record() as stored:
            own = {"ledger": place.ledger, "number": place.look, "hash": place.hash}
            stored["looks"].append({"time": now(), "reason": reason, "score": None, **own})
            return len(stored["looks"])

    def add_score(self, look: int, score: Mapping[str, Any]) -> None:
        """Records the score of a look.

        Args:
            look: which look of this run it was, from 1.
            score: what `Scores.to_dict` gives.

        Raises:
            RunError: the record has no such look.
        """
        with self._record() as stored:
            if not 1 <= look <= len(stored["looks"]):
                raise RunError(f"look {look} is not in {self.path / RECORD_NAME}, which has {len(stored['looks'])}.")
            stored["looks"][look - 1]["score"] = dict(score)

    @contextmanager
    def _record(self) -> Iterator[dict[str, Any]]:
        """The contents of `run.json`, to change in place; written back at the end. One process at a time.

        Keys that this version does not know stay.
        """
        path = SeedFiles(self.path).folder
        if self.on is not None:
            with locked_folder(path), self.on.changed(path) as stored:
                yield stored
            return
        with ExitStack() as lock:
            with damage(path, RECORD_NAME):
                lock.enter_context(locked_folder(path))
                stored = read_json(path / RECORD_NAME)
                RunRecord.from_dict(stored)
            yield stored
            write_bytes(path / RECORD_NAME, json_text(stored).encode())


class Standing(NamedTuple):
    """Where a look stands among all looks at its test set.

    Args:
        look: which look at its test set it was, counted from 1; None if the ledger does not have it.
        reuse: all looks at the test set so far that told something new, including this one.
        problem: why the look or its score is not believed, in words; None where the ledger bears it out.
        elsewhere: whether another ledger counted it, so that it cannot be checked here.
    """

    look: int | None
    reuse: Reuse
    problem: str | None = None
    elsewhere: bool = False


@dataclass
class Standings:
    """The looks in a ledger, read once.

    A score that a run already has needs no opening. So where the ledger cannot be read, that is logged, and the score
    is still shown, as if the ledger were empty.
    """

    ledger: Ledger = field(default_factory=Ledger.of_user)
    _correlations: dict[str, float | None] = field(default_factory=dict)

    @property
    def looks(self) -> list[LedgerLook]:
        """All looks, the oldest first."""
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[str, list[LedgerLook]]:
        """The ledger's id, empty where there is no ledger, and its looks."""
        try:
            ledger, entries = self.ledger.entries()
            return ledger, LedgerLook.all_of(entries, self.ledger.path)
        except StorageError as error:
            _log.warning("The look cannot be placed among the others: %s", error)
            return "", []

    def of(self, path: Path, record: RunRecord, look: Look) -> Standing:
        """Where a look of a run stands, and whether the ledger bears it out.

        Args:
            path: the run folder.
            record: its record.
            look: one of the looks in it.
        """
        ledger, looks = self._read
        own = next((one for one in looks if one.hash == look.hash), None)
        test_set = record.data.test_fingerprint
        same = [one for one in looks if test_set in one.known_as]
        told = sum(one.is_new for one in same) + (own is None)
        reuse = self._reuse(same, told, look if own is None else None)
        elsewhere = own is None and look.ledger != ledger
        problem = None if elsewhere or not ledger else contradiction(path, record, look, own)
        return Standing(None if own is None else own.look, reuse, problem, elsewhere)

    def at(self, test_set: str) -> Reuse | None:
        """All looks at a test set so far; None while there is none.

        Args:
            test_set: what the test set is known by, as `DataRecord.test_fingerprint` or the ledger has it.
        """
        same = [one for one in self.looks if test_set in one.known_as]
        told = sum(one.is_new for one in same)
        return self._reuse(same, told) if told else None

    def scored(self, path: Path, record: RunRecord) -> tuple[Look, Standing] | None:
        """The latest look of a run that has a score, and where it stands; None without such a look."""
        look = next((one for one in reversed(record.looks) if one.score is not None), None)
        return None if look is None else (look, self.of(path, record, look))

    def unrecorded(self, path: Path, record: RunRecord) -> LedgerLook | None:
        """The latest look with a run's recipe, seed and weights that its folder lacks; None without such a look."""
        recorded = {look.hash for look in record.looks}
        return next(
            (look for look in reversed(self.looks) if look.hash not in recorded and is_of(path, record, look)), None
        )

    def _reuse(self, looks: list[LedgerLook], told: int, own: Look | None = None) -> Reuse:
        """So many looks that told something new, and what is known of their scores.

        Args:
            looks: those in the ledger.
            told: how many told something new.
            own: one that the ledger does not have.
        """
        return Reuse(told, self._correlation(looks), _mean_accuracy(looks, own)) if told > 1 else Reuse(told)

    def _correlation(self, looks: list[LedgerLook]) -> float | None:
        test_set = looks[0].test_set if looks else ""
        if test_set not in self._correlations:
            self._correlations[test_set] = _correlation([one for one in looks if not one.repeats])
        return self._correlations[test_set]


def _mean_accuracy(looks: Iterable[LedgerLook], own: Look | None = None) -> float | None:
    """The mean accuracy, 0 to 1, of some looks and of one that the ledger does not have; None where none has a score.

    Repetitions are left out: they tell nothing new.
    """
    scores = [look.score for look in looks if look.score is not None and not look.repeats]
    known = [score["correct"] / score["count"] for score in scores if score["count"]]
    known += [own.score["accuracy"]] if own is not None and own.score is not None else []
    believable = [accuracy for accuracy in known if 0 <= accuracy <= 1]  # a file that somebody edited holds anything
    return sum(believable) / len(believable) if believable else None


def _correlation(looks: list[LedgerLook]) -> float | None:
    """How alike the newest runs that looked are, on their validation images; runs that cannot be read are left out."""
    folders = dict.fromkeys(look.intent.run for look in reversed(looks) if look.intent.run is not None)
    found = [_right_or_wrong(Path(folder)) for folder in list(folders)[:_MOST_COMPARED]]
    known = [one for one in found if one is not None]
    return mean_correlation([right for images, right in known if images == known[0][0]])


def _right_or_wrong(run: Path) -> tuple[Any, npt.NDArray[np.bool_]] | None:
    """What identifies a run's validation images, and which of them the kept weights get right."""
    try:
        validated = ValidationOutcomes.read(run)
    except (FittingRoomError, OSError):
        return None  # moved, deleted or damaged since
    data, kept = validated.record.data, validated.kept
    load = dict(data.load or {})
    images = (data.fingerprint, load.get("validation"), load.get("split_seed"), kept.labels.tobytes())
    return images, kept.right


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
