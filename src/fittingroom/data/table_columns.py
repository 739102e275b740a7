"""Which columns of a table hold images and labels, and what the classes are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fittingroom.errors import DataError
from fittingroom.text import word_list

if TYPE_CHECKING:
    import pyarrow as pa

_IMAGES = ("image", "img", "images", "picture", "photo", "pixels", "pixel_values", "x")
_PATHS = ("image_path", "file_name", "filename", "file", "path", "filepath")
_LABELS = ("label", "labels", "class", "target", "y", "category")

_WANTED = {
    "image": "pictures (bytes or paths of JPEG, PNG, WebP, BMP or GIF files) or arrays of numbers",
    "label": "one class for each image, as a whole number or as text",
}


@dataclass(frozen=True)
class TableColumns:
    """The two columns of a dataset.

    Attributes:
        image: the name of the column of images.
        label: the name of the column of labels.
        classes: the names of the classes; None where the table does not say them.
    """

    image: str
    label: str
    classes: tuple[str, ...] | None

    @classmethod
    def found(
        cls, schema: pa.Schema, features: Mapping[str, Any], what: str, image: str | None, label: str | None
    ) -> TableColumns:
        """Both, in a table.

        Args:
            schema: of the table.
            features: what `datasets` says of each column, as JSON.
            what: the table is called in messages.
            image: its name, where the user named it.
            label: its name, where the user named it.

        Raises:
            DataError: a column is not there or holds something else, or none or several could be it.
        """
        table = _Schema(schema, features, what)
        image = table.named("image", image) if image else table.only("image", table.of_images())
        label = table.named("label", label) if label else table.only("label", table.of_labels(image))
        names = table.feature(label).get("names")
        return cls(image, label, None if names is None else tuple(map(str, names)))

    @property
    def in_words(self) -> str:
        """Both names, and how many classes there are."""
        classes = "" if self.classes is None else f" with the classes {word_list(self.classes, most=5)}"
        return f"{self.image!r} and {self.label!r}{classes}"


def is_of_pictures(kind: pa.DataType) -> bool:
    """Whether the values of a column can be picture files: bytes, paths, or both."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(kind.field(at).name in {"bytes", "path"} for at in range(kind.num_fields))
    return bool(_is_bytes(kind) or _is_text(kind))


@dataclass(frozen=True)
class _Schema:
    schema: pa.Schema
    features: Mapping[str, Any]
    what: str

    def feature(self, name: str) -> Mapping[str, Any]:
        found = self.features.get(name)
        return found if isinstance(found, Mapping) else {}

    @property
    def listed(self) -> str:
        return word_list((f"{name} ({self._said(name)})" for name in self.schema.names), most=12) or "none"

    def named(self, role: str, name: str) -> str:
        """A column that the user named, if it can be what it is to be."""
        if name not in self.schema.names:
            raise DataError(f"{self.what} has no column {name!r}; its columns are {self.listed}.")
        kind = self.schema.field(name).type
        if not (is_of_pictures(kind) or _is_array(kind) if role == "image" else _is_label(kind)):
            raise DataError(
                f"{self.what}: the column {name!r} holds {self._said(name)}; expected {_WANTED[role]}. Its columns are "
                f"{self.listed}."
            )
        return name

    def only(self, role: str, names: Sequence[str]) -> str:
        if len(names) == 1:
            return names[0]
        plural = {"image": "images", "label": "labels"}[role]
        found = (
            f"several columns could be the {plural}: {word_list(map(repr, names))}"
            if names
            else f"no column of {plural} was found"
        )
        raise DataError(
            f"{self.what}: {found}. Its columns are {self.listed}; expected {_WANTED[role]}. Name it in Python: "
            f"fittingroom.load(..., {role}_column={(names or ('...',))[0]!r})."
        )

    def of_images(self) -> list[str]:
        """The columns that could hold the images, by the first rule that finds any."""
        kinds = {field.name: field.type for field in self.schema}
        rules = (
            [name for name in kinds if self.feature(name).get("_type") == "Image"],
            [name for name, kind in kinds.items() if is_of_pictures(kind) and not _is_text(kind)],
            [name for name, kind in kinds.items() if name.lower() in _IMAGES and (_is_array(kind) or _is_text(kind))],
            [name for name, kind in kinds.items() if name.lower() in _PATHS and _is_text(kind)],
            [name for name, kind in kinds.items() if _is_array(kind)],
        )
        return next((found for found in rules if found), [])

    def of_labels(self, image: str) -> list[str]:
        """The columns that could hold the labels, by the first rule that finds any."""
        kinds = {field.name: field.type for field in self.schema if field.name != image and _is_label(field.type)}
        declared = [name for name in kinds if self.feature(name).get("_type") == "ClassLabel"]
        usual = [name for name in declared or kinds if name.lower() in _LABELS]
        return usual[:1] or declared

    def _said(self, name: str) -> str:
        kind = self.feature(name).get("_type")
        if kind and kind not in {"Value", "Sequence", "List", "LargeList"}:
            return {"ClassLabel": "class labels", "Image": "images"}.get(kind, str(kind))
        return str(self.schema.field(name).type)


def _is_bytes(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_array(kind: pa.DataType) -> bool:
    """Whether the values are lists of numbers, perhaps nested."""
    import pyarrow as pa

    kind = getattr(kind, "storage_type", kind)
    inside = kind
    while pa.types.is_list(inside) or pa.types.is_large_list(inside) or pa.types.is_fixed_size_list(inside):
        inside = inside.value_type
    return inside is not kind and bool(pa.types.is_integer(inside) or pa.types.is_floating(inside))


def _is_label(kind: pa.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or _is_text(kind))
