"""The checks that there are, and the order in which an audit makes them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fittingroom.audits.check import AuditSubject, CheckResult


@dataclass(frozen=True)
class _Check:
    """Where a check is, and whether it needs a run."""

    function: str  # imported when the check is made: some need scikit-learn or a backbone
    needs_run: bool = False

    def __call__(self, subject: AuditSubject) -> CheckResult:
        module, _, name = self.function.rpartition(".")
        check: Callable[[AuditSubject], CheckResult] = getattr(importlib.import_module(module), name)
        return check(subject)


CHECKS: Mapping[str, _Check] = MappingProxyType(
    {
        "raw-data": _Check("fittingroom.audits.raw_data.check_raw_data"),
        "duplicates": _Check("fittingroom.audits.duplicates.check_duplicates"),
        "labels": _Check("fittingroom.audits.label_suspects.check_labels"),
        "measures": _Check("fittingroom.audits.measures.check_measures", needs_run=True),
        "slices": _Check("fittingroom.audits.slices.check_slices", needs_run=True),
        "robustness": _Check("fittingroom.audits.robustness.check_robustness", needs_run=True),
        "unlike": _Check("fittingroom.audits.other_images.check_other_images", needs_run=True),
    }
)
"""By the name that `--only` takes, in the order in which they are made: what is quick and often found first."""
