"""`load`: a dataset by its name, whose test set is opened on the record only."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

from fittingroom.data import load as sealing
from fittingroom.data.dataset import Dataset, Opening, recorded


def load(
    name: str | os.PathLike[str] = "fashion-mnist",
    *,
    validation: int | float | None = None,
    split_seed: int = 0,
    data_dir: Path | str | None = None,
    image_size: int | tuple[int, int] | None = None,
) -> Dataset:
    """A dataset with its test part sealed: `data.train`, `data.validation` and `data.test`.

    `data.train.images` are the raw uint8 pixels and `data.train.x` the same as float32 in 0 to 1, ready for a model;
    `data.train.y` are the labels. `data.test.open("why")` is the only way to a test image or label, and a look that the
    user's ledger keeps; where it cannot be written, the test set stays closed.

    Args:
        name: `fashion-mnist`, `mnist`, `kmnist`, `digits`; or own data, by their path alone or as `folder:FOLDER`
            with pictures in one sub-folder for each class, perhaps below train, validation and test, or with a table
            metadata.csv of file_name and label; `npz:FILE` with x_train, y_train and perhaps x_val, y_val, x_test,
            y_test and class_names, or as MedMNIST names them; `csv:FILE` with a label and the pixels in each row;
            `idx:FOLDER` with four IDX files named as MNIST's.
        validation: how many images of the training part are set aside to validate on, the same share of each class: a
            number, or a fraction between 0 and 1. None means 5,000 of 60,000 and else a twelfth, or the validation part
            that a folder or a file brings along; 0 means none.
        split_seed: decides which images these are; the same on every machine.
        data_dir: a folder with the four files of `fashion-mnist`, `mnist` or `kmnist`, or with a sub-folder of that
            name that has them.
        image_size: (height, width) in pixels, for folders of pictures only; 64x64 by default where half of them are as
            large as that, else 28x28.

    Raises:
        UnknownNameError: no dataset has this name.
        DatasetNotFoundError: the data are nowhere to be found; the message says how to get them.
        DataError: the data are damaged or are not what they should be, or an argument makes no sense.
    """
    dataset = sealing.load(name, validation=validation, split_seed=split_seed, data_dir=data_dir, image_size=image_size)
    return replace(dataset, test=recorded(dataset.test, partial(_count, dataset.name), _looks))


def _count(dataset: str, opening: Opening) -> None:
    """Enters an opening into the ledger; a ledger that cannot be written raises, and the test set stays closed."""
    from fittingroom.runs.ledger import Ledger
    from fittingroom.runs.ledger_entries import Intent

    intent = Intent(dataset, opening.count, opening.reason, fingerprint=opening.fingerprint)
    Ledger.of_user().record_look(opening.source_fingerprint, intent)


def _looks(known_as: frozenset[str]) -> str:
    """How many looks the user's ledger has at the test set that is known by these."""
    from fittingroom.errors import StorageError
    from fittingroom.runs.ledger import Ledger

    try:
        looks = sum(look.is_new for look in Ledger.of_user().looks() if look.known_as & known_as)
    except StorageError:
        return "the ledger cannot be read"
    return f"{looks} look{'' if looks == 1 else 's'} in the ledger"
