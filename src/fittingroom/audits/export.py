"""What an audit found as a list to review: one row for each finding, in the form that `fittingroom.load` reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fittingroom.audits.check import CheckResult, Finding
from fittingroom.data.dataset import Dataset, Part
from fittingroom.data.listed_rows import image_name
from fittingroom.data.review_list import ReviewList, ReviewRow


def review_rows(dataset: Dataset, results: Iterable[CheckResult]) -> tuple[ReviewRow, ...]:
    """A row for each finding, without a decision.

    Images of the training and validation parts are named by their position in the files' own training part, their file
    and a hash. Of the test part there is a position alone: file names hold classes, and no list changes the test part.

    Args:
        dataset: the one that was audited.
        results: of the checks.
    """
    root = Path(dataset.name.partition(":")[2]) if dataset.name.startswith("folder:") else None
    parts = {"train": dataset.train, "validation": dataset.validation}

    def row(check: str, finding: Finding) -> ReviewRow:
        part = parts.get(finding.part)
        index, file = _place(part, finding.index)
        other = "" if finding.other is None else _said(finding.other[0], parts.get(finding.other[0]), finding.other[1])
        return ReviewRow(
            part=finding.part,
            index=index,
            file=file,
            image="" if part is None else image_name(root, file, part.images[finding.index]),
            label=finding.label or "",
            suggested=finding.suggested or "",
            probability=finding.probability,
            check=check,
            why=finding.why,
            other=other,
        )

    return tuple(row(result.check, finding) for result in results for finding in result.findings)


def write_findings(path: Path, dataset: Dataset, results: Iterable[CheckResult]) -> int:
    """Writes what was found as a CSV file, and returns how many rows it has.

    Raises:
        DataError: the file exists, and is another one or has decisions.
        StorageError: it cannot be written.
    """
    rows = review_rows(dataset, results)
    ReviewList.write(path, rows)
    return len(rows)


def _place(part: Part | None, index: int) -> tuple[int, str]:
    """The position of an image in the files' own training part, and its file."""
    if part is None:
        return index, ""
    return index if part.rows is None else int(part.rows[index]), part.files[index] if part.files else ""


def _said(name: str, part: Part | None, index: int) -> str:
    position, file = _place(part, index)
    return f"{name} {position}{f' {file}' if file else ''}"
