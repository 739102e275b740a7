"""`fittingroom ledger`: every look at a sealed test set that this user took, and whether the record is as written.

Inspections, which are no looks, stand apart.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fittingroom.cli.command import CommandOutput, CommandParser, table
from fittingroom.cli.run_text import INSTEAD_OF_LOOKS
from fittingroom.errors import InputError, UnknownNameError
from fittingroom.runs.ledger_check import LedgerCheck
from fittingroom.text import amount, number, percent

if TYPE_CHECKING:
    from fittingroom.runs.ledger import Ledger
    from fittingroom.runs.ledger_entries import LedgerInspection, LedgerLook

_NOT_OPENED = ("No test set has been opened yet.", "This test set has not been opened yet.")
_SHORT = 8  # digits of a fingerprint or a digest that are shown

_WHAT_IT_IS = """\
A look is one opening of a sealed test set. The ledger counts the looks of all your runs, because the best of many
scores is partly luck. `fittingroom ledger --verify` checks that nothing in it was changed or lost."""

_WHAT_AN_INSPECTION_IS = """\
An inspection compares the images of a test set with others, as `fittingroom audit` does to find duplicates. No label is
read and no score is computed, so it is not a look."""

_WHAT_IT_FINDS = """\
This check finds a damaged file, entries edited or removed by hand, and an old copy put in the ledger's place. It cannot
find a ledger rewritten together with the run folders, or a look that another ledger counted."""


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_argument(
        "dataset",
        metavar="DATASET",
        nargs="?",
        help="only the looks at this test set: a name its data were loaded under, or the start of its fingerprint",
    )
    parser.add_argument(
        "--verify", action="store_true", help="check that no entry was changed, removed or moved (exit status 1 if so)"
    )
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """Reads the ledger; opens no test set and adds nothing."""
    from fittingroom.runs.ledger import Ledger

    ledger = Ledger.of_user()
    if not arguments.verify:
        return _list(ledger, arguments.dataset)
    if arguments.dataset is not None:
        raise InputError(f"--verify checks the whole ledger, not one dataset. Leave out {arguments.dataset}.")
    return _verify(ledger)


def _list(ledger: Ledger, dataset: str | None) -> CommandOutput:
    looks, inspections = ledger.looks(), ledger.inspections()
    if dataset is not None:
        chosen = _test_sets_of(dataset, [*looks, *inspections])
        looks = [look for look in looks if look.known_as & chosen]
        inspections = [one for one in inspections if one.known_as & chosen]
    facts = {
        "ledger": str(ledger.path),
        "looks": [_facts(look) for look in looks],
        "inspections": [{"time": one.time, "test_set": one.test_set, **asdict(one.intent)} for one in inspections],
    }
    header = ("look", "time (UTC)", "test set", "", "run", "recipe", "seed", "score", "reason")
    rows = table(header, [_row(look) for look in looks], left=9) if looks else _NOT_OPENED[dataset is not None]
    instead = f"\n\n{INSTEAD_OF_LOOKS}" if _compares(looks) else ""
    text = f"{rows}\n{_inspected(inspections)}\nLedger: {ledger.path}\n{_WHAT_IT_IS}{instead}"
    return CommandOutput(facts, text)


def _inspected(inspections: list[LedgerInspection]) -> str:
    """The table of inspections, with what an inspection is; empty without one."""
    if not inspections:
        return ""
    rows = [
        (one.time[:19].replace("T", " "), one.intent.dataset, one.test_set[:_SHORT], one.intent.reason)
        for one in inspections
    ]
    listed = table(("inspection, time (UTC)", "test set", "", "reason"), rows, left=4)
    return f"\n{listed}\n{_WHAT_AN_INSPECTION_IS}\n"


def _compares(looks: list[LedgerLook]) -> bool:
    """Whether several recipes have looked at one test set."""
    looked = {(look.test_set, look.intent.recipe_digest) for look in looks if look.intent.recipe_digest}
    return len(looked) > len({test_set for test_set, _ in looked})


def _verify(ledger: Ledger) -> CommandOutput:

    verdict = LedgerCheck.of(ledger)
    facts = {
        "ledger": str(ledger.path),
        "intact": verdict.problem is None and not verdict.contradictions,
        **asdict(verdict),
    }
    counts = f"{number(verdict.entries)} entries, {number(verdict.looks)} of them looks"
    counts += f" and {amount(verdict.inspections, 'inspection')}" if verdict.inspections else ""
    if verdict.problem is not None:
        return CommandOutput(facts, f"Broken: {verdict.problem}.\n{counts}: {ledger.path}", status=1)
    if verdict.contradictions:
        listed = "".join(f"\nNot believed: {one}" for one in verdict.contradictions)
        return CommandOutput(facts, f"Intact, but run folders contradict it: {counts}: {ledger.path}{listed}", status=1)
    text = f"Intact: {counts}, none changed, removed or moved since it was written: {ledger.path}"
    if verdict.elsewhere:
        elsewhere = amount(verdict.elsewhere, "look")
        text += f"\nAnother ledger, or one deleted since, counted {elsewhere} of the runs here."
    return CommandOutput(facts, f"{text}\n{_WHAT_IT_FINDS}")


def _test_sets_of(dataset: str, entries: list[LedgerLook | LedgerInspection]) -> frozenset[str]:
    """What the test sets are known by that were ever loaded under a name, also those under another name."""
    found = [entry.known_as for entry in entries if entry.intent.dataset == dataset] or [
        entry.known_as
        for entry in entries
        if len(dataset) >= _SHORT and any(name.startswith(dataset) for name in entry.known_as)
    ]
    if not found:
        raise UnknownNameError("test set", dataset, sorted({entry.intent.dataset for entry in entries}))
    return frozenset().union(*found)


def _facts(look: LedgerLook) -> dict[str, Any]:
    score = None if look.score is None else {**look.score, "accuracy": _accuracy(look)}
    what = {"look": look.look, "repeats": look.repeats, "joins": look.joins}
    return {**what, "time": look.time, "test_set": look.test_set, **asdict(look.intent), "score": score}


def _row(look: LedgerLook) -> tuple[str, ...]:
    intent = look.intent
    recipe = f"{intent.recipe} {intent.recipe_digest[:_SHORT]}" if intent.recipe_digest else "-"
    return (
        f"{look.look} again" if look.repeats else str(look.look),
        look.time[:19].replace("T", " "),
        intent.dataset,
        look.test_set[:_SHORT],
        intent.run or "-",
        recipe,
        "-" if intent.seed is None else str(intent.seed),
        percent(_accuracy(look)),
        intent.reason,
    )


def _accuracy(look: LedgerLook) -> float | None:
    return None if look.score is None else look.score["correct"] / look.score["count"]
