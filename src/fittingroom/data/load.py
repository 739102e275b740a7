"""Loads a dataset by its name or path: the one way in."""

from __future__ import annotations

import numbers
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.atomic import absolute, expanded
from fittingroom.data.cache import DatasetSource
from fittingroom.data.catalogue import CATALOGUE, DIGITS, FORMS, CatalogueEntry, DatasetInfo
from fittingroom.data.contents import Contents
from fittingroom.data.dataset import Dataset, Part, SealedTestSet
from fittingroom.data.split import checked_seed, cut_training, cut_validation, held_out_size
from fittingroom.data.values import Images
from fittingroom.errors import DataError, DatasetNotFoundError, UnknownNameError

if TYPE_CHECKING:
    from fittingroom.data.listed_changes import GivenList, ListedChanges
    from fittingroom.data.resizing import Resizing

_LARGEST_SIDE = 1024  # pixels
_MOST_IN_MEMORY = 128 * 2**20  # bytes of images of a folder, which stay in their file where there are more
# So that a file that is missing is not taken for an unknown name.
_SUFFIXES = {".csv", ".tsv", ".npz", ".zip", ".parquet"}
_ONLY_FOLDERS = "{} cannot be given for {!r}, whose images have a size already; it is for folders of pictures."
_PICTURES = frozenset({"folder", "parquet"})
"""Forms whose pictures get a size."""

_ONLY_TABLES = "{} cannot be given for {!r}; it is for Hugging Face datasets and parquet files."
_HUGGING_FACE = frozenset({"Dataset", "DatasetDict", "IterableDataset", "IterableDatasetDict"})


def load(  # noqa: PLR0913 - the public ones, and how old runs read folders
    name: Any = "fashion-mnist",
    *,
    validation: int | float | None = None,
    train: int | None = None,
    split_seed: int = 0,
    data_dir: Path | str | None = None,
    image_size: int | tuple[int, int] | None = None,
    aspect: str | None = None,
    color_mode: str | None = None,
    exclude: GivenList | None = None,
    relabel: GivenList | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    first_rules: bool = False,
) -> Dataset:
    """A dataset with its test part sealed, whose openings are recorded in `data.test.openings` but in no ledger.

    `fittingroom.load`, which describes the arguments, adds the ledger. `exclude` and `relabel` may also be what a run
    recorded of a list. With `first_rules` a folder is read as the first versions did, for the runs that they left
    behind.

    Raises:
        UnknownNameError: no dataset has this name.
        DatasetNotFoundError: the data are nowhere to be found; the message says how to get them.
        DataError: the data are damaged or are not what they should be, or an argument makes no sense.
    """
    given = name if is_hugging_face(name) else None
    name = _dataset_name(name) if given is None else "hf:"
    columns = {"image_column": image_column, "label_column": label_column}
    pictures = _PictureArguments(_image_size(image_size), aspect, color_mode, first_rules, columns, given)
    validation, split_seed = held_out_size(validation), checked_seed(split_seed)
    data_dir = None if data_dir is None else absolute(data_dir)
    name, contents, info = _find(name, data_dir, pictures)
    changes = None
    if exclude is not None or relabel is not None:
        from fittingroom.data.listed_changes import ListedChanges  # few need it

        root = Path(name.partition(":")[2]) if name.startswith("folder:") else None
        changes = ListedChanges.of(exclude, relabel, contents, root)
    learned, held_out, of_lists, notes = _split(contents, validation, train, split_seed, changes)
    digests = contents.test_digests if len(contents.test_digests) else None
    test_images = _rows(contents.test_images, slice(None), contents)
    sealed = Part(test_images, contents.test_labels, contents.classes, contents.scale, files=contents.test_files)
    of_folder = {}
    size = None
    if contents.resize_rule is not None:
        size, of_folder = contents.images.shape[1:3], pictures.resizing.arguments
    return Dataset(
        name=name,
        train=learned,
        validation=held_out,
        test=SealedTestSet(sealed, contents.test_fingerprint, digests=digests),
        classes=contents.classes,
        image_shape=contents.images.shape[1:],
        source=contents.source,
        fingerprint=contents.fingerprint if changes is None else changes.fingerprint(contents.fingerprint),
        split_seed=split_seed,
        notes=(*contents.notes, *notes),
        scale=contents.scale,
        info=replace(info, resize_rule=contents.resize_rule),
        arguments={
            "name": name,
            "validation": validation,
            "split_seed": split_seed,
            "data_dir": None if data_dir is None else str(data_dir),
            "image_size": None if size is None else list(size),
            **of_folder,
            **{key: value for key, value in {"train": train, **columns}.items() if value is not None},
            **of_lists,
        },
    )


@dataclass(frozen=True)
class _PictureArguments:
    """The arguments of `load` that say how the pictures of a folder become images."""

    image_size: tuple[int, int] | None
    aspect: str | None
    color_mode: str | None
    first_rules: bool
    columns: Mapping[str, str | None]
    given: Any = None
    """A dataset of Hugging Face's, where the user gave one."""

    def refuse_sizes(self, name: str) -> None:
        """Raises DataError if a size or what belongs to it was given."""
        for key in ("image_size", "aspect", "color_mode"):
            if getattr(self, key) is not None:
                raise DataError(_ONLY_FOLDERS.format(key, name))

    def check(self, form: str, name: str) -> None:
        """Raises DataError if one of them was given that a form of dataset does not know."""
        if form not in _PICTURES:
            self.refuse_sizes(name)
        if form != "parquet" and any(self.columns.values()):
            raise DataError(_ONLY_TABLES.format(next(key for key, value in self.columns.items() if value), name))

    @property
    def resizing(self) -> Resizing:
        """How pictures become images; raises DataError where there is no such way."""
        from fittingroom.data.resizing import Resizing

        return Resizing(self.aspect or "pad", self.color_mode or "auto")


def is_hugging_face(value: Any) -> bool:
    """Whether a value is a dataset of Hugging Face's `datasets`, streamed or not; the package is not imported."""
    return any(
        kind.__name__ in _HUGGING_FACE and kind.__module__.startswith("datasets.") for kind in type(value).__mro__
    )


def _find(name: str, data_dir: Path | None, pictures: _PictureArguments) -> tuple[str, Contents, DatasetInfo]:
    """The full name of a dataset, its contents, and what is known about it."""
    form, colon, place = name.partition(":")
    if form == "hf" and colon:
        return _of_hugging_face(name, pictures)
    if form.lower() in {"http", "https", "ftp", "file"} and place.startswith("//"):
        raise DataError(f"{name} is an address, and only local files can be loaded. Download it and give its path.")
    # A name of the catalogue comes before a path (decision 28). Before a colon, one letter is a drive of Windows.
    bare = name not in CATALOGUE and (not colon or len(form) == 1 or "/" in form or "\\" in form) and _is_path(name)
    if not bare:
        pictures.check(form, name)
    if not colon and not bare:
        if name not in CATALOGUE:
            raise UnknownNameError("dataset", name, [*CATALOGUE, *FORMS])
        return name, _catalogued(CATALOGUE[name], data_dir), CATALOGUE[name].info
    from fittingroom.data.find import form_of

    if bare:
        path = _resolved(name)
        form = form_of(path)
        pictures.check(form, name)
    elif form not in {"idx", "npz", "csv", *_PICTURES}:
        raise UnknownNameError("form of dataset", f"{form}:", FORMS)
    elif not place:
        kind = "file" if form in {"npz", "csv", "parquet"} else "folder"
        raise DataError(f"{name!r} needs the path of a {kind} after the colon.")
    else:
        path = _resolved(place)
        form_of(path, form)
    contents = _source(form, path, pictures).contents()
    return f"{form}:{path}", contents, DatasetInfo(title=path.name)


def _of_hugging_face(name: str, pictures: _PictureArguments) -> tuple[str, Contents, DatasetInfo]:
    from fittingroom.data.hugging_face import from_cache, of_object

    if pictures.given is None:
        contents = from_cache(name, pictures.image_size, pictures.resizing)
        return name, contents, DatasetInfo(title=name.partition(":")[2])
    tables = of_object(pictures.given, pictures.image_size, pictures.resizing, *pictures.columns.values())
    if tables.size is None:
        pictures.refuse_sizes(tables.name)
    contents, info = tables.source.contents(), tables.info
    return tables.name, contents, info


def _catalogued(entry: CatalogueEntry, data_dir: Path | None) -> Contents:
    """The contents of a dataset of the catalogue, from the first place that has it.

    The places are: `data_dir`, the folder that `FITTINGROOM_DATA_DIR` names, the cache, the system's package, a
    download. A `data_dir` that lacks the files is an error; a `FITTINGROOM_DATA_DIR` that lacks them gets a note.

    Raises:
        DatasetNotFoundError: no place has it; the message names every way to get it.
        DataError: what was found is damaged, or is another dataset.
    """
    named = os.environ.get("FITTINGROOM_DATA_DIR")
    chosen = data_dir or (Path(named).expanduser().absolute() if named else None)
    if entry.is_made:
        from fittingroom.data.made.made_dataset import made_contents

        return made_contents(entry, lambda source: _catalogued(source, data_dir))
    if entry.name != DIGITS.name and chosen is not None:
        from fittingroom.data.published import PublishedDataset
        from fittingroom.data.published_forms import expected_files

        source = PublishedDataset(entry).in_folder(chosen)
        if source is not None:
            return source.contents()
        if data_dir is not None:
            raise DatasetNotFoundError(
                f"{chosen} has no {entry.info.title}; expected {expected_files(entry)} in it or in its sub-folder "
                f"{entry.name}."
            )
        note = f"FITTINGROOM_DATA_DIR is {chosen}, which has no {entry.info.title}; another copy is used."
        contents = _from_usual_places(entry)
        return replace(contents, notes=(*contents.notes, note))
    return _from_usual_places(entry)


def _from_usual_places(entry: CatalogueEntry) -> Contents:
    """From the cache, for which no reader is imported; else from scikit-learn, the system's package or by download."""
    if entry.name == DIGITS.name:
        return _digits().contents()
    contents = DatasetSource.cached_before(entry.name)
    if contents is not None:
        return contents
    from fittingroom.data.published import PublishedDataset

    source = PublishedDataset(entry).in_system()
    if source is not None:
        return source.contents()
    with PublishedDataset(entry).by_download() as source:
        return source.contents()


def _digits() -> DatasetSource:
    """scikit-learn's digits, of which another version may have other ones."""
    import importlib.metadata  # slow to import, and needed here only

    def read() -> Contents:
        from fittingroom.data.published import PublishedDataset

        return PublishedDataset.digits()

    return DatasetSource(
        "digits", ((f"digits of scikit-learn {importlib.metadata.version('scikit-learn')}", 0, 0),), read
    )


def _source(form: str, path: Path, pictures: _PictureArguments) -> DatasetSource:
    """What reads a user's own data. Only that reader is imported, since some need much themselves."""
    if form == "idx":
        from fittingroom.data.idx import FourFiles

        return FourFiles.dataset_source(path)
    if form == "npz":
        from fittingroom.data.npz import NpzFile

        return NpzFile(path).dataset_source()
    if form == "csv":
        from fittingroom.data.csvfile import PixelTable

        return PixelTable.dataset_source(path)
    if form == "parquet":
        from fittingroom.data.hugging_face import of_parquet

        tables = of_parquet(path, pictures.image_size, pictures.resizing, *pictures.columns.values())
        if tables.size is None:
            pictures.refuse_sizes(f"parquet:{path}")
        return tables.source
    from fittingroom.data.decode import folder_source

    return folder_source(path, pictures.image_size, pictures.resizing, first_rules=pictures.first_rules)


def _is_path(name: str) -> bool:
    """Whether a name without a form is a path: it is written as one, or something of that name exists."""
    written_so = "/" in name or "\\" in name or name.startswith((".", "~")) or Path(name).suffix.lower() in _SUFFIXES
    return written_so or _resolved(name).exists()


def _resolved(place: str) -> Path:
    path = expanded(place)
    try:
        path = path.resolve()
        path.exists()  # raises where the name is too long
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{place[:100]!r} cannot be a path: {reason}.") from error
    return path


def _split(
    contents: Contents, validation: int | float | None, train: int | None, seed: int, changes: ListedChanges | None
) -> tuple[Part, Part | None, Mapping[str, Any], tuple[str, ...]]:
    """The training part, the validation part, and what lists changed: for the record and in words.

    Nothing is copied where nothing is cut.
    """
    labels, count = contents.labels, len(contents.labels)

    def part(chosen: slice | NDArray[np.bool_]) -> Part:
        files = contents.files[chosen] if isinstance(chosen, slice) else tuple(compress(contents.files, chosen))
        images, rows = _rows(contents.images, chosen, contents), np.arange(count)[chosen]
        return Part(images, labels[chosen], contents.classes, contents.scale, files, rows)

    own = contents.given_validation
    if validation is None and own:
        if changes is None and train is None:
            return part(slice(-own)), part(slice(-own, None)), {}, ()
        held_out = np.arange(count) >= count - own
    else:
        # By the labels of the files, so that a list moves no image from one part to the other.
        held_out = cut_validation(labels, len(contents.classes), validation, seed)
    kept, recorded, notes = np.ones(count, bool), dict[str, Any](), tuple[str, ...]()
    if changes is not None:
        recorded = changes.arguments(contents.fingerprint, held_out)
        labels, kept = changes.new_labels(labels), changes.kept(count)
        changes.check(labels, held_out, contents.classes)
        notes = changes.sentences(held_out)
    if train is not None:
        kept &= held_out | cut_training(labels, kept & ~held_out, len(contents.classes), train, seed)
    if not held_out.any():
        return part(slice(None) if kept.all() else kept), None, recorded, notes
    return part(~held_out & kept), part(held_out & kept), recorded, notes


def _rows(images: Images, chosen: slice | NDArray[np.bool_], contents: Contents) -> Any:
    """Some images; those of a large folder stay in their file."""
    if contents.resize_rule is None or contents.images.nbytes <= _MOST_IN_MEMORY:
        return images[chosen]
    from fittingroom.data.stored_images import StoredImages

    return StoredImages([images]).taken(chosen)


def _dataset_name(value: Any) -> str:
    """The name of a dataset: a text as it is, a `Path` as a text that is read as a path.

    Raises:
        DataError: it is neither.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, os.PathLike):
        path = os.fspath(value)
        # A relative path is never taken for a dataset of the catalogue.
        return os.path.join(os.curdir, path if isinstance(path, str) else os.fsdecode(path))  # noqa: PTH118
    mend = ""
    if hasattr(value, "fingerprint"):
        mend = " It is already loaded; use it as it is."
    elif hasattr(value, "__array__") or isinstance(value, list | tuple):
        mend = " Arrays need no loading: fittingroom.fit(model, x, y)."
    kind = "None" if value is None else f"a {type(value).__name__}"
    raise DataError(
        f"load takes the name of a dataset, such as 'fashion-mnist' or 'folder:photos', or a Hugging Face dataset, not "
        f"{kind}.{mend}"
    )


def _image_size(value: Any) -> tuple[int, int] | None:
    """`(height, width)` from a pair, or from one number for both; None stays None.

    Raises:
        DataError: it is something else, or not from 1 to 1,024.
    """
    if value is None:
        return None
    pair = (value, value) if isinstance(value, numbers.Integral) and not isinstance(value, bool) else value
    whole = (
        isinstance(pair, tuple | list)
        and len(pair) == 2
        and all(isinstance(side, numbers.Integral) and not isinstance(side, bool) for side in pair)
    )
    if not whole:
        raise DataError(f"image_size={value!r}; expected (height, width) in pixels, such as (64, 64), or 64 for both.")
    height, width = (int(side) for side in pair)
    if not (1 <= height <= _LARGEST_SIDE and 1 <= width <= _LARGEST_SIDE):
        raise DataError(f"the image size is {height}x{width}; each side must be from 1 to {_LARGEST_SIDE} pixels.")
    return height, width
