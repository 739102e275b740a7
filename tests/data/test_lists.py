"""Reviewed lists: what a person decided is left out or relabelled, nothing else, and never in the test part."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fittingroom.data.dataset import Dataset, Part
from fittingroom.data.listed_rows import image_name
from fittingroom.data.load import load
from fittingroom.data.review_list import ReviewList, ReviewRow
from fittingroom.data.stored_images import StoredImages
from fittingroom.errors import DataError
from tests.data.builders import write_four_files, write_picture_folder, write_pictures


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30, 20 and 10 training images of the classes 0, 1 and 2."""
    folder = tmp_path_factory.mktemp("idx")
    write_four_files(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_picture_folder(tmp_path / "pictures", {"a": 20, "b": 20})


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def rows_of(dataset: Dataset, root: Path | None = None) -> list[ReviewRow]:
    """A row for each image to learn from or to validate on."""
    rows = []
    for name, part in (("train", dataset.train), ("validation", dataset.validation)):
        if part is None:
            continue
        assert part.rows is not None
        for place, position in enumerate(part.rows.tolist()):
            file = part.files[place] if part.files else ""
            image = image_name(root, file, part.images[place])
            rows.append(ReviewRow(name, position, file, image, part.classes[part.labels[place]]))
    return rows


def loaded(files: Path, name: str, value: Any, **others: Any) -> Dataset:
    """The dataset with a list, given as an argument of this name."""
    return load(files, **{name: value}, **others)


def positions(part: Part | None) -> NDArray[np.int64]:
    """Those of the images of a part in the files' own training part."""
    assert part is not None
    assert part.rows is not None
    return part.rows


def row_of(part: Part, position: int) -> int:
    return int(np.flatnonzero(positions(part) == position)[0])


def test_excluded_images_are_gone_and_all_others_stay_where_they_were(files: Path, tmp_path: Path) -> None:
    before = load(files, validation=12, split_seed=3)
    assert before.validation is not None
    gone = [*positions(before.train)[[0, 5, 20]].tolist(), int(positions(before.validation)[2])]
    rows = [replace(row, decision="exclude" if row.index in gone else "keep") for row in rows_of(before)]
    ReviewList.write(tmp_path / "list.csv", rows)
    after = load(files, validation=12, split_seed=3, exclude=tmp_path / "list.csv")
    for part, old in ((after.train, before.train), (after.validation, before.validation)):
        assert part is not None
        assert old is not None
        kept = ~np.isin(positions(old), gone)
        np.testing.assert_array_equal(part.rows, positions(old)[kept])
        np.testing.assert_array_equal(part.images, old.images[kept])
        np.testing.assert_array_equal(part.labels, old.labels[kept])
    assert (after.test.fingerprint, after.test.counts()) == (before.test.fingerprint, before.test.counts())
    assert after.fingerprint != before.fingerprint
    assert after.notes[-1] == (
        "By the list list.csv: left out 3 training images and 1 validation image. The test part stays as it is."
    )
    # What it recorded of the list loads the same again, and another split has another part of the same images.
    again = load(**after.arguments)
    assert (again.fingerprint, again.arguments) == (after.fingerprint, after.arguments)
    np.testing.assert_array_equal(again.train.images, after.train.images)
    other = load(files, validation=0, exclude=tmp_path / "list.csv")
    assert sorted({*range(60)} - {*positions(other.train).tolist()}) == sorted(gone)
    assert other.fingerprint == after.fingerprint


def test_relabelled_images_keep_their_part_and_get_the_label_of_the_person(files: Path, tmp_path: Path) -> None:
    before = load(files, validation=12)
    assert before.validation is not None
    chosen, held_out = int(positions(before.train)[4]), int(positions(before.validation)[1])
    labels = {row.index: row.label for row in rows_of(before)}
    new = {at: str((int(labels[at]) + 1) % 3) for at in (chosen, held_out)}
    text = f"index,decision,suggested,new_label\n{chosen},relabel,,{new[chosen]}\n{held_out},Relabel,{new[held_out]},\n"
    after = load(files, validation=12, relabel=written(tmp_path / "list.csv", text))
    np.testing.assert_array_equal(after.train.images, before.train.images)
    assert after.train.labels[row_of(after.train, chosen)] == int(new[chosen])
    assert after.validation is not None
    assert after.validation.labels[row_of(after.validation, held_out)] == int(new[held_out])
    assert (after.train.labels != before.train.labels).sum() == 1
    assert load(**after.arguments).fingerprint == after.fingerprint != before.fingerprint
    # A label that it has already changes nothing.
    text = f"index,decision,new_label\n{chosen},relabel,{labels[chosen]}\n"
    assert load(files, validation=12, relabel=written(tmp_path / "b.csv", text)).fingerprint == before.fingerprint


def test_a_wrong_label_is_left_out_unless_it_is_corrected(files: Path, tmp_path: Path) -> None:
    dataset = load(files, validation=0)
    one, two = (int(np.flatnonzero(dataset.train.labels == label)[0]) for label in (0, 1))
    text = f"index,decision,new_label\n{one},relabel,1\n{two},exclude,\n"
    path = written(tmp_path / "list.csv", text)
    assert len(load(files, validation=0, exclude=path).train) == 58
    both = load(files, validation=0, exclude=path, relabel=path)
    assert len(both.train) == 59
    assert both.train.labels[row_of(both.train, one)] == 1
    corrected = load(files, validation=0, relabel=path)
    assert len(corrected.train) == 60
    assert "1 row of the list say exclude" in corrected.notes[-1]


def test_a_list_that_nobody_reviewed_is_refused_and_one_that_a_person_wrote_is_used(
    files: Path, tmp_path: Path
) -> None:
    rows = rows_of(load(files, validation=0))[:3]
    ReviewList.write(tmp_path / "list.csv", rows)
    for name in ("exclude", "relabel"):
        with pytest.raises(DataError, match=r"nobody has reviewed.*empty in all 3 rows.*new_label.*remove the column"):
            loaded(files, name, tmp_path / "list.csv")
    own = written(tmp_path / "own.csv", "index\n3\n7.0\n")
    assert len(load(files, validation=0, exclude=own).train) == 58
    ReviewList.write(tmp_path / "empty.csv", [])  # nothing was found
    assert (
        load(files, validation=0, exclude=tmp_path / "empty.csv").fingerprint == load(files, validation=0).fingerprint
    )
    confirmed = written(tmp_path / "kept.csv", "index,decision\n3,keep\n4,\n")
    assert load(files, validation=0, exclude=confirmed).fingerprint == load(files, validation=0).fingerprint


def test_rows_of_the_test_part_are_skipped_and_said(files: Path, folder: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "list.csv", "part,index,decision\ntest,3,exclude\ntrain,3,exclude\n")
    dataset = load(files, exclude=path)
    assert dataset.test.fingerprint == load(files).test.fingerprint
    assert dataset.notes[-1] == "1 row of the test part skipped: a list never changes the test part."
    # By its file's name too, whatever part the row says.
    pictures = load(folder)
    names = {f"{path.parent.name}/{path.name}" for path in folder.rglob("*.png")}
    assert pictures.validation is not None
    of_test = sorted(names - {*pictures.train.files, *pictures.validation.files})[0]
    path = written(tmp_path / "b.csv", f"file,decision\n{of_test},exclude\n")
    dataset = load(folder, exclude=path)
    assert dataset.fingerprint == pictures.fingerprint
    assert "1 row of the test part skipped" in dataset.notes[-1]


def test_pictures_are_found_by_their_files_at_every_size_and_after_others_were_added(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = load(folder, image_size=16)
    gone = small.train.files[3]
    row = next(row for row in rows_of(small, folder) if row.file == gone)
    assert row.image.startswith("file:")
    ReviewList.write(tmp_path / "list.csv", [replace(row, decision="exclude")])
    monkeypatch.setattr("fittingroom.data.load._MOST_IN_MEMORY", 0)  # as of folders that are larger than memory
    large = load(folder, image_size=32, exclude=tmp_path / "list.csv")
    assert isinstance(large.train.images, StoredImages)
    assert gone not in large.train.files
    assert len(large.train.images) == len(large.train) == len(small.train) - 1
    write_pictures(folder / "0-first", 5, seed=9)
    added = load(folder, exclude=tmp_path / "list.csv")
    assert added.validation is not None
    assert gone not in {*added.train.files, *added.validation.files}
    (folder / gone).unlink()
    with pytest.raises(DataError, match=r"of other data: .* has none of its files, for example " + re.escape(gone)):
        load(folder, exclude=tmp_path / "list.csv")
    own = written(tmp_path / "own.csv", f"file,decision\n{gone},exclude\n{added.train.files[0]},exclude\n")
    assert "1 row skipped, because the files are not there any more: a/" in load(folder, exclude=own).notes[-1]


def test_a_validation_part_that_the_files_bring_along_is_changed_in_place(tmp_path: Path) -> None:
    counts = {f"{part}/{label}": 8 for part in ("train", "validation", "test") for label in "ab"}
    folder = write_picture_folder(tmp_path / "parts", counts)
    before = load(folder)
    assert before.validation is not None
    gone, wrong = before.validation.files[3], before.train.files[2]
    text = f"file,decision,new_label\n{gone},exclude,\n{wrong},relabel,b\ntest/a/000.png,exclude,\n"
    path = written(tmp_path / "list.csv", text)
    after = load(folder, exclude=path, relabel=path)
    assert after.validation is not None
    assert after.validation.files == tuple(name for name in before.validation.files if name != gone)
    assert after.train.files == before.train.files
    assert after.classes[after.train.labels[2]] == "b"
    assert after.arguments["exclude"]["validation"] == "3"
    assert after.test.fingerprint == before.test.fingerprint
    assert load(**after.arguments).fingerprint == after.fingerprint


def test_a_list_of_other_data_is_refused_with_its_row(files: Path, folder: Path, tmp_path: Path) -> None:
    rows = [replace(row, decision="exclude") for row in rows_of(load(files, validation=0))]
    ReviewList.write(tmp_path / "list.csv", [rows[0], replace(rows[5], image=rows[6].image)])
    with pytest.raises(DataError, match=r"line 3 of the list .*list.csv was written for another image than image 5:"):
        load(files, exclude=tmp_path / "list.csv")
    picture = load(folder).train.files[0]
    chosen = [replace(row, decision="exclude") for row in rows_of(load(folder), folder) if row.file == picture]
    ReviewList.write(tmp_path / "pictures.csv", chosen)
    (folder / picture).write_bytes((folder / load(folder).train.files[1]).read_bytes())
    with pytest.raises(DataError, match=re.escape(f"({picture}): the list is of other data, or the image has changed")):
        load(folder, exclude=tmp_path / "pictures.csv")


BAD = {
    "": r"it is empty\. Expected a header",
    "a,b\n1,2\n": r"columns 'a' and 'b'; expected index or file",
    "index,Index\n1,2\n": "has index more than once",
    "index,decision\n1\n": r"line 2 has 1 values, but the header has 2 columns",
    "index,decision\n-1,exclude\n": r"line 2: index is '-1'; expected a whole number from 0",
    "index,decision\n1.5,exclude\n": "index is '1.5'",
    "index,decision\n99999999999999999999,exclude\n": "index is '9999",
    "index,decision\n60,exclude\n": r"has index 60, but the training part has 60 images",
    "index,decision\n,exclude\n": "line 2 has neither index nor file",
    "file,decision\nx.png,exclude\n": "these images have no files",
    "index,decision\n1,delete\n": r"decision is 'delete'; expected keep, exclude or relabel, or nothing",
    "index,part,decision\n1,testing,exclude\n": r"part is 'testing'; expected train, validation or test, or nothing",
    "index,label,decision\n1,nine,exclude\n": r"image 1 has the label 'nine', but it is '\d'.*call the column new_",
    "index,image,decision\n1,pixels:00,exclude\n": "was written for another image than image 1:",
    "index,image,decision\n1,file:../../etc/passwd,exclude\n": "was written for another image than image 1:",
    "index,decision\n1,exclude\n1,keep\n": r"line 3 .*says keep of an image of which line 2 says exclude\. Remove one",
    'index,decision\n1,"exclude\n': "unexpected end of data",
    "index,decision\n1," + "x" * 200_000 + "\n": "field larger than field limit",
}
BAD_LABELS = {
    "index,decision\n1,relabel\n": "new_label and suggested are empty",
    "index,decision,new_label\n1,relabel,10\n": r"line 2 of the list .*unknown class '10'.*Known: 0, 1, 2",
    "check,index,decision,new_label\na,1,relabel,1\nb,1,relabel,2\n": r"line 3 .*gives an image its second new label",
}


def test_lists_that_make_no_sense_are_refused_with_their_row(files: Path, tmp_path: Path) -> None:
    for name, cases in (("exclude", BAD), ("relabel", BAD_LABELS)):
        for text, said in cases.items():
            path = written(tmp_path / "list.csv", text)
            with pytest.raises(DataError, match=said):
                loaded(files, name, path, validation=0)
    (tmp_path / "list.csv").write_bytes(b"index\n\xff\xfe\n")
    with pytest.raises(DataError, match=r"not UTF-8 text.*Save it as CSV in UTF-8"):
        load(files, exclude=tmp_path / "list.csv")
    with pytest.raises(DataError, match=r"cannot read the list .*gone\.csv: No such file"):
        load(files, exclude=tmp_path / "gone.csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fittingroom.data.review_list._MOST_ROWS", 2)
        with pytest.raises(DataError, match="it has more than 2 rows"):
            load(files, exclude=written(tmp_path / "list.csv", "index\n1\n2\n3\n"))
    with pytest.raises(DataError, match=r"exclude is a list; expected the path"):
        loaded(files, "exclude", [3])


def test_a_class_or_validation_without_images_is_refused(files: Path, tmp_path: Path) -> None:
    dataset = load(files, validation=6)
    assert dataset.validation is not None
    for part, said in (
        (dataset.train, r"would leave no training image of '2', but every class needs one"),
        (dataset.validation, r"would leave no validation image"),
    ):
        chosen = positions(part)[part.labels == 2] if part is dataset.train else positions(part)
        path = written(tmp_path / "list.csv", "index\n" + "\n".join(map(str, chosen.tolist())))
        with pytest.raises(DataError, match=said):
            load(files, validation=6, exclude=path)


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("exclude", "0-99999999999"),
        ("exclude", "9" * 5000),
        ("exclude", "60"),
        ("exclude", "../x"),
        ("relabel", "1:3"),
        ("relabel", "60:1"),
        ("relabel", "1"),
    ],
)
def test_what_a_run_recorded_of_a_list_is_checked_too(files: Path, name: str, rows: str) -> None:
    with pytest.raises(DataError, match=r"the recorded list|the rows of"):
        loaded(files, name, {"file": "list.csv", "sha256": "", "rows": rows})


texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)


@given(
    st.lists(
        st.builds(
            ReviewRow,
            part=st.sampled_from(["train", "validation", "test"]),
            index=st.integers(0, 10**9),
            file=texts,
            label=texts,
            suggested=texts,
            why=texts,
            other=texts,
            decision=st.sampled_from(["", "keep", "exclude", "relabel"]),
            new_label=texts,
        ),
        min_size=1,
        max_size=5,
    ),
)
def test_a_written_list_is_read_as_it_was_and_no_cell_begins_a_formula(rows: list[ReviewRow]) -> None:
    text = ReviewList.text(rows)
    path = Path("list.csv")
    assert not any(cell.startswith(("=", "+", "-", "@")) for cells in csv.reader(io.StringIO(text)) for cell in cells)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fittingroom.data.review_list.read_file", lambda *_: text.encode())
        read = ReviewList.read(path)
    assert [replace(row, line=0) for row in read.rows] == rows


def test_a_list_with_decisions_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "new" / "list.csv"
    ReviewList.write(path, [ReviewRow(index=1, label="=1+1")])
    assert "'=1+1" in path.read_text()
    ReviewList.write(path, [ReviewRow(index=2)])
    ReviewList.write(path, [ReviewRow(index=2, decision="keep")])
    with pytest.raises(DataError, match="exists already and has decisions that somebody made"):
        ReviewList.write(path, [ReviewRow(index=3)])
    other = written(tmp_path / "other.csv", "a,b\n1,2\n")
    with pytest.raises(DataError, match="exists already and is another file"):
        ReviewList.write(other, [ReviewRow(index=3)])
    assert written(tmp_path / "semicolons.csv", "index;decision\n1;exclude\n")
    assert ReviewList.read(tmp_path / "semicolons.csv").rows[0].decision == "exclude"
