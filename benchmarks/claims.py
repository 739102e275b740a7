"""What the named recipes reach: several seeds each, scored on the sealed test set, kept as the recipes' claims.

Usage: python -m benchmarks.claims [RECIPE ...]        (all recipes that this machine can train, by default)

The validation part stays held out, as `fittingroom train` does it; the recipes were chosen by its scores, and nothing
is chosen by those here. The recipes take turns, seed by seed, and each result is written at once: a measurement that is
interrupted leaves claims of fewer seeds, and goes on from there when it is started again (`build/claims` has what each
training gave, for a recipe that has not changed since).
"""

from __future__ import annotations

import json
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from benchmarks.pairs import Command, machine, measure, versions
from fittingroom.atomic import write_bytes
from fittingroom.recipes import named

DATASET = "fashion-mnist"
CLAIMS = Path(named.__file__).with_name("claims.json")
BUILD = Path(__file__).parents[1] / "build" / "claims"


@dataclass(frozen=True)
class Budget:
    """How a recipe is measured.

    Args:
        seeds: how many trainings, with the seeds 0, 1, 2 and so on.
        minutes: what one training may take, by the recipe's own promise; None where it makes none.
        gpu: whether it is written for a GPU.
    """

    seeds: int = 5
    minutes: float | None = None
    gpu: bool = False


BUDGETS: Mapping[str, Budget] = MappingProxyType(
    {
        **dict.fromkeys(named.NAMED, Budget()),
        "cnn": Budget(minutes=5),
        "mlp-best": Budget(minutes=5),
        "photo": Budget(minutes=7),
        "best-cpu": Budget(minutes=10),
        "best": Budget(seeds=3, minutes=10, gpu=True),
    }
)


def has_gpu() -> bool:
    """Whether JAX finds a GPU here."""
    code = "import jax; print(jax.default_backend())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip() != "cpu"


def measured(recipe: str, seed: int) -> tuple[float, float]:
    """The seconds of the process that trains, and the test accuracy of its run: kept ones, or measured now."""
    kept = BUILD / f"{recipe}-{seed}-{named.find_recipe(recipe).digest()}.json"
    if not kept.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            write_bytes(kept, json.dumps(train_and_evaluate(recipe, seed, Path(folder))).encode())
    seconds, accuracy = json.loads(kept.read_text(encoding="utf-8"))
    return seconds, accuracy


def train_and_evaluate(recipe: str, seed: int, folder: Path) -> tuple[float, float]:
    """Trains, and opens the test set once: seconds of the process that trains, test accuracy."""
    program = shlex.quote(str(Path(sys.executable).with_name("fittingroom")))
    commands = {
        "train": f"{program} train {DATASET} --recipe {recipe} --seed {seed} --json",
        "evaluate": f"{program} evaluate --json",
    }
    samples = {name: measure(Command(name, ("sh", "-c", line), {}, folder)) for name, line in commands.items()}
    accuracy = json.loads(samples["evaluate"].output)["test"]["accuracy"]
    print(f"  {recipe}, seed {seed}: {accuracy}, {samples['train'].seconds:.0f} s", file=sys.stderr)
    return samples["train"].seconds, accuracy


def claim_of(recipe: str, results: Sequence[tuple[float, float]], budget: Budget) -> dict[str, object]:
    """The claim of a recipe from what each seed gave, in the form of `named.Claim`."""
    here, seconds = machine(), statistics.median(seconds for seconds, _ in results)
    if budget.minutes is not None and seconds > 60 * budget.minutes:
        print(f"  {recipe} takes {seconds:.0f} s; it promises {budget.minutes:g} minutes", file=sys.stderr)
    return {
        "dataset": DATASET,
        "test_accuracies": [accuracy for _, accuracy in results],
        "seconds": round(seconds, 2),
        "hardware": f"{here['processor']}, {here['cores']} cores",
        "versions": versions(sys.executable, ("fittingroom", "keras", "jax"), {"KERAS_BACKEND": "jax"}),
        "command": f"python -m benchmarks.claims {recipe}",
    }


def keep(recipe: str, claim: dict[str, object]) -> None:
    """Writes a claim beside those of the others."""
    claims = json.loads(CLAIMS.read_text(encoding="utf-8")) if CLAIMS.exists() else {}
    claims[recipe] = claim
    write_bytes(CLAIMS, (json.dumps(claims, indent=1, ensure_ascii=False) + "\n").encode())


def main() -> None:
    """Measures the recipes named on the command line, one after the other."""
    recipes = sys.argv[1:] or list(named.NAMED)
    if unknown := set(recipes) - named.NAMED.keys():
        sys.exit(f"no named recipe: {', '.join(sorted(unknown))}; there are {', '.join(named.NAMED)}")
    gpu = has_gpu()
    for recipe in (name for name in recipes if BUDGETS[name].gpu and not gpu):
        print(f"  {recipe} is for a GPU, and JAX finds none here: not measured", file=sys.stderr)
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in recipes if gpu or not BUDGETS[name].gpu}
    for seed in range(max(budget.seeds for budget in BUDGETS.values())):
        for recipe in (name for name in results if seed < BUDGETS[name].seeds):
            results[recipe].append(measured(recipe, seed))
            keep(recipe, claim_of(recipe, results[recipe], BUDGETS[recipe]))


if __name__ == "__main__":
    main()
