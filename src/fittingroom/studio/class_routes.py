"""The routes of the view `/class`: the leaderboard, importing runs, and scoring them on a test set of the owner's."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request
from starlette.concurrency import run_in_threadpool

from fittingroom.atomic import storage_errors
from fittingroom.errors import FittingRoomError, InputError
from fittingroom.evaluation.luck import TestResult
from fittingroom.runs.layout import read_layout
from fittingroom.runs.looks import OtherTestSet
from fittingroom.runs.place import RunsFolder
from fittingroom.runs.record import RunRecord
from fittingroom.runs.run_notes import Origin, RunNotes
from fittingroom.serving.limits import RefusedError
from fittingroom.studio.studio import Studio, owner, role_of

_LARGEST_UPLOAD = 2 * 2**30  # bytes
_MOST_RUNS = 300
_REASON = "scored for the class"

Seeds = tuple[Sequence[Path], Sequence[RunRecord]]


class ClassView:
    """What the view keeps while the studio runs: whether guests see the scores on test sets.

    Args:
        studio: what all views share.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self.shown_to_guests = False

    def board(self, names: list[str], *, with_tests: bool) -> dict[str, Any]:
        """The leaderboards of some runs, or of all, and what they are called; with scores on other test sets.

        Args:
            names: of the runs; none for all.
            with_tests: whether test scores are told.
        """
        from fittingroom.api.open_runs import leaderboard

        paths = self._paths(names)
        boards = leaderboard(paths).to_dict() if paths else {"boards": [], "left_out": [], "sentence": ""}
        runs = {path.name: self._called(path, mine=with_tests) for path in paths}
        tests = list(self._tests(paths)) if with_tests else []
        return {**boards, "runs": runs, "tests": tests, "shown_to_guests": self.shown_to_guests}

    def cost(self, names: list[str], on: str) -> dict[str, Any]:
        """What scoring runs on a test set would cost; nothing is opened."""
        from fittingroom.api.scored_on import CostOnTestSet

        return CostOnTestSet.of({path.name: _seeds_of(path) for path in self._paths(names)}, on).to_dict()

    def score(self, names: list[str], on: str) -> dict[str, Any]:
        """Scores runs on a test set, each seed in a look of its own; `refused` says which could not be."""
        refused = dict[str, str]()
        paths = self._paths(names)
        for done, path in enumerate(paths, start=1):
            try:
                self._studio.run(path.name).evaluate(_REASON, on=on)
            except FittingRoomError as error:
                refused[path.name] = str(error)
            self._studio.events.publish("class", {"what": "scoring", "done": done, "of": len(paths)})
        return {"refused": refused, "tests": list(self._tests(paths))}

    async def take_in(self, request: Request, called: str) -> dict[str, Any]:
        """Takes in the runs of an archive as it arrives: counted, cut off where it is too large, and scored again."""
        parent = self._studio.folder / ".studio"
        with storage_errors(parent):
            parent.mkdir(parents=True, exist_ok=True)
        archive, size = parent / f".{secrets.token_hex(6)}.zip", 0
        try:
            with storage_errors(archive), archive.open("xb") as file:
                async for chunk in request.stream():
                    size += len(chunk)
                    if size > _LARGEST_UPLOAD:
                        raise RefusedError(
                            413, "too_large", f"{called} is larger than {_LARGEST_UPLOAD // 2**30} GiB. Import less."
                        )
                    file.write(chunk)
            return {"imported": await run_in_threadpool(self._import, archive, called)}
        finally:
            archive.unlink(missing_ok=True)

    def _import(self, archive: Path, called: str) -> list[dict[str, Any]]:
        from fittingroom.api.class_runs import import_runs

        def advanced(done: int, of: int) -> None:
            self._studio.events.publish("class", {"what": "importing", "done": done, "of": of})

        found = import_runs(archive, called=called, advanced=advanced)
        return [{**one.to_dict(), "run": None if one.run is None else one.run.name} for one in found]

    def _paths(self, names: list[str]) -> list[Path]:
        paths = [self._studio.path_of(name) for name in dict.fromkeys(names)] or RunsFolder().runs()[:_MOST_RUNS]
        if len(paths) > _MOST_RUNS:
            raise RefusedError(400, "too_many", f"{len(paths)} runs: at most {_MOST_RUNS} fit on a leaderboard.")
        return paths

    def _called(self, path: Path, *, mine: bool) -> dict[str, Any]:
        origin = Origin.read(path)
        return {
            "title": RunNotes.read(path).title or path.name,
            "imported": origin is not None,
            "warnings": list(origin.notes) if origin is not None and mine else [],
        }

    def _tests(self, paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
        """The scores that runs have on test sets of other datasets, each a table, best first."""
        from fittingroom.api.scored_on import result_on

        found: dict[OtherTestSet, list[tuple[str, TestResult]]] = {}
        problems = list[str]()
        for path in paths:
            try:
                folders, records = _seeds_of(path)
                for other in OtherTestSet.known(folders[0]):
                    result = result_on(folders, records, other)
                    if result is not None:
                        found.setdefault(other, []).append((path.name, result))
            except FittingRoomError as error:
                problems.append(f"{path.name}: {error}")
        for other, results in found.items():
            results.sort(key=lambda one: -one[1].accuracy)
            _, best = results[0]
            yield {
                "dataset": other.dataset,
                "images": other.images,
                "luck": best.reuse.caution(best.accuracy, other.images),
                "rows": [
                    {
                        "run": name,
                        "accuracy": result.accuracy,
                        "interval": None if result.interval is None else list(result.interval),
                        "looks": result.looks,
                    }
                    for name, result in results
                ],
                "problems": problems,
            }


def router(studio: Studio) -> APIRouter:
    """What the view asks for."""
    routes, view = APIRouter(prefix="/api"), ClassView(studio)

    @routes.get("/class")
    def board(request: Request, run: Annotated[list[str] | None, Query()] = None) -> dict[str, Any]:
        """The leaderboards; guests see scores on test sets only where the owner shows them."""
        return view.board(run or [], with_tests=role_of(request) == "owner" or view.shown_to_guests)

    @routes.post("/class/import", dependencies=[Depends(owner)])
    async def take_in(request: Request, called: Annotated[str, Query(max_length=200)]) -> dict[str, Any]:
        """A ZIP archive of runs, as the body."""
        return await view.take_in(request, called)

    @routes.get("/class/cost", dependencies=[Depends(owner)])
    def cost(on: str, run: Annotated[list[str] | None, Query()] = None) -> dict[str, Any]:
        """What scoring costs, before it is done."""
        return view.cost(run or [], _dataset(on))

    @routes.post("/class/score", dependencies=[Depends(owner)])
    def score(order: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        """Scores the runs of `runs` (none for all) on the test set of `on`."""
        names = order.get("runs") or []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise RefusedError(422, "wrong_runs", "Expected runs as a list of names.")
        return view.score(names, _dataset(order.get("on")))

    @routes.put("/class/shown", dependencies=[Depends(owner)])
    def show(shown: Annotated[bool, Body(embed=True)]) -> dict[str, Any]:
        """Whether guests see the scores on test sets."""
        view.shown_to_guests = shown
        studio.events.publish("class", {"what": "shown", "done": 1, "of": 1})
        return {"shown_to_guests": shown}

    return routes


def _seeds_of(path: Path) -> Seeds:
    layout = read_layout(path)
    return list(layout.folders.values()), list(layout.records().values())


def _dataset(on: object) -> str:
    if not isinstance(on, str) or not on.strip():
        raise InputError("Say which dataset has the test set: a folder of class folders, an NPZ or a CSV file.")
    return on.strip()
