"""`fittingroom experiment`: recipes with several seeds each, trained and compared on validation."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fittingroom.cli.command import CommandOutput, CommandParser, file_path, seeds, table, validation
from fittingroom.cli.compare import letter, pairs_text
from fittingroom.cli.run_text import nats_spread, percent_spread
from fittingroom.errors import InputError
from fittingroom.recipes.named import NAMED, find_recipe
from fittingroom.text import amount, number, percent, percent_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fittingroom.evaluation.comparison import Comparison
    from fittingroom.experiments.experiment import Experiment
    from fittingroom.experiments.summary import Summary
    from fittingroom.recipes.recipe import Recipe

DEFAULT_DATASET, DEFAULT_RECIPE = "fashion-mnist", "course"


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_argument(
        "dataset",
        metavar="DATASET|FILE.toml",
        nargs="?",
        default=DEFAULT_DATASET,
        help="a name that `fittingroom data` lists, or the path of a folder of pictures, an NPZ or a CSV file; or a "
        "TOML file with the whole experiment: dataset, recipe, seeds, validation, [set], [vary] (default: "
        f"{DEFAULT_DATASET})",
    )
    parser.add_argument(
        "--vary",
        metavar="KEY=VALUE,VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="settings of the recipe to try in every combination, for example hidden=128,512 batch_size=32,128; a list "
        "goes in brackets: 'hidden=128,[512,256],[]' tries one layer, two and none",
    )
    parser.add_argument(
        "--recipe",
        metavar="NAME|FILE.toml",
        nargs="+",
        help=f"the recipe to change, or several: {', '.join(NAMED)}, classifiers such as sklearn:svc, or TOML files "
        f"(default: {DEFAULT_RECIPE})",
    )
    parser.add_argument(
        "--set", metavar="KEY=VALUE", nargs="+", action="extend", default=[], help="change settings of all recipes"
    )
    parser.add_argument(
        "--seeds",
        metavar="N|LIST",
        type=seeds,
        help="seeds of each recipe: 5 for the seeds 0 to 4, or a list such as 3,7,11 (default: 5)",
    )
    parser.add_argument(
        "--validation",
        metavar="N",
        type=validation,
        help="training images to hold out and compare the recipes on: a number, or a fraction below 1",
    )
    parser.add_argument(
        "--final", action="store_true", help="open the test set at the end, for the one recipe that validation chose"
    )
    parser.add_argument(
        "--executor",
        metavar="NAME",
        default="local",
        help="what trains: local, this process on all its cores; or ray, one training on each core of a Ray cluster "
        "(needs fittingroom[ray]) (default: local)",
    )
    parser.add_argument(
        "--address",
        metavar="ADDRESS",
        help="the address of the Ray cluster, for example auto, HOST:PORT or ray://HOST:PORT (default: RAY_ADDRESS, "
        "else a cluster of this machine's cores)",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=file_path,
        help="the experiment's folder, new or one to continue (default: one in FITTINGROOM_RUNS_DIR, or ./runs, that "
        "belongs to these recipes and data)",
    )
    parser.add_data_options()
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """Trains what is missing, and says what came of it."""
    recipes, vary = _chosen_recipes(arguments), _chosen_vary(arguments.vary)
    from fittingroom import experiment

    done = experiment(
        arguments.dataset,
        recipes,
        vary=vary,
        seeds=arguments.seeds,
        validation=arguments.validation,
        data_dir=arguments.data_dir,
        image_size=arguments.image_size,
        aspect=arguments.aspect,
        color_mode=arguments.color_mode,
        out=arguments.out,
        final=arguments.final,
        executor=arguments.executor,
        address=arguments.address,
    )
    return CommandOutput(done.to_dict(), _text(done), 0 if any(cell.status == "done" for cell in done.cells) else 1)


def _chosen_recipes(arguments: argparse.Namespace) -> list[Recipe] | None:
    """The recipes to begin with, as `--recipe` and `--set` say; None where neither is given.

    Raises:
        InputError: a recipe is unknown, or a setting makes no sense.
    """
    for text in arguments.set:
        if "=" not in text:
            raise InputError(f"--set {text!r}: expected KEY=VALUE, for example epochs=3.")
    if arguments.recipe is None and not arguments.set:
        return None
    return [find_recipe(name).with_settings(arguments.set) for name in arguments.recipe or [DEFAULT_RECIPE]]


def _chosen_vary(texts: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    """What `--vary` says.

    Raises:
        InputError: a text cannot be read, or a key is there twice.
    """
    from fittingroom.experiments.plan import parse_vary

    vary: dict[str, tuple[Any, ...]] = {}
    for text in texts:
        key, values = parse_vary(text)
        if key in vary:
            raise InputError(f"--vary {key} is given twice. Give all its values at once: --vary {key}=A,B,C.")
        vary[key] = values
    return vary


def _text(done: Experiment) -> str:
    count = sum(cell.status == "done" for cell in done.cells)
    letters = [letter(index) for index in range(len(done.recipes))]
    parts = [
        f"{amount(len(done.recipes), 'recipe')} × {amount(len(done.plan.seeds), 'seed')} on {done.plan.dataset}: "
        f"{count} of {len(done.cells)} cells done",
        _recipes_text(done, letters),
        "\n".join(_failures(done)),
        "" if done.comparison is None else _comparison_text(done, done.comparison, letters),
        _choice(done),
        f"Experiment: {done.path}\nPage: {done.page}\nTables: {done.epochs_csv.name} (every cell and epoch), "
        f"{done.cells_csv.name} (every cell), in that folder, and both as .parquet",
    ]
    return "\n\n".join(filter(None, parts))


def _recipes_text(done: Experiment, letters: Sequence[str]) -> str:
    front = {one.variant.digest for one in done.pareto}
    header = ("", "recipe", "seeds", "accuracy", "95% interval", "loss (nats)", "seconds", "parameters", "front")
    rows = [
        (
            name,
            one.variant.name,
            f"{len(one.done)}" if one.complete else f"{len(one.done)} of {len(one.cells)}",
            *_numbers(one),
            "*" if one.variant.digest in front else "",
        )
        for name, one in zip(letters, done.recipes, strict=True)
    ]
    return (
        f"{table(header, rows, left=2)}\n"
        "Means over seeds on validation images; intervals are for other seeds on these images; seconds of training. "
        "Front (*): no other recipe is as accurate, as fast and as small, by these means."
    )


def _numbers(one: Summary) -> tuple[str, ...]:
    return (
        percent(None if one.accuracy is None else one.accuracy.mean, 2),
        percent_range(one.interval),
        number(None if one.loss is None else one.loss.mean, 4),
        number(None if one.seconds is None else one.seconds.mean, 2),
        number(one.parameters),
    )


def _failures(done: Experiment) -> list[str]:
    return [
        f"Failed: {cell.cell.variant.name}, seed {cell.cell.seed}: {cell.reason}"
        for cell in done.cells
        if cell.status == "failed"
    ]


def _comparison_text(done: Experiment, comparison: Comparison, letters: Sequence[str]) -> str:
    """The chosen recipe against each other one; all pairs where there is none."""
    own = [name for name, one in zip(letters, done.recipes, strict=True) if one.done]
    best = None if done.chosen is None else comparison.names.index(done.chosen.variant.name)
    pairs = [pair for pair in comparison.pairs if best is None or best in {pair.first, pair.second}]
    return "\n".join(
        [
            pairs_text(pairs, own, several=len(comparison.pairs) > 1),
            "",
            *(pair.verdict(own) for pair in pairs),
            *(f"Note: {note}" for note in comparison.notes),
        ]
    )


def _choice(done: Experiment) -> str:
    """Which recipe validation chose, and its score on the test set if that was opened."""
    best = done.chosen
    if best is None:
        return "No recipe has finished with all seeds, so none is chosen."
    count = sum(one.accuracy is not None for one in done.recipes)
    flattered = f", the best of {count}, so its validation accuracy is a little too high" if count > 1 else ""
    text = f"Validation chooses {best.variant.name}{flattered}."
    if done.final is None:
        return f"{text}\nNext: the same with --final opens the test set once, for this recipe."
    result = done.final
    return (
        f"{text}\nThe test set was opened for this recipe alone: {result.looks}.\n"
        f"accuracy  {percent(result.accuracy) if len(result) == 1 else percent_spread(result.spread['accuracy'])}\n"
        f"loss      {nats_spread(result.spread['loss'])} nats\n"
        f"luck      {result.reuse.sentence(result.accuracy, result[0].scores.count)}"
    )
