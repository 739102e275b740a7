"""The routes of the view `/audit`: the page of a run's audit, and what a person decided in its review.

The page is a document of its own, in a sandbox without an origin, so that nothing in it can reach the studio. It tells
the view around it what was decided, and that sends it here. What was decided lies beside the run as `reviewed.csv`, the
list that `--relabel` and `--exclude` take.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends
from fastapi.responses import HTMLResponse

from fittingroom.atomic import write_bytes
from fittingroom.data.review_list import ReviewList, ReviewRow
from fittingroom.errors import DataError, StorageError
from fittingroom.runs.place import is_run
from fittingroom.serving.limits import RefusedError
from fittingroom.studio.studio import LastUsed, Studio, owner

LIST_NAME = "reviewed.csv"
"""The list, in the run's folder."""

_KEPT_PAGES = 2  # of some megabytes each
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "sandbox allow-scripts allow-downloads; frame-ancestors 'self'"
)


def router(studio: Studio) -> APIRouter:
    """What the view asks for."""
    routes, pages = APIRouter(prefix="/api/runs/{name}"), LastUsed(_KEPT_PAGES)

    def page_of(name: str) -> str | None:
        path = studio.path_of(name)
        if not is_run(path):
            return None

        def made() -> str | None:
            kept = studio.run(name).kept_audit()
            return None if kept is None else kept.report().html

        found: str | None = pages.get(path, _state_of(path), made) if any(path.glob("audit/*.json")) else None
        return found

    @routes.get("/audit")
    def audit(name: str) -> dict[str, Any]:
        """`made`, whether there is an audit; `rows`, what was decided, as `part`, `index`, `decision`, `new_label`."""
        return {"made": page_of(name) is not None, "rows": _as_facts(studio.path_of(name) / LIST_NAME)}

    @routes.get("/audit-page")
    def page(name: str) -> HTMLResponse:
        found = page_of(name)
        if found is None:
            raise RefusedError(404, "no_audit", f"{name} was not audited yet: fittingroom audit {name}.")
        return HTMLResponse(found, headers={"content-security-policy": _POLICY})

    @routes.put("/review", dependencies=[Depends(owner)])
    def review(name: str, given: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        """Keeps the reviewed list, `list`, as CSV, beside the run; `decided` is how many rows of it say something."""
        file = studio.path_of(name) / LIST_NAME
        rows = _checked(given.get("list"))
        here = {(row.part, row.index, row.file) for row in rows}
        # What was decided about images that the page does not show, as in an earlier audit, stays.
        before = [row for row in _decided(file) if (row.part, row.index, row.file) not in here]
        write_bytes(file, ReviewList.text([*rows, *before]).encode())
        return {"file": LIST_NAME, "decided": sum(row.decision != "" for row in (*rows, *before))}

    return routes


def _checked(text: Any) -> tuple[ReviewRow, ...]:
    """The rows of a list as the page sends it."""
    if not isinstance(text, str):
        raise RefusedError(422, "wrong_list", "Expected `list`, a text.")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / LIST_NAME
        try:
            file.write_text(text, encoding="utf-8", newline="")
            return ReviewList.read(file).rows
        except (DataError, UnicodeError) as error:
            raise RefusedError(422, "wrong_list", str(error).replace(folder, "")) from None


def _as_facts(file: Path) -> list[dict[str, Any]]:
    """What was decided before, as the page wants it."""
    names = ("part", "index", "decision", "new_label")
    return [{name: getattr(row, name) for name in names} for row in _decided(file)]


def _decided(file: Path) -> list[ReviewRow]:
    """The rows of a run's list in which something is decided.

    Raises:
        StorageError: the file is not a list; it is not replaced either.
    """
    if not file.is_file():
        return []
    try:
        rows = ReviewList.read(file).rows
    except DataError as error:
        raise StorageError(
            f"What was decided cannot be read: {error} Move the file away to begin a new list."
        ) from error
    return [row for row in rows if row.decision]


def _state_of(path: Path) -> tuple[int, ...]:
    """What changes when a check is made again."""
    return tuple(file.stat().st_mtime_ns for file in sorted(path.glob("audit/*.json")))
