"""What the `run.json` of a seed says: all about one training that is not an array, its machine and packages too."""

from __future__ import annotations

import dataclasses
import functools
import os
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from fittingroom.errors import InputError, RunError
from fittingroom.evaluation.spread import Interval, Spread
from fittingroom.recipes.modelfile import RecordedFile
from fittingroom.runs.data_record import DataRecord
from fittingroom.runs.json_files import check_format, check_plain, known_fields, number, optional, share, text, whole
from fittingroom.runs.teaching import BASE_NAME, read_teaching

if TYPE_CHECKING:
    from fittingroom.recipes.recipe import Recipe

_PACKAGES = ("fittingroom", "jax", "jaxlib", "keras", "numpy")


@dataclass(frozen=True)
class Environment:
    """The software and the machine of a run.

    Args:
        versions: package name -> version, Python's among them.
        processor: name of the processor.
        cores: processor cores that the process may use.
        threads: threads per operation; None where the engine has set no number.
        platform: operating system and architecture.
        device: what trained, as the engine names it, for example `cpu`.
        devices: how many of them shared each batch; results differ in the last digits with their number.
    """

    versions: Mapping[str, str]
    processor: str
    cores: int
    threads: int | None
    platform: str
    device: str
    devices: int = 1

    @classmethod
    def current(cls, device: str, threads: int | None, devices: int) -> Environment:
        """The environment of this process; device, threads and devices are known to the engine alone."""
        return cls(
            versions=dict(_versions()),
            processor=_processor(),
            cores=usable_cores(),
            threads=threads,
            platform=f"{platform.system()} {platform.release()} {platform.machine()}",
            device=device,
            devices=devices,
        )

    def differences(self, after: Environment) -> tuple[str, ...]:
        """What differs in another environment and can change a result's last digits, as `what: before, then after`.

        The number of cores does so only where it changes how many devices share a batch, which is compared itself.
        """
        names = ("processor", "platform", "threads", "device", "devices")
        found = {name: (getattr(self, name), getattr(after, name)) for name in names}
        versions = sorted(self.versions.keys() | after.versions.keys())
        found |= {name: (self.versions.get(name), after.versions.get(name)) for name in versions}
        return tuple(f"{name}: {old}, then {new}" for name, (old, new) in found.items() if old != new)


@functools.cache
def _versions() -> dict[str, str]:
    """They are read once: that takes milliseconds, and what is loaded stays what it is."""
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def _processor() -> str:
    """The processor's name. `platform.processor()` starts a program for it, and knows less on Linux."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in {"model name", "Model", "Hardware"} and value.strip():
                return value.strip()
    if sys.platform == "darwin":
        import subprocess

        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or platform.machine()
    return platform.processor() or platform.machine()


FORMAT = 1
"""The form of a seed's record. It grows by one when an older version could no longer read what is written."""

T = TypeVar("T")
Status = Literal["finished", "stopped", "interrupted", "diverged"]


def now() -> str:
    """This moment, as records write it: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class Seconds:
    """Where the time went: reading data and building the model, compiling, training; in seconds."""

    setup: float
    compile: float
    train: float

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Seconds:
        """The times from plain JSON; raises whatever damaged ones make it raise."""
        return cls(**{part: number(stored[part]) for part in ("setup", "compile", "train")})

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
        compiled_loss: of the validation part, what the loss that the model was compiled with comes to, where that is
            another number than the cross-entropy: with penalties on weights, say, or weights of images. None where it
            is the same.
    """

    loss: float | None
    accuracy: float | None
    count: int
    interval: Interval | None = None
    compiled_loss: float | None = None

    @property
    def is_measured(self) -> bool:
        """Whether any image was asked about; a part may have images that nobody scored."""
        return self.loss is not None or self.accuracy is not None

    @classmethod
    def held_out(cls, loss: float, correct: int, count: int) -> PartResult:
        """The result on images that were not trained on, of which `correct` were classified rightly."""
        return cls(loss, correct / count, count, Interval.wilson(correct, count))

    @staticmethod
    def spreads(parts: Sequence[PartResult | None]) -> dict[str, Spread]:
        """`loss` (nats) and `accuracy` (0 to 1) over seeds; each is left out where a seed has none."""
        found = {
            "loss": [None if part is None else part.loss for part in parts],
            "accuracy": [None if part is None else part.accuracy for part in parts],
        }
        return {
            name: Spread.of(value for value in values if value is not None)
            for name, values in found.items()
            if None not in values
        }


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
        model_file: the Python file that the model came from; None where it came from none.
        weights_sha256: hash of the weights, as `runs.weights` computes it; None in runs of older versions.
        teaching: of a run that was taught by photos, what it was taught and how well, as plain JSON; else None.
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
    model_file: RecordedFile | None = None
    weights_sha256: str | None = None
    teaching: Mapping[str, Any] | None = None

    @property
    def has_score(self) -> bool:
        """Whether the run has a test score."""
        return any(one.score is not None for one in self.looks)

    @property
    def has_epochs(self) -> bool:
        """Whether it was trained in epochs: a classifier of scikit-learn's is fitted in one go."""
        return self.recipe.get("estimator") is None

    def teach_command(self, path: Path) -> str | None:
        """A line for a shell that teaches the same again; None for a run that was trained.

        Args:
            path: the run's folder.
        """
        if self.teaching is None:
            return None
        return shlex.join(["fittingroom", "teach", str(path / BASE_NAME), self.data.name.partition(":")[2]])

    def trained_recipe(self, **changes: Any) -> Recipe:
        """The recipe that the record names, with some settings changed.

        Raises:
            RunError: a setting makes no sense, so the record is damaged.
        """
        from fittingroom.recipes.recipe import Recipe

        try:
            return Recipe.from_dict({**self.recipe, **changes})
        except InputError as error:
            raise RunError(f"run.json is damaged: its recipe says {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """The contents of `run.json`."""
        facts = {"format": FORMAT, **dataclasses.asdict(self)}
        if self.teaching is None:
            del facts["teaching"]
        return facts

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> RunRecord:
        """The record that `to_dict` gave. Keys that this version does not know are left out.

        Raises:
            RunError: it was written in a newer format, or something is missing.
        """
        check_format(stored, FORMAT)
        try:
            return _read_record(stored)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            what = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            raise RunError(f"run.json is damaged: {what}.") from error


def _read_record(stored: Mapping[str, Any]) -> RunRecord:
    if stored["status"] not in get_args(Status):
        raise ValueError(f"status must be one of {', '.join(get_args(Status))}, got {stored['status']!r}")
    validation = stored["validation"]
    return RunRecord(
        created=text(stored["created"]),
        status=stored["status"],
        reason=None if stored["reason"] is None else str(stored["reason"]),
        recipe=_read_recipe(stored["recipe"]),
        data=DataRecord.from_dict(stored["data"]),
        seed=whole(stored["seed"]),
        epochs=whole(stored["epochs"]),
        environment=_read_environment(stored["environment"]),
        seconds=Seconds.from_dict(stored["seconds"]),
        train=_read_part(stored["train"]),
        validation=None if validation is None else _read_part(validation),
        notes=tuple(str(note) for note in stored["notes"]),
        looks=tuple(read_look(look) for look in stored["looks"]),
        model_file=read_model_file(stored.get("model_file")),
        weights_sha256=optional(text, stored.get("weights_sha256")),
        teaching=optional(read_teaching, stored.get("teaching")),
    )


def read_model_file(stored: Mapping[str, Any] | None) -> RecordedFile | None:
    """The record of a model file from plain JSON; raises whatever a damaged one makes it raise."""
    return None if stored is None else RecordedFile(*(str(stored[name]) for name in ("path", "function", "sha256")))


def _read_environment(stored: Mapping[str, Any]) -> Environment:
    environment = known_fields(Environment, {**stored, "versions": dict(stored["versions"])})
    check_plain(dict(environment.versions))
    for name in (environment.processor, environment.platform, environment.device, *environment.versions.values()):
        text(name)
    for count in (environment.cores, environment.devices, environment.threads or 0):
        whole(count)
    return environment


def _read_recipe(stored: Mapping[str, Any]) -> dict[str, Any]:
    recipe = {**stored, "name": text(stored["name"])}
    check_plain({key: value for key, value in recipe.items() if key != "model"})  # which may be a path of any bytes
    return recipe


def read_look(stored: Mapping[str, Any]) -> Look:
    """A look from plain JSON; raises whatever a damaged one makes it raise."""
    uncounted = dict.fromkeys(("ledger", "number", "hash"))
    look = known_fields(Look, {**uncounted, **stored})
    for one in (text(look.time), text(look.reason), look.ledger, look.hash):
        optional(text, one)
    if look.number is not None:
        whole(look.number)
    if look.score is not None:
        _check_score(look.score)
    return look


def _read_part(stored: Mapping[str, Any]) -> PartResult:
    interval = stored["interval"]
    return PartResult(
        loss=optional(number, stored["loss"]),
        accuracy=optional(share, stored["accuracy"]),
        count=whole(stored["count"]),
        interval=None if interval is None else Interval(share(interval[0]), share(interval[1])),
        compiled_loss=optional(number, stored.get("compiled_loss")),
    )


def _check_score(stored: Any) -> None:
    """Makes sure that a score has all that `evaluation.scores.Scores.to_dict` gives, each of its kind."""
    score = dict(stored.items())
    confusion, classes = score["confusion"], score["per_class"]
    optional(number, score["loss"])
    share(score["accuracy"])
    low, high = score["interval"]
    if not share(low) <= share(high):
        raise ValueError(f"a score's interval must be two rising numbers, got {low} and {high}")
    if whole(score["correct"]) > whole(score["count"]) or not score["count"]:
        raise ValueError(f"a score must have 0 to count images right, got {score['correct']} of {score['count']}")
    if not isinstance(confusion, list) or not confusion or len(confusion) != len(classes):
        raise ValueError("a score's confusion matrix must have a row for each class")
    if any(len(row) != len(classes) for row in confusion) or not sum(whole(cell) for row in confusion for cell in row):
        raise ValueError("a score's confusion matrix must have a column for each class, and images")
    for one in classes:
        text(one["name"])
