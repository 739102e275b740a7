"""Memory that threads share, so that what they take together does not grow with their number."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Budget:
    """So many bytes, of which threads take what they need and wait while it is not there.

    Args:
        total: bytes that may be taken at any one time.
    """

    def __init__(self, total: int) -> None:
        self._total = self._left = total
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, wanted: int) -> Iterator[None]:
        """Waits until so many bytes are left; who wants more than all waits for all."""
        wanted = min(wanted, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= wanted)
            self._left -= wanted
        try:
            yield
        finally:
            with self._changed:
                self._left += wanted
                self._changed.notify_all()
