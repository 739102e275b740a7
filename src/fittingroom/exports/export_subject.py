"""What an export is made from: the network that answers, what is known of the run, and the images that check it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fittingroom.networks.graph import Graph

if TYPE_CHECKING:
    import keras

    from fittingroom.answers.judgement import Judgement
    from fittingroom.photos.conversion import Style

Array = np.ndarray[Any, Any]
Files = Mapping[str, bytes]
"""What is written: name (with `/` between folders) -> content. A format of one file names it by its suffix alone."""

Answer = Callable[[Array], Array]
"""From images as they are stored, `(n, *image_shape)`, to calibrated probabilities, float32 `(n, classes)`."""


@dataclass(frozen=True, eq=False)
class ExportSubject:
    """A run that leaves.

    Args:
        graph: from `images`, as they are stored, to `probabilities` (calibrated: the mean over views and seeds, then
            the temperature), `log_probabilities` (before the temperature) and, where the run compares images by what a
            backbone gives of them, `features` (before they are made unit vectors). None where a layer is not known.
        why_no_graph: which layer is not known, and of which kind, in a sentence; empty where the graph is there.
        model: gives the run's Keras model, without views, seeds and temperature where it has one seed.
        facts: what is known of the run, JSON: `class_names`, `image_shape`, `temperature`, thresholds of sets and
            refusal, run, recipe, hash of the weights, accuracy with its interval, licences.
        images: validation images that check what is written, as they are stored; synthetic where there are none.
        answers: the run's calibrated probabilities of these, float32 `(n, classes)`.
        labels: their true classes, `(n,)`; None for synthetic images.
        judgement: what held-out images teach: sets, refusal, photos.
        style: how photos are converted; None where that is not known.
        path: the run's folder.
    """

    graph: Graph | None
    why_no_graph: str
    model: Callable[[], keras.Model]
    facts: Mapping[str, Any]
    images: Array
    answers: Array
    labels: Array | None
    judgement: Judgement
    style: Style | None
    path: Path


class ExportFormat(Protocol):
    """What a module of a format gives, by these names."""

    def make(self, subject: ExportSubject, **settings: Any) -> Files:
        """The files of the export, the same bytes every time.

        Raises:
            InputError: the format cannot hold a layer, which is named; or a package is missing, with the line that
                installs it.
        """

    def answers_of(self, subject: ExportSubject, files: Files) -> Answer:
        """What runs the files by the runtime that its users have, to check them.

        Raises:
            InputError: the runtime is missing, with the line that installs it.
        """


FORMATS: Mapping[str, str] = {
    "onnx": "fittingroom.exports.onnx_file",
    "tflite": "fittingroom.exports.tflite_file",
    "keras": "fittingroom.exports.keras_file",
    "savedmodel": "fittingroom.exports.saved_model",
    "page": "fittingroom.exports.html_page",
    "folder": "fittingroom.exports.program_folder",
    "hub": "fittingroom.exports.hub_folder",
}
"""Name of a format -> its module, which is imported when it is asked for."""

TOLERANCE = 1e-5
"""How far probabilities of an export may be from the run's own."""
