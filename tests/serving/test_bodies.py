"""Bodies while they come."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from fittingroom.serving.connection import HeldBytes
from fittingroom.serving.limits import LIMITS, RefusedError


def in_a_loop(work: Coroutine[Any, Any, bytes]) -> bytes:
    """Runs it in a thread of its own: the browser's driver leaves a running loop in the tests' own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def read(held: HeldBytes, parts: Iterable[bytes], length: str = "") -> bytes:
    headers = {"content-length": length} if length else {}
    coming = iter([{"type": "http.request", "body": part, "more_body": True} for part in parts])

    async def receive() -> dict[str, Any]:
        return next(coming, {"type": "http.request", "body": b"", "more_body": False})

    async def whole() -> bytes:
        with held.body() as body:
            return await body.read(receive, headers, 100)

    return in_a_loop(whole())


def test_a_body_is_put_together_and_counts_only_while_it_is_needed() -> None:
    held = HeldBytes()
    assert read(held, [b"a" * 60, b"b" * 40]) == b"a" * 60 + b"b" * 40
    assert held.bytes == 0


def test_a_body_over_its_limit_is_refused_before_or_while_it_comes() -> None:
    held = HeldBytes()
    for parts, length in (([], "101"), ([b"a" * 60, b"b" * 41], "")):
        with pytest.raises(RefusedError, match="more than 100 bytes") as refused:
            read(held, parts, length)
        assert refused.value.status == 413
    assert held.bytes == 0


def test_bodies_have_a_limit_together() -> None:
    held = HeldBytes(LIMITS.held_bytes - 10)
    with pytest.raises(RefusedError, match="256 MB together") as refused:
        read(held, [b"a" * 11])
    assert (refused.value.status, refused.value.headers) == (503, {"retry-after": "1"})
    assert read(held, [b"a" * 10]) == b"a" * 10
    assert held.bytes == LIMITS.held_bytes - 10


def test_a_body_that_keeps_the_pace_may_still_not_take_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fittingroom.serving.connection.LIMITS", replace(LIMITS, longest=0.3))

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": bytes(LIMITS.pace), "more_body": True}

    async def whole() -> bytes:
        with HeldBytes().body() as body:
            return await body.read(receive, {}, LIMITS.body_bytes)

    with pytest.raises(RefusedError, match=r"all of it within 0\.3 seconds") as refused:
        in_a_loop(whole())
    assert refused.value.status == 408


def test_a_client_that_goes_away_ends_it() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def whole() -> bytes:
        with HeldBytes().body() as body:
            return await body.read(receive, {}, 100)

    with pytest.raises(RefusedError, match="went away"):
        in_a_loop(whole())
