"""What is told about a run from its folder: an explanation in words, and a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from fittingroom.reports.facts.explanation import Explanation
    from fittingroom.reports.pages.document import Report


class RunPages:
    """What a run tells of itself: nothing is trained for it, and no test set is opened.

    Attributes:
        path: the run folder.
    """

    path: Path

    def explain(self, start: int | None = None, end: int | None = None) -> Explanation:
        """What loss and accuracy really say about this run: printed, it answers in words; `.facts` has all numbers.

        It rests on what is stored of the validation images. Nothing is trained, and no test set is opened. Where there
        are several seeds, what is said image by image is of one, which is named: that with the median validation loss.

        Args:
            start: first epoch, from 1, of a change to explain; the one with the lowest validation loss if only `end` is
                given, and if neither is.
            end: last epoch of it; else the last one.

        Raises:
            InputError: there are no validation images, no epoch has finite losses, or `start` or `end` was not
                validated.
        """
        from fittingroom.reports.facts.explanation import explain

        return explain(self.path, start, end)

    @overload
    def report(self) -> Report: ...
    @overload
    def report(self, path: str | Path) -> Path: ...
    def report(self, path: str | Path | None = None) -> Report | Path:
        """A page about this run.

        It is one HTML file that loads nothing: a summary in words, curves, what loss and accuracy really say, the
        confidence, the images; those of the seed with the median validation loss, where there are several.
        `fittingroom.report` takes several runs.

        Args:
            path: the file to write.

        Returns:
            The path of the file; without `path` the page itself, which a notebook shows inline.

        Raises:
            InputError: there are no validation images, or no epoch has finite losses.
            StorageError: the file cannot be written.
        """
        from fittingroom.reports.pages.report_page import report_of

        page = report_of([self.path])
        return page if path is None else page.save(path)
