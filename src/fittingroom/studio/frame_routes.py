"""The pages and their files, what the frame shows in every view, and the stream of what happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse

from fittingroom import __version__
from fittingroom.serving.assets import PAGES, Assets
from fittingroom.serving.limits import RefusedError
from fittingroom.studio.studio import Studio, role_of

VIEWS = ("train", "understand", "try", "teach", "runs", "class", "labs", "benchmarks", "test")
"""Those that the rail leads to."""

_OF_A_RUN = ("audit",)  # reached from a run in the table of runs

_PAGES = Path(__file__).parent / "pages"
_ASSETS = Assets(PAGES, _PAGES)


def router(studio: Studio) -> APIRouter:
    """The frame around all views."""
    routes = APIRouter()

    @routes.get("/")
    async def first() -> RedirectResponse:
        return RedirectResponse("/train", 307)

    @routes.get("/{view}")
    async def page(view: str) -> HTMLResponse:
        if view not in (*VIEWS, *_OF_A_RUN):
            raise RefusedError(404, "not_found", f"There is no page /{view[:100]}. Open /train.")
        return _ASSETS.page(_PAGES / "index.html")

    routes.include_router(_ASSETS.router())

    @routes.get("/api/frame")
    def frame(request: Request) -> dict[str, Any]:
        """Who asks, the version, the folder, all runs (`Studio.listing`) and the work in the background."""
        role = role_of(request)
        return {
            "role": role,
            "version": __version__,
            "folder": str(studio.folder) if role == "owner" else studio.folder.name,  # others need not know the machine
            "runs": studio.listing(),
            "work": studio.work.listing(),
        }

    @routes.get("/api/events")
    async def events(request: Request, after: str | None = None) -> StreamingResponse:
        """Server-sent events; `Last-Event-ID`, or `after` in the query, says where a page continues."""
        last = request.headers.get("last-event-id", after)
        return StreamingResponse(studio.events.stream(last), media_type="text/event-stream")

    return routes
