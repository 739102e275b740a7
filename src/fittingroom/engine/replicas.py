"""Several replicas at once: one lane per device, and in each lane one replica at a time, or many that ride together.

On a CPU every core is a device of its own (`fittingroom/__init__.py` asks JAX for that), so that as many replicas train
side by side as there are cores. A replica runs the very program that it would run alone, so it ends with the same bits.
On an accelerator many replicas share a device (`vectorised.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue

import jax

from fittingroom.engine.interrupt import StopRequest, stop_requests
from fittingroom.engine.mesh import available_devices
from fittingroom.engine.programs import Programs, ProgramSource, TracedPrograms
from fittingroom.engine.state import State
from fittingroom.engine.trainer import Trainer
from fittingroom.engine.training import Snapshot, Training
from fittingroom.engine.vectorised import VectorisedPrograms

SECONDS_BETWEEN_LOOKS = 0.1
# More replicas of a small network than this no longer make an accelerator faster; the others wait for a seat.
MOST_SEATS = 256


@dataclass(frozen=True)
class Lane:
    """A device, the programs on it, and how many replicas train there at once, each in a thread of its own."""

    device: jax.Device
    programs: Programs
    seats: int = 1


# Makes the trainer of the replica with a given number, from 0, in a lane.
TrainerOf = Callable[[int, Lane], Trainer]


def compiled_lanes(
    replicas: int,
    source: ProgramSource,
    traced: Callable[[], TracedPrograms],
    compile_lane: Callable[[Lane], None],
    request: StopRequest,
) -> list[Lane]:
    """The lanes that so many replicas are spread over, all cores or all accelerators, with their programs compiled.

    Where the steps are so long that devices share each batch of a replica alone (`mesh.py`), replicas take turns on all
    of them: that takes no longer, and they end with the same bits as alone.

    Args:
        replicas: how many there will be.
        source: where programs come from.
        traced: the same programs, traced in this process; asked for only where they are vectorised.
        compile_lane: compiles all that training needs in a lane.
        request: the request to stop that training will look at.
    """
    devices = jax.local_devices()[:replicas]
    seats = min(-(-replicas // len(devices)), MOST_SEATS)
    if devices[0].platform == "cpu" or seats == 1:
        alone = Lane(devices[0], Programs(source.on(available_devices())))
        compile_lane(alone)
        if alone.programs.devices > 1:
            return [alone]
        others = [Lane(device, Programs(source)) for device in devices[1:]]
    else:
        own = traced()
        alone, *others = [Lane(device, VectorisedPrograms(own, seats, request), seats) for device in devices]
        compile_lane(alone)
    for lane in others:
        compile_lane(lane)
    return [alone, *others]


@dataclass(frozen=True)
class Start:
    """Where a replica starts, or goes on, and what saves its snapshots; as `Trainer.train` has them."""

    state: State
    resume: Snapshot | None = None
    save: Callable[[Snapshot], None] | None = None


def train_replicas(
    lanes: Sequence[Lane], trainer: TrainerOf, starts: Sequence[Start], request: StopRequest
) -> list[Training]:
    """Trains one replica from each start, and returns what each left behind, in the same order.

    A seat takes the next replica as soon as it is free. A request to stop (Ctrl-C) reaches all of them; those that have
    not begun come back interrupted, without an epoch. An error in one of them, such as a callback's, stops the others
    too and is raised.
    """
    work = _Work(trainer, starts, request)
    seats = [lane for lane in lanes for _ in range(lane.seats)]
    with stop_requests(request), ThreadPoolExecutor(len(seats)) as pool:
        futures = [pool.submit(work.in_lane, lane) for lane in seats]
        _wait(futures)
    for future in futures:
        future.result()
    return [work.results[number] for number in range(len(starts))]


def _wait(futures: Sequence[Future[None]]) -> None:
    """Waits for all seats; returns early on a second Ctrl-C, when they have heard the first and are about to end.

    Python runs signal handlers in the main thread only, and only when that is awake.
    """
    with suppress(KeyboardInterrupt):
        while wait(futures, timeout=SECONDS_BETWEEN_LOOKS).not_done:
            pass


class _Work:
    """The replicas that wait for a seat, and what has come of the others."""

    def __init__(self, trainer: TrainerOf, starts: Sequence[Start], request: StopRequest) -> None:
        self.results: dict[int, Training] = {}
        self._trainer = trainer
        self._starts = starts
        self._request = request
        self._waiting: SimpleQueue[int] = SimpleQueue()
        for number in range(len(starts)):
            self._waiting.put(number)

    def in_lane(self, lane: Lane) -> None:
        """What a seat does until no replica is waiting."""
        try:
            with jax.default_device(lane.device), suppress(Empty):
                while True:
                    self._train(self._waiting.get_nowait(), lane)
        except BaseException:
            self._request.reason = "another replica failed"
            raise
        finally:
            if isinstance(lane.programs, VectorisedPrograms):
                lane.programs.leave()

    def _train(self, number: int, lane: Lane) -> None:
        start = self._starts[number]
        state = jax.device_put(start.state, lane.device)
        resume = None if start.resume is None else start.resume.on(lane.device)
        if self._request:
            self.results[number] = _left_alone(state, resume, self._request)
        else:
            self.results[number] = self._trainer(number, lane).train(state, self._request, resume, start.save)


def _left_alone(state: State, resume: Snapshot | None, request: StopRequest) -> Training:
    """What a replica leaves behind that was asked to stop before it could begin, or go on."""
    if resume is None:
        return Training(state, status="interrupted", reason=request.reason)
    return Training(resume.kept or state, list(resume.epochs), "interrupted", request.reason)
