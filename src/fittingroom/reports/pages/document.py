"""The HTML file of a page: templates filled in, other people's text escaped, everything external forbidden."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fittingroom.atomic import write_bytes
from fittingroom.reports.words.quotes import epoch_span
from fittingroom.text import nats, number, percent, points, undisguised

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

TEMPLATES = Path(__file__).parents[1] / "templates"

_STYLES = ("style.css", "drawing.css")
# Without `allow-same-origin`, scripts of a report cannot reach the notebook around it.
_IN_NOTEBOOK = 'width="100%" height="720" style="border:1px solid #8888;border-radius:6px" sandbox="allow-scripts"'
_SCRIPTS = ("data.js", "ledger.js", "pictures.js", "explorer.js", "detail.js", "page.js")
_IN_SCRIPT = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


@dataclass(frozen=True)
class Report:
    """A page about one run or several. A notebook shows it inline.

    Args:
        html: the whole file.
        title: what it is about.
    """

    html: str
    title: str

    @classmethod
    def of(
        cls,
        title: str,
        template: str,
        context: Mapping[str, Any],
        data: Mapping[str, Any] = MappingProxyType({}),
        pictures: str = "",
        scripts: Sequence[str] = (),
    ) -> Report:
        """A page that needs no other file, and may load none.

        Args:
            title: what it is about.
            template: the name of a file in `templates/`.
            context: what it shows. Strings are escaped, but for `Markup`, which is ours.
            data: what its scripts read.
            pictures: style rules with pictures in them, ours too.
            scripts: names of further files in `templates/`, which run after all others.
        """
        from markupsafe import Markup

        style = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in _STYLES)
        script = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in (*_SCRIPTS, *scripts))
        # One scope for all files: they share names, and leave none behind in the page.
        script = f'"use strict";\n(() => {{\n{script}}})();\n'
        html = (
            _environment()
            .get_template(template)
            .render(
                **harmless(context),
                policy=_policy([style, pictures], script),
                style=Markup(style),
                pictures=Markup(pictures),
                script=Markup(script),
                data=_json_text(harmless(data)),
            )
        )
        return cls(html, title)

    def save(self, path: str | Path) -> Path:
        """Writes the page to a file, and returns its path.

        Raises:
            StorageError: it cannot be written.
        """
        target = Path(path)
        write_bytes(target, self.html.encode())
        return target

    def __repr__(self) -> str:
        return f"Report({self.title!r}: {len(self.html.encode()) / 1e6:.1f} MB; .save('report.html') writes it)"

    def _repr_html_(self) -> str:
        """The page in a frame of its own, which keeps its style apart from the notebook's."""
        return f'<iframe title="{escape(self.title)}" srcdoc="{escape(self.html)}" {_IN_NOTEBOOK}></iframe>'


def macros(template: str) -> Any:
    """The macros of a template, each a function that gives `Markup`: for pieces of a page that stand elsewhere.

    Args:
        template: the name of a file in `templates/`.
    """
    return _environment().get_template(template).module


def rendered(template: str, context: Mapping[str, Any]) -> str:
    """A piece of a page, with everything in it escaped that is not ours.

    Args:
        template: the name of a file in `templates/`.
        context: what it shows.
    """
    return _environment().get_template(template).render(**harmless(context))


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_filters())
    return environment


def _policy(styles: list[str], script: str) -> str:
    """The content security policy: this style and this script, pictures from the file itself, and nothing else."""
    hashes = " ".join(_hash(style) for style in styles if style)
    return (
        f"default-src 'none'; img-src data:; style-src {hashes}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _json_text(value: Any) -> Markup:
    """JSON that can stand in a script element: nothing in it ends the element, begins a tag or ends a line."""
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(re.sub("[<>&\u2028\u2029]", lambda found: _IN_SCRIPT[found[0]], text))


def harmless(value: Any) -> Any:
    """The same value, its texts without what could disguise them; what is ours (`Markup`) stays as it is."""
    if isinstance(value, str):
        return value if hasattr(value, "__html__") else undisguised(value)
    if isinstance(value, Mapping):
        return {harmless(key): harmless(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [harmless(one) for one in value]
    return value


def _filters() -> dict[str, Any]:
    """How the templates write numbers: as the sentences do."""
    return {
        "percent": percent,
        "nats": nats,
        "signed_nats": partial(nats, signed=True),
        "signed_points": partial(points, signed=True),
        "epochs": lambda one: epoch_span(one["low"], one["high"]),
        "moved": lambda share, how: (
            f"{share['count']:,} {how}{' ' + nats(share['nats'], signed=True) if share['count'] else ''}"
        ),
        "signed": lambda value, digits: number(value, digits, signed=True),
        "number": number,
        "p_value": lambda value: f"{value:.3f}" if value >= 0.001 else "<0.001",
        "json": _json_text,
    }


def settings_text(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and value of each setting, without what is empty."""
    return [(name.replace("_", " "), _text(value)) for name, value in settings.items() if value not in (None, [], "")]


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class TextPiece:
    """Some words of a paragraph.

    Args:
        text: the words.
        code: whether they are code, which the page sets in a fixed width.
    """

    text: str
    code: bool = False


def pieces(text: str) -> list[TextPiece]:
    """A text in one paragraph, split at its backticks; one without a partner stays as it is."""
    parts = re.split(r"`([^`]+)`", " ".join(text.split()))
    return [TextPiece(part, code=bool(place % 2)) for place, part in enumerate(parts) if part]
