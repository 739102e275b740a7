"""`BackboneView`: the inside of a model on a backbone, which tells photographs apart by what it finds in each place.

The last maps of a backbone have a column of features for each of a few places of the picture, 7 × 7 for 224 pixels;
their mean is what the head is given. So the difference between two classes' logits is a sum over the places, to which
the biases are added: each place's features, weighted by how the difference grows with them. For a head without hidden
layers this is class activation mapping (Zhou et al., Learning Deep Features for Discriminative Localization, CVPR 2016,
arXiv 1512.04150); with hidden layers the weights are the slopes at this image (Selvaraju et al., Grad-CAM, ICCV 2017,
arXiv 1610.02391, whose ReLU is left out here). The features of a place have seen a wider part of the picture than it
covers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fittingroom.api.inner_view import Float32, InnerView, PixelView, Source, ViewedRun, is_layer
from fittingroom.backbones.frozen_part import prepared
from fittingroom.engine.state import State
from fittingroom.errors import RunError

if TYPE_CHECKING:
    import keras

    from fittingroom.api.backbone_inputs import BackboneInputs

Array = np.ndarray[Any, Any]


def inner_view(run: ViewedRun) -> InnerView:
    """The inside of a run with one seed.

    Raises:
        RunError: as for `Run.model`, or as for `InnerView`.
        InputError: the recipe has a backbone, and what that needs is not installed.
    """
    seed = run._model_of_seed
    return InnerView.of(run) if seed.backbone is None else BackboneView(seed.trained_part, seed.backbone)


class BackboneView(InnerView):
    """The inside of a run's model on a backbone, as `InnerView` has that of another.

    Args:
        trained: what was trained, from features to probabilities.
        inputs: what gives it features of images.

    Raises:
        RunError: as for `InnerView`.
    """

    def __init__(self, trained: keras.Model, inputs: BackboneInputs) -> None:
        super().__init__(trained, 1.0)
        self._inputs = inputs

    @property
    def source(self) -> Source:
        """What the features are: the backbone's, or those of the last hidden layer behind them."""
        return "hidden layer" if super().source == "hidden layer" and self._has_hidden_dense else "backbone"

    def features(self, images: Array, progress: Callable[[int, int], None] | None = None) -> Float32:
        """The input of the last layer for each image; see `InnerView.features`."""
        taken = self._inputs.kept_inputs(images)
        if self._inputs.model.frozen is not None and self._inputs.model.views > 1:
            taken = taken[:, 0]  # the image itself, without its mirror image
        return super().features(taken, progress)

    def pixels(self, image: Array, first: int, second: int) -> PixelView:
        """What each place of an image adds to the difference between two classes; see `InnerView.pixels`."""
        maps = self._last_maps(image)
        slope, difference = self._slope(maps.mean(axis=(0, 1))[None], self._head_values, first, second)
        values = (maps * np.asarray(slope, np.float32)[0]).sum(axis=-1) / np.float32(maps.shape[0] * maps.shape[1])
        return PixelView("places", values, float(difference), self._piecewise_linear)

    def first_weights(self, image_shape: tuple[int, ...]) -> None:
        """None: the first layer's weights are filters of 3 × 3 pixels."""
        del image_shape

    @property
    def _has_hidden_dense(self) -> bool:
        return any(is_layer(layer, "Dense") for layer in self._weighted[:-1])

    @cached_property
    def _tail(self) -> keras.Model | None:
        """The part of the backbone that was trained; None where all of it is frozen."""
        return next((layer for layer in self._model.layers if hasattr(layer, "layers")), None)

    @cached_property
    def _head_layers(self) -> list[Any]:
        """The layers behind the mean, a chain that ends with the one that makes the logits."""
        found = self._model.layers
        if self._tail is not None:
            found = found[found.index(self._tail) + 1 :]
        found = found[: found.index(self._head) + 1]
        return [layer for layer in found if not is_layer(layer, "InputLayer", "Dropout")]

    @property
    def _head_values(self) -> Any:
        return [
            (State.values_of(one.trainable_variables), State.values_of(one.non_trainable_variables))
            for one in self._head_layers
        ]

    @cached_property
    def _slope(self) -> Callable[..., Any]:
        """A compiled function to the slope of the difference of two logits by the mean of the maps, and to that."""
        import jax

        def difference(pooled: Any, values: Any, first: Any, second: Any) -> tuple[Any, Any]:
            for layer, own in zip(self._head_layers[:-1], values[:-1], strict=True):
                pooled = layer.stateless_call(*own, pooled)[0]
            (kernel, *bias), _ = values[-1]
            logits = (pooled @ kernel + (bias[0] if bias else 0.0))[0]
            return (logits[first] - logits[second],) * 2

        return jax.jit(jax.grad(difference, has_aux=True))

    def _last_maps(self, image: Array) -> Float32:
        """`(height, width, features)`."""
        model, backbone = self._inputs.model, self._inputs.backbone
        pixels = model.pixels(np.asarray(image)[None])
        if self._tail is None:
            maps = backbone.maps(pixels)
            if maps is None:
                raise RunError(_NO_PLACES)
            return np.asarray(maps[0], np.float32)
        import keras

        if not is_layer(self._tail.layers[-1], "GlobalAveragePooling"):
            raise RunError(_NO_PLACES)
        to_maps = keras.Model(self._tail.inputs[0], self._tail.layers[-1].input)
        taken = prepared(pixels, backbone.input_size) if model.frozen is None else model.frozen.features(pixels)
        return np.asarray(to_maps(taken.astype(np.float32)), np.float32)[0]  # type: ignore[no-any-return]


_NO_PLACES = "The features of this backbone are not the mean over places of a picture, so no place's part is shown."
