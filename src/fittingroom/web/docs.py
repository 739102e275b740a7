"""The page that describes the server: rendered from its OpenAPI document, with no script and nothing to load.

Swagger's page would be two megabytes of another project's scripts for six routes, and weaken the page's policy.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fittingroom.reports.document import harmless
from fittingroom.web.model import Model

_TEMPLATE = Path(__file__).with_name("templates") / "docs.html"


@dataclass(frozen=True)
class Page:
    """A page, and the content security policy that it is sent with.

    Args:
        html: the page for those who reach the server at `url`, which its examples name.
        policy: the header.
    """

    html: Callable[[str], str]
    policy: str


def docs_page(document: Mapping[str, Any], model: Model, *, token: bool) -> Page:
    """The page for an OpenAPI document.

    Args:
        document: what it describes.
        model: what the examples are for.
        token: whether requests need one; then there is no form to try, since a form cannot bear it.
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
        "version": model.loaded.version,
        "data": harmless({"name": model.data.name, "classes": list(model.data.classes)}),
        "shape": model.data.image_shape,
        "pictures": model.data.takes_pictures,
        "token": token,
        "style": Markup(_STYLE),
    }
    hashed = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; style-src 'sha256-{hashed}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    return Page(lambda url: template.render(facts, url=url), policy)


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
