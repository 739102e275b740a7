"""The terms of a summary, each explained in one line where it first appears."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from fittingroom.reports.sentences import QUESTIONS, Sentence, Term

# The pattern finds the term in a sentence.
_TERMS: tuple[tuple[str, Term], ...] = (
    (
        r"validation images?",
        Term("validation images", "images that were held out of training, to see how the model does on new ones"),
    ),
    (
        r"replicas?",
        Term("replica", "one training of the same recipe; replicas differ in their seed, the source of their chance"),
    ),
    (
        r"right|accuracy",
        Term("accuracy", "the share of images whose most probable class is the true one, however sure the model is"),
    ),
    (
        r"loss",
        Term(
            "loss",
            "cross-entropy: minus the logarithm of the probability given to the true class, averaged over images; to "
            "be sure and wrong costs most",
        ),
    ),
    (
        r"nats?",
        Term("nats", "the unit of the loss: 0 is sure and right, 0.69 a toss-up between two classes, 2.30 among ten"),
    ),
    (
        r"95% interval",
        Term("95% interval", "a range that holds the true value in about 19 of 20 such measurements"),
    ),
    (r"overfit\w*", Term("overfitting", "getting better on training images while getting worse on held-out ones")),
    (r"training loss", Term("training loss", "the loss on the images that it learns from, averaged during the epoch")),
    (r"epochs?", Term("epoch", "one pass over all training images")),
    (r"gap", Term("generalisation gap", "validation loss less training loss")),
    (r"points?", Term("points", "percentage points: from 90% to 91% is one point")),
    (r"confidence|confidently", Term("confidence", "the probability that the model gives to the class it predicts")),
    (
        r"overconfidence",
        Term("overconfidence", "the loss that goes away when all confidences are lowered alike (temperature scaling)"),
    ),
    (
        r"calibration error",
        Term("calibration error", "how far confidence and share of right answers are apart, on average (ECE)"),
    ),
)


def with_terms(sentences: Iterable[Sentence]) -> list[Sentence]:
    """The sentences, each with the terms that appear in it, or in its question, and in none before it."""
    known: set[str] = set()
    result: list[Sentence] = []
    for sentence in sentences:
        begins = not result or result[-1].topic != sentence.topic
        text = f"{QUESTIONS[sentence.topic]} {sentence.text}" if begins else sentence.text
        new = [
            (found.start(), term)
            for pattern, term in _TERMS
            if term.name not in known and (found := re.search(rf"\b(?:{pattern})(?!\w)", text, re.IGNORECASE))
        ]
        terms = tuple(term for _, term in sorted(new, key=lambda one: one[0]))
        known |= {term.name for term in terms}
        result.append(replace(sentence, terms=terms))
    return result
