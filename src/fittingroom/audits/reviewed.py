"""A list that a person has reviewed, read as the decisions from which the rate of wrong labels is computed."""

from __future__ import annotations

from pathlib import Path

from fittingroom.audits.check import CheckResult, Review
from fittingroom.audits.error_rate import Decision, ErrorRate, ReviewPlan
from fittingroom.audits.export import review_rows
from fittingroom.data.dataset import Dataset
from fittingroom.data.review_list import ReviewList
from fittingroom.errors import DataError, InputError

_MEANT: dict[str, Decision] = {"keep": "right", "relabel": "wrong", "exclude": "wrong"}


def reviewed_error_rate(path: Path, dataset: Dataset, results: tuple[CheckResult, ...]) -> ErrorRate:
    """How many labels are wrong, by what a person has decided about the images of a review.

    An image without a decision counts as skipped where later ones of its band were decided: the interval holds
    whatever its label is.

    Args:
        path: the list, as the page of an audit saves it.
        dataset: the audited one.
        results: of the checks; that of the labels has the review.

    Raises:
        InputError: no check has a review with a plan, or the list has none of its images.
        DataError: the list cannot be read, or is of other data.
    """
    reviews = [(result, one) for result in results for one in result.evidence if isinstance(one, Review) and one.plan]
    if not reviews:
        raise InputError(
            "the rate of wrong labels rests on the review of the check labels, which has none here. Make it first: "
            "fittingroom audit --only labels."
        )
    result, review = reviews[0]
    findings = tuple(item.finding for item in review.items)
    own = review_rows(dataset, [CheckResult(result.check, "", "found", (), findings=findings)])
    places = {row.index: (item.place, row.image) for item, row in zip(review.items, own, strict=True)}
    decisions: dict[int, Decision] = {}
    for row in ReviewList.read(path).rows:
        place, image = places.get(row.index, (None, "")) if row.part != "test" else (None, "")
        if place is None:
            continue
        if row.image and image and row.image != image:
            raise DataError(
                f"{path}, line {row.line}: {dataset.name} has another image {row.index}. The list is of other data."
            )
        if row.decision:
            decisions[place] = _MEANT[row.decision]
    if not decisions:
        raise InputError(f"{path} has no decision about an image of this review. Review some on the page (--report).")
    plan = ReviewPlan.from_dict(review.plan or {})
    for band in plan.bands:
        last = max((number for number, index in enumerate(band.indices) if index in decisions), default=-1)
        for index in band.indices[: last + 1]:
            decisions.setdefault(index, "skipped")
    return ErrorRate.of(plan, decisions)
