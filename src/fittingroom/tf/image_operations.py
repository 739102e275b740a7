"""`tf.image` of the stand-in: images `(height, width, channels)` or `(n, height, width, channels)`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from fittingroom.tf.tensors import as_tensor, dtype_name

_LUMA = (0.2989, 0.587, 0.114)  # TensorFlow's own weights of red, green and blue
_METHODS = {"bilinear": "bilinear", "nearest": "nearest", "bicubic": "bicubic", "lanczos3": "lanczos3"}


def resize(images: Any, size: Any, method: str = "bilinear", antialias: bool = False) -> Any:
    """Images of another size `(height, width)`; fractions, but for the method nearest."""
    if method not in _METHODS:
        raise ValueError(f"tf.image.resize has the methods {', '.join(_METHODS)}, but got {method!r}.")
    height, width = (int(side) for side in np.asarray(size))
    images = as_tensor(images)
    given = images if method == "nearest" else ops.cast(images, "float32")
    return ops.image.resize(given, (height, width), interpolation=_METHODS[method], antialias=antialias)


def convert_image_dtype(image: Any, dtype: Any, saturate: bool = False) -> Any:
    """Images in another type and on its scale: 0 to 1 for fractions, 0 to 255 for uint8."""
    image, to = as_tensor(image), np.dtype(dtype_name(dtype) or "float32")
    of = np.dtype(str(image.dtype))
    if of == to:
        return image
    high = {kind: np.iinfo(kind).max if kind.kind in "iu" else 1 for kind in (of, to)}
    if to.kind == "f":
        return ops.cast(image, to.name) / high[of]
    if of.kind == "f":
        values = ops.floor(ops.cast(image, "float32") * (high[to] + 0.5))
        return ops.cast(ops.clip(values, np.iinfo(to).min, high[to]) if saturate else values, to.name)
    return ops.cast(ops.cast(image, "float32") * (high[to] / high[of]), to.name)


def rgb_to_grayscale(images: Any, name: str | None = None) -> Any:
    """One channel of grey for three of colour."""
    del name
    images = as_tensor(images)
    grey = ops.sum(ops.cast(images, "float32") * np.array(_LUMA, np.float32), axis=-1, keepdims=True)
    return ops.cast(ops.round(grey) if "int" in str(images.dtype) else grey, images.dtype)


def grayscale_to_rgb(images: Any, name: str | None = None) -> Any:
    """Three equal channels for one."""
    del name
    return ops.repeat(as_tensor(images), 3, axis=-1)


def flip_left_right(image: Any) -> Any:
    """Mirrored: left is right."""
    return ops.flip(as_tensor(image), -2)


def flip_up_down(image: Any) -> Any:
    """Mirrored: the top is at the bottom."""
    return ops.flip(as_tensor(image), -3)


def rot90(image: Any, k: int = 1) -> Any:
    """Turned counter-clockwise by so many quarters."""
    return ops.rot90(as_tensor(image), k, axes=(-3, -2))


def central_crop(image: Any, central_fraction: float) -> Any:
    """The middle part of an image, this share of each side."""
    image = as_tensor(image)
    height, width = image.shape[-3], image.shape[-2]
    top, left = (int((side - side * central_fraction) / 2) for side in (height, width))
    return image[..., top : height - top, left : width - left, :]


def crop_to_bounding_box(
    image: Any, offset_height: int, offset_width: int, target_height: int, target_width: int
) -> Any:
    """A part of an image."""
    rows, columns = (
        slice(offset_height, offset_height + target_height),
        slice(offset_width, offset_width + target_width),
    )
    return as_tensor(image)[..., rows, columns, :]


def adjust_brightness(image: Any, delta: Any) -> Any:
    """Fractions with `delta` added."""
    return as_tensor(image) + delta


def adjust_contrast(images: Any, contrast_factor: Any) -> Any:
    """Farther from each channel's mean by a factor."""
    images = as_tensor(images)
    values = ops.cast(images, "float32")
    mean = ops.mean(values, axis=(-3, -2), keepdims=True)
    return ops.cast((values - mean) * contrast_factor + mean, images.dtype)


def per_image_standardization(image: Any) -> Any:
    """Mean 0 and standard deviation 1 in each image; an image of one colour becomes 0."""
    image = ops.cast(as_tensor(image), "float32")
    axes = (-3, -2, -1)
    mean, spread = ops.mean(image, axis=axes, keepdims=True), ops.std(image, axis=axes, keepdims=True)
    return (image - mean) / ops.maximum(spread, 1 / np.sqrt(np.prod(image.shape[-3:])))


def _random_flip(flip: Callable[[Any], Any]) -> Callable[..., Any]:
    def flipped(image: Any, seed: int | None = None) -> Any:
        """Mirrored or not, each image by a throw of its own."""
        image = as_tensor(image)
        throws = keras.random.uniform((*image.shape[:-3], 1, 1, 1), seed=seed)
        return ops.where(throws < 0.5, flip(image), image)

    return flipped


def random_brightness(image: Any, max_delta: float, seed: int | None = None) -> Any:
    """Fractions with a number between `-max_delta` and `max_delta` added."""
    return adjust_brightness(image, keras.random.uniform((), -max_delta, max_delta, seed=seed))


def random_contrast(image: Any, lower: float, upper: float, seed: int | None = None) -> Any:
    """The contrast changed by a factor between two numbers."""
    return adjust_contrast(image, keras.random.uniform((), lower, upper, seed=seed))


IMAGE = {
    "adjust_brightness": adjust_brightness,
    "adjust_contrast": adjust_contrast,
    "central_crop": central_crop,
    "convert_image_dtype": convert_image_dtype,
    "crop_to_bounding_box": crop_to_bounding_box,
    "flip_left_right": flip_left_right,
    "flip_up_down": flip_up_down,
    "grayscale_to_rgb": grayscale_to_rgb,
    "per_image_standardization": per_image_standardization,
    "random_brightness": random_brightness,
    "random_contrast": random_contrast,
    "random_flip_left_right": _random_flip(flip_left_right),
    "random_flip_up_down": _random_flip(flip_up_down),
    "resize": resize,
    "rgb_to_grayscale": rgb_to_grayscale,
    "rot90": rot90,
}
"""What `tf.image` has."""
