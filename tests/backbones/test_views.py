"""Changed copies of an image: what each change does, and that a view is always the same."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fittingroom.backbones.views import CHANGES, Views
from fittingroom.errors import RecipeError, UnknownNameError
from fittingroom.recipes.settings import Augmentation

SMOOTH = np.linspace(40, 215, 32 * 24 * 3).reshape(32, 24, 3).astype(np.uint8)


def views(*texts: str, count: int = 8) -> Views:
    """Views with these changes, such as `crop 20`."""
    parts = [text.split() for text in texts]
    return Views(tuple(Augmentation(part[0], int(part[1]) if part[1:] else None) for part in parts), count)


@settings(max_examples=60)
@given(
    shape=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    colours=st.booleans(),
    texts=st.sets(st.sampled_from(["crop 1", "crop 60", "flip", "colour 1", "colour 300", "crop 1000"]), min_size=1),
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
    assert hashlib.sha256(content + grey).hexdigest()[:16] == "5ad4ec6a9ac8d880"


def test_views_of_an_image_differ_and_those_of_another_image_are_others() -> None:
    made = views("crop 40", "colour 30")
    several = {made.changed(SMOOTH, bytes([image] * 16), number).tobytes() for image in range(3) for number in range(9)}
    assert len(several) == 1 + 3 * 8


def test_about_half_of_the_views_are_mirrored() -> None:
    made = views("flip")
    changed = [made.changed(SMOOTH, image.to_bytes(16, "little"), 1) for image in range(200)]
    mirrored = sum((one == SMOOTH[:, ::-1]).all() for one in changed)
    assert mirrored + sum((one == SMOOTH).all() for one in changed) == 200
    assert 70 < mirrored < 130


def test_a_crop_shows_a_part_of_the_image_and_more_percent_smaller_parts() -> None:
    down = np.broadcast_to(np.arange(200, dtype=np.uint8)[:, None], (200, 200)).copy()

    def heights(percent: int) -> np.ndarray:
        made = views(f"crop {percent}")
        return np.array([np.ptp(made.changed(down, i.to_bytes(16, "little"), 1)) + 1 for i in range(100)])

    assert 160 <= heights(20).min() < heights(20).mean() < 190
    assert 99 <= heights(50).min() < 120
    assert heights(50).max() > 190


def test_colour_changes_brightness_contrast_and_saturation_within_its_bounds() -> None:
    flat = np.full((8, 8, 3), (90, 100, 110), np.uint8)
    made = [views("colour 25").changed(flat, i.to_bytes(16, "little"), 1)[0, 0].astype(float) for i in range(200)]
    brightness = np.array([one @ (0.299, 0.587, 0.114) / 98.15 for one in made])
    assert 0.79 <= brightness.min() < 0.83
    assert 1.2 < brightness.max() <= 1.26
    spread = np.array([one[2] - one[0] for one in made]) / 20
    assert spread.min() < 0.75
    assert spread.max() > 1.3


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
