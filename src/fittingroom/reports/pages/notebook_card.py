"""What a notebook shows of a run and of its history: a short card with the curves, in the notebook's own colours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from fittingroom.card_html import Html, card
from fittingroom.reports.drawing.plots import Line
from fittingroom.reports.pages.document import TEMPLATES, harmless, macros
from fittingroom.runs.history import History
from fittingroom.runs.layout import seed_folder
from fittingroom.runs.looks import Standings
from fittingroom.runs.record import PartResult, RunRecord
from fittingroom.runs.validation_outcomes import ValidationOutcomes

# What is around it is not known, light or dark: text and axes take the colour of the notebook's text, and the colours
# of the curves are between those of the light and the dark page, so that they are seen on both.
_COLORS = """
.fittingroom {
  --ink: currentColor; --muted: currentColor; --paper: transparent; --rest: currentColor;
  --line: color-mix(in srgb, currentColor 45%, transparent); --grid: color-mix(in srgb, currentColor 16%, transparent);
  --training: #2f8fd0; --validation: #d9722b;
  display: flex; flex-wrap: wrap; gap: 4px 24px; background: transparent;
}
.fittingroom figure { flex: 1 1 340px; max-width: 470px; min-width: 0; margin: 0; }
.fittingroom .drawing { display: block; }
"""


def run_card(path: Path, records: Sequence[RunRecord], histories: Sequence[History]) -> str:
    """HTML: what was trained on what, loss and accuracy of each part, and their curves.

    Args:
        path: the run folder.
        records: the `run.json` of each seed, at least one.
        histories: the numbers of each epoch, for the same seeds.
    """
    first = records[0]
    seeds = ", ".join(str(record.seed) for record in records)
    trained = f"seeds {seeds}" if len(records) > 1 else f"seed {seeds}"
    facts = [
        ("run", str(path)),
        (
            "trained" if first.has_epochs else "fitted",
            f"{trained}; {', '.join(dict.fromkeys(record.status for record in records))}",
        ),
        ("training", _part([record.train for record in records])),
        ("validation", _part([record.validation for record in records])),
        ("test set", _test(path, records)),
    ]
    why = filter(None, map(ValidationOutcomes.why_not_finite, _folders(path, records), records))
    facts += [("not finite", sentence) for sentence in dict.fromkeys(why)]
    title = f"{first.recipe['name']} on {first.data.name}"
    calls = Html("<code>.explain()</code> says what that means, <code>.report()</code> shows it.")
    return card(title, facts, parts=[_history_curves(histories)] if first.has_epochs else [], sentences=[calls])


def _part(parts: Sequence[PartResult | None]) -> str:
    """Accuracy with its interval, and loss: of one seed, or the means of several."""
    spreads = PartResult.spreads(parts)
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
    return [path] if len(records) == 1 else [seed_folder(path, record.seed) for record in records]


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


class ShownHistory(History):
    """A history that a notebook shows: its curves, and a table of its numbers."""

    def _repr_html_(self) -> str:
        return f"<div>{_history_curves([self])}{_table(self)}</div>"


def _history_curves(histories: Sequence[History]) -> str:
    """HTML: the curves of loss and accuracy; empty where the histories have no such numbers.

    Args:
        histories: one for each seed of a run.
    """
    from fittingroom.reports.drawing import figures

    rows = [list(_epochs(history)) for history in histories]
    found = figures.history_plots(rows)
    if not found:
        return ""
    write = macros("plots.html")
    pictures = "".join(
        f"<figure>{write.plot(plot, _told(quantity, lines))}</figure>" for quantity, (lines, plot) in found.items()
    )
    legend = write.legend(_legend([line for lines, _ in found.values() for line in lines]))
    return f'<div class="fittingroom"><style>{_style()}</style>{pictures}</div><div class="fittingroom">{legend}</div>'


def _epochs(history: History) -> Iterator[dict[str, Any]]:
    """The numbers of each epoch, with `epoch` counted from 1."""
    for epoch, logs in zip(history.epoch, history.rows, strict=True):
        yield {**logs, "epoch": epoch + 1}


def _told(quantity: str, lines: Sequence[Line]) -> str:
    """What a plot shows, for those who do not see it: where each curve begins and ends, as means over the seeds."""
    factor = 100 if quantity == "accuracy" else 1
    told = (f"{line.name} from {line.mean[0][1] / factor:.4f} to {line.mean[-1][1] / factor:.4f}" for line in lines)
    return f"{quantity.capitalize()} over the epochs: {', '.join(told)}"


def _style() -> str:
    """The rules of the pages' drawings, each for the inside of this output alone: a notebook has others beside it."""
    # CSS nesting would do this in the browser, but not in the older ones that notebooks run in.
    rules = (TEMPLATES / "drawing.css").read_text(encoding="utf-8").split("}")
    inside = []
    for rule in filter(str.strip, rules):
        selectors, _, body = rule.strip().partition("{")
        inside.append(f"{', '.join(f'.fittingroom {one.strip()}' for one in selectors.split(','))} {{{body}}}")
    return "\n".join([*inside, _COLORS])


def _legend(lines: Sequence[Line]) -> list[tuple[str, str]]:
    words = {"training": "training, mean over the epoch", "validation": "validation, at the end of the epoch"}
    seeds = max(len(line.seeds) for line in lines)
    told = {line.name: (f"dashed {line.color}" if line.dashed else line.color, words[line.name]) for line in lines}
    return [*told.values(), *([("thin", f"each of the {seeds} seeds; thick is their mean")] if seeds else [])]


def _table(history: History) -> str:
    """A line per epoch, counted from 1; a cell is empty where an epoch lacks the number."""
    names = list(history)
    head = "".join(f"<th>{escape(harmless(name))}</th>" for name in ("epoch", *names))
    lines = [
        [str(row["epoch"]), *(f"{row[name]:.4f}" if name in row else "" for name in names)] for row in _epochs(history)
    ]
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in line)}</tr>" for line in lines)
    return f"<table><tr>{head}</tr>{rows}</table>"
