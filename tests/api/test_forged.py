"""What a run's folder says of its looks is compared with the ledger, wherever it is shown."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import fittingroom as fr
from fittingroom.cli.main import main
from fittingroom.data import load as sealing
from fittingroom.errors import RunError, StorageError
from fittingroom.reports.facts.explanation import explain
from fittingroom.runs.layout import SeedFiles
from fittingroom.runs.ledger import Ledger
from fittingroom.runs.ledger_check import LedgerCheck

pytestmark = pytest.mark.usefixtures("quick_compiler")

TINY = fr.Recipe(name="tiny", hidden=(8,), epochs=1, batch_size=64)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `good`, which looked at its test set, `bad` and `twin`, which did not, and their ledger."""
    place = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITTINGROOM_LEDGER", str(place / "ledger.sqlite"))
        fr.train("digits", TINY, out=place / "good").evaluate()
        fr.train("digits", TINY.changed(learning_rate=0.0001), out=place / "bad")
        fr.train("digits", TINY, seed=1, out=place / "twin")
    return place


@pytest.fixture
def runs(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, for one test."""
    shutil.copytree(trained, tmp_path / "copy")
    monkeypatch.setenv("FITTINGROOM_LEDGER", str(tmp_path / "copy" / "ledger.sqlite"))
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(tmp_path / "copy"))
    return tmp_path / "copy"


def change(run: Path, changes: Callable[[dict[str, Any]], object]) -> None:
    """Changes what `run.json` says."""
    record = json.loads((SeedFiles(run).folder / "run.json").read_text())
    changes(record)
    (SeedFiles(run).folder / "run.json").write_text(json.dumps(record))


def edit(runs: Path) -> Path:
    """A score of nearly all images, in every number that says it."""

    def better(record: dict[str, Any]) -> None:
        score = record["looks"][0]["score"]
        counts = [sum(row) for row in score["confusion"]]
        score |= {"accuracy": 359 / 360, "correct": 359}
        score["confusion"] = [[n * (i == j) for j in range(10)] for i, n in enumerate(counts)]
        score["confusion"][0][0] -= 1
        score["confusion"][0][1] += 1

    change(runs / "good", better)
    return runs / "good"


def edit_one_cell(runs: Path) -> Path:
    """As many right answers as before, and other mistakes."""

    def other_mistakes(record: dict[str, Any]) -> None:
        row = record["looks"][0]["score"]["confusion"][8]
        row[2], row[3] = row[2] + row[3], 0

    change(runs / "good", other_mistakes)
    return runs / "good"


def paste(runs: Path, into: str) -> Path:
    looks = json.loads((SeedFiles(runs / "good").folder / "run.json").read_text())["looks"]
    change(runs / into, lambda record: record.update(looks=looks))
    return runs / into


def swap_weights(runs: Path) -> Path:
    for name in ("weights.safetensors", "model.json"):
        shutil.copy(SeedFiles(runs / "twin").folder / name, SeedFiles(runs / "good").folder / name)
    other = json.loads((SeedFiles(runs / "twin").folder / "run.json").read_text())["weights_sha256"]
    change(runs / "good", lambda record: record.update(weights_sha256=other))
    return runs / "good"


def make_up(runs: Path) -> Path:
    change(runs / "good", lambda record: record["looks"][0].update(hash="0" * 64))
    return runs / "good"


@pytest.mark.parametrize(
    ("forge", "why"),
    [
        (edit, r"not the one in the ledger, \d+ of 360 right .*run\.json says 359 of 360"),
        (edit_one_cell, r"not the one in the ledger"),
        (
            lambda runs: paste(runs, "bad"),
            r"is another run.s: the ledger has it as a look of .*good .*differ in recipe",
        ),
        (lambda runs: paste(runs, "twin"), r"is another run.s.*They differ in seed"),
        (swap_weights, r"weights in .* are not those that looked at the test set"),
        (make_up, r"has no such look"),
    ],
    ids=["edited", "other mistakes", "pasted from another recipe", "from another seed", "other weights", "made up"],
)
def test_what_the_ledger_contradicts_is_said_wherever_scores_are_shown(
    runs: Path, forge: Callable[[Path], Path], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = forge(runs)
    with pytest.raises(RunError, match=rf"not believed.*{why}"):
        fr.open_run(run).evaluate()
    seed = explain(run).facts["per_seed"][0]
    assert seed["test"] is None
    if forge is edit:  # the page is made of these facts
        assert "Not believed" in str(fr.open_run(run).report().html)
    assert "not believed" in fr.open_run(run)._repr_html_()
    verdict = LedgerCheck.of(Ledger.of_user())
    assert verdict.problem or verdict.contradictions
    for words in (["show", str(run)], ["runs"], ["ledger", "--verify"]):
        status = main(words)
        said = capsys.readouterr().out
        assert status == (words[-1] == "--verify")
        assert ("Not believed" in said) or said.startswith("Broken")
        assert "99.72" not in said


def test_a_run_from_elsewhere_is_called_that(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FITTINGROOM_LEDGER", str(tmp_path / "mine.sqlite"))
    fr.open_run(runs / "twin").evaluate()
    result = fr.open_run(runs / "good").evaluate()
    assert (result.look, result.reuse.looks) == (None, 2)
    assert (LedgerCheck.of(Ledger.of_user()).contradictions, LedgerCheck.of(Ledger.of_user()).elsewhere) == ((), 1)
    assert main(["show", str(runs / "good")]) == 0
    assert "elsewhere: another ledger counted the look" in capsys.readouterr().out


def test_a_moved_run_is_believed(runs: Path, tmp_path: Path) -> None:
    (runs / "good").rename(tmp_path / "moved")
    assert fr.open_run(tmp_path / "moved").evaluate().look == 1


@pytest.mark.parametrize("place", [0, 12, 300, 1000, -1])
def test_a_flipped_bit_in_the_weights_is_noticed_on_opening(runs: Path, place: int) -> None:
    file = SeedFiles(runs / "twin").folder / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    run = fr.open_run(runs / "twin")
    with pytest.raises(RunError, match=r"weights\.safetensors is damaged"):
        run.predict(fr.load("digits").train.images[:1])
    with pytest.raises(RunError, match=r"weights\.safetensors is damaged"):
        run.evaluate()
    assert len(Ledger.of_user().looks()) == 1


def test_a_run_of_an_older_version_opens(runs: Path) -> None:
    change(runs / "twin", lambda record: record.pop("weights_sha256"))
    assert fr.open_run(runs / "twin").evaluate().look == 2


def test_the_same_training_again_costs_no_look(runs: Path) -> None:
    again = fr.train("digits", TINY).evaluate()
    assert (again.look, again.reuse.looks, again.luck) == (1, 1, 0)
    assert [look.repeats for look in Ledger.of_user().looks()] == [False, True]


def test_what_cannot_be_recorded_is_no_look(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise StorageError(f"cannot write {path}")

    monkeypatch.setattr("fittingroom.runs.looks.write_bytes", refuse)
    for _ in range(3):
        with pytest.raises(StorageError, match="cannot write"):
            fr.open_run(runs / "twin").evaluate()
    assert len(Ledger.of_user().looks()) == 1


@pytest.mark.slow
def test_four_evaluations_at_once_are_one_look_and_tell_one_score(runs: Path) -> None:
    command = [sys.executable, "-m", "fittingroom", "evaluate", str(runs / "bad"), "--json"]
    four = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    scores = {json.loads(one.communicate()[0])["test"]["accuracy"] for one in four}
    assert [one.returncode for one in four] == [0] * 4
    assert len(scores) == 1
    looks = Ledger.of_user().looks()
    assert [look.look for look in looks] == [1, 2]
    record = fr.open_run(runs / "bad").record
    assert [look.number for look in record.looks] == [2]
    assert LedgerCheck.of(Ledger.of_user()).contradictions == ()


def as_idx(folder: Path, parts: Mapping[str, tuple[Any, Any]]) -> tuple[str, Any]:
    for name, (images, labels) in zip(("train", "t10k"), parts.values(), strict=True):
        for what, array in ((f"{name}-images-idx3", images), (f"{name}-labels-idx1", labels)):
            head = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
            (folder / f"{what}-ubyte").write_bytes(head + array.astype(np.uint8).tobytes())
    return f"idx:{folder}", folder / "t10k-images-idx3-ubyte"


def as_csv(folder: Path, parts: Mapping[str, tuple[Any, Any]]) -> tuple[str, Any]:
    for name, (images, labels) in parts.items():
        rows = np.column_stack([labels, images.reshape(len(images), -1)])
        names = ",".join(["label", *(f"pixel{place}" for place in range(64))])
        np.savetxt(folder / f"{name}.csv", rows, "%d", ",", header=names, comments="")
    return f"csv:{folder / 'train.csv'}", folder / "test.csv"


def as_pictures(folder: Path, parts: Mapping[str, tuple[Any, Any]]) -> tuple[str, Any]:
    for name, (images, labels) in parts.items():
        for place, (image, label) in enumerate(zip(images, labels, strict=True)):
            (file := folder / name / f"digit{label}" / f"{place}.png").parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.astype(np.uint8)).save(file)
    return f"folder:{folder}", sorted((folder / "test").rglob("*.png"))


@pytest.mark.parametrize("form", [as_idx, as_csv, as_pictures])
def test_predicting_the_test_part_of_files_is_a_look(form: Any, tmp_path: Path, runs: Path) -> None:
    digits = load_digits()
    images, labels = 15 * digits.images[:160], digits.target[:160]
    (place := tmp_path / "data").mkdir()
    name, test = form(place, {"train": (images[:120], labels[:120]), "test": (images[120:], labels[120:])})
    size = 8 if form is as_pictures else None
    run = fr.train(name, TINY, validation=40, image_size=size)
    several = test if isinstance(test, list) else [test]
    if isinstance(test, list):
        run.predict(several[1:])  # an image less is another set
    assert len(Ledger.of_user().looks()) == 1
    assert main(["predict", str(run.path), str(place / "test" if isinstance(test, list) else test)]) == 0
    run.predict(several)
    assert [(look.look, look.repeats) for look in Ledger.of_user().looks()[1:]] == [(1, False), (1, True)]


def test_predicting_the_test_part_of_a_dataset_is_a_look(runs: Path, tmp_path: Path) -> None:
    data = sealing.load("digits")
    test = data.test.open("to write a file")
    arrays: dict[str, Any] = {
        "x_train": data.train.images,
        "y_train": data.train.labels,
        "x_test": test.images,
        "y_test": test.labels,
    }
    np.savez(tmp_path / "data.npz", allow_pickle=False, **arrays)
    np.savez(tmp_path / "others.npz", allow_pickle=False, **{**arrays, "x_test": test.images[::-1]})
    run = fr.open_run(runs / "twin")
    run.predict(tmp_path / "others.npz")
    assert len(Ledger.of_user().looks()) == 1
    for _ in range(2):
        run.predict(tmp_path / "data.npz")
    assert [(look.look, look.repeats) for look in Ledger.of_user().looks()] == [(1, False), (2, False), (2, True)]
    assert Ledger.of_user().looks()[1].intent.reason == "predict data.npz"
