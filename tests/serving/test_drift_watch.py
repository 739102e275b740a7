"""Drift of what a server answers: counted in passing, shown by route, metrics and command, and kept over restarts."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import fittingroom
from fittingroom.cli.main import main
from fittingroom.data.model_inputs import ModelInputs
from fittingroom.errors import InputError
from fittingroom.recipes.named import NAMED
from fittingroom.serving.drift_watch import DriftWatch
from tests.serving.serving import Serving, multipart, png, serving


def many(pixels: np.ndarray) -> tuple[bytes, str]:
    """A request of 64 pictures."""
    return multipart(*((f"{number}.png", png(one)) for number, one in enumerate(pixels)))


def test_a_server_finds_drift_shows_it_and_continues_after_a_restart(
    digits_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(digits_run, copy)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 8, 8)).astype(np.uint8)
    with serving(copy) as server:
        assert server.get("/v1/drift").json["verdict"] == "not examined"
        for _ in range(5):
            assert server.predict(*many(pixels)).status == 200
        found = server.get("/v1/drift").json
        assert (found["verdict"], found["facts"]["alarm"], found["facts"]["images"]) == ("found", True, 320)
        metrics = server.get("/metrics").body.decode()
        assert re.search(r"^fittingroom_drift_alarm 1\.0$", metrics, re.MULTILINE)
        assert re.search(r"^fittingroom_drift_images_total 320\.0$", metrics, re.MULTILINE)
        assert main(["monitor", server.url]) == 1
        assert found["sentences"][0] in " ".join(capsys.readouterr().out.split())
        assert main(["monitor", str(copy), "--restart"]) == 2
        assert "is served at the moment" in capsys.readouterr().err
        assert server.end() == 0
    assert main(["monitor", str(copy), "--json"]) == 1
    assert '"images": 320' in capsys.readouterr().out
    assert main(["monitor", server.url]) == 2
    assert "cannot be reached" in capsys.readouterr().err

    run = fittingroom.open_run(copy)
    watch = DriftWatch.of(copy, run.predictor)
    watch.note(ModelInputs.plain(pixels), run.predictor.answer(pixels))
    assert watch.result().facts["images"] == 384
    beside = DriftWatch.of(copy, run.predictor)  # another process: it sees what the first has written
    beside.note(ModelInputs.plain(pixels), run.predictor.answer(pixels))
    assert (beside.result().facts["processes"], beside.result().facts["images"]) == (2, 384)
    shutil.rmtree(copy)  # a run's folder is not needed while it is served
    watch.count(ending=True)
    beside.count(ending=True)
    assert not copy.exists()
    assert watch.result().facts["images"] == 384


def test_what_comes_too_fast_is_left_out_and_said(digits_run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(digits_run, copy)
    run = fittingroom.open_run(copy)
    watch = DriftWatch.of(copy, run.predictor)
    pixels = np.zeros((64, 8, 8), np.uint8)
    answers = run.predictor.answer(pixels)
    watch._allowed = -1e9
    watch.note(ModelInputs.plain(pixels), answers)
    assert watch.full
    watch.count_some()
    result = watch.result()
    assert (result.facts["images"], result.facts["skipped"]) == (0, 64)
    assert "64 further images came faster than they could be compared." in result.sentences
    watch._allowed = 1.0
    watch.note(ModelInputs.plain(pixels), answers)
    watch.count_some()
    assert watch.result().facts["images"] == 64
    watch.count(ending=True)


def test_a_run_without_validation_images_is_served_and_says_why_it_is_not_watched(tmp_path: Path) -> None:
    data = fittingroom.load("digits", validation=0)
    run = fittingroom.train(data, NAMED["linear"].recipe.changed(epochs=1), out=tmp_path / "run")
    watch = DriftWatch.of(run.path, run.predictor)
    assert "no validation images" in watch.result().sentences[0]
    assert watch.metrics() == b""
    assert main(["monitor", str(run.path)]) == 0


def test_with_no_drift_nothing_is_counted(digits_run: Path) -> None:
    data = fittingroom.open_run(digits_run).predictor.data
    watch = DriftWatch.off(data)
    watch.note(ModelInputs.plain(np.zeros((1, 8, 8), np.uint8)), [])
    watch.count(ending=True)
    assert watch.result().sentences == ("This server was started with --no-drift.",)
    assert watch.metrics() == b""


def test_answers_of_the_shared_server_are_counted(server: Serving) -> None:
    before = server.get("/v1/drift").json["facts"]["images"]
    server.predict(png(np.zeros((8, 8), np.uint8)))
    assert server.get("/v1/drift").json["facts"]["images"] == before + 1


def test_options_that_do_not_go_together_are_refused() -> None:
    from fittingroom.cli.main import build_parser

    for arguments, message in (
        (["monitor", "latest", "--token", "x"], "--token is for a server"),
        (["monitor", "http://127.0.0.1:1", "--restart"], "--restart is for a run"),
    ):
        parsed = build_parser(["monitor"]).parse_args(arguments)
        with pytest.raises(InputError, match=message):
            parsed.execute(parsed)
