"""What an export is made from: the network that answers, what is known of the run, and the images that check it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fittingroom.errors import DataError, InputError, ModelError, RunError
from fittingroom.networks.graph import Graph

if TYPE_CHECKING:
    from fittingroom.answers.judgement import Judgement
    from fittingroom.answers.predictor import Predictor
    from fittingroom.exports.answer_graph import NetworkParts
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
        parts: the networks as Keras models, and how images come to them; None where its answers are those of more than
            networks.
        facts: what is known of the run, JSON; `export_facts` makes them.
        images: validation images that check what is written, as they are stored; synthetic where there are none.
        answers: the run's calibrated probabilities of these, float32 `(n, classes)`.
        labels: their true classes, `(n,)`; None for other images than the run's.
        given: whether the user gave these images.
        predictor: what answers in the run: what was held out, how photos are converted, how drawings are made.
        weights: of each seed, what was trained as `engine.description` has it, and its weights by name.
        card: gives the run's model card, Markdown with front matter as Hugging Face's hub reads it; takes what only
            people know, as `Run.card` does, or None.
    """

    graph: Graph | None
    why_no_graph: str
    parts: NetworkParts | None
    facts: Mapping[str, Any]
    images: Array
    answers: Array
    labels: Array | None
    given: bool
    predictor: Predictor
    weights: Sequence[tuple[Mapping[str, Any], Mapping[str, Array]]]
    card: Callable[[Any], str]

    @property
    def kind(self) -> str:
        """Which images check it: `validation`, `given` or `synthetic`."""
        return "validation" if self.labels is not None else "given" if self.given else "synthetic"

    @property
    def judgement(self) -> Judgement:
        """What held-out images teach: sets, refusal, photos. What photos need is fitted when it is first asked for."""
        return self.predictor.judgement

    @property
    def style(self) -> Style | None:
        """How photos are converted; None where that is not known."""
        try:
            return self.predictor.style
        except (DataError, RunError):
            return None

    def known_graph(self, format_name: str) -> Graph:
        """The graph.

        Args:
            format_name: what cannot be written without it, for the message.

        Raises:
            ModelError: a layer is not known.
        """
        if self.graph is None:
            raise ModelError(f"The run cannot be exported to {format_name}: {self.why_no_graph}")
        return self.graph


class ExportFormat(Protocol):
    """What a module of a format gives, by these names.

    Attributes:
        RUNTIME: what checks the files, for the text: `onnxruntime`.
        CHECKED: how many images it is asked about at most, spread over all; a module without it takes all.
        RUNTIME_IS_OPTIONAL: whether files are written, and that they were not checked is said, where the runtime is
            missing; a module without it refuses to.
        loss_of: a function of subject and files, for files that need not answer as the run does: None where they must;
            else what they lose, as JSON with a `sentence`, and nothing is compared. A module need not have it.
    """

    RUNTIME: str

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

ROUNDED_TOLERANCE = 5e-4
"""The same, where the network rounds values to 16 bits, as features of backbones are stored.

Between two runtimes the last digit of a sum differs; where it decides which way a feature is rounded, this is seen.
"""


def tolerance_of(subject: ExportSubject) -> float:
    """How far probabilities of an export of a run may be from the run's own."""
    operations = subject.graph.operations if subject.graph is not None else ()
    return ROUNDED_TOLERANCE if any(operation.kind == "float16" for operation in operations) else TOLERANCE


def missing_runtime(format_name: str, package: str) -> InputError:
    """The error where what checks a format is not installed.

    Args:
        format_name: as `--to` takes it.
        package: what is missing.
    """
    return InputError(
        f"--to {format_name} is checked by {package} before it is written, which is not installed: "
        "pip install 'fittingroom[export]'."
    )
