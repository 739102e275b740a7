"""`fittingroom compare`: runs against each other on their validation images, without opening the test set."""

from __future__ import annotations

import argparse
import string
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fittingroom.cli.command import CommandOutput, CommandParser, table
from fittingroom.errors import InputError, RunError
from fittingroom.runs.place import find_run
from fittingroom.text import number, percent, percent_range

if TYPE_CHECKING:
    from fittingroom.evaluation.comparison import Comparison, Contender, Pair
    from fittingroom.evaluation.differences import Difference
    from fittingroom.evaluation.leaderboard import Leaderboard

_TESTS = {
    "mcnemar": "McNemar's exact test",
    "sign flip": "sign flips of the images' differences",
    "seeds and images": "t over seeds and images",
    "paired seeds and images": "t over seeds and images, paired by both",
}


_TWO = 2
_MOST_PAIRED = 5  # runs; from here on a leaderboard, since a table of all pairs would fill screens
_NEXT = "Next: choose one, then open the test set once, for that one: `fittingroom evaluate RUN`."


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="+",
        help="two runs or more, each a folder, a name in the folder of runs, or latest",
    )
    parser.add_argument(
        "--corrupted",
        action="store_true",
        help="compare them on corrupted images too: noise, blur, rotation and others",
    )
    parser.add_argument(
        "--look",
        metavar="REASON",
        help="with --corrupted: on the sealed test set, which is opened once for all of them and recorded as one look",
    )
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    """Compares the runs; reads no test score, and opens no test set but for `--look`."""
    if arguments.look is not None and not arguments.corrupted:
        raise InputError("--look opens the test set for corrupted images. Add --corrupted, or leave --look out.")
    paths = [find_run(name) for name in arguments.runs]  # before the heavy packages are imported
    from fittingroom import compare

    if arguments.corrupted:
        return _corrupted(paths, arguments.look)
    if len(paths) < _MOST_PAIRED:
        try:
            return _paired(compare(paths), paths)
        except InputError:
            if len(paths) <= _TWO:
                raise  # two that cannot be compared are no leaderboard
    return _ranked(paths)


def _paired(comparison: Comparison, paths: Sequence[Path]) -> CommandOutput:
    """A few runs on the same images: every pair of them."""
    from fittingroom.evaluation.leaderboard import Leaderboard, Leaderboards

    board = Leaderboard.of(comparison.dataset, comparison.contenders)
    facts = {**_facts(comparison, paths), "leaderboard": Leaderboards((board,)).to_dict()}
    return CommandOutput(facts, _text(comparison, board.sentence if len(paths) > _TWO else ""))


def _corrupted(paths: Sequence[Path], look: str | None) -> CommandOutput:
    """The runs on their images, and on these under corruptions."""
    from fittingroom import compare, compare_corrupted

    plain, found = compare(paths), compare_corrupted(paths, look=look)
    header, *rows = found.rows
    text = [found.title, table(header, rows), *found.verdicts, *(f"Note: {note}" for note in found.to_dict()["notes"])]
    return CommandOutput({**_facts(plain, paths), "corrupted": found.to_dict()}, "\n\n".join(text))


def _ranked(paths: Sequence[Path]) -> CommandOutput:
    """Many runs, or runs on different images: a leaderboard for each set of images."""
    from fittingroom import compare, leaderboard

    boards = leaderboard(paths)
    if not boards.boards:
        raise RunError("\n".join(["none of these runs can be compared.", *(why for _, why in boards.left_out)]))
    names = dict(zip((path.name for path in paths), paths, strict=False))
    first = [names.get(place.contender.name, Path(place.contender.name)) for place in boards.boards[0].places]
    facts: dict[str, Any] = {"dataset": boards.boards[0].dataset, "runs": [], "pairs": [], "notes": []}
    if len(first) > 1:
        facts = _facts(compare(first), first)
    text = [boards.sentence, *(_board_text(board) for board in boards.boards)]
    text += ["\n".join(f"{name} has no place: {why}" for name, why in boards.left_out), _NEXT]
    return CommandOutput({**facts, "leaderboard": boards.to_dict()}, "\n\n".join(filter(None, text)))


def _facts(comparison: Comparison, paths: Sequence[Path]) -> dict[str, Any]:
    folders = {name: str(path) for name, path in zip(comparison.names, paths, strict=True)}
    facts = comparison.to_dict()
    return {**facts, "runs": [{**one, "folder": folders[one["run"]]} for one in facts["runs"]]}


def _board_text(board: Leaderboard) -> str:
    """A leaderboard as a table: a bar stands before all runs that are not shown to differ from the first."""
    rows = [
        (
            "│" if place.in_bracket else " ",
            str(place.rank),
            place.contender.name,
            place.contender.recipe,
            str(len(place.contender.seeds)),
            percent(place.contender.accuracy.mean, 2),
            percent_range(place.contender.interval),
            number(place.contender.mean_loss.mean, 4),
            "" if place.behind is None else _p(place.behind.accuracy.corrected),
        )
        for place in board.places
    ]
    header = ("", "", "run", "recipe", "seeds", "accuracy", "95% interval", "loss (nats)", "p, first against it")
    title = f"{number(board.images)} validation images of {board.dataset}"
    return f"{title}\n\n{table(header, rows, left=4)}\n\n{board.sentence}"


def _text(comparison: Comparison, bracket: str) -> str:
    letters = [letter(index) for index in range(len(comparison.contenders))]
    runs = table(
        ("", "run", "recipe", "seeds", "accuracy", "95% interval", "loss (nats)"),
        [_row(letter, one) for letter, one in zip(letters, comparison.contenders, strict=True)],
        left=3,
    )
    return "\n".join(
        [
            f"{number(comparison.images)} validation images of {comparison.dataset}",
            "",
            runs,
            "",
            pairs_text(comparison.pairs, letters, several=len(comparison.pairs) > 1),
            "",
            *(pair.verdict(letters) for pair in comparison.pairs),
            *([bracket] if bracket else []),
            "",
            *(f"Note: {note}" for note in comparison.notes),
            _NEXT,
        ]
    )


def pairs_text(pairs: Sequence[Pair], letters: Sequence[str], *, several: bool) -> str:
    """The differences of some pairs as a table, and which tests they rest on.

    Args:
        pairs: the rows of the table.
        letters: what to call each contender, by its position.
        several: whether p and intervals are adjusted for more than one pair.
    """
    interval = "adjusted interval" if several else "95% interval"
    header = ("", "points", interval, "p", *(("p, corrected",) if several else ()), "loss (nats)", interval)
    tests = dict.fromkeys(_TESTS[pair.test] for pair in pairs)
    rows = [_pair(pair, letters, several=several) for pair in pairs]
    return f"{table(header, rows)}\np of the accuracies: {'; '.join(tests)}."


def letter(index: int) -> str:
    """The name of a contender by its position, from 0: A, B, ..., Z, AA, BB, ..."""
    return string.ascii_uppercase[index % 26] * (index // 26 + 1)


def _row(letter: str, one: Contender) -> tuple[str, ...]:
    accuracy, loss = one.accuracy, one.mean_loss
    return (
        letter,
        one.name,
        one.recipe,
        str(len(one.seeds)),
        percent(accuracy.mean, 2),
        percent_range(one.interval),
        number(loss.mean, 4),
    )


def _pair(pair: Pair, letters: Sequence[str], *, several: bool) -> tuple[str, ...]:
    accuracy, loss = pair.accuracy, pair.loss
    return (
        f"{letters[pair.first]} − {letters[pair.second]}",
        number(100 * accuracy.value, 2, signed=True),
        _range(accuracy, 100, 2),
        _p(accuracy.p),
        *((_p(accuracy.corrected),) if several else ()),
        number(None if loss is None else loss.value, 4, signed=True),
        "-" if loss is None else _range(loss, 1, 4),
    )


def _range(difference: Difference, factor: int, digits: int) -> str:
    return " to ".join(number(factor * end, digits, signed=True) for end in difference.interval)


def _p(value: Any) -> str:
    return f"{value:.3f}" if value >= 0.001 else "<0.001"
