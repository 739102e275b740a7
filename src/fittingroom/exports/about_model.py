"""What a page says of its model, as HTML: the most important in a list, and the model card."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

from fittingroom.exports.export_subject import ExportSubject
from fittingroom.text import amount, percent, percent_range, word_list

_MOST_CLASSES = 20
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_DATA_CARD = re.compile(r"^The data card is \[.*\n", re.MULTILINE)  # a file that is not beside the page
_LOWER = {"h1": "h3", "h2": "h4", "h3": "h5", "h4": "h6"}  # the page has a heading of its own above the card's


def about_model(subject: ExportSubject) -> str:
    """What is known of the model. Names that somebody chose are only ever text."""
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd><bdi>{escape(text)}</bdi></dd>" for name, text in _rows(subject) if text
    )
    card = _html_of(subject.card(None))
    return f'<dl>{rows}</dl>\n<details class="model-card"><summary>The whole model card</summary>\n{card}</details>'


def _rows(subject: ExportSubject) -> Iterator[tuple[str, str]]:
    facts = subject.facts
    yield "Trained on", str(facts["dataset"])
    yield "Classes", word_list(list(map(str, facts["class_names"])), most=_MOST_CLASSES)
    if accuracy := facts.get("accuracy"):
        interval = percent_range(accuracy["interval"], 1)
        images = amount(accuracy["images"], "validation image")
        yield "Accuracy", f"{percent(accuracy['accuracy'], 1)} of {images} (95% interval {interval})"
    seeds, views = len(facts["seeds"]), facts.get("test_views")
    averaged = f", the mean over {amount(seeds, 'seed')}" if seeds > 1 else ""
    yield "Recipe", f"{facts['recipe']}{averaged}{', averaged over changed views of each image' if views else ''}"
    here = "All is computed in your browser: no picture and no drawing leaves it, and nothing is loaded."
    if subject.predictor.second_opinion is not None:
        here += " Photos have the run's own answer here; the command predict may ask a second network too."
    yield "In this page", here
    licences = facts.get("licences") or {}
    stated = {"the data": licences.get("data"), "the pretrained network": licences.get("backbone")}
    yield "Licences", "; ".join(f"{whose}: {name}" for whose, name in stated.items() if name)
    yield "Made by", f"{facts['made_by']}, weights {facts['weights_sha256'][:16]}"


def _html_of(markdown: str) -> str:
    """Our own Markdown as HTML, without any HTML that stands in it."""
    from markdown_it import MarkdownIt

    text = _DATA_CARD.sub("", _FRONT_MATTER.sub("", markdown))
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    for token in tokens:
        token.tag = _LOWER.get(token.tag, token.tag)
    return str(parser.renderer.render(tokens, parser.options, {}))
