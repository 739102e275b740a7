"""Where a training is kept while it lasts: in a new folder, or in that of a training which was stopped."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fittingroom.api.checkpointing import checkpoint_of, snapshot_of
from fittingroom.api.keeping import Attempt, environment_of, how_to_go_on
from fittingroom.engine.blueprint import Blueprint
from fittingroom.engine.callback_memory import forgotten
from fittingroom.engine.snapshots import Snapshot, TrainingPlan
from fittingroom.errors import InputError, RunError, StorageError
from fittingroom.runs.begun import BegunRecord, BegunRun, begin, reopen
from fittingroom.runs.checkpoints import FOLDER
from fittingroom.runs.environment import differences
from fittingroom.runs.json_files import damage, json_text
from fittingroom.runs.layout import read_layout
from fittingroom.runs.place import BEGUN_NAME, find_begun, is_run
from fittingroom.runs.record import RunRecord, now


@dataclass(frozen=True)
class Keeper:
    """Where a training is kept, and how often.

    Args:
        out: the run's own folder, new or empty; None for the next free one in the runs folder.
        checkpoint_every: epochs between checkpoints.
        own_model: whether the model was given to `fit`.
        sample: hash of a part of the training images and labels, where they have no fingerprint.
        stopped: the folder of the training to go on with, locked; `out` does not count then.
        last_epochs: seed -> epochs to train, where that is fewer than planned, because another training got no further.
        why_no_folder: why the run stays in memory; None where it has a folder.
    """

    out: Path | None = None
    checkpoint_every: int = 1
    own_model: bool = False
    sample: str = ""
    stopped: BegunRun | None = None
    last_epochs: Mapping[int, int] = field(default_factory=dict)
    why_no_folder: str | None = None

    def plan(self, epochs: int, batch_size: int, seed: int) -> TrainingPlan:
        """The plan of the training with this seed."""
        return TrainingPlan(
            self.last_epochs.get(seed, epochs), batch_size, seed, checkpoint_every=self.checkpoint_every
        )

    def begin(self, attempts: Sequence[Attempt]) -> BegunRun:
        """The folder, locked.

        Args:
            attempts: what is trained, one for each seed.

        Raises:
            InputError: that is not what was trained in the folder of the stopped training.
            RunError, StorageError: as `runs.begun.begin` says.
        """
        record = self._record(attempts)
        if self.stopped is None:
            return begin(record, self.out)
        with damage(self.stopped.path, BEGUN_NAME):
            before = _identity(self.stopped.record)
        _check_same(before, _identity(record))
        return self.stopped

    def earlier(self, seed: int, blueprint: Blueprint) -> tuple[Snapshot | None, tuple[str, ...]]:
        """Where the training with this seed continues, None for its start; and what should be known about that.

        Raises:
            RunError: its checkpoints are damaged, or are those of another model.
        """
        if self.stopped is None:
            return None, ()
        checkpoints = self.stopped.checkpoints(seed)
        if not checkpoints.exist():
            return None, ("Training was stopped before its first checkpoint, and began anew.",)
        checkpoint, notes = checkpoints.read()
        with damage(self.stopped.folder(seed), FOLDER):
            snapshot = snapshot_of(checkpoint, blueprint)
        notes += _notes(snapshot)
        changed = differences(replace(self.stopped.record.environment, devices=1), environment_of(1))
        if changed:
            what = "; ".join(changed)
            notes += (f"It went on elsewhere, so its last digits may not be those of one go: {what}.",)
        several = len(self.stopped.record.seeds) > 1
        return snapshot, tuple(f"Seed {seed}: {note}" if several else note for note in notes)

    def _record(self, attempts: Sequence[Attempt]) -> BegunRecord:
        first = attempts[0]
        return BegunRecord(
            created=now(),
            recipe=first.recipe,
            own_model=self.own_model,
            data=first.data,
            sample=self.sample,
            model=first.blueprint.to_json(),
            seeds=tuple(attempt.seed for attempt in attempts),
            checkpoint_every=self.checkpoint_every,
            environment=environment_of(1),
            model_file=first.model_file,
        )


def reopened(run: str | Path) -> BegunRun:
    """The folder of a training that was stopped and can go on, locked until the end of a `with` block.

    Args:
        run: the folder, the name of a run in the runs folder, or `latest`.

    Raises:
        UnknownNameError: there is no such folder.
        RunError: there is nothing to go on with, or another process trains it, or it was scored on the test set.
    """
    path = find_begun(run)
    if any(record.looks for record in _kept_records(path)):
        raise RunError(
            f"{path} was interrupted and has been scored on the test set as it was. Training it further would choose a "
            "model after its test score was seen, so that is not done. Train anew."
        )
    return reopen(path)


def _kept_records(path: Path) -> list[RunRecord]:
    """The records of the part that was kept when training was interrupted."""
    return list(read_layout(path).records().values()) if is_run(path) else []


def saver(begun: BegunRun, seed: int) -> Callable[[Snapshot], None]:
    """What saves the snapshots of the training with this seed.

    It raises StorageError where one cannot be written, which ends the training; the checkpoints before are intact.
    """
    checkpoints = begun.checkpoints(seed)

    def save(snapshot: Snapshot) -> None:
        try:
            begun.settle()
            checkpoints.write(checkpoint_of(snapshot))
        except StorageError as error:
            goes_on = how_to_go_on(begun.path, own_model=begun.record.own_model) if checkpoints.exist() else ""
            raise StorageError(f"Training has stopped in epoch {snapshot.epoch + 1}: {error} {goes_on}") from error

    return save


def _notes(snapshot: Snapshot) -> tuple[str, ...]:
    """What should be known about a training that goes on from here."""
    place = f"step {snapshot.step} of epoch {snapshot.epoch + 1}" if snapshot.step else f"epoch {snapshot.epoch}"
    notes = [f"Training was stopped, and went on after {place}."]
    for memory in snapshot.memories:
        if isinstance(memory, dict) and "callbacks" in memory:
            notes += forgotten(memory["callbacks"])
    return tuple(notes)


def _check_same(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Raises InputError unless this is what was trained before."""
    different = [name for name in before if before[name] != after[name]]
    if different:
        raise InputError(
            f"The stopped training was another one: its {', '.join(different)} differ. Give what it was begun with "
            f"({_listed(before, different)}), or train anew."
        )


def _identity(record: BegunRecord) -> dict[str, Any]:
    """What must be the same, as plain JSON by its name in words.

    Keras numbers the names of models and layers within a process (`dense_3`), and so these numbers do not count.
    """
    data = record.data
    groups = ("trainable", "non_trainable", "optimizer", "metrics")
    facts = {
        "arguments": {key: value for key, value in record.recipe.items() if key != "name"},
        "model file": None if record.model_file is None else record.model_file.sha256,
        "seeds": record.seeds,
        "data": (data.fingerprint, data.test_fingerprint, record.sample, data.image_shape, data.scale, data.counts),
        "classes": data.classes,
        "model": (
            re.sub(r'_\d+(?=["/])', "", json.dumps(record.model["description"])),
            [[(start["shape"], start["dtype"]) for start in record.model[group]] for group in groups],
        ),
        "kind of training (fit or a recipe)": record.own_model,
    }
    plain: dict[str, Any] = json.loads(json_text(facts))
    return plain


def _listed(facts: Mapping[str, Any], names: Sequence[str]) -> str:
    short = [f"{name} {facts[name]}" for name in names if name in ("arguments", "seeds", "classes")]
    return "; ".join(short) or "the same images and the same model"
