"""Sentences that rest on facts: each figure is read from the facts by its place, and the places are kept.

Terms are explained in one line where they first appear.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from fittingroom.text import interval_of_change, nats, points

Topic = Literal["result", "overfit", "change", "stopping", "confidence", "classes"]

QUESTIONS: Mapping[Topic, str] = {
    "result": "What came out?",
    "overfit": "Did it overfit, and since when?",
    "change": "What did loss and accuracy really say?",
    "stopping": "What if it had stopped earlier?",
    "confidence": "Is its confidence honest?",
    "classes": "Which classes get mixed up?",
}
"""What each topic answers, in the order of telling."""


@dataclass(frozen=True)
class _Term:
    """A term and its explanation in one line."""

    name: str
    meaning: str

    def to_dict(self) -> dict[str, Any]:
        """Both as plain JSON."""
        return {"name": self.name, "meaning": self.meaning}


@dataclass(frozen=True)
class Sentence:
    """A sentence or two about one topic.

    Args:
        topic: one of `QUESTIONS`.
        text: plain text; names of classes in it are other people's.
        facts: what it rests on: place among the facts, such as `stopping.differences.rises` -> the value there.
        short: the answer to the topic's question in a few words; empty but in the topic's first sentence.
        terms: those that appear in it for the first time.
    """

    topic: Topic
    text: str
    facts: Mapping[str, Any]
    short: str = ""
    terms: tuple[_Term, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        return {
            "topic": self.topic,
            "text": self.text,
            "short": self.short,
            "facts": dict(self.facts),
            "terms": [term.to_dict() for term in self.terms],
        }


@dataclass
class Quote:
    """Reads facts by their place, and remembers which were read.

    Args:
        facts: as `Explanation` has them.
        taken: place -> value, of all that were read.
    """

    facts: Mapping[str, Any]
    taken: dict[str, Any] = field(default_factory=dict)

    def __call__(self, place: str) -> Any:
        """The fact at a place: keys of dicts and positions in lists, joined by points."""
        value = self.look(place)
        self.taken[place] = value
        return value

    def look(self, place: str) -> Any:
        """The same, without a note: for what decides the words but is not said."""
        value: Any = self.facts
        for part in place.split("."):
            value = value[int(part)] if isinstance(value, list) else value[part]
        return value

    def sentence(self, topic: Topic, text: str, short: str = "") -> Sentence:
        """The sentence that rests on all that was read since the last one."""
        # What was read for this sentence is no evidence of the next one.
        taken, self.taken = self.taken, {}
        return Sentence(topic, text, taken, short)

    def forget(self) -> None:
        """Lets go of what was read for a sentence that is withheld."""
        self.taken = {}

    def several(self) -> bool:
        """Whether the run has several seeds."""
        return len(self.facts["per_seed"]) > 1

    def example(self, place: str) -> str:
        """The place of a fact of the seed that is shown image by image."""
        return f"per_seed.{self.facts['example']['index']}.{place}"


def nats_interval(interval: Sequence[float]) -> str:
    """`95% interval −0.003 to +0.011`; without signs where all of it is on one side of 0, smaller end first."""
    return f"95% interval {interval_of_change(interval, nats)}"


def points_interval(interval: Sequence[float]) -> str:
    """`95% interval −0.5 to +1.4`, the same for percentage points."""
    return f"95% interval {interval_of_change(interval, points)}"


def epoch_span(low: int, high: int) -> str:
    """`epoch 9`, or `epochs 9 to 15`."""
    return f"epoch {low}" if low == high else f"epochs {low} to {high}"


# The pattern finds the term in a sentence.
_TERMS: tuple[tuple[str, _Term], ...] = (
    (
        r"validation images?",
        _Term("validation images", "images that were held out of training, to see how the model does on new ones"),
    ),
    (
        r"seeds?",
        _Term(
            "seed", "the number that decides the chance in a training: its first weights and the order of its images"
        ),
    ),
    (
        r"right|accuracy",
        _Term("accuracy", "the share of images whose most probable class is the true one, however sure the model is"),
    ),
    (
        r"loss",
        _Term(
            "loss",
            "cross-entropy: minus the logarithm of the probability given to the true class, averaged over images; "
            "being sure and wrong costs most",
        ),
    ),
    (
        r"nats?",
        _Term("nats", "the unit of the loss: 0 is sure and right, 0.69 a toss-up between two classes, 2.30 among ten"),
    ),
    (
        r"95% interval",
        _Term("95% interval", "a range that holds the true value in about 19 of 20 such measurements"),
    ),
    (r"overfit\w*", _Term("overfitting", "getting better on training images while getting worse on held-out ones")),
    (
        r"training loss",
        _Term("training loss", "the loss on the images that the model learns from, averaged during the epoch"),
    ),
    (r"epochs?", _Term("epoch", "one pass over all training images")),
    (r"gap", _Term("generalisation gap", "validation loss less training loss")),
    (r"points?", _Term("points", "percentage points: from 90% to 91% is one point")),
    (r"confidence|confidently", _Term("confidence", "the probability that the model gives to the class it predicts")),
    (
        r"overconfidence",
        _Term("overconfidence", "the loss that goes away when all confidences are lowered alike (temperature scaling)"),
    ),
    (
        r"calibration error",
        _Term("calibration error", "how far apart confidence and the share of right answers are, on average (ECE)"),
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
