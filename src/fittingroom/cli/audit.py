"""`fittingroom audit`: can these data and this model be trusted? Checks with their evidence, and what to do."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fittingroom.cli.command import CommandOutput, CommandParser, file_path, say
from fittingroom.errors import InputError
from fittingroom.runs.place import LATEST

if TYPE_CHECKING:
    from fittingroom.api.audited import Audit

_HOW_DATA_ARE_READ = ("data_dir", "image_size", "aspect", "color_mode", "exclude", "relabel")


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_argument(
        "subject",
        metavar="RUN|DATASET",
        nargs="?",
        default=LATEST,
        help="a run, by its folder, its name or latest, or a dataset, by its name or path (default: latest)",
    )
    parser.add_argument(
        "--only",
        metavar="CHECKS",
        help="make only these checks, with commas between them: raw-data, duplicates, labels, measures, slices, "
        "robustness, unlike",
    )
    parser.add_argument("--again", action="store_true", help="make checks again whose results are kept")
    parser.add_argument("--report", metavar="PAGE.html", type=file_path, help="write all of it as one HTML file")
    parser.add_argument(
        "--export", metavar="FILE.csv", type=file_path, help="write the images that were found, a row each, for review"
    )
    parser.add_argument(
        "--reviewed",
        metavar="FILE.csv",
        type=file_path,
        help="a list that the page saved: how many labels are wrong, by what was decided (makes the check labels only)",
    )
    parser.add_data_options()
    parser.add_lists()
    parser.add_data_place()
    parser.add_trust()
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """Makes the checks; changes no data, and opens no test set."""
    from fittingroom.api.audited import AuditInterrupted

    try:
        found, status = _audit(arguments), 0
    except AuditInterrupted as error:
        say("interrupted", str(error))
        found, status = error.audit, 130
    facts = {**found.to_dict(), **_written(found, arguments)}
    if arguments.reviewed is not None:
        rate = found.error_rate(arguments.reviewed)
        return CommandOutput({**facts, "error_rate": rate.to_dict()}, rate.sentence, status)
    return CommandOutput(facts, "" if arguments.json else _text(found, facts), status)


def _audit(arguments: argparse.Namespace) -> Audit:
    from fittingroom import audit, open_run
    from fittingroom.api.audits import dataset_named, run_named

    only = arguments.only or ("labels" if arguments.reviewed is not None else None)
    if not arguments.subject:
        raise InputError("'' names no run and no dataset. Leave it out for the latest run.")
    how: dict[str, Any] = {"only": only, "again": arguments.again}
    loading = {name: getattr(arguments, name) for name in _HOW_DATA_ARE_READ if getattr(arguments, name) is not None}
    run = run_named(arguments.subject)
    if run is None:
        if arguments.data is not None or arguments.trust:
            raise InputError(f"--data and --trust are for runs, and {arguments.subject} is a dataset. Leave them out.")
        return audit(dataset_named(arguments.subject, **loading), **how)
    if loading:
        option = next(iter(loading)).replace("_", "-")
        raise InputError(f"--{option} is for datasets; the run {run} has recorded how its dataset is read.")
    return open_run(run, trust=arguments.trust).audit(data=arguments.data, **how)


def _written(found: Audit, arguments: argparse.Namespace) -> dict[str, str]:
    """The files that were asked for, by what they are."""
    written = {}
    if arguments.report is not None:
        written["report"] = str(found.save(arguments.report))
    if arguments.export is not None:
        found.export(arguments.export)
        written["export"] = str(arguments.export)
    return written


def _text(found: Audit, facts: dict[str, Any]) -> str:
    """The whole audit, and which files were written and what they are for."""
    lines = [str(found)]
    if "report" in facts:
        lines.append(f"Page: {facts['report']}. It opens in any browser, without a network.")
    if "export" in facts:
        lines.append(
            f"List: {facts['export']}. Nothing in it is decided yet: fill in its column decision (keep, exclude or "
            "relabel), or review the labels on the page (--report). Then train with --exclude and --relabel."
        )
    elif any(result.findings for result in found.results):
        lines.append("To act on what was found: --report PAGE.html to look and review, --export FILE.csv for a list.")
    return "\n\n".join(lines)
