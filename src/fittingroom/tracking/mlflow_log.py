"""Runs of MLflow: settings as parameters, the numbers of each epoch as metrics, pictures and the model as artifacts.

One seed is one run of MLflow. Of several seeds, a run that has their mean and spread holds those of the seeds. Only
MLflow's client is used, so neither its active run nor its address is changed for the rest of the process.
"""

from __future__ import annotations

import logging
import math
import os
import shlex
import socket
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

from fittingroom.atomic import absolute, storage_errors
from fittingroom.errors import StorageError
from fittingroom.runs.json_files import plain
from fittingroom.runs.place import RunsFolder
from fittingroom.tracking.confusion_image import confusion_picture
from fittingroom.tracking.events import (
    ConfusionCounted,
    EpochEnds,
    Event,
    ModelExported,
    RunBegins,
    RunEnds,
    SeedEnds,
    SeedsSpread,
    without_credentials,
)

_EXPERIMENT = "fittingroom"
_PARENT = "mlflow.parentRunId"
_SECONDS_TO_ANSWER = 5
_LONGEST = 500  # letters of a parameter's value
_STATUS = {"finished": "FINISHED", "stopped": "FINISHED", "interrupted": "KILLED"}


class MlflowLog:
    """The events of a run as runs of MLflow, in the experiment `fittingroom` (or `MLFLOW_EXPERIMENT_NAME`).

    Args:
        place: the URI of the store: `sqlite:///FILE`, `file:DIR`, a folder, or the address of a server. Empty for
            `MLFLOW_TRACKING_URI`, else for `mlflow.db` beside the runs (a folder `mlruns` where MLflow came without
            what a database takes).
        begins: the run.

    Raises:
        StorageError: the server does not answer.
    """

    def __init__(self, place: str, begins: RunBegins) -> None:
        for name in ("mlflow", "alembic"):  # they tell each table that they make
            logging.getLogger(name).setLevel(logging.WARNING)
        uri = _store(place or os.environ.get("MLFLOW_TRACKING_URI", ""))
        _check_answers(uri)
        self._client = MlflowClient(tracking_uri=uri)
        self._begins = begins
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or _EXPERIMENT
        self._experiment = self._experiment_of(name, uri)
        shown = without_credentials(uri)
        allow = "MLFLOW_ALLOW_FILE_STORE=true " if uri.startswith("file:") else ""
        local = f"{allow}mlflow ui --backend-store-uri {shlex.quote(shown)}"
        self.where = f"{shown} has it in the experiment {name}." if shown.startswith("http") else local
        self._runs: dict[str, str] = {}
        self._whole = self._begin(begins.run, None) if len(begins.seeds) > 1 else None
        self._seeds = {
            seed: self._begin(begins.run if self._whole is None else f"{begins.run}/seed-{seed}", seed)
            for seed in begins.seeds
        }
        self._open = dict.fromkeys(filter(None, (self._whole, *self._seeds.values())), "FAILED")

    def write(self, event: Event) -> None:
        """Writes an event into the run that it belongs to."""
        match event:
            case EpochEnds():
                self._metrics(self._seeds[event.seed], event.numbers, event.epoch, event.at)
            case SeedsSpread() if self._whole is not None:
                numbers = {name: one.mean for name, one in event.numbers.items()}
                numbers |= {f"{name}_deviation": one.deviation or 0.0 for name, one in event.numbers.items()}
                self._metrics(self._whole, numbers, event.epoch, event.at)
            case SeedEnds():
                run = self._seeds[event.seed]
                self._metrics(run, event.numbers, event.epoch, event.at)
                for tag, value in (("status", event.status), ("weights_sha256", event.weights)):
                    self._client.set_tag(run, f"fittingroom.{tag}", value)
                self._open[run] = _STATUS.get(event.status, "FAILED")
            case ConfusionCounted():
                self._file(self._seeds[event.seed], "confusions.png", confusion_picture(event.counts, event.classes))
            case ModelExported():
                self._log_model(event)
            case RunEnds() if self._whole is not None:
                numbers = {name: one.mean for name, one in event.numbers.items()}
                self._metrics(self._whole, numbers, 0, event.at)
                self._open[self._whole] = _STATUS.get(event.status, "FAILED")
            case _:
                pass

    def close(self) -> None:
        """Ends the runs; those that were cut off count as failed."""
        for run, status in self._open.items():
            self._client.set_terminated(run, status)

    def _experiment_of(self, name: str, uri: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        beside = uri.startswith("sqlite:///")
        artifacts = Path(uri.removeprefix("sqlite:///")).parent / "mlartifacts" if beside else None
        return str(self._client.create_experiment(name, None if artifacts is None else artifacts.as_uri()))

    def _begin(self, name: str, seed: int | None) -> str:
        begins = self._begins
        data = begins.data
        tags = {"dataset": str(data["name"]), "fingerprint": str(data["fingerprint"])}
        if seed is not None and self._whole is not None:
            tags |= {_PARENT: self._whole}
        at = round(begins.at * 1000)
        run = self._client.create_run(self._experiment, at, {f"{'' if '.' in key else 'fittingroom.'}{key}": value
                                      for key, value in tags.items()}, name)  # fmt: skip
        facts: dict[str, Any] = {**begins.settings, **({} if seed is None else {"seed": seed})}
        facts |= {f"{part}_images": count for part, count in data["counts"].items()}
        params = [Param(key, str(value)[:_LONGEST]) for key, value in facts.items()]
        self._client.log_batch(run.info.run_id, params=params)
        return str(run.info.run_id)

    def _metrics(self, run: str, numbers: Mapping[str, float], step: int, at: float) -> None:
        moment = round(at * 1000)
        found = [Metric(name, value, moment, step) for name, value in numbers.items() if math.isfinite(value)]
        self._client.log_batch(run, metrics=found)

    def _file(self, run: str, name: str, content: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, name)
            path.write_bytes(content)
            self._client.log_artifact(run, str(path))

    def _log_model(self, event: ModelExported) -> None:
        """Logs the model in the form that `mlflow.onnx.load_model("runs:/ID/model")` and MLflow's servers read."""
        import mlflow.onnx
        import onnx
        from mlflow.models.signature import ModelSignature
        from mlflow.types.schema import Schema, TensorSpec

        model = onnx.load_from_string(event.content)
        takes, gives = (
            Schema([TensorSpec(*one) for one in _specification(list(end))])
            for end in (model.graph.input, model.graph.output)
        )
        with tempfile.TemporaryDirectory() as folder:
            # The requirements are said, since MLflow would start a process and load the model to find them.
            mlflow.onnx.save_model(
                model,
                str(Path(folder, "model")),
                signature=ModelSignature(takes, gives),
                pip_requirements=["onnx", "onnxruntime"],
                metadata={"fittingroom": plain(dict(event.facts))},
                save_as_external_data=False,
            )
            run = self._whole or next(iter(self._seeds.values()))
            self._client.log_artifacts(run, str(Path(folder, "model")), "model")


def _specification(values: list[Any]) -> list[tuple[Any, tuple[int, ...], str]]:
    """Type, shape and name of each end of an ONNX graph; -1 for how many images there are."""
    import numpy as np
    import onnx

    return [
        (
            np.dtype(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)),
            tuple(side.dim_value or -1 for side in value.type.tensor_type.shape.dim),
            value.name,
        )
        for value in values
    ]


def _store(place: str) -> str:
    """The URI of a store."""
    if place.startswith("sqlite:///") and not place.startswith("sqlite:////"):
        return f"sqlite:///{absolute(place.removeprefix('sqlite:///'))}"
    if place and not place.startswith("file:") and (":" in place or place == "databricks"):
        return place
    if not place and all(find_spec(package) for package in ("sqlalchemy", "alembic", "sqlparse")):
        folder = RunsFolder().path.absolute()
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{folder / 'mlflow.db'}"
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # else MLflow refuses what was asked for
    folder = absolute(urlsplit(place).path if place.startswith("file:") else place or RunsFolder().path / "mlruns")
    return folder.as_uri()


def _check_answers(uri: str) -> None:
    """Raises StorageError where a server does not answer: MLflow would try again for minutes."""
    parts = urlsplit(uri)
    if parts.scheme not in {"http", "https"} or parts.hostname is None:
        return
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    try:
        socket.create_connection((parts.hostname, port), _SECONDS_TO_ANSWER).close()
    except OSError as error:
        raise StorageError(
            f"{without_credentials(uri)} does not answer ({error.strerror or error}). Start it with `mlflow server`, "
            "or name another place."
        ) from error
