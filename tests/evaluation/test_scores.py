from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from fittingroom.errors import InputError
from fittingroom.evaluation.luck import Reuse, ScoredLook, TestResult
from fittingroom.evaluation.scores import Scores

Array = npt.NDArray[Any]
NAMES = ("shirt", "bag", "boot")


def labelled(size: int) -> st.SearchStrategy[Array]:
    return hnp.arrays(np.int32, size, elements=st.integers(0, 2))


def scored(labels: list[int], predicted: list[int], losses: list[float] | None = None) -> Scores:
    return Scores.of(np.array(labels), np.array(predicted), np.array(losses or [0.5] * len(labels)), NAMES)


@given(data=st.data(), size=st.integers(1, 40))
def test_confusion_and_per_class_numbers_are_scikit_learns(data: st.DataObject, size: int) -> None:
    labels, predicted = data.draw(labelled(size)), data.draw(labelled(size))
    found = Scores.of(labels, predicted, np.zeros(size), NAMES)
    assert np.array_equal(found.confusion, confusion_matrix(labels, predicted, labels=range(3)))
    expected = precision_recall_fscore_support(labels, predicted, labels=range(3), zero_division=0)
    for index, of_class in enumerate(found.per_class):
        numbers = (of_class.precision or 0, of_class.recall or 0, of_class.f1 or 0, of_class.count)
        assert numbers == pytest.approx(tuple(column[index] for column in expected))


@given(data=st.data(), size=st.integers(1, 40))
def test_parts_sum_to_the_whole(data: st.DataObject, size: int) -> None:
    labels, predicted = data.draw(labelled(size)), data.draw(labelled(size))
    found = Scores.of(labels, predicted, np.zeros(size), NAMES)
    assert found.count == sum(part.count for part in found.per_class) == size
    assert found.correct == sum(part.correct for part in found.per_class) == int((labels == predicted).sum())
    assert sum(part.predicted for part in found.per_class) == size
    assert found.interval.low <= found.accuracy <= found.interval.high


def test_all_right() -> None:
    found = scored([0, 1, 2, 1], [0, 1, 2, 1])
    assert (found.accuracy, found.interval.high) == (1, 1)
    assert [part.f1 for part in found.per_class] == [1, 1, 1]


def test_all_wrong() -> None:
    found = scored([0, 1, 2], [1, 2, 0])
    assert (found.accuracy, found.interval.low) == (0, 0)
    assert [part.f1 for part in found.per_class] == [0, 0, 0]


def test_class_without_images_has_no_accuracy_but_a_precision() -> None:
    absent = scored([0, 1], [0, 2]).per_class[2]
    assert (absent.accuracy, absent.interval, absent.precision, absent.f1) == (None, None, 0, 0)


def test_class_that_is_never_predicted_has_no_precision() -> None:
    missed = scored([0, 1], [0, 0]).per_class[1]
    assert (missed.accuracy, missed.precision, missed.f1) == (0, None, 0)


def test_class_that_never_occurs_has_no_numbers() -> None:
    nothing = scored([0, 1], [0, 1]).per_class[2]
    assert (nothing.accuracy, nothing.precision, nothing.f1) == (None, None, None)


def test_loss_is_the_mean_in_full_precision() -> None:
    losses = np.full(100_000, 0.1, np.float32)
    zeros = np.zeros(len(losses), np.int32)
    assert Scores.of(zeros, zeros, losses, NAMES).loss == pytest.approx(np.float32(0.1), rel=1e-12)


@pytest.mark.parametrize(
    ("labels", "predicted", "losses", "message"),
    [
        ([], [], [], "no images to score"),
        ([0, 1], [0], [0.1], "2 labels, 1 predictions, 1 losses: expected as many of each"),
        ([0, 3], [0, 1], [0.1, 0.1], "label 3: expected a class from 0 to 2"),
        ([0, 1], [0, -1], [0.1, 0.1], "prediction -1: expected a class from 0 to 2"),
    ],
)
def test_outcomes_that_do_not_fit_are_refused(
    labels: list[int], predicted: list[int], losses: list[float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Scores.of(np.array(labels, np.int32), np.array(predicted, np.int32), np.array(losses), NAMES)


def test_plain_form_is_json_and_comes_back() -> None:
    scores = scored([0, 1, 1, 2], [0, 1, 0, 2], [0.1, 0.2, 1.5, 0.3])
    stored = json.loads(json.dumps(scores.to_dict(), allow_nan=False))
    assert Scores.from_dict(stored) == scores
    assert stored["per_class"][1] == {
        "name": "bag",
        "count": 2,
        "correct": 1,
        "predicted": 1,
        "accuracy": 0.5,
        "interval": pytest.approx([0.0945, 0.9055], abs=1e-4),
        "precision": 1.0,
        "recall": 0.5,
        "f1": pytest.approx(2 / 3),
    }


def test_test_result_says_what_came_out_and_which_look_it_was() -> None:
    result = TestResult((ScoredLook(0, scored([0, 1], [0, 1], [0.25, 0.75]), "the end", 2, Reuse(2, 0.5, 1.0)),))
    assert result.interval is not None
    assert (result.accuracy, result.loss, result.interval.high) == (1, 0.5, 1)
    assert str(result) == (
        "test accuracy 1.0000 [0.3424, 1.0000], loss 0.5000 nats, 2 of 2 right "
        "(look 2 at this test set; best of 2 looks: about 0.0 points are luck (models correlated 0.50))"
    )
    assert {
        "reason": "the end",
        "look": 2,
        "looks": 2,
        "luck": 0,
        "correlation": 0.5,
        "correct": 2,
    }.items() <= result.to_dict().items()
