"""Hugging Face's `Dataset` and `DatasetDict` as datasets of ours, and parquet files of the same form.

Neither `datasets` nor `pyarrow` is needed for anything else, and both are imported only where such data come.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fittingroom.data.cache import DatasetSource
from fittingroom.data.catalogue import DatasetInfo
from fittingroom.data.image_tables import ImageTable, TableDataset
from fittingroom.data.resizing import Resizing
from fittingroom.data.sniff import FileKind
from fittingroom.data.stored_images import machine_memory
from fittingroom.data.table_columns import TableColumns, is_of_pictures
from fittingroom.errors import DataError, DatasetNotFoundError

_FORM = "hf"
_INSTALL = "Reading parquet files needs pyarrow: pip install pyarrow."
_MAGIC = b"PAR1"
_SAID = ("license", "homepage", "citation")


@dataclass(frozen=True)
class LoadedTables:
    """A dataset of tables that was found.

    Attributes:
        name: as `load` takes it.
        source: what reads it.
        size: height and width that its pictures get; None where its images are arrays.
        info: what it says of itself.
    """

    name: str
    source: DatasetSource
    size: tuple[int, int] | None
    info: DatasetInfo


def of_object(
    given: Any, size: tuple[int, int] | None, resizing: Resizing, image: str | None = None, label: str | None = None
) -> LoadedTables:
    """A `Dataset` or `DatasetDict` of Hugging Face's.

    Its name is made from its fingerprints, so that the cache finds it again by the name that a run keeps.

    Args:
        given: what the user gave, as `data.load.is_hugging_face` knows it.
        size: height and width of the images; None for what suits the pictures.
        resizing: how pictures become images of that size.
        image: the column of images; None to find it.
        label: the column of labels; None to find it.

    Raises:
        DataError: it is streamed, empty, or not a dataset of images and labels.
    """
    kind = type(given).__name__
    if kind.startswith("Iterable"):
        raise DataError(
            f"{kind} is a streaming dataset, whose images pass once and cannot be shuffled, split or counted. Load it "
            "without streaming=True, or take a part: datasets.Dataset.from_list(list(dataset.take(10_000)))."
        )
    splits = dict(given) if isinstance(given, dict) else {str(given.split or "train"): given}
    if not splits or not all(len(each) for each in splits.values()):
        empty = [name for name, each in splits.items() if not len(each)]
        raise DataError(f"the Hugging Face dataset is empty{f' in its split {empty[0]!r}' if empty else ''}.")
    tables = {name: _table(name, each, image, label) for name, each in splits.items()}
    first = next(iter(splits.values()))
    called = getattr(first.info, "dataset_name", None)
    parts = [(name, getattr(each, "_fingerprint", None) or time.time_ns()) for name, each in splits.items()]
    digest = hashlib.sha256(repr((parts, image, label)).encode()).hexdigest()[:16]
    name = f"{_FORM}:{f'{called}-' if called else ''}{digest}"
    source = f"Hugging Face dataset{f' {called}' if called else ''}"
    found = TableDataset.of(source, tables, image, label)
    chosen = found.size(size)
    stamp = tuple((str(file), status.st_size, status.st_mtime_ns) for file in found.files() for status in [file.stat()])
    reader = found.dataset_source(_key(name, chosen, resizing), stamp, chosen, resizing)
    return LoadedTables(name, reader, chosen, _info(first.info, called or digest))


def from_cache(name: str, size: tuple[int, int] | None, resizing: Resizing) -> Any:
    """The contents of a Hugging Face dataset that was loaded here before, by the name it got then.

    Raises:
        DatasetNotFoundError: the cache has it no more.
    """
    contents = DatasetSource.cached_before(_key(name, size, resizing))
    if contents is None:
        raise DatasetNotFoundError(
            f"{name} was given to Fitting Room as an object of Hugging Face's datasets, and the cache of this machine "
            "does not hold it. Give it again in Python: fittingroom.load(dataset), for example "
            "run.use_data(fittingroom.load(dataset))."
        )
    return contents


def of_parquet(
    path: Path, size: tuple[int, int] | None, resizing: Resizing, image: str | None = None, label: str | None = None
) -> LoadedTables:
    """A parquet file, or a folder of them whose names begin with their splits, as Hugging Face's hub has them.

    Args:
        path: a file, or a folder with `train-00000-of-00002.parquet`, `train.parquet`, `train/0000.parquet` and so on,
            perhaps in a folder `data`.
        size: height and width of the images; None for what suits the pictures.
        resizing: how pictures become images of that size.
        image: the column of images; None to find it.
        label: the column of labels; None to find it.

    Raises:
        DataError: `pyarrow` is missing, a file is damaged, or the tables are not a dataset of images and labels.
    """
    splits = _parquet_splits(path)
    files = tuple(file for each in splits.values() for file in each)
    tables = {name: _read(each, path if path.is_dir() else path.parent, image, label) for name, each in splits.items()}
    found = TableDataset.of(f"{'folder' if path.is_dir() else 'file'} {path}", tables, image, label)
    chosen = found.size(size)
    where = repr((str(path), image, label))
    key = _key(f"parquet:{hashlib.sha256(where.encode(errors='surrogateescape')).hexdigest()[:16]}", chosen, resizing)
    stamp = DatasetSource.of_files("parquet", None, (*files, *found.files()), _nothing).stamp
    reader = found.dataset_source(key, stamp, chosen, resizing)
    return LoadedTables(f"parquet:{path}", reader, chosen, DatasetInfo(title=path.name))


def _parquet_splits(path: Path) -> dict[str, tuple[Path, ...]]:
    """The parquet files of each split.

    Raises:
        DataError: there are none.
    """
    if not path.is_dir():
        return {"train": (path,)}
    found: dict[str, list[Path]] = {}
    for file in sorted(path.glob("**/*.parquet")):
        inside = file.relative_to(path).parts
        split = file.stem.split("-")[0]
        if split.isdigit() and len(inside) > 1:
            split = inside[-2]
        found.setdefault(split, []).append(file)
    if not found:
        raise DataError(f"{path} has no parquet files.")
    return {split: tuple(files) for split, files in found.items()}


def _info(said: Any, title: str) -> DatasetInfo:
    """What a dataset of Hugging Face's says of itself."""
    licence, homepage, citation = (str(getattr(said, name, "") or "unknown") for name in _SAID)
    return DatasetInfo(title=title, licence=licence, homepage=homepage, citation=citation)


def _nothing() -> Any:
    raise AssertionError("only its stamp is asked for")


def _key(name: str, size: tuple[int, int] | None, resizing: Resizing) -> str:
    """The folder of the cache for a dataset whose pictures are resized so."""
    way = "".join(f" {value}" for value in resizing.arguments.values())
    form, _, rest = name.partition(":")
    digest = hashlib.sha256(f"{size and '{}x{}'.format(*size)}{way} {rest}".encode()).hexdigest()[:16]
    return f"{form}-{digest}"


def _table(split: str, given: Any, image: str | None, label: str | None) -> ImageTable:
    """A split of `datasets`, with its pictures as they are stored, and without formats and transforms."""
    features = given.features.to_dict()
    what = f"the Hugging Face dataset, split {split!r}"
    columns = TableColumns.found(given.features.arrow_schema, features, what, image, label)
    plain = given.select_columns([columns.image, columns.label])
    if features[columns.image].get("_type") == "Image":
        kind = type(plain.features[columns.image])
        plain = plain.cast_column(columns.image, kind(decode=False))
    table = plain.with_format("arrow")[:]
    return ImageTable(table, features)


def _read(files: tuple[Path, ...], folder: Path, image: str | None, label: str | None) -> ImageTable:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ModuleNotFoundError as error:
        raise DataError(_INSTALL) from error
    tables = []
    features: Mapping[str, Any] = {}
    for file in files:
        kind = FileKind.of_file(file)
        if not kind.start.startswith(_MAGIC):
            raise DataError(f"{file} is not a parquet file: it {kind}.{kind.advice}")
        try:
            with pq.ParquetFile(file) as opened:
                schema = opened.schema_arrow
                features = _features(schema.metadata)
                columns = TableColumns.found(schema, features, str(file), image, label)
                needed = sum(opened.metadata.row_group(at).total_byte_size for at in range(opened.num_row_groups))
                if needed > machine_memory() / 2:
                    raise DataError(
                        f"{file} unpacks to {needed / 1e9:.1f} GB, for which the memory has no room. Divide it into "
                        "smaller files, or write its pictures into folders."
                    )
                tables.append(opened.read([columns.image, columns.label]).select([columns.image, columns.label]))
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            raise DataError(
                f"{file} is not a parquet file, or is cut off or damaged ({error}). Get it again."
            ) from error
    try:
        return ImageTable(pa.concat_tables(tables), features, folder)
    except pa.ArrowException as error:
        raise DataError(f"the parquet files of {folder} have different columns ({error}).") from error


def _features(metadata: Mapping[bytes, bytes] | None) -> Mapping[str, Any]:
    """What `datasets` wrote of the columns into a parquet file; nothing where another program wrote it."""
    try:
        found = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def holds_pictures(given: Any) -> bool:
    """Whether the images are pictures, which get a size, and not arrays; False too where there are none.

    Args:
        given: a `Dataset` or `DatasetDict` of Hugging Face's, or the path of parquet files.

    Raises:
        DataError: as for `of_parquet`.
    """
    if isinstance(given, Path):
        try:
            import pyarrow.parquet as pq
        except ModuleNotFoundError as error:
            raise DataError(_INSTALL) from error
        schema = pq.read_schema(next(_files(given)))
        features = _features(schema.metadata)
    else:
        first: Any = next(iter(given.values()), None) if isinstance(given, dict) else given
        if not hasattr(first, "features"):
            return False
        schema, features = first.features.arrow_schema, first.features.to_dict()
    try:
        columns = TableColumns.found(schema, features, "the dataset", None, None)
    except DataError:
        return False
    return is_of_pictures(schema.field(columns.image).type)


def _files(path: Path) -> Iterator[Path]:
    for files in _parquet_splits(path).values():
        yield from files
