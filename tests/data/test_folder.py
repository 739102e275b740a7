from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fittingroom.data.folder import PictureFolder
from fittingroom.data.headers import median_size
from fittingroom.data.load import load
from fittingroom.data.resizing import RESIZE_RULES
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
    assert any("no test part, so one was set aside: 9 of" in note for note in first.notes)


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


def test_pictures_are_resized_to_the_image_size_with_a_note(tmp_path: Path) -> None:
    write_pictures(tmp_path / "p" / "a", 9, size=(40, 20))
    write_pictures(tmp_path / "p" / "b", 9, seed=1, size=(24, 16))
    data = load(f"folder:{tmp_path / 'p'}", image_size=(16, 24))
    assert data.image_shape == (16, 24)
    assert "9 pictures resized to 16x24 (height x width); the median picture was 20x40." in " ".join(data.notes)
    assert data.info.resize_rule == RESIZE_RULES["pad"]


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
    (root / "__MACOSX" / "a").mkdir(parents=True)
    (root / "a" / "phone.heic").write_bytes(b"\0\0\0\x24ftypheic")
    (root / "b" / "drawing.svg").write_text("<svg/>")
    (root / "README").write_text("hello")
    folder = PictureFolder.scan(root)
    assert folder.classes == ("a", "b")
    assert sum(len(files) for files in folder.files.values()) == 20
    assert folder.notes == (
        f"Skipped in {root}: 1 .heic file (such as phone.heic, a HEIC picture: Save it as JPEG or PNG), "
        "1 .svg file (b/drawing.svg), 1 file outside the class folders (README), 2 hidden files or folders, "
        "4 links, which are not followed (c, a/leads-out, a/loop, b/file.png), 1 system file or folder (__MACOSX). "
        "Accepted are JPEG, PNG, WebP, BMP and GIF.",
    )


@pytest.mark.parametrize(
    ("layout", "skipped"),
    [
        ("p/{part}/{name}", r"3 files outside the class folders \(labels.txt, test/labels.txt, train/labels.txt\)"),
        ("p/one/{name}", r"2 files outside the class folders \(labels.txt, one/labels.txt\)"),
    ],
)
def test_files_beside_parts_and_around_a_single_folder_are_counted_too(
    tmp_path: Path, layout: str, skipped: str
) -> None:
    for part in ("train", "test"):
        for name in "ab":
            write_pictures(tmp_path / layout.format(part=part, name=name), 3)
    for folder in {*tmp_path.glob(layout.format(part="*", name="")), tmp_path / "p"}:
        (folder / "labels.txt").write_text("a\nb\n")
    (note,) = (note for note in PictureFolder.scan(tmp_path / "p").notes if "Skipped" in note)
    assert re.search(skipped, note)


def test_pictures_that_are_links_or_have_no_ending_are_refused_with_what_helps(tmp_path: Path) -> None:
    root = write_picture_folder(tmp_path / "p", {"a": 2, "b": 2})
    for number, path in enumerate(sorted((root / "a").iterdir())):
        path.rename(root / "a" / f"{number}")
    with pytest.raises(DataError, match=r"2 files without an ending \(such as 0, a PNG picture: Call it 0.png\)"):
        PictureFolder.scan(root)
    for path in list((root / "a").iterdir()):
        path.rename(tmp_path / path.name)
        path.with_suffix(".png").symlink_to(tmp_path / path.name)
    with pytest.raises(DataError, match=r"2 links, which are not followed.* Copy the files that they lead to\."):
        PictureFolder.scan(root)


def test_names_that_look_like_code_or_paths_are_just_names(tmp_path: Path) -> None:
    names = ["<script>alert(1)<", "a..%2f..%2f", "👗 dress", "$(rm -rf)", "a, b; c"]
    data = load(f"folder:{write_picture_folder(tmp_path / 'p', dict.fromkeys(names, 4))}")
    assert data.classes == tuple(sorted(names))


@pytest.mark.parametrize(("one", "other"), [("Dog", "dog"), ("caf\u00e9", "cafe\u0301"), ("stra\u00dfe", "STRASSE")])
def test_classes_that_differ_only_in_case_or_unicode_form_are_refused(tmp_path: Path, one: str, other: str) -> None:
    write_picture_folder(tmp_path / "p", {one: 2, other: 2})
    with pytest.raises(DataError, match="differ only in case or Unicode form"):
        PictureFolder.scan(tmp_path / "p")


def test_a_class_is_written_alike_in_all_parts(tmp_path: Path) -> None:
    write_picture_folder(tmp_path / "p", {"train/dog": 2, "train/cat": 2, "test/Dog": 2, "test/cat": 2})
    with pytest.raises(DataError, match="'Dog' and 'dog' differ only in case"):
        PictureFolder.scan(tmp_path / "p")


@pytest.mark.parametrize("name", [b"a\nb", b"\xff\xfe", b"\x1b[31m"])
def test_a_class_name_that_is_no_text_is_refused(tmp_path: Path, name: bytes) -> None:
    write_picture_folder(tmp_path / "p", {os.fsdecode(name): 2, "b": 2})
    with pytest.raises(DataError, match="has characters in its name that are not text"):
        PictureFolder.scan(tmp_path / "p")


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
    with pytest.raises(DataError, match=r"004.png is not an image: .* And 5 more."):
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
    with pytest.raises(DataError, match=r"class folder 'empty' in .* has no pictures: it is empty. Accepted are JPEG"):
        load(f"folder:{root}")
    (root / "empty" / "a.tif").write_bytes(b"II*\0")
    with pytest.raises(DataError, match=r"it holds 1 .tif file \(such as a.tif, a TIFF picture: Save it as JPEG"):
        load(f"folder:{root}")


def test_a_test_class_that_training_does_not_know_is_refused(tmp_path: Path) -> None:
    root = write_picture_folder(tmp_path / "p", {"train/a": 2, "train/b": 2, "test/c": 2})
    with pytest.raises(DataError, match="1 of 3 classes have no training image: 'c'"):
        load(f"folder:{root}")


def test_too_few_pictures_to_cut_a_test_part_from_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"3 images of 3 classes are too few to cut a test part .* Add images"):
        load(f"folder:{write_picture_folder(tmp_path / 'p', {'a': 1, 'b': 1, 'c': 1})}")
    assert len(load(f"folder:{write_picture_folder(tmp_path / 'q', {'a': 2, 'b': 1})}").test) == 1


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"only one class \('a'\)"):
        load(f"folder:{write_picture_folder(tmp_path / 'p', {'a': 5})}")


@pytest.mark.parametrize("names", [["train", "cats"], ["test", "validation"], ["train", "val", "valid"]])
def test_parts_and_classes_side_by_side_are_refused(tmp_path: Path, names: list[str]) -> None:
    root = write_picture_folder(tmp_path / "p", {f"{name}/a": 2 for name in names})
    with pytest.raises(DataError, match="expected one for each class, or train and"):
        load(f"folder:{root}")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["0.png", "1.png"], "has 2 pictures and no folders in it; expected one folder for each class.*Move the pict"),
        (["cat.0.png", "cat.1.png", "dog_0.png", "dog_1.png"], r"names begin with 'cat' \(2\), 'dog' \(2\): if these"),
        (["IMG_1.png", "IMG_2.png"], "Move the pictures of each class into a folder of its name"),
        (["0.png", "labels.csv", "a.json"], "If labels.csv says their classes, call it metadata.csv"),
        (["0.png", "metadata.parquet"], "If metadata.parquet says their classes, save it as metadata.csv"),
        (["test.csv", "my_train.csv"], r"it holds my_train.csv, which can be loaded as csv:\S*my_train.csv"),
        (["train.npz"], "nor pictures in it: it holds train.npz, which can be loaded as npz:.*train.npz"),
        (["train-images-idx3-ubyte"], "looks like|IDX|idx:"),
        ([], "nor pictures in it: it is empty"),
    ],
)
def test_a_folder_without_folders_is_refused_by_what_is_in_it(tmp_path: Path, files: list[str], message: str) -> None:
    (tmp_path / "p").mkdir()
    for name in files:
        (tmp_path / "p" / name).write_bytes(b"")
    with pytest.raises(DataError, match=message):
        load(f"folder:{tmp_path / 'p'}")


@pytest.mark.parametrize(
    ("layout", "parts"),
    [
        ({"dataset/a": 9, "dataset/b": 9}, {"train": 18}),
        ({"x/y/train/a": 3, "x/y/train/b": 3, "x/y/test/a": 1, "x/y/test/b": 1}, {"train": 6, "test": 2}),
        ({"training/a": 3, "training/b": 3, "testing/a": 1, "testing/b": 1}, {"train": 6, "test": 2}),
        ({"Train/train/a": 3, "Train/train/b": 3, "Valid/a": 1, "Valid/b": 1}, {"train": 6, "validation": 2}),
        ({"bus": 2, "car": 2, "train": 2}, {"train": 6}),
        ({"a/one": 2, "a/two": 2, "b": 3, "b/more/most": 1}, {"train": 8}),
        ({"train/a": 3, "train/b": 3, "test": 5}, {"train": 6}),
    ],
)
def test_folders_are_read_as_people_have_them(tmp_path: Path, layout: dict[str, int], parts: dict[str, int]) -> None:
    folder = PictureFolder.scan(write_picture_folder(tmp_path / "p", layout))
    assert {part: len(files) for part, files in folder.files.items()} == parts
    assert folder.classes == (("bus", "car", "train") if "car" in layout else ("a", "b"))
    for files in folder.files.values():
        assert all(folder.classes[label] in path.parts for path, label in files)
    quiet = {"bus", "training/a"} & set(layout)
    assert bool(folder.notes) == (not quiet), folder.notes


def test_pictures_of_the_test_part_without_classes_are_said_to_be_unused(tmp_path: Path) -> None:
    root = write_picture_folder(tmp_path / "p", {"train/a": 3, "train/b": 3, "test": 5})
    (note,) = PictureFolder.scan(root).notes
    assert f"The 5 pictures in {root / 'test'} are not used: neither folders nor metadata.csv give" in note


def test_parts_inside_classes_are_refused_with_the_right_order(tmp_path: Path) -> None:
    root = write_picture_folder(tmp_path / "p", {"a/train": 2, "a/test": 2, "b/train": 2, "b/test": 2})
    with pytest.raises(DataError, match=rf"{root}/train/a. Move the folders"):
        PictureFolder.scan(root)


def test_links_to_class_folders_are_named_with_where_they_lead(tmp_path: Path) -> None:
    real = write_picture_folder(tmp_path / "real", {"a": 2, "b": 2})
    (tmp_path / "links").mkdir()
    for name in ("a", "b"):
        (tmp_path / "links" / name).symlink_to(real / name)
    with pytest.raises(DataError, match=rf"holds 2 links and no folders.*lead into: folder:{real}\."):
        PictureFolder.scan(tmp_path / "links")


def test_jpegs_under_the_names_of_browsers_are_pictures(tmp_path: Path) -> None:
    root = write_picture_folder(tmp_path / "p", {"a": 9, "b": 9})
    for path in (root / "a").iterdir():
        Image.open(path).save(path.with_suffix(".jfif"), "JPEG")
        path.unlink()
    assert load(f"folder:{root}", validation=0).classes == ("a", "b")


def test_one_class_alone_is_answered_with_the_folder_above(tmp_path: Path) -> None:
    root = write_picture_folder(tmp_path / "p", {"a": 2, "b": 2})
    with pytest.raises(DataError, match=rf"load the folder above it: folder:{root}\."):
        PictureFolder.scan(root / "a")


def test_numbered_classes_stand_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    root = write_picture_folder(tmp_path / "p", {"10": 1, "2": 1, "1": 1, "size 12": 1, "size 9": 1})
    assert PictureFolder.scan(root).classes == ("1", "2", "10", "size 9", "size 12")
    assert PictureFolder.scan(root, first_rules=True).classes == ("1", "10", "2", "size 12", "size 9")


def test_photographs_get_64_pixels_and_small_pictures_28(tmp_path: Path) -> None:
    photos = write_picture_folder(tmp_path / "photos", {"a": 8})
    write_pictures(photos / "a", 8, size=(64, 48))
    write_pictures(photos / "b", 7, seed=1, size=(20, 20))
    data = load(f"folder:{photos}")
    assert (data.image_shape, data.arguments["image_size"]) == ((64, 64), [64, 64])
    assert "15 pictures resized to 64x64 (height x width); the median picture was 48x64. For another size, use " in str(
        data.notes
    )
    for suffix in (".jpg", ".gif", ".bmp", ".webp"):
        picture(1, (63, 300)).save(tmp_path / f"a{suffix}")
        assert median_size([tmp_path / f"a{suffix}"]) == (300, 63)
    write_pictures(photos / "c", 16, seed=2, size=(63, 63))
    assert load(f"folder:{photos}").image_shape == (28, 28)
    assert load(f"folder:{photos}", image_size=(32, 32)).image_shape == (32, 32)


def test_each_image_has_the_name_of_its_file(tmp_path: Path) -> None:
    parts = {f"{part}/{k}": n for part, n in (("train", 9), ("test", 2)) for k in ("a", "b")}
    root = write_picture_folder(tmp_path / "p", parts)
    data = load(f"folder:{root}", validation=4)
    assert data.validation is not None
    for part in (data.train, data.validation, data.test.open("test"), load(f"folder:{root}", validation=4).train):
        assert len(part.files) == len(part)
        for file, image in zip(part.files, part.images, strict=True):
            np.testing.assert_array_equal(np.asarray(Image.open(root / file)), image)
    assert data.validation.files[0].startswith("train/a/")


def write_table(folder: Path, rows: str, count: int = 6) -> Path:
    write_pictures(folder, count)
    (folder / "metadata.csv").write_text(rows)
    return folder


def table(labels: str, column: str = "label") -> str:
    rows = "".join(f"{number:03}.png,{label}\n" for number, label in enumerate(labels))
    return f"file_name,{column}\n{rows}"


def test_a_table_gives_the_classes_of_pictures(tmp_path: Path) -> None:
    write_table(tmp_path / "p" / "train", table("bababa"))
    write_table(tmp_path / "p" / "test", table("ab"), 2)
    folder = PictureFolder.scan(tmp_path / "p")
    assert folder.classes == ("a", "b")
    named = [(path.name, folder.classes[label]) for path, label in folder.files["train"]]
    assert sorted(named) == [(f"{number:03}.png", name) for number, name in enumerate("bababa")]
    assert len(folder.files["test"]) == 2
    assert (folder.notes, len(folder.tables)) == ((), 2)


def test_a_table_in_the_root_may_name_files_in_folders_of_parts(tmp_path: Path) -> None:
    root = write_picture_folder(tmp_path / "p", {"train": 2, "test": 2, "extra": 1})
    rows = [f"{part}/00{number}.png;{'ab'[number]}" for part in ("train", "test") for number in range(2)]
    (root / "metadata.csv").write_text("\ufefffile_name;kind\r\n" + "\r\n".join(rows), encoding="utf-8")
    folder = PictureFolder.scan(root)
    assert {part: len(files) for part, files in folder.files.items()} == {"train": 2, "test": 2}
    assert "no column 'label', so the classes are taken from its column 'kind'" in folder.notes[0]
    assert "1 picture that metadata.csv does not name (extra/000.png)" in folder.notes[1]


def test_a_link_is_not_a_table(tmp_path: Path) -> None:
    root = write_picture_folder(tmp_path / "p", {"a": 1, "b": 1})
    (tmp_path / "outside.csv").write_text("file_name,label\na/000.png,x\n")
    (root / "metadata.csv").symlink_to(tmp_path / "outside.csv")
    assert PictureFolder.scan(root).classes == ("a", "b")


def test_json_lines_name_classes_too(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "p", 2)
    lines = [json.dumps({"file_name": f"00{number}.png", "label": number}) for number in range(2)]
    (root / "metadata.jsonl").write_text("\n".join(lines))
    assert PictureFolder.scan(root).classes == ("0", "1")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (table("ab") + "../outside.png,a", r"line 4: '../outside.png' leads out of the folder"),
        (table("ab") + "/etc/passwd,a", r"line 4: '/etc/passwd' leads out of the folder"),
        (table("ab") + "link.png,a", r"line 4: there is no picture 'link.png' beside the table \(links"),
        (table("ab") + "gone.png,a", r"line 4: there is no picture 'gone.png'"),
        (table("ab") + "000.png,b", r"lines 2 and 4: '000.png' is both 'a' and 'b'"),
        (table("ab") + "002.png,", r"line 4: '002.png' has no label"),
        (table("ab") + "002.png,a,b", r"line 4: it has 3 values, but the header has 2"),
        (
            table("ab").replace("file_name", "image_id"),
            r"columns 'image_id', 'label'; expected 'file_name' and 'label'",
        ),
        ("file_name,label\n", "has no rows"),
        ("", "metadata.csv is empty. Expected a header"),
        ("\n000.png,a\n", "begins with an empty line. Expected a header"),
        (table("ab").partition("\n")[2], "has no header: its first line names a picture. Add the line file_name"),
        (
            table("ab") + "002,a",
            "line 4: there is no picture '002', but '002.png' is there; write file names with their",
        ),
        (table("ab") + '002.png,"' + "a" * 200_000, "line 4: field larger than field limit"),
        (table("ab") + "002.png," + "a" * 300, "has 300 characters; at most 200"),
    ],
)
def test_a_wrong_table_is_refused_by_its_line(tmp_path: Path, rows: str, message: str) -> None:
    root = write_table(tmp_path / "p", rows, 3)
    picture(1).save(tmp_path / "outside.png")
    (root / "link.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(DataError, match=message):
        PictureFolder.scan(root)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no folder .*nowhere"):
        load(f"folder:{tmp_path / 'nowhere'}")


@pytest.mark.parametrize("size", [(0, 28), (28, -1), (28, 1025)])
def test_an_image_size_out_of_range_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    root = write_picture_folder(tmp_path / "p", {"a": 2, "b": 2})
    with pytest.raises(DataError, match="each side must be from 1 to 1024"):
        load(f"folder:{root}", image_size=size)


@pytest.mark.parametrize("counts", [{"a": 20, "b": 10}, {"train/a": 6, "train/b": 6, "test/a": 4, "test/b": 3}])
def test_pictures_are_one_test_set_at_every_size(tmp_path: Path, counts: dict[str, int]) -> None:
    folder = write_picture_folder(tmp_path / "p", counts)
    tests = [load(f"folder:{folder}", image_size=(side, side)).test for side in (28, 20, 64)]
    for test in tests:
        test.open("to compare")
    assert len({test.openings[0].source_fingerprint for test in tests}) == 1
    assert len({test.fingerprint for test in tests}) == 3
