"""What the view *Try* asks a server for; the studio and the page of `fittingroom serve` have the same routes.

At most a few requests are worked on at a time, and few wait: a page sends the next drawing when the last is answered.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from fastapi import APIRouter, Request

from fittingroom.errors import FittingRoomError, InputError, StorageError
from fittingroom.serving.connection import HeldBytes
from fittingroom.serving.gate import ROLE
from fittingroom.serving.limits import LIMITS, RefusedError
from fittingroom.serving.try_view import TryView

T = TypeVar("T")

_THREADS = 2
_WAITING = 24  # requests; 503 beyond
_LABEL = 1_000  # letters of a class's name


class Tried(Protocol):
    """The runs that may be tried."""

    def view(self, name: str) -> TryView:
        """The one of this name.

        Raises:
            RefusedError: 404, there is none.
            FittingRoomError: it cannot be opened.
        """

    def photo_wait(self, view: TryView) -> float | None:
        """Seconds until photos are answered; None where they are at once. Has it prepared where nobody did yet."""


class _Work:
    """Threads for what takes longer than a request may hold up the others, and how much may wait for them."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="try")
        self._waiting = 0

    async def do(self, work: Callable[[], T]) -> T:
        """The result of a function.

        Raises:
            RefusedError: too much waits; or what an error of the product says.
        """
        if self._waiting >= _WAITING:
            raise RefusedError.overloaded(f"{self._waiting} drawings and pictures are waiting already")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except InputError as error:
            raise RefusedError(422, "not_readable", str(error)) from None
        except StorageError as error:
            raise RefusedError(507, "no_space", str(error)) from None
        except FittingRoomError as error:
            raise RefusedError(500, "failed", str(error)) from None
        finally:
            self._waiting -= 1


def try_router(tried: Tried, prefix: str) -> APIRouter:
    """The routes.

    Args:
        tried: what is tried.
        prefix: of their paths; with `{run}` in it where there are several runs.
    """
    routes, work, held = APIRouter(prefix=prefix), _Work(), HeldBytes()

    def named(request: Request) -> str:
        return str(request.path_params.get("run", ""))

    async def drawing_of(request: Request) -> Any:
        with held.body() as coming:
            return _parsed(await coming.read(request.receive, request.headers, LIMITS.json_bytes))

    async def picture_of(request: Request, do: Callable[[TryView, bytes], T]) -> T:
        """What is made of a picture, whose bytes count for as long as that takes."""
        with held.body() as coming:
            content = await coming.read(request.receive, request.headers, LIMITS.body_bytes)
            view = await work.do(lambda: tried.view(named(request)))
            wait = await work.do(lambda: tried.photo_wait(view))
            if wait is not None:
                raise _preparing(wait)
            return await work.do(lambda: do(view, content))

    @routes.get("/try", include_in_schema=False)
    async def facts(request: Request) -> dict[str, Any]:
        """What a page has to know first. What the first drawing needs is made ready meanwhile."""
        view = await work.do(lambda: tried.view(named(request)))
        found = await work.do(view.facts)
        wait = await work.do(lambda: tried.photo_wait(view))
        found["photo"]["wait"] = wait
        found["corrections"] = found["corrections"] if _is_owner(request) else None
        asyncio.get_running_loop().run_in_executor(None, _quietly(view))
        return found

    @routes.post("/try/drawing", include_in_schema=False)
    async def drawing(request: Request) -> dict[str, Any]:
        values = await drawing_of(request)
        return await work.do(lambda: tried.view(named(request)).drawing(values))

    @routes.post("/try/photo", include_in_schema=False)
    async def photo(request: Request) -> dict[str, Any]:
        return await picture_of(request, lambda view, content: view.photo(content))

    @routes.post("/try/corrections/drawing", include_in_schema=False)
    async def keep_drawing(request: Request, label: str) -> dict[str, Any]:
        _check_owner(request)
        values = await drawing_of(request)
        return await work.do(lambda: tried.view(named(request)).keep_drawing(label[:_LABEL], values))

    @routes.post("/try/corrections/photo", include_in_schema=False)
    async def keep_photo(request: Request, label: str) -> dict[str, Any]:
        _check_owner(request)
        return await picture_of(request, lambda view, content: view.keep_photo(label[:_LABEL], content))

    @routes.delete("/try/corrections/{name}", include_in_schema=False)
    async def undo(request: Request, name: str) -> dict[str, Any]:
        _check_owner(request)
        return await work.do(lambda: tried.view(named(request)).undo(name))

    return routes


def _quietly(view: TryView) -> Callable[[], None]:
    """Makes a view ready; what goes wrong is said when somebody draws."""

    def ready() -> None:
        try:
            view.ready()
        except FittingRoomError:
            return

    return ready


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "not_json", f"The body is not JSON: {error}. Send a drawing.") from None


def _preparing(seconds: float) -> RefusedError:
    whole = max(round(seconds), 1)
    return RefusedError(
        503,
        "preparing",
        f"Photos are answered in about {whole} s: the run is being calibrated on synthetic photos, made of its "
        "validation images, once. Drawings are answered meanwhile.",
        headers={"retry-after": str(whole)},
    )


def _is_owner(request: Request) -> bool:
    return request.scope.get(ROLE) == "owner"


def _check_owner(request: Request) -> None:
    if not _is_owner(request):
        raise RefusedError(403, "owner_only", "Examples are kept by the owner. With this link one looks and tries.")
