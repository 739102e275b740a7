"""The routes of the view `/runs`: one table of all runs, what people write about them, the trash, comparing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse

from fittingroom.runs.json_files import json_text
from fittingroom.runs.overview import RunSummary, list_summaries
from fittingroom.runs.run_notes import RunNotes
from fittingroom.runs.trash import delete_run, disk_use, empty_trash, list_deleted, restore_run
from fittingroom.serving.limits import RefusedError
from fittingroom.studio.studio import LastUsed, Studio, owner, role_of

_KEPT = 5_000  # summaries of runs, of a kilobyte each
_MOST_COMPARED = 12
# A report is a page of its own, with scripts in it; in this sandbox they cannot reach the studio.
REPORT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; sandbox allow-scripts; "
    "frame-ancestors 'none'"
)
"""For the answers that are a page of a report."""


def router(studio: Studio) -> APIRouter:
    """What the view asks for."""
    routes, summaries = APIRouter(prefix="/api"), LastUsed(_KEPT)

    def summary(path: Path) -> RunSummary:
        return summaries.get(path, _state_of(path), lambda: RunSummary.read(path))

    @routes.get("/runs-table")
    def table(request: Request) -> dict[str, Any]:
        """All runs as `rows`, the bytes of all as `size`, and what is in the trash as `deleted`.

        A row is `RunSummary.to_dict` with `elsewhere`, its path where it lies outside the folder. Guests are told
        nothing of test sets and origins.
        """
        found, mine = list_summaries(summary), role_of(request) == "owner"
        folder, deleted = studio.folder, list_deleted()
        rows = [{**one.to_dict(), "elsewhere": None if one.path.parent == folder else str(one.path)} for one in found]
        return {
            "rows": rows if mine else [{**row, "looks": None, "origin": None, "elsewhere": None} for row in rows],
            "folder": str(folder),
            "size": sum(one.size for one in found),
            "deleted": [{"name": path.name, "size": disk_use([path])} for path in deleted] if mine else [],
        }

    @routes.put("/runs/{name}/notes", dependencies=[Depends(owner)])
    def write(name: str, notes: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        """Changes `title`, `notes` or `tags` (a list of texts), those that are given."""
        given = {key: notes[key] for key in ("title", "notes", "tags") if key in notes}
        texts = [text for key, text in given.items() if key != "tags"] + list(given.get("tags", []))
        if not given or not all(isinstance(text, str) for text in texts):
            raise RefusedError(422, "wrong_notes", "Expected title, notes (texts) or tags (a list of texts).")
        changed = RunNotes.change(studio.path_of(name), **given)
        studio.events.publish("runs", {"changed": [name]})
        return changed.to_dict()

    @routes.delete("/runs/{name}", dependencies=[Depends(owner)])
    def delete(name: str) -> dict[str, Any]:
        """Moves a run into the trash; `deleted` is its name there, `looks` what the ledger keeps."""
        path = studio.path_of(name)
        looks = RunSummary.read(path).looks
        return {"deleted": delete_run(path), "looks": looks}

    @routes.post("/trash/{name}", dependencies=[Depends(owner)])
    def restore(name: str) -> dict[str, Any]:
        """Brings a run back; `name` is its own again."""
        return {"name": restore_run(name).name}

    @routes.delete("/trash", dependencies=[Depends(owner)])
    def empty() -> dict[str, Any]:
        """Removes for good what was deleted: `removed`, how many runs."""
        return {"removed": empty_trash()}

    @routes.get("/compare")
    def compare(run: Annotated[list[str], Query()]) -> dict[str, Any]:
        """As `compare --json` says it of runs on the same validation images."""
        from fittingroom.api.open_runs import compare

        return compare(_paths(studio, run)).to_dict()

    @routes.get("/report")
    def report(run: Annotated[list[str], Query()]) -> HTMLResponse:
        """The page of `fittingroom report`."""
        from fittingroom.api.open_runs import report

        page = report(_paths(studio, run))
        return HTMLResponse(page.html, headers={"content-security-policy": REPORT_POLICY})

    @routes.get("/runs/{name}/model-card", dependencies=[Depends(owner)])
    def model_card(name: str) -> Response:
        """The Markdown that `fittingroom card` writes."""
        from fittingroom.api.cards import MODEL_CARD_NAME
        from fittingroom.api.open_runs import open_run

        text = open_run(studio.path_of(name)).card().markdown
        return _download(text, "text/markdown; charset=utf-8", MODEL_CARD_NAME)

    @routes.get("/runs/{name}/data-card", dependencies=[Depends(owner)])
    def data_card(name: str) -> Response:
        """The JSON-LD that `fittingroom card` writes."""
        from fittingroom.api.open_runs import open_run
        from fittingroom.audits.model_card import DATA_CARD_NAME

        text = json_text(open_run(studio.path_of(name)).card().croissant)
        return _download(text, "application/ld+json", DATA_CARD_NAME)

    return routes


def _download(text: str, kind: str, name: str) -> Response:
    return Response(text, media_type=kind, headers={"content-disposition": f'attachment; filename="{name}"'})


def _paths(studio: Studio, names: list[str]) -> list[Path]:
    if len(names) > _MOST_COMPARED:
        raise RefusedError(400, "too_many", f"{len(names)} runs: at most {_MOST_COMPARED} fit on a page. Tick fewer.")
    return [studio.path_of(name) for name in names]


def _state_of(path: Path) -> tuple[int, ...]:
    """What changes with a run, its notes, and the end of its training: each writes a file into one of its folders."""
    return tuple(folder.stat().st_mtime_ns for folder in (path, *sorted(path.glob("seed-*"))) if folder.is_dir())
