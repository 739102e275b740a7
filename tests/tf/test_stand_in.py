"""The stand-in for TensorFlow: tensors, operations, images and pipelines, and what it says of what it lacks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import fittingroom as fr

X = np.arange(60 * 4, dtype=np.uint8).reshape(60, 2, 2)
Y = (np.arange(60) % 3).astype(np.int32)


@pytest.fixture(autouse=True, name="tf")
def _tf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module, its acceleration on, and off again for other tests."""
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(tmp_path))
    import fittingroom.tf

    with fr.accelerate(out=False):
        yield fittingroom.tf


def model(tf: Any) -> keras.Model:
    tf.random.set_seed(0)
    made = tf.keras.Sequential(
        [tf.keras.Input((2, 2)), tf.keras.layers.Flatten(), tf.keras.layers.Dense(3, activation=tf.nn.softmax)]
    )
    made.compile(loss="sparse_categorical_crossentropy")
    return made


def test_tensors_and_operations_are_what_tensorflow_says(tf: Any) -> None:
    matrix = tf.constant([[1, 5, 2], [9, 1, 1]])
    assert (str(matrix.dtype), type(matrix.numpy()), matrix.numpy().tolist()) == (
        "int32", np.ndarray, [[1, 5, 2], [9, 1, 1]],
    )  # fmt: skip
    assert isinstance(tf.reduce_sum(matrix).numpy(), np.int32)
    values: dict[str, Any] = {
        "argmax": (tf.argmax(matrix), [1, 0, 0]),  # of the first axis, as TensorFlow has it
        "argmax of rows": (tf.argmax(matrix, axis=1), [1, 0]),
        "mean": (tf.reduce_mean([1.0, 2.0, 6.0]), 3.0),
        "max": (tf.math.reduce_max(input_tensor=matrix, axis=1, keepdims=True), [[5], [9]]),
        "one_hot": (tf.one_hot([2, 0], depth=3), [[0, 0, 1], [1, 0, 0]]),
        "cast": (tf.cast([1.7, 2.2], tf.int32), [1, 2]),
        "reshape": (tf.reshape(matrix, [-1, 2]), [[1, 5], [2, 9], [1, 1]]),
        "concat": (tf.concat([matrix, matrix], axis=0)[2:], [[1, 5, 2], [9, 1, 1]]),
        "gather": (tf.gather(matrix, [1]), [[9, 1, 1]]),
        "mask": (tf.boolean_mask(matrix, [True, False]), [[1, 5, 2]]),
        "clip": (tf.clip_by_value(matrix, 2, 5), [[2, 5, 2], [5, 2, 2]]),
        "confusion": (tf.math.confusion_matrix([0, 1, 1], [0, 1, 0]), [[1, 0], [1, 1]]),
        "matmul": (tf.matmul(a=tf.ones((1, 2)), b=tf.eye(2)), [[1, 1]]),
        "split": (tf.split(matrix, [1, 2], axis=1)[1], [[5, 2], [1, 1]]),
        "pad": (tf.pad([[1.0]], [[1, 0], [0, 1]]), [[0, 0], [1, 0]]),
        "norm": (tf.norm([3.0, 4.0]), 5.0),
        "top_k": (tf.math.top_k([1, 3, 2], k=2).indices, [1, 2]),
        "fill": (tf.fill([1, 2], 7), [[7, 7]]),
        "where": (tf.where([True, False], [1, 2], 5), [1, 5]),
        "places": (tf.where([False, True]), [[1]]),
        "operators": (2 * matrix[0] + 1, [3, 11, 5]),
    }
    for name, (found, expected) in values.items():
        np.testing.assert_allclose(found.numpy(), expected, err_msg=name)
    counter = tf.Variable(3.0)
    counter.assign_add(1)
    assert counter.numpy() == 4
    assert tf.config.list_physical_devices("CPU")[0].device_type == "CPU"
    assert str(tf.constant(np.zeros(2)).dtype) == str(tf.zeros(2, tf.float64).dtype) == "float32"
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=[0], logits=[[0.0, 0.0]])
    np.testing.assert_allclose(losses.numpy(), [np.log(2)], rtol=1e-6)
    assert tf.nn.relu is keras.activations.relu  # so that a model with it can be saved by name
    assert tf.keras.Model is keras.Model
    assert tf.losses is tf.keras.losses
    assert tf.keras.preprocessing.image.ImageDataGenerator


def test_what_is_missing_is_told_with_its_keras_name_and_modules_import(tf: Any) -> None:
    for ask, words in {
        lambda: tf.vectorized_map: "Keras has it as keras.ops.vectorized_map",
        lambda: tf.GradientTape: "model.fit, which computes gradients itself",
        lambda: tf.math.reduce_meen: "Did you mean tf.math.reduce_mean?",
        lambda: tf.io: "keras.utils.load_img",
        lambda: tf.keras.datasets.fashion_mnist.load: "tf.keras.datasets.fashion_mnist.load is not part",
    }.items():
        with pytest.raises(AttributeError, match=words.replace("?", r"\?")):
            ask()  # type: ignore[no-untyped-call]
    names: dict[str, Any] = {}
    for line in ("from fittingroom.tf import keras", "from fittingroom.tf.keras.layers import Dense"):
        exec(line, names)  # as a notebook writes it; type checkers do not see modules without a file
    assert (names["keras"].Sequential, names["Dense"]) == (keras.Sequential, keras.layers.Dense)
    assert "tensorflow" not in sys.modules


def test_images_are_changed_as_tensorflow_does(tf: Any) -> None:
    image = np.array([[[0], [100]], [[200], [255]]], np.uint8)
    assert tf.image.flip_left_right(image).numpy()[..., 0].tolist() == [[100, 0], [255, 200]]
    assert tf.image.flip_up_down(image).numpy()[..., 0].tolist() == [[200, 255], [0, 100]]
    assert tf.image.rot90(image).numpy()[..., 0].tolist() == [[100, 255], [0, 200]]
    assert tf.image.grayscale_to_rgb(image).shape == (2, 2, 3)
    np.testing.assert_allclose(tf.image.convert_image_dtype(image, tf.float32), image / 255, rtol=1e-6)
    assert tf.image.convert_image_dtype(image / 255.0, tf.uint8).numpy().tolist() == image.tolist()
    grey = tf.image.rgb_to_grayscale(np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8))
    assert grey.numpy()[..., 0].tolist() == [[76, 150]]
    assert tf.image.resize(image, [4, 6]).shape == (4, 6, 1)
    assert tf.image.central_crop(np.zeros((8, 8, 1)), 0.5).shape == (4, 4, 1)
    whitened = tf.image.per_image_standardization(image).numpy()
    np.testing.assert_allclose([whitened.mean(), whitened.std()], [0, 1], atol=1e-6)
    flipped = tf.image.random_flip_left_right(np.repeat(image[None], 40, 0)).numpy()[:, 0, 0, 0]
    assert set(flipped.tolist()) == {0, 100}


def test_pipelines_give_what_they_say(tf: Any) -> None:
    numbers = tf.data.Dataset.range(10)

    def listed(dataset: Any) -> list[Any]:
        return [np.asarray(one).tolist() for one in dataset]

    assert listed(numbers.batch(4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert listed(numbers.batch(4, drop_remainder=True)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert listed(numbers.map(lambda n: n * 2).skip(2).take(3)) == [4, 6, 8]
    assert listed(numbers.filter(lambda n: n % 5 == 0)) == [0, 5]
    assert listed(numbers.take(2).repeat(2)) == [0, 1, 0, 1]
    assert listed(numbers.repeat().skip(8).take(4)) == [8, 9, 0, 1]
    assert listed(numbers.batch(4).unbatch().take(5)) == [0, 1, 2, 3, 4]
    assert listed(numbers.take(2).concatenate(numbers.take(1))) == [0, 1, 0]
    pairs = tf.data.Dataset.zip((numbers, tf.data.Dataset.from_tensor_slices(["a", "b"])))
    assert [(int(number), str(text)) for number, text in pairs] == [(0, "a"), (1, "b")]
    for shuffled in (numbers.shuffle(10), numbers.shuffle(3), numbers.filter(lambda n: n >= 0).shuffle(4)):
        one, two = listed(shuffled), listed(shuffled)
        assert sorted(one) == sorted(two) == list(range(10))
        assert one != two  # each pass has an order of its own
    steady = numbers.shuffle(10, seed=1, reshuffle_each_iteration=False)
    assert listed(steady) == listed(steady)
    assert max(abs(place - value) for place, value in enumerate(listed(numbers.shuffle(2))) if value > place) <= 1
    drawn = numbers.map(lambda n: tf.cast(n, tf.float32) + tf.random.uniform(()))
    assert listed(drawn) != listed(drawn)  # not traced: its numbers are random each time
    cached = drawn.cache()
    assert listed(cached) == listed(cached)
    by_name = next(iter(tf.data.Dataset.from_tensor_slices({"image": X, "label": Y}).batch(5)))
    assert by_name["image"].numpy().shape == (5, 2, 2)
    assert [int(one.cardinality()) for one in (numbers, numbers.repeat(), numbers.filter(bool))] == [10, -1, -2]


def test_model_fit_trains_on_a_pipeline_as_on_its_arrays(tf: Any) -> None:
    scaled = tf.data.Dataset.from_tensor_slices((X, Y)).map(lambda x, y: (tf.cast(x, tf.float32) / 255.0, y))
    batches = scaled.batch(20).prefetch(tf.data.AUTOTUNE)
    by_arrays, by_pipeline, by_batches = (model(tf) for _ in range(3))
    x = X.astype(np.float32) / 255
    by_arrays.fit(x, Y, batch_size=20, epochs=2, shuffle=False, verbose=0)
    run = by_pipeline.fit(batches, epochs=2, validation_data=scaled.take(30).batch(10), verbose=0)
    by_batches.fit(batches.filter(lambda x, y: True), epochs=2, verbose=0)  # no longer a table
    for other in (by_pipeline, by_batches):
        np.testing.assert_allclose(by_arrays.get_weights()[0], other.get_weights()[0], atol=1e-6)
    assert run.outcomes.labels.tolist() == Y[:30].tolist()  # so that the run can be explained
    assert len(by_pipeline.fit(batches.repeat(), epochs=2, steps_per_epoch=2, verbose=0).epoch) == 2
    with pytest.raises(fr.InputError, match=r"never ends, because of repeat\(\)"):
        by_pipeline.fit(batches.repeat(), verbose=0)
    with pytest.raises(fr.InputError, match="batch_size= cannot be used"):
        fr.fit(by_pipeline, batches, batch_size=3, out=False)
    assert by_pipeline.predict(batches.map(lambda x, y: x), verbose=0).shape == (60, 3)
    assert by_pipeline.evaluate(batches, verbose=0) == pytest.approx(by_pipeline.evaluate(x, Y, verbose=0), rel=1e-5)
    fractions = batches.map(lambda x, y: (x, tf.cast(y, tf.float32) / 2))
    regression = tf.keras.Sequential([tf.keras.layers.Flatten(), tf.keras.layers.Dense(1)])
    regression.compile(loss="mse")
    assert type(regression.fit(fractions, epochs=2, verbose=0)) is keras.callbacks.History
