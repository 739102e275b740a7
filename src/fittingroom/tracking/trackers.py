"""Which trackers there are, and how one is named: `tensorboard`, `tensorboard:DIR`, `mlflow:URI`, `wandb:PROJECT`."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Literal

from fittingroom.errors import InputError, UnknownNameError
from fittingroom.tracking.events import RunBegins, Tracker, without_credentials

Extra = Literal["points", "model"]


@dataclass(frozen=True)
class TrackerKind:
    """A tracker that can be named.

    Args:
        tracker: the module and the class of the `Tracker`, which is made of a place and a `RunBegins`.
        what: what it writes, in a phrase.
        place: what stands behind the colon.
        package: the package that it needs; empty for none.
        extra: of ours, which installs it.
        wants: what it shows that takes a while to find.
    """

    tracker: str
    what: str
    place: str
    package: str = ""
    extra: str = ""
    wants: frozenset[Extra] = frozenset()

    @property
    def install(self) -> str:
        """The line that installs it."""
        return f"pip install 'fittingroom[{self.extra}]'"


TRACKERS: Mapping[str, TrackerKind] = MappingProxyType(
    {
        "tensorboard": TrackerKind(
            "fittingroom.tracking.tensorboard_log:TensorBoardLog",
            "event files for TensorBoard",
            "DIR",
            "tensorboardX",
            "tensorboard",
            frozenset({"points"}),
        ),
        "mlflow": TrackerKind(
            "fittingroom.tracking.mlflow_log:MlflowLog",
            "runs of MLflow",
            "URI",
            "mlflow",
            "mlflow",
            frozenset({"model"}),
        ),
        "wandb": TrackerKind(
            "fittingroom.tracking.wandb_log:WandbLog", "offline runs of W&B", "PROJECT", "wandb", "wandb"
        ),
        "csv": TrackerKind("fittingroom.tracking.tables:CsvTable", "a table with a line for each epoch", "FILE"),
        "jsonl": TrackerKind("fittingroom.tracking.tables:JsonLines", "a JSON object for each event", "FILE"),
    }
)
"""Name of a tracker -> what it is. Its module is imported when it is asked for."""


@dataclass(frozen=True)
class ChosenTracker:
    """A tracker as it was asked for.

    Args:
        name: one of `TRACKERS`.
        place: what stood behind the colon; empty for its default.
    """

    name: str
    place: str = ""

    @classmethod
    def read(cls, text: str) -> ChosenTracker:
        """A tracker from `NAME` or `NAME:PLACE`.

        Raises:
            InputError: there is no such tracker, nothing stands behind the colon, or its package is not installed; then
                the message has the line that installs it.
        """
        name, colon, place = text.partition(":")
        if name not in TRACKERS:
            raise UnknownNameError("tracker", name, TRACKERS)
        kind = TRACKERS[name]
        if colon and not place.strip():
            raise InputError(f"{text!r} names no {kind.place} behind the colon. Write {name}:{kind.place}, or {name}.")
        if kind.package and importlib.util.find_spec(kind.package) is None:
            raise InputError(f"A log to {name} needs the package {kind.package}: {kind.install}")
        return cls(name, place.strip())

    @property
    def shown(self) -> str:
        """It as messages name it."""
        return without_credentials(f"{self.name}:{self.place}" if self.place else self.name)

    def opener(self) -> Callable[[RunBegins], Tracker]:
        """What opens it for a run that begins. Its package is imported here, so that nothing is missing later.

        Raises:
            InputError: the package cannot be imported.
        """
        kind = TRACKERS[self.name]
        try:
            module, _, name = kind.tracker.partition(":")
            tracker = getattr(importlib.import_module(module), name)
        except ImportError as error:
            raise InputError(f"A log to {self.name} cannot be written: {error}. Install it: {kind.install}") from error
        return partial(tracker, self.place)


def chosen_trackers(log: str | Sequence[str]) -> tuple[ChosenTracker, ...]:
    """The trackers that a text or several name.

    Raises:
        InputError: as `ChosenTracker.read` says; none is named, or one twice.
    """
    texts = [log] if isinstance(log, str) else list(log)
    if not texts or not all(isinstance(text, str) for text in texts):
        known = ", ".join(TRACKERS)
        raise InputError(f"log={log!r}; expected the name of a tracker, or a list of names: {known}.")
    chosen = tuple(ChosenTracker.read(text) for text in texts)
    for number, one in enumerate(chosen):
        if one in chosen[:number]:
            raise InputError(f"The log to {one.shown} is asked for twice. Name it once.")
    return chosen
