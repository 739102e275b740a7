"""An answer in words: a class, one of these, or unlike anything the model was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fittingroom.answers.out_of_distribution import FALSE_ALARMS

_MOST_NAMES = 10

Likely = tuple[str, float]
"""A class and its probability."""


@dataclass(frozen=True)
class Verdict:
    """What there is to say of one image.

    Args:
        guess: the most likely class.
        chosen: the classes of the prediction set, most likely first.
        closest: the class that an image unlike the training data is closest to; None for other images.
        coverage: the share of sets that hold the right class, 0 to 1.
        checked: whether any image was held out to check the model's probabilities.
        by_outline: whether images were compared by their outlines, and not by the model's probabilities alone.
        cut_out: whether the image was cut out of a photo, and its probabilities are corrected for that.
    """

    guess: Likely
    chosen: Sequence[Likely]
    closest: str | None
    coverage: float
    checked: bool
    by_outline: bool
    cut_out: bool = False


def why(verdict: Verdict, dataset: str, classes: Sequence[str]) -> str:
    """The verdict in a sentence or two.

    Args:
        verdict: what to say.
        dataset: name of what the model was trained on.
        classes: names of its classes.
    """
    if verdict.closest is not None:
        return _unlike(verdict, verdict.closest, dataset, classes)
    name, probability = verdict.guess
    if not verdict.checked:
        return f"{name}, at {_percent(probability)} by the model's own word: no image was held out to check it against."
    where = "photos made of images held out from training" if verdict.cut_out else "images like the training data"
    right = f"a set that holds the right class {_percent(verdict.coverage)} of the time, on {where}"
    if not verdict.chosen:
        return f"{name} is the likeliest, but at {_percent(probability)} not likely enough to be in {right}."
    if len(verdict.chosen) == 1:
        return f"{name}, at {_percent(probability)}: the only class likely enough to be in {right}."
    listed = _listed([f"{name} ({_percent(probability)})" for name, probability in verdict.chosen])
    return f"One of these: {listed}. They are {right}."


def _unlike(verdict: Verdict, closest: str, dataset: str, classes: Sequence[str]) -> str:
    usual, (guess, probability) = f"{1 - FALSE_ALARMS:.0%} of the images held out from training", verdict.guess
    start = f"Unlike anything I was trained on: {dataset} ({_listed(classes)}). It is closest to {closest}"
    sure = _percent(probability)
    if not verdict.by_outline:
        return (
            f"{start}, at {sure}: the model is less sure of it than of {usual}. The run keeps no images, so "
            "nothing else could be compared."
        )
    guessed = f", the model's guess at {sure}" if closest == guess else f"; the model's guess is {guess} at {sure}"
    return f"{start}{guessed}. By its outline for that class, or by the model's doubt, it is rarer than {usual}."


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _percent(share: float) -> str:
    """Whole percent; neither certainty nor impossibility is ever claimed."""
    if share >= 0.995:
        return "over 99%"
    return "under 1%" if share < 0.005 else f"{100 * share:.0f}%"
