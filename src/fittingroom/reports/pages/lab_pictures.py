"""The picture of a lab: one of six kinds, from its numbers or from the images of its run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.data.dataset import Part
from fittingroom.errors import FittingRoomError
from fittingroom.evaluation.change import GROUPS, Change
from fittingroom.evaluation.trajectories import Trajectories
from fittingroom.reports.drawing import scatter
from fittingroom.reports.drawing.axes import Axis, Scale, Strip
from fittingroom.reports.drawing.figures import Figure
from fittingroom.reports.drawing.plots import Line, Plot
from fittingroom.reports.drawing.scatter import Dot
from fittingroom.reports.facts.subject import SeedTraining, Subject
from fittingroom.reports.pages.explorer import picture_row
from fittingroom.reports.pages.report_page import validation_images
from fittingroom.text import nats, points

Facts = Mapping[str, Any]
Picture = dict[str, Any]

_COLORS = 6


Indices = npt.NDArray[np.intp]

_EACH = 4  # images that it gets right, and as many that it gets wrong

_MOST_CLASSES = 10

_SHOWN = 10  # images of a group


def picture(facts: Facts) -> Picture:
    """What the template shows: always `kind`, and `why_not`, which is None unless the picture cannot be drawn."""
    asked = facts["picture"]
    arms = [arm for arm in facts["arms"] if not asked["arms"] or arm["name"] in asked["arms"]]
    colors = {arm["name"]: f"s{place}" if place < _COLORS else "" for place, arm in enumerate(arms)}
    kind = asked["kind"]
    if kind in {"numbers", "images"}:
        return {"kind": kind, **_of_run(kind, arms)}
    drawn = {"accuracy": _accuracy, "cost": _cost, "curves": _curves, "scores": _scores}[kind](arms, colors)
    return {"kind": kind, "why_not": None if drawn else "there is nothing to draw: no arm was trained", **drawn}


def _of_run(kind: str, arms: Sequence[Facts]) -> Picture:
    """The picture of the first arm that was trained, read from its run."""
    run = next((arm["run"] for arm in arms if arm["run"] is not None), None)
    if run is None:
        return {"why_not": "no arm was trained"}
    try:
        subject = Subject.read(run)
    except FittingRoomError as error:
        return {"why_not": str(error).rstrip(".")}
    return {"why_not": None, **(_numbers(subject) if kind == "numbers" else _images(subject))}


def _accuracy(arms: Sequence[Facts], colors: Mapping[str, str]) -> Picture:
    """Each seed of each arm as a dot, with the mean and its interval, in percent."""
    known = [arm["measures"]["accuracy"] for arm in arms if "accuracy" in arm["measures"]]
    if not known:
        return {}
    axis = Axis.of_accuracies(known)
    rows = []
    for arm in arms:
        spread = arm["measures"].get("accuracy")
        drawing = None
        if spread is not None:
            ends = None if spread["interval"] is None else [100 * end for end in spread["interval"]]
            drawing = Strip.of(axis, 100 * spread["mean"], ends, [100 * value for value in spread["values"]])
        rows.append({"arm": arm, "spread": spread, "drawing": drawing, "color": colors[arm["name"]]})
    return {"rows": rows, "scale": Scale.of(axis, "%")}


def _scores(arms: Sequence[Facts], colors: Mapping[str, str]) -> Picture:
    """Of each arm what it reports and what its model reaches on fresh images, both in percent over one axis."""
    del colors  # here colours tell the report from the fresh images
    known = [arm["measures"][name] for arm in arms for name in ("score", "fresh") if name in arm["measures"]]
    if not known:
        return {}
    axis = Axis.of_accuracies(known)
    rows = []
    for arm in arms:
        for name, words, color in (("score", "reported", "s1"), ("fresh", "fresh pictures", "s0")):
            spread = arm["measures"].get(name)
            drawing = None
            if spread is not None:
                limited = spread["interval"] and [min(1.0, max(0.0, end)) for end in spread["interval"]]
                spread = {**spread, "interval": limited}
                ends = limited and [100 * end for end in limited]
                drawing = Strip.of(axis, 100 * spread["mean"], ends, [100 * value for value in spread["values"]])
            rows.append({"arm": arm, "words": words, "spread": spread, "drawing": drawing, "color": color})
    return {"rows": rows, "scale": Scale.of(axis, "%")}


def _cost(arms: Sequence[Facts], colors: Mapping[str, str]) -> Picture:
    """Accuracy against seconds: each seed, and the means."""
    dots = []
    for arm in arms:
        accuracy, seconds = (arm["measures"].get(name) for name in ("accuracy", "seconds"))
        if accuracy is None or seconds is None:
            continue
        pairs = zip(seconds["values"], accuracy["values"], strict=False)
        dots.append(
            Dot(
                name=arm["name"],
                color=colors[arm["name"]],
                x=seconds["mean"],
                y=100 * accuracy["mean"],
                interval=None if accuracy["interval"] is None else [100 * end for end in accuracy["interval"]],
                front=True,
                seeds=[(x, 100 * y) for x, y in pairs] if len(accuracy["values"]) > 1 else (),
            )
        )
    if not dots:
        return {}
    told = "; ".join(f"{dot.name}: {dot.y:.1f}% in {dot.x:.3g} s" for dot in dots)
    return {
        "figure": Figure(
            scatter.cost(dots, "seconds of training"),
            f"Accuracy on validation images against seconds of training: {told}.",
            legend=tuple((dot.color, dot.name) for dot in dots),
        )
    }


def live_figures(arms: Sequence[Facts]) -> dict[str, Figure]:
    """Validation loss and accuracy by epoch, each with a line for an arm; empty where no arm has an epoch yet.

    Args:
        arms: of each its `name` and its `history`.
    """
    found = {}
    for heading, key, unit in (("Validation loss", "val_loss", ""), ("Validation accuracy", "val_accuracy", "%")):
        drawn = [
            Line.of(arm["name"], f"s{place}" if place < _COLORS else "", points)
            for place, arm in enumerate(arms)
            if (points := _points(arm["history"].get(key, ()), 100 if unit else 1))
        ]
        lines = [line for line in drawn if line is not None]
        if lines:
            told = "; ".join(f"{line.name}: {line.mean[-1][1]:.3g}{unit or ' nats'}" for line in lines)
            y_title = "accuracy (share right)" if unit else "loss (nats)"
            plot = Plot.of_lines(lines, unit, y_title=y_title, named=False)
            legend = tuple((line.color, line.name) for line in lines)
            found[heading] = Figure(plot, f"Line chart of {heading.lower()} by epoch: {told}.", legend=legend)
    return found


def _curves(arms: Sequence[Facts], colors: Mapping[str, str]) -> Picture:
    """Loss and accuracy of training and validation by epoch, a plot for each arm over the same axes."""
    del colors  # here colours tell training from validation
    lines = {
        quantity: {arm["name"]: _lines(arm["history"], quantity, 100 if quantity == "accuracy" else 1) for arm in arms}
        for quantity in ("loss", "accuracy")
    }
    found = []
    for arm in arms:
        drawn = {}
        for quantity, each in lines.items():
            own = each[arm["name"]]
            if own:
                unit = "%" if quantity == "accuracy" else ""
                every = [line for others in each.values() for line in others]
                told = "; ".join(f"{line.name} ends at {line.mean[-1][1]:.3g}{unit or ' nats'}" for line in own)
                alt = f"Line chart of {quantity} by epoch, {arm['name']}: {told}."
                plot = Plot.of_lines(own, unit, every, y_title="accuracy (share right)" if unit else "loss (nats)")
                drawn[quantity] = Figure(plot, alt)
        if drawn:
            found.append({"arm": arm, "plots": drawn})
    return {"arms": found} if found else {}


def _lines(history: Facts, quantity: str, factor: int) -> list[Line]:
    found = []
    for part, key in (("training", quantity), ("validation", f"val_{quantity}")):
        line = Line.of(part, f"c-{part}", _points(history.get(key, ()), factor), dashed=part == "training")
        if line is not None:
            found.append(line)
    return found


def _points(seeds: Sequence[Sequence[float | None]], factor: float) -> list[list[tuple[float, float]]]:
    """Of each seed epoch and value, those that are known."""
    return [[(epoch, factor * one) for epoch, one in enumerate(values, 1) if one is not None] for values in seeds]


def _numbers(subject: Subject) -> dict[str, Any]:
    """A few validation images with the probabilities of their classes: the first right ones and the first wrong ones.

    Args:
        subject: the run; the seed with the median loss is shown.
    """
    training = subject.trainings[subject.example]
    trajectories = training.shown
    if trajectories.log_probabilities is None or not trajectories.has_all_classes:
        return {"why_not": "the run did not store the probabilities of all classes"}
    right = trajectories.right[0]
    chosen = [*np.flatnonzero(right)[:_EACH].tolist(), *np.flatnonzero(~right)[:_EACH].tolist()]
    part, why_not = _part(training)
    shares = np.exp(trajectories.log_probabilities[0, chosen].astype(np.float64))
    return {
        "seed": training.record.seed,
        "no_pictures": why_not,
        "images": [_with_numbers(trajectories, image, each, part) for image, each in zip(chosen, shares, strict=True)],
    }


def _with_numbers(
    trajectories: Trajectories, image: int, shares: npt.NDArray[np.float64], part: Part | None
) -> dict[str, Any]:
    label, predicted = int(trajectories.labels[image]), int(trajectories.predicted[0, image])
    order = sorted(np.argsort(-shares, kind="stable")[:_MOST_CLASSES].tolist())
    if label not in order:
        order[-1] = label
    return {
        "url": _picture(part, image),
        "label": trajectories.classes[label],
        "predicted": trajectories.classes[predicted],
        "right": label == predicted,
        "rows": [
            {
                "name": trajectories.classes[place],
                "share": float(shares[place]),
                "kind": "true" if place == label else "taken" if place == predicted else "",
            }
            for place in order
        ],
    }


def _images(subject: Subject) -> dict[str, Any]:
    """What the loss and the accuracy did from the epoch of the lowest loss to the last, by group of images.

    Args:
        subject: the run; the seed with the median loss is shown.
    """
    training = subject.trainings[subject.example]
    trajectories = training.trajectories
    last = trajectories.last_epoch
    start = trajectories.best_loss_epoch if trajectories.best_loss_epoch != last else trajectories.epochs[0]
    found = Change.between(trajectories, start, last)
    masks = _masks(trajectories, found)
    part, why_not = _part(training)
    return {
        "seed": training.record.seed,
        "seeds": len(subject.trainings),
        "start": start,
        "end": last,
        "sentence": _sentence(found),
        "groups": [
            {"name": group.name, "count": group.whole.count, "nats": group.whole.nats} for group in found.groups
        ],
        "most": max(abs(group.whole.nats) for group in found.groups) or 1,
        "plot": _courses(trajectories, masks),
        "alt": f"Line chart: the part of the mean validation loss that each group of images accounts for, by epoch. "
        f"From epoch {start} to {last}: "
        + "; ".join(f"images that {group.name}, {nats(group.whole.nats, signed=True)} nats" for group in found.groups)
        + ".",
        "no_pictures": why_not,
        "strips": list(_strips(trajectories, found, masks, part)),
    }


def _sentence(found: Change) -> str:
    before, after = found.loss
    most = max(found.groups, key=lambda group: abs(group.whole.nats))
    return (
        f"From epoch {found.start} to epoch {found.end} the validation loss went from {nats(before)} to {nats(after)} "
        f"nats ({nats(found.loss_change, signed=True)}), and the accuracy changed by "
        f"{points(found.accuracy_points, signed=True)} points. The "
        f"{most.whole.count:,} images that {most.name} account for most: {nats(most.whole.nats, signed=True)} nats."
    )


def _masks(trajectories: Trajectories, found: Change) -> dict[str, npt.NDArray[np.bool_]]:
    """Which images are in each group."""
    before, after = (trajectories.right[trajectories.row(epoch)] for epoch in (found.start, found.end))
    every = (before & after, ~before & ~after, ~before & after, before & ~after)
    return dict(zip(GROUPS, every, strict=True))


def _courses(trajectories: Trajectories, masks: dict[str, npt.NDArray[np.bool_]]) -> Plot:
    """For each group its part of the mean loss after each epoch; the parts add up to the mean loss."""
    lines = []
    for name, mask in masks.items():
        if mask.any():
            parts = (trajectories.loss[:, mask].sum(axis=1, dtype=np.float64) / trajectories.images).tolist()
            line = Line.of(name, name.replace(" ", "-"), [list(zip(trajectories.epochs, parts, strict=True))])
            if line is not None:
                lines.append(line)
    return Plot.of_lines(lines, y_title="loss (nats)")


def _strips(
    trajectories: Trajectories, found: Change, masks: dict[str, npt.NDArray[np.bool_]], part: Part | None
) -> Iterator[dict[str, Any]]:
    """Images that became wrong, and that stayed wrong: those whose loss rose most."""
    start, end = trajectories.row(found.start), trajectories.row(found.end)
    rise = trajectories.loss[end].astype(np.float64) - trajectories.loss[start]
    for name in ("became wrong", "stayed wrong"):
        members = np.flatnonzero(masks[name])
        members = members[np.argsort(-rise[members], kind="stable")][:_SHOWN]
        shown = [
            {
                "url": _picture(part, image),
                "label": trajectories.classes[int(trajectories.labels[image])],
                "predicted": trajectories.classes[int(trajectories.predicted[end, image])],
                "before": float(trajectories.loss[start, image]),
                "after": float(trajectories.loss[end, image]),
            }
            for image in members.tolist()
        ]
        if shown:
            yield {"name": name, "images": shown}


def _part(training: SeedTraining) -> tuple[Part | None, str | None]:
    """The images that the training was validated on, or why they are missing. The test set stays sealed."""
    images, part, why_not = validation_images(training)
    if images is not None and not images.whole:
        return None, "the run stores only some of its validation images, since all together have more than 64 MB"
    return part, why_not


def _picture(part: Part | None, image: int) -> str | None:
    return None if part is None else picture_row(np.asarray(part.images)[image : image + 1], part.scale)
