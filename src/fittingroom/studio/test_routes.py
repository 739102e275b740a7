"""The routes of the view `/test`: what opening a sealed test set costs, and the opening itself."""

from __future__ import annotations

import threading
from typing import Any

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from fittingroom.api.look_cost import LookCost
from fittingroom.api.openings import stored_result
from fittingroom.errors import InputError
from fittingroom.runs.layout import read_layout
from fittingroom.runs.place import is_run
from fittingroom.serving.limits import RefusedError
from fittingroom.studio.studio import Studio, owner
from fittingroom.text import amount, percent, percent_range

_LONGEST_REASON = 500  # characters


class TestOpening(BaseModel):
    """That a test set is to be opened.

    Args:
        reason: why, for the ledger.
        looks: how many looks the page said that there were; the test set stays closed if another came meanwhile.
        data: where the run's dataset is now, as `fittingroom.load` takes it; None for where it was.
    """

    reason: str
    looks: int
    data: str | None = None


def router(studio: Studio) -> APIRouter:
    """What the view asks for."""
    routes, opening = APIRouter(prefix="/api"), threading.Lock()

    @routes.get("/test/{name}")
    def cost(name: str) -> dict[str, Any]:
        """What opening would cost; and the score, of a run that has it. Nothing is opened."""
        path = studio.path_of(name)
        if not is_run(path):
            raise RefusedError(
                409, "unfinished", f"{name} has not finished training, so there is nothing to score yet."
            )
        found = LookCost.of(path)
        scored = found.images > 0 and found.own == 0
        return {"run": name, "cost": found.to_dict(), "result": _result(studio, name) if scored else None}

    @routes.post("/test/{name}", dependencies=[Depends(owner)])
    def opened(name: str, body: TestOpening) -> dict[str, Any]:
        """Opens the test set and scores the run; a run that has its score shows it, and that is not another look."""
        if not body.reason.strip() or len(body.reason) > _LONGEST_REASON:
            raise InputError(
                f"The ledger keeps why a test set was opened: give a reason of 1 to {_LONGEST_REASON} letters."
            )
        run = studio.run(name)
        with opening:  # one at a time: of two pages that press at once, the second finds the score, which costs nothing
            found = LookCost.of(run.path)
            if found.own and found.closed is None and found.looks != body.looks:
                raise RefusedError(
                    409,
                    "more_looks",
                    f"The test set has had {amount(found.looks, 'look')} by now, not {body.looks:,}. It stays "
                    "closed: load the page again, which says what a look costs now.",
                )
            run.evaluate(body.reason.strip(), data=body.data or None)
        studio.events.publish("test", {"run": name})
        return cost(name)

    return routes


def _result(studio: Studio, name: str) -> dict[str, Any]:
    """The score that a run has, with what belongs to it in words."""
    layout = read_layout(studio.path_of(name))
    result = stored_result([(layout.folders[seed], record) for seed, record in layout.records().items()])
    facts = result.to_dict(spread=True)
    for seed in facts["per_seed"]:
        seed["accuracy_text"] = percent(seed["accuracy"])
        for each in seed["per_class"]:
            each["accuracy_text"] = percent(each["accuracy"])
    images = result.each[0].scores.count
    return {
        **facts,
        "accuracy_text": percent(result.accuracy),
        "interval_text": None if result.interval is None else percent_range(result.interval),
        "images": images,
        "looks_text": result.looks,
        "luck_text": result.reuse.caution(result.accuracy, images),
        "reason": result.reason,
        "seeds": list(result.seeds),
    }
