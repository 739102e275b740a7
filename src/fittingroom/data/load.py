"""Loads a dataset by its name: the one way in."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fittingroom.atomic import absolute, expanded
from fittingroom.data import recognise as arguments
from fittingroom.data import sources
from fittingroom.data.catalogue import CATALOGUE, DIGITS, FORMS, DatasetInfo, entry
from fittingroom.data.contents import Contents
from fittingroom.data.dataset import Dataset, Part, SealedTestSet
from fittingroom.data.recognise import check_form, form_of, looks_like_a_path
from fittingroom.data.split import cut_validation
from fittingroom.errors import DataError, UnknownNameError


def load(
    name: str | os.PathLike[str] = "fashion-mnist",
    *,
    validation: int | float | None = None,
    split_seed: int = 0,
    data_dir: Path | str | None = None,
    image_size: int | tuple[int, int] | None = None,
    first_rules: bool = False,
) -> Dataset:
    """A dataset with its test part sealed, as `fittingroom.load` describes it, but for the ledger.

    What opens its test set is kept in `data.test.openings` alone. Training needs no more. With `first_rules` a folder
    is read as the first versions did, for the runs that they left behind.

    Raises:
        UnknownNameError: no dataset has this name.
        DatasetNotFoundError: the data are nowhere to be found; the message says how to get them.
        DataError: the data are damaged or are not what they should be, or an argument makes no sense.
    """
    name, image_size = arguments.dataset_name(name), arguments.image_size(image_size)
    validation, split_seed = arguments.validation(validation), arguments.whole("split_seed", split_seed)
    data_dir = None if data_dir is None else absolute(data_dir)
    name, contents, info = _contents(name, data_dir, image_size, first_rules=first_rules)
    train, held_out = _split(contents, validation, split_seed)
    digests = contents.test_digests if len(contents.test_digests) else None
    sealed = Part(
        contents.test_images, contents.test_labels, contents.classes, contents.scale, files=contents.test_files
    )
    size = contents.images.shape[1:3] if name.startswith("folder:") else None
    return Dataset(
        name=name,
        train=train,
        validation=held_out,
        test=SealedTestSet(sealed, contents.test_fingerprint, digests=digests),
        classes=contents.classes,
        image_shape=contents.images.shape[1:],
        source=contents.source,
        fingerprint=contents.fingerprint,
        split_seed=split_seed,
        notes=contents.notes,
        scale=contents.scale,
        info=replace(info, resize_rule=contents.resize_rule),
        arguments={
            "name": name,
            "validation": validation,
            "split_seed": split_seed,
            "data_dir": None if data_dir is None else str(data_dir),
            "image_size": None if size is None else list(size),
        },
    )


def _contents(
    name: str, data_dir: Path | None, image_size: tuple[int, int] | None, *, first_rules: bool
) -> tuple[str, Contents, DatasetInfo]:
    """The full name of a dataset, its contents, and what is known about it."""
    form, colon, place = name.partition(":")
    if form.lower() in {"http", "https", "ftp", "file"} and place.startswith("//"):
        raise DataError(
            f"{name} is an address, and nothing is fetched from there. Give the path of the file or folder."
        )
    # One letter is a drive of Windows.
    bare = name not in CATALOGUE and (not colon or len(form) == 1 or "/" in form or "\\" in form) and _is_path(name)
    if image_size is not None and form != "folder" and not bare:
        raise DataError(
            f"an image size was given for {name!r}, whose images have a size; it is for folder:FOLDER only."
        )
    if not colon and not bare:
        row = entry(name)
        contents = sources.digits() if row is DIGITS else sources.catalogued(row, data_dir)
        return name, contents, row.info
    if bare:
        path = _resolved(name)
        form = form_of(path)
        if image_size is not None and form != "folder":
            raise DataError(f"an image size was given for {name!r}, whose images have a size; it is for folders only.")
    elif form not in {"idx", "npz", "csv", "folder"}:
        raise UnknownNameError("form of dataset", f"{form}:", FORMS)
    elif not place:
        kind = "file" if form in {"npz", "csv"} else "folder"
        raise DataError(f"{name!r} names no {kind}; write it after the colon.")
    else:
        path = _resolved(place)
        check_form(form, path)
    if form == "idx":
        contents = sources.idx_folder(path)
    elif form == "npz":
        contents = sources.npz_file(path)
    elif form == "csv":
        contents = sources.csv_file(path)
    else:
        contents = sources.picture_folder(path, image_size, first_rules=first_rules)
    return f"{form}:{path}", contents, DatasetInfo(title=path.name)


def _is_path(name: str) -> bool:
    """Whether a name without a form is a path: it is written as one, or there is something of that name."""
    return looks_like_a_path(name) or _resolved(name).exists()


def _resolved(place: str) -> Path:
    path = expanded(place)
    try:
        path = path.resolve()
        path.exists()  # a name may be too long to ask for
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{place[:100]!r} cannot be a path: {reason}.") from error
    return path


def _split(contents: Contents, validation: int | float | None, seed: int) -> tuple[Part, Part | None]:
    """The training part and what is held out of it; without a copy where nothing is cut."""

    def part(chosen: slice | NDArray[np.bool_]) -> Part:
        files = contents.files[chosen] if isinstance(chosen, slice) else tuple(compress(contents.files, chosen))
        return Part(contents.images[chosen], contents.labels[chosen], contents.classes, contents.scale, files=files)

    given = contents.given_validation
    if validation is None and given:
        return part(slice(-given)), part(slice(-given, None))
    held_out = cut_validation(contents.labels, len(contents.classes), validation, seed)
    if not held_out.any():
        return part(slice(None)), None
    return part(~held_out), part(held_out)
