"""Ctrl-C and SIGTERM as a request to stop at the next good moment; a second one stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether someone has asked training to stop, and how."""

    def __init__(self) -> None:
        self.reason: str | None = None

    def __bool__(self) -> bool:
        return self.reason is not None

    def receive(self, number: int, frame: FrameType | None) -> None:
        """The signal handler: notes the first signal, raises on the second."""
        del frame
        if self:
            raise KeyboardInterrupt
        self.reason = "interrupted by Ctrl-C" if number == signal.SIGINT else "asked to end by SIGTERM"


@contextmanager
def stop_requests(request: StopRequest | None = None) -> Iterator[StopRequest]:
    """Catches SIGINT and SIGTERM for as long as the context lasts, and notes them in `request` or a new one.

    Only the main thread of a process may do so; in another thread the request stays empty and signals act as before.
    """
    request = StopRequest() if request is None else request
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, request.receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
