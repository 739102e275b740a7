"""Reading a page as a program does."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "img", "input", "br", "hr", "link"}


def block_of(html: str) -> dict[str, Any]:
    """The data that a page's scripts read."""
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, flags=re.DOTALL)
    return dict(json.loads(text))


class Nesting(HTMLParser):
    """Checks that each element that was opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "action", "data"}]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        return

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(html: str) -> Nesting:
    """The page, read to its end."""
    nesting = Nesting()
    nesting.feed(html)
    nesting.close()
    assert nesting.open == []
    return nesting
