"""`InnerView`: what goes on within a trained model: its features of images, and what speaks for one class or another.

The model is the Keras model of the run's own description; no code of a file is run for it. What it is asked:

- the features of its last hidden layer, which its last layer tells the classes apart by;
- how its answer moves with each pixel: the gradient of the difference between two classes' logits, by JAX. Where all
  weights are those of dense layers with ReLU, the model is linear around an image, and gradient times input is what
  each pixel adds to that difference. Of other models the gradient says what a small change would do, and neither what
  the model "sees" nor what made its answer (Simonyan et al., Deep Inside Convolutional Networks, 2013,
  arXiv 1312.6034; Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018, arXiv 1810.03292);
- the weights of a dense first layer, which have the form of an image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from fittingroom.errors import RunError

if TYPE_CHECKING:
    import keras

    from fittingroom.api.seed_model import SeedModel
    from fittingroom.runs.record import RunRecord

Float32 = npt.NDArray[np.float32]
Source = Literal["hidden layer", "pixels", "backbone"]
Kind = Literal["contributions", "gradient", "places"]
_Values = tuple[tuple[Any, ...], ...]  # of the model before the last layer and of that, trainable and not

WIDEST = 2_048
"""Features of an image that are kept; wider layers are projected at random, which keeps distances."""

_BATCH = 250


@dataclass(frozen=True, eq=False)
class PixelView:
    """What the pixels of an image have to do with one class rather than another.

    Args:
        kind: `contributions`, what each pixel adds to the difference; `gradient`, how much a small change would; or
            `places`, what each place of a backbone's last maps adds.
        values: float32, `(height, width)`, channels added up: positive speaks for the first class. A gradient is
            the largest of its channels, 0 or more. There are fewer places than pixels.
        difference: the logit of the first class less that of the second.
        exact: whether what they add and the biases make the difference, as in dense layers with ReLU.
    """

    kind: Kind
    values: Float32
    difference: float
    exact: bool


class ViewedRun(Protocol):
    """A run of one seed, `api.run.Run`, as far as its inside is looked at."""

    @property
    def record(self) -> RunRecord: ...  # noqa: D102
    @property
    def model(self) -> keras.Model: ...  # noqa: D102
    @property
    def _model_of_seed(self) -> SeedModel: ...


class InnerView:
    """The inside of a run's model. Everything is computed by Keras and JAX when it is asked for.

    Args:
        model: with the run's weights.
        scale: what stored images are divided by to be its input.

    Raises:
        RunError: its layers form no graph that leads from images to a last layer with weights, so it has no inside that
            can be looked at from outside: a subclass of `keras.Model`, for example.
    """

    def __init__(self, model: keras.Model, scale: float) -> None:
        self._model, self._scale = _classifier(model), scale
        self._head = self._last_layer()
        self._before = self._graph_to(self._head)

    @classmethod
    def of(cls, run: ViewedRun) -> InnerView:
        """That of a run with one seed; `backbone_view.inner_view` has that of one with a backbone, too.

        Raises:
            RunError: as for `Run.model`; or as above.
        """
        data, recipe = run.record.data, run.record.recipe
        return cls(run.model, data.scale if recipe.get("scale", True) else 1.0)

    @property
    def source(self) -> Source:
        """What the features are: of the last hidden layer, or the pixels, where there is no hidden layer.

        Of a model on a backbone without a hidden layer they are the backbone's.
        """
        return "hidden layer" if self._hidden else "pixels"

    @property
    def width(self) -> int:
        """How many features the last layer is given, however many `features` keeps."""
        return int(np.prod([side or 1 for side in self._before.output_shape[1:]]))

    @property
    def dense(self) -> bool:
        """Whether only dense layers have weights, apart from normalizations."""
        return all(is_layer(layer, "Dense", "BatchNormalization", "LayerNormalization") for layer in self._weighted)

    def features(self, images: npt.NDArray[Any], progress: Callable[[int, int], None] | None = None) -> Float32:
        """The input of the last layer for each image, float32 `(n, features)`, at most `WIDEST` of them.

        Args:
            images: as the run stores them, `(n, height, width[, channels])`.
            progress: called with images done and all images.
        """
        import jax

        groups = self._values()
        function = jax.jit(lambda values, some: self._flat(self._features(values, some)))
        parts, projection = [], None
        for start in range(0, len(images), _BATCH):
            some = images[start : start + _BATCH]
            padded = np.concatenate([some, np.zeros((_BATCH - len(some), *some.shape[1:]), some.dtype)])
            found = np.asarray(function(groups, padded), np.float32)[: len(some)]
            if found.shape[1] > WIDEST:
                if projection is None:
                    projection = _projection(found.shape[1])
                found = found @ projection
            parts.append(found)
            if progress is not None:
                progress(start + len(some), len(images))
        return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)

    def pixels(self, image: npt.NDArray[Any], first: int, second: int) -> PixelView:
        """What the pixels of one image have to do with class `first` rather than class `second`.

        Args:
            image: as the run stores it, `(height, width[, channels])`.
            first: a class.
            second: another one.
        """
        difference, gradient = self._difference(self._values(), np.asarray(image)[None], first, second)
        slope = np.asarray(gradient, np.float32)[0]
        if self.dense:
            added = slope * (np.asarray(image, np.float32) / np.float32(self._scale))
            summed = added.sum(axis=-1) if added.ndim == 3 else added
            return PixelView("contributions", summed, float(difference[0]), self._piecewise_linear)
        size = np.abs(slope)
        return PixelView("gradient", size.max(axis=-1) if size.ndim == 3 else size, float(difference[0]), False)

    def first_weights(self, image_shape: tuple[int, ...]) -> Float32 | None:
        """The weights of each unit of a dense first layer in the form of an image, channels added up.

        Args:
            image_shape: `(height, width[, channels])`.

        Returns:
            float32 `(units, height, width)`; None where the first layer with weights is not a dense one on pixels.
        """
        first = self._weighted[0]
        size = int(np.prod(image_shape))
        if not is_layer(first, "Dense") or int(first.kernel.shape[0]) != size:
            return None
        pictures = np.asarray(first.kernel, np.float32).T.reshape(-1, *image_shape)
        return pictures.sum(axis=-1) if pictures.ndim == 4 else pictures

    @cached_property
    def _weighted(self) -> list[Any]:
        """The layers with weights, in order; those within models that are layers too."""
        found = [layer for layer in self._model._flatten_layers(include_self=False) if layer.weights]
        return [layer for layer in found if not hasattr(layer, "layers")]

    @cached_property
    def _hidden(self) -> bool:
        return any(is_layer(layer, "Dense", "Conv", "RNN", "LSTM", "GRU", "Attention") for layer in self._weighted[:-1])

    @cached_property
    def _piecewise_linear(self) -> bool:
        names = [str(getattr(getattr(layer, "activation", None), "__name__", "linear")) for layer in self._model.layers]
        inner = names[: self._model.layers.index(self._head)]
        return all(name in {"linear", "relu", "leaky_relu"} for name in inner)

    def _last_layer(self) -> Any:
        """The last layer with weights, which makes the classes' logits."""
        for layer in reversed(getattr(self._model, "layers", ())):
            if layer.weights:
                if hasattr(layer, "layers"):
                    break
                return layer
        raise RunError(_CLOSED)

    def _graph_to(self, layer: Any) -> keras.Model:
        """The model up to what the layer is given."""
        import keras

        try:
            return keras.Model(self._model.inputs[0], layer.input)
        except (AttributeError, IndexError, ValueError, TypeError) as error:
            raise RunError(_CLOSED) from error

    def _values(self) -> _Values:
        from fittingroom.engine.state import State

        models = (self._before, self._head)
        return tuple(
            tuple(State.values_of(group))
            for one in models
            for group in (one.trainable_variables, one.non_trainable_variables)
        )

    def _features(self, values: _Values, images: Any) -> Any:
        """From stored images to what the last layer is given."""
        import jax.numpy as jnp

        from fittingroom.engine.keras_steps import KerasSteps

        return KerasSteps(self._before).outputs(values[0], values[1], jnp.asarray(images, jnp.float32) / self._scale)

    @staticmethod
    def _flat(features: Any) -> Any:
        return features.reshape(features.shape[0], -1)

    def _logits(self, values: _Values, images: Any) -> Any:
        """What the last layer gives before its activation, whatever that is: softmax has no part in a difference."""
        features = self._features(values, images)
        kernel, *rest = (*values[2], *values[3])
        bias = rest[0] if rest else 0.0
        logits = features.astype("float32") @ kernel.astype("float32") + bias
        return logits.reshape(logits.shape[0], -1)

    @cached_property
    def _difference(self) -> Callable[..., Any]:
        """A compiled function to the difference of two logits, and its gradient by the model's input."""
        import jax
        import jax.numpy as jnp

        if not is_layer(self._head, "Dense"):
            raise RunError("The last layer of this model is not a dense one, so no pixel's part in it is shown.")

        def difference(pixels: Any, values: Any, first: Any, second: Any) -> Any:
            logits = self._logits(values, pixels * self._scale)
            if logits.shape[1] == 1:  # one number for two classes: that of the second
                found = jnp.where(first == 1, 1.0, -1.0) * logits[:, 0]
            else:
                found = logits[:, first] - logits[:, second]
            return found.sum(), found

        slopes = jax.jit(jax.grad(difference, has_aux=True))

        def both(values: Any, images: Any, first: int, second: int) -> tuple[Any, Any]:
            gradient, found = slopes(np.asarray(images, np.float32) / np.float32(self._scale), values, first, second)
            return found, gradient

        return both


_CLOSED = (
    "The layers of this model form no chain that can be followed from the image to the classes (a subclass of "
    "keras.Model, for example), so its features are not to be had."
)


def _classifier(model: Any) -> Any:
    """The model, or the one within it that makes all the answers, where several views of an image are averaged."""
    inner = [layer for layer in getattr(model, "layers", ()) if hasattr(layer, "layers")]
    if len(inner) == 1 and not any(layer.weights for layer in model.layers if layer is not inner[0]):
        one = inner[0]
        if one.input_shape == model.input_shape and one.output_shape == model.output_shape:
            return one
    return model


def is_layer(layer: Any, *kinds: str) -> bool:
    """Whether a layer is of one of Keras's kinds, by its class or what that derives from."""
    return any(kind in base.__name__ for base in type(layer).__mro__ for kind in kinds)


def _projection(width: int) -> Float32:
    """A random projection that keeps distances, always the same (Johnson and Lindenstrauss, 1984)."""
    from fittingroom.seeds import generator

    drawn = generator(0, "bootstrap", 5).standard_normal((width, WIDEST), np.float32)
    return np.asarray(drawn / np.sqrt(np.float32(WIDEST)), np.float32)
