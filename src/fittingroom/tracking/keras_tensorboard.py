"""`keras.callbacks.TensorBoard` without TensorFlow: what it writes goes through `tensorboardX`, in the same form.

Keras's callback asks `tensorflow.summary` to write. `SummariesWithoutTensorFlow` has those of its functions that the
callback calls, so that all else is Keras's own code: folders, tags, steps, `update_freq`, `histogram_freq`,
`write_images`, `write_steps_per_second`, subclasses of it too. Numbers are tensors, as TensorFlow 2 writes them.
"""

from __future__ import annotations

import io
import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboardX.proto.tensor_pb2 import TensorProto
from tensorboardX.proto.tensor_shape_pb2 import TensorShapeProto

from fittingroom.errors import StorageError
from fittingroom.tracking.tensorboard_log import EventFile

if TYPE_CHECKING:
    import keras

Array = np.ndarray[Any, Any]

_BUCKETS = 30  # of a histogram, and the next one images of a tensor, as TensorFlow 2 has them by default
_MOST_IMAGES = 3
_log = logging.getLogger("fittingroom")


def write_without_tensorflow(callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Makes each `TensorBoard` among the callbacks write without TensorFlow."""
    import keras

    for callback in callbacks:
        if isinstance(callback, keras.callbacks.TensorBoard):
            callback._summary_module = SummariesWithoutTensorFlow
            callback._write_keras_model_summary = partial(_write_structure, callback)


def _write_structure(callback: Any) -> None:
    """The model's structure, as TensorBoard shows it under *Graphs*; in place of what Keras asks TensorFlow for."""
    if type(callback.model).__name__ not in {"Functional", "Sequential"}:
        return
    try:
        text = callback.model.to_json()
    except Exception as error:  # whatever a layer of the user's may raise
        warnings.warn(f"The model's structure is not in the log: it cannot be written as JSON ({error}).", stacklevel=2)
        return
    with callback._train_writer.as_default():
        _write("keras", _texts([text.encode()], ()), "graph_keras_model", 0, b"1")


class _Writer:
    """An event file, as `tf.summary.create_file_writer` gives it. What cannot be written is reported once."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self._file: EventFile | None = None
        self._full = False

    @contextmanager
    def as_default(self, step: int | None = None) -> Iterator[None]:
        """Within the context, summaries go into this file, at `step` where they name none."""
        _DEFAULTS.append((self, step))
        try:
            yield
        finally:
            _DEFAULTS.pop()

    def add(self, value: Summary.Value, step: int) -> None:
        """Appends a summary."""
        if self._full:
            return
        try:
            if self._file is None:
                self._file = EventFile(self._folder, suffix=".v2")
            self._file.add(Summary(value=[value]), step, time.time())
            self._file.flush()
        except StorageError as error:
            self._full = True
            _log.warning("keras.callbacks.TensorBoard writes no more, and training continues: %s", error)

    def flush(self) -> None:
        """Does nothing: each summary is written at once."""

    def close(self) -> None:
        """Ends the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


_DEFAULTS: list[tuple[_Writer, int | None]] = []
_CONDITIONS: list[Callable[[], bool] | bool] = []


class SummariesWithoutTensorFlow:
    """What Keras's `TensorBoard` calls of `tensorflow.summary`. Summaries without a default file are left out."""

    @staticmethod
    def create_file_writer(folder: str) -> _Writer:
        """An event file in a folder; it is made when the first summary comes."""
        return _Writer(folder)

    @staticmethod
    @contextmanager
    def record_if(condition: Callable[[], bool] | bool) -> Iterator[None]:
        """Within the context, summaries are left out where the condition is false."""
        _CONDITIONS.append(condition)
        try:
            yield
        finally:
            _CONDITIONS.pop()

    @staticmethod
    def scalar(name: str, data: Any, step: Any = None) -> None:
        """A number."""
        value = np.asarray(data, np.float32).reshape(())
        _write(name, TensorProto(dtype="DT_FLOAT", float_val=[value.item()], tensor_shape=_shape(())), "scalars", step)

    @staticmethod
    def histogram(name: str, data: Any, step: Any = None) -> None:
        """How numbers are spread: for each of 30 buckets its ends and how many lie within."""
        values = np.asarray(data, np.float64).reshape(-1)
        values = values[np.isfinite(values)]
        table = np.zeros((0, 3))
        if values.size:
            counts, edges = np.histogram(values, _BUCKETS)
            table = np.stack([edges[:-1], edges[1:], counts], axis=1)
        tensor = TensorProto(dtype="DT_DOUBLE", double_val=table.reshape(-1).tolist(), tensor_shape=_shape(table.shape))
        _write(name, tensor, "histograms", step)

    @staticmethod
    def image(name: str, data: Any, step: Any = None) -> None:
        """The first three of some images, `(n, height, width, channels)`, floats from 0 to 1."""
        from PIL import Image

        images = np.asarray(data)[:_MOST_IMAGES]
        if images.dtype.kind == "f":
            images = (np.nan_to_num(images) * 255.5).clip(0, 255).astype(np.uint8)
        height, width = images.shape[1:3]
        found = [str(width).encode(), str(height).encode()]
        for image in images:
            stream = io.BytesIO()
            Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(stream, "PNG")
            found.append(stream.getvalue())
        _write(name, _texts(found, (len(found),)), "images", step)

    @staticmethod
    def text(name: str, data: Any, step: Any = None) -> None:
        """A text in Markdown."""
        _write(name, _texts([str(data).encode()], ()), "text", step)

    @staticmethod
    def graph(*_: Any) -> None:
        """Nothing: JAX has no graph of TensorFlow's."""

    @staticmethod
    def trace_on(**_: Any) -> None:
        """Nothing, for the same reason; JAX's own profiler writes what `profile_batch` asks for."""

    @staticmethod
    def trace_export(**_: Any) -> None:
        """Nothing, as `trace_on`."""


def _write(tag: str, tensor: TensorProto, plugin: str, step: Any, content: bytes = b"") -> None:
    """Appends a tensor to the default file, if there is one and summaries are wanted."""
    if not _DEFAULTS or not all(one() if callable(one) else one for one in _CONDITIONS):
        return
    writer, of_context = _DEFAULTS[-1]
    number = of_context if step is None else int(np.asarray(step))
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=plugin, content=content))
    writer.add(Summary.Value(tag=tag, tensor=tensor, metadata=metadata), number or 0)


def _texts(texts: Sequence[bytes], shape: tuple[int, ...]) -> TensorProto:
    return TensorProto(dtype="DT_STRING", string_val=texts, tensor_shape=_shape(shape))


def _shape(shape: Sequence[int]) -> TensorShapeProto:
    return TensorShapeProto(dim=[TensorShapeProto.Dim(size=side) for side in shape])
