"""A connection that does not wait without end: uvicorn's, with limits on what comes before and beside a body."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fittingroom.serving.limits import LIMITS, RefusedError, overloaded

_WORTH = 8  # bytes of a request besides its body that each byte of the body pays for: chunks may be short


class Connection(HttpToolsProtocol):
    """Adds to uvicorn's connection what it leaves to a proxy in front of it.

    The head must come in time and be of a sensible size; there are only so many connections; a body that nobody wants
    any more, and an answer that nobody reads, end the connection. Errors have our JSON form.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._timer: asyncio.TimerHandle | None = None  # for the head, then for a body that nobody wants
        self._unread: asyncio.TimerHandle | None = None
        self._in_head = self._in_message = False
        self._bytes = self._body_bytes = self._leftover = 0
        self._unanswered: list[Any] = []  # uvicorn's cycles of requests
        self._head_bytes = self._fields = 0  # of the request that is being parsed
        self._reason: RefusedError | None = None  # why it is refused, where the parser is told to stop

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuses what is too much, and waits for the first request no longer than for others."""
        super().connection_made(transport)
        if len(self.connections) > LIMITS.connections:
            self._refuse(overloaded(f"{LIMITS.connections} connections are open, as many as there may be"))
        else:
            self.timeout_keep_alive_task = self.loop.call_later(LIMITS.idle, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the clocks, and the answers to all requests: uvicorn forgets those before the last one."""
        self._stop_timer()
        self._stop_unread()
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parses what came, and looks at how much of it is no body."""
        if self.transport.is_closing():
            return
        self._bytes += len(data)
        super().data_received(data)
        if self._in_message and self._bytes - _WORTH * self._body_bytes > LIMITS.overhead:
            self._refuse(_too_large(self._in_head, f"{LIMITS.overhead:,} bytes"))

    def on_message_begin(self) -> None:
        """A request begins: its head must be there in time."""
        super().on_message_begin()
        self._in_head = self._in_message = True
        self._bytes = self._body_bytes = self._leftover = self._head_bytes = self._fields = 0
        self._start_timer(self._head_is_late)

    def on_url(self, url: bytes) -> None:
        """Part of the first line, which counts too."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Trailers, which come after the body, are of no use here."""
        self._fields += 1
        self._count(len(name) + len(value))
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there; how fast the body must come is for `bodies` to say."""
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()
        self._unanswered = [cycle for cycle in (*self._unanswered, self.cycle) if not cycle.response_complete]

    def on_body(self, body: bytes) -> None:
        """Part of the body. After the answer it is thrown away, for a while."""
        self._body_bytes += len(body)
        if self.cycle.response_complete:
            self._leftover += len(body)
            if self._leftover > LIMITS.leftover:
                self.transport.abort()
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The whole request has come."""
        self._in_message = False
        self._stop_timer()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is given; where the rest of the body is still coming, it may do so for a moment."""
        super().on_response_complete()
        if self._in_message and not self._in_head and not self.transport.is_closing():
            self._start_timer(self.transport.abort)

    def pause_writing(self) -> None:
        """The client does not read its answer."""
        super().pause_writing()
        self._stop_unread()
        self._unread = self.loop.call_later(LIMITS.unread, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._stop_unread()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """What came is not HTTP, or is too much of it."""
        self._refuse(
            self._reason
            or RefusedError(400, "not_http", f"{msg.rstrip('.')}: expected HTTP/1.1, on a plain connection.")
        )

    def _unsupported_upgrade_warning(self) -> None:
        """There are no websockets here. The request is answered as any other, and is the last of its connection."""
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def _count(self, size: int) -> None:
        """Counts a line while it is parsed: a whole request may come at once, and would be answered by then."""
        self._head_bytes += size
        if self._fields > LIMITS.fields:
            self._reason = _too_large(self._in_head, f"{LIMITS.fields} lines")
        elif self._head_bytes > LIMITS.overhead:
            self._reason = _too_large(self._in_head, f"{LIMITS.overhead:,} bytes")
        if self._reason is not None:
            raise ValueError  # the parser stops, and `send_400_response` says why

    def _head_is_late(self) -> None:
        self._refuse(
            RefusedError(
                408,
                "too_slow",
                f"the head of the request was not there after {LIMITS.patience} seconds. Send it again.",
            )
        )

    def _refuse(self, error: RefusedError) -> None:
        """Answers in place of the application, unless its answer has begun, and ends the connection."""
        self._stop_timer()
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            self.transport.write(error.as_http())
        elif not (cycle.response_started or self.pipeline):
            self.transport.write(error.as_http())
            cycle.disconnected = True  # what the application says now is for nobody
            cycle.message_event.set()
        self.transport.close()

    def _start_timer(self, late: Any) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(LIMITS.patience, late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_unread(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


def _too_large(in_head: bool, limit: str) -> RefusedError:
    what = "header fields" if in_head else "trailers or pieces of chunks"
    return RefusedError(431, "head_too_large", f"the {what} have more than {limit}. Send fewer of them.")
