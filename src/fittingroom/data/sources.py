"""The contents of a dataset by its name: found, read, checked, and kept for a quick start next time."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from fittingroom.data.array_cache import kept, read, stamp_files, unchanged_or_gone
from fittingroom.data.cache import cache_dir
from fittingroom.data.catalogue import FOUR_FILES, CatalogueEntry
from fittingroom.data.contents import Contents, Found, Pairs, check
from fittingroom.data.decode import decode_folder
from fittingroom.data.digits import read_digits
from fittingroom.data.folder import scan_folder
from fittingroom.data.identity import check_checksums, check_contents, known_as
from fittingroom.data.idx import read_idx_images, read_idx_labels
from fittingroom.data.locate import FourFiles, by_download, in_data_folder, in_folder, in_system
from fittingroom.data.npz import array_names, listed, read_array
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
        raise DatasetNotFoundError(f"{folder} has no IDX files; expected {', '.join(FOUR_FILES)}, with or without .gz.")
    return _kept_four_files(_cache_folder("idx", str(folder)), files, None)


def npz_file(path: Path) -> Contents:
    """The contents of a user's NPZ file with `x_train`, `y_train` and perhaps `x_test`, `y_test`, as Keras names them.

    Raises:
        DataError: the file is damaged, lacks arrays, or its arrays do not make a dataset.
    """
    if not path.is_file():
        raise DatasetNotFoundError(f"there is no file {path}; expected an NPZ file with x_train and y_train.")
    return kept(_cache_folder("npz", str(path)), stamp_files((path,)), lambda: check(_read_npz(path)))


def _read_npz(path: Path) -> Found:
    names = array_names(path)
    parts = [part for part in ("train", "test") if {f"x_{part}", f"y_{part}"} & set(names)]
    missing = [name for part in {"train", *parts} for name in (f"x_{part}", f"y_{part}") if name not in names]
    if missing:
        raise DataError(
            f"{path} has the arrays {listed(names)}; missing: {', '.join(sorted(missing))}. Expected "
            "x_train and y_train, and perhaps x_test and y_test."
        )
    images, notes = to_images({f"x_{part} of {path}": read_array(path, f"x_{part}") for part in parts})
    pairs = {part: Pairs(images[f"x_{part} of {path}"], read_array(path, f"y_{part}")) for part in parts}
    return Found(train=pairs["train"], test=pairs.get("test"), source=f"file {path}", notes=notes)


def picture_folder(root: Path, size: tuple[int, int]) -> Contents:
    """The contents of a user's folder of pictures, brought to `size`, (height, width).

    Raises:
        DatasetNotFoundError: there is no such folder.
        DataError: a picture cannot be used, or the pictures do not make a dataset.
    """
    if not root.is_dir():
        raise DatasetNotFoundError(f"there is no folder {root}; expected one with a sub-folder for each class.")
    height, width = size
    folder = scan_folder(root)
    stamp = stamp_files(tuple(path for part in folder.files.values() for path, _ in part))
    place = _cache_folder("folder", f"{height}x{width} {root}")
    return kept(place, stamp, lambda: check(decode_folder(folder, height, width)))


def _cache_folder(kind: str, what: str) -> Path:
    """Where the contents of something that the user chose are kept."""
    return cache_dir() / "datasets" / f"{kind}-{hashlib.sha256(what.encode(errors='surrogateescape')).hexdigest()[:16]}"
