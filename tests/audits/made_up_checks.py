"""Checks for tests of the runner: one that finds, one that is clear, one that fails, one that is interrupted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from fittingroom.audits import checks
from fittingroom.audits.check import (
    AuditSubject,
    CheckResult,
    EvidenceLine,
    EvidencePlot,
    EvidenceTable,
    Finding,
    Gallery,
    Review,
    ReviewItem,
    ShownImage,
)
from fittingroom.data.review_list import COLUMNS, ReviewRow
from fittingroom.errors import DataError

MADE: list[str] = []
"""The checks that were made, in order."""

GREY = np.arange(64, dtype=np.uint8).reshape(8, 8)
COLOURED = np.stack([GREY, GREY // 2, GREY * 3], axis=2)


PLAN = {
    "images": 100,
    "order": [4, 5, 6, 7, 8],
    "bands": [
        {"low": 0.5, "high": 0.8, "count": 3, "mean": 0.6, "indices": [4, 5, 6]},
        {"low": 0.0, "high": 0.5, "count": 97, "mean": 0.01, "indices": [7, 8]},
    ],
}


def _item(number: int) -> ReviewItem:
    suggested = "5" if number < 4 else None  # the last is one that no model doubts
    finding = Finding("train", 4 + number, "the models say 5", "3", suggested, 0.75 - number / 10)
    neighbours = (ShownImage(GREY, "3"), ShownImage(COLOURED, "5"))
    return ReviewItem(finding, GREY, (("5", 0.9), ("3", 0.05)), neighbours, f"3/picture-{number}.png", 4 + number)


def found(subject: AuditSubject) -> CheckResult:
    """With every kind of evidence, and texts of somebody who wants to be run."""
    MADE.append("found")
    subject.progress("looking", 1, 2)
    return found_result("<script>alert(1)</script>")


def found_result(evil: str) -> CheckResult:
    """A result with every kind of evidence, and a text everywhere that is somebody else's."""
    return CheckResult(
        check="found",
        title="Things found",
        verdict="found",
        sentences=("3 images are odd.", f"One is of class {evil}."),
        advice=("Look at them.",),
        facts={"odd": 3, "share": 0.25},
        evidence=(
            Gallery("Odd images", (ShownImage(GREY, evil), ShownImage(COLOURED, "in colour")), columns=2),
            EvidenceTable("Per class", ("class", "images"), tuple((f"class {n}", str(n)) for n in range(20))),
            EvidencePlot(
                "Accuracy by severity",
                "severity",
                "accuracy",
                (EvidenceLine("noise", (1, 2, 3), (0.9, 0.8, 0.7), (0.8, 0.7, 0.6), (0.95, 0.9, 0.8)),),
            ),
            Review("Labels to review", tuple(map(_item, range(5))), ("3", "5", evil), plan=PLAN),
        ),
        findings=(Finding("train", 4, "odd", "3", "5", 0.75), Finding("train", 5, "twin", other=("test", 1))),
    )


def clear(subject: AuditSubject) -> CheckResult:
    """Finds nothing."""
    del subject
    MADE.append("clear")
    return CheckResult("clear", "Nothing", "clear", ("Nothing is odd.",))


def fails(subject: AuditSubject) -> CheckResult:
    """Cannot read its data."""
    raise DataError(f"the data of {subject.dataset.name} cannot be read.")


def interrupted(subject: AuditSubject) -> CheckResult:
    """Somebody presses Ctrl-C."""
    raise KeyboardInterrupt


@contextmanager
def only_checks(*functions: str, needs_run: str | None = None) -> Iterator[None]:
    """While it lasts, these functions of this module are all checks that there are."""
    known = {
        name: checks._Check(f"{__name__}.{name}", name.capitalize(), needs_run=name == needs_run) for name in functions
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "CHECKS", MappingProxyType(known))
        MADE.clear()
        yield


def page_facts(evil: str) -> dict[str, Any]:
    """What the page of an audit shows of one check that found things, one that is clear and one that was not made."""
    results = [
        found_result(evil),
        CheckResult("clear", evil, "clear", ("Nothing is odd: `code`.",), seconds=2.0),
        CheckResult("raw-data", "Raw data", "not examined", (evil,)),
    ]
    rows = [ReviewRow(index=4 + number, label="3", suggested="5", check="found").cells() for number in range(5)]
    return {
        "title": f"Audit of {evil}",
        "heading": evil,
        "run": evil,
        "card": f"fittingroom card {evil}",
        "counts": "3 training images",
        "overview": "1 check found something.",
        "complete": False,
        "fingerprint": "0123456789abcdef",
        "review_key": evil,
        "source": evil,
        "command": f"fittingroom audit {evil}",
        "made": "2026-11-30T12:00:00+00:00",
        "results": [result.to_dict() for result in results],
        "rows": {"header": list(COLUMNS), "rows": rows},
    }
