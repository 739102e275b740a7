"""`--to tflite`: one file for LiteRT (TensorFlow Lite), on phones and small boards; in float32, or in integers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fittingroom.errors import InputError, ModelError
from fittingroom.evaluation.differences import Difference
from fittingroom.exports.export_subject import Answer, ExportSubject, Files
from fittingroom.exports.tflite_int8 import in_integers, quantized
from fittingroom.exports.tflite_metadata import NAME, described, facts_in, packed
from fittingroom.exports.tflite_operators import to_tflite
from fittingroom.exports.tflite_program import LiteProgram
from fittingroom.exports.tflite_runtime import answer_of, observed
from fittingroom.text import interval_of_change, nats, percent, points

Array = np.ndarray[Any, Any]

RUNTIME = "LiteRT"

_OUTPUT = "probabilities"
_CALIBRATED_ON = 500
"""Images at most that show the ranges of values."""


def make(subject: ExportSubject, *, int8: bool = False) -> Files:
    """The TFLite file of a run, from `images` to `probabilities`.

    Args:
        subject: the run.
        int8: whether weights and values are stored in 8 bits; what that loses is measured on validation images that
            did not set the ranges, and stands under `int8` in the file's facts.

    Raises:
        ModelError: a layer cannot be held, which is named.
        InputError: for `int8`, LiteRT is not installed, or nothing of the
            network can be computed in integers.
    """
    if subject.graph is None:
        raise ModelError(subject.why_no_graph)
    program = to_tflite(subject.graph, [_OUTPUT])
    if not int8:
        return {".tflite": _file(program, subject.facts)}
    if not in_integers(program):
        raise InputError("int8=True needs a layer with weights, and this network has none. Leave it out.")
    shown, measured = _halves(len(subject.images))
    small = quantized(program, observed(program.file(), subject.images[shown]))
    loss = _loss(answer_of(small.file()), subject, measured)
    return {".tflite": _file(small, {**subject.facts, "int8": {"calibrated_on": len(shown), **loss}})}


def answers_of(subject: ExportSubject, files: Files) -> Answer:  # noqa: ARG001 - as all formats
    """What runs a file in LiteRT, on one core.

    Raises:
        InputError: LiteRT is not installed, or cannot run the file.
    """
    return answer_of(files[".tflite"], _OUTPUT)


def loss_of(subject: ExportSubject, files: Files) -> Mapping[str, Any] | None:  # noqa: ARG001 - as all formats
    """What a file in integers loses, as `make` measured it; None for one in float32, which answers as the run does."""
    loss: Mapping[str, Any] | None = facts_in(files[".tflite"]).get("int8")
    return loss


def _file(program: LiteProgram, facts: Mapping[str, Any]) -> bytes:
    description = f"{facts.get('made_by', 'fittingroom')}: {len(facts['class_names'])} classes of images"
    return packed(program.file(description, {NAME: described(facts, description)}), facts)


def _halves(count: int) -> tuple[Array, Array]:
    """Images that show ranges, spread over all, and the others, which measure; one image does both."""
    places = np.arange(count)
    shown = places[:: max(2, -(-count // _CALIBRATED_ON))]
    others = np.setdiff1d(places, shown)
    return shown, others if len(others) else places


def _loss(answer: Answer, subject: ExportSubject, places: Array) -> dict[str, Any]:
    """What the integers lose: in JSON, and in a sentence."""
    found, answers = answer(subject.images[places]), subject.answers[places]
    same = float((found.argmax(axis=1) == answers.argmax(axis=1)).mean())
    loss: dict[str, Any] = {
        "images": len(places),
        "same_class": same,
        "largest_difference": float(np.abs(found - answers).max()),
    }
    if subject.labels is None:
        sentence = (
            f"In integers, {percent(same)} of {len(places):,} synthetic images get the run's class. The run has no "
            "validation images, so what this loses in accuracy is not known."
        )
        return {**loss, "sentence": sentence}
    labels = subject.labels[places]
    right, run_right = found.argmax(axis=1) == labels, answers.argmax(axis=1) == labels
    change = Difference.between(right[None], run_right[None], ([0], [0]))
    surprise, run_surprise = (_mean_surprise(each, labels) for each in (found, answers))
    low, high = change.interval
    sentence = (
        f"In integers, {percent(float(right.mean()))} of {len(places):,} validation images are right, and "
        f"{percent(float(run_right.mean()))} by the run: a change of {points(100 * change.value, signed=True)} points "
        f"({interval_of_change((100 * low, 100 * high), points)}). {percent(same)} get the same class, and the loss is "
        f"{nats(surprise)} nats in place of {nats(run_surprise)}."
    )
    return {
        **loss,
        "accuracy": float(right.mean()),
        "accuracy_of_the_run": float(run_right.mean()),
        "change": change.value,
        "interval": [low, high],
        "loss": surprise,
        "loss_of_the_run": run_surprise,
        "sentence": sentence,
    }


def _mean_surprise(probabilities: Array, labels: Array) -> float:
    true = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(true, 1e-12)).mean())
