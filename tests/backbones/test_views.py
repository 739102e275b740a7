"""Changed copies of an image: what each change does, and that a view is always the same."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fittingroom.backbones.views import CHANGES, Views
from fittingroom.errors import RecipeError, UnknownNameError

SMOOTH = np.linspace(40, 215, 32 * 24 * 3).reshape(32, 24, 3).astype(np.uint8)


def views(*texts: str, count: int = 8) -> Views:
    """Views with these changes, such as `crop 20`."""
    return Views(texts, count)


@settings(max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    colours=st.booleans(),
    texts=st.sets(st.sampled_from(["crop 1", "crop 60", "flip", "colour 1", "colour 100", "crop 95"]), min_size=1),
    number=st.integers(1, 50),
    digest=st.binary(min_size=16, max_size=16),
)
def test_any_view_of_any_image_has_its_shape_and_is_the_same_again(
    shape: tuple[int, int], texts: set[str], number: int, digest: bytes, *, colours: bool
) -> None:
    chosen = {text.split()[0]: text for text in sorted(texts)}.values()
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3) if colours else shape, np.uint8)
    before = image.copy()
    changed = views(*chosen).changed(image, digest, number)
    assert changed.dtype == np.uint8
    assert changed.shape == image.shape
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(views(*reversed(list(chosen)), count=3).changed(image, digest, number), changed)


def test_views_are_the_same_on_every_machine() -> None:
    made = views("crop 40", "flip", "colour 30")
    content = b"".join(made.changed(SMOOTH, bytes(16), number).tobytes() for number in range(1, 9))
    grey = b"".join(made.changed(SMOOTH[..., 0].copy(), bytes(16), number).tobytes() for number in range(1, 9))
    assert hashlib.sha256(content + grey).hexdigest()[:16] == "8e0eb4599df5416f"


def test_views_of_an_image_differ_and_those_of_another_image_are_others() -> None:
    made = views("crop 40", "colour 30")
    several = {made.changed(SMOOTH, bytes([image] * 16), number).tobytes() for image in range(3) for number in range(9)}
    assert len(several) == 1 + 3 * 8


def test_every_second_view_is_mirrored_beginning_with_the_first() -> None:
    made = views("flip")
    for number in range(5):
        expected = SMOOTH[:, ::-1] if number % 2 else SMOOTH
        np.testing.assert_array_equal(made.changed(SMOOTH, bytes(16), number), expected)


def test_a_crop_cuts_away_at_most_its_percent_of_the_area_and_changes_the_proportions_a_little() -> None:
    place = np.arange(200, dtype=np.uint8)
    picture = np.stack([*np.broadcast_arrays(place[:, None], place[None]), np.zeros((200, 200), np.uint8)], -1)

    def sides(percent: int) -> np.ndarray:
        made = [views(f"crop {percent}").changed(picture, i.to_bytes(16, "little"), 1) for i in range(200)]
        return np.array([[np.ptp(one[..., 0]) + 1.0, np.ptp(one[..., 1]) + 1.0] for one in made]) / 200

    for percent in (25, 60):
        height, width = sides(percent).T
        area, aspect = height * width, width / height
        assert 1 - percent / 100 - 0.03 <= area.min() < 1 - percent / 100 + 0.05
        assert area.max() > 0.95
        assert 0.72 < aspect.min() < 0.85
        assert 1.18 < aspect.max() < 1.37


def test_colour_changes_brightness_contrast_and_saturation_within_its_bounds() -> None:
    flat = np.full((8, 8, 3), (90, 100, 110), np.uint8)
    made = [views("colour 25").changed(flat, i.to_bytes(16, "little"), 1)[0, 0].astype(float) for i in range(200)]
    brightness = np.array([one @ (0.299, 0.587, 0.114) / 98.15 for one in made])
    assert 0.74 <= brightness.min() < 0.78
    assert 1.22 < brightness.max() <= 1.26
    spread = np.array([one[2] - one[0] for one in made]) / 20
    assert spread.min() < 0.7
    assert spread.max() > 1.35
    half_dark = flat.copy()
    half_dark[:4] = 40
    made = [views("colour 25").changed(half_dark, i.to_bytes(16, "little"), 1).astype(float) for i in range(200)]
    contrast = np.array([(one[7].mean() - one[0].mean()) / (one.mean() * (60 / 70)) for one in made])
    assert 0.72 < contrast.min() < 0.8
    assert 1.2 < contrast.max() < 1.28


def test_a_grey_image_and_its_copy_in_three_channels_change_alike() -> None:
    grey = SMOOTH[..., 0].copy()
    for number in range(1, 6):
        made = views("crop 30", "flip", "colour 40")
        alone = made.changed(grey, bytes(16), number).astype(int)
        three = made.changed(np.stack([grey] * 3, -1), bytes(16), number).astype(int)
        assert np.abs(three - alone[..., None]).max() <= 2


def test_the_key_names_the_changes_but_not_how_many_views_there_are() -> None:
    assert views("crop 20", "flip").key == views("flip", "crop 20", count=1).key
    assert views("crop 20").key != views("crop 21").key


def test_changes_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UnknownNameError, match=f"unknown change of a view 'shift'.* Known: {', '.join(CHANGES)}"):
        views("shift 2")
    with pytest.raises(RecipeError, match="'flip' is named twice"):
        views("flip", "flip")
    with pytest.raises(RecipeError, match="got 0 views with 1 changes; expected at least one of each"):
        views("flip", count=0)
    with pytest.raises(RecipeError, match="got 2 views with 0 changes"):
        views(count=2)
    with pytest.raises(RecipeError, match="augmentation 'crop': expected a whole number"):
        views("crop")
