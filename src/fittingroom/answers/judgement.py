"""`Judgement`: what held-out images teach about a model's answers, and the answers that make use of it.

It is fitted on the validation images: the temperature that makes probabilities honest, the scores that prediction sets
are made from, and what is unlike the training images. What was cut out of a photo has probabilities and sets of a
label-shift calibration, fitted on synthetic photos made from the validation images.

Temperature and scores come from the same images. That bends the guarantee of the sets in theory. Measured
(`docs/measurements.md`), their coverage is 0.900 all the same, and steadier than with half of the images for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fittingroom.answers.out_of_distribution import FALSE_ALARMS, ConfidenceDetector, Features, NeighbourDetector
from fittingroom.answers.recalibration import ALPHA, Conformal, LabelShiftCalibration, Logs, at_temperature
from fittingroom.answers.two_opinions import TwoOpinions
from fittingroom.card_html import card
from fittingroom.data.class_table import Opinion
from fittingroom.evaluation.calibration import LOWEST, Temperature
from fittingroom.text import word_list

Array = npt.NDArray[Any]
_Likely = tuple[str, float]  # a class and its probability
_TrainedOn = tuple[str, Sequence[str]]  # the name of the dataset, and its class names

_MOST_NAMES = 10  # classes that a sentence lists


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model says of one image, and how far that can be trusted.

    Args:
        label: name of the most likely class.
        probability: of that class, 0 to 1, calibrated.
        probabilities: of all classes, calibrated, float32 `(classes,)`.
        set: names of the classes that are likely enough, most likely first: the right one is among them for 90% of the
            images like the held-out ones (or, for a photo, of the synthetic photos made from them). May be empty.
        unlike: whether the image is unlike the training images; then neither class nor set means much.
        why: all of it in a sentence or two.
        closest: of one that is unlike them, the class that it resembles most; else None.
        opinions: of a photo that had a second opinion, what the run and the other network say each; else None.
        rarity: how rare it is, 0 to 1, as `out_of_distribution` computes it; None where it is compared with no images.
    """

    label: str
    probability: float
    probabilities: npt.NDArray[np.float32]
    set: tuple[str, ...]
    unlike: bool
    why: str
    closest: str | None = None
    opinions: TwoOpinions | None = None
    rarity: float | None = None

    def _repr_html_(self) -> str:
        return card(self.why)

    def to_dict(self) -> dict[str, Any]:
        """The answer as plain JSON."""
        return {
            "class": self.label,
            "probability": self.probability,
            "probabilities": self.probabilities.tolist(),
            "set": list(self.set),
            "unlike": self.unlike,
            "why": self.why,
            "second_opinion": None if self.opinions is None else self.opinions.to_dict(),
        }


@dataclass(frozen=True, eq=False)
class AnswerNumbers:
    """What a model says of many images, in numbers.

    Args:
        log_probabilities: calibrated, `(n, classes)`.
        rarity: the smaller, the less like the training images each is, `(n,)`; all 1 where nothing is known to go by.
        unlike: whether each is unlike them, and so refused, bool `(n,)`.
    """

    log_probabilities: Logs
    rarity: npt.NDArray[np.float64]
    unlike: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Judgement:
    """What was learned from held-out images.

    Args:
        temperature: what logarithms of probabilities are divided by.
        conformal: what prediction sets are made from; without scores, sets hold all classes.
        unlike: what tells images that are unlike the training images; None where nothing is known to go by.
        label_shift: for the probabilities of what was cut out of photos; None where none is known.
    """

    temperature: float
    conformal: Conformal
    unlike: NeighbourDetector | ConfidenceDetector | None
    label_shift: LabelShiftCalibration | None = None

    @property
    def compared(self) -> Literal["shape", "features"] | None:
        """What of an image is compared with held-out images besides the model's confidence; None for nothing."""
        if not isinstance(self.unlike, NeighbourDetector):
            return None
        return "shape" if self.unlike.features.dtype == np.uint8 else "features"

    @classmethod
    def nothing(cls) -> Judgement:
        """Of a model without held-out images: its probabilities as they are, and sets of all classes."""
        return cls(1.0, Conformal(np.zeros(0, np.float32)), None)

    @classmethod
    def of(cls, log_probabilities: Logs, labels: Array, features: Features | None = None) -> Judgement:
        """From what a model makes of held-out images, and from the features of these where they are there.

        Args:
            log_probabilities: `(n, classes)`, finite.
            labels: true class, `(n,)`.
            features: as `out_of_distribution` has them, `(n, length)`; None where the images are gone.
        """
        if not len(labels):
            return cls.nothing()
        fitted = Temperature.fit(log_probabilities, labels)
        # At the lowest temperature no held-out image speaks against being sure without end, which proves nothing.
        temperature = 1.0 if fitted.at_bound and fitted.value == LOWEST else fitted.value
        scaled = at_temperature(log_probabilities, temperature)
        conformal = Conformal.of(scaled, labels)
        if features is None:
            return cls(temperature, conformal, ConfidenceDetector.of(scaled))
        return cls(temperature, conformal, NeighbourDetector.of(features, labels, scaled))

    def numbers(
        self, log_probabilities: Logs, features: Features, itself: npt.NDArray[np.intp] | None = None
    ) -> AnswerNumbers:
        """What `answers` says of images that come from no photo, without a sentence for each.

        Args:
            log_probabilities: what the model makes of them, `(n, classes)`.
            features: of the images, as in `of`.
            itself: which of the held-out images each is or was made from, `(n,)`, so that none is compared with itself;
                -1 for none of them.
        """
        scaled = at_temperature(log_probabilities, self.temperature)
        if self.unlike is None:
            return AnswerNumbers(scaled, np.ones(len(scaled)), np.zeros(len(scaled), np.bool_))
        rarity = self.unlike.rarity(features, scaled, itself)
        return AnswerNumbers(scaled, rarity, rarity < self.unlike.threshold)

    def answers(
        self,
        log_probabilities: Logs,
        features: Features,
        trained_on: _TrainedOn,
        alpha: float = ALPHA,
        cut_out: npt.NDArray[np.bool_] | None = None,
        opinions: Sequence[Opinion | None] = (),
    ) -> list[Answer]:
        """An answer for each image.

        Args:
            log_probabilities: what the model makes of them, `(n, classes)`.
            features: of the images, as in `of`.
            trained_on: name of the dataset, and its class names.
            alpha: the share of sets that may miss the right class.
            cut_out: which images were cut out of photos, `(n,)`; none unless given.
            opinions: what another network says of each, `(n,)`; empty for none.

        Raises:
            InputError: alpha is not between 0 and 1.
        """
        _, classes = trained_on
        scaled = at_temperature(log_probabilities, self.temperature)
        told, inside = scaled.copy(), self.conformal.sets(scaled, alpha)
        recalibrated = np.zeros(len(scaled), np.bool_)
        if self.label_shift is not None and cut_out is not None and cut_out.any():
            # Not from `scaled`: the calibration has a sharpness of its own in place of the temperature.
            recalibrated = cut_out
            told[cut_out] = self.label_shift.recalibrated(log_probabilities[cut_out])
            inside[cut_out] = self.label_shift.conformal.sets(told[cut_out], alpha)
        rarity: list[float | None] = [None] * len(told)
        if self.unlike is None:
            unlike, closest = np.zeros(len(told), np.bool_), told.argmax(axis=1)
        elif isinstance(self.unlike, NeighbourDetector):
            shares = self.unlike.rarity(features, told)
            unlike, closest = self.unlike.detect(features, told, shares)
            rarity = shares.tolist()
        else:
            unlike, closest = self.unlike.detect(features, told)
        single = [
            self._answer(row, chosen, classes[nearest] if refused else None, 1 - alpha, trained_on, photo, rare)
            for row, chosen, refused, nearest, photo, rare in zip(
                np.exp(told).astype(np.float32), inside, unlike, closest, recalibrated.tolist(), rarity, strict=True
            )
        ]
        return [
            answer if second is None else self._answer_of_two(answer, second, trained_on, alpha)
            for answer, second in zip(single, opinions or [None] * len(single), strict=True)
        ]

    def _answer_of_two(self, own: Answer, second: Opinion, trained_on: _TrainedOn, alpha: float) -> Answer:
        """The answer to a photo by the run, and by another network."""
        both, (dataset, classes) = TwoOpinions.of(own.probabilities, second, unlike=own.unlike), trained_on
        likely = [(classes[index], float(both.probabilities[index])) for index in both.order]
        chosen = [pair for pair, inside in zip(likely, both.inside(alpha), strict=True) if inside]
        if both.something_else:
            start = f"It may be in none of the classes of {dataset}; the closest is {likely[0][0]}."
        elif both.refused:
            start = f"The run and {second.by} together find no class likely: the closest is {_named(likely[:1])}."
        elif len(chosen) == 1:
            start = f"{chosen[0][0]}, at {_percent(chosen[0][1])}."
        else:
            start = f"{word_list(list(map(_with_percent, chosen)), 'or', most=_MOST_NAMES)}."
        alone = (own.label, own.probability)
        says = f"The run says {_named([alone])}"
        if own.unlike:
            says += ", but finds it unlike its training images"
        if not len(self.conformal.scores):
            says += ", not calibrated, as no images were held out to check it on"
        return Answer(
            *likely[0],
            both.probabilities,
            tuple(name for name, _ in chosen),
            unlike=both.refused,
            why=f"{start} {says}; {second.by} sees {_named(second.seen)}.",
            closest=likely[0][0] if both.refused else None,
            opinions=both,
        )

    def _answer(
        self,
        row: Array,
        inside: Array,
        closest: str | None,
        coverage: float,
        trained_on: _TrainedOn,
        cut_out: bool,
        rarity: float | None,
    ) -> Answer:
        """The answer for one image: its probabilities, which classes are in its set, and what it is closest to."""
        _, classes = trained_on
        order = [int(index) for index in np.argsort(-row, kind="stable")]
        guess = (classes[order[0]], float(row[order[0]]))
        chosen = [(classes[index], float(row[index])) for index in order if inside[index]]
        if closest is not None:
            why = _why_unlike(guess, closest, trained_on, self.compared)
        elif not len(self.conformal.scores):
            why = f"{guess[0]}, at {_percent(guess[1])}, not calibrated: no images were held out to check the model on."
        else:
            why = _why_set(guess, chosen, coverage, cut_out=cut_out)
        return Answer(
            *guess,
            row,
            tuple(name for name, _ in chosen),
            unlike=closest is not None,
            why=why,
            closest=closest,
            rarity=rarity,
        )


def _with_percent(likely: _Likely) -> str:
    return f"{likely[0]} ({_percent(likely[1])})"


def _named(several: Sequence[_Likely]) -> str:
    """Names, each with its probability."""
    return word_list([_with_percent(one) for one in several])


def _why_set(guess: _Likely, chosen: Sequence[_Likely], coverage: float, *, cut_out: bool) -> str:
    """The answer in a sentence or two, where the image is like the training images; `chosen` is the prediction set."""
    name, probability = guess
    where = "synthetic photos made from held-out images" if cut_out else "images like the training images"
    right = f"a set that contains the right class {_percent(coverage)} of the time, on {where}"
    if not chosen:
        return f"{name} is the likeliest, but at {_percent(probability)} not likely enough to be in {right}."
    if len(chosen) == 1:
        return f"{name}, at {_percent(probability)}: the only class likely enough to be in {right}."
    listed = word_list(list(map(_with_percent, chosen)), "or", most=_MOST_NAMES)
    return f"{listed}: together {right}."


def _why_unlike(
    guess: _Likely, closest: str, trained_on: _TrainedOn, compared: Literal["shape", "features"] | None
) -> str:
    """The answer in a sentence or two, where the image is unlike the training images."""
    dataset, classes = trained_on
    name, sure, usual = guess[0], _percent(guess[1]), f"for {1 - FALSE_ALARMS:.0%} of held-out images"
    known = word_list(classes, most=_MOST_NAMES)
    start = f"Unlike the training images of {dataset} ({known}). The closest class is {closest}"
    if compared is None:
        confidence = f"the model is less confident than {usual}"
        return f"{start}, at {sure}: {confidence}. The run keeps no images, so nothing else could be compared."
    guessed = f", the model's guess at {sure}" if closest == name else f"; the model's guess is {name} at {sure}"
    unusual = "Its shape" if compared == "shape" else "What the backbone sees in it"
    return f"{start}{guessed}. {unusual}, or the model's low confidence, is more unusual than {usual}."


def _percent(share: float) -> str:
    """Whole percent; neither certainty nor impossibility is ever claimed."""
    if share >= 0.995:
        return "over 99%"
    return "under 1%" if share < 0.005 else f"{100 * share:.0f}%"
