"""The routes of the view `/benchmarks`: the list, one benchmark with its results, and its process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from fittingroom.data.catalogue import CATALOGUE
from fittingroom.errors import FittingRoomError, InputError, RunError, UnknownNameError
from fittingroom.recipes.classical_recipes import CLASSICAL_RECIPES
from fittingroom.recipes.named import NAMED
from fittingroom.reports.pages.benchmark_page import (
    benchmark_report,
    benchmark_results,
    benchmark_sentences,
    benchmark_title,
)
from fittingroom.reports.pages.document import harmless
from fittingroom.studio.benchmark_runs import StudioBenchmarks
from fittingroom.studio.runs_routes import REPORT_POLICY
from fittingroom.studio.studio import LastUsed, Studio, owner

_KEPT_PAGES = 10
_MOST_SEEDS = 100
_SENTENCES = 2
_METHODS: Mapping[str, str] = {
    **{name: entry.summary for name, entry in NAMED.items()},
    **{name: entry.summary for name, entry in CLASSICAL_RECIPES.items()},
}


class BenchmarkOrder(BaseModel):
    """What is to be compared.

    Args:
        datasets: names of datasets.
        methods: names of recipes.
        seeds: how many seeds each method is trained with.
    """

    datasets: list[str] = Field(min_length=1)
    methods: list[str] = Field(min_length=1)
    seeds: int = Field(5, ge=1, le=_MOST_SEEDS)


def router(studio: Studio) -> APIRouter:
    """What the view asks for."""
    routes, benchmarks = APIRouter(prefix="/api"), StudioBenchmarks(studio)
    pages = LastUsed(_KEPT_PAGES)

    @routes.get("/benchmarks")
    def listing() -> dict[str, Any]:
        """All benchmarks in the folder of runs, the newest first, and the names that a new one can be made of."""
        return {
            "benchmarks": [_listed(benchmarks, name) for name in benchmarks.names()],
            "datasets": [{"name": name, "title": entry.info.title} for name, entry in CATALOGUE.items()],
            "methods": [{"name": name, "title": summary} for name, summary in _METHODS.items()],
        }

    @routes.get("/benchmarks/{name}")
    def one(name: str) -> dict[str, Any]:
        """A benchmark: its state, how far it is, and its results as HTML where there are some."""
        benchmarks.folder(name)
        facts = benchmarks.facts(name)

        def drawn() -> str:
            with _readable(name):
                return benchmark_results(facts or {})

        return {
            **_listed(benchmarks, name),
            "progress": benchmarks.progress(name),
            "said": benchmarks.said(name),
            "own": benchmarks.is_own(name),
            "command": None if facts is None else facts.get("command"),
            "results": None if facts is None else pages.get(name, id(facts), drawn),
        }

    @routes.get("/benchmarks/{name}/page")
    def page(name: str) -> HTMLResponse:
        """The page about a benchmark, one file to save or to send."""
        benchmarks.folder(name)
        facts = benchmarks.facts(name)
        if facts is None:
            raise InputError(f"{name} has no results yet.")
        with _readable(name):
            return HTMLResponse(benchmark_report(facts).html, headers={"Content-Security-Policy": REPORT_POLICY})

    @routes.post("/benchmarks", dependencies=[Depends(owner)])
    def begin(body: BenchmarkOrder) -> dict[str, Any]:
        """Begins a benchmark, in a process of its own."""
        for kind, names, known in (("dataset", body.datasets, CATALOGUE), ("method", body.methods, _METHODS)):
            for name in names:
                if name not in known:
                    raise UnknownNameError(kind, name, known)
            if len(set(names)) < len(names):
                raise InputError(f"A {kind} is named twice. Name each once.")
        return {"name": benchmarks.begin(body.datasets, body.methods, body.seeds)}

    @routes.post("/benchmarks/{name}/continue", dependencies=[Depends(owner)])
    def resume(name: str) -> dict[str, Any]:
        """Continues a benchmark that was stopped."""
        benchmarks.folder(name)
        benchmarks.resume(name)
        return benchmarks.progress(name)

    @routes.post("/benchmarks/{name}/stop", dependencies=[Depends(owner)])
    def stop(name: str) -> dict[str, Any]:
        """Stops a benchmark. What is trained is kept."""
        benchmarks.stop(name)
        return {}

    return routes


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Turns what a damaged result raises into an error that says so."""
    from jinja2 import UndefinedError

    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, UndefinedError) as error:
        raise RunError(f"{name} holds results that cannot be read. Run the benchmark again.") from error


def _listed(benchmarks: StudioBenchmarks, name: str) -> dict[str, Any]:
    """A line of the list. A benchmark whose result is damaged has a sentence in place of it."""
    progress = benchmarks.progress(name)
    line: dict[str, Any] = {
        "name": name,
        "title": name,
        "state": "running" if progress["running"] else "stopped",
        "done": progress["done"],
        "total": progress["total"],
        "sentences": [],
        "datasets": [one["name"] for one in progress["datasets"]],
        "date": None,
    }
    try:
        facts = benchmarks.facts(name)
        if facts is not None:
            missing = sum(count for state, count in facts["cells"].items() if state == "missing")
            line.update(
                title=benchmark_title(facts),
                datasets=[str(one["dataset"]) for one in facts["datasets"]],
                date=str(facts["environment"]["date"])[:10],
                sentences=benchmark_sentences(facts["statistics"] or {})[:_SENTENCES],
            )
            if not progress["running"] and not missing:
                line["state"] = "done"
    except (FittingRoomError, KeyError, TypeError, ValueError, IndexError, AttributeError):
        line["state"] = "damaged"
    return dict(harmless(line))
