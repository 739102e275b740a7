"""The body of a request: read no further than it may go, no slower than it may come, and taken apart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from fittingroom.serving.limits import LIMITS, MIB, RefusedError, overloaded

PICTURES = ("image/png", "image/jpeg", "image/webp", "image/bmp", "image/gif")
JSON = "application/json"
MULTIPART = "multipart/form-data"
ACCEPTED = (*PICTURES, JSON, MULTIPART)

Receive = Callable[[], Any]

_NAME_LENGTH = 255


@dataclass
class Held:
    """The bytes of all bodies that are there at the moment, which have a limit together."""

    bytes: int = 0

    @contextmanager
    def body(self) -> Iterator[Body]:
        """A new body, whose bytes count until the end of the block."""
        body = Body(self)
        try:
            yield body
        finally:
            self.bytes -= body.size


@dataclass
class Body:
    """One body while it comes.

    Args:
        held: where its bytes are counted.
        size: how many have come.
    """

    held: Held
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
            raise _too_large(most)
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with asyncio.timeout(LIMITS.patience) as clock:
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise RefusedError(400, "disconnected", "the client went away before its request was whole.")
                    self._take(message.get("body", b""), most)
                    if not message.get("more_body", False):
                        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
                    clock.reschedule(started + min(LIMITS.patience + self.size / LIMITS.pace, LIMITS.longest))
        except TimeoutError:
            raise RefusedError(
                408,
                "too_slow",
                f"only {self.size:,} bytes of the body came in {loop.time() - started:.1f} seconds; expected the first "
                f"within {LIMITS.patience} seconds, at least {LIMITS.pace:,} per second after that, and all of it "
                f"within {LIMITS.longest:g} seconds. Send it again, or less at once.",
                headers={"connection": "close"},
            ) from None

    def _take(self, part: bytes, most: int) -> None:
        self.size += len(part)
        self.held.bytes += len(part)
        if self.size > most:
            self._parts.clear()
            raise _too_large(most)
        if self.held.bytes > LIMITS.held_bytes:
            self._parts.clear()
            raise overloaded(f"the requests under way have more than {LIMITS.held_bytes // MIB} MB together")
        self._parts.append(part)


def media_type(headers: Mapping[str, str]) -> tuple[str, str]:
    """The media type of a body in lower case, and its header as it is.

    Raises:
        RefusedError: 415 for one that is not accepted, and for a body that is packed.
    """
    given = headers.get("content-type", "")
    kind = given.partition(";")[0].strip().lower()
    if kind not in ACCEPTED:
        what = f"the body is {kind[:80]!r}" if kind else "the request does not say what its body is"
        raise RefusedError(
            415,
            "wrong_type",
            f"{what}; expected a picture ({', '.join(PICTURES)}), several as {MULTIPART}, or numbers as {JSON}. Say "
            "which in the header Content-Type.",
            headers={"accept-post": ", ".join(ACCEPTED)},
        )
    packed = headers.get("content-encoding", "identity").strip().lower()
    if packed != "identity":
        raise RefusedError(
            415,
            "wrong_encoding",
            f"the body is packed as {packed[:80]!r}. Send it as it is; pictures are packed already.",
        )
    return kind, given


@dataclass(frozen=True)
class BodyPart:
    """One picture of a request.

    Args:
        name: of its file, if it has one.
        content: its bytes.
    """

    name: str | None
    content: bytes


def split(body: bytes, content_type: str) -> list[BodyPart]:
    """The files of a multipart body.

    Raises:
        RefusedError: 400 if it is not one, 413 if it has too many parts, 422 if it has none.
    """
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header

    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise _not_multipart("its Content-Type names no boundary")
    collected = _Collected()
    try:
        parser = MultipartParser(boundary, collected.callbacks())  # type: ignore[arg-type]
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise _not_multipart(str(error)) from error
    if not collected.ended:
        raise _not_multipart("it is cut off before its last boundary")
    if not collected.parts:
        raise RefusedError(
            422, "no_picture", "the body has no file. Expected one picture at least: curl -F files=@FILE."
        )
    return collected.parts


@dataclass
class _Collected:
    """What the parser of multipart bodies has found so far."""

    parts: list[BodyPart] = field(default_factory=list)
    ended: bool = False
    _begun: int = 0
    _content: bytearray = field(default_factory=bytearray)
    _field: bytearray = field(default_factory=bytearray)
    _value: bytearray = field(default_factory=bytearray)
    _disposition: bytes = b""

    def callbacks(self) -> dict[str, Callable[..., None]]:
        return {
            "on_part_begin": self._begin,
            "on_part_data": lambda data, start, end: self._content.extend(data[start:end]),
            "on_part_end": self._end,
            "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
            "on_end": self._all,
        }

    def _begin(self) -> None:
        self._begun += 1
        if self._begun > LIMITS.images:
            raise RefusedError(
                413, "too_many", f"the body has more than {LIMITS.images} parts. Send at most so many pictures at once."
            )
        self._content, self._disposition = bytearray(), b""

    def _header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._field, self._value = bytearray(), bytearray()

    def _end(self) -> None:
        from python_multipart.multipart import parse_options_header

        _, options = parse_options_header(self._disposition)
        name = options.get(b"filename", b"").decode("utf-8", "replace")[:_NAME_LENGTH]
        if b"filename" in options or options.get(b"name") == b"files":  # other fields of a form are no pictures
            self.parts.append(BodyPart(name or None, bytes(self._content)))
        self._content = bytearray()

    def _all(self) -> None:
        self.ended = True


def _not_multipart(why: str) -> RefusedError:
    return RefusedError(
        400, "not_multipart", f"the body is no {MULTIPART} ({why}). curl makes one with -F files=@FILE."
    )


def _too_large(most: int) -> RefusedError:
    return RefusedError(
        413,
        "too_large",
        f"the body has more than {most:,} bytes, which is the most for its type. Send smaller pictures, or fewer.",
    )
