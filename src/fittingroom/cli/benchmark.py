"""`fittingroom benchmark`: methods on several datasets, with what holds on each of them and on the next one."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fittingroom.cli.command import CommandOutput, CommandParser, file_path, seeds, table, validation
from fittingroom.text import amount, file_size, number, percent, percent_range

if TYPE_CHECKING:
    from fittingroom.experiments.benchmark_result import Benchmark
    from fittingroom.experiments.method_result import MethodResult

_LONGEST = 60  # characters of an estimator in a table
_MOST_FAILURES = 20


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_argument(
        "datasets",
        metavar="DATASET|FILE.toml",
        nargs="*",
        help="names that `fittingroom data` lists, or paths of folders of pictures, NPZ or CSV files; or one TOML file "
        "with the whole benchmark: datasets, methods, seeds, trials, time_limit, validation; none for the standing "
        "benchmark of 8 datasets, 17 methods and 5 seeds, half an hour on two cores",
    )
    parser.add_argument(
        "--methods",
        metavar="NAME|FILE.toml",
        nargs="+",
        help="recipes to compare, networks and classifiers of scikit-learn: for example course cnn sklearn:knn",
    )
    parser.add_argument(
        "--seeds",
        metavar="N|LIST",
        type=seeds,
        help="seeds of each method: 5 for the seeds 0 to 4, or a list such as 3,7,11 (default: 5)",
    )
    parser.add_argument(
        "--trials",
        metavar="N",
        type=int,
        help="settings of each method to try on each dataset, its own among them; validation chooses (default: 1)",
    )
    parser.add_argument(
        "--time-limit",
        metavar="SECONDS",
        type=float,
        help="end a training after so many seconds, and count it as failed (default: no limit)",
    )
    parser.add_argument(
        "--validation",
        metavar="N",
        type=validation,
        help="training images of each dataset to hold out: a number, or a fraction below 1",
    )
    parser.add_argument("--data-dir", type=file_path, metavar="DIR", help="folder with the datasets' files")
    parser.add_argument(
        "--final",
        action="store_true",
        help="at the end, open the test part of each dataset once, for all methods, and compare on it",
    )
    parser.add_argument(
        "--executor",
        metavar="NAME",
        default="processes",
        help="what trains: processes, one on each core of this machine; or ray, one training on each core of a Ray "
        "cluster (needs fittingroom[ray]) (default: processes)",
    )
    parser.add_argument("--workers", metavar="N", type=int, help="trainings at once (default: one on each core)")
    parser.add_argument(
        "--address",
        metavar="ADDRESS",
        help="the address of the Ray cluster, for example auto, HOST:PORT or ray://HOST:PORT (default: RAY_ADDRESS, "
        "else a cluster of this machine's cores)",
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="allow estimators that are not scikit-learn's own to be imported and run",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=file_path,
        help="the benchmark's folder, new or one to continue (default: one in FITTINGROOM_RUNS_DIR, or ./runs, that "
        "belongs to these methods and data)",
    )
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """Trains what is missing, and says what came of it."""
    from fittingroom import benchmark

    given = arguments.datasets
    done = benchmark(
        given[0] if len(given) == 1 else given or None,
        arguments.methods,
        arguments.seeds,
        trials=arguments.trials,
        time_limit=arguments.time_limit,
        validation=arguments.validation,
        data_dir=arguments.data_dir,
        final=arguments.final,
        executor=arguments.executor,
        workers=arguments.workers,
        address=arguments.address,
        trust=arguments.trust,
        out=arguments.out,
    )
    return CommandOutput(done.to_dict(), _text(done), 0 if any(one.status == "done" for one in done.results) else 1)


def _text(done: Benchmark) -> str:
    facts = done.to_dict()
    part = "test" if done.part == "test" else "validation"
    counts = facts["cells"]
    parts = [
        f"{amount(len(done.methods), 'method')} × {amount(len(done.seeds), 'seed')} on "
        f"{amount(len(done.datasets), 'dataset')}: {counts['done']} of {sum(counts.values())} cells done",
        *(_dataset_text(done, dataset, part) for dataset in done.datasets),
        "\n".join(_failures(done)),
        "\n".join((facts["statistics"] or {}).get("sentences", ())),
        f"Benchmark: {done.path}\nPage: {done.page}\nTables: cells.csv (every cell), costs.csv (what each took), in "
        "that folder, and both as .parquet"
        + ("" if done.part == "test" else "\nNext: the same with --final opens each test part once, for all methods."),
    ]
    return "\n\n".join(filter(None, parts))


def _dataset_text(done: Benchmark, dataset: str, part: str) -> str:
    """A table of the methods on a dataset, the highest accuracy first."""
    results = [one for one in done.results if one.dataset == dataset and one.accuracy is not None]
    results.sort(key=lambda one: -(one.accuracy.mean if one.accuracy else 0.0))
    header = (dataset, "accuracy", "95% interval", "loss (nats)", "seconds", "memory", "settings")
    text = table(header, [_row(one) for one in results], left=1)
    return f"{text}\nMeans over seeds on {part} images; intervals are for other seeds and images; seconds of fitting."


def _row(one: MethodResult) -> tuple[str, ...]:
    return (
        one.method,
        percent(None if one.accuracy is None else one.accuracy.mean, 2),
        percent_range(one.interval),
        number(None if one.loss is None else one.loss.mean, 4),
        number(None if one.seconds is None else one.seconds.mean, 2),
        "-" if one.memory is None else file_size(one.memory),
        " ".join(_setting(key, value) for key, value in one.tuned.items()) or "-",
    )


def _setting(key: str, value: str) -> str:
    """A setting that tuning chose; of an estimator its last step and its arguments."""
    if key != "estimator":
        return f"{key}={value}"
    text = value.rpartition(":")[2]
    return text if len(text) <= _LONGEST else f"...{text[-_LONGEST:]}"


def _failures(done: Benchmark) -> list[str]:
    said = [f"{one.method} on {one.dataset}: {one.status}. {one.reason or ''}".strip() for one in done.failures]
    more = len(said) - _MOST_FAILURES
    return [*said[:_MOST_FAILURES], *([f"and {amount(more, 'other')}"] if more > 0 else [])]
