"""`fittingroom explain`: words, tables and small charts in plain text, and all facts as JSON."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from fittingroom.cli.explain_text import _marked_bar, _signed_bar, sparkline
from fittingroom.cli.main import main
from fittingroom.reports.words.quotes import QUESTIONS
from fittingroom.runs.layout import SeedFiles
from tests.cli.conftest import Command
from tests.data.builders import write_picture_folder
from tests.reports.builders import contents_of, course_of, written

RISING = [0.4, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0]


@pytest.fixture(scope="module")
def trained(runs_folder: Path) -> Path:
    """A run of two seeds on digits."""
    path = runs_folder / "both"
    assert main(["train", "digits", "--seeds", "2", "--epochs", "3", "--out", str(path)]) == 0
    return path


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose loss rises while its accuracy stays."""
    monkeypatch.setenv("FITTINGROOM_LEDGER", str(tmp_path / "ledger.sqlite"))
    return written(tmp_path / "made", contents_of(course_of(RISING)))


def test_every_question_is_answered_at_once_and_then_at_length(command: Command, made: Path) -> None:
    lines = command("explain", made).out.splitlines()
    assert lines[0] == "course on made up, seed 0: 7 epochs, finished"
    assert [line[: len(question)] for line, question in zip(lines[2:], QUESTIONS.values(), strict=False)][:2] == [
        "What came out?",
        "Did it overfit, and since when?",
    ]
    for question in QUESTIONS.values():
        assert question in lines[9:]


def test_a_trained_run_is_explained_in_eighty_columns_without_colour(
    command: Command, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = command("explain", trained)
    *lines, last = done.out.splitlines()
    assert f"fittingroom report {trained}" in lines
    assert done.status == 0
    assert done.err == ""
    assert max(len(line) for line in lines if not line.startswith("fittingroom ")) <= 80
    assert "\x1b" not in done.out
    assert last == "fittingroom train digits --set epochs=3 --seeds 2"
    assert "The test set has not been opened by this run" in done.out


def test_tables_have_the_numbers_and_the_charts(command: Command, made: Path) -> None:
    out = command("explain", made).out
    assert re.search(r"validation loss +\d\.\d{3} +\d\.\d{3} +3 +\d\.\d{3}  [▁▂▃▄▅▆▇█]{7}$", out, flags=re.MULTILINE)
    assert re.search(r"epoch 3 to 7 +images +nats +loss rose +loss fell", out)
    assert re.search(r"stayed wrong +[\d,]+ +\+\d\.\d{3} .*│█{8,}$", out, flags=re.MULTILINE)
    assert re.search(r"all +2,000 +\+\d\.\d{3} ", out)
    assert re.search(r"\d+ to 100% .*[█·]+┃", out)
    assert re.search(r"class 0 +\d+ +\d+\.\d%", out)


def test_json_has_all_facts_and_nothing_else(command: Command, made: Path) -> None:
    facts = command("explain", made, "--json").json
    assert facts["changes"]["best_loss"]["start"] == 3
    assert facts["words"][0]["topic"] == "result"
    assert {"calibration", "changes", "history"} <= facts["per_seed"][0].keys()


def test_a_change_between_two_epochs_of_ones_own(command: Command, made: Path) -> None:
    out = command("explain", made, "--from", "2", "--to", "5").out
    assert "From epoch 2 to 5 validation loss" in out
    assert "epoch 2 to 5 " in out
    facts = command("explain", made, "--from", "2", "--to", "5", "--json").json
    assert (facts["changes"]["asked"]["start"], facts["changes"]["asked"]["end"]) == (2, 5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "9"], "epoch 9 has no validation outcomes: expected 1, 2, 3, 4, 5, 6 or 7."),
        (["--to", "0"], "expected a whole number, 1 or more"),
    ],
)
def test_wrong_epochs_are_refused(command: Command, made: Path, arguments: list[str], message: str) -> None:
    done = command("explain", made, *arguments)
    assert (done.status, done.out) == (2, "")
    assert message in done.err


def test_a_run_without_validation_is_explained_by_its_training_alone(command: Command, tmp_path: Path) -> None:
    contents = contents_of(course_of([2.0, 1.0]))
    bare = replace(contents, record=replace(contents.record, validation=None), outcomes=None)
    folder = written(tmp_path / "bare", bare)
    done = command("explain", folder)
    assert done.status == 0
    assert "From epoch 1 to 2 the training loss" in done.out
    assert "Hold some out: validation_split=0.1 in fit, --validation 0.1 in train." in " ".join(done.out.split())
    facts = command("explain", folder, "--json").json
    assert facts["results"]["validation"] == {}
    assert [sentence["topic"] for sentence in facts["words"]] == ["result", "change", "overfit"]
    assert facts["words"][1]["facts"] == {
        f"epochs.{place}.{name}": facts["epochs"][place][name] for place in (0, 1) for name in ("epoch", "loss")
    }
    asked = command("explain", folder, "--from", "1")
    assert asked.status == 2
    assert "this run stored nothing of any" in asked.err


def test_names_of_classes_are_printed_as_they_are_and_not_as_markup(command: Command, tmp_path: Path) -> None:
    contents = contents_of(course_of(RISING))
    names = ("[red]hat[/red]", "shoe", "[/]", "<b>:smile:")
    hostile = replace(contents.record, data=replace(contents.record.data, classes=names))
    out = command("explain", written(tmp_path / "hostile", replace(contents, record=hostile))).out
    assert "[red]hat[/red]" in out
    assert "<b>:smile:" in out


def test_degenerate_runs_are_explained_too(command: Command, tmp_path: Path) -> None:
    for name, course in {
        "one epoch": course_of([1.0]),
        "one image": course_of(RISING, images=1),
        "one class": course_of(RISING, images=20, classes=1),
        "two images": course_of(RISING, images=2, classes=2),
        "many classes": course_of([1.0, 2.0], images=300, classes=40),
    }.items():
        done = command("explain", written(tmp_path / name, contents_of(course)))
        assert (done.status, done.err) == (0, ""), name


def test_a_sparkline_goes_from_the_lowest_to_the_highest() -> None:
    assert sparkline([0.0, 0.5, 1.0], 10) == "▁▅█"
    assert sparkline([2.0, 2.0], 10) == "▁▁"
    assert sparkline([1.0, None, 2.0], 10) == "▁ █"
    assert sparkline([], 10) == ""
    long = sparkline([float(value) for value in range(100)], 8)
    assert (len(long), long[0], long[-1]) == (8, "▁", "█")


def test_bars_stand_on_their_side_of_the_line() -> None:
    assert _signed_bar(-0.5, 1.0, 4) == "  ██│    "
    assert _signed_bar(1.0, 1.0, 4) == "    │████"
    assert _signed_bar(0.0, 0.0, 2) == "  │  "
    assert _marked_bar(0.5, 1.0, 4) == "██·┃"


def test_images_that_came_from_files_are_named_by_them(command: Command, tmp_path: Path) -> None:
    root = write_picture_folder(
        tmp_path / "p", {f"{part}/{k}": 6 for part in ("train", "validation", "test") for k in "ab"}
    )
    (root / "validation" / "a" / "000.png").rename(root / "validation" / "a" / "<b>\x1b[31m \udcff.png")
    run = tmp_path / "run"
    command("train", root, "--epochs", "2", "--out", run)
    files = sorted(path.relative_to(root).as_posix() for path in (root / "validation").rglob("*.png"))
    files = [os.fsencode(file).decode("utf-8", "backslashreplace") for file in files]
    assert SeedFiles(run).picture_files(12) == tuple(files)
    done = command("explain", run)
    assert "Files are in the dataset's folder" in done.out
    assert re.search(r"validation/[ab]/00\d.png [ab] → [ab]", done.out)
    assert "\x1b" not in done.out
    (listed, *_) = command("explain", run, "--json").json["images"]
    assert len(listed["images"]) == 12
    for image in listed["images"]:
        assert image["file"] == files[image["index"]]
        assert image["file"].startswith(f"validation/{'ab'[image['label']]}/")
    html = Path(command("report", run, "--json").json["report"]).read_text(encoding="utf-8")
    assert "validation/b/005.png" in html
    assert "<b>\x1b" not in html
    (SeedFiles(run).folder / "validation_files.json").write_text('{"files": ["a"]}')
    assert "must have one name for each of 12 validation images" in command("explain", run).err
