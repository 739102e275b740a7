from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fittingroom.data.folder import scan_folder
from fittingroom.data.load import load
from fittingroom.data.pictures import RESIZE_RULE
from fittingroom.errors import DataError
from tests.data.builders import picture, write_picture_folder, write_pictures


def test_class_folders_become_classes_in_order(tmp_path: Path) -> None:
    data = load(f"folder:{write_picture_folder(tmp_path / 'pets', {'dog': 12, 'cat': 8})}", validation=0)
    assert data.classes == ("cat", "dog")
    assert np.add(data.train.counts(), data.test.counts()).tolist() == [8, 12]
    assert data.image_shape == (28, 28)
    assert data.name == f"folder:{tmp_path / 'pets'}"
    assert data.info.title == "pets"


def test_pixels_and_labels_belong_together(tmp_path: Path) -> None:
    write_picture_folder(tmp_path / "p", {"train/a": 3, "train/b": 2, "test/b": 2, "test/a": 1})
    data = load(f"folder:{tmp_path / 'p'}", validation=0)
    files = sorted((tmp_path / "p" / "train").rglob("*.png"))
    for file, image, label in zip(files, data.train.images, data.train.labels, strict=True):
        np.testing.assert_array_equal(image, np.asarray(Image.open(file)))
        assert data.classes[label] == file.parent.name
    assert data.test.open("test").labels.tolist() == [0, 1, 1]


def test_without_a_test_part_one_is_cut_once_for_all(tmp_path: Path) -> None:
    name = f"folder:{write_picture_folder(tmp_path / 'p', {'a': 40, 'b': 20})}"
    first, again = (load(name, validation=v, split_seed=s) for v, s in ((0, 0), (5, 9)))
    assert first.test.counts() == (6, 3)
    assert first.test.fingerprint == again.test.fingerprint
    assert any("no test part, so 9 images were cut" in note for note in first.notes)


def test_a_test_cut_does_not_move_when_files_are_renamed(tmp_path: Path) -> None:
    name = f"folder:{write_picture_folder(tmp_path / 'p', {'a': 40, 'b': 20})}"
    before = load(name).test.open("test").images
    for number, path in enumerate((tmp_path / "p").rglob("*.png")):
        path.rename(path.with_name(f"renamed-{number}.png"))
    after = load(name).test.open("test").images
    assert {image.tobytes() for image in before} == {image.tobytes() for image in after}


def test_the_parts_of_a_folder_are_taken_as_they_are(tmp_path: Path) -> None:
    parts = {f"{part}/{k}": n for part, n in (("train", 6), ("val", 3), ("test", 2)) for k in ("a", "b")}
    data = load(f"folder:{write_picture_folder(tmp_path / 'p', parts)}")
    assert data.validation is not None
    assert (data.train.counts(), data.validation.counts(), data.test.counts()) == ((6, 6), (3, 3), (2, 2))
    everything = load(f"folder:{tmp_path / 'p'}", validation=0)
    assert everything.validation is None
    assert everything.train.counts() == (9, 9)
    assert everything.fingerprint == data.fingerprint


def test_a_test_part_is_cut_beside_a_given_validation_part(tmp_path: Path) -> None:
    parts = {"train/a": 40, "train/b": 40, "validation/a": 20, "validation/b": 20}
    data = load(f"folder:{write_picture_folder(tmp_path / 'p', parts)}")
    assert data.validation is not None
    assert len(data.train) + len(data.validation) + len(data.test) == 120
    assert len(data.test) == 18
    given = {np.asarray(Image.open(path)).tobytes() for path in (tmp_path / "p" / "validation").rglob("*.png")}
    assert {image.tobytes() for image in data.validation.images} <= given
    assert not {image.tobytes() for image in data.train.images} & given


def test_one_coloured_picture_makes_all_rgb(tmp_path: Path) -> None:
    write_picture_folder(tmp_path / "p", {"a": 10, "b": 10})
    assert load(f"folder:{tmp_path / 'p'}").image_shape == (28, 28)
    picture(5, colour=True).save(tmp_path / "p" / "a" / "colour.png")
    data = load(f"folder:{tmp_path / 'p'}")
    assert data.image_shape == (28, 28, 3)
    assert data.train.images.shape[1:] == (28, 28, 3)


def test_pictures_are_brought_to_the_image_size_and_it_is_said(tmp_path: Path) -> None:
    write_pictures(tmp_path / "p" / "a", 9, size=(40, 20))
    write_pictures(tmp_path / "p" / "b", 9, seed=1, size=(24, 16))
    data = load(f"folder:{tmp_path / 'p'}", image_size=(16, 24))
    assert data.image_shape == (16, 24)
    assert "9 pictures resized." in data.notes
    assert data.info.resize_rule == RESIZE_RULE


def test_links_hidden_and_other_files_are_skipped_and_counted(tmp_path: Path) -> None:
    root = write_picture_folder(tmp_path / "p", {"a": 10, "b": 10})
    outside = write_pictures(tmp_path / "outside", 3)
    (root / "a" / "leads-out").symlink_to(outside)
    (root / "a" / "loop").symlink_to(root)
    (root / "b" / "file.png").symlink_to(outside / "000.png")
    (root / "c").symlink_to(outside)
    (root / "a" / ".DS_Store").write_bytes(b"x")
    (root / ".git").mkdir()
    (root / "a" / "deeper").mkdir()
    (root / "b" / "drawing.svg").write_text("<svg/>")
    (root / "README").write_text("hello")
    folder = scan_folder(root)
    assert folder.classes == ("a", "b")
    assert sum(len(files) for files in folder.files.values()) == 20
    assert folder.notes == (
        f"Skipped in {root}: 1 .svg files, 1 files outside the class folders, 1 folders inside class folders, "
        "2 hidden files or folders, 4 links. Accepted are JPEG, PNG, WebP, BMP and GIF.",
    )


def test_names_that_look_like_code_or_paths_are_just_names(tmp_path: Path) -> None:
    names = ["<script>alert(1)<", "a..%2f..%2f", "👗 dress", "$(rm -rf)", "a, b; c"]
    data = load(f"folder:{write_picture_folder(tmp_path / 'p', dict.fromkeys(names, 4))}")
    assert data.classes == tuple(sorted(names))


@pytest.mark.parametrize(("one", "other"), [("Dog", "dog"), ("caf\u00e9", "cafe\u0301"), ("stra\u00dfe", "STRASSE")])
def test_classes_that_differ_only_in_case_or_unicode_form_are_refused(tmp_path: Path, one: str, other: str) -> None:
    write_picture_folder(tmp_path / "p", {one: 2, other: 2})
    with pytest.raises(DataError, match="differ only in case or Unicode form"):
        scan_folder(tmp_path / "p")


def test_a_class_is_written_alike_in_all_parts(tmp_path: Path) -> None:
    write_picture_folder(tmp_path / "p", {"train/dog": 2, "train/cat": 2, "test/Dog": 2, "test/cat": 2})
    with pytest.raises(DataError, match="'Dog' and 'dog' differ only in case"):
        scan_folder(tmp_path / "p")


@pytest.mark.parametrize("name", [b"a\nb", b"\xff\xfe", b"\x1b[31m"])
def test_a_class_name_that_is_no_text_is_refused(tmp_path: Path, name: bytes) -> None:
    write_picture_folder(tmp_path / "p", {os.fsdecode(name): 2, "b": 2})
    with pytest.raises(DataError, match="has characters in its name that are no text"):
        scan_folder(tmp_path / "p")


def test_a_bad_picture_stops_the_loading_and_every_bad_one_is_named(tmp_path: Path) -> None:
    root = write_picture_folder(tmp_path / "p", {"a": 10, "b": 10})
    (root / "a" / "004.png").write_bytes(b"")
    (root / "b" / "007.png").write_text("not a picture")
    with pytest.raises(DataError, match=r"a/004.png is not an image: it is empty.*b/007.png is not an image"):
        load(f"folder:{root}")


def test_of_many_bad_pictures_five_are_named(tmp_path: Path) -> None:
    root = write_picture_folder(tmp_path / "p", {"a": 10, "b": 10})
    for path in (root / "a").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"004.png is not an image: .* And 5 more files."):
        load(f"folder:{root}")


def test_a_cut_off_jpeg_is_refused(tmp_path: Path) -> None:
    root = write_picture_folder(tmp_path / "p", {"a": 10, "b": 10})
    picture(1, (300, 200)).save(root / "a" / "cut.jpg")
    (root / "a" / "cut.jpg").write_bytes((root / "a" / "cut.jpg").read_bytes()[:-2000])
    with pytest.raises(DataError, match=r"cut.jpg cannot be decoded; it is cut off or damaged"):
        load(f"folder:{root}")


def test_changes_of_pictures_are_counted(tmp_path: Path) -> None:
    root = write_picture_folder(tmp_path / "p", {"a": 10, "b": 10})
    for number in range(3):
        Image.new("CMYK", (28, 28), (number, 9, 9, 9)).save(root / "a" / f"cmyk{number}.jpg")
    assert "3 pictures converted from CMYK." in load(f"folder:{root}").notes


def test_the_same_picture_in_train_and_test_is_counted_before_sealing(tmp_path: Path) -> None:
    root = write_picture_folder(tmp_path / "p", {"train/a": 5, "train/b": 5, "test/a": 2, "test/b": 2})
    (root / "test" / "a" / "copy.png").write_bytes((root / "train" / "a" / "000.png").read_bytes())
    notes = load(f"folder:{root}").notes
    assert "1 of 5 test images are also among the training images, pixel for pixel." in notes


def test_a_class_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    root = write_picture_folder(tmp_path / "p", {"a": 2, "b": 2})
    (root / "empty").mkdir()
    with pytest.raises(DataError, match=r"class folder 'empty' in .* has no pictures. Accepted are JPEG"):
        load(f"folder:{root}")


def test_a_test_class_that_training_does_not_know_is_refused(tmp_path: Path) -> None:
    root = write_picture_folder(tmp_path / "p", {"train/a": 2, "train/b": 2, "test/c": 2})
    with pytest.raises(DataError, match="1 of 3 classes have no training image: 'c'"):
        load(f"folder:{root}")


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"one class only \('a'\)"):
        load(f"folder:{write_picture_folder(tmp_path / 'p', {'a': 5})}")


@pytest.mark.parametrize("names", [["train", "cats"], ["test", "validation"], ["train", "val", "valid"]])
def test_parts_and_classes_side_by_side_are_refused(tmp_path: Path, names: list[str]) -> None:
    root = write_picture_folder(tmp_path / "p", {f"{name}/a": 2 for name in names})
    with pytest.raises(DataError, match="expected one for each class, or train with"):
        load(f"folder:{root}")


def test_a_folder_without_folders_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no folders in it; expected one for each class"):
        load(f"folder:{write_pictures(tmp_path / 'p', 3)}")


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no folder .*nowhere"):
        load(f"folder:{tmp_path / 'nowhere'}")


@pytest.mark.parametrize("size", [(0, 28), (28, -1), (28, 1025)])
def test_an_image_size_out_of_range_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    root = write_picture_folder(tmp_path / "p", {"a": 2, "b": 2})
    with pytest.raises(DataError, match="each side must be from 1 to 1024"):
        load(f"folder:{root}", image_size=size)


def test_more_pictures_than_fit_in_memory_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    root = write_picture_folder(tmp_path / "p", {"a": 1, "b": 1})
    for number in range(1400):
        (root / "a" / f"{number}.jpg").touch()
    with pytest.raises(DataError, match="1,402 pictures of 1024×1024 take more than"):
        load(f"folder:{root}", image_size=(1024, 1024))


@pytest.mark.parametrize("counts", [{"a": 20, "b": 10}, {"train/a": 6, "train/b": 6, "test/a": 4, "test/b": 3}])
def test_pictures_are_one_test_set_at_every_size(tmp_path: Path, counts: dict[str, int]) -> None:
    folder = write_picture_folder(tmp_path / "p", counts)
    tests = [load(f"folder:{folder}", image_size=(side, side)).test for side in (28, 20, 64)]
    for test in tests:
        test.open("to compare")
    assert len({test.openings[0].source_fingerprint for test in tests}) == 1
    assert len({test.fingerprint for test in tests}) == 3
