"""`fittingroom report`: a page about one run, or several side by side, as one HTML file."""

from __future__ import annotations

import argparse

from fittingroom.cli.command import CommandOutput, CommandParser, file_path
from fittingroom.runs.place import LATEST, find_run

_NAME = "report.html"


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="*",
        default=[LATEST],
        help="one run or several, each a folder, a name in the folder of runs, or latest (default: latest)",
    )
    parser.add_argument(
        "--out",
        type=file_path,
        metavar="FILE.html",
        help=f"the file to write (default: {_NAME} in the folder of the first run)",
    )
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """Writes the page; trains nothing and opens no test set."""
    paths = [find_run(name) for name in arguments.runs]  # before the heavy packages are imported
    from fittingroom import report

    target = arguments.out or paths[0] / _NAME
    written = report(paths, target)
    size = written.stat().st_size
    facts = {"report": str(written), "bytes": size, "runs": [str(path) for path in paths]}
    return CommandOutput(facts, f"Report: {written} ({size / 1e6:.1f} MB). It opens in any browser, without a network.")
