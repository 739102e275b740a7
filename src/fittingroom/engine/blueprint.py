"""What a run knows of its model besides the programs: its variables with their initial values, and its structure.

A blueprint is plain data. It is made from a Keras model once and kept beside the exported programs, so that the next
training of the same recipe builds no Keras model and does not import Keras.

An outline is the shapes alone. What a file calls a model is compared with it before memory is taken for the weights.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.engine.state import State
from fittingroom.errors import ModelError, RunError
from fittingroom.seeds import Stream, generator

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]

_PRETRAINED = "pretrained"
_NOTHING: Mapping[str, Array] = MappingProxyType({})


@dataclass(frozen=True)
class _InitialValue:
    """How one variable starts: filled with a number, or drawn at random.

    Neither `fill` nor `initializer` is known where the user gave the values, as for a model that was trained before.

    Args:
        name: of the variable, unique within its model.
        shape: of the variable.
        dtype: of the variable, as NumPy names it.
        fill: the number that all of it starts with.
        initializer: a Keras initializer of the variance-scaling family by name; `seed` for the state of a random layer;
            `augmentation seed` for that of the random changes of training images; `pretrained` for a weight of a
            backbone.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    fill: float | None = None
    initializer: str | None = None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> _InitialValue:
        """The one whose fields a JSON file holds.

        Raises:
            KeyError, TypeError, ValueError: it is damaged.
        """
        value = cls(**{**data, "shape": tuple(data["shape"])})
        sides = all(isinstance(side, int) and not isinstance(side, bool) and side >= 0 for side in value.shape)
        if not (sides and isinstance(value.name, str) and isinstance(value.dtype, str)):
            raise ValueError(f"not a variable: {str(data)[:100]}")
        return value

    def draw(self, seed: int, index: int) -> Array:
        """The value of the variable, which is the `index`-th of its model, in a training with this seed."""
        if self.fill is not None:
            return np.full(self.shape, self.fill, self.dtype)
        if self.initializer == "seed":
            return np.array([_drawn_seed(seed, "dropout", index), 0], np.uint32)
        if self.initializer == "augmentation seed":
            return np.array([_drawn_seed(seed, "augment"), 0], np.uint32)
        if self.initializer is None:
            raise ModelError(
                f"The initial value of the variable {self.name} is not known, so the model cannot be trained again."
            )
        # Drawn by NumPy, so that they do not change when JAX changes its random numbers (decision 2).
        return _variance_scaling(self, generator(seed, "init", index))

    def of(self, pretrained: Mapping[str, Array]) -> Array:
        """The value of a weight of a backbone, from all of them by name."""
        found = pretrained.get(self.name)
        if found is None or found.shape != self.shape:
            shape = "missing" if found is None else f"of shape {found.shape}"
            raise ModelError(f"The backbone's weight {self.name} is {shape}; expected shape {self.shape}.")
        return np.asarray(found, self.dtype)


@dataclass(frozen=True)
class Blueprint:
    """The variables of a model in the groups and the order of `State`, and its description (`engine.description`)."""

    trainable: tuple[_InitialValue, ...]
    non_trainable: tuple[_InitialValue, ...]
    optimizer: tuple[_InitialValue, ...]
    metrics: tuple[_InitialValue, ...]
    description: dict[str, Any]

    @classmethod
    def of(cls, model: keras.Model, description: dict[str, Any]) -> Blueprint:
        """The blueprint of a built, compiled Keras model with this description."""
        initializers = _initializers(model)
        trainable_names, non_trainable_names = _weight_names(model)

        def initial_values(variables: list[Any], names: tuple[str, ...]) -> tuple[_InitialValue, ...]:
            return tuple(
                _initial_value(name, np.asarray(value), initializers.get(id(variable)))
                for name, variable, value in zip(names, variables, State.values_of(variables), strict=True)
            )

        optimizer, metrics = model.optimizer.variables, model.metrics_variables
        return cls(
            initial_values(model.trainable_variables, trainable_names),
            initial_values(model.non_trainable_variables, non_trainable_names),
            initial_values(optimizer, tuple(variable.path for variable in optimizer)),
            initial_values(metrics, tuple(variable.path for variable in metrics)),
            description,
        )

    @property
    def parameters(self) -> int:
        """How many numbers training changes."""
        return sum(math.prod(variable.shape) for variable in self.trainable)

    @property
    def weight_groups(self) -> tuple[tuple[_InitialValue, ...], tuple[_InitialValue, ...]]:
        """The variables that decide what the model answers, trainable and not, in the order of `State`."""
        return self.trainable, self.non_trainable

    @property
    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each variable of `weight_groups` by its name."""
        return {variable.name: variable.shape for group in self.weight_groups for variable in group}

    def initial_state(self, seed: int, pretrained: Mapping[str, Array] = _NOTHING) -> State:
        """The state before the first step of a training with this seed; the same on every machine.

        Raises:
            ModelError: a weight of the backbone is missing in `pretrained`, or has another shape.
        """
        # Each variable draws from a stream of its own, so that a layer added at the end leaves the others as they were.
        index = itertools.count()

        def value(initial: _InitialValue) -> Array:
            number = next(index)
            return initial.of(pretrained) if initial.initializer == _PRETRAINED else initial.draw(seed, number)

        groups = (self.trainable, self.non_trainable, self.optimizer, self.metrics)
        return State(*(tuple(map(value, group)) for group in groups))

    def state_of_weights(self, weights: dict[str, Array]) -> State:
        """A state that can evaluate and predict, made of weights by name.

        Raises:
            KeyError: a weight is missing.
            ValueError: a weight has another shape or type.
        """
        for variable in (*self.trainable, *self.non_trainable):
            found = weights[variable.name]
            if found.shape != variable.shape:
                raise ValueError(f"{variable.name} has the shape {found.shape}, not {variable.shape}")
            if str(found.dtype) != variable.dtype:
                raise ValueError(f"{variable.name} is of type {found.dtype}, not {variable.dtype}")
        return State(
            tuple(weights[variable.name] for variable in self.trainable),
            tuple(weights[variable.name] for variable in self.non_trainable),
            (),
            (),
        )

    def weights(self, state: State) -> dict[str, Array]:
        """Weights by name, from a state."""
        variables = (*self.trainable, *self.non_trainable)
        return {
            variable.name: np.asarray(value)
            for variable, value in zip(variables, (*state.trainable, *state.non_trainable), strict=True)
        }

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads."""
        groups = ("trainable", "non_trainable", "optimizer", "metrics")  # `asdict` would copy the description, slowly
        return {
            **{group: [dict(vars(variable)) for variable in getattr(self, group)] for group in groups},
            "description": self.description,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Blueprint:
        """The blueprint that `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is damaged.
        """
        groups = {
            group: tuple(_InitialValue.from_json(value) for value in data[group])
            for group in ("trainable", "non_trainable", "optimizer", "metrics")
        }
        return cls(**groups, description=dict(data["description"]))

    def with_pretrained(self, names: Collection[str]) -> Blueprint:
        """The blueprint of a training in which the variables of these names start as weights of a backbone."""

        def marked(group: tuple[_InitialValue, ...]) -> tuple[_InitialValue, ...]:
            return tuple(
                replace(value, fill=None, initializer=_PRETRAINED) if value.name in names else value for value in group
            )

        return replace(self, trainable=marked(self.trainable), non_trainable=marked(self.non_trainable))

    @property
    def pretrained(self) -> tuple[bool, ...]:
        """Whether each trainable variable is a weight of a backbone."""
        return tuple(value.initializer == _PRETRAINED for value in self.trainable)

    def with_augmentation_seed(self) -> Blueprint:
        """The blueprint of a training that changes images at random."""
        seed = _InitialValue("augmentation/seed", (2,), "uint32", initializer="augmentation seed")
        return replace(self, optimizer=(*self.optimizer, seed))


def _drawn_seed(seed: int, stream: Stream, *indices: int) -> int:
    """A seed of 31 bits for a random layer, whose own generator JAX runs."""
    return int(generator(seed, stream, *indices).integers(2**31))


def _weight_names(model: keras.Model) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Unique names, from Keras's paths, of the trainable and the non-trainable variables, in the order of `State`."""
    paths = [variable.path for variable in (*model.trainable_variables, *model.non_trainable_variables)]
    names = tuple(_unique(paths))
    count = len(model.trainable_variables)
    return names[:count], names[count:]


def _unique(paths: Iterable[str]) -> Iterable[str]:
    seen: dict[str, int] = {}
    for path in paths:
        seen[path] = seen.get(path, 0) + 1
        yield path if seen[path] == 1 else f"{path}#{seen[path]}"


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


def _initial_value(name: str, value: Array, initializer: str | None) -> _InitialValue:
    shape, dtype = tuple(value.shape), str(value.dtype)
    if initializer is not None:
        return _InitialValue(name, shape, dtype, initializer=initializer)
    if dtype == "uint32":  # the state of a Keras SeedGenerator
        return _InitialValue(name, shape, dtype, initializer="seed")
    constant = value.size == 0 or bool((value == value.flat[0]).all())
    return _InitialValue(name, shape, dtype, fill=float(value.flat[0]) if constant and value.size else None)


# Keras's variance-scaling initializers: the scale, which fan it is divided by, and the distribution.
_VARIANCE_SCALING = {
    "GlorotUniform": (1.0, "mean", "uniform"),
    "GlorotNormal": (1.0, "mean", "normal"),
    "HeUniform": (2.0, "in", "uniform"),
    "HeNormal": (2.0, "in", "normal"),
    "LecunUniform": (1.0, "in", "uniform"),
    "LecunNormal": (1.0, "in", "normal"),
}


def _variance_scaling(initial: _InitialValue, random: np.random.Generator) -> Array:
    """He et al. 2015 (arXiv 1502.01852) and Glorot and Bengio 2010, with Keras's definitions of fan and truncation."""
    scale, fan, distribution = _VARIANCE_SCALING[initial.initializer or ""]
    receptive = math.prod(initial.shape[:-2])
    fan_in, fan_out = receptive * initial.shape[-2], receptive * initial.shape[-1]
    variance = scale / max(1.0, (fan_in + fan_out) / 2 if fan == "mean" else fan_in)
    if distribution == "uniform":
        limit = math.sqrt(3 * variance)
        return random.uniform(-limit, limit, initial.shape).astype(initial.dtype)
    # A normal cut off at two standard deviations is narrower than its parent by this factor.
    drawn = random.standard_normal((*initial.shape, 8))
    inside = np.abs(drawn) < 2
    first = np.take_along_axis(drawn, inside.argmax(axis=-1)[..., None], axis=-1)[..., 0]
    return (first * math.sqrt(variance) / 0.87962566103423978).astype(initial.dtype)


Shapes = tuple[tuple[int, ...], ...]

# A file may ask for a model of any size. These bounds are far above what images of this size need.
_LARGEST_OUTPUT = 2**24  # numbers that one layer gives for one image: 64 MB
_LARGEST_METRICS = 2**20  # numbers that all metrics keep


@dataclass(frozen=True)
class Outline:
    """The shapes that a run's model must have, as the weights in its folder tell them.

    Args:
        image_shape: `(height, width)`, `(height, width, 3)`, or that of the images that `fit` was given.
        weights: the shapes of the trainable weights and of the others.
    """

    image_shape: tuple[int, ...]
    weights: tuple[Shapes, Shapes]

    def check(self, make: Callable[[], keras.Model], metrics: Any = None) -> None:
        """Makes the model without values, and compares its shapes.

        Args:
            make: makes the model.
            metrics: the settings of the metrics that it is compiled with, as Keras serializes them.

        Raises:
            RunError: Keras cannot make it, its weights have other shapes, or a layer or a metric is far too large.
        """
        if metrics is not None:
            _check_metrics(metrics)
        import keras

        from fittingroom.engine.model_checks import ModelChecks

        with _no_values():
            try:
                model = make()
            except Exception as error:  # Keras raises many kinds for what makes no sense
                reason, _, _ = str(error).partition("\n")
                raise RunError(f"Keras cannot build it: {reason}") from error
            if not isinstance(model, keras.Model):
                raise RunError(f"it is a {type(model).__name__}, not a Keras model")
            image = np.broadcast_to(np.float32(0), (1, *self.image_shape))
            try:
                ModelChecks(model).build_layers(image)
            except ModelError as error:
                raise RunError(f"it does not take images of the run's shape: {error}") from error
            self.check_weights(State.weight_shapes(model))
            largest = max((_size(shape) for shape in _output_shapes(model)), default=0)
        if largest > _LARGEST_OUTPUT:
            raise RunError(
                f"one of its layers gives {largest:,} numbers for one image; at most {_LARGEST_OUTPUT:,} are allowed"
            )

    def check_weights(self, found: tuple[Shapes, Shapes]) -> None:
        """Raises RunError unless these are the shapes of the weights."""
        if found != self.weights:
            raise RunError(
                "its weights do not have the shapes of those in the run's folder, or are not trainable where those "
                "are. Freezing or unfreezing a layer after training has this effect"
            )


@contextmanager
def _no_values() -> Iterator[None]:
    """Within the context, Keras's variables have a shape and no value; those made here never get one."""
    import keras
    from keras.src.backend.common import global_state

    waiting = list(global_state.get_global_attribute("uninitialized_variables", []))
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        # Keras would give the variables of this context their values at the end of its next scope.
        global_state.set_global_attribute("uninitialized_variables", waiting)


def _check_metrics(settings: Any) -> None:
    """Raises RunError if the metrics that a model is compiled with keep far too many numbers."""
    import keras

    with _no_values():
        metrics = keras.tree.flatten(keras.saving.deserialize_keras_object(settings))
        own = (metric for metric in metrics if isinstance(metric, keras.metrics.Metric))
        size = sum(math.prod(variable.shape) for metric in own for variable in metric.variables)
    if size > _LARGEST_METRICS:
        raise RunError(f"its metrics keep {size:,} numbers; at most {_LARGEST_METRICS:,} are allowed")


def _output_shapes(model: keras.Model) -> Iterable[tuple[int | None, ...]]:
    """The shapes of what the layers and operations of a model give."""
    for layer in [model, *model._flatten_layers(include_self=False)]:
        for operation in [layer, *getattr(layer, "operations", ())]:
            for node in operation._inbound_nodes:
                for tensor in node.output_tensors:
                    yield tuple(tensor.shape)


def _size(shape: tuple[int | None, ...]) -> int:
    """How many numbers there are for one image; the first axis counts images."""
    return math.prod(side or 1 for side in shape[1:])
