"""The OpenAPI document: what goes in and comes out; and the page that shows it, without scripts or anything to load.

Swagger's page would be two megabytes of another project's scripts for six routes, and weaken the page's policy. The
models here only describe: the answers themselves are made elsewhere, and fast.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from fittingroom.reports.pages.document import harmless
from fittingroom.runs.data_record import DataRecord
from fittingroom.serving.limits import LIMITS
from fittingroom.serving.request_images import JSON, MULTIPART, PICTURES
from fittingroom.serving.served_model import ServedModel


class Predictions(BaseModel):
    """An answer for each image of a request, in its order."""

    class Prediction(BaseModel):
        """What the model says of one image, and how far that can be trusted."""

        class Step(BaseModel):
            """A step from a photo to the model's input."""

            name: str = Field(description="of the step")
            note: str = Field(description="what was done, and what decided it")
            picture: str | None = Field(None, description="as `data:image/png;base64,...`, with `?steps=pictures`")

        class SecondOpinion(BaseModel):
            """What another network says of a photo, and what the run says without it."""

            class Seen(BaseModel):
                """Something that the network has a name for."""

                name: str = Field(description="the network's own")
                probability: float = Field(ge=0, le=1, description="of it")

            by: str = Field(description="the network")
            seen: list[Seen] = Field(description="what it sees, most likely first")
            probabilities: list[float] = Field(description="of all classes, by the network alone")
            something_else: float = Field(description="the probability that it is in none of them, by the network")
            run: list[float] = Field(description="probabilities of all classes, by the run alone")

        file: str | None = Field(description="name of the file that it came in")
        index: int = Field(ge=0, description="its number in the request")
        label: str = Field(alias="class", description="the most likely class")
        probability: float = Field(ge=0, le=1, description="of that class, calibrated")
        probabilities: list[float] = Field(description="of all classes, calibrated, in the order of `classes`")
        set: list[str] = Field(description="the right class is among these for 90% of images like the training images")
        unlike: bool = Field(description="whether it is unlike the training images; then the rest means little")
        why: str = Field(description="all of it in a sentence or two")
        second_opinion: SecondOpinion | None = Field(description="of a photo; null where there is none")
        notes: list[str] = Field(description="what was guessed or changed")
        steps: list[Step] = Field(description="how a photo was converted; empty for images of the model's own size")

    model: str = Field(description="the version of the model")
    classes: list[str] = Field(description="all that it knows")
    predictions: list[Prediction] = Field(description="one for each image")


class Drift(BaseModel):
    """What was counted of all images that were answered, and what it says."""

    check: str = Field(description="`drift`")
    title: str = Field(description="as a heading")
    verdict: str = Field(description="`found`, `clear`, `unsure` (too few images) or `not examined`")
    sentences: list[str] = Field(description="the verdict in words")
    advice: list[str] = Field(description="what to do")
    facts: dict[str, Any] = Field(description="all numbers; `alarm` is whether images differ, once and for all")
    evidence: list[dict[str, Any]] = Field(description="tables and plots of the same")
    findings: list[dict[str, Any]] = Field(description="empty: no image is kept")
    seconds: float = Field(description="0")


class Error(BaseModel):
    """The form of every error."""

    class ErrorFacts(BaseModel):
        """What arrived, what was expected, how to mend it."""

        status: int = Field(description="that of HTTP")
        code: str = Field(description="one word for programs")
        message: str = Field(description="for people")
        index: list[int] | None = Field(None, description="where it is: number of the image, row, column")

    error: ErrorFacts


class Health(BaseModel):
    """Whether the server can answer."""

    status: str
    model: str


REFUSALS: dict[int, str] = {
    400: "The request or its body is malformed.",
    401: "The token is missing or wrong.",
    403: "The Host or the Origin is not this server.",
    404: "The route does not exist.",
    405: "The route does not take this method.",
    408: "The request arrived too slowly.",
    413: "The body is too large, or has too many images.",
    415: "The type of the body is not accepted.",
    422: "The type of the body is accepted, but the model cannot take its content.",
    431: "The headers are too large.",
    500: "The server failed; its log says why.",
    503: "The server is overloaded; Retry-After says when to try again.",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The descriptions of errors that a route can give."""
    return {
        status: {
            "model": Error,
            "description": REFUSALS[status],
            **({"headers": {"Retry-After": {"schema": {"type": "integer"}}}} if status == 503 else {}),
        }
        for status in statuses
    }


def request_body(data: DataRecord) -> dict[str, Any]:
    """The bodies that a model takes."""
    numbers: dict[str, Any] = {"type": "number"}
    if not data.as_given:
        numbers |= {"minimum": 0, "maximum": 255}  # another scale than training's is converted
    image = numbers
    for length in reversed(data.image_shape):
        image = {"type": "array", "items": image, "minItems": length, "maxItems": length}
    several = {"type": "array", "items": image, "minItems": 1}
    content: dict[str, Any] = {JSON: {"schema": {"anyOf": [image, several]}}}
    if data.takes_pictures:
        binary = {"type": "string", "format": "binary"}
        content |= {kind: {"schema": binary} for kind in PICTURES}
        files = {"type": "array", "items": binary, "minItems": 1}
        content[MULTIPART] = {
            "schema": {"type": "object", "properties": {"files": files}, "required": ["files"]},
            "encoding": {"files": {"contentType": ", ".join(PICTURES)}},
        }
    limits = (
        f"At most {LIMITS.images} images, {LIMITS.photos} of them not of the model's size; {LIMITS.body_bytes:,} bytes."
    )
    return {"required": True, "description": limits, "content": content}


_TEMPLATE = Path(__file__).with_name("templates") / "docs.html"


@dataclass(frozen=True)
class _Page:
    """A page, and the content security policy that it is sent with.

    Args:
        html: the page for those who reach the server at `url`, which its examples name.
        policy: the header.
    """

    html: Callable[[str], str]
    policy: str


def docs_page(document: Mapping[str, Any], model: ServedModel, *, token: bool) -> _Page:
    """The page for an OpenAPI document.

    Args:
        document: what it describes.
        model: what the examples are for.
        token: whether requests need one.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    facts = {
        "document": document,
        "routes": list(_routes(document)),
        "schemas": document["components"]["schemas"],
        "run": harmless(model.path.name),
        "version": model.predictor.version,
        "data": harmless({"name": model.data.public_name, "classes": list(model.data.classes)}),
        "shape": model.data.image_shape,
        "pictures": model.data.takes_pictures,
        "token": token,
        "style": Markup(_STYLE),
    }
    hashed = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; style-src 'sha256-{hashed}'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    )
    return _Page(lambda url: template.render(facts, url=url), policy)


def _routes(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, facts in methods.items():
            yield method.upper(), path, facts


_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1b;
  background: #fff }
h2 { margin-top: 2.5rem; border-top: 1px solid #ccc; padding-top: 1rem }
code, pre { font: 14px/1.45 ui-monospace, monospace; background: #f2f2f2 }
pre { padding: .7rem; overflow-x: auto }
table { border-collapse: collapse }
th, td { text-align: left; vertical-align: top; padding: .2rem 1rem .2rem 0 }
@media (prefers-color-scheme: dark) {
  body { color: #e6e6e6; background: #161616 }
  code, pre { background: #262626 }
  a { color: #8ab4f8 }
}
"""
