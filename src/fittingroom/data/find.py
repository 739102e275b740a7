"""Which form of dataset is at a path, so that a bare path is enough, and what to type where another form was named."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

from fittingroom.atomic import expanded
from fittingroom.data.catalogue import CATALOGUE, FOUR_FILES
from fittingroom.data.npz import NpzFile
from fittingroom.data.pictures import SUFFIXES
from fittingroom.data.sniff import FileKind
from fittingroom.errors import DataError, DatasetNotFoundError, FittingRoomError

_TABLES = {".csv", ".tsv"}
_DOCUMENTS = (".xlsx", ".ods", ".docx", ".odt", ".pptx", ".odp")
"""Endings of documents that are ZIP archives inside."""

_EXPECTED = {
    "folder": "a folder with a sub-folder for each class",
    "idx": f"a folder with the four files {', '.join(FOUR_FILES)}",
    "npz": "an NPZ file with x_train and y_train",
    "csv": "a CSV file with a row for each picture: its label and its pixels",
    "parquet": "a parquet file with a column of pictures and one of labels, or a folder of them",
}
_PARQUET = b"PAR1"
_SPLITS = frozenset({"data", "default", "train", "validation", "valid", "val", "dev", "test"})
"""Folders that may hold parquet files in the layouts of Hugging Face's hub."""


def form_of(path: Path, named: str | None = None) -> str:
    """`idx`, `npz`, `csv`, `parquet` or `folder`: what reads the dataset at this path.

    Args:
        path: of the dataset.
        named: the form that the user named, if any; it is returned if it reads what is there.

    Raises:
        DatasetNotFoundError: nothing is there.
        DataError: what is there is not a dataset, or not one of the named form; the message says what it is and what to
            type.
    """
    if named is not None:
        _check_form(named, path)
        return named
    if path.is_dir():
        _check_above_idx(path)
        return "idx" if _has_idx(path) else "parquet" if _has_parquet(path) else "folder"
    if not path.exists():
        raise DatasetNotFoundError(f"there is no file or folder {path}.{_beside(path)}")
    try:
        kind = FileKind.of_file(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}.") from error
    if kind.is_zip:
        return _form_of_archive(path)
    if path.suffix.lower() in _TABLES:
        return "csv"
    if kind.start.startswith(_PARQUET):
        return "parquet"
    raise _no_dataset(path, kind)


def is_resized(name: Any) -> bool:
    """Whether `load` reads a name, or a dataset of Hugging Face's, as pictures that get a size.

    False too where it finds nothing of that name.
    """
    if not isinstance(name, str):
        from fittingroom.data.hugging_face import holds_pictures

        return holds_pictures(name)
    form, colon, place = name.partition(":")
    if name in CATALOGUE:
        return False
    try:
        if not (colon and form in _EXPECTED):
            place, form = name, form_of(expanded(name))
        if form == "parquet":
            from fittingroom.data.hugging_face import holds_pictures

            return holds_pictures(expanded(place))
        return form == "folder"
    except (FittingRoomError, OSError, ValueError):  # pyarrow raises ValueError where a file is damaged
        return False


def _has_parquet(folder: Path) -> bool:
    """Whether there are parquet files in a folder, or in a folder in it, and no pictures beside them."""
    inside = _inside(folder)
    below = [path for each in inside if each.name.lower() in _SPLITS and each.is_dir() for path in _inside(each)]
    names = [path.name.lower() for path in (*inside, *below)]
    return any(name.endswith(".parquet") for name in names) and not any(
        name.endswith(tuple(SUFFIXES)) for name in names
    )


def _check_form(form: str, path: Path) -> None:
    """Makes sure that a form reads what is at this path, as `form_of` says.

    Raises:
        DatasetNotFoundError: nothing is there.
        DataError: something else is there; the message says what, and what to type.
    """
    if not path.exists():
        kind = "folder" if form in {"folder", "idx"} else "file"
        raise DatasetNotFoundError(f"there is no {kind} {path}; expected {_EXPECTED[form]}.{_beside(path)}")
    if form in {"npz", "csv", "parquet"} and path.is_file():
        return  # what is wrong in it is said by its reader
    if path.is_dir():
        _check_above_idx(path)
    if form == "folder" and path.is_dir() and not _has_idx(path):
        return
    if form == "idx" and path.is_dir() and (_has_idx(path) or not _has_folders(path)):
        return
    actual = form_of(path)
    if actual != form:
        what = "a folder" if path.is_dir() else "a file"
        raise DataError(f"{path} is {what}, but {form}: expects {_EXPECTED[form]}. Did you mean {actual}:{path}?")


def _has_idx(folder: Path) -> bool:
    return any("idx3-ubyte" in path.name and path.is_file() for path in _inside(folder))


def _check_above_idx(folder: Path) -> None:
    """Refuses a folder whose only folder has the IDX files, as torchvision lays them out (`MNIST/raw`)."""
    folders = [path for path in _inside(folder) if path.is_dir()]
    if len(folders) == 1 and not _has_idx(folder) and _has_idx(folders[0]):
        raise DataError(f"{folder} has no IDX files, but its folder {folders[0].name} does. Load idx:{folders[0]}.")


def _has_folders(folder: Path) -> bool:
    return any(path.is_dir() for path in _inside(folder))


def _inside(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise DataError(f"cannot read the folder {folder}: {error.strerror or error}.") from error


def _form_of_archive(path: Path) -> str:
    """`npz` for a ZIP archive of arrays.

    Raises:
        DataError: it holds other files.
    """
    try:
        names = [name for name in NpzFile(path).members() if not name.endswith("/")]
    except DataError:
        if path.suffix.lower() == ".npz":
            return "npz"  # its reader says what is wrong
        names = []
    if any(name.endswith(".npy") for name in names) or path.suffix.lower() == ".npz":
        return "npz"
    if path.suffix.lower() in _DOCUMENTS:
        raise DataError(f"{path} is an office document. Save its table as CSV, or its pictures as files.")
    endings = Counter(PurePosixPath(name).suffix.lower() or "other" for name in names)
    pictures = sum(count for ending, count in endings.items() if ending in SUFFIXES)
    listed = ", ".join(f"{count:,} {ending} files" for ending, count in endings.most_common(4)) or "files"
    form = "folder:" if pictures else ""
    place = path.with_suffix("")
    raise DataError(
        f"{path} is a ZIP archive with {listed}, and archives are not read. Unpack it, for example with "
        f"`python -m zipfile -e {path.name} {place.name}`, and load {form}{place}."
    )


def _no_dataset(path: Path, kind: FileKind) -> DataError:
    if path.suffix.lower() in SUFFIXES:
        above = path.parent.parent
        way = f" One picture is not a dataset; load the folder that has the class folders, such as folder:{above}."
    elif any(name in path.name for name in FOUR_FILES):
        way = f" Load its folder: idx:{path.parent}."
    elif path.suffix.lower() in {"", ".txt", ".data", ".dat"} and "," in kind.start.decode("latin-1").split("\n")[0]:
        way = f" If it is a CSV file, load csv:{path}."
    else:
        way = kind.advice
    return DataError(
        f"{path} {kind}; expected a folder of pictures, an NPZ, CSV or parquet file, or a folder of IDX files.{way}"
    )


def _beside(path: Path) -> str:
    """A hint where a folder or file of nearly this name is there."""
    import difflib

    try:
        names = [other.name for other in path.parent.iterdir() if not other.name.startswith(".")]
    except OSError:
        missing = next((parent for parent in path.parents if parent.is_dir()), path.anchor)
        return f" Of this path, only {missing} exists."
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.7)
    return f" Did you mean {path.with_name(near[0])}?" if near else ""
