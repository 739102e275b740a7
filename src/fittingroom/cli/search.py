"""`fittingroom search`: recipes that Optuna proposes, and the best of them on validation."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fittingroom.cli.command import CommandOutput, CommandParser, count, file_path, table
from fittingroom.cli.run_text import nats_spread, percent_spread
from fittingroom.text import amount, number, percent, word_list

if TYPE_CHECKING:
    from fittingroom.experiments.search_result import Search

MOST_SHOWN = 10


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_argument(
        "file",
        metavar="FILE.toml",
        type=file_path,
        help="dataset, recipe, seeds, validation and [set] as for an experiment; trials; objective (accuracy or "
        "loss); and [search] with lines such as learning_rate = {low = 1e-4, high = 1e-2, log = true}, batch_size = "
        "{low = 16, high = 128, step = 16} and hidden = {choices = [128, [512, 256]]}",
    )
    parser.add_argument(
        "--trials",
        metavar="N",
        type=count,
        help="how many trials there should be in all (default: as the file says, or 20)",
    )
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="the URL of a database for Optuna, which several machines may share (default: a file in the folder)",
    )
    parser.add_argument(
        "--final", action="store_true", help="open the test set at the end, for the one trial that validation chose"
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=file_path,
        help="the search's folder, new or one to continue (default: one in FITTINGROOM_RUNS_DIR, or ./runs, that "
        "belongs to this search)",
    )
    parser.add_data_options()
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """Tries what is left to try, and says what was found."""
    from fittingroom import search

    found = search(
        arguments.file,
        trials=arguments.trials,
        storage=arguments.storage,
        data_dir=arguments.data_dir,
        image_size=arguments.image_size,
        aspect=arguments.aspect,
        color_mode=arguments.color_mode,
        out=arguments.out,
        final=arguments.final,
    )
    return CommandOutput(found.to_dict(), _text(found), 0 if found.best is not None else 1)


def _text(found: Search) -> str:
    counts = {
        status: sum(trial.status == status for trial in found.trials) for status in ("pruned", "failed", "running")
    }
    others = "".join(f", {trials} {status}" for status, trials in counts.items() if trials)
    trials = amount(len(found.trials), "trial")
    seeds = amount(len(found.plan.seeds), "seed")
    parts = [
        f"{trials} × {seeds} on {found.plan.dataset}, for {found.asked.objective} on validation{others}",
        _trials_text(found),
        "\n".join(f"Failed: {one.variant.name}: {one.reason}" for one in found.trials if one.status == "failed"),
        _winner(found),
        f"Search: {found.path}",
    ]
    return "\n\n".join(filter(None, parts))


def _trials_text(found: Search) -> str:
    """The best trials, finished ones first."""
    sign = -1 if found.asked.objective == "accuracy" else 1
    shown = [trial for trial in found.trials if trial.value is not None]
    shown.sort(key=lambda trial: (trial.status != "finished", sign * (trial.value or 0.0), trial.number))
    keys = list(found.asked.space)
    rows = [
        (
            f"{trial.number}",
            *(_short(trial.variant.settings[key]) for key in keys),
            _value(found, trial.value),
            "ended early" if trial.status == "pruned" else "",
        )
        for trial in shown[:MOST_SHOWN]
    ]
    text = table(("trial", *keys, found.asked.objective, ""), rows)
    return text if len(shown) <= MOST_SHOWN else f"{text}\nThe best {MOST_SHOWN} of {len(shown)}; --json has all."


def _value(found: Search, value: float | None) -> str:
    return percent(value, 2) if found.asked.objective == "accuracy" else number(value, 4)


def _short(text: str) -> str:
    """A setting with four digits of a number; other settings as they are."""
    try:
        return f"{float(text):.4g}" if "." in text or "e" in text else text
    except ValueError:
        return text


def _winner(found: Search) -> str:
    best, luck = found.best, found.luck
    if best is None:
        return "No trial has finished, so there is no best one."
    run = found.run_of(best)
    settings = word_list(f"{key} {text}" for key, text in best.variant.settings.items())
    lines = [f"Best on validation: trial {best.number} ({settings}), {_value(found, best.value)}."]
    if luck is not None:
        lines.append(f"Luck: {luck.sentence()}.")
    lines.append(f"Trained at {best.place}" if run is None else f"Run: {run}")
    if found.final is None:
        lines.append("Next: the same with --final opens the test set once, for this trial.")
        return "\n".join(lines)
    result = found.final
    lines += [
        f"The test set was opened for this trial alone: {result.looks}.",
        f"accuracy  {percent(result.accuracy) if len(result) == 1 else percent_spread(result.spread['accuracy'])}",
        f"loss      {nats_spread(result.spread['loss'])} nats",
        f"luck      {result.reuse.sentence(result.accuracy, result[0].scores.count)}",
    ]
    return "\n".join(lines)
