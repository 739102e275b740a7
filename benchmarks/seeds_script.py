"""Trains a recipe with several seeds on some of Fashion-MNIST's images, and prints the seconds that training took.

Usage: seeds_script.py together | turns RECIPE IMAGES EPOCHS SEED...

`together` gives all seeds to one call, `turns` trains them one after the other. What is compiled is compiled before, by
a training that is not counted.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import fittingroom as fr
from fittingroom.data.dataset import Dataset


def some(count: int) -> Dataset:
    """Fashion-MNIST with so many training images, and none held out."""
    whole = fr.load("fashion-mnist", validation=0)
    rows = None if whole.train.rows is None else whole.train.rows[:count]
    train = replace(whole.train, images=whole.train.images[:count], labels=whole.train.labels[:count], rows=rows)
    return replace(whole, train=train)


def main() -> None:
    """Trains, and prints the seconds."""
    way, recipe, count, epochs, *seeds = sys.argv[1:]
    data, numbers = some(int(count)), list(map(int, seeds))
    groups = [numbers] if way == "together" else [[number] for number in numbers]
    with tempfile.TemporaryDirectory() as place:
        seconds = 0.0
        for measured in (False, True):
            for number, group in enumerate(groups if measured else groups[:1]):
                out = Path(place) / f"{measured}-{number}"
                fr.train(data, recipe, seeds=group, epochs=int(epochs), out=out)
                record = json.loads((out / "run.json").read_text(encoding="utf-8"))
                seconds += record["seconds"]["train"] if measured else 0.0
    print(seconds)


if __name__ == "__main__":
    main()
