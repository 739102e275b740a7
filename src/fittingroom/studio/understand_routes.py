"""The routes of the view `/understand`: everything of one run that a page looks at."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import APIRouter, Response

from fittingroom.errors import InputError, UnknownNameError
from fittingroom.runs.place import is_run
from fittingroom.serving.limits import RefusedError
from fittingroom.studio.map_work import MapWork
from fittingroom.studio.studio import LastUsed, Studio
from fittingroom.studio.understanding import Understanding, packed

_OPEN = 3  # runs that are kept in memory: 5,000 small images and their outcomes take 10 MB
_BINARY = "application/octet-stream"
_EXPECTED = frozenset({"in_training", "no_pictures"})
_SHORTLY = {"cache-control": "private, max-age=3600"}  # the pictures of a run do not change


def router(studio: Studio) -> APIRouter:
    """What the view asks for."""
    routes = APIRouter(prefix="/api/runs/{name}")
    opened, maps = LastUsed(_OPEN), MapWork(studio.events)

    def understood(name: str) -> Understanding:
        path = studio.path_of(name)
        if not is_run(path):
            raise RefusedError(
                409,
                "in_training",
                f"{name} has not finished training. This view opens when it has; Train shows it live.",
            )
        return opened.get(name, _state_of(path), lambda: Understanding(path))

    @routes.get("/outcomes", response_model=None)
    def outcomes(name: str) -> Any:
        return _or_why_not(lambda: Response(understood(name).outcomes, media_type=_BINARY))

    @routes.get("/answers", response_model=None)
    def answers(name: str) -> Any:
        return _or_why_not(lambda: understood(name).answers)

    @routes.get("/sheets/{number}")
    def sheet(name: str, number: int) -> Response:
        return Response(understood(name).sheet(number), media_type="image/png", headers=_SHORTLY)

    @routes.get("/weights", response_model=None)
    def weights(name: str) -> Any:
        return _or_why_not(lambda: Response(understood(name).weights, media_type=_BINARY))

    @routes.get("/images/{image}")
    def about(name: str, image: int) -> dict[str, Any]:
        return understood(name).about(image)

    @routes.get("/images/{image}/picture")
    def picture(name: str, image: int) -> Response:
        return Response(understood(name).picture(image), media_type="image/png", headers=_SHORTLY)

    @routes.get("/images/{image}/pixels", response_model=None)
    def pixels(name: str, image: int, first: int, second: int) -> Any:
        return _or_why_not(lambda: understood(name).pixels(image, first, second))

    @routes.get("/map")
    def places(name: str) -> Response:
        """The places that are kept, as arrays, and where the computing stands."""
        from fittingroom.api.image_map import read_map

        found, state = read_map(understood(name).subject), maps.state(name)
        if found is None:
            return Response(packed({"work": state, "source": None}, {}), media_type=_BINARY)
        arrays = {"index": found.index.astype(np.int32), "pca": found.pca, "neighbours": found.neighbours}
        if found.tsne is not None:
            arrays["tsne"] = found.tsne
        header = {"work": state, "source": found.source, "width": found.width, "shares": found.shares.tolist()}
        return Response(packed(header, arrays), media_type=_BINARY)

    @routes.post("/map")
    def begin(name: str) -> dict[str, Any]:
        """Begins to compute the map, unless it is kept; guests may, since it changes nothing that anybody sees."""
        from fittingroom.api.image_map import read_map

        run = understood(name)
        found = read_map(run.subject)
        if found is not None and found.tsne is not None:
            return {"run": name, "state": "done", "places": True}
        return maps.begin(name, run.subject.path)

    return routes


def _or_why_not(find: Callable[[], Any]) -> Any:
    """What `find` gives, or `unavailable` with a code and the sentence that says why there is none.

    A browser counts every answer of 400 and more as a fault of the page; that a run has no validation images, or its
    model no weights to be drawn, is none.
    """
    try:
        return find()
    except UnknownNameError:
        raise
    except InputError as error:
        return {"unavailable": {"code": "wrong_input", "message": str(error)}}
    except RefusedError as error:
        if error.code not in _EXPECTED:
            raise
        return {"unavailable": {"code": error.code, "message": error.message}}


def _state_of(path: Path) -> tuple[int, ...]:
    """What changes when a run does, and not when something is kept beside it."""
    files = (path / "run.json", path / "replicas.json", path / "seed-0" / "run.json")
    return tuple(os.stat(file).st_mtime_ns if file.is_file() else 0 for file in files)  # noqa: PTH116
