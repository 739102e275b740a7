"""The routes: predict, the model's card, health, metrics, and the pages that describe them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.datastructures import Headers

from fittingroom import __version__
from fittingroom.data.corrections import Corrections
from fittingroom.data.model_inputs import ModelInputs
from fittingroom.runs.json_files import plain
from fittingroom.serving import openapi as schema
from fittingroom.serving.assets import PAGES, Assets
from fittingroom.serving.batching import Batcher, Metrics
from fittingroom.serving.connection import HeldBytes
from fittingroom.serving.drift_watch import DriftWatch
from fittingroom.serving.gate import Gate, Security
from fittingroom.serving.limits import LIMITS, RefusedError, add_errors
from fittingroom.serving.openapi import docs_page
from fittingroom.serving.request_images import JSON, MULTIPART, BodyPart, RequestReader, media_type
from fittingroom.serving.served_model import ServedModel
from fittingroom.serving.try_api import try_router
from fittingroom.serving.try_view import TryView

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

T = TypeVar("T")

_DESCRIPTION = "Pictures in; classes out, with how far each answer can be trusted."
_FAULT = "The server failed. Its log says why."
_AT_ONCE = 4 * 1024  # bytes of JSON that are read where they arrive: one image of numbers
_OPEN_METRICS = "text/plain; version=0.0.4; charset=utf-8"


def create_app(model: ServedModel, security: Security, watch: DriftWatch) -> Gate:
    """The server's ASGI application.

    Args:
        model: what answers, warmed up.
        security: who may ask.
        watch: compares what is asked with the validation images.
    """
    metrics = Metrics()
    service = _Service(model, metrics, watch)
    app = FastAPI(
        title="Fitting Room",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=service.lifespan,
        separate_input_output_schemas=False,
    )
    routes = "POST /v1/predict, or GET /v1/model, /v1/card, /v1/drift, /healthz, /metrics or /docs"
    add_errors(app, f"Use {routes}.", _FAULT)
    _add_routes(app, service, model.card(), metrics)
    page = docs_page(app.openapi(), model, token=security.token is not None)
    assets = Assets(PAGES)
    app.include_router(assets.router())
    app.include_router(try_router(_OneRun(model, security), ""))

    @app.get("/", include_in_schema=False)
    async def trying() -> HTMLResponse:
        return assets.page(PAGES / "serve.html")

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        url = f"http://{request.headers['host']}"  # the gate has let pass none but our own
        return HTMLResponse(page.html(url), headers={"content-security-policy": page.policy})

    routed = {"/v1/predict", "/v1/model", "/v1/card", "/v1/drift", "/healthz", "/metrics"}
    counted = frozenset({*routed, "/docs", "/openapi.json", "/"})
    return Gate(app, security, metrics, counted, {("POST", "/v1/predict"): service})


class _OneRun:
    """The run of this server, to be tried by a person. Examples are kept on the machine of whoever started it alone."""

    def __init__(self, model: ServedModel, security: Security) -> None:
        data = model.data
        beside = Corrections.of(model.path.parent, data.name, data.classes)
        corrections = beside if security.token is None else None
        self._view = TryView(model.path.name, model.predictor, corrections).load()

    def view(self, name: str) -> TryView:
        """That of the run."""
        del name
        return self._view

    def photo_wait(self, view: TryView) -> float | None:
        """None: all was fitted when the server started."""
        del view
        return None


def _add_routes(app: FastAPI, service: _Service, facts: dict[str, Any], metrics: Metrics) -> None:
    @app.post(
        "/v1/predict",
        summary="Predict pictures",
        response_model=None,
        response_description="An answer for each image.",
        responses={
            200: {"model": schema.Predictions},
            **schema.refusals(400, 401, 403, 408, 413, 415, 422, 431, 500, 503),
        },
        openapi_extra={"requestBody": schema.request_body(service.model.data)},
    )
    async def predict(
        request: Request,
        steps: Annotated[
            Literal["names", "pictures"], Query(description="whether the steps of a photo come with their pictures")
        ] = "names",
    ) -> Response:
        """One picture as the body, several as multipart, or arrays as JSON."""
        done = await service.predict(request.headers, request.receive, pictures=steps == "pictures")
        return Response(done, media_type=JSON)

    @app.get(
        "/v1/model",
        summary="The model's card",
        response_description="The card.",
        responses=schema.refusals(401, 403, 431),
    )
    async def model() -> dict[str, Any]:
        """Recipe, classes, scores with their looks at the test set, and limits."""
        return facts

    @app.get(
        "/v1/card",
        summary="The model card",
        response_description="Markdown.",
        response_class=Response,
        responses={
            200: {"content": {"text/markdown": {"schema": {"type": "string"}}}},
            **schema.refusals(401, 403, 431),
        },
    )
    async def model_card() -> Response:
        """What `fittingroom card` printed when the server started: for people, with the command for each number."""
        return Response(service.model.model_card, media_type="text/markdown; charset=utf-8")

    @app.get(
        "/v1/drift",
        summary="Whether images differ from validation",
        response_description="What was counted, and what it says.",
        responses={200: {"model": schema.Drift}, **schema.refusals(401, 403, 431, 500)},
    )
    async def drift() -> JSONResponse:
        """Histograms of all images that were answered, and whether they differ from the validation images."""
        result = await service.drift(DriftWatch.result)
        return JSONResponse(plain(result.to_dict()))

    @app.get(
        "/healthz",
        summary="Whether the server can answer",
        response_description="It can.",
        responses={200: {"model": schema.Health}, **schema.refusals(403, 431, 503)},
    )
    async def health() -> JSONResponse:
        """No token is needed. The server listens only after the model has been loaded and warmed up."""
        if not service.batcher.alive:
            raise RefusedError(503, "no_model", "The model's thread has ended. The server's log says why.")
        return JSONResponse({"status": "ok", "model": service.model.predictor.version})

    @app.get(
        "/metrics",
        summary="Numbers for Prometheus",
        response_description="The numbers.",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **schema.refusals(401, 403, 431)},
    )
    async def numbers() -> Response:
        """Requests by status, latency, batch sizes, images waiting, answers by verdict, and drift."""
        return Response(metrics.text() + await service.drift(DriftWatch.metrics), media_type=_OPEN_METRICS)


class _Service:
    """Predictions, from the body of a request to the body of its answer.

    Args:
        model: what answers.
        metrics: count batches and answers.
        watch: compares what is asked with the validation images.
    """

    def __init__(self, model: ServedModel, metrics: Metrics, watch: DriftWatch) -> None:
        self.model = model
        self.batcher = Batcher(model, metrics, watch)
        self._watch = watch
        self._reader = RequestReader(model.data, model.style, model.predictor.second_opinion)
        self._held = HeldBytes()
        # Decoding and GrabCut leave the interpreter to others; more threads would take the cores from the model.
        self._pool = ThreadPoolExecutor(min(os.cpu_count() or 1, 2), thread_name_prefix="pictures")
        self._photos = 0

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Starts the model's thread, and ends it when all waiting requests are answered."""
        self.batcher.start()
        yield
        self.batcher.stop()
        self._pool.shutdown()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`POST /v1/predict` without a query, as an ASGI application; a `RefusedError` is for the gate to answer."""
        try:
            body = await self.predict(Headers(scope=scope), receive, pictures=False)
        except RefusedError:
            raise
        except Exception:
            await RefusedError(500, "fault", _FAULT).response()(scope, receive, send)
            raise  # to the log
        headers = [(b"content-length", b"%d" % len(body)), (b"content-type", JSON.encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def predict(self, headers: Mapping[str, str], receive: Receive, *, pictures: bool) -> bytes:
        """The JSON of the answers.

        Raises:
            RefusedError: it is not served, and why.
        """
        kind, content_type = media_type(headers)
        self.batcher.check()  # before the body is read: what cannot be done need not be sent
        with self._held.body() as coming:
            most = LIMITS.json_bytes if kind == JSON else LIMITS.body_bytes
            body = await coming.read(receive, headers, most)
            if kind == JSON:
                return await self._numbers(body)
            if kind != MULTIPART:
                return await self._pictures([BodyPart(None, body)], pictures=pictures)
            parts = await self._aside(partial(BodyPart.split, body, content_type), small=len(body) <= _AT_ONCE)
            return await self._pictures(parts, pictures=pictures)

    async def drift(self, ask: Callable[[DriftWatch], T]) -> T:
        """What is asked of the watch; other processes' files may have to be read for it."""
        return await self._aside(partial(ask, self._watch), small=False)

    async def _numbers(self, body: bytes) -> bytes:
        inputs = await self._aside(partial(self._reader.numbers, body), small=len(body) <= _AT_ONCE)
        return await self.batcher.answer(len(inputs), lambda: [inputs])

    async def _pictures(self, parts: Sequence[BodyPart], *, pictures: bool) -> bytes:
        """Pictures of the model's size are read by the model's thread, others before, beside each other."""
        read = self._reader.picture
        large = [index for index, part in enumerate(parts) if not self._reader.is_small(part.content)]
        # Small pictures are decoded in the model's thread: that takes less than handing them to another one.
        if not large:
            return await self.batcher.answer(
                len(parts), lambda: [read(part, index, pictures=False) for index, part in enumerate(parts)]
            )
        if len(large) > LIMITS.photos:
            raise RefusedError(
                413,
                "too_many",
                f"{len(large)} pictures are not of the model's size. Send at most {LIMITS.photos} such at once.",
            )
        if self._photos + len(large) > LIMITS.waiting_photos:
            raise RefusedError.overloaded(f"{self._photos} pictures are waiting to be converted already")
        self._photos += len(large)
        try:
            works = [
                self._aside(partial(read, part, index, pictures=pictures), small=False)
                for index, part in enumerate(parts)
            ]
            # All of them are awaited also where one fails, so that `_photos` counts what still takes a thread.
            done = await asyncio.gather(*works, return_exceptions=True)
        finally:
            self._photos -= len(large)
        inputs: list[ModelInputs] = []
        for one in done:
            if isinstance(one, BaseException):
                raise one
            inputs.append(one)
        return await self.batcher.answer(len(inputs), lambda: inputs)

    async def _aside(self, work: Callable[[], T], *, small: bool) -> T:
        """What takes longer is done in another thread."""
        return work() if small else await asyncio.get_running_loop().run_in_executor(self._pool, work)
