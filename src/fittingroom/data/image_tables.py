"""Datasets in tables of Apache Arrow: what Hugging Face's `datasets` and parquet files hold.

A table has a column of images and a column of labels. An image is a picture file in a cell (its bytes, or its path), or
an array of numbers. Columns are found by what `datasets` says they are, else by their type and name.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fittingroom.atomic import open_file
from fittingroom.data.cache import DatasetSource, Stamp
from fittingroom.data.contents import Contents, RawDataset, RawPart
from fittingroom.data.csvfile import PixelTable
from fittingroom.data.decode import Decoding, UndecodedPictures, default_size, each_of
from fittingroom.data.headers import PackedPicture, PictureFile
from fittingroom.data.resizing import Resizing
from fittingroom.data.table_columns import TableColumns, is_of_pictures
from fittingroom.data.values import DIGEST_BYTES, Digests, to_images
from fittingroom.errors import DataError
from fittingroom.text import amount, number, word_list

if TYPE_CHECKING:
    import pyarrow as pa

_PARTS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}

_NO_LABEL = -1
"""What `datasets` has where an image has no label, as in the test splits of competitions."""


@dataclass(frozen=True, eq=False)
class ImageTable:
    """One split of a dataset.

    Args:
        table: has a column of images, one of labels, and perhaps others.
        features: of each column, what `datasets` says of it, as JSON; empty where nobody says it.
        folder: what paths of pictures begin in, and may not lead out of; None where they may be any path of this
            machine.
    """

    table: pa.Table
    features: Mapping[str, Any]
    folder: Path | None = None


@dataclass(frozen=True, eq=False)
class TableDataset:
    """Splits with their columns found, checked as far as that needs no picture.

    Attributes:
        source: where they were found, in words.
        parts: of each part that there is, its table with two columns.
        columns: their names, and the names of the classes.
        labels: of each part.
        notes: what was left out, or guessed.
    """

    source: str
    parts: Mapping[str, ImageTable]
    columns: TableColumns
    labels: Mapping[str, NDArray[Any]]
    notes: tuple[str, ...]

    @classmethod
    def of(
        cls, source: str, splits: Mapping[str, ImageTable], image: str | None = None, label: str | None = None
    ) -> TableDataset:
        """The dataset in some splits, by their names.

        Args:
            source: where they were found, in words.
            splits: at least one.
            image: the name of the column of images; None to find it.
            label: the name of the column of labels; None to find it.

        Raises:
            DataError: there is no training split, a column cannot be found or lacks a value, or splits differ.
        """
        chosen, notes = _parts(source, splits)
        parts: dict[str, ImageTable] = {}
        labels: dict[str, NDArray[Any]] = {}
        columns: TableColumns | None = None
        for part, name in chosen.items():
            what = source if len(splits) == 1 else f"{source}, split {name!r}"
            table = splits[name]
            found = TableColumns.found(table.table.schema, table.features, what, image, label)
            if columns is not None and found != columns:
                raise DataError(
                    f"{what}: its columns are {found.in_words}, but those of the training split are "
                    f"{columns.in_words}. Splits need the same columns and the same classes in the same order."
                )
            columns = found
            values = _labels(table.table.column(found.label), found.label, what)
            if values is None:
                if part == "train":
                    raise DataError(f"{what}: no image has a label (all are {_NO_LABEL}, which stands for none).")
                notes.append(
                    f"The split {name!r} is not used: none of its {number(len(table.table))} images has a label."
                )
                continue
            parts[part], labels[part] = replace(table, table=table.table.select([found.image, found.label])), values
        if columns is None:
            raise DataError(f"{source} has no images.")
        return cls(source, parts, columns, labels, tuple(notes))

    @property
    def holds_pictures(self) -> bool:
        """Whether its images are picture files, and not arrays."""
        return is_of_pictures(self._images("train").type)

    def size(self, chosen: tuple[int, int] | None) -> tuple[int, int] | None:
        """Height and width that its pictures get; None for arrays, which have a size."""
        if self.holds_pictures:
            return chosen or default_size(self._pictures("train"))
        return None

    def dataset_source(self, key: str, stamp: Stamp, size: tuple[int, int] | None, resizing: Resizing) -> DatasetSource:
        """What reads it.

        Args:
            key: of its folder in the cache.
            stamp: of what it is read from.
            size: as `size` gave it.
            resizing: how pictures become images of that size.
        """
        if size is None:
            return DatasetSource(key, stamp, lambda: self._of_arrays().checked())

        def read(draft: Path | None = None) -> Contents:
            return self._of_pictures(Decoding(resizing, *size, draft)).checked()

        return DatasetSource(key, stamp, read, read)

    def files(self) -> tuple[Path, ...]:
        """The files that cells name by their path and do not hold, of all parts."""
        if not self.holds_pictures:
            return ()
        paths = []
        for table in self.parts.values():
            for cell in table.table.column(self.columns.image).to_pylist() if self._has_paths() else ():
                if path := _path_only(cell):
                    paths.append(_file(path, table.folder))
        return tuple(path for path in paths if path.is_file())

    def _has_paths(self) -> bool:
        """Whether some cell of the training part has a path alone."""
        column = self._images("train")
        return any(_path_only(cell.as_py()) for cell in column.slice(0, 1))

    def _images(self, part: str) -> pa.ChunkedArray:
        return self.parts[part].table.column(self.columns.image)

    def _pictures(self, part: str) -> tuple[PictureFile, ...]:
        if part not in self.parts:
            return ()
        column, folder = self._images(part), self.parts[part].folder
        return tuple(
            PackedPicture(name := Path(f"image {row} of the {part} part"), partial(_opened, column, row, folder, name))
            for row in range(len(column))
        )

    def _of_pictures(self, decoding: Decoding) -> RawDataset:
        size = decoding.height, decoding.width
        train = (*self._pictures("train"), *self._pictures("validation"))
        test = self._pictures("test")
        hashed = b"".join(each_of("Reading pictures", _digest, (*train, *test)))
        digests = np.frombuffer(hashed, np.uint8).reshape(-1, DIGEST_BYTES)
        raw = self._raw(
            UndecodedPictures(train, size), UndecodedPictures(test, size), digests[: len(train)], digests[len(train) :]
        )
        return replace(raw, resize_rule=decoding.resizing.rule, decode=decoding.images)

    def _of_arrays(self) -> RawDataset:
        arrays = {
            part: _numbers(self._images(part), f"column {self.columns.image!r}, {part} part") for part in self.parts
        }
        images, notes = to_images(arrays)
        train = [images[part] for part in ("train", "validation") if part in images]
        raw = self._raw(np.concatenate(train), images.get("test", ()))
        return replace(raw, notes=(*self.notes, *notes))

    def _raw(self, train: Any, test: Any, digests: Digests | None = None, tested: Digests | None = None) -> RawDataset:
        labels = [self.labels[part] for part in ("train", "validation") if part in self.labels]
        return RawDataset(
            train=RawPart(train, np.concatenate(labels), digests),
            test=RawPart(test, self.labels["test"], tested) if "test" in self.labels else None,
            source=self.source,
            classes=self.columns.classes,
            notes=self.notes,
            given_validation=len(self.labels.get("validation", ())),
        )


def _parts(source: str, splits: Mapping[str, ImageTable]) -> tuple[dict[str, str], list[str]]:
    """The name of the split that is each part, and sentences about splits that are none."""
    found: dict[str, str] = {}
    for part, names in _PARTS.items():
        fitting = [name for name in splits if name.lower() in names]
        if len(fitting) > 1:
            raise DataError(
                f"{source} has the splits {word_list(map(repr, fitting))}, and either could be the {part} part. Leave "
                "one out."
            )
        if fitting:
            found[part] = fitting[0]
    if "train" not in found and len(splits) == 1:
        return {"train": next(iter(splits))}, []
    if "train" not in found:
        raise DataError(
            f"{source} has the splits {word_list(map(repr, splits))}; expected 'train', and perhaps 'validation' and "
            "'test'."
        )
    unused = [name for name in splits if name not in found.values()]
    notes = [f"Not used: the splits {word_list(map(repr, unused))}. Expected are train, validation and test."]
    return found, notes if unused else []


def _labels(column: pa.ChunkedArray, name: str, what: str) -> NDArray[Any] | None:
    """The labels of a split; None where no image of it has one."""
    import pyarrow as pa

    if column.null_count:
        raise DataError(
            f"{what}: {amount(column.null_count, 'row')} of the column {name!r} have no label. Leave them out."
        )
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    values: NDArray[Any] = column.to_numpy()
    if values.dtype == object:
        values = values.astype(np.str_)
    if values.dtype.kind == "b":
        values = values.astype(np.int64)
    unlabelled = int((values == _NO_LABEL).sum()) if values.dtype.kind in "if" else 0
    if unlabelled == len(values):
        return None
    if unlabelled:
        raise DataError(
            f"{what}: {amount(unlabelled, 'image')} of {number(len(values))} have the label {_NO_LABEL}, which stands "
            f"for none. Leave them out: dataset.filter(lambda row: row[{name!r}] >= 0)."
        )
    return values


def _opened(column: pa.ChunkedArray, row: int, folder: Path | None, name: Path) -> BinaryIO:
    """The bytes of the picture in a cell."""
    cell = column[row].as_py()
    content = cell.get("bytes") if isinstance(cell, Mapping) else cell
    if isinstance(content, bytes):
        return io.BytesIO(content)
    path = _path_only(cell)
    if path is None:
        raise DataError(f"{name} is missing: its cell is empty.")
    file = _file(path, folder)
    try:
        return open_file(file)
    except OSError as error:
        raise DataError(
            f"{name} is the file {path}, which cannot be read: {error.strerror or error}. Tables with paths need the "
            "files beside them, or hold the pictures themselves."
        ) from error


def _path_only(cell: Any) -> str | None:
    """The path in a cell that has no bytes."""
    if isinstance(cell, Mapping):
        path = None if cell.get("bytes") is not None else cell.get("path")
        return path if isinstance(path, str) and path else None
    return cell if isinstance(cell, str) and cell else None


def _file(path: str, folder: Path | None) -> Path:
    """The file that a path names.

    Raises:
        DataError: it leads out of the folder: a table from elsewhere must not name files of this machine.
    """
    if folder is None:
        return Path(path).expanduser()
    file = (folder / path).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise DataError(f"the path {path!r} leads out of {folder}. Paths in a table must stay in its own folder.")
    return file


def _digest(picture: PictureFile) -> bytes:
    assert isinstance(picture, PackedPicture)
    with picture.opened() as stream:
        return hashlib.blake2b(stream.read(), digest_size=DIGEST_BYTES).digest()


def _numbers(column: pa.ChunkedArray, what: str) -> NDArray[Any]:
    """Nested lists of equal lengths as an array, rows of pixels as square pictures."""
    import pyarrow as pa
    import pyarrow.compute as pc

    array = pa.concat_arrays([getattr(chunk, "storage", chunk) for chunk in column.chunks])
    shape = [len(array)]
    while _is_list(array.type):
        lengths = pc.list_value_length(array)
        least, most = pc.min(lengths).as_py(), pc.max(lengths).as_py()
        if array.null_count or least != most:
            raise DataError(
                f"{what}: the arrays differ in shape (from {least} to {most} values along one axis), or are missing. "
                "Give arrays of one shape, or picture files, which are resized."
            )
        shape.append(most)
        array = array.flatten()
    if array.null_count:
        raise DataError(f"{what}: {amount(array.null_count, 'value')} are missing (null).")
    values: NDArray[Any] = array.to_numpy(zero_copy_only=False).reshape(shape)
    square = PixelTable.picture_shape(values.shape[1]) if values.ndim == 2 else None
    if square is not None:
        return values.reshape(-1, *square)
    if values.ndim == 4 and values.shape[1] in {1, 3} and values.shape[3] not in {1, 3}:
        return np.ascontiguousarray(np.moveaxis(values, 1, 3))  # as PyTorch has them
    return values


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))
