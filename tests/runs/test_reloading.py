from __future__ import annotations

from pathlib import Path

import pytest

from fittingroom.data.dataset import Dataset
from fittingroom.data.load import load
from fittingroom.errors import RunError
from fittingroom.runs.data_record import DataRecord
from tests.data.builders import write_picture_folder, write_pictures


def record(dataset: Dataset, image_size: list[int] | None) -> DataRecord:
    return DataRecord(
        name=dataset.name,
        fingerprint=dataset.fingerprint,
        test_fingerprint=dataset.test.fingerprint,
        classes=dataset.classes,
        image_shape=dataset.image_shape,
        scale=dataset.scale,
        counts={"train": len(dataset.train), "validation": 0, "test": len(dataset.test)},
        load={**dataset.arguments, "image_size": image_size},
    )


@pytest.mark.parametrize("size", [None, (20, 20)])
def test_the_folder_of_an_old_run_is_read_as_it_was(tmp_path: Path, size: tuple[int, int] | None) -> None:
    """Then no size was recorded unless one was asked for, `10` came before `2`, and inner folders were left out."""
    root = write_picture_folder(tmp_path / "p", {"1": 8, "2": 8, "10": 8})
    write_pictures(root / "1" / "inner", 4, seed=9)
    write_pictures(root / "2", 8, seed=1, size=(200, 100))
    old = load(f"folder:{root}", image_size=size, first_rules=True)
    assert (old.classes, old.image_shape) == (("1", "10", "2"), size or (28, 28))
    assert len(old.train) + len(old.test) + len(old.validation or ()) == 24
    again = record(old, None if size is None else list(size)).load_again()
    assert (again.classes, again.fingerprint) == (old.classes, old.fingerprint)

    new = load(f"folder:{root}", image_size=size)
    assert new.classes == ("1", "2", "10")
    assert record(new, list(new.image_shape[:2])).load_again().fingerprint == new.fingerprint
    (root / "1" / "000.png").unlink()
    for before in (record(old, None if size is None else list(size)), record(new, list(new.image_shape[:2]))):
        with pytest.raises(RunError, match="its images or labels have changed"):
            before.load_again()
