"""Steps that callbacks watch, many in one call of a program: each callback is called afterwards, as if it had waited.

The program notes the numbers after each step, and most callbacks want no more. A callback that looks at the model finds
it as it was after its own batch: the first look at a variable runs the steps up to there again, from the state before
the group, by the same program, so with the same bits. Whatever it changes counts from its batch on. Where callbacks
look at the model again and again, groups get shorter, down to single steps.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np

from fittingroom.engine.callbacks import Numbers, StopRequest
from fittingroom.engine.epoch import MOST_STEPS_GROUPED, Logs
from fittingroom.engine.snapshots import EpochPlace
from fittingroom.engine.state import State

if TYPE_CHECKING:
    from fittingroom.engine.keras_callbacks import KerasCallbacks

# A group takes about this long: so much later than its batch a callback may be called.
SECONDS_PER_GROUP = 0.02
# So many groups with a look into each, one after the other, and all further steps are single.
LOOKS_IN_A_ROW = 6


class GroupFeed(Protocol):
    """What gives the steps of an epoch."""

    @property
    def steps(self) -> int | None:
        """Of the epoch, where they are known."""
        ...

    def gather(self, start: int, wanted: int) -> int:
        """How many steps a group can have from step `start` on: those of the epoch, at most as many as wanted."""
        ...

    def group(self, state: State, start: int, stop: int) -> tuple[State, Logs, Logs]:
        """Runs the steps `start` to `stop`: the state, the numbers after the last, and those after each."""
        ...

    def leave_groups(self) -> None:
        """Makes the next steps single."""
        ...


class GroupedSteps:
    """The steps of an epoch in groups, with a callback that watches batches.

    Args:
        feed: gives the steps.
        callback: is called for each batch.
        stops: whether training should end now.
        reached: is told the state that the callback is about to see.
    """

    def __init__(
        self,
        feed: GroupFeed,
        callback: KerasCallbacks,
        stops: Callable[[], object],
        reached: Callable[[State], None],
    ) -> None:
        self._feed = feed
        self._callback = callback
        self._stops = stops
        self._reached = reached
        self._size, self._most = 4, MOST_STEPS_GROUPED
        self._looks = 0  # into how many groups in a row somebody has looked

    @property
    def is_over(self) -> bool:
        """Whether steps are better taken one by one from now on."""
        return self._looks >= LOOKS_IN_A_ROW

    def of_epoch(
        self, place: EpochPlace, request: StopRequest, told: Callable[[EpochPlace, int, float], None]
    ) -> EpochPlace:
        """Runs the steps of an epoch in groups: all, those before the first that has to be single, or until a request.

        Args:
            place: where it starts, or continues.
            request: whether training has been asked to stop.
            told: is called after each group, with its number of steps and how long they took.
        """
        place = place._replace(ended=place.step == self._feed.steps)
        while not (place.ended or self.is_over or (request and place.logs)):
            before, started = place.step, time.perf_counter()
            place = self._run(place, request)
            if place.logs:
                told(place, place.step - before, time.perf_counter() - started)
        if self.is_over:
            self._feed.leave_groups()
        return place

    def _run(self, last: EpochPlace, request: StopRequest) -> EpochPlace:
        """Runs some steps, and calls the callback for each.

        The group ends early where the callback looks at the model, where training should stop, and before a step whose
        loss is not finite.

        Args:
            last: where the group before has ended.
            request: whether training has been asked to stop.
        """
        callback, began = self._callback, time.perf_counter()
        state, step = last.state, last.step
        # As in Keras, a stop that was asked for before the first batch ends the epoch after that batch.
        count = self._feed.gather(step, 1 if self._stops() else min(self._size, self._most))
        if not count:
            return last._replace(ended=True)
        self._reached(state)
        if callback.watches_batch_begins and not last.begun:
            state = callback.batch_begin(state, step)
        after, _, noted = self._feed.group(state, step, step + count)
        names = sorted(noted)
        columns = [np.asarray(noted[name])[:count].tolist() for name in names]  # waits for the device
        rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        self._most = max(1, min(MOST_STEPS_GROUPED, int(count * SECONDS_PER_GROUP / (time.perf_counter() - began))))
        good = next((number for number, row in enumerate(rows) if not math.isfinite(row["loss"])), count)
        if good < count:
            self._looks = LOOKS_IN_A_ROW  # a loss that is not finite ends training, which single steps take care of
            if not good:
                return EpochPlace(state, step, last.logs, begun=True)
        return self._replayed(state, after if good == count else None, step, rows[:good], request)

    def _replayed(
        self, before: State, after: State | None, start: int, rows: list[Numbers], request: StopRequest
    ) -> EpochPlace:
        """Calls the callback for each of these batches; `after` is the state after all of them, if it is known."""

        def state() -> State:
            found = self._feed.group(before, start, start + done)[0]
            self._reached(found)
            return found

        callback, last = self._callback, len(rows) - 1
        now: State | None = None  # after the batches that are done, if the callback has looked
        done, ends, begun = 0, False, False
        with callback.unseen():
            while now is None and not ends and done < len(rows) - (after is not None):
                done += 1
                now = callback.unseen_batch("on_train_batch_end", start + done - 1, dict(rows[done - 1]), state)
                ends = bool(self._stops() or request)
                if now is None and not ends and callback.watches_batch_begins and done <= last:
                    now = callback.unseen_batch("on_train_batch_begin", start + done, {}, state)
                    begun = now is not None
        self._learn(len(rows), looked=now is not None)
        if now is None and (ends or after is None):
            now = state()
        if now is not None:
            callback.show(now)
        else:
            assert after is not None
            done += 1
            self._reached(after)
            now = callback.batch_end(after, start + last, dict(rows[last]))
        step = start + done
        return EpochPlace(now, step, rows[done - 1], begun, ended=step == self._feed.steps or bool(self._stops()))

    def _learn(self, steps: int, *, looked: bool) -> None:
        """Makes groups longer while nobody looks; the end of a single step is shown to all, so it teaches nothing."""
        self._size = 1 if looked else min(2 * self._size, MOST_STEPS_GROUPED)
        if looked or steps > 1:
            self._looks = self._looks + 1 if looked else 0
