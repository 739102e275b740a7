"""How Sphinx builds the site: `make docs`."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

from fittingroom import __version__

project = "Fitting Room"
author = "The Fitting Room authors"
project_copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_static"]
source_suffix = {".md": "markdown"}
default_role = "code"  # docstrings have Markdown's single backticks for code
smartquotes_action = "D"  # dashes alone: quotes are for copying
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # types of other packages have no page here, and nothing is loaded to find one

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 4  # as GitHub makes them, so that links hold in both places

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = "Fitting Room"
html_static_path = ["_static"]
html_css_files = ["fittingroom.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False

_COLON = "\ue000"  # a character of nobody


def setup(app: Any) -> None:
    """Keeps Napoleon from taking what stands before a colon in a property's docstring for its type."""
    app.connect("autodoc-process-docstring", _hide_colons, priority=400)
    app.connect("autodoc-process-docstring", _show_colons, priority=600)


def _hide_colons(_app: Any, what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    if what in {"property", "attribute"}:
        lines[:] = [line.replace(": ", f"{_COLON} ") for line in lines]


def _show_colons(_app: Any, _what: str, _name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    lines[:] = [line.replace(_COLON, ":") for line in lines]
