"""What only people know of a model and its data: who made them, under which licence, and what they are for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fittingroom.errors import InputError, UnknownNameError
from fittingroom.recipes.toml import Form, Key

MODEL_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "developed_by": "Developed by",
        "contact": "Contact",
        "license": "License",
        "repository": "Repository",
        "direct_use": "Direct Use",
        "downstream_use": "Downstream Use",
        "out_of_scope": "Out-of-Scope Use",
        "people": "Who is affected",
        "risks": "Risks",
        "recommendations": "Recommendations",
        "monitoring": "Monitoring",
        "citation": "Citation",
    }
)
"""Keys of the table `[model]`, and what the card calls each."""

DATA_KEYS: Mapping[str, str] = MappingProxyType(
    {
        "title": "Title",
        "description": "Description",
        "license": "License",
        "url": "Home page",
        "creators": "Creators",
        "published": "Date of publication",
        "version": "Version",
        "citation": "Citation",
        "collection": "How the images were collected",
        "annotation": "How the labels were made",
        "sensitive": "Personal or sensitive information",
        "biases": "Known biases",
        "limitations": "Known limitations",
    }
)
"""Keys of the table `[data]`, and what the card calls each."""

_DATE = re.compile(r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?")

About = Mapping[str, Mapping[str, str]]
"""The tables `model` and `data`."""


def _text(name: str, value: str) -> str:
    if not value.strip():
        raise InputError(f"{name} is empty: write what you know, or leave it out.")
    if name.endswith("published") and not _DATE.fullmatch(value.strip()):
        raise InputError(f"{name} = {value!r}: expected a date such as 2026-05-31, or a year.")
    return value.strip()


_FORM = Form(
    "a file about a run",
    {
        table: Key(
            Form(f"the table [{table}]", {name: Key(str, "a text", _text) for name in keys}),
            "a table",
        )
        for table, keys in (("model", MODEL_KEYS), ("data", DATA_KEYS))
    },
)


def read_about(about: str | Path | Mapping[str, Any] | None) -> About:
    """What is told of a model and its data.

    Args:
        about: a TOML file with the tables `[model]` and `[data]`, or such tables; None for nothing.

    Raises:
        InputError: a key is unknown or its value not a text; a RecipeError with file and line for a file.
    """
    if about is None:
        return {"model": {}, "data": {}}
    if isinstance(about, str | Path):
        told: Mapping[str, Any] = _FORM.read(Path(about))
        return {table: dict(told.get(table, {})) for table in ("model", "data")}
    found: dict[str, dict[str, str]] = {"model": {}, "data": {}}
    for table, values in about.items():
        if table not in found:
            raise UnknownNameError("table about a run", str(table), found)
        if not isinstance(values, Mapping):
            raise InputError(f"about[{table!r}] is {values!r}: expected a table of texts.")
        known = MODEL_KEYS if table == "model" else DATA_KEYS
        for name, value in values.items():
            if name not in known:
                raise UnknownNameError(f"key of [{table}]", str(name), known)
            if not isinstance(value, str):
                raise InputError(f"{table}.{name} is {value!r}: expected a text.")
            found[table][name] = _text(f"{table}.{name}", value)
    return found
