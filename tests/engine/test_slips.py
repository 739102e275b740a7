from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fittingroom.engine.data_checks import DataChecks, _form_notes
from fittingroom.engine.keras_callbacks import KerasCallbacks
from fittingroom.engine.user_arrays import ClassWeight, _checked_sample_weight, of_user, of_validation
from fittingroom.errors import DataError, InputError, ModelError

LABELS = np.array([0, 1, 2, 2, 2, 0], np.int32)


def dense(shape: tuple[int, ...], outputs: int = 3) -> keras.Model:
    layers = [keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(outputs, "softmax")]
    return keras.Sequential(layers)


@pytest.mark.parametrize(
    ("model", "images", "says"),
    [
        ((8, 8, 3), (3, 8, 8), r"takes images of shape \(8, 8, 3\).*channels first: give x.transpose\(0, 2, 3, 1\)"),
        ((8, 8), (1, 8, 8), r"channels first: give x.transpose"),
        ((64,), (8, 8), r"Give x.reshape\(len\(x\), -1\), or begin the model with keras.Input\(\(8, 8\)\) and Flatten"),
        ((8, 8, 1), (64,), r"Give x.reshape\(-1, 8, 8, 1\)"),
        ((64,), (65,), "one column more than the model has pixels. Is the label, or a row number, still in it"),
        ((8, 8), (8, 8, 3), r"in colour. Give x\[..., :3\].mean\(axis=-1\)"),
        ((8, 8, 3), (8, 8), r"grey. Give numpy.repeat\(x\[..., None\], 3, axis=-1\)"),
        ((8, 8, 3), (8, 8, 1), r"grey. Give numpy.repeat\(x, 3, axis=-1\)"),
        ((28, 28), (8, 8), r"Resize the images, or make the model take these: keras.Input\(\(8, 8\)\)"),
    ],
)
def test_the_mend_for_images_of_another_shape_comes_from_the_images(
    model: tuple[int, ...], images: tuple[int, ...], says: str
) -> None:
    with pytest.raises(ModelError, match=says):
        DataChecks(dense(model)).check_form(np.full((6, *images), 0.5, np.float32), LABELS)


@pytest.mark.parametrize(("column", "rest"), [(0, r"x\[:, 1:\]"), (-1, r"x\[:, :-1\]")])
def test_a_label_among_the_pixels_is_found(column: int, rest: str) -> None:
    images = np.full((6, 65), 0.5, np.float32)
    images[:, column] = LABELS
    with pytest.raises(ModelError, match=f"Column {column} is the label, .* Give {rest}"):
        DataChecks(dense((64,))).check_form(images, LABELS)


@pytest.mark.parametrize(
    ("model", "images"),
    [((8, 8), (8, 8, 1)), ((8, 8, 1), (8, 8)), ((8, 8), (8, 8)), ((None, None, 3), (5, 9, 3))],
)
def test_images_that_keras_takes_are_taken(model: tuple[int | None, ...], images: tuple[int, ...]) -> None:
    DataChecks(keras.Sequential([keras.Input(model)])).check_form(np.zeros((6, *images)), LABELS)


def test_labels_counted_from_1_are_distinguished_from_labels_of_more_classes() -> None:
    images = np.zeros((6, 8, 8))
    with pytest.raises(ModelError, match=r"labels are 1 to 3, but the model has 3 outputs.*Give y - 1"):
        DataChecks(dense((8, 8))).check_form(images, LABELS + 1)
    with pytest.raises(ModelError, match=r"are 1 to 2, but the model has 1 output: .*Give y - 1"):
        DataChecks(dense((8, 8), 1)).check_form(images, np.array([1, 2, 1, 2, 1, 2]))
    DataChecks(dense((8, 8), 4)).check_form(images, LABELS + 1)
    with pytest.raises(ModelError, match=r"3 different numbers up to 9 \(0, 3, 9\).*searchsorted\(\[0, 3, 9\], y\)"):
        DataChecks(dense((8, 8), 3)).check_form(images, np.array([0, 3, 9, 9, 9, 0]))
    with pytest.raises(ModelError, match=r"2 different numbers up to 8 \(3, 8\), but the model has 1 output:"):
        DataChecks(dense((8, 8), 1)).check_form(images, np.array([3, 8, 8, 3, 3, 8]))
    DataChecks(dense((8, 8), 10)).check_form(images, np.array([0, 3, 9, 9, 9, 0]))
    assert any("labels begin at 1" in note for note in _form_notes(images, LABELS + 1))
    assert _form_notes(images, LABELS) == ()
    assert any("looks like channels first" in note for note in _form_notes(np.zeros((6, 3, 8, 8)), LABELS))
    assert _form_notes(np.zeros((6, 8, 8, 3)), LABELS) == ()


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (np.array(["one", "two", "one"]), r"y holds text: 'one', 'two'.*numpy.unique\(y, return_inverse=True\)"),
        (np.array(["one", "two", "one"], object), "y holds text: 'one', 'two'"),
        (["3", "1", "1"], r"numbers as text: '3', '1'. Give y.astype\(int\)"),
        (np.array([b"shoe", b"hat", b"hat"]), "y holds text: 'shoe', 'hat'"),
        (np.array([1, None, 2], object), "1 of the 3 values in y are None. Leave those images out"),
        (np.array([1, {}, 2], object), r"y holds Python objects \(dict, int\), not numbers"),
    ],
)
def test_labels_that_are_text_are_shown_with_the_mend(labels: object, says: str) -> None:
    with pytest.raises(DataError, match=says):
        of_user(np.zeros((3, 8, 8)), labels)


def test_images_in_an_array_of_objects_are_shown_with_the_mend() -> None:
    same, other = np.empty(2, object), np.empty(2, object)
    same[:] = [np.zeros((4, 4)), np.ones((4, 4))]
    other[:] = [np.zeros((4, 4)), np.ones((5, 4))]
    with pytest.raises(DataError, match=r"2 arrays of shape \(4, 4\). Give numpy.stack\(list\(x\)\)"):
        of_user(same, [0, 1])
    with pytest.raises(DataError, match="arrays of different shapes"):
        of_user(other, [0, 1])


def test_arrays_of_another_byte_order_are_the_same_numbers() -> None:
    arrays = of_user(np.arange(8, dtype=">u2").reshape(2, 2, 2), np.array([0, 1], ">i8"), np.array([1, 2], ">f8"))
    assert arrays.images.dtype.isnative
    assert arrays.images.ravel().tolist() == list(range(8))
    assert arrays.labels.tolist() == [0, 1]
    assert arrays.weights is not None
    assert arrays.weights.tolist() == [1, 2]


def test_validation_may_have_the_axis_of_a_single_channel_or_not() -> None:
    train, labels = of_user(np.zeros((2, 4, 4, 1)), [0, 1]), [0, 1]
    assert of_validation((np.zeros((2, 4, 4)), labels)).like(train).images.shape == (2, 4, 4, 1)
    plain = of_user(np.zeros((2, 4, 4)), labels)
    assert of_validation((np.zeros((2, 4, 4, 1)), labels)).like(plain).images.shape == (2, 4, 4)
    with pytest.raises(DataError, match="validation images have the shape"):
        of_validation((np.zeros((2, 4, 5)), labels)).like(plain)
    with pytest.raises(DataError, match="validation_data holds no images"):
        of_validation((np.zeros((0, 4, 4)), []))


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ({0: -1.0}, r"class_weight\[0\] is -1.0; expected a number, 0 or more"),
        ({0: None}, r"class_weight\[0\] is None"),
        ({0: float("nan")}, "expected a number, 0 or more"),
        ({0: [1, 2]}, "expected a number, 0 or more"),
        ({0.5: 1.0}, r"names the class 0.5; expected class numbers"),
        ({"1": 1.0}, "names the class '1'.* Write 1 without quotes"),
        ({"hat": 1.0}, "names the class 'hat'.* 'hat' is class 1"),
        ({"cap": 1.0}, "names the class 'cap'; expected class numbers"),
        ({0: 0, 1: 0.0}, "All class weights are 0"),
        (np.array([1.0, 2.0]), r"class_weight is a ndarray.*dict\(enumerate\(class_weight\)\)"),
        ([1.0, 2.0], r"dict\(enumerate\(class_weight\)\)"),
        ("balance", "class_weight is 'balance'; expected .* or 'balanced'"),
    ],
)
def test_class_weights_that_mean_nothing_are_refused(weights: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        ClassWeight.of_user(weights, ("shoe", "hat"))


def test_class_weights_are_those_of_the_classes() -> None:
    weights = ClassWeight.of_user({np.int64(1): np.float32(3), 2.0: 0, 7: 5})
    assert weights is not None
    assert weights.of_images(LABELS).tolist() == [1, 3, 0, 0, 0, 1]
    assert weights.unused(LABELS) == ("class_weight names class 7, of which there are no training images.",)
    assert ClassWeight.of_user(None) is None


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60))
def test_balanced_weights_are_those_of_scikit_learn(labels: list[int]) -> None:
    from sklearn.utils.class_weight import compute_sample_weight

    ours = ClassWeight("balanced").of_images(np.array(labels))
    assert ours == pytest.approx(compute_sample_weight("balanced", labels), rel=1e-6)
    one_hot = np.eye(6)[labels]
    weighted = ClassWeight("balanced").applied_to(of_user(np.zeros((len(labels), 2)), one_hot))
    assert weighted.weights == pytest.approx(ours)


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        ([1.0, -2.0, 1.0], r"1 of 3 sample weights are negative or not finite: -2 \(image 1\)"),
        ([1.0, np.nan, np.inf], r"2 of 3 .*nan \(image 1\), inf \(image 2\)"),
        ([0.0, 0.0, 0.0], "All sample weights are 0"),
        ([1.0, 2.0], r"shape \(2,\); expected \(3,\)"),
    ],
)
def test_sample_weights_that_mean_nothing_are_refused(weights: list[float], says: str) -> None:
    with pytest.raises(DataError, match=says):
        _checked_sample_weight(np.array(weights), 3)


@pytest.mark.parametrize(
    ("callback", "says"),
    [
        (keras.callbacks.EarlyStopping, r"EarlyStopping is a class; expected an instance of it: EarlyStopping\(\)"),
        (lambda epoch, logs: None, r"is a function; expected .*LambdaCallback\(on_epoch_end=\.\.\.\)"),
        ("early", "holds a str; expected instances of keras.callbacks.Callback"),
    ],
)
def test_callbacks_that_are_none_are_refused_with_what_to_write(callback: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        KerasCallbacks.checked([callback])
