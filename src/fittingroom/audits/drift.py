"""What the monitors of a served run say together: whether the images that arrive differ from the validation images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.audits.check import CheckResult, EvidenceLine, EvidencePlot, EvidenceTable, Verdict
from fittingroom.audits.drift_monitor import FALSE_ALARMS, DriftCounts, DriftMonitor, kept_monitors
from fittingroom.audits.drift_quantities import TITLES
from fittingroom.audits.drift_reference import DriftReference
from fittingroom.text import amount, number, percent, word_list

if TYPE_CHECKING:
    from pathlib import Path

    from fittingroom.answers.predictor import Predictor

FOLDER = "drift"
"""In the folder of a run: what its servers counted."""

FEWEST_SERVED = 50
"""Images, below which hardly any drift could have been seen."""

_TITLE = "Drift of what is served"
_NEEDED = 1 / FALSE_ALARMS
_MOST_PLOTS = 4
_MOST_CLASSES = 20


def kept_drift(path: Path, predictor: Predictor) -> CheckResult:
    """What the servers of a run counted, as they last wrote it into the run's folder.

    Args:
        path: the run's folder.
        predictor: the run's.

    Raises:
        RunError: a file of it is damaged.
    """
    if not (path / FOLDER).is_dir():
        return not_watched("This run was not served yet, so there is nothing to compare.", "fittingroom serve RUN")
    reference = DriftReference.of_run(predictor)
    if isinstance(reference, str):
        return not_watched(reference)
    monitors = kept_monitors(path / FOLDER, reference)
    return drift_result(reference, monitors, predictor.data.classes)


def not_watched(why: str, command: str | None = None) -> CheckResult:
    """The result where nothing is compared, and why."""
    advice = () if command is None else (f"`{command}` answers over HTTP, and watches what it is asked.",)
    return CheckResult("drift", _TITLE, "not examined", (why,), advice, {"watched": False, "why": why})


def drift_result(reference: DriftReference, monitors: Sequence[DriftMonitor], classes: Sequence[str]) -> CheckResult:
    """What all processes that serve a run counted.

    Args:
        reference: what they compare with.
        monitors: of each process.
        classes: names of the run's classes.
    """
    served, newest = DriftCounts(reference), DriftCounts(reference)
    for one in monitors:
        served += one.all
        newest += one.newest
        newest += one.before
    facts = _facts(reference, monitors, served, newest, classes)
    if not served.images:
        return CheckResult(
            "drift", _TITLE, "not examined", ("No image was answered yet.", *_left_out(facts)), (), facts
        )
    first = _first_noticed(monitors)
    verdict: Verdict = "found" if first is not None else "clear" if served.images >= FEWEST_SERVED else "unsure"
    return CheckResult(
        check="drift",
        title=_TITLE,
        verdict=verdict,
        sentences=(*_sentences(verdict, facts), *_left_out(facts)),
        advice=_advice(verdict),
        facts=facts,
        evidence=(_quantity_table(facts), _class_table(facts), *_plots(facts)),
    )


def _first_noticed(monitors: Sequence[DriftMonitor]) -> DriftMonitor | None:
    noticed = [one for one in monitors if one.noticed is not None]
    return min(noticed, key=lambda one: str(one.noticed_at), default=None)


def _facts(
    reference: DriftReference,
    monitors: Sequence[DriftMonitor],
    served: DriftCounts,
    newest: DriftCounts,
    classes: Sequence[str],
) -> dict[str, Any]:
    """All numbers; shares and means of no images are None."""
    first = _first_noticed(monitors)
    evidence = max((one.highest / one.needed for one in monitors), default=0.0) * _NEEDED
    each = [one.evidence.highest_of / one.needed for one in monitors]
    strongest = np.max(each, axis=0) * _NEEDED if each else np.zeros(len(reference.names))
    differing = {name for one in monitors for name in one.differing}
    quantities = [
        {
            "name": name,
            "title": TITLES[name],
            "differs": name in differing,
            "evidence": float(strongest[place]),
            "validation_mean": float(reference.means[place]),
            "served_mean": _ratio(served.sums[place], served.images),
            "newest_mean": _ratio(newest.sums[place], newest.images),
            "edges": reference.bins[place].edges.tolist(),
            "validation": reference.bins[place].counts.tolist(),
            "served": served.histograms[place].tolist(),
            "newest": newest.histograms[place].tolist(),
        }
        for place, name in enumerate(reference.names)
    ]
    count = len(reference.values)
    return {
        "watched": True,
        "why": None,
        "alarm": first is not None,
        "noticed": None if first is None else first.noticed,
        "noticed_at": None if first is None else first.noticed_at,
        "false_alarms": FALSE_ALARMS,
        "evidence": evidence,
        "needed": _NEEDED,
        "images": served.images,
        "newest_images": newest.images,
        "photos": sum(one.photos for one in monitors),
        "skipped": sum(one.skipped for one in monitors),
        "processes": len(monitors),
        "since": min((one.since for one in monitors), default=None),
        "changed": max((one.changed for one in monitors), default=None),
        "validation_images": count,
        "unlike": {
            "validation": _ratio(reference.unlike, count),
            "served": _ratio(served.unlike, served.images),
            "newest": _ratio(newest.unlike, newest.images),
        },
        "quantities": quantities,
        "classes": [
            {
                "class": name,
                "validation": _ratio(int(reference.classes[place]), count),
                "served": _ratio(int(served.classes[place]), served.images),
                "newest": _ratio(int(newest.classes[place]), newest.images),
            }
            for place, name in enumerate(classes)
        ],
    }


def _ratio(part: float, whole: int) -> float | None:
    return float(part) / whole if whole else None


def _sentences(verdict: Verdict, facts: Mapping[str, Any]) -> tuple[str, ...]:
    images = amount(facts["images"], "image")
    evidence = f"{number(facts['evidence'], 1)} of the {number(facts['needed'])} that are needed"
    if verdict == "unsure":
        return (f"Only {images} came, too few to tell whether they are like the validation images.",)
    if verdict == "clear":
        return (
            f"{images} came, and nothing shows that they differ from the validation images: the evidence reached "
            f"{evidence}.",
        )
    named = [one for one in facts["quantities"] if one["differs"]]
    strongest = max(facts["quantities"], key=lambda one: float(one["evidence"]))
    shown = sorted(named, key=lambda one: -float(one["evidence"])) or [strongest]
    start = (
        f"The images that arrive differ from the validation images. That was noticed after image "
        f"{number(facts['noticed'])} of {number(facts['images'])}."
    )
    names = word_list([one["title"] for one in shown])
    how = f"What differs: {names}." if named else f"No single quantity shows it; the strongest is: {names}."
    sentences = [start, how]
    for one in shown[:3]:
        if sentence := _difference(one, facts):
            sentences.append(sentence)
    chance = percent(facts["false_alarms"], 0)
    return (
        *sentences,
        f"If nothing differed, this would be said of at most {chance} of served runs, however long they are served.",
    )


def _difference(quantity: Mapping[str, Any], facts: Mapping[str, Any]) -> str | None:
    last = f"the last {amount(facts['newest_images'], 'image')}"
    if quantity["name"] == "unlike":
        shares = facts["unlike"]
        return (
            f"{percent(shares['newest'])} of {last} are unlike the training images; of the validation images, "
            f"{percent(shares['validation'])} are."
        )
    if quantity["name"] == "class":
        most = max(facts["classes"], key=lambda one: abs(one["newest"] - one["validation"]))
        return (
            f"{percent(most['newest'])} of {last} are taken for {most['class']}; of the validation images, "
            f"{percent(most['validation'])} are."
        )
    here, there = quantity["newest_mean"], quantity["validation_mean"]
    if number(here, 3) == number(there, 3):
        return f"{_capital(quantity['title'])} is {number(here, 3)} on average as before, but spread differently."
    return f"{_capital(quantity['title'])} is {number(here, 3)} on average in {last}, {number(there, 3)} in validation."


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]


def _left_out(facts: Mapping[str, Any]) -> Iterator[str]:
    """What was answered and not compared, and why."""
    if facts["photos"]:
        verb = "is" if facts["photos"] == 1 else "are"
        yield (
            f"{amount(facts['photos'], 'object')} cut out of photos {verb} not compared, since validation images are "
            "not photos; each answer says whether its photo is unlike the training images."
        )
    if facts["skipped"]:
        yield f"{amount(facts['skipped'], 'further image')} came faster than they could be compared."


def _advice(verdict: Verdict) -> tuple[str, ...]:
    if verdict != "found":
        return ()
    return (
        "The validation accuracy does not hold for these images. Label a few hundred and score the run on those.",
        "Look for a cause first: another camera, another way of cropping, inverted or rotated images, a new class.",
        "Add labelled images of the new kind to the training data and train again; the new run is watched afresh.",
    )


def _quantity_table(facts: Mapping[str, Any]) -> EvidenceTable:
    rows = []
    for one in facts["quantities"]:
        if one["name"] == "class":
            cells: tuple[str, ...] = ("", "", "")
        elif one["name"] == "unlike":
            cells = tuple(percent(facts["unlike"][part]) for part in ("validation", "served", "newest"))
        else:
            cells = tuple(number(one[f"{part}_mean"], 3) for part in ("validation", "served", "newest"))
        rows.append((_capital(one["title"]), *cells, _evidence_text(one["evidence"])))
    last = f"last {number(facts['newest_images'])}"
    needed = f"evidence, of {number(facts['needed'])} needed"
    return EvidenceTable("Means", ("quantity", "validation", "served", last, needed), tuple(rows))


def _evidence_text(evidence: float) -> str:
    return "over 1,000" if evidence > 1_000 else number(evidence, 1)


def _class_table(facts: Mapping[str, Any]) -> EvidenceTable:
    chosen = sorted(facts["classes"], key=lambda one: -abs(one["served"] - one["validation"]))[:_MOST_CLASSES]
    rows = [(one["class"], *(percent(one[part]) for part in ("validation", "served", "newest"))) for one in chosen]
    title = "Predicted classes, those that changed most first"
    last = f"last {number(facts['newest_images'])}"
    return EvidenceTable(title, ("class", "validation", "served", last), tuple(rows))


def _plots(facts: Mapping[str, Any]) -> tuple[EvidencePlot, ...]:
    """How the quantities with the strongest evidence are spread."""
    numeric = [one for one in facts["quantities"] if one["name"] != "class" and len(one["edges"]) > 1]
    shown = sorted(numeric, key=lambda one: -one["evidence"])[: _MOST_PLOTS if facts["alarm"] else 1]
    return tuple(_plot(one, facts["newest_images"]) for one in shown)


def _plot(quantity: Mapping[str, Any], newest: int) -> EvidencePlot:
    title = "rarity among validation images" if quantity["name"] == "unlike" else quantity["title"]
    lines = []
    for part, name in (("validation", "validation"), ("newest", f"last {number(newest)}")):
        below = np.cumsum(quantity[part])[:-1] / max(sum(quantity[part]), 1)
        lines.append(EvidenceLine(name, tuple(quantity["edges"]), tuple(map(float, below))))
    return EvidencePlot(_capital(title), title, "share of images below", tuple(lines))
