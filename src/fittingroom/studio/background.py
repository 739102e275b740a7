"""Work that takes longer than a request: done in threads of its own, and told to the pages as it goes on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Literal

from fittingroom.errors import FittingRoomError
from fittingroom.studio.event_stream import Events

_log = logging.getLogger("fittingroom")

Progressed = Callable[[int, int], None]


@dataclass
class _Task:
    """What pages are told of a piece of work, as the event `work`.

    Args:
        key: its name, which occurs once at a time.
        title: what is done, in words such as "Computing the map of course-1".
        state: how far it is.
        done: of its steps; 0 where nobody counts.
        of: how many steps there are.
        message: why it failed.
    """

    key: str
    title: str
    state: Literal["waiting", "running", "done", "failed"] = "waiting"
    done: int = 0
    of: int = 0
    message: str | None = None


class BackgroundWork:
    """A few threads, so that a long piece of work does not hold up a short one.

    Args:
        events: told of each step.
    """

    def __init__(self, events: Events) -> None:
        self._events = events
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="work")
        self._lock = threading.Lock()
        self._tasks: dict[str, tuple[_Task, Future[None]]] = {}

    def begin(self, key: str, title: str, do: Callable[[Progressed], None]) -> dict[str, Any]:
        """Begins a piece of work, unless one with this key is under way.

        Args:
            key: such as `map of course-1`.
            title: what is done, in words.
            do: does it, and keeps what comes of it; it is given a function to call with (steps done, steps in all).

        Returns:
            Where it stands, as the event `work` has it.
        """
        with self._lock:
            task, future = self._tasks.get(key, (None, None))
            if task is None or future is None or future.done():
                task = _Task(key, title)
                self._tasks[key] = (task, self._pool.submit(self._do, task, do))
            return asdict(task)

    def listing(self) -> list[dict[str, Any]]:
        """The work that is under way or has failed."""
        with self._lock:
            return [asdict(task) for task, _ in self._tasks.values() if task.state != "done"]

    def close(self) -> None:
        """Begins nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _do(self, task: _Task, do: Callable[[Progressed], None]) -> None:
        def progressed(done: int, of: int) -> None:
            task.done, task.of = done, of
            self._tell(task)

        task.state = "running"
        self._tell(task)
        try:
            do(progressed)
            task.state = "done"
        except FittingRoomError as error:
            task.state, task.message = "failed", str(error)
        except Exception:
            _log.exception("%s failed", task.title)
            task.state, task.message = "failed", "The studio failed. Its log says why."
        self._tell(task)

    def _tell(self, task: _Task) -> None:
        self._events.publish("work", asdict(task))
