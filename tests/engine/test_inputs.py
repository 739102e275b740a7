"""Arrays as users have them are taken; what cannot be trained on is refused in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from fittingroom.data.dataset import Part
from fittingroom.engine.arrays import Arrays
from fittingroom.engine.user_arrays import ClassWeight, of_user, of_validation
from fittingroom.errors import DataError, InputError, ModelError

X = np.linspace(0, 1, 6 * 4, dtype=np.float32).reshape(6, 2, 2)
Y = np.array([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize(
    "given",
    [X.astype(np.float64), X.astype(">f4"), X.tolist(), jnp.asarray(X), [jnp.asarray(row) for row in X], [X], (X,)],
)
def test_fractions_of_any_kind_become_float32(given: Any) -> None:
    arrays = of_user(given, Y)
    assert arrays.images.dtype == np.float32
    np.testing.assert_allclose(arrays.images, X, atol=1e-7)


def test_what_keras_casts_is_cast() -> None:
    assert of_user(X.astype(np.float16), Y).images.dtype == np.float32
    assert of_user(jnp.asarray(X, jnp.bfloat16), Y).images.dtype == np.float32
    arrays = of_user([X], [Y.astype(">i8")], np.ones((6, 1)))
    assert arrays.labels.dtype == np.dtype("=i8")
    assert arrays.weights is not None
    assert arrays.weights.shape == (6,)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        ([X, X[:, :1]], Y, "x is a list of 2 arrays, which Keras takes for 2 inputs"),
        (X, [Y, Y, Y], "y is a list of 3 arrays, which Keras takes for 3 outputs"),
    ],
)
def test_several_inputs_or_outputs_are_refused_as_what_they_are(x: Any, y: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        of_user(x, y)


def test_float64_stays_float64_where_keras_and_jax_have_it() -> None:
    with jax.enable_x64(True):
        keras.config.set_floatx("float64")
        try:
            assert of_user(X, Y).images.dtype == np.float64
        finally:
            keras.config.set_floatx("float32")


def test_bytes_stay_bytes_and_are_not_scaled() -> None:
    arrays = of_user(np.uint8(X * 255), Y)
    assert arrays.images.dtype == np.uint8
    assert arrays.scale is None


@pytest.mark.parametrize("labels", [Y.tolist(), Y.astype(float), Y[:, None], np.uint8(Y), jnp.asarray(Y), np.eye(3)[Y]])
def test_labels_of_any_form_name_the_same_classes(labels: Any) -> None:
    arrays = of_user(X, labels)
    assert arrays.classes == 3
    assert arrays.class_indices.dtype == np.int32
    np.testing.assert_array_equal(arrays.class_indices, Y)


class Batches(keras.utils.PyDataset):
    """What Keras would take, and we do not."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Any:
        return X, Y


@pytest.mark.parametrize(
    ("given", "name"), [((row for row in X), "generator"), (iter(X), "iterator"), (Batches(), "Batches"), (3, "int")]
)
def test_what_is_no_array_is_named(given: Any, name: str) -> None:
    with pytest.raises(InputError, match=f"x is a .*{name}; expected a NumPy or JAX array"):
        of_user(given, Y)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (X[:5], Y, "x has 5 images, but y has 6 labels"),
        (X[:0], Y[:0], "x holds no images"),
        ([[1, 2], [3]], [0, 1], "x is not one rectangular array"),
        (np.array(["a", "b"]), [0, 1], "x holds text: 'a', 'b'; expected numbers"),
        (np.ma.masked_less(X, 0.5), Y, r"x is a masked array, .* its 12 masked values. Give x.filled\(0\)"),
        (X, np.ma.masked_equal(Y, 2), "y is a masked array, .* its 2 masked values"),
        (X.astype(complex), Y, r"x holds complex128; expected real numbers. Give numpy.abs\(x\)"),
        (
            X,
            Y.astype("datetime64[D]"),
            r"y holds datetime64\[D\]; expected class numbers. To make a class of each value: classes, y = ",
        ),
        (X, Y.astype(object), r"y holds Python objects \(int\), not numbers. Give y.astype\(int\)"),
        (np.array(3.0), Y, "x is a single number"),
        (X, Y - 1, r"2 of 6 labels are not class numbers .*: -1, -1\.$"),
        (X, Y + 0.5, r"6 of 6 labels are fractions, such as 0.5, 1.5, .*regression.* with model.fit"),
        (X, np.where(Y == 2, np.nan, Y), r"2 of 6 labels are not class numbers .*: nan, nan\.$"),
        (X, np.where(Y == 2, np.inf, Y), r"2 of 6 labels are not class numbers .*: inf, inf\.$"),
        (X, np.zeros((6, 2, 2)), r"y has the shape \(6, 2, 2\).*segmentation\) with model.fit"),
        (
            X,
            np.where(Y > 0, 1, -1),
            r"2 of 6 labels .*: -1, -1\. Give \(y > 0\).astype\(int\), or use a hinge",
        ),
        (X, X.reshape(6, 4), r"not one-hot: that of image 0 is \[0, 0.0434783, .*like regression with several targets"),
        (X, np.eye(3)[Y] + np.eye(3)[0], r"image 0 is \[2, 0, 0\]"),
        (
            X,
            np.clip(np.eye(3)[Y] + np.eye(3)[0], 0, 1),
            r"image 1 is \[1, 1, 0\]. This looks like images with several classes",
        ),
    ],
)
def test_arrays_that_cannot_be_trained_on_are_refused(x: Any, y: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        of_user(x, y)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_images_with_numbers_that_are_none_are_counted_and_listed(value: float) -> None:
    broken = X.copy()
    broken[[1, 4], 0, 1] = value
    with pytest.raises(DataError, match=r"2 of 6 images hold NaN or infinite values, the first at \[1, 4\]"):
        of_user(broken, Y)


def test_sample_weights_must_be_one_for_each_image() -> None:
    with pytest.raises(DataError, match=r"sample_weight has the shape \(5,\); expected \(6,\)"):
        of_user(X, Y, np.ones(5))


def test_class_weights_become_one_weight_for_each_image() -> None:
    for labels in (Y, np.eye(3)[Y]):
        weights = ClassWeight({0: 2.0, 2: 0.5}).applied_to(of_user(X, labels)).weights
        np.testing.assert_array_equal(weights, [2, 1, 0.5, 2, 1, 0.5])


def test_two_kinds_of_weights_are_refused() -> None:
    with pytest.raises(InputError, match="sample_weight and class_weight cannot be given together"):
        ClassWeight({0: 2.0}).applied_to(of_user(X, Y, np.ones(6)))


def test_a_split_takes_the_last_images_with_their_weights() -> None:
    train, validation = of_user(X, Y, np.arange(6)).split_last(0.4)
    np.testing.assert_array_equal(train.labels, Y[:3])
    np.testing.assert_array_equal(validation.images, X[3:])
    np.testing.assert_array_equal(validation.weights, [3, 4, 5])


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 1.5, 0.999])
def test_a_split_that_leaves_nothing_is_refused(fraction: float) -> None:
    with pytest.raises(InputError, match="leaves no images to train on, or none to validate on, of 6"):
        of_user(X, Y).split_last(fraction)


@pytest.mark.parametrize("given", [X, (X,), (X, Y, None, None), "validation"])
def test_validation_data_of_another_form_are_refused(given: Any) -> None:
    with pytest.raises(InputError, match=r"validation_data is a (str|dict|tuple of [14]);"):
        of_validation(given if not isinstance(given, np.ndarray) else {"x": given})


def test_what_is_wrong_in_validation_data_is_said_to_be_there() -> None:
    with pytest.raises(DataError, match="In validation_data, x has 6 images, but y has 5 labels"):
        of_validation((X, Y[:5]))


PART = Part((X * 16).astype(np.uint8), Y.astype(np.int32), ("a", "b", "c"), scale=16.0)


def test_images_that_are_single_numbers_have_no_axis_to_add_or_drop() -> None:
    numbers = of_user(np.arange(6), Y)
    assert of_user(np.arange(6)[:, None], Y).like(numbers).images.shape == (6,)
    assert numbers.like(numbers).images.shape == (6,)


@pytest.mark.parametrize("train", [lambda: of_user(X, Y), lambda: Arrays.of_part(PART)], ids=["arrays", "part"])
@pytest.mark.parametrize(
    "validation", [lambda: of_user(PART.x, Y), lambda: Arrays.of_part(PART)], ids=["arrays", "part"]
)
def test_validation_images_reach_the_model_on_the_same_scale_as_training_images(
    train: Callable[[], Arrays], validation: Callable[[], Arrays]
) -> None:
    """One program serves both, and it divides by one scale."""
    brought = validation().like(train())
    assert brought.scale == train().scale
    np.testing.assert_allclose(brought.images / np.float32(brought.scale or 1), PART.x, atol=1e-6)


def test_validation_images_of_another_shape_are_refused() -> None:
    with pytest.raises(DataError, match=r"validation images have the shape \(2, 1\), but the training images \(2, 2\)"):
        of_user(X[:, :, :1], Y).like(of_user(X, Y))


def test_validation_in_two_forms_is_refused() -> None:
    with pytest.raises(DataError, match=r"shape \(4,\), .* \(2, 2\)\. Give x_val.reshape\(-1, 2, 2\)"):
        of_user(X.reshape(6, 4), Y).like(of_user(X, Y))
    with pytest.raises(DataError, match=r"validation labels have the shape \(6, 3\), but the training labels \(6,\)"):
        of_user(X, np.eye(3)[Y]).like(of_user(X, Y))
