"""Pictures of a lab that are made from images: ten probabilities each, or what became of each group's loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.data.dataset import Part
from fittingroom.evaluation.change import GROUPS, Change, change
from fittingroom.evaluation.trajectories import Trajectories
from fittingroom.reports.drawing import plots
from fittingroom.reports.html import images_for, validation_of
from fittingroom.reports.pictures import strip
from fittingroom.reports.sentences import nats, signed_nats, signed_points
from fittingroom.reports.subject import Replica, Subject

Indices = npt.NDArray[np.intp]

_EACH = 4  # images that it gets right, and as many that it gets wrong
_MOST_CLASSES = 10
_SHOWN = 10  # images of a group


def numbers(subject: Subject) -> dict[str, Any]:
    """A few validation images with the probabilities of their classes: the first right ones and the first wrong ones.

    Args:
        subject: the run; its replica with the median loss is shown.
    """
    replica = subject.replicas[subject.example]
    trajectories = replica.shown
    if trajectories.log_probabilities is None or not trajectories.has_all_classes:
        return {"why_not": "the run did not keep the probabilities of all classes"}
    right = trajectories.right[0]
    chosen = [*np.flatnonzero(right)[:_EACH].tolist(), *np.flatnonzero(~right)[:_EACH].tolist()]
    part, why_not = _part(replica)
    shares = np.exp(trajectories.log_probabilities[0, chosen].astype(np.float64))
    return {
        "seed": replica.record.seed,
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


def images(subject: Subject) -> dict[str, Any]:
    """What the loss and the accuracy did from the epoch of the lowest loss to the last, by group of images.

    Args:
        subject: the run; its replica with the median loss is shown.
    """
    replica = subject.replicas[subject.example]
    trajectories = replica.trajectories
    last = trajectories.last_epoch
    start = trajectories.best_loss_epoch if trajectories.best_loss_epoch != last else trajectories.epochs[0]
    found = change(trajectories, start, last)
    masks = _masks(trajectories, found)
    part, why_not = _part(replica)
    return {
        "seed": replica.record.seed,
        "replicas": len(subject.replicas),
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
        + "; ".join(f"images that {group.name}, {signed_nats(group.whole.nats)} nats" for group in found.groups)
        + ".",
        "no_pictures": why_not,
        "strips": list(_strips(trajectories, found, masks, part)),
    }


def _sentence(found: Change) -> str:
    (before, after), points = found.loss, found.accuracy_points
    most = max(found.groups, key=lambda group: abs(group.whole.nats))
    return (
        f"From epoch {found.start} to epoch {found.end} the validation loss went from {nats(before)} to {nats(after)} "
        f"nats ({signed_nats(found.loss_change)}), and the accuracy changed by {signed_points(points)} points. The "
        f"{most.whole.count:,} images that {most.name} account for most: {signed_nats(most.whole.nats)} nats."
    )


def _masks(trajectories: Trajectories, found: Change) -> dict[str, npt.NDArray[np.bool_]]:
    """Which images are in each group."""
    before, after = (trajectories.right[trajectories.row(epoch)] for epoch in (found.start, found.end))
    every = (before & after, ~before & ~after, ~before & after, before & ~after)
    return dict(zip(GROUPS, every, strict=True))


def _courses(trajectories: Trajectories, masks: dict[str, npt.NDArray[np.bool_]]) -> plots.Plot:
    """For each group its part of the mean loss after each epoch; the parts add up to the mean loss."""
    lines = []
    for name, mask in masks.items():
        if mask.any():
            parts = (trajectories.loss[:, mask].sum(axis=1, dtype=np.float64) / trajectories.images).tolist()
            line = plots.line_of(name, name.replace(" ", "-"), [list(zip(trajectories.epochs, parts, strict=True))])
            if line is not None:
                lines.append(line)
    return plots.curves(lines, y_title="loss (nats)")


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


def _part(replica: Replica) -> tuple[Part | None, str | None]:
    """The images that the replica was validated on, or why they cannot be had. The test set stays sealed."""
    images, why_not = images_for(replica)
    if images is not None and not images.whole:
        return None, "it keeps only some of its validation images, since they have more than 64 MB"
    part = None if images is None else validation_of(images, replica)
    if images is not None and part is None:
        why_not = "its validation images are not those of its dataset"
    return part, why_not


def _picture(part: Part | None, image: int) -> str | None:
    return None if part is None else strip(np.asarray(part.images)[image : image + 1], part.scale)
