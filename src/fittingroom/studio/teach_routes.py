"""The routes of the view `/teach`: classes filled by photos, the process that teaches a run by them, and its result."""

from __future__ import annotations

import threading
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from fittingroom.errors import FittingRoomError
from fittingroom.reports.pages.teaching_curve import teaching_curve
from fittingroom.runs.layout import SeedFiles, read_layout
from fittingroom.serving.connection import HeldBytes
from fittingroom.serving.limits import LIMITS
from fittingroom.studio.studio import Studio, owner, role_of
from fittingroom.studio.taught_classes import TaughtClasses, teach

_OWNER = [Depends(owner)]


class ClassName(BaseModel):
    """A name that somebody gives a class.

    Args:
        name: of one to five words, as a rule.
    """

    name: str


def router(studio: Studio) -> APIRouter:
    """What the view asks for. Photos are shown to the owner alone: they may be of people."""
    routes, held, closed = APIRouter(prefix="/api/teach/{run}"), HeldBytes(), threading.Event()
    studio.ends.append(closed.set)

    def classes_of(run: str) -> TaughtClasses:
        record = next(iter(read_layout(studio.path_of(run)).records().values()))
        return TaughtClasses.of(studio.folder, run, record.data.classes)

    @routes.get("")
    def state(request: Request, run: str) -> dict[str, Any]:
        """The classes with their photos, and what was taught last; guests get counts only."""
        classes, mine = classes_of(run), role_of(request) == "owner"
        photos = {name: classes.photos(name) for name in classes.names()}
        return {
            "run": run,
            "known": list(classes.known),
            "classes": [
                {"name": name, "known": name in classes.known, "count": len(files), "photos": files if mine else []}
                for name, files in photos.items()
            ],
            "folder": str(classes.folder) if mine else "",
            "taught": _taught(studio, classes.taught),
        }

    @routes.post("/classes", dependencies=_OWNER)
    def add(run: str, body: ClassName) -> dict[str, Any]:
        """Adds a class."""
        return {"name": classes_of(run).add(body.name)}

    @routes.put("/classes/{name:path}", dependencies=_OWNER)
    def rename(run: str, name: str, body: ClassName) -> dict[str, Any]:
        """Gives a class another name."""
        return {"name": classes_of(run).rename(name, body.name)}

    @routes.delete("/classes/{name:path}", dependencies=_OWNER)
    def remove(run: str, name: str) -> dict[str, Any]:
        """Takes a class away, with its photos."""
        classes_of(run).remove(name)
        return {}

    @routes.post("/photos", dependencies=_OWNER)
    async def put(request: Request, run: str, name: str) -> dict[str, Any]:
        """Adds the photo in the body to the class `name`."""
        with held.body() as coming:
            content = await coming.read(request.receive, request.headers, LIMITS.body_bytes)
            return {"photo": await run_in_threadpool(lambda: classes_of(run).put(name, content))}

    @routes.get("/photos/{photo}", dependencies=_OWNER)
    def small(run: str, photo: str, name: str) -> Response:
        """A photo of the class `name`, small."""
        content = classes_of(run).small(name, photo)
        return Response(content, media_type="image/jpeg", headers={"cache-control": "private, max-age=86400"})

    @routes.delete("/photos/{photo}", dependencies=_OWNER)
    def take_away(run: str, photo: str, name: str) -> dict[str, Any]:
        """Removes a photo of the class `name`."""
        classes_of(run).take_away(name, photo)
        return {}

    @routes.post("/begin", dependencies=_OWNER)
    def begin(run: str) -> dict[str, Any]:
        """Teaches the run, in a process of its own; the event `work` tells how far it is."""
        path, classes = studio.path_of(run), classes_of(run)
        return studio.work.begin(
            f"teaching {run}", f"Teaching {run}", lambda done: void(teach(path, classes, done, closed))
        )

    return routes


def void(_: object) -> None:
    """Drops what comes of a piece of work."""


def _taught(studio: Studio, name: str | None) -> dict[str, Any] | None:
    """What the last teaching gave: the name of its run, its facts, and their curve as HTML; None where it is gone."""
    if name is None:
        return None
    try:
        folder = next(iter(read_layout(studio.path_of(name)).folders.values()))
        teaching = dict(getattr(SeedFiles(folder).record(), "teaching", None) or {})
        return {"run": name, **teaching, "drawing": teaching_curve(teaching)}
    except (FittingRoomError, KeyError, TypeError, ValueError):
        return None
