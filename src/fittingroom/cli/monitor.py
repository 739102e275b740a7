"""`fittingroom monitor`: whether the images that a served run answers still look like its validation images."""

from __future__ import annotations

import argparse
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING

from fittingroom.cli.command import CommandOutput, CommandParser, count, say
from fittingroom.errors import InputError, RunError

if TYPE_CHECKING:
    from fittingroom.audits.check import CheckResult

_LARGEST = 32 * 2**20  # bytes of an answer
_SECONDS = 20  # for an answer to begin

_FOUND = 1  # the exit status where images differ


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_argument(
        "served",
        metavar="URL|RUN",
        nargs="?",
        default="latest",
        help="a server, such as http://127.0.0.1:8000; or a run, by its folder, its name or latest, for what its "
        "servers last wrote into its folder (default: latest)",
    )
    parser.add_argument("--token", help="the token that the server printed, where it needs one")
    parser.add_argument(
        "--every", metavar="SECONDS", type=count, help="look again and again, until images differ or Ctrl-C"
    )
    parser.add_argument(
        "--restart",
        action="store_true",
        help="forget what was counted of a run that is not served at the moment, and count afresh from now on",
    )
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """Prints what was counted; the status is 1 where images differ."""
    from fittingroom.audits.audit_text import check_text
    from fittingroom.audits.check import EvidenceTable

    remote = arguments.served.startswith(("http://", "https://"))
    if arguments.restart:
        return _restarted(arguments, remote=remote)
    if arguments.token is not None and not remote:
        raise InputError("--token is for a server. Name it by its URL, such as http://127.0.0.1:8000.")
    while True:
        result = _asked(arguments.served, arguments.token) if remote else _kept(arguments.served)
        if arguments.every is None or result.verdict == "found":
            tables = tuple(one for one in result.evidence if isinstance(one, EvidenceTable))
            text = check_text(replace(result, evidence=tables))
            return CommandOutput(result.to_dict(), text, _FOUND if result.verdict == "found" else 0)
        say("drift", result.sentences[0])
        time.sleep(arguments.every)


def _kept(run: str) -> CheckResult:
    from fittingroom import open_run
    from fittingroom.audits.drift import kept_drift
    from fittingroom.runs.place import find_run

    opened = open_run(find_run(run))
    return kept_drift(opened.path, opened.predictor)


def _restarted(arguments: argparse.Namespace, *, remote: bool) -> CommandOutput:
    from fittingroom.audits.drift import FOLDER
    from fittingroom.audits.drift_monitor import DriftPlace
    from fittingroom.runs.place import find_run

    if remote or arguments.every is not None:
        raise InputError(
            "--restart is for a run that is not served at the moment. Name the run, and leave out --every."
        )
    path = find_run(arguments.served)
    count = DriftPlace.forget(path / FOLDER)
    text = f"{path}: what was counted is forgotten." if count else f"{path}: nothing was counted yet."
    return CommandOutput({"run": str(path), "forgotten": count}, text)


def _asked(url: str, token: str | None) -> CheckResult:
    """What a server says.

    Raises:
        InputError: it cannot be reached, wants a token, or is not a server of a run.
    """
    from fittingroom.audits.check import CheckResult

    parts = urllib.parse.urlsplit(url)
    asked = urllib.parse.urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + "/v1/drift", "", ""))
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        request = urllib.request.Request(asked, headers=headers)
        with urllib.request.urlopen(request, timeout=_SECONDS) as reply:
            content = reply.read(_LARGEST)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 401:
            raise InputError(f"{url} needs a token. Pass the one that the server printed as --token.") from None
        raise InputError(
            f"{asked} was answered with {error.code}. Name a server that `fittingroom serve` of this version started."
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise InputError(f"{url} cannot be reached: {reason}. Is `fittingroom serve` running there?") from None
    try:
        return CheckResult.from_dict(json.loads(content))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(f"{asked} did not answer as `fittingroom serve` does: {error!r}.") from error
