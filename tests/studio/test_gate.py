"""Who may use a studio, and with which link."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import APIRouter, Depends, FastAPI

from fittingroom.serving.gate import Gate, Security
from fittingroom.studio.application import create_studio
from fittingroom.studio.frame_routes import VIEWS
from fittingroom.studio.studio import Studio, owner, role_of
from tests.serving.serving import Serving
from tests.studio.opened import asked, events, studio, tokens

OTHER = "http://evil.example"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A studio on loopback."""
    with studio(tmp_path_factory.mktemp("local") / "runs") as server:
        yield server


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serving, str, str]]:
    """A studio on all interfaces, and its two tokens."""
    with studio(tmp_path_factory.mktemp("shared") / "runs", "--host", "0.0.0.0") as server:
        yield server, *tokens(server)


def test_on_loopback_everybody_is_the_owner_and_every_view_has_its_page(local: Serving) -> None:
    assert "/enter/" not in local.said
    assert local.get("/api/frame").json["role"] == "owner"
    assert local.get("/").headers["location"] == "/train"
    pages = {local.get(f"/{view}").body for view in VIEWS}
    assert len(pages) == 1
    assert local.get("/nothing").error["code"] == "not_found"
    policy = local.get("/train").headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


def test_files_of_the_pages_are_kept_forever_under_an_address_of_their_content(local: Serving) -> None:
    named = re.findall(rb'(?:src|href)="(/assets/[^"]+)"', local.get("/train").body)
    assert len(named) >= 5
    for address in named:
        reply = local.get(address.decode())
        assert reply.status == 200
        assert "immutable" in reply.headers["cache-control"]
        assert reply.headers["x-content-type-options"] == "nosniff"
    assert local.get("/assets/old/studio.js").headers["cache-control"] == "no-store"
    for name in ("index.html", "..%2fstudio.py", "%2e%2e/application.py", "nothing.js"):
        assert local.get(f"/assets/old/{name}").status == 404


@pytest.mark.parametrize("path", ["/", "/train", "/api/frame", "/api/events"])
def test_foreign_hosts_are_refused(local: Serving, path: str) -> None:
    for host in ("evil.example", "127.0.0.1.nip.io", "192.168.0.1"):
        assert local.get(path, Host=host).error["code"] == "foreign_host"


@pytest.mark.parametrize("path", ["/api/frame", "/api/events"])
def test_pages_of_other_sites_can_neither_ask_nor_listen(local: Serving, path: str) -> None:
    port = str(local.port)
    for origin in (OTHER, "null", "http://127.0.0.1:1", f"http://localhost.evil.example:{port}"):
        assert local.get(path, Origin=origin, Host=f"127.0.0.1:{port}").error["code"] == "foreign_origin"
    # A picture or a script of another page sends no Origin, but browsers say where it comes from.
    for site in ("cross-site", "same-site"):
        refused = local.get(path, Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors")
        assert refused.error["code"] == "foreign_origin"
    assert local.get("/train", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate").status == 200
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Origin": OTHER, "Sec-WebSocket-Version": "13"}
    assert local.ask("GET", path, headers=upgrade).error["code"] == "foreign_origin"


def test_beyond_loopback_nothing_is_answered_without_a_link(shared: tuple[Serving, str, str]) -> None:
    server, owners, _ = shared
    for path in ("/", "/train", "/assets/x/studio.js", "/api/frame", "/api/events", "/nothing"):
        assert server.get(path).error["code"] == "no_token"
        assert server.get(path, Cookie=f"fittingroom-{server.port}=wrong").error["code"] == "wrong_token"
        assert server.get(path, Authorization="Bearer wrong").error["code"] == "wrong_token"
        assert server.get(f"{path}?token={owners}").error["code"] == "no_token"
    assert server.get("/enter/wrong").error["code"] == "wrong_token"
    page = server.get("/train", Accept="text/html")
    assert page.status == 401
    assert b"Open the link that was printed" in page.body
    assert page.headers["content-type"].startswith("text/html")


def test_a_link_becomes_a_cookie_of_this_server_alone_and_says_who_one_is(shared: tuple[Serving, str, str]) -> None:
    server, owners, guests = shared
    assert owners != guests
    for token, role in ((owners, "owner"), (guests, "guest")):
        page = server.get(f"/enter/{token}")
        cookie, *flags = page.headers["set-cookie"].split("; ")
        assert cookie == f"fittingroom-{server.port}={token}"
        assert flags == ["Path=/", "HttpOnly", "SameSite=Strict"]
        assert b'content="0; url=/"' in page.body  # it goes on by itself
        assert token.encode() not in page.body
        assert page.headers["cache-control"] == "no-store"
        assert server.get("/api/frame", Cookie=f"theme=dark; {cookie}").json["role"] == role
        frame = server.get("/api/frame", Authorization=f"Bearer {token}").json
        assert frame["role"] == role
        assert ("/" in frame["folder"]) == (role == "owner")  # others learn no path of this machine
        with events(server, Cookie=cookie) as stream:
            assert stream.next()["event"] == "hello"
    assert server.get("/api/frame", Cookie=f"fittingroom-1={owners}").status == 401  # of a server at another port


def test_a_click_elsewhere_on_an_address_of_ours_comes_through(shared: tuple[Serving, str, str]) -> None:
    """The browser leaves the cookie out with such a click, and sends it with the next request of our own page."""
    server, _, guests = shared
    clicked = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Accept": "text/html"}
    page = server.get("/understand?run=a%22b&epoch=3", **clicked)
    assert page.status == 200
    assert b'content="0; url=/understand?run=a%22b&amp;epoch=3"' in page.body
    assert "set-cookie" not in page.headers
    for path in ("//evil.example/x", "/\\evil.example"):
        assert b"url=//" not in server.get(path, **clicked).body
    cookie = f"fittingroom-{server.port}={guests}"
    assert b"module" in server.get("/understand", Cookie=cookie, **clicked).body


def test_tokens_are_said_once_and_never_again(shared: tuple[Serving, str, str]) -> None:
    server, owners, guests = shared
    security = Security.of("0.0.0.0", links=True, guests=True)
    assert str(security.token) not in repr(security)
    assert str(security.guest) not in repr(security)
    for path in ("/api/frame", "/train"):
        body = server.get(path, Authorization=f"Bearer {owners}").body
        assert owners.encode() not in body
        assert guests.encode() not in body


def routes_that_change() -> list[tuple[str, str, set[object]]]:
    """Method, path and dependencies of every route that is not a GET."""
    gate = create_studio(Studio(), Security.of("localhost", links=True))
    app = gate._app
    assert isinstance(app, FastAPI)
    found = []
    for route in app.routes:
        for method in getattr(route, "methods", None) or ():
            if method not in {"GET", "HEAD", "OPTIONS"}:
                needed = {one.call for one in route.dependant.dependencies}  # type: ignore[attr-defined]
                found.append((method, str(route.path), needed))  # type: ignore[attr-defined]
    return found


GUESTS_MAY = re.compile(r"/api/(runs/\{[a-z]+\}/)?(predict|try|answer|draw|photo)\b.*")
"""What guests send to be answered, and what changes nothing."""


def test_every_route_that_changes_something_asks_for_the_owner() -> None:
    open_to_all = [(method, path) for method, path, needs in routes_that_change() if owner not in needs]
    assert [(method, path) for method, path in open_to_all if not GUESTS_MAY.fullmatch(path)] == []


def test_a_guest_is_refused_where_the_owner_is_asked_for() -> None:
    routes = APIRouter()

    @routes.post("/api/change", dependencies=[Depends(owner)])
    async def change() -> dict[str, str]:
        return {"changed": "all"}

    @routes.get("/api/who")
    async def who(role: str = Depends(role_of)) -> dict[str, str]:
        return {"role": role}

    security = Security(frozenset({"localhost"}), any_address=False, token="o" * 22, guest="g" * 22, links=True)
    app = FastAPI()
    app.include_router(routes)
    app.exception_handlers.update(create_studio(Studio(), security)._app.exception_handlers)  # type: ignore[attr-defined]
    gate = Gate(app, security)
    for token, status in (("o", 200), ("g", 403), ("x", 401)):
        headers = {"cookie": f"fittingroom-80={token * 22}", "origin": "http://localhost"}
        assert asked(gate, "POST", "/api/change", headers).status == status
        foreign = asked(gate, "POST", "/api/change", {**headers, "origin": OTHER})
        assert foreign.error["code"] == "foreign_origin"
    guest = asked(gate, "POST", "/api/change", {"authorization": f"Bearer {'g' * 22}"})
    assert "the owner's link" in guest.error["message"]
    assert asked(gate, "GET", "/api/who", {"cookie": f"fittingroom-80={'g' * 22}"}).json == {"role": "guest"}


def test_without_a_gate_in_front_nobody_is_the_owner() -> None:
    app = create_studio(Studio(), Security.of("localhost", links=True))._app
    assert asked(app, "GET", "/api/frame").json["role"] == "guest"


def test_names_of_runs_lead_out_of_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fittingroom.serving.limits import RefusedError

    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "run.json").write_text("{}")
    (tmp_path / "runs").mkdir()
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(tmp_path / "runs"))
    for name in ("../outside", "..", ".", "", "/", str(tmp_path / "outside"), "a/b", "..\\outside", "a\0b", "x" * 5000):
        with pytest.raises(RefusedError, match="There is no run") as refused:
            Studio().path_of(name)
        assert refused.value.status == 404
