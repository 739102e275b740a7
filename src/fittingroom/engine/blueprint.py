"""What a training needs to know of a model besides its programs: its variables, how they start, and its structure.

A blueprint is plain data. It is made from a Keras model once and kept beside the exported programs, so that the next
training of the same recipe starts without building a Keras model, or importing Keras at all.

A model from a file as shapes alone: what it would take is known before any of it is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.engine.state import State, values_of, weight_names, weight_shapes
from fittingroom.errors import ModelError, RunError
from fittingroom.seeds import generator, integer

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Start:
    """How one variable starts: filled with `fill`, or drawn by `initializer`.

    `initializer` is the name of a Keras initializer of the variance-scaling family, `seed` for the state of a random
    layer, or `augmentation seed` for that of the changes that training makes to its images. Neither `fill` nor
    `initializer` is known where the user gave the values, as for a model that was trained before.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    fill: float | None = None
    initializer: str | None = None


@dataclass(frozen=True)
class Blueprint:
    """The variables of a model in the groups and the order of `State`, and its description (see `description`)."""

    trainable: tuple[Start, ...]
    non_trainable: tuple[Start, ...]
    optimizer: tuple[Start, ...]
    metrics: tuple[Start, ...]
    description: dict[str, Any]

    @property
    def parameters(self) -> int:
        """How many numbers training may change."""
        return sum(math.prod(start.shape) for start in self.trainable)

    @property
    def weight_groups(self) -> tuple[tuple[Start, ...], tuple[Start, ...]]:
        """The variables that decide what the model answers, trainable and not, in the order of `State`."""
        return self.trainable, self.non_trainable

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each variable of `weight_groups` by its name."""
        return {start.name: start.shape for group in self.weight_groups for start in group}

    def initial_state(self, seed: int) -> State:
        """The state before the first step of the replica with this seed; the same on every machine."""
        groups = (self.trainable, self.non_trainable, self.optimizer, self.metrics)
        index = 0
        state = []
        for group in groups:
            values = []
            for start in group:
                values.append(_initial_value(start, seed, index))
                index += 1
            state.append(tuple(values))
        return State(*state)

    def state_of_weights(self, weights: dict[str, Array]) -> State:
        """A state that can evaluate and predict, from weights by name.

        Raises:
            KeyError: a weight is missing.
            ValueError: a weight has another shape or type.
        """
        for start in (*self.trainable, *self.non_trainable):
            found = weights[start.name]
            if found.shape != start.shape:
                raise ValueError(f"{start.name} has the shape {found.shape}, not {start.shape}")
            if str(found.dtype) != start.dtype:
                raise ValueError(f"{start.name} is of type {found.dtype}, not {start.dtype}")
        return State(
            tuple(weights[start.name] for start in self.trainable),
            tuple(weights[start.name] for start in self.non_trainable),
            (),
            (),
        )

    def weights(self, state: State) -> dict[str, Array]:
        """Weights by name, from a state."""
        starts = (*self.trainable, *self.non_trainable)
        return {
            start.name: np.asarray(value)
            for start, value in zip(starts, (*state.trainable, *state.non_trainable), strict=True)
        }

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads."""
        groups = ("trainable", "non_trainable", "optimizer", "metrics")  # `asdict` would copy the description, slowly
        return {
            **{group: [dict(vars(start)) for start in getattr(self, group)] for group in groups},
            "description": self.description,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Blueprint:
        """The blueprint that `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is damaged.
        """
        groups = {
            group: tuple(_start_from_json(start) for start in data[group])
            for group in ("trainable", "non_trainable", "optimizer", "metrics")
        }
        return cls(**groups, description=dict(data["description"]))


def blueprint_of(model: keras.Model, description: dict[str, Any]) -> Blueprint:
    """The blueprint of a built, compiled Keras model."""
    initializers = _initializers(model)
    trainable_names, non_trainable_names = weight_names(model)

    def starts(variables: list[Any], names: tuple[str, ...]) -> tuple[Start, ...]:
        return tuple(
            _start(name, np.asarray(value), initializers.get(id(variable)))
            for name, variable, value in zip(names, variables, values_of(variables), strict=True)
        )

    optimizer, metrics = model.optimizer.variables, model.metrics_variables
    return Blueprint(
        starts(model.trainable_variables, trainable_names),
        starts(model.non_trainable_variables, non_trainable_names),
        starts(optimizer, tuple(variable.path for variable in optimizer)),
        starts(metrics, tuple(variable.path for variable in metrics)),
        description,
    )


def _start_from_json(data: dict[str, Any]) -> Start:
    start = Start(**{**data, "shape": tuple(data["shape"])})
    sides = all(isinstance(side, int) and not isinstance(side, bool) and side >= 0 for side in start.shape)
    if not (sides and isinstance(start.name, str) and isinstance(start.dtype, str)):
        raise ValueError(f"it describes no variable with {str(data)[:100]}")
    return start


def _initializers(model: keras.Model) -> dict[int, str]:
    """The random initializer of each variable that has one, by the variable's identity.

    Keras keeps them on the layer, under the variable's name: `kernel` has `kernel_initializer`.
    """
    found = {}
    for layer in model._flatten_layers(include_self=False):
        for variable in layer.variables:
            initializer = getattr(layer, f"{variable.name}_initializer", None)
            if type(initializer).__name__ in _VARIANCE_SCALING:
                found[id(variable)] = type(initializer).__name__
    return found


def _start(name: str, value: Array, initializer: str | None) -> Start:
    shape, dtype = tuple(value.shape), str(value.dtype)
    if initializer is not None:
        return Start(name, shape, dtype, initializer=initializer)
    if dtype == "uint32":  # the state of a Keras SeedGenerator
        return Start(name, shape, dtype, initializer="seed")
    constant = value.size == 0 or bool((value == value.flat[0]).all())
    return Start(name, shape, dtype, fill=float(value.flat[0]) if constant and value.size else None)


# Keras's variance-scaling initializers: the scale, which fan it is divided by, and the distribution.
_VARIANCE_SCALING = {
    "GlorotUniform": (1.0, "mean", "uniform"),
    "GlorotNormal": (1.0, "mean", "normal"),
    "HeUniform": (2.0, "in", "uniform"),
    "HeNormal": (2.0, "in", "normal"),
    "LecunUniform": (1.0, "in", "uniform"),
    "LecunNormal": (1.0, "in", "normal"),
}


def _initial_value(start: Start, seed: int, index: int) -> Array:
    """The value of the `index`-th variable for this seed."""
    if start.fill is not None:
        return np.full(start.shape, start.fill, start.dtype)
    if start.initializer == "seed":
        return np.array([integer(seed, "dropout", index), 0], np.uint32)
    if start.initializer == "augmentation seed":
        return np.array([integer(seed, "augment"), 0], np.uint32)
    if start.initializer is None:
        raise ModelError(f"No rule says how the variable {start.name} starts, so the model cannot be started anew.")
    return _variance_scaling(start, generator(seed, "init", index))


def _variance_scaling(start: Start, random: np.random.Generator) -> Array:
    """He et al. 2015 (arXiv 1502.01852) and Glorot and Bengio 2010, with Keras's definitions of fan and truncation."""
    scale, fan, distribution = _VARIANCE_SCALING[start.initializer or ""]
    receptive = math.prod(start.shape[:-2])
    fan_in, fan_out = receptive * start.shape[-2], receptive * start.shape[-1]
    variance = scale / max(1.0, (fan_in + fan_out) / 2 if fan == "mean" else fan_in)
    if distribution == "uniform":
        limit = math.sqrt(3 * variance)
        return random.uniform(-limit, limit, start.shape).astype(start.dtype)
    # A normal cut off at two standard deviations is narrower than its parent by this factor.
    drawn = random.standard_normal((*start.shape, 8))
    inside = np.abs(drawn) < 2
    first = np.take_along_axis(drawn, inside.argmax(axis=-1)[..., None], axis=-1)[..., 0]
    return (first * math.sqrt(variance) / 0.87962566103423978).astype(start.dtype)


Shapes = tuple[tuple[int, ...], ...]

_LARGEST_OUTPUT = 2**24
"""Numbers that one layer may make of one image: 64 MB."""

_LARGEST_METRICS = 2**20


@dataclass(frozen=True)
class Outline:
    """The images and the weights that a run's model must have, as its folder's weights say.

    Args:
        image_shape: `(height, width)`, `(height, width, 3)`, or what `fit` was given.
        weights: the shapes of the trainable and of the other weights.
    """

    image_shape: tuple[int, ...]
    weights: tuple[Shapes, Shapes]

    def check(self, make: Callable[[], keras.Model]) -> None:
        """Makes the model without values, and looks at its size.

        Raises:
            RunError: Keras cannot make it, its weights have other shapes, or it makes far too much of an image.
        """
        import keras

        from fittingroom.engine.model_checks import build_layers

        with no_values():
            try:
                model = make()
            except Exception as error:  # Keras raises many kinds for what makes no sense
                reason, _, _ = str(error).partition("\n")
                raise RunError(f"Keras cannot build it: {reason}") from error
            if not isinstance(model, keras.Model):
                raise RunError(f"it is a {type(model).__name__}, not a Keras model")
            image = np.broadcast_to(np.float32(0), (1, *self.image_shape))
            try:
                build_layers(model, image)
            except ModelError as error:
                raise RunError(f"its model does not take its images: {error}") from error
            self.check_weights(weight_shapes(model))
            largest = max((_size(shape) for shape in _output_shapes(model)), default=0)
        if largest > _LARGEST_OUTPUT:
            raise RunError(
                f"a layer makes {largest:,} numbers of one image, which is too large; up to {_LARGEST_OUTPUT:,} are "
                "made"
            )

    def check_weights(self, found: tuple[Shapes, Shapes]) -> None:
        """Raises RunError unless these are the shapes of the weights."""
        if found != self.weights:
            raise RunError(
                "its trainable or its other weights have other shapes than those in its folder. A layer that was "
                "frozen or unfrozen since makes such a difference too"
            )


@contextmanager
def no_values() -> Iterator[None]:
    """Inside, Keras's variables have a shape and no value, and those that are made here never get one."""
    import keras
    from keras.src.backend.common import global_state

    waiting = list(global_state.get_global_attribute("uninitialized_variables", []))
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        # Keras keeps them in order to give them values at the end of the next scope.
        global_state.set_global_attribute("uninitialized_variables", waiting)


def check_metrics(settings: Any) -> None:
    """Raises RunError if the metrics that a model is compiled with keep far too many numbers."""
    import keras

    with no_values():
        metrics = keras.tree.flatten(keras.saving.deserialize_keras_object(settings))
        own = (metric for metric in metrics if isinstance(metric, keras.metrics.Metric))
        size = sum(math.prod(variable.shape) for metric in own for variable in metric.variables)
    if size > _LARGEST_METRICS:
        raise RunError(f"its metrics keep {size:,} numbers, which is too large; up to {_LARGEST_METRICS:,} are kept")


def _output_shapes(model: keras.Model) -> Iterable[tuple[int | None, ...]]:
    """The shapes of whatever the layers and operations of a model were seen to make."""
    for layer in [model, *model._flatten_layers(include_self=False)]:
        for operation in [layer, *getattr(layer, "operations", ())]:
            for node in operation._inbound_nodes:
                for tensor in node.output_tensors:
                    yield tuple(tensor.shape)


def _size(shape: tuple[int | None, ...]) -> int:
    """How many numbers there are for one image; the first axis counts images."""
    return math.prod(side or 1 for side in shape[1:])
