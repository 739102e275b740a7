"""Two opinions on a photo are one by Bayes' rule; they refuse where neither names a class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fittingroom.answers.judgement import Judgement
from fittingroom.answers.two_opinions import TwoOpinions
from fittingroom.data.class_table import Opinion


def opinion(*shares: float) -> Opinion:
    """What a network says of the classes, in order; the last is something else."""
    return Opinion("a network", np.array(shares[:-1]), shares[-1], (("a thing", 1.0),))


def both(run: Any, second: Opinion, *, unlike: bool = False) -> TwoOpinions:
    return TwoOpinions.of(np.asarray(run, np.float32), second, unlike=unlike)


def test_probabilities_are_multiplied() -> None:
    together = both([0.6, 0.3, 0.1], opinion(0.2, 0.6, 0.1, 0.1))
    np.testing.assert_allclose(together.probabilities, np.array([0.12, 0.18, 0.01]) / 0.31, rtol=1e-6)
    assert together.order == [1, 0, 2]


def test_who_says_nothing_changes_nothing() -> None:
    run = [0.7, 0.2, 0.1]
    np.testing.assert_allclose(both(run, opinion(0.25, 0.25, 0.25, 0.25)).probabilities, run, rtol=1e-6)
    np.testing.assert_allclose(both([1 / 3] * 3, opinion(0.7, 0.2, 0.1, 0)).probabilities, run, rtol=1e-6)


def test_where_the_shape_is_unlike_the_run_counts_half() -> None:
    sure, second = [1.0, 0.0], opinion(0.05, 0.9, 0.05)
    assert both(sure, second).probabilities.tolist() == [1.0, 0.0]
    together = both(sure, second, unlike=True)
    np.testing.assert_allclose(together.probabilities, np.array([0.75 * 0.05, 0.25 * 0.9]) / 0.2625, rtol=1e-6)
    assert not together.refused


def test_a_set_is_the_smallest_that_is_likely_enough() -> None:
    together = both([0.5, 0.3, 0.15, 0.05], opinion(0.2, 0.2, 0.2, 0.2, 0.2))
    assert together.inside(0.1) == [True, True, True, False]
    assert together.inside(0.3) == [True, True, False, False]
    assert together.inside(0.6) == [True, False, False, False]


def test_opinions_that_are_calibrated_and_independent_are_calibrated_together() -> None:
    random, classes = np.random.default_rng(0), 5
    labels = random.integers(classes, size=20_000)
    # Each sees the true class through noise of its own, and says the posterior of that.
    seen = [(np.eye(classes)[labels] + random.normal(0, 0.8, (len(labels), classes))) / 0.8**2 for _ in range(2)]
    run, second = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True) for logits in seen)
    told = [both(one, opinion(*other, 0.0)) for one, other in zip(run, second, strict=True)]
    sure = np.array([one.probabilities.max() for one in told])
    right = np.array([one.order[0] for one in told]) == labels
    assert right.mean() > max((each.argmax(axis=1) == labels).mean() for each in (run, second)) + 0.05
    for low, high in ((0.2, 0.5), (0.5, 0.75), (0.75, 0.95), (0.95, 1.01)):
        inside = (sure >= low) & (sure < high)
        assert sure[inside].mean() == pytest.approx(right[inside].mean(), abs=0.03)


def test_something_else_takes_both_a_shape_that_is_unlike_and_a_network_that_names_no_class() -> None:
    run = [0.7, 0.3]
    assert not both(run, opinion(0.4, 0.2, 0.4), unlike=True).something_else
    assert not both(run, opinion(0.2, 0.1, 0.7)).something_else
    assert both(run, opinion(0.3, 0.2, 0.5), unlike=True).something_else


def test_a_network_that_is_sure_of_something_else_is_believed_without_the_run() -> None:
    assert both([0.7, 0.3], opinion(0.02, 0.02, 0.96)).something_else
    assert not both([0.999, 0.001], opinion(0.1, 0.0, 0.9)).something_else


def test_a_class_that_is_less_likely_than_all_others_is_not_named() -> None:
    together = both([0.4, 0.3, 0.3], opinion(0.3, 0.3, 0.3, 0.1))
    assert together.refused
    assert not together.something_else
    assert not both([0.6, 0.2, 0.2], opinion(0.3, 0.3, 0.3, 0.1)).refused


def test_opinions_that_rule_out_each_other_s_classes_leave_numbers() -> None:
    together = both([1.0, 0.0], opinion(0.0, 0.5, 0.5))
    assert together.probabilities.sum() == pytest.approx(1)
    assert together.refused


def test_a_run_that_nothing_was_held_out_for_says_so() -> None:
    logs = np.log([[0.6, 0.4]])
    [answer] = Judgement.nothing().answers(
        logs, np.empty((1, 0)), ("clothes", ("Coat", "Bag")), opinions=(opinion(0.8, 0.1, 0.1),)
    )
    assert answer.why == (
        "Coat, at 92%. The run says Coat (60%), not calibrated, as no images were held out to check it on; "
        "a network sees a thing (over 99%)."
    )
