"""The page's own network, in Chromium: it gives what Keras gives, with vectors and without."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import keras
import numpy as np
import pytest

import fittingroom.exports
from fittingroom.exports.chromium import Chromium, chromium_path
from fittingroom.exports.page_archive import graph_parts, packed
from fittingroom.exports.page_bundle import bundled
from fittingroom.networks.from_keras import graph_of_model
from fittingroom.networks.graph import Array, Graph, Operation
from tests.networks.test_from_keras import ACTIVATIONS, LAYERS, MAPS, merged, operations, with_values
from tests.networks.test_from_keras import answers as onnx_answers

PAGE = Path(fittingroom.exports.__file__).parent / "page"

pytestmark = pytest.mark.skipif(chromium_path() is None, reason="there is no Chromium here")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    program = bundled("page_engine.js", (Path(__file__).parent, PAGE))
    browser = Chromium(f"<!doctype html><script>{program}</script>".encode())
    yield browser
    browser.close()


def answers(chromium: Chromium, graph: Graph, images: Array, *, vectors: bool = True) -> Mapping[str, Array]:
    """What the page's network gives of images, by the name of the output."""
    text = packed(*graph_parts(graph))
    asked = f"answers('{text}', {images.ravel().tolist()}, {images[0].size}, {json.dumps(vectors)})"
    found = chromium.value(asked)
    return {name: np.array([one[name] for one in found], np.float64) for name in found[0]}


def assert_equal(chromium: Chromium, graph: Graph) -> None:
    """The page gives what onnxruntime gives, which the tests of networks compare with Keras."""
    images = np.random.default_rng(2).normal(0.3, 1.5, (3, *graph.image_shape)).astype(np.float32)
    expected = onnx_answers(graph, images).reshape(3, -1)
    size = max(1.0, float(np.abs(expected).max()))
    for vectors in (True, False):
        found = answers(chromium, graph, images, vectors=vectors)["output"]
        np.testing.assert_allclose(found, expected, atol=1e-5 * size, err_msg=f"vectors {vectors}")


KINDS = (
    "dilated groups",
    "one dimension",
    "transposed ('same', 4, 3, 1)",
    "pooling",
    "layer norm",
    "reshape",
    "resizing",
    "softmax",
)


@pytest.mark.parametrize("name", [*KINDS, *(pytest.param(one, marks=pytest.mark.slow) for one in LAYERS)])
def test_each_layer_gives_what_keras_gives(name: str, chromium: Chromium) -> None:
    model = with_values(LAYERS[name]())
    model(np.zeros((1, *model.input_shape[1:]), np.float32))  # builds what is built at the first call
    assert_equal(chromium, graph_of_model(model))


def test_activations_branches_and_operations_give_what_keras_gives(chromium: Chromium) -> None:
    images = keras.Input(MAPS)
    each = [keras.layers.Activation(name)(images) for name in ACTIVATIONS]
    more = [keras.activations.gelu(images, approximate=True), keras.activations.relu(images, 0.1, 3.0, 0.5)]
    activations = keras.Model(images, keras.layers.Concatenate()([*each, *more]))
    for model in (activations, with_values(merged()), keras.Model(images, operations(images))):
        assert_equal(chromium, graph_of_model(model))


def test_half_floats_are_rounded_as_numpy_rounds_them(chromium: Chromium) -> None:
    random = np.random.default_rng(0)
    values = random.normal(0, 1, 2_000).astype(np.float32) * np.float32(2) ** random.integers(-30, 18, 2_000)
    ties = (np.arange(2040, 2060) + 0.5).astype(np.float32)  # steps of 1 or 2 there
    images = np.concatenate([values, ties, [0, -0.0, 65_504, 65_519, 65_520]])[None].astype(np.float32)
    halved = Operation("float16", ("images",), "halved", images.shape[1:])
    found = answers(chromium, Graph(images.shape[1:], "float32", (halved,), {"output": "halved"}), images)["output"]
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(found, images.astype(np.float16).astype(np.float64))


def test_a_value_with_two_readers_is_not_written_over(chromium: Chromium) -> None:
    operations = (
        Operation(
            "scale", ("images",), "a", (4,), {}, {"scale": np.array(2, np.float32), "offset": np.array(1, np.float32)}
        ),
        Operation("reshape", ("a",), "b", (2, 2)),
        Operation("activation", ("b",), "c", (2, 2), {"name": "negative"}),
        Operation("reshape", ("c",), "d", (4,)),
        Operation("add", ("a", "d"), "e", (4,)),
        Operation("softmax", ("a",), "f", (4,)),
    )
    graph = Graph((4,), "float32", operations, {"zeros": "e", "a": "a", "softmax": "f"})
    images = np.array([[1, 2, 3, 4], [0, 0, 0, 0]], np.float32)
    found = answers(chromium, graph, images)
    np.testing.assert_array_equal(found["a"], 2 * images + 1)
    np.testing.assert_array_equal(found["zeros"], np.zeros((2, 4)))
    np.testing.assert_allclose(found["softmax"].sum(axis=1), 1, atol=1e-6)


def test_arrays_arrive_as_they_were(chromium: Chromium) -> None:
    random = np.random.default_rng(0)
    arrays = {
        "bytes": random.integers(0, 256, (3, 5), np.uint8),
        "empty": np.zeros((0, 4), np.float32),
        "floats": random.normal(size=(2, 3)).astype(np.float32).T,
        "doubles": np.array([1 / 3, np.inf, -0.0]),
        "number": np.float32(0.1) * np.ones((), np.float32),
        "integers": np.array([-(2**31), 2**31 - 1], np.int32),
        "same": random.normal(size=(2, 3)).astype(np.float32),
    }
    names = {"classes": ["</script>", "קשת", "a\u2028b"]}
    found = chromium.value(f"contents('{packed(names, arrays)}')")
    assert found["facts"] == names
    for name, array in arrays.items():
        assert tuple(found["arrays"][name]["shape"]) == array.shape
        np.testing.assert_array_equal(
            np.array(found["arrays"][name]["data"], np.float64), array.astype(np.float64).ravel()
        )
    twice = {**arrays, "again": arrays["bytes"]}
    assert len(packed(names, twice)) < len(packed(names, arrays)) + 100
    with pytest.raises(TypeError, match="array 'wide' holds int64; expected one of uint8"):
        packed({}, {"wide": np.zeros(2, np.int64)})


def test_modules_that_cannot_be_bundled_are_errors(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text('import { b } from "./b.js";\nexport const a = b;\n')
    (tmp_path / "b.js").write_text('import { a } from "./a.js";\nexport const b = a;\n')
    (tmp_path / "c.js").write_text("export default 1;\n")
    (tmp_path / "d.js").write_text('import { e } from "./e.js";\n')
    with pytest.raises(ValueError, match=r"modules need each other: a\.js, b\.js, a\.js"):
        bundled("a.js", (tmp_path,))
    with pytest.raises(ValueError, match=r"c\.js has a form of import or export .* 'export default 1;'"):
        bundled("c.js", (tmp_path,))
    with pytest.raises(FileNotFoundError, match=r"no module e\.js"):
        bundled("d.js", (tmp_path,))
