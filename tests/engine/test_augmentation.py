"""What the random changes of training images do, and that they are there for training alone."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fittingroom.engine.augmentation import _augmented, changing_images
from fittingroom.engine.blueprint import Blueprint
from fittingroom.engine.epoch import Examples, Logs, StepFunctions
from fittingroom.engine.state import State
from fittingroom.recipes.settings import AUGMENTATIONS, Augmentation

pytestmark = pytest.mark.usefixtures("quick_compiler")

Array = np.ndarray[Any, Any]
ALL = (
    "flip",
    "shift 2",
    "cutout 3",
    "spare 30",
    "rotate 20",
    "stretch 30",
    "bend 2",
    "contrast 50",
    "invert 50",
    "texture 40",
    "bite 100",
    "clutter 100",
    "blur 2",
    "crop 40",
    "colour 30",
)
FEW = ("flip", "shift 2")  # a program with all of them takes long to compile
SHAPES = ("rotate 20", "stretch 30", "bend 2")
LIGHTS = ("contrast 50", "invert 50", "texture 40")


@functools.cache
def program(texts: tuple[str, ...]) -> Callable[..., jax.Array]:
    """These augmentations as one compiled program, as in training.

    Compiling is nearly all that the tests here wait for, so they use few shapes and strengths.
    """
    augmentations = [Augmentation.of(text) for text in texts]
    return jax.jit(lambda seed, images: _augmented(jax.random.key(seed), images, augmentations))


def changed(images: Array, *texts: str, seed: int = 0) -> Array:
    return np.asarray(program(texts)(seed, images))


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
    grey = ramp(300, (20, 20))
    colour = changed(np.repeat(grey[..., None], 3, axis=3), text)
    np.testing.assert_allclose(colour, np.repeat(changed(grey, text)[..., None], 3, axis=3), rtol=1e-4, atol=1e-4)


def test_every_known_augmentation_is_tested_here() -> None:
    assert {text.split()[0] for text in ALL} == set(AUGMENTATIONS)


def square(count: int = 300, side: int = 12) -> Array:
    """A dim square with a bright spot, on black."""
    images = np.zeros((count, 20, 20), np.float32)
    low = (20 - side) // 2
    images[:, low : low + side, low : low + side] = 0.4
    images[:, 8:11, 8:11] = 0.9
    return images


def test_rotation_turns_around_the_centre_by_no_more_than_it_says() -> None:
    bar = np.zeros((200, 21, 21), np.float32)
    bar[:, 10] = 1
    rows, columns = np.mgrid[:21, :21] - 10
    angles = []
    for image in changed(bar, "rotate 20"):
        np.testing.assert_allclose([(image * rows).sum(), (image * columns).sum()], 0, atol=0.1)
        angles.append(np.degrees(np.arctan2((image * rows * columns).sum(), (image * columns**2).sum())))
    assert -21 < min(angles) < -15
    assert 15 < max(angles) < 21


def test_stretch_changes_width_and_height_by_no_more_than_it_says() -> None:
    after = changed(square(), "stretch 30")
    widths, heights = ((after.sum(axis=axis) > 0.2).sum(axis=1) for axis in (1, 2))
    for sides in (widths, heights):
        assert 8 <= sides.min() < 11
        assert 13 < sides.max() <= 17
    assert abs(np.corrcoef(widths, heights)[0, 1]) < 0.3


def test_bend_moves_no_part_farther_than_it_says() -> None:
    ramps = np.broadcast_to(np.arange(20, dtype=np.float32)[:, None], (300, 20, 20))
    moved = (changed(ramps, "bend 2") - ramps)[:, 3:-3, 3:-3]
    assert 1 < np.abs(moved).max() <= 2.001
    assert moved.std(axis=(1, 2)).min() > 0.1  # not all parts alike


@pytest.mark.parametrize("text", SHAPES)
def test_what_comes_in_at_the_edge_is_black(text: str) -> None:
    after = changed(np.ones((300, 20, 20), np.float32), text)
    assert after.min() == 0
    assert after.max() <= 1.001


@pytest.mark.parametrize("text", LIGHTS)
def test_light_changes_on_the_foreground_alone_and_stays_in_its_range(text: str) -> None:
    before = square()
    after = changed(before, text)
    np.testing.assert_array_equal(after[before == 0], 0)
    assert after[before > 0].min() > 0
    assert after.max() <= before.max() + 1e-6
    assert (np.abs(after - before).max(axis=(1, 2)) > 0.02).mean() > 0.3


@pytest.mark.parametrize("text", [*LIGHTS, "clutter 100", "bite 100"])
def test_scale_of_the_images_does_not_matter(text: str) -> None:
    np.testing.assert_allclose(changed(square() * 255, text), changed(square(), text) * 255, rtol=1e-4)


def test_the_edge_gets_no_brighter_so_that_no_frame_appears() -> None:
    before = square()
    inner = np.zeros_like(before, bool)
    inner[:, 5:15, 5:15] = True
    outline = (before > 0) & ~inner
    assert (changed(before, "invert 100")[outline] <= before[outline] + 1e-6).all()


def test_inversion_makes_dark_bright_in_so_many_images() -> None:
    after = changed(square(), "invert 25")
    inverted = after[:, 9, 9] < after[:, 6, 6]
    assert 45 < inverted.sum() < 105


def test_bite_takes_pieces_and_clutter_adds_some() -> None:
    before = square()
    bitten, cluttered = changed(before, "bite 100"), changed(before, "clutter 100")
    assert set(np.unique(bitten)) <= set(np.unique(before))
    assert ((bitten == 0) & (before > 0)).any(axis=(1, 2)).mean() > 0.4
    np.testing.assert_array_equal(cluttered[before > 0], before[before > 0])
    assert ((cluttered > 0) & (before == 0)).any(axis=(1, 2)).mean() > 0.5


def test_blur_keeps_the_light_and_loses_the_edges() -> None:
    before = square()
    after = changed(before, "blur 2")
    np.testing.assert_allclose(after.sum(axis=(1, 2)), before.sum(axis=(1, 2)), rtol=0.05)
    blurred = after.max(axis=(1, 2)) < 0.899
    assert 105 < blurred.sum() < 195


def test_crop_enlarges_a_part_of_at_least_the_share_that_stays() -> None:
    places = np.stack(np.meshgrid(np.arange(20.0) + 1, np.arange(30.0) + 1, indexing="ij"), axis=-1)
    images = np.broadcast_to(np.pad(places, [(0, 0), (0, 0), (0, 1)]), (100, 20, 30, 3)).astype(np.float32)
    result = changed(images, "crop 40")
    inner = result[:, 2:-2, 2:-2, :2]  # the outermost pixels are mixed with the black outside
    down, right = inner[:, 1:, :, 0] - inner[:, :-1, :, 0], inner[:, :, 1:, 1] - inner[:, :, :-1, 1]
    area = down.mean(axis=(1, 2)) * right.mean(axis=(1, 2))
    assert 0.55 < area.min() < 0.7
    assert 0.95 < area.max() < 1.001
    assert result[..., 0].max() <= 20.01
    assert np.ptp(inner[:, 0, 0, 0]) > 2  # from another place each time


def test_colour_changes_brightness_contrast_and_saturation_of_each_image_alike_everywhere() -> None:
    images = np.random.default_rng(0).uniform(90, 160, (50, 6, 5, 3)).astype(np.float32)
    result = changed(images, "colour 30")
    apart = (result.max(axis=3) - result.min(axis=3)) / (images.max(axis=3) - images.min(axis=3))
    np.testing.assert_allclose(apart, np.broadcast_to(apart[:, :1, :1], apart.shape), rtol=1e-2)
    brightness = result.mean(axis=(1, 2, 3)) / images.mean(axis=(1, 2, 3))
    assert 0.69 < brightness.min() < 0.8
    assert 1.2 < brightness.max() < 1.31
    assert result.min() >= 0
    assert result.max() <= 255


def test_spared_images_go_without_what_follows_only() -> None:
    images = ramp(400)
    after = changed(images, "spare 50", "shift 1", seed=3)
    assert 130 < (after == images).all(axis=(1, 2)).sum() < 270  # one in nine is not shifted anyway
    np.testing.assert_array_equal(changed(images, "flip", "spare 100", "shift 1"), changed(images, "flip"))


@pytest.mark.parametrize("text", [*LIGHTS, "bite 100", "clutter 100", "blur 2"])
def test_no_image_becomes_nan_not_even_a_black_one(text: str) -> None:
    assert np.isfinite(changed(np.zeros((300, 20, 20), np.float32), text)).all()


def recording() -> StepFunctions:
    """Step functions whose training leaves the images that it was given as the trainable part of the state."""

    def train_step(state: State, examples: Examples) -> tuple[State, Logs]:
        return state._replace(trainable=(examples.images,)), {}

    unused: Any = None
    return StepFunctions(train_step, unused, unused, unused, unused, unused, unused)


@functools.cache
def training_step(texts: tuple[str, ...]) -> Callable[..., tuple[State, Logs]]:
    return jax.jit(changing_images(recording(), [Augmentation.of(text) for text in texts]).train_step)


def steps_of(seed: int, count: int, *texts: str) -> list[Array]:
    """The images that each of `count` training steps gets to see."""
    state = Blueprint((), (), (), (), {}).with_augmentation_seed().initial_state(seed)
    seen = []
    for _ in range(count):
        state, _ = training_step(texts)(state, Examples(jnp.asarray(ramp(20)), jnp.zeros(20, jnp.int32)))
        seen.append(np.asarray(state.trainable[0]))
    return seen


def test_every_step_changes_images_again() -> None:
    first, second = steps_of(0, 2, *FEW)
    assert not np.array_equal(first, second)


def test_seed_decides_what_is_changed() -> None:
    again, first = steps_of(0, 2, *FEW), steps_of(0, 2, *FEW)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, steps_of(1, 2, *FEW))


def test_two_augmentations_draw_independently() -> None:
    one_alone = {image.tobytes() for image in changed(ramp(), "shift 1")}
    assert len({image.tobytes() for image in changed(ramp(), "shift 1", "shift 1")}) > len(one_alone)


def test_evaluation_and_prediction_stay_as_they_are() -> None:
    plain = recording()
    steps = changing_images(plain, [Augmentation.of("flip")])
    assert (steps.test_step, steps.forward) == (plain.test_step, plain.forward)
