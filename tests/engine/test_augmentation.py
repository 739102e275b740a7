"""What the random changes of training images do, and that they are there for training alone."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fittingroom.engine.augmentation import augmented, augmenting, with_seed
from fittingroom.engine.blueprint import Blueprint
from fittingroom.engine.epoch import Examples, StepFunctions
from fittingroom.engine.state import State
from fittingroom.recipes.augment import AUGMENTATIONS, parse_augmentation

Array = np.ndarray[Any, Any]
ALL = ("flip", "shift 2", "cutout 3")


def changed(images: Array, *texts: str, seed: int = 0) -> Array:
    return np.asarray(
        augmented(jax.random.key(seed), jnp.asarray(images), [parse_augmentation(text) for text in texts])
    )


def ramp(count: int = 200, shape: tuple[int, ...] = (6, 5)) -> Array:
    """Images whose pixels all differ and are above 0."""
    return np.broadcast_to(np.arange(1.0, 1 + np.prod(shape)).reshape(shape), (count, *shape)).astype(np.float32)


def shifted(image: Array, down: int, right: int) -> Array:
    result = np.zeros_like(image)
    height, width = image.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    inside = (rows - down >= 0) & (rows - down < height) & (columns - right >= 0) & (columns - right < width)
    result[inside] = image[(rows - down)[inside], (columns - right)[inside]]
    return result


def test_flip_mirrors_about_half_of_the_images_left_to_right() -> None:
    images = ramp()
    flipped = [
        np.array_equal(after, before[:, ::-1]) for after, before in zip(changed(images, "flip"), images, strict=True)
    ]
    same = [np.array_equal(after, before) for after, before in zip(changed(images, "flip"), images, strict=True)]
    assert all(a != b for a, b in zip(flipped, same, strict=True))
    assert 70 < sum(flipped) < 130


def test_shift_moves_each_image_by_every_offset_there_is_and_no_other() -> None:
    images = ramp()
    expected = {shifted(images[0], down, right).tobytes() for down in (-1, 0, 1) for right in (-1, 0, 1)}
    assert {image.tobytes() for image in changed(images, "shift 1")} == expected


def test_cutout_blackens_one_square_which_the_edge_may_cut() -> None:
    images = ramp(400, (9, 9))
    black = changed(images, "cutout 3") == 0
    assert np.array_equal(changed(images, "cutout 3")[~black], images[~black])
    sizes = set()
    for mask in black:
        rows, columns = mask.any(axis=1), mask.any(axis=0)
        assert np.array_equal(mask, rows[:, None] & columns)
        sizes.add((int(rows.sum()), int(columns.sum())))
    assert sizes == {(rows, columns) for rows in (2, 3) for columns in (2, 3)}
    assert black.any(axis=0).all()


@pytest.mark.parametrize("text", ALL)
def test_colours_are_changed_together(text: str) -> None:
    grey = ramp(50, (8, 8))
    colour = changed(np.repeat(grey[..., None], 3, axis=3), text)
    np.testing.assert_array_equal(colour, np.repeat(changed(grey, text)[..., None], 3, axis=3))


def test_every_known_augmentation_is_tested_here() -> None:
    assert {text.split()[0] for text in ALL} == set(AUGMENTATIONS)


def recording() -> StepFunctions:
    """Step functions whose training leaves the images that it was given as the trainable part of the state."""

    def train_step(state: State, examples: Examples) -> State:
        return state._replace(trainable=(examples.images,))

    unused: Any = None
    return StepFunctions(train_step, unused, unused, unused, unused, unused, unused)


def steps_of(seed: int, count: int, *texts: str) -> list[Array]:
    """The images that each of `count` training steps gets to see."""
    steps = augmenting(recording(), [parse_augmentation(text) for text in texts])
    state = with_seed(Blueprint((), (), (), (), {})).initial_state(seed)
    seen = []
    for _ in range(count):
        state = jax.jit(steps.train_step)(state, Examples(jnp.asarray(ramp(20)), jnp.zeros(20, jnp.int32)))
        seen.append(np.asarray(state.trainable[0]))
    return seen


def test_every_step_changes_images_anew() -> None:
    first, second = steps_of(0, 2, *ALL)
    assert not np.array_equal(first, second)


def test_seed_decides_what_is_changed() -> None:
    again, first = steps_of(0, 2, *ALL), steps_of(0, 2, *ALL)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, steps_of(1, 2, *ALL))


def test_two_augmentations_draw_independently() -> None:
    one_alone = {image.tobytes() for image in changed(ramp(), "shift 1")}
    assert len({image.tobytes() for image in changed(ramp(), "shift 1", "shift 1")}) > len(one_alone)


def test_evaluation_and_prediction_stay_as_they_are() -> None:
    plain = recording()
    steps = augmenting(plain, [parse_augmentation("flip")])
    assert (steps.test_step, steps.forward) == (plain.test_step, plain.forward)
