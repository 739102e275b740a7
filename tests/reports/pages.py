"""Reading a page as a program does."""

from __future__ import annotations

import json
import re
from typing import Any


def block_of(html: str) -> dict[str, Any]:
    """The data that a page's scripts read."""
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', html, flags=re.DOTALL)
    return dict(json.loads(text))
