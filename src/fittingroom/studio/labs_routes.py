"""The routes of the view `/labs`: the list, one lab with its guess and its results, and its process."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from fittingroom.errors import FittingRoomError, RunError
from fittingroom.labs.lab_description import Lab
from fittingroom.labs.lab_folder import LabFolder
from fittingroom.reports.pages.lab_page import lab_results
from fittingroom.runs.record import usable_cores
from fittingroom.studio.lab_runs import LabRuns
from fittingroom.studio.studio import LastUsed, Studio, owner
from fittingroom.text import duration

_KEPT_PAGES = 20


class LabGuess(BaseModel):
    """What the learner guesses.

    Args:
        chosen: the answer, from 0.
    """

    chosen: int


class LabBeginning(BaseModel):
    """How a lab is to be run.

    Args:
        chosen: the answer that the learner guesses, from 0; None for none, or for the one that is kept.
        quick: whether to train two seeds only.
    """

    chosen: int | None = None
    quick: bool = False


def router(studio: Studio) -> APIRouter:
    """What the view asks for."""
    routes, labs = APIRouter(prefix="/api"), LabRuns(studio)
    pages = LastUsed(_KEPT_PAGES)

    @routes.get("/labs")
    def listing() -> dict[str, Any]:
        """All labs, in order: what each asks, how long it takes, and what came out where it has been run here."""
        return {"labs": [_listed(labs, LabFolder(lab)) for lab in labs.labs.values()]}

    @routes.get("/labs/{name}")
    def one(name: str) -> dict[str, Any]:
        """A lab: its texts, the guess, and its state; results and curves as HTML where there are some."""
        folder = labs.folder(name)
        facts = folder.facts

        def drawn() -> str:
            try:
                return lab_results(facts or {})
            except (KeyError, TypeError, ValueError, IndexError) as error:
                raise RunError(f"{folder.path} holds results that cannot be read. Run the lab again.") from error

        state = (str(folder.path), facts["environment"]["date"]) if facts is not None else None
        return {
            **_described(folder.lab),
            **_listed(labs, folder),
            "guess": folder.guess,
            "measured": folder.is_measured,
            "was_quick": bool((facts or {}).get("quick")),
            "said": labs.said(name),
            "progress": labs.progress(name),
            "curves": labs.curves(name) if folder.is_measured else "",
            "results": None if facts is None else pages.get(name, state, drawn),
        }

    @routes.post("/labs/{name}/guess", dependencies=[Depends(owner)])
    def guess(name: str, body: LabGuess) -> dict[str, Any]:
        """Keeps the learner's guess, before anything is measured."""
        labs.folder(name).keep_guess(body.chosen)
        return {"guess": body.chosen}

    @routes.post("/labs/{name}/run", dependencies=[Depends(owner)])
    def run(name: str, body: LabBeginning) -> dict[str, Any]:
        """Begins or continues the lab, in a process of its own."""
        labs.begin(name, body.chosen, quick=body.quick)
        return labs.progress(name)

    @routes.post("/labs/{name}/stop", dependencies=[Depends(owner)])
    def stop(name: str) -> dict[str, Any]:
        """Stops the lab. What it has trained is kept."""
        labs.stop(name)
        return {}

    return routes


def _described(lab: Lab) -> dict[str, Any]:
    """What the lab's file says, and what it trains."""
    asked = lab.predict
    return {
        "question": lab.question.split("\n\n"),
        "course": None if lab.course is None else lab.course.split("\n\n"),
        "ask": None if asked is None else asked.ask,
        "answers": [] if asked is None else list(asked.answers),
        "codes": [{"name": code.name, "code": code.code} for code in lab.codes],
        "quick": _quick(lab),
        "cores": usable_cores(),
    }


def _listed(labs: LabRuns, folder: LabFolder) -> dict[str, Any]:
    """A line of the list. A lab whose files are damaged has a sentence in place of results."""
    lab = folder.lab
    line: dict[str, Any] = {
        "name": lab.name,
        "number": lab.number,
        "title": lab.title,
        "first": lab.question.split("\n\n")[0],
        "takes": None if lab.seconds is None else duration(lab.seconds),
        "state": "running" if labs.is_running(lab.name) else "stopped" if folder.is_measured else "new",
        "outcome": None,
        "verdicts": [],
    }
    try:
        facts = folder.facts
        if facts is not None and line["state"] != "running":
            asked = facts["prediction"]
            came = None if asked is None or asked["outcome"] is None else asked["choices"][asked["outcome"]]
            verdicts = [{"says": claim["says"], "verdict": claim["verdict"]} for claim in facts["claims"]]
            line.update(state="done", outcome=came, verdicts=verdicts, date=facts["environment"]["date"][:10])
    except (FittingRoomError, KeyError, TypeError, ValueError, IndexError):
        line["state"] = "damaged"
    return line


def _quick(lab: Lab) -> dict[str, Any] | None:
    """The quick form of a lab: how many seeds, and how long; None where it has none."""
    if lab.quick == lab:
        return None
    if lab.stand_in is not None and lab.quick.stand_in is not None:
        whole, some, most = lab.stand_in.seeds, lab.quick.stand_in.seeds, lab.quick.stand_in.seeds
    else:
        whole, some = (sum(len(each.seeds) for each in one.experiments) for one in (lab, lab.quick))
        most = max(len(each.seeds) for each in lab.quick.experiments)
    takes = None if lab.seconds is None else duration(max(5.0, round(lab.seconds * some / whole / 5) * 5.0))
    return {"seeds": most, "takes": takes}
