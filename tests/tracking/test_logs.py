"""Logs: the same events while a training runs and afterwards, read back by the programs that they are for."""

from __future__ import annotations

import csv
import importlib.util
import json
import logging
import math
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

import fittingroom as fr
from fittingroom.api.run import Run
from fittingroom.cli.main import main
from fittingroom.errors import InputError, Interrupted, StorageError, UnknownNameError
from fittingroom.progress import Progress
from fittingroom.tracking import events, tensorboard_log
from fittingroom.tracking.events import EventStream, RunBegins

pytestmark = pytest.mark.usefixtures("quick_compiler")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def run(place: Path) -> Run:
    """Two seeds on digits, logged while they trained; and then again, elsewhere, from the folder."""
    to = [f"tensorboard:{place / 'live'}", f"csv:{place / 'live.csv'}", f"jsonl:{place / 'live.jsonl'}"]
    trained = fr.train("digits", "course", epochs=3, seeds=2, out=place / "run", log=to)
    assert [log.problem for log in trained.logs] == [None, None, None]
    opened = fr.open_run(trained.path)
    assert opened.logs == ()
    opened.log([text.replace("live", "later") for text in to])
    return trained


def read_back(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(one.step, one.value) for one in read_back(folder).Scalars(tag)]


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("when", ["live", "later"])
def test_tensorboard_shows_each_epoch_as_the_history_has_it_and_the_spread_over_seeds(
    run: Run, place: Path, when: str
) -> None:
    shown = place / when / place.name / "run"
    for seed, one in enumerate(run):
        for name in ("loss", "accuracy"):
            for part, key in (("train", name), ("validation", f"val_{name}")):
                epochs, values = zip(*scalars(shown / f"seed-{seed}" / part, f"epoch_{name}"), strict=True)
                assert epochs == (0, 1, 2)
                assert values == pytest.approx(one.history[key])
    losses = np.array([one.history["val_loss"] for one in run])
    mean, deviation = losses.mean(axis=0), losses.std(axis=0, ddof=1)
    for end, expected in {"mean": mean, "low": mean - deviation, "high": mean + deviation}.items():
        found = scalars(shown / "mean", f"spread/val_loss {end}")
        assert [value for _, value in found] == pytest.approx(expected.tolist(), rel=1e-5)
    assert [value for _, value in scalars(shown / "mean" / "validation", "epoch_loss")] == pytest.approx(mean.tolist())


def test_tensorboard_has_charts_hyperparameters_confusions_and_what_the_run_is(run: Run, place: Path) -> None:
    mean, seed = (
        read_back(place / "live" / place.name / "run" / "mean"),
        read_back(place / "live" / place.name / "run" / "seed-1"),
    )
    config = mean.Tensors("custom_scalars__config__")[-1].tensor_proto.string_val[0]
    (category,) = layout_pb2.Layout.FromString(config).category
    assert {chart.title for chart in category.chart} == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert category.chart[0].margin.series[0].value.endswith(" mean")

    hparams = seed.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    started = plugin_data_pb2.HParamsPluginData.FromString(hparams).session_start_info.hparams
    assert started["epochs"].number_value == 3
    assert started["name"].string_value.startswith("course")
    assert "_hparams_/session_end_info" in seed.summary_metadata

    kept = run[1].record.validation
    assert kept is not None
    assert seed.Scalars("kept_val_accuracy")[0].value == pytest.approx(kept.accuracy)
    assert seed.Scalars("kept_val_loss")[0].value == pytest.approx(kept.loss)
    picture = seed.Images("confusions")[0]
    assert picture.encoded_image_string.startswith(b"\x89PNG")
    assert min(picture.width, picture.height) > 200
    assert b"digits" in seed.Tensors("run/text_summary")[0].tensor_proto.string_val[0]


def test_the_projector_has_a_row_and_a_picture_for_each_image(run: Run, place: Path) -> None:
    shown = place / "live" / place.name / "run" / "seed-0"
    (config,) = text_format.Parse((shown / "projector_config.pbtxt").read_text(), ProjectorConfig()).embeddings
    vectors = np.loadtxt(shown / config.tensor_path, delimiter="\t")
    rows = [line.split("\t") for line in (shown / config.metadata_path).read_text().splitlines()]
    outcomes = run[0].outcomes
    assert outcomes is not None
    assert outcomes.kept is not None
    assert vectors.shape[0] == len(rows) - 1 == len(outcomes.kept.labels)
    assert [row[0] for row in rows[1:]] == [str(label) for label in outcomes.kept.labels]
    width, height = config.sprite.single_image_dim
    with Image.open(shown / config.sprite.image_path) as sprite:
        assert sprite.width == sprite.height >= width * math.isqrt(len(vectors))
    assert (width, height) == (8, 8)


def test_tables_have_every_epoch_and_hold_each_run_once(run: Run, place: Path) -> None:
    by_epoch = {}
    for when in ("live", "later"):
        rows = table(place / f"{when}.csv")
        by_epoch[when] = {(row["seed"], row["epoch"]): float(row["val_loss"]) for row in rows}
        assert len(rows) == 6
        for seed, one in enumerate(run):
            for epoch, value in enumerate(one.history["val_loss"], start=1):
                assert by_epoch[when][str(seed), str(epoch)] == value
    assert by_epoch["live"] == by_epoch["later"]

    told = {when: lines(place / f"{when}.jsonl") for when in ("live", "later")}
    for found in told.values():
        assert found[0]["event"] == "run_begins"
        assert found[-1]["event"] == "run_ends"
        assert [one["epoch"] for one in found if one["event"] == "seeds_spread"] == [0, 1, 2]
        (confused, _) = [one["counts"] for one in found if one["event"] == "confusion_counted"]
        assert np.trace(confused) / np.sum(confused) == run[0].outcomes.kept.accuracy  # type: ignore[union-attr]
    kinds = [Counter(one["event"] for one in found) for found in told.values()]
    assert kinds[0]["epoch_ends"] == 6
    assert kinds[0] - Counter(images_placed=2) == kinds[1] - Counter(images_placed=2)

    before = (place / "later.csv").read_text()
    (place / "later.csv").write_text(before.replace(f"\n{place.name}/run,", "\nanother,", 1))
    run.log(f"csv:{place / 'later.csv'}")
    assert Counter(row["run"] for row in table(place / "later.csv")) == {"another": 1, f"{place.name}/run": 6}
    run.log(f"jsonl:{place / 'later.jsonl'}")
    assert [one["event"] for one in lines(place / "later.jsonl")].count("run_begins") == 1


def test_a_file_of_something_else_is_not_overwritten(run: Run, tmp_path: Path) -> None:
    for name, text in (("notes.csv", "name,age\nAda,36\n"), ("notes.jsonl", "hello\n")):
        (tmp_path / name).write_text(text)
        with pytest.raises(StorageError, match="is there already"):
            run.log(f"{name.partition('.')[2]}:{tmp_path / name}")
        assert (tmp_path / name).read_text() == text


def test_the_command_logs_afterwards_and_says_where(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["log", str(run.path), "--to", f"csv:{tmp_path / 'a.csv'}", "--to", "jsonl", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["runs"][0]["logs"][0] == {
        "to": f"csv:{tmp_path / 'a.csv'}",
        "where": f"{tmp_path / 'a.csv'} has a line for each epoch.",
        "problem": None,
    }
    assert (run.path / "logs" / "events.jsonl").exists()

    experiment = tmp_path / "experiment" / "runs"
    for name in ("a", "b"):
        shutil.copytree(run.path, experiment / name)
    assert main(["log", str(experiment.parent), str(run.path), "--to", f"csv:{tmp_path / 'a.csv'}"]) == 0
    assert capsys.readouterr().out == f"Log: {tmp_path / 'a.csv'} has a line for each epoch.\n"
    assert Counter(row["run"] for row in table(tmp_path / "a.csv")) == {
        "runs/a": 6,
        "runs/b": 6,
        f"{run.path.parent.name}/run": 6,
    }


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("tensorbord", "unknown tracker 'tensorbord'. Did you mean 'tensorboard'?"),
        ("csv:", "'csv:' names no FILE behind the colon. Write csv:FILE, or csv."),
        (["csv", "csv"], "The log to csv is asked for twice. Name it once."),
        ([], r"log=\[\]; expected the name of a tracker"),
    ],
)
def test_what_cannot_be_logged_is_said_before_training(log: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        fr.train("digits", "course", log=log)


def test_a_missing_package_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found: Callable[..., Any] = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "wandb" else found(name))
    with pytest.raises(InputError, match=r"needs the package wandb: pip install 'fittingroom\[wandb\]'"):
        fr.train("digits", "course", log="wandb")
    with pytest.raises(UnknownNameError):
        fr.train("digits", "course", log=["csv", "neptune"])


class _StopsAfterTwo(Progress):
    def epoch(self, epoch: int, logs: Mapping[str, float]) -> None:
        del logs
        if epoch == 1:
            raise KeyboardInterrupt


def test_a_log_that_fails_is_told_once_and_the_training_is_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: tensorboard_log.EventFile, *_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tensorboard_log.EventFile, "scalar", full)
    to = [f"tensorboard:{tmp_path / 'tb'}", f"csv:{tmp_path / 'a.csv'}"]
    run = fr.train("digits", "course", epochs=3, out=tmp_path / "run", log=to)
    assert len(run.history.epoch) == 3
    assert [bool(log.problem) for log in run.logs] == [True, False]
    assert len(table(tmp_path / "a.csv")) == 3
    said = [record.getMessage() for record in caplog.records if "has stopped, and the training has not" in record.msg]
    assert len(said) == 1
    assert "No space left on device" in said[0]
    assert f"`fittingroom log RUN --to tensorboard:{tmp_path / 'tb'}`" in said[0]


def test_an_interrupted_training_and_its_rest_are_one_log(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        fr.train("digits", "course", epochs=4, out=tmp_path / "run", log="jsonl", progress=_StopsAfterTwo())
    log = tmp_path / "run" / "logs" / "events.jsonl"
    assert lines(log)[-1]["status"] == "interrupted"
    fr.resume(tmp_path / "run", log="jsonl")
    found = lines(log)
    assert [one["epoch"] for one in found if one["event"] == "epoch_ends"] == [0, 1, 2, 3]
    assert found[-1]["status"] == "finished"


def test_a_tracker_that_hangs_keeps_nobody_waiting(caplog: pytest.LogCaptureFixture) -> None:
    import threading

    hanging = threading.Event()

    class Hangs:
        where = "nowhere"

        def write(self, event: object) -> None:
            hanging.wait(30)

        def close(self) -> None:
            pass

    begins = RunBegins(run="run", folder=None, seeds=(0,), settings={}, data={}, at=0.0)
    stream = EventStream({"slow": lambda _: Hangs()})
    for event in (begins, events.EpochEnds(seed=0, epoch=0, numbers={}, at=0.0)):
        stream.tell(event)
    (place,) = stream.close(patience=0.05)
    hanging.set()
    assert place.problem == "It was still being written when the training ended."
    assert "It was still being written" in caplog.text


def test_credentials_and_paths_do_not_reach_messages(caplog: pytest.LogCaptureFixture) -> None:
    def refuses(_: RunBegins) -> Any:
        raise OSError("cannot reach https://ada:secret@example.org/api")

    caplog.set_level(logging.WARNING)
    stream = EventStream({"x": refuses})
    stream.tell(RunBegins(run="run", folder=None, seeds=(0,), settings={}, data={}, at=0.0))
    (place,) = stream.close()
    assert place.problem == "cannot reach https://example.org/api."
    assert "secret" not in caplog.text
