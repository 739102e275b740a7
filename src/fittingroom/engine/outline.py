"""A model from a file as shapes alone: what it would take is known before any of it is taken."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.engine.state import weight_shapes
from fittingroom.errors import ModelError, RunError

if TYPE_CHECKING:
    import keras

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

        from fittingroom.engine.checks import build_layers

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
