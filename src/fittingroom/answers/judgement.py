"""What held-out images teach about a model's answers, and answers that make use of it.

A judgement is fitted on the validation images: the temperature that makes probabilities honest, the scores that
prediction sets are made from, and what is unlike the training data. Images that were cut out of photos have
probabilities and sets that are corrected by what photos made of the validation images teach.

Temperature and scores come from the same images. That bends the guarantee of the sets in theory. Measured
(`docs/measurements.md`), their coverage is 0.900 all the same, and steadier than with half of the images for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fittingroom.answers.answer_text import Verdict, why
from fittingroom.answers.conformal import ALPHA, Conformal
from fittingroom.answers.label_shift import Correction
from fittingroom.answers.out_of_distribution import UnlikeByOutlineAndDoubt, UnlikeByProbability
from fittingroom.evaluation.calibration import LOWEST, Temperature

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Answer:
    """What a model says of one image, and how far that can be trusted.

    Args:
        label: name of the most likely class.
        probability: of that class, 0 to 1, calibrated.
        probabilities: of all classes, calibrated, float32 `(classes,)`.
        set: names of the classes that are likely enough, most likely first: the right one is among them for 90% of the
            images like those that were held out from training (or, of a photo, of the photos made of them). It may be
            empty.
        unlike: whether the image is unlike the training data; then neither class nor set means much.
        why: all of it in a sentence or two.
    """

    label: str
    probability: float
    probabilities: npt.NDArray[np.float32]
    set: tuple[str, ...]
    unlike: bool
    why: str

    def to_dict(self) -> dict[str, Any]:
        """The answer as plain JSON."""
        return {
            "class": self.label,
            "probability": self.probability,
            "probabilities": self.probabilities.tolist(),
            "set": list(self.set),
            "unlike": self.unlike,
            "why": self.why,
        }


@dataclass(frozen=True, eq=False)
class Judgement:
    """What was learned from held-out images.

    Args:
        temperature: what logarithms of probabilities are divided by.
        conformal: what prediction sets are made from; without scores, sets hold all classes.
        unlike: the rule for what is unlike the training data; None where nothing is known to go by.
        correction: of the probabilities of images that were cut out of photos; None where none is known.
    """

    temperature: float
    conformal: Conformal
    unlike: UnlikeByOutlineAndDoubt | UnlikeByProbability | None
    correction: Correction | None = None

    @classmethod
    def nothing(cls) -> Judgement:
        """Of a model without held-out images: its probabilities as they are, and sets of all classes."""
        return cls(1.0, Conformal(np.zeros(0, np.float32)), None)

    @classmethod
    def of(
        cls,
        log_probabilities: npt.NDArray[np.floating[Any]],
        labels: npt.NDArray[np.integer[Any]],
        images: Array | None = None,
        scale: float = 1.0,
    ) -> Judgement:
        """From what a model makes of held-out images, and from the images themselves where they are there.

        Args:
            log_probabilities: `(n, classes)`, finite.
            labels: true class, `(n,)`.
            images: `(n, height, width)` or `(n, height, width, channels)`; None where they are gone.
            scale: what images are divided by to lie in 0 to 1.
        """
        if not len(labels):
            return cls.nothing()
        fitted = Temperature.fit(log_probabilities, labels)
        # At the lowest temperature no held-out image speaks against being sure without end, which proves nothing.
        temperature = 1.0 if fitted.at_bound and fitted.value == LOWEST else fitted.value
        scaled = at_temperature(log_probabilities, temperature)
        conformal = Conformal.of(scaled, labels)
        if images is None:
            return cls(temperature, conformal, UnlikeByProbability.of(scaled))
        unlike = UnlikeByOutlineAndDoubt.of(images, scale, labels, scaled)
        return cls(temperature, conformal, unlike)

    def answers(
        self,
        log_probabilities: npt.NDArray[np.floating[Any]],
        images: Array,
        scale: float,
        trained_on: tuple[str, Sequence[str]],
        alpha: float = ALPHA,
        cut_out: npt.NDArray[np.bool_] | None = None,
    ) -> list[Answer]:
        """An answer for each image.

        Args:
            log_probabilities: what the model makes of them, `(n, classes)`.
            images: the images, as in `of`.
            scale: as in `of`.
            trained_on: name of the dataset, and its class names.
            alpha: the share of sets that may miss the right class.
            cut_out: which images were cut out of photos, `(n,)`; none unless given.

        Raises:
            InputError: alpha is not between 0 and 1.
        """
        _, classes = trained_on
        scaled = at_temperature(log_probabilities, self.temperature)
        told, inside = scaled.copy(), self.conformal.sets(scaled, alpha)
        corrected = np.zeros(len(scaled), np.bool_)
        if self.correction is not None and cut_out is not None and cut_out.any():
            corrected = cut_out
            told[cut_out] = self.correction.corrected(log_probabilities[cut_out])
            inside[cut_out] = self.correction.conformal.sets(told[cut_out], alpha)
        if self.unlike is None:
            unlike, closest = np.zeros(len(told), np.bool_), told.argmax(axis=1)
        else:
            unlike, closest = self.unlike.judge(images, scale, told)
        return [
            self._answer(row, chosen, classes[nearest] if refused else None, 1 - alpha, trained_on, photo)
            for row, chosen, refused, nearest, photo in zip(
                np.exp(told).astype(np.float32), inside, unlike, closest, corrected.tolist(), strict=True
            )
        ]

    def _answer(
        self,
        row: npt.NDArray[np.float32],
        inside: npt.NDArray[np.bool_],
        closest: str | None,
        coverage: float,
        trained_on: tuple[str, Sequence[str]],
        cut_out: bool,
    ) -> Answer:
        """The answer for one image: its probabilities, which classes are in its set, and what it is closest to."""
        name, classes = trained_on
        order = [int(index) for index in np.argsort(-row, kind="stable")]
        verdict = Verdict(
            guess=(classes[order[0]], float(row[order[0]])),
            chosen=[(classes[index], float(row[index])) for index in order if inside[index]],
            closest=closest,
            coverage=coverage,
            checked=len(self.conformal.scores) > 0,
            by_outline=isinstance(self.unlike, UnlikeByOutlineAndDoubt),
            cut_out=cut_out,
        )
        return Answer(
            label=verdict.guess[0],
            probability=verdict.guess[1],
            probabilities=row,
            set=tuple(name for name, _ in verdict.chosen),
            unlike=closest is not None,
            why=why(verdict, name, classes),
        )


def at_temperature(log_probabilities: npt.NDArray[np.floating[Any]], temperature: float) -> npt.NDArray[np.float64]:
    """Logarithms of the probabilities at another temperature, float64 `(n, classes)`.

    The most likely class stays the same; above 1, its probability falls.
    """
    logs = log_probabilities.astype(np.float64)
    logs = (logs - logs.max(axis=1, keepdims=True)) / temperature
    return np.asarray(logs - np.log(np.exp(logs).sum(axis=1, keepdims=True)))
