"""What `fittingroom explain` prints: the sentences of an explanation, with tables and small charts of characters."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fittingroom.api.look_cost import NO_TEST_SET
from fittingroom.cli.command import printable
from fittingroom.text import nats, number, percent, percent_range

if TYPE_CHECKING:
    from fittingroom.reports.facts.explanation import Explanation

_NARROWEST, _WIDEST = 60, 100  # columns
_LEVELS = "▁▂▃▄▅▆▇█"
_MOST_CLASSES = 12  # a wider confusion matrix has no room in a terminal
_SHOWN_IMAGES = 3

_CURVES = (
    ("loss", "training loss"),
    ("val_loss", "validation loss"),
    ("accuracy", "training accuracy"),
    ("val_accuracy", "validation accuracy"),
)


def explanation_text(explanation: Explanation, facts: dict[str, Any]) -> str:
    """An explanation laid out as wide as the terminal; 80 columns where there is none.

    Args:
        explanation: the sentences, topic after topic.
        facts: what `explanation.to_dict()` gave.
    """
    width = min(max(shutil.get_terminal_size((80, 24)).columns, _NARROWEST), _WIDEST)
    page = io.StringIO()
    # No colour and no markup: names of classes are other people's text.
    console = Console(
        file=page, width=width, color_system=None, force_terminal=False, markup=False, emoji=False, highlight=False
    )
    for part in _parts(explanation, facts, width):
        if isinstance(part, str):
            page.write(f"{part}\n")
        else:
            console.print(part, crop=False)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines()).strip("\n")


def _parts(explanation: Explanation, facts: dict[str, Any], width: int) -> Iterator[RenderableType]:
    """The parts of the answer, to be laid out; a plain string is a line that stays as it is."""
    from fittingroom.reports.words.quotes import QUESTIONS  # not at the top: `lab` needs the charts only

    known = "validation" not in facts["missing"]  # what validation images went through
    drawn = _by_topic(facts, width) if known else {}
    yield Text(_title(facts))
    yield Text("")
    yield _answers(facts, QUESTIONS)
    for question, sentences in explanation.topics():
        yield Text(f"\n{question}", style="bold")
        for sentence in sentences:
            yield Padding(Text(sentence["text"]), (0, 0, 0, 2))
            for term in sentence["terms"]:
                yield Padding(Text(f"{term['name']}: {term['meaning']}", style="dim"), (0, 0, 0, 6))
        for table in drawn.get(sentences[0]["topic"], []):
            yield Text("")
            yield Padding(table, (0, 0, 0, 2))
    yield from _images_behind(facts) if known else [Text("")]
    report = f"fittingroom report {facts['run']['path']}" if known else None
    commands = {
        "To see it, with the images:": report,
        "To train it again:": facts["run"]["command"],
    }
    for purpose, line in commands.items():
        if line is not None:
            yield Text(purpose)
            yield line  # however long: it is there to be copied


def _images_behind(facts: dict[str, Any]) -> Iterator[RenderableType]:
    """Which images the sentences rest on, and the closing lines."""
    yield Text("\nThe images behind it", style="bold")
    files = any("file" in image for one in facts["images"] for image in one["images"])
    where = (
        "Files are in the dataset's folder" if files else "Numbers are positions among the validation images, from 0"
    )
    yield Padding(Text(f"{where}; true class → predicted class."), (0, 0, 0, 2))
    yield from (Padding(Text(line), (0, 0, 0, 2)) for line in _images(facts))
    yield Text("")
    yield from (Text(line) for line in _closing(facts))


def _title(facts: dict[str, Any]) -> str:
    """Which run this is, in a line."""
    run, trainings = facts["run"], facts["per_seed"]
    seeds = ", ".join(str(training["seed"]) for training in trainings)
    statuses = "/".join(sorted({training["status"] for training in trainings}))
    epochs = max(training["epochs"] for training in trainings)
    which = "seed" if len(trainings) == 1 else "seeds"
    epochs = f"{epochs} epochs" if run["has_epochs"] else "without epochs"
    return f"{run['recipe']} on {facts['data']['name']}, {which} {seeds}: {epochs}, {statuses}"


def _by_topic(facts: dict[str, Any], width: int) -> dict[str, list[Table]]:
    """The tables of each topic."""
    drawn = {
        "overfit": [_curves(facts, width)] if facts["run"]["has_epochs"] else [],
        "change": [_breakdown(facts, width)] if facts["run"]["has_epochs"] else [],
        "confidence": [_reliability(facts)] if facts["reliability"] is not None else [],
        "classes": [_per_class(facts)],
    }
    if 1 < len(facts["data"]["classes"]) <= _MOST_CLASSES:
        drawn["classes"].append(_confusion(facts))
    return drawn


def _curves(facts: dict[str, Any], width: int) -> Table:
    """The course of each number, its first and last value, its best one and when; means over seeds."""
    table = _table(("", "first", "best", "epoch", "last", ""), left=(0, 5))
    rows = [(title, name, facts["curves"].get(name, [])) for name, title in _CURVES]
    rows.append(("gap", "", (facts["stopping"]["gap"] or {}).get("curve", [])))
    rows.append(("overconfidence", "", (facts["calibration_curves"] or {}).get("overconfidence", [])))
    for title, name, values in rows:
        known = [point for point in values if point["mean"] is not None]
        if not known:
            continue
        show = percent if "accuracy" in name else nats
        best = ("", "")
        if name:  # for a gap or overconfidence, lower is not simply better
            found = (max if "accuracy" in name else min)(known, key=lambda point: point["mean"])
            best = (show(found["mean"]), str(found["epoch"]))
        course = sparkline([point["mean"] for point in known], width - 56)
        table.add_row(title, show(known[0]["mean"]), *best, show(known[-1]["mean"]), course)
    return table


def _breakdown(facts: dict[str, Any], width: int) -> Table:
    """The groups of images that the change of the loss is split into."""
    changes = facts["changes"]
    change = changes.get("asked", changes["best_loss"])
    if change["start"] == change["end"]:
        change = facts["ledgers"]["to_last"][0]
    table = _table(
        (f"epoch {change['start']} to {change['end']}", "images", "nats", "loss rose", "loss fell", ""), (0, 5)
    )
    most = max(abs(group["nats"]) for group in change["groups"])
    for group in change["groups"]:
        table.add_row(
            group["name"],
            number(group["count"]),
            nats(group["nats"], signed=True),
            number(group["rose"]["count"]),
            number(group["fell"]["count"]),
            _signed_bar(group["nats"], most, (width - 60) // 2),
        )
    rose, fell = (sum(group[name]["count"] for group in change["groups"]) for name in ("rose", "fell"))
    table.add_row(
        "all", number(change["images"]), nats(change["loss_change"], signed=True), number(rose), number(fell), ""
    )
    return table


def _reliability(facts: dict[str, Any]) -> Table:
    """The reliability diagram: for each range of confidence, how many answers are right."""
    table = _table(("confidence", "answers", "mean", "right", "95% interval", "right █, confidence ┃"), (0, 5))
    for part in facts["reliability"]["bins"]:
        if part["count"]:
            table.add_row(
                f"{100 * part['low']:.0f} to {100 * part['high']:.0f}%",
                number(part["count"]),
                percent(part["confidence"]),
                percent(part["accuracy"]),
                percent_range(part["interval"]),
                _marked_bar(part["accuracy"], part["confidence"], 20),
            )
    return table


def _per_class(facts: dict[str, Any]) -> Table:
    """The scores of each class, and what it is most often mistaken for."""
    names, confusion = facts["data"]["classes"], facts["classes"]["confusion"]
    table = _table(("class", "images", "recall", "95% interval", "precision", "F1", "most mistaken for"), (0, 6))
    for label, one in enumerate(facts["classes"]["per_class"]):
        wrong = [(count, other) for other, count in enumerate(confusion[label]) if other != label]
        count, other = max(wrong, key=lambda pair: pair[0], default=(0, 0))
        table.add_row(
            Text(names[label]),
            number(one["count"]),
            percent(one["recall"]),
            percent_range(one["recall_interval"]),
            percent(one["precision"]),
            number(one["f1"], 3),
            Text(f"{names[other]} ({count:,})" if count else "-"),
        )
    return table


def _confusion(facts: dict[str, Any]) -> Table:
    """The confusion matrix with counts: a row for each true class, a column for each predicted one."""
    names, counts = facts["data"]["classes"], facts["classes"]["confusion"]
    table = _table(("true class, predicted as", *map(str, range(len(names)))), left=(0,), gap=1)
    for label, row in enumerate(counts):
        table.add_row(Text(f"{label} {names[label]}"), *(number(count) if count else "·" for count in row))
    return table


def _answers(facts: dict[str, Any], questions: Mapping[Any, str]) -> Table:
    """Each question with its answer in a few words."""
    table = _table(("", ""), left=(0, 1))
    table.show_header = False
    for sentence in facts["words"]:
        if sentence["short"]:
            table.add_row(questions[sentence["topic"]], Text(sentence["short"]))
    return table


def _images(facts: dict[str, Any]) -> Iterator[str]:
    """Each list of images: its name, how many there are, the rule, and the first of them."""
    names = facts["data"]["classes"]
    for one in facts["images"]:
        first = [
            f"{_name(image)} {names[image['label']]} → {names[image['predicted']]}"
            for image in one["images"][:_SHOWN_IMAGES]
        ]
        yield f"{one['name']} ({one['count']:,}): {one['rule']}"
        if first:
            yield f"    {'; '.join(first)}"


def _name(image: Mapping[str, Any]) -> str:
    """The file of an image, or its position among the validation images."""
    return printable(image["file"]) if "file" in image else str(image["index"])


def _closing(facts: dict[str, Any]) -> Iterator[str]:
    """What is known of the test set, and the notes."""
    scores = [(one["seed"], one["test"]) for one in facts["per_seed"] if one["test"] is not None]
    problems = [one["test_problem"] for one in facts["per_seed"] if one["test_problem"] is not None]
    yield from (f"Test score not believed: {problem}" for problem in problems)
    if not scores and not problems:
        sealed = "The test set has not been opened by this run; nothing here rests on it."
        yield sealed if facts["data"]["has_test_set"] else NO_TEST_SET
    for seed, test in scores:
        look = "a look that is not in the ledger" if test["look"] is None else f"look {test['look']} of {test['looks']}"
        yield (
            f"Test set, seed {seed}: accuracy {percent(test['score']['accuracy'])} "
            f"({percent_range(test['score']['interval'])}); {look}, {test['sentence']}."
        )
    yield from (f"Note: {note}" for note in facts["run"]["notes"])


def _table(header: Sequence[str], left: Sequence[int], gap: int = 2) -> Table:
    """An empty table: columns of text flush left, numbers flush right."""
    table = Table(box=None, padding=(0, gap, 0, 0), pad_edge=False, show_edge=False)
    for column, name in enumerate(header):
        justify = "left" if column in left else "right"
        table.add_column(Text(name), justify=justify, no_wrap=justify == "right" or column == 0)  # type: ignore[arg-type]
    return table


def sparkline(values: Sequence[float | None], width: int) -> str:
    """A curve in a line of text, the lowest value `▁` and the highest `█`; a space where there is none.

    Args:
        values: the values, in their order.
        width: how many characters there is room for; of more values some are shown, evenly spaced, with both ends.
    """
    if len(values) > width:
        values = [values[round(place * (len(values) - 1) / max(width - 1, 1))] for place in range(width)]
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    step = (high - low) / (len(_LEVELS) - 1) or 1.0
    return "".join(" " if value is None else _LEVELS[round((value - low) / step)] for value in values)


def _signed_bar(value: float, most: float, width: int) -> str:
    """A bar to the right of a line for what is above 0, to its left for what is below; `width` characters each way."""
    cells = round(width * abs(value) / most) if most > 0 else 0
    left, right = ("█" * cells, "") if value < 0 else ("", "█" * cells)
    return f"{left:>{width}}│{right:<{width}}"


def _marked_bar(value: float, mark: float, width: int) -> str:
    """A bar of `value`, 0 to 1, over `width` characters, with a `┃` at `mark`."""
    filled, place = round(value * width), min(width - 1, int(mark * width))
    cells = ["█" if cell < filled else "·" for cell in range(width)]
    cells[place] = "┃"
    return "".join(cells)


def dots(values: Sequence[float], low: float, high: float, width: int) -> str:
    """Values as dots on an axis from `low` to `high` over `width` characters, with a `┃` at their mean."""
    step = (high - low) / (width - 1) or 1.0

    def place(value: float) -> int:
        return min(width - 1, max(0, round((value - low) / step)))

    cells = ["·"] * width
    for value in values:
        cells[place(value)] = "•"
    cells[place(sum(values) / len(values))] = "┃"
    return "".join(cells)
