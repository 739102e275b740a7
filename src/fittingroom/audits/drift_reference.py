"""`DriftReference`: what the validation images of a run are like, to which images that come are compared."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fittingroom.answers.stored import FittedFile
from fittingroom.audits.drift_evidence import Bins, DriftEvidence
from fittingroom.audits.drift_quantities import names_of, values_of
from fittingroom.seeds import generator

if TYPE_CHECKING:
    from fittingroom.answers.held_out import HeldOutAnswers
    from fittingroom.answers.predictor import Predictor
    from fittingroom.data.npz import NpzFile

FEWEST = 30
"""Validation images, below which there is nothing to compare with."""

_UNLIKE_WEIGHT = 4.0  # what was made to find other images has the capital of four quantities


@dataclass(frozen=True, eq=False)
class DriftReference:
    """What validation images are like.

    Args:
        values: of each validation image, in a random order, float32 `(n, quantities)`, as `values_of` has them.
        threshold: the smallest rarity of an image that is not unlike the training images.
        names: of the quantities.
        class_count: the classes of the run.
    """

    values: npt.NDArray[np.float32]
    threshold: float
    names: tuple[str, ...]
    class_count: int

    @classmethod
    def of(cls, held_out: HeldOutAnswers, scale: float, class_count: int) -> DriftReference:
        """From what a run says of its validation images."""
        order = generator(0, "drift").permutation(len(held_out.images))  # they come sorted by class
        values = values_of(held_out.images, scale, held_out.classes, held_out.confidence, held_out.rarity)
        return cls(values[order], float(held_out.threshold), names_of(held_out.images.shape[1:]), class_count)

    @classmethod
    def of_run(cls, predictor: Predictor) -> DriftReference | str:
        """That of a run, read from its folder, or made and kept there; a sentence that says why there is none.

        Raises:
            RunError: a file of the run is damaged.
        """
        data = predictor.data

        def make() -> DriftReference | None:
            held_out = predictor.held_out_answers()
            return None if held_out is None else cls.of(held_out, data.scale, len(data.classes))

        found = predictor.kept(_reference_file(data.image_shape), make)
        if found is None:
            return "The run keeps no validation images that new ones could be compared with."
        if len(found.values) < FEWEST:
            return f"The run has {len(found.values)} validation images; at least {FEWEST} are needed to compare with."
        return found

    @cached_property
    def bins(self) -> tuple[Bins, ...]:
        """How each quantity is counted."""
        return tuple(Bins.of(column) for column in self.values.T)

    @cached_property
    def digest(self) -> str:
        """Differs where counts of one reference make no sense for another."""
        return hashlib.sha256(np.ascontiguousarray(self.values).tobytes()).hexdigest()[:16]

    @property
    def means(self) -> npt.NDArray[np.float64]:
        """The mean of each quantity."""
        return np.asarray(self.values.mean(axis=0, dtype=np.float64))

    @property
    def classes(self) -> npt.NDArray[np.int64]:
        """How many are predicted to be of each class."""
        column = self.values[:, self.names.index("class")]
        return np.bincount(column.astype(np.int64), minlength=self.class_count)

    @property
    def unlike(self) -> int:
        """How many are called unlike the others."""
        return int((self.values[:, self.names.index("unlike")] < self.threshold).sum())

    def evidence(self) -> DriftEvidence:
        """A bet that has not begun."""
        weights = tuple(_UNLIKE_WEIGHT if name == "unlike" else 1.0 for name in self.names)
        return DriftEvidence(tuple(one.counts for one in self.bins), weights)


def _reference_file(image_shape: tuple[int, ...]) -> FittedFile[DriftReference]:
    names = names_of(image_shape)

    def checked(file: NpzFile, classes: int) -> DriftReference:
        values, threshold = file.read("values"), float(file.read("threshold"))
        if values.dtype != np.float32 or values.ndim != 2 or values.shape[1] != len(names):
            raise ValueError(f"expected float32 values of {len(names)} quantities, got {values.dtype} {values.shape}")
        named = values[:, names.index("class")]
        if not np.isfinite(values).all() or not 0 <= threshold <= 1 or ((named < 0) | (named >= classes)).any():
            raise ValueError("its values make no sense")
        return DriftReference(values, threshold, names, classes)

    return FittedFile(
        "drift.npz",
        1,
        16 * 2**20,
        lambda one: {"values": one.values, "threshold": np.float64(one.threshold)},
        checked,
        again="`fittingroom serve`",
    )
