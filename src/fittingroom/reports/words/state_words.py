"""In words: what came out, whether the confidence is honest, and which classes get mixed up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fittingroom.reports.words.quotes import Quote, Sentence, epoch_span, nats_interval
from fittingroom.text import nats, percent, word_list


def sentences(quote: Quote) -> Iterator[Sentence]:
    """What came out, whether the confidence is honest, and which classes get mixed up."""
    for tell in (_result, _confidence, _classes):
        yield from tell(quote)
        quote.forget()


def _result(quote: Quote) -> Iterator[Sentence]:
    """Accuracy and loss on the validation images: what `train` and `show` print too."""
    images, accuracy = quote("data.validation_images"), quote("results.validation.accuracy.mean")
    loss, short = _loss(quote)
    diverged = "loss" not in quote.look("results.validation")
    if len(quote.look("results.validation.accuracy.values")) > 1:
        count = quote("run.recorded")
        interval = quote("class_spreads.interval")
        agree = quote.look("results.validation.accuracy.interval") is None
        over = "other images, since all seeds agree" if agree else "other seeds and images"
        text = (
            f"The models of {count} seeds get {percent(accuracy)} of the {images:,} validation images right on average "
            f"({_percent_interval(interval)}, for {over}); their mean loss is {loss}."
        )
        if diverged:
            text += " A seed whose loss is not finite has diverged; its accuracy means nothing."
    else:
        recorded = quote.look("per_seed.0.validation.interval") is not None
        # The recorded interval is what `train` printed; old runs have none, and it is computed from the outcomes.
        interval = quote("per_seed.0.validation.interval" if recorded else "classes.interval")
        text = (
            f"The model gets {percent(accuracy)} of the {images:,} validation images right "
            f"({_percent_interval(interval)}); its mean loss is {loss}."
        )
        if diverged:
            text += " It has diverged: NaN counts as the first class, so its accuracy means nothing."
    yield quote.sentence("result", text, "It has diverged" if diverged else f"{percent(accuracy)} right, {short}")
    yield from _kept(quote)
    quote.forget()
    yield from _compiled_loss(quote)
    yield from _left_out(quote)


def _loss(quote: Quote) -> tuple[str, str]:
    """The mean loss in words, and in few words."""
    if "loss" not in quote.look("results.validation"):
        return "not finite", "a loss that is not finite"
    loss = quote("results.validation.loss.mean")
    return f"{nats(loss)} nats", f"a loss of {nats(loss)} nats"


def _kept(quote: Quote) -> Iterator[Sentence]:
    """Which weights this is about and how they answer, where that is not simply the last epoch."""
    shown = [one["shown"] for one in quote.facts["per_seed"]]
    place = quote.example("shown")
    if not all(one["known"] for one in shown):
        yield from _unknown(quote)
    elif quote.look(f"{place}.views") > 1:
        views = quote(f"{place}.views")
        yield quote.sentence(
            "result",
            f"Each answer is the mean over {views} versions of the image, mirrored or shifted a little (test-time "
            "augmentation). The epochs were measured without it, so their numbers differ a little from these.",
        )
    elif any(one["epoch"] is None for one in shown):
        yield quote.sentence(
            "result",
            "The kept weights come from no single epoch: the optimizer or a callback averaged or replaced them when "
            "training ended. The numbers of each epoch belong to the weights at that epoch.",
        )
    else:
        kept = [quote(f"per_seed.{index}.shown.epoch") for index in range(len(shown))]
        if max(kept) < quote("stopping.last_epochs.low"):
            which = epoch_span(min(kept), max(kept))
            yield quote.sentence("result", f"The weights after {which} were kept, not the last ones.")


def _unknown(quote: Quote) -> Iterator[Sentence]:
    """That what follows describes other weights than the kept ones, and why."""
    for index, one in enumerate(quote.facts["per_seed"]):
        if one["shown"]["known"]:
            continue
        epoch, seed = quote(f"per_seed.{index}.shown.epoch"), quote(f"per_seed.{index}.seed")
        whose = f" of seed {seed}" if quote.several() else ""
        why = (
            "the loss of an image is not finite with the kept weights"
            if "loss" not in quote.look("results.validation")
            else "an older version wrote this run, without the kept weights' answer to each image"
        )
        yield quote.sentence("result", f"What follows describes the weights{whose} after epoch {epoch}: {why}.")


def _compiled_loss(quote: Quote) -> Iterator[Sentence]:
    """What the loss that the model was compiled with comes to, where it is not the cross-entropy."""
    place = "per_seed.0.validation.compiled_loss"
    if quote.look(place) is not None and not quote.several():
        yield quote.sentence(
            "result",
            "That is the cross-entropy. The loss that the model was compiled with, `val_loss`, is "
            f"{quote(place):.4f} on these images.",
        )


def _left_out(quote: Quote) -> Iterator[Sentence]:
    for index, one in enumerate(quote.facts["per_seed"]):
        if one["left_out_epochs"]:
            numbers = word_list([str(epoch) for epoch in quote(f"per_seed.{index}.left_out_epochs")])
            seed = quote(f"per_seed.{index}.seed")
            yield quote.sentence(
                "result",
                f"Left out, because a loss is not finite: epoch {numbers} of seed {seed}.",
            )
    if quote("run.unusable_seeds"):
        seeds = word_list([str(seed) for seed in quote("run.unusable_seeds")])
        yield quote.sentence("result", f"Left out, because no epoch has finite losses: seed {seeds}.")
    quote.forget()


def _confidence(quote: Quote) -> Iterator[Sentence]:
    """Whether accuracy keeps what confidence promises, and how much of the loss is overconfidence."""
    if "calibration" in quote.facts["missing"]:
        yield quote.sentence("confidence", quote("missing.calibration"), "Not known for this run")
        return
    place = quote.example("shown.calibration")
    verdict = quote(f"{place}.verdict")
    accuracy, mean = quote("reliability.accuracy"), quote("reliability.confidence")
    start = f"With seed {quote('example.seed')}, the" if quote.several() else "The"
    compare = f"{start} mean confidence is {percent(mean)}, and {percent(accuracy)} of the answers are right."
    if verdict is not None:
        answer = "No, it is too sure" if verdict == "overconfident" else "No, it is not sure enough"
    elif quote("reliability.shown"):
        answer = "Not quite, but it is neither too sure throughout nor too unsure"
    elif quote("run.confidence_fitted"):
        answer = "These images cannot tell, since its confidence was fitted on them"
    else:
        answer = "Nothing in these images contradicts it"
    yield quote.sentence(
        "confidence",
        f"{answer}. {compare} {_error(quote)}{_agreement(quote, verdict)}",
        f"{answer}: {percent(mean)} confidence, {percent(accuracy)} right",
    )
    if verdict == "overconfident":
        yield _split(quote, place)
        yield from _since(quote, place)


def _error(quote: Quote) -> str:
    error, floor, ceiling = (quote(f"reliability.{name}") for name in ("error", "floor", "ceiling"))
    return (
        f"The calibration error is {error:.3f}; a perfectly calibrated model would show about {floor:.3f} on this "
        f"many images, and rarely more than {ceiling:.3f}."
    )


def _agreement(quote: Quote, verdict: str | None) -> str:
    """For how many seeds the verdict is the same."""
    if not quote.several() or verdict is None:
        return ""
    same, seeds = quote(f"agreement.{verdict}"), quote("agreement.seeds")
    return f" {f'All {same}' if same == seeds else f'{same} of the {seeds}'} models are {verdict}."


def _split(quote: Quote, place: str) -> Sentence:
    loss, too_sure = quote(f"{place}.loss"), quote(f"{place}.overconfidence")
    interval, left = quote(f"{place}.interval"), quote(f"{place}.refinement")
    return quote.sentence(
        "confidence",
        f"Of its loss of {nats(loss)} nats, {nats(too_sure)} is overconfidence ({nats_interval(interval)}). The other "
        f"{nats(left)} remains when all confidences are lowered alike: there it cannot tell the classes apart.",
    )


def _since(quote: Quote, place: str) -> Iterator[Sentence]:
    """That a shown rise of the loss is mostly overconfidence; withheld where it is not, or the intervals overlap."""
    best = quote.look(quote.example("best_loss_epoch"))
    before = quote.example(f"calibration.{quote.look(quote.example('validated_epochs')).index(best)}")
    one, other = quote.look(before), quote.look(place)
    rise, grown = other["loss"] - one["loss"], other["overconfidence"] - one["overconfidence"]
    if (
        not quote.look("stopping.differences.rises")
        or not one["interval"]
        or not other["interval"]
        or one["interval"][1] >= other["interval"][0]
        or not 0 < rise / 2 <= grown
    ):
        return
    first, row = quote(f"{before}.epoch"), quote.look(quote.example("shown.row"))
    last = "the kept weights" if row is None else quote(f"{place}.epoch")
    start, end = quote(f"{before}.overconfidence"), quote(f"{place}.overconfidence")
    yield quote.sentence(
        "confidence",
        f"From epoch {first} to {last} overconfidence grew from {nats(start)} to {nats(end)} nats: most of the "
        "rise in loss.",
    )


def _classes(quote: Quote) -> Iterator[Sentence]:
    """The pairs that take more of the mistakes than an even share, and the class that is recognised least."""
    mistakes, images = quote("classes.mistakes"), quote("data.validation_images")
    if not mistakes:
        yield quote.sentence("classes", f"None: all {images:,} validation images are right.", "None")
        return
    matter = quote.look("classes.pairs_that_matter")
    if not matter:
        among = "with a single mistake" if mistakes == 1 else f"among {mistakes:,} mistakes"
        yield quote.sentence("classes", f"No pair of classes stands out {among}.", "None stands out")
    else:
        yield _first_pair(quote)
    if len(matter) > 1:
        parts = [
            f"{_names(quote, index)} ({quote(f'classes.pairs_that_matter.{index}.count'):,})"
            for index in range(1, len(matter))
        ]
        yield quote.sentence(
            "classes", f"Then {word_list(parts)}; each of these has more than an even share of the mistakes."
        )
    yield from _lowest(quote)


def _first_pair(quote: Quote) -> Sentence:
    place = "classes.pairs_that_matter.0"
    count, share, interval = quote(f"{place}.count"), quote(f"{place}.share"), quote(f"{place}.interval")
    there, back = quote(f"{place}.directions.0.count"), quote(f"{place}.directions.1.count")
    one, other = (_class(quote, f"{place}.directions.0.{name}") for name in ("label", "predicted"))
    which = f" with seed {quote('example.seed')}" if quote.several() else ""
    same = ""
    if quote.several() and _all_equal(quote.look("class_spreads.most_mixed")):
        same = f" All {quote('agreement.seeds')} models mix up this pair most."
    return quote.sentence(
        "classes",
        f"Most of all {one} and {other}: {count:,} of {quote('classes.mistakes'):,} mistakes{which} "
        f"({percent(share)}, {_percent_interval(interval)}), {there:,} times {one} taken for {other} "
        f"and {back:,} times the reverse.{same}",
        f"Most of all {one} and {other}: {percent(share)} of the mistakes",
    )


def _all_equal(pairs: list[list[int] | None]) -> bool:
    return all(pair == pairs[0] for pair in pairs)


def _names(quote: Quote, index: int) -> str:
    direction = f"classes.pairs_that_matter.{index}.directions.0"
    return f"{_class(quote, f'{direction}.label')} and {_class(quote, f'{direction}.predicted')}"


def _class(quote: Quote, place: str) -> str:
    """The name of the class whose number is at a place."""
    return str(quote(f"data.classes.{quote(place)}"))


def _lowest(quote: Quote) -> Iterator[Sentence]:
    """The class with the lowest recall; withheld where chance may have made it the lowest."""
    index = quote.look("classes.least_recognised")
    if index is None:
        return
    name = quote(f"data.classes.{index}")
    recall, interval = (
        quote(f"classes.per_class.{index}.recall"),
        quote(f"classes.per_class.{index}.recall_interval"),
    )
    accuracy = quote("classes.accuracy")
    yield quote.sentence(
        "classes",
        f"The class recognised least often is {name}: {percent(recall)} of its images ({_percent_interval(interval)}), "
        f"against {percent(accuracy)} of all images.",
    )


def _percent_interval(interval: Sequence[float]) -> str:
    """`95% interval 89.3% to 91.0%`."""
    return f"95% interval {percent(interval[0])} to {percent(interval[1])}"
