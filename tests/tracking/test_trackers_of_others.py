"""MLflow and W&B: read back by MLflow's client, and from the file that `wandb sync` sends."""

from __future__ import annotations

import json
import platform
import re
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import yaml

import fittingroom as fr
from fittingroom.api.run import Run
from fittingroom.errors import StorageError

pytestmark = [
    pytest.mark.usefixtures("quick_compiler"),
    # MLflow's own, of SQLAlchemy and pydantic.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trackers")


@pytest.fixture(scope="module")
def run(place: Path) -> Run:
    """Two seeds on digits, logged to MLflow and W&B while they trained."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("WANDB_MODE", raising=False)
        patch.setenv("WANDB_API_KEY", "0123456789" * 4)
        log = [f"mlflow:{place / 'store'}", "wandb:digits"]
        trained = fr.train("digits", "course", epochs=3, seeds=2, out=place / "run", log=log)
    assert [one.problem for one in trained.logs] == [None, None]
    return trained


def client(uri: str) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=uri)


def ids(mlflow: Any) -> list[str]:
    return [one.experiment_id for one in mlflow.search_experiments() if one.name == "fittingroom"]


def test_mlflow_has_the_seeds_within_a_run_of_their_mean(run: Run, place: Path) -> None:
    mlflow = client((place / "store").as_uri())
    found = {one.info.run_name: one for one in mlflow.search_runs(ids(mlflow))}
    name = f"{place.name}/run"
    assert set(found) == {name, f"{name}/seed-0", f"{name}/seed-1"}
    whole, seed = found[name], found[f"{name}/seed-1"]
    assert seed.data.tags["mlflow.parentRunId"] == whole.info.run_id
    assert (seed.info.status, whole.info.status) == ("FINISHED", "FINISHED")
    assert (seed.data.params["seed"], seed.data.params["epochs"]) == ("1", "3")
    history = mlflow.get_metric_history(seed.info.run_id, "val_loss")
    assert [(one.step, one.value) for one in history] == list(enumerate(run[1].history["val_loss"]))
    spread = run.validation
    assert spread is not None
    assert whole.data.metrics["kept_val_accuracy"] == pytest.approx(spread["accuracy"].mean)
    losses = [one.history["val_loss"][-1] for one in run]
    assert whole.data.metrics["val_loss_deviation"] == pytest.approx(np.std(losses, ddof=1))
    assert "confusions.png" in [one.path for one in mlflow.list_artifacts(seed.info.run_id)]


def test_mlflow_has_the_model_as_its_own_loader_takes_it(run: Run, place: Path) -> None:
    import onnxruntime

    mlflow = client((place / "store").as_uri())
    (whole,) = [one for one in mlflow.search_runs(ids(mlflow)) if one.info.run_name == f"{place.name}/run"]
    folder = Path(mlflow.download_artifacts(whole.info.run_id, "model", str(place)))
    described = yaml.safe_load((folder / "MLmodel").read_text())
    assert described["flavors"]["onnx"]["data"] == "model.onnx"
    assert described["metadata"]["fittingroom"]["class_names"] == list(run[0].record.data.classes)
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    images = np.zeros((2, 8, 8), np.uint8)
    images[1, 2:6, 3] = 16
    (found, *_) = session.run(["probabilities"], {"images": images})
    expected = [one.probability for one in run.answer(images)]
    assert found.max(axis=1) == pytest.approx(expected, abs=1e-5)
    assert json.loads(described["signature"]["inputs"])[0]["name"] == "images"


def test_wandb_has_each_seed_offline_and_neither_key_nor_path(run: Run, place: Path) -> None:
    where = run.logs[1].where
    assert where.startswith("wandb sync ")
    folders = [Path(text) for text in where.split()[2:]]
    assert len(folders) == 3  # the seeds, and their mean
    assert all(folder.is_relative_to(place / "run" / "logs" / "wandb") for folder in folders)
    contents = [b"".join(path.read_bytes() for path in folder.glob("*.wandb")) for folder in folders]
    assert b"0123456789" * 4 not in b"".join(contents)
    for number, content in enumerate(contents[:2]):
        assert f"run/seed-{number}".encode() in content
        assert b"kept_val_accuracy" in content
        assert repr(run[number].history["val_loss"][-1]).encode() in content
        assert str(place).encode() not in content
        assert platform.node().encode() not in re.sub(rb"[^ -~]+", b" ", content).split()


@pytest.mark.slow
def test_mlflow_is_logged_afterwards_into_a_database_beside_the_runs(
    run: Run, runs_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (log,) = run.log("mlflow")
    assert log.where == f"mlflow ui --backend-store-uri sqlite:///{runs_dir / 'mlflow.db'}"
    mlflow = client(f"sqlite:///{runs_dir / 'mlflow.db'}")
    names = [one.info.run_name for one in mlflow.search_runs(["1"])]
    assert sorted(Path(name).name for name in names) == ["run", "seed-0", "seed-1"]


def test_a_server_that_is_away_is_told_at_once_and_without_its_password(run: Run) -> None:
    with pytest.raises(
        StorageError, match=r"http://127.0.0.1:9 does not answer .*Start it with `mlflow server`"
    ) as said:
        run.log("mlflow:http://ada:secret@127.0.0.1:9")
    assert "secret" not in str(said.value)


def test_a_model_of_the_users_is_logged_with_a_folder_and_without_one(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((60, 4, 4)).astype(np.float32)
    labels = np.arange(60) % 3
    validation = images[:15], labels[:15]

    def network() -> keras.Model:
        return keras.Sequential([keras.Input((4, 4)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")])

    settings: dict[str, Any] = {"epochs": 2, "validation_data": validation, "verbose": 0}
    for name, out in (("kept", tmp_path / "kept"), ("memory", False)):
        run = fr.fit(network(), images, labels, out=out, log=f"jsonl:{tmp_path / name}.jsonl", **settings)
        assert [one.problem for one in run.logs] == [None]
        run.log(f"jsonl:{tmp_path / name}-later.jsonl")
        told = [
            [json.loads(line)["event"] for line in (tmp_path / f"{name}{when}.jsonl").read_text().splitlines()]
            for when in ("", "-later")
        ]
        assert told[0] == told[1]
        assert told[0] == ["run_begins", "epoch_ends", "epoch_ends", "seed_ends", "confusion_counted", "run_ends"]
    with pytest.raises(fr.InputError, match="unknown tracker"):
        fr.fit(network(), images, labels, log="clearml", **settings)
