"""How large exported files are, and how soon and how fast their runtimes answer, on one core.

Usage: python -m benchmarks.runtimes RUN...

Each run is exported to ONNX, TFLite and TFLite in integers, in a temporary folder. `opened` is from a file to the first
answer, its runtime imported already; `an image` is an answer to one image after that, the median of 200 or of what a
second holds. Both are core milliseconds.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from ai_edge_litert import interpreter

import fittingroom as fr
from benchmarks.pairs import markdown_table
from fittingroom.text import file_size, percent

Array = np.ndarray[Any, Any]
Answer = Callable[[Array], Array]


def by_onnxruntime(path: Path) -> Answer:
    """What gives the probabilities of an ONNX file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda images: np.asarray(session.run(["probabilities"], {"images": images})[0])


def by_litert(path: Path) -> Answer:
    """What gives the probabilities of a TFLite file."""
    runner = interpreter.Interpreter(str(path), num_threads=1).get_signature_runner()
    return lambda images: np.asarray(runner(images=images)["probabilities"])


def core_milliseconds(work: Callable[[], object]) -> float:
    """Of a call."""
    started = time.process_time()
    work()
    return 1000 * (time.process_time() - started)


def measured(path: Path, opened: Callable[[Path], Answer], image: Array) -> tuple[float, float]:
    """Core milliseconds from a file to its first answer, the median of five; and of an answer after that."""
    firsts = [core_milliseconds(lambda: opened(path)(image)) for _ in range(5)]
    answer, until = opened(path), time.perf_counter() + 1
    times: list[float] = []
    while len(times) < 200 and (time.perf_counter() < until or len(times) < 5):
        times.append(core_milliseconds(lambda: answer(image)))
    return statistics.median(firsts), statistics.median(times[1:])


def rows_of(run: fr.Run, name: str, folder: Path) -> list[tuple[str, ...]]:
    """A row of the table for each file of a run."""
    kinds: dict[str, tuple[str, dict[str, Any], Callable[[Path], Answer]]] = {
        "ONNX": ("onnx", {}, by_onnxruntime),
        "TFLite": ("tflite", {}, by_litert),
        "TFLite, int8": ("tflite", {"int8": True}, by_litert),
    }
    rows: list[tuple[str, ...]] = []
    for place, (kind, (to, settings, opened)) in enumerate(kinds.items()):
        export = run.export(to, folder / f"{place}.{to}", **settings)
        about, loss = export.facts["about"], export.facts["checked"]["loss"]
        image = np.zeros((1, *about["image_shape"]), about["image_type"])
        first, each = measured(export.path, opened, image)
        lost = "" if loss is None else f"{percent(loss['same_class'])}, {loss['loss'] - loss['loss_of_the_run']:+.4f}"
        rows.append((name, kind, file_size(export.path.stat().st_size), f"{first:.1f}", f"{each:.2f}", lost))
    return rows


def main() -> None:
    """Measures the runs of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    header: tuple[str, ...] = ("run", "file", "size", "opened", "an image", "same class, nats more")
    rows: list[tuple[str, ...]] = []
    for name in parser.parse_args().runs:
        run = fr.open_run(name)
        with tempfile.TemporaryDirectory() as folder:
            rows += rows_of(run, str(run[0].record.recipe["name"]).rstrip("+"), Path(folder))
    print(markdown_table([header, *rows]))


if __name__ == "__main__":
    main()
