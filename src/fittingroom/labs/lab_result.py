"""What came of a lab: its arms, its claims with their verdicts, and which of the answers came true."""

from __future__ import annotations

import dataclasses
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fittingroom.labs.arms import Arm
from fittingroom.labs.judging import Judged
from fittingroom.labs.lab_description import Lab
from fittingroom.runs.environment import Environment

FACTS_NAME = "lab.json"


@dataclass(frozen=True, eq=False)
class LabResult:
    """A lab that was run.

    Args:
        lab: it.
        path: its folder, with `lab.json` and the page.
        arms: what was trained.
        claims: each with its verdict.
        left_out: the datasets that could not be had, each as a sentence.
        predicted: the answer that the learner gave, from 0; None if not asked.
        environment: where it ran; None where nothing could be trained.
        date: when, ISO 8601, UTC.
        seconds: how long it took, this time.
    """

    lab: Lab
    path: Path
    arms: tuple[Arm, ...]
    claims: tuple[Judged, ...]
    left_out: tuple[str, ...]
    predicted: int | None
    environment: Environment | None
    date: str
    seconds: float

    @property
    def page(self) -> Path:
        """The file with its page."""
        return self.path / f"{self.lab.name}.html"

    @property
    def outcome(self) -> int | None:
        """Which of the answers came true, from 0; None if nothing was asked, or the measurement cannot tell."""
        return self.allowed[0] if len(self.allowed) == 1 else None

    @property
    def allowed(self) -> tuple[int, ...]:
        """The answers that the effect's whole interval allows, from 0; none if nothing was asked or measured.

        With several, no answer is said to have come true: what is measured to be +0.6 and may be 0 is no rise.
        """
        asked = self.lab.predict
        judged = None if asked is None else self.claims[asked.claim]
        if asked is None or judged is None or judged.value is None:
            return ()
        first, last = (bisect_left(asked.bounds, end) for end in judged.interval or (judged.value, judged.value))
        return tuple(range(first, last + 1))

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        lab, asked = self.lab, self.lab.predict
        return {
            "lab": None if lab.number is None else str(lab.number),
            "name": lab.name,
            "title": lab.title,
            "question": lab.question,
            "course": lab.course,
            "prediction": None
            if asked is None
            else {
                "ask": asked.ask,
                "choices": list(asked.answers),
                "chosen": self.predicted,
                "outcome": self.outcome,
                "allowed": list(self.allowed),
            },
            "datasets": list(dict.fromkeys(arm.dataset for arm in self.arms)),
            "left_out": list(self.left_out),
            "seeds": sorted({seed for arm in self.arms for seed in arm.seeds}),
            "arms": [arm.to_dict() for arm in self.arms],
            "claims": [claim.to_dict() for claim in self.claims],
            "picture": dataclasses.asdict(lab.picture),
            "explanation": lab.explanation,
            "next": lab.next,
            "command": f"fittingroom lab {lab.path if lab.number is None else lab.number}",
            "environment": self._environment(),
            "page": str(self.page),
        }

    def _environment(self) -> dict[str, Any]:
        found = self.environment
        machine = "" if found is None else f"{found.processor}, {found.cores} cores, {found.platform}"
        return {
            "date": self.date,
            "machine": machine,
            "versions": {} if found is None else dict(found.versions),
            "seconds": self.seconds,
        }
