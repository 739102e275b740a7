"""The trials of a search as Optuna keeps them: proposed, told, and given up where a killed process left them.

Which trial comes next depends on the search and on the trials before it alone: each is sampled with a seed of its own.
So a search that was killed continues with the very trials that it would have had. The database is checked before Optuna
opens it, since it may come from anywhere.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from fittingroom.atomic import open_file
from fittingroom.errors import FittingRoomError, InputError, StorageError
from fittingroom.experiments.experiment_file import Choices, Range, SearchFile
from fittingroom.experiments.plan import Variant, setting_text, variants

if TYPE_CHECKING:
    import optuna

INSTALL = "pip install 'fittingroom[search]'"

Status = Literal["finished", "pruned", "failed", "running"]

# Attributes of Optuna's trials: where one is trained, and why it failed (none: it was cut off).
_PLACE, _REASON = "place", "reason"


@dataclass(frozen=True)
class Trial:
    """A recipe that was proposed, and how it ended.

    Args:
        number: its place among the trials, from 0.
        variant: the recipe.
        status: `finished`, `pruned` (ended early, since others were better then), `failed` or `running`.
        place: where it is trained: host and folder.
        value: the objective on validation; of a pruned trial, when it was ended.
        reason: why it failed.
    """

    number: int
    variant: Variant
    status: Status
    place: str
    value: float | None = None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "trial": self.number,
            "recipe": self.variant.name,
            "digest": self.variant.digest,
            "settings": dict(self.variant.settings),
            "status": self.status,
            "value": self.value,
            "reason": self.reason,
            "place": self.place,
        }


@dataclass
class Proposal:
    """A trial that this process is to train.

    Args:
        variant: the recipe; None where its settings do not go together.
        trial: the trial in Optuna.
        told: epoch -> the objective that Optuna knows already.
        problem: why the settings do not go together.
    """

    variant: Variant | None
    trial: optuna.Trial
    told: dict[int, float] = field(default_factory=dict)
    problem: str | None = None

    def epoch(self, epoch: int, value: float) -> bool:
        """Reports the objective after an epoch; whether others were so much better then that the trial should end."""
        with _database_errors():
            if epoch not in self.told:
                self.trial.report(value, epoch)
                self.told[epoch] = value
            return bool(self.trial.should_prune())


class Study:
    """A search in a database.

    Args:
        asked: the search, as its file describes it.
        name: the name of the search in the database, the same on all machines.
        storage: the URL of the database, as Optuna takes it.
        place: host and folder of this process.

    Raises:
        StorageError: the database cannot be reached.
    """

    def __init__(self, asked: SearchFile, name: str, storage: str, place: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._asked, self._name, self._place = asked, name, place
        self._storage = _open_storage(storage)
        try:
            with _database_errors():
                self._study = optuna.create_study(
                    study_name=name,
                    storage=self._storage,
                    direction="maximize" if asked.objective == "accuracy" else "minimize",
                    # Five trials to compare with, and not after the first epoch, whose numbers say little.
                    pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
                    load_if_exists=True,
                )
                self._left = self._give_up_left()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the database."""
        _close_storage(self._storage)

    def _all(self) -> list[optuna.trial.FrozenTrial]:
        with _database_errors():
            return self._study.get_trials(deepcopy=False)

    def trials(self) -> list[Trial]:
        """All trials that are over or are trained somewhere now, the oldest first."""
        return [trial for trial in map(self._read, self._all()) if trial is not None]

    def propose(self) -> Proposal:
        """The next recipe to try."""
        import optuna

        abandoned = sum(_abandoned(trial) for trial in self._all())
        with _database_errors():
            trial = self._study.ask()
            trial.set_user_attr(_PLACE, self._place)
        # A seed of the search and the trial's number: a killed search continues with the trials it would have had.
        text = f"{self._name} {trial.number - abandoned}"
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
        self._study.sampler = optuna.samplers.TPESampler(seed=seed, multivariate=False)
        with _database_errors():
            chosen = {key: _suggested(trial, key, one) for key, one in self._asked.space.items()}
        proposal = Proposal(None, trial)
        try:
            proposal.variant = self._variant(chosen)
        except InputError as error:
            proposal.problem = str(error)
        for epoch, value in self._left.pop(_key(trial.params), {}).items():
            proposal.epoch(epoch, value)
        return proposal

    def finished(self, proposal: Proposal, value: float) -> None:
        """A trial has finished with this value."""
        with _database_errors():
            self._study.tell(proposal.trial, value)

    def pruned(self, proposal: Proposal) -> None:
        """A trial was ended early."""
        import optuna

        with _database_errors():
            self._study.tell(proposal.trial, state=optuna.trial.TrialState.PRUNED)

    def failed(self, proposal: Proposal, reason: str | None) -> None:
        """A trial has failed for a reason; None for one that was cut off, which is proposed again."""
        import optuna

        with _database_errors():
            if reason is not None:
                proposal.trial.set_user_attr(_REASON, reason)
            self._study.tell(proposal.trial, state=optuna.trial.TrialState.FAIL)

    def _give_up_left(self) -> dict[str, dict[int, float]]:
        """Gives up what a process that is gone was training here; settings -> its epochs."""
        import optuna

        left = {}
        for trial in self._study.get_trials():
            if trial.user_attrs.get(_PLACE) == self._place and (trial.state.name == "RUNNING" or _abandoned(trial)):
                left[_key(trial.params)] = dict(trial.intermediate_values)
                if trial.state.name == "RUNNING":
                    self._study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        return left

    def _read(self, trial: optuna.trial.FrozenTrial) -> Trial | None:
        with _database_errors():
            return self._trial(trial)

    def _trial(self, trial: optuna.trial.FrozenTrial) -> Trial | None:
        statuses: dict[str, Status] = {
            "COMPLETE": "finished",
            "PRUNED": "pruned",
            "FAIL": "failed",
            "RUNNING": "running",
        }
        if _abandoned(trial) or trial.state.name not in statuses or len(trial.params) < len(self._asked.space):
            return None
        reason, place = trial.user_attrs.get(_REASON), str(trial.user_attrs.get(_PLACE, ""))
        try:
            variant = self._variant({key: self._value(key, value) for key, value in trial.params.items()})
        except InputError:  # settings that do not go together
            variant = Variant(self._asked.recipe, {key: str(value) for key, value in trial.params.items()})
        return Trial(trial.number, variant, statuses[trial.state.name], place, trial.value, reason)

    def _value(self, key: str, stored: Any) -> Any:
        one = self._asked.space[key]
        return one.values[stored] if isinstance(one, Choices) else stored

    def _variant(self, chosen: Mapping[str, Any]) -> Variant:
        (variant,) = variants([self._asked.recipe], {key: [value] for key, value in chosen.items()})
        return variant


def require_optuna() -> None:
    """Raises InputError where Optuna is not installed."""
    if importlib.util.find_spec("optuna") is None:
        raise InputError(f"a search needs Optuna, which is not installed. Install it: {INSTALL}.")


def _abandoned(trial: optuna.trial.FrozenTrial) -> bool:
    return trial.state.name == "FAIL" and _REASON not in trial.user_attrs


def _suggested(trial: optuna.Trial, key: str, one: Range | Choices) -> Any:
    if isinstance(one, Choices):
        return one.values[trial.suggest_categorical(key, list(one.values))]
    if one.whole:
        return trial.suggest_int(key, int(one.low), int(one.high), step=int(one.step or 1), log=one.log)
    return trial.suggest_float(key, one.low, one.high, step=one.step, log=one.log)


def _key(settings: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={setting_text(value)}" for key, value in sorted(settings.items()))


_START = b"SQLite format 3\0"
_WAIT = 60.0  # seconds for other processes
_MEND = "Move the file away to start again (its runs stay), or name another with --storage."
_FORMS = "--storage takes a URL as Optuna does, for example sqlite:///search.sqlite or postgresql://USER@HOST/NAME."


@contextmanager
def _database_errors() -> Iterator[None]:
    """Turns whatever a database, its driver or damaged contents raise into a StorageError."""
    try:
        yield
    except (FittingRoomError, MemoryError):
        raise
    except Exception as error:  # drivers raise classes of their own, and contents are read as JSON
        first = next(iter(str(error).strip().splitlines()), "")
        raise StorageError(
            f"the search's database cannot be used: {type(error).__name__}: {first[:300]}. {_FORMS}"
        ) from error


def _open_storage(url: str) -> optuna.storages.RDBStorage:
    """The storage that Optuna works on.

    Raises:
        StorageError: the database cannot be reached, or is a file that Optuna has not written.
    """
    if url.startswith("sqlite:///"):
        _check_file(Path(unquote(url.removeprefix("sqlite:///").partition("?")[0])))
    with _database_errors():
        import optuna

        return optuna.storages.RDBStorage(url)


def _close_storage(storage: optuna.storages.RDBStorage) -> None:
    """Closes all connections."""
    storage.remove_session()
    storage.engine.dispose()


def _check_file(path: Path) -> None:
    """Makes sure that a file is whole and has ordinary tables alone.

    A view or a trigger in place of a table would compute whatever it says, for ever if it likes.
    """
    try:
        if not path.exists() or not path.stat().st_size:
            return
        with open_file(path) as stream:
            if stream.read(len(_START)) != _START:
                raise StorageError(f"{path} is not a database of SQLite. {_MEND}")
        location = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(location, uri=True, timeout=_WAIT)) as connection:
            found = connection.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
            odd = [
                name
                for kind, name, sql in found
                if kind not in {"table", "index"} or str(sql or "").upper().startswith("CREATE VIRTUAL")
            ]
            if odd:
                raise StorageError(f"{path} was not written by a search: {str(odd[0])[:50]!r} is not a table. {_MEND}")
            damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if damage != "ok":
                raise StorageError(f"{path} is damaged: {str(damage)[:300]}. {_MEND}")
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"{path} cannot be used: {error}. {_MEND}") from error
