"""Arguments that several commands share, and the checks of their values."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_json(parser: argparse.ArgumentParser) -> None:
    """Adds `--json`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def add_data(parser: argparse.ArgumentParser) -> None:
    """Adds `--data-dir` and `--image-size`, which say where and how a dataset is read."""
    parser.add_argument(
        "--data-dir", type=file_path, metavar="DIR", help="folder with the dataset's files (else FITTINGROOM_DATA_DIR)"
    )
    parser.add_argument(
        "--image-size",
        type=image_size,
        metavar="N|HxW",
        help="resize the pictures of a folder to this size (default: 64 for photographs, 28 for small pictures)",
    )


def add_place(parser: argparse.ArgumentParser) -> None:
    """Adds `--data`, which says where a run's dataset is now."""
    parser.add_argument(
        "--data", metavar="DATASET", help="where the run's dataset is now, if not where it was (it must be the same)"
    )


def add_run(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Adds the positional argument RUN."""
    where = "a run: its folder, its name in the folder of runs, or latest"
    if default is None:
        parser.add_argument("run", metavar="RUN", help=where)
    else:
        parser.add_argument("run", metavar="RUN", nargs="?", default=default, help=f"{where} (default: {default})")


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Adds `--trust`."""
    parser.add_argument(
        "--trust",
        action="store_true",
        help="run the Python file again that the model came from, where the model cannot be made without it",
    )


def file_path(text: str) -> Path:
    """A path; an empty one, as of a shell's variable that is not set, would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("'' is not a path")
    return Path(text)


def seed(text: str) -> int:
    """A whole number, 0 or more."""
    if not (text.isascii() and text.isdigit()) or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 0 to {2**31 - 1}")
    return int(text)


def count(text: str) -> int:
    """A whole number, 1 or more."""
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) < 2**31:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number, 1 or more")
    return int(text)


def seeds(text: str) -> int | list[int]:
    """How many seeds, `5`, or which, `3,7,11`."""
    chosen = [seed(part.strip()) for part in text.split(",") if part.strip()]
    if not chosen or (len(chosen) == 1 and "," not in text and chosen[0] < 1):
        raise argparse.ArgumentTypeError(f"{text!r}: expected how many seeds, such as 5, or which, such as 3,7,11")
    return chosen if "," in text else chosen[0]


def validation(text: str) -> int | float:
    """A number of images, or a fraction above 0 and below 1."""
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        fraction = float(text)
    except ValueError:
        fraction = 0.0
    if not 0 < fraction < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected a number of images such as 5000, 0 for none, or a fraction such as 0.1"
        )
    return fraction


def image_size(text: str) -> tuple[int, int]:
    """`28` or `28x32`, height before width."""
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isascii() and side.isdigit() and int(side) > 0 for side in sides):
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected a size in pixels such as 28, or HEIGHTxWIDTH such as 28x32"
        )
    return int(sides[0]), int(sides[-1])
