"""`Audit`: what the checks of a dataset or a run found; and how the subject of an audit is put together."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fittingroom.api.openings import recorded
from fittingroom.audits.audit_progress import ShownProgress
from fittingroom.audits.audit_text import audit_text, by_weight, overview
from fittingroom.audits.card_facts import run_name
from fittingroom.audits.check import AuditSubject, CheckResult, Review
from fittingroom.audits.checks import CHECKS, chosen_checks, make_checks
from fittingroom.audits.export import review_rows, write_findings
from fittingroom.audits.kept_results import KeptResults
from fittingroom.audits.reviewed import reviewed_error_rate
from fittingroom.data.dataset import Dataset
from fittingroom.data.load import load
from fittingroom.data.review_list import COLUMNS
from fittingroom.errors import RunError
from fittingroom.recipes.named import NAMED
from fittingroom.runs.json_files import plain
from fittingroom.runs.layout import SeedFiles, read_layout
from fittingroom.runs.outcomes import KeptOutcomes
from fittingroom.runs.validation_outcomes import ValidationOutcomes
from fittingroom.text import amount, word_list
from fittingroom.training.arguments import are_photographs

if TYPE_CHECKING:
    from fittingroom.answers.predictor import Predictor
    from fittingroom.audits.error_rate import ErrorRate
    from fittingroom.recipes.recipe import Recipe
    from fittingroom.reports.pages.document import Report
    from fittingroom.runs.record import RunRecord


class _Run(Protocol):
    """A run, `api.run.Run`."""

    @property
    def path(self) -> Path:
        """Its folder."""

    @property
    def predictor(self) -> Predictor:
        """What answers."""


@dataclass(frozen=True, eq=False)
class Audit:
    """What an audit found. Printed, it is the whole text; a notebook shows the page.

    Attributes:
        subject: what was audited.
        results: of each check that was finished, in the order of `CHECKS`.
        chosen: the names of the checks that were asked for.
    """

    subject: AuditSubject
    results: tuple[CheckResult, ...]
    chosen: tuple[str, ...]

    def __getitem__(self, check: str) -> CheckResult:
        """The result of a check, by the name that `only` takes; KeyError where it was not made."""
        return {result.check: result for result in self.results}[check]

    @property
    def title(self) -> str:
        """What was audited, in a line."""
        what = f"{self.subject.dataset.name}, {self._counts}"
        if self.subject.path is None:
            return f"Audit of {what}"
        return f"Audit of {self.subject.path.name}: {self.subject.recipe.name} on {what}"

    @property
    def _counts(self) -> str:
        data = self.subject.dataset
        parts = {"training": data.train, "validation": data.validation, "sealed test": data.test}
        counts = [f"{len(part):,} {name}" for name, part in parts.items() if part is not None and len(part)]
        return f"{word_list(counts)} images"

    @property
    def overview(self) -> str:
        """How many checks came out how, in a sentence."""
        return overview(self.results)

    def report(self) -> Report:
        """The page with all of it, and the review of doubtful labels, which a notebook shows inline."""
        from fittingroom.reports.pages.audit_page import audit_report

        return audit_report(self._page_facts())

    def save(self, page: str | Path) -> Path:
        """Writes the page as one HTML file that loads nothing, and returns its path.

        Raises:
            StorageError: it cannot be written.
        """
        return self.report().save(page)

    def export(self, path: str | Path) -> int:
        """Writes what was found as a list to review, one row for each image, and returns how many rows it has.

        Nothing is decided in it. `load(..., exclude=path, relabel=path)` follows the decisions that a person adds.

        Raises:
            DataError: the file exists, and has decisions or is another one.
            StorageError: it cannot be written.
        """
        return write_findings(Path(path), self.subject.dataset, by_weight(self.results))

    def error_rate(self, reviewed: str | Path) -> ErrorRate:
        """How many labels are wrong, with an interval, by what a person decided in the review of the check `labels`.

        Args:
            reviewed: the list that the page of the audit saved.

        Raises:
            InputError: there is no review, or the list has no decision about its images.
            DataError: the list cannot be read, or is of other data.
        """
        return reviewed_error_rate(Path(reviewed), self.subject.dataset, self.results)

    def _page_facts(self) -> dict[str, Any]:
        """What the page shows, as JSON types."""
        data, path = self.subject.dataset, self.subject.path
        run = None if path is None else run_name(path)  # a page is sent to others: no folders of this machine
        results: list[dict[str, Any]] = [plain(result.to_dict()) for result in by_weight(self.results)]
        reviews = [
            replace(result, findings=tuple(item.finding for item in one.items))
            for result in self.results
            for one in result.evidence
            if isinstance(one, Review)
        ]
        return {
            **self.to_dict(),
            "results": results,
            "run": run,
            "heading": data.name if run is None else f"{self.subject.recipe.name} on {data.name}",
            "counts": self._counts,
            "made": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "source": shlex.quote(data.name),
            "command": f"fittingroom audit {shlex.quote(run or data.name)}",
            "card": None if run is None else f"fittingroom card {shlex.quote(run)}",
            "review_key": f"{data.fingerprint}:{data.split_seed}:{len(data.train)}",
            "rows": {"header": list(COLUMNS), "rows": [row.cells() for row in review_rows(data, reviews)]},
        }

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON types, without the pictures."""
        data, path = self.subject.dataset, self.subject.path
        return {
            "title": self.title,
            "overview": self.overview,
            "dataset": data.name,
            "fingerprint": data.fingerprint,
            "run": None if path is None else str(path),
            "complete": len(self.results) == len(self.chosen),
            "results": [_without_pictures(result.to_dict()) for result in by_weight(self.results)],
        }

    def _repr_html_(self) -> str:
        return self.report()._repr_html_()

    def __str__(self) -> str:
        return audit_text(self.title, self.results)

    def __repr__(self) -> str:
        return f"Audit({self.title[9:]!r}: {self.overview})"


class AuditInterrupted(KeyboardInterrupt):
    """An audit was interrupted. What is finished is kept, and the same call continues.

    Attributes:
        audit: with the checks that were finished.
    """

    def __init__(self, message: str, audit: Audit) -> None:
        super().__init__(message)
        self.audit = audit


def usual_recipe(dataset: Dataset) -> Recipe:
    """The recipe by which data are audited without a run: `transfer` for photographs where it can be had."""
    there = all(find_spec(name) is not None for name in ("onnx", "onnxruntime"))
    photographs = dataset.name.startswith("folder:") and are_photographs(dataset.train.images)
    return NAMED["transfer" if there and photographs else "course"].recipe


def of_dataset(
    dataset: Dataset, *, only: str | Sequence[str] | None, again: bool, progress: ShownProgress | None
) -> Audit:
    """The audit of a dataset; see `audit`."""
    recipe = usual_recipe(dataset)
    subject = AuditSubject(recorded(dataset), recipe, None, (), None, progress or ShownProgress.usual())
    return _audited(subject, KeptResults.of(dataset, recipe, None, ()), only, again=again)


def of_run(
    run: _Run,
    dataset: Dataset,
    *,
    only: str | Sequence[str] | None = None,
    again: bool = False,
    progress: ShownProgress | None = None,
) -> Audit:
    """The audit of a run; see `audit`.

    Args:
        run: the run.
        dataset: its dataset.
        only: as for `audit`.
        again: as for `audit`.
        progress: as for `audit`.
    """
    folders = list(read_layout(run.path).folders.values())
    recipe = _recipe_of(SeedFiles(folders[0]).record(), dataset)
    subject = AuditSubject(
        dataset=recorded(dataset, run.path),
        recipe=recipe,
        predictor=run.predictor,
        kept=_kept_of(folders, dataset),
        path=run.path,
        progress=progress or ShownProgress.usual(),
    )
    return _audited(subject, KeptResults.of(dataset, recipe, run.path, folders), only, again=again)


def kept_of_run(run: _Run, dataset: Dataset) -> Audit | None:
    """What audits of a run found that still holds; None where nothing does. No check is made."""
    folders = list(read_layout(run.path).folders.values())
    recipe = _recipe_of(SeedFiles(folders[0]).record(), dataset)
    kept = KeptResults.of(dataset, recipe, run.path, folders)
    found = {name: kept.read(name, check.version) for name, check in CHECKS.items()}
    if not any(found.values()):
        return None
    why = f"This check was not made of the run as it is now: fittingroom audit {run_name(run.path)} --only "
    results = tuple(
        result or CheckResult(name, CHECKS[name].title, "not examined", (f"{why}{name}",))
        for name, result in found.items()
    )
    return Audit(AuditSubject(dataset, recipe, None, (), run.path, ShownProgress()), results, tuple(CHECKS))


def dataset_for(run: _Run, load_again: Callable[[], Dataset], data: str | Dataset | None) -> Dataset:
    """The dataset that a run was trained on.

    Args:
        run: the run.
        load_again: gives the dataset of a run that recorded one.
        data: where it is now; None for where it was.

    Raises:
        RunError: it is not known, or is another one.
    """
    first = SeedFiles(next(iter(read_layout(run.path).folders.values())))
    record = first.record().data
    if record.uses_all:
        raise RunError(
            f"{run.path} was taught by all photos of {record.name.partition(':')[2]}, so nothing was held out by "
            f"which it could be audited. Audit the photos themselves: fittingroom audit {record.name}."
        )
    if record.load is not None:
        return load_again() if data is None else record.load_again(data)
    if data is None:
        raise RunError(
            f"{run.path} was trained on plain arrays, which its folder does not store. Name the dataset that they came "
            "from: --data DATASET, or run.audit(data=...). Or audit the dataset alone: fittingroom.audit(data)."
        )
    dataset = data if isinstance(data, Dataset) else load(data)
    part, outcomes = dataset.validation, first.outcomes()
    if len(dataset.classes) != len(record.classes):
        raise RunError(f"{dataset.name} has {len(dataset.classes)} classes, and the run has {len(record.classes)}.")
    if outcomes is not None and (part is None or not np.array_equal(outcomes.labels, part.labels)):
        raise RunError(
            f"The validation images of {dataset.name} are not those of this run: their labels differ. Load the dataset "
            "with the same validation=... and split_seed=..., and pass it as data=."
        )
    return dataset


def _recipe_of(record: RunRecord, dataset: Dataset) -> Recipe:
    """The run's recipe; for a model of the user's own, whose code an audit does not run, the usual one."""
    try:
        recipe = record.trained_recipe()
    except RunError:
        return usual_recipe(dataset)  # a Keras model that `fit` was given
    return usual_recipe(dataset) if recipe.model is not None else recipe


def _kept_of(folders: Sequence[Path], dataset: Dataset) -> tuple[KeptOutcomes, ...]:
    """What the kept weights of each seed say of the validation images; empty where that was not stored."""
    if dataset.validation is None:
        return ()
    try:
        each = tuple(ValidationOutcomes.read(folder, "audit it").kept for folder in folders)
    except RunError:
        return ()
    return each if all(np.array_equal(kept.labels, dataset.validation.labels) for kept in each) else ()


def _audited(subject: AuditSubject, kept: KeptResults, only: str | Sequence[str] | None, *, again: bool) -> Audit:
    """Makes the checks, one after the other."""
    names = chosen_checks(only)
    results: list[CheckResult] = []
    shown = subject.progress
    if not isinstance(shown, ShownProgress):
        raise TypeError(f"progress is {type(shown).__name__}; expected a ShownProgress.")
    with shown:
        try:
            for place, name in enumerate(names):
                shown.begin(name, place + 1, len(names))
                for result in make_checks(subject, [name], kept, again=again):
                    results.append(result)
                    shown.finish(result)
        except KeyboardInterrupt:
            left = names[len(results) :]
            message = (
                f"the audit was ended in the check {left[0]}. {amount(len(results), 'finished check')} "
                f"{'is' if len(results) == 1 else 'are'} kept; the same command makes only the others."
            )
            raise AuditInterrupted(message, Audit(subject, tuple(results), names)) from None
    return Audit(subject, tuple(results), names)


def _without_pictures(value: Any) -> Any:
    """The same JSON without the pictures in it."""
    if isinstance(value, dict):
        return {key: _without_pictures(one) for key, one in value.items() if key != "url"}
    return [_without_pictures(one) for one in value] if isinstance(value, list) else value
