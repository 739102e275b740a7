"""What a client may send, how much of it and how slowly: uvicorn's connection with limits, and the bodies of requests.

uvicorn leaves these limits to a proxy in front of it, and most servers of this kind have none. Its settings limit the
number of requests and, with h11 alone, the size of headers, but never a time; and a middleware sees a request only when
its headers are complete. With uvicorn's own protocols, 30 (httptools) and 27 (h11) of the 98 tests in
`tests/serving/test_hostile.py` fail:

- a connection that sends nothing, or one byte of its headers at a time, is held forever (here: 5 and 1.5 seconds);
- headers of 150 kB, or of 25,000 lines, are accepted (431 above 64 kB or 256 lines);
- ten gigabytes are read to the end after their request was refused (the connection ends after 32 MB or 1.5 seconds);
- answers that nobody reads are kept forever (10 seconds);
- connections that send nothing are not refused until the process has no file handles left (503 after 768);
- what is not HTTP gets plain text in place of the JSON that all other errors have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fittingroom.serving.limits import LIMITS, MIB, RefusedError

Receive = Callable[[], Any]

_HEAD = 4096  # bytes, more than an answer's head has
_WORTH = 8  # bytes of a request besides its body that each byte of the body pays for: chunks may be short


class Connection(HttpToolsProtocol):
    """uvicorn's connection with the limits that uvicorn leaves to a proxy in front of it. Errors have our JSON form."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._timer: asyncio.TimerHandle | None = None  # for the head, then for a body that nobody wants
        self._unread: asyncio.TimerHandle | None = None
        self._in_head = self._in_message = False
        self._bytes = self._body_bytes = self._leftover = 0
        self._unanswered: list[Any] = []  # uvicorn's cycles of requests
        self._head_bytes = self._fields = 0  # of the request that is being parsed
        self._reason: RefusedError | None = None  # why it is refused, once a callback has stopped the parser

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Without this, uvicorn waits forever for the first request of a connection."""
        super().connection_made(_Gathered(transport, self.loop))  # type: ignore[arg-type]
        if len(self.connections) > LIMITS.connections:
            self._refuse(RefusedError.overloaded(f"All {LIMITS.connections} connections are in use"))
        else:
            self.timeout_keep_alive_task = self.loop.call_later(LIMITS.idle, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends the answers to all pipelined requests: uvicorn ends only that to the last one."""
        self._stop_timer()
        self._stop_unread()
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Counts what is not body: one endless header, or a byte of body in each large chunk, reaches no callback."""
        if self.transport.is_closing():
            return
        self._bytes += len(data)
        super().data_received(data)
        if self._in_message and self._bytes - _WORTH * self._body_bytes > LIMITS.overhead:
            self._refuse(_head_too_large(self._in_head, f"{LIMITS.overhead:,} bytes"))

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
        """The head is there; how fast the body must come is for `_Body` to say."""
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()
        self._unanswered = [cycle for cycle in (*self._unanswered, self.cycle) if not cycle.response_complete]

    def on_body(self, body: bytes) -> None:
        """Part of the body. After the answer, so much is thrown away that the client comes to read the answer."""
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
        """Leaves a client that is still sending its body a moment to read the answer."""
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
            self._reason or RefusedError(400, "not_http", f"{msg.rstrip('.')}: expected HTTP/1.1 without TLS.")
        )

    def _unsupported_upgrade_warning(self) -> None:
        """There are no websockets here. The request is answered as any other, and is the last of its connection."""
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def _count(self, size: int) -> None:
        """Counts a line while it is parsed: a whole request may come at once, and `data_received` would be too late."""
        self._head_bytes += size
        if self._fields > LIMITS.fields:
            self._reason = _head_too_large(self._in_head, f"{LIMITS.fields} lines")
        elif self._head_bytes > LIMITS.overhead:
            self._reason = _head_too_large(self._in_head, f"{LIMITS.overhead:,} bytes")
        if self._reason is not None:
            raise ValueError  # the parser stops, and `send_400_response` says why

    def _head_is_late(self) -> None:
        self._refuse(
            RefusedError(
                408,
                "too_slow",
                f"The headers of the request did not arrive within {LIMITS.patience} seconds. Send it again.",
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
            cycle.disconnected = True  # nobody hears what the application says now
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


class _Gathered:
    """A transport that sends the head of an answer together with its body, as one packet.

    uvicorn writes them one after the other, and uvloop sends each at once: a call of the system is a third of what the
    event loop does for a small answer. What is written alone waits for the end of the event loop's turn, no longer.

    Args:
        transport: that of the connection.
        loop: its event loop.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held = b""
        self.is_closing, self.get_extra_info = transport.is_closing, transport.get_extra_info
        self.pause_reading, self.resume_reading = transport.pause_reading, transport.resume_reading

    def write(self, data: bytes) -> None:
        """Sends, with what waits; alone, it waits."""
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held + data)
        elif len(data) > _HEAD:
            self._transport.write(data)
        else:
            self._held = data
            self._loop.call_soon(self._flush)

    def close(self) -> None:
        """Closes the connection once all is sent."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Closes it at once."""
        self._held = b""
        self._transport.abort()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _flush(self) -> None:
        if self._held:
            held, self._held = self._held, b""
            self._transport.write(held)


def _head_too_large(in_head: bool, limit: str) -> RefusedError:
    what = "The headers have" if in_head else "The trailers or the sizes of chunks have"
    return RefusedError(431, "head_too_large", f"{what} more than {limit}. Send fewer of them.")


@dataclass
class HeldBytes:
    """The bytes of all bodies that are there at the moment, which have a limit together."""

    bytes: int = 0

    @contextmanager
    def body(self) -> Iterator[_Body]:
        """A new body, whose bytes count until the end of the block."""
        body = _Body(self)
        try:
            yield body
        finally:
            self.bytes -= body.size


@dataclass
class _Body:
    """One body while it comes.

    Args:
        held: where its bytes are counted.
        size: how many have come.
    """

    held: HeldBytes
    size: int = 0
    _parts: list[bytes] = field(default_factory=list)

    async def read(self, receive: Receive, headers: Mapping[str, str], most: int) -> bytes:
        """All of it.

        Args:
            receive: of ASGI.
            headers: of the request.
            most: bytes that it may have.

        Raises:
            RefusedError: 413 if it has more, known before or found while it comes; 408 if it comes too slowly; 503 if
                there are too many others.
        """
        if int(headers.get("content-length", 0)) > most:
            raise _body_too_large(most)
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(LIMITS.patience) as clock:
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise RefusedError(400, "disconnected", "The client went away before the request was complete.")
                    self._take(message.get("body", b""), most)
                    if not message.get("more_body", False):
                        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
                    clock.reschedule(started + min(LIMITS.patience + self.size / LIMITS.pace, LIMITS.longest))
        except TimeoutError:
            raise RefusedError(
                408,
                "too_slow",
                f"Only {self.size:,} bytes of the body came in {loop.time() - started:.1f} seconds; expected the first "
                f"within {LIMITS.patience} seconds, at least {LIMITS.pace:,} per second after that, and all of it "
                f"within {LIMITS.longest:g} seconds. Send it again, or send less at once.",
                headers={"connection": "close"},
            ) from None

    def _take(self, part: bytes, most: int) -> None:
        self.size += len(part)
        self.held.bytes += len(part)
        if self.size > most:
            self._parts.clear()
            raise _body_too_large(most)
        if self.held.bytes > LIMITS.held_bytes:
            self._parts.clear()
            raise RefusedError.overloaded(f"The requests in progress exceed {LIMITS.held_bytes // MIB} MB together")
        self._parts.append(part)


def _body_too_large(most: int) -> RefusedError:
    message = f"The body has more than {most:,} bytes, the limit for its type. Send smaller pictures, or fewer."
    return RefusedError(413, "too_large", message)
