"""What a run tells, in words: short answers to five questions, each sentence made from the facts that it names.

A sentence is withheld where the numbers do not support it: where an interval holds 0, a test shows nothing, or replicas
disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fittingroom.reports import words_change, words_course, words_state
from fittingroom.reports.glossary import with_terms
from fittingroom.reports.sentences import Quote, Sentence


def words_of(facts: Mapping[str, Any]) -> list[Sentence]:
    """The sentences, topic after topic in the order of `QUESTIONS`, each term explained where it first appears.

    Args:
        facts: as `facts_of` gives them, without `words`.
    """
    quote = Quote(facts)
    tellers = (
        words_state.result,
        words_course.overfit,
        words_change.change,
        words_course.stopping,
        words_state.confidence,
        words_state.classes,
    )
    sentences = []
    for tell in tellers:
        sentences += list(tell(quote))
        quote.forget()
    return with_terms(sentences)


def ledger_words(facts: Mapping[str, Any], place: str) -> str:
    """The sentence of one ledger, such as that at `ledgers.to_last.3`."""
    return words_change.of_change(Quote(facts), place).text
