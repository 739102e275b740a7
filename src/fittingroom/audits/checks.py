"""The checks that there are, the order in which an audit makes them, and how one is made or its kept result taken."""

from __future__ import annotations

import dataclasses
import importlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fittingroom.audits.check import AuditSubject, CheckResult
from fittingroom.audits.kept_results import KeptResults, results_in
from fittingroom.errors import FittingRoomError, InputError, UnknownNameError


@dataclass(frozen=True)
class _Check:
    """Where a check is, and what is known of it before it is made.

    Args:
        function: imported when the check is made: some need scikit-learn or a backbone.
        title: as a heading, where the check was not made.
        needs_run: whether it examines a model.
        version: raised when the check changes what it says, so that kept results of before are made again.
    """

    function: str
    title: str
    needs_run: bool = False
    version: int = 1

    def __call__(self, subject: AuditSubject) -> CheckResult:
        module, _, name = self.function.rpartition(".")
        check: Callable[[AuditSubject], CheckResult] = getattr(importlib.import_module(module), name)
        return check(subject)


_ROOM = "fittingroom.audits"

CHECKS: Mapping[str, _Check] = MappingProxyType(
    {
        "raw-data": _Check(f"{_ROOM}.raw_data.check_raw_data", "Raw data"),
        "duplicates": _Check(f"{_ROOM}.duplicates.check_duplicates", "Duplicates", version=2),
        "labels": _Check(f"{_ROOM}.label_suspects.check_labels", "Label suspects", version=2),
        "measures": _Check(f"{_ROOM}.accuracy_measures.check_measures", "Measures", needs_run=True),
        "slices": _Check(f"{_ROOM}.slices.check_slices", "Slices", needs_run=True),
        "robustness": _Check(f"{_ROOM}.robustness.check_robustness", "Robustness", needs_run=True),
        "unlike": _Check(f"{_ROOM}.other_images.check_other_images", "Unlike images", needs_run=True),
    }
)
"""By the name that `--only` takes, in the order in which they are made: what is quick and often found first."""


def chosen_checks(only: str | Sequence[str] | None) -> tuple[str, ...]:
    """The names of the checks that `only` means, in the order of `CHECKS`; all for None.

    Args:
        only: one name, several between commas, or a list of names.

    Raises:
        UnknownNameError: there is no such check.
        InputError: none is named.
    """
    if only is None:
        return tuple(CHECKS)
    names = [name.strip() for name in (only.split(",") if isinstance(only, str) else only)]
    for name in filter(None, names):
        if name not in CHECKS:
            raise UnknownNameError("check", name, CHECKS)
    if not any(names):
        raise InputError(f"only={only!r} names no check. Known: {', '.join(CHECKS)}.")
    return tuple(name for name in CHECKS if name in names)


def make_checks(
    subject: AuditSubject, names: Sequence[str], kept: KeptResults, *, again: bool = False
) -> Iterator[CheckResult]:
    """The results of some checks, each as soon as it is there, and kept for the next time.

    A check that cannot be made because of its data, or because something cannot be written, is `not examined`, with
    the reason: the others are made all the same.

    Args:
        subject: what is audited.
        names: of the checks.
        kept: where results lie.
        again: whether checks are made again whose results lie there.
    """
    for name in names:
        check = CHECKS[name]
        found = None if again else kept.read(name, check.version)
        if found is not None:
            yield found
        elif check.needs_run and subject.predictor is None:
            why = "This check examines a model. Train one, and audit its run: fittingroom audit latest."
            yield CheckResult(name, check.title, "not examined", (why,))
        else:
            result = _made(name, check, subject)
            if result.verdict != "not examined":
                kept.write(result, check.version)
            yield result


def _made(name: str, check: _Check, subject: AuditSubject) -> CheckResult:
    """The result of a check that is made now, with the time that it took."""
    start = time.perf_counter()
    try:
        result = check(subject)
    except FittingRoomError as error:
        result = CheckResult(name, check.title, "not examined", (f"This check could not be made: {error}",))
    return dataclasses.replace(result, seconds=round(time.perf_counter() - start, 3))


def kept_results(run: Path) -> dict[str, dict[str, Any]]:
    """What an audit has found of a run as it is now, by the names of the checks, in their order. Nothing is examined.

    Each is what `CheckResult.to_dict` gives, and `made`, when it was made, ISO 8601, UTC.

    Raises:
        RunError: the folder is not a run, or is damaged.
    """
    found = results_in(run)
    return {name: found[name][0] for name, check in CHECKS.items() if name in found and found[name][1] == check.version}
