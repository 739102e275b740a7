"""In words, of a run without outcomes of validation images: what came out of training, and what nobody can know."""

from __future__ import annotations

from collections.abc import Iterator

from fittingroom.reports.words.quotes import Quote, Sentence
from fittingroom.text import percent


def sentences(quote: Quote) -> Iterator[Sentence]:
    """What came out on the training images, how it came, and what nobody can know without images held out."""
    yield from _result(quote)
    quote.forget()
    yield from _course(quote)
    quote.forget()
    validation, missing = quote.look("results.validation"), quote("missing.validation")
    if "accuracy" in validation:
        yield quote.sentence(
            "overfit",
            f"Validation gave {percent(quote('results.validation.accuracy.mean'))} right. {missing}",
            "only its validation result is known",
        )
    else:
        yield quote.sentence(
            "overfit",
            f"Nobody can tell. {missing} Accuracy on training images also counts what the model has only memorized.",
            "nothing was held out to see it by",
        )


def _result(quote: Quote) -> Iterator[Sentence]:
    train = quote.look("results.train")
    who, verb = "The model", "s"
    if quote.several():
        who, verb = f"The models of {len(quote('run.seeds'))} seeds", ""
    if not train and not quote.look("run.has_epochs"):
        text = f"{who} {'were' if quote.several() else 'was'} fitted and never scored on an image."
        yield quote.sentence("result", text, "no image was scored")
    when = ""
    if quote.look("run.has_epochs"):
        last = quote(f"epochs.{len(quote.look('epochs')) - 1}.epoch")
        when = f" in the last epoch ({last}), during which the weights still change"
    loss = f"{quote('results.train.loss.mean'):.4f}" if "loss" in train else None
    if "accuracy" in train:
        right = f"{percent(quote('results.train.accuracy.mean'))} of the training images right"
        beside = "" if loss is None else f", with a training loss of {loss}{',' if when else ''}"
        yield quote.sentence("result", f"{who} get{verb} {right}{beside}{when}.", right)
    elif loss is not None:
        yield quote.sentence("result", f"The training loss is {loss}{when}.", f"a training loss of {loss}")


def _course(quote: Quote) -> Iterator[Sentence]:
    epochs = quote.look("epochs")
    finite = [place for place, row in enumerate(epochs) if "loss" in row]
    if len(finite) < 2:
        return
    first, last = finite[0], finite[-1]
    before, after = quote(f"epochs.{first}.loss"), quote(f"epochs.{last}.loss")
    span = f"From epoch {quote(f'epochs.{first}.epoch')} to {quote(f'epochs.{last}.epoch')}"
    text = f"{span} the training loss {'fell' if after < before else 'rose'} from {before:.4f} to {after:.4f}"
    if "accuracy" in epochs[first] and "accuracy" in epochs[last]:
        one, two = quote(f"epochs.{first}.accuracy"), quote(f"epochs.{last}.accuracy")
        text += f", and accuracy {'rose' if two > one else 'fell' if two < one else 'stayed'} "
        text += f"at {percent(one)}" if one == two else f"from {percent(one)} to {percent(two)}"
    yield quote.sentence("change", f"{text}.")
