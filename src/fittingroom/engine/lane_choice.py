"""Whether seeds train side by side or one after the other, from measurements that are made once per machine.

Which is faster depends on what the cores share: caches, memory, and often, as two threads of one core, the arithmetic
units. So the first trainings with several seeds measure it with their own programs, for a moment each, and keep what
they found in the cache folder. It decides only what runs when; the weights are the same to the bit either way.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import jax
import numpy as np

from fittingroom.atomic import CheckedFile
from fittingroom.data.cache import cache_dir
from fittingroom.engine.devices import Sharing
from fittingroom.engine.epoch import Examples
from fittingroom.engine.lanes import Lane
from fittingroom.engine.snapshots import TrainingPlan
from fittingroom.engine.state import State
from fittingroom.errors import StorageError

_SECONDS = 0.03  # of one measurement
_MOST_PAIRS = 5  # of measurements in a training
_ENOUGH = 11  # pairs, of several trainings, after which nothing more is measured
_SHARE = 0.1  # of a training's time that measuring may take


def faster_lanes(
    lanes: Sequence[Lane],
    state: State,
    examples: Mapping[jax.Device, Any],
    plan: TrainingPlan,
    seeds: int,
    machine: Sequence[object],
) -> list[Lane]:
    """All lanes, where that many seeds side by side train sooner than one after the other; else the first alone.

    Args:
        lanes: on cores, a seat each, their training programs compiled.
        state: of a seed before its first step.
        examples: what is trained on, on each lane's device; nothing is measured for an iterable of batches.
        plan: of a seed.
        seeds: how many there are.
        machine: what else the answer may depend on: the processor, the recipe.
    """
    own = [examples[lane.device] for lane in lanes]
    if len(lanes) == 1 or lanes[0].device.platform != "cpu" or not isinstance(own[0], Examples):
        return list(lanes)
    shapes = str(Sharing.shapes_of((state, own[0])))
    key = json.dumps([len(lanes), jax.__version__, *machine, shapes], default=str)
    kept = _Measured(cache_dir() / "programs" / "seeds.json", hashlib.sha256(key.encode()).hexdigest()[:16])
    gains = kept.gains()
    if len(gains) < _ENOUGH:
        steps = max(1, len(own[0].labels) // plan.batch_size)
        works = [_Work(*pair, state, steps) for pair in zip(lanes, own, strict=True)]
        if new := _measured(works, seeds * plan.epochs * steps):
            gains = [*gains, *new]
            kept.keep(gains)
    return list(lanes) if not gains or statistics.median(gains) >= 1 else list(lanes[:1])


class _Work:
    """Some steps of the program of a lane, whose results nobody needs."""

    def __init__(self, lane: Lane, examples: Examples, state: State, most: int) -> None:
        self._lane = lane
        self._arguments = jax.device_put(state, lane.device), examples, np.arange(len(examples.labels), dtype=np.int32)
        self.most = most

    def run(self, steps: int) -> None:
        """Runs so many, and waits for them."""
        with jax.default_device(self._lane.device):
            jax.block_until_ready(self._lane.programs.train(*self._arguments, 0, steps))


def _measured(works: Sequence[_Work], steps_of_all: int) -> list[float]:
    """How many times as many steps a second all lanes do side by side as the first does alone, pair by pair.

    There are no pairs where training takes so little that measuring would be felt.
    """
    with ThreadPoolExecutor(len(works)) as pool:

        def seconds(some: Sequence[_Work], steps: int) -> float:
            started = time.perf_counter()
            list(pool.map(lambda work: work.run(steps), some))
            return time.perf_counter() - started

        steps, first = 1, works[:1]
        seconds(works, steps)  # the first call of a program is slow
        while (taken := seconds(first, steps)) < _SECONDS / 2 and steps < first[0].most:
            steps = min(2 * steps, first[0].most)
        affordable = _SHARE * steps_of_all * taken / steps
        pairs = min(_MOST_PAIRS, int(affordable / (taken * (1 + len(works)))))
        return [len(works) * seconds(first, steps) / seconds(works, steps) for _ in range(pairs)]


class _Measured:
    """What was measured on this machine, in a file of the cache folder.

    Args:
        path: the file.
        key: of the measurement.
    """

    def __init__(self, path: Path, key: str) -> None:
        self._file = CheckedFile(path)
        self._key = key

    def gains(self) -> list[float]:
        """What was found so far."""
        found = self._all().get(self._key, [])
        return [gain for gain in found if isinstance(gain, float) and gain > 0] if isinstance(found, list) else []

    def keep(self, gains: Sequence[float]) -> None:
        """Writes it; where that is not possible, the next training measures again."""
        with suppress(OSError, StorageError):
            self._file.path.parent.mkdir(parents=True, exist_ok=True)
            self._file.write(json.dumps({**self._all(), self._key: list(gains)}).encode())

    def _all(self) -> dict[str, Any]:
        try:
            found = json.loads(self._file.read() or b"{}")
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}
