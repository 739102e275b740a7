"""What came of each recipe: its accuracy over seeds, what it costs, and which one validation chooses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fittingroom.engine.blueprint import Blueprint
from fittingroom.evaluation.intervals import Interval
from fittingroom.evaluation.spread import Spread
from fittingroom.experiments.grid import Variant
from fittingroom.experiments.store import CellState
from fittingroom.runs.damage import damage
from fittingroom.runs.record import PartResult, RunRecord
from fittingroom.runs.store import read_model


@dataclass(frozen=True)
class Summary:
    """A recipe and its cells.

    Args:
        variant: the recipe.
        cells: what has become of them, one per seed.
    """

    variant: Variant
    cells: tuple[CellState, ...]

    @property
    def done(self) -> tuple[CellState, ...]:
        """The cells that are trained to their end."""
        return tuple(cell for cell in self.cells if cell.status == "done")

    @property
    def complete(self) -> bool:
        """Whether all of them are."""
        return len(self.done) == len(self.cells)

    @property
    def accuracy(self) -> Spread | None:
        """Share of right answers on validation, 0 to 1, of each finished cell; None where there is none."""
        values = [part.accuracy for part in self._validation if part.accuracy is not None]
        return Spread.of(values) if values else None

    @property
    def loss(self) -> Spread | None:
        """Mean cross-entropy on validation in nats; None where there is none, or one is not finite."""
        values = [part.loss for part in self._validation]
        return Spread.of(value for value in values if value is not None) if values and None not in values else None

    @property
    def interval(self) -> Interval | None:
        """95% interval of the accuracy: for other seeds on these images; Wilson's of a single seed; None without."""
        if self.accuracy is None:
            return None
        return self.accuracy.interval or self._validation[0].interval

    @property
    def seconds(self) -> Spread | None:
        """Seconds of training of each finished cell, while others trained beside it."""
        values = [record.seconds.train for record in self._records]
        return Spread.of(values) if values else None

    @cached_property
    def parameters(self) -> int | None:
        """Numbers that are trained; None where no cell is finished."""
        folders = [cell.folder for cell in self.done if cell.folder is not None]
        return trained_numbers(folders[0]) if folders else None

    @property
    def _records(self) -> list[RunRecord]:
        return [cell.record for cell in self.done if cell.record is not None]

    @property
    def _validation(self) -> list[PartResult]:
        return [record.validation for record in self._records if record.validation is not None]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "recipe": self.variant.name,
            "digest": self.variant.digest,
            "varied": dict(self.variant.settings),
            "settings": self.variant.recipe.to_dict(),
            "accuracy": None if self.accuracy is None else self.accuracy.to_dict(),
            "interval": None if self.interval is None else list(self.interval),
            "loss": None if self.loss is None else self.loss.to_dict(),
            "seconds": None if self.seconds is None else self.seconds.to_dict(),
            "parameters": self.parameters,
            "cells": [
                {
                    "cell": cell.cell.id,
                    "seed": cell.cell.seed,
                    "status": cell.status,
                    "reason": cell.reason,
                    "run": None if cell.folder is None else str(cell.folder),
                }
                for cell in self.cells
            ],
        }


def trained_numbers(run: Path) -> int:
    """How many numbers the training of a run could change.

    Raises:
        RunError: its model is damaged.
    """
    with damage(run, "model.json"):
        trainable, _ = Blueprint.from_json(read_model(run)).weight_groups
    return sum(math.prod(start.shape) for start in trainable)


def summaries(states: Sequence[CellState]) -> tuple[Summary, ...]:
    """A summary of each recipe, in the order of the plan."""
    each: dict[str, list[CellState]] = {}
    for state in states:
        each.setdefault(state.cell.variant.digest, []).append(state)
    return tuple(Summary(cells[0].cell.variant, tuple(cells)) for cells in each.values())


def chosen(all_recipes: Sequence[Summary]) -> Summary | None:
    """The recipe that validation chooses: the highest mean accuracy, of equals the lowest loss.

    Only one whose cells are all trained to their end can be chosen: one that fails for some seeds is no recipe to rely
    on, and its other seeds would flatter it.
    """
    whole = [one for one in all_recipes if one.complete and one.accuracy is not None]
    return max(whole, key=_rank, default=None)


def pareto_front(all_recipes: Sequence[Summary]) -> tuple[Summary, ...]:
    """The recipes that no other beats: none is as accurate, as fast and as small, and better in one of the three.

    Means are compared as they are: two on the front may well be equals.
    """
    costs = {
        index: (-one.accuracy.mean, one.seconds.mean, one.parameters)
        for index, one in enumerate(all_recipes)
        if one.accuracy is not None and one.seconds is not None and one.parameters is not None
    }
    return tuple(
        all_recipes[index]
        for index, own in costs.items()
        if not any(
            other != own and all(his <= mine for his, mine in zip(other, own, strict=True)) for other in costs.values()
        )
    )


def _rank(one: Summary) -> tuple[float, float]:
    accuracy = -math.inf if one.accuracy is None else one.accuracy.mean
    return accuracy, -math.inf if one.loss is None else -one.loss.mean
