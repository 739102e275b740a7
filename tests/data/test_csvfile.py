from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fittingroom.data.csvfile import PixelTable
from fittingroom.data.load import load
from fittingroom.errors import DataError
from tests.data.builders import images, labels

HEADER = "label," + ",".join(f"pixel{number}" for number in range(16))


def rows(count: int, delimiter: str = ",", seed: int = 0) -> list[str]:
    """Rows of pixels of 4x4."""
    return [delimiter.join(map(str, row)) for row in images(count, 4, 4, seed).reshape(count, 16).tolist()]


def kaggle(path: Path, *counts: int, names: str = "0123456789", seed: int = 0) -> Path:
    """A file with the columns label, pixel0, ..., and so many rows of each class."""
    classes = labels(*counts)
    pixels = rows(len(classes), seed=seed)
    path.write_text("\n".join([HEADER, *(f"{names[k]},{row}" for k, row in zip(classes, pixels, strict=True))]))
    return path


def test_kaggles_form_is_a_dataset(tmp_path: Path) -> None:
    data = load(f"csv:{kaggle(tmp_path / 'a.csv', 20, 20)}", validation=0)
    assert (data.classes, data.image_shape) == (("0", "1"), (4, 4))
    known = {image.tobytes() for image in images(40, 4, 4)}
    assert {image.tobytes() for image in (*data.train.images, *data.test.open("test").images)} == known


def test_text_labels_become_the_names_of_classes(tmp_path: Path) -> None:
    path = kaggle(tmp_path / "a.csv", 10, 20, names="qb")
    data = load(f"csv:{path}", validation=0)
    assert data.classes == ("b", "q")
    assert np.add(data.train.counts(), data.test.counts()).tolist() == [20, 10]


def test_a_test_file_beside_the_training_file_is_the_test_part(tmp_path: Path) -> None:
    path = kaggle(tmp_path / "mnist_train.csv", 9, 9)
    kaggle(tmp_path / "mnist_test.csv", 2, 3, seed=5)
    data = load(str(path), validation=0)
    assert (data.name, data.test.counts(), data.train.counts()) == (f"csv:{path}", (2, 3), (9, 9))
    assert "The test part is mnist_test.csv, which lies beside it." in data.notes
    (tmp_path / "mnist_test.csv").write_text("\n".join([HEADER.removeprefix("label,"), *rows(3)]))
    assert "mnist_test.csv, which lies beside it, has no labels" in str(load(str(path)).notes)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("\n".join(f"3,{row}" for row in rows(5)), 3),
        ("\r\n".join([HEADER, *(f"3,{row}" for row in rows(5)), ""]), 3),
        ("\ufeff" + "\n".join(["id;" + HEADER.replace(",", ";"), *(f"9;3;{row}" for row in rows(5, ";"))]), 3),
        ("\n".join([HEADER.removeprefix("label,") + ",label", *(f"{row},3" for row in rows(5))]), 3),
        ("\n".join([HEADER, *(f'"a ""b"", c",{row}' for row in rows(5))]), 'a "b", c'),
        ("\n".join([HEADER.replace("label", "species"), *(f"cat,{row}" for row in rows(5))]), "cat"),
        ("\n".join(rows(5)), None),
    ],
)
def test_forms_that_people_have_are_read(tmp_path: Path, text: str, label: float | str | None) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8", newline="")
    table = PixelTable.read(tmp_path / "a.csv")
    np.testing.assert_array_equal(table.images, images(5, 4, 4))
    assert table.images.dtype == np.uint8
    assert table.labels is None if label is None else table.labels is not None and set(table.labels.tolist()) == {label}


def test_colours_and_fractions_are_read_and_said(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((3, 27))
    (tmp_path / "a.csv").write_text("\n".join(",".join(map(str, row)) for row in values))
    table = PixelTable.read(tmp_path / "a.csv")
    np.testing.assert_allclose(table.images.reshape(3, 27), values, rtol=1e-6)
    assert table.notes == ("a.csv: its 27 pixels are taken as 3x3 in colour.",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{HEADER}\n1,{rows(1)[0]}\n1,5,5\n", r"a.csv, line 3: it has 3 values, but the first line has 17. Correct"),
        (f"{HEADER}\n1,{rows(1)[0]},9\n", r"line 2: it has 18 values"),
        (f"{HEADER}\n\n1,{rows(1)[0].replace(',', ',x', 1)}\n", r"line 3: 'x\d+' is not a number \(column 3 of 17\)"),
        (f"{HEADER}\n1,{','.join([''] * 16)}\n", r"line 2: a value is missing \(column 2 of 17\)"),
        ("label,pixel0\n1,2\n", r"has 2 columns \(label and pixel0\), of which 1 holds pixels"),
        ("label\n1\n", r"has 1 column \(label\), of which 0 hold pixels"),
        (f"{HEADER}\n1,{rows(1)[0]}".replace(",", " "), "separates its 17 values by spaces; expected commas"),
        (
            "path,label\na.png,cat\n",
            "no columns of pixels, but a column 'path'. If that names picture files.*metadata.csv",
        ),
        (f"{HEADER}\nf\udcfcnf,{rows(1)[0]}\n", r"is not UTF-8 text \(a label is 'f.udcfcnf'\). Save it as UTF-8"),
        ("\udcff\udcfel\0a\0", "is not a CSV file: it looks like text in UTF-16. Save it as UTF-8"),
        (f"{HEADER}\n", "has no rows"),
        ("\n\n", "is empty"),
        ("a\0b", "is not a CSV file"),
        ("1," * 2**23 + "1", "line 1: it is longer than 16,777,216 characters"),
    ],
)
def test_wrong_rows_are_refused_by_their_lines(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text, errors="surrogateescape")
    with pytest.raises(DataError, match=message):
        PixelTable.read(tmp_path / "a.csv")


def test_rows_without_labels_are_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n".join(rows(5)))
    with pytest.raises(DataError, match=r"as many columns as a picture of 4x4 pixels, so none is left for the label"):
        load(f"csv:{tmp_path / 'a.csv'}")


def test_a_label_in_the_last_column_of_a_file_without_header_is_suspected(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n".join(f"0,{','.join(['7'] * 15)},{number % 3}" for number in range(9)))
    with pytest.raises(DataError, match=r"only one class \('0'\).* a.csv has no header; its first column is taken as"):
        load(f"csv:{tmp_path / 'a.csv'}")
