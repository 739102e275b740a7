"""`Explanation`: the facts of a run and what they say in words."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from fittingroom.reports.facts import facts_of
from fittingroom.reports.sentences import QUESTIONS

_WIDTH = 80


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a run's validation images went through, as facts and in words. Printed, it is the words.

    Args:
        facts: plain JSON, as `facts_of` gives it: `facts["words"]` has each sentence with the facts it rests on.
    """

    facts: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """All facts as plain JSON, the sentences among them."""
        return dict(self.facts)

    def topics(self) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
        """Each question that is answered, and its sentences: `text`, `topic`, `facts` and `terms`."""
        for topic, sentences in groupby(self.facts["words"], key=lambda sentence: sentence["topic"]):
            yield QUESTIONS[topic], list(sentences)

    def __str__(self) -> str:
        return "\n\n".join("\n".join([question, *_lines(sentences)]) for question, sentences in self.topics())

    def __repr__(self) -> str:
        return f"Explanation({self.facts['run']['path']!r}: {len(self.facts['words'])} sentences)"

    def _repr_html_(self) -> str:
        from html import escape

        parts = []
        for question, sentences in self.topics():
            parts.append(f"<h4>{escape(question)}</h4>")
            for sentence in sentences:
                parts.append(f"<p>{escape(sentence['text'])}</p>")
                for term in sentence["terms"]:
                    name, meaning = escape(term["name"]), escape(term["meaning"])
                    parts.append(f"<p><small><strong>{name}</strong>: {meaning}</small></p>")
        return "\n".join(parts)


def _lines(sentences: list[Mapping[str, Any]]) -> Iterator[str]:
    for sentence in sentences:
        yield textwrap.fill(sentence["text"], _WIDTH)
        for term in sentence["terms"]:
            yield textwrap.fill(
                f"{term['name']}: {term['meaning']}", _WIDTH, initial_indent="  ", subsequent_indent="    "
            )


def explain(run: str | Path, start: int | None = None, end: int | None = None) -> Explanation:
    """What loss and accuracy really say about a run. Nothing is trained, and no test set is opened.

    Args:
        run: the folder, the name of a run in the runs folder, or `latest`.
        start: first epoch of a change to tell, from 1; the one with the lowest validation loss if only `end` is given.
        end: last epoch of it; the last one if only `start` is given.

    Raises:
        UnknownNameError: there is no such run.
        InputError: it has no validation images, or no epoch with finite losses; `start` or `end` was not validated; or
            a file is missing or damaged.
    """
    return Explanation(facts_of(run, start, end))
