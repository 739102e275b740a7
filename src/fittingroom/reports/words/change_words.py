"""In words: which images account for a change of the loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fittingroom.evaluation.change import GROUPS
from fittingroom.reports.words.quotes import Quote, Sentence, nats_interval, points_interval
from fittingroom.text import nats, points, word_list

_STAYED_WRONG = GROUPS.index("stayed wrong")
_BOTH = (".loss_change", ".accuracy_points")
_MORE_CONFIDENT = "Mistakes became more confident; there are not more of them"


def sentences(quote: Quote) -> Iterator[Sentence]:
    """The change that was asked for, else that from the best-loss epoch to the last, else that of all epochs."""
    place = "changes.asked" if "asked" in quote.facts["changes"] else "changes.best_loss"
    if place == "changes.best_loss" and _still(quote, place):
        place = "ledgers.to_last.0"
    if _still(quote, place):
        quote.forget()
        return
    which = ""
    if quote.several():
        which = f"With seed {quote('example.seed')}, the one with the median loss, from"
    told = of_change(quote, place, which or "From")
    conclusion = _conclusion(quote, place)
    yield replace(told, short=_MORE_CONFIDENT if conclusion else _short(told))
    if conclusion:
        yield quote.sentence("change", conclusion + _all_seeds(quote, place))
    quote.forget()


def _short(told: Sentence) -> str:
    """Both changes that the sentence tells."""
    loss, accuracy = (next(value for place, value in told.facts.items() if place.endswith(name)) for name in _BOTH)
    return f"Loss {nats(loss, signed=True)} nats, accuracy {points(accuracy, signed=True)} points"


def of_change(quote: Quote, place: str, start: str = "From") -> Sentence:
    """One ledger as a sentence or two.

    Args:
        quote: reads the facts.
        place: where the ledger is among the facts, such as `changes.best_loss`.
        start: the first words, up to the epochs.
    """
    first, last = quote(f"{place}.start"), quote(f"{place}.end")
    if first == last:
        return quote.sentence("change", f"Epoch {first} is compared with itself: nothing changes.")
    return quote.sentence(
        "change",
        f"{start} epoch {first} to {last} validation loss {_loss(quote, place)}, while accuracy "
        f"{_accuracy(quote, place)}. {_groups(quote, place)}",
    )


def stayed_wrong_carries(change: Mapping[str, Any]) -> bool:
    """Whether a rise of the loss is due to images that stayed wrong: to no group more, and at least half of it.

    Args:
        change: the facts of a change, as `Change.to_dict()` gives them.
    """
    nats = [group["nats"] for group in change["groups"]]
    wrong, rise = nats[_STAYED_WRONG], change["loss_change"]
    return bool(rise > 0 and wrong >= rise / 2 and wrong >= max(nats))


def _still(quote: Quote, place: str) -> bool:
    return bool(quote.look(f"{place}.start") == quote.look(f"{place}.end"))


def _loss(quote: Quote, place: str) -> str:
    value, interval = quote(f"{place}.loss_change"), quote(f"{place}.loss_interval")
    if interval is None:
        return f"changed by {nats(value, signed=True)} nats, on a single image"
    if _shown(quote, place):
        sure = "on these images" if _holds_zero(interval) else f"{nats_interval(interval)}"
        return f"{'rose' if value > 0 else 'fell'} by {nats(abs(value))} nats ({sure})"
    if _holds_zero(interval):
        return f"did not change measurably ({nats(value, signed=True)} nats, {nats_interval(interval)})"
    return f"changed by {nats(value, signed=True)} nats, no more than the jitter between epochs explains"


def _shown(quote: Quote, place: str) -> bool:
    """Whether a change of the loss is more than chance.

    The rise from the lowest to the last epoch is judged once for all places, by `stopping`, which averages over epochs.
    """
    best, last = (quote.look(quote.example(name)) for name in ("best_loss_epoch", "last_epoch"))
    if (quote.look(f"{place}.start"), quote.look(f"{place}.end")) == (best, last):
        return bool(quote.look("stopping.differences.rises"))
    return not _holds_zero(quote.look(f"{place}.loss_interval"))


def _holds_zero(interval: Sequence[float]) -> bool:
    """Whether an interval of a change leaves its direction open."""
    return interval[0] <= 0 <= interval[1]


def _accuracy(quote: Quote, place: str) -> str:
    value, interval = quote(f"{place}.accuracy_points"), quote(f"{place}.accuracy_interval")
    if interval is None:
        return f"changed by {points(value, signed=True)} points"
    if _holds_zero(interval):
        return f"did not change measurably ({points(value, signed=True)} points, {points_interval(interval)})"
    return f"{'rose' if value > 0 else 'fell'} by {points(abs(value))} points ({points_interval(interval)})"


def _groups(quote: Quote, place: str) -> str:
    """What each group accounts for, the largest part first; empty groups are left out."""
    groups: list[dict[str, Any]] = quote.look(f"{place}.groups")
    parts: list[str] = []
    for index in sorted(range(len(groups)), key=lambda index: -abs(groups[index]["nats"])):
        if not groups[index]["count"]:
            continue
        count, share = quote(f"{place}.groups.{index}.count"), quote(f"{place}.groups.{index}.nats")
        name = groups[index]["name"]
        if parts:
            text = f"the {count:,} that {name} for {nats(share, signed=True)}"
        elif count == 1:
            text = f"the one image that {name} accounts for {nats(share, signed=True)} nats"
        else:
            text = f"the {count:,} images that {name} account for {nats(share, signed=True)} nats"
        if index == _STAYED_WRONG and groups[index]["rose"]["count"]:
            text += f" ({quote(f'{place}.groups.{index}.rose.count'):,} of them became more confidently wrong)"
        parts.append(text)
    return f"{parts[0][0].upper()}{word_list(parts)[1:]}."


def _conclusion(quote: Quote, place: str) -> str:
    """Why the loss rose while accuracy did not fall; empty where that is not what happened."""
    change = quote.look(place)
    interval = change["loss_interval"]
    if interval is None or change["accuracy_points"] < 0 or not stayed_wrong_carries(change):
        return ""
    if not _shown(quote, place):
        return ""
    for name in ("loss_interval", "accuracy_points", f"groups.{_STAYED_WRONG}.nats"):
        quote(f"{place}.{name}")
    return (
        "So the loss rose because mistakes became more confident, not because there are more of them: accuracy only "
        "counts right answers, loss also asks how sure they are."
    )


def _all_seeds(quote: Quote, place: str) -> str:
    """With how many seeds the same images carry the rise."""
    if not quote.several() or place != "changes.best_loss":
        return ""
    count, seeds = quote("agreement.stayed_wrong_carries"), quote("agreement.seeds")
    which = f"all {count}" if count == seeds else f"{count} of the {seeds}"
    return f" With {which} seeds the images that stayed wrong account for most of the rise."
