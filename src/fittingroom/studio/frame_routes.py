"""The pages and their files, what the frame shows in every view, and the stream of what happens."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, StreamingResponse

from fittingroom import __version__
from fittingroom.serving.limits import RefusedError
from fittingroom.studio.roles import role_of
from fittingroom.studio.studio import Studio

VIEWS = ("train", "understand", "try", "runs", "class", "labs", "test")

_PAGES = Path(__file__).parent / "pages"
_HOUSE_STYLE = Path(__file__).parents[1] / "reports" / "templates"
_SHARED = ("style.css", "drawing.css")  # with the reports
_STYLES = (*_SHARED, "studio.css")
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png"}
_FOREVER = "private, max-age=31536000, immutable"  # the address changes when a file does
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def router(studio: Studio) -> APIRouter:
    """The frame around all views."""
    routes = APIRouter()

    @routes.get("/")
    async def first() -> RedirectResponse:
        return RedirectResponse("/train", 307)

    @routes.get("/{view}")
    async def page(view: str) -> HTMLResponse:
        if view not in VIEWS:
            raise RefusedError(404, "not_found", f"There is no page /{view[:100]}. Open /train.")
        text = (_PAGES / "index.html").read_text(encoding="utf-8").replace("{styles}", _styles())
        text = text.replace("{assets}", f"/assets/{_version()}")
        return HTMLResponse(text, headers={"content-security-policy": _POLICY})

    @routes.get("/assets/{version}/{name}")
    async def asset(version: str, name: str) -> FileResponse:
        path = _files().get(name)
        if path is None:
            raise RefusedError(404, "not_found", f"There is no file {name[:100]}. Load the page again.")
        caching = {"cache-control": _FOREVER} if version == _version() else {}
        return FileResponse(path, media_type=_KINDS[path.suffix], headers=caching)

    @routes.get("/api/frame")
    def frame(request: Request) -> dict[str, Any]:
        """Who asks, the version, the folder, all runs (`Studio.listing`) and the work in the background."""
        return {
            "role": role_of(request),
            "version": __version__,
            "folder": str(studio.folder),
            "runs": studio.listing(),
            "work": studio.work.listing(),
        }

    @routes.get("/api/events")
    async def events(request: Request, after: str | None = None) -> StreamingResponse:
        """Server-sent events; `Last-Event-ID`, or `after` in the query, says where a page continues."""
        last = request.headers.get("last-event-id", after)
        return StreamingResponse(studio.events.stream(last), media_type="text/event-stream")

    return routes


def _files() -> dict[str, Path]:
    """What is served, by name: the files of the pages, and those that they share with reports."""
    shared = {name: _HOUSE_STYLE / name for name in _SHARED}
    return {**{path.name: path for path in _PAGES.iterdir() if path.suffix in _KINDS}, **shared}


def _styles() -> str:
    """The style sheets in their order: the house's, the frame's, and those of views, which may rely on both."""
    views = sorted(name for name in _files() if name.endswith(".css") and name not in _STYLES)
    return "\n".join(f'<link rel="stylesheet" href="{{assets}}/{name}">' for name in (*_STYLES, *views))


def _version() -> str:
    """Changes with any of the files."""
    return hashlib.sha256(repr(list(_states())).encode()).hexdigest()[:12]


def _states() -> Iterator[tuple[str, int, int]]:
    for name, path in sorted(_files().items()):
        state = path.stat()
        yield name, state.st_size, state.st_mtime_ns
