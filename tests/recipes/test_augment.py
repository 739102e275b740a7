from __future__ import annotations

import pytest

from fittingroom.errors import RecipeError, UnknownNameError
from fittingroom.recipes.settings import AUGMENTATIONS, Augmentation


@pytest.mark.parametrize(
    ("text", "augmentation"),
    [
        ("flip", Augmentation("flip")),
        ("shift 2", Augmentation("shift", 2)),
        ("  cutout   08 ", Augmentation("cutout", 8)),
        ("rotate 15", Augmentation("rotate", 15)),
    ],
)
def test_text_says_which_change_and_how_much(text: str, augmentation: Augmentation) -> None:
    assert Augmentation.of(text) == augmentation


def test_plain_spelling_is_read_back() -> None:
    for name, meaning in AUGMENTATIONS.items():
        augmentation = Augmentation(name, None if meaning is None else 3)
        assert Augmentation.of(augmentation.text) == augmentation


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("flip 2", r"augmentation 'flip 2': expected 'flip' alone, without a number"),
        ("shift", r"augmentation 'shift': expected a whole number from 1 to 1,000 .pixels, at most, .*'shift 2'"),
        ("shift 0", r"augmentation 'shift 0'"),
        ("shift -1", r"augmentation 'shift -1'"),
        ("cutout 2.5", r"augmentation 'cutout 2.5': expected .* 1 to 1,000 .pixels, the side of the square"),
        ("cutout 9999", r"from 1 to 1,000"),
    ],
)
def test_number_that_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Augmentation.of(text)


def test_unknown_augmentation_names_the_nearest() -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown augmentation 'flipp'. Did you mean 'flip'\? Known: flip, shift, cutout"
    ):
        Augmentation.of("flipp")
