"""How well a run does, as sections of its model card: on validation and test images, by class, and in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fittingroom.audits.card_facts import CardFacts
from fittingroom.audits.card_parts import CardNumber, CardSection, NumberSource, bullets, code, quoted
from fittingroom.reports.words.quotes import QUESTIONS
from fittingroom.text import amount, number, percent, points

_MOST_CLASSES = 20


def _count(value: Any) -> str:
    return number(value)


def _nats(value: Any) -> str:
    return number(value, 4)


def accuracy_format(facts: CardFacts) -> Callable[[Any], str]:
    """An accuracy as the commands write it: a mean over seeds with one digit more."""
    digits = 2 if facts.several else 1
    return lambda value: percent(value, digits)


_CHOSEN = (
    " The validation images chose the weights that are kept, and what else was chosen by them; the test set chose "
    "nothing."
)
_CHOSEN_WITHOUT_EPOCHS = " The validation images chose whatever was chosen by them; the test set chose nothing."


def evaluation(facts: CardFacts) -> tuple[CardSection, ...]:
    """Data, measures and results, and what `explain` says of the validation images."""
    factors = (
        "Accuracy is the share of images whose most likely class is right; loss is the cross-entropy in nats. "
        + (
            "Numbers are means over seeds, and their 95% intervals are for other seeds on the same images."
            if facts.several
            else "The 95% interval is Wilson's, for other images."
        )
        + (
            (_CHOSEN if facts.record.has_epochs else _CHOSEN_WITHOUT_EPOCHS)
            if facts.record.teaching is None
            else " The validation images are the photos that it learned from, each named by a model that had not: "
            f"{quoted(facts.record.teaching['validated_by'])}."
        )
    )
    return (
        CardSection("Evaluation", 1, ()),
        CardSection("Testing Data, Factors & Metrics", 2, (factors, *_look_blocks(facts))),
        CardSection("Results", 2, tuple(_results(facts))),
        _examination(facts),
    )


def _look_blocks(facts: CardFacts) -> list[str | CardNumber]:
    if not facts.record.data.has_test_set:
        return ["The run has no test set."]
    return [
        "The test set is sealed: every opening is counted as a look, before its score is computed.",
        *facts.cost.numbers(
            ("looks at this test set so far, by all runs of the same user", "looks", _count),
            ("how much of the best of their scores is luck (points)", "luck", lambda value: points(100 * value)),
        ),
    ]


def _results(facts: CardFacts) -> Iterator[str | CardNumber]:
    mean, digits = (".mean", 2) if facts.several else ("", 1)
    where = ".accuracy.interval" if facts.several else ".interval"

    def scores(source: NumberSource, part: str, of: str) -> list[CardNumber]:
        return [
            *source.share(f"accuracy on {of}", f"{part}.accuracy{mean}", f"{part}{where}", digits),
            *source.numbers((f"loss on {of} (nats)", f"{part}.loss{mean}", _nats)),
        ]

    found = scores(facts.show, "validation", "validation images")
    yield from found
    if not found:
        yield "**Validation: not examined.** The run was trained without validation images."
    if facts.test is not None:
        yield from scores(facts.test, "test", "the test set")
        yield from facts.test.numbers(("which look at the test set", "test.look", _count))
    elif facts.test_problem is not None:
        yield f"**Test: not believed.** {quoted(facts.test_problem)}"
    elif facts.record.data.has_test_set:
        command = code(facts.command("evaluate"))
        yield f"**Test: not examined.** {command} opens the sealed test set, which is a look that counts for ever."
    yield from _of_the_example(facts)
    yield facts.check("measures")


def _of_the_example(facts: CardFacts) -> Iterator[str | CardNumber]:
    """Calibration and classes: of the seed that `explain` shows."""
    if facts.explain is None:
        yield f"**Calibration: not examined.** {quoted(facts.why_unexplained or '')}"
        return
    explain = facts.explain
    seed = f", seed {explain.value('example.seed')}" if facts.several else ""
    if explain.value("reliability") is None:
        yield f"**Calibration: not examined.** {quoted(explain.value('missing.calibration') or '')}"
    else:
        yield from explain.numbers(
            (f"calibration error (ECE, 15 bins{seed})", "reliability.error", lambda value: number(value, 3)),
            ("what a perfectly calibrated model would show", "reliability.floor", lambda value: number(value, 3)),
            (f"mean confidence{seed}", "reliability.confidence", percent),
            (f"Brier score{seed}", "brier.score", lambda value: number(value, 3)),
        )
    yield from _class_numbers(explain, seed)


def _class_numbers(explain: NumberSource, seed: str) -> Iterator[CardNumber]:
    per_class = [one for one in enumerate(explain.value("classes.per_class") or []) if one[1]["count"]]
    worst = sorted(per_class, key=lambda one: one[1]["recall"])[:_MOST_CLASSES]
    for place, one in worst:
        key, images = f"classes.per_class.{place}", amount(one["count"], "image")
        label = f"class {one['name']}: right of {images}{seed}"
        yield from explain.share(label, f"{key}.recall", f"{key}.recall_interval")


def _examination(facts: CardFacts) -> CardSection:
    if facts.explain is None:
        return CardSection("Model Examination", 1, (f"**Not examined.** {quoted(facts.why_unexplained or '')}",))
    told = [f"*{QUESTIONS[one['topic']]}* {quoted(one['text'])}" for one in facts.explain.value("words")]
    return CardSection("Model Examination", 1, (f"{code(facts.explain.command)} says:", bullets(told)))
