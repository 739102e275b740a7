"""A recipe: everything that decides a training run except the data and the seed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fittingroom.errors import RecipeError
from fittingroom.recipes.modelfile import parse_model_setting
from fittingroom.recipes.settings import check_setting, parse_setting, unknown_key

# Fields that change how long a program is called, or what the recipe is called, but not the compiled program.
_NOT_IN_PROGRAM = frozenset({"name", "epochs", "stop"})


@dataclass(frozen=True)
class Recipe:
    """How a model is built and trained. Every value is checked when the recipe is made.

    Args:
        name: what tables and run folders call it.
        hidden: sizes of the hidden layers, first to last; `()` is a linear classifier.
        activation: activation function of the hidden layers, by Keras's name.
        dropout: share of each hidden layer's outputs that is dropped while training, 0 up to but not including 1.
        scale: whether pixels are divided by the dataset's scale (255 for 8-bit images), so that they lie in 0 to 1.
        loss: `sparse_categorical_crossentropy`, in nats.
        optimizer: by Keras's name, with Keras's defaults except for the learning rate.
        learning_rate: step size of the optimizer, above 0. (Keras's own default depends on the optimizer.)
        epochs: passes over the training images, at most.
        batch_size: images per step.
        stop: conditions that end training early, as `stop.parse_condition` reads them.
        model: `FILE.py:FUNCTION`, a function without arguments that returns a Keras model, in place of `hidden`,
            `activation` and `dropout`. Where that model is compiled, its own loss and optimizer count.

    Raises:
        RecipeError, UnknownNameError: a value makes no sense; the message has the key, the value and what is expected.
    """

    name: str = "custom"
    hidden: tuple[int, ...] = (128,)
    activation: str = "relu"
    dropout: float = 0.0
    scale: bool = True
    loss: str = "sparse_categorical_crossentropy"
    optimizer: str = "adam"
    learning_rate: float = 0.001
    epochs: int = 5
    batch_size: int = 32
    stop: tuple[str, ...] = ()
    model: str | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, check_setting(field.name, getattr(self, field.name)))
        if self.dropout > 0 and not self.hidden and self.model is None:
            raise RecipeError(f"dropout = {self.dropout}: expected 0, since there is no hidden layer (hidden = []).")

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Recipe:
        """The recipe with these settings; a key that is left out has its default.

        Raises:
            RecipeError, UnknownNameError: an unknown key, or a value that makes no sense.
        """
        for key in settings:
            if key not in _KEYS:
                raise unknown_key(key)
        return cls(**settings)

    def to_dict(self) -> dict[str, Any]:
        """All settings as plain JSON values."""
        values = {key: getattr(self, key) for key in _KEYS}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    def to_toml(self) -> str:
        """The recipe as a TOML file; `files.read_recipe` reads the same recipe back."""
        # JSON's strings, numbers, lists and booleans are TOML's too, for the printable text that a recipe holds.
        values = {key: value for key, value in self.to_dict().items() if value is not None}
        return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items())

    def changed(self, **settings: Any) -> Recipe:
        """This recipe with other settings. If any differs, the name gets a `+`: `course+` is no longer `course`.

        Raises:
            RecipeError, UnknownNameError: an unknown key, or a value that makes no sense.
        """
        result = Recipe.from_dict({**self.to_dict(), **settings})
        if result == self or result.name != self.name:
            return result
        return dataclasses.replace(result, name=f"{self.name.rstrip('+')}+")

    def with_settings(self, settings: Iterable[str]) -> Recipe:
        """This recipe changed by texts of the form `KEY=VALUE`, as `--set` gives them; a later one wins.

        Raises:
            RecipeError, UnknownNameError: a text of another form, an unknown key, or a value that makes no sense.
        """
        return self.changed(**dict(parse_setting(text) for text in settings))

    def program_fields(self) -> dict[str, Any]:
        """The settings that shape the compiled program: all but name, epochs and stop.

        A model of the user's own counts with the contents of its file, wherever it lies.

        Raises:
            RecipeError: the user's model file cannot be read.
        """
        return {key: value for key, value in self._decisive().items() if key not in _NOT_IN_PROGRAM}

    def digest(self) -> str:
        """16 hexadecimal digits that are equal exactly when all settings but the name are. Stable across versions.

        A model of the user's own counts with the contents of its file, wherever it lies. What that file imports is not
        seen.

        Raises:
            RecipeError: the user's model file cannot be read.
        """
        text = json.dumps(self._decisive(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _decisive(self) -> dict[str, Any]:
        values = self.to_dict()
        del values["name"]
        if self.model is not None:
            values["model"] = parse_model_setting(self.model).digest()
        return values


_KEYS = tuple(field.name for field in dataclasses.fields(Recipe))
