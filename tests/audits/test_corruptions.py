"""Corruptions have the same bits everywhere, belong to the image and the seed alone, and grow with their severity."""

from __future__ import annotations

import hashlib
import io
import itertools
import sys
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from fittingroom.audits.corruptions import CORRUPTIONS, SEVERITIES, corrupted
from fittingroom.audits.image_bits import NORMAL_UNIT, ImageBits
from fittingroom.errors import InputError

Images = npt.NDArray[np.uint8]


def pictures(*shape: int, top: int = 255) -> Images:
    """Images of rings and squares on a plain background, made with whole numbers alone."""
    count, height, width = shape[:3]
    number, row, column = np.ogrid[:count, :height, :width]
    ring = ((row - height // 2 + number) ** 2 + (column - width // 2) ** 2) * 40 // (height * width)
    inside = (row > height // 5) & (row < height - height // 5) & (column > width // 4) & (column < width - width // 6)
    grey = np.where(inside, (ring * 53 + number * 17 + 90) % 256, 0)
    grey = grey * top // 255
    colours = grey[..., None] * np.array([4, 3, 2]) // 4 if len(shape) == 4 else grey
    return colours.astype(np.uint8)


GREY, COLOUR, DIGITS = pictures(5, 28, 28), pictures(4, 40, 33, 3), pictures(6, 8, 8, top=16)

HASHES: dict[str, tuple[str, str, str]] = {
    "noise": ("ad15439aee2b", "bcf8e11cec46", "25cd260295cc"),
    "blur": ("16b95769a0a6", "909c6147eeb3", "2861fa98c2cc"),
    "motion": ("514cf4ac9e30", "077fddd2cdf5", "f4203eb42e79"),
    "shear": ("3b38d5f105f9", "c09fe53502f4", "0c9dcd33e3e2"),
    "scale": ("281ac4b97004", "64459a95c32a", "0379bddfa916"),
    "rotation": ("cf0ecf619173", "7635420bc649", "8ad98273b650"),
    "shift": ("8c46a566647a", "706f32b0f5ac", "90e1bd306839"),
    "brightness": ("fc66ec3bd125", "2f7dc8752907", "940df0aac9bd"),
    "contrast": ("6a74fafff379", "f77cc14cf2d9", "434b59ed2d61"),
    "fog": ("55130e7b61a0", "0be289eea6ed", "eb5600fd463d"),
    "stripes": ("0a099681c93b", "2f2341af83d5", "264ca42d54b4"),
    "scribbles": ("252bccc7240e", "394f05611d0e", "251538d48c2c"),
    "occlusion": ("80b751f47d20", "d330e154f49f", "a3f4b2d8012a"),
    "jpeg": ("a666210c577b", "04605511e33c", "d1c150f16813"),
    "inversion": ("3e627884be47", "6fd03a9d1fa9", "ab66764b83c1"),
}
"""Of grey images, of colours and of digits up to 16; all five severities of each."""


def hash_of(images: Images, name: str, scale: float = 255.0) -> str:
    digest = hashlib.sha256()
    for severity in range(1, SEVERITIES + 1):
        digest.update(corrupted(images, name, severity, scale=scale, seed=7).tobytes())
    return digest.hexdigest()[:12]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_bits_are_the_same_on_every_machine(name: str) -> None:
    assert (hash_of(GREY, name), hash_of(COLOUR, name), hash_of(DIGITS, name, 16.0)) == HASHES[name]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_what_comes_of_an_image_depends_on_its_pixels_and_the_seed_alone(name: str) -> None:
    together = corrupted(COLOUR, name, 3)
    assert np.array_equal(corrupted(COLOUR[::-1], name, 3)[::-1], together)
    assert np.array_equal(corrupted(COLOUR[2:3], name, 3)[0], together[2])
    other = corrupted(np.concatenate([GREY] * 20), name, 3, seed=1), corrupted(np.concatenate([GREY] * 20), name, 3)
    assert np.array_equal(*other) == (name in {"blur", "contrast", "jpeg", "inversion"})


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("images", [GREY, COLOUR, DIGITS], ids=["grey", "colour", "digits"])
def test_a_higher_severity_changes_more(name: str, images: Images) -> None:
    top = 16 if images is DIGITS else 255
    changes = [
        np.abs(corrupted(images, name, severity, scale=top).astype(int) - images).mean()
        for severity in range(1, SEVERITIES + 1)
    ]
    assert 0 < changes[0] < 0.2 * top
    assert changes[-1] > 1.4 * changes[0]
    assert all(later >= 0.93 * before for before, later in itertools.pairwise(changes)), changes


@pytest.mark.parametrize("shape", [(3, 1, 1), (2, 1, 9, 3), (0, 28, 28), (1, 224, 224, 3), (2, 5, 40)])
def test_any_size_of_image_keeps_its_shape_and_range(shape: tuple[int, ...]) -> None:
    images = pictures(*shape, top=200)
    for name in CORRUPTIONS:
        found = corrupted(images, name, 5, scale=200.0)
        assert found.dtype == np.uint8
        assert found.shape == images.shape
        assert not found.size or found.max() <= 200


def test_where_there_is_nothing_to_see_nothing_moves() -> None:
    flat = np.full((4, 20, 20, 3), 77, np.uint8)
    for name in ("blur", "motion", "shear", "scale", "rotation", "shift", "contrast"):
        assert np.array_equal(corrupted(flat, name, 5), flat), name


def test_what_comes_in_from_outside_is_the_background() -> None:
    bright = pictures(50, 28, 28)[:, 5:-5, 6:-4]  # the object fills the image to its edges
    black = np.pad(bright, ((0, 0), (0, 0), (2, 2)))  # but for its sides
    smaller = ~corrupted(black, "scale", 4)[:, 0].any(axis=1)
    assert 0.25 < smaller.mean() < 0.75  # the corners' black around them; the others are larger
    pattern = np.arange(1, 401, dtype=np.int64).reshape(1, 20, 20) % 251
    found = corrupted(pattern.astype(np.uint8), "scale", 4)
    assert found.min() > 0  # no plain background: the edge again, not black


def test_it_turns_about_the_middle() -> None:
    bar = np.zeros((1, 41, 41), np.uint8)
    bar[:, 20, 4:37] = 255
    found = corrupted(bar, "rotation", 5)[0]
    rows, columns = np.nonzero(found > 100)
    angle = np.degrees(np.arctan2(rows.max() - rows.min(), columns.max() - columns.min()))
    assert abs(rows.mean() - 20) < 0.3
    assert abs(columns.mean() - 20) < 0.3
    assert abs(angle - 60) < 4


@pytest.mark.parametrize("images", [GREY, COLOUR], ids=["grey", "colour"])
def test_jpeg_loses_what_an_encoder_loses(images: Images) -> None:
    for severity, quality in enumerate((25, 15, 10, 6, 3), 1):
        found = corrupted(images, "jpeg", severity).astype(int)
        for image, ours in zip(images, found, strict=True):
            file = io.BytesIO()
            Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling=0)
            theirs = np.asarray(Image.open(file)).astype(int)
            change = np.abs(theirs - image).mean()
            assert np.abs(ours - theirs).mean() < 0.03 * change + 0.6


def test_random_numbers_are_evenly_and_normally_spread() -> None:
    images = np.arange(4000, dtype=np.uint16).view(np.uint8).reshape(4000, 2, 1)
    bits = ImageBits.of(images, 0, "noise")
    drawn = bits.normal(50) / NORMAL_UNIT
    assert abs(drawn.mean()) < 0.01
    assert abs(drawn.std() - 1) < 0.01
    assert abs(np.mean(np.abs(drawn) < 1) - 0.683) < 0.01
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]) < 0.06
    counts = np.bincount(bits.below(10, 20).ravel(), minlength=10)
    assert counts.shape == (10,)
    assert abs(counts / counts.mean() - 1).max() < 0.06
    assert not np.array_equal(bits.below(10, 5), ImageBits.of(images, 0, "fog").below(10, 5))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((GREY, "snow", 1), r"'snow' is not a corruption. There are noise, blur, .* and inversion"),
        ((GREY, "fog", 6), r"severity=6: expected 1, 2, 3, 4 or 5"),
        ((GREY / 255, "fog", 1), r"images are float64 of shape \(5, 28, 28\); expected uint8"),
        ((GREY[0], "fog", 1), r"of shape \(28, 28\)"),
    ],
)
def test_what_is_no_corruption_is_named(arguments: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        corrupted(*arguments)


def test_a_pixel_above_the_scale_is_named() -> None:
    with pytest.raises(InputError, match="scale=16: expected 1 to 255, and no pixel above it"):
        corrupted(GREY, "fog", 1, scale=16)


if __name__ == "__main__":  # prints the hashes, for a change that is meant
    for name in CORRUPTIONS:
        sys.stdout.write(
            f'    "{name}": {(hash_of(GREY, name), hash_of(COLOUR, name), hash_of(DIGITS, name, 16.0))!r},\n'
        )
