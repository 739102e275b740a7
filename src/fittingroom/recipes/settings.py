"""What each key of a recipe may hold: one check per key, and the reading of its value from text.

A check gets any value that Python, TOML, JSON or the command line may give, and returns it in the form that a recipe
keeps (tuples, floats), or raises a RecipeError that shows the key, the value and what was expected. The values of
`augment`, texts such as `flip`, `shift 2` and `cutout 8`, are read here too; those of `stop` in `stop`.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NoReturn

from fittingroom.errors import RecipeError, UnknownNameError
from fittingroom.recipes.modelfile import ModelFile
from fittingroom.recipes.stop import StopRule
from fittingroom.text import word_list

ACTIVATIONS = ("elu", "gelu", "leaky_relu", "linear", "relu", "selu", "sigmoid", "silu", "softplus", "tanh")
OPTIMIZERS = ("adadelta", "adagrad", "adam", "adamax", "adamw", "lion", "nadam", "rmsprop", "sgd")
LOSSES = ("sparse_categorical_crossentropy",)
SCHEDULES = ("constant", "cosine")
PRECISIONS = ("float32", "mixed_bfloat16")
CLASS_WEIGHTS = ("balanced",)
FEATURES = ("pixels", "hog")
ALL: Literal["all"] = "all"
"""The value of `unfreeze` for the whole backbone."""

_LARGEST_LAYER = 1_000_000
_LARGEST_INTEGER = 2**31 - 1
_EXAMPLE = "sklearn.svm:SVC(C=10)"
_POSITIVE = "a whole number, 1 or more"

# How `--set` reads the values of keys that do not hold text.
_LISTS = frozenset({"augment", "stop", "test_views"})
_SWITCHES = frozenset({"batch_norm", "residual", "scale"})
_SWITCHED = MappingProxyType({"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False})
_INTEGERS = frozenset({"batch_size", "epochs", "unfreeze", "views"})
_FLOATS = frozenset({"dropout", "label_smoothing", "learning_rate", "warmup", "weight_decay"})
_OPTIONAL = frozenset({"backbone", "class_weight", "estimator", "model", "weight_decay"})

# What people call these keys elsewhere, where the spelling alone does not lead to the right one.
OTHER_WORDS = MappingProxyType(
    {
        "augmentation": "augment",
        "base_model": "backbone",
        "batch": "batch_size",
        "batchnorm": "batch_norm",
        "class_weights": "class_weight",
        "classifier": "estimator",
        "conv": "convolutions",
        "early_stopping": "stop",
        "filters": "convolutions",
        "layers": "hidden",
        "lr": "learning_rate",
        "neurons": "hidden",
        "normalize": "scale",
        "pretrained": "backbone",
        "rescale": "scale",
        "units": "hidden",
    }
)


@dataclass(frozen=True)
class Setting:
    """A key of a recipe, and a value that it may hold.

    Args:
        key: a field of `Recipe`.
        value: anything; it is kept in the form that a recipe has it in.

    Raises:
        RecipeError, UnknownNameError: the key is unknown, or the value makes no sense for it.
    """

    key: str
    value: Any

    def __post_init__(self) -> None:
        check = _CHECKS.get(self.key)
        if check is None:
            raise self.unknown(self.key)
        object.__setattr__(self, "value", check(self.key, self.value))

    @classmethod
    def parse(cls, text: str) -> Setting:
        """The setting that `KEY=VALUE` means, as in `hidden=512,256`, `dropout=0.2`, `scale=off` or `stop=`.

        Raises:
            RecipeError, UnknownNameError: there is no `=`, or as for any setting.
        """
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals:
            raise RecipeError(f"setting {text!r}: expected KEY=VALUE, for example hidden=512 or dropout=0.2.")
        if key not in _CHECKS:
            raise cls.unknown(key)
        return cls(key, _from_text(key, value.strip()))

    @staticmethod
    def unknown(key: str) -> RecipeError:
        """The error for a key that recipes do not have; it names the nearest one and lists them all."""
        nearest = [OTHER_WORDS[key]] if key in OTHER_WORDS else difflib.get_close_matches(key, _CHECKS, n=1, cutoff=0.5)
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        return RecipeError(f"unknown key {key!r} in a recipe.{hint} Known: {', '.join(_CHECKS)}.")


# Random change of a training image -> what its number means; None where it takes none.
AUGMENTATIONS: Mapping[str, str | None] = MappingProxyType(
    {
        "flip": None,
        "shift": "pixels, at most, up or down and left or right",
        "cutout": "pixels, the side of the square that is blackened",
        "spare": "percent of the images, which go without what follows",
        "rotate": "degrees, at most, either way",
        "stretch": "percent, at most, by which each side grows or shrinks",
        "bend": "pixels, at most, by which parts of the image move against each other",
        "contrast": "percent, at most, by which contrast and brightness of the foreground change",
        "invert": "percent of the images whose foreground is inverted",
        "texture": "percent of the full brightness, at most, that blotches and stripes add to the foreground",
        "bite": "percent of the images whose foreground has pieces missing",
        "clutter": "percent of the images that have pieces of background",
        "blur": "pixels, at most, of a Gaussian's deviation",
        "crop": "percent of the image's area, at most, that is cut away",
        "colour": "percent, at most, by which brightness, contrast and saturation change",
    }
)
PHOTO_AUGMENTATIONS = ("crop", "flip", "colour")
"""Those that can be made of photographs before a backbone sees them."""
_LARGEST_STRENGTH = 1000
_LARGEST_STRENGTHS = MappingProxyType({"crop": 95, "colour": 100})


@dataclass(frozen=True)
class Augmentation:
    """One random change of an image.

    Args:
        name: a key of `AUGMENTATIONS`.
        strength: its number, in the unit that `AUGMENTATIONS` says; None for `flip`, which mirrors every second image,
            left to right.
    """

    name: str
    strength: int | None = None

    @classmethod
    def of(cls, text: str) -> Augmentation:
        """The augmentation that a text such as `shift 2` names.

        Raises:
            RecipeError: its number is missing, makes no sense, or is one too many.
            UnknownNameError: the augmentation is unknown; the message lists the known ones.
        """
        name, _, number = " ".join(text.split()).partition(" ")
        if name not in AUGMENTATIONS:
            raise UnknownNameError("augmentation", name, AUGMENTATIONS)
        meaning = AUGMENTATIONS[name]
        if meaning is None:
            if number:
                raise RecipeError(f"augmentation {text!r}: expected {name!r} alone, without a number.")
            return cls(name)
        most = _LARGEST_STRENGTHS.get(name, _LARGEST_STRENGTH)
        if not re.fullmatch(r"[0-9]{1,4}", number) or not 1 <= int(number) <= most:
            raise RecipeError(
                f"augmentation {text!r}: expected a whole number from 1 to {most:,} ({meaning}), for "
                f"example '{name} {2 if most == _LARGEST_STRENGTH else 30}'."
            )
        return cls(name, int(number))

    @property
    def text(self) -> str:
        """The augmentation in its plain spelling."""
        return self.name if self.strength is None else f"{self.name} {self.strength}"


def _from_text(key: str, text: str) -> Any:
    """The value that a text means for this key; a text without a meaning stays text, so that the check shows it."""
    if key in _OPTIONAL and not text:
        return None
    if key in _SWITCHES:
        return _SWITCHED.get(text.lower(), text)
    if key in _INTEGERS | _FLOATS:
        return _number(text, int if key in _INTEGERS else float)
    if key in _LISTS:
        return _parts(text)
    if key == "hidden":
        return [_number(part, int) for part in _parts(text)]
    return _stages(text) if key == "convolutions" else text


def _stages(text: str) -> list[list[Any]]:
    """The stages of `32/64,64` or `[[32], [64, 64]]`; nothing and `none` have none."""
    stages = re.sub(r"\]\s*,\s*\[", "/", text).replace("[", "").replace("]", "").split("/")
    if len(stages) == 1 and not _parts(stages[0]):
        return []
    return [[_number(part, int) for part in _parts(stage)] for stage in stages]


def _parts(text: str) -> list[str]:
    """The items of `a, b`, `[a, b]` or `(a, b)`; nothing and `none` have none."""
    inner = text.strip().removeprefix("[").removesuffix("]").removeprefix("(").removesuffix(")").strip(" ,")
    return [part.strip() for part in inner.split(",")] if inner and inner != "none" else []


def _number(text: str, kind: Callable[[str], Any]) -> Any:
    try:
        return kind(text)
    except ValueError:
        return text


def _refuse(key: str, value: Any, expected: str) -> NoReturn:
    shown = repr(list(value) if isinstance(value, tuple) else value)
    raise RecipeError(f"{key} = {shown if len(shown) <= 80 else f'{shown[:77]}...'}: expected {expected}.")


def _is_integer(value: Any, lowest: int, highest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_name(longest: int) -> Callable[[str, Any], str]:
    def check(key: str, value: Any) -> str:
        if not (isinstance(value, str) and value.strip() and value.isprintable() and len(value) <= longest):
            _refuse(key, value, f"a name of 1 to {longest} printable characters")
        return value

    return check


def _check_hidden(key: str, value: Any) -> tuple[int, ...]:
    sizes = (value,) if isinstance(value, int) else value
    if not isinstance(sizes, tuple | list) or not all(_is_integer(size, 1, _LARGEST_LAYER) for size in sizes):
        expected = f"the sizes of the hidden layers, whole numbers from 1 to {_LARGEST_LAYER:,}, "
        _refuse(key, value, f"{expected}for example [512, 256] for two layers or [] for none")
    return tuple(sizes)


def _check_integer(lowest: int, highest: int, expected: str) -> Callable[[str, Any], int]:
    def check(key: str, value: Any) -> int:
        if not _is_integer(value, lowest, highest):
            _refuse(key, value, expected)
        return int(value)

    return check


def _check_unfreeze(key: str, value: Any) -> int | str:
    expected = "how many of the backbone's last blocks are trained, 0 for none, or 'all'"
    return ALL if isinstance(value, str) and value == ALL else _check_integer(0, 1000, expected)(key, value)


def _check_optional(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    return lambda key, value: None if value is None else check(key, value)


def _check_learning_rate(key: str, value: Any) -> float:
    if not (_is_number(value) and 0 < value <= 1e9):
        _refuse(key, value, "a number above 0 and at most 1e9, for example 0.001")
    return float(value)


def _check_share(meaning: str) -> Callable[[str, Any], float]:
    def check(key: str, value: Any) -> float:
        if not (_is_number(value) and 0 <= value < 1):
            _refuse(key, value, f"{meaning}, from 0 (none) up to but not including 1")
        return float(value)

    return check


def _check_weight_decay(key: str, value: Any) -> float:
    if not (_is_number(value) and 0 <= value < 1):
        expected = "the share of each weight to subtract per step and learning rate, from 0 up to but not including 1"
        _refuse(key, value, expected)
    return float(value)


def _check_switch(meaning: str) -> Callable[[str, Any], bool]:
    def check(key: str, value: Any) -> bool:
        return value if isinstance(value, bool) else _refuse(key, value, f"true ({meaning}) or false")

    return check


def _check_convolutions(key: str, value: Any) -> tuple[tuple[int, ...], ...]:
    stages = value if isinstance(value, tuple | list) else None
    if stages is None or not all(
        isinstance(stage, tuple | list) and stage and all(_is_integer(size, 1, _LARGEST_LAYER) for size in stage)
        for stage in stages
    ):
        expected = (
            "the features of the 3x3 convolutions, one list for each stage, for example [[32], [64, 64]] for one "
            "convolution, pooling and two more, or [] for none"
        )
        _refuse(key, value, expected)
    return tuple(tuple(stage) for stage in stages)


def _texts(key: str, value: Any, expected: str) -> Iterable[str]:
    texts = (value,) if isinstance(value, str) else value
    if not isinstance(texts, tuple | list) or not all(isinstance(text, str) for text in texts):
        _refuse(key, value, expected)
    return texts


def _check_augment(key: str, value: Any) -> tuple[str, ...]:
    changes = _texts(key, value, "a list of augmentations, for example ['flip', 'shift 2']")
    return tuple(Augmentation.of(text).text for text in changes)


def _check_test_views(key: str, value: Any) -> tuple[str, ...]:
    views = _check_augment(key, value)
    names = [view.partition(" ")[0] for view in views]
    if len(set(names)) < len(names) or not set(names) <= {"flip", "shift"}:
        _refuse(key, value, "'flip', 'shift N', both, or [] for the image alone")
    return views


def _check_known(known: Sequence[str]) -> Callable[[str, Any], str]:
    def check(key: str, value: Any) -> str:
        if not isinstance(value, str):
            _refuse(key, value, f"one of {word_list(known, 'or')}")
        if value not in known:
            raise UnknownNameError(key, value, known)
        return value

    return check


def _check_loss(key: str, value: Any) -> str:
    if value not in LOSSES:
        expected = f"{LOSSES[0]!r}, the cross-entropy for labels that are whole numbers, as they are here; "
        _refuse(key, value, f"{expected}a model of your own with another loss can be trained with fittingroom.fit")
    return str(value)


def _check_stop(key: str, value: Any) -> tuple[str, ...]:
    conditions = _texts(key, value, "a list of stop conditions, for example ['loss<0.4']")
    return tuple(StopRule.parse(text).text for text in conditions)


def _check_text(expected: str, plain: Callable[[str], str]) -> Callable[[str, Any], str]:
    def check(key: str, value: Any) -> str:
        return plain(value) if isinstance(value, str) else _refuse(key, value, expected)

    return check


def _plain_estimator(text: str) -> str:
    from fittingroom.recipes.estimator_text import EstimatorText

    return EstimatorText.of(text).text


_CHECKS: Mapping[str, Callable[[str, Any], Any]] = MappingProxyType(
    {
        "name": _check_name(100),
        "backbone": _check_optional(_check_name(500)),
        "unfreeze": _check_unfreeze,
        "views": _check_integer(0, 100, "how many changed copies of each training image are kept, 0 to 100"),
        "convolutions": _check_convolutions,
        "residual": _check_switch("add the input of each pair of convolutions to its output"),
        "hidden": _check_hidden,
        "activation": _check_known(ACTIVATIONS),
        "batch_norm": _check_switch("normalize each layer's outputs over the batch"),
        "dropout": _check_share("the share of a layer's outputs to drop"),
        "augment": _check_augment,
        "scale": _check_switch("divide the pixels so that they lie in 0 to 1"),
        "loss": _check_loss,
        "label_smoothing": _check_share("the share of the label that is spread over all classes"),
        "class_weight": _check_optional(_check_known(CLASS_WEIGHTS)),
        "optimizer": _check_known(OPTIMIZERS),
        "learning_rate": _check_learning_rate,
        "schedule": _check_known(SCHEDULES),
        "warmup": _check_share("the share of all steps in which the learning rate rises"),
        "weight_decay": _check_optional(_check_weight_decay),
        "epochs": _check_integer(1, _LARGEST_INTEGER, _POSITIVE),
        "batch_size": _check_integer(1, _LARGEST_INTEGER, _POSITIVE),
        "precision": _check_known(PRECISIONS),
        "test_views": _check_test_views,
        "stop": _check_stop,
        "model": _check_optional(
            _check_text("FILE.py:FUNCTION, for example 'mymodel.py:build'", lambda text: ModelFile.of(text).text)
        ),
        "estimator": _check_optional(_check_text(f"MODULE:EXPRESSION, for example {_EXAMPLE!r}", _plain_estimator)),
        "features": _check_known(FEATURES),
    }
)
"""One check for each key of a recipe, in the order in which a recipe lists them."""
