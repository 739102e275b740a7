"""`fittingroom lab`: a question, a guess, and the answer by measurement."""

from __future__ import annotations

import argparse
import difflib
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from fittingroom.cli.command import CommandOutput, CommandParser, file_path, printable, table
from fittingroom.cli.explain_text import dots, sparkline
from fittingroom.errors import InputError, RunError
from fittingroom.text import amount, duration, number, percent, percent_range, points

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fittingroom.labs.arms import Arm
    from fittingroom.labs.lab import LabResult
    from fittingroom.labs.lab_description import Lab, LabPrediction

ALL = "all"
_WIDTH = 80
_AXIS = 50
_INTERRUPTED = 130  # the exit status of a command that Ctrl-C or SIGTERM ended
_SIGNS = {"supported": "✓", "not supported": "✗", "no difference shown": "=", "not judged": "-"}


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_argument(
        "lab",
        metavar="LAB|FILE.toml",
        nargs="?",
        help="the number or name of a lab, a file with one (docs/labs-format.md), or `all`; without it, a list of them",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask for a prediction")
    parser.add_argument(
        "--guess",
        metavar="N",
        type=int,
        help="your prediction, the number of an answer from 1, in place of being asked",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="train two seeds only where the lab has more; a later call without it adds the others",
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="run the Python code in FILE.toml; labs that come with Fitting Room run without it",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=file_path,
        help="the lab's folder, new or one to continue; for `all`, the folder of all their folders (default: one in "
        "FITTINGROOM_RUNS_DIR, or ./runs)",
    )
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """Lists the labs, or runs one or all of them."""
    from fittingroom.labs.lab_description import Lab

    if arguments.lab is None:
        return _list(Lab.all())
    if arguments.lab == ALL and arguments.guess is not None:
        raise InputError("--guess answers the question of one lab, and `all` are several. Name the lab.")
    chosen = Lab.all() if arguments.lab == ALL else (Lab.find(arguments.lab),)
    from fittingroom.labs.lab import check_trust

    for one in chosen:
        check_trust(one, trust=arguments.trust)
    return _run_all(chosen, arguments) if arguments.lab == ALL else _run_one(chosen[0], arguments)


def _list(labs: Sequence[Lab]) -> CommandOutput:
    facts = [
        {"lab": str(lab.number), "name": lab.name, "title": lab.title, "question": lab.question, "seconds": lab.seconds}
        for lab in labs
    ]
    rows = [(str(lab.number), lab.title, lab.name, _takes(lab)) for lab in labs]
    listed = table(("", "lab", "name", "takes about"), rows, left=4)
    text = f"{listed}\n\nRun one with `fittingroom lab 2`, or `fittingroom lab all`."
    return CommandOutput({"labs": facts}, text)


def _takes(lab: Lab) -> str:
    return "-" if lab.seconds is None else duration(lab.seconds)


def _run_one(lab: Lab, arguments: argparse.Namespace) -> CommandOutput:
    if arguments.guess is not None and arguments.guess < 1:
        raise InputError(f"--guess {arguments.guess}: expected the number of an answer, from 1.")
    asked = arguments.guess is None and _may_ask(arguments)
    result = _result(lab, arguments, arguments.out, asked=asked)
    return CommandOutput(result.to_dict(), _lab_text(result, introduced=asked), 0)


def _run_all(labs: Sequence[Lab], arguments: argparse.Namespace) -> CommandOutput:
    """Each lab in a process of its own, so that what one leaves in memory is gone before the next."""
    from fittingroom.labs.lab_folder import FACTS_NAME
    from fittingroom.reports.pages.lab_page import labs_index
    from fittingroom.runs.json_files import read_json
    from fittingroom.runs.place import RunsFolder

    base, facts = arguments.out or RunsFolder().path / "labs", []
    for lab in labs:
        folder = base / lab.name
        _run_apart(lab, folder, arguments)
        facts.append(read_json(folder / FACTS_NAME))
    links = [f"{lab.name}/{lab.name}.html" for lab in labs]
    page = labs_index(facts, links).save(base / "index.html")
    rows = [(one["lab"], claim["says"], claim["verdict"]) for one in facts for claim in one["claims"]]
    lines = [f"{lab:>2}  {_SIGNS[verdict]} {verdict:<19}  {says}" for lab, says, verdict in rows]
    return CommandOutput({"labs": facts, "page": str(page)}, "\n".join([*lines, "", f"Page: {page}"]))


def _run_apart(lab: Lab, folder: Path, arguments: argparse.Namespace) -> None:
    """Runs a lab in another process, which asks on this terminal and prints to standard error.

    Raises:
        RunError: the lab failed; the other process printed why.
        KeyboardInterrupt: Ctrl-C or SIGTERM ended it.
    """
    # In one process for all labs, memory grew to 1.5 GB: the allocator kept what 40 trainings left in pieces.
    yes = ["--yes"] if arguments.yes or arguments.json else []
    quick = ["--quick"] if arguments.quick else []
    command = [sys.executable, "-m", "fittingroom", "lab", lab.name, "--out", str(folder), *yes, *quick]
    status = subprocess.run(
        command, stdout=subprocess.DEVNULL if arguments.json else sys.stderr, check=False
    ).returncode
    if status == _INTERRUPTED:
        raise KeyboardInterrupt
    if status:
        raise RunError(f"{lab.title!r} failed; the reason is above. The same call continues there.")


def _may_ask(arguments: argparse.Namespace) -> bool:
    return not arguments.yes and not arguments.json and sys.stdin.isatty() and sys.stderr.isatty()


def _result(lab: Lab, arguments: argparse.Namespace, out: Path | None, *, asked: bool) -> LabResult:
    from fittingroom.labs.lab import lab as run_lab

    predicted = None if arguments.guess is None else arguments.guess - 1
    if asked:
        print(printable(f"{_introduction(lab)}\n"), file=sys.stderr)
        predicted = None if lab.predict is None else _ask(lab.predict)
    return run_lab(lab, predicted=predicted, quick=arguments.quick, trust=arguments.trust, out=out)


def _ask(predict: LabPrediction) -> int | None:
    """The answer that the learner gives, from 0; None for an empty line."""
    print(printable(_wrapped(f"Your prediction first. {predict.ask}")), file=sys.stderr)
    for place, answer in enumerate(predict.answers, start=1):
        print(printable(f"  {place}  {answer}"), file=sys.stderr)
    while True:
        print(f"1 to {len(predict.answers)}, or Enter to skip: ", end="", file=sys.stderr, flush=True)
        given = sys.stdin.readline().strip()
        if not given:
            return None
        if given.isdecimal() and 1 <= int(given) <= len(predict.answers):
            return int(given) - 1


def _lab_text(result: LabResult, *, introduced: bool) -> str:
    """A lab for a terminal.

    Args:
        result: what came of the lab.
        introduced: whether its question is on the screen already.
    """
    lab = result.lab
    parts = [
        "" if introduced else _introduction(lab),
        _prediction(result),
        _picture(result),
        "\n".join(_wrapped(text) for text in result.left_out),
        "\n\n".join(_claims(result)),
        _wrapped(lab.explanation),
        _wrapped(f"Try next: {lab.next}"),
        f"Page: {result.page}",
    ]
    return "\n\n".join(filter(None, parts))


def _introduction(lab: Lab) -> str:
    which = "" if lab.number is None else f"Lab {lab.number}: "
    parts = [f"{which}{lab.title}", _wrapped(lab.question)]
    if lab.course is not None:
        parts.append(_wrapped(f"The course says: {lab.course}"))
    return "\n\n".join([*parts, *_codes(lab)])


def _codes(lab: Lab) -> Iterable[str]:
    """The first piece of code in full, and of each other one what is different; of those about scores what they say."""
    if lab.stand_in is not None:  # several long programs, which the page shows
        for one in lab.codes:
            said = [line.lstrip("# ") for line in one.code.splitlines() if line.startswith("#")]
            yield _wrapped(f"{one.name}: {' '.join(said)}")
        return
    for index, one in enumerate(lab.codes):
        if index == 0:
            yield f"{one.name}:\n{textwrap.indent(one.code.rstrip(), '    ')}"
            continue
        changes = difflib.ndiff(lab.codes[0].code.splitlines(), one.code.splitlines())
        changed = "\n".join(line.rstrip() for line in changes if line.startswith(("+ ", "- ")) and line[2:].strip())
        yield f"{one.name}: the same, but\n{textwrap.indent(changed, '    ')}"


def _prediction(result: LabResult) -> str:
    asked, outcome = result.lab.predict, result.outcome
    if asked is None or not result.allowed:
        return ""
    if outcome is None:
        came = (
            f"The measurement cannot tell: {'; '.join(asked.answers[one] for one in result.allowed)} are all possible."
        )
    else:
        came = f"It came out: {asked.answers[outcome]}."
    if result.predicted is None:
        return _wrapped(f"{asked.ask} {came}")
    return _wrapped(f"Your prediction was: {asked.answers[result.predicted]}. {came}")


def _claims(result: LabResult) -> Iterable[str]:
    for one in result.claims:
        said = _wrapped(f"{_SIGNS[one.verdict]} {one.verdict.upper()}: {one.claim.says}")
        yield f"{said}\n{textwrap.indent(_wrapped(one.sentence, _WIDTH - 4), '    ')}"


def _picture(result: LabResult) -> str:
    """The arms as a table and, each seed a dot, on an axis of accuracy; and the errors of those that were refused."""
    arms = [arm for arm in result.arms if arm.runs]
    if result.lab.stand_in is not None:
        return "\n\n".join([*_scores(arms), *_refused(result)])
    header = ("", "seeds", "epochs", "accuracy", "95% interval", "loss", "seconds", "loss by epoch")
    covers = "On validation images, means over seeds, with intervals for other seeds on these images."
    parts = [
        f"{table(header, [_row(arm) for arm in arms])}\n{covers}" if arms else "",
        _axis(arms) if len(arms) > 1 else "",
        "\n".join(_wrapped(f"{arm.name} printed: {_printed(arm)}") for arm in result.arms if arm.printed),
        *_refused(result),
    ]
    return "\n\n".join(filter(None, parts))


def _refused(result: LabResult) -> list[str]:
    return [_wrapped(f"{arm.name} was refused: {arm.error}") for arm in result.arms if arm.error is not None]


def _scores(arms: Sequence[Arm]) -> Iterable[str]:
    """What the arms of a lab about scores report, what it is worth, and what the ledger and the audit say of it."""
    if not arms:
        return
    rows = []
    for arm in arms:
        measures = arm.to_dict()["measures"]
        score, fresh, excess, looks, copies = (
            measures[name] for name in ("score", "fresh", "excess", "looks", "copies")
        )
        rows.append(
            (
                arm.name,
                str(len(arm.runs)),
                percent(score["mean"]),
                percent(fresh["mean"]),
                points(100 * excess["mean"], signed=True),
                "-" if excess["interval"] is None else " to ".join(points(100 * end) for end in excess["interval"]),
                number(looks["mean"], 0),
                percent(copies["mean"], 0),
            )
        )
    header = ("", "seeds", "reported", "fresh", "too much", "95% interval", "looks", "copies")
    yield table(header, rows)
    yield _wrapped(
        "Fresh: what the same model reaches on pictures that had no part in it. Copies: the share of test pictures "
        "with a copy among those to learn from, as the audit finds it. Means over seeds, each with a cut of its own."
    )
    for arm in arms:
        first = arm.reports[0]
        yield _wrapped(
            f"{arm.name}. Ledger: {amount(first.looks, 'look')}. {first.ledger} Audit: {' '.join(first.audit)}"
        )


def _printed(arm: Arm) -> str:
    """Each line that the code printed, and how often: with several seeds, each prints."""
    counts = Counter(line for line in arm.printed.splitlines() if line.strip())
    return "; ".join(f'"{line}"' + (f" ({count} times)" if count > 1 else "") for line, count in counts.items())


def _axis(arms: Sequence[Arm]) -> str:
    from fittingroom.labs.measures import MEASURES

    accuracies = {arm.name: arm.on_seeds(MEASURES["accuracy"]) or () for arm in arms}
    low, high = (choose(value for values in accuracies.values() for value in values) for choose in (min, max))
    ends = f"{percent(low)}{percent(high):>{_AXIS - len(percent(low))}}"
    rows = [(name, dots(values, low, high, _AXIS)) for name, values in accuracies.items() if values]
    return table(("accuracy", ends), rows, left=2)


def _row(arm: Arm) -> tuple[str, ...]:
    measures = arm.to_dict()["measures"]

    def mean(name: str, digits: int) -> str:
        return number(measures[name]["mean"] if name in measures else None, digits)

    losses = arm.runs[0].history.get("val_loss", [])
    return (
        arm.name,
        str(len(arm.runs)),
        format(measures["epochs"]["mean"], ".3g") if "epochs" in measures else "-",
        percent(measures["accuracy"]["mean"]),
        percent_range(measures["accuracy"]["interval"]),
        mean("loss", 4),
        mean("seconds", 2),
        sparkline(losses, 12),
    )


def _wrapped(text: str, width: int = _WIDTH) -> str:
    """Each paragraph in lines of at most `width` characters."""
    return "\n\n".join(
        textwrap.fill(part, width, break_long_words=False, break_on_hyphens=False) for part in text.split("\n\n")
    )
