"""A run as the facts and the text that several commands print: each seed, and their mean and spread."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.cli.command import table
from fittingroom.evaluation.spread import Spread
from fittingroom.runs.layout import Layout, SeedFiles, read_layout
from fittingroom.runs.record import Look, PartResult, RunRecord, Seconds
from fittingroom.runs.validation_outcomes import ValidationOutcomes
from fittingroom.text import amount, number, percent, percent_range, points, word_list

if TYPE_CHECKING:
    from fittingroom.runs.looks import Standings
    from fittingroom.tracking.events import WrittenLog

INSTEAD_OF_LOOKS = "To compare recipes, `fittingroom compare RUN RUN` needs no look: it compares on validation images."
"""What to print where test scores of several runs stand side by side."""


def run_facts(path: Path, standings: Standings | None = None) -> dict[str, Any]:
    """What `train --json` prints, and `runs --json` for each run.

    Args:
        path: the run folder.
        standings: places its looks among all looks; not needed for a run that has just been trained.
    """
    layout = read_layout(path)
    records, folders, seeds = layout.records(), layout.folders, list(layout.seeds)
    each = [_seed_facts(folders[seed], record, standings) for seed, record in records.items()]
    if len(seeds) == 1:
        return {**each[0], "seeds": seeds}
    first = each[0]
    train, validation = _spreads(records)
    return {
        "run": str(path),
        "dataset": first["dataset"],
        "recipe": first["recipe"],
        "settings": first["settings"],
        "seeds": seeds,
        "epochs": max(record.epochs for record in records.values()),
        "seconds": _seconds_facts(layout.seconds),
        "train": {name: spread.to_dict() for name, spread in train.items()},
        "validation": {name: spread.to_dict() for name, spread in validation.items()} or None,
        "per_seed": each,
    }


def logs_text(logs: Sequence[WrittenLog]) -> str:
    """Where a run was logged, a line for each place, and what is missing there."""
    return "\n".join(f"Log: {log.to}: {log.problem}" if log.problem else f"Log: {log.where}" for log in logs)


def _seed_facts(path: Path, record: RunRecord, standings: Standings | None) -> dict[str, Any]:
    return {
        "run": str(path),
        "created": record.created,
        "status": record.status,
        "reason": record.reason,
        "dataset": record.data.name,
        "recipe": record.recipe["name"],
        "settings": dict(record.recipe),
        "seed": record.seed,
        "epochs": record.epochs,
        "seconds": _seconds_facts(record.seconds),
        "train": _part_facts(record.train),
        "validation": None if record.validation is None else _part_facts(record.validation),
        "not_finite": ValidationOutcomes.why_not_finite(path, record),
        "notes": list(record.notes),
        "looks": [] if standings is None else [_look_facts(path, record, look, standings) for look in record.looks],
    }


def _seconds_facts(seconds: Seconds) -> dict[str, float]:
    return {"setup": seconds.setup, "compile": seconds.compile, "train": seconds.train}


def _part_facts(part: PartResult) -> dict[str, Any]:
    """Loss, accuracy, number of images and, for held-out images, the accuracy's interval."""
    facts: dict[str, Any] = {"loss": part.loss, "accuracy": part.accuracy, "count": part.count}
    if part.compiled_loss is not None:
        facts["compiled_loss"] = part.compiled_loss
    return facts if part.interval is None else {**facts, "interval": list(part.interval)}


def epochs_text(record: RunRecord) -> str:
    """How far the training came: `5 epochs`, or `stopped after 3 of 5 epochs: loss<0.4 after epoch 3 (...)`."""
    if not record.has_epochs:
        return "fitted, without epochs"
    if record.status == "finished":
        return amount(record.epochs, "epoch")
    planned = f" of {record.recipe['epochs']}" if "epochs" in record.recipe else ""
    why = f": {record.reason}" if record.reason else ""
    return f"{record.status} after {record.epochs}{planned} epochs{why}"


def _look_facts(path: Path, record: RunRecord, look: Look, standings: Standings) -> dict[str, Any]:
    standing = standings.of(path, record, look)
    score = look.score if standing.problem is None else None
    return {
        "time": look.time,
        "reason": look.reason,
        "score": score,
        "look": standing.look,
        "looks": standing.reuse.looks,
        "luck": None if score is None else standing.reuse.luck(score["accuracy"], score["count"]),
        "correlation": standing.reuse.correlation,
        "elsewhere": standing.elsewhere,
        "problem": standing.problem,
    }


def results_text(path: Path) -> str:
    """Loss and accuracy of each part and seed as a table, with the notes that it takes to read it."""
    layout = read_layout(path)
    records = layout.records()
    if len(layout.seeds) == 1:
        record = next(iter(records.values()))
        parts = [("training", record.train), ("validation", record.validation)]
        rows = [(name, *_part_cells(part)) for name, part in parts if part is not None]
        header = ("", "accuracy", "95% interval", "loss (nats)", "images")
        why = ValidationOutcomes.why_not_finite(path, record)
        return table(header, rows) + _compiled_loss_text(record) + ("" if why is None else f"\n{why}")
    lost = [seed for seed in layout.seeds if seed not in layout.kept]
    each = ((seed, ValidationOutcomes.why_not_finite(layout.folders[seed], record)) for seed, record in records.items())
    parts_of_text = [
        _table_of_seeds(records),
        "\n".join(f"Seed {seed}: {why}" for seed, why in each if why is not None),
        f"No epoch finished, so there are no results: {_seeds(lost)}" if lost else "",
    ]
    return "\n\n".join(filter(None, parts_of_text))


def title_text(path: Path) -> str:
    """What was trained, how far it came, and how long that took."""
    layout = read_layout(path)
    records, seconds = layout.records(), layout.seconds
    first = next(iter(records.values()))
    several = len(layout.seeds) > 1
    seeds = f": mean over {amount(len(records), 'seed')}" if several else f", seed {first.seed}: {epochs_text(first)}"
    compiling = f", compiling {seconds.compile:.1f}, training" if first.has_epochs else ", fitting"
    return (
        f"{first.recipe['name']} on {first.data.name}{seeds}\n"
        f"{seconds.total:.1f} s: set-up {seconds.setup:.1f}{compiling} {seconds.train:.1f}"
    )


def epochs_table(path: Path) -> str:
    """The numbers of each epoch; where there are several seeds, mean and deviation over those that reached it.

    An empty text where there are no epochs.
    """
    layout = read_layout(path)
    if not next(iter(layout.records().values())).has_epochs:
        return ""
    histories = [SeedFiles(folder).history() for folder in layout.folders.values()]
    rows_of = [dict(zip(history.epoch, history.rows, strict=True)) for history in histories]
    names = list(histories[0])
    rows = []
    for epoch in sorted({epoch for history in histories for epoch in history.epoch}):
        logs = [rows.get(epoch, {}) for rows in rows_of]
        reached = [[one[name] for one in logs if name in one] for name in names]
        cells = [nats_spread(Spread.of(values)) if values else "-" for values in reached]
        rows.append((str(epoch + 1), *cells))
    return table(("epoch", *names), rows)


def run_row(path: Path, standings: Standings) -> tuple[str, ...]:
    """The run's line in the table of `fittingroom runs`."""
    layout = read_layout(path)
    records = layout.records()
    first, several = next(iter(records.values())), len(layout.seeds) > 1
    _, validation = _spreads(records)
    accuracy, loss = validation.get("accuracy"), validation.get("loss")
    statuses = "/".join(sorted({record.status for record in records.values()}))
    interval = first.validation.interval if first.validation is not None else None
    spread = accuracy.interval if several and accuracy is not None else None
    interval = spread or interval
    missing = "-" if first.validation is None or several else "not finite"
    return (
        path.name,
        f"{amount(len(records), 'seed')} {statuses}" if several else statuses,
        str(max(record.epochs for record in records.values())) if first.has_epochs else "-",
        percent(None if accuracy is None else accuracy.mean),
        percent_range(interval) + ("" if spread is None else " over seeds"),
        missing if loss is None else number(loss.mean, 4),
        *_test_cells(layout, records, standings),
    )


def percent_spread(spread: Spread) -> str:
    """`87.12% ± 0.43 (95% interval for other seeds, these images: 86.59–87.65%)`; where all agree the value alone."""
    if spread.deviation is None or spread.interval is None:
        return percent(spread.mean)
    return (
        f"{percent(spread.mean, 2)} ± {number(100 * spread.deviation, 2)} "
        f"(95% interval for other seeds, these images: {percent_range(spread.interval, 2)})"
    )


def nats_spread(spread: Spread) -> str:
    """`0.3412 ± 0.0051`; the value alone of one seed, or where all agree."""
    if spread.deviation is None or spread.interval is None or not math.isfinite(spread.mean):
        return number(spread.mean, 4)
    return f"{number(spread.mean, 4)} ± {number(spread.deviation, 4)}"


def _spreads(records: Mapping[int, RunRecord]) -> tuple[dict[str, Spread], dict[str, Spread]]:
    """Loss and accuracy on the training part and on the validation part."""
    each = list(records.values())
    return PartResult.spreads([one.train for one in each]), PartResult.spreads([one.validation for one in each])


def _test_cells(layout: Layout, records: Mapping[int, RunRecord], standings: Standings) -> tuple[str, str, str]:
    """The mean of the test scores, which looks they were, and how much of the best may be luck."""
    found = [standings.scored(layout.folders[seed], record) for seed, record in records.items()]
    looks = [(look.score, standing) for look, standing in filter(None, found) if look.score is not None]
    if not looks:
        return "-", "-", "-"
    placed = [standing for _, standing in looks]
    if any(standing.problem is not None for standing in placed):
        return "not believed", "-", "-"
    mean = Spread.of(score["accuracy"] for score, _ in looks).mean
    numbers = [standing.look for standing in placed if standing.look is not None]
    reuse = max((standing.reuse for standing in placed), key=lambda reuse: reuse.looks)
    which = f"{min(numbers)}–{max(numbers)} of {reuse.looks}" if numbers else "-"
    if len(set(numbers)) == 1:
        which = reuse.place(numbers[0])
    if any(standing.elsewhere for standing in placed):
        which = "elsewhere"
    return percent(mean), which, points(100 * reuse.luck(mean, looks[0][0]["count"]), signed=True)


def _part_cells(part: PartResult) -> tuple[str, ...]:
    return percent(part.accuracy), percent_range(part.interval), _loss(part), number(part.count)


def _loss(part: PartResult | None) -> str:
    if part is None or part.loss is None:
        return "-" if part is None or not part.is_measured else "not finite"
    return number(part.loss, 4)


def _compiled_loss_text(record: RunRecord) -> str:
    """A note below the table where the training loss is not the cross-entropy; else an empty text."""
    validation = record.validation
    if validation is None or validation.compiled_loss is None:
        return ""
    return (
        "\nThe validation loss is the cross-entropy, by which runs are compared. The training loss is the one that the "
        f"model was compiled with; on the validation images it is {validation.compiled_loss:.4f}."
    )


def _table_of_seeds(records: Mapping[int, RunRecord]) -> str:
    rows: list[tuple[str, ...]] = []
    for seed, record in records.items():
        cells = [
            cell
            for part in (record.train, record.validation)
            for cell in (percent(None if part is None else part.accuracy), _loss(part))
        ]
        ended = f"{record.epochs} {record.status}" if record.has_epochs else record.status
        rows.append((str(seed), ended, *cells))
    spreads = [part.get(name) for part in _spreads(records) for name in ("accuracy", "loss")]
    rows.append(("mean", "", *(_summary(spread, index, "mean") for index, spread in enumerate(spreads))))
    if len(records) > 1:
        rows.append(("±", "", *(_summary(spread, index, "deviation") for index, spread in enumerate(spreads))))
    ended = "epochs" if all(record.has_epochs for record in records.values()) else ""
    header = ("seed", ended, "training", "loss (nats)", "validation", "loss (nats)")
    return table(header, rows, left=2)


def _summary(spread: Spread | None, column: int, figure: str) -> str:
    """A cell of the rows below the seeds; accuracies and losses take turns."""
    value = None if spread is None else getattr(spread, figure)
    return number(value, 4) if column % 2 else percent(value, 2)


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'' if len(seeds) == 1 else 's'} {word_list(seeds)}"
