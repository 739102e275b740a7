"""What leaves a run: an explanation in words, a page, logs for other programs, and the model in another format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, overload

import numpy as np

if TYPE_CHECKING:
    from fittingroom.api.cards import Card
    from fittingroom.api.exports import Export
    from fittingroom.reports.facts.explanation import Explanation
    from fittingroom.reports.pages.document import Report
    from fittingroom.tracking.events import WrittenLog

Array = np.ndarray[Any, Any]


class RunPages:
    """What a run tells of itself and gives away: nothing is trained for it, and no test set is opened.

    Attributes:
        path: the run folder.
        logs: where the training was logged that gave this run; empty for one that was opened.
    """

    path: Path
    __iter__: Any  # of the run, over its seeds
    logs: tuple[WrittenLog, ...] = ()

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

    def card(self, about: str | Path | Mapping[str, Any] | None = None) -> Card:
        """The run's model card, and the data card of its dataset: printed, it is both; `save(FOLDER)` writes them.

        Every number stands with the command that prints it, and what was not examined says so. No dataset is opened:
        what `audit` found is told where it was kept and still holds.

        Args:
            about: what only people know, such as who made the model and what it is for: a TOML file with the tables
                `[model]` and `[data]`, or such tables. None where nothing is told.

        Raises:
            InputError: `about` has an unknown key, or cannot be read.
            RunError: a file of the run is damaged.
        """
        from fittingroom.api.cards import card_of

        return card_of(cast(Any, self), about)

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

    def log(self, to: str | Sequence[str]) -> tuple[WrittenLog, ...]:
        """Logs the run for a program that people track trainings with, as `train(..., log=)` does while it trains.

        Args:
            to: `tensorboard`, `mlflow`, `wandb`, `csv` or `jsonl`, each with a place behind a colon
                (`tensorboard:logs`) or without; or a list of them.

        Returns:
            For each, what was written and how to look at it.

        Raises:
            InputError: there is no such tracker, or its package is not installed.
            StorageError: a log could not be written.
        """
        from fittingroom.api.logged import write_log

        return write_log(self, to)

    def export(self, to: str, out: str | Path | None = None, *, images: Array | None = None, **settings: Any) -> Export:
        """Writes the model in another format, once the file answers as this run does.

        ONNX, TFLite and the page hold the whole way from stored images to calibrated probabilities: scaling, all seeds,
        `test_views` and temperature. What is written is compared with `answer` on the validation images first, by the
        runtime that will run it: the same class for each, and probabilities within 1e-5.

        Args:
            to: `onnx`, `tflite`, `keras`, `savedmodel` (where TensorFlow is installed), `page` (one HTML file that runs
                the model in a browser), `folder` (a Python program with onnxruntime and NumPy), or `hub` (a folder for
                Hugging Face's hub).
            out: the file or the folder; one in the run's folder unless given. What exists is not replaced.
            images: what the check is made on, `(n, ...)` as for `predict`; the validation images unless given, and
                synthetic ones where the run keeps none, as one of `fit` on arrays.
            **settings: of the format: `int8=True` for TFLite with whole numbers of 8 bits.

        Returns:
            What was written: printed, it says what it takes and gives, and how it was checked.

        Raises:
            InputError: there is no such format or setting, something else exists at `out`, a package is missing, or the
                format cannot hold a layer, which is named.
            ModelError: the file would answer otherwise than the run; nothing is written.
            StorageError: it cannot be written; nothing of it is left.
        """
        from fittingroom.api.exports import export_run

        return export_run(cast(Any, self), to, out, images=images, **settings)
