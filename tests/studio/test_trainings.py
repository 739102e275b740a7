"""Trainings from the browser are processes that belong to nobody: they survive the studio, and any other finds them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fittingroom.cli.main import main
from fittingroom.errors import InputError
from fittingroom.progress import SAY_STAGES
from fittingroom.runs.place import is_run
from fittingroom.serving.gate import Security
from fittingroom.studio.application import create_studio
from fittingroom.studio.studio import Studio
from fittingroom.studio.training_order import TrainingOrder
from fittingroom.studio.training_watch import _before_the_run
from fittingroom.studio.trainings import Ticket, Trainings, _birth
from tests.serving.serving import Serving
from tests.studio.opened import asked, events, studio

LONG = {"dataset": "digits", "settings": {"epochs": "100000", "hidden": "8"}}


def post(server: Serving, path: str, body: Any = None) -> Any:
    reply = server.ask("POST", path, json.dumps(body).encode(), {"content-type": "application/json"})
    assert reply.status == 200, reply.body
    return reply.json


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Waits for what a condition gives."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.1)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder of runs, in which nothing is trained any more afterwards."""
    runs = tmp_path / "runs"
    runs.mkdir()
    yield runs
    trainings = Trainings(runs)
    for name in trainings.running():
        ticket = trainings.ticket(name) or trainings.ticket_of(name)
        if ticket is not None and ticket.alive:
            os.kill(ticket.pid, signal.SIGKILL)


def test_a_training_survives_the_studio_and_is_stopped_and_continued_by_another(folder: Path) -> None:
    with studio(folder) as first:
        name = post(first, "/api/trainings", LONG)["name"]

        def trained() -> Any:
            found = first.get(f"/api/trainings/{name}").json
            return found if len(found["rows"]) >= 2 else None

        facts = until(trained)
        assert facts["state"] in {"training", "validating"}
        assert (facts["recipe"], facts["dataset"]) == ("course+", "digits")
        assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= facts["rows"][0]["logs"].keys()
        assert facts["command"] == "fittingroom train digits --set hidden=8 --epochs 100000"
        assert re.search(
            r'data-last="[125]0+\.0"', facts["curves"]["loss"]
        )  # a round number, not the 100,000 that are planned
        run = facts["run"]
        first.process.kill()
        first.process.wait()
    with studio(folder) as second, events(second) as stream:
        assert second.get("/api/trainings").json["running"] == [run]
        heard = json.loads(stream.of_kind("training")["data"])
        assert heard["run"] == run
        epoch = second.get(f"/api/trainings/{run}").json["epoch"]
        until(lambda: second.get(f"/api/trainings/{run}").json["epoch"] > epoch)
        changed = second.get(f"/api/trainings/{run}/changed?seed=0").json["changed"]
        assert changed["of"] == 120
        assert len(changed["right"]["images"]) == min(24, changed["right"]["count"])
        assert changed["pictures"] is None or changed["pictures"]["shape"][1:] == [8, 8]
        post(second, f"/api/trainings/{run}/stop")
        stopped = until(lambda: (one := second.get(f"/api/trainings/{run}").json)["resumable"] and one)
        assert (stopped["state"], stopped["whole"]) == ("interrupted", True)
        assert "of the validation images right" in stopped["sentence"]
        again = post(second, f"/api/trainings/{run}/continue")["name"]
        more = until(lambda: (one := second.get(f"/api/trainings/{again}").json)["state"] == "training" and one)
        assert more["run"] == run
        reply = second.ask("POST", f"/api/trainings/{run}/continue", b"{}")
        assert (reply.status, "is being trained by" in reply.error["message"]) == (400, True)
        post(second, f"/api/trainings/{again}/stop")
        until(lambda: second.get("/api/trainings").json["running"] == [])


def test_a_training_of_a_terminal_is_attached_and_a_failed_one_shows_its_sentence(folder: Path) -> None:
    environment = {**os.environ, "FITTINGROOM_RUNS_DIR": str(folder)}
    command = [sys.executable, "-m", "fittingroom", "train", "digits", "--epochs", "100000", "--seeds", "2"]
    terminal = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with studio(folder) as server:
            wild = {
                "dataset": "digits",
                "settings": {"optimizer": "sgd", "learning_rate": "1e9", "scale": "off", "hidden": "8"},
            }
            failing = post(server, "/api/trainings", wild)["name"]
            (run,) = until(lambda: [one for one in server.get("/api/trainings").json["running"] if one[:2] != "t-"])
            facts = until(lambda: (one := server.get(f"/api/trainings/{run}").json)["rows"] and one)
            assert facts["seeds"] == [0, 1]
            assert "2 seeds and their band" in facts["curves"]["accuracy"]
            failed = until(lambda: (one := server.get(f"/api/trainings/{failing}").json)["state"] == "failed" and one)
            assert failed["sentence"].startswith("the loss became NaN or infinite in epoch 1")
            assert "A smaller learning rate" in failed["sentence"]
            assert server.ask("POST", f"/api/trainings/{failing}/continue", b"{}").status in {400, 409}
            post(server, f"/api/trainings/{run}/stop")
            assert terminal.wait(30) == 130
    finally:
        terminal.kill()
        terminal.wait()


def test_what_is_done_before_there_is_a_run_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SAY_STAGES, "1")
    with (tmp_path / "errors").open("w") as errors, contextlib.redirect_stderr(errors):
        assert main(["train", str(tmp_path / "nothing.npz")]) == 2
    assert (tmp_path / "errors").read_text().startswith("fittingroom: stage: loading\nfittingroom: error: ")
    with (tmp_path / "errors").open("a") as errors:
        errors.write("fittingroom: stage: computing features: 960 of 2,680 images, 43 s left\n")
    own = os.getpid()
    ticket = Ticket("t-1", tmp_path, ("train",), own, 0.0, _birth(own), None)
    assert ticket.stage == "computing features: 960 of 2,680 images, 43 s left"
    facts = _before_the_run(ticket)
    assert (facts["state"], facts["sentence"]) == ("loading", "Computing features: 960 of 2,680 images, 43 s left.")
    (tmp_path / "errors").unlink()
    assert _before_the_run(ticket)["sentence"] == ""


def test_an_order_is_checked_as_the_command_checks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = TrainingOrder.read({"settings": {"hidden": "512", "epochs": "7"}, "seeds": 3, "stop": ["loss<0.4"]})
    assert order.command() == "fittingroom train --set hidden=512 --epochs 7 --seeds 3 --stop 'loss<0.4'"
    assert order.python()[-1] == (
        "run = fr.train('fashion-mnist', 'course', hidden=(512,), epochs=7, seeds=3, stop=['loss<0.4'])"
    )
    assert TrainingOrder().command() == "fittingroom train"
    assert TrainingOrder(settings={"hidden": "128"}).command() == "fittingroom train"
    assert "up to but not including 1" in TrainingOrder(settings={"dropout": "1"}).problems()["dropout"]
    assert "no hidden layer" in TrainingOrder(settings={"hidden": "", "dropout": "0.5"}).problems()["dropout"]
    assert "stop" in TrainingOrder(stop=("accuracy<",)).problems()
    assert "dataset" in TrainingOrder(dataset="/nowhere/at/all").problems()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "--resume" / "a").mkdir(parents=True)  # a folder whose name is an option stays a folder
    assert TrainingOrder(dataset="--resume").arguments() == ["train", str(tmp_path / "--resume")]
    refused: list[Any] = [
        {"settings": {"model": "evil.py:run"}},
        {"settings": {"name": "x"}},
        {"recipe": "/etc/passwd"},
        {"seeds": 0},
        {"seeds": True},
        {"settings": []},
        {"stop": "loss<1"},
        {"dataset": "a\nb"},
        [],
    ]
    for wrong in refused:
        with pytest.raises(InputError):
            TrainingOrder.read(wrong)


def test_others_look_and_begin_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(folder))
    security = Security.of("0.0.0.0", links=True, guests=True)
    app = create_studio(Studio(), security)
    guest = {"authorization": f"Bearer {security.guest}"}
    assert asked(app, "GET", "/api/trainings/choices", guest).status == 200
    for path in ("/api/trainings", "/api/trainings/check", "/api/trainings/x/stop", "/api/trainings/x/continue"):
        assert asked(app, "POST", path, guest, b"{}").status == 403
    assert asked(app, "POST", "/api/trainings/data", guest, b"PK").status == 403
    assert list(folder.iterdir()) == []
    owner = {"authorization": f"Bearer {security.token}"}
    for name in ("..", "t-../../x", "%2e%2e", "t-", "nothing"):
        assert asked(app, "GET", f"/api/trainings/{name}", owner).status == 404


def archive(entries: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for name, one in entries.items():
            packed.writestr(name, one)
    return content.getvalue()


def test_an_uploaded_archive_of_class_folders_is_trained_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(folder))
    app = create_studio(Studio(), Security.of("127.0.0.1", links=True))

    def upload(content: bytes, called: str = "shirts.zip") -> Any:
        return asked(app, "POST", "/api/trainings/data", body=content, query=f"called={called}")

    pictures = {}
    for label in ("<script>", "b"):
        for number in range(30):
            stream = io.BytesIO()
            pixels = np.random.default_rng(number).integers(0, 255, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(stream, "PNG")
            pictures[f"clothes/{label.replace('/', '_')}/{number}.png"] = stream.getvalue()
    found = upload(archive(pictures)).json
    assert Path(found["place"]).name == "clothes"
    choices = asked(app, "GET", "/api/trainings/choices").json
    assert [one["name"] for one in choices["uploaded"]] == ["shirts-1"]
    body = json.dumps({"dataset": found["place"]}).encode()
    assert asked(app, "POST", "/api/trainings/check", body=body).json["problems"] == {}
    for content in (b"", b"no archive", archive({"../../evil.png": b"x"}), archive({"/etc/evil.png": b"x"})):
        reply = upload(content)
        assert reply.status == 400
        assert reply.error["message"]
    assert [one["name"] for one in asked(app, "GET", "/api/trainings/choices").json["uploaded"]] == ["shirts-1"]
    assert not is_run(folder)
