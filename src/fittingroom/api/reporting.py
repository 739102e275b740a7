"""`report`: a page about a run, or about several side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast, overload

from fittingroom.runs.place import find_run

if TYPE_CHECKING:
    from fittingroom.api.run import Run
    from fittingroom.reports.pages.document import Report

    AnyRun: TypeAlias = str | Path | Run


@overload
def report(runs: AnyRun | Sequence[AnyRun]) -> Report: ...
@overload
def report(runs: AnyRun | Sequence[AnyRun], path: str | Path) -> Path: ...
def report(runs: AnyRun | Sequence[AnyRun], path: str | Path | None = None) -> Report | Path:
    """A page about a run: a summary in words, curves, what loss and accuracy really say, its confidence, its images.

    Several runs stand side by side, with the paired comparison of `compare`. The page is one HTML file that loads
    nothing. No test set is opened; a test result that there is already is shown.

    Args:
        runs: one or more: folders, names of runs in the runs folder, `latest`, or what `train`, `fit` and `open_run`
            gave.
        path: the file to write.

    Returns:
        The path of the file; without `path` the page itself, which a notebook shows inline.

    Raises:
        UnknownNameError: there is no such run.
        InputError: a run has no validation images, or no epoch with finite losses; a file is missing or damaged; or
            several runs were not validated on the same images.
        StorageError: the file cannot be written.
    """
    from fittingroom.reports.pages.report_page import report_of

    given = _listed(runs)
    comparison = None
    if len(given) > 1:
        from fittingroom.api.comparing import compare

        comparison = compare(given).to_dict()
    page = report_of([find_run(one) if isinstance(one, str | Path) else one.path for one in given], comparison)
    return page if path is None else page.save(path)


def _listed(runs: AnyRun | Sequence[AnyRun]) -> list[AnyRun]:
    """The runs as a list. A run can be iterated too, but is one run; its class is not imported, which loads JAX."""
    if isinstance(runs, str | Path) or hasattr(runs, "path"):
        return [cast("AnyRun", runs)]
    if not isinstance(runs, Iterable):
        find_run(runs)  # says what a run is
    return list(runs)
