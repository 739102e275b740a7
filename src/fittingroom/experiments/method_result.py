"""`MethodResult`: what came of a method on a dataset of a benchmark, with each seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

from fittingroom.evaluation.spread import Interval, Spread

CellStatus = Literal["done", "failed", "timed out", "missing"]


@dataclass(frozen=True)
class BenchmarkCell:
    """A method on a dataset with a seed.

    Args:
        seed: the seed.
        status: `done`, `failed`, `timed out`, or `missing`: not finished.
        reason: why it failed; None if it did not.
        accuracy: share of right answers on the part that the benchmark speaks of, 0 to 1; None unless done.
        loss: mean cross-entropy there, in nats.
        val_accuracy: the accuracy on validation, by which settings are chosen.
        seconds: of fitting, by the clock.
        cell_seconds: of the whole cell, with what is compiled, validated and written.
        core_seconds: of all cores, for the whole cell.
        memory: the most bytes in memory at once, beyond those before it began.
        cell: its id.
        run: the folder of its seed in the benchmark's folder; None where there is none.
        repeats: the seed whose training it repeats, since the seed changes nothing; None where it was trained.
    """

    seed: int
    status: CellStatus
    reason: str | None = None
    accuracy: float | None = None
    loss: float | None = None
    val_accuracy: float | None = None
    seconds: float | None = None
    cell_seconds: float | None = None
    core_seconds: float | None = None
    memory: int | None = None
    cell: str = ""
    run: str | None = None
    repeats: int | None = None


@dataclass(frozen=True)
class MethodResult:
    """A method on a dataset.

    Args:
        dataset: the name of the dataset in the benchmark.
        method: the name of the method.
        cells: one per seed.
        tuned: the settings that tuning chose: key -> value as text; empty for the method's own.
        trials: how many settings were tried.
        parameters: how many numbers are trained; None where that is no count of numbers.
        size: bytes of what is kept of a fitted model; None where nothing is.
        interval: 95% interval of the accuracy, for other images and seeds; None unless all seeds are done.
    """

    dataset: str
    method: str
    cells: tuple[BenchmarkCell, ...]
    tuned: Mapping[str, str]
    trials: int = 1
    parameters: int | None = None
    size: int | None = None
    interval: Interval | None = None

    @property
    def status(self) -> CellStatus:
        """`done` where all seeds are; else the status of the first that is not."""
        return next((cell.status for cell in self.cells if cell.status != "done"), "done")

    @property
    def reason(self) -> str | None:
        """Why the first of its seeds that failed did; None where none has."""
        return next((cell.reason for cell in self.cells if cell.reason is not None), None)

    @property
    def varies(self) -> bool:
        """Whether the seed changes anything."""
        return not any(cell.repeats is not None for cell in self.cells)

    @property
    def accuracy(self) -> Spread | None:
        """Share of right answers of each seed; None unless all are done."""
        return self._spread("accuracy")

    @property
    def loss(self) -> Spread | None:
        """Mean cross-entropy of each seed in nats; None unless all are done and all are finite."""
        return self._spread("loss")

    @property
    def seconds(self) -> Spread | None:
        """Seconds of fitting of each seed that was trained; None unless all are done."""
        return self._spread("seconds")

    @property
    def memory(self) -> int | None:
        """The most bytes that any of its seeds took; None where none is known."""
        return max((cell.memory for cell in self.cells if cell.memory is not None), default=None)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "dataset": self.dataset,
            "method": self.method,
            "status": self.status,
            "reason": self.reason,
            "accuracy": None if self.accuracy is None else self.accuracy.to_dict(),
            "interval": None if self.interval is None else list(self.interval),
            "loss": None if self.loss is None else self.loss.to_dict(),
            "seconds": None if self.seconds is None else self.seconds.to_dict(),
            "memory": self.memory,
            "parameters": self.parameters,
            "size": self.size,
            "tuned": dict(self.tuned),
            "trials": self.trials,
            "varies": self.varies,
            "cells": [asdict(cell) for cell in self.cells],
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """What `to_dict` gave."""
        interval = stored["interval"]
        return cls(
            dataset=stored["dataset"],
            method=stored["method"],
            cells=tuple(BenchmarkCell(**cell) for cell in stored["cells"]),
            tuned=stored["tuned"],
            trials=stored["trials"],
            parameters=stored["parameters"],
            size=stored["size"],
            interval=None if interval is None else Interval(*interval),
        )

    def _spread(self, name: str) -> Spread | None:
        values = [getattr(cell, name) for cell in self.cells]
        if name == "seconds":  # a repetition took none
            values = [value for value, cell in zip(values, self.cells, strict=True) if cell.repeats is None]
        return None if self.status != "done" or None in values or not values else Spread.of(values)
