"""Robustness of recipes on Fashion-MNIST: fifteen corruptions of five severities, the recipes compared in pairs.

Usage: python -m benchmarks.robustness [RUN]... [--part validation|test] [--images N] [--recipe NAME]...
       python -m benchmarks.robustness --picture FILE.png | --simulate 1000

Without a run, the recipes (`linear`, `course`, `cnn` and `photo`, or those of `--recipe`) are trained first with one
seed each: 25 minutes on 2 cores, nearly all of it `cnn` and `photo`. All runs see the same corrupted images, since a
corruption belongs to the image. `--part test` opens the test set once for all of them, which the ledger records as one
look; by default it stays closed. A run answers with all its seeds together.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.pairs import markdown_table, measured_on, place
from fittingroom import Run, load, open_run, train
from fittingroom.audits.audit_progress import ShownProgress
from fittingroom.audits.check import AuditSubject
from fittingroom.audits.corrupted_answers import CLAIMS_TOO_MUCH, COSTS, AnswersToImages, Robustness
from fittingroom.audits.corruptions import CORRUPTIONS, SEVERITIES, corrupted
from fittingroom.audits.other_images import check_other_images
from fittingroom.audits.robust_comparison import RobustComparison
from fittingroom.data.dataset import Dataset, Part
from fittingroom.evaluation.differences import Difference
from fittingroom.progress import Progress
from fittingroom.text import percent, percent_range, points

DATASET = "fashion-mnist"
RECIPES = ("linear", "course", "cnn", "photo")


def some(part: Part, count: int) -> Part:
    """So many images of a part, spread evenly."""
    chosen = np.linspace(0, len(part) - 1, min(count, len(part))).astype(np.intp)
    return Part(part.images[chosen], part.labels[chosen], part.classes, part.scale)


def examined(run: Run, part: Part) -> tuple[Robustness, float]:
    """What a run makes of corrupted images, and the seconds that it took, loading and compiling left out."""
    predictor = run.predictor.fit()
    start = time.perf_counter()

    def progress(what: str, done: int = 0, total: int = 0) -> None:
        sys.stderr.write(f"\r{run.path.name}: {what} ({done} of {total})      ")

    found = Robustness.of(predictor, part, progress, chosen=np.arange(len(part)))
    sys.stderr.write("\n")
    return found, time.perf_counter() - start


def of_corruptions(found: Mapping[str, Robustness]) -> str:
    """Accuracy by corruption, the mean over its severities; and by severity, the mean over the corruptions."""
    rows: list[tuple[str, ...]] = [("", *found)]
    rows.append(("as they are", *(percent(one.clean.right.mean()) for one in found.values())))
    for name in CORRUPTIONS:
        rows.append((name, *(_severities([a.right.mean() for a in one.corrupted[name]]) for one in found.values())))
    means = [[one.at(severity)["accuracy"] or 0.0 for severity in range(1, SEVERITIES + 1)] for one in found.values()]
    rows.append(("all", *map(_severities, means)))
    rows.append(
        ("mean of all 75", *(f"{percent(one.accuracy)} ({percent_range(one.interval)})" for one in found.values()))
    )
    return markdown_table(rows)


def _severities(accuracies: Sequence[float]) -> str:
    return " ".join(f"{100 * accuracy:.0f}" for accuracy in accuracies)


def of_answers(found: Mapping[str, Robustness]) -> str:
    """What is claimed, refused and right among what is answered, by severity."""
    rows: list[tuple[str, ...]] = [("severity", *found)]
    for severity in range(SEVERITIES + 1):
        cells = []
        for one in found.values():
            mean = one.at(severity)
            cells.append(
                f"{percent(mean['accuracy'], 0)} / {percent(mean['confidence'], 0)} / {percent(mean['refused'], 0)} / "
                f"{percent(mean['accuracy_of_answered'], 0)}"
            )
        rows.append((str(severity), *cells))
    return markdown_table(rows)


def of_pairs(compared: RobustComparison) -> str:
    """The difference between the means of each two runs on the same images, with intervals that hold together."""
    rows: list[tuple[str, ...]] = [("", "corrupted, points", "interval", "as they are, points", "interval")]
    for (first, second), difference in compared.pairs.items():
        one, other = (compared.runs[name].clean.right[None] for name in (first, second))
        plain = Difference.between(one, other, ((0,), (0,))).among(len(compared.pairs))
        cells = []
        for shown in (difference, plain):
            ends = [points(100 * end, signed=True) for end in shown.interval]
            cells += [points(100 * shown.value, signed=True), " to ".join(ends)]
        rows.append((f"{first} less {second}", *cells))
    return markdown_table(rows)


def of_other_images(runs: Mapping[str, Run], data: Dataset) -> str:
    """For each kind of other images the share that is refused, and the AUROC with that of confidence alone."""
    facts = {}
    for name, run in runs.items():
        recipe = run[0].record.trained_recipe()
        subject = AuditSubject(data, recipe, run.predictor, (), run.path, ShownProgress())
        facts[name] = check_other_images(subject).facts
    kinds = list(next(iter(facts.values()))["kinds"])
    rows: list[tuple[str, ...]] = [("refused; AUROC; AUROC of confidence alone", *runs)]
    rows.append(("its own validation images", *(percent(one["validation_refused"]) for one in facts.values())))
    for kind in kinds:
        each = [one["kinds"][kind] for one in facts.values()]
        cells = [f"{percent(one['refused'])}; {one['auroc']:.3f}; {one['auroc_of_confidence']:.3f}" for one in each]
        rows.append((kind, *cells))
    return markdown_table(rows)


def picture(part: Part, file: Path) -> None:
    """Draws an image of a part as it is and at severities 1, 3 and 5 of each corruption, a column each."""
    from PIL import Image, ImageDraw, ImageFont

    image, columns = part.images[:1], []
    for name in CORRUPTIONS:
        shown = [image[0], *(corrupted(image, name, severity)[0] for severity in (1, 3, 5))]
        column = Image.new("L", (60, 256), 255)
        ImageDraw.Draw(column).text((30, 8), name, 0, ImageFont.load_default(11), "mm")
        for row, one in enumerate(shown):
            column.paste(Image.fromarray(one).resize((56, 56), Image.Resampling.NEAREST), (2, 18 + 60 * row))
        columns.append(np.asarray(column))
    Image.fromarray(np.concatenate(columns, axis=1)).save(file, optimize=True)


def false_alarms(images: int, trials: int) -> tuple[float, float]:
    """How often a corruption is named for its cost, and for its claims, where none is beyond what is tolerated.

    Every corruption takes exactly `COSTS` at all severities, and every answer claims exactly `CLAIMS_TOO_MUCH` more
    than its chance of being right, so that any other harmless model is named less often.
    """
    random, named = np.random.default_rng(0), np.zeros(2)
    none = np.zeros(images, np.bool_)
    for _ in range(trials):
        chance = random.uniform(0.4, 0.95, images)
        less = chance - COSTS
        clean = AnswersToImages(random.random(images) < chance, chance, none)
        corrupted = {
            name: tuple(
                AnswersToImages(random.random(images) < less, less + CLAIMS_TOO_MUCH, none) for _ in range(SEVERITIES)
            )
            for name in CORRUPTIONS
        }
        found = Robustness(clean, corrupted, refuses=True)
        named += [bool(found.costly), bool(found.claiming)]
    return float(named[0] / trials), float(named[1] / trials)


def main() -> None:
    """Trains what is missing, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--part", choices=("validation", "test"), default="validation")
    parser.add_argument("--images", type=int, default=5_000)
    parser.add_argument("--recipe", action="append")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="only draw what the corruptions do, as a PNG")
    parser.add_argument("--simulate", type=int, metavar="N", help="only count false alarms in N audits of each size")
    given = parser.parse_args()
    if given.simulate:
        for images in (50, 300, 2_000):
            cost, claim = false_alarms(images, given.simulate)
            sys.stdout.write(f"{images:,} images: costs {percent(cost)}, claims {percent(claim)}\n")
        return
    if given.picture is not None:
        picture(load(DATASET).train, given.picture)
        return
    with tempfile.TemporaryDirectory() as folder:
        runs: Sequence[Run] = [open_run(path) for path in given.runs] or [
            train(DATASET, recipe, out=Path(folder, recipe), progress=Progress()) for recipe in given.recipe or RECIPES
        ]
        data = load(DATASET)
        if given.part == "test":
            opened = data.test.open(f"robustness of {', '.join(run.path.name for run in runs)}")
        part = some(opened if given.part == "test" else _validation(data.validation), given.images)
        found: dict[str, Robustness] = {}
        seconds: dict[str, float] = {}
        for run in runs:
            name = str(run[0].record.recipe["name"])
            found[name], seconds[name] = examined(run, part)
        others = of_other_images({str(run[0].record.recipe["name"]): run for run in runs}, data)
    compared = RobustComparison(DATASET, given.part, found)
    tables = (of_corruptions(found), of_answers(found), of_pairs(compared), others)
    taken = ", ".join(f"{name} {second:.0f} s" for name, second in seconds.items())
    sys.stdout.write("\n".join([f"{compared.title}; {taken} on {place(measured_on())}", "", *tables]))


def _validation(part: Part | None) -> Part:
    if part is None:
        raise SystemExit("The dataset has no validation part.")
    return part


if __name__ == "__main__":
    main()
