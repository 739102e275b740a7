from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from fittingroom.evaluation.change import Change
from fittingroom.evaluation.image_lists import ImageLists, _ImageList
from fittingroom.evaluation.trajectories import Trajectories
from tests.evaluation.examples import all_lists, any_trajectories, is_json, of_right, trajectories_of


def indices(images: _ImageList) -> list[int]:
    return [image.index for image in images.images]


@given(any_trajectories())
def test_any_run_has_its_lists(trajectories: Trajectories) -> None:
    start, end = trajectories.best_loss_epoch, trajectories.last_epoch
    for images in all_lists(trajectories, start, end, limit=5):
        assert len(images.images) == min(images.count, 5)
        assert len(set(indices(images))) == len(images.images)
        assert is_json(images.to_dict())
        for image in images.images:
            assert image.label == trajectories.labels[image.index]
            assert image.predicted == trajectories.predicted[-1][image.index]


def test_the_largest_losses_come_first_of_equals_the_first_image() -> None:
    found = ImageLists(of_right([[1, 1, 1, 1]], [[1, 3, 2, 3]]), 3).largest_loss(1)
    assert indices(found) == [1, 3, 2]
    assert found.count == 4
    assert found.images[0].numbers == {"loss": 3.0, "probability": pytest.approx(np.exp(-3))}


@given(any_trajectories())
def test_the_images_that_carried_the_rise_account_for_all_of_it(trajectories: Trajectories) -> None:
    start, end = trajectories.epochs[0], trajectories.last_epoch
    found = ImageLists(trajectories, trajectories.images).carried_rise(start, end)
    rises = [group.rose for group in Change.between(trajectories, start, end).groups]
    assert found.count == sum(share.count for share in rises)
    assert sum(image.numbers["nats"] for image in found.images) == pytest.approx(sum(share.nats for share in rises))


def test_forgotten_is_right_once_then_wrong_for_good() -> None:
    right = np.array(
        [
            [1, 1, 0, 1, 0, 1],
            [1, 1, 1, 1, 0, 0],
            [0, 1, 0, 0, 0, 1],
            [0, 0, 0, 0, 0, 1],
            [0, 0, 0, 0, 0, 0],
            [0, 0, 0, 1, 0, 0],
        ]
    )
    found = ImageLists(of_right(right)).forgotten(6)
    # 3 is right again, 4 never was, 5 has been wrong for two epochs only.
    assert indices(found) == [1, 0, 2]
    assert found.images[2].numbers == {
        "first_right": 2,
        "last_right": 2,
        "epochs_right": 1,
        "times": 1,
        "loss": pytest.approx(2),
    }
    assert ImageLists(of_right(right)).forgotten(4).count == 0


def test_never_learned_is_wrong_after_every_epoch() -> None:
    right = [[0, 0, 1, 0], [0, 1, 0, 0]]
    found = ImageLists(of_right(right, [[1, 1, 1, 3], [2, 1, 1, 3]])).never_learned(2)
    assert indices(found) == [3, 0]
    assert found.images[1].numbers == {"mean_loss": 1.5, "loss": 2.0}


def test_confident_mistakes_go_by_the_probability_of_the_predicted_class() -> None:
    probabilities = [[0.1, 0.45, 0.45], [0.2, 0.8, 0.0001], [0.9, 0.05, 0.05]]
    logits = np.log(probabilities)[None]
    assert indices(ImageLists(trajectories_of(logits, [0, 0, 0])).confident_mistakes(1)) == [1, 0]
    without = ImageLists(trajectories_of(logits, [0, 0, 0], keep_all=False)).confident_mistakes(1)
    assert indices(without) == [0, 1]
    assert "least probable true class first" in without.rule


def test_ever_more_confident_is_wrong_in_the_later_half_and_no_surer_of_the_truth() -> None:
    loss = [[1, 3, 5, 1, 9], [1, 3, 5, 1, 9], [2, 4, 1, 2, 9], [3, 5, 1, 2, 9]]
    right = np.zeros((4, 5))
    right[2, 3] = 1  # right once in the later half
    right[0, 0] = 1  # right once in the earlier half
    found = ImageLists(of_right(right, loss)).ever_more_confident(1, 4)
    # 2 gave the truth more probability later; 4 was as sure of its mistake all the time.
    assert indices(found) == [4, 1, 0]
    assert found.images[2].numbers == {
        "mean_loss": 2.5,
        "probability_before": pytest.approx(np.exp(-1)),
        "probability_after": pytest.approx((np.exp(-2) + np.exp(-3)) / 2),
    }
    assert indices(ImageLists(of_right(right, loss)).ever_more_confident(3, 4)) == [4, 1, 0, 3, 2]


def test_a_single_epoch_shows_no_course() -> None:
    wrong = of_right([[0, 0], [0, 0]])
    assert ImageLists(wrong).ever_more_confident(2, 2).count == 0
    assert ImageLists(wrong).ever_more_confident(2, 1).count == 0
    assert ImageLists(wrong).ever_more_confident(1, 2).count == 2


@pytest.mark.parametrize("start", [1, 5])
def test_flipped_labels_are_found_on_made_up_trainings(start: int) -> None:
    """50 of 2,000 labels say another class than the images do; the model learns what the images say."""
    random = np.random.default_rng(0)
    epochs, images, classes = 20, 2_000, 10
    real = random.integers(classes, size=images)
    logits = 0.7 * random.normal(size=(images, classes)) + 0.2 * random.normal(size=(epochs, images, classes))
    logits[:, np.arange(images), real] += random.normal(3.0, 1.2, images)
    logits *= np.linspace(0.5, 4, epochs)[:, None, None]
    labels = real.copy()
    flipped = random.choice(images, 50, replace=False)
    labels[flipped] = (real[flipped] + random.integers(1, classes, 50)) % classes
    trajectories = trajectories_of(logits, labels)
    assert 0.8 < trajectories.accuracy[-1] < 0.95
    found = ImageLists(trajectories, 100).ever_more_confident(start, epochs)
    assert found.count > 100
    assert len(set(indices(found)) & set(flipped.tolist())) >= 40
