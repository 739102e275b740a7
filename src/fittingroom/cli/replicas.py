"""A run of several replicas as facts and as text: mean, spread, each one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.cli.answer import nats, percent, percent_range, table
from fittingroom.cli.facts import loss_text, run_facts
from fittingroom.evaluation.luck import look_of, points
from fittingroom.evaluation.spread import Spread
from fittingroom.runs.history import History
from fittingroom.runs.kept import without_answers
from fittingroom.runs.record import PartResult, RunRecord
from fittingroom.runs.replicas import read_records, read_replicas, replica_folder, spread_of_parts
from fittingroom.runs.store import read_history

if TYPE_CHECKING:
    from fittingroom.runs.ledger_reuse import Standings


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
        nats(validation["loss"].mean) if "loss" in validation else "-",
        *_test(path, each, standings),
    )


def percent_spread(spread: Spread) -> str:
    """`87.12% ± 0.43 (95% interval for other seeds, these images: 86.59–87.65%)`; of one replica the value alone."""
    if spread.deviation is None or spread.interval is None:
        return percent(spread.mean)
    low, high = spread.interval
    return (
        f"{100 * spread.mean:.2f}% ± {100 * spread.deviation:.2f} "
        f"(95% interval for other seeds, these images: {100 * low:.2f}–{100 * high:.2f}%)"
    )


def nats_spread(spread: Spread) -> str:
    """`0.3412 ± 0.0051`; the value alone where there is one replica."""
    if spread.deviation is None or not math.isfinite(spread.mean):
        return nats(spread.mean)
    return f"{spread.mean:.4f} ± {spread.deviation:.4f}"


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
        which = look_of(numbers[0], reuse.looks)
    return percent(mean), which, points(reuse.luck(mean, looks[0][0]["count"]))


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
    return nats(value) if column % 2 else ("-" if value is None else f"{100 * value:.2f}%")


def _epochs(histories: Sequence[History]) -> str:
    """Mean and standard deviation of each epoch's numbers over the replicas that reached it."""
    names = list(histories[0])
    rows = []
    for epoch in sorted({number for history in histories for number in history.epoch}):
        logs = [dict(zip(history.epoch, history.rows, strict=True)).get(epoch, {}) for history in histories]
        reached = [[one[name] for one in logs if name in one] for name in names]
        cells = [nats_spread(Spread.of(values)) if values else "-" for values in reached]
        rows.append((str(epoch + 1), *cells))
    return table(("epoch", *names), rows)
