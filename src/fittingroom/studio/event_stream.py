"""What happens, told to every page that watches: one stream of server-sent events, which catches up after a gap.

Work that takes longer than a request is done in threads of its own, and told to the pages as it goes on.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import secrets
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Literal

from fittingroom.errors import FittingRoomError

_log = logging.getLogger("fittingroom")

_KEPT = 2_000  # events that a page which comes back can catch up on; beyond, it loads everything again
_BEAT = 10.0  # seconds between two signs of life: a page that misses two takes the connection for lost
_TURN = 0.25  # seconds between two looks at files, while somebody watches


class Events:
    """The events of a studio, and the looks at files from which some of them come.

    An event has a kind and a JSON object. Its id counts from the start of this process, so that a page that comes back
    gets what it missed; after another start, or too long a gap, the page is told to load everything again.
    """

    def __init__(self) -> None:
        self._start = secrets.token_hex(4)
        self._kept: deque[tuple[int, str]] = deque(maxlen=_KEPT)
        self._last = 0
        self._lock = threading.Lock()
        self._pages: dict[int, tuple[asyncio.AbstractEventLoop, asyncio.Event]] = {}
        self._numbers = itertools.count()
        self._polls: list[Callable[[], None]] = []
        self._watched, self._closed = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def watching(self) -> int:
        """How many pages listen."""
        return len(self._pages)

    def publish(self, kind: str, data: Mapping[str, Any]) -> None:
        """Tells all pages; may be called in any thread.

        Args:
            kind: one word, for which a view listens, such as `training`.
            data: plain JSON.
        """
        text = json.dumps(data, ensure_ascii=True, allow_nan=False)
        with self._lock:
            self._last += 1
            self._kept.append((self._last, f"id: {self._start}-{self._last}\nevent: {kind}\ndata: {text}\n\n"))
        self._wake()

    def poll(self, look: Callable[[], None]) -> None:
        """Has a function called four times a second while anybody watches. It looks at files, and publishes."""
        self._polls.append(look)

    def close(self) -> None:
        """Ends all streams."""
        self._closed.set()
        self._watched.set()
        self._wake()

    async def stream(self, last_id: str | None) -> AsyncIterator[str]:
        """The events from now on, for one page.

        Args:
            last_id: of the last event that the page has had; None for a page that has just been loaded.
        """
        loop, woken, number = asyncio.get_running_loop(), asyncio.Event(), next(self._numbers)
        after, caught_up = self._position(last_id)
        hello = json.dumps({"caught_up": caught_up})
        self._pages[number] = (loop, woken)
        self._watch()
        try:
            yield f"retry: 1000\nid: {self._start}-{after}\nevent: hello\ndata: {hello}\n\n"
            while not self._closed.is_set():
                woken.clear()
                with self._lock:
                    missed = [(place, text) for place, text in self._kept if place > after]
                for place, text in missed:
                    yield text
                    after = place
                try:
                    async with asyncio.timeout(_BEAT):
                        await woken.wait()
                except TimeoutError:
                    yield "event: beat\ndata: {}\n\n"
        finally:
            del self._pages[number]
            if not self._pages:
                self._watched.clear()

    def _position(self, last_id: str | None) -> tuple[int, bool]:
        """After which event a page continues, and whether it has missed none."""
        start, _, number = (last_id or "").partition("-")
        oldest = self._kept[0][0] if self._kept else self._last + 1
        if start == self._start and number.isdigit() and oldest - 1 <= int(number) <= self._last:
            return int(number), True
        return self._last, False

    def _wake(self) -> None:
        for loop, woken in list(self._pages.values()):
            loop.call_soon_threadsafe(woken.set)

    def _watch(self) -> None:
        self._watched.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, name="watching", daemon=True)
            self._thread.start()

    def _look(self) -> None:
        while not self._closed.is_set():
            for look in list(self._polls):
                try:
                    look()
                except Exception:
                    _log.exception("a look at the folder of runs failed")
            self._closed.wait(_TURN)
            self._watched.wait()


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
