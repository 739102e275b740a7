"""`--to page`: one HTML file that holds the model and runs it in the browser by itself.

It is the studio's view *Try* (`serving/pages`), whose questions are answered within the page (`exports/page`). The file
asks no host for anything; its policy forbids it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from fittingroom.exports.about_model import about_model
from fittingroom.exports.export_subject import Answer, Array, ExportSubject, Files
from fittingroom.exports.page_archive import graph_parts, packed
from fittingroom.exports.page_bundle import bundled
from fittingroom.exports.page_photos import parts_of

RUNTIME = "Chromium"
RUNTIME_IS_OPTIONAL = True
CHECKED = 200

_HERE = Path(__file__).parent / "page"
_HOUSE = Path(__file__).parents[1]
_STUDIO = _HOUSE / "serving" / "pages"
_STYLES = (
    *(_HOUSE / "reports" / "templates" / name for name in ("style.css", "drawing.css")),
    *(_STUDIO / name for name in ("studio.css", "try.css")),
    _HERE / "page.css",
)
_IN_SCRIPT = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_MOST_SAMPLES = 20
_MOST_SAMPLE_BYTES = 400_000
_MARKED = re.compile(r"\{(\w+)\}")


def make(subject: ExportSubject, *, samples: int | None = None) -> Files:
    """The page.

    Args:
        subject: the run.
        samples: validation images that the page shows to choose from; None for up to 20 where the dataset is one of the
            catalogue, and none where it is somebody's own.

    Raises:
        ModelError: a layer is not known.
    """
    graph, weights = graph_parts(subject.known_graph("a page"))
    answer_facts, answer_arrays = parts_of(subject.predictor)
    chosen = _samples(subject, samples)
    model: dict[str, Any] = {"graph": graph}
    if subject.labels is not None and len(chosen):
        weights = {**weights, "samples": subject.images[chosen]}
        model["sample_classes"] = [str(subject.facts["class_names"][label]) for label in subject.labels[chosen]]
    program = bundled("open.js", (_HERE, _STUDIO))
    style = "".join(path.read_text(encoding="utf-8") for path in _STYLES)
    facts = subject.facts
    page = (_HERE / "page.html").read_text(encoding="utf-8")
    parts = {
        "policy": _policy(program, style),
        "title": escape(f"{facts['run']} – Fitting Room"),
        "icon": _data_url(_STUDIO / "icon.svg"),
        "style": style,
        "run": escape(str(facts["run"])),
        "dataset": escape(str(facts["dataset"])),
        "about": about_model(subject),
        "facts": _json(_view_facts(subject, answer_facts)),
        "model": packed(model, weights),
        "answers": packed(answer_facts, answer_arrays),
        "program": program,
    }
    return {".html": _MARKED.sub(lambda found: parts[found[1]], page).encode()}


def answers_of(subject: ExportSubject, files: Files) -> Answer:
    """The page in a Chromium of this machine, without a window.

    Raises:
        InputError: there is none.
    """
    from fittingroom.exports.chromium import PageProbabilities

    return PageProbabilities(files[".html"], subject.facts["image_type"])


def _view_facts(subject: ExportSubject, answer_facts: Mapping[str, Any]) -> dict[str, Any]:
    """What the view Try has to know, as `TryView.facts` has it."""
    facts = subject.facts
    return {
        "run": facts["run"],
        "dataset": facts["dataset"],
        "classes": list(facts["class_names"]),
        "shape": list(subject.predictor.data.picture_shape),
        "seeds": facts["seeds"],
        "drawing": answer_facts["pen"],
        "photo": {**answer_facts["photo"], "wait": None, "where": "The picture stays in this page."},
        "nearest": None,
        "corrections": None,
    }


def _samples(subject: ExportSubject, wanted: int | None) -> Array:
    """Which validation images are shown, of all classes; none where they are somebody's own, unless asked for."""
    images, labels = subject.images, subject.labels
    if labels is None or (wanted is None and not _is_public(subject)):
        return np.zeros(0, np.intp)
    most = min(_MOST_SAMPLES, _MOST_SAMPLE_BYTES // max(images[0].nbytes, 1)) if wanted is None else wanted
    rank = np.zeros(len(labels), np.int64)  # of each image among those of its class
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        rank[places] = np.arange(len(places))
    return np.lexsort((labels, rank))[: max(most, 0)]


def _is_public(subject: ExportSubject) -> bool:
    from fittingroom.data.catalogue import CATALOGUE

    return subject.predictor.data.name in CATALOGUE


def _policy(program: str, style: str) -> str:
    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; script-src {digest(program)} 'wasm-unsafe-eval'; style-src {digest(style)}; "
        "img-src data: blob:; media-src blob: mediastream:; worker-src blob:; base-uri 'none'; form-action 'none'"
    )


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return "".join(_IN_SCRIPT.get(letter, letter) for letter in text)


def _data_url(path: Path) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"
