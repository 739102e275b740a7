"""`TwoOpinions`: the probabilities of a photo's class by a run and by another network, together.

The run saw the dataset alone, cut-out and centred; the other network saw photographs, and has no class for some of the
dataset's. Where they are right does not depend on each other once the class is known, so by Bayes' rule their
probabilities are multiplied. Neither counts more: nothing at hand could tell by how much, since synthetic photos look
like nothing that the network has seen, and real photographs are there to measure.

Where the run finds the shape unlike the training images, it may be a thing of its classes that lies in another way, as
shoes from above do; or one of no class. Then what it says counts half, and the other half is no opinion.

The run has no probability for something else. Where it finds the shape unlike, the network decides: something else is
likelier to it than the class, or not. Where the run finds nothing unusual, it is taken to give something else the share
of its own images that it would call unlike, 5%; so the network has to be sure of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.answers.out_of_distribution import FALSE_ALARMS
from fittingroom.data.class_table import Opinion


@dataclass(frozen=True, eq=False)
class TwoOpinions:
    """What two say of one photo.

    Attributes:
        run: the run's probabilities, float32 `(classes,)`.
        second: what the other network says.
        probabilities: of both together, float32 `(classes,)`.
        something_else: whether it is probably in no class.
    """

    run: NDArray[np.float32]
    second: Opinion
    probabilities: NDArray[np.float32]
    something_else: bool

    @classmethod
    def of(cls, run: NDArray[np.float32], second: Opinion, *, unlike: bool) -> TwoOpinions:
        """Both together.

        Args:
            run: the run's probabilities, float32 `(classes,)`.
            second: what the other network says.
            unlike: whether the run finds the photo unlike its training images.
        """
        own = run.astype(np.float64)
        if unlike:
            own = (own + 1 / len(own)) / 2
        both = np.maximum(own * second.probabilities, np.finfo(np.float64).tiny)  # neither rules a class out
        nothing = FALSE_ALARMS * second.something_else > both.sum()
        if unlike:
            nothing = nothing or second.something_else > second.probabilities[both.argmax()]
        return cls(run, second, (both / both.sum()).astype(np.float32), bool(nothing))

    @property
    def refused(self) -> bool:
        """Whether no class is named: it is something else, or the likeliest class is less likely than all others."""
        return self.something_else or float(self.probabilities.max()) < 0.5

    @cached_property
    def order(self) -> list[int]:
        """The classes, most likely first."""
        return [int(index) for index in np.argsort(-self.probabilities, kind="stable")]

    def inside(self, alpha: float) -> list[bool]:
        """Which classes are in the smallest set with a probability of `1 - alpha`, in their order."""
        before = np.cumsum(self.probabilities[self.order]) - self.probabilities[self.order]
        return [bool(share < 1 - alpha) for share in before]

    def to_dict(self) -> dict[str, Any]:
        """Both opinions as plain JSON."""
        return {**self.second.to_dict(), "run": self.run.tolist()}
