"""Who may ask."""

from __future__ import annotations

import re
import time

import pytest

from fittingroom.serving.gate import Security
from fittingroom.serving.limits import RefusedError

OPEN = Security(frozenset({"localhost", "box"}), any_address=True, token="secret")


def status(security: Security, method: str = "GET", path: str = "/", **headers: str) -> int:
    """200, or that of the refusal."""
    named = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    try:
        security.check(method, path, named)
    except RefusedError as error:
        return error.status
    return 200


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:8000", "127.8.9.1", "[::1]:8000"]
)
def test_names_of_this_machine_are_served(host: str) -> None:
    assert status(Security.of("127.0.0.1"), host=host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "example.org",
        "example.org:8000",
        "localhost.example.org",
        "127.0.0.1.nip.io",
        "192.168.0.1",
        "0.0.0.0",
        "",
        "localhost:8000:1",
        "localhost@example.org",
        "localhost/",
        " localhost",
        "[::2]",
        "[localhost",
        "2130706433",
        "\xff",
    ],
)
def test_other_hosts_are_not(host: str) -> None:
    assert status(Security.of("127.0.0.1"), host=host) == 403


def test_a_request_names_one_host() -> None:
    both = [(b"host", b"localhost"), (b"host", b"example.org")]
    for headers in ([], both, both[::-1]):
        with pytest.raises(RefusedError, match=r"is not allowed\. Use localhost or 127\.0\.0\.1\."):
            Security.of("localhost").check("GET", "/", headers)


def test_loopback_needs_no_token_and_any_other_address_has_one_of_128_bits() -> None:
    assert all(Security.of(host).token is None for host in ("127.0.0.1", "localhost", "::1", "127.0.0.2"))
    tokens = {Security.of(host).token or "" for host in ("0.0.0.0", "::", "192.168.0.7", "box")}
    assert len(tokens) == 4
    assert all(re.fullmatch(r"[\w-]{22}", token) for token in tokens)


def test_a_server_for_others_is_addressed_by_its_name_or_any_address() -> None:
    bearer = "Bearer secret"
    assert [status(OPEN, host=host, authorization=bearer) for host in ("box:80", "10.0.0.7", "[fe80::1]:80")] == [
        200
    ] * 3
    assert status(OPEN, host="example.org", authorization=bearer) == 403


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer wrong", "Bearer secret2", "Basic secret", "secret", "Bearer s\xe9cret"]
)
def test_without_the_token_there_is_no_answer(given: str | None) -> None:
    headers = {} if given is None else {"authorization": given}
    assert status(OPEN, host="box", **headers) == 401
    assert status(OPEN, path="/healthz", host="box", **headers) == 200


def test_the_token_is_shown_by_no_repr() -> None:
    assert "secret" not in repr(OPEN)


def test_comparing_tokens_tells_nothing_by_its_time() -> None:
    """The first letter wrong or the last one: the fastest of many tries differs by less than a tenth."""
    long = Security(frozenset({"box"}), any_address=False, token="s" * 4000)

    def fastest(token: str) -> float:
        best = 1.0
        for _ in range(400):
            started = time.perf_counter()
            status(long, host="box", authorization=f"Bearer {token}")
            best = min(best, time.perf_counter() - started)
        return best

    first, last = fastest("x" + "s" * 3999), fastest("s" * 3999 + "x")
    assert first == pytest.approx(last, rel=0.3)


@pytest.mark.parametrize("origin", ["null", "http://example.org", "http://localhost:9", "http://localhost", "file://"])
def test_pages_of_others_change_nothing(origin: str) -> None:
    ours = Security.of("localhost")
    assert status(ours, "POST", host="localhost:8000", origin=origin) == 403
    assert status(ours, "GET", host="localhost:8000", origin=origin) == 200
    assert status(ours, "GET", host="localhost:8000", origin=origin, upgrade="websocket") == 403


def test_our_own_page_and_programs_may() -> None:
    ours = Security.of("localhost")
    assert status(ours, "POST", host="localhost:8000", origin="http://localhost:8000") == 200
    assert status(ours, "POST", host="localhost:8000") == 200
