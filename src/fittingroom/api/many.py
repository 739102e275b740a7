"""Several seeds from arrays to a run folder: what `train` and `fit` with `seeds` have in common."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import jax

from fittingroom.api.keeper import Keeper, saver
from fittingroom.api.keeping import keep_all
from fittingroom.api.session import Session, whole_number
from fittingroom.engine.batches import Batches
from fittingroom.engine.callbacks import StopRequest
from fittingroom.engine.epoch import Examples
from fittingroom.engine.lanes import Lane, StartingPoint, compiled_lanes, train_seeds
from fittingroom.engine.programs import ProgramSource, TracedPrograms
from fittingroom.engine.state import State
from fittingroom.engine.trainer import Trainer
from fittingroom.errors import InputError
from fittingroom.runs.record import Seconds

LARGEST_COUNT = 10_000

_log = logging.getLogger("fittingroom")


def chosen_seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """The seeds that `seeds` means: a count gives 0, 1, 2 and so on; a sequence is taken as it is.

    Raises:
        InputError: there are none, too many, or the same one twice.
    """
    if isinstance(seeds, int):
        count = whole_number("seeds", seeds, lowest=1)
        seeds = range(min(count, LARGEST_COUNT + 1))
    chosen = tuple(whole_number("a seed in seeds", seed, lowest=0) for seed in seeds)
    if not chosen or len(set(chosen)) < len(chosen) or len(chosen) > LARGEST_COUNT:
        raise InputError(
            f"seeds={list(chosen)[:20]}: expected 1 to {LARGEST_COUNT:,} different seeds, such as [0, 1, 2], or their "
            "number."
        )
    return chosen


def train_sessions(
    sessions: Sequence[Session],
    states: Sequence[State],
    source: ProgramSource,
    traced: Callable[[], TracedPrograms],
    keeper: Keeper,
) -> Path:
    """Trains one seed per session, as many at once as the devices take, and keeps them; gives the run's folder.

    Args:
        sessions: one per seed; they have the arrays in common.
        states: where each starts.
        source: where the programs of all of them come from.
        traced: the same programs, traced in this process.
        keeper: where they are kept.

    Raises:
        Interrupted, DivergedError, StorageError: as `keeping.keep_all` says.
    """
    first, request = sessions[0], StopRequest()
    for note in dict.fromkeys(note for session in sessions for note in session.attempt.notes):
        _log.warning(note)
    first.progress.stage("compiling")
    arrays: dict[jax.Device, tuple[Examples | Batches, Examples | Batches | None]] = {}

    def trainer(number: int, lane: Lane) -> Trainer:
        return sessions[number].trainer(lane.programs, *arrays[lane.device])

    def compile_lane(lane: Lane) -> None:
        arrays[lane.device] = _arrays_on(lane.device, first)
        with jax.default_device(lane.device):
            trainer(0, lane).compile(jax.device_put(states[0], lane.device))

    lanes = compiled_lanes(len(sessions), source, traced, compile_lane, request)
    ready, compiling = time.perf_counter(), sum(lane.programs.compile_seconds for lane in lanes)
    with keeper.begin([session.attempt for session in sessions]) as begun:
        starts = [
            StartingPoint(state, session.resume, saver(begun, session.attempt.seed))
            for session, state in zip(sessions, states, strict=True)
        ]
        trainings = train_seeds(lanes, trainer, starts, request)
        before = max(session.seconds_before for session in sessions)
        seconds = Seconds(ready - first.started - compiling, compiling, before + time.perf_counter() - ready)
        for number, training in enumerate(trainings):
            training.state = jax.device_put(training.state, lanes[0].device)  # each was trained where there was room
            sessions[number].validate(trainer(number, lanes[0]), lanes[0].programs, training)
        attempts = [session.attempt_after(training) for session, training in zip(sessions, trainings, strict=True)]
        return keep_all(begun, attempts, trainings, seconds)


def _arrays_on(device: jax.Device, session: Session) -> tuple[Examples | Batches, Examples | Batches | None]:
    """The training and validation images on a device."""
    with jax.default_device(device):
        return session.train.examples(), None if session.validation is None else session.validation.examples()
