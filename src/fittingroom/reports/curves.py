"""The curves of loss and accuracy as a notebook shows them: pictures that stand alone, on white."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from fittingroom.reports.document import TEMPLATES, harmless
from fittingroom.runs.history import History

# A notebook's own colours are not known here, so there is white below the curves, as there is below most pictures.
_ON_WHITE = 'style="background:#fff;color:#333;display:inline-block;padding:6px 12px;max-width:100%"'


class ShownHistory(History):
    """A history that a notebook shows: its curves, and a table of its numbers."""

    def _repr_html_(self) -> str:
        return f"<div>{curves_shown([self])}{_table(self)}</div>"


def curves_shown(histories: Sequence[History]) -> str:
    """HTML: the curves of loss and accuracy; empty where the histories have no such numbers.

    Args:
        histories: of one run, or of its replicas.
    """
    from fittingroom.reports import charts

    epochs = [list(_epochs(history)) for history in histories]
    style, pictures = _light_style(), []
    parts: set[str] = set()
    for quantity in ("loss", "accuracy"):
        rows = [row for row in charts.curve_rows(quantity, epochs) if math.isfinite(row["value"])]
        if rows:
            svg = _alone(charts.curves(quantity, rows).wide, style)
            pictures.append(f'<img alt="{_told(quantity, rows)}" src="{svg}" style="max-width:100%">')
            parts.update(row["part"] for row in rows)
    if not pictures:
        return ""
    return f"<div {_ON_WHITE}>{''.join(pictures)}<br>{_legend(style, parts, len(histories))}</div>"


def _epochs(history: History) -> Iterator[dict[str, Any]]:
    """The numbers of each epoch, with `epoch` counted from 1."""
    for epoch, logs in zip(history.epoch, history.rows, strict=True):
        yield {**logs, "epoch": epoch + 1}


def _told(quantity: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """What a chart shows, for those who do not see it: where each curve begins and ends, as means over replicas."""
    told = []
    for part in dict.fromkeys(row["part"] for row in rows):
        values: dict[int, list[float]] = {}
        for row in rows:
            if row["part"] == part:
                values.setdefault(row["epoch"], []).append(row["value"])
        start, end = (sum(values[epoch]) / len(values[epoch]) for epoch in (min(values), max(values)))
        told.append(f"{part} from {start:.4f} to {end:.4f}")
    return f"{quantity.capitalize()} over the epochs: {', '.join(told)}"


def _light_style() -> str:
    """The rule of the pages' style that gives the colours of a light page their names."""
    return (TEMPLATES / "style.css").read_text(encoding="utf-8").split("}")[0] + "}"


def _alone(svg: str, style: str) -> str:
    """A drawing as the address of a picture, which has the colours and the font in it that a page would give."""
    rules = f"<style>{style} svg {{ font-family: system-ui, sans-serif }}</style>"
    text = re.sub(r"<svg[^>]*>", lambda found: found[0] + rules, svg, count=1)
    return f"data:image/svg+xml;base64,{base64.b64encode(text.encode()).decode()}"


def _legend(style: str, parts: set[str], replicas: int) -> str:
    colours = dict(re.findall(r"--([\w-]+): (#\w+);", style))
    lines = {"training": "╌╌ training, mean over the epoch", "validation": "── validation, at the end of the epoch"}
    told = [f'<span style="color:{colours[part]}">{text}</span>' for part, text in lines.items() if part in parts]
    if replicas > 1:
        told.append(f"each of the {replicas} replicas thin, their mean thick")
    return f"<small>{' &nbsp; '.join(told)}</small>"


def _table(history: History) -> str:
    """A line per epoch, counted from 1; a cell is empty where an epoch lacks the number."""
    names = list(history)
    head = "".join(f"<th>{escape(harmless(name))}</th>" for name in ("epoch", *names))
    lines = [
        [str(row["epoch"]), *(f"{row[name]:.4f}" if name in row else "" for name in names)] for row in _epochs(history)
    ]
    rows = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in line)}</tr>" for line in lines)
    return f"<table><tr>{head}</tr>{rows}</table>"
