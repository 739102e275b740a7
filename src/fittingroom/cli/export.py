"""`fittingroom export`: a run as a file for other programs, a page that runs it, or a folder to deploy."""

from __future__ import annotations

import argparse
from typing import Any

from fittingroom.cli.command import CommandOutput, CommandParser, file_path
from fittingroom.exports.export_subject import FORMATS
from fittingroom.runs.place import LATEST, find_run


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_run(default=LATEST)
    parser.add_argument(
        "--to",
        required=True,
        choices=tuple(FORMATS),
        metavar="FORMAT",
        help="onnx, tflite, keras or savedmodel, a file for other programs; page, one HTML file that runs the model in "
        "a browser; folder, a Python program without Fitting Room; hub, a folder for Hugging Face's hub",
    )
    parser.add_argument(
        "--out", type=file_path, metavar="PATH", help="the file or folder to write (default: one in the run's folder)"
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="with --to tflite: whole numbers of 8 bits, a quarter of the size; what that loses is measured",
    )
    parser.add_argument(
        "--about",
        type=file_path,
        metavar="FILE.toml",
        help="with --to hub: what only people know, as for `fittingroom card`",
    )
    parser.add_data_place()
    parser.add_trust()
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """Writes the export, once it answers as the run does; trains nothing and opens no test set."""
    path = find_run(arguments.run)  # before the heavy packages are imported
    from fittingroom.api.open_runs import open_run

    run = open_run(path, trust=arguments.trust)
    if arguments.data is not None:
        run.use_data(arguments.data)
    settings: dict[str, Any] = {"int8": True} if arguments.int8 else {}
    if arguments.about is not None:
        settings["about"] = arguments.about
    export = run.export(arguments.to, arguments.out, **settings)
    return CommandOutput(export.to_dict(), str(export))
