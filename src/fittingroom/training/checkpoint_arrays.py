"""Snapshots of a training as checkpoints on the disk, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fittingroom.engine.blueprint import Blueprint
from fittingroom.engine.epoch import ImageOutcomes
from fittingroom.engine.snapshots import FinishedEpoch, Snapshot
from fittingroom.engine.state import State
from fittingroom.errors import RunError
from fittingroom.runs.checkpoints import Checkpoint

Array = np.ndarray[Any, Any]


def checkpoint_of(snapshot: Snapshot) -> Checkpoint:
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


def snapshot_of(checkpoint: Checkpoint, blueprint: Blueprint) -> Snapshot:
    """The snapshot of which `checkpoint_of` made this.

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
