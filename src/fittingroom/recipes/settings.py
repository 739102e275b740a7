"""What each key of a recipe may hold: one check per key, and the reading of its value from text.

A check gets any value that Python, TOML, JSON or the command line may give, and returns it in the form that a recipe
keeps (tuples, floats), or raises a RecipeError that shows the key, the value and what was expected.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from fittingroom.errors import RecipeError, UnknownNameError
from fittingroom.recipes.modelfile import parse_model_setting
from fittingroom.recipes.stop import parse_condition

ACTIVATIONS = ("elu", "gelu", "leaky_relu", "linear", "relu", "selu", "sigmoid", "silu", "softplus", "tanh")
OPTIMIZERS = ("adadelta", "adagrad", "adam", "adamax", "adamw", "lion", "nadam", "rmsprop", "sgd")
LOSSES = ("sparse_categorical_crossentropy",)

_LARGEST_LAYER = 1_000_000
_LARGEST_INTEGER = 2**31 - 1

# What people call these keys elsewhere, where the spelling alone does not lead to the right one.
_OTHER_WORDS = MappingProxyType(
    {
        "batch": "batch_size",
        "early_stopping": "stop",
        "layers": "hidden",
        "lr": "learning_rate",
        "neurons": "hidden",
        "normalize": "scale",
        "rescale": "scale",
        "units": "hidden",
    }
)


def check_setting(key: str, value: Any) -> Any:
    """The value in the form that a recipe keeps.

    Raises:
        RecipeError, UnknownNameError: the key is unknown, or the value makes no sense for it.
    """
    check = _CHECKS.get(key)
    if check is None:
        raise unknown_key(key)
    return check(key, value)


def unknown_key(key: str) -> RecipeError:
    """The error for a key that recipes do not have; it names the nearest one and lists them all."""
    nearest = [_OTHER_WORDS[key]] if key in _OTHER_WORDS else difflib.get_close_matches(key, _CHECKS, n=1, cutoff=0.5)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return RecipeError(f"unknown key {key!r} in a recipe.{hint} Known: {', '.join(_CHECKS)}.")


def parse_setting(text: str) -> tuple[str, Any]:
    """Key and checked value of `KEY=VALUE`, as in `hidden=512,256`, `dropout=0.2`, `scale=off` or `stop=`.

    Raises:
        RecipeError, UnknownNameError: there is no `=`, or `check_setting` refuses the key or the value.
    """
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals:
        raise RecipeError(f"setting {text!r}: expected KEY=VALUE, for example hidden=512 or dropout=0.2.")
    if key not in _CHECKS:
        raise unknown_key(key)
    return key, check_setting(key, _from_text(key, value.strip()))


def _from_text(key: str, text: str) -> Any:
    """The value that a text means for this key; a text that means none stays text, so that the check shows it."""
    if key in {"hidden", "stop"}:
        inner = text.removeprefix("[").removesuffix("]").removeprefix("(").removesuffix(")").strip(" ,")
        parts = [part.strip() for part in inner.split(",")] if inner and inner != "none" else []
        return [_number(part, int) for part in parts] if key == "hidden" else parts
    if key == "scale":
        return {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}.get(
            text.lower(), text
        )
    if key in {"epochs", "batch_size"}:
        return _number(text, int)
    if key in {"learning_rate", "dropout"}:
        return _number(text, float)
    if key == "model":
        return text or None
    return text


def _number(text: str, kind: Callable[[str], Any]) -> Any:
    try:
        return kind(text)
    except ValueError:
        return text


def _refuse(key: str, value: Any, expected: str) -> NoReturn:
    shown = repr(list(value)) if isinstance(value, tuple) else repr(value)
    if len(shown) > 80:
        shown = shown[:77] + "..."
    raise RecipeError(f"{key} = {shown}: expected {expected}.")


def _is_integer(value: Any, lowest: int, highest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and lowest <= value <= highest


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_name(key: str, value: Any) -> str:
    if not (isinstance(value, str) and value.strip() and value.isprintable() and len(value) <= 100):
        _refuse(key, value, "a name of 1 to 100 printable characters")
    return value


def _check_hidden(key: str, value: Any) -> tuple[int, ...]:
    sizes = (value,) if isinstance(value, int) else value
    if not isinstance(sizes, tuple | list) or not all(_is_integer(size, 1, _LARGEST_LAYER) for size in sizes):
        _refuse(
            key,
            value,
            f"the sizes of the hidden layers, whole numbers from 1 to {_LARGEST_LAYER:,}, "
            "for example [512, 256] for two layers or [] for none",
        )
    return tuple(sizes)


def _check_positive_integer(key: str, value: Any) -> int:
    if not _is_integer(value, 1, _LARGEST_INTEGER):
        _refuse(key, value, "a whole number, 1 or more")
    return int(value)


def _check_learning_rate(key: str, value: Any) -> float:
    if not (_is_number(value) and 0 < value <= 1e9):
        _refuse(key, value, "a number above 0 and at most 1e9, for example 0.001")
    return float(value)


def _check_dropout(key: str, value: Any) -> float:
    if not (_is_number(value) and 0 <= value < 1):
        _refuse(key, value, "the share of a layer's outputs to drop, from 0 (none) up to but not including 1")
    return float(value)


def _check_scale(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        _refuse(key, value, "true (divide the pixels so that they lie in 0 to 1) or false")
    return value


def _check_known(names: Iterable[str]) -> Callable[[str, Any], str]:
    def check(key: str, value: Any) -> str:
        known = tuple(names)
        if not isinstance(value, str):
            _refuse(key, value, f"one of {', '.join(known)}")
        if value not in known:
            raise UnknownNameError(key, value, known)
        return value

    return check


def _check_loss(key: str, value: Any) -> str:
    if value not in LOSSES:
        _refuse(
            key,
            value,
            f"{LOSSES[0]!r}, the cross-entropy for labels that are whole numbers, as they are here; "
            "a model of your own with another loss can be trained with fittingroom.fit",
        )
    return str(value)


def _check_stop(key: str, value: Any) -> tuple[str, ...]:
    conditions = (value,) if isinstance(value, str) else value
    if not isinstance(conditions, tuple | list) or not all(isinstance(text, str) for text in conditions):
        _refuse(key, value, "a list of stop conditions, for example ['loss<0.4']")
    return tuple(parse_condition(text).text for text in conditions)


def _check_model(key: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        _refuse(key, value, "FILE.py:FUNCTION, for example 'mymodel.py:build'")
    return parse_model_setting(value).text


_CHECKS: Mapping[str, Callable[[str, Any], Any]] = MappingProxyType(
    {
        "name": _check_name,
        "hidden": _check_hidden,
        "activation": _check_known(ACTIVATIONS),
        "dropout": _check_dropout,
        "scale": _check_scale,
        "loss": _check_loss,
        "optimizer": _check_known(OPTIMIZERS),
        "learning_rate": _check_learning_rate,
        "epochs": _check_positive_integer,
        "batch_size": _check_positive_integer,
        "stop": _check_stop,
        "model": _check_model,
    }
)
"""One check for each key of a recipe, in the order in which a recipe lists them."""
