"""The stand-in for a test part: all images of a lab about scores, cut from the training part of a dataset.

A lab that shows how a score goes wrong has to spoil a test part, and a spoiled one is of no use any more. So it takes
images that were for training anyway, and cuts them again for each seed: a pile that its code splits as it likes, and
*fresh* images that no line of the code ever has. What the same model reaches on the fresh ones is what the reported
score should have been. The real test part stays sealed, and looks are counted in a ledger of the lab's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from fittingroom.data.dataset import Part
from fittingroom.errors import DataError, RecipeError
from fittingroom.recipes.toml import Form, Key, Table
from fittingroom.seeds import generator


def _above_zero(key: str, value: int) -> int:
    if value < 1:
        raise RecipeError(f"{key} = {value}: expected a whole number, 1 or above.")
    return value


STAND_IN_FORM = Form(
    "a stand-in",
    {
        "dataset": Key(str, "the name of a dataset", required=True),
        "images": Key(int, "how many images the code gets", _above_zero, required=True),
        "fresh": Key(int, "how many images it does not get", _above_zero, required=True),
        "seeds": Key(int, "a whole number, 1 or above", _above_zero),
    },
)


@dataclass(frozen=True)
class StandIn:
    """What the code of a lab about scores works on.

    Args:
        dataset: the name of the dataset whose training part is cut.
        images: how many images the code gets, with their labels.
        fresh: how many others its model is asked about afterwards.
        seeds: how often all of it is done, each time with another cut.
    """

    dataset: str
    images: int
    fresh: int
    seeds: int = 5

    @classmethod
    def of(cls, table: Table | None) -> StandIn | None:
        """What the table `[stand_in]` of a lab's file says; None without one."""
        return None if table is None else cls(**table)

    def with_seeds(self, most: int) -> StandIn:
        """The same with so many seeds at most."""
        return replace(self, seeds=min(self.seeds, most))

    def cut(self, part: Part, seed: int) -> tuple[Part, Part]:
        """The images that the code gets, in random order, and the fresh ones.

        Raises:
            DataError: the part has too few images.
        """
        if self.images + self.fresh > len(part):
            raise DataError(
                f"[stand_in] asks for {self.images:,} images and {self.fresh:,} fresh ones, and the training part of "
                f"{self.dataset} has {len(part):,}. Ask for fewer."
            )
        order = generator(seed, "stand-in").permutation(len(part))[: self.images + self.fresh]
        chosen = (order[: self.images], order[self.images :])
        pile, fresh = (Part(part.images[rows], part.labels[rows], part.classes, part.scale) for rows in chosen)
        return pile, fresh


@dataclass(frozen=True)
class StandInReport:
    """What came of the code with one seed.

    Args:
        seed: the seed, which decided the cut too.
        score: the accuracy that the code reports, 0 to 1.
        fresh: the accuracy of the same model on the fresh images.
        looks: how often the test part was looked at, as the ledger counts it.
        copies: how many test images have a copy among the images to learn from, as the audit finds it; None where it
            was not asked.
        images: how many test images there are.
        fresh_images: how many fresh ones.
        run: the folder of the run that the score is for, relative to the run of the code.
        ledger: what is said about the looks.
        audit: the sentences of the audit about copies.
        pairs: a few of the copies beside their originals, as `ShownImage.to_dict` gives them.
    """

    seed: int
    score: float
    fresh: float
    looks: int
    copies: int | None
    images: int
    fresh_images: int
    run: str
    ledger: str
    audit: tuple[str, ...]
    pairs: tuple[Mapping[str, str], ...] = ()

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> StandInReport:
        """The report that `to_dict` gave."""
        return cls(**{**stored, "audit": tuple(stored["audit"]), "pairs": tuple(stored["pairs"])})

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return asdict(self)
