"""`fittingroom train`: trains a recipe on a dataset and keeps the run."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fittingroom.cli.command import CommandOutput, CommandParser, count, file_path, say, seed, seeds, validation
from fittingroom.cli.run_text import logs_text, results_text, run_facts, title_text
from fittingroom.errors import FittingRoomError, InputError, Interrupted, RunError, exit_status
from fittingroom.progress import SAY_STAGES, Progress, progress_for
from fittingroom.recipes.named import NAMED, find_recipe
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.layout import read_layout
from fittingroom.runs.place import RunsFolder, is_unfinished
from fittingroom.text import word_list

if TYPE_CHECKING:
    from fittingroom.api.run import Run
    from fittingroom.engine.hosts import Hosts
    from fittingroom.tracking.events import WrittenLog

DEFAULT_DATASET = "fashion-mnist"


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_argument(
        "dataset",
        metavar="DATASET",
        nargs="?",
        default=DEFAULT_DATASET,
        help="a name that `fittingroom data` lists, or the path of a folder of pictures, an NPZ or a CSV file "
        f"(default: {DEFAULT_DATASET})",
    )
    parser.add_argument(
        "--recipe",
        metavar="NAME|FILE.toml",
        default="course",
        help=f"{', '.join(NAMED)}, a classifier of scikit-learn such as sklearn:svc (`fittingroom recipes` lists "
        "them) or a TOML file (default: course)",
    )
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        nargs="+",
        action="extend",
        default=[],
        help="change settings of the recipe, for example hidden=512,256 dropout=0.2 scale=off",
    )
    parser.add_argument("--epochs", metavar="N", help="passes over the training images, at most")
    parser.add_argument("--batch-size", metavar="N", help="images per step")
    parser.add_argument(
        "--validation",
        metavar="N",
        type=validation,
        help="images, or the fraction, of the training data to validate on; 0 trains on all of them",
    )
    chosen_seeds = parser.add_mutually_exclusive_group()
    chosen_seeds.add_argument(
        "--seed", metavar="N", type=seed, default=0, help="seed of initial weights, shuffle and dropout (default: 0)"
    )
    chosen_seeds.add_argument(
        "--seeds",
        metavar="N|LIST",
        type=seeds,
        help="train with several seeds at once: 5 for the seeds 0 to 4, or a list such as 3,7,11",
    )
    parser.add_argument(
        "--stop",
        metavar="CONDITION",
        nargs="+",
        action="extend",
        default=[],
        help="stop early: 'loss<0.4', 'accuracy>=0.6', 'val_loss rises 3' (3 epochs without a new best); quote them",
    )
    parser.add_argument(
        "--model", metavar="FILE.py:FUNCTION", help="train the Keras model that this function of yours returns"
    )
    parser.add_argument(
        "--estimator",
        metavar="MODULE:EXPRESSION",
        help="fit a classifier of scikit-learn, such as 'sklearn.svm:SVC(C=10)', or with --trust one of your own, such "
        "as 'mine.py:Mine(depth=3)'",
    )
    parser.add_argument(
        "--checkpoint-every",
        metavar="N",
        type=count,
        default=1,
        help="epochs between checkpoints, from which --resume continues (default: 1)",
    )
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="continue a stopped training: its folder, its name, or latest (--trust, --log, --json and what joins "
        "several hosts can be given too)",
    )
    parser.add_trust()
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=file_path,
        help="the run's own folder, new or empty (else a numbered one in FITTINGROOM_RUNS_DIR, or ./runs)",
    )
    parser.add_argument(
        "--log",
        metavar="TRACKER[:PLACE]",
        action="append",
        help="log the training besides: tensorboard[:DIR], mlflow[:URI], wandb[:PROJECT], csv[:FILE] or jsonl[:FILE]; "
        "give it several times for several",
    )
    parser.add_data_options()
    parser.add_lists()
    together = parser.add_argument_group("several hosts (the same command on each, but for --process-id)")
    together.add_argument(
        "--coordinator",
        metavar="HOST:PORT|auto",
        help="share one training with other processes: the address of process 0, or auto to ask Slurm, Open MPI, "
        "Kubernetes or a Cloud TPU",
    )
    together.add_argument(
        "--num-processes", metavar="N", type=count, help="how many processes there are (default: JAX_NUM_PROCESSES)"
    )
    together.add_argument(
        "--process-id",
        metavar="I",
        type=seed,
        help="the number of this one, from 0, which keeps the run (default: JAX_PROCESS_ID)",
    )
    parser.set_defaults(execute=_run)


_WITH_RESUME = frozenset({"json", "trust", "log", "coordinator", "num_processes", "process_id"})


class _SaidStages(Progress):
    """Prints what is being done before the first epoch, for the studio: features of many photographs take minutes."""

    def __init__(self) -> None:
        self._said = 0.0

    def stage(self, text: str) -> None:
        """Prints it, once a second at most."""
        if time.monotonic() - self._said >= 1:
            self._said = time.monotonic()
            say("stage", text)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """Trains, and prints the results and what to do next."""
    hosts = _joined(arguments)
    start = _resumption(arguments) if arguments.resume is not None else _training(arguments)
    status, progress = 0, _SaidStages() if os.environ.get(SAY_STAGES) else progress_for()
    logs: tuple[WrittenLog, ...] = ()
    try:
        run = start(progress=progress)
        path, logs = run.path, run.logs
    except Interrupted as interruption:
        if interruption.path is None:
            raise
        if hosts is None or hosts.leads:
            say("interrupted", str(interruption))
        path, status = interruption.path, exit_status(interruption)
    except InputError as error:
        if hosts is not None and not isinstance(error, RunError):
            hosts.leave()  # the others find the same
        raise
    finally:
        progress.finish(None)  # an error must not leave a bar behind, or a terminal without its cursor
    if hosts is not None:
        hosts.leave()
        if not hosts.leads:
            text = f"Process {hosts.index} of {hosts.count} is done; process 0 keeps the run."
            return CommandOutput({"process": hosts.index, "processes": hosts.count, "run": None}, text, status)
    _remember(arguments.out)
    text = f"{title_text(path)}\n\n{results_text(path)}\n\n{_whereabouts(path)}"
    facts = run_facts(path)
    if logs:
        facts = {**facts, "logs": [log.to_dict() for log in logs]}
        text += f"\n{logs_text(logs)}"
    return CommandOutput(facts, text, status)


def _joined(arguments: argparse.Namespace) -> Hosts | None:
    """Joins the other processes of a training over several hosts; None where there are none.

    Raises:
        InputError: they cannot be joined, or an option needs `--coordinator`.
    """
    if arguments.coordinator is None:
        for name in ("num_processes", "process_id"):
            if getattr(arguments, name) is not None:
                raise InputError(f"--{name.replace('_', '-')} needs --coordinator, too: the address of process 0.")
        return None
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # JAX's network warns of what `Hosts` takes care of
    from fittingroom.engine.hosts import Hosts

    return Hosts.join(arguments.coordinator, arguments.num_processes, arguments.process_id)


def _training(arguments: argparse.Namespace) -> Callable[..., Run]:
    """A new training."""
    recipe = _chosen_recipe(arguments)
    from fittingroom import train

    options = {} if arguments.seeds is None else {"seeds": arguments.seeds}
    return partial(
        train,
        arguments.dataset,
        recipe,
        seed=arguments.seed,
        validation=arguments.validation,
        data_dir=arguments.data_dir,
        image_size=arguments.image_size,
        aspect=arguments.aspect,
        color_mode=arguments.color_mode,
        exclude=arguments.exclude,
        relabel=arguments.relabel,
        checkpoint_every=arguments.checkpoint_every,
        out=arguments.out,
        log=arguments.log,
        trust=arguments.trust,
        **options,
    )


def _resumption(arguments: argparse.Namespace) -> Callable[..., Run]:
    """A stopped training that is resumed, with the settings that it was started with."""
    parser = CommandParser()
    configure(parser)
    without = vars(parser.parse_args(["--resume", arguments.resume]))
    said = [
        f"--{name.replace('_', '-')}" if name != "dataset" else "DATASET"
        for name, value in without.items()
        if name not in _WITH_RESUME and getattr(arguments, name) != value
    ]
    if said:
        raise InputError(
            f"--resume continues a training with its own settings, so {word_list(said)} cannot be given too. Remove "
            f"{'it' if len(said) == 1 else 'them'}, or start a new training without --resume."
        )
    from fittingroom import resume

    return partial(resume, arguments.resume, trust=arguments.trust, log=arguments.log)


def _chosen_recipe(arguments: argparse.Namespace) -> Recipe:
    """The recipe that `--recipe` names, changed by the other options.

    Raises:
        InputError: a setting is unknown, or has a value that it cannot have.
    """
    recipe = find_recipe(arguments.recipe)
    for text in arguments.set:
        if "=" not in text:
            hint = _misplaced(text, arguments.dataset)
            raise InputError(f"--set {text!r}: expected KEY=VALUE, for example hidden=512.{hint}")
    names = ("epochs", "batch_size", "model", "estimator")
    options = {name: getattr(arguments, name) for name in names}
    recipe = recipe.with_settings([*arguments.set, *(f"{key}={text}" for key, text in options.items() if text)])
    try:
        return recipe.changed(stop=(*recipe.stop, *arguments.stop))
    except InputError as error:
        hint = _misplaced(arguments.stop[-1], arguments.dataset)
        raise InputError(f"--stop: {error}{hint}") from error


def _misplaced(text: str, dataset: str) -> str:
    """A hint for `train --set KEY=VALUE digits`, where the dataset was read as a second setting."""
    if dataset != DEFAULT_DATASET or not text.replace("-", "").isalnum():
        return ""
    return f" If {text!r} is the dataset, put it before the options: fittingroom train {text} ..."


def _remember(out: Path | None) -> None:
    """Lists a run that lies elsewhere with the others, where there is a folder of runs."""
    if out is not None and RunsFolder().path.is_dir():
        with suppress(FittingRoomError):  # the run is written, and that is what counts
            RunsFolder().add_elsewhere(out)


def _whereabouts(path: Path) -> str:
    if is_unfinished(path):
        return f"Run: {path}\nNext: `fittingroom train --resume {path}` continues it while its test set is closed."

    run = "" if RunsFolder().runs()[:1] == [path] else f" {path}"
    data = next(iter(read_layout(path).records().values())).data
    test = f";\n      `fittingroom evaluate{run}` opens the sealed test set." if data.has_test_set else "."
    return (
        f"Run: {path}\n"
        f"Next: `fittingroom explain{run}` and `fittingroom report{run}` tell and show what loss and accuracy say{test}"
    )
