"""Google's recommended practices for responsible AI as headings, with a run's evidence for each, or its absence."""

from __future__ import annotations

from fittingroom.audits.card_facts import CardFacts
from fittingroom.audits.card_parts import CardSection, bullets, code, escaped, quoted
from fittingroom.text import amount


def practices(facts: CardFacts) -> tuple[CardSection, ...]:
    """A section for each of the six practices, below one that names their source."""
    source = (
        "The headings are Google's [recommended practices for AI]"
        "(https://ai.google/responsibility/responsible-ai-practices/). Below each stands what is known of this run."
    )
    each = (
        ("Use a human-centered design approach", _people(facts)),
        ("Identify multiple metrics to assess training and monitoring", _measures(facts)),
        ("When possible, directly examine your raw data", _each(facts, "raw-data", "duplicates", "labels")),
        ("Understand the limitations of your dataset and model", _each(facts, "slices", "robustness", "unlike")),
        ("Test, test, test", _tests(facts)),
        ("Continue to monitor and update the system after deployment", _monitoring(facts)),
    )
    sections = (CardSection(title, 2, (bullets(lines),)) for title, lines in each)
    return (CardSection("Responsible AI Practices", 1, (source,)), *sections)


def _each(facts: CardFacts, *checks: str) -> list[str]:
    return [facts.verdict(name) for name in checks]


def _people(facts: CardFacts) -> list[str]:
    told = [
        (title, facts.about["model"].get(key))
        for title, key in (("Direct use", "direct_use"), ("Who is affected", "people"))
    ]
    return [
        *(f"{title}: {'**not stated**' if text is None else escaped(text)}" for title, text in told),
        "An answer comes with a calibrated probability, the classes that it may be, and a refusal where the picture is "
        f"unlike the training images: {code(facts.command('predict', 'picture.png'))}. How often it is refused wrongly "
        "or answered wrongly is examined under the limitations below.",
        "With the people who will use it: **not examined**. No command can do that.",
    ]


def _measures(facts: CardFacts) -> list[str]:
    found = "accuracy, loss, calibration and the share that is right of each class are under Evaluation"
    if facts.explain is None:
        found = "only what training recorded is under Training Details, since there are no validation images to score"
    return [found[0].upper() + found[1:] + ".", facts.verdict("measures")]


def _tests(facts: CardFacts) -> list[str]:
    seeds = (
        f"Trained with {amount(len(facts.records), 'seed')}: the spread over seeds is under Evaluation."
        if facts.several
        else "Trained with one seed: how much another seed changes is **not examined**; `fittingroom train --seeds 5` "
        "shows it."
    )
    command = code(facts.command("evaluate"))
    if not facts.record.data.has_test_set:
        test = "There is no test set, so nothing was scored on images that chose nothing."
    elif facts.test is not None:
        test = f"The sealed test set was opened, and the ledger counts each look: {command}, `fittingroom ledger`."
    elif facts.test_problem is not None:
        test = f"There is a test score, and it is **not believed**: {command} says why."
    else:
        test = f"The sealed test set: **not examined**. {command} opens it."
    repeat = f"Whether training again gives the same bits: {code(facts.command('replay'))} trains and compares."
    return [seeds, test, facts.verdict("robustness"), repeat]


def _monitoring(facts: CardFacts) -> list[str]:
    told = facts.about["model"].get("monitoring")
    monitor, drift = code(facts.command("monitor")), facts.drift
    if drift is None:
        seen = (
            f"Drift of what is served: **not examined**; {code(facts.command('serve'))} compares what it is asked with "
            f"the validation images, and {monitor} says what it saw."
        )
    else:
        seen = f"Drift of what is served: **{escaped(drift['verdict'])}**. {quoted(drift['sentences'][0])} ({monitor})"
    return [f"Plan: {'**not stated**' if told is None else escaped(told)}", seen]
