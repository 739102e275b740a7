"""What a notebook shows of a run: a short card with its curves, read from its record and its history."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from fittingroom.reports.curves import curves_shown
from fittingroom.reports.document import harmless
from fittingroom.runs.history import History
from fittingroom.runs.ledger_reuse import Standings
from fittingroom.runs.place import holds_replicas
from fittingroom.runs.record import PartResult, RunRecord
from fittingroom.runs.replicas import replica_folder, spread_of_parts
from fittingroom.runs.store import without_answers

_CELL = 'style="text-align:left;padding:2px 12px 2px 0"'


def run_card(path: Path, records: Sequence[RunRecord], histories: Sequence[History]) -> str:
    """HTML: what was trained on what, loss and accuracy of each part, and their curves.

    Args:
        path: the run folder.
        records: of its replicas, at least one.
        histories: of the same replicas.
    """
    first = records[0]
    seeds = ", ".join(str(record.seed) for record in records)
    replicas = f"{len(records)} replicas, seeds {seeds}" if len(records) > 1 else f"seed {seeds}"
    facts = [
        ("run", str(path)),
        ("trained", f"{replicas}; {', '.join(dict.fromkeys(record.status for record in records))}"),
        ("training", _part([record.train for record in records])),
        ("validation", _part([record.validation for record in records])),
        ("test set", _test(path, records)),
    ]
    why = filter(None, map(without_answers, _folders(path, records), records))
    facts += [("not finite", sentence) for sentence in dict.fromkeys(why)]
    rows = "".join(f"<tr><th {_CELL}>{escape(name)}</th><td {_CELL}>{_text(value)}</td></tr>" for name, value in facts)
    title = f"{_text(str(first.recipe['name']))} on {_text(first.data.name)}"
    calls = "<code>.explain()</code> says what that means, <code>.report()</code> shows it."
    return f"<div><b>{title}</b><table>{rows}</table>{curves_shown(histories)}<small>{calls}</small></div>"


def _text(value: str) -> str:
    return escape(harmless(value))


def _part(parts: Sequence[PartResult | None]) -> str:
    """Accuracy with its interval, and loss: of one replica, or the means of several."""
    spreads = spread_of_parts(parts)
    told = []
    if "accuracy" in spreads:
        spread, only = spreads["accuracy"], parts[0]
        interval = spread.interval if len(parts) > 1 or only is None else only.interval
        what = "95% interval for other seeds, these images" if len(parts) > 1 else "95% interval"
        # An interval of few seeds may reach beyond what a share can be.
        low, high = (None, None) if interval is None else (max(100 * interval[0], 0), min(100 * interval[1], 100))
        ends = "" if low is None else f" ({what}: {low:.1f} to {high:.1f}%)"
        told.append(f"accuracy {100 * spread.mean:.1f}%{ends}")
    if "loss" in spreads:
        told.append(f"loss {spreads['loss'].mean:.4f} nats")
    return ", ".join(told) or "none"


def _folders(path: Path, records: Sequence[RunRecord]) -> list[Path]:
    return [replica_folder(path, record.seed) if holds_replicas(path) else path for record in records]


def _test(path: Path, records: Sequence[RunRecord]) -> str:
    standings = Standings()
    pairs = zip(_folders(path, records), records, strict=True)
    found = [one for one in (standings.scored(folder, record) for folder, record in pairs) if one is not None]
    if not found:
        return "sealed" if records[0].data.has_test_set else "none"
    if problem := next((standing.problem for _, standing in found if standing.problem is not None), None):
        return f"not believed: {problem}"
    scores = [look.score for look, _ in found if look.score is not None]
    return f"opened; accuracy {', '.join(format(100 * score['accuracy'], '.1f') for score in scores)}%"
