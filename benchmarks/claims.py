"""What the named recipes reach: five seeds each, scored on the sealed test set, kept as the recipes' claims.

Usage: python -m benchmarks.claims [RECIPE ...]        (all recipes by default)

The validation part stays held out, as `fittingroom train` does it. Nothing is chosen by these scores.
"""

from __future__ import annotations

import json
import shlex
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.pairs import Command, Sample, machine, measure, versions
from fittingroom.recipes import named

SEEDS = range(5)
DATASET = "fashion-mnist"
CLAIMS = Path(named.__file__).with_name("claims.json")


def train_and_evaluate(recipe: str, seed: int, folder: Path) -> tuple[Sample, float]:
    """The process that trains, and the test accuracy of its run."""
    program = shlex.quote(str(Path(sys.executable).with_name("fittingroom")))
    commands = {
        "train": f"{program} train {DATASET} --recipe {recipe} --seed {seed} --json",
        "evaluate": f"{program} evaluate --json",
    }
    samples = {name: measure(Command(name, ("sh", "-c", line), {}, folder)) for name, line in commands.items()}
    return samples["train"], json.loads(samples["evaluate"].output)["test"]["accuracy"]


def measured(recipe: str) -> dict[str, object]:
    """The claim of a recipe, in the form of `named.Claim`."""
    with tempfile.TemporaryDirectory() as folder:
        results = [train_and_evaluate(recipe, seed, Path(folder)) for seed in SEEDS]
    here = machine()
    print(f"{recipe}: {[accuracy for _, accuracy in results]}", file=sys.stderr)
    return {
        "dataset": DATASET,
        "test_accuracies": [accuracy for _, accuracy in results],
        "seconds": round(statistics.median(sample.seconds for sample, _ in results), 2),
        "hardware": f"{here['processor']}, {here['cores']} cores",
        "versions": versions(sys.executable, ("fittingroom", "keras", "jax"), {"KERAS_BACKEND": "jax"}),
        "command": f"python -m benchmarks.claims {recipe}",
    }


def main() -> None:
    """Measures the recipes named on the command line and keeps their claims beside those of the others."""
    recipes = sys.argv[1:] or list(named.NAMED)
    claims = json.loads(CLAIMS.read_text(encoding="utf-8")) if CLAIMS.exists() else {}
    claims |= {recipe: measured(recipe) for recipe in recipes}
    CLAIMS.write_text(json.dumps(claims, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
