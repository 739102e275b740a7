"""TFLite files: what they hold beside the network, and what integers lose."""

from __future__ import annotations

import io
import json
import math
import subprocess
import sys
import zipfile
from typing import Any, cast

import keras
import numpy as np
import pytest

from fittingroom.errors import InputError, ModelError
from fittingroom.exports import tflite_file, tflite_int8, tflite_program
from fittingroom.exports.export_subject import ExportSubject, tolerance_of
from fittingroom.exports.tflite_int8 import in_integers
from fittingroom.exports.tflite_operators import to_tflite
from fittingroom.networks.graph import Graph, Operation

Array = np.ndarray[Any, Any]

CLASSES = ("T-shirt", "Größe\n2", "boot")
FACTS = {"class_names": list(CLASSES), "image_shape": [8, 8], "run": "a-run", "made_by": "fittingroom 9", "odd": "é"}


def weights(seed: int, *shapes: tuple[int, ...]) -> list[Array]:
    random = np.random.default_rng(seed)
    return [random.normal(0, np.sqrt(2 / math.prod(shape[:-1])), shape).astype(np.float32) for shape in shapes]


KERNEL, DEPTHWISE, POINTWISE, DENSE, BIAS = weights(5, (3, 3, 1, 8), (3, 3, 1, 8), (1, 1, 8, 8), (16, 3), (3,))


def step(kind: str, inputs: str, output: str, shape: tuple[int, ...], given: Any = None, **options: Any) -> Operation:
    return Operation(kind, tuple(inputs.split()), output, shape, options, given or {}, output)


def network(image_type: Any = "uint8") -> Graph:
    """What int8 has to get right at once: residual sums, depthwise convolutions, joins, means, other activations."""
    map_, same = (8, 8, 8), {"padding": ((1, 1), (1, 1)), "strides": (1, 1), "dilation": (1, 1)}
    scale = np.float32(1 / 255 if image_type == "uint8" else 1)
    return Graph(
        (8, 8),
        image_type,
        (
            step("reshape", "images", "channel", (8, 8, 1)),
            step("scale", "channel", "scaled", (8, 8, 1), {"scale": scale, "offset": np.float32(-0.5)}),
            step("convolution", "scaled", "first", map_, {"kernel": KERNEL}, groups=1, **same),
            step("activation", "first", "rectified", map_, name="relu"),
            step("convolution", "rectified", "deep", map_, {"kernel": DEPTHWISE}, groups=8, **same),
            step("activation", "deep", "smooth", map_, name="sigmoid"),
            step("multiply", "rectified smooth", "gated", map_),
            step("convolution", "gated", "point", map_, {"kernel": POINTWISE}, groups=1, padding=((0, 0), (0, 0))),
            step("activation", "point", "leaking", map_, name="relu", negative_slope=0.1),
            step("add", "leaking rectified", "sum", map_),
            step("concatenate", "sum gated", "both", (8, 8, 16), axis=-1),
            step("activation", "both", "bent", (8, 8, 16), name="gelu"),
            step("max_pool", "bent", "pooled", (4, 4, 16), size=(2, 2), strides=(2, 2), padding=((0, 0), (0, 0))),
            step("mean", "pooled", "vector", (16,), axes=[0, 1], keepdims=False),
            step("dense", "vector", "logits", (3,), {"kernel": DENSE, "bias": BIAS}),
            step("log_softmax", "logits", "logs", (3,)),
            step("scale", "logs", "cooled", (3,), {"scale": np.float32(5), "offset": np.float32(0)}),
            step("softmax", "cooled", "answer", (3,)),
        ),
        {"probabilities": "answer", "log_probabilities": "logs"},
    )


def reference(images: Array) -> Array:
    """The same network by Keras's functions."""
    ops, activations = keras.ops, keras.activations
    scaled = images[..., None].astype(np.float32) / 255 - 0.5
    rectified = activations.relu(ops.conv(scaled, KERNEL, padding="same"))
    deep = ops.depthwise_conv(rectified, DEPTHWISE.transpose(0, 1, 3, 2), padding="same")
    gated = rectified * activations.sigmoid(deep)
    both = ops.concatenate([activations.leaky_relu(gated @ POINTWISE[0, 0], 0.1) + rectified, gated], -1)
    vector = ops.mean(ops.max_pool(activations.gelu(both), 2, 2), axis=(1, 2))
    return np.asarray(ops.softmax(5 * ops.log_softmax(vector @ DENSE + BIAS)))


@pytest.fixture(scope="module")
def subject() -> ExportSubject:
    random = np.random.default_rng(0)
    soft = np.kron(random.integers(0, 256, (400, 2, 2)), np.ones((4, 4)))
    images = (0.7 * soft + 0.3 * random.integers(0, 256, (400, 8, 8))).astype(np.uint8)
    answers = reference(images)
    labels = np.array([random.choice(3, p=row / row.sum()) for row in answers.astype(np.float64)])
    return subject_of(network(), images, answers, labels)


def subject_of(graph: Graph | None, images: Array, answers: Array, labels: Array | None) -> ExportSubject:
    return ExportSubject(
        graph=graph,
        why_no_graph="layer 'mine' (Lambda) is not known",
        parts=None,
        facts=FACTS,
        images=images,
        answers=answers,
        labels=labels,
        given=False,
        predictor=cast(Any, None),
        weights=(),
        card=lambda _: "",
    )


def test_it_answers_as_the_network_does_alone_and_together(subject: ExportSubject) -> None:
    answer = tflite_file.answers_of(subject, tflite_file.make(subject))
    together = answer(subject.images)
    np.testing.assert_allclose(together, subject.answers, atol=1e-5)
    np.testing.assert_allclose(answer(subject.images[:1]), together[:1], atol=1e-6)
    assert tflite_file.loss_of(subject, tflite_file.make(subject)) is None


def test_where_features_are_rounded_a_last_digit_may_be_seen(subject: ExportSubject) -> None:
    assert tolerance_of(subject) == 1e-5
    rounded = (step("float16", "images", "half", (8, 8)),)
    graph = Graph((8, 8), "float32", rounded, {"probabilities": "half"})
    assert tolerance_of(subject_of(graph, subject.images, subject.answers, None)) == 5e-4


def test_it_says_what_it_is_where_phones_and_people_look(subject: ExportSubject) -> None:
    content = tflite_file.make(subject)[".tflite"]
    assert content == tflite_file.make(subject)[".tflite"]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.read("labels.txt").decode().splitlines() == ["T-shirt", "Größe 2", "boot"]
        assert json.loads(archive.read("fittingroom.json")) == FACTS
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}

    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content)
    assert (model.Version(), content[4:8]) == (3, b"TFL3")
    entry = model.Metadata(0)
    described = bytes(model.Buffers(entry.Buffer()).DataAsNumpy())
    assert entry.Name() == b"TFLITE_METADATA"
    assert described[4:8] == b"M001"
    assert b"labels.txt" in described
    weights = [model.Buffers(place) for place in range(model.BuffersLength())]
    assert all(buffer._tab.Vector(buffer._tab.Offset(4)) % 16 == 0 for buffer in weights if buffer.DataLength())


def test_views_share_their_weights() -> None:
    dense = {"kernel": np.ones((64, 3), np.float32)}
    views = [
        operation
        for view in "abc"
        for operation in (
            step("reshape", "images", f"flat{view}", (64,)),
            step("dense", f"flat{view}", f"logits{view}", (3,), dense),
            step("log_softmax", f"logits{view}", f"logs{view}", (3,)),
        )
    ]
    mean = step("log_mean_exp", "logsa logsb logsc", "mean", (3,))
    graph = Graph((8, 8), "uint8", (*views, mean), {"mean": "mean"})
    program = to_tflite(graph, ["mean"])
    assert sum(tensor.data is not None and tensor.data.size == 64 * 3 for tensor in program.tensors) == 1


def test_an_activation_joins_the_layer_before_it_where_nothing_else_sees_that() -> None:
    dense = {"kernel": np.ones((4, 4), np.float32)}
    before = (
        step("dense", "images", "a", (4,), dense),
        step("reshape", "a", "b", (4,)),  # another name of the same
        step("activation", "b", "c", (4,), name="relu"),
    )
    alone = Graph((4,), "float32", (step("dense", "images", "b", (4,), dense), before[2]), {"y": "c"})
    assert [operator.kind for operator in to_tflite(alone, ["y"]).operators] == ["FULLY_CONNECTED"]
    seen = Graph((4,), "float32", (*before, step("add", "a c", "d", (4,))), {"y": "d"})
    kinds = [operator.kind for operator in to_tflite(seen, ["y"]).operators]
    assert kinds == ["FULLY_CONNECTED", "RELU", "ADD"]


def test_integers_are_small_and_what_they_lose_is_told(subject: ExportSubject) -> None:
    files = tflite_file.make(subject, int8=True)
    loss = tflite_file.loss_of(subject, files)
    assert loss is not None
    assert files == tflite_file.make(subject, int8=True)
    found = tflite_file.answers_of(subject, files)(subject.images)
    others = np.ones(len(subject.images), bool)
    others[::2] = False  # these show the ranges
    assert np.abs(found - subject.answers).max() < 0.1
    assert loss["calibrated_on"] + loss["images"] == len(subject.images)
    assert loss["same_class"] == np.mean(found.argmax(1) == subject.answers.argmax(1), where=others)
    assert subject.labels is not None
    assert loss["accuracy"] == np.mean(found.argmax(1) == subject.labels, where=others)
    assert loss["interval"][0] <= loss["change"] <= loss["interval"][1]
    assert loss["sentence"].startswith(f"In integers, {100 * loss['accuracy']:.1f}% of 200 validation images are right")


def test_layers_are_in_integers_and_what_follows_the_last_is_not() -> None:
    program = to_tflite(network(), ["probabilities"])
    kinds = [program.operators[place].kind for place in sorted(in_integers(program))]
    assert kinds == [
        "CONV_2D",
        "DEPTHWISE_CONV_2D",
        "LOGISTIC",
        "MUL",
        "CONV_2D",
        "LEAKY_RELU",
        "ADD",
        "CONCATENATION",
        "MAX_POOL_2D",
        "MEAN",
        "FULLY_CONNECTED",
    ]  # fmt: skip - GELU has no integers


def test_weights_are_rounded_so_that_filters_for_edges_stay_blind_to_brightness() -> None:
    edges = np.random.default_rng(4).normal(size=(6, 3, 3, 5))
    edges -= edges.mean(axis=(1, 2), keepdims=True)
    steps = 127 * edges / np.abs(edges).max()
    integers = tflite_int8._rounded(steps)
    assert np.abs(integers - steps).max() <= 1
    assert np.abs(integers.sum(axis=(1, 2))).max() == 0
    assert np.abs(np.rint(steps).sum(axis=(1, 2))).max() > 0


def test_resizing_by_weights_is_not_in_integers() -> None:
    rows = {"kernel": np.ones((8, 8), np.float32)}
    graph = Graph(
        (8, 8),
        "uint8",
        (
            step("dense", "images", "wide", (8, 8), rows),
            step("floor", "wide", "pixels", (8, 8)),
            step("dense", "pixels", "logits", (8, 8), rows),
        ),
        {"y": "logits"},
    )
    program = to_tflite(graph, ["y"])
    assert [operator.kind for operator in program.operators] == ["CAST", "FULLY_CONNECTED", "FLOOR", "FULLY_CONNECTED"]
    assert in_integers(program) == {3}


def test_without_validation_nothing_is_said_of_accuracy(subject: ExportSubject) -> None:
    synthetic = subject_of(network(), subject.images[:1], subject.answers[:1], None)
    loss = tflite_file.loss_of(synthetic, tflite_file.make(synthetic, int8=True))
    assert loss is not None
    assert "accuracy" not in loss
    assert "not known" in loss["sentence"]


def test_numbers_as_given_go_in_as_numbers(subject: ExportSubject) -> None:
    images = (subject.images / 255).astype(np.float32)
    floats = subject_of(network("float32"), images, subject.answers, subject.labels)
    for int8, most in ((False, 1e-5), (True, 0.1)):
        found = tflite_file.answers_of(floats, tflite_file.make(floats, int8=int8))(images)
        assert np.abs(found - subject.answers).max() < most


def test_standard_error_stays_silent() -> None:
    code = """
import numpy
from fittingroom.exports.tflite_operators import to_tflite
from fittingroom.exports.tflite_runtime import answer_of
from fittingroom.networks.graph_builder import GraphBuilder

builder = GraphBuilder((3,), "float32")
graph = builder.graph({"y": builder.add("softmax", ["images"])})
print(answer_of(to_tflite(graph, ["y"]).file(), "y")(numpy.zeros((2, 3), "float32")).shape)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (ended.stdout, ended.stderr) == ("(2, 3)\n", "")


def test_an_older_runtime_says_what_it_lacks(subject: ExportSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tflite_program, "_version", lambda *_: 99)
    files = tflite_file.make(subject)
    with pytest.raises(InputError, match=r"LiteRT cannot run the TFLite file: .*version"):
        tflite_file.answers_of(subject, files)


def test_what_cannot_be_is_refused(subject: ExportSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = subject_of(None, subject.images, subject.answers, None)
    with pytest.raises(ModelError, match="layer 'mine'"):
        tflite_file.make(unknown)
    bare = Graph((3,), "float32", (step("softmax", "images", "p", (3,)),), {"probabilities": "p"})
    with pytest.raises(InputError, match="this network has none"):
        tflite_file.make(subject_of(bare, subject.images, subject.answers, None), int8=True)
    with pytest.raises(InputError, match="LiteRT cannot run the TFLite file"):
        tflite_file.answers_of(subject, {".tflite": b"nothing"})
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    files = tflite_file.make(subject)  # needs no runtime
    with pytest.raises(InputError, match=r"pip install 'fittingroom\[export\]'"):
        tflite_file.answers_of(subject, files)
