"""`fittingroom.compare`: the kept weights of each run, on the same validation images, the test set left closed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import fittingroom as fr
from fittingroom.data.dataset import Dataset
from fittingroom.errors import InputError, RunError, UnknownNameError
from fittingroom.evaluation.differences import mcnemar
from fittingroom.runs.ledger import Ledger
from tests.engine import models

pytestmark = pytest.mark.usefixtures("quick_compiler")

TINY = fr.Recipe(name="tiny", hidden=(8,), epochs=1, batch_size=64)
LONG = fr.Recipe(name="long", hidden=(8,), epochs=12, batch_size=64)  # the same program


def right(run: fr.Run, data: Dataset) -> Any:
    """About which validation images a run's kept weights are right."""
    assert data.validation is not None
    return run.predict(data.validation.images).argmax(axis=1) == data.validation.labels


def test_two_runs_are_compared_by_their_answers_to_the_same_images(digits: Dataset) -> None:
    first, second = fr.train(digits, LONG), fr.train(digits, TINY)
    (pair,) = (comparison := fr.compare([first, second])).pairs
    answers = [right(run, digits) for run in (first, second)]
    only = tuple(int((one & ~other).sum()) for one, other in (answers, answers[::-1]))
    assert (pair.only, pair.accuracy.p) == (only, mcnemar(*only))
    assert pair.better == 0
    for contender, run in zip(comparison.contenders, (first, second), strict=True):
        validation = run.record.validation
        assert validation is not None
        assert contender.accuracy.mean == validation.accuracy
        assert contender.mean_loss.mean == pytest.approx(validation.loss)
        assert contender.interval == validation.interval
    assert str(comparison).startswith(f"{first.path.name} is right more often than {second.path.name}, by ")


def test_runs_may_be_given_as_objects_paths_or_names(digits: Dataset) -> None:
    first, second = fr.train(digits, TINY), fr.train(digits, LONG)
    names: list[list[str | Path]] = [[first.path, str(second.path)], [first.path.name, "latest"]]
    facts = [fr.compare([first, second]).to_dict(), *(fr.compare(pair).to_dict() for pair in names)]
    assert json.dumps(facts[0]) == json.dumps(facts[1]) == json.dumps(facts[2])


def test_comparing_opens_no_test_set_and_tells_no_test_score(digits: Dataset) -> None:
    runs = [fr.train(digits, recipe) for recipe in (TINY, LONG)]
    fr.compare(runs)
    assert digits.test.openings == ()
    assert Ledger.of_user().looks() == []
    result = runs[0].evaluate()
    comparison = fr.compare(runs)
    assert len(Ledger.of_user().looks()) == 1
    told = json.dumps(comparison.to_dict()) + str(comparison)
    assert str(result.loss) not in told
    assert f"{100 * result.accuracy:.2f}%" not in told


def test_seeds_count_together_and_five_on_both_sides_speak_of_recipes(digits: Dataset) -> None:
    few, five, long = (
        fr.train(digits, recipe, seeds=seeds) for recipe, seeds in ((TINY, 2), (TINY, 5), (LONG, [5, 6, 7, 8, 9]))
    )
    comparison = fr.compare([five, long, few])
    assert [one.seeds for one in comparison.contenders] == [(0, 1, 2, 3, 4), (5, 6, 7, 8, 9), (0, 1)]
    assert [pair.test for pair in comparison.pairs] == ["seeds and images", "sign flip", "sign flip"]
    assert long.validation is not None
    assert comparison.contenders[1].accuracy == long.validation["accuracy"]
    assert comparison.pairs[0].better == 1
    with pytest.raises(InputError, match=r"is one seed of"):
        fr.compare([five, five[2]])
    assert fr.compare([five[0], few[1]]).names == tuple(
        f"{run.path.parent.name}/{run.path.name}" for run in (five[0], few[1])
    )


def test_restored_weights_are_compared_by_their_own_epoch(digits: Dataset) -> None:
    model = models.small(optimizer=keras.optimizers.SGD(1.5))
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True)
    restored = fr.fit(model, digits, epochs=8, batch_size=32, callbacks=[stopping], seed=0, verbose=0)
    assert restored.outcomes is not None
    best = int(np.argmin(restored.history["val_loss"]))
    assert best < len(restored.history.epoch) - 1
    (contender, _) = fr.compare([restored, fr.train(digits, TINY)]).contenders
    assert (contender.correct[0] == right(restored, digits)).all()
    assert (contender.loss[0] == restored.outcomes.loss[best]).all()


def test_averages_over_views_are_compared_as_the_run_answers(digits: Dataset) -> None:
    views = fr.train(digits, TINY.changed(test_views=("flip",)))
    comparison = fr.compare([views.path, fr.train(digits, TINY).path])
    assert (comparison.contenders[0].correct[0] == right(views, digits)).all()
    assert views.record.validation is not None
    assert comparison.contenders[0].mean_loss.mean == views.record.validation.loss


def averaged() -> keras.Model:
    """A model whose weights are the mean over the training in the end: those of no epoch."""
    return models.small(optimizer=keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.97))


def test_averaged_weights_are_compared_also_where_their_images_cannot_be_loaded(digits: Dataset) -> None:
    assert digits.validation is not None
    held_out = (digits.validation.x, digits.validation.y)
    run = fr.fit(averaged(), digits.train.x, digits.train.y, validation_data=held_out, epochs=2, verbose=0)
    comparison = fr.compare([run, fr.train(digits, TINY)])
    answers = run.predict(digits.validation.x).argmax(axis=1) == digits.validation.labels
    assert (comparison.contenders[0].correct[0] == answers).all()
    assert not any("last validated epoch" in note for note in comparison.notes)
    assert "leave no fingerprint" in comparison.notes[0]


def test_other_validation_images_are_refused_with_the_mend(digits: Dataset) -> None:
    run = fr.train(digits, TINY)
    more = fr.train(digits.name, TINY, validation=200)
    elsewhere = fr.train(fr.load("digits", split_seed=1), TINY)
    mend = r"Runs are compared on the same images: train both on the same dataset with the same --validation\."
    with pytest.raises(InputError, match=rf"since they have 120 and 200 validation images\. {mend}"):
        fr.compare([run, more])
    with pytest.raises(InputError, match=r"cut in different ways \(split seed 0 and split seed 1\)"):
        fr.compare([run, elsewhere])


def test_what_cannot_be_compared_is_refused(digits: Dataset, tmp_path: Path) -> None:
    run = fr.train(digits, TINY)
    without = fr.train("digits", TINY, validation=0)
    with pytest.raises(RunError, match=r"has no validation images\. Train with some"):
        fr.compare([run, without])
    with pytest.raises(InputError, match=r"1 run to compare; expected two or more"):
        fr.compare([run])
    with pytest.raises(InputError, match=r"given twice; a run does not differ from itself"):
        fr.compare([run, run.path])
    with pytest.raises(InputError, match=r"expected a list of two runs or more"):
        fr.compare(run.path.name)
    with pytest.raises(InputError, match=r"compare\(of type Run\): expected a list of two runs or more"):
        fr.compare(run)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match=r"unknown run 'nothing'"):
        fr.compare([run, "nothing"])
