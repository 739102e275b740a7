"""What `run.json` says: everything about a run that is not an array."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar, get_args

from fittingroom.errors import RunError
from fittingroom.evaluation.intervals import Interval, wilson
from fittingroom.runs.environment import Environment

FORMAT = 1
"""The form of the run folder. It grows by one when an older version could no longer read what is written."""

T = TypeVar("T")
Status = Literal["finished", "stopped", "interrupted", "diverged"]


def now() -> str:
    """This moment, as records write it: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class DataRecord:
    """Which data a run was trained on, and how to load them again.

    Args:
        name: the dataset's name.
        fingerprint: of the training and validation data, as `Dataset.fingerprint`; empty for plain arrays.
        test_fingerprint: of the sealed test set, as `SealedTestSet.fingerprint`; empty where there is none.
        classes: class names, in the order of the labels.
        image_shape: `(height, width)` or `(height, width, 3)`.
        scale: what images are divided by to lie in 0 to 1.
        counts: part (`train`, `validation`, `test`) -> number of images.
        load: the arguments of `fittingroom.data.load.load` that give the same data; None for plain arrays.
    """

    name: str
    fingerprint: str
    test_fingerprint: str
    classes: tuple[str, ...]
    image_shape: tuple[int, ...]
    scale: float
    counts: Mapping[str, int]
    load: Mapping[str, Any] | None


@dataclass(frozen=True)
class Seconds:
    """Where the time went: reading data and building the model, compiling, training; in seconds."""

    setup: float
    compile: float
    train: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.setup + self.compile + self.train


@dataclass(frozen=True)
class PartResult:
    """What the last finished epoch reached on one part.

    On the training part these are means over the epoch, while the weights changed, as Keras shows them. On the
    validation part they belong to the kept weights, and the accuracy has an interval.

    Args:
        loss: mean cross-entropy, in nats; None if it is not finite.
        accuracy: 0 to 1; None for a model that was compiled without it.
        count: number of images.
        interval: 95% interval (Wilson) of the accuracy; None for the training part.
    """

    loss: float | None
    accuracy: float | None
    count: int
    interval: Interval | None = None

    @classmethod
    def held_out(cls, loss: float, correct: int, count: int) -> PartResult:
        """The result on images that were not trained on, of which `correct` were classified rightly."""
        return cls(loss, correct / count, count, wilson(correct, count))


@dataclass(frozen=True)
class Look:
    """One opening of the sealed test set.

    Args:
        time: when, ISO 8601, UTC.
        reason: what for.
        score: what came out; None until it is known, and for good if the computation was cut off.
        ledger: the id of the ledger in which it was counted; None for a look from before there was one, and so for:
        number: which look at the test set it was in that ledger.
        hash: of its entry there.
    """

    time: str
    reason: str
    score: Mapping[str, Any] | None = None
    ledger: str | None = None
    number: int | None = None
    hash: str | None = None


@dataclass(frozen=True)
class RunRecord:
    """A run in words and numbers.

    Args:
        created: when the training ended, ISO 8601, UTC.
        status: `finished` all epochs; `stopped` by a condition or a callback; `interrupted` by the user; `diverged`,
            the loss became NaN or infinite. In all four cases the weights are those of the last finished epoch.
        reason: why it ended before the last epoch, in words; None when it did not.
        recipe: the settings, with a `name` at least; `Recipe.from_dict` reads them where a recipe was trained.
        data: what it was trained on.
        seed: the seed of initialisation, shuffle and dropout.
        epochs: number of finished epochs.
        environment: software and machine.
        seconds: times.
        train: result on the training part.
        validation: result on the validation part; None if there is none.
        notes: what the user should know about it, one sentence each.
        looks: openings of the test set, oldest first.
    """

    created: str
    status: Status
    reason: str | None
    recipe: Mapping[str, Any]
    data: DataRecord
    seed: int
    epochs: int
    environment: Environment
    seconds: Seconds
    train: PartResult
    validation: PartResult | None
    notes: tuple[str, ...] = ()
    looks: tuple[Look, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The contents of `run.json`."""
        return {"format": FORMAT, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> RunRecord:
        """The record that `to_dict` gave. Keys that this version does not know are left out.

        Raises:
            RunError: it was written in a newer format, or something is missing.
        """
        _check_format(stored)
        try:
            return _read_record(stored)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            raise RunError(f"run.json is damaged: {what}.") from error


def _check_format(stored: Mapping[str, Any]) -> None:
    found = stored.get("format")
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise RunError(f"run.json is damaged: its format is {found!r}, not a number.")
    if found > FORMAT:
        from fittingroom import __version__

        environment = stored.get("environment")
        versions = environment.get("versions") if isinstance(environment, Mapping) else None
        writer = str(versions.get("fittingroom", "")) if isinstance(versions, Mapping) else ""
        raise RunError(
            f"the run was written in format {found}; this is fittingroom {__version__}, which reads up to format "
            f"{FORMAT}. It needs fittingroom {writer or 'of a newer version'}{' or newer' if writer else ''}: "
            "pip install --upgrade fittingroom."
        )


def _read_record(stored: Mapping[str, Any]) -> RunRecord:
    if stored["status"] not in get_args(Status):
        raise ValueError(f"status {stored['status']!r} is none of {', '.join(get_args(Status))}")
    validation = stored["validation"]
    uncounted = dict.fromkeys(("ledger", "number", "hash"))
    return RunRecord(
        created=str(stored["created"]),
        status=stored["status"],
        reason=stored["reason"],
        recipe={**stored["recipe"], "name": str(stored["recipe"]["name"])},
        data=_read_data(stored["data"]),
        seed=int(stored["seed"]),
        epochs=int(stored["epochs"]),
        environment=_known_fields(Environment, stored["environment"]),
        seconds=Seconds(**{part: float(stored["seconds"][part]) for part in ("setup", "compile", "train")}),
        train=_read_part(stored["train"]),
        validation=None if validation is None else _read_part(validation),
        notes=tuple(stored["notes"]),
        looks=tuple(_known_fields(Look, {**uncounted, **look}) for look in stored["looks"]),
    )


def _read_data(stored: Mapping[str, Any]) -> DataRecord:
    lists = {"classes": tuple(stored["classes"]), "image_shape": tuple(stored["image_shape"])}
    return _known_fields(DataRecord, {**stored, **lists})


def _read_part(stored: Mapping[str, Any]) -> PartResult:
    interval = stored["interval"]
    return PartResult(
        loss=_optional_number(stored["loss"]),
        accuracy=_optional_number(stored["accuracy"]),
        count=int(stored["count"]),
        interval=None if interval is None else Interval(float(interval[0]), float(interval[1])),
    )


def _optional_number(value: Any) -> float | None:
    return None if value is None else float(value)


def _known_fields(kind: type[T], stored: Mapping[str, Any]) -> T:
    """The fields that `kind` has; one with a default may be missing, as in records of older versions."""
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    wanted = [field.name for field in fields if field.name in stored or field.default is dataclasses.MISSING]
    return kind(**{name: stored[name] for name in wanted})
