"""`RunFolder`: where a training is kept, from its first step to the written run, in a new folder or a stopped one's.

While it lasts, its snapshots are kept as checkpoints, from which it continues.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fittingroom.engine.blueprint import Blueprint
from fittingroom.engine.callbacks import LastingCallbacks
from fittingroom.engine.devices import platform_and_threads
from fittingroom.engine.epoch import ImageOutcomes
from fittingroom.engine.snapshots import FinishedEpoch, Snapshot, Training, TrainingPlan
from fittingroom.engine.state import State
from fittingroom.errors import DivergedError, InputError, Interrupted, RunError, StorageError
from fittingroom.recipes.modelfile import RecordedFile
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.checkpoints import FOLDER, Checkpoint
from fittingroom.runs.data_record import DataRecord
from fittingroom.runs.json_files import damage, json_text
from fittingroom.runs.layout import RunContents, write_run
from fittingroom.runs.place import UNFINISHED_NAME
from fittingroom.runs.record import Environment, Seconds, now
from fittingroom.runs.unfinished import UnfinishedRecord, UnfinishedRun
from fittingroom.text import word_list

_log = logging.getLogger("fittingroom")

# Called with the run's folder (None in memory), its recipe and data as it records them, and the epochs of each seed
# that a stopped part of the training has finished. It must not raise.
Begun = Callable[[Path | None, Mapping[str, Any], DataRecord, Mapping[int, Sequence[FinishedEpoch]]], None]


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run, before and while it is trained.

    Args:
        out: the run's own folder, new or empty; None for the next free one in the runs folder.
        checkpoint_every: epochs between checkpoints.
        own_model: whether the model was given to `fit`.
        sample: hash of a part of the training images and labels, where they have no fingerprint.
        stopped: the folder of the training to resume, locked; `out` has no effect then.
        last_epochs: seed -> epochs to train, where that is fewer than planned, because another training got no further.
        why_no_folder: why the run stays in memory; None where it has a folder.
        begun: called when training begins, for a log of it elsewhere.
    """

    out: Path | None = None
    checkpoint_every: int = 1
    own_model: bool = False
    sample: str = ""
    stopped: UnfinishedRun | None = None
    last_epochs: Mapping[int, int] = field(default_factory=dict)
    why_no_folder: str | None = None
    begun: Begun | None = None

    def plan(self, epochs: int, batch_size: int, seed: int) -> TrainingPlan:
        """The plan of the training with this seed."""
        return TrainingPlan(
            self.last_epochs.get(seed, epochs), batch_size, seed, checkpoint_every=self.checkpoint_every
        )

    def begin(
        self,
        recipe: Mapping[str, Any],
        data: DataRecord,
        model: Mapping[str, Any],
        seeds: tuple[int, ...],
        model_file: RecordedFile | None,
    ) -> UnfinishedRun:
        """The folder, locked.

        Args:
            recipe: as the run records it.
            data: what the run records of its data.
            model: what `model.json` says of it before training.
            seeds: those that are trained.
            model_file: the Python file that the model came from.

        Raises:
            InputError: that is not what was trained in the folder of the stopped training.
            RunError, StorageError: as `UnfinishedRun.begin` says.
        """
        record = UnfinishedRecord(
            created=now(),
            recipe=recipe,
            own_model=self.own_model,
            data=data,
            sample=self.sample,
            model=model,
            seeds=seeds,
            checkpoint_every=self.checkpoint_every,
            environment=self.environment(1),
            model_file=model_file,
        )
        if self.stopped is None:
            return UnfinishedRun.begin(record, self.out)
        with damage(self.stopped.path, UNFINISHED_NAME):
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
            return None, ("Training was stopped before its first checkpoint, and started again.",)
        checkpoint, notes = checkpoints.read()
        with damage(self.stopped.folder(seed), FOLDER):
            snapshot = _snapshot_of(checkpoint, blueprint)
        notes += _notes(snapshot)
        changed = replace(self.stopped.record.environment, devices=1).differences(self.environment(1))
        if changed:
            what = "; ".join(changed)
            notes += (f"Training was resumed in another environment, so the last digits may differ: {what}.",)
        several = len(self.stopped.record.seeds) > 1
        return snapshot, tuple(f"Seed {seed}: {note}" if several else note for note in notes)

    @staticmethod
    def environment(devices: int) -> Environment:
        """Software and machine of this process, where so many devices share each batch."""
        return Environment.current(*platform_and_threads(), devices)

    @staticmethod
    def notes_after(training: Training) -> tuple[str, ...]:
        """What should be said about a training that is over."""
        bad = [epoch.epoch + 1 for epoch in training.epochs if not math.isfinite(epoch.logs.get("val_loss", 0.0))]
        if not bad:
            return ()
        return (
            f"val_loss was NaN or infinite after epoch {word_list(bad)}, although the weights are finite. Try a "
            "smaller learning rate, and look for huge values in the validation images, or for a loss that divides by "
            "what may be zero.",
        )

    @staticmethod
    def saver(unfinished: UnfinishedRun, seed: int) -> Callable[[Snapshot], None]:
        """What saves the snapshots of a seed.

        It raises StorageError where one cannot be written, which ends the training; the checkpoints before are intact.
        """
        checkpoints = unfinished.checkpoints(seed)

        def save(snapshot: Snapshot) -> None:
            try:
                unfinished.settle()
                checkpoints.write(_checkpoint_of(snapshot))
            except StorageError as error:
                way_out = unfinished.how_to_resume() if checkpoints.exist() else ""
                raise StorageError(f"Training has stopped in epoch {snapshot.epoch + 1}: {error} {way_out}") from error

        return save

    def keep(
        self,
        unfinished: UnfinishedRun | None,
        contents: Sequence[RunContents],
        trainings: Sequence[Training],
        seconds: Seconds,
        if_diverged: str,
    ) -> Path | RunContents:
        """Writes the run and returns its folder, or says why there is none.

        Args:
            unfinished: the folder; None where the run stays in memory.
            contents: of each seed that finished an epoch.
            trainings: what each seed left behind.
            seconds: times of all seeds together, by the clock.
            if_diverged: what to try if the loss became NaN or infinite.

        Returns:
            The folder; without one, the contents of the only seed.

        Raises:
            Interrupted: training was interrupted; `path` of the error is the run of the finished epochs, or None.
            DivergedError: the loss of every seed became NaN or infinite; a warning says it of only some. The message
                says where the finished epochs are kept.
            StorageError: the files cannot be written.
        """
        first = trainings[0]
        if unfinished is None:
            if first.status == "interrupted":
                raise Interrupted(f"{first.reason}; this training has no folder, so it cannot be resumed", None)
            if first.status == "diverged":
                raise DivergedError(f"{first.reason}. {if_diverged}")
            return contents[0]
        write = partial(write_run, contents=contents, seeds=unfinished.record.seeds, seconds=seconds)
        path = _finished(unfinished, write if contents else None, trainings)
        kept = "no epoch was finished, so there is no run"
        if contents:
            count = len(first.epochs)
            which = "the" if len(trainings) > 1 else f"the {count}"
            kept = f"{which} finished epoch{' is' if which == 'the 1' else 's are'} kept in {path}"
        _raise_what_happened(unfinished, trainings, path, kept, if_diverged)
        assert path is not None  # what was neither interrupted nor diverged finished an epoch
        return path


def _finished(
    unfinished: UnfinishedRun, write: Callable[[Path], None] | None, trainings: Sequence[Training]
) -> Path | None:
    """Ends the training in its folder; gives the folder, or None if nothing of it is left."""
    interrupted = any(training.status == "interrupted" for training in trainings)
    can_go_on = any(unfinished.checkpoints(seed).exist() for seed in unfinished.record.seeds)
    try:
        return unfinished.finish(write, resumable=interrupted and can_go_on)
    except StorageError as error:
        goes_on = f" {unfinished.how_to_resume()}" if can_go_on else ""
        raise StorageError(f"{error}{goes_on}") from error


def _raise_what_happened(
    unfinished: UnfinishedRun, trainings: Sequence[Training], path: Path | None, kept: str, if_diverged: str
) -> None:
    """Raises what became of the trainings, unless there is a result to return."""
    for training in trainings:
        if training.status == "interrupted":
            goes_on = "" if path is None else f". {unfinished.how_to_resume()}"
            run = path if any(one.epochs for one in trainings) else None
            raise Interrupted(f"{training.reason}; {kept}{goes_on}", run)
    failed = {
        seed: training.reason
        for seed, training in zip(unfinished.record.seeds, trainings, strict=True)
        if training.status == "diverged"
    }
    alone = len(trainings) == 1
    reasons = "; ".join(f"{reason}" if alone else f"seed {seed}: {reason}" for seed, reason in failed.items())
    if len(failed) == len(trainings):
        raise DivergedError(f"{reasons}; {kept}. {if_diverged}")
    if failed:
        _log.warning("%s; %s. %s", reasons, kept, if_diverged)


def _notes(snapshot: Snapshot) -> tuple[str, ...]:
    """What should be known about a training that continues from here."""
    place = f"step {snapshot.step} of epoch {snapshot.epoch + 1}" if snapshot.step else f"epoch {snapshot.epoch}"
    notes = [f"Training was stopped, and resumed after {place}."]
    for memory in snapshot.memories:
        if isinstance(memory, dict) and "callbacks" in memory:
            notes += LastingCallbacks.forgotten(memory["callbacks"])
    return tuple(notes)


def _check_same(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Raises InputError unless this is what was trained before."""
    different = [name for name in before if before[name] != after[name]]
    if different:
        raise InputError(
            f"The stopped training differs in {word_list(different)}. Resume it with what it began with "
            f"({_listed(before, different)}), or train again from the beginning."
        )


def _identity(record: UnfinishedRecord) -> dict[str, Any]:
    """What must be the same, as plain JSON by its name in words.

    Keras numbers the names of models and layers within a process (`dense_3`), and so these numbers do not count.
    """
    data = record.data
    groups = ("trainable", "non_trainable", "optimizer", "metrics")
    facts = {
        "arguments": {key: value for key, value in _settings(record).items() if key != "name"},
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


def _settings(record: UnfinishedRecord) -> Mapping[str, Any]:
    """What it is trained with; a recipe of an older version has the settings that came later at their defaults."""
    return record.recipe if record.own_model else Recipe.from_dict(record.recipe).to_dict()


def _listed(facts: Mapping[str, Any], names: Sequence[str]) -> str:
    short = [f"{name} {facts[name]}" for name in names if name in ("arguments", "seeds", "classes")]
    return "; ".join(short) or "the same images and the same model"


Array = np.ndarray[Any, Any]


def _checkpoint_of(snapshot: Snapshot) -> Checkpoint:
    """A snapshot as what is written; this waits for the device."""
    arrays: dict[str, Array] = {}
    facts = {
        "first_epoch": snapshot.first_epoch,
        "seconds": snapshot.seconds,
        "stop": snapshot.stop,
        "epochs": [[one.epoch, one.logs, one.seconds, one.images] for one in snapshot.epochs],
        "state": _state_arrays("state", snapshot.state, arrays),
        # After a whole epoch, what is kept is where training is.
        "kept": _state_arrays("kept", snapshot.kept, arrays) if snapshot.kept and snapshot.step else None,
        "memories": _encoded(list(snapshot.memories), "memory", arrays),
    }
    outcomes = {
        one.epoch: {name: np.asarray(array) for name, array in one.outcomes._asdict().items()}
        for one in snapshot.epochs
        if one.outcomes is not None
    }
    return Checkpoint(snapshot.epoch, snapshot.step, facts, arrays, outcomes)


def _snapshot_of(checkpoint: Checkpoint, blueprint: Blueprint) -> Snapshot:
    """The snapshot of which `_checkpoint_of` made this.

    Args:
        checkpoint: as it was read.
        blueprint: of the model that is resumed.

    Raises:
        RunError: it is that of another model.
    """
    facts, arrays = checkpoint.facts, checkpoint.arrays
    state = _read_state("state", facts["state"], arrays)
    starts = (blueprint.trainable, blueprint.non_trainable, blueprint.optimizer, blueprint.metrics)
    expected = [[(start.shape, start.dtype) for start in group] for group in starts]
    if [[(value.shape, str(value.dtype)) for value in group] for group in state] != expected:
        raise RunError("the checkpoint is that of another model: its variables have other shapes or types.")
    epochs = tuple(
        FinishedEpoch(epoch, logs, _read_outcomes(checkpoint.outcomes.get(epoch)), seconds, images)
        for epoch, logs, seconds, images in facts["epochs"]
    )
    kept = _read_state("kept", facts["kept"], arrays) if facts["kept"] else state if epochs else None
    memories = tuple(_decoded(facts["memories"], arrays))
    return Snapshot(
        state, epochs, facts["first_epoch"], checkpoint.epoch, checkpoint.step, facts["seconds"], kept, memories,
        facts["stop"],
    )  # fmt: skip


def _read_outcomes(arrays: Mapping[str, Array] | None) -> ImageOutcomes | None:
    return None if arrays is None else ImageOutcomes(**arrays)  # type: ignore[arg-type]  # arrays of NumPy, as in training


def _state_arrays(name: str, state: State, arrays: dict[str, Array]) -> list[int]:
    """Puts the values of a state among the arrays; gives how many each of its groups has."""
    for group, values in zip(State._fields, state, strict=True):
        arrays.update({f"{name}/{group}/{number}": np.asarray(value) for number, value in enumerate(values)})
    return [len(values) for values in state]


def _read_state(name: str, counts: list[int], arrays: Mapping[str, Array]) -> State:
    groups = zip(State._fields, counts, strict=True)
    return State(*(tuple(arrays[f"{name}/{group}/{n}"] for n in range(count)) for group, count in groups))


def _encoded(value: Any, name: str, arrays: dict[str, Array]) -> Any:
    """Plain data and arrays as JSON that keeps apart what JSON does not: tuples, keys that are no text, arrays."""
    if isinstance(value, np.ndarray | np.generic):
        arrays[name] = np.asarray(value)
        return {"array" if isinstance(value, np.ndarray) else "scalar": name}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_encoded(item, f"{name}/{number}", arrays) for number, item in enumerate(value)]}
    if isinstance(value, dict):
        items = enumerate(value.items())
        return {"dict": [[key, _encoded(item, f"{name}/{number}", arrays)] for number, (key, item) in items]}
    return value


def _decoded(value: Any, arrays: Mapping[str, Array]) -> Any:
    """What `_encoded` was given."""
    if not isinstance(value, dict):
        return value
    [(kind, content)] = value.items()
    if kind == "array":
        return np.array(arrays[content])
    if kind == "scalar":
        return arrays[content][()]
    if kind == "dict":
        return {key: _decoded(item, arrays) for key, item in content}
    return (list if kind == "list" else tuple)(_decoded(item, arrays) for item in content)
