"""A recipe: everything that decides a training except the data and the seed.

As a TOML file it has one `key = value` per line, every key optional.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fittingroom.errors import RecipeError
from fittingroom.recipes.modelfile import ModelFile
from fittingroom.recipes.settings import ALL, PHOTO_AUGMENTATIONS, Augmentation, Setting
from fittingroom.recipes.toml import Form, Key
from fittingroom.text import word_list

# Fields that change how long a program is called, or what the recipe is called, but not the compiled program.
_NOT_IN_PROGRAM = frozenset({"name", "epochs", "stop"})
# Keys that older versions did not have: at their defaults they do not count in the digest, so that runs of then still
# have theirs.
_ADDED = frozenset(
    {
        "backbone",
        "unfreeze",
        "views",
        "class_weight",
        "convolutions",
        "residual",
        "batch_norm",
        "augment",
        "label_smoothing",
        "schedule",
        "warmup",
        "weight_decay",
        "precision",
        "test_views",
        "estimator",
        "features",
    }
)
# All that a classifier of scikit-learn's has; the rest is about networks.
_WITH_ESTIMATOR = frozenset({"name", "estimator", "features", "scale", "class_weight"})
# What a model of the user's own decides itself; its weight decay can still be set, since compiling it may not.
_NOT_WITH_MODEL = tuple(sorted(_ADDED - {"weight_decay", "estimator"}))
# What a backbone has of its own, or does before any of our layers sees an image.
_NOT_WITH_BACKBONE = ("convolutions", "residual", "scale", "precision")
DEFAULT_BACKBONE = "efficientnet-lite0"
_OWN_BACKBONE = "file:"


@dataclass(frozen=True)
class Recipe:
    """How a model is built and trained. Every value is checked when the recipe is made.

    Args:
        name: the recipe's name in tables and run folders.
        backbone: the pretrained network whose features the hidden layers get in place of pixels, by the name that
            `fittingroom.backbone` knows; None for none.
        unfreeze: how many of the backbone's last blocks are trained too, at a tenth of the learning rate and with their
            batch normalization frozen; 0 for none, `all` for the whole backbone.
        views: how many copies of each training image, changed by `augment`, are put through the backbone once. Each
            step then takes the image or one of its copies at random. 0 with `unfreeze = "all"`, where images change in
            each step.
        convolutions: features of the 3x3 convolutions before the hidden layers, in stages; `()` for none. Each stage
            ends with 2x2 max pooling, which halves the image.
        residual: whether the convolutions of a stage, after its first, come in pairs that add their input to their
            output (He et al. 2015, arXiv 1512.03385).
        hidden: sizes of the hidden layers, first to last; `()` is a linear classifier.
        activation: activation function of the convolutions and the hidden layers, by Keras's name.
        batch_norm: whether batch normalization stands between them and their activation.
        dropout: share of each hidden layer's outputs that is dropped while training, 0 up to but not including 1.
        augment: random changes of the training images, in this order, as `settings.Augmentation` reads them. Before a
            backbone: `crop N`, `flip` and `colour N`.
        scale: whether pixels are divided by the dataset's scale (255 for 8-bit images), so that they lie in 0 to 1.
        loss: `sparse_categorical_crossentropy`, in nats.
        label_smoothing: share of the label that is spread over all classes for the gradient. The loss that is shown
            stays the cross-entropy of the true class.
        class_weight: None, or `balanced`: every class counts alike in the training loss, however many images it has.
        optimizer: by Keras's name, with Keras's defaults except for the learning rate and what is set here.
        learning_rate: step size of the optimizer, above 0. (Keras's own default depends on the optimizer.)
        schedule: `constant`, or `cosine`, which lets the learning rate fall to 0 over all epochs.
        warmup: share of all steps in which the learning rate first rises from 0, for `cosine`.
        weight_decay: Keras's decoupled weight decay, for kernels; None for the optimizer's own default.
        epochs: passes over the training images, at most.
        batch_size: images per step.
        precision: `float32`, or `mixed_bfloat16`: 16-bit arithmetic with 32-bit weights, for a GPU.
        test_views: changed copies of an image whose answers are averaged with its own: `flip` for its mirror image,
            `shift N` for the image moved by N pixels, down to the right and up to the left (not before a backbone).
            Validation after each epoch looks at the image alone; that of the kept weights averages, as answers do.
        stop: conditions that end training early, as `StopRule.parse` reads them.
        model: `FILE.py:FUNCTION`, a function without arguments that returns a Keras model, in place of all that shapes
            the model and its images here. Where that model is compiled, its own loss and optimizer count.
        estimator: `MODULE:EXPRESSION`, a classifier with scikit-learn's interface in place of a network, as
            `estimator_text.EstimatorText` reads it; of what is above, only `scale` and `class_weight` count then.
        features: what the estimator gets of each image: `pixels`, or `hog`, histograms of oriented gradients.

    Raises:
        RecipeError, UnknownNameError: a value makes no sense; the message has the key, the value and what is expected.
    """

    name: str = "custom"
    backbone: str | None = None
    unfreeze: int | Literal["all"] = 0
    views: int = 0
    convolutions: tuple[tuple[int, ...], ...] = ()
    residual: bool = False
    hidden: tuple[int, ...] = (128,)
    activation: str = "relu"
    batch_norm: bool = False
    dropout: float = 0.0
    augment: tuple[str, ...] = ()
    scale: bool = True
    loss: str = "sparse_categorical_crossentropy"
    label_smoothing: float = 0.0
    class_weight: str | None = None
    optimizer: str = "adam"
    learning_rate: float = 0.001
    schedule: str = "constant"
    warmup: float = 0.0
    weight_decay: float | None = None
    epochs: int = 5
    batch_size: int = 32
    precision: str = "float32"
    test_views: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    model: str | None = None
    estimator: str | None = None
    features: str = "pixels"

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, Setting(field.name, getattr(self, field.name)).value)
        if self.estimator is not None:
            self._check_beside_estimator()
        elif self.model is not None:
            self._check_beside_model()
        else:
            self._check_together()
            self._check_backbone()

    def _check_together(self) -> None:
        """Raises RecipeError where one setting contradicts another."""
        if self.features != _DEFAULTS["features"]:
            raise RecipeError(
                f"features = {self.features!r}: expected {_DEFAULTS['features']!r}, since there is no estimator to get "
                "them. Set estimator = 'sklearn.svm:SVC()', for example."
            )
        if self.dropout > 0 and not self.hidden:
            raise RecipeError(f"dropout = {self.dropout}: expected 0, since there is no hidden layer (hidden = []).")
        if self.batch_norm and not (self.hidden or self.convolutions):
            raise RecipeError("batch_norm = True: expected false, since there is no layer for it (hidden = []).")
        if self.warmup > 0 and self.schedule == "constant":
            raise RecipeError(
                f"warmup = {self.warmup}: expected 0, since schedule = 'constant'. Set schedule = 'cosine'."
            )
        paired = all(len(stage) % 2 and set(stage[2::2]) <= {stage[0]} for stage in self.convolutions)
        if self.residual and not (self.convolutions and paired):
            raise RecipeError(
                f"residual = True: expected stages of one convolution and then pairs that end with as many features, "
                f"for example convolutions = [[32], [64, 64, 64]], not {[list(stage) for stage in self.convolutions]}."
            )

    def _check_backbone(self) -> None:
        """Raises RecipeError where a setting contradicts the backbone, or needs one."""
        if self.backbone is None:
            for key in ("unfreeze", "views"):
                if (value := getattr(self, key)) != 0:
                    raise RecipeError(
                        f"{key} = {value!r}: expected 0, since there is no backbone. Set backbone = "
                        f"'{DEFAULT_BACKBONE}', for example."
                    )
            return
        for key in _NOT_WITH_BACKBONE:
            if getattr(self, key) != _DEFAULTS[key]:
                raise RecipeError(
                    f"{key} = {_shown(getattr(self, key))}: expected {_shown(_DEFAULTS[key])}, the only value that "
                    f"goes with a backbone ({self.backbone!r})."
                )
        if self.unfreeze == ALL:
            if self.views:
                raise RecipeError(
                    f"views = {self.views}: expected 0, since with unfreeze = 'all' images change in each step."
                )
            return
        if any(text != "flip" for text in self.test_views):
            raise RecipeError(
                f"test_views = {_shown(self.test_views)}: expected ['flip'] or [] with a frozen backbone."
            )
        names = [Augmentation.of(text).name for text in self.augment]
        if not set(names) <= set(PHOTO_AUGMENTATIONS):
            raise RecipeError(
                f"augment = {_shown(self.augment)}: expected only {word_list(PHOTO_AUGMENTATIONS)} before a backbone."
            )
        if self.augment and not self.views:
            raise RecipeError(
                f"augment = {_shown(self.augment)}: expected [], since views = 0 keeps no changed images. "
                "Set views = 4, for example."
            )
        if self.views and not self.augment:
            raise RecipeError(
                f"views = {self.views}: expected 0, since augment = [] changes nothing. "
                "Set augment = ['crop 30', 'flip'], for example."
            )

    def _check_beside_model(self) -> None:
        """Raises RecipeError for a setting that a model of the user's own would not follow."""
        for key in _NOT_WITH_MODEL:
            if getattr(self, key) != _DEFAULTS[key]:
                raise RecipeError(
                    f"{key} = {getattr(self, key)!r}: expected {_DEFAULTS[key]!r}, since model = {self.model!r} "
                    "brings its own."
                )

    def _check_beside_estimator(self) -> None:
        """Raises RecipeError for a setting of networks."""
        for key in _KEYS:
            if key not in _WITH_ESTIMATOR and getattr(self, key) != _DEFAULTS[key]:
                raise RecipeError(
                    f"{key} = {_shown(getattr(self, key))} is a setting of networks, and {self.estimator!r} is fitted "
                    f"in one go, without epochs. Leave {key} out; what can be set stands in the estimator's brackets."
                )

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Recipe:
        """The recipe with these settings; a key that is left out has its default.

        Raises:
            RecipeError, UnknownNameError: an unknown key, or a value that makes no sense.
        """
        for key in settings:
            if key not in _KEYS:
                raise Setting.unknown(key)
        return cls(**settings)

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """The recipe in a TOML file. Without a `name`, the file's name is used.

        A relative path in `model`, `estimator` or `backbone` counts from the recipe's folder, so that files can lie
        side by side.

        Raises:
            RecipeError: the file is missing, is not TOML, or a key or a value makes no sense; with file and line.
        """
        table = RECIPE_FORM.read(path)
        settings = dict(table.items())
        if settings.get("model") is not None:
            settings["model"] = ModelFile.of(settings["model"]).beside(table.folder).text
        if settings.get("estimator") is not None:
            from fittingroom.recipes.estimator_text import EstimatorText

            settings["estimator"] = EstimatorText.of(settings["estimator"]).beside(table.folder).text
        if (backbone := settings.get("backbone")) is not None and backbone.startswith(_OWN_BACKBONE):
            settings["backbone"] = f"{_OWN_BACKBONE}{table.folder / backbone.removeprefix(_OWN_BACKBONE)}"
        return cls.from_dict({"name": path.stem, **settings})

    def to_dict(self) -> dict[str, Any]:
        """All settings as plain JSON values."""
        values = {key: getattr(self, key) for key in _KEYS}
        return {key: _as_list(value) for key, value in values.items()}

    def to_toml(self) -> str:
        """The recipe as a TOML file; `Recipe.read` reads the same recipe back."""
        # JSON's strings, numbers, lists and booleans are TOML's too, for the printable text that a recipe holds.
        values = {key: value for key, value in self.to_dict().items() if value is not None}
        return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in values.items())

    def changed(self, **settings: Any) -> Recipe:
        """This recipe with other settings. If any differs, the name gets a `+`: `course+` is no longer `course`.

        With a model of the user's own it gets the name of the function that makes it, and with an estimator that of its
        class: nothing of `course` is in them.

        Raises:
            RecipeError, UnknownNameError: an unknown key, or a value that makes no sense.
        """
        result = Recipe.from_dict({**self.to_dict(), **settings})
        if result == self or result.name != self.name:
            return result
        if self.model is None and result.model is not None:
            return dataclasses.replace(result, name=result.model.rpartition(":")[2])
        if self.estimator is None and result.estimator is not None:
            from fittingroom.recipes.estimator_text import EstimatorText

            return dataclasses.replace(result, name=EstimatorText.of(result.estimator).name)
        return dataclasses.replace(result, name=f"{self.name.rstrip('+')}+")

    def with_settings(self, settings: Iterable[str]) -> Recipe:
        """This recipe changed by texts of the form `KEY=VALUE`, as `--set` gives them; a later one wins.

        Raises:
            RecipeError, UnknownNameError: a text of another form, an unknown key, or a value that makes no sense.
        """
        return self.changed(**{one.key: one.value for one in map(Setting.parse, settings)})

    def program_fields(self) -> dict[str, Any]:
        """The settings that shape the compiled program: all but name, epochs and stop.

        (A schedule depends on the number of steps too, which the recipe alone does not know.)

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
        # The name says nothing about the training, and two recipes that train alike are one.
        text = json.dumps(self._decisive(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _decisive(self) -> dict[str, Any]:
        values = {
            key: value
            for key, value in self.to_dict().items()
            if key not in _ADDED or getattr(self, key) != _DEFAULTS[key]
        }
        del values["name"]
        if self.model is not None:
            values["model"] = ModelFile.of(self.model).digest()
        if self.estimator is not None:
            from fittingroom.recipes.estimator_text import EstimatorText

            values["estimator"] = EstimatorText.of(self.estimator).digest()
        return values


def _shown(value: Any) -> str:
    return repr(_as_list(value))


def _as_list(value: Any) -> Any:
    return [_as_list(item) for item in value] if isinstance(value, tuple) else value


_KEYS = tuple(field.name for field in dataclasses.fields(Recipe))
RECIPE_FORM = Form(
    "a recipe", dict.fromkeys(_KEYS, Key(convert=lambda key, value: Setting(key, value).value)), unknown=Setting.unknown
)
"""A table with settings of a recipe, each key optional."""

_DEFAULTS: Mapping[str, Any] = {field.name: field.default for field in dataclasses.fields(Recipe)}
