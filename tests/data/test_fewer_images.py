"""`load(..., train=N)`: fewer training images, the same share of each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import fittingroom as fr
from fittingroom.errors import DataError
from fittingroom.experiments.plan import ExperimentPlan
from fittingroom.recipes.recipe import Recipe


def test_fewer_images_have_the_shares_of_the_classes_and_are_among_more() -> None:
    whole, some, few = (fr.load("digits", train=count) for count in (None, 400, 100))
    assert (len(some.train), len(few.train)) == (400, 100)
    shares = np.array(whole.train.counts()) / len(whole.train)
    assert np.abs(np.array(few.train.counts()) - 100 * shares).max() <= 1
    rows = [set(np.asarray(one.train.rows).tolist()) for one in (whole, some, few)]
    assert rows[2] < rows[1] < rows[0]
    assert (few.validation.images == whole.validation.images).all()  # type: ignore[union-attr]
    assert few.test.fingerprint == whole.test.fingerprint


def test_a_run_on_fewer_images_finds_them_again_and_is_another_cell(runs_dir: Path) -> None:
    few = fr.load("digits", train=100)
    run = fr.train(few, Recipe(name="small", hidden=(4,), epochs=1), out=runs_dir / "one")
    again = run.record.data.load_again()
    assert (again.train.images == few.train.images).all()
    plans = [ExperimentPlan.of(fr.load("digits", train=count), (), ()).data for count in (None, 100, 101)]
    assert len(set(plans)) == 3


@pytest.mark.parametrize("count", [9, 1318, 2.5, True, "100"])
def test_numbers_that_make_no_sense_are_refused(count: object) -> None:
    with pytest.raises(DataError, match=r"expected a whole number of images to train on, from 10 .* to the 1,317"):
        fr.load("digits", train=count)  # type: ignore[arg-type]
