"""The contents of a dataset by its name: found, read, checked, and kept for a quick start next time.

Reads the 8x8 digits that come with scikit-learn, so that there is always a dataset.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.cache import cache_dir, kept, read, stamp_files, unchanged_or_gone
from fittingroom.data.catalogue import DIGITS, FOUR_FILES, CatalogueEntry
from fittingroom.data.contents import Contents, Found, Pairs, check
from fittingroom.data.csvfile import read_columns, read_table, square, test_file
from fittingroom.data.decode import decode_folder
from fittingroom.data.folder import scan_folder
from fittingroom.data.headers import SMALL, default_size
from fittingroom.data.idx import read_idx_images, read_idx_labels
from fittingroom.data.labels import class_names
from fittingroom.data.locate import (
    FourFiles,
    by_download,
    check_checksums,
    check_contents,
    in_data_folder,
    in_folder,
    in_system,
    known_as,
)
from fittingroom.data.npz import EXPECTED, Roles, array_names, listed, member_names, read_array, roles
from fittingroom.data.recognise import idx_names
from fittingroom.data.values import to_images
from fittingroom.errors import DataError, DatasetNotFoundError


def catalogued(entry: CatalogueEntry, data_dir: Path | None) -> Contents:
    """The contents of a dataset of the MNIST form, from the first place that has it.

    The places are: `data_dir`, the folder that `FITTINGROOM_DATA_DIR` names, our cache, the system's package, a
    download. A `data_dir` that lacks the files is an error; a `FITTINGROOM_DATA_DIR` that lacks them gets a note.

    Raises:
        DatasetNotFoundError: no place has it; the message names every way to get it.
        DataError: what was found is damaged, or is another dataset.
    """
    named = os.environ.get("FITTINGROOM_DATA_DIR")
    chosen = data_dir or (Path(named).expanduser().absolute() if named else None)
    if chosen is not None:
        files = in_data_folder(entry, chosen)
        if files is not None:
            return _kept_four_files(_cache_folder(entry.name, str(chosen)), files, entry)
        if data_dir is not None:
            raise DatasetNotFoundError(
                f"{chosen} has no {entry.info.title}; expected {', '.join(FOUR_FILES)}, with or without .gz, in it or "
                f"in its sub-folder {entry.name}."
            )
    contents = _from_usual_places(entry)
    if chosen is None:
        return contents
    note = f"FITTINGROOM_DATA_DIR is {chosen}, which has no {entry.info.title}: it comes from elsewhere."
    return replace(contents, notes=(*contents.notes, note))


def _from_usual_places(entry: CatalogueEntry) -> Contents:
    folder = cache_dir() / "datasets" / entry.name
    contents = read(folder, unchanged_or_gone)
    if contents is not None:
        return contents
    files = in_system(entry)
    if files is not None:
        return _kept_four_files(folder, files, entry)
    with by_download(entry) as files:
        return _kept_four_files(folder, files, entry)


def _kept_four_files(folder: Path, files: FourFiles, entry: CatalogueEntry | None) -> Contents:
    """The contents of four files; with an `entry`, only if they are that dataset."""

    def make() -> Contents:
        verified = entry is not None and check_checksums(entry, files.paths)
        contents = check(_read_four_files(files, entry))
        if entry is None:
            return replace(contents, notes=(*contents.notes, *_say_known(contents, files)))
        return replace(contents, notes=(*contents.notes, *check_contents(entry, contents, verified=verified)))

    return kept(folder, stamp_files(tuple(files.paths.values())), make)


def _read_four_files(files: FourFiles, entry: CatalogueEntry | None) -> Found:
    train, train_labels, test, test_labels = (files.paths[name] for name in FOUR_FILES)
    images, notes = to_images({str(path): read_idx_images(path) for path in (train, test)})
    return Found(
        train=Pairs(images[str(train)], read_idx_labels(train_labels)),
        test=Pairs(images[str(test)], read_idx_labels(test_labels)),
        source=files.source,
        classes=entry.classes if entry else None,
        notes=notes,
    )


def _say_known(contents: Contents, files: FourFiles) -> list[str]:
    known = known_as(contents)
    if known is None:
        return []
    folder = files.paths[FOUR_FILES[0]].parent
    return [
        f"These are the files of {known.info.title}: `{known.name}` with --data-dir {folder} names its classes too."
    ]


def digits() -> Contents:
    """The contents of scikit-learn's digits, with our fixed test part; the source says that it is ours."""
    import importlib.metadata  # slow to import, and needed here only

    stamp = ((f"digits of scikit-learn {importlib.metadata.version('scikit-learn')}", 0, 0),)
    return kept(cache_dir() / "datasets" / "digits", stamp, lambda: replace(check(read_digits()), notes=()))


def idx_folder(folder: Path) -> Contents:
    """The contents of a user's folder with four IDX files, under the names that MNIST's have.

    Raises:
        DatasetNotFoundError: the folder lacks some of the files.
        DataError: a file is damaged, or the files do not make a dataset.
    """
    files = in_folder(folder)
    if files is None:
        there = idx_names(folder)
        raise DatasetNotFoundError(
            f"{folder} has {f'the IDX files {listed(there)}' if there else 'no IDX files'}; expected "
            f"{', '.join(FOUR_FILES)}, with or without .gz.{' Rename them.' if there else ''}"
        )
    return _kept_four_files(_cache_folder("idx", str(folder)), files, None)


def npz_file(path: Path) -> Contents:
    """The contents of a user's NPZ file, under Keras's names (`x_train`, `y_train`) or MedMNIST's (`train_images`).

    Raises:
        DataError: the file is damaged, lacks arrays, or its arrays do not make a dataset.
    """
    return kept(_cache_folder("npz", str(path)), stamp_files((path,)), lambda: check(_read_npz(path)))


def _read_npz(path: Path) -> Found:
    names = array_names(path)
    found = roles(path, names, listed(names))
    arrays = {_called(part, found, path): read_array(path, found.images[part]) for part in found.images}
    arrays, flat = _unflattened(arrays)
    images, notes = to_images(arrays)
    notes = (*flat, *notes)
    pairs = {
        part: Pairs(images[_called(part, found, path)], read_array(path, found.labels[part], text=True))
        for part in found.images
    }
    train, validation = pairs["train"], pairs.get("validation")
    if validation is not None:
        train = Pairs(*(np.concatenate(both) for both in zip(_arrays(train), _arrays(validation), strict=True)))
    unused = (*found.unused, *(name for name in member_names(path) if not name.endswith(".npy")))
    if unused:
        notes = (*notes, f"Not used of {path.name}: {listed(unused)}. Used are {EXPECTED}.")
    return Found(
        train=train,
        test=pairs.get("test"),
        source=f"file {path}",
        classes=None if found.classes is None else _class_names(path, found.classes),
        notes=notes,
        given_validation=0 if validation is None else len(validation.labels),
    )


def _unflattened(arrays: dict[str, NDArray[Any]]) -> tuple[dict[str, NDArray[Any]], tuple[str, ...]]:
    """Rows of pixels as square pictures, and a sentence about them.

    Raises:
        DataError: there is one column more than a square picture has pixels.
    """
    shaped, notes = {}, []
    for name, array in arrays.items():
        shape = square(array.shape[1]) if array.ndim == 2 else None
        shaped[name] = array if shape is None else array.reshape(-1, *shape)
        if shape is not None:
            size = f"{shape[0]}x{shape[1]}{' in colour' if len(shape) == 3 else ''}"
            notes.append(f"{name}: each row of {array.shape[1]:,} values is taken as a picture of {size}.")
        elif array.ndim == 2 and square(array.shape[1] - 1) is not None:
            raise DataError(
                f"{name} has the shape {array.shape}: one column more than a square picture has pixels. Is the label "
                "still in it?"
            )
    return shaped, tuple(notes)


def _called(part: str, found: Roles, path: Path) -> str:
    return f"{found.images[part]} of {path}"


def _arrays(pairs: Pairs) -> tuple[NDArray[Any], NDArray[Any]]:
    """Images and labels, these without the axis of a column."""
    labels = pairs.labels
    return pairs.images, labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def _class_names(path: Path, name: str) -> tuple[str, ...]:
    """The names of the classes that an NPZ file brings along."""
    array = read_array(path, name, text=True)
    if array.ndim != 1 or len(array) == 0:
        raise DataError(f"{name} of {path} has the shape {array.shape}; expected one name for each class, (classes,).")
    names = tuple(str(one) for one in (np.char.decode(array, "utf-8", "replace") if array.dtype.kind == "S" else array))
    class_names(names, "class")
    if len(set(names)) < len(names):
        raise DataError(
            f"{name} of {path} has a name twice: {', '.join(names[:10])}. Each class has a name of its own."
        )
    return names


def csv_file(path: Path) -> Contents:
    """The contents of a user's CSV file of labels and pixels, with the test part of a file `...test.csv` beside it.

    Raises:
        DataError: the file cannot be read, or its rows do not make a dataset.
    """
    other, note = _beside(path)
    files = (path,) if other is None else (path, other)
    return kept(_cache_folder("csv", str(path)), stamp_files(files), lambda: check(_read_csv(path, other, note)))


def _read_csv(path: Path, other: Path | None, note: tuple[str, ...]) -> Found:
    tables = {str(file): read_table(file) for file in (path, other) if file is not None}
    train = tables[str(path)]
    if train.labels is None:
        height, width = train.images.shape[1:3]
        raise DataError(
            f"{path} has as many columns as a picture of {height}x{width} pixels, so none is left for the label. Add a "
            f"column label, or use the rows to predict: fittingroom predict RUN {path}."
        )
    images, notes = to_images({name: table.images for name, table in tables.items()})
    test = None
    if other is not None and (labels := tables[str(other)].labels) is not None:
        test = Pairs(images[str(other)], labels)
    return Found(
        train=Pairs(images[str(path)], train.labels),
        test=test,
        source=f"file {path}",
        notes=(*(note for table in tables.values() for note in table.notes), *note, *notes),
    )


def _beside(path: Path) -> tuple[Path | None, tuple[str, ...]]:
    """The file with the test part that belongs to a file of the training part by its name, and a sentence about it."""
    other = test_file(path)
    if other is None or not other.is_file():
        return None, ()
    if read_columns(other).label is None:
        return None, (f"{other.name}, which lies beside it, has no labels, so it is not the test part.",)
    return other, (f"The test part is {other.name}, which lies beside it.",)


def picture_folder(root: Path, size: tuple[int, int] | None, *, first_rules: bool = False) -> Contents:
    """The contents of a user's folder of pictures, resized to `size`, (height, width).

    Args:
        root: the folder.
        size: None for one that suits the pictures, see `headers.default_size`.
        first_rules: reads it as the first versions did; see `folder.scan_folder`.

    Raises:
        DataError: a picture cannot be used, or the pictures do not make a dataset.
    """
    folder = scan_folder(root, first_rules=first_rules)
    height, width = size or (SMALL if first_rules else default_size(folder.paths()))
    place = _cache_folder("folder", f"{height}x{width} {root}{' first rules' if first_rules else ''}")
    return kept(place, stamp_files(folder.paths()), lambda: check(decode_folder(folder, height, width)))


def _cache_folder(kind: str, what: str) -> Path:
    """Where the contents of something that the user chose are kept."""
    return cache_dir() / "datasets" / f"{kind}-{hashlib.sha256(what.encode(errors='surrogateescape')).hexdigest()[:16]}"


_TEST_IMAGES = 360


def read_digits() -> Found:
    """All 1,797 digits, values 0 to 16; 360 of them are to become the test part."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = data.images.astype(np.uint8)
    return Found(
        train=Pairs(images, data.target),
        test=None,
        source="scikit-learn's own copy, with a train/test split of ours",
        classes=DIGITS.classes,
        scale=DIGITS.scale,
        test_fraction=_TEST_IMAGES / len(images),
    )
