"""Sentences that rest on facts: every figure in them is read from the facts by its place, and the places are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

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
class Term:
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
    terms: tuple[Term, ...] = ()

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
        facts: as `facts_of` gives them.
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
        taken, self.taken = self.taken, {}
        return Sentence(topic, text, taken, short)

    def forget(self) -> None:
        """Lets go of what was read for a sentence that is withheld."""
        self.taken = {}

    def several(self) -> bool:
        """Whether the run has several replicas."""
        return len(self.facts["replicas"]) > 1

    def example(self, place: str) -> str:
        """The place of a fact of the replica that is shown image by image."""
        return f"replicas.{self.facts['example']['index']}.{place}"


def nats(value: float) -> str:
    """A loss without its sign: three decimals, four below 0.01."""
    size = abs(value)
    return f"{size:.3f}" if round(size, 4) >= 0.01 else f"{size:.4f}"


def points(value: float) -> str:
    """Percentage points without their sign: one decimal, two below a tenth."""
    size = abs(value)
    return f"{size:.1f}" if round(size, 2) >= 0.1 or size == 0 else f"{size:.2f}"


def signed_nats(value: float) -> str:
    """A change of a loss with its sign, `+0.058`."""
    return _signed(value, nats(value))


def signed_points(value: float) -> str:
    """Percentage points with their sign, `+0.3`."""
    return _signed(value, points(value))


def percent(share: float) -> str:
    """A share, `90.2%`."""
    return f"{100 * share:.1f}%"


def percent_range(interval: list[float]) -> str:
    """`95% interval 89.3% to 91.0%`."""
    return f"95% interval {percent(interval[0])} to {percent(interval[1])}"


def nats_range(interval: list[float]) -> str:
    """`95% interval −0.003 to +0.011`; without signs where all of it is on one side of 0, smaller end first."""
    return _range(interval, nats, signed_nats)


def points_range(interval: list[float]) -> str:
    """`95% interval −0.5 to +1.4`, the same for percentage points."""
    return _range(interval, points, signed_points)


def holds_zero(interval: list[float]) -> bool:
    """Whether an interval of a change leaves its direction open."""
    return interval[0] <= 0 <= interval[1]


def epochs(low: int, high: int) -> str:
    """`epoch 9`, or `epoch 9 to 15, depending on the seed,`."""
    return f"epoch {low}" if low == high else f"epoch {low} to {high}, depending on the seed,"


def listed(parts: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def _signed(value: float, text: str) -> str:
    if float(text) == 0:
        return text
    return ("\u2212" if value < 0 else "+") + text


def _range(interval: list[float], plain: Callable[[float], str], signed: Callable[[float], str]) -> str:
    if holds_zero(interval):
        return f"95% interval {signed(interval[0])} to {signed(interval[1])}"
    low, high = sorted(interval, key=abs)
    return f"95% interval {plain(low)} to {plain(high)}"
