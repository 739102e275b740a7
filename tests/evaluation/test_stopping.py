from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from fittingroom.errors import InputError
from fittingroom.evaluation.stopping import Stopping
from fittingroom.evaluation.trajectories import Trajectories
from tests.evaluation.examples import any_trajectories, is_json, of_right


def wavering(seed: int, images: int = 300, epochs: int = 15, rise: float = 0.0, best: int = 4) -> Trajectories:
    """Images that waver from epoch to epoch around levels of their own; after epoch `best` the loss rises steadily."""
    random = np.random.default_rng(seed)
    level = random.exponential(0.5, images)
    after = np.maximum(0, np.arange(1, epochs + 1) - best)
    before = np.maximum(0, best - np.arange(1, epochs + 1))
    loss = level * (1 + 0.2 * random.uniform(size=(epochs, images)))
    loss = loss + rise * (after + before)[:, None]
    right = random.uniform(size=(epochs, images)) < np.exp(-level)
    return of_right(right, loss)


def test_a_loss_that_rises_is_dated() -> None:
    found = Stopping.of([wavering(0, rise=0.02)], [None])
    (seed,) = found.seeds
    assert seed.rising_since == seed.loss_epoch == 4
    assert found.differences.rise.value == pytest.approx(11 * 0.02, abs=0.02)
    assert found.differences.rises


def test_noise_is_not_called_a_rise_nor_a_difference() -> None:
    """Chosen and measured on the same images, the best of 15 equal epochs would seem to be better than the last."""
    found = [Stopping.of([wavering(seed)], [None]) for seed in range(60)]
    assert sum(each.differences.rises for each in found) <= 5
    assert sum(each.differences.accuracy.shown for each in found) <= 7
    naive = [wavering(seed).accuracy for seed in range(60)]
    assert np.mean([accuracy.max() - accuracy[-1] for accuracy in naive]) > 0.02
    assert abs(np.mean([each.differences.accuracy.value for each in found])) < 0.012


def test_loss_and_accuracy_that_part_ways_are_shown() -> None:
    """Accuracy grows to the end, while a few images that stay wrong cost ever more."""
    random = np.random.default_rng(0)
    epochs, images = 20, 2_000
    right = random.uniform(size=images) < np.linspace(0.6, 0.85, epochs)[:, None]
    right[:, :200] = False
    loss = np.where(right, 0.1, 1.2)
    loss[:, :200] = np.linspace(1, 12, epochs)[:, None] * random.uniform(0.5, 1.5, 200)
    found = Stopping.of([of_right(right, loss)], [None])
    differences = found.differences
    assert found.seeds[0].loss_epoch < found.seeds[0].accuracy_epoch
    assert differences.differ
    assert differences.accuracy.value > 0.1
    assert differences.loss.value > 0.1
    assert differences.accuracy_since.shown


def test_the_gap_is_validation_less_training_loss_and_its_growth_is_dated() -> None:
    trajectories = wavering(1, rise=0.02)
    training = np.linspace(1.0, 0.1, 15)
    seed = Stopping.of([trajectories], [training]).seeds[0]
    assert seed.gaps == pytest.approx(trajectories.mean_loss - training)
    assert seed.smallest_gap_epoch == 1 + int(np.argmin(trajectories.mean_loss - training))
    assert seed.gap_growing_since == seed.smallest_gap_epoch
    assert is_json(seed.to_dict())


def test_without_a_training_loss_there_is_no_gap() -> None:
    found = Stopping.of([wavering(1), wavering(2)], [np.ones(15), None])
    assert found.differences.gap_growth is None
    assert found.seeds[1].gaps is None
    assert found.seeds[0].gaps is not None


def test_from_five_seeds_on_it_speaks_of_other_seeds() -> None:
    trainings = [wavering(seed, rise=0.02) for seed in range(5)]
    few, enough = Stopping.of(trainings[:4], [None] * 4), Stopping.of(trainings, [None] * 5)
    assert (few.over_seeds, enough.over_seeds) == (False, True)
    assert enough.differences.rises
    each = [seed.differences.rise.value for seed in enough.seeds]
    assert enough.differences.rise.value == pytest.approx(np.mean(each))


def test_a_rise_of_one_seed_among_five_is_not_one_of_the_recipe() -> None:
    trainings = [wavering(0, rise=0.05), *(wavering(seed) for seed in range(1, 5))]
    found = Stopping.of(trainings, [None] * 5)
    assert found.seeds[0].differences.rises
    assert not found.differences.rises


@settings(max_examples=30)
@given(any_trajectories())
def test_any_run_is_answered(trajectories: Trajectories) -> None:
    found = Stopping.of([trajectories], [np.ones(len(trajectories.epochs))])
    assert found.seeds[0].loss_epoch == trajectories.best_loss_epoch
    assert is_json(found.to_dict())


def test_a_single_epoch_leaves_no_choice() -> None:
    found = Stopping.of([of_right([[1, 0, 1]])], [np.ones(1)])
    assert not found.differences.differ
    assert not found.differences.rises
    assert not found.differences.gap_grows
    assert (found.seeds[0].rising_since, found.seeds[0].gap_growing_since) == (None, None)


def test_the_same_run_gets_the_same_answer() -> None:
    assert Stopping.of([wavering(3)], [None]).to_dict() == Stopping.of([wavering(3)], [None]).to_dict()


def test_what_does_not_belong_together_is_refused() -> None:
    one = of_right([[1, 0], [1, 0]])
    with pytest.raises(InputError, match="0 seeds and 0 training losses"):
        Stopping.of([], [])
    with pytest.raises(InputError, match="different validation images"):
        Stopping.of([one, of_right([[1]])], [None, None])
    with pytest.raises(InputError, match=r"training loss of shape \(3,\): expected one per epoch \(1, 2\)"):
        Stopping.of([one], [np.ones(3)])
