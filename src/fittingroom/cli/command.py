"""What all commands share: the arguments that several of them take, and the output that each of them gives.

Output is aligned plain text, the same with and without a terminal, or with `--json` one object of the same facts.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from fittingroom.errors import InputError

# Compiled here, so that an error can be printed when memory has run out.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class CommandOutput:
    """What a command prints on standard output, and the exit status it ends with.

    Args:
        facts: the JSON object that `--json` prints.
        text: the same for people.
        status: exit status, 0 for success.
    """

    facts: Mapping[str, Any]
    text: str
    status: int = 0


class CommandParser(argparse.ArgumentParser):
    """An argument parser that knows the arguments several commands share, and raises its errors as InputError."""

    def error(self, message: str) -> NoReturn:
        """Raises what argparse would print, so that it looks like every other error."""
        raise InputError(f"{message}. See `{self.prog} --help`.")

    def add_run(self, default: str | None = None) -> None:
        """Adds the positional argument RUN.

        Args:
            default: the run that is meant where the command line names none; None if it has to name one.
        """
        what = "a run: its folder, its name in the folder of runs, or latest"
        if default is None:
            self.add_argument("run", metavar="RUN", help=what)
        else:
            self.add_argument("run", metavar="RUN", nargs="?", default=default, help=f"{what} (default: {default})")

    def add_data_options(self) -> None:
        """Adds `--data-dir`, `--image-size`, `--aspect` and `--color-mode`, how a dataset is read."""
        self.add_argument(
            "--data-dir",
            type=file_path,
            metavar="DIR",
            help="folder with the dataset's files (default: FITTINGROOM_DATA_DIR)",
        )
        self.add_argument(
            "--image-size",
            type=_image_size,
            metavar="N|HxW",
            help="resize pictures in folders and tables to this size (default: 64 for photographs, 28 for small ones)",
        )
        self.add_argument(
            "--aspect",
            choices=("pad", "crop", "stretch"),
            help="how they get that size where they have another shape: with black borders, cut on both sides, or with "
            "other proportions (default: pad)",
        )
        self.add_argument(
            "--color-mode",
            choices=("auto", "rgb", "grayscale"),
            help="colours of the pictures of a folder (default: auto, grayscale where every picture is grey)",
        )

    def add_lists(self) -> None:
        """Adds `--exclude` and `--relabel`, reviewed lists of images."""
        self.add_argument(
            "--exclude",
            type=file_path,
            metavar="FILE.csv",
            help="leave out the images of a reviewed list, as `fittingroom audit --export` writes it, but never test "
            "images",
        )
        self.add_argument(
            "--relabel",
            type=file_path,
            metavar="FILE.csv",
            help="give the images of a reviewed list the labels in it, but never test images",
        )

    def add_data_place(self) -> None:
        """Adds `--data`, which says where a run's dataset is now."""
        self.add_argument(
            "--data",
            metavar="DATASET",
            help="where the run's dataset is now, if it has moved since training (its content must be the same)",
        )

    def add_trust(self) -> None:
        """Adds `--trust`."""
        self.add_argument(
            "--trust",
            action="store_true",
            help="allow running the Python file that defines the model, where the model cannot be rebuilt without it, "
            "and an estimator that is not scikit-learn's own",
        )


def file_path(text: str) -> Path:
    """A path. An empty text, as of an unset shell variable, is refused: it would mean the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("'' is not a path")
    return Path(text)


def seed(text: str) -> int:
    """A whole number, 0 to 2^31 - 1."""
    if not (text.isascii() and text.isdigit()) or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 0 to {2**31 - 1}")
    return int(text)


def count(text: str) -> int:
    """A whole number, 1 or more."""
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) < 2**31:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number, 1 or more")
    return int(text)


def port(text: str) -> int:
    """A port of TCP."""
    if not (text.isascii() and text.isdigit()) or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a port, 0 to 65535")
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


def _image_size(text: str) -> tuple[int, int]:
    """`28` or `28x32`, height before width."""
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isascii() and side.isdigit() and int(side) > 0 for side in sides):
        raise argparse.ArgumentTypeError(
            f"{text!r}: expected a size in pixels such as 28, or HEIGHTxWIDTH such as 28x32"
        )
    return int(sides[0]), int(sides[-1])


def say(kind: str, text: str) -> None:
    """Prints a line that is not a result, such as a note, on standard error. Where that fails, the work continues."""
    with contextlib.suppress(OSError):
        print(printable(f"fittingroom: {kind}: {text}"), file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """The text without control characters that move a cursor, clear a screen or reverse the order of letters.

    Names of classes and files are other people's text, and a terminal obeys whatever is printed to it.
    """
    return _UNPRINTABLE.sub("\ufffd", text)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Columns two spaces apart; the first `left` of them flush left, the others, numbers, flush right."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]

    def cell(text: str, column: int) -> str:
        return text.ljust(widths[column]) if column < left else text.rjust(widths[column])

    return "\n".join("  ".join(cell(text, column) for column, text in enumerate(line)).rstrip() for line in lines)
