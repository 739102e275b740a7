"""Robustness: what a run says of its validation images when fifteen corruptions make them worse.

Three things are asked at each severity: how often it is right, how often it says that it is, and how many it refuses.
A model that is wrong more often but says so can be used; one that is as sure as before cannot. So there are two
findings, each shown with all its corruptions at once (Bonferroni): a corruption that is slight costs more than 5
points, and answers that are not refused claim to be right at least 10 points more often than they are.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.audits.check import (
    AuditSubject,
    CheckResult,
    EvidenceLine,
    EvidencePlot,
    EvidenceTable,
    Gallery,
    ShownImage,
)
from fittingroom.audits.corrupted_answers import FEWEST, Robustness
from fittingroom.audits.corruptions import CORRUPTIONS, SEVERITIES, corrupted
from fittingroom.audits.model_images import ModelImages, shown_pixels
from fittingroom.text import NOTHING, amount, percent, percent_range, points, word_list

if TYPE_CHECKING:
    from fittingroom.data.dataset import Part

_FEW = 300  # images below which nothing found means little
_MOST_NAMES = 4
_CHECK, _TITLE = "robustness", "Robustness"


def check_robustness(subject: AuditSubject) -> CheckResult:
    """Accuracy, confidence and refusals on corrupted validation images; the test part is not read."""
    start, part, predictor = time.perf_counter(), subject.dataset.validation, subject.predictor
    if predictor is None:
        return CheckResult(_CHECK, _TITLE, "not examined", ("Only a run can be examined: a dataset has no answers.",))
    if part is None or not len(part):
        reason = "The run has no validation images to make worse. Train with --validation 0.1."
        return CheckResult(_CHECK, _TITLE, "not examined", (reason,))
    if (why_not := ModelImages(predictor, part.scale).why_not) is not None:
        return CheckResult(_CHECK, _TITLE, "not examined", (why_not,))
    if len(part) < FEWEST:
        reason = f"{amount(len(part), 'validation image')} are too few to tell; {FEWEST} are the fewest."
        return CheckResult(_CHECK, _TITLE, "unsure", (reason,))
    found = Robustness.of(predictor, part, subject.progress)
    shown = found.costly or found.claiming
    return CheckResult(
        _CHECK,
        _TITLE,
        "found" if shown else "clear" if found.images >= _FEW and found.has_much_to_lose else "unsure",
        tuple(_sentences(found, len(part), predictor.seed_count)),
        tuple(_advice(found)),
        found.to_dict(),
        (_curve(found), _table(found), _gallery(part)),
        seconds=time.perf_counter() - start,
    )


def _sentences(found: Robustness, images: int, seeds: int) -> list[str]:
    worst = min(found.corrupted, key=lambda name: _mean_accuracy(found, name))
    clean = found.clean.right.mean()
    looked_at = amount(images, "validation image")
    if found.images < images:
        looked_at = f"{found.images:,} of {looked_at}, spread evenly"
    who = "the run gets" if seeds == 1 else f"the run's {seeds} seeds together get"
    said = [
        f"Of {looked_at}, {who} {percent(clean)} right as they are, and "
        f"{percent(found.accuracy)} ({percent_range(found.interval)}) on average over {len(found.corrupted)} "
        f"corruptions of {SEVERITIES} severities. The worst is {worst}, at {percent(_mean_accuracy(found, worst))}."
    ]
    if found.costly:
        costs = [f"{name} ({points(-100 * found.cost(name, 1).value, signed=True)} points)" for name in found.costly]
        verb = "costs" if len(costs) == 1 else "cost"
        said.append(f"At severity 1, which is slight, {word_list(costs, most=_MOST_NAMES)} {verb} more than 5 points.")
    else:
        said.append("At severity 1, which is slight, no corruption is shown to cost more than 5 points.")
    if found.claiming:
        said.append(_of_claims(found))
    else:
        said.append("No corruption is shown to make answers claim to be right 10 points more often than they are.")
    if found.refuses:
        said.append(
            f"It refuses {percent(found.clean.unlike.mean())} of the images as they are and "
            f"{percent(found.at(SEVERITIES)['refused'])} of those at severity {SEVERITIES}."
        )
    if not found.has_much_to_lose:
        said.append(
            "As they are, it is not shown to do better than by naming one class always, so there is little to lose."
        )
    if not (found.costly or found.claiming) and found.images < _FEW:
        said.append(f"With fewer than {_FEW} images, only large losses would have been shown.")
    return said


def _of_claims(found: Robustness) -> str:
    """The corruptions whose answers claim too much, and the worst case."""
    earliest = sorted(found.claiming, key=lambda name: (found.claiming[name], name))
    named = word_list([f"{name} (from severity {found.claiming[name]})" for name in earliest], most=_MOST_NAMES)
    name, severity = earliest[0], found.claiming[earliest[0]]
    facts = found.corrupted[name][severity - 1].to_dict()
    return (
        f"Answers claim to be right at least 10 points more often than they are under {named}. For {name} at severity "
        f"{severity}: {percent(facts['confidence_of_answered'], 0)} claimed and "
        f"{percent(facts['accuracy_of_answered'], 0)} right, of the {percent(1 - facts['refused'], 0)} it answers."
    )


_MOVED = frozenset({"shear", "scale", "rotation", "shift"})


def _advice(found: Robustness) -> list[str]:
    said = []
    if found.claiming:
        said.append(
            f"Keep pictures with {word_list(found.claiming, 'or', most=_MOST_NAMES)} from the model, or train with "
            "such pictures: it does not say by itself that it fails on them."
        )
    if moved := [name for name in found.costly if name in _MOVED]:
        said.append(
            f"If pictures may come with {word_list(moved, 'or')}, train with such changes: set `augment` in a recipe, "
            "as `photo` and `cnn` do."
        )
    if others := [name for name in found.costly if name not in _MOVED and name not in found.claiming]:
        said.append(
            f"If pictures may come with {word_list(others, 'or', most=_MOST_NAMES)}, put some of them into the "
            "training part, or convert them before the model sees them."
        )
    return said


def _mean_accuracy(found: Robustness, name: str) -> float:
    return float(np.mean([one.right.mean() for one in found.corrupted[name]]))


def _curve(found: Robustness) -> EvidencePlot:
    each = [found.at(severity) for severity in range(SEVERITIES + 1)]
    named = [("accuracy", "right"), ("confidence", "claimed to be right")]
    if found.refuses:
        named += [("refused", "refused")]
    lines = [
        EvidenceLine(name, tuple(range(SEVERITIES + 1)), tuple(round(100 * (one[key] or 0.0), 1) for one in each))
        for key, name in named
    ]
    return EvidencePlot(
        "Mean over all corruptions; severity 0 is the images as they are", "severity", "% of the images", tuple(lines)
    )


def _table(found: Robustness) -> EvidenceTable:
    header = ("corruption", *(str(severity) for severity in range(1, SEVERITIES + 1)), "mean", "claimed at 5")
    means = [found.at(severity) for severity in range(1, SEVERITIES + 1)]
    accuracies = [percent(one["accuracy"]) for one in means]
    last = (percent(means[-1]["confidence"]), _refused(found, means[-1]))
    rows = [("all", *accuracies, percent(found.accuracy), *last)]
    for name, several in sorted(found.corrupted.items(), key=lambda one: _mean_accuracy(found, one[0])):
        facts = several[-1].to_dict()
        row = [percent(one.right.mean()) for one in several]
        last = (percent(facts["confidence"]), _refused(found, facts))
        rows.append((name, *row, percent(_mean_accuracy(found, name)), *last))
    return EvidenceTable(
        "Accuracy by severity; what is claimed and refused at 5", (*header, "refused at 5"), tuple(rows)
    )


def _refused(found: Robustness, facts: dict[str, Any]) -> str:
    return percent(facts["refused"]) if found.refuses else NOTHING


def _gallery(part: Part) -> Gallery:
    """An image as it is and at severities 1, 3 and 5 of each corruption."""
    images = np.asarray(part.images[:1])
    shown = []
    for name in CORRUPTIONS:
        shown.append(ShownImage(shown_pixels(images[0], part.scale), name))
        for severity in (1, 3, 5):
            pixels = corrupted(images, name, severity, scale=part.scale)[0]
            shown.append(ShownImage(shown_pixels(pixels, part.scale), str(severity)))
    return Gallery("A validation image, and severities 1, 3 and 5", tuple(shown), 4)
