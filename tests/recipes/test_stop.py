from __future__ import annotations

import json

import keras
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fittingroom.errors import RecipeError, UnknownNameError
from fittingroom.recipes.stop import StopRule


def stops_at(rule: StopRule, metric: str, values: list[float]) -> int | None:
    """The epoch, from 1, after which the rule stops."""
    for epoch, value in enumerate(values, start=1):
        if rule.update({metric: value}):
            return epoch
    return None


@pytest.mark.parametrize(
    ("condition", "values", "epoch"),
    [
        ("loss<0.4", [0.5, 0.4, 0.39], 3),
        ("loss<=0.4", [0.5, 0.4, 0.39], 2),
        ("loss < 0.4", [0.3], 1),
        ("accuracy>=0.6", [0.59, 0.6], 2),
        ("accuracy>0.6", [0.59, 0.6], None),
        ("loss<0.4", [float("nan")], None),
        ("val_loss rises 1", [0.5, 0.4, 0.41], 3),
        ("val_loss rises 2", [0.5, 0.6, 0.55, 0.3], 3),
        ("val_loss rises 2", [0.5, 0.6, 0.4, 0.5, 0.45], 5),
        ("val_loss rises 2", [0.5, 0.5, 0.5], 3),
        ("val_accuracy falls 2", [0.5, 0.6, 0.6, 0.59], 4),
        ("val_loss rises 2", [float("nan"), float("nan")], 2),
        ("loss rises 3", [0.5, 0.4, 0.3, 0.2], None),
    ],
)
def test_rule_stops_after_the_right_epoch(condition: str, values: list[float], epoch: int | None) -> None:
    assert stops_at(StopRule([condition]), StopRule.parse(condition).metric, values) == epoch


@pytest.mark.parametrize(("metric", "word", "mode"), [("val_loss", "rises", "min"), ("val_accuracy", "falls", "max")])
@given(values=st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5]), max_size=12), patience=st.integers(1, 4))
def test_patience_is_that_of_keras(metric: str, word: str, mode: str, values: list[float], patience: int) -> None:
    model = keras.Sequential()
    callback = keras.callbacks.EarlyStopping(monitor=metric, patience=patience, mode=mode)
    callback.set_model(model)
    callback.on_train_begin()
    model.stop_training = False
    expected = None
    for epoch, value in enumerate(values):
        callback.on_epoch_end(epoch, {metric: value})
        if model.stop_training:
            expected = epoch + 1
            break
    assert stops_at(StopRule([f"{metric} {word} {patience}"]), metric, values) == expected


def test_reason_says_which_condition_and_what_was_reached() -> None:
    rule = StopRule(["loss<0.4", "val_loss rises 1"])
    assert rule.update({"loss": 0.5, "val_loss": 0.61}) is None
    assert rule.update({"loss": 0.39, "val_loss": 0.7}) == (
        "loss<0.4 after epoch 2 (loss 0.3900); val_loss rises 1 after epoch 2 (best val_loss 0.6100 after epoch 1)"
    )


def test_no_conditions_never_stop() -> None:
    assert StopRule([]).update({"loss": 0.0}) is None


@given(
    values=st.lists(st.floats(0, 2, width=32), min_size=1, max_size=12),
    cut=st.integers(0, 11),
    patience=st.integers(1, 3),
)
def test_restored_rule_continues_as_if_never_interrupted(values: list[float], cut: int, patience: int) -> None:
    conditions = [f"val_loss rises {patience}", "val_loss<0.1"]
    whole, first = StopRule(conditions), StopRule(conditions)
    expected = [whole.update({"val_loss": value}) for value in values]
    found = [first.update({"val_loss": value}) for value in values[:cut]]
    second = StopRule(conditions)
    second.restore(json.loads(json.dumps(first.state())))
    found += [second.update({"val_loss": value}) for value in values[cut:]]
    assert found == expected


@pytest.mark.parametrize(
    ("text", "plain"),
    [(" loss  <  .4 ", "loss<0.4"), ("loss<1", "loss<1"), ("val_loss  rises  03", "val_loss rises 3")],
)
def test_condition_has_one_plain_spelling(text: str, plain: str) -> None:
    assert StopRule.parse(text).text == plain
    assert StopRule.parse(plain).text == plain


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_spelling_keeps_the_number_exactly(value: float) -> None:
    condition = StopRule.parse(f"loss<{value!r}")
    assert StopRule.parse(condition.text) == condition


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss", "expected a comparison such as 'loss<0.4'"),
        ("", "expected a comparison"),
        ("0.4>loss", "expected a comparison"),
        ("loss=<0.4", "expected <, <=, > or >=, not '=<'"),
        ("loss==0.4", "expected <, <=, > or >=, not"),
        ("loss<low", "expected a number after '<', not 'low'"),
        ("loss<nan", "expected a number after '<', not 'nan'"),
        ("loss<inf", "expected a number after"),
        ("accuracy>=60", "an accuracy is a share from 0 to 1. Write 0.6 for 60 percent"),
        ("accuracy>=60%", "an accuracy is a share from 0 to 1"),
        ("val_loss rises", "expected a number of epochs, 1 or more, at the end, as in 'val_loss rises 3'"),
        ("val_loss rises 0", "expected a number of epochs"),
        ("val_loss rises 1.5", "expected a number of epochs"),
        ("val_loss falls 3", "would stop while the model gets better: a low val_loss is good.*'val_loss rises 3'"),
        ("accuracy rises 2", "a high accuracy is good. Write 'accuracy falls 2'"),
    ],
)
def test_condition_that_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        StopRule.parse(text)


@pytest.mark.parametrize("text", ["losss<0.4", "losss rises 3"])
def test_unknown_metric_lists_the_known_ones(text: str) -> None:
    with pytest.raises(UnknownNameError, match=r"'losss'. Did you mean 'loss'\? Known: loss, accuracy, val_loss"):
        StopRule.parse(text)


def test_condition_on_validation_without_validation_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"'val_loss<0.4' needs validation data, and this training has none"):
        StopRule(["val_loss<0.4"], validation=False)
    StopRule(["loss<0.4"], validation=False)


def test_metric_that_a_training_lacks_is_named_with_those_it_has() -> None:
    with pytest.raises(
        RecipeError, match=r"'accuracy>0.6': this training has no metric 'accuracy'. It has loss and auc"
    ):
        StopRule(["accuracy>0.6"]).update({"loss": 0.5, "auc": 0.9})
