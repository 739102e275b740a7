"""The commands on real data, from training to predicting; one short training serves most tests."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import fittingroom
from fittingroom.cli.main import main
from fittingroom.evaluation.spread import Interval
from fittingroom.recipes.classical_recipes import CLASSICAL_RECIPES
from fittingroom.recipes.named import NAMED
from fittingroom.runs.layout import SeedFiles
from tests.cli.conftest import Command

pytestmark = pytest.mark.usefixtures("quick_compiler")

# Keras's own variables lack NumPy 2's `copy` keyword, which Keras itself trips over when it describes an optimizer.


@pytest.fixture(scope="module")
def trained(runs_folder: Path) -> Path:
    """A run of the course's recipe on digits."""
    path = runs_folder / "trained"
    assert main(["train", "digits", "--epochs", "3", "--seed", "1", "--set", "hidden=32", "--out", str(path)]) == 0
    return path


def assert_no_test_was_opened(path: Path) -> None:
    assert SeedFiles(path).record().looks == ()


def test_train_prints_the_results_and_the_next_command(command: Command, runs_folder: Path, tmp_path: Path) -> None:
    done = command("train", "digits", "--epochs", "2", "--out", tmp_path / "mine")
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[0] == "course+ on digits, seed 0: 2 epochs"
    assert lines[3].split() == ["accuracy", "95%", "interval", "loss", "(nats)", "images"]
    assert [line.split()[0] for line in lines[4:6]] == ["training", "validation"]
    run = tmp_path / "mine"
    assert lines[-3:] == [
        f"Run: {run}",
        f"Next: `fittingroom explain {run}` and `fittingroom report {run}` tell and show what loss and accuracy say;",
        f"      `fittingroom evaluate {run}` opens the sealed test set.",
    ]
    assert_no_test_was_opened(tmp_path / "mine")


def test_train_json_has_what_is_promised(command: Command, runs_folder: Path, tmp_path: Path) -> None:
    facts = command("train", "digits", "--epochs", "2", "--seed", "3", "--out", tmp_path / "mine", "--json").json
    assert facts["run"] == str(tmp_path / "mine")
    assert (facts["dataset"], facts["recipe"], facts["seed"], facts["epochs"]) == ("digits", "course+", 3, 2)
    assert facts["seconds"].keys() == {"setup", "compile", "train"}
    assert facts["train"].keys() >= {"loss", "accuracy"}
    validation = facts["validation"]
    correct = round(validation["accuracy"] * validation["count"])
    assert validation["interval"] == pytest.approx(Interval.wilson(correct, validation["count"]))
    assert facts["settings"]["epochs"] == 2


def test_recipe_file_and_options_change_what_is_trained(command: Command, runs_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('hidden = [16]\nepochs = 9\nstop = ["accuracy>=0.99"]')
    options = ["--epochs", "2", "--batch-size", "64", "--set", "dropout=0.1", "activation=tanh", "--stop", "loss<9"]
    facts = command("train", "digits", "--recipe", tmp_path / "mine.toml", *options, "--json").json
    expected = {"hidden": [16], "epochs": 2, "batch_size": 64, "dropout": 0.1, "activation": "tanh"}
    assert expected.items() <= facts["settings"].items()
    assert facts["settings"]["stop"] == ["accuracy>=0.99", "loss<9"]
    assert (facts["status"], facts["epochs"]) == ("stopped", 1)
    assert facts["reason"].startswith("loss<9 after epoch 1")


def test_validation_0_trains_on_everything(command: Command, runs_folder: Path) -> None:
    facts = command("train", "digits", "--epochs", "1", "--validation", "0", "--json").json
    assert facts["validation"] is None
    assert facts["train"]["count"] == 1437


def test_batch_larger_than_the_data_is_clamped_and_said(command: Command, runs_folder: Path) -> None:
    done = command("train", "digits", "--epochs", "1", "--batch-size", "5000")
    assert done.status == 0
    assert "fittingroom: note: The batch size 5,000 is larger than the" in done.err


def test_own_model_is_trained_and_its_prints_are_no_result(command: Command, runs_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "import keras\n"
        "def build():\n"
        "    print('building')\n"
        "    layers = [keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(10, activation='softmax')]\n"
        "    return keras.Sequential(layers)\n"
    )
    done = command("train", "digits", "--epochs", "1", "--model", f"{tmp_path / 'own.py'}:build", "--json")
    assert done.status == 0
    assert done.json["settings"]["model"] == f"{tmp_path / 'own.py'}:build"
    assert "building" in done.err


def test_loss_that_is_no_number_ends_with_1_and_names_epoch_and_step(command: Command, runs_folder: Path) -> None:
    settings = ["learning_rate=1e9", "activation=linear", "hidden=64,64,64,64"]
    done = command("train", "digits", "--set", *settings)
    assert (done.status, done.out) == (1, "")
    assert "the loss became NaN or infinite in epoch 1, at step" in done.err


def test_place_that_cannot_be_written_is_found_before_training(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = command("train", "digits", "--out", tmp_path / "file" / "run")
    assert done.status == 1
    assert "a part of the path is a file" in done.err


def test_evaluate_opens_the_test_set_and_prints_a_table(command: Command, trained: Path) -> None:
    done = command("evaluate", trained)
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[0] == "Test set of digits"
    assert lines[2].startswith("accuracy  ")
    assert "of 360 images" in lines[2]
    assert lines[3].endswith(" nats")
    assert lines[4] == f"look      1 at this test set, by course+'s run {trained}"
    assert lines[5].startswith("luck      first evaluation on this test set, so no selection bias")
    assert [line.split()[0] for line in lines[8:18]] == list("0123456789")
    assert lines[19].startswith("A look is one opening of a sealed test set.")
    assert len(SeedFiles(trained).record().looks) == 1


def test_evaluate_json_has_what_is_promised(command: Command, trained: Path) -> None:
    facts = command("evaluate", trained, "--json").json
    test = facts["test"]
    assert facts["run"] == str(trained)
    assert test.keys() >= {"loss", "accuracy", "interval", "correct", "count", "per_class", "confusion"}
    assert test["accuracy"] == test["correct"] / test["count"]
    assert np.trace(test["confusion"]) == test["correct"]
    assert np.sum(test["confusion"]) == test["count"] == 360
    assert [part["name"] for part in test["per_class"]] == list("0123456789")


@pytest.fixture
def pixels() -> Any:
    """Images 0 to 3 of the digits, as stored: 0 to 16."""
    return load_digits().images[:4].astype(np.uint8)


def test_predict_gives_a_probability_per_class(command: Command, trained: Path, pixels: Any, tmp_path: Path) -> None:
    np.savez(tmp_path / "some.npz", x=pixels)
    facts = command("predict", trained, tmp_path / "some.npz", "--json").json
    predictions = facts["predictions"]
    assert [row["index"] for row in predictions] == [0, 1, 2, 3]
    for row in predictions:
        assert row.keys() == {
            "file", "index", "class", "probability", "probabilities", "set", "unlike", "why", "second_opinion", "steps",
        }  # fmt: skip
        assert (row["steps"], row["second_opinion"]) == ([], None)  # it is no photo
        assert row["file"] == str(tmp_path / "some.npz")
        assert sum(row["probabilities"]) == pytest.approx(1, abs=1e-5)
        assert row["probability"] == max(row["probabilities"])
        assert row["class"] == facts["classes"][int(np.argmax(row["probabilities"]))]
        assert set(row["set"]) <= set(facts["classes"])
        assert row["class"] in row["why"]


def test_predict_answers_as_python_does(command: Command, trained: Path, pixels: Any, tmp_path: Path) -> None:
    np.savez(tmp_path / "some.npz", x=pixels)
    rows = command("predict", trained, tmp_path / "some.npz", "--json").json["predictions"]
    answers = fittingroom.open_run(trained).answer(pixels)
    assert [(row["class"], tuple(row["set"]), row["unlike"], row["why"]) for row in rows] == [
        (answer.label, answer.set, answer.unlike, answer.why) for answer in answers
    ]
    assert [row["probabilities"] for row in rows] == [answer.probabilities.tolist() for answer in answers]


def test_picture_and_array_of_the_same_image_are_predicted_alike(
    command: Command, trained: Path, pixels: Any, tmp_path: Path
) -> None:
    np.savez(tmp_path / "one.npz", x=pixels[:1])
    Image.fromarray(np.rint(pixels[0] * (255 / 16)).astype(np.uint8)).save(tmp_path / "one.png")
    predictions = command("predict", trained, tmp_path / "one.npz", tmp_path / "one.png", "--json").json["predictions"]
    assert predictions[0]["probabilities"] == pytest.approx(predictions[1]["probabilities"], abs=1e-6)
    assert predictions[1]["file"] == str(tmp_path / "one.png")


def test_predict_prints_a_line_per_image(command: Command, trained: Path, pixels: Any, tmp_path: Path) -> None:
    np.savez(tmp_path / "some.npz", x=pixels)
    lines = command("predict", trained, tmp_path / "some.npz").out.splitlines()
    assert lines[0].split() == ["file", "image", "answer"]
    assert len(lines) == 5


@pytest.mark.parametrize("content", [None, b"", b"no image at all", b"\x89PNG\r\n\x1a\n cut off"])
def test_predict_refuses_what_is_no_image(
    command: Command, trained: Path, tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "x.png").write_bytes(content)
    done = command("predict", trained, tmp_path / "x.png")
    assert (done.status, done.out) == (2, "")
    assert "x.png" in done.err


def test_predict_refuses_arrays_of_another_size(command: Command, trained: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((1, 28, 28), np.uint8))
    done = command("predict", trained, tmp_path / "x.npz")
    assert done.status == 2
    assert "28x28" in done.err
    assert "8x8" in done.err


def test_runs_lists_them_and_names_a_damaged_one(command: Command, trained: Path, runs_folder: Path) -> None:
    broken = runs_folder / "2020-01-01-broken-1"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    try:
        lines = command("runs").out.splitlines()
        facts = {Path(run["run"]).name: run for run in command("runs", "--json").json["runs"]}
    finally:
        (broken / "run.json").unlink()
        broken.rmdir()
    assert lines[0].split()[:3] == ["run", "status", "epochs"]
    assert any(line.split()[:2] == [broken.name, "unreadable"] for line in lines)
    assert "run.json" in facts[broken.name]["error"]
    assert facts[trained.name]["epochs"] == 3


def test_show_prints_settings_results_and_epochs(command: Command, trained: Path) -> None:
    done = command("show", trained)
    assert done.out.startswith(f"{trained}: 3 epochs")
    assert re.search(r"learning_rate +0\.001\n", done.out)
    facts = command("show", trained, "--json").json
    assert len(facts["history"]["val_loss"]) == 3
    assert facts["environment"]["versions"]["jax"]
    assert facts["recipe"] == "course+"


def test_show_says_whether_the_test_set_was_opened(command: Command, runs_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine"
    command("train", "digits", "--epochs", "1", "--out", path)
    assert "The test set has not been opened by this run." in command("show", path).out
    command("evaluate", path)
    assert "fittingroom evaluate" in command("show", path).out
    record = json.loads((SeedFiles(path).folder / "run.json").read_text())
    (SeedFiles(path).folder / "run.json").write_text(json.dumps(record | {"looks": []}))
    taken_out = command("show", path).out
    assert re.search(rf"records no look.*the ledger has look \d+ by the same weights \(.*, run {path}\)", taken_out)


def test_data_lists_the_datasets(command: Command) -> None:
    names = [entry["name"] for entry in command("data", "--json").json["datasets"]]
    assert names[:4] == ["fashion-mnist", "mnist", "kmnist", "digits"]
    assert {"fashion-mnist-14", "mnist-5k", "shapes"} < set(names)
    assert all(name in command("data").out for name in names)


def test_data_describes_one_and_writes_its_picture(command: Command, tmp_path: Path) -> None:
    facts = command("data", "digits", "--sprite", tmp_path / "digits.png", "--json").json
    assert facts["counts"]["test"]["total"] == 360
    assert facts["licence"] == "CC BY 4.0"
    with Image.open(facts["sprite"]) as picture:
        assert picture.format == "PNG"
    done = command("data", "digits")
    assert "all    1,317         120   360" in done.out
    assert Path(done.out.split()[-1]).is_file()


def test_recipes_lists_them_with_their_claims(command: Command) -> None:
    facts = command("recipes", "--json").json["recipes"]
    known = {name: entry.recipe for name, entry in NAMED.items()}
    known |= {name: entry.recipe for name, entry in CLASSICAL_RECIPES.items()}
    assert [recipe["name"] for recipe in facts] == list(known)
    assert all(recipe["settings"] == known[recipe["name"]].to_dict() for recipe in facts)
    out = command("recipes").out
    assert all(recipe["summary"] in out for recipe in facts)


def test_backbones_lists_them_and_describes_one_without_a_download(command: Command) -> None:
    facts = command("backbones", "--json").json["backbones"]
    assert facts[0]["name"] == "efficientnet-lite0"
    assert len(facts) > 40
    out = command("backbones").out
    assert all(each["name"] in out for each in facts)
    one = command("backbones", "keras:ResNet50V2")
    assert "licence     not known" in one.out
    assert command("backbones", "keras:ResNet50V2", "--json").json["blocks"] == 15
    wrong = command("backbones", "keras:Resnet50")
    assert wrong.status == 2
    assert "Did you mean 'keras:ResNet50'" in wrong.err
