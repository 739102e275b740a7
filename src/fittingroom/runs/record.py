"""What the `run.json` of a seed says: everything about one training that is not an array."""

from __future__ import annotations

import dataclasses
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args

from fittingroom.data.ranges import ANY_VALUES, ValueRange
from fittingroom.errors import InputError, RunError
from fittingroom.evaluation.spread import Interval
from fittingroom.recipes.modelfile import RecordedFile
from fittingroom.runs.environment import Environment
from fittingroom.runs.json_files import (
    check_plain,
    check_score,
    number,
    optional,
    share,
    text,
    whole,
)

if TYPE_CHECKING:
    from fittingroom.recipes.recipe import Recipe

FORMAT = 1
"""The form of a seed's record. It grows by one when an older version could no longer read what is written."""

_LARGEST_IMAGE = 2**26
"""Numbers in one image. A model is built for images of the recorded shape, whatever its file has of them."""

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
        values: the range of the training images' values, for plain arrays; None for a dataset, whose raw pixels go from
            0 to `scale`, and for arrays of runs from before it was recorded.
    """

    name: str
    fingerprint: str
    test_fingerprint: str
    classes: tuple[str, ...]
    image_shape: tuple[int, ...]
    scale: float
    counts: Mapping[str, int]
    load: Mapping[str, Any] | None
    values: ValueRange | None = None

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> DataRecord:
        """The record of data from plain JSON; raises whatever a damaged one makes it raise."""
        classes, shape = tuple(stored["classes"]), tuple(stored["image_shape"])
        for name in classes:
            if not isinstance(name, str) or any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
                raise ValueError(f"the name of a class must be printable text, got {name!r}")
        if not all(_is_count(side) and side for side in shape) or math.prod(shape) > _LARGEST_IMAGE:
            raise ValueError(f"image_shape must be whole numbers of pixels, got {list(shape)!r}")
        if not number(stored["scale"]) > 0:
            raise ValueError(f"scale must be a number above 0, got {stored['scale']!r}")
        counts, load = dict(stored["counts"]), stored["load"]
        if not all(_is_count(counts[part]) for part in ("train", "validation", "test")):
            raise ValueError(f"counts must be whole numbers of images, got {counts!r}")
        if not (load is None or isinstance(load, dict)):
            raise ValueError(f"load must be an object or null, got {load!r}")
        texts = {name: str(stored[name]) for name in ("name", "fingerprint", "test_fingerprint")}
        values = None if stored.get("values") is None else ValueRange.from_dict(stored["values"])
        facts = {"classes": classes, "image_shape": shape, "counts": counts, "values": values}
        return known_fields(cls, {**stored, **texts, **facts})

    @property
    def has_test_set(self) -> bool:
        """Whether there is a sealed test set: plain arrays have none."""
        return bool(self.test_fingerprint) and self.counts["test"] > 0

    @property
    def as_given(self) -> bool:
        """Whether `fit` was given plain arrays, which went into the model as they are."""
        return self.load is None and self.scale == 1.0

    @property
    def range(self) -> ValueRange:
        """The values that the model takes: those of a dataset's raw pixels, or of the arrays that `fit` was given."""
        return (self.values or ANY_VALUES) if self.as_given else ValueRange.of_scale(self.scale)

    @property
    def picture_shape(self) -> tuple[int, ...]:
        """`(height, width)` or `(height, width, 3)` of a picture that has exactly the model's numbers.

        It is the image shape without an axis of one channel, or that of a square picture whose rows lie in one row.
        Where there is none, it is the image shape as it is.
        """
        shape = self.image_shape
        if len(shape) == 3 and shape[2] == 1:
            return shape[:2]
        if len(shape) != 1:
            return shape
        for channels in ((), (3,)):
            side = math.isqrt(shape[0] // math.prod(channels))
            if side * side * math.prod(channels) == shape[0]:
                return (side, side, *channels)
        return shape

    @property
    def takes_pictures(self) -> bool:
        """Whether it is known which of the model's values stand for a picture's black and white."""
        return self.range.white is not None


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
        compiled_loss: of the validation part, what the loss that the model was compiled with comes to, where that is
            another number than the cross-entropy: with penalties on weights, say, or weights of images. None where it
            is the same.
    """

    loss: float | None
    accuracy: float | None
    count: int
    interval: Interval | None = None
    compiled_loss: float | None = None

    @classmethod
    def held_out(cls, loss: float, correct: int, count: int) -> PartResult:
        """The result on images that were not trained on, of which `correct` were classified rightly."""
        return cls(loss, correct / count, count, Interval.wilson(correct, count))


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

    @property
    def has_score(self) -> bool:
        """Whether the run has a test score."""
        return any(one.score is not None for one in self.looks)

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
        return {"format": FORMAT, **dataclasses.asdict(self)}

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


def check_format(stored: Mapping[str, Any], newest: int, name: str = "run.json") -> None:
    """Makes sure that a file of a run is written in a format that this version reads.

    Args:
        stored: its contents.
        newest: the newest format that is read.
        name: the file's name.

    Raises:
        RunError: it is in a newer format, or the file is damaged.
    """
    found = stored.get("format")
    if not isinstance(found, int) or isinstance(found, bool) or found < 1:
        raise RunError(f"{name} is damaged: its format is {found!r}, not a number.")
    if found > newest:
        from fittingroom import __version__

        environment = stored.get("environment")
        versions = environment.get("versions") if isinstance(environment, Mapping) else None
        writer = str(versions.get("fittingroom", "")) if isinstance(versions, Mapping) else ""
        raise RunError(
            f"{name} has format {found}, and this fittingroom {__version__} reads formats up to {newest}. Upgrade to "
            f"{f'version {writer} or newer' if writer else 'a newer version'}: pip install --upgrade fittingroom."
        )


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
        seconds=Seconds(**{part: number(stored["seconds"][part]) for part in ("setup", "compile", "train")}),
        train=_read_part(stored["train"]),
        validation=None if validation is None else _read_part(validation),
        notes=tuple(str(note) for note in stored["notes"]),
        looks=tuple(_read_look(look) for look in stored["looks"]),
        model_file=read_model_file(stored.get("model_file")),
        weights_sha256=optional(text, stored.get("weights_sha256")),
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40


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


def _read_look(stored: Mapping[str, Any]) -> Look:
    uncounted = dict.fromkeys(("ledger", "number", "hash"))
    look = known_fields(Look, {**uncounted, **stored})
    for one in (text(look.time), text(look.reason), look.ledger, look.hash):
        optional(text, one)
    if look.number is not None:
        whole(look.number)
    if look.score is not None:
        check_score(look.score)
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


def known_fields(kind: type[T], stored: Mapping[str, Any]) -> T:
    """The fields that `kind` has; one with a default may be missing, as in records of older versions."""
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    wanted = [field.name for field in fields if field.name in stored or field.default is dataclasses.MISSING]
    return kind(**{name: stored[name] for name in wanted})
