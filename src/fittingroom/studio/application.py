"""The studio's ASGI application: the routes of all views behind the gate, and errors in one form."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from fittingroom import __version__
from fittingroom.errors import FittingRoomError, InputError, StorageError, UnknownNameError
from fittingroom.serving.gate import Gate, Security
from fittingroom.serving.limits import RefusedError
from fittingroom.studio import (
    class_routes,
    frame_routes,
    labs_routes,
    runs_routes,
    test_routes,
    train_routes,
    try_routes,
    understand_routes,
)
from fittingroom.studio.studio import Studio

_VIEWS = (train_routes, understand_routes, try_routes, runs_routes, class_routes, labs_routes, test_routes)


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
    _add_errors(app)
    for view in (*_VIEWS, frame_routes):  # last: `/{view}` matches every short path
        app.include_router(view.router(studio))
    return Gate(app, security)


def _add_errors(app: FastAPI) -> None:
    """Gives every error one form; what the product says of a fault is shown as it is."""

    @app.exception_handler(RefusedError)
    async def refused(_: Request, error: RefusedError) -> Any:
        return error.response()

    @app.exception_handler(FittingRoomError)
    async def ours(_: Request, error: FittingRoomError) -> Any:
        return as_refused(error).response()

    @app.exception_handler(HTTPException)
    async def routing(request: Request, error: HTTPException) -> Any:
        code = {404: "not_found", 405: "wrong_method"}.get(error.status_code, "refused")
        message = f"{request.method} {request.url.path[:200]} does not exist. Load the page again."
        return RefusedError(error.status_code, code, message, headers=error.headers).response()

    @app.exception_handler(RequestValidationError)
    async def parameters(_: Request, error: RequestValidationError) -> Any:
        first = error.errors()[0]
        name, value = first["loc"][-1], str(first.get("input"))[:80]
        return RefusedError(422, "wrong_parameter", f"{name}={value!r}: {first['msg']}.").response()

    @app.exception_handler(Exception)
    async def fault(_: Request, __: Exception) -> Any:
        return RefusedError(500, "fault", "The studio failed. What it printed in its terminal says why.").response()


def as_refused(error: FittingRoomError) -> RefusedError:
    """An error of the product as an answer: its own sentence, and a status that fits."""
    if isinstance(error, UnknownNameError):
        return RefusedError(404, "unknown_name", str(error))
    if isinstance(error, InputError):
        return RefusedError(400, "wrong_input", str(error))
    if isinstance(error, StorageError):
        return RefusedError(507, "no_space", str(error))
    return RefusedError(500, "failed", str(error))
