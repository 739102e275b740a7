"""A run as the facts that several commands print.

A run of several replicas as facts and as text: mean, spread, each one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.cli.command import table
from fittingroom.evaluation.spread import Spread
from fittingroom.runs.history import History
from fittingroom.runs.record import Look, PartResult, RunRecord
from fittingroom.runs.replicas import read_records, read_replicas, replica_folder, spread_of_parts
from fittingroom.runs.store import read_history, without_answers
from fittingroom.text import amount, number, percent, percent_range, points

if TYPE_CHECKING:
    from fittingroom.evaluation.luck import Reuse
    from fittingroom.runs.ledger_reuse import Standings

INSTEAD_OF_LOOKS = "To compare recipes, `fittingroom compare RUN RUN` needs no look: it compares on validation images."
"""What to say where test scores of several runs meet."""

NO_TEST_SET = "This run has no test set: it was trained on plain arrays, or on a dataset without one."
"""What to say where the test set of a run is spoken of and there is none."""


def run_facts(path: Path, record: RunRecord, standings: Standings | None = None) -> dict[str, Any]:
    """What `train --json` prints, and `runs --json` for each run.

    Args:
        path: the run folder.
        record: what it says.
        standings: places its looks among all looks; not needed for a run that has just been trained.
    """
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
        "seconds": {
            "setup": record.seconds.setup,
            "compile": record.seconds.compile,
            "train": record.seconds.train,
        },
        "train": part_facts(record.train),
        "validation": None if record.validation is None else part_facts(record.validation),
        "not_finite": without_answers(path, record),
        "notes": list(record.notes),
        "looks": [] if standings is None else [_look_facts(path, record, look, standings) for look in record.looks],
    }


def part_facts(part: PartResult) -> dict[str, Any]:
    """Loss, accuracy, number of images and, for held-out images, the accuracy's interval."""
    facts: dict[str, Any] = {"loss": part.loss, "accuracy": part.accuracy, "count": part.count}
    if part.compiled_loss is not None:
        facts["compiled_loss"] = part.compiled_loss
    return facts if part.interval is None else {**facts, "interval": list(part.interval)}


def loss_text(part: PartResult | None) -> str:
    """The loss of a part for a table: `0.3352`, `not finite`, or a hyphen where there is no such part."""
    return "-" if part is None else "not finite" if part.loss is None else number(part.loss, 4)


def not_finite_text(path: Path, record: RunRecord) -> str:
    """What belongs below a table of results whose validation loss is not finite; else nothing."""
    why = without_answers(path, record)
    return "" if why is None else f"\n{why}"


def compiled_loss_text(record: RunRecord) -> str:
    """What belongs below a table of results where the loss of training is not the cross-entropy; else nothing."""
    validation = record.validation
    if validation is None or validation.compiled_loss is None:
        return ""
    return (
        "\nThe validation loss is the cross-entropy, by which runs are compared. The training loss is the one that the "
        f"model was compiled with; on the validation images that is {validation.compiled_loss:.4f}."
    )


def epochs_text(record: RunRecord) -> str:
    """How far the training came: `5 epochs`, or `stopped after 3 of 5 epochs: loss<0.4 after epoch 3 (...)`."""
    if record.status == "finished":
        return amount(record.epochs, "epoch")
    planned = f" of {record.recipe['epochs']}" if "epochs" in record.recipe else ""
    why = f": {record.reason}" if record.reason else ""
    return f"{record.status} after {record.epochs}{planned} epochs{why}"


def luck(score: Mapping[str, Any], reuse: Reuse) -> float:
    """What the best of all looks so far is worth by luck alone, as a share of the images."""
    return reuse.luck(score["accuracy"], score["count"])


def _look_facts(path: Path, record: RunRecord, look: Look, standings: Standings) -> dict[str, Any]:
    standing = standings.of(path, record, look)
    score = look.score if standing.problem is None else None
    return {
        "time": look.time,
        "reason": look.reason,
        "score": score,
        "look": standing.look,
        "looks": standing.reuse.looks,
        "luck": None if score is None else luck(score, standing.reuse),
        "correlation": standing.reuse.correlation,
        "elsewhere": standing.elsewhere,
        "problem": standing.problem,
    }


def replicas_facts(path: Path, standings: Standings | None = None) -> dict[str, Any]:
    """What `train --seeds --json` prints, and `runs --json` for such a run."""
    record, each = read_replicas(path), read_records(path)
    first = next(iter(each.values()))
    train, validation = _spreads(each)
    return {
        "run": str(path),
        "dataset": first.data.name,
        "recipe": first.recipe["name"],
        "settings": dict(first.recipe),
        "seeds": list(record.seeds),
        "epochs": max(one.epochs for one in each.values()),
        "seconds": {part: getattr(record.seconds, part) for part in ("setup", "compile", "train")},
        "train": {name: spread.to_dict() for name, spread in train.items()},
        "validation": {name: spread.to_dict() for name, spread in validation.items()} or None,
        "replicas": [run_facts(replica_folder(path, seed), one, standings) for seed, one in each.items()],
    }


def history_facts(path: Path) -> list[dict[str, Any]]:
    """The history of each replica."""
    return [{"seed": seed, **read_history(replica_folder(path, seed)).history} for seed in read_replicas(path).kept]


def replicas_text(path: Path, *, epochs: bool = False) -> str:
    """The run for people; on request with the mean of each epoch."""
    record, each = read_replicas(path), read_records(path)
    first, seconds = next(iter(each.values())), record.seconds
    lost = [str(seed) for seed in record.seeds if seed not in record.kept]
    parts = [
        f"{first.recipe['name']} on {first.data.name}: {len(each)} replicas\n"
        f"{seconds.total:.1f} s: set-up {seconds.setup:.1f}, compiling {seconds.compile:.1f}, training "
        f"{seconds.train:.1f}",
        _results(each),
        "\n".join(f"Seed {seed}: {why}" for seed, why in _not_finite(path, each)),
        f"Without a finished epoch, and so without a run: seeds {', '.join(lost)}" if lost else "",
        _epochs([read_history(replica_folder(path, seed)) for seed in each]) if epochs else "",
    ]
    return "\n\n".join(filter(None, parts))


def replicas_row(path: Path, standings: Standings) -> tuple[str, ...]:
    """The run's line in the table of `fittingroom runs`."""
    each = read_records(path)
    _, validation = _spreads(each)
    statuses = sorted({one.status for one in each.values()})
    interval = validation["accuracy"].interval if "accuracy" in validation else None
    return (
        path.name,
        f"{len(each)} replicas {'/'.join(statuses)}",
        str(max(one.epochs for one in each.values())),
        percent(validation["accuracy"].mean) if "accuracy" in validation else "-",
        "-" if interval is None else f"{percent_range(interval)} over seeds",
        number(validation["loss"].mean, 4) if "loss" in validation else "-",
        *_test(path, each, standings),
    )


def percent_spread(spread: Spread) -> str:
    """`87.12% ± 0.43 (95% interval for other seeds, these images: 86.59–87.65%)`; of one replica the value alone."""
    if spread.deviation is None or spread.interval is None:
        return percent(spread.mean)
    return (
        f"{percent(spread.mean, 2)} ± {number(100 * spread.deviation, 2)} "
        f"(95% interval for other seeds, these images: {percent_range(spread.interval, 2)})"
    )


def nats_spread(spread: Spread) -> str:
    """`0.3412 ± 0.0051`; the value alone where there is one replica."""
    if spread.deviation is None or not math.isfinite(spread.mean):
        return number(spread.mean, 4)
    return f"{number(spread.mean, 4)} ± {number(spread.deviation, 4)}"


def _spreads(each: Mapping[int, RunRecord]) -> tuple[dict[str, Spread], dict[str, Spread]]:
    """Loss and accuracy on the training part and on the validation part."""
    records = list(each.values())
    return spread_of_parts([one.train for one in records]), spread_of_parts([one.validation for one in records])


def _test(path: Path, each: Mapping[int, RunRecord], standings: Standings) -> tuple[str, str, str]:
    """The mean of the test scores, which looks they were, and how much of the best may be luck."""
    found = [standings.scored(replica_folder(path, seed), one) for seed, one in each.items()]
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
    return percent(mean), which, points(100 * reuse.luck(mean, looks[0][0]["count"]), signed=True)


def _not_finite(path: Path, each: Mapping[int, RunRecord]) -> Iterator[tuple[int, str]]:
    """Seeds whose validation loss is not finite, and why."""
    for seed, record in each.items():
        if (why := without_answers(replica_folder(path, seed), record)) is not None:
            yield seed, why


def _results(each: Mapping[int, RunRecord]) -> str:
    rows: list[tuple[str, ...]] = [
        (
            str(seed),
            f"{one.epochs} {one.status}",
            *_part(one.train),
            *_part(one.validation),
        )
        for seed, one in each.items()
    ]
    spreads = [part.get(name) for part in _spreads(each) for name in ("accuracy", "loss")]
    rows.append(("mean", "", *(_summary(spread, index, "mean") for index, spread in enumerate(spreads))))
    if len(each) > 1:
        rows.append(("±", "", *(_summary(spread, index, "deviation") for index, spread in enumerate(spreads))))
    header = ("seed", "epochs", "training", "loss (nats)", "validation", "loss (nats)")
    return table(header, rows, left=2)


def _part(part: PartResult | None) -> tuple[str, str]:
    return percent(None if part is None else part.accuracy), loss_text(part)


def _summary(spread: Spread | None, column: int, figure: str) -> str:
    """A cell of the rows below the replicas; accuracies and losses take turns."""
    value = None if spread is None else getattr(spread, figure)
    return number(value, 4) if column % 2 else percent(value, 2)


def _epochs(histories: Sequence[History]) -> str:
    """Mean and standard deviation of each epoch's numbers over the replicas that reached it."""
    names = list(histories[0])
    rows = []
    for epoch in sorted({epoch for history in histories for epoch in history.epoch}):
        logs = [dict(zip(history.epoch, history.rows, strict=True)).get(epoch, {}) for history in histories]
        reached = [[one[name] for one in logs if name in one] for name in names]
        cells = [nats_spread(Spread.of(values)) if values else "-" for values in reached]
        rows.append((str(epoch + 1), *cells))
    return table(("epoch", *names), rows)
