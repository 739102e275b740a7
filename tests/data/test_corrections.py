"""Corrected examples are a folder of pictures for each class, which is a dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fittingroom
from fittingroom.data.corrections import Corrections
from fittingroom.errors import InputError

CLASSES = ("T-shirt/top", "..", "<script>", "Ab", "aB", "con\u202etrol")


def image(seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(seed).integers(0, 256, (28, 28), np.uint8)


def test_an_example_is_kept_moved_and_taken_away(tmp_path: Path) -> None:
    kept = Corrections.of(tmp_path, "fashion-mnist", CLASSES)
    file = kept.keep("T-shirt/top", image(0))
    assert file.parent == kept.folder / "T-shirt-top"
    np.testing.assert_array_equal(np.asarray(Image.open(file)), image(0))
    moved = kept.keep("Ab", image(0))
    assert (file.exists(), moved.parent.name, kept.count()) == (False, "Ab", 1)
    assert kept.undo(moved.name)
    assert not kept.undo(moved.name)
    assert kept.count() == 0


def test_no_name_of_a_class_leaves_the_folder_or_meets_another(tmp_path: Path) -> None:
    kept = Corrections.of(tmp_path, "folder:../../x<y>", CLASSES)
    folders = [kept.keep(label, image(number)).parent for number, label in enumerate(CLASSES)]
    assert {folder.parent for folder in folders} == {kept.folder}
    assert kept.folder.parent == tmp_path / "corrections"
    assert len({folder.name.casefold() for folder in folders}) == len(CLASSES)
    assert all(not folder.name.startswith(".") and "<" not in folder.name for folder in folders)
    for name in ("../x.png", "/etc/passwd", ".corrections.json", ""):
        assert not kept.undo(name)
    with pytest.raises(InputError, match="is not a class of this run"):
        kept.keep("Coat", image(0))


def test_the_folder_is_a_dataset_to_train_on(tmp_path: Path) -> None:
    kept = Corrections.of(tmp_path, "digits", ("0", "1"))
    for number in range(40):
        kept.keep(str(number % 2), image(number))
    dataset = fittingroom.load(kept.folder)
    assert dataset.classes == ("0", "1")
    assert dataset.train.images.shape[1:] == (28, 28)
