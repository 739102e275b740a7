"""What happens, told to the pages that watch."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import fittingroom
from fittingroom.errors import InputError, RunError
from fittingroom.studio.event_stream import Progressed
from fittingroom.studio.studio import LastUsed, Studio
from tests.serving.serving import Serving
from tests.studio.opened import events, studio


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITTINGROOM_LEDGER", str(folder / "ledger.sqlite"))
        return fittingroom.train("digits", "linear", out=folder / "one").path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A studio of a folder that is not there yet."""
    with studio(tmp_path_factory.mktemp("events") / "runs") as running:
        yield running


def folder_of(server: Serving) -> Path:
    return Path(server.get("/api/frame").json["folder"])


def test_two_pages_see_that_a_run_came_changed_and_went_and_one_that_comes_back_catches_up(
    server: Serving, kept: Path
) -> None:
    folder = folder_of(server)
    assert server.get("/api/frame").json["runs"] == []
    with events(server) as first, events(server) as second:
        hello = first.next()
        assert (hello["event"], json.loads(hello["data"])) == ("hello", {"caught_up": False})
        time.sleep(0.6)  # a look at the folder as it was
        folder.mkdir(exist_ok=True)
        shutil.copytree(kept, folder / "a <b> run")
        told = [stream.of_kind("runs") for stream in (first, second)]
        assert [json.loads(one["data"])["changed"] for one in told] == 2 * [["a <b> run"]]
        assert told[0]["id"] == told[1]["id"]
    (run,) = server.get("/api/frame").json["runs"]
    assert run == {"name": "a <b> run", "status": "finished", "recipe": "linear", "dataset": "digits", "seeds": 1}
    with events(server) as first, events(server, Last_Event_ID=hello["id"]) as back:
        assert json.loads(back.next()["data"]) == {"caught_up": True}
        assert back.of_kind("runs")["id"] == told[0]["id"]  # what it has missed, once
        first.next()
        time.sleep(0.6)
        shutil.rmtree(folder / "a <b> run")
        assert json.loads(first.of_kind("runs")["data"])["changed"] == ["a <b> run"]
    for strange in ("other-3", hello["id"].split("-")[0] + "-999999", "x" * 5000, "-", "1-²"):
        with events(server, f"/api/events?after={strange[:3000].replace('²', '%C2%B2')}") as stream:
            assert json.loads(stream.next()["data"]) == {"caught_up": False}


def test_a_studio_that_nobody_watches_does_nothing(server: Serving) -> None:
    time.sleep(0.5)
    before = processor_seconds(server.process.pid)
    time.sleep(2)
    assert processor_seconds(server.process.pid) - before <= 0.02


def test_watching_costs_little(server: Serving) -> None:
    folder = folder_of(server)
    for number in range(200):
        (folder / f"run-{number}" / "seed-0").mkdir(parents=True)
    with events(server) as stream:
        stream.next()
        time.sleep(0.5)
        before = processor_seconds(server.process.pid)
        time.sleep(2)
        assert (
            processor_seconds(server.process.pid) - before <= 0.3
        )  # of 2 seconds, with 200 runs: it does not look all the time
    shutil.rmtree(folder)


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_studio_ends_at_once_although_pages_watch(tmp_path: Path) -> None:
    with studio(tmp_path / "runs") as server, events(server) as stream:
        stream.next()
        started = time.monotonic()
        assert server.end() == 0
        assert time.monotonic() - started < 5


def test_work_in_the_background_is_done_once_told_and_its_error_is_the_products_own() -> None:
    made = Studio()
    told: list[tuple[str, str, int]] = []
    made.events.publish = lambda kind, data: told.append((kind, data["state"], data["done"]))  # type: ignore[method-assign]
    going = []

    def do(progressed: Progressed) -> None:
        going.append(1)
        progressed(1, 2)
        raise InputError("3 images are too few. Give 10.")

    first = made.work.begin("map", "Computing the map", do)
    assert first["title"] == "Computing the map"
    while not told or told[-1][1] != "failed":
        time.sleep(0.01)
    (task,) = made.work.listing()
    assert (task["state"], task["message"]) == ("failed", "3 images are too few. Give 10.")
    assert told == [("work", "running", 0), ("work", "running", 1), ("work", "failed", 1)]
    made.work.begin("map", "Computing the map", lambda _: None)  # it may be tried again
    while told[-1][1] != "done":
        time.sleep(0.01)
    assert made.work.listing() == []
    assert going == [1]
    made.close()


def test_a_run_is_opened_once_until_it_changes_and_only_a_few_stay_open(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(tmp_path))
    shutil.copytree(kept, tmp_path / "one")
    made = Studio()
    assert made.run("one") is made.run("one")
    before = made.run("one")
    (tmp_path / "one" / "note").touch()
    assert made.run("one") is not before
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "training.json").write_text("{}")
    with pytest.raises(RunError, match="begun has not finished training"):
        made.run("begun")
    few = LastUsed(2)
    for key in "aabcb":
        few.get(key, 0, time.monotonic_ns)
    assert set(few._values) == {"b", "c"}
