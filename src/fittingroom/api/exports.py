"""`Export`: a run that left for another program, checked by the runtime that will run it. `Run.export` makes it."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from fittingroom.answers.forward import Forward
from fittingroom.answers.recalibration import at_temperature
from fittingroom.answers.stored import digest_of
from fittingroom.api.exported_network import network_parts
from fittingroom.api.openings import stored_result
from fittingroom.atomic import absolute
from fittingroom.audits.card_facts import run_name
from fittingroom.bar import Bar
from fittingroom.card_html import as_html, card, card_table
from fittingroom.errors import InputError, ModelError, RunError, UnknownNameError
from fittingroom.exports.answer_graph import answer_graph
from fittingroom.exports.export_facts import accuracy_facts, export_facts
from fittingroom.exports.export_subject import FORMATS, TOLERANCE, ExportFormat, ExportSubject
from fittingroom.exports.verified import check_files, write_files
from fittingroom.runs.data_record import DataRecord
from fittingroom.runs.json_files import plain
from fittingroom.runs.layout import read_layout
from fittingroom.text import amount, file_size, number, percent, percent_range

if TYPE_CHECKING:
    from fittingroom.answers.predictor import Predictor
    from fittingroom.api.cards import Card
    from fittingroom.api.seed_model import SeedModel
    from fittingroom.runs.images import RunImages
    from fittingroom.runs.record import RunRecord

Array = np.ndarray[Any, Any]

_NAMES = {
    "onnx": "model.onnx",
    "tflite": "model.tflite",
    "keras": "model.keras",
    "savedmodel": "savedmodel",
    "page": "model.html",
    "folder": "program",
    "hub": "hub",
}
"""What an export is called in the run's folder."""

_USES = {
    "page": "It opens in any browser, without a network, and answers drawings, pictures and photos by itself.",
    "folder": "`python predict.py PHOTO` in it answers, with NumPy and onnxruntime alone; its README.md says more.",
}
"""What is done with an export that takes more than arrays."""

_SYNTHETIC = 64  # images that check the export of a run without validation images


@dataclass(frozen=True, eq=False)
class Export:
    """What was written. Printed, it says what it takes and gives, and how it was checked.

    Attributes:
        path: the file, or the folder.
        files: the size of each file in bytes, by its name.
        facts: what the export knows of the run, and under `checked` how it was compared with it.
    """

    path: Path
    files: Mapping[str, int]
    facts: Mapping[str, Any]

    def __str__(self) -> str:
        return "\n".join(_sentences(self))

    def __repr__(self) -> str:
        return f"Export({str(self.path)!r}: {file_size(sum(self.files.values()))})"

    def _repr_html_(self) -> str:
        title, *sentences = _sentences(self)
        files = [(name, file_size(size)) for name, size in self.files.items()]
        tables = [card_table(("file", "size"), files, most=12)] if len(files) > 1 else []
        return card(title, parts=[*(f"<div>{as_html(one)}</div>" for one in sentences), *tables])

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON."""
        found: dict[str, Any] = plain(
            {"path": str(self.path), "bytes": sum(self.files.values()), "files": dict(self.files), **self.facts}
        )
        return found


class _Seed(Protocol):
    """A run of one seed, `api.run.Run`, as far as exports need it."""

    @property
    def path(self) -> Path: ...
    @property
    def record(self) -> RunRecord: ...
    @property
    def _model_of_seed(self) -> SeedModel: ...
    def forward(self) -> Forward: ...


class _Run(Protocol):
    """A run of one seed or several, `api.run.Run`."""

    @property
    def path(self) -> Path: ...
    @property
    def predictor(self) -> Predictor: ...
    def __iter__(self) -> Iterator[_Seed]: ...
    def _images(self) -> RunImages: ...
    def card(self, about: Any = None) -> Card: ...


def export_run(
    run: _Run, to: str, out: str | Path | None = None, *, images: Array | None = None, **settings: Any
) -> Export:
    """Writes a run in another format; see `Run.export`, whose arguments these are."""
    if to not in FORMATS:
        raise UnknownNameError("format", to, FORMATS)
    target = _target(run, to, out)
    module = cast(ExportFormat, importlib.import_module(FORMATS[to]))
    _check_settings(to, module, settings)
    with Bar.shown(f"export to {to}") as bar:
        subject = export_subject(run, images)
        files = module.make(subject, **settings)

        def done(count: int, total: int) -> None:
            if bar is not None:
                if bar.total != total:
                    bar.total = total
                bar.reset()
                bar.update(count)

        checked = check_files(subject, module, files, done)
    was_there = write_files(files, target)
    sizes = {name if not name.startswith(".") else target.name: len(content) for name, content in files.items()}
    facts = {"format": to, "checked": checked, "was_there": was_there, "about": subject.facts}
    return Export(target, sizes, facts)


def export_subject(run: _Run, images: Array | None = None) -> ExportSubject:
    """What the exports of a run are made from.

    Args:
        run: the run.
        images: what checks the export, as the run takes images; its validation images unless given.

    Raises:
        RunError: a file of the run is damaged.
        DataError: the images are not such as the run takes.
    """
    predictor, seeds = run.predictor, list(run)
    given, labels = images is not None, None
    if images is None:
        images, labels = _checking_images(run, seeds[0].record.data)
    else:
        images = _as_stored(predictor.inputs(images).images, seeds[0].record.data)
    # By the compiled programs: NumPy's answers come from the graph that is exported, and could not contradict it.
    forward = Forward.together([seed._model_of_seed.compiled_forward() for seed in seeds])
    judgement = predictor.plain_judgement
    logs = forward.logs(forward.held_out(images))
    answers = np.exp(at_temperature(logs, judgement.temperature)).astype(np.float32)
    records = [seed.record for seed in seeds]
    facts = export_facts(run_name(run.path), records, digest_of([seed.path for seed in seeds]).hex(), judgement)
    facts |= {"test": _test(run), "accuracy": None if labels is None else accuracy_facts(answers, labels)}
    graph, parts, why_not = None, None, ""
    try:
        parts = network_parts([seed._model_of_seed for seed in seeds])
        graph = answer_graph(parts, judgement.temperature)
    except (ModelError, RunError) as error:
        why_not = str(error)
    return ExportSubject(
        graph=graph,
        why_no_graph=why_not,
        parts=parts,
        facts=plain(facts),
        images=images,
        answers=answers,
        labels=labels,
        given=given,
        predictor=predictor,
        weights=[seed._model_of_seed.described for seed in seeds],
        card=lambda about: run.card(about).markdown,
    )


def _target(run: _Run, to: str, out: str | Path | None) -> Path:
    """Where the export goes.

    Raises:
        InputError: the name does not fit the format.
    """
    name = _NAMES[to]
    if out is None:
        return run.path / name
    target, suffix = absolute(out), Path(name).suffix
    if not suffix:
        return target
    if target.is_dir():
        return target / name
    if target.suffix and target.suffix != suffix:
        raise InputError(f"--to {to} writes a file that ends with {suffix}, and --out is {out}. Give {suffix}.")
    return target.with_suffix(suffix)


def _check_settings(to: str, module: ExportFormat, settings: Mapping[str, Any]) -> None:
    known = [name for name, parameter in inspect.signature(module.make).parameters.items() if name != "subject"]
    for name in settings:
        if name not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise InputError(f"--to {to} has no setting {name!r}: {takes}.")


def _checking_images(run: _Run, data: DataRecord) -> tuple[Array, Array | None]:
    """The validation images of a run, or those that it keeps, with their classes; synthetic ones where it has none."""
    try:
        part = run._images().validation
    except InputError:
        part = None
    if part is not None and len(part):
        return _as_stored(part.images, data), np.asarray(part.labels)
    return _synthetic(data), None


def _as_stored(images: Array, data: DataRecord) -> Array:
    return np.asarray(images, np.float32 if data.as_given else np.uint8)


def _synthetic(data: DataRecord) -> Array:
    """Noise, and smooth shades of it, within the range of the training images."""
    random = np.random.default_rng(0)
    noise = random.uniform(0, 1, (_SYNTHETIC, *data.image_shape))
    shades = np.linspace(0, 1, _SYNTHETIC).reshape(-1, *[1] * len(data.image_shape))
    values = data.range.lowest + (data.range.highest - data.range.lowest) * np.where(
        np.arange(_SYNTHETIC).reshape(shades.shape) % 2, noise, (noise + 3 * shades) / 4
    )
    return values.astype(np.float32) if data.as_given else np.rint(values).astype(np.uint8)


def _test(run: _Run) -> dict[str, Any] | None:
    """The score on the test set, where every seed has one that is believed. Nothing is opened."""
    layout = read_layout(run.path)
    records = layout.records()
    if not all(record.has_score for record in records.values()):
        return None
    try:
        return stored_result([(layout.folders[seed], record) for seed, record in records.items()]).to_dict()
    except RunError:
        return None


def _sentences(export: Export) -> Iterator[str]:
    about, checked = export.facts["about"], export.facts["checked"]
    shape = " × ".join(map(str, about["image_shape"]))
    many = f" ({amount(len(export.files), 'file')})" if len(export.files) > 1 else ""
    place = f"{export.path}: {file_size(sum(export.files.values()))}{many}"
    yield f"{place}, there already" if export.facts["was_there"] else place
    values = "as they are stored" if about["image_type"] == "uint8" else "with values as in training"
    # Without held-out images there is nothing that the temperature could be fitted on.
    kind = "calibrated probabilities" if about["sets"] else "probabilities, which are not calibrated,"
    yield _USES.get(export.facts["format"]) or (
        f"Takes {about['image_type']} images of {shape}, {values}, and gives {kind} of "
        f"{amount(len(about['class_names']), 'class', 'classes')}."
    )
    yield _checked(checked)
    accuracy = about["accuracy"]
    if accuracy is not None:
        whose = "Accuracy of the run" if checked["loss"] is not None else "Accuracy"
        yield (
            f"{whose} {percent(accuracy['accuracy'])} (95% interval {percent_range(accuracy['interval'])}) on "
            f"{amount(accuracy['images'], 'validation image')}."
        )


def _checked(checked: Mapping[str, Any]) -> str:
    """How it was compared with the run."""
    if checked["by"] is None:
        return f"Not checked: {checked['why_not']}"
    if checked["loss"] is not None:
        return str(checked["loss"]["sentence"])
    kind = f"{checked['kind']} image"
    why = (
        " (the run keeps no validation images; in Python, images= takes others)"
        if checked["kind"] == "synthetic"
        else ""
    )
    difference = checked["largest_difference"]
    rounded = " (features are rounded to 16 bits, and a last digit decides which way)" if difference > TOLERANCE else ""
    return (
        f"Checked by {checked['by']} on {amount(checked['images'], kind)}{why}: the same class for all, probabilities "
        f"within {number(max(difference, 1e-7), 7)} of the run's{rounded}."
    )
