"""`benchmark` trains methods on several datasets with several seeds; `Benchmark` has the results."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from fittingroom.atomic import storage_errors, sweep, write_bytes
from fittingroom.data.dataset import Dataset
from fittingroom.engine.callbacks import StopRequest
from fittingroom.errors import DataError, InputError, Interrupted, RecipeError, RunError, UnknownNameError
from fittingroom.experiments.benchmark_file import STANDING, BenchmarkFile, changed_recipe, check_entry
from fittingroom.experiments.benchmark_final import open_test_parts
from fittingroom.experiments.benchmark_methods import BenchmarkTask, Method
from fittingroom.experiments.benchmark_outcome import benchmark_of
from fittingroom.experiments.benchmark_progress import BenchmarkProgress
from fittingroom.experiments.benchmark_result import PROGRESS_NAME, RESULT_NAME, Benchmark
from fittingroom.experiments.cell_pool import CellPool, LocalPool, RayPool
from fittingroom.experiments.cell_server import CellTerms, CellWork
from fittingroom.experiments.experiment_store import ExperimentFolder
from fittingroom.recipes.recipe import Recipe
from fittingroom.runs.json_files import json_text
from fittingroom.runs.place import RunsFolder
from fittingroom.runs.unfinished import LOCK_NAME, RunLock
from fittingroom.text import word_list
from fittingroom.training.arguments import (
    Named,
    Prescribed,
    check_dataset,
    chosen_recipe,
    chosen_seeds,
    load_for,
    with_lasting_backbone,
)

DEFAULT_SEEDS = 5
_EXECUTORS = ("processes", "ray")
_LONGEST_LABEL = 60

AnyDataset = Named | Mapping[str, Any]
"""A dataset, its name or path, or a mapping of the arguments of `load`, `label` among them."""

AnyMethod = Prescribed | Mapping[str, Any]
"""A recipe in any form, or a mapping of its settings, `recipe` among them for the one to change."""


def benchmark(  # noqa: PLR0913 - what to compare, how long, and where to keep it
    datasets: AnyDataset | Sequence[AnyDataset] | None = None,
    methods: AnyMethod | Sequence[AnyMethod] | None = None,
    seeds: int | Sequence[int] | None = None,
    *,
    trials: int | None = None,
    time_limit: float | None = None,
    validation: float | None = None,
    data_dir: str | Path | None = None,
    out: str | Path | None = None,
    final: bool = False,
    executor: str = "processes",
    workers: int | None = None,
    address: str | None = None,
    trust: bool = False,
    progress: BenchmarkProgress | None = None,
) -> Benchmark:
    """Trains methods on datasets with several seeds each, and compares them on validation.

    A method on a dataset with a seed is a cell: trained in a process of its own, on one core. Another call trains only
    what is missing: a benchmark that was killed continues where it was, and ends with the very table of one that was
    never stopped. A cell that fails, or takes longer than it may, is recorded with its reason, and the others continue.

    Args:
        datasets: names or paths that `fittingroom.load` knows, loaded datasets, or mappings of the arguments of `load`,
            such as `{"name": "fashion-mnist", "train": 10_000, "label": "fashion-10k"}`, one or several; or a TOML file
            with the whole benchmark (the module `experiments.benchmark_file` shows its form), which then says methods,
            seeds, trials, time_limit and validation; None for the standing benchmark, `experiments/standing.toml`: 8
            datasets, 17 methods and 5 seeds, half an hour on two cores.
        methods: recipes, their names or TOML files, or mappings such as `{"recipe": "course", "epochs": 10}`, one or
            several.
        seeds: how many seeds (the default is 5: 0 to 4), or which. A method that a seed changes nothing of is trained
            once.
        trials: how many settings of each method to try on each dataset, the method's own among them; validation chooses
            by the first seed. All methods have the same number, or as many as there are settings to try.
        time_limit: seconds after which a cell is ended; None for no limit.
        validation: how many training images to hold out of each dataset (a count, or a fraction below 1); None for the
            default.
        data_dir: where the datasets' files are.
        out: the benchmark's folder; None for one in the runs folder that belongs to these methods and data.
        final: whether to open the test part of each dataset at the end, once for all methods, and to compare on it.
            Each method is then a look, which the ledger counts.
        executor: what trains: `processes` on this machine, or `ray`, the cores of a Ray cluster.
        workers: how many cells train at once on this machine; None for one on each core.
        address: the address of the Ray cluster; None for the one in RAY_ADDRESS, else this machine's cores.
        trust: whether estimators that are not scikit-learn's own, with literal arguments, may be imported and run.
        progress: shows how far it is; None for a live table on a terminal.

    Returns:
        The benchmark; its tables and its page are written into its folder.

    Raises:
        InputError: an argument makes no sense; raised before any training.
        RunError: the folder holds something else, or another process works in it.
        StorageError: the folder cannot be written.
        Interrupted: Ctrl-C or SIGTERM; the same call continues.
    """
    _check_executor(executor, workers, address)
    name = command = None
    words = ["fittingroom", "benchmark"]
    if datasets is None:
        datasets = STANDING
    elif isinstance(datasets, str | os.PathLike):
        words.append(os.fspath(datasets))
    if isinstance(datasets, str | os.PathLike) and os.fspath(datasets).endswith(".toml"):
        beside = {"methods": methods, "seeds": seeds, "trials": trials, "time_limit": time_limit}
        file = _only_file(Path(datasets), {**beside, "validation": validation})
        name, command = file.name, shlex.join(words)
        datasets, methods, seeds = file.datasets, file.methods, file.seeds
        trials, time_limit, validation = file.trials, file.time_limit, file.validation
    limit, tried = _time_limit(time_limit), _trials(1 if trials is None else trials)
    seeds_chosen = chosen_seeds(DEFAULT_SEEDS if seeds is None else seeds)
    recipes = [_recipe(one) for one in ([] if methods is None else _each(methods))]
    chosen = [Method.of(recipe, tried, seeds_chosen, trust=trust) for recipe in recipes]
    _check_methods(chosen)
    common = {"validation": validation, "data_dir": data_dir}
    loaded = _loaded(_each(datasets), recipes, common)
    digest = _digest(loaded, chosen)
    path = RunsFolder().path / f"benchmark-{digest}" if out is None else Path(out)
    facts: dict[str, Any] = {
        "part": "validation",
        "name": name,
        "command": command,
        "seeds": list(seeds_chosen),
        "trials": tried,
        "time_limit": limit,
    }
    progress = progress or BenchmarkProgress.of_terminal()
    with _locked(path), ExitStack() as stack:
        tasks = [
            stack.enter_context(_task(path, key, dataset, chosen, seeds_chosen, limit))
            for key, dataset in loaded.items()
        ]
        data = {task.key: task.dataset for task in tasks}
        terms = CellTerms(_modules(recipes), limit, trust)
        pool: CellPool = RayPool(data, terms, address) if executor == "ray" else LocalPool(data, terms, workers)
        started = time.perf_counter()
        try:
            _train(path, pool, tasks, progress)
        except KeyboardInterrupt as error:
            facts["seconds"] = time.perf_counter() - started
            _written(benchmark_of(path, tasks, chosen, facts))
            raise Interrupted(
                f"the benchmark was stopped with {progress.done} of {progress.total} cells done, which are in {path}. "
                "The same call continues.",
                path,
            ) from error
        finally:
            progress.close()
        if final:
            open_test_parts(tasks, trust=trust)
            facts["part"] = "test"
        facts["seconds"] = time.perf_counter() - started
        return _written(benchmark_of(path, tasks, chosen, facts))


def _written(result: Benchmark) -> Benchmark:
    """A benchmark, after its tables and its page are written."""
    result.write()
    result.report(result.page)
    return result


def _train(path: Path, pool: CellPool, tasks: Sequence[BenchmarkTask], progress: BenchmarkProgress) -> None:
    """Trains every cell that is not trained yet; what is to come next is known only when trials have ended."""
    by_key = {task.key: task for task in tasks}

    def submit(task: BenchmarkTask) -> None:
        for variant, seed in list(task.wanted()):
            if task.begin(variant, seed):
                pool.submit(CellWork(task.key, variant.recipe, variant.digest, seed))

    def tell() -> None:
        running = [f"{work.recipe.name} on {work.dataset}, seed {work.seed}" for work in pool.running]
        counts = {task.key: task.counts() for task in tasks}
        whole = {status: sum(one[status] for one in counts.values()) for status in ("done", "failed", "total")}
        content = {**whole, "running": running, "datasets": counts}
        progress.state(whole["done"], whole["failed"], whole["total"], running)
        if content != told:
            told.clear()
            told.update(content)
            write_bytes(path / PROGRESS_NAME, json_text(content).encode(), durable=False)

    told: dict[str, Any] = {}
    tell()
    if not any(next(task.wanted(), None) for task in tasks):
        return
    with pool, StopRequest().listening() as request:
        for task in tasks:
            submit(task)
        for ended in pool.ended():
            if request:
                raise KeyboardInterrupt(request.reason)
            if ended is not None:
                work, trained = ended
                task = by_key[work.dataset]
                task.keep(work.digest, work.seed, trained)
                submit(task)
            tell()


def _only_file(path: Path, beside: Mapping[str, Any]) -> BenchmarkFile:
    """The benchmark in the file, which describes all of it, so that the file alone says what was done."""
    both = [name for name, value in beside.items() if value is not None]
    if both and path == STANDING:
        raise InputError(
            f"{word_list(both)} without datasets: expected datasets too, or none of these for the standing benchmark."
        )
    if both:
        raise InputError(
            f"{path} describes the whole benchmark, so {word_list(both)} cannot be given too. Change the file."
        )
    return BenchmarkFile.read(path)


def _each(given: Any) -> list[Any]:
    """One or several, as a list."""
    return list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]


def _recipe(given: AnyMethod) -> Recipe:
    """The recipe of a method; a mapping may change one that it names."""
    if isinstance(given, Mapping) and "recipe" in given:
        return with_lasting_backbone(changed_recipe(given))
    return chosen_recipe(given, {}, beside=benchmark)


def _loaded(given: Sequence[AnyDataset], recipes: Sequence[Recipe], common: Mapping[str, Any]) -> dict[str, Dataset]:
    """Label -> dataset.

    Raises:
        InputError: one cannot be loaded or validated on, or two have one name.
    """
    found: dict[str, Dataset] = {}
    if not given:
        raise InputError("a benchmark needs datasets: names or paths, such as ['digits', 'fashion-mnist'].")
    for one in given:
        label, dataset = _load(one, recipes, common)
        if label in found:
            raise InputError(f"two datasets are called {label!r}. Give one of them a label: {{name=..., label='...'}}.")
        if dataset.validation is None:
            raise DataError(
                f"a benchmark compares methods on validation images, and {label} has none. Hold some out: "
                "validation=5000."
            )
        found[label] = dataset
    return found


def _load(one: AnyDataset, recipes: Sequence[Recipe], common: Mapping[str, Any]) -> tuple[str, Dataset]:
    entry = dict(one) if isinstance(one, Mapping) else {"name": one}
    check_entry(entry)
    name, label = entry.pop("name"), entry.pop("label", None)
    given = {key: value for key, value in {**common, **entry}.items() if value is not None}
    if isinstance(name, Dataset):
        check_dataset(name, **given)
        return str(label or _short(name.name)), name
    check_dataset(name)
    dataset = load_for(recipes, name, {**dict.fromkeys(("image_size", "aspect", "color_mode")), **given})
    return str(label or _short(dataset.name)), dataset


def _short(name: str) -> str:
    """What tables call a dataset: a name of the catalogue as it is, of a path the last part."""
    _, colon, place = name.partition(":")
    return Path(place).name[:_LONGEST_LABEL] if colon else name


def _modules(recipes: Sequence[Recipe]) -> tuple[str, ...]:
    """What every cell imports."""
    texts = [recipe.estimator.partition(":")[0] for recipe in recipes if recipe.estimator]
    known = dict.fromkeys(module for module in texts if module.split(".")[0] == "sklearn")
    own = (
        "fittingroom.training.classical_job",
        "fittingroom.classical.kept_estimator",
        "skops.io",
    )  # skops takes 1.5 s
    classical = (*own, *known) if texts else ()
    networks = ("fittingroom.engine.lanes",) if len(texts) < len(recipes) else ()
    return ("fittingroom.api.train", "fittingroom.training.recipe_job", *networks, *classical)


def _check_methods(methods: Sequence[Method]) -> None:
    """Raises InputError where there are no methods, or two of one name."""
    if not methods:
        raise InputError(
            "a benchmark needs methods: --methods course sklearn:knn, in Python methods=['course', 'sklearn:knn']."
        )
    names = [method.name for method in methods]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise RecipeError(f"two methods are called {twice!r}. Give one of them another name.")


def _check_executor(name: str, workers: int | None, address: str | None) -> None:
    if name not in _EXECUTORS:
        raise UnknownNameError("executor", name, _EXECUTORS)
    if name == "processes" and not hasattr(os, "fork"):
        raise InputError("a benchmark trains its cells in forks, which this system does not have. Use Linux or macOS.")
    if address is not None and name != "ray":
        raise InputError(f"The address {address!r} is for the executor 'ray', not {name!r}. Remove it, or use 'ray'.")
    if workers is not None and (name == "ray" or isinstance(workers, bool) or workers < 1):
        raise InputError(f"workers={workers}: expected 1 or more, and only for the executor 'processes'.")


def _time_limit(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise InputError(f"time_limit={value!r}: expected seconds above 0, such as 600, or None for no limit.")
    return float(value)


def _trials(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"trials={value!r}: expected a whole number from 1, the settings to try of each method.")
    return value


def _digest(loaded: Mapping[str, Dataset], methods: Sequence[Method]) -> str:
    """12 hexadecimal digits for the sets of data and methods; neither seeds and trials nor the order count."""
    data = sorted(BenchmarkTask.plan_of(dataset, (), ()).data for dataset in loaded.values())
    text = " ".join([*data, *sorted(method.trials[0].digest for method in methods)])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """The folder of a benchmark, made if need be, and locked.

    Raises:
        RunError: it holds something else, or another process works in it.
        StorageError: it cannot be written.
    """
    names = [entry.name for entry in path.iterdir()] if path.is_dir() else []
    foreign = [name for name in names if name != LOCK_NAME and not name.endswith(".tmp")]
    if (path.exists() and not path.is_dir()) or (foreign and RESULT_NAME not in foreign):
        raise RunError(
            f"{path} is not the folder of a benchmark: it has no {RESULT_NAME}. --out takes a new or empty folder, or "
            "the folder of a benchmark to continue."
        )
    with storage_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    lock = RunLock(path)
    try:
        sweep(path)
        if RESULT_NAME not in names:
            write_bytes(path / RESULT_NAME, b'{"results": []}\n')
        yield
    finally:
        lock.release()


@contextmanager
def _task(
    path: Path, key: str, dataset: Dataset, methods: Sequence[Method], seeds: Sequence[int], limit: float | None
) -> Iterator[BenchmarkTask]:
    """A dataset with its methods, and what is trained of them, as long as a `with` block lasts."""
    plan = BenchmarkTask.plan_of(dataset, methods, seeds)
    with ExperimentFolder.locked(path / "experiments" / _folder_name(key), plan) as folder:
        folder.forget_time_limits(limit)
        task = BenchmarkTask(key, dataset, methods, plan, folder)
        task.read()
        yield task


def _folder_name(key: str) -> str:
    """A name for a folder that every file system takes; of names that it would make equal, each has a hash."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", key.lower()).strip("-.") or "dataset"
    return plain if plain == key else f"{plain}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
