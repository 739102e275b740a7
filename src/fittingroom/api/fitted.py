"""`FittedRun`: the run that `fit` gives back, which is Keras's `History` too. Importing this module imports Keras."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from fittingroom.answers.predictor import Predictor
from fittingroom.api.run import Run
from fittingroom.api.seed_model import SeedModel
from fittingroom.atomic import storage_errors
from fittingroom.data.dataset import Dataset
from fittingroom.errors import RunError
from fittingroom.reports.facts.explanation import Explanation
from fittingroom.reports.pages.document import Report
from fittingroom.reports.pages.notebook_card import ShownHistory
from fittingroom.runs.history import History
from fittingroom.runs.layout import RunContents, write_run
from fittingroom.runs.outcomes import Outcomes
from fittingroom.runs.record import RunRecord

if TYPE_CHECKING:
    from fittingroom.api.audited import Audit
    from fittingroom.api.exports import Export

Array = np.ndarray[Any, Any]


class FittedRun(Run, keras.callbacks.History):
    """A run that code written for `keras.Model.fit` can take for the `History` that it expects.

    Attributes:
        params: what callbacks had as their `params`: verbose, epochs, steps.
    """

    def __init__(
        self,
        path: Path,
        *,
        dataset: Dataset | None,
        model: keras.Model,
        params: dict[str, Any],
        trained: bool = True,
    ) -> None:
        super().__init__(path, dataset=dataset, model=model)
        self._model = model if trained else None
        self.params = params

    @property
    def epoch(self) -> list[int]:
        """The numbers of the finished epochs, from 0."""
        return self.history.epoch

    @property
    def model(self) -> keras.Model:
        """The model that was trained, as in Keras's `History`; `open_run(run.path).model` is a new one.

        With `seeds`, copies of the given model were trained: `run[0].model` has the weights of the first seed.
        """
        return self._model or super().model


class UnsavedRun(FittedRun):
    """A run without a folder, as `fit(..., out=False)` gives it: history and predictions come from memory.

    What is made from a run's files (an explanation, a report, what answers rest on) is made in a temporary folder,
    which is gone afterwards. What lasts (`evaluate`, `compare`, `card`, `serve`, `resume`) needs a folder, and says so.
    """

    def __init__(
        self, contents: RunContents, why: str, *, dataset: Dataset | None, model: keras.Model, params: dict[str, Any]
    ) -> None:
        self._contents = contents
        self._why = why
        self._temporary: Path | None = None
        super().__init__(Path(), dataset=dataset, model=model, params=params)

    def __repr__(self) -> str:
        return f"Run(no folder: {self.record.recipe['name']} on {self.record.data.name}, {self.record.status})"

    def _repr_html_(self) -> str:
        from fittingroom.reports.pages.notebook_card import run_card

        return run_card(Path("(no folder)"), [self.record], [self.history])

    @property
    def path(self) -> Path:
        """The temporary folder, while there is one.

        Raises:
            RunError: there is none.
        """
        if self._temporary is None:
            raise RunError(
                f"This run is in memory only, since {self._why}, and this needs its folder. Train with one: "
                "fit(..., out='runs/mine')."
            )
        return self._temporary

    @path.setter
    def path(self, value: Path) -> None:
        """There is none to set."""

    @property
    def _title(self) -> str:
        return "This run"

    @property
    def _folders(self) -> Mapping[int, Path]:
        return {self._contents.record.seed: Path()}

    @property
    def record(self) -> RunRecord:
        """What the run's folder would say of it."""
        return self._contents.record

    @cached_property
    def history(self) -> History:
        """The numbers of each epoch, under Keras's keys."""
        rows = self._contents.history
        return ShownHistory(zip(rows.epoch, rows.rows, strict=True))

    @cached_property
    def outcomes(self) -> Outcomes | None:
        """What came of each validation image in each epoch; None without validation."""
        return self._contents.outcomes

    @cached_property
    def _model_of_seed(self) -> SeedModel:
        return SeedModel(self.record, self._contents, self._title, given=self._given_model, trust=False)

    def look(self, reason: str, together: str | None = None) -> None:
        """A look is recorded in the run's folder.

        Raises:
            RunError: there is none.
        """
        del reason, together
        self.path  # noqa: B018 - says that there is none

    def explain(self, start: int | None = None, end: int | None = None) -> Explanation:
        """What loss and accuracy really say about this run, as `Run.explain` has it."""
        with self._folder():
            return super().explain(start, end)

    def report(self, path: str | Path | None = None) -> Any:
        """A page about this run, as `Run.report` has it."""
        with self._folder():
            page: Report = super().report()
        return page if path is None else page.save(path)

    def audit(self, **settings: Any) -> Audit:
        """Checks whether the run's data and its model can be trusted, as `Run.audit` has it; nothing is kept."""
        with self._folder():
            return super().audit(**settings)

    def export(self, to: str, out: str | Path | None = None, *, images: Array | None = None, **settings: Any) -> Export:
        """Writes the model in another format, as `Run.export` has it; `out` says where."""
        if out is None:
            raise RunError(f"This run is in memory only, since {self._why}. Say where: run.export({to!r}, PATH).")
        with self._folder():
            return super().export(to, out, images=images, **settings)

    @cached_property
    def predictor(self) -> Predictor:
        """What answers; what it fits is not kept."""
        return Predictor([self], self.record.data, self._images, folder=None)

    @contextmanager
    def _folder(self) -> Iterator[None]:
        """While it lasts, the run has a folder."""
        if self._temporary is not None:
            yield
            return
        with storage_errors(Path(tempfile.gettempdir())), tempfile.TemporaryDirectory(prefix="fittingroom-") as place:
            self._temporary = Path(place, "unsaved")
            self._temporary.mkdir()
            try:
                write_run(self._temporary, [self._contents])
                yield
            finally:
                self._temporary = None
