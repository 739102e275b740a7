"""`ClassTable`: what the classes of another network say of a dataset's, from the meaning of the words.

A table is a TOML file in `class_tables/`, named after the dataset. Whoever adds one for another dataset writes a reason
for each row; what is not in a table is something that the dataset does not have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.catalogue import CATALOGUE
from fittingroom.errors import DataError

SOMETHING_ELSE = "something else"
"""In place of a class: what the dataset has no class for."""

_COUNTS = {"imagenet-1k": 1000}
_FOLDER = Path(__file__).with_name("class_tables")
_MOST_SEEN = 3  # names that an opinion keeps
_LEAST_SEEN = 0.05  # of the probability, that a name is worth keeping


@dataclass(frozen=True, eq=False)
class Opinion:
    """What a network that was trained on other images says of a photo, in the classes of a dataset.

    Attributes:
        by: what people call the network.
        probabilities: of the dataset's classes, float64 `(classes,)`; with `something_else` they sum to 1.
        something_else: the probability that it is in none of these classes.
        seen: the network's own names for what it sees, each with its probability, most likely first.
    """

    by: str
    probabilities: NDArray[np.float64]
    something_else: float
    seen: tuple[tuple[str, float], ...]

    def to_dict(self) -> dict[str, Any]:
        """The opinion as plain JSON."""
        return {
            "by": self.by,
            "seen": [{"name": name, "probability": probability} for name, probability in self.seen],
            "probabilities": self.probabilities.tolist(),
            "something_else": self.something_else,
        }


@dataclass(frozen=True, eq=False)
class ClassTable:
    """A table for one dataset.

    Attributes:
        dataset: its name in the catalogue.
        source: which classes it translates, such as `imagenet-1k`.
        weights: the share of each of these that goes to each class of the dataset, to something else, and to nothing,
            where a name says nothing; float64 `(source classes, classes + 2)`, rows sum to 1.
        names: a name for each class of the source; those that are not in the table have one name together.
    """

    dataset: str
    source: str
    weights: NDArray[np.float64]
    names: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> ClassTable:
        """The table in a TOML file, in the order of the dataset's classes in the catalogue.

        Raises:
            DataError: it names a class that the dataset does not have, or a row twice.
        """
        import tomllib  # most answers need no table

        content = tomllib.loads(path.read_text(encoding="utf-8"))
        places = {name: place for place, name in enumerate((*CATALOGUE[content["dataset"]].classes, SOMETHING_ELSE))}
        count, other = _COUNTS[content["source"]], len(places) - 1
        weights, names = np.zeros((count, len(places) + 1)), [content["unlisted"]] * count
        for kind in ("means", "something_else", "says_nothing"):
            for row in content[kind]:
                index = row["index"]
                if weights[index].any():
                    raise DataError(f"{path}: the class {index} has two rows; expected one.")
                columns = _columns(row, kind, places, path)
                weights[index, columns] = 1 / len(columns)
                names[index] = row["words"].partition(",")[0]
        weights[~weights.any(axis=1), other] = 1
        return cls(content["dataset"], content["source"], weights, tuple(names))

    @staticmethod
    @cache
    def known() -> Mapping[str, ClassTable]:
        """The tables that there are, by the names of their datasets."""
        tables = [ClassTable.read(path) for path in sorted(_FOLDER.glob("*.toml"))]
        return {table.dataset: table for table in tables}

    @staticmethod
    def find(classes: Sequence[str], source: str) -> ClassTable | None:
        """The table for a dataset that has exactly these classes, and for a network that knows those of `source`."""
        tables = ClassTable.known().values()
        return next((one for one in tables if one.source == source and one.classes == tuple(classes)), None)

    @property
    def classes(self) -> tuple[str, ...]:
        """Those of the dataset."""
        return CATALOGUE[self.dataset].classes

    def opinion(self, probabilities: NDArray[np.floating[Any]], by: str) -> Opinion:
        """What a network's probabilities of its own classes, `(source classes,)`, say of the dataset's.

        A class that has more names than another has them only because the source has: as every name was as frequent
        in training, the probability of a class is divided by how many names it has (Bayes' rule with an even prior).
        How much is left for something else stays the same. What goes to a name that says nothing is spread evenly over
        the classes and something else.

        Args:
            probabilities: they sum to 1.
            by: what people call the network.
        """
        shares = probabilities.astype(np.float64) @ self.weights
        *named, other, nothing = shares.tolist()
        even = np.array(named) / self.weights.sum(axis=0)[: len(named)]
        even *= sum(named) / max(even.sum(), np.finfo(np.float64).tiny)
        told = np.append(even, other) + nothing / (len(named) + 1)
        seen: dict[str, float] = {}
        for index in np.argsort(-probabilities, kind="stable").tolist():
            seen[self.names[index]] = seen.get(self.names[index], 0.0) + float(probabilities[index])
        order = sorted(seen.items(), key=lambda pair: -pair[1])
        kept = [pair for pair in order[:_MOST_SEEN] if pair[1] >= _LEAST_SEEN]
        return Opinion(by, told[:-1], float(told[-1]), tuple(kept or order[:1]))


def _columns(row: Mapping[str, Any], kind: str, places: Mapping[str, int], path: Path) -> list[int]:
    """Where the probability of a row goes."""
    if kind == "says_nothing":
        return [len(places)]
    named = row["classes"] if kind == "means" else [SOMETHING_ELSE]
    unknown = [name for name in named if name not in places]
    if unknown or not named:
        raise DataError(f"{path}: the class {row['index']} means {unknown}; expected some of {', '.join(places)}.")
    return [places[name] for name in named]
