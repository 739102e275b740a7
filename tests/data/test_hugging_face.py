"""Hugging Face's datasets and parquet files of their form: columns, classes and splits found, or the reason said."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image as Pillow

import fittingroom
from fittingroom.errors import DataError, DatasetNotFoundError, InputError

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq  # noqa: E402

CLASSES = ["hat", "shoe"]
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 12, 10), np.uint8)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets.disable_progress_bars()


def png(pixels: Any) -> bytes:
    stream = io.BytesIO()
    Pillow.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def hugging(first: int, last: int, **columns: Any) -> datasets.Dataset:
    """Some of the pictures, their classes taking turns."""
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=CLASSES)})
    found = datasets.Dataset.from_dict(
        {
            "image": [Pillow.fromarray(each) for each in PIXELS[first:last]],
            "label": [at % 2 for at in range(first, last)],
        },
        features=features,
    )
    for name, values in columns.items():
        found = found.add_column(name, values)
    return found


@pytest.fixture
def splits() -> datasets.DatasetDict:
    return datasets.DatasetDict(train=hugging(0, 20), validation=hugging(20, 28), test=hugging(28, 40))


def test_its_splits_are_the_parts_and_the_test_part_is_sealed(splits: datasets.DatasetDict) -> None:
    data = fittingroom.load(splits, image_size=(12, 10))
    np.testing.assert_array_equal(data.train.images, PIXELS[:20])
    assert data.validation is not None
    np.testing.assert_array_equal(data.validation.images, PIXELS[20:28])
    assert data.classes == ("hat", "shoe")
    np.testing.assert_array_equal(data.train.labels, np.arange(20) % 2)
    assert len(data.test) == 12
    with pytest.raises(AttributeError, match="sealed"):
        data.test.images  # type: ignore[attr-defined]  # noqa: B018
    np.testing.assert_array_equal(data.test.open("a test").images, PIXELS[28:])


def test_what_it_is_turned_into_is_found_again_by_the_name_that_a_run_keeps(splits: datasets.DatasetDict) -> None:
    data = fittingroom.load(splits, image_size=16)
    again = fittingroom.load(**{**data.arguments, "image_size": tuple(data.arguments["image_size"])})
    assert (again.fingerprint, again.test.fingerprint) == (data.fingerprint, data.test.fingerprint)
    with pytest.raises(DatasetNotFoundError, match=r"Give it again in Python: fittingroom\.load"):
        fittingroom.load("hf:0123456789abcdef")


def test_one_split_is_cut_and_the_rows_that_were_chosen_count(splits: datasets.DatasetDict) -> None:
    chosen = splits["train"].select(range(19, 3, -1)).shuffle(seed=1).with_format("numpy")
    data = fittingroom.load(chosen, validation=0, image_size=(12, 10))
    assert len(data.train) + len(data.test) == 16
    assert {image.tobytes() for image in data.train.images} < {image.tobytes() for image in PIXELS[4:20]}


@pytest.mark.parametrize("form", ["bytes", "paths", "arrays", "rows", "first"])
def test_images_are_pictures_bytes_paths_or_arrays(tmp_path: Path, form: str) -> None:
    values: list[Any]
    if form == "paths":
        for at, each in enumerate(PIXELS[:20]):
            (tmp_path / f"{at}.png").write_bytes(png(each))
        values = [str(tmp_path / f"{at}.png") for at in range(20)]
    elif form == "first":  # as PyTorch has channels
        values = np.repeat(PIXELS[:20, None], 3, 1).tolist()
    else:
        square = PIXELS[:20, :10]
        values = {
            "bytes": [png(each) for each in PIXELS[:20]],
            "arrays": PIXELS[:20].tolist(),
            "rows": square.reshape(20, -1).tolist(),
        }[form]
    given = datasets.Dataset.from_dict({"image": values, "label": ["hat", "shoe"] * 10})
    size: dict[str, Any] = {"image_size": (12, 10)} if form in {"bytes", "paths"} else {}
    data = fittingroom.load(given, validation=0, **size)
    expected = PIXELS[:20, :10] if form == "rows" else PIXELS[:20]
    seen = {image.tobytes() for image in data.train.images}
    assert seen < {(np.repeat(each[..., None], 3, 2) if form == "first" else each).tobytes() for each in expected}
    assert data.classes == ("hat", "shoe")
    if not size:
        with pytest.raises(DataError, match="image_size cannot be given"):
            fittingroom.load(given, image_size=8)


def test_a_split_without_labels_is_left_out_and_said() -> None:
    hidden = hugging(28, 40)
    hidden = hidden.remove_columns("label").add_column("label", [-1] * 12).cast(hidden.features)
    data = fittingroom.load(datasets.DatasetDict(train=hugging(0, 28), test=hidden), image_size=12)
    assert any("The split 'test' is not used: none of its 12 images has a label." in note for note in data.notes)
    some = datasets.concatenate_datasets([hugging(0, 10), hidden])
    with pytest.raises(DataError, match=r"12 images of 22 have the label -1.*filter\(lambda row"):
        fittingroom.load(some)


def test_unknown_splits_are_said_and_a_missing_one_is_named(splits: datasets.DatasetDict) -> None:
    data = fittingroom.load(datasets.DatasetDict(**splits, more=hugging(0, 4)), image_size=12)
    assert any("Not used: the splits 'more'" in note for note in data.notes)
    with pytest.raises(DataError, match="has the splits 'a' and 'b'; expected 'train'"):
        fittingroom.load(datasets.DatasetDict(a=hugging(0, 4), b=hugging(4, 8)))
    with pytest.raises(DataError, match="'val' and 'valid', and either could be the validation part"):
        fittingroom.load(datasets.DatasetDict(train=hugging(0, 4), val=hugging(4, 8), valid=hugging(8, 12)))


def test_columns_are_named_where_several_or_none_could_be_it(splits: datasets.DatasetDict) -> None:
    labelled = splits["train"].rename_column("label", "fine")
    several = labelled.add_column("coarse", [0, 1] * 10).cast_column("coarse", datasets.ClassLabel(names=["a", "b"]))
    with pytest.raises(
        DataError, match=r"several columns could be the labels: 'fine' and 'coarse'.*label_column='fine'"
    ):
        fittingroom.load(several)
    assert fittingroom.load(several, label_column="coarse", image_size=12).classes == ("a", "b")
    with pytest.raises(DataError, match="no column of labels was found"):
        fittingroom.load(splits["train"].remove_columns("label"))
    with pytest.raises(DataError, match=r"no column of images was found. Its columns are text \(string\)"):
        fittingroom.load(datasets.Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]}))
    with pytest.raises(DataError, match="has no column 'picture'; its columns are image"):
        fittingroom.load(splits, image_column="picture")
    with pytest.raises(DataError, match="the column 'label' holds class labels; expected pictures"):
        fittingroom.load(splits, image_column="label")
    with pytest.raises(DataError, match="label_column cannot be given for 'digits'"):
        fittingroom.load("digits", label_column="label")


def test_other_classes_in_another_split_are_refused(splits: datasets.DatasetDict) -> None:
    turned = splits["test"].cast_column("label", datasets.ClassLabel(names=["shoe", "hat"]))
    with pytest.raises(DataError, match="Splits need the same columns and the same classes in the same order"):
        fittingroom.load(datasets.DatasetDict(train=splits["train"], test=turned))


def test_streams_empty_sets_missing_and_damaged_pictures_are_refused(splits: datasets.DatasetDict) -> None:
    with pytest.raises(DataError, match=r"streaming dataset.*Load it without streaming=True"):
        fittingroom.load(splits["train"].to_iterable_dataset())
    with pytest.raises(DataError, match="is empty"):
        fittingroom.load(splits["train"].select([]))
    missing = datasets.Dataset.from_dict(
        {"image": [None, *(png(each) for each in PIXELS[:11])], "label": ["a", "b"] * 6}
    )
    with pytest.raises(DataError, match="image 0 of the train part is missing: its cell is empty"):
        fittingroom.load(missing)
    page = datasets.Dataset.from_dict({"image": [b"<html>", *[png(PIXELS[0])] * 11], "label": ["a", "b"] * 6})
    with pytest.raises(DataError, match="image 0 of the train part is not an image"):
        fittingroom.load(page)
    lost = datasets.Dataset.from_dict({"image": ["gone.png"] * 12, "label": ["a", "b"] * 6})
    with pytest.raises(DataError, match=r"is the file gone\.png, which cannot be read"):
        fittingroom.load(lost)
    ragged = datasets.Dataset.from_dict({"image": [[[1, 2]], [[1]]], "label": [0, 1]})
    with pytest.raises(DataError, match="the arrays differ in shape"):
        fittingroom.load(ragged)
    unlabelled = datasets.Dataset.from_dict({"image": [png(PIXELS[0])] * 2, "label": ["a", None]})
    with pytest.raises(DataError, match="1 row of the column 'label' have no label"):
        fittingroom.load(unlabelled)


@pytest.mark.parametrize("layout", ["hub", "folders", "file"])
def test_parquet_files_are_read_as_the_hub_lays_them_out(
    tmp_path: Path, splits: datasets.DatasetDict, layout: str
) -> None:
    folder = tmp_path / "set"
    for split, each in splits.items():
        half = len(each) // 2
        for part, rows in enumerate((range(half), range(half, len(each)))):
            place = {
                "hub": folder / "data" / f"{split}-0000{part}-of-00002.parquet",
                "folders": folder / str(split) / f"000{part}.parquet",
                "file": folder / f"{split}{part}.parquet",
            }[layout]
            place.parent.mkdir(parents=True, exist_ok=True)
            each.select(rows).to_parquet(place)
    if layout == "file":
        data = fittingroom.load(folder / "train0.parquet", validation=0, image_size=(12, 10))
        assert len(data.train) + len(data.test) == 10
    else:
        data = fittingroom.load(folder, image_size=(12, 10))
        np.testing.assert_array_equal(data.train.images, PIXELS[:20])
        assert data.test.fingerprint == fittingroom.load(splits, image_size=(12, 10)).test.fingerprint
    assert data.classes == ("hat", "shoe")
    assert data.name == f"parquet:{folder / 'train0.parquet' if layout == 'file' else folder}"
    again = fittingroom.load(**{**data.arguments, "image_size": (12, 10)})
    assert again.fingerprint == data.fingerprint


def test_a_parquet_file_of_another_program_is_read(tmp_path: Path) -> None:
    names = pa.array(["shoe", "hat"] * 20).dictionary_encode()
    pq.write_table(
        pa.table({"pixels": PIXELS.reshape(40, -1)[:, :100].tolist(), "class": names}), tmp_path / "a.parquet"
    )
    data = fittingroom.load(tmp_path / "a.parquet")
    assert (data.classes, data.image_shape) == (("hat", "shoe"), (10, 10))


def test_hostile_parquet_files_are_refused(tmp_path: Path, splits: datasets.DatasetDict) -> None:
    path = tmp_path / "a.parquet"
    path.write_text("<!DOCTYPE html><html>")
    with pytest.raises(DataError, match=r"a.parquet is not a parquet file: it looks like a web page"):
        fittingroom.load(f"parquet:{path}")
    splits["train"].to_parquet(path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataError, match="is cut off or damaged"):
        fittingroom.load(path)
    (tmp_path / "secret.png").write_bytes(png(PIXELS[0]))
    inside = tmp_path / "inside"
    inside.mkdir()
    pq.write_table(pa.table({"image": ["../secret.png"] * 4, "label": [0, 1] * 2}), inside / "b.parquet")
    with pytest.raises(DataError, match="leads out of"):
        fittingroom.load(inside)


def test_train_and_fit_take_it_as_it_is(splits: datasets.DatasetDict, tmp_path: Path) -> None:
    import keras

    run = fittingroom.train(splits, "linear", image_size=12, epochs=1, out=tmp_path / "a")
    assert run.record.data.name.startswith("hf:")
    assert 0 <= run.evaluate().accuracy <= 1
    model = keras.Sequential(
        [keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
    )
    model.compile(loss="sparse_categorical_crossentropy")
    fitted = fittingroom.fit(model, splits["train"], epochs=1, validation_split=0.25, out=tmp_path / "b", verbose=0)
    assert "val_loss" in fitted.history
    with pytest.raises(InputError, match=r"Give both splits as one: fit\(model, datasets.DatasetDict"):
        fittingroom.fit(model, splits["train"], validation_data=splits["validation"])
