"""`card`: what a notebook shows of a result: a title, facts, tables and sentences, in the notebook's own colours.

Nothing here asks for a style sheet, since other outputs stand beside it, and it is not known whether the page is light
or dark: text has the colour of the notebook's, and bars a blue that is seen on both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from fittingroom.text import undisguised

_LEFT = 'style="text-align:left;vertical-align:top;padding:2px 12px 2px 0"'
_RIGHT = 'style="text-align:right;vertical-align:top;padding:2px 12px 2px 0"'
_BAR = "#2f8fd0"


class Html(str):
    """Text that is HTML already; all other text is escaped."""

    __slots__ = ()


def as_html(text: str) -> str:
    """A text as HTML, without characters that could disguise it."""
    return text if isinstance(text, Html) else escape(undisguised(text))


def card(
    title: str, facts: Iterable[tuple[str, str]] = (), *, parts: Iterable[str] = (), sentences: Iterable[str] = ()
) -> str:
    """The HTML of a card.

    Args:
        title: what it is about.
        facts: names and values.
        parts: HTML that follows, such as tables.
        sentences: below that, in small letters where there are facts or parts.
    """
    rows = "".join(
        f"<tr><th {_LEFT}>{as_html(name)}</th><td {_LEFT}>{as_html(value)}</td></tr>" for name, value in facts
    )
    inside = [f"<table>{rows}</table>" if rows else "", *parts]
    told = "<br>".join(as_html(sentence) for sentence in sentences)
    tag = "small" if any(inside) else "div"
    return f"<div><b>{as_html(title)}</b>{''.join(inside)}{f'<{tag}>{told}</{tag}>' if told else ''}</div>"


def card_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1, most: int | None = None) -> str:
    """A table as HTML.

    Args:
        header: of each column.
        rows: the cells.
        left: how many columns are left-aligned; the others hold numbers.
        most: rows that are shown; how many more there are is said below.
    """
    all_rows = list(rows)
    shown = all_rows if most is None else all_rows[:most]

    def line(cells: Sequence[str], tag: str) -> str:
        sides = (_LEFT if place < left else _RIGHT for place in range(len(cells)))
        return "".join(f"<{tag} {side}>{as_html(cell)}</{tag}>" for cell, side in zip(cells, sides, strict=True))

    body = "".join(f"<tr>{line(cells, 'td')}</tr>" for cells in shown)
    more = len(all_rows) - len(shown)
    below = f"<small>and {more:,} more</small>" if more else ""
    return f"<table><tr>{line(header, 'th')}</tr>{body}</table>{below}"


def bar(share: float, label: str = "") -> Html:
    """A bar as long as a share, 0 to 1, with a text behind it."""
    width = round(100 * min(max(share, 0.0), 1.0))
    drawn = f'<span style="display:inline-block;width:{width}px;height:.7em;background:{_BAR}"></span>'
    return Html(f'<span style="white-space:nowrap">{drawn} {as_html(label)}</span>')
