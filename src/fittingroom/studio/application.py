"""The studio's ASGI application: the routes of all views behind the gate, and errors in one form."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request

from fittingroom import __version__
from fittingroom.errors import FittingRoomError, InputError, StorageError, UnknownNameError
from fittingroom.serving.gate import Gate, Security
from fittingroom.serving.limits import RefusedError, add_errors
from fittingroom.studio import (
    audit_routes,
    benchmark_routes,
    class_routes,
    frame_routes,
    labs_routes,
    runs_routes,
    teach_routes,
    test_routes,
    train_routes,
    try_routes,
    understand_routes,
)
from fittingroom.studio.studio import Studio

_VIEWS = (
    audit_routes,
    train_routes,
    understand_routes,
    try_routes,
    teach_routes,
    runs_routes,
    class_routes,
    labs_routes,
    benchmark_routes,
    test_routes,
)


def create_studio(studio: Studio, security: Security) -> Gate:
    """The application.

    Args:
        studio: what all views share; closed when the application ends.
        security: who may ask, with `links`.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        studio.close()

    app = FastAPI(
        title="Fitting Room",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    add_errors(app, "Load the page again.", "The studio failed. What it printed in its terminal says why.")

    @app.exception_handler(FittingRoomError)
    async def ours(_: Request, error: FittingRoomError) -> Any:
        return _as_refused(error).response()

    for view in (*_VIEWS, frame_routes):  # last: `/{view}` matches every short path
        app.include_router(view.router(studio))
    return Gate(app, security)


def _as_refused(error: FittingRoomError) -> RefusedError:
    """An error of the product as an answer: its own sentence, and a status that fits."""
    if isinstance(error, UnknownNameError):
        return RefusedError(404, "unknown_name", str(error))
    if isinstance(error, InputError):
        return RefusedError(400, "wrong_input", str(error))
    if isinstance(error, StorageError):
        return RefusedError(507, "no_space", str(error))
    return RefusedError(500, "failed", str(error))
