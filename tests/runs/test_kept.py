from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fittingroom.errors import RunError
from fittingroom.runs.json_files import json_text
from fittingroom.runs.outcomes import Outcomes
from fittingroom.runs.record import PartResult, RunRecord
from fittingroom.runs.validation_outcomes import ValidationOutcomes

LABELS = [0, 1, 2, 2]
PREDICTED = [[0, 1, 0, 0], [0, 1, 2, 0], [0, 0, 0, 2]]  # 2, 3 and 2 right
LOSSES = [0.7, 0.5, 0.6]
ROWS = Outcomes.of(np.repeat(LOSSES, 4).reshape(3, 4), PREDICTED, np.ones((3, 4)), LABELS, [0, 2, 4])


def folder(path: Path, record: RunRecord, outcomes: Outcomes = ROWS) -> Path:
    """A run folder with three validated epochs of five."""
    path.mkdir()
    (path / "run.json").write_text(json_text(record.to_dict()))
    np.savez(path / "outcomes.npz", **outcomes.arrays())  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize(("epoch", "views"), [(None, 1), (4, 6)])
def test_what_the_kept_weights_make_of_the_images_is_read_as_it_was_written(
    tmp_path: Path, record: RunRecord, epoch: int | None, views: int
) -> None:
    loss, predicted, probability = [0.1, 0.2, 0.3, 1.4], [0, 1, 2, 1], [0.9, 0.8, 0.7, 0.2]
    row = Outcomes.of([loss], [predicted], [probability], LABELS).row_as_kept(0)
    kept = replace(row, epoch=epoch, views=views)
    found = ValidationOutcomes.read(folder(tmp_path / "run", record, replace(ROWS, kept=kept)))
    assert found.known
    assert (found.kept.epoch, found.kept.views) == (epoch, views)
    assert found.kept.accuracy == 0.75
    assert found.kept.mean_loss == pytest.approx(0.5)
    assert found.kept.right.tolist() == [True, True, True, False]


@pytest.mark.parametrize(("loss", "right", "known"), [(0.6, 2, True), (0.5, 3, False), (0.6, 3, False)])
def test_of_a_run_of_an_older_version_the_last_epoch_is_taken_and_known_only_if_its_record_agrees(
    tmp_path: Path, record: RunRecord, loss: float, right: int, known: bool
) -> None:
    record = replace(record, validation=PartResult.held_out(loss, right, 4))
    found = ValidationOutcomes.read(folder(tmp_path / "run", record))
    assert found.known is known
    assert (found.kept.epoch, found.kept.predicted.tolist()) == (4, PREDICTED[2])


def test_a_run_without_validation_or_without_its_outcomes_says_how_to_have_them(
    tmp_path: Path, record: RunRecord
) -> None:
    with pytest.raises(RunError, match=r"no validation images\. Train with some \(--validation 0.1"):
        ValidationOutcomes.read(folder(tmp_path / "none", replace(record, validation=None)))
    path = folder(tmp_path / "iterable", record)
    (path / "outcomes.npz").unlink()
    with pytest.raises(RunError, match=r"an iterable gave them.*Validate on arrays or a dataset"):
        ValidationOutcomes.read(path)


def validated(record: RunRecord, labels: list[int] = LABELS, **data: Any) -> ValidationOutcomes:
    ones = np.ones((1, len(labels)))
    outcomes = Outcomes.of(ones, ones, ones, labels)
    kept = outcomes.row_as_kept(0)
    return ValidationOutcomes(
        Path("run"), replace(record, data=replace(record.data, **data)), outcomes, kept, known=True
    )


def test_the_same_images_are_the_same_whatever_the_dataset_is_called(record: RunRecord) -> None:
    assert validated(record).difference_of_images(validated(record)) is None
    assert validated(record).difference_of_images(validated(record, name="npz:/copy.npz")) is None
    assert validated(record).difference_of_images(validated(record, fingerprint="", load=None)) is None


def test_other_images_are_refused_with_what_differs(record: RunRecord) -> None:
    first = validated(record)
    load = dict(record.data.load or {})
    others = {
        "their datasets are digits and mnist": validated(record, name="mnist", fingerprint="ef56"),
        "the images or labels of digits were changed between the two": validated(record, fingerprint="ef56"),
        "(split seed 0 and split seed 7)": validated(record, load={**load, "split_seed": 7}),
        "they have 4 and 3 validation images": validated(record, LABELS[:3]),
        "the labels of their validation images differ": validated(record, [0, 1, 2, 1], fingerprint="", load=None),
    }
    for words, other in others.items():
        assert words in (first.difference_of_images(other) or "")


def test_a_folders_own_validation_images_are_not_those_that_are_cut(record: RunRecord) -> None:
    load = {"name": "folder:/clothes", "validation": None, "split_seed": 0}
    own, cut = validated(record, load=load), validated(record, load={**load, "validation": 4})
    assert "(split seed 0, validation None and split seed 0, validation 4)" in (own.difference_of_images(cut) or "")
    assert own.difference_of_images(own) is None
