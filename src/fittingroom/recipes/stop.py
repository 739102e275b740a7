"""When to stop before the last epoch: conditions such as `loss<0.4`, `accuracy>=0.6` and `val_loss rises 3`.

`METRIC<NUMBER` (also `<=`, `>`, `>=`) stops after the first epoch whose number meets it. `val_loss rises 3` stops
when three epochs in a row brought no new lowest value, `val_accuracy falls 3` when three brought no new highest: the
rule of Keras's `EarlyStopping` with `patience=3`. The weights stay those of the last epoch.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from fittingroom.errors import RecipeError, UnknownNameError
from fittingroom.text import word_list

METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = MappingProxyType(
    {
        "<": lambda value, limit: value < limit,
        "<=": lambda value, limit: value <= limit,
        ">": lambda value, limit: value > limit,
        ">=": lambda value, limit: value >= limit,
    }
)
_THRESHOLD = re.compile(r"\s*(\w+)\s*([<>=!]+)\s*(\S+)\s*")
_PATIENCE = re.compile(r"\s*(\w+)\s+(rises|falls)(?:\s+(\S+))?\s*")


@dataclass(frozen=True)
class _Threshold:
    """`METRIC<NUMBER` and the like: met by one epoch's number alone."""

    metric: str
    comparison: str
    value: float

    @property
    def text(self) -> str:
        """The condition in its plain spelling."""
        return f"{self.metric}{self.comparison}{repr(self.value).removesuffix('.0')}"

    def holds(self, value: float) -> bool:
        """Whether an epoch with this number meets the condition; NaN meets none."""
        return _COMPARISONS[self.comparison](value, self.value)


@dataclass(frozen=True)
class _Patience:
    """`METRIC rises N` or `METRIC falls N`: N epochs in a row without a new best."""

    metric: str
    direction: Literal["rises", "falls"]
    epochs: int

    @property
    def text(self) -> str:
        """The condition in its plain spelling."""
        return f"{self.metric} {self.direction} {self.epochs}"

    def improves(self, value: float, best: float | None) -> bool:
        """Whether a number is a new best; NaN never is."""
        better = best is None or (value < best if self.direction == "rises" else value > best)
        return better and not math.isnan(value)


_Condition = _Threshold | _Patience


def _patience(text: str, metric: str, direction: str, epochs: str | None) -> _Patience:
    if epochs is None or not epochs.isascii() or not epochs.isdigit() or not 1 <= int(epochs) <= 1_000_000:
        raise RecipeError(
            f"stop condition {text!r}: expected a number of epochs, 1 or more, at the end, "
            f"as in '{metric} {direction} 3'."
        )
    better = "falls" if metric.endswith("accuracy") else "rises"
    if direction != better and metric in METRICS:  # whether a metric of the user's own should rise is not known
        good = "high" if better == "falls" else "low"
        raise RecipeError(
            f"stop condition {text!r} would stop while the model gets better: a {good} {metric} is good. Write "
            f"'{metric} {better} {int(epochs)}' to stop when it gets worse."
        )
    return _Patience(metric, direction, int(epochs))  # type: ignore[arg-type]


def _threshold(text: str, metric: str, comparison: str, number: str) -> _Threshold:
    if comparison not in _COMPARISONS:
        raise RecipeError(f"stop condition {text!r}: expected {word_list(_COMPARISONS, 'or')}, not {comparison!r}.")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if metric.endswith("accuracy") and (number.endswith("%") or value > 1):
        raise RecipeError(
            f"stop condition {text!r}: an accuracy is a share from 0 to 1. Write 0.6 for 60 percent: '{metric}>=0.6'."
        )
    if not math.isfinite(value):
        raise RecipeError(f"stop condition {text!r}: expected a number after {comparison!r}, not {number!r}.")
    return _Threshold(metric, comparison, value)


def _check_metric(metric: str, *, own: bool) -> None:
    if metric not in METRICS and not own:
        raise UnknownNameError("metric in a stop condition", metric, METRICS)


class StopRule:
    """Stops training when any of several conditions is met. Call `update` once per epoch, in order.

    Its whole memory is `state()`, plain JSON, so that a resumed training stops where the first would have.

    Args:
        conditions: texts as `parse` reads them. None of them: never stops.
        validation: whether there will be validation numbers.
        own: whether metrics other than `METRICS` are allowed, as for a user's model.

    Raises:
        RecipeError: a condition cannot be read, or needs validation data and there are none.
    """

    def __init__(self, conditions: Iterable[str], *, validation: bool = True, own: bool = False) -> None:
        self._conditions = [self.parse(text, own=own) for text in conditions]
        self._epoch = 0
        self._best: dict[str, float] = {}
        self._best_epoch: dict[str, int] = {}
        for condition in self._conditions:
            if condition.metric.startswith("val_") and not validation:
                raise RecipeError(
                    f"stop condition {condition.text!r} needs validation data, and this training has none. "
                    f"Hold some out (--validation 5000), or use {condition.metric.removeprefix('val_')!r}."
                )

    @staticmethod
    def parse(text: str, *, own: bool = False) -> _Condition:
        """Reads one stop condition.

        Args:
            text: the condition.
            own: whether other metrics than `METRICS` are allowed: a user's model has its own, known once it trains.

        Raises:
            RecipeError: the text has another form, or the condition could never do what it seems to say.
            UnknownNameError: the metric is unknown; the message lists the known ones.
        """
        if match := _PATIENCE.fullmatch(text):
            _check_metric(match[1], own=own)
            return _patience(text, *match.groups())
        if match := _THRESHOLD.fullmatch(text):
            _check_metric(match[1], own=own)
            return _threshold(text, *match.groups())
        raise RecipeError(
            f"stop condition {text!r}: expected a comparison such as 'loss<0.4' or 'accuracy>=0.6', or a number of "
            "epochs without a new best, such as 'val_loss rises 3' or 'val_accuracy falls 3'."
        )

    def update(self, logs: Mapping[str, float]) -> str | None:
        """Why training should stop after an epoch with these numbers; None to continue.

        Raises:
            RecipeError: a condition's metric is not among the numbers.
        """
        self._epoch += 1
        return "; ".join(reason for condition in self._conditions if (reason := self._reason(condition, logs))) or None

    def state(self) -> dict[str, Any]:
        """All that the rule remembers, as plain JSON."""
        return {"epoch": self._epoch, "best": dict(self._best), "best_epoch": dict(self._best_epoch)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Returns to what `state()` gave."""
        self._epoch = int(state["epoch"])
        self._best = {text: float(value) for text, value in state["best"].items()}
        self._best_epoch = {text: int(epoch) for text, epoch in state["best_epoch"].items()}

    def _reason(self, condition: _Condition, logs: Mapping[str, float]) -> str | None:
        if condition.metric not in logs:
            nearest = difflib.get_close_matches(condition.metric, logs, n=1, cutoff=0.75)
            hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
            raise RecipeError(
                f"stop condition {condition.text!r}: this training has no metric {condition.metric!r}.{hint} "
                f"It has {word_list(logs)}."
            )
        value = float(logs[condition.metric])
        if isinstance(condition, _Threshold):
            met = f"{condition.text} after epoch {self._epoch} ({condition.metric} {value:.4f})"
            return met if condition.holds(value) else None
        text = condition.text
        if condition.improves(value, self._best.get(text)):
            self._best[text], self._best_epoch[text] = value, self._epoch
        if self._epoch - self._best_epoch.get(text, 0) < condition.epochs:
            return None
        if text not in self._best:
            return f"{text}: no number in {self._epoch} epochs"
        best = f"best {condition.metric} {self._best[text]:.4f} after epoch {self._best_epoch[text]}"
        return f"{text} after epoch {self._epoch} ({best})"
