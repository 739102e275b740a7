"""In words: whether the training overfitted and since when, and what stopping earlier would have changed."""

from __future__ import annotations

from collections.abc import Iterator

from fittingroom.reports.words.quotes import Quote, Sentence, epoch_span, nats_interval, points_interval
from fittingroom.text import nats, percent, points

_DIFFERENCES = "stopping.differences"


def sentences(quote: Quote) -> Iterator[Sentence]:
    """Whether the training overfitted, and what stopping earlier would have changed."""
    for tell in (_overfit, _stopping) if quote.look("run.has_epochs") else (_without_epochs,):
        yield from tell(quote)
        quote.forget()


def _without_epochs(quote: Quote) -> Iterator[Sentence]:
    """What a classifier that was fitted in one go knows of its training images, and of new ones."""
    gap = quote.look("stopping.accuracy_gap")
    start = "It was fitted in one go, without epochs, so there is no course in which it could begin to overfit"
    if gap is None:
        text = f"{start}; nor was it scored on training images. What counts is how it does on validation images."
        yield quote.sentence("overfit", text, "It has no epochs, and was not scored on training images")
        return
    training, validation = quote("stopping.accuracy_gap.training"), quote("stopping.accuracy_gap.validation")
    low, high = (100 * end for end in quote("stopping.accuracy_gap.interval"))
    count = quote("per_seed.0.train.count")
    both = f"{percent(training)} of training images right, {percent(validation)} of validation images"
    text = (
        f"{start}. Of {count:,} of its training images {percent(training)} are right, of the validation images "
        f"{percent(validation)}: a gap of {points(100 * quote('stopping.accuracy_gap.gap'))} points "
        f"({points_interval([low, high])})."
    )
    large = quote("stopping.accuracy_gap.large")
    if large:
        text += (
            " So it knows its training images much better than new ones, which forests and nearest neighbours do even "
            "where they are at their best: compare settings on validation images, not by this gap."
        )
    yield quote.sentence("overfit", text, f"A large gap: {both}" if large else f"No large gap: {both}")


def _single_epoch(quote: Quote) -> bool:
    """Whether no seed has more than one validated epoch."""
    return all(len(one["validated_epochs"]) < 2 for one in quote.facts["per_seed"])


def _overfit(quote: Quote) -> Iterator[Sentence]:
    """Whether it did, by loss; what accuracy, the gap of the accuracies and that of the losses say beside it."""
    if _single_epoch(quote):
        text = "A single validated epoch shows no trend, so the loss cannot tell."
        yield quote.sentence("overfit", text, _large_gap(quote) or "One epoch cannot tell")
    elif quote(f"{_DIFFERENCES}.rises"):
        yield _rise(quote)
        yield _accuracy_meanwhile(quote)
    else:
        yield _no_rise(quote)
    if quote.look("stopping.accuracy_gap") is not None and quote.look("stopping.accuracy_gap.large"):
        yield _accuracy_gap(quote)
    if quote.look("stopping.gap") is not None and quote("stopping.gap.grows"):
        yield _gap(quote)


def _rise(quote: Quote) -> Sentence:
    low, high = quote("stopping.loss_epochs.low"), quote("stopping.loss_epochs.high")
    rise, interval = quote(f"{_DIFFERENCES}.rise.difference"), quote(f"{_DIFFERENCES}.rise.interval")
    over = "images, seeds" if quote("stopping.over_seeds") else "images"
    training = ""
    if quote.look("stopping.training_loss") is not None and quote.look("stopping.training_loss.fell"):
        before = quote("stopping.training_loss.at_loss_epoch.mean")
        after = quote("stopping.training_loss.at_last_epoch.mean")
        training = f" Meanwhile training loss kept falling, from {nats(before)} to {nats(after)} nats."
    return quote.sentence(
        "overfit",
        f"Yes, judged by loss: validation loss was lowest after {_by_seed(low, high)} and then rose by {nats(rise)} "
        f"nats until {_the_last(quote)} ({nats_interval(interval)}, for other {over} and the jitter between epochs; "
        f"measured on images that had no part in choosing the epoch).{training}",
        f"By loss, yes, after {epoch_span(low, high)}; by accuracy, {_fell(quote)}",
    )


def _the_last(quote: Quote) -> str:
    """What a rise is measured until: `the last epoch`, `the last 5 epochs`."""
    width = quote("stopping.window")
    return "the last epoch" if width == 1 else f"the last {width} epochs"


def _fell(quote: Quote) -> str:
    """Whether accuracy fell measurably since the epoch that loss would choose."""
    since = quote.look(f"{_DIFFERENCES}.accuracy_since")
    return "too" if since["shown"] and since["difference"] < 0 else "no"


def _accuracy_meanwhile(quote: Quote) -> Sentence:
    change, interval = _points(quote, "accuracy_since")
    if not quote(f"{_DIFFERENCES}.accuracy_since.shown"):
        moved = f"{points(change, signed=True)} points, {interval}"
        text = f"Judged by accuracy, no: it did not change measurably ({moved})."
    elif change > 0:
        text = f"Judged by accuracy, no: it even rose, by {points(abs(change))} points ({interval})."
    else:
        text = f"Judged by accuracy, yes as well: it fell by {points(abs(change))} points ({interval})."
    return quote.sentence("overfit", text)


def _no_rise(quote: Quote) -> Sentence:
    last, low = quote("stopping.last_epochs.high"), quote("stopping.loss_epochs.low")
    if low >= last:
        return quote.sentence(
            "overfit",
            f"No, judged by loss: it was lowest after the last epoch, {last}, so more epochs may lower it further.",
            _large_gap(quote) or f"No: loss was lowest after the last epoch, {last}",
        )
    rise, interval = quote(f"{_DIFFERENCES}.rise.difference"), quote(f"{_DIFFERENCES}.rise.interval")
    return quote.sentence(
        "overfit",
        f"Loss shows no sign of it: from its minimum to {_the_last(quote)}, it did not rise by more than "
        f"other images and the jitter between epochs explain ({nats(rise, signed=True)} nats, "
        f"{nats_interval(interval)}).",
        _large_gap(quote) or "No sign of it: loss did not rise measurably",
    )


def _large_gap(quote: Quote) -> str:
    """The gap between the accuracies in a few words; empty where it is not large."""
    gap = quote.look("stopping.accuracy_gap")
    if gap is None or not gap["large"]:
        return ""
    training, validation = quote("stopping.accuracy_gap.training"), quote("stopping.accuracy_gap.validation")
    return f"A large gap: {percent(training)} of training images right, {percent(validation)} of validation images"


def _accuracy_gap(quote: Quote) -> Sentence:
    training, validation = quote("stopping.accuracy_gap.training"), quote("stopping.accuracy_gap.validation")
    low, high = (100 * end for end in quote("stopping.accuracy_gap.interval"))
    return quote.sentence(
        "overfit",
        f"In the last epoch {percent(training)} of the training images were right (a mean over the epoch, while the "
        f"weights changed), and {percent(validation)} of the validation images are: a gap of "
        f"{points(100 * quote('stopping.accuracy_gap.gap'))} points ({points_interval([low, high])}). So it knows its "
        "training images much better than new ones. What helps: more training images, augmentation (`augment`), "
        "`dropout`, `weight_decay`, or a smaller model.",
    )


def _gap(quote: Quote) -> Sentence:
    low, high = quote("stopping.gap.positive_since.low"), quote("stopping.gap.positive_since.high")
    last = quote("stopping.gap.last.mean")
    return quote.sentence(
        "overfit",
        f"Validation loss has been above training loss since {epoch_span(low, high)}, and the gap has grown to "
        f"{nats(last)} nats: by now, what the model learns helps more on training images than on new ones.",
    )


def _stopping(quote: Quote) -> Iterator[Sentence]:
    """Which epochs loss and accuracy would choose, whether that makes a difference, and what it would have been."""
    if _single_epoch(quote):
        return
    by_loss = quote("stopping.loss_epochs.low"), quote("stopping.loss_epochs.high")
    by_accuracy = quote("stopping.accuracy_epochs.low"), quote("stopping.accuracy_epochs.high")
    short = _short(quote)
    if quote.look("stopping.loss_epochs.values") == quote.look("stopping.accuracy_epochs.values"):
        text = f"Loss and accuracy would choose the same: {epoch_span(*by_loss)}."
    else:
        text = f"Loss would choose {epoch_span(*by_loss)} and accuracy {epoch_span(*by_accuracy)}. {_worth(quote)}"
    yield quote.sentence("stopping", text, short)
    if quote(f"{_DIFFERENCES}.rises"):
        yield _stopped(quote)


def _short(quote: Quote) -> str:
    if not quote(f"{_DIFFERENCES}.rises"):
        return "No measurably lower loss"
    return f"{nats(quote(f'{_DIFFERENCES}.rise.difference'))} nats less loss, {_other_accuracy(quote)}"


def _by_seed(low: int, high: int) -> str:
    return f"epoch {low}" if low == high else f"{epoch_span(low, high)}, depending on the seed,"


def _worth(quote: Quote) -> str:
    """What accuracy's choice is worth against loss's."""
    gain, accuracy = _points(quote, "accuracy")
    cost, interval = quote(f"{_DIFFERENCES}.loss.difference"), quote(f"{_DIFFERENCES}.loss.interval")
    if not quote(f"{_DIFFERENCES}.differ"):
        return (
            f"No difference is shown: accuracy's choice has {points(gain, signed=True)} points of accuracy "
            f"({accuracy}) and {nats(cost, signed=True)} nats of loss ({nats_interval(interval)}) compared with "
            "loss's choice."
        )
    if quote(f"{_DIFFERENCES}.loss.shown"):
        loss = f"{nats(abs(cost))} nats {'more' if cost > 0 else 'less'} loss ({nats_interval(interval)})"
    else:
        loss = f"a loss that is not measurably different ({nats(cost, signed=True)} nats, {nats_interval(interval)})"
    if quote(f"{_DIFFERENCES}.accuracy.shown"):
        right = f"{points(abs(gain))} points {'more' if gain > 0 else 'less'} accuracy ({accuracy})"
    else:
        right = f"an accuracy that is not measurably different ({points(gain, signed=True)} points, {accuracy})"
    return f"Accuracy's choice comes with {loss} and {right}."


def _stopped(quote: Quote) -> Sentence:
    rise = quote(f"{_DIFFERENCES}.rise.difference")
    return quote.sentence(
        "stopping",
        f"Stopped where loss was lowest, the model has {nats(rise)} nats less loss than after {_the_last(quote)}, with "
        f"{_other_accuracy(quote)}.",
    )


def _other_accuracy(quote: Quote) -> str:
    """How accuracy would differ where loss would stop, against the last epoch."""
    change = quote(f"{_DIFFERENCES}.accuracy_since.difference")
    if not quote(f"{_DIFFERENCES}.accuracy_since.shown"):
        return "accuracy not measurably different"
    return f"{points(abs(100 * change))} points {'less' if change > 0 else 'more'} accuracy"


def _points(quote: Quote, name: str) -> tuple[float, str]:
    """A difference of accuracies in percentage points, and its interval in words."""
    low, high = quote(f"{_DIFFERENCES}.{name}.interval")
    return 100 * quote(f"{_DIFFERENCES}.{name}.difference"), points_interval([100 * low, 100 * high])
