"""The plain facts of a dataset, for printing and for JSON."""

from __future__ import annotations

from typing import Any

from fittingroom.data.dataset import Dataset, Part, SealedTestSet


def describe(dataset: Dataset) -> dict[str, Any]:
    """Everything that can be said about a dataset without opening its test set, as JSON types.

    `counts` has for each part its `total` and the number of images `per_class`, in the order of `classes`; the parts
    are `train`, `validation` (None if there is none) and `test`.
    """
    info = dataset.info
    return {
        "name": dataset.name,
        "title": info.title,
        "classes": list(dataset.classes),
        "image_shape": list(dataset.image_shape),
        "scale": dataset.scale,
        "counts": {
            "train": _counts(dataset.train),
            "validation": _counts(dataset.validation) if dataset.validation is not None else None,
            "test": _counts(dataset.test),
        },
        "split_seed": dataset.split_seed,
        "source": dataset.source,
        "licence": info.licence,
        "homepage": info.homepage,
        "citation": info.citation,
        "checksums": {name: f"md5:{value}" for name, value in info.checksums.items()},
        "fingerprint": dataset.fingerprint,
        "test_fingerprint": dataset.test.fingerprint,
        "resize_rule": info.resize_rule,
        "notes": list(dataset.notes),
    }


def _counts(part: Part | SealedTestSet) -> dict[str, Any]:
    return {"total": len(part), "per_class": list(part.counts())}
