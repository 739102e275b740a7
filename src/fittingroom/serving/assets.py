"""`Assets`: the files of pages in a browser, under an address that changes when one of them does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, HTMLResponse

from fittingroom.serving.limits import RefusedError

PAGES = Path(__file__).parent / "pages"
"""What the page of `fittingroom serve` and the studio share."""

_HOUSE_STYLE = Path(__file__).parents[1] / "reports" / "templates"
_SHARED = ("style.css", "drawing.css")  # with the reports
_STYLES = (*_SHARED, "studio.css")
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png"}
_FOREVER = "private, max-age=31536000, immutable"  # the address changes when a file does
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; frame-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


class Assets:
    """The files of some folders, and those that pages share with reports.

    Args:
        folders: of files; of two with one name, that of the later folder is served.
    """

    def __init__(self, *folders: Path) -> None:
        self._folders = folders

    def page(self, file: Path) -> HTMLResponse:
        """A page whose `{styles}` are all style sheets, and whose `{assets}` is where the files are."""
        text = file.read_text(encoding="utf-8").replace("{styles}", self._styles())
        text = text.replace("{assets}", f"/assets/{self._version()}")
        return HTMLResponse(text, headers={"content-security-policy": _POLICY})

    def router(self) -> APIRouter:
        """The route of the files."""
        routes = APIRouter()

        @routes.get("/assets/{version}/{name}", include_in_schema=False)
        async def asset(version: str, name: str) -> FileResponse:
            path = self._files().get(name)
            if path is None:
                raise RefusedError(404, "not_found", f"There is no file {name[:100]}. Load the page again.")
            caching = {"cache-control": _FOREVER} if version == self._version() else {}
            return FileResponse(path, media_type=_KINDS[path.suffix], headers=caching)

        return routes

    def _files(self) -> dict[str, Path]:
        """What is served, by name."""
        shared = {name: _HOUSE_STYLE / name for name in _SHARED}
        own = [path for folder in self._folders for path in folder.iterdir() if path.suffix in _KINDS]
        return {**{path.name: path for path in own}, **shared}

    def _styles(self) -> str:
        """The style sheets in their order: the house's, the frame's, and those of views, which may rely on both."""
        views = sorted(name for name in self._files() if name.endswith(".css") and name not in _STYLES)
        return "\n".join(f'<link rel="stylesheet" href="{{assets}}/{name}">' for name in (*_STYLES, *views))

    def _version(self) -> str:
        """Changes with any of the files."""
        return hashlib.sha256(repr(list(self._states())).encode()).hexdigest()[:12]

    def _states(self) -> Iterator[tuple[str, int, int]]:
        for name, path in sorted(self._files().items()):
            state = path.stat()
            yield name, state.st_size, state.st_mtime_ns
