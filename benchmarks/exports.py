"""Exports every named recipe and every model of the parity zoo, and says what each format holds and how exactly.

Usage: python -m benchmarks.exports [--to FORMAT ...] [--only NAME ...] [--data DATASET] [--images N] [--json FILE]

Each recipe is trained for an epoch on a few images of Fashion-MNIST (or of `--data`, which may be a folder of
photographs), besides with several seeds, without scaling, without validation, and on digits of 8x8; each case of the
zoo on digits, as the page of parity trains it. What a format refuses is listed with its reason. The exit status is 1
where a file answered otherwise than its run, or anything but a refusal was raised.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import fittingroom as fr
from benchmarks.pairs import markdown_table
from fittingroom.recipes.named import NAMED
from fittingroom.text import file_size
from tests.engine.images import digits_images
from tests.engine.zoo import CASES, Case

FORMATS = ("onnx", "tflite", "keras", "page", "folder", "hub")
_DIFFERS = "so nothing was written"  # of `exports.verified`

Trained = Callable[[Path], "tuple[fr.Run, Mapping[str, Any]]"]
"""Trains into a folder; gives the run, and what its exports are given besides."""


@dataclass(frozen=True)
class Outcome:
    """What came of one export.

    Args:
        model: what was exported.
        format: to what.
        status: `same`, `refused`, `differs` or `failed`.
        images: how many answers were compared; 0 where no runtime was there.
        difference: the largest of two probabilities.
        size: bytes of all files.
        seconds: of the processor.
        said: why it was refused, or what went wrong.
    """

    model: str
    format: str
    status: str
    images: int = 0
    difference: float | None = None
    size: int = 0
    seconds: float = 0.0
    said: str = ""

    @property
    def text(self) -> str:
        """For a table."""
        if self.status != "same":
            return self.status
        difference = "not compared" if self.difference is None else f"{self.difference:.0e}"
        return f"{difference}, {file_size(self.size)}"


def exported(model: str, run: fr.Run, to: str, folder: Path, more: Mapping[str, Any]) -> Outcome:
    """Exports a run, and says what came of it."""
    started = time.process_time()
    done = partial(Outcome, model, to)
    try:
        export = run.export(to, folder / f"{to}-export", **more)
    except fr.InputError as error:
        status = "differs" if _DIFFERS in str(error) else "refused"
        return done(status, said=str(error), seconds=time.process_time() - started)
    except Exception as error:  # a fault of ours, which the table shows
        traceback.print_exc()
        return done("failed", said=f"{type(error).__name__}: {error}", seconds=time.process_time() - started)
    checked = export.facts["checked"]
    return done(
        "same",
        images=checked.get("images", 0),
        difference=checked.get("largest_difference"),
        size=sum(export.files.values()),
        seconds=time.process_time() - started,
        said=str(checked.get("why_not") or ""),
    )


def small(dataset: str, images: int, folder: Path) -> Path:
    """A dataset of the first images of another, half as many to validate on, as a file."""
    data = fr.load(dataset)
    assert data.validation is not None
    count = min(images, len(data.train))
    held_out = min(images // 2, len(data.validation))
    parts = [(data.train, count), (data.validation, held_out)]
    x = np.concatenate([part.images[:most] for part, most in parts])
    y = np.concatenate([np.asarray(part.labels[:most]) for part, most in parts])
    path = folder / "small.npz"
    np.savez(path, x=x, y=y)
    return path


def recipes(dataset: Path | str) -> Iterator[tuple[str, Trained]]:
    """The named recipes, and `course` in other circumstances."""

    def trained(data: Any, recipe: str, settings: Mapping[str, Any], folder: Path) -> tuple[fr.Run, Mapping[str, Any]]:
        return fr.train(data, recipe, out=folder, **{"epochs": 1, **settings}), {}

    for name in NAMED:
        yield name, partial(trained, dataset, name, {})
    others: Mapping[str, tuple[Any, str, Mapping[str, Any]]] = {
        "course, 3 seeds": (dataset, "course", {"seeds": 3}),
        "cnn, 2 seeds": (dataset, "cnn", {"seeds": 2}),
        "course, unscaled": (dataset, "course", {"scale": False}),
        "course, no validation": (dataset, "course", {"validation": 0}),
        "course on digits": ("digits", "course", {}),
        "cnn on digits": ("digits", "cnn", {}),
        "residual": (dataset, "course", {"convolutions": ((8,), (16,)), "residual": True, "hidden": ()}),
    }
    for name, (data, recipe, settings) in others.items():
        yield name, partial(trained, data, recipe, settings)


def zoo() -> Iterator[tuple[str, Trained]]:
    """The cases of the parity zoo, each trained for an epoch."""
    images = digits_images()

    def trained(case: Case, folder: Path) -> tuple[fr.Run, Mapping[str, Any]]:
        arguments = {"shuffle": False, "verbose": 0, **case.arguments(images)}
        arguments["epochs"] = arguments.get("initial_epoch", 0) + 1
        if isinstance(arguments.get("x"), np.ndarray):  # iterables have batches of their own
            arguments.setdefault("batch_size", 16)
        run = fr.fit(case.model(images.x.shape[1:]), out=folder, **arguments)
        # Runs of arrays keep no images, and would be checked on synthetic ones.
        first = run[0].record.data
        return run, {"images": images.x_val} if first.image_shape == images.x_val.shape[1:] and first.as_given else {}

    for case in CASES:
        yield f"zoo: {case.name}", partial(trained, case)


def outcomes(models: Iterator[tuple[str, Trained]], formats: Sequence[str], only: Sequence[str]) -> Iterator[Outcome]:
    """What came of each model and format, one after the other."""
    for name, trained in models:
        if only and name.removeprefix("zoo: ") not in only:
            continue
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            try:
                run, more = trained(folder / "run")
            except Exception as error:  # it cannot be trained here, such as a recipe whose backbone is missing
                yield Outcome(name, "training", "failed", said=f"{type(error).__name__}: {error}")
                continue
            for to in formats:
                outcome = exported(name, run, to, folder, more)
                sys.stderr.write(f"{name}: {to}: {outcome.text} {outcome.said[:200]}\n")
                yield outcome


def table(found: Sequence[Outcome], formats: Sequence[str]) -> str:
    """A line for each model, and what was refused below."""
    by_model: dict[str, dict[str, Outcome]] = {}
    for one in found:
        by_model.setdefault(one.model, {})[one.format] = one
    rows = [
        (
            model,
            *(each[to].text if to in each else each["training"].status if "training" in each else "" for to in formats),
        )
        for model, each in by_model.items()
    ]
    counts = ", ".join(
        f"{sum(one.status == status for one in found)} {status}" for status in ("same", "refused", "differs", "failed")
    )
    reasons = dict.fromkeys(f"- {one.model}: {one.format}: {one.said}" for one in found if one.status != "same")
    return "\n\n".join([markdown_table([("model", *formats), *rows]), counts, "\n".join(reasons)])


def main(argv: Sequence[str] | None = None) -> int:
    """Exports, prints a table, and says whether all was well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", nargs="+", choices=[*FORMATS, "savedmodel"], default=list(FORMATS[:3]))
    parser.add_argument("--only", nargs="+", default=[], help="names of recipes or cases")
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    logging.getLogger("fittingroom").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        data = (
            small(arguments.data, arguments.images, Path(folder))
            if arguments.data == "fashion-mnist"
            else arguments.data
        )
        models = (one for source in (recipes(data), zoo()) for one in source)
        found = list(outcomes(models, arguments.to, arguments.only))
    print(table(found, arguments.to))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(one) for one in found], indent=1))
    return 1 if any(one.status in {"differs", "failed"} for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
