"""Event files for TensorBoard, written by `tensorboardX`, without TensorFlow.

RUN/seed-0/train        epoch_loss, epoch_accuracy, ... as Keras's own callback names them
RUN/seed-0/validation   the same on validation images, so that both are curves of one chart
RUN/seed-0              numbers of the kept weights, hyperparameters, confusions, the run in words
RUN/seed-0/images       the points of the projector, with a sprite and a table
RUN/mean/train, ...     of several seeds, their mean; RUN/mean has charts of mean and standard deviation
"""

from __future__ import annotations

import io
import json
import math
import shlex
from collections.abc import Mapping
from pathlib import Path

from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event as ProtoEvent
from tensorboardX.proto.summary_pb2 import Summary

from fittingroom.atomic import expanded, storage_errors, write_bytes
from fittingroom.tracking.confusion_image import confusion_picture, sprite
from fittingroom.tracking.events import (
    ConfusionCounted,
    EpochEnds,
    Event,
    ImagesPlaced,
    RunBegins,
    SeedEnds,
    SeedsSpread,
)
from fittingroom.tracking.tables import logs_folder

_SUFFIX = ".fittingroom"
_SPRITE_SIDE = 64  # pixels; TensorBoard shows sprites of up to 8192
_METRICS = ("kept_val_accuracy", "kept_val_loss")


class EventFile:
    """One event file, in a folder that TensorBoard shows as a run.

    Args:
        folder: is made if it is not there. What an earlier log of ours left in it is removed.

    Raises:
        StorageError: it cannot be written.
    """

    def __init__(self, folder: Path, *, suffix: str = _SUFFIX) -> None:
        self.folder = folder
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for old in folder.glob(f"events.out.tfevents.*{_SUFFIX}"):
                old.unlink()
            self._writer = EventsWriter(str(folder / "events"), suffix)

    def add(self, said: Summary, step: int, at: float) -> None:
        """Appends a summary at a step."""
        event = ProtoEvent(summary=said, step=step, wall_time=at)
        with storage_errors(self.folder):
            self._writer.write_event(event)

    def scalar(self, tag: str, value: float, step: int, at: float) -> None:
        """Appends a number."""
        self.add(Summary(value=[Summary.Value(tag=tag, simple_value=value)]), step, at)

    def picture(self, tag: str, png: bytes, step: int, at: float) -> None:
        """Appends a PNG."""
        from PIL import Image

        with Image.open(io.BytesIO(png)) as image:
            size = image.size
        held = Summary.Image(width=size[0], height=size[1], colorspace=3, encoded_image_string=png)
        self.add(Summary(value=[Summary.Value(tag=tag, image=held)]), step, at)

    def flush(self) -> None:
        """Shows what was written to those who read the file."""
        with storage_errors(self.folder):
            self._writer.flush()

    def close(self) -> None:
        """Ends the file."""
        with storage_errors(self.folder):
            self._writer.close()


class TensorBoardLog:
    """The events of a run as files for TensorBoard.

    Args:
        place: the folder that TensorBoard is shown; empty for `logs/tensorboard` in the run's folder.
        begins: the run.
    """

    def __init__(self, place: str, begins: RunBegins) -> None:
        shown = expanded(place) if place else logs_folder(begins) / "tensorboard"
        self._folder = shown / begins.run
        self._begins = begins
        self._files: dict[str, EventFile] = {}
        self._charts: list[str] = []
        self.where = f"tensorboard --logdir {shlex.quote(str(shown))}"
        for seed in begins.seeds:
            self._say_settings(f"seed-{seed}", begins)

    def write(self, event: Event) -> None:
        """Writes an event into the files that it belongs to."""
        match event:
            case EpochEnds():
                self._numbers(f"seed-{event.seed}", event.numbers, event.epoch, event.at)
            case SeedsSpread():
                self._spread(event)
            case SeedEnds():
                self._seed_ends(event)
            case ConfusionCounted():
                png = confusion_picture(event.counts, event.classes)
                self._file(f"seed-{event.seed}").picture("confusions", png, event.epoch, event.at)
            case ImagesPlaced():
                _write_points(self._folder / f"seed-{event.seed}", event)
            case _:
                pass
        for file in self._files.values():
            file.flush()

    def close(self) -> None:
        """Ends the files."""
        for file in self._files.values():
            file.close()

    def _file(self, name: str) -> EventFile:
        if name not in self._files:
            self._files[name] = EventFile(self._folder / name)
        return self._files[name]

    def _numbers(self, name: str, numbers: Mapping[str, float], step: int, at: float) -> None:
        """The numbers of an epoch: those of training and those of validation, each in the file of its own."""
        for key, value in numbers.items():
            part = "validation" if key.startswith("val_") else "train"
            self._file(f"{name}/{part}").scalar(f"epoch_{key.removeprefix('val_')}", value, step, at)

    def _spread(self, event: SeedsSpread) -> None:
        self._numbers("mean", {key: one.mean for key, one in event.numbers.items()}, event.epoch, event.at)
        file = self._file("mean")
        new = [key for key in event.numbers if key not in self._charts]
        if new:
            self._charts += new
            charts = {
                key: ["Margin", [f"spread/{key} mean", f"spread/{key} low", f"spread/{key} high"]]
                for key in self._charts
            }
            file.add(summary.custom_scalars({"Mean and standard deviation over seeds": charts}), 0, event.at)
        for key, one in event.numbers.items():
            deviation = one.deviation or 0.0
            for end, value in (("mean", one.mean), ("low", one.mean - deviation), ("high", one.mean + deviation)):
                file.scalar(f"spread/{key} {end}", value, event.epoch, event.at)

    def _say_settings(self, name: str, begins: RunBegins) -> None:
        """The hyperparameters, and the run in words."""
        file = self._file(name)
        began, started, _ = summary.hparams(dict(begins.settings), dict.fromkeys(_METRICS, 0.0))
        for said in (began, started):
            file.add(said, 0, begins.at)
        data = begins.data
        counts = ", ".join(f"{count:,} {part}" for part, count in data["counts"].items())
        rows = "".join(f"| {key} | {value} |\n" for key, value in begins.settings.items())
        text = f"{data['name']}: {counts}; {len(data['classes'])} classes\n\n| setting | value |\n|---|---|\n{rows}"
        file.add(summary.text("run", text), 0, begins.at)

    def _seed_ends(self, event: SeedEnds) -> None:
        file = self._file(f"seed-{event.seed}")
        for key, value in event.numbers.items():
            if key.startswith("kept_") and math.isfinite(value):
                file.scalar(key, value, event.epoch, event.at)
        lines = [f"{event.status}{f': {event.reason}' if event.reason else ''}", *event.notes]
        file.add(summary.text("end", "\n\n".join(lines)), event.epoch, event.at)
        file.add(summary.hparams(dict(self._begins.settings), {})[2], event.epoch, event.at)


def _write_points(run: Path, event: ImagesPlaced) -> None:
    """The files of the projector: vectors, a table of what is known of each, the pictures, and what ties them.

    Args:
        run: the folder that TensorBoard shows as a run, in which it looks for the last of these.
        event: the points.
    """
    folder = run / "images"
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    vectors = io.StringIO()
    for point in event.points.tolist():
        vectors.write("\t".join(f"{value:.6g}" for value in point) + "\n")
    write_bytes(folder / "vectors.tsv", vectors.getvalue().encode())
    names = list(event.columns)
    rows = zip(*(event.columns[name] for name in names), strict=True)
    # TensorBoard takes the first line for names only where there are several columns.
    lines = ["\t".join(names), *("\t".join(cell.replace("\t", " ") for cell in row) for row in rows)]
    write_bytes(folder / "metadata.tsv", ("\n".join(lines) + "\n").encode())
    name = f"validation images ({event.source})"
    said = [
        f"tensor_name: {json.dumps(name)}",
        'tensor_path: "images/vectors.tsv"',
        'metadata_path: "images/metadata.tsv"',
    ]
    if event.images is not None:
        png, side = sprite(event.images, _SPRITE_SIDE)
        write_bytes(folder / "sprite.png", png)
        said.append(f'sprite {{ image_path: "images/sprite.png" single_image_dim: {side} single_image_dim: {side} }}')
    config = "embeddings {\n" + "".join(f"  {line}\n" for line in said) + "}\n"
    write_bytes(run / "projector_config.pbtxt", config.encode())
